"""Measures throughput: the number of calls, and the share of the API's rate limit that is used."""

from __future__ import annotations

import importlib.util
import io
import multiprocessing
import os
import random
import socket
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import yaml

import promises
from image_steward.clock import Clock
from image_steward.instance import Instance
from image_steward.invocation import handle
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from starts import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec

_FILE = Path(__file__).parents[2] / "serverless.yml"
_INPUTS = yaml.safe_load(_FILE.read_text(encoding="utf-8"))["inputs"]
INSTANCES = _INPUTS["reservedConcurrencyMem"] // _INPUTS["memorySize"]  # that are deployed
LIMIT = 10  # calls of ModifyImageAttribute per second
LATENCY = 0.08


def seeded(regions: tuple[str, ...], number: int) -> tuple[State, dict[str, Any]]:
    """Return a state with a number of images in each region, and a request to rename them all."""
    names = {region: [f"img-b{i:07}" for i in range(number)] for region in regions}
    state = State(
        {region: [{"ImageId": i, "ImageName": i} for i in ids] for region, ids in names.items()}
    )
    images = [
        {"ImageId": i, "Region": region, "ImageName": f"new-{i}"}
        for region, ids in names.items()
        for i in ids
    ]
    return state, {"Images": images}


def run(environ: dict[str, str], event: dict[str, Any]) -> int:
    """Run the function in real time, and return the number of images that it changed."""
    context = {"time_limit_in_ms": 900_000, "tencentcloud_region": "ap-guangzhou"}
    instance = Instance(Clock(), random.random)
    result = handle(instance, event, context, environ, io.StringIO())
    return int(result["Summary"]["Changed"])


def share(state: State, region: str) -> float:
    """Return the rate of a region's writes, from the first to the last, as a share of the limit."""
    times: list[float] = [
        call["Time"]
        for call in state.calls
        if call["Action"] == "ModifyImageAttribute"
        and call["Region"] == region
        and call["Outcome"] == "ok"
    ]
    return (len(times) - 1) / (times[-1] - times[0]) / LIMIT


def throttles(state: State) -> int:
    """Return the number of throttled calls."""
    return sum(call["Outcome"].startswith("RequestLimitExceeded") for call in state.calls)


def alone() -> Iterator[tuple[promises.Promise, float]]:
    """120 changes in one region."""
    state, event = seeded(("ap-guangzhou",), 120)
    with EmulatedCloud(state, latency=LATENCY) as cloud:
        run(plain(cloud), event)
    yield promises.ALONE, share(state, "ap-guangzhou")
    yield promises.ALONE_THROTTLES, throttles(state)
    yield promises.ALONE_CALLS, len(state.calls) / naive_calls(event, "")


def naive_calls(event: dict[str, Any], prefix: str) -> int:
    """Return the number of calls that the naive handler makes for the same request."""
    ids = [image["ImageId"] for image in event["Images"]]
    state = State({"ap-guangzhou": [{"ImageId": i, "ImageName": f"{prefix}{i}"} for i in ids]})
    images = [{"ImageId": i, "ImageName": f"new-{i}"} for i in ids]
    path = Path(__file__).parent / "naive" / "index.py"
    spec = cast("ModuleSpec", importlib.util.spec_from_file_location("naive", path))
    naive = importlib.util.module_from_spec(spec)
    cast("Loader", spec.loader).exec_module(naive)
    # Without limits, since it has no rate limiter and would be throttled.
    with (
        EmulatedCloud(state, limits=False) as cloud,
        mock.patch.dict(os.environ, plain(cloud)),
    ):
        naive.main_handler({"Images": images}, {"tencentcloud_region": "ap-guangzhou"})
    return len(state.calls)


def together(instances: int, number: int) -> tuple[float, float, int]:
    """Run instances; return share of the limit, throttled calls per change, lost changes."""
    state, event = seeded(("ap-guangzhou",), instances * number)
    parts = [{"Images": event["Images"][i::instances]} for i in range(instances)]
    processes = ProcessPoolExecutor(instances, multiprocessing.get_context("spawn"))
    with EmulatedCloud(state, latency=LATENCY) as cloud, processes:
        changed = sum(processes.map(run, [plain(cloud)] * instances, parts))
    throttled = throttles(state) / (instances * number)
    return share(state, "ap-guangzhou"), throttled, instances * number - changed


def several() -> Iterator[tuple[promises.Promise, float]]:
    """As many instances as are deployed, and as many as changes are allowed per second."""
    used, throttled, lost = together(INSTANCES, 120)
    yield promises.TWO, used
    yield promises.TWO_THROTTLES, throttled
    used, throttled, also_lost = together(LIMIT, 24)
    yield promises.TEN, used
    yield promises.TEN_THROTTLES, throttled
    yield promises.LOST, lost + also_lost


def three_regions() -> Iterator[tuple[promises.Promise, float]]:
    """120 changes in each of three regions at once, each region with its own endpoint."""
    regions = ("ap-guangzhou", "ap-shanghai", "ap-beijing")
    state, event = seeded(regions, 120)
    with EmulatedCloud(state, latency=LATENCY) as cloud, local_names():
        endpoint = cloud.url.replace("127.0.0.1", "{region}.localhost")
        run({**plain(cloud), "STEWARD_API_ENDPOINT": endpoint}, event)
    yield promises.THREE_REGIONS, min(share(state, region) for region in regions)


def neighbour() -> Iterator[tuple[promises.Promise, float]]:
    """120 changes while another client of the account constantly makes five calls per second."""
    state, event = seeded(("ap-guangzhou",), 120)
    with EmulatedCloud(state, latency=LATENCY) as cloud:
        stop = threading.Event()
        rates = cloud._rates  # noqa: SLF001 - the other client only counts against the limit

        def use_limit() -> None:
            while not stop.wait(2 / LIMIT):
                with state.lock:
                    rates.try_acquire(("ModifyImageAttribute", "ap-guangzhou"), LIMIT, time.time())

        thread = threading.Thread(target=use_limit)
        thread.start()
        changed = run(plain(cloud), event)
        stop.set()
        thread.join()
    yield promises.NEIGHBOUR, share(state, "ap-guangzhou")
    yield promises.NEIGHBOUR_LOST, 120 - changed


def calls() -> Iterator[tuple[promises.Promise, float]]:
    """A thousand images that need no change."""
    state, event = seeded(("ap-guangzhou",), 1000)
    for image in state.images["ap-guangzhou"]:
        image["ImageName"] = f"new-{image['ImageId']}"
    with EmulatedCloud(state) as cloud:
        run(plain(cloud), event)
    yield promises.CALLS_PER_THOUSAND, len(state.calls)
    yield promises.CALLS_SHARE, len(state.calls) / naive_calls(event, "new-")


class local_names:  # noqa: N801 - used like a function
    """Resolves `<region>.localhost` to 127.0.0.1, which not every resolver does (RFC 6761)."""

    def __enter__(self) -> None:
        self._real = socket.getaddrinfo

        def resolve(host: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on
            target = "127.0.0.1" if str(host).endswith(".localhost") else host
            return self._real(target, *args, **options)

        socket.getaddrinfo = resolve

    def __exit__(self, *_: object) -> None:
        socket.getaddrinfo = self._real
