"""`make rehearsal`: a deployment from its beginning to its end, each step seen in the cloud."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len

import bundle
import rehearsal
from rehearsal import API, BUCKET, REGION, WEB

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME, SECOND, IGNORED = "image-steward", "img-b2web142", "img-d4erp190"
SEEDED = {
    WEB: "Web Build_0142", SECOND: "web / build / 0142", API: "ＡＰＩ＿build 77",  # noqa: RUF001 - full width
    IGNORED: "ERP (certified, do not touch)",
}  # fmt: skip
NORMAL = {**SEEDED, WEB: "web-build-0142", SECOND: "web-build-0142-2", API: "api-build-77"}
STABLE = {WEB: "web-stable"}
CREATE = [
    "CreateRole", "CreatePolicy", "AttachRolePolicy", "PutBucket", "PutBucketVersioning",
    "CreateFunction", "UpdateFunctionEventInvokeConfig", "PutReservedConcurrencyConfig",
    "CreateTrigger", "CreateTrigger",
]  # fmt: skip
DELETE = ["DeleteTrigger", "DeleteTrigger", "DeleteFunction"]
DELETE += ["DetachRolePolicy", "DeleteRole", "DeletePolicy"]
WAIT = "PutReservedConcurrencyConfig"
"""Of 0 MB, so that no event meets half of a change, and then of what is wanted."""
PREFIX = [WAIT, "UpdatePolicy", "UpdateFunctionConfiguration"]
PREFIX += ["DeleteTrigger", "CreateTrigger", WAIT]


def upload(renamed: int) -> list[str]:
    """Return the calls of an upload, or of a timer, and of the run: with journal and result."""
    return ["PutObject", "PutObject", *["ModifyImageAttribute"] * renamed, "PutObject"]


EXPECTED: list[tuple[Callable[[rehearsal.Stage], None], dict[str, str], int, list[str]]] = [
    (rehearsal.start, SEEDED, 0, []),
    (rehearsal.deploy, SEEDED, 0, CREATE),
    (rehearsal.change, {**SEEDED, **STABLE}, 2, upload(1)),
    (rehearsal.replay, {**SEEDED, **STABLE}, 2, []),
    (rehearsal.undo, SEEDED, 4, upload(1)),
    (rehearsal.nightly, NORMAL, 6, upload(3)),
    (rehearsal.reconfigure, {**NORMAL, **STABLE}, 8, [*PREFIX, "PutObject", *upload(1)]),
    (rehearsal.deploy_again, {**NORMAL, **STABLE}, 12, ["InvokeFunction", "PutObject"] * 4),
    (rehearsal.undeploy, {**NORMAL, **STABLE}, 12, DELETE),
]
"""After each step: names of the images, number of objects in the journal, and calls that write."""


def test_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step changes in the cloud what it has to, by the calls that this needs, and no more."""
    monkeypatch.setenv("COLUMNS", "100")
    printed: list[str] = []
    assert [step for step, *_ in EXPECTED] == list(rehearsal.STEPS)
    with rehearsal.opened(tmp_path, printed.append) as stage:
        made = 0
        for step, names, journal, calls in EXPECTED:
            step(stage)
            state = stage.state()
            assert names_of(state) == names, step
            assert len(stage.keys("journal/")) == journal, step
            writes = [call for call in state["Calls"][made:] if is_write(call)]
            made = len(state["Calls"])
            assert [call["Action"] for call in writes] == calls, step
            assert {call["Outcome"] for call in writes} <= {"ok"}, step
            has_function = step not in {rehearsal.start, rehearsal.undeploy}
            assert state["Roles"] == ({NAME: [NAME]} if has_function else {}), step
            assert list(state["Functions"].get(REGION, {})) == [NAME] * has_function, step
        assert state["Buckets"][BUCKET] == {
            "Region": REGION, "ACL": "private", "Versioning": "Enabled",
        }  # fmt: skip
    text = "\n".join(printed)
    assert max(map(cell_len, text.splitlines())) <= 100
    assert not re.search(r"[0-9a-f]{8}-|\d{4}-\d\d-\d\d|127\.0\.0\.1", text)
    assert str(tmp_path) not in text


def names_of(state: dict[str, Any]) -> dict[str, str]:
    """Return the names of all images by id."""
    images = [image for images in state["Images"].values() for image in images]
    return {image["ImageId"]: image["ImageName"] for image in images}


def is_write(call: dict[str, Any]) -> bool:
    """Whether a call changes something."""
    return not call["Action"].startswith(("Get", "Head", "List", "Describe", "Search"))


def test_what_is_not_as_expected(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step that fails ends the rehearsal, which says what was expected, and what is."""
    monkeypatch.setattr(bundle, "assemble", lambda *_: None)
    assert rehearsal.main((rehearsal.start, rehearsal.deploy)) == 1
    printed = capsys.readouterr()
    assert "as expected" not in printed.out
    assert "exit status of `scf-deploy apply --yes`\n  expected: 0\n  found:    2\n" in printed.err
    assert "is it built (make bundle)?" in printed.err


@pytest.mark.parametrize(("found", "message"), [
    ({WEB: "other"}, f"  expected: {{{WEB!r}: 'web'}}\n  found:    {{{WEB!r}: 'other'}}"),
    ({WEB: "web", API: "more"}, f"{API!r}: 'more'"),
])  # fmt: skip
def test_other_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: dict[str, str], message: str
) -> None:
    """An image with another name is not as expected, nor is one that nobody expects."""
    images = [{"ImageId": key, "ImageName": name} for key, name in found.items()]
    monkeypatch.setattr(rehearsal.Stage, "state", lambda _: {"Images": {REGION: images}})
    stage = rehearsal.Stage(tmp_path, {}, print, {WEB: "old"})
    with pytest.raises(rehearsal.Unexpected, match=re.escape(message)):
        stage.expect_names({WEB: "web"})
