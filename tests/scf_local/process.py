"""The operating system process of an instance: its pipes, its memory and how it is ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from scf_local import network, runtime
from scf_local.environment import process_environ

if TYPE_CHECKING:
    from scf_local.environment import FunctionConfig


_SET_CHILD_SUBREAPER = 36  # of prctl(2)
_RUNNING: set[int] = set()
_UNRELATED: set[int] = set()
"""Children that this process had before it ran any function."""


class Process:
    """A running `scf_local.runtime`.

    `output` and `replies` are descriptors to read from, with their `selector`, and `events` is a
    non-blocking one to write to: an `Exchange` uses them. With `terminal`, its descriptor, the
    function's standard streams are that terminal, and a debugger shows what it raises.
    """

    def __init__(self, config: FunctionConfig, terminal: int | None = None) -> None:
        if sys.platform == "linux":
            # Orphans of the function become children of this process, whatever session they are
            # in, so that they can be found.
            ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            if not _RUNNING:
                _UNRELATED.update(_orphans())
        self.replies, child_end = os.pipe()
        # -u: the output of a killed function is not lost. -X utf8: SCF's locale may not exist
        # here. -s: SCF has no user site-packages.
        command = [sys.executable, "-u", "-s", "-X", "utf8", runtime.__file__]
        descriptors = [child_end] if terminal is None else [child_end, terminal]
        # A terminal's input can be edited only if its type is known.
        edited = {} if terminal is None else {"TERM": os.environ.get("TERM", "dumb")}
        reached = [config.cloud.get(name, "") for name in (network.NO_PROXY, network.CA_BUNDLE)]
        # Not where TMPDIR says: SCF's functions write to /tmp only.
        self._scratch = tempfile.TemporaryDirectory(
            prefix="scf-local-", dir=runtime.WRITABLE[0], ignore_cleanup_errors=True
        )
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own file, by our own interpreter
                [*command, config.handler, *reached, self._scratch.name, *map(str, descriptors)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=config.code,
                env=process_environ(config) | edited,
                pass_fds=descriptors,
                start_new_session=True,
            )
        except OSError:
            os.close(self.replies)
            raise
        finally:
            os.close(child_end)
        _RUNNING.add(self._popen.pid)
        self._stdin = cast("IO[bytes]", self._popen.stdin)
        self._stdout = cast("IO[bytes]", self._popen.stdout)
        self.output = self._stdout.fileno()
        self.events = self._stdin.fileno()
        os.set_blocking(self.events, False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.output, selectors.EVENT_READ)
        self.selector.register(self.replies, selectors.EVENT_READ)

    def exit_code(self) -> int | None:
        """None while it runs; negative: the number of the signal that ended it."""
        return self._popen.poll()

    def peak_mb(self) -> float:
        """Its peak memory so far, in MB."""
        return runtime.peak_mb(self._popen.pid)

    def end(self) -> None:
        """Kill it and all processes that it started; SCF ends instances just as abruptly."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        _RUNNING.discard(self._popen.pid)
        _kill_orphans()
        self._scratch.cleanup()
        self.selector.close()
        self._stdin.close()
        self._stdout.close()
        os.close(self.replies)


def _kill_orphans() -> None:
    spared = _RUNNING | _UNRELATED
    while pids := _orphans() - spared:  # killing one may orphan others
        spared |= pids
        for pid in pids:
            # Not permitted: it now runs as another user.
            with contextlib.suppress(PermissionError, ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _orphans() -> set[int]:
    """Children of this process in another session; only functions start such children."""
    pids = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
            _, parent, _, session, *_ = fields
            if int(parent) == os.getpid() and int(session) != os.getsid(0):
                pids.add(int(path.parent.name))
    return pids


class Exchange:
    """Sends a message to a process while collecting its output and its reply, one line.

    Each `step` shortens `unsent` and extends `reply`. One that is not completed must be the last of
    its process.
    """

    def __init__(self, process: Process, message: bytes) -> None:
        self.unsent = memoryview(message)
        self.reply = b""
        self._process = process
        self._send()
        if self.unsent:
            process.selector.register(process.events, selectors.EVENT_WRITE)

    def step(self, seconds: float) -> bytes | None:
        """Wait up to `seconds` for a pipe; returns the output, or None if no pipe was ready."""
        printed = b""
        selector = self._process.selector
        size = 1 << 16 if seconds else 1 << 20  # the largest pipe buffer takes long to allocate
        ready = selector.select(seconds)
        for key, _ in ready:
            if key.fd == self._process.events:
                self._send()
                if not self.unsent:
                    selector.unregister(key.fd)
                continue
            data = os.read(key.fd, size)
            if not data:
                selector.unregister(key.fd)
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
        except BrokenPipeError:  # the process has ended or is ending
            self.unsent = self.unsent[:0]
