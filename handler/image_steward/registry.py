"""The kinds of documents, a row each, and the lazy imports of their readers and planners."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import islice
from typing import Any

from image_steward import regions, strict_json
from image_steward.current_images import CurrentImages, ImageReader
from image_steward.errors import InvalidDocument, NotAllowed, SourceNotAllowed, Violation
from image_steward.lazy import load
from image_steward.messages import nearest, short
from image_steward.model import OPT_OUT
from image_steward.settings import KINDS as KIND_NAMES
from image_steward.settings import Settings

_DEFAULTS = Settings()
_MAX_LISTED = 20
"""Regions and tags that an error lists."""


class Planner:
    """How a request becomes a plan. The strings name functions for `lazy.load`.

    - `read_images`: the method of `ImageReader` that reads the images of a request
    - `plan(request, images, now)` returns the `Plan`; `now` is a `model.Now`
    - `new_names(request, current)` returns the new names, whose holders are then read too
    - `next_request(request, outcomes)` returns a request for `next_planner`, or None
    """

    def __init__(
        self,
        read_images: Callable[[ImageReader, Any], CurrentImages],
        plan: str,
        new_names: str = "",
        next_request: str = "",
        next_planner: Planner | None = None,
    ) -> None:
        self.read_images, self.plan, self.new_names = read_images, plan, new_names
        self.next_request, self.next_planner = next_request, next_planner


class Kind:
    """A kind of document; `name` is that in STEWARD_SOURCES, if it is listed there.

    `read` names a function for `lazy.load`: `read(document, region, known)` returns the request.
    `known` are the regions that it may name; a manifest leaves out builds with others. A pointer
    has no planner: its request is the `CosObject` that holds the actual document.
    """

    def __init__(self, name: str, read: str, planner: Planner | None = None) -> None:
        self.name, self.read, self.planner = name, read, planner


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
    "Document": Kind("pointers", ".documents.change_request:read_pointer"),
    "Normalise": Kind("policies", ".documents.naming_policy:read", _POLICY),
    "builds": Kind("manifests", ".documents.packer_manifest:read", _MANIFEST),
    "Images": Kind("requests", ".documents.change_request:read", _CHANGE_REQUEST),
    "ImageId": Kind("requests", ".documents.change_request:read_api_body", _CHANGE_REQUEST),
}
"""By the member that identifies the kind; of several the first one in this order."""


class Document:
    """The request that a document holds, and its kind."""

    def __init__(self, request: Any, kind: Kind) -> None:  # noqa: ANN401 - any request
        self.request, self.kind = request, kind


def read(
    data: bytes, *, region: str, settings: Settings = _DEFAULTS, kinds: Collection[str] = KIND_NAMES
) -> Document:
    """Read a document; `region` is used where it names none. `kinds` are those of its source.

    Raises:
        InvalidJSON: not strict JSON.
        SourceNotAllowed: it is of another kind.
        InvalidDocument: every violation of the schema or another rule, with its path.
        NotAllowed: every region and tag that the settings forbid, with its path.
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
    if kind.planner and kind.name not in kinds:
        allowed = ", ".join(kinds) or "no documents"
        raise SourceNotAllowed(f"STEWARD_SOURCES allows {allowed} from here, not {kind.name}")
    known = {*regions.KNOWN, *settings.regions, region}
    request = load(kind.read)(document, region, known)
    paths = request.region_paths if kind.planner else {request.region: "/Region"}
    unknown = [(n, p) for n, p in paths.items() if n not in known][:_MAX_LISTED]
    errors = [Violation(p, f"{short(n)} {regions.UNKNOWN}{nearest(n, known)}") for n, p in unknown]
    if errors:
        raise InvalidDocument(*errors)
    if kind.planner:
        request = _allowed(request, settings)
    return Document(request, kind)


def _allowed(request: Any, settings: Settings) -> Any:  # noqa: ANN401 - any request
    """The request, if the settings allow its regions and tags. Raises as `read`."""
    listed = settings.regions
    others = [(r, p) for r, p in request.region_paths.items() if listed and r not in listed]
    reason = f"is not in STEWARD_REGIONS: {', '.join(listed)}"
    violations = [Violation(path, f"{region} {reason}") for region, path in others]
    tag_paths = request.tag_paths
    reaches_others = hasattr(request, "protected_tags")
    if tag_paths or reaches_others:
        glob = load(".naming.patterns:Glob")
        globs = tuple(glob(text) for text in (OPT_OUT[0], *settings.protected_tags))
        request = request._replace(protected_tags=globs) if reaches_others else request
        violations += [
            Violation(path, f"tag {short(key)} is protected: no document may set or delete it")
            for key, path in tag_paths.items()
            if any(each.matches(key.strip()) for each in globs)
        ]
    if violations:
        raise NotAllowed(*violations[:_MAX_LISTED])
    return request
