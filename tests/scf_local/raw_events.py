"""Events inside what a function printed. They are parsed, never evaluated."""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import TYPE_CHECKING, Any

from scf_local import json_files
from scf_local.log_records import is_own_line

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 256 << 10
"""Of one event; SCF takes 128 KB of an asynchronous one (document/product/583/11637)."""

_MAX_SCANNED = 4 << 20
"""Characters looked at for one run, of which SCF keeps 1 MB: no text makes the search quadratic."""
_COST = 100
"""Of an object, in characters, however short it is."""
_MAX_DEPTH = 100
"""Levels of lists and objects; what reads a literal goes down recursively."""
_MAX_NESTED = 4
"""Levels of a log line's own members in which an event is sought."""
_START = re.compile(r"""\{\s*["']""")
_TOKEN = re.compile(
    r""""[^"\\]*(?:\\.[^"\\]*)*"?|'[^'\\]*(?:\\.[^'\\]*)*'?|[{}\[\]()]""", re.DOTALL
)
_LABEL = re.compile(r"\bevent\b['\"]?[\s:=,>-]*$", re.IGNORECASE)
"""What stands before an event of any shape: `event: {`, `Received event={`, `"event", {`."""
_TRACE = re.compile(r"""["'](?:Records|TriggerName|clslogs|httpMethod)["']\s*:""")


def find(text: str) -> dict[str, Any] | None:
    """The event in a run's output, as JSON or as Python writes it; None if there is none.

    That is the first object with the shape of one (`is_event`), or a record of a COS event that
    was printed alone; else the first that the word "event" stands before, or that is the member
    `event` of what was printed.
    """
    likely = None
    scanned = 0
    match = _START.search(text)
    while match and scanned < _MAX_SCANNED:
        start = match.start()
        end, depth = _extent(text, start)
        scanned += end - start + _COST
        # 0: it is open to the end of the text
        value = _parsed(text[start:end]) if 0 < depth <= _MAX_DEPTH else None
        if value is not None:
            labelled = bool(_LABEL.search(text, max(0, start - 40), start))
            for event in _events_in(value, labelled=labelled, levels=_MAX_NESTED):
                if is_event(event):
                    return event
                likely = likely or event
        match = _START.search(text, start + 1 if value is None else end)
    return likely


def is_cut(text: str) -> bool:
    """Whether a text in which no event was found seems to hold a part of one."""
    return bool(_TRACE.search(text))


def is_event(value: dict[str, Any]) -> bool:
    """Whether an object has the shape of an event: COS and other queues, timer, CLS, HTTP."""
    records = value.get("Records")
    return (
        (isinstance(records, list) and records != [] and all(map(_is_object, records)))
        or (value.get("Type") == "Timer" and isinstance(value.get("TriggerName"), str))
        or _is_object(value.get("clslogs"))
        or (_is_object(value.get("requestContext")) and "httpMethod" in value)
    )


def _extent(text: str, start: int) -> tuple[int, int]:
    """Where an object ends that begins at `start`, and how deep it is; depth 0 if it does not."""
    depth = deepest = 0
    for token in _TOKEN.finditer(text, start):
        if token[0] in {"{", "[", "("}:
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in {"}", "]", ")"}:
            depth -= 1
            if not depth:
                return token.end(), deepest
    return len(text), 0


def _parsed(text: str) -> dict[str, Any] | None:
    if len(text) > MAX_BYTES:
        return None
    try:
        value = json.loads(text, parse_constant=json_files.refuse)
    except ValueError:
        value = _literal(text)
    return value if isinstance(value, dict) else None


def _literal(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a Python literal, as far as JSON has it; None for everything else."""
    if "'" not in text:
        return None  # repr of an object with members has one
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that repr would not have written
            value = ast.literal_eval(text)
        return json.loads(json.dumps(value, allow_nan=False))  # a tuple has become a list
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _events_in(value: dict[str, Any], *, labelled: bool, levels: int) -> Iterator[dict[str, Any]]:
    if not value or is_own_line(value):
        return  # by contract, no event is in one
    if is_event(value):
        yield value
    elif _is_object(value.get("cos")) and _is_object(value.get("event")):
        yield {"Records": [value]}
    elif levels:
        if labelled:
            yield value
        for name, member in value.items():
            inner = member
            if isinstance(member, str) and "{" in member:
                inner = _parsed(member[member.find("{") :])
            if isinstance(inner, dict):
                yield from _events_in(inner, labelled=name.lower() == "event", levels=levels - 1)
