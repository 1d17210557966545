"""The rim of the command: its standard streams, its signals, its messages."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType
    from typing import TextIO

    from rich.console import Console
    from typing_extensions import Self

_ENDS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Program(click.Group):
    """A command line that ends without a traceback and leaves no process behind."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as click has it
        """As click's, with signals and streams taken care of."""
        _fill_closed()
        if sys.stdout is None:
            click.echo("scf-local: standard output is closed; redirect it to a file", err=True)
            sys.exit(2)
        with _unwinding():
            try:
                return super().main(*args, **kwargs)
            except OSError as error:
                with suppress(OSError):
                    told = _told(error) if error.filename else f"cannot write: {_told(error)}"
                    click.echo(f"scf-local: {told}", err=True)
                sys.exit(1)


def example(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def emit(text: str | bytes, *, nl: bool = True) -> None:
    """Write a result to stdout."""
    if isinstance(text, str):  # a name may hold what the encoding of stdout does not
        text = text.encode(sys.stdout.encoding, "backslashreplace")
    try:
        click.echo(text, nl=nl)
    except BrokenPipeError:
        raise  # click knows what to do
    except OSError as error:
        with suppress(OSError):
            sys.stdout.close()  # or the interpreter would try once more at its end
        raise click.ClickException(f"standard output cannot be written: {_told(error)}") from None


def emit_json(value: object) -> None:
    """Write a result to stdout as JSON."""
    emit(_json(value))


class JsonList:
    """A JSON list as `emit_json` writes it, but entry by entry, so that none need be kept."""

    def __init__(self) -> None:
        self._before = b"["

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:  # what was cut short had better not look whole
            emit(b"[]" if self._before == b"[" else b"\n]")

    def add(self, value: object) -> None:
        """Write one more entry."""
        emit(self._before + _json([value])[1:-2], nl=False)
        self._before = b","


def heeded() -> dict[signal.Signals, Any]:
    """The signals that end a command, each with its handler."""
    handlers = {number: signal.getsignal(number) for number in _ENDS}
    # Ignored on purpose, as by nohup, it stays ignored.
    return {number: before for number, before in handlers.items() if before != signal.SIG_IGN}


class Stops:
    """Whether a signal has come, and so whether to stop."""

    def __init__(self) -> None:
        self.status = 0
        """The exit status that the shell knows such an end by; 0: none has come."""
        self.may_wait = True

    def __bool__(self) -> bool:
        return bool(self.status)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Around what may take forever, as writing may: a signal is not to wait for its end."""
        self.may_wait = False
        try:
            yield
        finally:
            self.may_wait = True


@contextmanager
def stoppable() -> Iterator[Stops]:
    """Only note a signal: what is under way gets to its end. A second one ends the command.

    So does the first one while something is to end `at_once`.
    """
    stops = Stops()

    def note(number: int, _frame: FrameType | None) -> None:
        stops.status = 128 + number
        _handle(before)
        if not stops.may_wait:
            signal.raise_signal(number)

    before = heeded()
    with _handled(note):
        yield stops


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let `handler` have the signals that are heeded."""
    before = heeded()
    _handle(dict.fromkeys(before, handler))
    try:
        yield
    finally:
        _handle(before)


def _handle(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def rich_console(stream: TextIO) -> Console:
    """For text that is captured. A file or a pipe has no width of its own."""
    from rich.console import Console  # noqa: PLC0415 - 50 ms, and few commands need it

    return Console(file=stream, width=None if stream.isatty() else 140)


@contextmanager
def usage_errors() -> Iterator[None]:
    """What the user gave cannot be used: exit status 2 and what is wrong, no traceback."""
    try:
        yield
    except (ValueError, OSError) as error:
        told = _told(error) if isinstance(error, OSError) else str(error)
        raise click.UsageError(told, click.get_current_context()) from None


def _json(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    # Half a surrogate pair has no UTF-8; the replacement is the very escape that JSON writes.
    return text.encode("utf-8", "backslashreplace")


def _told(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _fill_closed() -> None:
    """Take the numbers of closed standard streams, lest a pipe gets one."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # POSIX: the lowest that is free
            if name == "stderr":
                sys.stderr = os.fdopen(number, "w", encoding="utf-8")


@contextmanager
def _unwinding() -> Iterator[None]:
    """Let a signal leave through every `with`, so that what was started is ended."""
    came = False

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        _handle(dict.fromkeys(heeded(), signal.SIG_IGN))  # this one is being obeyed
        raise SystemExit(128 + number)

    with _handled(end):
        try:
            yield
        finally:
            if came:
                _forget(sys.stdout)
                _forget(sys.stderr)


def _forget(stream: TextIO) -> None:
    """Let the interpreter write nowhere, at its end, what a signal kept from being written."""
    # An error: it is closed, or none of the system's.
    with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
