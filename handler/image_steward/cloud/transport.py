"""HTTP for both SDKs: persistent connections, and no response outlives its run."""

from __future__ import annotations

import http.client
import io
import logging
import socket
import zlib
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from threading import Thread
from typing import Any

import requests
import requests.adapters
import urllib3
import urllib3.connection

from image_steward.clock import Clock, Deadline

CONNECT_SECONDS = 3.0
"""To connect, including the DNS lookup and all addresses of the host."""
REPLY_SECONDS = 10.0
"""For a whole response. The SDKs' own timeouts, 60 and 30 s, apply to each read."""
MAX_REPLY_BYTES = 16 << 20
"""Of a whole response, headers included."""

_CLOCK = Clock()  # sockets use real time


def silence_loggers() -> None:
    """Silence the SDKs: our own log lines report failures, without secrets.

    The SDKs log tokens and signatures at DEBUG, and whole responses at ERROR. A level of their own
    applies even if the root logger is set to DEBUG.
    """
    for name in ("tencentcloud_sdk_common", "qcloud_cos", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def decoded(data: bytes, limit: int) -> bytes:
    """Return data, unpacked if it is gzip; no more than one byte above the limit.

    Raises:
        zlib.error: the gzip data is damaged, cut off, or more than one file.
    """
    if not data.startswith(b"\x1f\x8b"):
        return data
    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    unpacked = member.decompress(data, limit + 1)
    if len(unpacked) <= limit and (member.unused_data or not member.eof):
        raise zlib.error("more follows its end" if member.eof else "it is cut off")
    return unpacked


class _BoundedReader(io.RawIOBase):
    """Reads one response until a deadline, and up to `MAX_REPLY_BYTES`.

    A socket timeout applies to each read; here every read gets only the remaining time.
    """

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, deadline: Deadline) -> None:
        self._raw = raw
        self._connection = connection
        self._deadline = deadline
        self.room = MAX_REPLY_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - a writable buffer
        left = self._deadline.remaining()
        if left <= 0:
            raise TimeoutError("the response took too long")
        self._connection.settimeout(left)
        count = self._raw.readinto(buffer)
        self.room -= count or 0
        if self.room < 0:
            raise OSError("the response is too large")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response that must be read within the socket's current timeout."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(sock, *args, **options)
        deadline = Deadline.after(sock.gettimeout() or REPLY_SECONDS, _CLOCK)
        # Keep the original file open, and with it the socket.
        self._bounded = _BoundedReader(self.fp.detach(), sock, deadline)
        self.fp = io.BufferedReader(self._bounded)

    def begin(self) -> None:
        """Keep urllib3 from unpacking the body, and the COS SDK from parsing a large error.

        The former may be any size, see `decoded`; the latter takes 100 times its size.
        """
        super().begin()
        del self.msg["Content-Encoding"]
        if self.status >= http.client.BAD_REQUEST:
            self._bounded.room = 64 << 10


def _resolve(host: str, port: int | None, deadline: Deadline) -> list[Any]:
    """The addresses of a host, looked up in a thread: `getaddrinfo` has no timeout."""
    results: list[Any] = []

    def look_up() -> None:
        try:
            results.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:
            results.append(error)

    thread = Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(max(0.0, deadline.remaining()))
    if not results:
        raise TimeoutError("connecting took too long")
    if isinstance(results[0], Exception):
        raise results[0]
    return [address[:2] for *_, address in results[0]]


class _HTTP(urllib3.connection.HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """Connect within the timeout; urllib3 would apply it to each address of the host."""
        seconds = float(self.timeout or CONNECT_SECONDS)
        deadline = Deadline.after(seconds, _CLOCK)

        def connect(address: Any, share: float) -> socket.socket:  # noqa: ANN401 - host and port
            # A socket would take a timeout of zero for none.
            left = max(0.001, deadline.remaining() * share)
            connection = socket.create_connection(address, left)
            connection.settimeout(seconds)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection

        *others, last = _resolve(self.host.strip("[]"), self.port, deadline)
        for address in others:
            with suppress(OSError):
                return connect(address, 0.5)
        return connect(last, 1)


class _HTTPS(_HTTP, urllib3.connection.HTTPSConnection):
    """As `_HTTP`, which connects the socket below TLS."""


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPS


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class Connections(requests.adapters.HTTPAdapter):
    """Connections that outlive a run. Thread-safe."""

    def __init__(self) -> None:
        super().__init__(pool_connections=32, pool_maxsize=8)  # hosts; connections of each
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on
        """Like `HTTPAdapter.proxy_manager_for`, with our pools."""
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class Session(requests.Session):
    """The HTTP session of one run: follows no redirects, reads no response past `deadline`."""

    def __init__(self, connections: Connections, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline
        # Without it, requests may use a login from ~/.netrc and overwrite the signature.
        self.auth = lambda request: request
        self.headers["Accept-Encoding"] = "identity"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("http://", "https://"):
            self.mount(scheme, connections)

    def request(self, method: str | bytes, url: str | bytes, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401 - passed on
        """Like `requests.Session.request`.

        Raises:
            requests.RequestException: as there; also after the deadline, and for a status that is
                neither 200 nor an error (400 and above).
        """
        left = self._deadline.remaining()
        if left <= 0:
            raise requests.Timeout("the run's time is over")
        timeout = urllib3.Timeout(total=left, connect=CONNECT_SECONDS, read=REPLY_SECONDS)
        options.update(timeout=timeout, allow_redirects=False)
        response = super().request(method, url, **options)
        if response.status_code != requests.codes.ok and response.ok:
            response.close()
            raise requests.RequestException(f"unexpected HTTP status {response.status_code}")
        return response
