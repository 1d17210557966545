"""Warm instances of the functions in the emulated SCF, each a process with the uploaded code."""

from __future__ import annotations

import io
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from scf_local import pythons
from scf_local.cloud.scf.model import Code, Function
from scf_local.console import InterruptFlag
from scf_local.environment import FunctionConfig
from scf_local.invocation import WarmInstance

MAX_IDLE = 4
"""Instances that wait for the next event, of all functions together."""

_PRINT_VERSION = "import sys; print('Python%d.%d' % sys.version_info[:2])"
_RUNTIMES = {f"Python3.{minor}" for minor in range(10, 14)}
"""Those that `scf_local.runtime` can be run by."""
_HERE = f"Python{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass
class Instances:
    """Starts instances, and keeps some of those that have done their work.

    Attributes:
        variables: returns the variables with which a function reaches its cloud.
        interrupt: as for `WarmInstance`.
    """

    variables: Callable[[Function], Mapping[str, str]]
    interrupt: InterruptFlag
    _idle: list[tuple[Function, int, WarmInstance]] = field(init=False, default_factory=list)
    _lock: Lock = field(init=False, default_factory=Lock)
    _pythons: dict[str, str | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="scf-local-", ignore_cleanup_errors=True)

    def close(self) -> None:
        """End all that wait, and remove their code."""
        for _, _, instance in self._idle:
            instance.close()
        self._folder.cleanup()

    def take(self, function: Function, write: Callable[[bytes], object]) -> WarmInstance:
        """Return an instance with the function's current code and settings, which logs to `write`.

        Raises:
            OSError: the code cannot be unpacked.
        """
        with self._lock:
            stale = [each for each in self._idle if each[1] != each[0].revision]
            fitting = [each for each in self._idle if each[:2] == (function, function.revision)]
            for each in (*stale, *fitting[:1]):
                self._idle.remove(each)
        for _, _, instance in stale:
            instance.close()
        if fitting:
            fitting[0][2].write = write
            return fitting[0][2]
        config = self._config(function)
        if (runtime := function.settings["Runtime"]) != config.runtime:
            what = f"{runtime} is not installed here, or older than 3.10"
            write(f"{what}; {config.runtime} runs the code\n".encode())
        seconds = function.settings["InitTimeout"]
        return WarmInstance(
            config, write, init_timeout_s=seconds, interrupt=self.interrupt, is_deployed=True
        )

    def give_back(self, function: Function, revision: int, instance: WarmInstance) -> None:
        """Keep an instance that has started with this revision of the function, or end it."""
        with self._lock:
            self._idle.append((function, revision, instance))
            surplus = self._idle[:-MAX_IDLE]
            del self._idle[:-MAX_IDLE]
        for _, _, each in surplus:
            each.close()

    def _config(self, function: Function) -> FunctionConfig:
        settings = function.settings
        pairs = settings.get("Environment", {}).get("Variables", ())
        runtime, python = settings["Runtime"], self._python(settings["Runtime"])
        return FunctionConfig(
            self._unpacked(function.code),
            settings["Handler"],
            name=function.name,
            memory_mb=settings["MemorySize"],
            timeout_s=settings["Timeout"],
            region=function.region,
            variables={pair["Key"]: pair["Value"] for pair in pairs},
            cloud=self.variables(function),
            runtime=runtime if python else _HERE,
            python=python or sys.executable,
            has_site_packages=False,
        )

    def _python(self, runtime: str) -> str | None:
        """Return the path of a Python for a runtime, such as `Python3.13`."""
        with self._lock:
            if runtime not in self._pythons:
                version = runtime.removeprefix("Python")
                found = pythons.find(version, _PRINT_VERSION, runtime, os.environ)
                self._pythons[runtime] = found if runtime in _RUNTIMES else None
            return self._pythons[runtime]

    def _unpacked(self, code: Code) -> Path:
        folder, part = (Path(self._folder.name, f"{code.sha256}{end}") for end in ("", ".part"))
        with self._lock, zipfile.ZipFile(io.BytesIO(code.zip)) as archive:
            if not folder.exists():
                shutil.rmtree(part, ignore_errors=True)
                archive.extractall(part)
                for entry in archive.infolist():
                    path = part / entry.filename
                    mode = entry.external_attr >> 16 & 0o777
                    if mode and path != part:
                        path.chmod(mode | (0o700 if path.is_dir() else 0o600))
                part.rename(folder)  # only whole
        return folder
