"""What both SDKs stand on: the role's keys, and HTTP whose time-outs follow the run's time."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from image_steward.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from image_steward.clock import Deadline

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
"""For each socket operation. The SDKs' own are 60 and 30, longer than most runs last."""

# At DEBUG the SDKs write tokens and signatures, at ERROR whole replies; failures reach our log
# as our own errors. A level of their own holds even when somebody sets the root logger to DEBUG.
for _name in ("tencentcloud_sdk_common", "qcloud_cos", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class Credentials:
    """The keys of the function's role, for one run."""

    secret_id: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Credentials:
        """Read SCF's own variables (document/product/583/32748).

        None of the SDK's providers knows their names, and they may change between two runs of
        one instance.

        Raises:
            InvalidSetting: a key is missing: the function has no run role.
        """
        names = ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY")
        secret_id, secret_key = (environ.get(name, "") for name in names)
        if not secret_id or not secret_key:
            raise InvalidSetting(f"{' or '.join(names)} is not set: give the function a run role")
        return cls(secret_id, secret_key, environ.get("TENCENTCLOUD_SESSIONTOKEN") or None)

    def get_credential_info(self) -> tuple[str, str, str | None]:
        """What the API SDK asks a credential for, at every call."""
        return self.secret_id, self.secret_key, self.token


class Session(requests.Session):
    """Connections that outlive a run; no redirect is followed, no time-out outlives `deadline`."""

    deadline: Deadline

    def __init__(self) -> None:
        super().__init__()
        # Without any, requests may take a login from ~/.netrc and overwrite the signature.
        self.auth = lambda request: request

    def request(self, method: str | bytes, url: str | bytes, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401 - passed on
        """As `requests.Session.request`.

        Raises:
            requests.RequestException: as there; also for a redirect, and when time is over.
        """
        left = self.deadline.remaining()
        if left <= 0:
            raise requests.Timeout("the run's time is over")
        timeout = (min(CONNECT_SECONDS, left), min(READ_SECONDS, left))
        options.update(timeout=timeout, allow_redirects=False)
        response = super().request(method, url, **options)
        if response.is_redirect:
            response.close()
            raise requests.TooManyRedirects(f"HTTP status {response.status_code}: a redirect")
        return response


SESSION = Session()
