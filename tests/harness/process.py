"""The operating system process of an instance: its pipes, its memory, its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any, cast

from harness import runtime
from harness.environment import process_environ

if TYPE_CHECKING:
    from harness.environment import Function


class Process:
    """A running `harness.runtime`. `output` and `replies` are descriptors to read from."""

    def __init__(self, function: Function) -> None:
        self.replies, theirs = os.pipe()
        # -u: what a killed function printed is still seen. -X utf8: the locale SCF names may
        # not exist here. -s: SCF has no user's site-packages.
        command = [sys.executable, "-u", "-s", "-X", "utf8", runtime.__file__]
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own file, by our own interpreter
                [*command, function.handler, str(theirs)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=function.code,
                env=process_environ(function),
                pass_fds=(theirs,),
                start_new_session=True,
            )
        except OSError:
            os.close(self.replies)
            raise
        finally:
            os.close(theirs)
        self._stdin = cast("IO[bytes]", self._popen.stdin)
        self._stdout = cast("IO[bytes]", self._popen.stdout)
        self.output = self._stdout.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Hand over one invocation. A process that has ended takes it silently."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(json.dumps(message).encode() + b"\n")
            self._stdin.flush()

    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        return self._popen.poll()

    def peak_mb(self) -> float:
        """The most memory it has held so far, in MB."""
        return runtime.peak_mb(self._popen.pid)

    def end(self) -> None:
        """Kill it and whatever it started; SCF freezes and drops instances no more gently."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._stdout.close()
        os.close(self.replies)
