"""Log lines: one JSON object each, short enough for SCF, without secrets."""

from __future__ import annotations

import io
import json

import pytest

from clocks import FakeClock
from image_steward.reporting.log import MAX_LINE_BYTES, Log, Secrets
from image_steward.settings import LEVELS


def line_of(log: Log) -> str:
    """Return the only line that was written."""
    assert isinstance(log.stream, io.StringIO)
    (line,) = log.stream.getvalue().splitlines()
    return line


def log_of_level(level: str = "INFO") -> Log:
    """Return a log that writes to memory."""
    return Log(
        io.StringIO(),
        FakeClock(),
        Secrets({"TENCENTCLOUD_SECRETKEY": "s3cret-key-01234"}, set()),
        "r-1",
        level,
    )


def test_line() -> None:
    """A line starts with time, level, event and request id, then its own fields, unescaped."""
    log = log_of_level()
    log.info("image.changed", ImageId="img-1", After={"ImageName": "镜像"})
    assert line_of(log) == (
        '{"Time":"2026-11-24T12:00:00.250Z","Level":"INFO","Event":"image.changed",'
        '"RequestId":"r-1","ImageId":"img-1","After":{"ImageName":"镜像"}}'
    )


@pytest.mark.parametrize("text", ["\n", "\r", "\x1c", "\x7f", "\x85", "\x9b2J", "\u2028", "\u2029"])
def test_nothing_ends_a_line(text: str) -> None:
    """A text from outside ends no line, for whatever reads it, and controls no terminal."""
    log = log_of_level()
    log.info("x", Name=f"a{text}b")
    line = line_of(log)
    assert line.isprintable()
    assert json.loads(line)["Name"] == f"a{text}b"


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("DEBUG", ["DEBUG", "INFO", "WARNING", "ERROR"]),
        ("INFO", ["INFO", "WARNING", "ERROR"]),
        ("WARNING", ["WARNING", "ERROR"]),
        ("ERROR", ["ERROR"]),
    ],
)
def test_level(level: str, written: list[str]) -> None:
    """Lines below the log level are not written."""
    log = log_of_level(level)
    for write in (log.debug, log.info, log.warning, log.error):
        write("x")
    assert isinstance(log.stream, io.StringIO)
    assert [json.loads(line)["Level"] for line in log.stream.getvalue().splitlines()] == written


@pytest.mark.parametrize("level", LEVELS)
def test_kept(level: str) -> None:
    """A line with `keep` is written at any level."""
    log = log_of_level(level)
    log.always("image.before")
    assert json.loads(line_of(log))["Level"] == "INFO"


def test_short_secret() -> None:
    """A secret of a few characters is not masked, since it would mask half of the log."""
    log = Log(io.StringIO(), FakeClock(), Secrets({"TENCENTCLOUD_SECRETID": "e"}, set()), "")
    log.info("event")
    assert "event" in line_of(log)


def test_long_line() -> None:
    """A line too long for SCF keeps its short fields whole, and names those that were cut."""
    log = log_of_level()
    log.info("x", ImageId="img-1", Before={"a": "镜" * 9000}, After="b" * 9000)
    line = line_of(log)
    assert len(line.encode()) < MAX_LINE_BYTES
    fields = json.loads(line)
    assert fields["ImageId"] == "img-1"
    assert fields["Cut"] == ["Before", "After"]


def test_lone_surrogate() -> None:
    """Text that has no UTF-8 form is still written as a JSON line."""
    log = log_of_level()
    log.info("x", Key="a\ud83d")
    assert json.loads(line_of(log))["Key"] == "a\ud83d"


def test_secrets() -> None:
    """A secret in a field is masked, and the log's repr has none."""
    log = log_of_level()
    log.error("x", Message="key s3cret-key-01234 is wrong", Deep=[{"s3cret-key-01234": 1}])
    assert "s3cret-key-01234" not in line_of(log)
    assert "s3cret-key-01234" not in repr(log)
