"""The HTTP below both SDKs: time-outs, proxies, and no word in the log."""

from __future__ import annotations

import io
import logging
import socket
import time
from typing import Any

import pytest

from clocks import FakeClock
from conftest import Function, cos_event
from image_steward.clock import Deadline
from image_steward.cloud import transport
from image_steward.cloud.credentials import Credentials
from image_steward.errors import Unfinished


def test_no_read_after_the_deadline() -> None:
    """When time is over not one more byte is waited for."""
    clock = FakeClock()
    near, far = socket.socketpair()
    with near, far:
        far.sendall(b"HTTP/1.1 200 OK\r\n")
        raw = socket.SocketIO(near, "rb")
        with io.BufferedReader(
            transport._TimedReader(raw, near, Deadline.after(1, clock))
        ) as reply:
            assert reply.readline() == b"HTTP/1.1 200 OK\r\n"
            clock.now += 2
            with pytest.raises(TimeoutError):
                reply.readline()


def test_no_request_after_the_deadline(function: Function) -> None:
    """When time is over no request is sent, and another delivery is asked for."""
    with pytest.raises(Unfinished, match="time is over"):
        function(cos_event("requests/rename.json"), seconds=1e-9)
    assert function.calls() == []


def test_nothing_is_sent_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking a host up may take longer than any time-out; then nothing is sent to it."""
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
    """Of a host with several addresses the first that answers is used, within the time in all."""
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
    """A host of which no address answers is given up within the time in all."""
    found = [(2, 1, 6, "", ("127.0.0.1", each)) for each in (1, 2, 3)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    with pytest.raises(ConnectionRefusedError):
        transport._HTTP("somewhere", 1, timeout=0.5)._new_conn()


def test_proxies_are_timed_too() -> None:
    """Connections through a proxy read their replies the same way."""
    manager = transport.Connections().proxy_manager_for("http://127.0.0.1:9")
    assert (
        manager.pool_classes_by_scheme["http"].ConnectionCls.response_class is transport._Response
    )


@pytest.mark.parametrize("name", ["tencentcloud_sdk_common", "qcloud_cos.cos_client", "urllib3"])
def test_sdk_loggers_are_silent(name: str) -> None:
    """Even with the root logger at DEBUG the SDKs' loggers say nothing at all."""
    assert logging.getLogger().getEffectiveLevel() == logging.DEBUG  # by pytest's log_level
    assert not logging.getLogger(name).isEnabledFor(logging.CRITICAL)


def test_credentials_do_not_show_themselves() -> None:
    """The repr of credentials, as a traceback may show it, holds none of them."""
    assert repr(Credentials("id", "key", "token")) == "Credentials()"
