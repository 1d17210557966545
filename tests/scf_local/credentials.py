"""API credentials of an account: the made-up one of the emulated cloud, or a real one."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from secrets import token_hex

SCF_NAMES = ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN")
"""The variables in which SCF passes them to a function (document/product/583/32748)."""
SDK_NAMES = ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN")
"""The variables that the SDKs and tccli read."""


@dataclass(frozen=True)
class AccountCredentials:
    """Credentials that sign API calls; the defaults are those of an emulated cloud in tests.

    Permanent credentials have an empty token.
    """

    secret_id: str = field(default="AKIDLOCALEXAMPLE000000000000000000", repr=False)
    secret_key: str = field(default="LOCALEXAMPLEKEY00000000000000000", repr=False)
    token: str = field(default="LOCALEXAMPLETOKEN", repr=False)

    @classmethod
    def random(cls) -> AccountCredentials:
        """Credentials for one run of an emulated cloud, which nobody can guess."""
        return cls(f"AKID{token_hex(16)}", token_hex(16), token_hex(16))

    def scf_variables(self) -> dict[str, str]:
        """Their variables in a function."""
        variables = zip(SCF_NAMES, astuple(self), strict=True)
        return {name: value for name, value in variables if value}
