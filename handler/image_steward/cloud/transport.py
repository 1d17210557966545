"""HTTP for both SDKs: connections that an instance keeps, and no reply that outlives its run."""

from __future__ import annotations

import http.client
import io
import logging
import socket
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import requests.adapters
import urllib3
import urllib3.connection

from image_steward.clock import Clock, Deadline

CONNECT_SECONDS = 3.0
"""To connect, however long a name is looked up and however many addresses it has."""
REPLY_SECONDS = 10.0
"""For a whole reply, however slowly it drips. The SDKs' own 60 and 30 are for each read."""
MAX_HOSTS = 32
CONNECTIONS = 8
"""Kept open, for each host."""

_CLOCK = Clock()  # sockets wait in real time


def silence_loggers() -> None:
    """Keep the SDKs from logging: our own lines say what failed, without any secret.

    At DEBUG the SDKs write tokens and signatures, at ERROR whole replies. A level of their own
    holds even when somebody sets the root logger to DEBUG.
    """
    for name in ("tencentcloud_sdk_common", "qcloud_cos", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


class _Timed(io.RawIOBase):
    """The bytes of one reply as they come, until time is over.

    A socket's own time-out starts anew with every byte; here each read gets what is left in all.
    """

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, deadline: Deadline) -> None:
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
    """A reply whose read time-out, as the socket has it now, is for all of it."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(sock, *args, **options)
        deadline = Deadline.after(sock.gettimeout() or REPLY_SECONDS, _CLOCK)
        # The file below is kept: as long as it is open, so is the socket.
        self.fp = io.BufferedReader(_Timed(self.fp.detach(), sock, deadline))


class _HTTP(urllib3.connection.HTTPConnection):
    response_class = _Reply

    def _new_conn(self) -> socket.socket:
        """Connect within the time-out in all: urllib3's own is for each of a host's addresses."""
        seconds = float(self.timeout or CONNECT_SECONDS)
        deadline = Deadline.after(seconds, _CLOCK)
        found = socket.getaddrinfo(self.host.strip("[]"), self.port, type=socket.SOCK_STREAM)
        addresses: list[Any] = [address[:2] for *_, address in found]
        while (left := deadline.remaining()) > 0:
            address = addresses.pop(0)
            try:
                connected = socket.create_connection(address, left / 2 if addresses else left)
            except OSError:
                if not addresses:
                    raise
                continue
            connected.settimeout(seconds)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connected
        raise TimeoutError("connecting took too long")


class _HTTPS(_HTTP, urllib3.connection.HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPS


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class Connections(requests.adapters.HTTPAdapter):
    """Connections that outlive a run. Safe for threads."""

    def __init__(self) -> None:
        super().__init__(pool_connections=MAX_HOSTS, pool_maxsize=CONNECTIONS)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on
        """As `HTTPAdapter.proxy_manager_for`, with the pools above."""
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class Session(requests.Session):
    """Requests of one run: no redirect is followed, no reply outlives `deadline`."""

    def __init__(self, connections: Connections, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline
        # Without any, requests may take a login from ~/.netrc and overwrite the signature.
        self.auth = lambda request: request
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("http://", "https://"):
            self.mount(scheme, connections)

    def request(self, method: str | bytes, url: str | bytes, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401 - passed on
        """As `requests.Session.request`.

        Raises:
            requests.RequestException: as there; also when time is over, and for a reply that
                says neither "here it is" (200) nor what is wrong (400 and above).
        """
        left = self._deadline.remaining()
        if left <= 0:
            raise requests.Timeout("the run's time is over")
        timeout = urllib3.Timeout(total=left, connect=CONNECT_SECONDS, read=REPLY_SECONDS)
        options.update(timeout=timeout, allow_redirects=False)
        response = super().request(method, url, **options)
        if response.status_code != requests.codes.ok and response.ok:
            response.close()
            raise requests.RequestException(f"HTTP status {response.status_code}: no reply to us")
        return response
