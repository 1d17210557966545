"""JSON Schema validation, with messages that say where, what was given and what is allowed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from image_steward.errors import InvalidDocument, Violation
from image_steward.messages import nearest, pointer_step, short, shown
from image_steward.strict_json import kind_of

NO_REGION = "no Region is given, and the function's own is unknown"

MAX_VIOLATIONS = 1000
"""Further violations are omitted: a megabyte of errors is more than anybody reads."""

_MAX_HINTS = 20
"""Spelling suggestions of one document: each takes time to find."""


class Violations(dict[Violation, None]):
    """The violations found in a document, each once, in order.

    If they are not `fatal`, those after the first 1,000 are only counted.
    """

    def __init__(self, *, fatal: bool = True) -> None:
        super().__init__()
        self._fatal = fatal
        self.count = self._hints = 0

    def add(self, path: str, message: str) -> None:
        """Add a violation.

        Raises:
            InvalidDocument: there are too many to go on, and they are fatal.
        """
        self.count += 1
        violation = Violation(path, message)
        if len(self) >= MAX_VIOLATIONS and violation not in self:
            message = f"more than {MAX_VIOLATIONS} violations; the rest are omitted"
            violation = Violation("", message)
            if self._fatal:
                raise InvalidDocument(*self, violation)
        self[violation] = None

    def extend(self, violations: Iterable[Violation]) -> None:
        """Add several violations. Raises as `add`."""
        for violation in violations:
            self.add(*violation)

    def nearest(self, given: object, known: Iterable[str]) -> str:
        """As `messages.nearest`; nothing once the document has had many suggestions."""
        self._hints += 1
        return nearest(given, known) if self._hints <= _MAX_HINTS else ""

    def check(self) -> None:
        """Do nothing if no violation was found.

        Raises:
            InvalidDocument: lists the violations.
        """
        if self:
            raise InvalidDocument(*self)


def _properties(
    validator: object, properties: dict[str, Any], given: object, schema: dict[str, Any]
) -> Iterator[ValidationError]:
    """As jsonschema's, but without a validator for each simple member, which takes longest."""
    if isinstance(given, dict):
        rest = {n: p for n, p in properties.items() if n in given and not _is_valid(given[n], p)}
        yield from Draft202012Validator.VALIDATORS["properties"](validator, rest, given, schema)


def _is_valid(given: object, schema: dict[str, Any]) -> bool:
    """Whether a value is valid; False, too, where only jsonschema knows."""
    if schema.keys() - _SIMPLE:
        return False
    match schema.get("type"), given:
        case "string", str():
            least, most = schema.get("minLength", 0), schema.get("maxLength", len(given))
            return least <= len(given) <= most and bool(re.search(schema.get("pattern", ""), given))
        case "array", list():
            least, most = schema.get("minItems", 0), schema.get("maxItems", len(given))
            return least <= len(given) <= most and all(
                _is_valid(entry, schema["items"]) for entry in given
            )
        case "object", dict():
            known = schema["properties"]
            return given.keys() >= {*schema.get("required", ())} and all(
                name in known and _is_valid(member, known[name]) for name, member in given.items()
            )
    return False


_SIMPLE = {
    "type", "description", "pattern", "minLength", "maxLength", "items", "minItems", "maxItems",
    "properties", "required", "additionalProperties",
}  # fmt: skip
_Validator: type[Draft202012Validator] = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"properties": _properties}
)


def validate(kind: str, document: dict[str, Any]) -> None:
    """Validate a document against `schemas/<kind>.json`; `kind` may also be a path elsewhere.

    Raises:
        InvalidDocument: lists every violation, in the order of the document.
    """
    violations = Violations()
    for error in validator(kind).iter_errors(document):
        path = "".join(f"/{pointer_step(str(step))}" for step in error.absolute_path)
        for step, message in _messages(error, violations):
            violations.add(path + step, f"{message} ({error.validator})")
        if error.validator == "maxItems":  # its entries may be more than there is time for
            break
    violations.check()


@cache
def validator(kind: str) -> Draft202012Validator:
    """The validator for a kind of document, built once per instance."""
    text = (Path(__file__).parent / "schemas" / f"{kind}.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    return _Validator(_without_refs(schema, schema.get("$defs", {})))


def _without_refs(schema: Any, definitions: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """The schema with each `$ref` replaced by its definition: looking them up takes most time."""
    if isinstance(schema, list):
        return [_without_refs(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    own = {name: _without_refs(part, definitions) for name, part in schema.items()}
    reference = own.pop("$ref", "").removeprefix("#/$defs/")
    return {**_without_refs(definitions[reference], definitions), **own} if reference else own


def _messages(error: ValidationError, violations: Violations) -> Iterator[tuple[str, str]]:  # noqa: C901 - a table
    """Pairs of a JSON Pointer, relative to the error's path, and a message."""
    # Any: jsonschema types these for all possible schemas.
    given: Any = error.instance
    allowed: Any = error.validator_value
    schema: Any = error.schema
    is_min = str(error.validator).startswith("min")
    bound = "at least" if is_min else "at most"
    match error.validator:
        case "additionalProperties":
            known = schema["properties"]
            for name in given:
                if name not in known:
                    hint = violations.nearest(name, known) or "; allowed are " + ", ".join(known)
                    step = f"/{pointer_step(name)}"
                    yield step, f"unknown member {short(name)}{hint}"
        case "required":
            yield from (("", f"member {name} is missing") for name in allowed if name not in given)
        case "anyOf":
            names = ", ".join(option["required"][0] for option in allowed)
            yield "", f"nothing to change: at least one of {names} is required"
        case "type":
            kinds = [allowed] if isinstance(allowed, str) else allowed
            yield "", f"is {kind_of(given)}; must be {' or '.join(map(_with_article, kinds))}"
        case "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" as rule:
            noun = {"Length": "characters", "Items": "entries"}.get(rule[3:], "members")
            verb = "is required" if is_min else "are allowed"
            yield "", f"has {len(given)} {noun}; {bound} {allowed} {verb}"
        case "minimum" | "maximum":
            yield "", f"is {shown(given)}; must be {bound} {allowed}"
        case "enum":
            hint = violations.nearest(given, map(str, allowed)) if isinstance(given, str) else ""
            yield "", f"is {shown(given)}; must be one of {', '.join(map(shown, allowed))}{hint}"
        case "pattern":
            yield "", f"is {short(given)}; must be {schema['description']}"
        case _:
            yield "", f"violates the schema: {short(error.message)}"


def _with_article(kind: str) -> str:
    return kind if kind == "null" else f"{'an' if kind[0] in 'aio' else 'a'} {kind}"
