"""The HTTP below both SDKs: timeouts, proxies, silent loggers."""

from __future__ import annotations

import gzip
import io
import logging
import re
import socket
import socketserver
import time
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from clocks import FakeClock
from conftest import Function, cos_event
from image_steward.clock import Clock, Deadline
from image_steward.cloud import transport
from image_steward.cloud.credentials import Credentials
from image_steward.errors import Unfinished
from scf_local.cloud.wire import Reply

if TYPE_CHECKING:
    from scf_local.cloud.wire import Call


def test_no_read_after_the_deadline() -> None:
    """After the deadline, no more bytes are read."""
    clock = FakeClock()
    near, far = socket.socketpair()
    with near, far:
        far.sendall(b"HTTP/1.1 200 OK\r\n")
        raw = socket.SocketIO(near, "rb")
        with io.BufferedReader(
            transport._BoundedReader(raw, near, Deadline.after(1, clock))
        ) as reply:
            assert reply.readline() == b"HTTP/1.1 200 OK\r\n"
            clock.now += 2
            with pytest.raises(TimeoutError):
                reply.readline()


def test_no_request_after_the_deadline(function: Function) -> None:
    """After the deadline, no request is sent, and the function raises."""
    with pytest.raises(Unfinished, match="time is over"):
        function(cos_event("requests/rename.json"), seconds=1e-9)
    assert function.calls() == []


def test_slow_dns_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the DNS lookup takes longer than the timeout, nothing is sent."""
    look_up = socket.getaddrinfo

    def slow(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on
        time.sleep(0.1)
        return look_up(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = transport._HTTP("127.0.0.1", server.getsockname()[1], timeout=0.05)
        with pytest.raises(TimeoutError, match="connecting took too long"):
            connection.request("GET", "/")
        server.setblocking(False)  # noqa: FBT003 - as the standard library has it
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_dead_address_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several addresses, the first that answers is used, within one timeout for all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = [(2, 1, 6, "", ("127.0.0.1", each)) for each in (1, 2, port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
        tried: list[float] = []
        create = socket.create_connection

        def connect(address: tuple[str, int], seconds: float) -> socket.socket:
            tried.append(seconds)
            if address[1] != port:
                time.sleep(seconds)
                raise TimeoutError("dead")
            monkeypatch.undo()
            return create(address, seconds)

        monkeypatch.setattr(socket, "create_connection", connect)
        with transport._HTTP("somewhere", port, timeout=0.8)._new_conn() as connected:
            assert connected.gettimeout() == 0.8
        assert tried == pytest.approx([0.4, 0.2, 0.2], abs=0.05)


def test_all_addresses_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without an address that answers fails within one timeout for all."""
    found = [(2, 1, 6, "", ("127.0.0.1", each)) for each in (1, 2, 3)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    with pytest.raises(ConnectionRefusedError):
        transport._HTTP("somewhere", 1, timeout=0.5)._new_conn()


def test_unknown_host(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has no address now may have one at the next delivery."""

    def unknown(*_args: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unfinished, match=r"AmbiguousResponse: .*Name or service not known"):
        function(
            {"ImageId": "img-6pb6lrmy", "ImageName": "n"}, STEWARD_API_ENDPOINT="http://somewhere"
        )


def test_proxies_have_timeouts() -> None:
    """Connections through a proxy read responses with the same timeouts."""
    manager = transport.Connections().proxy_manager_for("http://127.0.0.1:9")
    assert (
        manager.pool_classes_by_scheme["http"].ConnectionCls.response_class is transport._Response
    )


@pytest.mark.parametrize("name", ["tencentcloud_sdk_common", "qcloud_cos.cos_client", "urllib3"])
def test_sdk_loggers_are_silent(name: str) -> None:
    """Even with the root logger at DEBUG, the SDKs' loggers write nothing."""
    assert logging.getLogger().getEffectiveLevel() == logging.DEBUG  # by pytest's log_level
    assert not logging.getLogger(name).isEnabledFor(logging.CRITICAL)


def test_repr_of_credentials() -> None:
    """The repr of credentials, as in a traceback, has no secret."""
    shown = repr(Credentials("1d", "k3y", "t0ken"))
    assert not any(secret in shown for secret in ("1d", "k3y", "t0ken"))


def test_name_server_that_hangs(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up that never ends takes no more than the run's time."""
    over = Event()

    def hang(*_args: Any, **_options: Any) -> list[Any]:  # noqa: ANN401 - as the original
        over.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    function.clock = clock = Clock()
    start = clock.monotonic()
    try:
        with pytest.raises(Unfinished, match=r"AmbiguousResponse|TimeRanOut"):
            function({"ImageId": "img-6pb6lrmy", "ImageName": "n"}, seconds=1.5,
                     STEWARD_API_ENDPOINT="http://somewhere")  # fmt: skip
        assert clock.monotonic() - start < 1.5
    finally:
        over.set()


@pytest.mark.parametrize("part", ["headers", "body", "chunks"])
def test_reply_without_end(function: Function, part: str) -> None:
    """A reply without end is given up at 16 MB, long before its time is over."""
    sent: list[int] = []

    class Endless(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            block = {"headers": b"X: " + b"y" * 60_000 + b"\r\n", "body": b" " * 65_536,
                     "chunks": b"10000\r\n" + b" " * 65_536 + b"\r\n"}[part]  # fmt: skip
            length = b"" if part == "body" else b"Transfer-Encoding: chunked\r\n"
            head = b"HTTP/1.1 200 OK\r\n" + length
            sent.append(0)
            with suppress(OSError):
                self.request.sendall(head + (b"" if part == "headers" else b"\r\n"))
                while sent[-1] < 200 << 20:
                    self.request.sendall(block)
                    sent[-1] += len(block)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Endless) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(Unfinished, match="AmbiguousResponse"):
            function({"ImageId": "img-6pb6lrmy", "ImageName": "n"}, STEWARD_API_ENDPOINT=endpoint)
        server.shutdown()
    assert max(sent) < 32 << 20  # with what the sockets hold


def test_large_error_of_cos(function: Function) -> None:
    """An error is not parsed if it is larger than any real one."""
    event = function.uploaded({"ImageId": "img-6pb6lrmy", "ImageName": "n"})
    body = b"<Error>" + b"<a/>" * 20_000 + b"</Error>"

    def on_reply(call: Call, reply: Reply) -> Reply:
        is_cos = call.action == "GetObject"
        return Reply(403, {"Content-Type": "application/xml"}, body) if is_cos else reply

    function.cloud.on_reply = on_reply
    with pytest.raises(Unfinished, match="too large"):
        function(event)


def test_reply_of_many_lists(function: Function) -> None:
    """A reply with more lists and objects than any real one is not parsed."""

    def on_reply(call: Call, reply: Reply) -> Reply:
        body = b'{"Response": {"x": [' + b"[]," * 100_000 + b"[]]}}"
        return Reply(200, reply.headers, body) if call.action == "DescribeImages" else reply

    function.cloud.on_reply = on_reply
    with pytest.raises(Unfinished, match="too many lists"):
        function({"ImageId": "img-6pb6lrmy", "ImageName": "n"})


@pytest.mark.parametrize("size", [5_000_000, 17 << 20])
def test_reply_that_unpacks_without_end(function: Function, size: int) -> None:
    """A reply that is gzip has the same limit, unpacked."""

    def on_reply(call: Call, reply: Reply) -> Reply:
        if call.action != "DescribeImages":
            return reply
        body = gzip.compress(b" " * size + reply.body)
        return Reply(reply.status, {**reply.headers, "Content-Encoding": "gzip"}, body)

    function.cloud.on_reply = on_reply
    event = {"ImageId": "img-6pb6lrmy", "ImageName": "n"}
    if size < transport.MAX_REPLY_BYTES:
        assert function(event)["Outcome"] == "applied"
    else:
        with pytest.raises(Unfinished, match="no readable response"):
            function(event)


@pytest.mark.parametrize("total", ["Infinity", "1e999", "-Infinity", "NaN", '"many"', "1" * 5000])
def test_total_count(function: Function, total: str) -> None:
    """A TotalCount that is no number of images is a reply that cannot be read."""

    def on_reply(call: Call, reply: Reply) -> Reply:
        body = re.sub(rb'"TotalCount": *\d+', b'"TotalCount": ' + total.encode(), reply.body)
        return Reply(
            reply.status, reply.headers, body if call.action == "DescribeImages" else reply.body
        )

    function.cloud.on_reply = on_reply
    with pytest.raises(Unfinished, match="AmbiguousResponse"):
        function({"Normalise": {"ImageDescription": "d"}})
