"""The keys of the function's role."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from image_steward.errors import InvalidSetting


@dataclass(frozen=True)
class Credentials:
    """The keys as they were read. They may change between two runs of one instance."""

    secret_id: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Credentials:
        """Read SCF's own variables (document/product/583/32748): the SDKs do not know their names.

        Raises:
            InvalidSetting: a key is missing: the function has no run role.
        """
        names = ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY")
        secret_id, secret_key = (environ.get(name, "") for name in names)
        if not secret_id or not secret_key:
            raise InvalidSetting(f"{' or '.join(names)} is not set: give the function a run role")
        token = environ.get("TENCENTCLOUD_SESSIONTOKEN", "")
        # A blank or a line break would end up, keys and all, in the text of an HTTP error.
        if not re.fullmatch(r"[!-~]*", secret_id + secret_key + token):
            raise InvalidSetting("a key of the run role holds a character that no key has")
        return cls(secret_id, secret_key, token or None)

    def get_credential_info(self) -> tuple[str, str, str | None]:
        """What the API SDK asks a credential for; its own class costs 10 ms of imports."""
        return self.secret_id, self.secret_key, self.token
