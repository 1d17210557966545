"""The emulated cloud as an HTTP server in its own thread."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from scf_local import network
from scf_local.cloud import hosts
from scf_local.cloud.api_requests import MAX_GET_BYTES
from scf_local.cloud.cam.model import SCF
from scf_local.cloud.certificates import authority
from scf_local.cloud.dispatcher import Dispatcher
from scf_local.cloud.faults import RUN_FUNCTION
from scf_local.cloud.proxy import Proxy
from scf_local.cloud.scf.model import Function
from scf_local.cloud.scf.runner import Runner
from scf_local.cloud.wire import Reply, Request

if TYPE_CHECKING:
    from typing_extensions import Self

_HOST = "127.0.0.1"
_ABSOLUTE = re.compile(r"https?://(?:[^/?#]*@)?([^/?#]*)", re.IGNORECASE)
_OWN_SITES = ("none", "same-origin")
"""Values of Sec-Fetch-Site: the user's own request of `/_state`, for example."""
_LOG = logging.getLogger(__name__)
# What is not HTTP is answered, and not worth a traceback.
_LOG.addFilter(lambda entry: not isinstance((entry.exc_info or "  ")[1], HttpProcessingError))
_MAX_WAITING = 500
"""Replies that take time; SCF starts up to 500 instances a minute (document/product/583/11637)."""
_STOP_ROUNDS = 5
_LINGER_SECONDS = 1.0
"""How long the rest of a body is discarded after the reply, so that clients can read the reply."""


@dataclass
class EmulatedCloud(Dispatcher):
    """A context manager that serves the emulated cloud at `url`, and at the cloud's own names.

    For the latter it is an HTTP proxy; `network` returns the variables that clients obey.

    Attributes:
        port: 0 means any free port.
        allowed_hosts: hosts that clients may reach without the proxy.
        latency: seconds before each reply.
        write: receives the logs of functions that were deployed to it, as bytes.
        request_seconds: how long the head of a request, and then its body, may take to arrive. As
            the head may also start late, idle connections are closed after this time.

    Raises:
        OSError: the port is not available; names it.
    """

    port: int = 0
    allowed_hosts: tuple[str, ...] = ()
    latency: float = 0.0
    request_seconds: float = 60.0
    write: Callable[[bytes], object] = lambda _: None
    url: str = field(init=False, default="")

    def __enter__(self) -> Self:
        started: Future[tuple[asyncio.AbstractEventLoop, int]] = Future()
        self._thread = Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        try:
            self._loop, port = started.result()
        except OSError as error:
            self._thread.join()
            raise OSError(
                error.errno,
                f"cannot listen on {_HOST}:{self.port} ({os.strerror(error.errno or 0)}); "
                "choose another port, or 0 for any free port",
            ) from None
        self.url = f"http://{_HOST}:{port}"
        self._folder = TemporaryDirectory(prefix="scf-local-")
        authority().write_bundle(self._bundle, with_public=bool(self.allowed_hosts))
        self._deliveries = itertools.count(1)
        self._runner = Runner(
            self.state, self.now, self._variables, self.write, self._refusal_of_run
        )
        self._runner.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.stop()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._folder.cleanup()

    @property
    def _bundle(self) -> Path:
        return Path(self._folder.name, "ca.pem")

    def network(self) -> dict[str, str]:
        """Return the variables that send a client's requests to this cloud."""
        return network.variables(self.url, self._bundle, self.allowed_hosts)

    def environment(self) -> dict[str, str]:
        """Return these variables, and those with the credentials, as SCF names them."""
        return {**self.network(), **self.credentials.scf_variables()}

    def _refusal_of_run(self) -> int:
        rule = self.faults.rule_for(RUN_FUNCTION, next(self._deliveries))
        return int(rule.code) if rule else 0

    def _variables(self, function: Function) -> dict[str, str]:
        """Return a function's variables: with a role, they have the keys of a session of it.

        Assumed: SCF renews them before they expire; here they do not. There are none if its role
        was deleted, or its trust policy no longer names SCF.
        """
        with self.state.lock:
            role = self.state.access.roles.get(function.settings.get("Role", ""))
            if role is None or not role.trusts(SCF):
                return self.network()
            caller = self.state.access.assume(role, "scf", self.clock(), math.inf)
        return {**self.network(), **caller.credentials.scf_variables()}

    def move_clock(self, seconds: float) -> float:
        """Move the time on, and return the new one once all that is due by then has been done."""
        self._runner.move(seconds)
        return super().move_clock(0)

    def dispatch(self, http: Request) -> Reply:
        """Return the reply to a request, whatever it is for."""
        with self.state.lock:
            reply = super().dispatch(http)
            self._runner.wake()
        return reply

    async def _serve(self, started: Future[tuple[asyncio.AbstractEventLoop, int]]) -> None:
        server = web.Server(
            self._handle,
            access_log=None,
            logger=_LOG,
            auto_decompress=False,  # the bytes as sent are what is signed and stored
            handler_cancellation=True,
            keepalive_timeout=self.request_seconds,
            lingering_time=_LINGER_SECONDS,
            max_line_size=2 * MAX_GET_BYTES,  # longer requests still get the API's own error
        )
        self._stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        # Functions that wait for each other, more than there are threads, would wait for ever.
        loop.set_default_executor(ThreadPoolExecutor(_MAX_WAITING))
        proxy = Proxy(server, self.request_seconds, self._refusal)
        try:
            listener = await loop.create_server(proxy, _HOST, self.port, backlog=128)
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result((loop, listener.sockets[0].getsockname()[1]))
        await self._stop.wait()
        loop.remove_reader(listener.sockets[0])
        await asyncio.sleep(0)  # else asyncio would never close connections that it just accepted
        listener.close()
        server.pre_shutdown()
        await server.shutdown(0.1)
        for _ in range(_STOP_ROUNDS):
            proxy.close()
            await asyncio.sleep(0)  # until the sockets are closed; some are just accepted

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        # Not normalised: the client has signed the path as it sent it.
        path, _, query = http.raw_path.partition("?")
        headers = {name.lower(): value for name, value in http.headers.items()}
        absolute = _ABSOLUTE.match(path)  # as clients send it to a proxy
        if absolute:
            path = path[absolute.end() :] or "/"
            if hosts.name_of(absolute[1]) != hosts.name_of(headers.get("host", "")):
                headers["host"] = absolute[1]  # else as sent, which is what is signed
        request = Request(http.method, unquote(path, errors="surrogateescape"), query, headers)
        host = headers.get("host", "")
        if "origin" in headers or headers.get("sec-fetch-site", "none") not in _OWN_SITES:
            return web.Response(status=403, text="Requests of web pages are not answered.\n")
        is_direct = not absolute and hosts.is_own(hosts.name_of(host))
        if not is_direct and not hosts.is_proxied(host, urlsplit(self.url).port or 0):
            message = self._refusal(host)
            refused = web.Response(status=403, reason=message, text=f"{message}\n")
            refused.force_close()  # without reading the body
            return refused
        limit = self.body_limit(request)
        if limit:
            request = await self._with_body(http, request, limit)
        return await self._send(http, self.dispatch(request))

    def _refusal(self, host: str) -> str:
        return self.refuse(hosts.refusal(host))

    async def _with_body(self, http: web.BaseRequest, request: Request, limit: int) -> Request:
        """Read the body until it ends, is longer than `limit`, or takes too long."""
        body = bytearray()

        async def read() -> None:
            while len(body) <= limit and (chunk := await http.content.readany()):
                body.extend(chunk)

        if request.headers.get("expect", "").lower() == "100-continue":
            await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            http.writer.output_size = 0  # the reply has not started
        try:
            await asyncio.wait_for(read(), self.request_seconds)
        except asyncio.TimeoutError:
            request = replace(request, timed_out=True)
        return replace(request, body=bytes(body))

    async def _send(self, http: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        if reply.later:
            reply = await asyncio.to_thread(reply.later)
        response = web.Response(status=reply.status, headers=dict(reply.headers), body=reply.body)
        if not http.content.is_eof():
            response.force_close()
        if await self._stops_within(self.latency + reply.delay) or reply.cut == "before":
            _close(http)
            return response
        if http.method == "HEAD" or not (reply.byte_interval or reply.cut):
            return response
        streamed = web.StreamResponse(status=reply.status, headers=dict(reply.headers))
        streamed.content_length = len(reply.body)
        with suppress(ConnectionError):  # the client has disconnected
            await self._stream(http, streamed, reply)
        return streamed

    async def _stream(
        self, http: web.BaseRequest, streamed: web.StreamResponse, reply: Reply
    ) -> None:
        await streamed.prepare(http)
        if reply.cut:
            await streamed.write(reply.body[: len(reply.body) // 2])
            _close(http)
            return
        for index, byte in enumerate(reply.body):
            if index and await self._stops_within(reply.byte_interval):
                _close(http)
                return
            await streamed.write(bytes([byte]))

    async def _stops_within(self, seconds: float) -> bool:
        """Wait, and return whether the server has stopped meanwhile."""
        if not seconds:
            return False
        try:
            await asyncio.wait_for(self._stop.wait(), None if seconds == math.inf else seconds)
        except asyncio.TimeoutError:
            return False
        return True


def _close(http: web.BaseRequest) -> None:
    # Sends what was written before. The transport is None if the client has disconnected.
    if http.transport is not None:
        http.transport.close()
