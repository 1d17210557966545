"""Finding events in the output of a function."""

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
def test_find_event(text: str, event: dict[str, Any]) -> None:
    """Events are found as JSON or Python literals, by their shape or by the word before them."""
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
def test_text_without_an_event(text: str) -> None:
    """Other objects, our own lines, values that are not JSON and large texts are not events."""
    assert raw_events.find(text) is None


def test_nothing_is_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    """Code in place of a value is not a value, and does not run."""
    assert raw_events.find("{'Records': [{'a': print('run')}]}") is None
    assert raw_events.find("event: {'a': [print('run') for _ in '1']}") is None
    assert not capsys.readouterr().out


@given(event=st.dictionaries(st.text(), JSON, min_size=1), before=NOISE, after=NOISE)
def test_any_event_is_recovered(event: dict[str, Any], before: str, after: str) -> None:
    """Any event is recovered unchanged, whatever is printed around it."""
    event = {**event, "Type": "Timer", "TriggerName": "t"}
    event.pop("Records", None)
    lines = "\n".join(noise.replace("{", "") for noise in (before, after))
    for text in (json.dumps(event), json.dumps(event, ensure_ascii=False, indent=1), repr(event)):
        assert raw_events.find(f"{lines}\n{text}\n{lines}") == event


@pytest.mark.parametrize(
    "fragment", ["{", '{"a":', "{'", '{"\\"', "{'a': [", "{event: {'a'} ", "}{"]
)
def test_no_text_takes_long(fragment: str) -> None:
    """Any megabyte of text, as much as SCF keeps of a run, takes seconds at most."""
    start = time.process_time()  # wall-clock time would depend on other processes
    raw_events.find(fragment * ((1 << 20) // len(fragment)))
    assert time.process_time() - start < 10


def test_truncated_event() -> None:
    """The rest of an event that the platform cut is recognised as such."""
    assert raw_events.is_cut(json.dumps(COS)[:200])
    assert raw_events.is_cut(str(TIMER)[:60])
    assert not raw_events.is_cut("no Records here")
