"""Whole runs of the function on an account in memory, with a virtual clock and bad luck.

The function, the official SDKs and the emulated cloud are the real ones; only sockets and time are
not. A `World` is one account. It loses replies, fails calls, shows reads late, shifts pages, lets
other people change images, lets a second instance run in the middle of a call, and kills the
process at any call. `World.history` is the truth that all claims are compared with.
"""

from __future__ import annotations

import copy
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3

from clocks import FakeClock
from image_steward.instance import Instance
from image_steward.invocation import handle
from scf_local import events
from scf_local.cloud import seed
from scf_local.cloud.dispatcher import Dispatcher
from scf_local.cloud.state import State
from scf_local.cloud.wire import Reply, Request
from scf_local.credentials import AccountCredentials

BUCKET = "manifests-1250000000"
JOURNAL = f"{BUCKET}/journal/"
ATTRIBUTES = ("ImageName", "ImageDescription", "ImageFamily", "ImageDeprecated")
WRITES = {"ModifyImageAttribute", "TagResources", "UnTagResources"}

ImageKey = tuple[str, str]
Images = dict[str, list[dict[str, Any]]]
"""By region, as DescribeImages has them."""


class Crash(BaseException):
    """The process was killed."""


@dataclass(frozen=True)
class Luck:
    """Probabilities, for each call, of what goes wrong."""

    throttled: float = 0.0
    failed: float = 0.0
    """InternalError, and nothing is done."""
    failed_after: float = 0.0
    """InternalError, although it is done."""
    lost: float = 0.0
    """No reply, and nothing is done."""
    lost_after: float = 0.0
    """No reply, although it is done."""
    crash: float = 0.0
    foreign: float = 0.0
    """Somebody else changes an image."""
    second: float = 0.0
    """Another instance handles an event."""
    expired: float = 0.0
    """The credentials expire, until the next delivery."""
    lag: float = 0.0
    """Seconds by which reads may be late."""
    shift: float = 0.0
    """Pages have three images, and before a page the images are in another order."""


@dataclass(frozen=True)
class Change:
    """One value of an image, as it became at a time."""

    moment: float
    writer: str
    """The run (or "", somebody else) that wrote it."""
    values: dict[str, object]
    """Attributes, and tags as `Tag.<key>`; None is a tag that is not there."""


def values_of(entry: dict[str, Any]) -> dict[str, object]:
    """The attributes and tags of an image as DescribeImages has it."""
    tags = {f"Tag.{key}": value for key, value in seed.tags_of(entry).items()}
    return {**{name: entry[name] for name in ATTRIBUTES}, **tags}


class World:
    """One account, and what happens to it."""

    def __init__(self, random: Random, luck: Luck, images: Images) -> None:
        self.random = random
        self.luck = luck
        self.clock = FakeClock()
        # Two images of one name are no seed, yet there are such accounts.
        names = [entry["ImageName"] for each in images.values() for entry in each]
        sparse = {
            r: [{**e, "ImageName": f"{r}-{i}"} for i, e in enumerate(images[r])] for r in images
        }
        self.cloud = Dispatcher(State(sparse, {BUCKET: {}}), limits=False)
        entries = [entry for each in self.cloud.state.images.values() for entry in each]
        for entry, name in zip(entries, names, strict=True):
            entry["ImageName"] = name
        self.history: dict[ImageKey, list[tuple[float, dict[str, Any]]]] = defaultdict(list)
        self.changes: dict[ImageKey, list[Change]] = defaultdict(list)
        self.runs = 0
        self.running: list[str] = []
        self.accepted = self.expired = False
        """The credentials, which expire only once they were accepted: others are never good."""
        self.crash_in: int | None = None
        """The process is killed after so many more calls."""
        self.others: list[object] = []
        """Events that a second instance may be given."""
        self.begin()

    def begin(self) -> None:
        """What was changed before does not count from now on."""
        self.note("")
        self.clock.now += 60
        self.changes.clear()
        self.initial = self.values()

    @property
    def has_duplicates(self) -> bool:
        """Whether two images of a region had one name when it began."""
        names = [(region, values["ImageName"]) for (region, _), values in self.initial.items()]
        return len(names) != len(set(names))

    def all_ready(self) -> None:
        """The states of images that time changes are over."""
        for entries in self.cloud.state.images.values():
            for entry in entries:
                if entry["ImageState"] == "SYNCING":
                    entry["ImageState"] = "NORMAL"
        self.note("")

    def values(self) -> dict[ImageKey, dict[str, object]]:
        """Every image's attributes and tags as they are."""
        return {
            (region, entry["ImageId"]): values_of(entry)
            for region, entries in self.cloud.state.images.items()
            for entry in entries
        }

    def note(self, writer: str) -> None:
        """Keep what has changed since the last note."""
        for region, entries in self.cloud.state.images.items():
            for entry in entries:
                key = (region, entry["ImageId"])
                known = self.history[key]
                if known and known[-1][1] == entry:
                    continue
                if known:
                    old, new = values_of(known[-1][1]), values_of(entry)
                    changed = {n: new.get(n) for n in old.keys() | new if old.get(n) != new.get(n)}
                    self.changes[key].append(Change(self.clock.now, writer, changed))
                known.append((self.clock.now, copy.deepcopy(entry)))

    # ---- runs

    def run(self, event: object, instance: Instance | None = None, **environ: str) -> Run:
        """One delivery of an event."""
        self.runs += 1
        run = Run(f"run-{self.runs}")
        self.running.append(run.request_id)
        stream = io.StringIO()
        context = {
            "request_id": run.request_id,
            "time_limit_in_ms": 900_000,
            "tencentcloud_region": "ap-guangzhou",
        }
        self.accepted = self.expired = False
        keys = AccountCredentials()
        variables = {
            "TENCENTCLOUD_SECRETID": keys.secret_id,
            "TENCENTCLOUD_SECRETKEY": keys.secret_key,
            "TENCENTCLOUD_SESSIONTOKEN": keys.token,
            "STEWARD_JOURNAL": JOURNAL,
            **environ,
        }
        try:
            run.result = handle(instance or self.instance(), event, context, variables, stream)
        except Exception as error:  # noqa: BLE001 - judged by the test
            run.error = error
        except Crash:
            run.crashed = True
        finally:
            self.running.pop()
        run.ended = self.clock.now
        run.lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        self.clock.now += self.random.choice([0.0, 0.0, 3.0, 60.0])
        return run

    def instance(self) -> Instance:
        """A new instance of the function."""
        instance = Instance(self.clock, self.random.random)
        instance._connections = SimulatedConnections(self)  # type: ignore[assignment]  # noqa: SLF001 - the seam
        return instance

    def event_of(self, document: object, trigger: str) -> object:
        """An event that brings a document."""
        if trigger == "direct":
            return document
        text, key = json.dumps(document), f"requests/{self.runs}.json"
        if trigger == "timer":
            return events.timer_event(text)
        self.cloud.state.objects[BUCKET][key] = seed.Object(text.encode())
        if trigger == "pointer":
            return {"Document": f"cos://{BUCKET}/{key}"}
        return events.cos_event(BUCKET, key, clock=self.clock.time)

    # ---- calls

    def request(self, request: Request) -> Reply:
        """What the function gets for a request."""
        action = request.headers.get("x-tc-action", "")
        self.clock.now += 0.05
        self._meanwhile()
        if reply := self._mishap_before(action):
            return reply
        with self._as_read(action):
            reply = self.cloud.dispatch(request)
        if self.luck.shift and b'"Offset"' in request.body:
            reply = _cut(reply)
        self.note(self.running[-1])
        self.accepted = True
        return self._mishap_after(action) or reply

    def _mishap_before(self, action: str) -> Reply | None:
        luck, chance = self.luck, self.random.random
        if chance() < luck.crash:
            raise Crash
        self.expired |= chance() < luck.expired and self.accepted
        if self.expired and action:
            return _api_error("AuthFailure.TokenFailure")
        if chance() < luck.throttled and action:
            return _api_error("RequestLimitExceeded")
        if chance() < luck.failed and action:
            return _api_error("InternalError")
        if chance() < luck.lost:
            raise requests.ConnectionError("lost")
        if chance() < luck.shift:
            for entries in self.cloud.state.images.values():
                self.random.shuffle(entries)
        return None

    def _mishap_after(self, action: str) -> Reply | None:
        luck, chance = self.luck, self.random.random
        if self.crash_in is not None:
            self.crash_in -= 1
        if chance() < luck.crash or self.crash_in == 0:
            raise Crash
        if chance() < luck.lost_after:
            raise requests.ConnectionError("lost")
        is_hidden = chance() < luck.failed_after and action in WRITES
        return _api_error("InternalError") if is_hidden else None

    def _meanwhile(self) -> None:
        """What others do between two calls."""
        if self.random.random() < self.luck.foreign:
            self.interfere()
        if self.others and len(self.running) == 1 and self.random.random() < self.luck.second:
            event = self.random.choice(self.others)
            luck, self.luck = self.luck, Luck()
            try:
                self.run(event)
            finally:
                self.luck = luck

    def interfere(self) -> None:
        """Somebody else changes an image."""
        entries = [entry for each in self.cloud.state.images.values() for entry in each]
        entry = self.random.choice(entries)
        match self.random.choice([*ATTRIBUTES, "Tags", "Tags"]):
            case "Tags":
                tags = seed.tags_of(entry)
                value = self.random.choice(["1", "foreign", None])
                changed = {**tags, self.random.choice("abc"): value}
                seed.set_tags(entry, {k: v for k, v in changed.items() if v is not None})
            case "ImageDeprecated":
                entry["ImageDeprecated"] = not entry["ImageDeprecated"]
            case attribute:
                entry[attribute] = f"foreign-{self.random.randrange(10**6)}"
        self.note("")

    @contextmanager
    def _as_read(self, action: str) -> Iterator[None]:
        """The images as a read shows them: each as it was up to `lag` seconds ago."""
        if action != "DescribeImages" or not self.luck.lag:
            yield
            return
        images = self.cloud.state.images
        self.cloud.state.images = {
            region: [self._late((region, entry["ImageId"])) for entry in entries]
            for region, entries in images.items()
        }
        try:
            yield
        finally:
            self.cloud.state.images = images

    def _late(self, key: ImageKey) -> dict[str, Any]:
        moment = self.clock.now - self.random.uniform(0, self.luck.lag)
        seen = [known for since, known in self.history[key] if since <= moment]
        return seen[-1] if seen else self.history[key][0][1]


@dataclass
class Run:
    """What one delivery said and did."""

    request_id: str
    result: dict[str, Any] | None = None
    error: BaseException | None = None
    crashed: bool = False
    ended: float = 0.0
    lines: list[dict[str, Any]] = field(default_factory=list)


class SimulatedConnections(requests.adapters.BaseAdapter):
    """Stands for the sockets: each request of a session goes to a world."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def send(self, request: Any, *_args: Any, **_options: Any) -> requests.Response:  # noqa: ANN401 - passed on
        """As `requests.adapters.HTTPAdapter.send`."""
        parts = urlsplit(request.url)
        headers = {
            name.lower(): text.decode("latin-1") if isinstance(text, bytes) else text
            for name, text in request.headers.items()
        }
        body = request.body or b""
        reply = self._world.request(
            Request(
                request.method,
                unquote(parts.path),
                parts.query,
                {"host": parts.netloc, **headers},
                body.encode() if isinstance(body, str) else body,
            )
        )
        response = requests.Response()
        response.status_code = reply.status
        response.headers = requests.structures.CaseInsensitiveDict(reply.headers)
        response.headers["Content-Length"] = str(len(reply.body))
        response.raw = urllib3.HTTPResponse(
            io.BytesIO(reply.body), response.headers, reply.status, preload_content=False
        )
        response.url = request.url
        response.request = request
        return response

    def close(self) -> None:
        """Nothing is open."""


def _cut(reply: Reply) -> Reply:
    """The first three images of a page."""
    body = json.loads(reply.body)
    if images := body["Response"].get("ImageSet"):
        body["Response"]["ImageSet"] = images[:3]
    return replace(reply, body=json.dumps(body).encode())


def _api_error(code: str) -> Reply:
    body = {"Response": {"Error": {"Code": code, "Message": "simulated"}, "RequestId": "r"}}
    return Reply(200, {"Content-Type": "application/json"}, json.dumps(body).encode())
