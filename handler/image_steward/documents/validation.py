"""JSON Schema, and its errors as sentences: where, what is given, what is allowed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from image_steward.errors import InvalidDocument, Violation
from image_steward.messages import WIDTH, nearest, pointer_step, short, shown
from image_steward.strict_json import kind_of

NO_REGION = "no Region is given, and the function's own is not known"

MAX_VIOLATIONS = 1000
"""So many are listed; a megabyte of nonsense holds more than anybody reads."""


def validate(kind: str, document: dict[str, Any]) -> None:
    """Hold a document to `schemas/<kind>.json`.

    Raises:
        InvalidDocument: every violation, in the order of the document.
    """
    found: dict[Violation, None] = {}  # each once, as they come
    for violation in _explained(validator(kind).iter_errors(document)):
        if len(found) == MAX_VIOLATIONS and violation not in found:
            more = Violation("", f"more than {MAX_VIOLATIONS}; the rest is left out")
            raise InvalidDocument(*found, more)
        found[violation] = None
    if found:
        raise InvalidDocument(*found)


@cache
def validator(kind: str) -> Draft202012Validator:
    """The validator of a kind of document, built once for each instance."""
    text = (Path(__file__).parent / "schemas" / f"{kind}.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def _explained(errors: Iterable[ValidationError]) -> Iterator[Violation]:
    for error in errors:
        path = "".join(f"/{pointer_step(str(step))}" for step in error.absolute_path)
        for step, sentence in _sentences(error):
            yield Violation(path + step, f"{sentence} ({error.validator})")


def _sentences(error: ValidationError) -> Iterator[tuple[str, str]]:  # noqa: C901 - a table
    """What is wrong, each with the step of the JSON Pointer that leads there from the error's."""
    # jsonschema types these as anything a schema may be; here they are what our schemas hold.
    given: Any = error.instance
    allowed: Any = error.validator_value
    schema: Any = error.schema
    bound = "at least" if str(error.validator).startswith("min") else "at most"
    match error.validator:
        case "additionalProperties":
            known = schema["properties"]
            for name in given:
                if name not in known:
                    hint = nearest(name, known) or "; allowed are " + ", ".join(known)
                    step = f"/{pointer_step(name[:WIDTH])}"
                    yield step, f"unknown member {short(name)}{hint}"
        case "required":
            yield from (("", f"member {name} is missing") for name in allowed if name not in given)
        case "anyOf":
            names = ", ".join(option["required"][0] for option in allowed)
            yield "", f"nothing to change: at least one of {names} is needed"
        case "type":
            kinds = allowed if isinstance(allowed, str) else " or ".join(allowed)
            yield "", f"is {kind_of(given)}; {kinds} is needed"
        case "minLength" | "maxLength" | "minItems" | "maxItems" as rule:
            noun = "characters" if rule.endswith("Length") else "entries"
            yield "", f"has {len(given)} {noun}; {bound} {allowed} are allowed"
        case "minimum" | "maximum":
            yield "", f"is {shown(given)}; {bound} {allowed} is allowed"
        case "enum":
            hint = nearest(given, allowed) if isinstance(given, str) else ""
            options = ", ".join(map(short, allowed))
            yield "", f"is {shown(given)}; allowed are {options}{hint}"
        case "pattern":
            yield "", f"is {short(given)}; {schema['description']} is needed"
        case _:
            yield "", f"breaks a rule: {short(error.message)}"
