"""The command's standard streams, signals and error messages."""

from __future__ import annotations

import codecs
import json
import math
import os
import signal
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import click
from click.core import ParameterSource

from scf_local import json_files
from scf_local.terminal_text import escaped

if TYPE_CHECKING:
    from rich.console import Console

_Handler = Callable[[int, FrameType | None], None]
"""Of a signal."""
INPUT_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)
"""The type of an argument for `read_input`."""

_CHUNK = 1 << 18
"""Bytes to read at once."""
_MIN_COLUMNS = 20
_PAGE = 80
_TERMINATION_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Program(click.Group):
    """A command line that ends without a traceback and leaves no process behind."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:  # noqa: ANN401 - click's signature
        """Help is at most as wide as a page, unless COLUMNS says otherwise."""
        width = _given_columns() or min(_columns_of(sys.stdout, _PAGE), _PAGE)
        return super().make_context(*args, **{"terminal_width": width - 2, **kwargs})

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command; an error in a value of scf-local.toml names the file."""
        try:
            return super().invoke(ctx)
        except click.BadParameter as error:
            of, name = error.ctx or ctx, (error.param and error.param.name) or ""
            if of.get_parameter_source(name) is not ParameterSource.DEFAULT_MAP:
                raise
            message = f"{error.message} ({ctx.obj.path})"
            raise click.BadParameter(message, of, error.param) from None

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - click's signature
        """Run click's `main` with signals and closed or broken streams handled."""
        _fill_closed_streams()
        if sys.stdout is None:
            note("standard output is closed; redirect it to a file")
            sys.exit(2)
        with _unwinding():
            try:
                return super().main(*args, **kwargs)
            except OSError as error:
                with suppress(OSError):
                    prefix = "" if error.filename else "cannot write: "
                    note(f"{prefix}{_message(error)}")
                sys.exit(1)


def example(*lines: str) -> str:
    """The examples at the end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def note(message: str) -> None:
    """Write a message to stderr."""
    click.echo(f"scf-local: {escaped(message)}", err=True)


def read_input(path: str, argument: str) -> bytes:
    """The content of a file, or of stdin for `-`, as `json_files.unpacked` returns it.

    Raises:
        ValueError: it cannot be unpacked; stdin is closed, then the message names the `argument`.
        OSError: the file cannot be read.
    """
    with copied_input(path, argument) as copy:
        return copy.read()


@contextmanager
def copied_input(path: str, argument: str) -> Iterator[BinaryIO]:
    """As `read_input`, for a file of any size: a temporary copy. Raises as `read_input`."""
    if path == "-" and sys.stdin is None:
        raise ValueError(f"standard input is closed; pass the {argument} as a file, or pipe it in")
    if path == "-" and sys.stdin.isatty():
        note(f"reading the {argument} from the terminal; end it with Ctrl-D, or pass a file")
    with tempfile.TemporaryFile() as copy, tempfile.TemporaryFile() as target:
        with click.open_file(path, "rb") as stream:
            while copy.write(stream.read(_CHUNK)) == _CHUNK:
                pass  # not once more at the end: a terminal's Ctrl-D is read once
        copy.seek(0)
        yield json_files.unpacked_stream(copy, target, "stdin" if path == "-" else path)


def log_writer() -> Callable[[bytes], None]:
    """Writes a function's log to stderr, piece by piece, without what a terminal would obey.

    JSON stays the same JSON, so `undo` and `replay` can read it.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    return lambda data: click.echo(escaped(decoder.decode(data)).encode(), nl=False, err=True)


def emit(text: str | bytes, *, nl: bool = True) -> None:
    """Write a result to stdout."""
    if isinstance(text, str):  # stdout's encoding may lack characters of a name
        text = text.encode(sys.stdout.encoding, "backslashreplace")
    try:
        click.echo(text, nl=nl)
    except BrokenPipeError:
        raise  # click handles it
    except OSError as error:
        with suppress(OSError):
            sys.stdout.close()  # or the interpreter would try to flush it again at exit
        raise click.ClickException(f"cannot write to standard output: {_message(error)}") from None


def emit_json(value: object, at_most: float = math.inf) -> None:
    """Write a result to stdout as JSON; on one line if it would be longer than `at_most` bytes."""
    text = _json(value)
    emit(text if len(text) < at_most else _json(value, None))


@contextmanager
def emitted_list() -> Iterator[Callable[[object], None]]:
    """Yields a function that writes the next entry of a list, in the format of `emit_json`."""
    before = b"["

    def add(value: object) -> None:
        nonlocal before
        emit(before + _json([value])[1:-2], nl=False)
        before = b","

    yield add
    emit(b"[]" if before == b"[" else b"\n]")  # not if interrupted: it would look complete


def termination_handlers() -> dict[signal.Signals, Any]:
    """The signals that end a command, with their current handlers."""
    handlers = {number: signal.getsignal(number) for number in _TERMINATION_SIGNALS}
    # A signal that was ignored at the start, as by nohup, stays ignored.
    return {number: before for number, before in handlers.items() if before != signal.SIG_IGN}


class InterruptFlag:
    """True once a signal has asked the command to stop."""

    def __init__(self) -> None:
        self.exit_status = 0
        """128 + the signal's number, as shells report it; 0: no signal yet."""
        self.is_deferring = True

    def __bool__(self) -> bool:
        return bool(self.exit_status)

    @contextmanager
    def immediately(self) -> Iterator[None]:
        """Do not defer signals around a call that may block forever, such as a write."""
        self.is_deferring = False
        try:
            yield
        finally:
            self.is_deferring = True


@contextmanager
def deferred_signals() -> Iterator[InterruptFlag]:
    """Only record the first signal, so that work in progress can finish.

    A second signal ends the command, and so does the first one within `immediately`.
    """
    interrupt = InterruptFlag()

    def record(number: int, _frame: FrameType | None) -> None:
        interrupt.exit_status = 128 + number
        _install(before)
        if not interrupt.is_deferring:
            signal.raise_signal(number)

    with _handled_by(record) as before:
        yield interrupt


@contextmanager
def _handled_by(handler: _Handler) -> Iterator[dict[signal.Signals, Any]]:
    """Let `handler` handle the signals that end a command; yields their other handlers."""
    before = termination_handlers()
    _install(dict.fromkeys(before, handler))
    try:
        yield before
    finally:
        _install(before)


def _install(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def rich_console(stream: TextIO, columns: int = 140) -> Console:
    """A console for captured text, as wide as the terminal, or as COLUMNS says.

    For a file or a pipe, the width is `columns` by default.
    """
    from rich.console import Console  # noqa: PLC0415 - takes 50 ms, and few commands need it

    width = _columns_of(stream, columns)
    return Console(file=stream, width=width, height=25)  # or rich would read COLUMNS itself


def _columns_of(stream: TextIO, default: int) -> int:
    terminal = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    return _given_columns() or terminal or default


def _given_columns() -> int:
    """What COLUMNS says; 0 if that is not a usable number."""
    given = os.environ.get("COLUMNS", "")[:4]
    return int(given) if given.isdecimal() and int(given) >= _MIN_COLUMNS else 0


@contextmanager
def debugger_terminal() -> Iterator[int]:
    """The terminal for a debugger, whatever the standard streams are; restored at the end."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        raise click.UsageError("--debug needs a terminal", click.get_current_context()) from None
    settings = termios.tcgetattr(terminal)
    # Ctrl-Z would stop only this process: the shell and the debugger would share the input.
    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        yield terminal
    finally:
        signal.signal(signal.SIGTSTP, before)
        with suppress(termios.error):  # it has gone
            termios.tcsetattr(terminal, termios.TCSADRAIN, settings)
        os.close(terminal)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn errors in what the user passed into usage errors: exit status 2, no traceback."""
    try:
        yield
    except (ValueError, OSError) as error:
        message = _message(error) if isinstance(error, OSError) else str(error)
        raise click.UsageError(escaped(message), click.get_current_context()) from None


def _json(value: object, indent: int | None = 2) -> bytes:
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    # A lone surrogate has no UTF-8 form; "backslashreplace" writes its JSON escape.
    return escaped(text).encode("utf-8", "backslashreplace")


def _message(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _fill_closed_streams() -> None:
    """Occupy the descriptors of closed standard streams, so that no pipe gets one of them."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # POSIX: the lowest free descriptor
            if name == "stderr":
                sys.stderr = os.fdopen(number, "w", encoding="utf-8")


@contextmanager
def _unwinding() -> Iterator[None]:
    """Let a signal unwind through every `with`, so that all child processes are ended."""
    interrupted = False

    def unwind(number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        _install(dict.fromkeys(termination_handlers(), signal.SIG_IGN))  # already ending
        raise SystemExit(128 + number)

    with _handled_by(unwind):
        try:
            yield
        finally:
            if interrupted:
                _discard_unwritten(sys.stdout)
                _discard_unwritten(sys.stderr)


def _discard_unwritten(stream: TextIO) -> None:
    """Redirect the interpreter's flush at exit to nowhere: the stream may block forever."""
    # Raises if the stream is closed or has no file descriptor.
    with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
