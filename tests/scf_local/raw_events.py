"""Finds the event in a function's output; it is parsed, never evaluated."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any

from scf_local import json_files
from scf_local.log_records import is_steward_line

MAX_BYTES = 256 << 10
"""Largest event to parse; SCF allows 128 KB for asynchronous ones (document/product/583/11637)."""

_MAX_SCANNED = 4 << 20
"""Characters to scan per run, so that no output (SCF keeps 1 MB) makes the search quadratic."""
_OBJECT_COST = 100
"""Characters counted as scanned for each object in addition to its length."""
_MAX_DEPTH = 100
"""Levels of lists and objects: the parser of Python literals is recursive."""
_MAX_NESTED = 4
"""Levels of members of a logged object that are searched for an event."""
_START = re.compile(r"""\{\s*["']""")
_TOKEN = re.compile(
    r""""[^"\\]*(?:\\.[^"\\]*)*"?|'[^'\\]*(?:\\.[^'\\]*)*'?|[{}\[\]()]""", re.DOTALL
)
_LABEL = re.compile(r"\bevent\b['\"]?[\s:=,>-]*$", re.IGNORECASE)
"""Text before an event of any shape: `event: {`, `Received event={`, `"event", {`."""
_TRACE = re.compile(r"""["'](?:Records|TriggerName|clslogs|httpMethod)["']\s*:""")


def find(text: str) -> dict[str, Any] | None:
    """The event in a run's output, printed as JSON or as a Python literal; None if not found.

    It is the first object with the shape of an event (`is_event`), or a record of a COS event that
    was printed alone; else the first object after the word "event", or in a member `event` of a
    printed object.
    """
    likely = None
    scanned = 0
    match = _START.search(text)
    while match and scanned < _MAX_SCANNED:
        start = match.start()
        end, depth = _extent(text, start)
        scanned += end - start + _OBJECT_COST
        # Depth 0: the object does not end.
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
    """Whether a text without an event seems to contain a part of one."""
    return bool(_TRACE.search(text))


def is_event(value: dict[str, Any]) -> bool:
    """Whether an object has the shape of an event of COS, another queue, a timer, CLS or HTTP."""
    records: Any = value.get("Records")
    is_list = isinstance(records, list) and records != []
    return (
        (is_list and all(isinstance(each, dict) for each in records))
        or (value.get("Type") == "Timer" and isinstance(value.get("TriggerName"), str))
        or isinstance(value.get("clslogs"), dict)
        or (isinstance(value.get("requestContext"), dict) and "httpMethod" in value)
    )


def _extent(text: str, start: int) -> tuple[int, int]:
    """The end and the depth of the object at `start`; depth 0 if it does not end."""
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
        value = json.loads(text, parse_constant=json_files.reject_constant)
    except ValueError:
        value = _literal(text)
    return value if isinstance(value, dict) else None


def _literal(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a Python literal that JSON can represent; else None."""
    if "'" not in text:
        return None  # the repr of a dict with str keys has one
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes
            value = ast.literal_eval(text)
        return json.loads(json.dumps(value, allow_nan=False))  # a tuple has become a list
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _events_in(value: dict[str, Any], *, labelled: bool, levels: int) -> Iterator[dict[str, Any]]:
    if not value or is_steward_line(value):
        return  # by contract, Image Steward logs no event
    if is_event(value):
        yield value
    elif isinstance(value.get("cos"), dict) and isinstance(value.get("event"), dict):
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
