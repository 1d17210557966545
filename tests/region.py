"""A region that refuses a name in use, as the API does, and what may be wanted of it. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from image_steward import documents
from image_steward.documents import Change, ChangeRequest, NamingPolicy
from image_steward.images import TEMPORARY, Image
from image_steward.names import MAX_LENGTH, temporary
from image_steward.normalising import normalise
from image_steward.outcomes import Outcome
from image_steward.planning import Step, ordered, plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from random import Random

    from image_steward.policies import Policy

REGION = "ap-guangzhou"
NOW = 1795521600.0  # 2026-11-24T12:00:00Z


class Refused(Exception):
    """The API would not have taken this call."""


@dataclass(eq=False)
class Call:
    """One call; `after` is the one that has to be done before it."""

    image_id: str
    attributes: dict[str, str | bool] = field(default_factory=dict)
    tags: dict[str, str | None] = field(default_factory=dict)
    after: Call | None = None


def calls_of(steps: Iterable[Step]) -> list[Call]:
    """The calls that steps need."""
    first: dict[str, Call] = {}
    last: dict[str, Call] = {}
    tags: list[Call] = []
    steps = list(steps)
    for step in steps:
        image_id = step.image_id
        if step.attributes:
            first[image_id] = last[image_id] = Call(image_id, dict(step.attributes))
        if step.temporary:
            first[image_id].attributes["ImageName"] = step.temporary
            last[image_id] = Call(image_id, {"ImageName": step.new_name})
        changes: list[dict[str, str | None]] = [{**step.tags}, dict.fromkeys(step.delete_tags)]
        tags += [Call(image_id, tags=changed) for changed in changes if changed]
    for step in steps:
        if step.waits_for:
            last[step.image_id].after = first[step.waits_for]
    twice = [call for image_id, call in last.items() if call is not first[image_id]]
    return [*first.values(), *twice, *tags]


class Region:
    """The images of a region, by id."""

    def __init__(self, images: Iterable[Image]) -> None:
        self.images = {image.image_id: image for image in images}

    @property
    def names(self) -> dict[str, str]:
        """The names, by image id."""
        return {image_id: image.name for image_id, image in self.images.items()}

    def carry_out(
        self, steps: Sequence[Step], random: Random, most: int | None = None, *, last: str = ""
    ) -> list[Outcome]:
        """Make the calls, in an order that `random` chooses among the legal ones.

        After `most` calls the function dies. `last`, "tags" or "attributes", come after the others.

        Raises:
            Refused: a call meets a name in use, or calls wait for each other for ever.
        """
        outcomes = {step.image_id: Outcome("s", step, error=step.error) for step in steps}
        calls = calls_of(steps)
        late = [call for call in calls if bool(call.tags) == (last == "tags") and last]
        done = 0
        for part in [call for call in calls if call not in late], late:
            ready = [call for call in part if call.after is None]
            while ready and done != most:
                call = ready.pop(random.randrange(len(ready)))
                self._send(call)
                _note(outcomes[call.image_id], call)
                ready += [other for other in part if other.after is call]
                done += 1
        if done < len(calls) and done != most:
            raise Refused(f"{len(calls) - done} calls wait for ever")
        return list(outcomes.values())

    def _send(self, call: Call) -> None:
        image = self.images[call.image_id]
        name = call.attributes.get("ImageName", image.name)
        if not 1 <= len(str(name)) <= MAX_LENGTH:
            raise Refused(f"{name!r} is no name")
        if any(i != call.image_id and name == other for i, other in self.names.items()):
            raise Refused(f"{call.image_id} meets the name {name!r} in use")
        tags = {**image.tags, **call.tags}
        self.images[call.image_id] = replace(
            image,
            attributes={**image.attributes, **call.attributes},
            tags={key: value for key, value in tags.items() if value is not None},
        )


def _note(outcome: Outcome, call: Call) -> None:
    """As `Write` notes it: only what differs counts."""
    before = outcome.step.before
    attributes = {**outcome.attributes, **call.attributes}
    outcome.attributes = {
        name: value
        for name, value in attributes.items()
        if before and before.attributes[name] != value
    }
    outcome.tags |= call.tags


def image(image_id: str, name: str, **members: object) -> Image:
    """A private image in state NORMAL; other members by their API names, Tags as a mapping."""
    given: dict[str, Any] = members
    attributes = {"ImageDescription": "", "ImageFamily": "", "ImageDeprecated": False}
    facts = {
        "OsName": "TencentOS", "Platform": "", "Architecture": "x86_64", "ImageCreator": "",
        "ImageState": "NORMAL", "ImageType": "PRIVATE_IMAGE",
        "CreatedTime": "2026-11-20T00:00:00Z",
    }  # fmt: skip
    return Image(
        image_id,
        {"ImageName": name, **{n: given.get(n, value) for n, value in attributes.items()}},
        dict(given.get("Tags", {})),
        {n: given.get(n, value) for n, value in facts.items()},
    )


def policy(body: Mapping[str, Any]) -> Policy:
    """A policy from its member `Normalise`."""
    request = documents.read(json.dumps({"Normalise": body}).encode(), region=REGION)
    if not isinstance(request, NamingPolicy):
        raise TypeError("no policy")
    return request.policy


def changes(entries: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
    """The changes of a change request with these entries."""
    request = documents.read(json.dumps({"Images": entries}).encode(), region=REGION)
    if not isinstance(request, ChangeRequest):
        raise TypeError("no change request")
    return request.changes


def requested(changes: Sequence[Change], region: Region) -> list[Step]:
    """The steps of a change request, as `steward` gets them."""
    return ordered(plan(changes, region.images), region.images.values())


def normalised(body: Mapping[str, Any], region: Region) -> list[Step]:
    """The steps of a policy."""
    return normalise(policy(body), REGION, list(region.images.values()), NOW)


# ---- what hypothesis draws from: few values, so that they meet often

IDS = [f"img-{letter}" for letter in "abcdefgh"]
SELECTED = "build-*"
LONG = "x" * MAX_LENGTH
CONJUNCTS = "क्षि" * 15  # four code points each that must stay together
NAMES = st.sampled_from(
    [
        "web", "web-2", "web-3", "Web", "WEB_2", "web 2", "web-02", "db", "db-web", "x-2026",
        "build-1", "build-2", "1", "1-2", LONG, f"{LONG[:-2]}-2", f"{LONG[:-3]}-10", CONJUNCTS,
        *(temporary(image_id, 1) for image_id in IDS[:3]),
        *(temporary(image_id, 1, policy({"Select": {"ImageName": SELECTED}, "KeepLatest": 1})
                    .select.mark) for image_id in IDS[:3]),
    ]
)  # fmt: skip
TAGS = st.dictionaries(
    st.sampled_from(["a", "b"]), st.sampled_from(["1", "web", "web-2", f"{LONG}y"])
)
OPT_OUT = st.sampled_from([{}, {}, {}, {}, {}, {"image-steward": "ignore"}])
MEMBERS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "ImageDescription": st.sampled_from(["", "d", "web", "web-2", "db"]),
        "ImageFamily": st.sampled_from(["", "web", "web", "db", f"{LONG}-1", f"{LONG}-2"]),
        "ImageDeprecated": st.booleans(),
        "CreatedTime": st.sampled_from(
            ["", "2025-11-20T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-24T11:00:00Z"]
        ),
        "ImageState": st.sampled_from(["NORMAL"] * 7 + ["CREATING"]),
        "ImageType": st.sampled_from(["PRIVATE_IMAGE"] * 7 + ["SHARED_IMAGE"]),
        "Tags": st.builds(lambda one, other: {**one, **other}, TAGS, OPT_OUT),
    }
)


@st.composite
def regions(draw: st.DrawFn) -> Region:
    """A region; the descriptions of its images are often the names of others."""
    ids = draw(st.lists(st.sampled_from(IDS), unique=True, min_size=1))
    names = draw(st.lists(NAMES, unique=True, min_size=len(ids), max_size=len(ids)))
    texts = draw(st.permutations(names)) if draw(st.booleans()) else [""] * len(ids)
    # A policy may want a temporary name, but then nothing could be said about those left over.
    texts = ["" if text.startswith(TEMPORARY) else text for text in texts]
    return Region(
        image(image_id, name, **{**draw(MEMBERS), **({"ImageDescription": text} if text else {})})
        for image_id, name, text in zip(ids, names, texts, strict=True)
    )


PIECES = st.sampled_from(
    [
        "{ImageFamily|web}", "{ImageFamily}", "{Tag.a|web}", "{Tag.b|1}", "{CreatedTime:%Y|0}",
        "{ImageId}", "{ImageName|x}", "{ImageName}", "-", "web", "x", " / ", "{{2}}", LONG[:57],
    ]
)  # fmt: skip
NAME_TEMPLATES = st.just("{ImageDescription|web}") | st.sampled_from(
    [
        "web", "{ImageFamily|web}", "{Tag.a|web}", "{Tag.a|web}-{Tag.b|2}", "{ImageName|web}",
        "{ImageName}", "{ImageFamily}-{CreatedTime:%Y|2026}", f"{LONG[:57]}{{ImageFamily|web}}",
        "{ImageDescription}",
    ]
) | st.lists(PIECES, min_size=1, max_size=3).map("".join)  # fmt: skip
TEXTS = st.sampled_from(
    [
        "{ImageName}", "{ImageName|x} {ImageFamily|web}", "{ImageDescription|web}", "{Tag.a|1}",
        "{Tag.b|web}", "{ImageFamily|web}", "web", "  ", "d" * 300, "{ImageDescription}!",
    ]
)  # fmt: skip
SELECTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "ImageName": st.sampled_from(["*", SELECTED, "web*", "*-?"]),
        "ImageFamily": st.sampled_from(["*", "web*", "d?"]),
        "Tags": st.sampled_from(
            [[{"Key": "a"}], [{"Key": "*", "Value": "1"}], [{"Key": "b", "Value": "w*"}]]
        ),
        "OlderThanHours": st.just(2),
    },
)
BODIES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "ImageName": NAME_TEMPLATES,
        "OnConflict": st.sampled_from(["number", "skip"]),
        "Select": st.just({}) | SELECTS,
    },
    optional={
        "ImageDescription": TEXTS,
        "ImageFamily": TEXTS,
        "Tags": st.lists(
            st.builds(
                lambda key, value: {"Key": key, "Value": value},
                st.sampled_from(["a", "b", "image-steward"]),
                TEXTS | st.just("ignore"),
            ),
            unique_by=lambda tag: tag["Key"],
            min_size=1,
            max_size=3,
        ),
        "Style": st.fixed_dictionaries(
            {},
            optional={
                "Case": st.sampled_from(["keep", "lower", "upper"]),
                "Separator": st.sampled_from(["-", "_", ".", " "]),
            },
        ),
        "KeepLatest": st.integers(1, 2),
    },
)
"""Policies, as their members `Normalise`."""


@st.composite
def shuffles(draw: st.DrawFn) -> tuple[list[Image], list[Change]]:
    """Images, and a change request that gives many of them the names of others."""
    size = draw(st.integers(1, len(IDS)))
    ids, spare = IDS[:size], draw(st.sampled_from([[], [], ["free-1"], ["free-1", "free-2"]]))
    images = [image(i, f"n-{i}", **draw(MEMBERS)) for i in ids]
    names = draw(st.permutations([image.name for image in images] + spare))
    wanted = dict(zip(ids, names, strict=False))
    if draw(st.sampled_from([False, False, True])):  # two may want the same
        wanted[ids[0]] = wanted[ids[-1]]
    asked = draw(st.sampled_from([ids, ids, ids[1:], ids[::-1], ids[::2]]))
    return images, [
        Change(
            REGION,
            image_id,
            {"ImageName": wanted[image_id], **draw(st.sampled_from(_OTHERS))},
            tags,
            tuple({"a", "b"} - tags.keys()) if draw(st.booleans()) else (),
        )
        for image_id in asked
        for tags in [draw(TAGS)]
    ]


_OTHERS: list[dict[str, str | bool]] = [{}, {"ImageDescription": "new"}, {"ImageDeprecated": True}]


def new_temporaries(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """The images that have a temporary name now and had another one."""
    return {i for i, name in after.items() if name.startswith(TEMPORARY) and before[i] != name}
