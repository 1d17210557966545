"""The page of a plan: what it counts and lists, that hostile values do nothing, and its marks."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timezone
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from conftest import ROOT
from parsed_page import Page
from scf_local.changes import changes_of
from scf_local.cli import main
from scf_local.plans.page import page_of
from scf_local.plans.plan import Plan
from scf_local.terminal_text import printable

MADE = datetime(2026, 11, 26, 9, 31, 12, tzinfo=timezone.utc)
HOSTILE = '"><img src=x onerror=alert(1)></script><script>alert(1)</script>\x00\u202e\ud83d\n'


class PlanPage(Page):
    """Also the rows of tables: attributes, and the text of each cell with its marked parts."""

    def __init__(self, html: str) -> None:
        self.rows: list[tuple[dict[str, str], list[str]]] = []
        self.open: list[str] = []
        super().__init__(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Start a row or a cell."""
        super().handle_starttag(tag, attrs)
        if tag == "tr":
            self.rows.append((self.elements[-1][1], []))
        elif tag in {"td", "th"}:
            self.rows[-1][1].append("")
        self.open.append(tag)
        if tag == "mark":
            self.handle_data("[")

    def handle_endtag(self, tag: str) -> None:
        """End an element, and those in it that have no end tag."""
        if tag == "mark":
            self.handle_data("]")
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Add text to the cell, if there is one."""
        super().handle_data(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][1][-1] += data

    @property
    def images(self) -> list[tuple[dict[str, str], list[str]]]:
        """The rows of images."""
        return [row for row in self.rows if "data-status" in row[0]]

    @property
    def totals(self) -> dict[str, dict[str, int]]:
        """The table of totals: counts by region and column."""
        rows = [cells for attributes, cells in self.rows if not attributes]
        start = next(n for n, cells in enumerate(rows) if cells[:2] == ["Region", "Planned"])
        (_, *columns), *others = rows[start:]
        return {
            region: dict(zip(columns, map(int, counts), strict=True))
            for region, *counts in others
            if region not in {"Region", "Code"}
        }


def _page(result: dict[str, Any], source: str = "policy.json") -> PlanPage:
    html = "".join(page_of(Plan.of(source, "emulated cloud", result), MADE))
    return PlanPage(html)


def _result(*images: dict[str, Any], **members: object) -> dict[str, Any]:
    summary = Counter(image["Status"].capitalize() for image in images)
    return {"Outcome": "planned", "Summary": dict(summary), "Images": list(images), **members}


def _image(number: int, status: str = "planned", **members: object) -> dict[str, Any]:
    names = {"ImageName": f"old-{number}"}
    return {
        "Region": "ap-guangzhou", "ImageId": f"img-{number:08}", "Status": status, **names,
        "Before": names, "After": {"ImageName": f"new-{number}"}, **members,
    }  # fmt: skip


def _skipped(number: int, reason: str) -> dict[str, Any]:
    return _image(number, "skipped", Before={}, After={}, Reason=reason)


@pytest.fixture(scope="module")
def inherited() -> dict[str, Any]:
    """The plan of the policy for 300 inherited images."""
    policy = ROOT / "docs" / "policies" / "inherited.json"
    arguments = ["invoke", str(policy), "--dry-run", "--seed", str(policy.with_suffix(""))]
    run = CliRunner().invoke(main, arguments)
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def test_every_image_is_listed_once(inherited: dict[str, Any]) -> None:
    """Each image of the result has one row, with its region, names and status."""
    page = _page(inherited)
    expected = {
        (image["Region"], image["ImageId"], image["ImageName"], image["Status"]): image
        for image in inherited["Images"]
    }
    assert len(page.images) == len(expected) == 298
    for attributes, (region, image_id, old, *rest) in page.images:
        plain = old.replace("[", "").replace("]", "")
        image = expected.pop((region, image_id, plain, attributes["data-status"]))
        assert attributes["data-region"] == region
        if image["Status"] == "planned":
            assert attributes["data-kind"] == "ImageName"
            assert rest[0].replace("[", "").replace("]", "") == image["After"]["ImageName"]
            assert (rest[1:] or [""])[-1] == image.get("Reason", "")
    assert expected == {}


def test_the_head_counts(inherited: dict[str, Any]) -> None:
    """The head names the document, the time and the cloud, and counts by status and region."""
    page = _page(inherited, "docs/policies/inherited.json")
    text = " ".join(page.text.split())
    assert "292 images would change" in text
    assert "document docs/policies/inherited.json 26 Nov 2026, 09:31:12 UTC emulated cloud" in text
    assert "planned292 unchanged2 skipped6" in text
    regions = Counter(image["Region"] for image in inherited["Images"])
    assert {region: row["Planned"] + row["Skipped"] for region, row in page.totals.items()} == {
        **regions,
        "All regions": 298,
    }


def test_the_rules_are_told_once(inherited: dict[str, Any]) -> None:
    """The rules of the document are in one list, not on each row."""
    (rule,) = (rule for rule in inherited["Rules"] if rule["Key"] == "ImageName")
    page = _page(inherited)
    assert page.text.count(rule["Value"]) == 1
    assert f"{rule['Key']}{rule['Value']}" in page.text
    assert page.text.count('{"From": ') == 6  # the steps of Derive


def test_totals_by_region_and_kind() -> None:
    """Only columns that are in use are shown; an image with several changes counts for each."""
    tags = [{"Key": "env", "Value": "prod"}, {"Key": "team", "Value": "core"}]
    page = _page(
        _result(
            _image(1, After={"ImageName": "x", "Tags": tags}),
            _image(2, Region="ap-shanghai", Before={}, After={"Tags": tags}),
            _image(3, Region="ap-shanghai", Before={}, After={"ImageFamily": "f"}),
            _image(4, "failed", Code="X", Message="no", Region="ap-shanghai"),
            _skipped(5, "why"),
        )
    )
    zero = dict.fromkeys(("Planned", "ImageName", "ImageFamily", "Tags", "Failed", "Skipped"), 0)
    assert page.totals == {
        "ap-guangzhou": {**zero, "Planned": 1, "ImageName": 1, "Tags": 1, "Skipped": 1},
        "ap-shanghai": {**zero, "Planned": 2, "ImageFamily": 1, "Tags": 1, "Failed": 1},
        "All regions": {**dict.fromkeys(zero, 1), "Planned": 3, "Tags": 2},
    }
    kinds = [attributes["data-kind"].split("\n") for attributes, _ in page.images]
    assert kinds == [["ImageName"], ["ImageName", "Tags"], ["Tags"], ["ImageFamily"], [""]]


def test_differences_are_marked() -> None:
    """Only what differs is marked; added, removed and replaced values are told apart."""
    before = {
        "ImageName": "web-build-0142", "ImageDescription": "", "ImageDeprecated": False,
        "Tags": [{"Key": "env", "Value": "test"}, {"Key": "tmp", "Value": ""}],
    }  # fmt: skip
    after = {
        "ImageName": "web-test-0142", "ImageDescription": "nightly", "ImageDeprecated": True,
        "Tags": [{"Key": "env", "Value": "prod"}, {"Key": "owner", "Value": "li"}],
    }  # fmt: skip
    family = _image(2, Before={}, After={"ImageFamily": "web"})
    page = _page(_result(_image(1, Before=before, After=after), family))
    (_, first), (_, second) = page.images
    assert first[2:4] == ["web-[build]-0142", "web-[test]-0142"]
    for change in (
        "Tag env [test] → [prod]",
        "\N{MINUS SIGN} Tag tmp empty",
        "+ Tag owner [li]",
        "+ ImageDescription [nightly]",
        "ImageDeprecated [false] → [true]",
    ):
        assert change in first[4]
    assert second[2:] == ["old-2", "", "+ ImageFamily [web]"]


@given(st.text(max_size=30), st.text(max_size=30))
@example("web\x1e\x1e", "web\x1e\x1f")  # printed alike
def test_both_names_are_whole(before: str, after: str) -> None:
    """The marked and unmarked parts together are the name before and after, whatever it is."""
    image = _image(1, Before={"ImageName": before}, After={"ImageName": after}, ImageName=before)
    ((_, cells),) = _page(_result(image)).images
    names = [cell.replace("[", "").replace("]", "") for cell in cells[2:4]]
    (change,) = changes_of(image)
    shown = [change.before, change.after if before != after else ""]
    shown = [{'""': "empty" if before != after else ""}.get(text, text) for text in shown]
    assert names == [text.replace("[", "").replace("]", "") for text in shown]


def test_failed_images_come_first() -> None:
    """Failed and pending images come before planned ones, with a badge and the whole reason."""
    page = _page(
        _result(
            _image(1),
            _image(2, "pending", Reason="its build is not ready: img-00000001 is CREATING now"),
            _image(3, "failed", Code="InvalidImageName.Duplicate", Message='"new-3" is taken'),
        )
    )
    statuses = [attributes["data-status"] for attributes, _ in page.images]
    assert statuses == ["failed", "pending", "planned"]
    reasons = [cells[-1] for _, cells in page.images]
    assert reasons == [
        'failed InvalidImageName.Duplicate: "new-3" is taken',
        "pending its build is not ready: img-00000001 is CREATING now",
        "",
    ]


def test_skipped_images_are_folded_by_reason() -> None:
    """Skipped images are in closed groups with a count; the largest comes first."""
    page = _page(_result(_skipped(1, "one"), _skipped(2, "two"), _skipped(3, "two"), _image(4)))
    assert page.text.count("two") == 1
    assert page.text.index("two 2 images") < page.text.index("one 1 image")
    groups = [attributes for attributes in page.all("details") if attributes["class"] == "group"]
    assert groups == [{"class": "group"}] * 2
    assert [cells[1] for _, cells in page.images] == [f"img-{n:08}" for n in (4, 2, 3, 1)]


def test_long_values_are_shown_on_demand() -> None:
    """A long value or several changes are folded to one line, but are whole in the page."""
    long = "Nightly build 0142 of web by Packer, kept until the audit is done"
    page = _page(
        _result(
            _image(1, After={"ImageDescription": long}),
            _image(2, After={"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]}),
            _image(3, After={"Tags": [{"Key": "a", "Value": "1"}]}),
            _image(4, Reason=f"would wait: {long}"),
        )
    )
    assert page.all("details") == [{"class": "fold"}] * 3
    assert f"[{long}]" in page.images[0][1][4]


def test_problems_are_prominent() -> None:
    """Warnings, errors and a result that was cut are told before the totals."""
    warning = {"Source": "direct", "Code": "TooMany", "Path": "/MaxChanges", "Message": "refused"}
    error = {"Source": "direct", "Code": "BadKey", "Path": "/X", "Message": "unknown"}
    result = _result(_image(1), Warnings=[warning], Errors=[error], Truncated=True)
    text = _page(result).text
    start = text.index("The result was too long: 1 of 1 planned images")
    for word in ("BadKey", "/X", "unknown", "TooMany", "/MaxChanges", "refused"):
        assert start < text.index(word) < text.index("Totals")


@pytest.mark.parametrize(
    "result",
    [
        {"Outcome": "rejected", "Images": [], "Errors": [{"Code": "BadKey", "Message": "no"}]},
        {"Outcome": "unchanged", "Summary": {"Unchanged": 3}, "Images": []},
        {"Outcome": "of another function", "Images": [5]},
        {},
    ],
)
def test_plans_without_images(result: dict[str, Any]) -> None:
    """A rejected document or an empty plan has a page without form and tables of images."""
    page = _page(result)
    assert "No image would change" in page.text
    assert printable(result.get("Outcome", "(empty)")) in page.text
    assert not page.all("form")
    assert page.images == []
    page.check_that_nothing_is_loaded()


def test_hostile_values_stay_text() -> None:
    """Markup, bidi and control characters in any value end up as visible text."""
    texts = dict.fromkeys(("Region", "ImageId", "ImageName", "Code", "Message", "Reason"), HOSTILE)
    state = {HOSTILE: HOSTILE, "Tags": [{"Key": HOSTILE, "Value": HOSTILE}]}
    after = {HOSTILE: f"{HOSTILE}x", "ImageName": HOSTILE, "Tags": []}
    problem = dict.fromkeys(("Source", "Code", "Path", "Message"), HOSTILE)
    images = [
        {**texts, "Status": status, "Before": state, "After": after}
        for status in ("planned", "skipped", HOSTILE)
    ]
    members = {"Outcome": HOSTILE, "Errors": [problem], "Warnings": [problem]}
    rules = [{"Key": HOSTILE, "Value": HOSTILE}]
    page = _page({**_result(*images), **members, "Rules": rules}, HOSTILE)
    assert not page.all("img")
    assert len(page.all("script")) == 1
    assert not [n for _, attributes in page.elements for n in attributes if n.startswith("on")]
    assert page.text.count("<img src=x onerror=alert(1)>") >= 30
    for character in "\x00\u202e\ud83d":
        assert character not in page.text
    page.check_that_nothing_is_loaded()


def test_page_is_self_contained_and_accessible(inherited: dict[str, Any]) -> None:
    """The page loads nothing; headings, table heads and fields are named."""
    page = _page(inherited)
    page.check_that_nothing_is_loaded()
    page.check_that_it_is_accessible()
    names = {field["name"] for field in (*page.all("input"), *page.all("select"))}
    assert names == {"q", "region", "status", "kind", "sort"}
    assert len(page.all("label")) == len(names - {"sort"})
    sortable = [head["data-sort"] for head in page.all("th") if "data-sort" in head]
    assert sortable == ["region", "id", "old", "new"]
