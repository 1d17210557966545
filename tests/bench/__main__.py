"""`make bench`: measures all promises in one run, and fails if one is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import bundle
import hostile
import logged
import matrix
import page
import promises
from image_steward.cloud.image_api import image_of
from image_steward.documents import naming_policy
from image_steward.errors import Rejection
from image_steward.naming.patterns import Pattern
from image_steward.planning.policy_plan import normalise
from scf_local import exports
from scf_local.cloud.server import EmulatedCloud
from starts import FOLDER, memory, naive_start, rejected_memory, starts
from throughput import alone, calls, neighbour, several, three_regions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from image_steward.model import Image

POLICY = {
    "Select": {"Tags": [{"Key": "team"}]},
    "ImageName": "{ImageFamily}-{OsName}-{CreatedTime:%Y%m%d}",
    "Style": {"Case": "lower"},
    "ImageDescription": "{ImageName} by {Tag.source|unknown}",
    "Tags": [{"Key": "source", "Value": "{Tag.pipeline|unknown}"}],
    "KeepLatest": 3,
}

DERIVING = {
    "Derive": [
        {
            "From": "{ImageName}",
            "Replace": [{"Key": "【勿删】", "Value": ""}, {"Key": "_副本", "Value": ""}],
            "As": "clean",
        },
        {
            "From": "{clean}",
            "Parse": [
                "{app}-{os:word}-{version:version}-{built:%Y%m%d}*",
                "{app}-v{version:version}-{built:%Y%m%d}",
                "{app}_{built:%d.%m.%Y}*",
                "{app}-copy-{n:digits}",
                "{app}",
            ],
        },
        {"From": "{OsName}", "Map": [{"Key": "TencentOS*", "Value": "tencentos3"}], "As": "os"},
        {"From": "{Tag.team}", "Map": [{"Key": "inf*", "Value": "inf"}], "As": "team"},
        {"From": "{ImageDescription}", "Parse": ["built from {commit:word}*"]},
    ],
    "ImageName": "{app:.30}-{os}-{version|0}-{built:%Y%m%d|CreatedTime:%Y%m%d}",
    "TimeZone": "+08:00",
    "Style": {"Case": "lower", "Charset": "ascii"},
    "Tags": [{"Key": "team", "Value": "{team}"}, {"Key": "commit", "Value": "{commit|none}"}],
    "Retire": {"KeepLatest": 3, "GroupBy": "{app}"},
}


def planning() -> Iterator[tuple[promises.Promise, float]]:
    """A policy that reads what it writes, for ten thousand and for a hundred thousand images."""
    works = [partial(plan, 10_000), partial(plan, 100_000), partial(plan, 10_000, DERIVING)]
    works += [partial(cpu_seconds, partial(read_images, number)) for number in (10_000, 100_000)]
    seconds = [[work() for work in works] for _ in range(3)]  # in turns, as below
    less, more, deriving, reading_less, reading_more = map(min, zip(*seconds, strict=True))
    yield promises.DERIVING, deriving / less
    yield promises.DERIVING_SECONDS, deriving
    pairs = [(Pattern.parse(p), text) for p, text in hostile.patterns(256)]
    slowest = max(cpu_seconds(partial(pattern.match, text)) for pattern, text in pairs)
    yield promises.PATTERN, slowest * 1000
    yield promises.PLANNING_LESS, less / reading_less
    yield promises.PLANNING_LESS_SECONDS, less
    yield promises.PLANNING, more / reading_more
    yield promises.PLANNING_SECONDS, more


def read_images(number: int) -> list[Image]:
    """Return images as the API describes them."""
    return [made_up(i) for i in range(number)]


def plan(number: int = 10_000, rules: dict[str, Any] = POLICY) -> float:
    """Return the CPU seconds of planning for that many images, each of which is changed.

    Those of 10,000 are what others are compared with, as machines differ.
    """
    policy = naming_policy.read({"Normalise": rules}, "ap-guangzhou")
    images = read_images(number)
    if any(step.is_empty for step in normalise(policy, "ap-guangzhou", images, time.time)):
        raise AssertionError("every image must be changed")
    return cpu_seconds(lambda: normalise(policy, "ap-guangzhou", images, time.time))


def hostile_inputs() -> Iterator[tuple[promises.Promise, float]]:
    """Documents and images that are made to take long."""
    texts = hostile.TEXTS.values()
    policies = [
        partial(hostile.plan_policy, body, text, 1000)
        for body in hostile.POLICIES.values()
        for text in texts
    ]
    manifests = [
        partial(hostile.plan_manifest, data, text, 1000)
        for data in hostile.MANIFESTS.values()
        for text in texts
    ]
    makers = [*hostile.DOCUMENTS.values(), *hostile.VALID.values()]
    documents = [partial(hostile.read, make()) for make in makers]
    worst, usual = worst_and_usual([*policies, *manifests])
    yield promises.HOSTILE_IMAGES, worst / usual
    yield promises.HOSTILE_IMAGES_SECONDS, worst
    worst, usual = worst_and_usual(documents)
    yield promises.HOSTILE_DOCUMENT, worst / usual
    yield promises.HOSTILE_DOCUMENT_SECONDS, worst


def worst_and_usual(works: Sequence[Callable[[], object]]) -> tuple[float, float]:
    """Return the CPU seconds of what takes longest, and of planning, measured in turns."""
    worst = max(works, key=cpu_seconds)
    seconds = [(cpu_seconds(worst), plan()) for _ in range(3)]
    return min(each for each, _ in seconds), min(usual for _, usual in seconds)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds, the better of two, of something that may be rejected."""
    seconds = []
    for _ in range(2):
        start = time.process_time()
        with suppress(Rejection):
            work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def made_up(number: int) -> Image:
    """Return an image: there are 200 in each family, and half of their new names are taken."""
    day = f"{1 + number % 12:02}-{1 + number % 28:02}"
    return image_of(
        {
            "ImageId": f"img-{number:08}",
            "ImageName": f"build {number}",
            "ImageFamily": f"family{number // 200}",
            "OsName": "TencentOS",
            "ImageType": "PRIVATE_IMAGE",
            "ImageState": "NORMAL",
            "CreatedTime": f"2026-{day}T00:00:{number % 60:02}Z",
            "Tags": [{"Key": "team", "Value": "infra"}],
        }
    )


def invoking() -> Iterator[tuple[promises.Promise, float]]:
    """A trivial handler, run by `python -c` and by `scf-local invoke`, and a naive cold start."""
    scf_local = Path(sys.executable).with_name("scf-local")
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "index.py").write_text("def main_handler(event, context): return 1")
        Path(folder, "event.json").write_text("{}")
        bare = (sys.executable, "-c", "import index; print(index.main_handler({}, {}))")
        with EmulatedCloud() as cloud, exports.kept(cloud.environment()):
            invoke = (scf_local, "invoke", "event.json", "--code", ".", "--endpoint", cloud.url)
            for _ in range(15):  # in turns, so that other load on the machine affects all
                seconds.append([elapsed(command, folder) for command in (bare, invoke)])
                seconds[-1].append(naive_start(cloud))
    best_bare, best_invoke, best_naive = map(min, zip(*seconds, strict=True))
    yield promises.INVOKE, (best_invoke - best_bare) / best_naive
    yield promises.INVOKE_SECONDS, best_invoke - best_bare


def elapsed(command: tuple[str | Path, ...], folder: str) -> float:
    """Return the seconds from the start of a command to its end."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603 - our own
    return time.perf_counter() - start


def replaying() -> Iterator[tuple[promises.Promise, float]]:
    """Ten thousand events, in a separate process, to measure its memory."""
    program = Path(__file__).with_name("replays.py")
    run = subprocess.run([sys.executable, program], capture_output=True, check=True)  # noqa: S603 - our own file
    measured = json.loads(run.stdout)
    yield promises.REPLAY, measured["trivial_rate"]
    yield promises.REPLAY_STEWARD, measured["rate"]
    yield promises.REPLAY_RATIO, measured["ratio"]
    yield promises.REPLAY_GROWTH, measured["grown_mb"]


def uploading() -> Iterator[tuple[promises.Promise, float]]:
    """A thousand uploads to the emulated cloud, in a separate process, to measure its memory."""
    program = Path(__file__).with_name("uploads.py")
    command = [sys.executable, str(program), str(FOLDER / "function.zip")]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}  # helpers of tests
    run = subprocess.run(command, env=environ, capture_output=True, check=True)  # noqa: S603 - our own file
    measured = json.loads(run.stdout)
    yield promises.UPLOADS_LOST, measured["lost"]
    yield promises.UPLOADS_RATE, measured["rate"]
    yield promises.UPLOADS_GROWTH, measured["grown_mb"]


def undoing() -> Iterator[tuple[promises.Promise, float]]:
    """The log of the changes of many images, piped into a separate process."""
    program = Path(__file__).with_name("undoing.py")
    with tempfile.TemporaryFile() as log:
        images = logged.write(log, 70_000_000)
        log.seek(0)
        with subprocess.Popen(["cat"], stdin=log, stdout=subprocess.PIPE) as pipe:  # noqa: S607 - any
            command = [sys.executable, str(program), str(images)]
            run = subprocess.run(command, stdin=pipe.stdout, capture_output=True, check=True)  # noqa: S603 - our own file
    measured = json.loads(run.stdout)
    yield promises.UNDO, measured["seconds"] / plan()
    yield promises.UNDO_SECONDS, measured["seconds"]
    yield promises.UNDO_PEAK, measured["peak_mb"]


MEASURES = (
    starts,
    memory,
    invoking,
    replaying,
    uploading,
    undoing,
    rejected_memory,
    planning,
    hostile_inputs,
    calls,
    alone,
    three_regions,
    neighbour,
    several,
)


def own_python() -> str:
    """Return a Python of the version that is deployed, with all packages; .venv may have another.

    Raises:
        ValueError: it was not found, or the packages cannot be installed.
    """
    version = bundle.runtime()
    if version == bundle.HERE:
        return sys.executable
    virtualenv = matrix.Virtualenv(version, bundle.interpreter(version))
    if virtualenv.make("install", sys.stderr.buffer):
        raise ValueError(f"make install failed for {virtualenv.python}; see its output above")
    return str(matrix.ROOT / virtualenv.folder / "bin" / "python")


def main() -> int:
    """Measure, print the table, and write the figures to build/bench.json."""
    try:
        python = own_python()
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if python != sys.executable:
        os.execv(python, [python, str(Path(__file__).parent)])  # noqa: S606 - our own environment
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
