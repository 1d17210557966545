"""What a warm instance of the function keeps, and the API clients of one run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from image_steward.clock import Clock, Deadline, RunDeadlines
from image_steward.cloud.credentials import Credentials, RunCredentials
from image_steward.cloud.rate_limit import RateLimiter
from image_steward.cloud.recent_writes import RecentWrites
from image_steward.lazy import load
from image_steward.settings import Settings

if TYPE_CHECKING:  # the SDKs are most of a cold start
    from image_steward.cloud.api import Api
    from image_steward.cloud.objects import Objects
    from image_steward.cloud.transport import Connections, Session


class Instance:
    """One warm instance. SCF hands it one event at a time.

    Nothing but this is kept from run to run:

    - `runs`: the number of runs so far; the first one is a cold start;
    - `rate_limiters`: the current rate of each action at each endpoint, so that consecutive runs
      do not add up to a burst;
    - `known_secrets`: the credentials so far, which no log line may hold;
    - `recent_writes`: what it wrote in the last 30 s, since reads may lag behind;
    - open connections to the cloud, made by the first run that needs one.

    (Python also keeps imported modules, and `documents.validation` compiled schemas.) Settings,
    credentials, deadlines and clients belong to a single run.

    `uniform` returns random numbers from 0 to 1, for the delays between retries.
    """

    def __init__(self, clock: Clock, uniform: Callable[[], float]) -> None:
        self.clock = clock
        self.uniform = uniform
        self.rate_limiters: dict[tuple[str, str], RateLimiter] = {}
        self.known_secrets: set[str] = set()
        self.recent_writes = RecentWrites(clock)
        self.runs = 0
        self._connections: Connections | None = None

    def session(self, end_by: Deadline) -> Session:
        """A session for one run, over the open connections; from now on the SDKs log nothing."""
        if self._connections is None:
            with warnings.catch_warnings():
                # The bundle leaves out these libraries; responses without a charset are UTF-8.
                warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
                load(".cloud.transport:silence_loggers")()
            self._connections = load(".cloud.transport:Connections")()
        session: Session = load(".cloud.transport:Session")(self._connections, end_by)
        return session


@dataclass(eq=False, repr=False)
class Cloud:
    """The API clients of one run, each made when it is first needed."""

    instance: Instance
    settings: Settings
    environ: Mapping[str, str]
    deadlines: RunDeadlines
    calls: list[str]
    """As in `Api`."""

    @cached_property
    def api(self) -> Api:
        """The client for CVM and Tag.

        Raises:
            InvalidSetting: the environment has no valid credentials.
        """
        credentials, session = self._credentials, self._session()
        limiters, start_by = self.instance.rate_limiters, self.deadlines.start_by
        new = load(".cloud.api:Api")
        api: Api = new(self.settings, session, limiters, credentials, start_by, self.calls)
        return api

    @cached_property
    def objects(self) -> Objects:
        """The client for COS. Raises as `api`."""
        credentials, session = self._credentials, self._session()
        objects: Objects = load(".cloud.objects:Objects")(self.settings, session, credentials)
        return objects

    def _session(self) -> Session:
        return self.instance.session(self.deadlines.end_by)

    @cached_property
    def _credentials(self) -> RunCredentials:
        return RunCredentials(partial(Credentials.from_environ, self.environ))
