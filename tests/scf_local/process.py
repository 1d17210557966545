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
import threading
from pathlib import Path
from typing import IO, cast

from scf_local import network, runtime
from scf_local.environment import FunctionConfig, process_environ

_READ_BYTES, _MAX_READS = 1 << 16, 16
"""At once: more takes longer to allocate. In all: as much as the largest pipe holds."""
_SET_CHILD_SUBREAPER = 36  # of prctl(2)
_RUNNING: set[int] = set()
_UNRELATED: set[int] = set()
"""Children that this process had before it ran any function."""
_LOCK = threading.Lock()
"""Of these: a process that has just started, in another thread, is not an orphan."""


class Process:
    """A running `scf_local.runtime`.

    `replies` is a descriptor to read from, registered with `selector`, and `events` a non-blocking
    one to write to: an `Exchange` uses them. With `terminal`, its descriptor, the
    function's standard streams are that terminal, and a debugger shows what it raises.
    """

    def __init__(self, config: FunctionConfig, terminal: int | None = None) -> None:
        if sys.platform == "linux":
            # Orphans of the function become children of this process, whatever session they are
            # in, so that they can be found.
            ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            with _LOCK:
                if not _RUNNING:
                    _UNRELATED.update(_orphans())
        self.replies, child_end = os.pipe()
        # -u: the output of a killed function is not lost. -X utf8: SCF's locale may not exist
        # here. -s: SCF has no user site-packages. -S: nor others.
        site = "-s" if config.has_site_packages else "-S"
        command = [config.python, "-u", site, "-X", "utf8", runtime.__file__]
        descriptors = [child_end] if terminal is None else [child_end, terminal]
        # A terminal's input can be edited only if its type is known.
        edited = {} if terminal is None else {"TERM": os.environ.get("TERM", "dumb")}
        reached = [config.cloud.get(name, "") for name in (network.NO_PROXY, network.CA_BUNDLE)]
        # Not where TMPDIR says: SCF's functions write to /tmp only.
        self._scratch = tempfile.TemporaryDirectory(
            prefix="scf-local-", dir=runtime.WRITABLE[0], ignore_cleanup_errors=True
        )
        try:
            with _LOCK:
                self._popen = subprocess.Popen(  # noqa: S603 - our own file, by our own interpreter
                    [
                        *command,
                        config.handler,
                        *reached,
                        self._scratch.name,
                        *map(str, descriptors),
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=config.code,
                    env=process_environ(config) | edited,
                    pass_fds=descriptors,
                    start_new_session=True,
                )
                _RUNNING.add(self._popen.pid)
        except (OSError, ValueError):
            os.close(self.replies)
            self._scratch.cleanup()
            raise
        finally:
            os.close(child_end)
        self._stdin = cast("IO[bytes]", self._popen.stdin)
        self._stdout = cast("IO[bytes]", self._popen.stdout)
        self.events = self._stdin.fileno()
        os.set_blocking(self.events, False)
        os.set_blocking(self._stdout.fileno(), False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.replies, selectors.EVENT_READ)

    def exit_code(self) -> int | None:
        """None while it runs; negative: the number of the signal that ended it."""
        return self._popen.poll()

    def printed(self) -> bytes | None:
        """What it has printed since the last call; None if it has not."""
        output = b""
        with contextlib.suppress(BlockingIOError):
            for _ in range(_MAX_READS):
                output += (part := os.read(self._stdout.fileno(), _READ_BYTES))
                if len(part) < _READ_BYTES:
                    break
        return output or None

    def peak_mb(self) -> float:
        """Its peak memory so far, in MB."""
        return runtime.peak_mb(self._popen.pid)

    def end(self) -> None:
        """Kill it and all processes that it started; SCF ends instances just as abruptly."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        with _LOCK:
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
        """Wait up to `seconds` for the reply; returns what was printed before, None if nothing.

        Output is not waited for: each line would cost more time than the function's work on it.
        """
        selector = self._process.selector
        for key, _ in selector.select(seconds):
            if key.fd == self._process.events:
                self._send()
                if not self.unsent:
                    selector.unregister(key.fd)
            elif data := os.read(key.fd, _READ_BYTES):
                self.reply += data
            else:
                selector.unregister(key.fd)
        return self._process.printed()

    def _send(self) -> None:
        try:
            self.unsent = self.unsent[os.write(self._process.events, self.unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # the process has ended or is ending
            self.unsent = self.unsent[:0]
