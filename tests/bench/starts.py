"""Cold starts, warm events and memory: the bundle against a naive handler, in turns."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bundle
import promises
from scf_local import events
from scf_local.cloud.seed import Object, set_tags
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.environment import FunctionConfig, process_environ

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
FOLDER = bundle.BUILD / "bench"
BUCKET, KEY, BAD = "manifests-1250000000", "requests/a.json", "requests/bad.json"
IMAGE = {
    "ImageId": "img-6pb6lrmy",
    "ImageName": "new",
    "Tags": [{"Key": "team", "Value": "infra"}],
}
TYPED = ("tencentcloud-sdk-python-cvm", "tencentcloud-sdk-python-tag")
"""What a handler needs that names and tags images by the typed clients."""
ROUNDS = 20
WARM = 60
MB = 1024  # kB


@dataclass(frozen=True)
class Run:
    """What one process took: seconds in all, seconds of a warm run, kB at the most."""

    seconds: float
    warm: float
    peak: int


def naive(folder: Path) -> Path:
    """The baseline as it is deployed by hand: sources only, the typed SDK among them."""
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


def run(folder: Path, event: object, cloud: EmulatedCloud, outcome: str, times: int = 1) -> Run:
    """A new process for one event, as SCF sets it up: no bytecode is written."""
    environ = {**process_environ(FunctionConfig(folder)), **cloud.environment()}
    command = [sys.executable, "-S", str(HERE / "cold.py"), str(folder), json.dumps(event)]
    start = time.perf_counter()
    ended = subprocess.run(  # noqa: S603 - our own program
        [*command, str(times)], env=environ, capture_output=True, text=True, check=True
    )
    seconds = time.perf_counter() - start
    found, warm, peak = json.loads(ended.stdout)
    if found != outcome:
        raise AssertionError(f"{folder.name}: {found} instead of {outcome}")
    return Run(seconds, warm, peak)


def starts() -> Iterator[tuple[promises.Promise, float]]:
    """Process start to result, the two in turns; the best of each, which noise touches least."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    made = bundle.assemble(bundle.own_packages(), sys.executable, FOLDER / "function.zip")
    folders = (made.path.with_suffix(""), naive(FOLDER / "naive"))
    yield promises.ZIP, made.path.stat().st_size / 1e6
    state = State({"ap-guangzhou": [IMAGE]})
    state.objects[BUCKET] = {
        KEY: Object(json.dumps(IMAGE).encode()),
        BAD: Object(b'{"ImageId": "img-1"}'),
    }
    image = state.images["ap-guangzhou"][0]
    upload = events.cos_event(BUCKET, KEY)
    cases: tuple[tuple[promises.Promise, Any, bool, str], ...] = (
        (promises.COLD_COS, upload, True, "applied"),
        (promises.COLD_REFUSED, {"ImageId": "img-6pb6lrmy"}, True, "rejected"),
        (promises.COLD_NOTHING, IMAGE, False, "applied"),
    )
    with EmulatedCloud(state, limits=False) as cloud:
        for promise, event, is_new, outcome in cases:
            best: dict[Path, Run] = {}
            for folder in folders * ROUNDS:
                image["ImageName"] = "old" if is_new else "new"
                set_tags(image, {} if is_new else {"team": "infra"})
                ran = run(folder, event, cloud, outcome)
                if folder not in best or ran.seconds < best[folder].seconds:
                    best[folder] = ran
            ours, theirs = (best[folder] for folder in folders)
            yield promise, ours.seconds / theirs.seconds
            if promise is promises.COLD_COS:
                yield promises.COLD_MS, ours.seconds * 1000
                yield promises.PEAK, ours.peak / MB
        # Refused, since the pace of calls to the API would be all that is measured.
        bad = events.cos_event(BUCKET, BAD)
        ours, theirs = (run(each, bad, cloud, "rejected", times=WARM) for each in folders)
        yield promises.WARM, ours.warm / theirs.warm


def memory() -> Iterator[tuple[promises.Promise, float]]:
    """A policy over ten thousand images that are as it wants them."""
    images = [
        {"ImageId": f"img-b{i:07}", "ImageName": f"web-{i}", "ImageFamily": f"family{i % 50}",
         "Tags": [{"Key": "team", "Value": "infra"}]}
        for i in range(10_000)
    ]  # fmt: skip
    tags = [{"Key": "team", "Value": "infra"}]
    policy = {"ImageName": "{ImageName}", "Style": {"Case": "lower"}, "Tags": tags}
    with EmulatedCloud(State({"ap-guangzhou": images}), limits=False) as cloud:
        ran = run(FOLDER / "function", {"Normalise": policy}, cloud, "applied")
    yield promises.MEMORY, ran.peak / MB
