"""The emulated cloud as an HTTP server in its own thread."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from scf_local.cloud.api_requests import MAX_GET_BYTES
from scf_local.cloud.cos import bucket_of
from scf_local.cloud.dispatcher import OWN_HOST, Dispatcher
from scf_local.cloud.wire import Reply, Request

if TYPE_CHECKING:
    from typing_extensions import Self

_HOST = "127.0.0.1"
_FORBIDDEN = Reply(403, {"Content-Type": "text/plain"}, b"The Host is not the emulated cloud.\n")
_LOG = logging.getLogger(__name__)
# What is not HTTP is answered, and not worth a traceback.
_LOG.addFilter(lambda entry: not isinstance((entry.exc_info or "  ")[1], HttpProcessingError))
_LINGER_SECONDS = 1.0
"""How long the rest of a body is discarded after the reply, so that clients can read the reply."""


@dataclass
class EmulatedCloud(Dispatcher):
    """A context manager that serves the emulated cloud at `url`.

    Attributes:
        port: 0 means any free port.
        latency: seconds before each reply.
        request_seconds: how long the head of a request, and then its body, may take to arrive. As
            the head may also start late, idle connections are closed after this time.

    Raises:
        OSError: the port is not available; names it.
    """

    port: int = 0
    latency: float = 0.0
    request_seconds: float = 60.0
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
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def environment(self) -> dict[str, str]:
        """Return the variables that point the function, or an SDK, at this cloud."""
        return self.credentials.environment(self.url)

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
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        self._stop = asyncio.Event()
        try:
            await web.TCPSite(runner, _HOST, self.port).start()
            port = runner.addresses[0][1]
        except OSError as error:
            started.set_exception(error)
            self._stop.set()
        else:
            started.set_result((asyncio.get_running_loop(), port))
        await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        # Not normalised: the client has signed the path as it sent it.
        path, _, query = http.raw_path.partition("?")
        headers = {name.lower(): value for name, value in http.headers.items()}
        request = Request(http.method, unquote(path, errors="surrogateescape"), query, headers)
        host = headers.get("host", "").lower()
        if not OWN_HOST.fullmatch(host) and not bucket_of(host):
            return await self._send(http, _FORBIDDEN)
        limit = self.body_limit(request)
        if limit:
            request = await self._with_body(http, request, limit)
        return await self._send(http, self.dispatch(request))

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
