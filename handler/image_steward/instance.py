"""What a warm instance of the function keeps, and what it opens for each run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from image_steward.clock import Clock, RunTime
from image_steward.cloud.credentials import Credentials
from image_steward.cloud.rate_limit import RateLimiters
from image_steward.lazy import load
from image_steward.settings import Settings

if TYPE_CHECKING:  # the SDKs are most of a cold start
    from image_steward.cloud.api import Api
    from image_steward.cloud.objects import Objects
    from image_steward.cloud.transport import Connections, Session


class Instance:
    """One warm instance. SCF gives it one event at a time.

    From run to run it keeps, and nothing else:

    - `runs`: how many there were; the first one is a cold start;
    - `rate_limiters`: the current rate of each action at each endpoint, so that a run which follows
      at once does not start with a burst;
    - open connections to the cloud, made by the first run that needs one.

    Beside it, Python keeps the modules that were imported, and `documents.validation` the schemas
    that were compiled. Settings, keys, deadlines and clients are those of a run.

    `uniform` gives random numbers from 0 to 1, for the waits between tries.
    """

    def __init__(self, clock: Clock, uniform: Callable[[], float]) -> None:
        self.clock = clock
        self.uniform = uniform
        self.rate_limiters = RateLimiters(clock)
        self.runs = 0
        self._connections: Connections | None = None

    def session(self, time: RunTime) -> Session:
        """The open connections, for the requests of one run; the SDKs log nothing from now on."""
        if self._connections is None:
            with warnings.catch_warnings():
                # The bundle leaves these libraries out; replies that name no charset are UTF-8.
                warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
                load(".cloud.transport:silence_loggers")()
            self._connections = load(".cloud.transport:Connections")()
        session: Session = load(".cloud.transport:Session")(self._connections, time.end_by)
        return session


class Cloud:
    """The cloud as one run meets it: with its settings, its keys and its deadlines."""

    def __init__(
        self, instance: Instance, settings: Settings, environ: Mapping[str, str], time: RunTime
    ) -> None:
        self._instance = instance
        self._settings = settings
        self._environ = environ
        self._time = time
        self._api: Api | None = None
        self._objects: Objects | None = None

    def api(self) -> Api:
        """CVM and Tag.

        Raises:
            InvalidSetting: there are no keys.
        """
        if self._api is None:
            session, rate_limiters = (
                self._instance.session(self._time),
                self._instance.rate_limiters,
            )
            self._api = load(".cloud.api:Api")(
                self._settings, session, rate_limiters, self._read_credentials, self._time.start_by
            )
        return self._api

    def objects(self) -> Objects:
        """COS. Raises as `api`."""
        if self._objects is None:
            credentials, session = self._read_credentials(), self._instance.session(self._time)
            self._objects = load(".cloud.objects:Objects")(self._settings, session, credentials)
        return self._objects

    def counts(self) -> dict[str, int]:
        """How many API calls were made, and how many of them the cloud refused as too fast."""
        calls, throttles = (self._api.calls, self._api.throttles) if self._api else (0, 0)
        return {"ApiCalls": calls, "Throttles": throttles}

    def _read_credentials(self) -> Credentials:
        return Credentials.from_environ(self._environ)
