"""The kinds of documents, a row each, and whatever else is imported when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from image_steward import strict_json
from image_steward.errors import InvalidDocument
from image_steward.lazy import load
from image_steward.messages import nearest, short

T = TypeVar("T")


class Planner(NamedTuple):
    """How a request becomes a plan.

    `read_images(request, ImageReader)` returns the current images, `plan(request, images, now)`
    the plan.
    `new_names(request, seen)` gives the names that images are to get, so that whoever holds them
    now is looked up. `next_request(request, outcomes)` gives a request that `next_planner`
    plans next, or None.
    """

    read_images: str
    plan: str
    new_names: str = ""
    next_request: str = ""
    next_planner: Planner | None = None


class Kind(NamedTuple):
    """A kind of document: `read(document, region)` makes a request of one.

    Without a planner the request is a `CosObject`: the document lies there.
    """

    read: str
    planner: Planner | None = None


_CHANGES = Planner(
    ".current_images:read_named",
    ".planning.change_plan:plan",
    ".planning.change_plan:new_names",
)
_POLICY = Planner(".current_images:read_all", ".planning.policy_plan:plan")
_RETIREMENT = Planner(".current_images:read_all", ".planning.retirement_plan:plan")
_LABELS = Planner(
    ".current_images:read_when_ready",
    ".planning.manifest_plan:plan",
    ".planning.manifest_plan:new_names",
    ".planning.retirement_plan:retirement",
    _RETIREMENT,
)

KINDS = {
    "Document": Kind(".documents.pointer:read"),
    "Normalise": Kind(".documents.naming_policy:read", _POLICY),
    "builds": Kind(".documents.packer_manifest:read", _LABELS),
    "Images": Kind(".documents.change_request:read", _CHANGES),
    "ImageId": Kind(".documents.change_request:read_api_body", _CHANGES),
}
"""By the member by which a document is recognised: the first that it has."""


class Document(NamedTuple):
    """A document that was read."""

    request: Any
    planner: Planner | None


def read(data: bytes, *, region: str) -> Document:
    """Read a document of any kind; `region` is used where it names none.

    Raises:
        InvalidJSON: not strict JSON.
        InvalidDocument: every violation of the schema or of a rule beyond it, with its place.
    """
    document = strict_json.loads(data)
    if not isinstance(document, dict):
        given = strict_json.kind_of(document)
        raise InvalidDocument(f"the document is {given}; an object is needed")
    kind = next((kind for member, kind in KINDS.items() if member in document), None)
    if not kind:
        found = list(islice(document, 5))
        hints = "".join(nearest(name, KINDS) for name in found)
        there = ", ".join(map(short, found)) or "no member at all"
        raise InvalidDocument(f"one of {', '.join(KINDS)} is needed, there is {there}{hints}")
    return Document(load(kind.read)(document, region), kind.planner)


def side_by_side(works: Sequence[Callable[[], T]], most: int = 16) -> Iterator[T]:
    """A `parallel.SideBySide`, for regions too: a document may name a thousand of them.

    A single work, as most events have it, needs no thread.
    """
    if len(works) <= 1:
        return (work() for work in works)
    return iter(load(".parallel:in_threads")(works, most))
