"""The process a function runs in, in the role of SCF's own bootstrap.

Started as a file by `harness.invocation`: it sees the function's code and the standard library,
and imports nothing of the harness. One JSON line on stdin is one invocation, one JSON line on the
descriptor `replies` is its outcome; stdout and stderr belong to the function alone.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[Any, Any], object]

MAX_RESPONSE_BYTES = 6 << 20
"""document/product/583/11637"""


def serve(handler: str, replies: int) -> None:
    """Load `handler` (`module.function`), say so, then serve until stdin ends."""
    sys.path[:] = _search_path()
    os.set_inheritable(replies, False)  # noqa: FBT003 - the only way to call it
    requests = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # a handler that reads stdin must not eat the next event
    os.close(nothing)
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
    try:
        function = getattr(importlib.import_module(module_name), name, None)
    except Exception as error:  # noqa: BLE001 - whatever the module raises is its own
        if isinstance(error, ModuleNotFoundError) and error.name == module_name:
            return None, {"Status": 437, "Message": f"no module {module_name!r} in the code folder"}
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
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:  # noqa: PTH123 - pathlib would be 5 ms of every cold start
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
    own = error.__traceback__  # its first frame is in this file; the function's follow
    below = own.tb_next if own else None
    return "".join(traceback.format_exception(type(error), error, below)).rstrip()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
