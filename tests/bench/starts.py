"""Measures cold starts, warm events and memory: the bundle and two other handlers, in turns."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import bundle
import hostile
import promises
from scf_local import events
from scf_local.cloud.seed import Object, set_tags
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.environment import FunctionConfig, process_environ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HERE = Path(__file__).parent
FOLDER = bundle.BUILD / "bench"
BUCKET, KEY, BAD = "manifests-1250000000", "requests/a.json", "requests/bad.json"
RENAME = "requests/rename.json"
JOURNAL = {"STEWARD_JOURNAL": f"{BUCKET}/journal/"}
IMAGE = {
    "ImageId": "img-6pb6lrmy",
    "ImageName": "new",
    "Tags": [{"Key": "team", "Value": "infra"}],
}
TYPED = ("tencentcloud-sdk-python-cvm", "tencentcloud-sdk-python-tag")
"""The typed SDKs, which the naive handler uses."""
ROUNDS, MORE_ROUNDS = 20, 40
"""More where a figure is within a few percent of its bound."""
SCHEMA = "image_steward/documents/schemas/change-request.json"
WARM = 60
MB = 1024  # kB


@dataclass(frozen=True)
class Measurement:
    """The figures of a process: seconds in total, seconds of a warm run, peak memory in kB."""

    seconds: float
    warm: float
    peak: int


def naive(folder: Path) -> Path:
    """Set up the baseline, as deployed by hand: sources without bytecode, with the typed SDKs."""
    for name, source in (
        *bundle.own_packages(),
        *bundle.installed(TYPED),
    ):
        if not name.endswith(".pyc"):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    shutil.copyfile(HERE / "naive" / "index.py", folder / "index.py")
    return folder


def by_hand(function: Path, folder: Path) -> Path:
    """Set up the handler made by hand, with the same bytecode of the same packages."""
    shutil.copytree(function, folder, ignore=shutil.ignore_patterns("image_steward", "index.*"))
    shutil.copyfile(HERE / "by_hand" / "index.py", folder / "index.py")
    shutil.copyfile(function / SCHEMA, folder / "schema.json")
    bundle.compile_all(sys.executable, folder)
    return folder


def plain(cloud: EmulatedCloud) -> dict[str, str]:
    """Return the variables for plain HTTP, so that the time of TLS is not measured."""
    endpoints = {"STEWARD_API_ENDPOINT": cloud.url, "STEWARD_COS_ENDPOINT": cloud.url}
    return {**endpoints, **cloud.credentials.scf_variables()}


def run(
    folder: Path, event: object, variables: dict[str, str], outcome: str, times: int = 1
) -> Measurement:
    """Handle an event in a new process, set up as in SCF: it cannot write bytecode."""
    environ = {**process_environ(FunctionConfig(folder)), **variables}
    command = [sys.executable, "-S", str(HERE / "cold.py"), str(folder), json.dumps(event)]
    start = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own program
        [*command, str(times)], env=environ, capture_output=True, text=True, check=True
    )
    seconds = time.perf_counter() - start
    actual, warm, peak = json.loads(done.stdout)
    if actual != outcome:
        raise AssertionError(f"{folder.name}: {actual} instead of {outcome}")
    return Measurement(seconds, warm, peak)


def in_turns(
    variants: Sequence[tuple[Path, dict[str, str]]],
    event: object,
    outcome: str,
    reset: Callable[[], None],
    rounds: int = ROUNDS,
) -> list[list[Measurement]]:
    """Run variants, a folder and its variables, in turns; return a list for each round.

    `reset` is called before each run.
    """
    measured: list[list[Measurement]] = []
    for _ in range(rounds):
        measured.append([])
        for folder, variables in variants:
            reset()
            measured[-1].append(run(folder, event, variables, outcome))
    return measured


def best(measured: Sequence[Sequence[Measurement]]) -> list[Measurement]:
    """Return the best run of each variant: it has least noise."""
    return [min(column, key=lambda each: each.seconds) for column in zip(*measured, strict=True)]


def starts() -> Iterator[tuple[promises.Promise, float]]:
    """Process start to result, for the function and for the handlers it is compared with."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    zipped = bundle.assemble(bundle.own_packages(), sys.executable, FOLDER / "function.zip")
    folders = (zipped.path.with_suffix(""), naive(FOLDER / "naive"))
    yield promises.ZIP, zipped.path.stat().st_size / 1e6
    state = State({"ap-guangzhou": [IMAGE]})
    state.objects[BUCKET] = {
        KEY: Object(json.dumps(IMAGE).encode()),
        RENAME: Object(json.dumps({n: IMAGE[n] for n in ("ImageId", "ImageName")}).encode()),
        BAD: Object(b'{"ImageId": "img-1"}'),
    }
    image = state.images["ap-guangzhou"][0]
    upload = events.cos_event(BUCKET, KEY)
    cases: tuple[tuple[promises.Promise, Any, bool, str], ...] = (
        (promises.COLD_COS, upload, True, "applied"),
        (promises.COLD_REJECTED, {"ImageId": "img-6pb6lrmy"}, True, "rejected"),
        (promises.COLD_UNCHANGED, IMAGE, False, "applied"),
    )
    with EmulatedCloud(state, limits=False) as cloud:
        variants = [(folder, plain(cloud)) for folder in folders]
        variants.append((folders[0], cloud.environment()))
        for promise, event, is_new, outcome in cases:
            reset = partial(set_image, image, is_new=is_new)
            ours, theirs, over_tls = best(in_turns(variants, event, outcome, reset))
            yield promise, ours.seconds / theirs.seconds
            if promise is promises.COLD_COS:
                yield promises.COLD_MS, ours.seconds * 1000
                yield promises.COLD_TLS, over_tls.seconds / ours.seconds
                yield promises.PEAK, ours.peak / MB
        variables = {**plain(cloud), **JOURNAL}
        variants = [(folders[0], variables), (by_hand(folders[0], FOLDER / "by_hand"), variables)]
        reset = partial(set_image, image, is_new=True)
        rename = events.cos_event(BUCKET, RENAME)
        # The median of the rounds' ratios: where handlers differ this little, the best of each is
        # chance, and in one round both meet the same speed of the machine.
        rounds = in_turns(variants, rename, "applied", reset, MORE_ROUNDS)
        yield promises.COLD_BY_HAND, median(ours.seconds / hand.seconds for ours, hand in rounds)
        # A rejected document, since otherwise only the rate limiter would be measured.
        bad = events.cos_event(BUCKET, BAD)
        ours, theirs = (
            run(folder, bad, plain(cloud), "rejected", times=WARM) for folder in folders
        )
        yield promises.WARM, ours.warm / theirs.warm


def set_image(image: dict[str, Any], *, is_new: bool) -> None:
    """Prepare the image in the cloud for an event; `is_new` if the event is to change it."""
    image["ImageName"] = "old" if is_new else "new"
    set_tags(image, {} if is_new else {"team": "infra"})


def naive_start(cloud: EmulatedCloud) -> float:
    """Return the seconds of a cold start of the naive handler, with a rejected document."""
    event = {"ImageId": "img-6pb6lrmy"}
    return run(FOLDER / "naive", event, plain(cloud), "rejected").seconds


def memory() -> Iterator[tuple[promises.Promise, float]]:
    """A policy for ten thousand images that need no change."""
    images = [
        {"ImageId": f"img-b{i:07}", "ImageName": f"web-{i}", "ImageFamily": f"family{i % 50}",
         "Tags": [{"Key": "team", "Value": "infra"}]}
        for i in range(10_000)
    ]  # fmt: skip
    tags = [{"Key": "team", "Value": "infra"}]
    policy = {"ImageName": "{ImageName}", "Style": {"Case": "lower"}, "Tags": tags}
    with EmulatedCloud(State({"ap-guangzhou": images}), limits=False) as cloud:
        measured = run(FOLDER / "function", {"Normalise": policy}, plain(cloud), "applied")
    yield promises.MEMORY, measured.peak / MB


def rejected_memory() -> Iterator[tuple[promises.Promise, float]]:
    """Documents that are made to take much memory, each in a process of its own."""
    state = State()
    state.objects[BUCKET] = {
        f"requests/{i}.json": Object(make()) for i, make in enumerate(hostile.HUGE.values())
    }
    with EmulatedCloud(state, limits=False) as cloud:
        peaks = [
            run(FOLDER / "function", events.cos_event(BUCKET, key), plain(cloud), "rejected").peak
            / MB
            for key in state.objects[BUCKET]
        ]
    yield promises.HOSTILE_PEAK, max(peaks)
