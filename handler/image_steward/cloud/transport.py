"""What both SDKs stand on: the role's keys, and HTTP that no reply can hold longer than allowed."""

from __future__ import annotations

import http.client
import io
import logging
import re
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
import requests.adapters
import urllib3
import urllib3.connection

from image_steward.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from socket import socket

    from image_steward.clock import Deadline

CONNECT_SECONDS = 3.0
REPLY_SECONDS = 10.0
"""For a whole reply, however slowly it drips. The SDKs' own 60 and 30 are for each read."""
MAX_HOSTS = 32
CONNECTIONS = 8
"""Kept open, for each host."""

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
        token = environ.get("TENCENTCLOUD_SESSIONTOKEN", "")
        # A blank or a line break would end up, keys and all, in the text of an HTTP error.
        if not re.fullmatch(r"[!-~]*", secret_id + secret_key + token):
            raise InvalidSetting("a key of the run role holds a character that no key has")
        return cls(secret_id, secret_key, token or None)


class _Timed(io.RawIOBase):
    """The bytes of one reply as they come, until time is over.

    A socket's own time-out starts anew with every byte; here each read gets what is left in all.
    """

    def __init__(self, raw: io.RawIOBase, connection: socket, deadline: Deadline) -> None:
        self._raw = raw
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - a writable buffer
        left = self._deadline.remaining()
        if left <= 0:
            raise TimeoutError("the reply took too long")
        self._connection.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Reply(http.client.HTTPResponse):
    def __init__(self, sock: socket, *args: Any, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(sock, *args, **options)
        deadline = SESSION.deadline.earlier(REPLY_SECONDS)
        # The file below is kept: as long as it is open, so is the socket.
        self.fp = io.BufferedReader(_Timed(self.fp.detach(), sock, deadline))


class _HTTP(urllib3.connection.HTTPConnection):
    response_class = _Reply

    def send(self, data: Any) -> None:  # noqa: ANN401 - passed on
        # Looking up and trying a host's addresses may have taken longer than any time-out says.
        if SESSION.deadline.remaining() <= 0:
            raise TimeoutError("the run's time is over")
        super().send(data)


class _HTTPS(_HTTP, urllib3.connection.HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPS


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class _Adapter(requests.adapters.HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class Session(requests.Session):
    """Connections that outlive a run; no redirect is followed, no reply outlives `deadline`."""

    deadline: Deadline

    def __init__(self) -> None:
        super().__init__()
        # Without any, requests may take a login from ~/.netrc and overwrite the signature.
        self.auth = lambda request: request
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(pool_connections=MAX_HOSTS, pool_maxsize=CONNECTIONS))

    def request(self, method: str | bytes, url: str | bytes, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401 - passed on
        """As `requests.Session.request`.

        Raises:
            requests.RequestException: as there; also when time is over, and for a reply that
                says neither "here it is" (200) nor what is wrong (400 and above).
        """
        left = self.deadline.remaining()
        if left <= 0:
            raise requests.Timeout("the run's time is over")
        timeout = (min(CONNECT_SECONDS, left), min(REPLY_SECONDS, left))
        options.update(timeout=timeout, allow_redirects=False)
        response = super().request(method, url, **options)
        if response.status_code != requests.codes.ok and response.ok:
            response.close()
            raise requests.RequestException(f"HTTP status {response.status_code}: no reply to us")
        return response


SESSION = Session()
