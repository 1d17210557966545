"""`scf-local plan`: the real function plans documents of every kind, and writes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from packer import build, manifest
from scf_local.cli import main
from scf_local.cloud.seed import complete

if TYPE_CHECKING:
    from conftest import Function

REGIONS = ("ap-guangzhou", "ap-shanghai", "ap-singapore", "eu-frankfurt")
APPS = ("web", "api", "payments-gateway", "数据同步", "登录服务")
POLICY = {
    "Normalise": {
        "Regions": list(REGIONS),
        "ImageName": "{ImageName}",
        "Style": {"Case": "lower"},
        "ImageFamily": "{ImageFamily|none}",
        "Tags": [{"Key": "os", "Value": "{OsName}"}, {"Key": "team", "Value": "{Tag.team}"}],
        "DeleteTags": ["tmp-*"],
        "MaxChanges": 300,
    }
}
COPIES = "ap-guangzhou:img-new00001,ap-shanghai:img-copy0001"


@pytest.fixture(autouse=True)
def _columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def account(function: Function) -> Function:
    """An account with 300 images in four regions, named by hand."""
    images: dict[str, list[dict[str, Any]]] = {}
    for number in range(300):
        app, tags = APPS[number % 5], [{"Key": "team", "Value": "web"}]
        image = {
            "ImageId": f"img-{number:08}",
            "ImageName": f"{app} / Build / {number:04}" if number % 3 else f"{app}-{number:04}",
            "ImageFamily": app if number % 4 else "",
            "OsName": "Ubuntu Server 22.04 LTS 64bit",
            "CreatedTime": f"2025-01-{1 + number % 28:02}T00:00:00Z",
            "Tags": tags + [{"Key": "tmp-run", "Value": "1"}] * (number % 10 == 0),
        }
        if number % 29 == 0:
            image["Tags"] = []
        images.setdefault(REGIONS[number % 4], []).append(image)
    with function.cloud.state.lock:
        function.cloud.state.images = complete(images)
    return function


def plan(function: Function, document: object, *arguments: str) -> Result:
    """Plan a document on the function's cloud."""
    command = ["plan", "-", "--endpoint", function.cloud.url, *arguments]
    return CliRunner().invoke(main, command, input=json.dumps(document))


def rows_of(result: Result) -> list[str]:
    """Return the lines of images."""
    return [line for line in result.stdout.splitlines() if line.startswith("img-")]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_plan_of_300_images(account: Function, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Each image has a line, nothing else is printed, and at 120 columns all fits in 330 lines."""
    monkeypatch.setenv("COLUMNS", str(width))
    former = account.images
    result = plan(account, POLICY)
    lines = result.stdout.splitlines()
    rows = rows_of(result)
    assert (result.exit_code, result.stderr, len(rows)) == (0, "", 289)
    assert len(lines) <= {80: 700, 120: 330, 200: 330}[width]
    assert all(cell_len(line) <= width for line in lines)
    assert [row.split()[1] for row in rows] == sorted(row.split()[1] for row in rows)
    assert result.stdout.count("{Tag.team}") == 1  # each rule is told once
    assert lines[-5:-1] == ["", "Skipped: 11", "   11  Tag.team has no value and no default", ""]
    assert account.images == former
    assert account.writes == 0


def test_plan_in_a_pipe(account: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe, each image is one line with all values, and there are no escape codes."""
    monkeypatch.delenv("COLUMNS")
    result = plan(account, POLICY)
    rows = rows_of(result)
    assert len(rows) == 289
    assert all('os="Ubuntu Server 22.04 LTS 64bit"' in row for row in rows)
    assert "left out" not in result.stdout
    assert "\x1b" not in result.stdout


def test_saved_plan_is_the_plan(account: Function, tmp_path: Path) -> None:
    """The change request of -o makes the planned changes and no others, and needs no other run."""
    path = tmp_path / "plan.json"
    planned = plan(account, POLICY, "--json", "-o", str(path))
    former = account.images
    expected = {
        (image["Region"], image["ImageId"]): image["After"]
        for image in json.loads(planned.stdout)["Images"]
        if image["Status"] == "planned"
    }
    applied = account(json.loads(path.read_text(encoding="utf-8")), seconds=300)
    assert (planned.exit_code, applied["Outcome"]) == (0, "applied")
    changed = {(i["Region"], i["ImageId"]): i["After"] for i in applied["Images"]}
    assert changed == expected
    for region, images in former.items():
        others = [image for image in images if (region, image["ImageId"]) not in expected]
        assert others == [image for image in account.images[region] if image in others]
    assert account(POLICY, seconds=300)["Summary"]["Changed"] == 0


def test_plan_of_a_change_request(function: Function) -> None:
    """A change request shows each image's change, also those that would fail, with the reason."""
    request = {
        "Images": [
            {"ImageId": "img-6pb6lrmy", "ImageName": "sample", "Expect": {"ImageName": "other"}},
            {"ImageId": "img-qlzp4oea", "Tags": [{"Key": "os", "Value": "linux"}]},
            {"ImageId": "img-99999999", "ImageName": "x"},
        ]
    }
    result = plan(function, request)
    assert result.exit_code == 1
    head, *rows = rows_of(result)
    assert head == "img-qlzp4oea  ap-guangzhou  api-build-0077  +os=linux"
    assert rows[0].startswith("img-99999999  ap-guangzhou")
    assert "failed InvalidImageId.NotFound: ap-guangzhou has no image img-99999999" in rows[0]
    assert "img-6pb6lrmy  ap-guangzhou  web-build-0142" in rows[1]
    assert 'failed Changed: not as expected: ImageName is "web-build-0142"' in result.stdout
    assert result.stdout.endswith("1 planned, 2 failed\n")


def test_plan_of_a_manifest(function: Function) -> None:
    """A manifest's plan has the builds' rules, and says what would wait for what."""
    new = {"ImageId": "img-new00001", "ImageName": "packer"}
    function.hold(new)
    copy = {"ImageId": "img-copy0001", "ImageName": "packer", "ImageState": "SYNCING"}
    function.hold(copy, region="ap-shanghai")
    data = {"ImageName": "web-{custom_data.git}", "git": "3f2c1d", "Tag.team": "infra"}
    result = plan(function, manifest(build(data, artifact_id=COPIES)), "-o", "never-written.json")
    assert result.exit_code == 1
    assert "since img-new00001 would wait; plan it again when all images are ready" in result.stderr
    first, second = rows_of(result)
    assert first.startswith("img-new00001  ap-guangzhou  packer → web-3f2c1d  +team=infra")
    assert "would wait: not renamed while img-copy0001 is SYNCING" in result.stdout
    assert second.startswith("img-copy0001  ap-shanghai   packer → web-3f2c1d  +team=infra")
    assert second.endswith("would wait: img-copy0001 is SYNCING")
    assert "ImageName  web-{custom_data.git}\nTag.team   infra\n" in result.stdout


def test_plan_of_an_undo(function: Function) -> None:
    """The undo of a run is planned like any change request, with its old values."""
    undo = function({"ImageId": "img-6pb6lrmy", "ImageName": "sample"})["Undo"]
    result = plan(function, undo)
    assert rows_of(result) == ["img-6pb6lrmy  ap-guangzhou  sample → web-build-0142"]


def test_plan_of_an_event(function: Function) -> None:
    """An event is planned as SCF would deliver it, also one that brings no document."""
    event = function.uploaded({"ImageId": "img-6pb6lrmy", "ImageName": "sample"})
    assert rows_of(plan(function, event)) == ["img-6pb6lrmy  ap-guangzhou  web-build-0142 → sample"]
    result = plan(function, {"Records": []})
    assert result.exit_code == 1
    assert result.stdout.count("Error: InvalidEvent") == 1


def many(count: int) -> dict[str, Any]:
    """Return a policy for all images, which may change a number of images."""
    body = {"ImageDescription": "d", "MaxChanges": count}
    return {"Normalise": body}


@pytest.mark.parametrize(
    ("images", "document", "reason"),
    [
        (3, many(2), "it would be rejected"),
        (1001, many(1000), "it is too large; a change request has at most 1,000 images"),
        (0, many(9), "it changes nothing"),
    ],
)
def test_plan_that_cannot_be_saved(
    function: Function, tmp_path: Path, images: int, document: dict[str, Any], reason: str
) -> None:
    """Without a change request, -o writes no file, says why, and the exit status is 1."""
    function.hold(*({"ImageId": f"img-{n:08}", "ImageName": f"n-{n}"} for n in range(images)))
    path = tmp_path / "plan.json"
    result = plan(function, document, "-o", str(path))
    assert result.exit_code == 1
    assert (
        f"plan.json was not written: there is no change request for this plan, since {reason}"
        in (result.stderr)
    )
    assert not path.exists()
    assert len(rows_of(result)) == images
    assert plan(function, document).exit_code == 0


def test_files_must_differ(function: Function, tmp_path: Path) -> None:
    """Neither -o nor --html overwrites the document or the other file."""
    document = tmp_path / "policy.json"
    document.write_text(json.dumps(POLICY), encoding="utf-8")
    (tmp_path / "link.json").symlink_to(document)
    same = str(tmp_path / "same")
    for files in (["-o", str(document)], ["--html", str(tmp_path / "link.json")],
                  ["-o", same, "--html", same]):  # fmt: skip
        command = ["plan", str(document), "--endpoint", function.cloud.url, *files]
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 2
        assert "DOCUMENT, --html and -o must be different files" in result.stderr
    assert json.loads(document.read_text(encoding="utf-8")) == POLICY
    assert not (tmp_path / "same").exists()


def test_plan_writes_no_journal(function: Function) -> None:
    """Nothing is written to the cloud, not even the journal of a dry run."""
    journal = "STEWARD_JOURNAL=manifests-1250000000/journal/"
    assert plan(function, many(9), "--env", journal).exit_code == 0
    assert not function.calls("PutObject")
    assert not function.writes


def test_image_that_is_not_ready(function: Function) -> None:
    """A change request for an image that is not ready says that it would wait, as it would."""
    function.hold({"ImageId": "img-00000001", "ImageName": "a", "ImageState": "SYNCING"})
    request = {"ImageId": "img-00000001", "ImageName": "b"}
    result = plan(function, request)
    assert rows_of(result) == [
        "img-00000001  ap-guangzhou  a → b  would wait: img-00000001 is SYNCING"
    ]
    assert result.stdout.endswith("1 planned, 1 of them would wait\n")
    assert "Apply" not in json.loads(plan(function, request, "--json").stdout)
    table = plan(function, request, "--csv").stdout
    assert table.splitlines()[1].endswith(",a,a,,would wait: img-00000001 is SYNCING")
    unchanged = plan(function, {**request, "ImageName": "a"})
    assert unchanged.stdout.endswith("1 unchanged\n")


def test_files_are_written_before_the_plan_is_printed(function: Function, tmp_path: Path) -> None:
    """The files are there even if nobody reads the plan."""
    page, saved = tmp_path / "p.html", tmp_path / "p.json"
    function.hold({"ImageId": "img-00000001", "ImageName": "a"})
    command = ["plan", "--endpoint", function.cloud.url, "--html", str(page), "-o", str(saved)]
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(  # noqa: S603 - our own command
            [Path(sys.executable).parent / "scf-local", *command],
            input=json.dumps(many(9)), stdout=full, text=True, check=False,
            stderr=subprocess.PIPE,
        )  # fmt: skip
    assert run.returncode == 1
    assert "1 image would change" in page.read_text(encoding="utf-8")
    assert len(json.loads(saved.read_text(encoding="utf-8"))["Images"]) == 1


@pytest.mark.parametrize("option", ["-o", "--html"])
def test_stdout_is_no_file(function: Function, option: str) -> None:
    """- is no file to write to, but stdin is a document."""
    result = plan(function, POLICY, option, "-")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--html and -o write files; - is not the name of one" in result.stderr
    assert not Path("-").exists()


def test_table_is_no_document() -> None:
    """A table given to `plan` is a usage error that names `request`."""
    result = CliRunner().invoke(main, ["plan"], input="\ufeffRegion;ImageId;ImageName\n")
    assert result.exit_code == 2
    assert "stdin: is a table; `scf-local request` makes a change request of it" in result.stderr


def test_one_form_at_a_time(function: Function) -> None:
    """--csv and --json cannot be combined."""
    result = plan(function, POLICY, "--csv", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--csv and --json cannot be combined" in result.stderr


def test_table_comes_with_its_problems(function: Function) -> None:
    """With --csv, stdout has only the table; warnings, errors and totals are on stderr."""
    function.hold({"ImageId": "img-00000001", "ImageName": "a"})
    result = plan(function, many(1), "--csv")
    assert result.stdout.startswith("\ufeffRegion,ImageId,#Name,")
    assert result.stderr == "scf-local: 1 planned\n"
    result = plan(function, {"Images": []}, "--csv")
    assert result.exit_code == 1
    assert "scf-local: Error: InvalidDocument: " in result.stderr


@pytest.mark.parametrize("target", ["", "missing/folder/plan.json"])
def test_unwritable_file_is_found_first(function: Function, tmp_path: Path, target: str) -> None:
    """A file that cannot be written is a usage error before the function runs."""
    (tmp_path / "missing").touch()
    result = plan(function, POLICY, "-o", str(tmp_path / target))
    assert (result.exit_code, result.stdout) == (2, "")
    assert function.calls() == []


@pytest.mark.parametrize("text", ['{"ImageId": "a", "ImageId": "b"}', "{", '{"a": NaN}', ""])
def test_document_is_read_strictly(text: str) -> None:
    """A document that an upload would reject as InvalidJSON is a usage error."""
    result = CliRunner().invoke(main, ["plan"], input=text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "stdin: not JSON" in result.stderr


@pytest.mark.parametrize(
    ("body", "said"),
    [("raise KeyError(event)", "KeyError"), ("print('here'); return {'Outcome': 'x'}", "here")],
)
def test_function_without_a_plan(tmp_path: Path, body: str, said: str) -> None:
    """A function that raises, or returns no dry run's result, has its log shown, and no plan."""
    (tmp_path / "index.py").write_text(f"def main_handler(event, context): {body}")
    result = CliRunner().invoke(main, ["plan", "--code", str(tmp_path)], input="{}")
    assert result.exit_code == 1
    assert said in result.stderr
    assert "this is no plan: the function returned no result of a dry run" in result.stderr
    assert "Plan of" not in result.stdout


def test_unreachable_cloud_shows_the_log() -> None:
    """A run that raises, since it could not read the images, has its log shown."""
    command = ["plan", "--env", "STEWARD_API_ENDPOINT=http://127.0.0.1:9", "--timeout", "3"]
    result = CliRunner().invoke(main, command, input=json.dumps(many(1)))
    assert result.exit_code == 1
    assert "Unfinished" in result.stderr


def test_log_level_can_be_set(function: Function) -> None:
    """STEWARD_LOG_LEVEL of --env counts; the log is shown only if there is no plan."""
    result = plan(function, many(9), "--env", "STEWARD_LOG_LEVEL=DEBUG")
    assert result.stderr == ""
    result = plan(function, many(9), "--env", "STEWARD_LOG_LEVEL=LOUD")
    assert "STEWARD_LOG_LEVEL" in result.stdout
