"""What a warm instance of the function keeps, and what it opens for each run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from image_steward import registry
from image_steward.cloud.credentials import Credentials
from image_steward.cloud.rate_limit import Pacers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from image_steward.clock import Clock, RunTime
    from image_steward.cloud.api import Api
    from image_steward.cloud.objects import Objects
    from image_steward.cloud.transport import Connections
    from image_steward.settings import Settings


class Instance:
    """One warm instance. SCF gives it one event at a time.

    From run to run it keeps, and nothing else:

    - `runs`: how many there were; the first one is a cold start;
    - `pacers`: how fast each action may go at each endpoint, so that a run which follows at once
      does not start with a burst;
    - open connections to the cloud, made by the first run that needs one.

    Beside it, Python keeps the modules that were imported, and `documents.validation` the schemas
    that were compiled. Settings, keys, deadlines and clients are those of a run.

    `uniform` gives random numbers from 0 to 1, for the waits between tries.
    """

    def __init__(self, clock: Clock, uniform: Callable[[], float]) -> None:
        self.clock = clock
        self.uniform = uniform
        self.pacers = Pacers(clock)
        self.runs = 0
        self._connections: Connections | None = None

    def connections(self) -> Connections:
        """The open connections."""
        if self._connections is None:
            self._connections = registry.connections()
        return self._connections


class Cloud:
    """The cloud as one run meets it: with its settings, its keys and its deadlines.

    Each of the two SDKs is imported when it is first needed: that is most of a cold start.
    """

    def __init__(
        self, instance: Instance, settings: Settings, environ: Mapping[str, str], time: RunTime
    ) -> None:
        self._instance = instance
        self._settings = settings
        self._keys = partial(Credentials.from_environ, environ)
        self._time = time
        self._api: Api | None = None
        self._objects: Objects | None = None

    def api(self) -> Api:
        """CVM and Tag.

        Raises:
            InvalidSetting: there are no keys.
        """
        if self._api is None:
            connections, pacers = self._instance.connections(), self._instance.pacers
            self._api = registry.api(self._settings, connections, pacers, self._keys, self._time)
        return self._api

    def objects(self) -> Objects:
        """COS. Raises as `api`."""
        if self._objects is None:
            connections, keys = self._instance.connections(), self._keys()
            self._objects = registry.objects(self._settings, connections, keys, self._time)
        return self._objects

    @property
    def calls(self) -> tuple[int, int]:
        """How many API calls were made, and how many of them the cloud refused as too fast."""
        return (self._api.calls, self._api.throttles) if self._api else (0, 0)
