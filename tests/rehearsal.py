"""`make rehearsal`: a deployment from its beginning to its end, on the emulated cloud.

Runs the programs as a user would, in a folder that is a small checkout, and checks after each step
what has become of the images. What it prints is the same in each run.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent, wrap
from typing import Any

import click
import yaml
from qcloud_cos import CosConfig, CosS3Client, CosServiceError

import bundle
from scf_local import cloud_client
from scf_local.console import emit, rich_console

BUCKET, REGION = "manifests-1250000000", "ap-guangzhou"
WEB, API = "img-a1web142", "img-c3api077"
IMAGES: dict[str, list[dict[str, Any]]] = {
    REGION: [
        {"ImageId": WEB, "ImageName": "Web Build_0142"},
        {"ImageId": "img-b2web142", "ImageName": "web / build / 0142"},
        {"ImageId": "img-d4erp190", "ImageName": "ERP (certified, do not touch)",
         "Tags": [{"Key": "image-steward", "Value": "ignore"}]},
    ],
    "ap-shanghai": [{"ImageId": API, "ImageName": "ＡＰＩ＿build 77"}],  # noqa: RUF001 - full width
}  # fmt: skip
POLICY = {
    "Normalise": {
        "Regions": ["ap-guangzhou", "ap-shanghai"],
        "ImageName": "{ImageName}",
        "Style": {"Case": "lower", "Separator": "-"},
    }
}
"""That of docs/policies.md: clean names."""
DRY_RUNS = ["partial (200)", "planned (200)", "rejected (200)", "rejected (200)"]
"""The outcomes of a check's: two images and two objects that it asks for do not exist."""
_BEIJING = timezone(timedelta(hours=8))
_DONE = r"Done|Nothing|\d+ of \d+"
_NOTHING = "(?!)"
_NOON = 12
_TO_HALF_PAST_THREE = 15.5 * 3600
_LOG_SECONDS = 10
_LOG_LINES = 20
"""Of the functions' logs, to print if a step fails."""


class Unexpected(Exception):
    """Something is not as expected; the message says what, and what is."""


@dataclass
class Stage:
    """A running emulated cloud, and the folder of somebody who works with it.

    Attributes:
        variables: those that lead clients to the cloud, and PATH, HOME and COLUMNS.
        say: takes a line to print.
        names: of all images, by id, as they should be now.
        outcomes: of all runs, as they should be.
    """

    folder: Path
    variables: dict[str, str]
    say: Callable[[str], object]
    names: dict[str, str] = field(default_factory=dict)
    outcomes: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The cloud's URL."""
        return self.variables["SCF_LOCAL_ENDPOINT"]

    @property
    def columns(self) -> int:
        """The width of the page."""
        return int(self.variables["COLUMNS"])

    @property
    def cos(self) -> CosS3Client:
        """The official SDK of COS."""
        keys = [self.variables[f"TENCENTCLOUD_{name}"] for name in ("SECRET_ID", "SECRET_KEY")]
        host, port = self.url.removeprefix("http://").split(":")
        config = CosConfig(
            Region=REGION, SecretId=keys[0], SecretKey=keys[1], Scheme="http", IP=host,
            Token=self.variables["TENCENTCLOUD_TOKEN"], Port=int(port), KeepAlive=False,
        )  # fmt: skip
        return CosS3Client(config, retry=0)

    def run(self, command: str, shown: str = _NOTHING, status: int = 0) -> str:
        """Run a command of a shell, print it and some of its output, and return the output.

        Args:
            command: as a user would type it.
            shown: a pattern for the beginnings of lines to print. An indented line belongs to the
                one above, and is printed only for what is replaced.
            status: the exit status that is expected.

        Raises:
            Unexpected: the exit status is another one.
        """
        joined = re.sub(r"(--\w+|[<>]) ", "\\1\0", f"$ {command}")  # stay on one line
        rows = wrap(joined, self.columns - 2, break_on_hyphens=False, subsequent_indent="    ")
        self.say(" \\\n".join(rows).replace("\0", " "))
        done = subprocess.run(  # noqa: S603 - the commands below
            ["sh", "-c", command],  # noqa: S607 - any shell
            cwd=self.folder,
            env={**self.variables, "COLUMNS": str(self.columns - 4)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        expect(f"exit status of `{command}`", done.returncode, status, done.stdout)
        for row, more in re.findall(r"^(\S.*)\n((?: .*\n)*)", done.stdout, re.MULTILINE):
            if re.match(shown, row):
                rest = f"\n{more}" if row.startswith("replace") else " …" * bool(more)
                self.say(indent(row + rest, "  ").rstrip())
        return done.stdout

    def tell(self, text: str) -> None:
        """Print a sentence, wrapped."""
        rows = wrap(text, self.columns, break_on_hyphens=False, subsequent_indent="  ")
        self.say("\n".join(rows))

    def upload(self, key: str, document: object, *, starts: bool = True) -> None:
        """Upload a document to the bucket, and let the function do what it has to, if anything.

        Raises:
            Unexpected: as `expect_runs`.
        """
        text = json.dumps(document)
        self.tell(f"Upload {key}: {text}")
        self.cos.put_object(BUCKET, text.encode(), key)
        self.move_clock(0)
        self.expect_runs(int(starts))
        if not starts:
            self.say("  starts nothing")

    def expect_runs(self, more: int) -> str:
        """Return the time of day of the last run, after so many more.

        Raises:
            Unexpected: there were more or fewer, or one has not applied its document.
        """
        self.outcomes += ["applied (200)"] * more
        pattern = re.compile(r"^scf-local: \S+ (\S+) image-steward \S+: (.*)\n", re.MULTILINE)
        for _ in range(_LOG_SECONDS * 50):  # the cloud writes it a little later
            runs = pattern.findall((self.folder / "cloud.log").read_text(encoding="utf-8"))
            if len(runs) >= len(self.outcomes):
                break
            time.sleep(1 / 50)
        expect("runs", [outcome for _, outcome in runs], self.outcomes)
        return runs[-1][0] if runs else ""

    def move_clock(self, seconds: float) -> None:
        """Move the cloud's clock; what is due by then has been done."""
        cloud_client.move_clock(self.url, seconds)

    def state(self) -> dict[str, Any]:
        """Return what the cloud has."""
        return cloud_client.state(self.url)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of the bucket's objects below a prefix."""
        keys = self.state()["Objects"].get(BUCKET, ())
        return sorted(key for key in keys if key.startswith(prefix))

    def expect_names(self, changed: Mapping[str, str]) -> None:
        """Print which images have got new names; these must be `changed`, by id.

        Raises:
            Unexpected: an image has another name.
        """
        before, self.names = self.names, {**self.names, **changed}
        found = {
            image["ImageId"]: (region, image["ImageName"])
            for region, images in self.state()["Images"].items()
            for image in images
        }
        expect("names of the images", {key: name for key, (_, name) in found.items()}, self.names)
        for key in changed:
            region, name = found[key]
            was = f"{before[key]} → " if key in before else ""
            self.say(f"  {region:<13} {key}  {was}{name}")


def expect(what: str, found: object, wanted: object, output: str = "") -> None:
    """Check that something is as it should be.

    Raises:
        Unexpected: it is not.
    """
    if found != wanted:
        message = f"{what}\n  expected: {wanted!r}\n  found:    {found!r}"
        raise Unexpected(f"{message}\n{output}".rstrip())


# --- The steps, each with its heading ---


def start(stage: Stage) -> None:
    """Start the emulated cloud."""
    now = datetime.fromtimestamp(cloud_client.now(stage.url), _BEIJING)
    noon = now.replace(hour=12, minute=0, second=0) + timedelta(days=now.hour >= _NOON)
    stage.move_clock((noon - now).total_seconds())
    stage.say("$ scf-local cloud --seed seed > cloud.env &\n$ . ./cloud.env")
    images = chain.from_iterable(IMAGES.values())
    stage.expect_names({each["ImageId"]: each["ImageName"] for each in images})


def deploy(stage: Stage) -> None:
    """Deploy."""
    parts = r"create  (role|policy|bucket|function|trigger)|"
    stage.run("scf-deploy apply --yes", parts + _DONE)
    stage.expect_names({})


def change(stage: Stage) -> None:
    """Rename an image by an upload."""
    stage.upload("requests/rename.json", {"ImageId": WEB, "ImageName": "web-stable"})
    stage.expect_names({WEB: "web-stable"})


def replay(stage: Stage) -> None:
    """Fetch the log, and replay the run on this machine."""
    here = "--endpoint $SCF_LOCAL_ENDPOINT"
    stage.run(f"scf-local logs --function image-steward {here} > run.jsonl")
    stage.run(f"scf-local seed seed --from cos://{BUCKET}/requests/rename.json {here}")
    output = stage.run("scf-local replay - --seed seed < run.jsonl", _DONE)
    expect("what differs from the log", output.splitlines()[-1][:8], "0 of 1 e", output)


def undo(stage: Stage) -> None:
    """Undo the run by its object in the journal."""
    (key,) = (key for key in stage.keys("journal/") if key.endswith("-1.json"))
    reply = stage.cos.get_object(BUCKET, key)
    stage.upload("requests/undo.json", json.load(reply["Body"].get_raw_stream()))
    stage.expect_names({WEB: "Web Build_0142"})


def nightly(stage: Stage) -> None:
    """Let the timer apply a policy."""
    stage.upload("policies/nightly.json", POLICY, starts=False)
    stage.tell("The clock moves on, from 12:00 to 03:30 in Beijing (POST /_clock)")
    stage.move_clock(_TO_HALF_PAST_THREE)
    expect("time of the last run", stage.expect_runs(1), "03:17:00")
    stage.say("  03:17:00 image-steward: applied")
    stage.expect_names({
        WEB: "web-build-0142", "img-b2web142": "web-build-0142-2", API: "api-build-77",
    })  # fmt: skip


def reconfigure(stage: Stage) -> None:
    """Change the prefix for requests."""
    stage.run("sed -i.bak s,requests/,incoming/, serverless.yml deploy/policy.json")
    stage.run("scf-deploy apply --yes", f"change|replace|{_DONE}")
    renaming = {"ImageId": WEB, "ImageName": "web-stable"}
    stage.upload("requests/again.json", renaming, starts=False)
    stage.upload("incoming/again.json", renaming)
    stage.expect_names({WEB: "web-stable"})


def deploy_again(stage: Stage) -> None:
    """Deploy a second time, and check all."""
    before = len(stage.state()["Calls"])
    stage.run("scf-deploy apply --yes", _DONE)
    calls = [call["Action"] for call in stage.state()["Calls"][before:]]
    writes = [name for name in calls if not name.startswith(("Get", "Head", "List"))]
    expect("calls that change something", writes, [])
    stage.run("scf-deploy check", "ok|FAIL")
    stage.outcomes += DRY_RUNS


def undeploy(stage: Stage) -> None:
    """Undeploy."""
    stage.run("scf-deploy destroy --yes", "delete  (function|trigger|role)|Done")
    state = stage.state()
    expect("functions", state["Functions"].get(REGION, {}), {})
    expect("roles", state["Roles"], {})
    stage.expect_runs(0)
    kept = len(stage.keys("journal/"))
    expect("objects in the journal", kept, 8 + len(DRY_RUNS))
    stage.tell(f"The bucket keeps its {kept} objects in journal/")
    stage.expect_names({})


STEPS = (start, deploy, change, replay, undo, nightly, reconfigure, deploy_again, undeploy)


# --- The stage ---


@contextmanager
def opened(
    folder: Path, say: Callable[[str], object], images: Mapping[str, Any] = IMAGES
) -> Iterator[Stage]:
    """Yield a stage in an empty folder, with an emulated cloud that has these images."""
    _copy_project(folder)
    (folder / "seed").mkdir()
    (folder / "seed" / "images.json").write_text(json.dumps(images), encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    columns = rich_console(sys.stdout, 100).width
    own = {"PATH": path, "HOME": str(folder), "COLUMNS": str(columns)}
    with (
        (folder / "cloud.log").open("wb") as log,
        subprocess.Popen(
            ["scf-local", "cloud", "--seed", "seed"],  # noqa: S607 - that of the PATH
            cwd=folder, env=own, stdout=subprocess.PIPE, stderr=log, text=True,
        ) as cloud,
    ):  # fmt: skip
        try:
            yield Stage(folder, {**own, **_exported(cloud)}, say)
        finally:
            cloud.terminate()


def _copy_project(folder: Path) -> None:
    """Copy what a deployment needs; the code is for the Python that runs this."""
    for name in ("serverless.yml", "scf-local.toml", "deploy/policy.json", "deploy/trust.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(bundle.ROOT / name, folder / name)
    (folder / "handler").symlink_to(bundle.ROOT / "handler")
    (folder / "build").mkdir()
    target = folder / "build" / "function.zip"
    bundle.assemble(bundle.own_packages(), sys.executable, target)
    file = folder / "serverless.yml"
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r"runtime: \S+", f"runtime: Python{bundle.HERE}", text), "utf-8")


def _exported(cloud: subprocess.Popen[str]) -> dict[str, str]:
    """Return the variables that a cloud prints when it has started."""
    found: dict[str, str] = {}
    while "TENCENTCLOUD_TOKEN" not in found:
        line = cloud.stdout.readline() if cloud.stdout else ""
        if not line:
            raise Unexpected("scf-local cloud has ended; see cloud.log")
        name, _, value = shlex.split(line)[1].partition("=")
        found[name] = value
    return found


def _note(message: str) -> None:
    click.echo(f"rehearsal: {message}", err=True)


def main(steps: Sequence[Callable[[Stage], None]] = STEPS) -> int:
    """Take the steps; return 0 if all was as expected, and else 1."""
    named = yaml.safe_load((bundle.ROOT / "serverless.yml").read_text("utf-8"))["inputs"]["runtime"]
    if named != f"Python{bundle.HERE}":
        _note(f"serverless.yml names {named}; here the function runs with Python{bundle.HERE}")
    with TemporaryDirectory(prefix="rehearsal-") as name:
        try:
            with opened(Path(name), emit) as stage:
                for number, step in enumerate(steps, 1):
                    emit(f"{chr(10) * (number > 1)}{number}. {(step.__doc__ or '').rstrip('.')}")
                    step(stage)
        except (Unexpected, CosServiceError) as error:
            log = Path(name, "cloud.log").read_text("utf-8", "replace").splitlines()
            _note("\n".join(["not as expected:", str(error), *log[-_LOG_LINES:]]))
            return 1
    emit("\nAll of it was as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
