"""API credentials of an account: the made-up one of the emulated cloud, or a real one."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class AccountCredentials:
    """Credentials that sign API calls; the defaults are those that the emulated cloud accepts.

    Permanent credentials have an empty token.
    """

    secret_id: str = field(default="AKIDLOCALEXAMPLE000000000000000000", repr=False)
    secret_key: str = field(default="LOCALEXAMPLEKEY00000000000000000", repr=False)
    token: str = field(default="LOCALEXAMPLETOKEN", repr=False)

    def scf_variables(self) -> dict[str, str]:
        """The variables in which SCF passes them to a function (document/product/583/32748)."""
        return {
            "TENCENTCLOUD_SECRETID": self.secret_id,
            "TENCENTCLOUD_SECRETKEY": self.secret_key,
            **({"TENCENTCLOUD_SESSIONTOKEN": self.token} if self.token else {}),
        }
