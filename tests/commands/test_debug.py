"""`scf-local invoke --debug`: a debugger at a real terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HEAD = "def main_handler(event, context):\n    "
_PROMPT = "(Pdb) "
# Opening a terminal makes it that of the session.
_PROGRAM = """
import os, sys
os.open(sys.argv.pop(1), os.O_RDWR)
from scf_local.cli import main
main(prog_name="scf-local")
"""


class Debugging:
    """A running `scf-local invoke --debug` in a session with a terminal of its own."""

    def __init__(self, folder: Path, code: str, *arguments: str) -> None:
        (folder / "index.py").write_text(code, encoding="utf-8")
        self.seen = ""
        self.terminal, self.side = pty.openpty()
        self.settings = termios.tcgetattr(self.side)
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", _PROGRAM, os.ttyname(self.side), "invoke", "-", "--debug",
             "--code", str(folder), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.side,
            start_new_session=True, text=True, env={**os.environ, "TERM": "xterm"},
        )  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write('{"a": 1}')
        self.process.stdin.close()

    def until(self, text: str) -> str:
        """What is shown from the last call until `text`."""
        while text not in self.seen:
            assert select.select([self.terminal], [], [], 30)[0], self.seen
            self.seen += os.read(self.terminal, 1 << 16).decode()
        shown, _, self.seen = self.seen.partition(text)
        return shown

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.terminal, keys.encode())

    def end(self) -> tuple[int, str, str]:
        """The exit status, the result, and what is shown at last; nothing may be left behind."""
        while self.process.poll() is None:
            self._read()
        self._read()
        assert termios.tcgetattr(self.side) == self.settings
        assert not _others_at(os.ttyname(self.side))
        assert self.process.stdout is not None
        return self.process.returncode, self.process.stdout.read(), self.seen

    def _read(self) -> None:
        while select.select([self.terminal], [], [], 0.05)[0]:
            self.seen += os.read(self.terminal, 1 << 16).decode()

    def close(self) -> None:
        """Kill what is left."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stdin):
            if stream:
                stream.close()
        os.close(self.terminal)
        os.close(self.side)


def _others_at(terminal: str) -> list[str]:
    """Other processes that have the terminal open."""
    found = []
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if path.parts[2] != str(os.getpid()) and str(path.readlink()) == terminal:
                found.append(str(path))
    return found


@pytest.fixture
def debug(tmp_path: Path) -> Iterator[Callable[..., Debugging]]:
    """Starts the command for some code; it is ended after the test."""
    with ExitStack() as stack:

        def start(code: str, *arguments: str) -> Debugging:
            debugging = Debugging(tmp_path, code, *arguments)
            stack.callback(debugging.close)
            return debugging

        yield start


def test_breakpoint_opens_the_debugger(debug: Callable[..., Debugging]) -> None:
    """At a breakpoint, what is typed is edited, repeated and run, and the run then goes on."""
    code = _HEAD + "seen = event\n    print('printed')\n    breakpoint()\n    return seen"
    debugging = debug(code, "--timeout", "0.2")
    shown = debugging.until(_PROMPT)
    assert "printed" in shown
    assert "main_handler()" in shown
    debugging.type("p seen['x\x7fa'] + 6\n")  # backspace
    assert "\n7\r\n" in debugging.until(_PROMPT)
    debugging.type("\x1b[A\n")  # the last line again
    assert "\n7\r\n" in debugging.until(_PROMPT)
    time.sleep(0.3)  # longer than the time limit
    debugging.type("seen = 'changed'\n")
    debugging.until(_PROMPT)
    debugging.type("c\n")
    status, result, shown = debugging.end()
    assert (status, json.loads(result)) == (0, "changed")
    assert "Report RequestId" in shown


@pytest.mark.parametrize(
    ("code", "status", "line"),
    [
        (
            "def fail(x):\n    raise KeyError(x)\n" + _HEAD + "fail(len(event))",
            430,
            "raise KeyError",
        ),
        ("x = 1\nraise KeyError(x)", 443, "raise KeyError"),
        ("x = 1\nimport none_such", 443, "import none_such"),
    ],
)
@pytest.mark.parametrize("leave", ["q\n", "\x04"])
def test_what_is_raised_opens_the_debugger(
    debug: Callable[..., Debugging], code: str, status: int, line: str, leave: str
) -> None:
    """What leaves the handler or the import of the code is examined where it was raised."""
    debugging = debug(code)
    shown = debugging.until(_PROMPT)
    assert "Error: " in shown
    assert f"-> {line}" in shown
    debugging.type("p x\n")
    assert "\n1\r\n" in debugging.until(_PROMPT)
    debugging.type("u\nu\nu\nwhere\n")
    assert "runtime.py" not in debugging.until("where") + debugging.until(_PROMPT)
    debugging.type(leave)
    exit_status, result, shown = debugging.end()
    assert (exit_status, result) == (1, "")
    assert f'"statusCode":{status}' in shown
    assert shown.count("\nTraceback (most recent call last):\r\n") == 1


@pytest.mark.parametrize(
    "code", ["def main_handler(:", "main = 1", _HEAD + "return {1}", _HEAD + "return 'x' * 7000000"]
)
def test_nothing_to_examine_opens_no_debugger(debug: Callable[..., Debugging], code: str) -> None:
    """An error outside the function's own lines ends the run as without the debugger."""
    status, result, shown = debug(code).end()
    assert (status, result) == (1, "")
    assert _PROMPT not in shown


@pytest.mark.parametrize("leave", ["q\n", "\x04"])
def test_quitting_ends_the_run(debug: Callable[..., Debugging], leave: str) -> None:
    """`q` or Ctrl-D at a breakpoint ends the run as an error, without another prompt."""
    debugging = debug(_HEAD + "breakpoint()\n    return 1")
    debugging.until(_PROMPT)
    debugging.type(leave)
    status, result, shown = debugging.end()
    assert (status, result) == (1, "")
    assert _PROMPT not in shown
    lines = shown.splitlines()
    assert lines[-2] == "bdb.BdbQuit"
    assert not [line for line in lines if line.startswith("  File") and "index.py" not in line]


@pytest.mark.parametrize("stop", ["\x03", signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_command(
    debug: Callable[..., Debugging], stop: str | signal.Signals
) -> None:
    """Ctrl-C and other signals end everything, and the terminal is as it was."""
    debugging = debug(
        _HEAD + "import subprocess; subprocess.Popen(['sleep', '60'])\n    breakpoint()"
    )
    debugging.until(_PROMPT)
    if isinstance(stop, str):
        debugging.type(stop)
    else:
        debugging.process.send_signal(stop)
    number = signal.SIGINT if isinstance(stop, str) else stop
    assert debugging.end()[:2] == (128 + number, "")


def test_command_is_not_suspended(debug: Callable[..., Debugging]) -> None:
    """Ctrl-Z is ignored: a shell and the debugger would share what is typed."""
    debugging = debug(_HEAD + "breakpoint()\n    return 1")
    debugging.until(_PROMPT)
    debugging.type("\x1ap 6 * 7\n")
    assert "42" in debugging.until(_PROMPT)
    debugging.type("c\n")
    assert debugging.end()[:2] == (0, "1\n")


def test_memory_limit_holds(debug: Callable[..., Debugging]) -> None:
    """The memory limit ends the function at the prompt, too."""
    debugging = debug(_HEAD + "breakpoint()")
    debugging.until(_PROMPT)
    debugging.type("x = bytes(1) * (300 << 20)\n")
    status, _, shown = debugging.end()
    assert (status, '"statusCode":434' in shown) == (4, True)


def test_terminal_is_required(tmp_path: Path) -> None:
    """Without a terminal, `--debug` is a usage error, and the function does not run."""
    (tmp_path / "index.py").write_text(_HEAD + "return 1", encoding="utf-8")
    run = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", "from scf_local.cli import main; main()", "invoke", "--debug",
         "--code", str(tmp_path)],
        input="{}", start_new_session=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.endswith("Error: --debug needs a terminal\n")
