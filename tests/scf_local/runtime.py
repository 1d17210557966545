"""The process a function runs in, in the role of SCF's own bootstrap.

Started as a file by `scf_local.invocation`: it sees the function's code and the standard library,
and imports nothing of this package. One JSON line on stdin is one invocation, one JSON line on the
descriptor `replies` is its outcome; stdout and stderr belong to the function alone.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import stat
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[Any, Any], object]

MAX_RESPONSE_BYTES = 6 << 20
"""document/product/583/11637"""

WRITABLE = ("/tmp", "/dev", "/proc")  # noqa: S108 - SCF's own, document/product/583/35311
_TMPFILE = getattr(os, "O_TMPFILE", -1)
_CREATING = {
    "os.link": (1, 3), "os.mkdir": (0, 2), "os.symlink": (1, 2), "socket.bind": (1, None),
}  # fmt: skip
_CHANGING = {
    "os.chmod": (0, 2), "os.chown": (0, 3), "os.removexattr": (0, None), "os.setxattr": (0, None),
    "os.truncate": (0, None), "os.utime": (0, 3),
}  # fmt: skip
_MOVING = {"os.remove": (0, 1), "os.rename": (1, 3), "os.rmdir": (0, 1)}
_EVENTS = {**_CREATING, **_CHANGING, **_MOVING}
"""By audit event: where among its arguments are the path and the folder's descriptor."""


class ReadOnly:
    """The file system as SCF has it: only `/tmp` can be written to, and no code that lies there.

    An audit hook, since that needs no privileges. It sees what Python does itself: neither other
    programs, nor libraries in C (sqlite3), nor `os.mkfifo` and `os.mknod`. `dir_fd` of `os.open` is
    not told to it: a relative name counts from the working directory. Refused is what Linux
    refuses, with its words; what fails otherwise too (no such folder, a file that is there) is left
    to it.
    """

    def __init__(self, code: str) -> None:
        self._code = os.path.realpath(code)
        self._writable = tuple(map(os.path.realpath, WRITABLE))

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Let an audited event pass, or raise what SCF would."""
        if event == "open":
            path, mode, flags = args
            refused = not isinstance(path, int) and self._refuses_open(path, mode, flags)
        elif event in _EVENTS:
            at, folder_at = _EVENTS[event]
            path, folder = args[at], -1 if folder_at is None else args[folder_at]
            refused = _is_name(path) and self._refuses(event, path, folder)
            if event == "os.rename" and not refused:
                path = args[0]
                refused = self._refuses(event, path, args[2])
        else:
            return
        if refused:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    def _refuses_open(self, path: Any, mode: str | None, flags: int) -> bool:  # noqa: ANN401 - str, bytes, PathLike
        letters = set(mode or "")  # libraries in C give no flags
        creates = bool(flags & os.O_CREAT or letters & set("wax"))
        alters = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_TRUNC) or letters & set("wa+"))
        if not creates and not alters:
            return False
        place = os.path.realpath(os.fsdecode(path))
        if self._is_writable(place):
            return False
        try:
            kind = os.stat(place).st_mode
        except OSError:
            return creates and os.path.isdir(os.path.dirname(place))
        if stat.S_ISDIR(kind):
            return flags & _TMPFILE == _TMPFILE
        # A pipe or a device passes on what is written to it; it keeps nothing.
        return alters and stat.S_ISREG(kind) and not flags & os.O_EXCL

    def _refuses(self, event: str, path: Any, folder: int) -> bool:  # noqa: ANN401 - str, bytes, PathLike
        is_open = isinstance(path, int)
        name = f"/dev/fd/{path}" if is_open else os.fsdecode(path).rstrip("/")
        if folder >= 0:
            name = os.path.join(f"/dev/fd/{folder}", name)
        if is_open or event == "os.truncate":
            place = os.path.realpath(name)
        else:  # it is the link itself that comes or goes; or may be, `follow_symlinks` is not told
            parent, last = os.path.split(name)
            place = os.path.join(os.path.realpath(parent or "."), last)
        if self._is_writable(place):
            return False
        exists = os.path.lexists(place)
        if event in _CREATING:
            return not exists and os.path.isdir(os.path.dirname(place))
        return exists if event in _CHANGING else os.path.isdir(os.path.dirname(place))

    def _is_writable(self, place: str) -> bool:
        return not _is_below(place, self._code) and any(
            _is_below(place, folder) for folder in self._writable
        )


def _is_name(path: Any) -> bool:  # noqa: ANN401 - an address may be anything
    """Whether it can lead to a file: no address of the network, no abstract name of a socket."""
    if isinstance(path, (str, bytes, os.PathLike)):
        return not os.fsencode(path).startswith(b"\0")
    return isinstance(path, int)


def _is_below(place: str, folder: str) -> bool:
    return f"{place}/".startswith(f"{folder}/")


def serve(handler: str, replies: int) -> None:
    """Load `handler` (`module.function`), say so, then serve until stdin ends."""
    sys.path[:] = _search_path()
    os.set_inheritable(replies, False)  # noqa: FBT003 - the only way to call it
    requests = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # a handler that reads stdin must not eat the next event
    os.close(nothing)
    sys.addaudithook(ReadOnly(os.environ["USER_CODE_ROOT"]))
    with os.fdopen(replies, "wb") as stream:
        function, reply = load(handler)
        _send(stream, reply)
        if function is not None:
            process = os.getpid()
            for line in requests:
                reply = invoke(function, **json.loads(line))
                if os.getpid() != process:
                    os._exit(0)  # a fork that the function let come back must not answer too
                _send(stream, reply)


def load(handler: str) -> tuple[Handler | None, dict[str, Any]]:
    """Import the function: it and a reply of status 200, or nothing and what went wrong."""
    module_name, _, name = handler.rpartition(".")
    folder = os.environ["USER_CODE_ROOT"].rstrip("/")
    try:
        function = getattr(importlib.import_module(module_name), name, None)
    except Exception as error:  # noqa: BLE001 - whatever the module raises is its own
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module_name}.".startswith(f"{missing}."):  # itself, or a package above it
            message = f"no module {module_name!r} in the code folder {folder}"
            return None, {"Status": 437, "Message": message}
        return None, {"Status": 443, "Message": _trace(error)}
    if not callable(function):
        return None, {"Status": 437, "Message": f"{module_name!r} has no function {name!r}"}
    return function, {"Status": 200}


def invoke(function: Handler, event: Any, context: Any, environ: dict[str, str]) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Call the function once. SystemExit and the like pass: they end the process, as in SCF."""
    os.environ.update(environ)  # in SCF credentials change between the runs of one instance
    try:
        response = json.dumps(function(event, context), allow_nan=False)
    except Exception as error:  # noqa: BLE001 - whatever the function raises is its own
        message = "user code exception caught"
        return {"Status": 430, "Message": message, "StackTrace": _trace(error)}
    if len(response) > MAX_RESPONSE_BYTES:
        return {"Status": 407, "Message": "The size of response exceeds the upper limit (6MB)"}
    return {"Status": 200, "Response": response}


def peak_mb(pid: int | str = "self") -> float:
    """The most memory a process has held so far, in MB; 0 when that cannot be known.

    Not `ru_maxrss` on Linux: that starts at the size of the process that started this one.
    """
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        if pid == "self":  # no /proc: macOS, which counts bytes
            import resource  # noqa: PLC0415 - needed there only

            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    return 0.0


def _search_path() -> list[str]:
    """The function's folders, then Python's own and its site-packages.

    Left out: this file's folder, which Python puts first, and folders that an editable install
    added. A function must not find what it would miss in SCF.
    """
    given = os.environ["PYTHONPATH"].split(os.pathsep)
    own = (sys.prefix, sys.base_prefix)
    return [path for path in sys.path[1:] if path in given or path.startswith(own)]


def _send(stream: Any, reply: dict[str, Any]) -> None:  # noqa: ANN401 - a binary file
    stream.write(json.dumps({**reply, "MemoryMB": peak_mb()}).encode() + b"\n")
    stream.flush()


def _trace(error: Exception) -> str:
    own = f'  File "{__file__}", '  # where the function was called from, and where it was refused
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return "".join(line for line in lines if not line.startswith(own)).rstrip()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
