"""What is imported when it is first needed: kinds of documents, the cloud, threads.

Imports are most of a cold start, and an event needs few of these. Lazy imports stand here and
nowhere else. A kind of document is a row of `KINDS`: its reader, and its planner.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from image_steward import strict_json
from image_steward.errors import InvalidDocument
from image_steward.messages import nearest, short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from image_steward.clock import RunTime
    from image_steward.cloud.api import Api
    from image_steward.cloud.credentials import Credentials
    from image_steward.cloud.objects import Objects
    from image_steward.cloud.rate_limit import Pacers
    from image_steward.cloud.transport import Connections
    from image_steward.current_images.read import CurrentImages, Look
    from image_steward.model import Outcome, Plan
    from image_steward.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Planner:
    """How a request becomes a plan: the images are looked at, and all else is pure."""

    look: Callable[[Any, Look], CurrentImages]
    plan: Callable[..., Plan]
    then: FollowUp | None = None


@dataclass(frozen=True)
class FollowUp:
    """What comes after a plan: of its outcomes, a request that is planned in turn, or None."""

    request: Callable[[Any, Sequence[Outcome]], Any]
    planner: Planner


@dataclass(frozen=True)
class Document:
    """A document that was read. Without a planner it is a pointer: `request` is a `CosObject`."""

    request: Any
    planner: Planner | None


@dataclass(frozen=True)
class Kind:
    """A kind of document: `read` makes a request of one, given the function's own region."""

    read: Callable[[dict[str, Any], str], Any]
    planner: Callable[[], Planner] | None = None


def _change_request() -> Kind:
    from image_steward.documents import change_request  # noqa: PLC0415 - lazy, as all here

    return Kind(change_request.read, _changes)


def _api_body() -> Kind:
    from image_steward.documents import change_request  # noqa: PLC0415

    return Kind(change_request.read_api_body, _changes)


def _changes() -> Planner:
    from image_steward.current_images import read  # noqa: PLC0415
    from image_steward.planning import change_plan  # noqa: PLC0415

    return Planner(partial(read.named, new_names=change_plan.new_names), change_plan.plan)


def _naming_policy() -> Kind:
    from image_steward.documents import naming_policy  # noqa: PLC0415

    return Kind(naming_policy.read, _policy)


def _policy() -> Planner:
    from image_steward.current_images import read  # noqa: PLC0415
    from image_steward.planning import policy_plan  # noqa: PLC0415

    return Planner(read.whole, policy_plan.plan)


def _packer_manifest() -> Kind:
    from image_steward.documents import packer_manifest  # noqa: PLC0415

    return Kind(packer_manifest.read, _labels)


def _labels() -> Planner:
    from image_steward.current_images import read  # noqa: PLC0415
    from image_steward.planning import manifest_plan, retirement_plan  # noqa: PLC0415

    return Planner(
        partial(read.named, new_names=manifest_plan.new_names, wait=True),
        manifest_plan.plan,
        FollowUp(retirement_plan.retirement, Planner(read.whole, retirement_plan.plan)),
    )


def _pointer() -> Kind:
    from image_steward.documents import pointer  # noqa: PLC0415

    return Kind(pointer.read)


KINDS: dict[str, Callable[[], Kind]] = {
    "Document": _pointer,
    "Normalise": _naming_policy,
    "builds": _packer_manifest,
    "Images": _change_request,
    "ImageId": _api_body,
}
"""By the member by which a document is recognised: the first that it has."""


def read(data: bytes, *, region: str) -> Document:
    """Read a document of any kind; `region` is used where it names none.

    Raises:
        InvalidJSON: not strict JSON.
        InvalidDocument: every breach of the schema or of a rule beyond it, with its place.
    """
    document = strict_json.loads(data)
    if not isinstance(document, dict):
        given = strict_json.kind_of(document)
        raise InvalidDocument(f"the document is {given}; an object is needed")
    member = next((member for member in KINDS if member in document), "")
    if not member:
        raise InvalidDocument(_no_kind(document))
    kind = KINDS[member]()
    return Document(kind.read(document, region), kind.planner and kind.planner())


def _no_kind(document: dict[str, Any]) -> str:
    found = ", ".join(map(short, islice(document, 5))) or "no member at all"
    hints = filter(None, (nearest(name, KINDS) for name in islice(document, 5)))
    return "; ".join([f"one of {', '.join(KINDS)} is needed, there is {found}", *hints])


def connections() -> Connections:
    """What keeps connections to the cloud; the SDKs log nothing from now on."""
    with warnings.catch_warnings():
        # The bundle leaves these libraries out; replies that name no charset are UTF-8.
        warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
        from image_steward.cloud import transport  # noqa: PLC0415

    transport.silence_loggers()
    return transport.Connections()


def api(
    settings: Settings,
    connections: Connections,
    pacers: Pacers,
    keys: Callable[[], Credentials],
    time: RunTime,
) -> Api:
    """CVM and Tag, for one run."""
    from image_steward.cloud.api import Api  # noqa: PLC0415
    from image_steward.cloud.transport import Session  # noqa: PLC0415

    return Api(settings, Session(connections, time.end_by), pacers, keys, time.start_by)


def objects(
    settings: Settings, connections: Connections, keys: Credentials, time: RunTime
) -> Objects:
    """COS, for one run."""
    from image_steward.cloud.objects import Objects  # noqa: PLC0415
    from image_steward.cloud.transport import Session  # noqa: PLC0415

    return Objects(settings, Session(connections, time.end_by), keys)


def side_by_side(works: Sequence[Callable[[], T]], most: int | None = None) -> Iterator[T]:
    """A `parallel.SideBySide`; a single work, as most events have it, needs no thread."""
    if len(works) <= 1:
        return (work() for work in works)
    from image_steward import parallel  # noqa: PLC0415

    return parallel.in_threads(works, most or parallel.MOST)
