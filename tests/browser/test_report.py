"""The report of a replay in Chromium: what it shows, how it reacts, and that it loads nothing.

Writes screenshots to build/.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from playwright.sync_api import expect

from scf_local.cli import main
from scf_local.environment import FunctionConfig
from scf_local.invocation import InvocationResult
from scf_local.replay import Case, ReplayedCase
from scf_local.report.page import Replay, page_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser, Page

    Opened = Callable[..., AbstractContextManager[Page]]

ROOT = Path(__file__).parents[2]
HOSTILE = '"><img src=x onerror="document.title=1"></script><script>document.title=1</script>'
COUNT = len(json.loads((ROOT / "events" / "expected.json").read_text(encoding="utf-8")))
LARGE = 10_000
PATIENCE_S = 30
"""Limit for opening and searching the large report on a busy machine; usually a tenth is enough."""


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the sample events."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    arguments = ["replay", str(ROOT / "events"), "--report", str(path)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    return path


def _made(path: Path, *results: object) -> Path:
    """Write a report with these results."""
    replayed = [
        ReplayedCase(
            Case(Path(f"events/{number:05}.json"), {}),
            InvocationResult(f"r-{number}", 200, 1.0, 1.0, result=result),
        )
        for number, result in enumerate(results)
    ]
    logs = [f"{HOSTILE}\n".encode() * 9] * len(replayed)
    replay = Replay(FunctionConfig(ROOT / "handler"), replayed, logs, [], 0.0, 1.0)
    path.write_text("".join(page_of(replay)), encoding="utf-8")
    return path


def _images(count: int) -> list[dict[str, object]]:
    return [
        {
            "ImageId": f"img-{number:08}", "Region": "ap-guangzhou", "Status": "changed",
            "Before": {"ImageName": "web-build-0142"}, "After": {"ImageName": "web-142"},
            "RequestIds": ["00000000-0000-0000-0000-000000000000"],
        }
        for number in range(count)
    ]  # fmt: skip


def test_shows_what_happened(opened: Opened, samples: Path) -> None:
    """The heading, a row for each event, and a row for each action in each region."""
    with opened(samples) as page:
        expect(page.locator("h1")).to_have_text(f"{COUNT} of {COUNT} events as expected")
        expect(page.locator(".event:visible")).to_have_count(COUNT)
        expect(page.get_by_role("status")).to_have_text(f"{COUNT} events")
        line = page.get_by_role("row", name="ModifyImageAttribute ap-guangzhou")
        expect(line.get_by_role("cell").nth(2)).to_have_text("10")
        assert line.locator("svg").bounding_box()["width"] > 200


def test_search_by_keyboard(opened: Opened, samples: Path) -> None:
    """`/` focuses the search; rows must contain all words, even if closed; the URL keeps them."""
    with opened(samples) as page:
        page.keyboard.press("/")
        page.keyboard.type("rejected IMAGENMAE", delay=10)
        expect(page.get_by_role("status")).to_have_text(f"1 of {COUNT} events")
        expect(page.locator(".event:visible")).to_contain_text("07-bad-document.json")
        assert page.url.endswith("#q=rejected+IMAGENMAE")
        page.reload()
        expect(page.get_by_role("searchbox")).to_have_value("rejected IMAGENMAE")
        expect(page.locator(".event:visible")).to_have_count(1)
        page.get_by_role("button", name="Clear").press("Enter")
        expect(page.locator(".event:visible")).to_have_count(COUNT)
        page.get_by_role("searchbox").fill("never-said")
        expect(page.get_by_text("No event matches.")).to_be_visible()


def test_filters(opened: Opened, samples: Path) -> None:
    """Filters by outcome, trigger and unexpectedness can be combined, and set by the URL."""
    with opened(samples) as page:
        page.get_by_role("combobox", name="Outcome").select_option("rejected")
        assert _shown(page, "[data-outcome=rejected]") > 1
        page.get_by_role("combobox", name="Trigger").select_option("direct")
        assert _shown(page, "[data-outcome=rejected][data-trigger=direct]") > 0
        page.get_by_label("unexpected only").check()
        assert _shown(page, "[data-unexpected]") == 0
        page.evaluate("location.hash = 'trigger=timer&outcome=never-seen'")
        assert _shown(page, "[data-trigger=timer]") > 0
        expect(page.get_by_label("unexpected only")).not_to_be_checked()


def _shown(page: Page, rows: str) -> int:
    """Check that the rows of a selector are shown, and their count; return the count."""
    count: int = page.locator(f".event{rows}").count()
    expect(page.get_by_role("status")).to_have_text(f"{count} of {COUNT} events")
    expect(page.locator(f".event{rows}:visible")).to_have_count(count)
    return count


def test_link_to_unexpected_events(opened: Opened, tmp_path: Path) -> None:
    """The heading counts the unexpected events, and links to them."""
    path = _made(tmp_path / "r.html", {"Outcome": "applied"}, {"Outcome": "rejected"})
    with opened(path) as page:
        expect(page.locator("h1")).to_have_text("1 of 2 events as expected 1 unexpected")
        page.get_by_role("link", name="1 unexpected").click()
        expect(page.locator(".event:visible")).to_have_count(1)
        expect(page.locator(".event:visible")).to_contain_text("unexpected")


def test_search_reaches_images(opened: Opened, tmp_path: Path) -> None:
    """An event is found by any of its images, and once open shows only those."""
    images = _images(300)
    images[250]["Status"] = "failed"
    images[7]["After"] = {"Tags": [{"Key": "team", "Value": "payments"}]}
    path = _made(tmp_path / "r.html", {"Outcome": "applied", "Images": images}, {})
    with opened(path) as page:
        event, count = page.locator(".event").first, page.locator(".shown")
        for query, shown in {
            "img-00000123": 1,
            "TEAM payments": 1,
            "failed web-142": 1,
            "applied img-00000123": 1,
            "img-00000123 img-00000124": 2,
            "applied": 300,
        }.items():
            page.get_by_role("searchbox").fill(query)
            expect(page.locator(".event:visible")).to_have_count(1)
            if event.locator("details").first.get_attribute("open") is None:
                event.locator("summary").first.click()
            of = "" if shown == 300 else f"{shown} of "
            expect(count).to_have_text(f"{of}300 images")
            expect(event.locator("tbody:not([hidden]) code", has_text="img-")).to_have_count(shown)
        page.get_by_role("button", name="Clear").click()
        expect(count).to_have_text("300 images")


def test_large_event_opens(opened: Opened, tmp_path: Path) -> None:
    """An event of ten thousand images opens, and is searched, within `PATIENCE_S`."""
    path = _made(tmp_path / "r.html", {"Outcome": "applied", "Images": _images(LARGE)})
    with opened(path) as page:
        start = time.monotonic()
        page.locator(".event summary").first.click()
        expect(page.locator(".event tbody").first).to_be_visible()
        clicked = time.monotonic()
        page.locator("[name=q]").fill("img-00009999")
        expect(page.locator(".shown")).to_have_text(f"1 of {LARGE:,} images")
        expect(page.locator(".event tbody:visible")).to_have_count(1)
        print(f"opened in {clicked - start:.1f} s, searched in {time.monotonic() - clicked:.1f} s")
        assert time.monotonic() - start < PATIENCE_S


def test_filter_of_what_differs_from_the_log(opened: Opened, tmp_path: Path) -> None:
    """Events from a log can be filtered by whether they differ from it."""
    path = tmp_path / "r.html"
    log = str(ROOT / "events" / "logs" / "export.jsonl")
    settings = "STEWARD_SOURCES=manifests-1250000000/request,timer"  # as in the log
    CliRunner().invoke(main, ["replay", log, "--env", settings, "--report", str(path)])
    with opened(path) as page:
        count = page.locator(".event[data-differs]").count()
        page.get_by_label("differs from the log").check()
        expect(page.locator(".event:visible")).to_have_count(count)
        assert page.url.endswith("#differs=on")
        assert 0 < count < page.locator(".event").count()


def test_rows_open_by_keyboard(opened: Opened, samples: Path) -> None:
    """Enter opens a row with values before and after; its log stays closed until opened."""
    with opened(samples) as page:
        row = page.locator(".event").nth(2)
        expect(row.locator("ins").first).to_be_hidden()
        row.locator("summary").first.press("Enter")
        expect(row.locator("ins").first).to_have_text("国际站-2026-11")
        expect(row.locator("del").first).to_be_visible()
        expect(row.locator(".log pre")).to_be_hidden()
        row.locator(".log summary").press("Enter")
        expect(row.locator(".log pre")).to_contain_text('"Event":"run.finished"')


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_fits_and_follows_the_scheme(
    opened: Opened, samples: Path, scheme: str, width: int
) -> None:
    """Everything fits into narrow and wide windows; the background follows the colour scheme."""
    with opened(samples, scheme=scheme, width=width, height=2600) as page:
        for number in (2, 6, 10):
            page.locator(".event > details > summary").nth(number).click()
        page.evaluate("scrollTo(0, 0)")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        overflowing = page.locator(".event *, header *, form *").evaluate_all(
            f"all => all.filter(e => e.getBoundingClientRect().right > {width}).length"
        )
        assert overflowing == 0
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
        (ROOT / "build").mkdir(exist_ok=True)
        page.screenshot(path=ROOT / "build" / f"report-{scheme}-{width}.png")


def test_hostile_text_does_nothing(opened: Opened, tmp_path: Path) -> None:
    """Markup in results and logs is shown as text, without help of the security policy."""
    image = dict.fromkeys(("Source", "Region", "ImageId", "Status", "Code", "Message"), HOSTILE)
    state = {HOSTILE: HOSTILE}
    result = {
        "Outcome": HOSTILE,
        "Images": [{**image, "Before": {}, "After": state}],
        "Errors": [dict.fromkeys(("Source", "Code", "Path", "Message"), HOSTILE)],
        HOSTILE: HOSTILE,
    }
    path = _made(tmp_path / "report.html", result, [HOSTILE])
    with opened(path, width=360) as page:
        for summary in page.locator("summary").all():
            if summary.is_visible():
                summary.click()
        expect(page.locator("ins")).to_have_text(HOSTILE)
        assert page.locator("img").count() == 0
        assert page.title().startswith("2 of 2")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        page.get_by_role("combobox", name="Outcome").select_option(index=1)
        expect(page.get_by_role("status")).to_have_text("1 of 2 events")


def test_security_policy(browser: Browser, samples: Path) -> None:
    """The security policy blocks scripts, event handlers and images that get into the page."""
    page = browser.new_page()
    page.goto(samples.as_uri())
    blocked: list[str] = []
    page.on("requestfailed", lambda request: blocked.append(request.failure))
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'run'";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend",
            '<img src="http://127.0.0.1:9/x" onerror="document.title = 1"><p style="color:red">');
        }"""
    )
    page.wait_for_timeout(300)
    assert blocked == ["csp"]
    assert "as expected" in page.title()
    assert page.evaluate("getComputedStyle(document.body.lastChild).color") != "rgb(255, 0, 0)"
    page.close()


def test_without_script(opened: Opened, samples: Path) -> None:
    """Without JavaScript all rows are shown, and the search box, which needs it, is hidden."""
    with opened(samples, scripts=False) as page:
        expect(page.locator(".event:visible")).to_have_count(COUNT)
        expect(page.get_by_role("searchbox")).to_be_hidden()


def test_large_reports_open(opened: Opened, tmp_path: Path) -> None:
    """A report of ten thousand events opens, and can be searched, within `PATIENCE_S`."""
    summary = {"Changed": 2}
    results = [{"Outcome": "applied", "Summary": summary, "Images": _images(2)}] * LARGE
    results[5000] = {"Outcome": "applied", "Images": [], "Errors": [{"Message": "needle"}]}
    path = _made(tmp_path / "report.html", *results)
    start = time.monotonic()
    with opened(path) as page:
        loaded = time.monotonic()
        page.locator("[name=q]").fill("needle")  # a locator by role would check every element
        expect(page.locator("output")).to_have_text(
            f"1 of {LARGE:,} events", timeout=PATIENCE_S * 1000
        )
        searched = time.monotonic()
        expect(page.locator(".event:visible")).to_contain_text("05000.json")
    print(f"{path.stat().st_size / 1e6:.1f} MB, opened in {loaded - start:.1f} s, ", end="")
    print(f"searched in {searched - loaded:.1f} s")
    assert loaded - start < PATIENCE_S
