"""The emulated cloud as an HTTP server in a thread of its own."""

from __future__ import annotations

import asyncio
import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web

from harness.cloud.gateway import Gateway
from harness.cloud.signatures import Credentials
from harness.cloud.wire import Call, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from harness.cloud.state import State

MAX_BODY_BYTES = 10 << 20
"""document/product/1278/46710"""


@dataclass
class EmulatedCloud:
    """A context manager that serves `state` at `url`.

    Attributes:
        state: what it knows; read and change it while holding `state.lock`.
        port: 0 takes any free one.
        limits: whether the limits per second hold.
        clock: epoch seconds; signatures and limits follow it.
        latency: seconds that every reply waits.
        on_reply: sees every API and COS reply, and gives the one to be sent instead.
        request_id: makes the RequestIds.

    Raises:
        OSError: the port cannot be had; says which one.
    """

    state: State
    port: int = 0
    limits: bool = True
    clock: Callable[[], float] = time.time
    latency: float = 0.0
    on_reply: Callable[[Call, Reply], Reply] = lambda _call, reply: reply
    host: str = "127.0.0.1"
    credentials: Credentials = field(default_factory=Credentials)
    request_id: Callable[[], str] = lambda: str(uuid.uuid4())
    url: str = field(init=False, default="")

    def __enter__(self) -> Self:
        self._gateway = Gateway(
            self.state, self.limits, self.clock, self.credentials, self.request_id, self.on_reply
        )
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()
        self._thread = Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        try:
            self._loop, self._stop, port = started.result()
        except OSError as error:
            self._thread.join()
            raise OSError(
                error.errno,
                f"{self.host}:{self.port} cannot be served ({error.strerror}); "
                "choose another port, or 0 for any free one",
            ) from None
        self.url = f"http://{self.host}:{port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def environment(self) -> dict[str, str]:
        """The variables that point the function, or an SDK, at this cloud."""
        return {
            "STEWARD_API_ENDPOINT": self.url,
            "STEWARD_COS_ENDPOINT": self.url,
            "TENCENTCLOUD_SECRETID": self.credentials.secret_id,
            "TENCENTCLOUD_SECRETKEY": self.credentials.secret_key,
            "TENCENTCLOUD_SESSIONTOKEN": self.credentials.token,
        }

    async def _serve(
        self, started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]]
    ) -> None:
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stop = asyncio.Event()
        try:
            await web.TCPSite(runner, self.host, self.port).start()
            port = runner.addresses[0][1]
        except OSError as error:
            started.set_exception(error)
            stop.set()
        else:
            started.set_result((asyncio.get_running_loop(), stop, port))
        await stop.wait()
        await runner.cleanup()

    async def _handle(self, http: web.Request) -> web.Response:
        # As sent: what the client has signed must not be normalised on the way.
        path, _, query = http.raw_path.partition("?")
        request = Request(
            http.method,
            unquote(path),
            query,
            {name.lower(): value for name, value in http.headers.items()},
            await http.read(),
        )
        reply = self._gateway.answer(request)
        if self.latency:
            await asyncio.sleep(self.latency)
        return web.Response(status=reply.status, headers=dict(reply.headers), body=reply.body)
