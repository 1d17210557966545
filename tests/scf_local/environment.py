"""What a function finds around itself: environment variables and context, as SCF sets them."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from image_steward import regions
from scf_local.runtime import WRITABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

APPID = "1250000000"
UIN = "100000000001"
"""The made-up account that everything belongs to, in the emulated cloud too."""
NAME = "image-steward"
VERSION = "$LATEST"
NAMESPACE = "default"

_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = ("SCF_", "QCLOUD_", "TENCENTCLOUD_")
_INTERPRETERS = ("PYTHON", "LD_", "DYLD_")
_SET_BY_SCF = (
    "PATH", "PWD", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TRIGGER_SRC", "USER_CODE_ROOT",
)  # fmt: skip
_MAX_VARIABLES_BYTES = 4096
_MAX_TIMEOUT_S = 900
# An interpreter outside the system's folders finds its libraries through these.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


@dataclass(frozen=True)
class Function:
    """A function's configuration. `credentials` are what SCF sets when it has a run role.

    Raises:
        ValueError: SCF, or the harness, could not run it.
    """

    code: Path
    handler: str = "index.main_handler"
    memory_mb: int = 128
    timeout_s: float = 60.0
    region: str = "ap-guangzhou"
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if os.pathsep in str(self.code):
            raise ValueError(
                f"code folder {str(self.code)!r}: PYTHONPATH cannot hold a {os.pathsep!r}"
            )
        for root in WRITABLE:
            if Path(root).resolve().is_relative_to(self.code.resolve()):
                raise ValueError(
                    f"code folder {str(self.code)!r}: code is read-only in SCF, but {root} has to "
                    "be writable; put the code into a folder of its own"
                )
        if "." not in self.handler or not all(self.handler.split(".")):
            raise ValueError(
                f"handler {self.handler!r} is not of the form module.function, "
                "as index.main_handler is, nor FILE:FUNCTION, as src/app.py:main is"
            )
        if not 0 < self.timeout_s <= _MAX_TIMEOUT_S:  # click's own range lets "nan" pass
            raise ValueError(
                f"timeout {self.timeout_s} is not above 0 and up to {_MAX_TIMEOUT_S} seconds"
            )
        if not regions.is_region(self.region):
            raise ValueError(
                f"region {self.region!r} is none; give its full name, such as ap-guangzhou"
            )


def located(handler: str, code: Path | None, default: Path) -> tuple[Path, str]:
    """The folder that is uploaded, and `module.function` in it.

    The folder is `code`, else that of the file that `handler` names, else `default`.

    Raises:
        ValueError: there is no such file, or not in that folder; or it seems to be elsewhere.
    """
    file, colon, function = handler.rpartition(":")
    if not colon:
        folder = (code or default).resolve()
        _check_place(handler, folder, is_given=code is not None)
        return folder, handler
    path = (code / file if code else Path(file)).resolve()
    folder = (code or path.parent).resolve()
    if not path.is_file():
        raise ValueError(f"handler {handler!r}: there is no file {path}")
    if path.suffix != ".py" or "." in path.stem or not path.is_relative_to(folder):
        raise ValueError(
            f"handler {handler!r}: the file has to be a *.py in the code folder {folder}, "
            "with no other dot in its name"
        )
    module = ".".join(path.relative_to(folder).with_suffix("").parts)
    return folder, f"{module}.{function}"


def _check_place(handler: str, folder: Path, *, is_given: bool) -> None:
    """Ask about a module that would be looked for elsewhere, though it is right here."""
    if handler.endswith(".py"):
        raise ValueError(
            f"handler {handler!r} names a file but no function; did you mean {handler}:FUNCTION?"
        )
    module, _, function = handler.rpartition(".")
    file = f"{module.replace('.', '/')}.py"
    if not is_given and Path(file).is_file() and not (folder / file).exists():
        raise ValueError(
            f"handler {handler!r} is looked for in {folder}, where no {file} is; "
            f"did you mean {file}:{function}, or to add --code . ?"
        )


def trigger_of(event: object) -> str:
    """Which trigger delivers such an event: `cos`, `timer` or `direct`."""
    if not isinstance(event, dict):
        return "direct"
    if "Records" in event:
        return "cos"
    return "timer" if event.get("Type") == "Timer" else "direct"


def own_environ(function: Function, trigger: str) -> dict[str, str]:
    """The variables that belong to the function and its run: those the context repeats."""
    return {
        **function.variables,
        **function.credentials,
        "TRIGGER_SRC": "Timer" if trigger == "timer" else "",  # no other value is documented
    }


def process_environ(function: Function) -> dict[str, str]:
    """The whole environment of a new process (document/product/583/32748).

    Built from nothing: a variable of the developer's shell that the function came to need would
    be missing in SCF.
    """
    code = str(function.code)
    python = f"Python{sys.version_info.major}.{sys.version_info.minor}"
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        **own_environ(function, "direct"),
        "TENCENTCLOUD_REGION": function.region,
        "TENCENTCLOUD_APPID": APPID,
        "TENCENTCLOUD_UIN": UIN,
        "TENCENTCLOUD_RUNENV": "SCF",
        "TENCENTCLOUD_TZ": "UTC",
        "TZ": "UTC",  # SCF's machines run on UTC, the developer's may not
        "USER_CODE_ROOT": f"{code}/",
        "SCF_RUNTIME": python,
        "SCF_FUNCTIONNAME": NAME,
        "SCF_FUNCTIONVERSION": VERSION,
        "SCF_NAMESPACE": NAMESPACE,
        "_SCF_SERVER_PORT": "28902",
        "PWD": code,
        "HOME": "/home/qcloud",
        "USER": "qcloud",
        "LANG": "en_US.UTF8",
        "LC_ALL": "en_US.UTF8",
        "PYTHONPATH": f"{code}:/opt",
        "PYTHONDONTWRITEBYTECODE": "x",
    }


def context_of(function: Function, request_id: str, trigger: str) -> dict[str, Any]:
    """The second argument of the handler (document/product/583/11061)."""
    environ = own_environ(function, trigger)
    return {
        "memory_limit_in_mb": function.memory_mb,
        "time_limit_in_ms": round(function.timeout_s * 1000),
        "request_id": request_id,
        "environment": json.dumps(environ),
        "environ": ";".join(f"{name}={value}" for name, value in environ.items()),
        "function_version": VERSION,
        "function_name": NAME,
        "namespace": NAMESPACE,
        "tencentcloud_region": function.region,
        "tencentcloud_appid": APPID,
        "tencentcloud_uin": UIN,
    }


def variables_of(settings: tuple[str, ...]) -> dict[str, str]:
    """The user's variables from texts `NAME=value`.

    Raises:
        ValueError: SCF would not accept them, or sets them itself.
    """
    variables = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not _VARIABLE.fullmatch(name):
            raise ValueError(
                f"{name[:60]!r} is not of the form NAME=value; a name is a letter, then letters, "
                "digits and _, such as STEWARD_LOG_LEVEL=DEBUG"
            )
        if name.startswith(_RESERVED) or name in _SET_BY_SCF:
            raise ValueError(
                f"{name} is reserved: SCF sets it itself. Leave it out, or choose a name that "
                f"does not begin with {', '.join(_RESERVED)}"
            )
        if name.startswith(_INTERPRETERS):
            raise ValueError(f"{name} is reserved: it would change the interpreter itself")
        if "\0" in value:
            raise ValueError(f"{name} holds a NUL character, which no variable can")
        variables[name] = value
    size = sum(len(os.fsencode(part)) for pair in variables.items() for part in pair)
    if size > _MAX_VARIABLES_BYTES:
        raise ValueError(f"the variables take {size} bytes; SCF allows {_MAX_VARIABLES_BYTES}")
    return variables
