"""The program in a function's process, which plays the part of SCF's bootstrap.

`scf_local.process` starts it as a file: it sees the function's code and the standard library, and
imports nothing from this package. Each JSON line on stdin is an invocation, answered by a JSON line
on the descriptor `replies`; stdout and stderr belong to the function.
"""

from __future__ import annotations

import errno
import importlib
import importlib.machinery
import json
import os
import re
import signal
import stat
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Handler = Callable[[Any, Any], object]

MAX_RESPONSE_BYTES = 6 << 20
"""document/product/583/11637"""

WRITABLE = ("/tmp", "/dev", "/proc")  # noqa: S108 - SCF's own, document/product/583/35311
_TMP, _TMP_SIZE = os.path.realpath(WRITABLE[0]), b"size=512m"
"""document/product/583/35311"""
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_PR_SET_CHILD_SUBREAPER = 36
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_SLAVE, _MS_REC = 0x1, 0x20, 0x1000, 0x80000, 0x4000
_BDB = f"{os.path.dirname(os.__file__)}/bdb.py"  # its frames are last after `q` in the debugger
_NOT_THE_FUNCTIONS = (__file__, importlib.__file__, "<frozen importlib", _BDB)
"""Files whose frames tracebacks leave out."""

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
"""By audit event: the positions of the path and the `dir_fd` among its arguments."""

_LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname")
_CONNECTIONS = ("socket.connect", "socket.sendmsg", "socket.sendto")
_BYTES = (bytes, bytearray)


class ReadOnly:
    """Makes the file system read-only as in SCF: all but `/tmp`, and code in `/tmp` too.

    An audit hook, because that needs no privileges. It sees only what Python does itself: not other
    programs, C libraries (sqlite3), `os.mkfifo` or `os.mknod`. It does not get the `dir_fd` of
    `os.open`: relative names count from the working directory. It raises the error that Linux
    would raise; calls that would fail anyway (no such folder, file exists) are not stopped.
    """

    def __init__(self, code: str) -> None:
        self._code = os.path.realpath(code)
        self._writable = tuple(map(os.path.realpath, WRITABLE))

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Raise if an audited event would write where SCF is read-only."""
        if event == "open":
            path, mode, flags = args
            is_denied = not isinstance(path, int) and self._denies_open(path, mode, flags)
        elif event in _EVENTS:
            at, folder_at = _EVENTS[event]
            path, folder = args[at], -1 if folder_at is None else args[folder_at]
            is_denied = _is_name(path) and self._denies(event, path, folder)
            if event == "os.rename" and not is_denied:
                path = args[0]
                is_denied = self._denies(event, path, args[2])
        else:
            return
        if is_denied:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    def _denies_open(self, path: Any, mode: str | None, flags: int) -> bool:  # noqa: ANN401 - str, bytes, PathLike
        letters = set(mode or "")  # C libraries pass no flags
        creates = bool(flags & os.O_CREAT or letters & set("wax"))
        alters = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_TRUNC) or letters & set("wa+"))
        if not creates and not alters:
            return False
        target = os.path.realpath(os.fsdecode(path))
        if self._is_writable(target):
            return False
        try:
            kind = os.stat(target).st_mode
        except OSError:
            return creates and os.path.isdir(os.path.dirname(target))
        if stat.S_ISDIR(kind):
            return flags & _TMPFILE == _TMPFILE
        # Writing to a pipe or a device changes no file.
        return alters and stat.S_ISREG(kind) and not flags & os.O_EXCL

    def _denies(self, event: str, path: Any, folder: int) -> bool:  # noqa: ANN401 - str, bytes, PathLike
        is_open = isinstance(path, int)
        name = f"/dev/fd/{path}" if is_open else os.fsdecode(path).rstrip("/")
        if folder >= 0:
            name = os.path.join(f"/dev/fd/{folder}", name)
        if is_open or event == "os.truncate":
            target = os.path.realpath(name)
        else:  # acts on the link itself, or may: `follow_symlinks` is not passed to hooks
            parent, last = os.path.split(name)
            target = os.path.join(os.path.realpath(parent or "."), last)
        if self._is_writable(target):
            return False
        exists = os.path.lexists(target)
        if event in _CREATING:
            return not exists and os.path.isdir(os.path.dirname(target))
        return exists if event in _CHANGING else os.path.isdir(os.path.dirname(target))

    def _is_writable(self, path: str) -> bool:
        is_in_writable = any(_is_below(path, folder) for folder in self._writable)
        return is_in_writable and not _is_below(path, self._code)


class Offline:
    """Stops direct connections to other hosts: the function sees the emulated cloud, or fails.

    An audit hook, too: it sees the sockets of Python, not those of C libraries. It cannot tell
    which host an address belongs to: if a name is allowed, so is every address.
    """

    def __init__(self, allowed: str) -> None:
        names = allowed.lower().split(",")
        self._allowed = (*names, os.uname().nodename.lower())
        self._allows_addresses = not all(_is_address(name) or _is_loopback(name) for name in names)

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Raise if an audited event would look up, or connect to, a host that is not allowed."""
        if event in _LOOKUPS:
            host = args[0]
        elif event in _CONNECTIONS and isinstance(args[1], tuple):
            host = args[1][0]
        else:
            return
        name = bytes(host).decode("ascii", "replace") if isinstance(host, _BYTES) else host
        if not isinstance(name, str) or self._allows(name.lower().rstrip(".")):
            return
        message = (
            f"no direct connection to {name}: hosts of the emulated cloud are reached through "
            f"HTTPS_PROXY, others with --allow-host {name}"
        )
        if event in _LOOKUPS:
            from _socket import EAI_NONAME, gaierror  # noqa: PLC0415 - loaded, as it has called this

            raise gaierror(EAI_NONAME, message)  # which callers expect of a lookup
        raise OSError(errno.ENETUNREACH, message)

    def _allows(self, name: str) -> bool:
        if _is_address(name) and self._allows_addresses:
            return True
        return _is_loopback(name) or any(f".{name}".endswith(f".{host}") for host in self._allowed)


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdecimal()


def _is_loopback(name: str) -> bool:
    """Whether it is this machine; `""`, `0.0.0.0` and `::` are, too, as destinations."""
    own = r"(0\.0\.0\.0|(::ffff:)?127(\.\d+){1,3}|(.+\.)?localhost|::1?)?"
    return re.fullmatch(own, name) is not None


def replace_tmp(kept: Iterable[str]) -> bool:
    """Give this process a `/tmp` of its own, which vanishes with it.

    It is empty but for those of the paths `kept` that are below `/tmp`. Returns whether it was
    possible: it takes Linux, and the right to create namespaces.
    """
    if sys.platform != "linux":
        return False
    import ctypes  # noqa: PLC0415 - takes 2 ms

    libc = ctypes.CDLL(None, use_errno=True)
    # Orphans of the function become children of this process, and can be found.
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def call(name: str, *args: Any) -> None:  # noqa: ANN401 - those of C
        if getattr(libc, name)(*args):
            raise OSError(ctypes.get_errno(), name)

    def mount(source: str, target: str, flags: int, options: bytes = b"") -> None:
        paths = os.fsencode(source), os.fsencode(target)
        call("mount", *paths, b"tmpfs", ctypes.c_ulong(flags), options)

    folder = os.getcwd()
    try:
        _unshare_mounts(call)
        paths = sorted(path for path in map(os.path.realpath, kept) if _is_below(path, _TMP))
        # Opened before they are hidden.
        opened = {path: os.open(path, os.O_PATH) for path in paths if os.path.exists(path)}
        mount("none", "/", _MS_SLAVE | _MS_REC)  # or the rest would happen to the whole system
        mount("tmpfs", _TMP, 0, _TMP_SIZE)
    except OSError:
        return False
    for path, number in opened.items():
        if not os.path.exists(path):  # or it is within another one
            is_folder = os.path.isdir(f"/proc/self/fd/{number}")
            os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
            if not is_folder:
                _write(path, "")
            mount(f"/proc/self/fd/{number}", path, _MS_BIND | _MS_REC)
            with suppress(OSError):  # another option of the old /tmp may not be lost
                mount("none", path, _MS_REMOUNT | _MS_BIND | _MS_RDONLY)
        os.close(number)
    os.chdir(folder)
    return True


def _unshare_mounts(call: Callable[..., None]) -> None:
    """Let this process have mounts that no other sees; `call` calls the C library."""
    maps = {"uid_map": os.getuid(), "gid_map": os.getgid()}
    try:
        call("unshare", _CLONE_NEWNS)
    except OSError:  # only root may do that alone

        def with_own_user() -> None:
            call("unshare", _CLONE_NEWNS | _CLONE_NEWUSER)
            _write("/proc/self/setgroups", "deny")
            for name, number in maps.items():
                _write(f"/proc/self/{name}", f"{number} {number} 1")

        # In a fork first: some systems allow the call, but leave the process without a user.
        if not (child := os.fork()):
            with suppress(OSError):
                with_own_user()
                os._exit(0)
            os._exit(1)
        if os.waitpid(child, 0)[1]:
            raise
        with_own_user()


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class TrustedBundle:
    """Has `certifi.where` return another bundle: the API SDK asks it, and reads no variable."""

    def __init__(self, path: str) -> None:
        self._path = path

    def find_spec(self, name: str, *_: object) -> Any:  # noqa: ANN401 - a ModuleSpec
        """Find `certifi` as usual, but change it once it is loaded."""
        spec = importlib.machinery.PathFinder.find_spec(name) if name == "certifi" else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_change(module: Any) -> None:  # noqa: ANN401 - certifi
            load(module)
            module.where = lambda: self._path

        spec.loader.exec_module = load_and_change  # type: ignore[method-assign]
        return spec


def _is_name(path: Any) -> bool:  # noqa: ANN401 - socket addresses have any type
    """Whether it can name a file: not a network address, not an abstract socket name."""
    if isinstance(path, (str, bytes, os.PathLike)):
        return not os.fsencode(path).startswith(b"\0")
    return isinstance(path, int)


def _is_below(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder}/")


def serve(
    handler: str, reachable: str, bundle: str, replies: int, terminal: int | None = None
) -> None:
    """Load `handler` (`module.function`), report that, then serve until stdin ends.

    `reachable` are hosts, between commas, and `bundle` the file with the certificates to trust;
    both are empty on the real cloud. They are not read from the environment, which the user sets.
    With `terminal`, the standard streams are that terminal, where a debugger shows what is raised.
    """
    os.set_inheritable(replies, False)  # noqa: FBT003 - the only way to call it
    requests = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # a handler that reads stdin must not consume the next event
    os.close(nothing)
    if terminal is not None:
        for number in range(3):
            os.dup2(terminal, number)
    sys.addaudithook(ReadOnly(os.environ["USER_CODE_ROOT"]))
    import logging  # noqa: PLC0415 - takes 4 ms, and scf-local imports this module, too

    # The function may set the level of the root logger, and basicConfig does nothing; known of
    # older runtimes.
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
    if reachable:
        sys.addaudithook(Offline(reachable))
        sys.meta_path.insert(0, TrustedBundle(bundle))
    with os.fdopen(replies, "wb") as stream:
        function, reply = load(handler, _debugged if terminal else lambda call: call)
        _send(stream, reply)
        if function is not None:
            process = os.getpid()
            for line in requests:
                reply = invoke(function, **json.loads(line))
                if os.getpid() != process:
                    os._exit(0)  # a fork of the function that returned here must not answer too
                _send(stream, reply)


def load(handler: str, wrap: Callable[[Any], Any]) -> tuple[Handler | None, dict[str, Any]]:
    """Import the function; returns it with a reply of status 200, or None with an error reply.

    `wrap` is applied to what calls the function's code.
    """
    module_name, _, name = handler.rpartition(".")
    folder = os.environ["USER_CODE_ROOT"].rstrip("/")
    try:
        function = getattr(wrap(importlib.import_module)(module_name), name, None)
    except Exception as error:  # noqa: BLE001 - the module may raise anything
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module_name}.".startswith(f"{missing}."):  # it, or a parent package
            message = f"no module {module_name!r} in the code folder {folder}"
            return None, {"Status": 437, "Message": message}
        return None, {"Status": 443, "Message": _trace(error)}
    if not callable(function):
        message = f"module {module_name!r} has no function {name!r}"
        return None, {"Status": 437, "Message": message}
    return wrap(function), {"Status": 200}


def invoke(function: Handler, event: Any, context: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Call the function once. SystemExit is not caught: it ends the process, as in SCF."""
    # SCF changes the credentials between runs of an instance.
    os.environ.update(json.loads(context["environment"]))
    try:
        response = json.dumps(function(event, context), allow_nan=False)
    except Exception as error:  # noqa: BLE001 - the function may raise anything
        message = "user code exception caught"
        return {"Status": 430, "Message": message, "StackTrace": _trace(error)}
    if len(response) > MAX_RESPONSE_BYTES:
        return {"Status": 407, "Message": "The size of response exceeds the upper limit (6MB)"}
    return {"Status": 200, "Response": response}


def peak_mb(pid: int | str = "self") -> float:
    """The peak memory of a process so far, in MB; 0 if it cannot be determined.

    Not `ru_maxrss` on Linux: a child's starts at the size of its parent.
    """
    try:
        status = os.open(f"/proc/{pid}/status", os.O_RDONLY)
    except OSError:
        if pid == "self":  # no /proc: macOS, where ru_maxrss is in bytes
            import resource  # noqa: PLC0415 - needed only there

            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
        return 0.0
    text = os.read(status, 4096)
    os.close(status)
    _, found, size = text.partition(b"VmHWM:")
    return int(size.split(None, 1)[0]) / 1024 if found else 0.0


def _search_path() -> list[str]:
    """The function's folders, the standard library and site-packages.

    Left out are this file's folder, which Python puts first, and folders of editable installs: a
    function must not find modules that SCF lacks.
    """
    folders = os.environ["PYTHONPATH"].split(os.pathsep)
    prefixes = (sys.prefix, sys.base_prefix)
    return [path for path in sys.path[1:] if path in folders or path.startswith(prefixes)]


def _send(stream: Any, reply: dict[str, Any]) -> None:  # noqa: ANN401 - a binary file
    stream.write(json.dumps({**reply, "MemoryMB": peak_mb()}).encode() + b"\n")
    stream.flush()


def _trace(error: Exception) -> str:
    hidden = tuple(f'  File "{file}' for file in _NOT_THE_FUNCTIONS)
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return "".join(line for line in lines if not line.startswith(hidden)).rstrip()


def _debugged(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, with a debugger where it raises."""

    def debugged(*args: Any) -> Any:  # noqa: ANN401 - those of the call
        try:
            return call(*args)
        except Exception as error:
            import pdb  # noqa: PLC0415, T100 - SCF loads none

            frame = error.__traceback__
            while frame and frame.tb_frame.f_code.co_filename.startswith(_NOT_THE_FUNCTIONS):
                frame = frame.tb_next
            if frame and type(error).__name__ != "BdbQuit":
                print("".join(traceback.format_exception_only(type(error), error)), end="")
                pdb.post_mortem(frame)
            raise

    return debugged


if __name__ == "__main__":
    _handler, _reachable, _bundle, _scratch, *_descriptors = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # `scf-local cloud` blocks some
    sys.path[:] = _search_path()
    if not replace_tmp([*sys.path, sys.prefix, sys.base_prefix, _bundle]):
        os.environ["TMPDIR"] = _scratch  # `tempfile` heeds it
    serve(_handler, _reachable, _bundle, *map(int, _descriptors))
