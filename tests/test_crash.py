"""A process that dies after any of its calls: the next delivery does what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from clocks import FakeClock
from conftest import SEED, Function
from harness.cloud.server import EmulatedCloud
from harness.cloud.state import State

if TYPE_CHECKING:
    from harness.cloud.wire import Call, Reply

STEPS = 40
IDS = [f"img-step{i:04}" for i in range(STEPS)]
EVENT = {
    "Images": [
        {"ImageId": i, "ImageName": f"new-{i}", "Tags": [{"Key": "k", "Value": "v"}]} for i in IDS
    ]
}
CALLS = 1 + STEPS + -(-STEPS // 9)
"""One read, a write for each image, a tag call for every nine."""

PROGRAM = """
import json, os, sys
from clocks import FakeClock
from image_steward.run import handle
event = json.loads(sys.stdin.readline())
print("ready", flush=True)
sys.stdin.readline()
context = {"tencentcloud_region": "ap-guangzhou", "time_limit_in_ms": 900_000}
handle(event, context, os.environ, clock=FakeClock(), stream=open(os.devnull, "w"))
"""


@pytest.mark.parametrize("last", range(1, CALLS + 1))
def test_killed_after_call(last: int) -> None:
    """Killed after any of its calls and delivered again: all is as wanted, nothing done twice."""
    state = State.from_folder(SEED)
    model = state.image("ap-guangzhou", "img-6pb6lrmy")
    state.images["ap-guangzhou"] += [
        {**model, "ImageId": i, "ImageName": i, "Tags": []} for i in IDS
    ]
    with EmulatedCloud(state, limits=False) as cloud:
        function = Function(cloud, cloud.environment(), FakeClock())
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, **function.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        assert process.stdout

        def kill(_call: Call, reply: Reply) -> Reply:
            if len(state.calls) == last:
                os.kill(process.pid, signal.SIGKILL)
            return reply

        with process.stdin, process.stdout:
            process.stdin.write(json.dumps(EVENT) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ready\n"
            cloud._gateway.on_reply = kill
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.wait() == -signal.SIGKILL
        cloud._gateway.on_reply = lambda _call, reply: reply
        before = {i: state.image("ap-guangzhou", i) for i in IDS}
        result = function(EVENT)
    assert result["Outcome"] == "applied"
    assert all(holds(state.image("ap-guangzhou", i), i) for i in IDS)
    # Calls that were under way when the process died may still have been carried out since.
    for image in result["Images"]:
        assert image["After"].items() <= missing(before[image["ImageId"]], image["ImageId"]).items()


def holds(image: dict[str, Any], image_id: str) -> bool:
    """Whether an image is as wanted."""
    return not missing(image, image_id)


def missing(image: dict[str, Any], image_id: str) -> dict[str, Any]:
    """What an image lacks, as a result's `After` shows it."""
    tags = {tag["Key"]: tag["Value"] for tag in image["Tags"]}
    name = {} if image["ImageName"] == f"new-{image_id}" else {"ImageName": f"new-{image_id}"}
    return {**name, **({} if tags == {"k": "v"} else {"Tags": [{"Key": "k", "Value": "v"}]})}
