"""The emulated cloud as an HTTP server in its own thread."""

from __future__ import annotations

import asyncio
import math
import os
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web

from scf_local.cloud import cos
from scf_local.cloud.api_requests import MAX_GET_BYTES
from scf_local.cloud.dispatcher import Dispatcher
from scf_local.cloud.wire import Reply, Request

if TYPE_CHECKING:
    from typing_extensions import Self

_HOST = "127.0.0.1"


@dataclass
class EmulatedCloud(Dispatcher):
    """A context manager that serves the emulated cloud at `url`.

    Attributes:
        port: 0 means any free port.
        latency: seconds before each reply.

    Raises:
        OSError: the port is not available; names it.
    """

    port: int = 0
    latency: float = 0.0
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
        app = web.Application(client_max_size=cos.MAX_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            app,
            access_log=None,
            auto_decompress=False,  # the bytes as sent are what is signed and stored
            shutdown_timeout=0.1,
            handler_cancellation=True,
            max_line_size=2 * MAX_GET_BYTES,  # longer requests still get the API's own error
        )
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

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        # Not normalised: the client has signed the path as it sent it.
        path, _, query = http.raw_path.partition("?")
        request = Request(
            http.method,
            unquote(path),
            query,
            {name.lower(): value for name, value in http.headers.items()},
            await http.read(),
        )
        return await self._send(http, self.dispatch(request))

    async def _send(self, http: web.Request, reply: Reply) -> web.StreamResponse:
        response = web.Response(status=reply.status, headers=dict(reply.headers), body=reply.body)
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

    async def _stream(self, http: web.Request, streamed: web.StreamResponse, reply: Reply) -> None:
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


def _close(http: web.Request) -> None:
    # Sends what was written before. The transport is None if the client has disconnected.
    if http.transport is not None:
        http.transport.close()
