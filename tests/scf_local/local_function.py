"""A function called in this process, as SCF would call it: for the tests of anybody's function."""

from __future__ import annotations

import io
import json
import os
import sys
import uuid
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from scf_local import environment
from scf_local.environment import Function

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scf_local.cloud.server import EmulatedCloud

    Handler = Callable[[Any, Any], object]


@dataclass(frozen=True)
class Answer:
    """What a call came to: the `value` that was returned, or the `error` that was raised."""

    request_id: str
    value: Any = None
    """As JSON hands it on: a tuple has become a list."""
    error: BaseException | None = None
    lines: tuple[str, ...] = ()
    """What was printed, at the first call while the code was loaded too."""


@dataclass
class LocalFunction:
    """A function; call it with an event, as often as you like, for an `Answer`.

    It finds SCF's variables, and those alone, and SCF's context. What needs a process of its own
    is left to `scf-local invoke`: limits, the read-only file system, the working directory. One
    call at a time: `os.environ`, `sys.path` and the standard streams are those of this process.

    Attributes:
        handler: a callable, or `FILE:FUNCTION`, which is loaded at the first call.
        cloud: where the function's endpoints and keys lead to; it has to be running.
        variables: the function's own.

    Raises:
        ValueError: SCF could not run it.
    """

    handler: Handler | str
    cloud: EmulatedCloud | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    region: str = "ap-guangzhou"
    memory_mb: int = 128
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        code, name = Path.cwd(), "index.main_handler"
        if isinstance(self.handler, str):
            code, name = environment.located(self.handler, None, code)
        settings = tuple(f"{key}={value}" for key, value in self.variables.items())
        pointed = self.cloud.environment() if self.cloud else {}
        self._function = Function(
            code=code,
            handler=name,
            memory_mb=self.memory_mb,
            timeout_s=self.timeout_s,
            region=self.region,
            variables={**pointed, **environment.variables_of(settings)},
        )

    def __call__(self, event: object) -> Answer:
        """Hand `event` (JSON values) to the function."""
        request_id, trigger = str(uuid.uuid4()), environment.trigger_of(event)
        context = environment.context_of(self._function, request_id, trigger)
        printed = io.StringIO()
        value = error = None
        environ = environment.process_environ(self._function)
        environ |= environment.own_environ(self._function, trigger)
        with (
            patch.dict(os.environ, environ, clear=True),
            patch.object(sys, "path", [environ["PWD"], *sys.path]),
            redirect_stdout(printed),
            redirect_stderr(printed),
        ):
            try:
                if isinstance(self.handler, str):
                    self.handler = _loaded(self._function)
                returned = self.handler(json.loads(json.dumps(event)), context)
                value = json.loads(json.dumps(returned, allow_nan=False))
            except (Exception, SystemExit) as raised:  # noqa: BLE001 - whatever the function raises
                error = raised
        return Answer(request_id, value, error, tuple(printed.getvalue().splitlines()))


def _loaded(function: Function) -> Handler:
    """The handler, of a module that is loaded anew: many a function is in an `index.py`."""
    name, _, attribute = function.handler.rpartition(".")
    invalidate_caches()
    sys.modules.pop(name, None)
    found: Handler = getattr(import_module(name), attribute)
    return found
