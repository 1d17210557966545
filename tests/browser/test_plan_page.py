"""The page of a plan in Chromium: search, filters, order, heights, and that it loads nothing.

Writes screenshots to build/.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from playwright.sync_api import expect

from scf_local.cli import main
from scf_local.plans.page import page_of
from scf_local.plans.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from playwright.sync_api import Page

    Opened = Callable[..., AbstractContextManager[Page]]

ROOT = Path(__file__).parents[2]
MADE = datetime(2026, 11, 26, 9, 31, 12, tzinfo=timezone.utc)
REGIONS = ("ap-guangzhou", "ap-shanghai", "ap-singapore", "na-siliconvalley")
HOSTILE = '"><img src=x onerror="document.title=1"></script><script>document.title=1</script>\u202e'
LONG = "Nightly build 0142 of web by Packer, commit 7613e35, kept until the audit is done"
MAX_ROW = {390: 60, 1280: 30}
"""Pixels of an image on average, by the width of the window."""


def _written(path: Path, result: dict[str, Any]) -> Path:
    plan = Plan.of("docs/policies/inherited.json", "emulated cloud", result)
    html = "".join(page_of(plan, MADE))
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def result() -> dict[str, Any]:
    """The plan for 300 inherited images."""
    policy = ROOT / "docs" / "policies" / "inherited.json"
    arguments = ["invoke", str(policy), "--dry-run", "--seed", str(policy.with_suffix(""))]
    plan: dict[str, Any] = json.loads(CliRunner().invoke(main, arguments).stdout)
    return plan


@pytest.fixture(scope="session")
def inherited(tmp_path_factory: pytest.TempPathFactory, result: dict[str, Any]) -> Path:
    """Its page."""
    return _written(tmp_path_factory.mktemp("plan") / "inherited.html", result)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory, result: dict[str, Any]) -> Path:
    """The same in four regions, with all kinds of changes and failures, and a warning."""
    result = json.loads(json.dumps(result))
    for number, image in enumerate(result["Images"]):
        image["Region"] = REGIONS[number % 4]
        if image["Status"] != "planned":
            continue
        before, after = image["Before"], image["After"]
        if number % 9 == 0:
            before["Tags"] = [{"Key": "env", "Value": "test"}]
            after["Tags"] = [
                {"Key": "env", "Value": "production"},
                {"Key": "owner", "Value": "payments-team@example.com"},
            ]
        elif number % 7 == 0:
            before["ImageFamily"], after["ImageFamily"] = "web-old", "web"
        elif number % 11 == 0:
            before["ImageDescription"], after["ImageDescription"] = "", LONG
        elif number % 13 == 0:
            before["ImageDeprecated"], after["ImageDeprecated"] = False, True
        if number % 40 == 4:
            before["ImageName"] = image["ImageName"] = "生产环境订单中心结算服务" * 5
            after["ImageName"] = "订单中心结算服务" * 7
        if number in {7, 67}:
            message = f'the name "{after["ImageName"]}" is taken by img-6pb6lrmy'
            image |= {"Status": "failed", "Code": "InvalidImageName.Duplicate", "Message": message}
        if number == 8:
            image |= {"Status": "pending", "Reason": "ImageState is CREATING, not NORMAL"}
    result["Summary"] |= {"Planned": 289, "Failed": 2, "Pending": 1}
    message = "289 images would change, more than MaxChanges (200): it would be rejected"
    result["Warnings"] = [
        {"Source": "direct", "Code": "TooManyChanges", "Path": "/MaxChanges", "Message": message}
    ]
    return _written(tmp_path_factory.mktemp("plan") / "mixed.html", result)


def _shown(page: Page) -> list[dict[str, str]]:
    """The data attributes of the rows that are visible, from top to bottom."""
    rows: list[dict[str, str]] = page.locator("[data-status]").evaluate_all(
        "rows => rows.filter(r => r.checkVisibility()).map(r => ({...r.dataset}))"
    )
    return rows


def _column(page: Page, name: str) -> list[str]:
    texts: list[str] = page.locator(f".images.group .{name}").all_inner_texts()
    return texts


def test_finds_an_image(opened: Opened, inherited: Path) -> None:
    """`/` focuses the search for words of names and ids; the URL keeps the state."""
    with opened(inherited) as page:
        status = page.get_by_role("status")
        expect(status).to_have_text("298 images")
        page.keyboard.press("/")
        page.keyboard.type("IMG-003OLD00 erp", delay=10)
        expect(status).to_have_text("1 of 298 images")
        row = page.locator("[data-status]:visible")
        expect(row).to_contain_text("ERP_v4.1_03.05.2023_final_FINAL")
        expect(row).to_contain_text("erp-4.1-20230503")
        assert page.url.endswith("#q=IMG-003OLD00+erp")
        page.reload()
        expect(page.get_by_role("searchbox")).to_have_value("IMG-003OLD00 erp")
        expect(row).to_have_count(1)
        page.get_by_role("button", name="Clear").press("Enter")
        expect(status).to_have_text("298 images")
        page.get_by_role("searchbox").fill("never-seen")
        expect(page.get_by_text("No image matches.")).to_be_visible()
        expect(page.get_by_role("table", name="Images")).to_be_hidden()


def test_skipped_images_open_for_a_search(opened: Opened, inherited: Path) -> None:
    """Skipped images are folded, but a search for a name or reason, and the status, show them."""
    with opened(inherited) as page:
        assert {row["status"] for row in _shown(page)} == {"planned"}
        start = page.locator("[data-sort=old]").bounding_box()["x"]
        status = page.get_by_role("status")
        page.get_by_role("searchbox").fill("golden-web")
        cell = page.get_by_role("cell", name="golden-web 2023")
        expect(cell).to_be_visible()
        assert cell.bounding_box()["x"] == start  # aligned with the table above
        page.get_by_role("searchbox").fill("except/1")
        expect(status).to_have_text("2 of 298 images")
        assert [row["status"] for row in _shown(page)] == ["skipped"] * 2
        expect(page.get_by_text("it has the tag image-steward = ignore")).to_be_hidden()
        page.get_by_role("button", name="Clear").click()
        expect(page.get_by_role("cell", name="golden-web 2023")).to_be_hidden()
        page.get_by_role("link", name="skipped").click()
        expect(status).to_have_text("6 of 298 images")
        assert [row["status"] for row in _shown(page)] == ["skipped"] * 6


def test_filters(opened: Opened, mixed: Path) -> None:
    """Filters by region, status and kind of change can be combined, and set by the URL."""
    with opened(mixed) as page:
        status = page.get_by_role("status")
        page.get_by_role("combobox", name="Region").select_option("ap-singapore")
        expect(status).not_to_have_text("298 images")
        assert {row["region"] for row in _shown(page)} == {"ap-singapore"}
        page.get_by_role("combobox", name="Kind").select_option("Tags")
        expect(status).to_have_text("8 of 298 images")
        for row in _shown(page):
            assert (row["region"], "Tags" in row["kind"].split("\n")) == ("ap-singapore", True)
        page.evaluate("location.hash = 'status=failed'")
        expect(status).to_have_text("2 of 298 images")
        assert {row["status"] for row in _shown(page)} == {"failed"}
        page.evaluate("location.hash = 'kind=ImageDeprecated&q=true'")
        expect(page.get_by_role("searchbox")).to_have_value("true")
        shown = _shown(page)
        assert shown
        assert all("ImageDeprecated" in row["kind"] for row in shown)


def test_sorts_by_a_column(opened: Opened, mixed: Path) -> None:
    """A column's head sorts by keyboard, numbers by value; the third press restores the plan."""
    with opened(mixed) as page:
        original = _column(page, "id")
        assert [row["status"] for row in _shown(page)[:4]] == [
            *["failed"] * 2,
            "pending",
            "planned",
        ]
        head = page.locator("[data-sort=id]")
        button = head.get_by_role("button")
        button.press("Enter")
        expect(head).to_have_attribute("aria-sort", "ascending")
        assert _column(page, "id") == sorted(original)
        assert page.url.endswith("#sort=id")
        page.reload()
        expect(head).to_have_attribute("aria-sort", "ascending")
        button.press("Space")
        expect(head).to_have_attribute("aria-sort", "descending")
        assert _column(page, "id") == sorted(original, reverse=True)
        button.click()
        expect(head).not_to_have_attribute("aria-sort", "descending")
        assert _column(page, "id") == original
        page.get_by_role("button", name="Region").click()
        expect(page.locator("[aria-sort]")).to_have_text("Region")
        regions = _column(page, "region")
        assert regions == sorted(regions)
        order = {image: number for number, image in enumerate(original)}
        pairs = list(zip(regions, map(order.__getitem__, _column(page, "id")), strict=True))
        assert pairs == sorted(pairs)  # equal ones stay as in the plan
        page.get_by_role("button", name="New name").click()
        expect(page.locator("[aria-sort]")).to_have_text("New name")
        names = _column(page, "new")
        assert names.index("gateway-1.3.0") < names.index("gateway-1.12.0")
        page.get_by_role("searchbox").fill("gateway")
        expect(page.get_by_role("status")).not_to_have_text("298 images")
        assert page.url.endswith("#q=gateway&sort=new")


def test_long_values_open(opened: Opened, mixed: Path) -> None:
    """Several changes or a long one are one line until opened."""
    with opened(mixed) as page:
        fold = page.locator("tr[data-status=planned] .fold").filter(has_text="owner").first
        row = fold.locator("xpath=ancestor::tr")
        before = row.bounding_box()
        assert before["height"] < 30
        fold.locator("summary").press("Enter")
        assert row.bounding_box()["height"] > before["height"]
        expect(fold.get_by_text("payments-team@example.com")).to_be_in_viewport()


def test_all_values_open(opened: Opened, mixed: Path) -> None:
    """A button opens all long values, and closes them again."""
    with opened(mixed) as page:
        folds = page.locator(".fold").count()
        assert folds > 20
        page.get_by_role("button", name="Unfold all").click()
        assert page.locator(".fold[open]").count() == folds
        page.get_by_role("button", name="Fold all").click()
        assert page.locator(".fold[open]").count() == 0


def test_waiting_images_are_found(opened: Opened, tmp_path: Path, result: dict[str, Any]) -> None:
    """Images that would wait are counted, marked, and found by their status."""
    result = json.loads(json.dumps(result))
    for image in result["Images"][:3]:
        image |= {"Waits": True, "Reason": f"would wait: {image['ImageId']} is SYNCING"}
    with opened(_written(tmp_path / "waiting.html", result)) as page:
        page.get_by_role("link", name="would wait").click()
        expect(page.get_by_role("status")).to_have_text("3 of 298 images")
        assert {row["status"] for row in _shown(page)} == {"planned\nwould wait"}
        page.get_by_role("combobox", name="Status").select_option("planned")
        expect(page.get_by_role("status")).to_have_text("292 of 298 images")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["inherited", "mixed"])
def test_300_images_are_compact(
    request: pytest.FixtureRequest, opened: Opened, name: str, width: int, scheme: str
) -> None:
    """Rows are low, and the page fits into narrow and wide windows, light and dark."""
    path = request.getfixturevalue(name)
    with opened(path, scheme=scheme, width=width) as page:
        heights = page.locator(".images.group tbody tr").evaluate_all(
            "rows => rows.map(row => row.getBoundingClientRect().height)"
        )
        total = page.evaluate("document.documentElement.scrollHeight")
        mean = sum(heights) / len(heights)
        print(f"{name} at {width}: {total:,} pixels, {mean:.1f} an image")
        assert len(heights) == 292
        assert mean <= MAX_ROW[width]
        assert total < 292 * MAX_ROW[width] + 2000
        assert page.evaluate("document.documentElement.scrollWidth") == width
        overflowing = page.locator("body *").evaluate_all(
            f"all => all.filter(e => e.checkVisibility() && !e.closest('.fold')"
            f" && e.getBoundingClientRect().right > {width}).length"
        )
        assert overflowing == 0
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
        (ROOT / "build").mkdir(exist_ok=True)
        page.screenshot(path=ROOT / "build" / f"plan-{name}-{scheme}-{width}.png")
        page.evaluate("scrollBy(0, 1500)")
        page.screenshot(path=ROOT / "build" / f"plan-{name}-{scheme}-{width}-scrolled.png")


def test_head_of_the_table_stays(opened: Opened, inherited: Path) -> None:
    """The form and the names of the columns stay visible while one scrolls, and do not overlap."""
    with opened(inherited) as page:
        page.evaluate("scrollTo(0, 3000)")
        form = page.locator("form").bounding_box()
        head = page.locator("[data-sort=region]").bounding_box()
        assert form["y"] == 0
        assert abs(head["y"] - form["height"]) <= 4


def test_phones_can_sort(opened: Opened, inherited: Path) -> None:
    """At 390 pixels the names of the columns are buttons above the list."""
    with opened(inherited, width=390) as page:
        page.get_by_role("button", name="Name now").click()
        expect(page.locator("[aria-sort]")).to_have_text("Name now")
        names = page.locator(".images.group .old")
        expect(names.first).not_to_have_text("auth - 副本")


def test_without_script(opened: Opened, mixed: Path) -> None:
    """Without JavaScript all rows are shown, skipped ones can be opened, and nothing is dead."""
    with opened(mixed, scripts=False) as page:
        expect(page.locator("[data-status]:visible")).to_have_count(292)
        expect(page.get_by_role("searchbox")).to_be_hidden()
        assert page.locator("thead button").count() == 0
        page.get_by_text("it matches /Normalise/Except/1").click()
        expect(page.locator("[data-status]:visible")).to_have_count(294)


def test_print_shows_everything(opened: Opened, mixed: Path) -> None:
    """On paper, folded values and skipped images are shown, and the form is not."""
    with opened(mixed, width=794) as page:
        page.emulate_media(media="print")
        expect(page.locator("form")).to_be_hidden()
        expect(page.get_by_text("golden-web 2023")).to_be_visible()
        fold = page.locator("tr[data-status=planned] .fold").filter(has_text=LONG).first
        assert fold.bounding_box()["height"] > 30
        assert page.evaluate("document.documentElement.scrollWidth") == 794


def test_hostile_text_does_nothing(opened: Opened, tmp_path: Path) -> None:
    """Markup in a result is shown as text; hostile values can be filtered by."""
    texts = dict.fromkeys(("Region", "ImageId", "ImageName", "Code", "Reason"), HOSTILE)
    state = {"ImageName": HOSTILE, "Tags": [{"Key": HOSTILE, "Value": HOSTILE}]}
    images = [
        {**texts, "Status": "planned", "Before": {}, "After": state},
        {**texts, "Status": HOSTILE, "Region": "", "Before": state, "After": {}},
    ]
    path = _written(tmp_path / "plan.html", {"Outcome": HOSTILE, "Images": images})
    with opened(path, width=390) as page:
        assert page.locator("img").count() == 0
        assert page.title().startswith("1 image would change")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        for name in ("Region", "Status"):
            page.get_by_role("combobox", name=name).select_option(index=1)
            expect(page.get_by_role("status")).to_have_text("1 of 2 images")
            page.get_by_role("button", name="Clear").click()
            expect(page.get_by_role("status")).to_have_text("2 images")


def test_pages_without_images_run(opened: Opened, tmp_path: Path) -> None:
    """A rejected document has its errors, and no form for the script."""
    errors = [{"Source": "direct", "Code": "BadKey", "Path": "/X", "Message": "unknown"}]
    path = _written(tmp_path / "plan.html", {"Outcome": "rejected", "Images": [], "Errors": errors})
    with opened(path) as page:
        expect(page.get_by_role("heading", name="No image would change")).to_be_visible()
        expect(page.get_by_role("cell", name="BadKey")).to_be_visible()
