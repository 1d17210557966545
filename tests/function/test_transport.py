"""The HTTP below both SDKs: timeouts, proxies, silent loggers."""

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
    """After the deadline, no more bytes are read."""
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
    assert repr(Credentials("id", "key", "token")) == "Credentials()"
