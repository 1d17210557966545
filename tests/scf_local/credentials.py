"""Keys of an account: made-up ones, which the emulated cloud accepts, or somebody's own."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credentials:
    """The keys by which a call is signed; an empty token goes with keys that do not expire."""

    secret_id: str = field(default="AKIDLOCALEXAMPLE000000000000000000", repr=False)
    secret_key: str = field(default="LOCALEXAMPLEKEY00000000000000000", repr=False)
    token: str = field(default="LOCALEXAMPLETOKEN", repr=False)

    def variables(self) -> dict[str, str]:
        """The variables in which SCF hands them to a function (document/product/583/32748)."""
        return {
            "TENCENTCLOUD_SECRETID": self.secret_id,
            "TENCENTCLOUD_SECRETKEY": self.secret_key,
            **({"TENCENTCLOUD_SESSIONTOKEN": self.token} if self.token else {}),
        }

    def environment(self, url: str) -> dict[str, str]:
        """The variables that point the function, or an SDK, at an emulated cloud at `url`."""
        return {"STEWARD_API_ENDPOINT": url, "STEWARD_COS_ENDPOINT": url, **self.variables()}
