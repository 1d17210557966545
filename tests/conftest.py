"""Shared by the tests: the function, run in this process against the emulated cloud."""

from __future__ import annotations

import copy
import io
import json
import os
import sys
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import settings

from clocks import FakeClock
from image_steward.clock import Clock
from image_steward.cloud import image_api, transport
from image_steward.errors import Unfinished
from image_steward.instance import Instance
from image_steward.invocation import handle
from roles import role_of, session_of
from scf_local import exports
from scf_local.cloud import seed
from scf_local.cloud.actions import ApiCall, EmulatedAction
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

ROOT = Path(__file__).parent.parent
SEED = ROOT / "events" / "seed"
RUN_POLICY = (ROOT / "deploy" / "policy.json").read_text(encoding="utf-8")
RUN_KEYS = AccountCredentials(
    "AKIDRUNROLE0000000000", "RUNROLEKEY00000000000", "RUNROLEEXAMPLETOKEN"
)
SECRETS = (
    *astuple(AccountCredentials()),
    *astuple(RUN_KEYS),
    "q-signature",
    "TC3-HMAC-SHA256 Cred",
)

ACTIONS = [each for each in vars(image_api).values() if isinstance(each, image_api.Action)]
"""All actions of the API that the function calls."""

_COVERING = ("unit", "function")
"""The folders whose tests must reach all of handler/."""
_SLOW = ("test_bounds.py", "test_hostile_wire.py", "test_simulation.py")
"""Files in them that need not."""

transport.silence_loggers()  # some tests use the SDKs without the function

# The first example may import an SDK, which takes longer than the deadline of hypothesis.
settings.register_profile("steady", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.register_profile("brief", deadline=None, max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_configure(config: pytest.Config) -> None:
    """Ignore what Python 3.10 says of TLS connections that the client has ended; 3.11 does not."""
    if sys.version_info < (3, 11):
        ended = "ignore:unclosed transport <asyncio.sslproto:ResourceWarning"
        config.addinivalue_line("filterwarnings", ended)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Measure coverage only with the tests that must reach all of handler/: it takes much time.

    Generated examples do not count, so that no line is tested by chance. The longest file comes
    first, so that no worker waits for it in the end.
    """
    for item in items:
        is_generated = getattr(item.obj, "is_hypothesis_test", False)
        if is_generated or item.path.name in _SLOW or item.path.parent.name not in _COVERING:
            item.add_marker("no_cover")
    items.sort(key=lambda item: item.path.name != "test_simulation.py")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let no tracer slow down a test that is excluded from coverage.

    In a process of xdist there are two, and pytest-cov, when it stops its own, starts the other.
    """
    trace = sys.gettrace()
    if item.get_closest_marker("no_cover"):
        sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(trace)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that prints or logs a secret, at any level."""
    report = yield
    printed = "".join(content for _, content in report.sections)
    if any(secret in printed for secret in SECRETS):
        report.outcome = "failed"
        report.longrepr = "a secret was printed"
    return report


@dataclass
class Function:
    """The function on an emulated cloud, over https; only sleeping moves its clock.

    It has the keys of the run role: what it does needs no other rights than deploy/policy.json.
    `lines` is the log of the last run; its lines `run.started` are in `started`.
    """

    cloud: EmulatedCloud
    clock: Clock = field(default_factory=FakeClock)
    lines: list[dict[str, Any]] = field(default_factory=list)
    started: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.instance = Instance(self.clock, lambda: 0.0)
        keys = session_of(self.cloud.state, role_of(RUN_POLICY), RUN_KEYS)
        self.environ = {**self.cloud.network(), **keys.scf_variables()}

    def use_account(self) -> None:
        """Use the account's keys, for what the run role may not do."""
        self.environ = self.cloud.environment()

    def __call__(
        self, event: object, *, seconds: float = 20, region: str = "ap-guangzhou", **environ: str
    ) -> dict[str, Any]:
        """Run the function, with retries that do not wait, and return its result."""
        context = {
            "request_id": "r-1",
            "time_limit_in_ms": seconds * 1000,
            "tencentcloud_region": region,
        }
        stream = io.StringIO()
        try:
            if self.instance.clock is not self.clock:  # a test has replaced it
                self.instance = Instance(self.clock, lambda: 0.0)
            # For each request, the HTTP layer looks at all variables there are.
            with patch.dict(os.environ, self.cloud.network(), clear=True):
                result = handle(self.instance, event, context, {**self.environ, **environ}, stream)
        finally:
            text = stream.getvalue()
            lines = [json.loads(line) for line in text.splitlines()]
            self.lines = [line for line in lines if line["Event"] != "run.started"]
            self.started = [line for line in lines if line["Event"] == "run.started"]
        assert not any(secret in text + json.dumps(result) for secret in SECRETS)
        return result

    def until_done(self, event: object, *, seconds: float) -> tuple[int, dict[str, Any]]:
        """Deliver an event until a run does not raise; return how often one did, and the result."""
        raised = 0
        while True:
            with suppress(Unfinished):
                return raised, self(event, seconds=seconds)
            raised += 1

    def put(self, key: str, content: object, bucket: str = "manifests-1250000000") -> None:
        """Store an object; anything but bytes is stored as JSON."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.cloud.state.objects.setdefault(bucket, {})[key] = seed.Object(data)

    def uploaded(self, content: object, key: str = "requests/x.json") -> dict[str, Any]:
        """Store a document, and return the event that COS sends for it."""
        self.put(key, content)
        return cos_event(key)

    def hold(self, *images: dict[str, Any], region: str = "ap-guangzhou") -> None:
        """Replace the images of a region; they may be sparse, as in a seed."""
        with self.cloud.state.lock:
            self.cloud.state.images |= seed.complete({region: list(images)})

    @property
    def images(self) -> dict[str, list[dict[str, Any]]]:
        """A copy of all images of the cloud, by region."""
        with self.cloud.state.lock:
            return copy.deepcopy(self.cloud.state.images)

    def names(self, region: str = "ap-guangzhou") -> dict[str, str]:
        """Return the names of a region's images by id."""
        with self.cloud.state.lock:
            return {i["ImageId"]: i["ImageName"] for i in self.cloud.state.images[region]}

    def image(self, image_id: str, region: str = "ap-guangzhou") -> dict[str, Any]:
        """Return a copy of an image of the cloud."""
        return self.cloud.state.image(region, image_id)

    def calls(self, *actions: str) -> list[dict[str, Any]]:
        """Return the calls to the cloud, of some actions or of all."""
        with self.cloud.state.lock:
            calls = self.cloud.state.calls
            return [dict(call) for call in calls if not actions or call["Action"] in actions]

    @property
    def writes(self) -> int:
        """The number of calls of actions that change something."""
        return len(self.calls("ModifyImageAttribute", "TagResources", "UnTagResources"))


def called(
    action: EmulatedAction,
    state: State,
    region: str,
    params: Any,  # noqa: ANN401 - any JSON
) -> dict[str, Any]:
    """Call an action of the emulated cloud without HTTP, and return its reply."""
    reply = action(ApiCall(state, region, params, 0.0))
    assert isinstance(reply, dict)
    return reply


def cos_event(key: str, *, event_name: str = "cos:ObjectCreated:Put") -> dict[str, Any]:
    """Return a COS event of the newer shape, with the uploader's signature, which is a secret."""
    return {
        "Records": [
            {
                "cos": {
                    "cosBucket": {
                        "appid": "1250000000", "cosRegion": "ap-guangzhou", "name": "manifests",
                        "region": "gz", "s3Region": "ap-guangzhou",
                    },
                    "cosObject": {"key": f"/1250000000/manifests/{key}", "size": 1, "url": ""},
                },
                "event": {
                    "eventName": event_name,
                    "requestParameters": {
                        "requestHeaders": {"Authorization": "q-sign-algorithm=sha1&q-signature=f"}
                    },
                },
            }
        ]
    }  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def _settings_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes to the developer's own folder of settings."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(autouse=True)
def _known_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in this process use credentials that are found if they are printed."""
    known = SimpleNamespace(random=AccountCredentials)
    monkeypatch.setattr("scf_local.options.AccountCredentials", known)


@pytest.fixture(autouse=True)
def _fresh_opener(monkeypatch: pytest.MonkeyPatch) -> None:
    """`urlopen` does not keep the proxy of an earlier test."""
    monkeypatch.setattr("urllib.request._opener", None)


@pytest.fixture(autouse=True)
def _columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables have their default width, whatever runs the tests."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def cloud() -> Iterator[EmulatedCloud]:
    """An emulated cloud with the project's seed, without rate limits; `--endpoint` knows it."""
    with (
        EmulatedCloud(State.from_folder(SEED), limits=False) as cloud,
        exports.kept(cloud.environment()),
    ):
        yield cloud


@pytest.fixture
def function(cloud: EmulatedCloud) -> Function:
    """The function on that cloud."""
    return Function(cloud)
