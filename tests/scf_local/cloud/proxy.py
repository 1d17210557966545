"""The proxy: through it, clients reach the emulated cloud at the cloud's own names, over TLS."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast
from weakref import WeakSet

from scf_local.cloud import hosts
from scf_local.cloud.certificates import authority

_CONNECT = re.compile(rb"CONNECT ([!-~]+:\d{1,5}) HTTP/1\.[01]\r\n")
_MAX_HEAD_BYTES = 64 << 10
_PLAIN_PORT = ":80"


@dataclass
class Proxy:
    """Creates the protocol of each connection.

    Attributes:
        http: creates the protocol that serves HTTP, inside a tunnel or without one.
        seconds: how long a client may take until its first request begins.
        refuse: returns why a host is not answered for.
    """

    http: Callable[[], asyncio.Protocol]
    seconds: float
    refuse: Callable[[str], str]
    transports: WeakSet[asyncio.Transport] = field(default_factory=WeakSet)
    """Of all connections that are still open."""

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Connection(self)

    def close(self) -> None:
        """Close all connections at once: TLS would wait for the client's goodbye."""
        for transport in tuple(self.transports):
            transport.abort()


class _Connection(asyncio.Protocol):
    """A connection until HTTP begins on it: at once, or in the tunnel that `CONNECT` opens."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._received = b""
        self._tunnel: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._proxy.transports.add(self._transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._proxy.seconds, self._transport.abort)

    def connection_lost(self, _error: Exception | None) -> None:
        self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._tunnel and not self._tunnel.done():
            return
        if self._tunnel or not b"CONNECT ".startswith(self._received[:8]):
            self._serve_http()
        elif b"\r\n\r\n" in self._received:
            self._tunnel = asyncio.ensure_future(self._open_tunnel())
        elif len(self._received) > _MAX_HEAD_BYTES:
            self._transport.abort()

    def _serve_http(self) -> None:
        self.connection_lost(None)  # for this protocol
        protocol = self._proxy.http()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._received)

    async def _open_tunnel(self) -> None:
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        target = _CONNECT.match(head + b"\r\n")
        host = target[1].decode() if target else ""
        if not hosts.is_proxied(host, self._transport.get_extra_info("sockname")[1]):
            self._refuse(self._proxy.refuse(host))
            return
        name = hosts.name_of(host)
        has_tls = hosts.is_emulated(name) and not host.endswith(_PLAIN_PORT)
        if has_tls and self._received:  # it belongs to no handshake: none was agreed yet
            self._transport.abort()
            return
        context = authority().context(name) if has_tls else None
        self._transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if context:
            with suppress(OSError):  # the client has ended the connection, or trusts others
                await self._start_tls(context)
        if self._received and not self._transport.is_closing():
            self._serve_http()

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        plain, seconds = self._transport, self._proxy.seconds
        secure = await asyncio.get_running_loop().start_tls(
            plain, self, context, server_side=True, ssl_handshake_timeout=seconds
        )
        if secure is not None:  # else aborted meanwhile
            self._transport = secure
            self._proxy.transports.add(secure)

    def _refuse(self, message: str) -> None:
        # Clients show the status line; few show the body.
        reply = f"HTTP/1.1 403 {message}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        self._transport.write(reply.encode())
        self._transport.close()
