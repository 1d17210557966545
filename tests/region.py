"""A fake region for the real executor, and hypothesis strategies for requests to change it."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hypothesis import strategies as st

from clocks import FakeClock
from image_steward import registry
from image_steward.clock import Deadline
from image_steward.cloud.image_api import (
    DESCRIBE_IMAGES,
    MODIFY_IMAGE_ATTRIBUTE,
    TAG_RESOURCES,
)
from image_steward.cloud.recent_writes import RecentWrites
from image_steward.cloud.retries import Retries
from image_steward.documents.naming_policy import NamingPolicy
from image_steward.errors import AmbiguousResponse, TimeRanOut, error_of
from image_steward.execution.executor import Executor
from image_steward.execution.writes import tasks_of
from image_steward.limits import NAME_LENGTH
from image_steward.model import ATTRIBUTES, ONE_PHASE, Change, ChangeRequest, Image, Plan, tags_of
from image_steward.naming.temporary import TEMPORARY, temporary
from image_steward.planning.diff import step_of
from image_steward.planning.policy_plan import in_safe_order, normalise
from image_steward.planning.rename_order import order_renames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from image_steward.cloud.image_api import Action
    from image_steward.execution.writes import Write
    from image_steward.model import Outcome, Step, Values

T = TypeVar("T")

REGION = "ap-guangzhou"
NOW = 1795521600.0  # 2026-11-24T12:00:00Z

THROTTLED = 0.15
LOST = 0.1
"""The shares of writes that are throttled, and whose response is lost."""


class RejectedCall(Exception):
    """The API would reject this call."""


def writes_of(steps: Sequence[Step]) -> list[Write]:
    """Return the calls that steps need."""
    tasks = tasks_of(Plan({REGION: list(steps)}), REGION, ONE_PHASE[0])
    return [write for task in tasks for write in task.writes]


class HasValues(Protocol):
    """An image, a change, a step or a write."""

    @property
    def values(self) -> Values:
        """Attributes, and tags as `Tag.<key>`."""


def attributes_of(part: HasValues) -> dict[str, str | bool | None]:
    """Return the attributes among the values."""
    return {name: value for name, value in part.values.items() if name in ATTRIBUTES}


def bound_tags(part: HasValues) -> dict[str, str]:
    """Return the tags among the values that are not deleted, by key."""
    return {key: str(v) for key, v in tags_of(part.values).items() if v is not None}


def deleted_tags(part: HasValues) -> tuple[str, ...]:
    """Return the keys of the tags that are deleted."""
    return tuple(key for key, value in tags_of(part.values).items() if value is None)


def with_tags(image: Image, tags: Mapping[str, str]) -> Image:
    """Return an image with these tags in place of its own."""
    return image._replace(values={**attributes_of(image), **named(tags)})


def named(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags by the names of their values."""
    return {f"Tag.{key}": value for key, value in tags.items()}


class Region:
    """The images of a region, by id."""

    def __init__(self, images: Iterable[Image]) -> None:
        self.images = {image.image_id: image for image in images}

    @property
    def names(self) -> dict[str, str]:
        """The names, by image id."""
        return {image_id: image.name for image_id, image in self.images.items()}

    def execute(
        self,
        steps: Sequence[Step],
        random: Random,
        max_calls: int | None = None,
        *,
        policy: NamingPolicy | None = None,
    ) -> list[Outcome]:
        """Let the executor execute steps, in a random order.

        Some calls are throttled, and some responses are lost. After `max_calls` writes the time
        is over. The phases are those of the `policy`.

        Raises:
            RejectedCall: a call uses a name that is taken.
        """
        dice = Random(random.getrandbits(32))  # noqa: S311 - any order will do
        clock = FakeClock()
        api = FakeApi(self, dice, max_calls)
        retries = Retries(Deadline.after(1e9, clock), dice.random)
        executor = Executor(api, retries, in_any_order(dice), lambda _: None, RecentWrites(clock))
        plan = Plan({REGION: list(steps)})
        if policy:
            plan = in_safe_order(policy, plan, lambda: NOW)
        return executor.execute(plan)


def in_any_order(dice: Random) -> Callable[..., Iterator[Any]]:
    """Return a replacement for parallel work: one task after another, in random order."""

    def run_parallel(tasks: Sequence[Callable[[], T]], _limit: int = 0) -> Iterator[T]:
        done = {number: tasks[number]() for number in dice.sample(range(len(tasks)), len(tasks))}
        return (done[number] for number in range(len(tasks)))

    return run_parallel


class FakeApi:
    """A fake of `cloud.api.Api` for one region."""

    def __init__(self, region: Region, dice: Random, max_calls: int | None) -> None:
        self._region = region
        self._dice = dice
        self._left = max_calls

    def __call__(self, action: Action, region: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Handle one call."""
        if region != REGION or params.keys() - set(action.parameters.split()):
            raise RejectedCall(f"{action.name} of {region} with {', '.join(params)}")
        if action is DESCRIBE_IMAGES:
            images = self._region.images
            found = [images[image_id] for image_id in params["ImageIds"] if image_id in images]
            return {"RequestId": "r", "ImageSet": list(map(_entry, found))}
        if self._left == 0:
            raise TimeRanOut("the run's time was over before this call could start")
        if self._dice.random() < THROTTLED:
            raise error_of("RequestLimitExceeded", "too fast")
        if self._left is not None:
            self._left -= 1
        for image_id, attributes, tags in _changes_of(action, params):
            self._change(image_id, attributes, tags)
        if self._dice.random() < LOST:
            raise AmbiguousResponse("the connection broke")
        return {"RequestId": "r"}

    def _change(
        self, image_id: str, attributes: dict[str, Any], tags: dict[str, str | None]
    ) -> None:
        image = self._region.images[image_id]
        name = attributes.get("ImageName", image.name)
        if not 1 <= len(str(name)) <= NAME_LENGTH:
            raise RejectedCall(f"{name!r} is not a valid name")
        if any(i != image_id and name == other for i, other in self._region.names.items()):
            raise RejectedCall(f"{image_id} cannot get the name {name!r}, which is taken")
        named_tags = {f"Tag.{key}": value for key, value in tags.items()}
        self._region.images[image_id] = image.with_values({**attributes, **named_tags})


def _changes_of(
    action: Action, params: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any], dict[str, str | None]]]:
    if action is MODIFY_IMAGE_ATTRIBUTE:
        attributes = dict(params)
        yield attributes.pop("ImageId"), attributes, {}
        return
    tags: dict[str, str | None] = (
        {tag["TagKey"]: tag["TagValue"] for tag in params["Tags"]}
        if action is TAG_RESOURCES
        else dict.fromkeys(params["TagKeys"])
    )
    for resource in params["ResourceList"]:
        yield resource.rpartition("/")[2], {}, tags


def _entry(image: Image) -> dict[str, Any]:
    """Return an image as DescribeImages does."""
    tags = [{"Key": key, "Value": value} for key, value in image.tags.items()]
    return {"ImageId": image.image_id, **attributes_of(image), **image.facts, "Tags": tags}


def image(image_id: str, name: str, **members: object) -> Image:
    """Return a private image in state NORMAL; `members` have their API names, Tags is a mapping."""
    given: dict[str, Any] = members
    attributes = {"ImageDescription": "", "ImageFamily": "", "ImageDeprecated": False}
    facts = {
        "OsName": "TencentOS", "Platform": "", "Architecture": "x86_64", "ImageCreator": "",
        "ImageState": "NORMAL", "ImageType": "PRIVATE_IMAGE",
        "CreatedTime": "2026-11-20T00:00:00Z",
    }  # fmt: skip
    return Image(
        image_id,
        {
            "ImageName": name,
            **{n: given.get(n, value) for n, value in attributes.items()},
            **named(given.get("Tags", {})),
        },
        {n: given.get(n, value) for n, value in facts.items()},
    )


def policy(body: Mapping[str, Any]) -> NamingPolicy:
    """Return a policy from its member `Normalise`."""
    request = registry.read(json.dumps({"Normalise": body}).encode(), region=REGION).request
    if not isinstance(request, NamingPolicy):
        raise TypeError("not a policy")
    return request


def changes(entries: Sequence[Mapping[str, Any]]) -> tuple[Change, ...]:
    """Return the changes of a change request with these entries."""
    request = registry.read(json.dumps({"Images": entries}).encode(), region=REGION).request
    if not isinstance(request, ChangeRequest):
        raise TypeError("not a change request")
    regions = request.changes.values()
    return tuple(change for region in regions for change in region.values())


def requested(changes: Sequence[Change], region: Region) -> list[Step]:
    """Return the steps of a change request."""
    return order_renames(
        [step_of(change, region.images) for change in changes], region.images.values()
    )


def normalised(body: Mapping[str, Any], region: Region) -> list[Step]:
    """Return the steps of a policy."""
    return normalise(policy(body), REGION, list(region.images.values()), lambda: NOW)


# ---- hypothesis strategies: few values, so that they often conflict

IDS = [f"img-{letter}" for letter in "abcdefgh"]
SELECTED = "build-*"
LONG = "x" * NAME_LENGTH
CONJUNCTS = "क्षि" * 15  # each of four code points that must not be separated
NAMES = st.sampled_from(
    [
        "web", "web-2", "web-3", "Web", "WEB_2", "web 2", "web-02", "db", "db-web", "x-2026",
        "build-1", "build-2", "1", "1-2", LONG, f"{LONG[:-2]}-2", f"{LONG[:-3]}-10", CONJUNCTS,
        *(temporary(image_id, 1) for image_id in IDS[:3]),
        *(temporary(image_id, 1, policy({"Select": {"ImageName": SELECTED}, "KeepLatest": 1})
                    .select.owner) for image_id in IDS[:3]),
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
        "Tags": st.builds(lambda tags, opt_out: {**tags, **opt_out}, TAGS, OPT_OUT),
    }
)


@st.composite
def regions(draw: st.DrawFn) -> Region:
    """Draw a region, in which descriptions of images are often names of others."""
    ids = draw(st.lists(st.sampled_from(IDS), unique=True, min_size=1))
    names = draw(st.lists(NAMES, unique=True, min_size=len(ids), max_size=len(ids)))
    texts = draw(st.permutations(names)) if draw(st.booleans()) else [""] * len(ids)
    # Policies may use descriptions as names. With temporary names among them, tests could not
    # tell whether any are left over.
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
        "ImageName": st.sampled_from(["*", SELECTED, ["web*", "x"], "*-?"]),
        "ImageFamily": st.sampled_from(["*", "web*", ["d?", "x"]]),
        "Tags": st.sampled_from(
            [[{"Key": "a"}], [{"Key": "*", "Value": "1"}], [{"Key": "b", "Value": "w*"}]]
        ),
        "OlderThanHours": st.just(2),
        "YoungerThanHours": st.just(100),
    },
)
EXCEPTS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"ImageName": "web"},
        {"ImageName": ["db*", "x-?"]},
        {"ImageFamily": "db"},
        {"Tags": [{"Key": "c"}]},
        {"Tags": [{"Key": "a", "Value": "1"}]},
        {"OlderThanHours": 1000},
    ]
)
DERIVES: list[list[dict[str, Any]]] = [
    [
        {"From": "{ImageName}", "Parse": ["{app}-{n:digits}", "{app}-{n:digits}-*", "{app}"]},
        {"From": "{ImageFamily}", "Map": [{"Key": "W*", "Value": "web"}], "As": "os"},
    ],
    [
        {"From": "{ImageName}", "Replace": [{"Key": "build", "Value": "b"}], "As": "app"},
        {"From": "{app|x}-{Tag.a|b}", "Parse": ["{os:word}-{n:digits}", "*-{n}"]},
    ],
    [
        {"From": "{OldName}", "Map": [{"Key": "web*", "Value": "web"}], "As": "app"},
        {"From": "{app}", "Replace": [{"Key": "w", "Value": "ww"}], "As": "n"},
        {"From": "{Tag.b}", "Parse": ["{os}"]},
    ],
]
"""Steps that make the fields app, n and os."""
DERIVED_NAMES = st.sampled_from(
    ["{app|x}", "{app}-{n|0}", "{os|web}-{n|1}", "{app|os|x}-{Tag.a|n}"]
)
DERIVED_TEXTS = st.sampled_from(
    ["{Tag.c|OldName}", "{app|x}", "{OldName|x}", "{os}", "{Tag.b|app|x}"]
)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the member `Normalise` of a policy."""
    has_fields = draw(st.booleans())
    names = NAME_TEMPLATES | DERIVED_NAMES if has_fields else NAME_TEMPLATES
    texts = TEXTS | DERIVED_TEXTS if has_fields else TEXTS
    retire = {
        "KeepLatest": st.integers(1, 2),
        "ImageDeprecated": st.booleans(),
        "Retire": st.fixed_dictionaries(
            {"KeepLatest": st.integers(1, 2)},
            optional={
                "GroupBy": texts.map(lambda text: f"{text}{{Region}}"),
                "OlderThanDays": st.sampled_from([3, 100]),
            },
        ),
    }
    rule = draw(st.sampled_from(["", *retire]))
    strategy: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {
            "ImageName": names,
            "OnConflict": st.sampled_from(["number", "skip"]),
            "Select": st.just({}) | SELECTS,
            **({"Derive": st.sampled_from(DERIVES)} if has_fields else {}),
            **({rule: retire[rule]} if rule else {}),
        },
        optional={
            "Except": st.lists(EXCEPTS, min_size=1, max_size=2),
            "ImageDescription": texts,
            "ImageFamily": texts,
            "Tags": st.lists(
                st.builds(
                    lambda key, value: {"Key": key, "Value": value},
                    st.sampled_from(["a", "b", "c"]),
                    texts,
                ),
                unique_by=lambda tag: tag["Key"],
                min_size=1,
                max_size=3,
            ),
            "DeleteTags": st.sampled_from([["a"], ["b", "c"], ["*"]]),
            "Style": st.fixed_dictionaries(
                {},
                optional={
                    "Case": st.sampled_from(["keep", "lower", "upper"]),
                    "Separator": st.sampled_from(["-", "_", ".", " "]),
                    "Charset": st.sampled_from(["any", "ascii"]),
                    "MaxLength": st.sampled_from([8, 20, 60]),
                },
            ),
        },
    )
    return draw(strategy)


BODIES = bodies()


@st.composite
def shuffles(draw: st.DrawFn) -> tuple[list[Image], list[Change]]:
    """Draw images, and a change request that swaps the names of many of them."""
    size = draw(st.integers(1, len(IDS)))
    ids, spare = IDS[:size], draw(st.sampled_from([[], [], ["free-1"], ["free-1", "free-2"]]))
    images = [image(i, f"n-{i}", **draw(MEMBERS)) for i in ids]
    names = draw(st.permutations([image.name for image in images] + spare))
    wanted = dict(zip(ids, names, strict=False))
    if draw(st.sampled_from([False, False, True])):  # two images may be given the same name
        wanted[ids[0]] = wanted[ids[-1]]
    requested_ids = draw(st.sampled_from([ids, ids, ids[1:], ids[::-1], ids[::2]]))
    return images, [
        Change(
            REGION,
            image_id,
            {
                "ImageName": wanted[image_id],
                **draw(st.sampled_from(_OTHERS)),
                **named(tags),
                **dict.fromkeys(f"Tag.{key}" for key in deleted if key not in tags),
            },
        )
        for image_id in requested_ids
        for tags in [draw(TAGS)]
        for deleted in [draw(st.sampled_from([(), ("a", "b")]))]
    ]


_OTHERS: list[dict[str, str | bool]] = [{}, {"ImageDescription": "new"}, {"ImageDeprecated": True}]


def new_temporaries(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """Return the images with a temporary name that they did not have before."""
    return {i for i, name in after.items() if name.startswith(TEMPORARY) and before[i] != name}


def cycles(steps: Iterable[Step]) -> int:
    """Count the cycles of renames: the connected components with as many renames as names."""
    edges = [(step.before.name, step.new_name) for step in steps if step.before and step.new_name]
    component = {name: name for edge in edges for name in edge}
    for old, new in edges:
        former, latter = component[old], component[new]
        component = {n: latter if c == former else c for n, c in component.items()}
    return len(edges) - len(component) + len(set(component.values()))


def wanted_names(steps: Iterable[Step], images: Mapping[str, Image]) -> dict[str, str]:
    """Return the names that images must have after all steps, in whatever order they run."""
    names = {image_id: image.name for image_id, image in images.items()}
    return names | {step.image_id: step.new_name for step in steps if step.new_name}
