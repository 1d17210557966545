"""The operating system process of an instance: its pipes, its memory and how it is ended."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO, cast

from scf_local import network, runtime
from scf_local.environment import FunctionConfig, process_environ

_READ_BYTES, _MAX_READS = 1 << 16, 16
"""At once: more takes longer to allocate. In all: as much as the largest pipe holds."""
_MAX_ROUNDS = 100
"""Of killing what a function has started, while it may start more."""


class Process:
    """A running `scf_local.runtime`.

    `replies` is a descriptor to read from, registered with `selector`, and `events` a non-blocking
    one to write to: an `Exchange` uses them. With `terminal`, its descriptor, the
    function's standard streams are that terminal, and a debugger shows what it raises.
    """

    def __init__(self, config: FunctionConfig, terminal: int | None = None) -> None:
        self.replies, child_end = os.pipe()
        # -u: the output of a killed function is not lost. -X utf8: SCF's locale may not exist
        # here. -s: SCF has no user site-packages. -S: nor others.
        site = "-s" if config.has_site_packages else "-S"
        descriptors = [child_end] if terminal is None else [child_end, terminal]
        # A terminal's input can be edited only if its type is known.
        edited = {} if terminal is None else {"TERM": os.environ.get("TERM", "dumb")}
        reached = [config.cloud.get(name, "") for name in (network.NO_PROXY, network.CA_BUNDLE)]
        # Not where TMPDIR says: SCF's functions write to /tmp only.
        self._scratch = tempfile.TemporaryDirectory(
            prefix="scf-local-", dir=runtime.WRITABLE[0], ignore_cleanup_errors=True
        )
        command = [config.python, "-u", site, "-X", "utf8", runtime.__file__, config.handler]
        command += [*reached, self._scratch.name, *map(str, descriptors)]
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own file, by our own interpreter
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=config.code,
                env=process_environ(config) | edited,
                pass_fds=descriptors,
                start_new_session=True,
            )
        except (OSError, ValueError):
            os.close(self.replies)
            self._scratch.cleanup()
            raise
        finally:
            os.close(child_end)
        self._mounts: int | None = None  # those of its own, which it gets soon after its start
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
        if self._mounts is None and _mounts_of(self._popen.pid) not in {"", _OWN_MOUNTS}:
            # Kept open, or another instance could get the same number.
            with contextlib.suppress(OSError):
                self._mounts = os.open(f"/proc/{self._popen.pid}/ns/mnt", os.O_RDONLY)
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
        # Stopped first, as its orphans get another parent when it ends.
        self._send(signal.SIGSTOP)
        mounts = "" if self._mounts is None else _mounts_of("self", self._mounts)
        pids: set[int] = set()
        for _ in range(_MAX_ROUNDS):
            # One that ends loses its mounts before it closes its files.
            pids = set(filter(_parent_of, pids)) | _started_by(self._popen.pid, mounts)
            if not pids:
                break
            for pid in pids:
                with contextlib.suppress(PermissionError, ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._send(signal.SIGKILL)
        self._popen.wait()
        self._scratch.cleanup()
        if self._mounts is not None:
            os.close(self._mounts)
        self.selector.close()
        self._stdin.close()
        self._stdout.close()
        os.close(self.replies)

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)


def _mounts_of(pid: int | str, descriptor: int | None = None) -> str:
    """The mount namespace of a process, or one that it has open; empty if it cannot be determined.

    Such as `mnt:[4026531840]`.
    """
    name = "ns/mnt" if descriptor is None else f"fd/{descriptor}"
    try:
        return str(Path(f"/proc/{pid}/{name}").readlink())
    except OSError:  # no Linux, or it has ended
        return ""


_OWN_MOUNTS = _mounts_of("self")


def _parent_of(pid: int) -> int:
    """The parent of a process; 0 if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return 0
    state, parent, *_ = stat.rpartition(")")[2].split()
    return 0 if state in "ZX" else int(parent)


def _started_by(pid: int, mounts: str) -> set[int]:
    """Processes that a function has started, in whatever session.

    Those are below the runtime, which is the parent of its orphans, too. If it has ended by itself,
    only its mounts tell, which no other process has.
    """
    pids = {int(path.name) for path in Path("/proc").glob("[0-9]*")} - {pid}
    parents = {each: parent for each in pids if (parent := _parent_of(each))}
    found = {each for each in parents if mounts and _mounts_of(each) == mounts}
    new = {pid}
    while new:
        new = {each for each, parent in parents.items() if parent in new} - found
        found |= new
    return found


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
