"""A function's configuration, and its environment variables and context as SCF sets them."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from image_steward import regions
from scf_local import json_files
from scf_local.runtime import WRITABLE

APPID = "1250000000"
UIN = "100000000001"
"""The made-up account, used by the emulated cloud too."""
NAME, REGION = "function", "ap-guangzhou"
"""A function's, unless others are given."""
VERSION = "$LATEST"
NAMESPACE = "default"

FUNCTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,58}[A-Za-z0-9]")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = ("SCF_", "QCLOUD_", "TENCENTCLOUD_")
_INTERPRETER_PREFIXES = ("PYTHON", "LD_", "DYLD_")
_SET_BY_SCF = (
    "PATH", "PWD", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TRIGGER_SRC", "USER_CODE_ROOT",
)  # fmt: skip
_MAX_VARIABLES_BYTES = 4096
_MAX_TIMEOUT_S = 900
# An interpreter outside the system's folders needs these to find its libraries.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class ReservedVariable(ValueError):
    """A variable that the user cannot set."""


class VariablesTooLarge(ValueError):
    """Variables that take more bytes than SCF allows."""


@dataclass(frozen=True)
class FunctionConfig:
    """A function's configuration.

    `cloud` are the variables with which it reaches its cloud: the credentials, as SCF sets them for
    a run role, and those that send its requests to an emulated cloud (see `scf_local.network`).
    `python` runs it, with the packages that are installed for it if `has_site_packages`.

    Raises:
        ValueError: SCF, or the harness, could not run the function.
    """

    code: Path
    handler: str = "index.main_handler"
    name: str = NAME
    appid: str = APPID
    memory_mb: int = 128
    timeout_s: float = 60.0
    region: str = REGION
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    cloud: Mapping[str, str] = field(default_factory=dict, repr=False)
    runtime: str = f"Python{sys.version_info[0]}.{sys.version_info[1]}"
    python: str = sys.executable
    has_site_packages: bool = True

    def __post_init__(self) -> None:
        folder = f"code folder {str(self.code)!r}"
        if os.pathsep in str(self.code):
            raise ValueError(f"{folder} contains {os.pathsep!r}, PYTHONPATH's separator")
        for root in WRITABLE:
            if Path(root).resolve().is_relative_to(self.code.resolve()):
                raise ValueError(
                    f"{folder} contains {root}, which SCF makes writable, while code is "
                    "read-only; put the code into a folder of its own"
                )
        if not FUNCTION_NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name[:80]!r} is not a function name; it must have 2 to 60 letters, digits, "
                "_ or -, begin with a letter, and end with a letter or digit"
            )
        if not (self.appid.isascii() and self.appid.isdecimal()):
            raise ValueError(f"APPID {self.appid[:80]!r} must be digits, such as {APPID}")
        if "." not in self.handler or not all(self.handler.split(".")):
            raise ValueError(
                f"handler {self.handler!r}: must be module.function, such as index.main_handler, "
                "or FILE:FUNCTION, such as src/app.py:main"
            )
        if not 0 < self.timeout_s <= _MAX_TIMEOUT_S:  # click's FloatRange accepts "nan"
            allowed = f"above 0 and at most {_MAX_TIMEOUT_S} seconds"
            raise ValueError(f"timeout {self.timeout_s:g} must be {allowed}")
        check_region(self.region)


def check_region(region: str) -> None:
    """Raise ValueError unless it is formatted like the name of a region."""
    if not regions.is_region(region):
        raise ValueError(f"{region!r} is not a region; use a full name, such as ap-guangzhou")


def locate_handler(handler: str, code: Path | None) -> tuple[Path, str]:
    """The code folder, and the handler as `module.function`.

    The folder is `code`, else that of the file in `FILE:FUNCTION`, else the working directory.

    Raises:
        ValueError: the file does not exist or is outside the folder.
    """
    file = handler.rstrip(":")
    if file.endswith(".py"):
        raise ValueError(f"handler {handler!r} names no function; did you mean {file}:FUNCTION?")
    file, colon, function = handler.rpartition(":")
    if not colon:
        return (code or Path()).resolve(), handler
    path = (code / file if code else Path(file)).resolve()
    folder = (code or path.parent).resolve()
    if not path.is_file():
        raise ValueError(f"handler {handler!r}: no such file: {path}")
    if path.suffix != ".py" or "." in path.stem or not path.is_relative_to(folder):
        raise ValueError(
            f"handler {handler!r}: the file must be a *.py in the code folder {folder}, with no "
            "other dot in its name"
        )
    module = ".".join(path.relative_to(folder).with_suffix("").parts)
    return folder, f"{module}.{function}"


def trigger_of(event: object) -> str:
    """The trigger that delivers such an event: `cos`, `timer` or `direct`."""
    if not isinstance(event, dict):
        return "direct"
    if "Records" in event:
        return "cos"
    return "timer" if event.get("Type") == "Timer" else "direct"


def function_variables(config: FunctionConfig, trigger: str) -> dict[str, str]:
    """The variables of the function and the invocation, which the context repeats."""
    return {
        **config.variables,
        **{k: v for k, v in config.cloud.items() if k.startswith("TENCENTCLOUD_")},
        "TRIGGER_SRC": "Timer" if trigger == "timer" else "",  # no other value is documented
    }


def process_environ(config: FunctionConfig, trigger: str = "direct") -> dict[str, str]:
    """The whole environment of a new process (document/product/583/32748).

    The developer's shell is left out: a function must not depend on variables that SCF lacks.
    """
    code = str(config.code)
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        **config.cloud,
        **function_variables(config, trigger),
        "TENCENTCLOUD_REGION": config.region,
        "TENCENTCLOUD_APPID": config.appid,
        "TENCENTCLOUD_UIN": UIN,
        "TENCENTCLOUD_RUNENV": "SCF",
        "TENCENTCLOUD_TZ": "UTC",
        "TZ": "UTC",  # as in SCF; the developer's machine may differ
        "USER_CODE_ROOT": f"{code}/",
        "SCF_RUNTIME": config.runtime,
        "SCF_FUNCTIONNAME": config.name,
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


def context_of(config: FunctionConfig, request_id: str, trigger: str) -> dict[str, Any]:
    """The second argument of the handler (document/product/583/11061)."""
    environ = function_variables(config, trigger)
    return {
        "memory_limit_in_mb": config.memory_mb,
        "time_limit_in_ms": round(config.timeout_s * 1000),
        "request_id": request_id,
        "environment": json.dumps(environ),
        "environ": ";".join(f"{name}={value}" for name, value in environ.items()),
        "function_version": VERSION,
        "function_name": config.name,
        "namespace": NAMESPACE,
        "tencentcloud_region": config.region,
        "tencentcloud_appid": config.appid,
        "tencentcloud_uin": UIN,
    }


def parse_variables(settings: Iterable[str], files: Sequence[Path] = ()) -> dict[str, str]:
    """The user's variables: those in `.env` files, then each given as `NAME=value`.

    Raises:
        ValueError: SCF would not accept them, or sets them itself.
    """
    in_files = (setting for path in files for setting in _settings_in(path))
    variables = {}
    for where, setting in (*in_files, *(("", setting) for setting in settings)):
        name, equals, value = setting.partition("=")
        if not equals or not _VARIABLE.fullmatch(name):
            raise ValueError(
                f"{where}{name[:60]!r} is not a variable; use NAME=VALUE, such as "
                "STEWARD_LOG_LEVEL=DEBUG, where NAME is a letter followed by letters, digits or _"
            )
        if name.startswith(_RESERVED) or name in _SET_BY_SCF:
            raise ReservedVariable(
                f"{where}{name} is reserved: SCF sets it itself. Remove it, or use another name; "
                f"it must not begin with {' or '.join(_RESERVED)}"
            )
        if name.startswith(_INTERPRETER_PREFIXES):
            message = f"{where}{name} is reserved: it would change the Python interpreter"
            raise ReservedVariable(message)
        if "\0" in value:
            raise ValueError(f"{where}{name} must not contain a NUL character")
        variables[name] = value
    size = sum(len(os.fsencode(part)) for pair in variables.items() for part in pair)
    if size > _MAX_VARIABLES_BYTES:
        source = f", with those of {', '.join(map(str, files))}," if files else ""
        limit = f"SCF allows {_MAX_VARIABLES_BYTES}"
        raise VariablesTooLarge(f"the variables{source} take {size} bytes; {limit}")
    return variables


def _settings_in(path: Path) -> Iterator[tuple[str, str]]:
    """Each variable in a `.env` file as `NAME=value`, after its `<file>:<line>: `."""
    from dotenv.parser import parse_stream  # noqa: PLC0415 - few runs have a file

    # Not `dotenv_values`: it skips lines that it cannot read.
    for binding in parse_stream(io.StringIO(json_files.decode(path.read_bytes(), str(path)))):
        text = binding.original.string
        blank = text[: len(text) - len(text.lstrip())]  # lines before the variable's
        where = f"{path}:{binding.original.line + blank.count(chr(10))}: "
        if binding.error:
            raise ValueError(f"{where}not NAME=VALUE; quotes must enclose the whole value")
        if binding.key is not None:
            yield where, binding.key if binding.value is None else f"{binding.key}={binding.value}"
