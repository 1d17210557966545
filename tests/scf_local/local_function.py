"""A function called in this process as SCF would call it, for tests of any function."""

from __future__ import annotations

import io
import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module, invalidate_caches
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import certifi

from scf_local import environment, network

if TYPE_CHECKING:
    from scf_local.cloud.server import EmulatedCloud

    Handler = Callable[[Any, Any], object]


@dataclass(frozen=True)
class Answer:
    """The outcome of a call: the returned `value`, or the `error` that was raised."""

    request_id: str
    value: Any = None
    """As decoded from JSON: a tuple has become a list."""
    error: BaseException | None = None
    lines: tuple[str, ...] = ()
    """The printed lines; the first call includes those printed while the code was loaded."""


@dataclass
class LocalFunction:
    """A function; call it with an event, as often as needed, to get an `Answer`.

    It sees SCF's variables, and no others, and SCF's context. What needs a separate process is
    left to `scf-local invoke`: limits, the read-only file system, the working directory. Only one
    call at a time: `os.environ`, `sys.path` and the standard streams are those of this process.

    Attributes:
        handler: a callable, or `FILE:FUNCTION`, which is loaded at the first call.
        cloud: a running emulated cloud, whose endpoints and credentials the function gets.
        variables: environment variables of the function.

    Raises:
        ValueError: SCF could not run the function.
    """

    handler: Handler | str
    cloud: EmulatedCloud | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    region: str = environment.REGION
    memory_mb: int = 128
    timeout_s: float = 60.0
    name: str = environment.NAME
    appid: str = environment.APPID

    def __post_init__(self) -> None:
        handler = self.handler if isinstance(self.handler, str) else "index.main_handler"
        code, name = environment.locate_handler(handler, None)
        self._config = environment.FunctionConfig(
            code=code,
            handler=name,
            name=self.name,
            appid=self.appid,
            memory_mb=self.memory_mb,
            timeout_s=self.timeout_s,
            region=self.region,
            variables=environment.parse_variables(f"{k}={v}" for k, v in self.variables.items()),
            cloud=self.cloud.environment() if self.cloud else {},
        )

    def __call__(self, event: object) -> Answer:
        """Call the function with `event` (JSON values)."""
        request_id, trigger = str(uuid.uuid4()), environment.trigger_of(event)
        context = environment.context_of(self._config, request_id, trigger)
        printed = io.StringIO()
        value = error = None
        environ = environment.process_environ(self._config, trigger)
        bundle = environ.get(network.CA_BUNDLE) or certifi.where()
        with (
            patch.dict(os.environ, environ, clear=True),
            patch.object(sys, "path", [environ["PWD"], *sys.path]),
            patch("certifi.where", lambda: bundle),  # the API SDK reads no variable
            patch("urllib.request._opener", None),  # it keeps the proxy of its first use
            redirect_stdout(printed),
            redirect_stderr(printed),
        ):
            try:
                if isinstance(self.handler, str):
                    self.handler = _load(self._config.handler)
                returned = self.handler(json.loads(json.dumps(event)), context)
                value = json.loads(json.dumps(returned, allow_nan=False))
            except (Exception, SystemExit) as raised:  # noqa: BLE001 - the function may raise anything
                error = raised
        return Answer(request_id, value, error, tuple(printed.getvalue().splitlines()))


def _load(handler: str) -> Handler:
    """The function `module.function`, from a fresh import: many functions are in an `index.py`."""
    name, _, attribute = handler.rpartition(".")
    invalidate_caches()
    sys.modules.pop(name, None)
    function: Handler = getattr(import_module(name), attribute)
    return function
