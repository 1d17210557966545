"""Events inside what a function printed."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scf_local import raw_events
from scf_local.events import cos_event, timer_event

COS = cos_event("manifests-1250000000", "a '\" {b} \\ 名.json")
TIMER = timer_event('{"Document": "cos://b-1/k"}')
DIRECT = {"ImageId": "img-6pb6lrmy", "DryRun": True, "Note": None}
OWN = {"Time": "2026-11-25T00:00:00.000Z", "Level": "INFO", "RequestId": "r-1"}
CLS = {"clslogs": {"data": "H4sI"}}
HTTP = {"requestContext": {"path": "/x"}, "httpMethod": "GET"}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
NOISE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (json.dumps(COS), COS),
        (str(COS), COS),
        (json.dumps(COS, indent=2, ensure_ascii=False), COS),
        (f"2026-11-25 [INFO] got it's {{ {COS} and went on }}", COS),
        (json.dumps({"level": "info", "message": f"event={json.dumps(COS)}"}), COS),
        (json.dumps({"level": "info", "input": {"payload": COS}}), COS),
        (str(COS["Records"]), COS),
        (f"record {json.dumps(COS['Records'][0])}", COS),
        (f"{{'a': 1}}\n{TIMER}", TIMER),
        (json.dumps(TIMER, sort_keys=True), TIMER),
        (str(CLS), CLS),
        (json.dumps(HTTP), HTTP),
        (f"Received event: {json.dumps(DIRECT, indent=4)}", DIRECT),
        (f"event {DIRECT}", DIRECT),
        (json.dumps({"Event": DIRECT}), DIRECT),
        (f"processed event: {{'ok': True}}\n{TIMER}", TIMER),
        (str({**TIMER, "More": (1, 2)}), {**TIMER, "More": [1, 2]}),
    ],
)
def test_an_event_is_found(text: str, event: dict[str, Any]) -> None:
    """Events are found as JSON and as Python writes them, by shape or by the word before them."""
    assert raw_events.find(text) == event


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no event",
        "{" * 2000,
        json.dumps({"ImageId": "img-6pb6lrmy"}),
        f"context: {DIRECT}",
        f"prevent {DIRECT}",
        "event: {}",
        json.dumps({**OWN, "Event": "image.before", "Undo": {"event": DIRECT}}),
        "{'Records': []}",
        "{'Records': [1]}",
        "{'Records': [{'a': float('nan')}]}",
        "{'Records': [{'a': b'b'}]}",
        "{'Records': [{'a': {1, 2}}]}",
        "{'Records': [{'a': 1e999}]}",
        '{"Records": [{"a": NaN}]}',
        '{"Records": [{"a": 1}',
        "{'Records': [{'a': '\\d'}], 'b': c}",
        "{'Type': 'Timer'}",
        str({"Records": [{"a": "x" * raw_events.MAX_BYTES}]}),
        "{'Records': [" + "{'a': [" * 60 + "]}" * 60 + "]}",
    ],
)
def test_what_is_no_event(text: str) -> None:
    """Anything else is none: other objects, our own lines, what JSON cannot say, too much of it."""
    assert raw_events.find(text) is None


def test_nothing_is_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    """Code where a value should be is no value, and does not run."""
    assert raw_events.find("{'Records': [{'a': print('run')}]}") is None
    assert raw_events.find("event: {'a': [print('run') for _ in '1']}") is None
    assert not capsys.readouterr().out


@given(event=st.dictionaries(st.text(), JSON, min_size=1), before=NOISE, after=NOISE)
def test_any_event_comes_back(event: dict[str, Any], before: str, after: str) -> None:
    """Whatever an event holds, and whatever is printed around it, it comes back as it was."""
    event = {**event, "Type": "Timer", "TriggerName": "t"}
    event.pop("Records", None)
    lines = "\n".join(each.replace("{", "") for each in (before, after))
    for text in (json.dumps(event), json.dumps(event, ensure_ascii=False, indent=1), repr(event)):
        assert raw_events.find(f"{lines}\n{text}\n{lines}") == event


@pytest.mark.parametrize("piece", ["{", '{"a":', "{'", '{"\\"', "{'a': [", "{event: {'a'} ", "}{"])
def test_no_text_takes_long(piece: str) -> None:
    """A megabyte, as much as SCF keeps of a run, takes seconds at most, whatever is in it."""
    start = time.process_time()  # others may be busy on this machine
    raw_events.find(piece * ((1 << 20) // len(piece)))
    assert time.process_time() - start < 10


def test_a_cut_event_is_seen() -> None:
    """What is left of an event that the platform cut is told from a run that printed none."""
    assert raw_events.is_cut(json.dumps(COS)[:200])
    assert raw_events.is_cut(str(TIMER)[:60])
    assert not raw_events.is_cut("no Records here")
