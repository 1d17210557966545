"""The kinds of documents, a row each, and the lazy imports of their readers and planners."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Any, NamedTuple

from image_steward import regions, strict_json
from image_steward.current_images import CurrentImages, ImageReader
from image_steward.errors import InvalidDocument, NotAllowed, Violation
from image_steward.lazy import load
from image_steward.messages import nearest, short

_MAX_REGIONS = 20
"""Wrong regions that an error lists."""


class Planner(NamedTuple):
    """How a request becomes a plan. The strings name functions for `lazy.load`."""

    read_images: Callable[[ImageReader, Any], CurrentImages]
    """The method of `ImageReader` that reads the images of a request."""
    plan: str
    """`plan(request, images, now)` returns the `Plan`; `now` is a `model.Now`."""
    new_names: str = ""
    """`new_names(request, images)` returns the new names, whose holders are then read too."""
    next_request: str = ""
    """`next_request(request, outcomes)` returns a request for `next_planner`, or None."""
    next_planner: Planner | None = None


class Kind(NamedTuple):
    """A kind of document. The string names a function for `lazy.load`."""

    read: str
    """`read(document, region)` returns the request."""
    planner: Planner | None = None
    """None for a pointer: its request is the `CosObject` that holds the actual document."""


_CHANGE_REQUEST = Planner(
    read_images=ImageReader.read_named,
    plan=".planning.change_plan:plan",
    new_names=".planning.change_plan:new_names",
)
_POLICY = Planner(read_images=ImageReader.read_all, plan=".planning.policy_plan:plan")
_RETIREMENT = Planner(read_images=ImageReader.read_all, plan=".planning.retirement_plan:plan")
_MANIFEST = Planner(
    read_images=ImageReader.read_when_ready,
    plan=".planning.manifest_plan:plan",
    new_names=".planning.manifest_plan:new_names",
    next_request=".planning.retirement_plan:retirement_of",
    next_planner=_RETIREMENT,
)

KINDS = {
    "Document": Kind(".documents.pointer:read"),
    "Normalise": Kind(".documents.naming_policy:read", _POLICY),
    "builds": Kind(".documents.packer_manifest:read", _MANIFEST),
    "Images": Kind(".documents.change_request:read", _CHANGE_REQUEST),
    "ImageId": Kind(".documents.change_request:read_api_body", _CHANGE_REQUEST),
}
"""By the member that identifies the kind; of several the first one in this order."""


class Document(NamedTuple):
    """The request that a document holds, and its planner."""

    request: Any
    planner: Planner | None
    """None for a pointer, as in `Kind`."""


def read(data: bytes, *, region: str, listed: Collection[str] = ()) -> Document:
    """Read a document of any kind; `region` is used where it names none.

    `listed` are the regions of STEWARD_REGIONS.

    Raises:
        InvalidJSON: not strict JSON.
        InvalidDocument: every violation of the schema or another rule, with its path.
        NotAllowed: images of a region that is not listed, although some are.
    """
    document = strict_json.loads(data)
    if not isinstance(document, dict):
        given = strict_json.kind_of(document)
        raise InvalidDocument(f"the document is {given}; must be an object")
    kind = next((kind for member, kind in KINDS.items() if member in document), None)
    if not kind:
        members, required = list(islice(document, 5)), ", ".join(KINDS)
        given = ", ".join(map(short, members)) or "no members"
        hints = "".join(nearest(name, KINDS) for name in members)
        raise InvalidDocument(f"the document has {given}; one of {required} is required{hints}")
    request = load(kind.read)(document, region)
    is_pointer = kind.planner is None
    paths: dict[str, str] = {request.region: "/Region"} if is_pointer else request.region_paths
    _check_regions(paths, {*regions.KNOWN, *listed, region}, () if is_pointer else listed)
    return Document(request, kind.planner)


def _check_regions(
    paths: Mapping[str, str], known: Collection[str], listed: Collection[str]
) -> None:
    """Check the regions of a document, by their paths. Raises as `read`."""
    unknown = [region for region in paths if region not in known][:_MAX_REGIONS]
    forbidden = [region for region in paths if listed and region not in listed][:_MAX_REGIONS]
    if unknown:
        message = "is not a known region, nor listed in STEWARD_REGIONS"
        raise InvalidDocument(
            *(Violation(paths[r], f"{short(r)} {message}{nearest(r, known)}") for r in unknown)
        )
    if forbidden:
        message = f"is not in STEWARD_REGIONS: {', '.join(listed)}"
        raise NotAllowed(*(Violation(paths[region], f"{region} {message}") for region in forbidden))
