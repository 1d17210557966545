"""Functions of other people, in their production form, which know nothing of this project."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, SEED
from scf_local import EmulatedCloud, LocalFunction, State, cos_event, timer_event
from scf_local.cloud.seed import Object

FUNCTIONS = ROOT / "tests" / "functions"
SCF_LOCAL = Path(sys.executable).with_name("scf-local")
BUCKET = "inbox-1250000000"
TEXT = b"to be or not to be\n"
HANDLERS = {
    "word-counts": "word_counts.py:main_handler",
    "image-report": "image_report.py:main_handler",
    "fetch-link": "fetch_link.py:main",
}
DB, API = "db.example.com", "api.example.com"


@dataclass
class Run:
    """A finished command."""

    status: int
    stdout: str
    log: str
    seconds: float
    result: Any = field(init=False)

    def __post_init__(self) -> None:
        is_json = self.stdout.startswith(("{", "["))
        self.result = json.loads(self.stdout) if is_json else None

    @property
    def error(self) -> dict[str, Any]:
        """What SCF returns if the function fails."""
        (text,) = re.findall(r"^ERROR RequestId:\S+ Result:(.*)$", self.log, re.MULTILINE)
        error: dict[str, Any] = json.loads(text)
        return error

    @property
    def traceback(self) -> str:
        """What follows the log."""
        return self.log.rpartition("\nReport RequestId:")[2].partition("\n")[2]


@dataclass
class Folder:
    """A developer's folder, with a seed and a scf-local.toml; the functions are elsewhere."""

    path: Path

    def write(self, name: str, content: object) -> None:
        """Write a file; anything but bytes and text is written as JSON."""
        text = content if isinstance(content, (bytes, str)) else json.dumps(content)
        (self.path / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def scf_local(self, *arguments: str) -> Run:
        """Run the command."""
        started = time.monotonic()
        done = subprocess.run(  # noqa: S603 - our own command
            [SCF_LOCAL, *arguments],
            cwd=self.path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return Run(done.returncode, done.stdout, done.stderr, time.monotonic() - started)

    def invoke(self, function: str, event: object, *arguments: str) -> Run:
        """Invoke a function with an event."""
        self.write("event.json", event)
        return self.scf_local("invoke", "event.json", "--function-name", function, *arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with a text in the bucket, and the images of this project's seed."""
    objects = tmp_path / "seed" / "objects" / BUCKET / "in"
    objects.mkdir(parents=True)
    (objects / "a b.txt").write_bytes(TEXT)
    (tmp_path / "seed" / "images.json").write_bytes((SEED / "images.json").read_bytes())
    tables = [f'[functions.{name}]\nhandler = "{FUNCTIONS}/{x}"' for name, x in HANDLERS.items()]
    (tmp_path / "scf-local.toml").write_text("\n".join(['seed = "seed"', *tables]))
    return Folder(tmp_path)


def upload(key: str = "in/a b.txt", **parts: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of an event
    """The event of an upload."""
    return cos_event(BUCKET, key, **parts)


LINK = {"bucket": BUCKET, "key": "in/a b.txt"}
EVENTS = {
    "word-counts": upload(),
    "image-report": timer_event('["ap-shanghai", "ap-singapore"]'),
    "fetch-link": LINK,
}
RESULTS = {
    "word-counts": {
        "/1250000000/inbox/in/a b.txt": {"words": 6, "counts": ["counts/a b.txt.json"]}
    },
    "image-report": {
        "ap-guangzhou": {"images": 5, "largest": "img-c3d4e5f6"},
        "ap-shanghai": {"images": 5, "largest": "img-k2m3n4p5"},
        "ap-singapore": {"images": 0, "largest": None},
    },
    "fetch-link": {"size": len(TEXT), "sha256": hashlib.sha256(TEXT).hexdigest()},
}


# --- They run ---


@pytest.mark.parametrize("function", HANDLERS)
def test_functions_know_nothing_of_the_harness(function: str) -> None:
    """The source of a function names no endpoint, no proxy, and nothing of this project."""
    text = (FUNCTIONS / HANDLERS[function].partition(":")[0]).read_text(encoding="utf-8")
    assert not re.search(
        r"scf.local|steward|endpoint=[\"']|proxy|127\.0|verify", text, re.IGNORECASE
    )


@pytest.mark.parametrize("function", HANDLERS)
def test_invoke(folder: Folder, function: str) -> None:
    """Each function runs unchanged, over https, with an event and a line in scf-local.toml."""
    run = folder.invoke(function, EVENTS[function])
    assert (run.status, run.result) == (0, RESULTS[function]), run.log
    assert not run.traceback


@pytest.mark.parametrize("function", HANDLERS)
def test_replay(folder: Folder, function: str) -> None:
    """Several events are run in one warm process, on one cloud."""
    event = EVENTS[function]
    events = [event, upload("in/b.txt") if function == "word-counts" else event, event]
    folder.write("seed/objects/inbox-1250000000/in/b.txt", TEXT)
    folder.write("events.jsonl", "\n".join(map(json.dumps, events)))
    run = folder.scf_local("replay", "events.jsonl", "--function-name", function, "--json")
    # The first event of the word counts has moved its object away.
    outcomes = ["returned", "returned", "raised" if function == "word-counts" else "returned"]
    assert [each["Outcome"] for each in run.result] == outcomes, run.log
    if function == "word-counts":
        assert "NoSuchResource" in run.log


@pytest.mark.filterwarnings("ignore:.*fileds are useless")  # of the typed SDK
def test_local_function() -> None:
    """In a test's own process, each function reaches the cloud over https, at the right hosts."""
    state = State.from_folder(SEED)
    state.objects[BUCKET] = {"in/a b.txt": Object(TEXT)}
    with EmulatedCloud(state) as cloud:
        for function in ("fetch-link", "image-report", "word-counts"):
            local = LocalFunction(f"{FUNCTIONS}/{HANDLERS[function]}", cloud)
            answer = local(EVENTS[function])
            assert (answer.error, answer.value) == (None, RESULTS[function])
    calls = [(each["Action"], each["Region"]) for each in state.snapshot()["Calls"]]
    assert ("DescribeImages", "ap-shanghai") in calls
    assert ("GetObject", "ap-guangzhou") in calls
    assert {*state.objects[BUCKET]} == {
        "archive/a b.txt", "archive/a b.txt.gz", "counts/a b.txt.json"
    }  # fmt: skip


def test_objects_are_those_of_cos(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large object is uploaded in parts, listings have pages, and old objects are deleted."""
    texts = {f"in/{number}.txt": Object(b"word " * 500_000) for number in range(4)}
    monkeypatch.chdir("/")
    with EmulatedCloud(State(objects={BUCKET: texts})) as cloud:
        function = LocalFunction(
            f"{FUNCTIONS}/word_counts.py:main_handler", cloud, variables={"KEEP": "3"}
        )
        records = [upload(key)["Records"][0] for key in texts]
        answer = function({"Records": records})
        assert answer.error is None
        objects, actions = cloud.state.objects[BUCKET], [c["Action"] for c in cloud.state.calls]
    last = answer.value["/1250000000/inbox/in/3.txt"]
    assert last == {"words": 500_000, "counts": [f"counts/{n}.txt.json" for n in (1, 2, 3)]}
    assert "counts/0.txt.json" not in objects
    assert objects["counts/1.txt.json"].headers["x-cos-meta-words"] == "500000"
    assert actions.count("UploadPart") == 4 * 3
    assert actions.count("GetBucket") > len(texts)
    assert {"PutObjectCopy", "DeleteObject", "DeleteMultipleObjects"} <= {*actions}


# --- They fail as they would in SCF ---


@pytest.mark.parametrize(
    ("function", "event", "frame", "error"),
    [
        ("word-counts", upload("in/none.txt"), "in process", "NoSuchResource"),
        ("image-report", timer_event("nowhere"), "in main_handler", "JSONDecodeError: Expecting"),
        ("image-report", timer_event('["moon"]'), "in report", "code:InvalidRegion.NotFound"),
        ("fetch-link", {**LINK, "key": "none"}, "in main", "HTTPError: 404 Client Error"),
    ],
)
def test_raise(folder: Folder, function: str, event: object, frame: str, error: str) -> None:
    """What a function raises is status 430, and a traceback that begins in its own code."""
    run = folder.invoke(function, event)
    assert (run.status, run.error["statusCode"]) == (1, 430)
    text = run.traceback.partition("\nscf-local: not in the emulated cloud")[0]
    first, *lines, hint = text.splitlines()
    assert first == "Traceback (most recent call last):"
    assert re.match(rf'  File "{FUNCTIONS}/\w+\.py", line \d+, in main', lines[0])
    assert any(line.startswith(f'  File "{FUNCTIONS}') and frame in line for line in lines)
    assert error in lines[-1]
    assert hint.startswith("scf-local: The function raised")


@pytest.mark.parametrize("function", HANDLERS)
def test_time_limit(folder: Folder, function: str) -> None:
    """A function whose requests are not answered is ended at its time limit."""
    folder.write("faults.json", {"Rules": [{"Action": "*", "Fault": "silent"}]})
    run = folder.invoke(function, EVENTS[function], "--timeout", "1", "--faults", "faults.json")
    assert (run.status, run.error["statusCode"]) == (3, 433)
    assert run.seconds < 10


@pytest.mark.parametrize("function", ["word-counts", "fetch-link"])
def test_memory_limit(folder: Folder, function: str) -> None:
    """A function that reads a large object into its memory is ended at its limit."""
    folder.write(f"seed/objects/{BUCKET}/in/a b.txt", b"word " * (12 << 20))
    run = folder.invoke(function, EVENTS[function], "--memory", "64")
    assert (run.status, run.error["statusCode"]) == (4, 434)


def test_memory_limit_of_an_api_client(folder: Folder) -> None:
    """The same is true for what the API returns: here, images with long descriptions."""
    images = [
        {"ImageId": f"img-{number:08d}", "ImageDescription": "x" * (1 << 20)}
        for number in range(40)
    ]
    folder.write("seed/images.json", {"ap-guangzhou": images})
    run = folder.invoke("image-report", EVENTS["image-report"], "--memory", "64")
    assert (run.status, run.error["statusCode"]) == (4, 434)


# --- Hosts that are not emulated ---


@pytest.mark.parametrize(
    ("function", "event", "variable", "host"),
    [
        ("word-counts", upload(), f"COS_DOMAIN={DB}", DB),
        ("image-report", EVENTS["image-report"], f"API_DOMAIN={API}", f"cvm.ap-shanghai.{API}"),
        ("fetch-link", {"url": f"https://{DB}/a"}, "A=b", DB),
        ("fetch-link", {"url": f"http://{DB}/a"}, "A=b", DB),
        ("fetch-link", {"url": "http://169.254.0.23/a"}, "A=b", "169.254.0.23"),
    ],
)
def test_other_hosts(
    folder: Folder, function: str, event: object, variable: str, host: str
) -> None:
    """A host that is not emulated is refused at once; the traceback names it and the option."""
    run = folder.invoke(function, event, "--env", variable, "--timeout", "20")
    assert (run.status, run.error["statusCode"]) == (1, 430)
    message = f"{host} is not emulated; --allow-host {host} lets it through"
    assert message in run.traceback
    assert f"\nscf-local: {message}\n" in run.log
    if function != "word-counts":  # the COS SDK retries for some seconds
        assert run.seconds < 5


SWALLOWING = """
import requests

def main(event, context):
    for _ in range(2):
        try:
            requests.get(event["url"])
        except OSError:
            pass
"""


def test_other_hosts_that_nobody_reports(folder: Folder) -> None:
    """A host that is not emulated is named once, even if the function does not show the error."""
    folder.write("app.py", SWALLOWING)
    folder.write("scf-local.toml", 'handler = "app.py:main"')
    folder.write("event.json", {"url": f"https://{DB}/"})
    run = folder.scf_local("invoke", "event.json")
    assert (run.status, run.log.count(DB)) == (0, 2)
    assert run.log.endswith(f"scf-local: {DB} is not emulated; --allow-host {DB} lets it through\n")
    run = folder.scf_local("replay", "event.json")
    assert run.log == f"scf-local: {DB} is not emulated; --allow-host {DB} lets it through\n"


TAGGING = """
import os
from qcloud_cos import CosConfig, CosS3Client, CosServiceError
def main(event, context):
    keys = [os.environ[f"TENCENTCLOUD_{name}"] for name in ("SECRETID", "SECRETKEY")]
    config = CosConfig(
        Region="ap-guangzhou", SecretId=keys[0], SecretKey=keys[1],
        Token=os.environ["TENCENTCLOUD_SESSIONTOKEN"])
    try:
        CosS3Client(config).get_object_tagging("inbox-1250000000", "a.txt")
    except CosServiceError as error:
        return error.get_error_code()
"""


def test_action_that_is_not_emulated(folder: Folder) -> None:
    """What COS has and is not emulated is an error at once, and named at the end."""
    folder.write("tagging.py", TAGGING)
    folder.write("scf-local.toml", 'handler = "tagging.py:main"\nseed = "seed"')
    folder.write("event.json", {})
    run = folder.scf_local("invoke", "event.json")
    assert run.stdout == '"NotImplemented"\n', run.log
    assert "scf-local: The parameter 'tagging' of GetObject is not emulated" in run.log
    assert run.seconds < 5
