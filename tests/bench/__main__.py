"""`make bench`: measures every promise in one run, and fails if one is broken."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import page
import promises
from harness.cloud.server import EmulatedCloud
from harness.cloud.state import State
from image_steward import policies
from image_steward.images import Image
from image_steward.normalising import normalise
from image_steward.run import handle
from starts import memory, starts

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10  # of ModifyImageAttribute, per second
LATENCY = 0.08


def seeded(regions: tuple[str, ...], number: int) -> tuple[State, dict[str, Any]]:
    """A cloud of so many images in each region, and a request to rename them all."""
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


def run(cloud: EmulatedCloud, endpoint: str, event: dict[str, Any]) -> dict[str, Any]:
    """One run of the function in real time."""
    environ = {**cloud.environment(), "STEWARD_API_ENDPOINT": endpoint}
    context = {"time_limit_in_ms": 900_000, "tencentcloud_region": "ap-guangzhou"}
    return handle(event, context, environ, stream=io.StringIO())


def share(state: State, region: str) -> float:
    """The share of the limit that the writes of a region reached, from the first to the last."""
    times: list[float] = [
        call["Time"]
        for call in state.calls
        if call["Action"] == "ModifyImageAttribute"
        and call["Region"] == region
        and call["Outcome"] == "ok"
    ]
    return (len(times) - 1) / (times[-1] - times[0]) / LIMIT


def throttles(state: State) -> int:
    """How many calls were refused as too fast."""
    return sum(call["Outcome"].startswith("RequestLimitExceeded") for call in state.calls)


def alone() -> Iterator[tuple[promises.Promise, float]]:
    """120 changes in one region."""
    state, event = seeded(("ap-guangzhou",), 120)
    with EmulatedCloud(state, latency=LATENCY) as cloud:
        run(cloud, cloud.url, event)
    yield promises.ALONE, share(state, "ap-guangzhou")
    yield promises.ALONE_THROTTLES, throttles(state)


def three_regions() -> Iterator[tuple[promises.Promise, float]]:
    """The same in three regions at once, each at an endpoint of its own."""
    regions = ("ap-guangzhou", "ap-shanghai", "ap-beijing")
    state, event = seeded(regions, 120)
    with EmulatedCloud(state, latency=LATENCY) as cloud, local_names():
        run(cloud, cloud.url.replace("127.0.0.1", "{region}.localhost"), event)
    yield promises.THREE_REGIONS, min(share(state, region) for region in regions)


def neighbour() -> Iterator[tuple[promises.Promise, float]]:
    """Beside somebody of the same account who makes five calls a second, whatever happens."""
    state, event = seeded(("ap-guangzhou",), 120)
    with EmulatedCloud(state, latency=LATENCY) as cloud:
        stop = threading.Event()
        rates = cloud._rates  # noqa: SLF001 - the neighbour takes room, not replies

        def takes() -> None:
            while not stop.wait(2 / LIMIT):
                with state.lock:
                    rates.admits(("ModifyImageAttribute", "ap-guangzhou"), LIMIT, time.time())

        thread = threading.Thread(target=takes)
        thread.start()
        result = run(cloud, cloud.url, event)
        stop.set()
        thread.join()
    yield promises.NEIGHBOUR, share(state, "ap-guangzhou")
    yield promises.NEIGHBOUR_LOST, 120 - result["Summary"]["Changed"]


def calls() -> Iterator[tuple[promises.Promise, float]]:
    """A thousand images that are as wanted already."""
    state, event = seeded(("ap-guangzhou",), 1000)
    for image in state.images["ap-guangzhou"]:
        image["ImageName"] = f"new-{image['ImageId']}"
    with EmulatedCloud(state) as cloud:
        run(cloud, cloud.url, event)
    yield promises.CALLS_PER_THOUSAND, len(state.calls)


POLICY = {
    "Select": {"Tags": [{"Key": "team"}]},
    "ImageName": "{ImageFamily}-{OsName}-{CreatedTime:%Y%m%d}",
    "Style": {"Case": "lower"},
    "ImageDescription": "{ImageName} by {Tag.source|unknown}",
    "Tags": [{"Key": "source", "Value": "{Tag.pipeline|unknown}"}],
    "KeepLatest": 3,
}


def planning() -> Iterator[tuple[promises.Promise, float]]:
    """A policy that reads what it writes, over ten thousand images and over ten times as many."""
    policy = policies.read(POLICY, region="ap-guangzhou")
    seconds = []
    for number in (10_000, 100_000):
        images = [made_up(i) for i in range(number)]
        start = time.perf_counter()
        steps = normalise(policy, "ap-guangzhou", images, time.time())
        seconds.append(time.perf_counter() - start)
        if any(step.is_empty for step in steps):
            raise AssertionError("every image was to be changed")
    yield promises.PLANNING, seconds[1]
    yield promises.PLANNING_GROWTH, seconds[1] / seconds[0]


def made_up(number: int) -> Image:
    """One of many images: fifty families, so that names clash by the thousand."""
    day = f"{1 + number % 12:02}-{1 + number % 28:02}"
    return Image.from_api(
        {
            "ImageId": f"img-{number:08}",
            "ImageName": f"build {number}",
            "ImageFamily": f"family{number % 50}",
            "OsName": "TencentOS",
            "ImageType": "PRIVATE_IMAGE",
            "ImageState": "NORMAL",
            "CreatedTime": f"2026-{day}T00:00:{number % 60:02}Z",
            "Tags": [{"Key": "team", "Value": "infra"}],
        }
    )


def invoking() -> Iterator[tuple[promises.Promise, float]]:
    """A handler that does nothing, called by the interpreter alone and by `scf-local invoke`."""
    scf_local = Path(sys.executable).with_name("scf-local")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "index.py").write_text("def main_handler(event, context): return 1")
        Path(folder, "event.json").write_text("{}")
        bare = (sys.executable, "-c", "import index; print(index.main_handler({}, {}))")
        invoke = (
            scf_local,
            "invoke",
            "event.json",
            "--code",
            ".",
            "--endpoint",
            "http://127.0.0.1:9",
        )
        # In turns, so that a busy moment of the machine meets both.
        seconds = [[elapsed(command, folder) for command in (bare, invoke)] for _ in range(15)]
    least, most = map(min, zip(*seconds, strict=True))
    yield promises.INVOKE, most - least


def elapsed(command: tuple[str | Path, ...], folder: str) -> float:
    """How long a command takes, start and end included."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603 - our own
    return time.perf_counter() - start


def replaying() -> Iterator[tuple[promises.Promise, float]]:
    """Ten thousand events, in a process that has done nothing else: its memory is measured."""
    program = Path(__file__).with_name("replays.py")
    run = subprocess.run([sys.executable, program], capture_output=True, check=True)  # noqa: S603 - our own file
    measured = json.loads(run.stdout)
    yield promises.REPLAY, measured["rate"]
    yield promises.REPLAY_GROWTH, measured["grown_mb"]


class local_names:  # noqa: N801 - used as a statement
    """Lets `<region>.localhost` lead here: not every resolver knows RFC 6761."""

    def __enter__(self) -> None:
        self._real = socket.getaddrinfo

        def resolve(host: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on
            here = "127.0.0.1" if str(host).endswith(".localhost") else host
            return self._real(here, *args, **options)

        socket.getaddrinfo = resolve

    def __exit__(self, *_: object) -> None:
        socket.getaddrinfo = self._real


MEASURES = (
    starts,
    memory,
    invoking,
    replaying,
    planning,
    calls,
    alone,
    three_regions,
    neighbour,
)


def main() -> int:
    """Measure, print the table, write the figures to build/bench.json."""
    figures: list[tuple[promises.Promise, float]] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for measure in progress.track(MEASURES):
            figures += measure()
    table = Table("Promise", "Bound", "Measured", "Kept?")
    for row in page.rows(figures):
        table.add_row(*row)
    Console().print(table)
    out = Path(__file__).parents[2] / "build" / "bench.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({promise.name: figure for promise, figure in figures}, indent=2))
    if os.environ.get("UPDATE_DOCS"):
        page.write(figures)
    return 0 if all(promise.is_kept_by(figure) for promise, figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
