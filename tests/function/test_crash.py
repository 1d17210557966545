"""A process is killed after any of its calls, and the next delivery finishes its work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from conftest import SEED, Function
from packer import build, manifest
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scf_local.cloud.wire import Call, Reply

STEPS = 20
IDS = [f"img-step{i:04}" for i in range(STEPS)]
EVENT = {
    "Images": [
        {"ImageId": i, "ImageName": f"new-{i}", "Tags": [{"Key": "k", "Value": "v"}]} for i in IDS
    ]
}
CALLS = 2 + STEPS + -(-STEPS // 9)
"""Two reads, a write for each image, a tag call for every nine."""

SLOTS = [f"img-slot{i:04}" for i in range(12)]
NAMES = {i: f"slot-{n}" for n, i in enumerate(SLOTS)}
_NEXT = [1, 2, 3, 4, 0, 6, 7, 5, 9, 10, 11, 12]
"""A cycle of five, one of three, and a chain of four whose last name is free."""
WANTED = {i: f"slot-{n}" for i, n in zip(SLOTS, _NEXT, strict=True)}
RENAMES = 12 + 2
"""A write for each image, and one more for each cycle."""
BY_REQUEST = {"Images": [{"ImageId": i, "ImageName": name} for i, name in WANTED.items()]}
BY_POLICY = {"Normalise": {"Select": {"ImageName": "slot-*"}, "ImageName": "{Tag.slot}"}}
READS = {"request": 2, "policy": 1}

RAW = [f"img-raw{i:05}" for i in range(3)]
SELECTS = {
    "by name": {"Select": {"ImageName": "raw-*"}, "Tags": [{"Key": "owner", "Value": "infra"}]},
    "by tag": {
        "Select": {"Tags": [{"Key": "state", "Value": "raw"}]},
        "Tags": [{"Key": "state", "Value": "named"}],
    },
}
"""Policies that no longer select images that they have renamed, or tagged."""

PROGRAM = """
import json, os, random, sys
import image_steward.cloud.api, image_steward.cloud.objects
from clocks import FakeClock
from image_steward.instance import Instance
from image_steward.invocation import handle
context = {"tencentcloud_region": "ap-guangzhou", "time_limit_in_ms": 900_000}
for line in iter(sys.stdin.readline, ""):
    event, environ = json.loads(line)
    pid = os.fork()
    if not pid:
        sys.stdin.readline()
        os.environ.update(environ)
        instance = Instance(FakeClock(), random.random)
        handle(instance, event, context, environ, open(os.devnull, "w"))
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""For each event, forks a process that waits for a line before it runs the function.

It forks, since importing the SDKs takes longer than the run.
"""


@pytest.fixture(scope="module")
def forks() -> Iterator[subprocess.Popen[str]]:
    """The process that forks."""
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("last", range(1, CALLS + 1))
def test_killed_after_call(last: int, forks: subprocess.Popen[str]) -> None:
    """After a kill at any call, the next delivery does the rest, and repeats nothing."""
    state = State.from_folder(SEED)
    model = state.image("ap-guangzhou", "img-6pb6lrmy")
    state.images["ap-guangzhou"] += [
        {**model, "ImageId": i, "ImageName": i, "Tags": []} for i in IDS
    ]
    with EmulatedCloud(state, limits=False) as cloud:
        function = Function(cloud)
        kill_after(last, EVENT, function, forks)
        before = {i: state.image("ap-guangzhou", i) for i in IDS}
        result = function(EVENT)
    assert result["Outcome"] == "applied"
    assert all(is_done(state.image("ap-guangzhou", i), i) for i in IDS)
    # Calls in progress when the process died may still have been applied since.
    for image in result["Images"]:
        assert image["After"].items() <= missing(before[image["ImageId"]], image["ImageId"]).items()


@pytest.mark.parametrize(
    ("kind", "last"),
    [(kind, last) for kind, reads in READS.items() for last in range(1, reads + RENAMES + 1)],
)
def test_killed_in_cycles(kind: str, last: int, forks: subprocess.Popen[str]) -> None:
    """After a kill during rename cycles, the next delivery finishes them all."""
    event = BY_REQUEST if kind == "request" else BY_POLICY
    state = State(
        {
            "ap-guangzhou": [
                {"ImageId": i, "ImageName": name, "Tags": [{"Key": "slot", "Value": WANTED[i]}]}
                for i, name in NAMES.items()
            ]
        }
    )
    with EmulatedCloud(state, limits=False) as cloud:
        function = Function(cloud)
        kill_after(last, event, function, forks)
        result = function(event)
        again = function(event)
    assert result["Outcome"] == "applied"
    assert again["Summary"]["Unchanged"] == len(SLOTS)
    assert function.names() == WANTED
    outcomes = [call["Outcome"] for call in function.calls("ModifyImageAttribute")]
    # Calls in progress when the process died may have been applied late, so twice.
    assert RENAMES <= len(outcomes) <= RENAMES + 3
    assert set(outcomes) == {"ok"}


@pytest.mark.parametrize("last", range(1, 1 + 1 + len(RAW) + 1))
@pytest.mark.parametrize("select", SELECTS)
def test_killed_between_name_and_tag(select: str, last: int, forks: subprocess.Popen[str]) -> None:
    """After a kill with an image half done, the policy still selects it, and does the rest."""
    event = {"Normalise": {"ImageName": "web-{ImageId}", **SELECTS[select]}}
    raw = [{"Key": "state", "Value": "raw"}]
    state = State(
        {
            "ap-guangzhou": [
                {"ImageId": i, "ImageName": f"raw-{n}", "Tags": raw} for n, i in enumerate(RAW)
            ]
        }
    )
    with EmulatedCloud(state, limits=False) as cloud:
        function = Function(cloud)
        kill_after(last, event, function, forks)
        assert function(event)["Outcome"] == "applied"
    assert function.names() == {i: f"web-{i}" for i in RAW}
    for image in function.images["ap-guangzhou"]:
        assert ("raw" in json.dumps(image["Tags"])) == (select == "by name")
        assert ("infra" in json.dumps(image["Tags"])) == (select == "by name")


@pytest.mark.parametrize("last", range(1, 1 + 3 + 2 + 1))
def test_killed_while_tags_are_copied(last: int, forks: subprocess.Popen[str]) -> None:
    """After a kill at any call, the next delivery copies the tags that are missing."""
    tags = {f"k{n}": f"v{n}" for n in range(12)}
    bound = [{"Key": key, "Value": value} for key, value in tags.items()]
    data = {"CopyTags": "true", "ImageDescription": "{Tag.k0}", "Tag.k11": "{Tag.k11|none}"}
    event = manifest(build(data, artifact_id=",".join(f"ap-guangzhou:{i}" for i in RAW)))
    times = ("2026-11-24T00:02:00Z", "2026-11-24T00:01:00Z", "2026-11-24T00:03:00Z")
    images = [
        {"ImageId": i, "ImageName": i, "CreatedTime": time, "Tags": bound if i == RAW[1] else []}
        for i, time in zip(RAW, times, strict=True)
    ]
    with EmulatedCloud(State({"ap-guangzhou": images}), limits=False) as cloud:
        function = Function(cloud)
        kill_after(last, event, function, forks)
        assert function(event)["Outcome"] == "applied"
        assert function(event)["Summary"]["Unchanged"] == len(RAW)
    for image in function.images["ap-guangzhou"]:
        assert image["ImageDescription"] == "v0"
        assert {tag["Key"]: tag["Value"] for tag in image["Tags"]} == tags


def kill_after(
    last: int, event: dict[str, Any], function: Function, forks: subprocess.Popen[str]
) -> None:
    """Let a new process run an event, and kill it before it gets the response to its last call."""
    assert forks.stdin
    assert forks.stdout
    forks.stdin.write(json.dumps([event, function.environ]) + "\n")
    forks.stdin.flush()
    pid = int(forks.stdout.readline())

    def kill(_call: Call, reply: Reply) -> Reply:
        if len(function.cloud.state.calls) == last:
            with suppress(ProcessLookupError):  # killed by another call's reply
                os.kill(pid, signal.SIGKILL)
        return reply

    function.cloud.on_reply = kill
    forks.stdin.write("\n")
    forks.stdin.flush()
    assert int(forks.stdout.readline()) == -signal.SIGKILL
    function.cloud.on_reply = lambda _call, reply: reply


def is_done(image: dict[str, Any], image_id: str) -> bool:
    """Return whether an image is in the desired state."""
    return not missing(image, image_id)


def missing(image: dict[str, Any], image_id: str) -> dict[str, Any]:
    """Return what an image lacks, in the form of `After` in a result."""
    tags = {tag["Key"]: tag["Value"] for tag in image["Tags"]}
    name = {} if image["ImageName"] == f"new-{image_id}" else {"ImageName": f"new-{image_id}"}
    return {**name, **({} if tags == {"k": "v"} else {"Tags": [{"Key": "k", "Value": "v"}]})}
