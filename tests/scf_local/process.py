"""The operating system process of an instance: its pipes, its memory, its end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from scf_local import runtime
from scf_local.environment import process_environ

if TYPE_CHECKING:
    from typing_extensions import Self

    from scf_local.environment import Function


_SET_CHILD_SUBREAPER = 36  # of prctl(2)
_RUNNING: set[int] = set()
_OTHERS: set[int] = set()
"""Children that this process had before it ran any function."""


class Process:
    """A running `scf_local.runtime`.

    `output` and `replies` are descriptors to read from, `events` is one to write to
    that does not block; an `Exchange` does all three.
    """

    def __init__(self, function: Function) -> None:
        if sys.platform == "linux":
            # What the function leaves behind becomes a child of this process, whichever session it
            # has made for itself, and so can be found.
            ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            if not _RUNNING:
                _OTHERS.update(_orphans())
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
        _RUNNING.add(self._popen.pid)
        self._stdin = cast("IO[bytes]", self._popen.stdin)
        self._stdout = cast("IO[bytes]", self._popen.stdout)
        self.output = self._stdout.fileno()
        self.events = self._stdin.fileno()
        os.set_blocking(self.events, False)

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
        _RUNNING.discard(self._popen.pid)
        _kill_orphans()
        self._stdin.close()
        self._stdout.close()
        os.close(self.replies)


def _kill_orphans() -> None:
    seen = _RUNNING | _OTHERS
    while found := _orphans() - seen:  # what one leaves behind comes next
        seen |= found
        for pid in found:
            # Not permitted: it runs as somebody else by now.
            with contextlib.suppress(PermissionError, ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _orphans() -> set[int]:
    """The children of this process in another session: it makes none but for a function."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            _, parent, _, session, *_ = (
                path.read_text("utf-8", "replace").rpartition(")")[2].split()
            )
            if int(parent) == os.getpid() and int(session) != os.getsid(0):
                found.add(int(path.parent.name))
    return found


class Exchange:
    """A message on its way to a process, what is printed meanwhile, and the reply, a line.

    A context manager; with every `step` there is less `unsent` and more `reply`.
    """

    def __init__(self, process: Process, message: bytes) -> None:
        self.unsent = memoryview(message)
        self.reply = b""
        self._process = process
        self._selector = selectors.DefaultSelector()
        self._selector.register(process.output, selectors.EVENT_READ)
        self._selector.register(process.replies, selectors.EVENT_READ)
        if message:
            self._selector.register(process.events, selectors.EVENT_WRITE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()

    def step(self, seconds: float) -> bytes | None:
        """Wait so long for a pipe, and use those that are ready; what was printed, None if none."""
        printed = b""
        ready = self._selector.select(seconds)
        for key, _ in ready:
            if key.fd == self._process.events:
                self._send()
                continue
            data = os.read(key.fd, 1 << 20)  # as much as a pipe may hold
            if not data:
                self._selector.unregister(key.fd)
            elif key.fd == self._process.output:
                printed += data
            else:
                self.reply += data
        return printed if ready else None

    def _send(self) -> None:
        try:
            self.unsent = self.unsent[os.write(self._process.events, self.unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it has ended, or is about to
            self.unsent = self.unsent[:0]
        if not self.unsent:
            self._selector.unregister(self._process.events)
