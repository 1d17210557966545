"""The values that pass between the stages: requests, images, plans, outcomes, reports."""

# As in all modules with a NamedTuple on the way of a cold start, annotations are not postponed: the
# class would compile each one, which takes more than 1 ms in all.

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, TypeVar

from image_steward.errors import StewardError

T = TypeVar("T")

ATTRIBUTES = ("ImageName", "ImageDescription", "ImageFamily", "ImageDeprecated")
"""What ModifyImageAttribute can change (document/api/213/15713)."""

FACTS = ("OsName", "Platform", "Architecture", "ImageCreator")
"""Read-only members of an image in DescribeImages, for templates."""

STATE = ("ImageState", "ImageType")
"""Read-only members that decide whether an image may be changed."""

OPT_OUT = ("image-steward", "ignore")
"""An image with this tag is never changed, and no document may set or delete the tag."""

_OPT_OUT = f"Tag.{OPT_OUT[0]}"

OPTED_OUT = f"it has the tag {' = '.join(OPT_OUT)}"
"""Why such an image is not changed."""

STATUSES = ("Changed", "Unchanged", "Planned", "Skipped", "Failed", "Pending")
"""The members of `Summary`; in lower case, the values of an image's `Status`."""

Now: TypeAlias = Callable[[], float]
"""When a run plans, in seconds since the epoch; raises `TimeRanOut` once the run's time is over.

Planning asks for it between images, since there may be many of them.
"""

Value: TypeAlias = str | bool | None
"""Of an attribute, or of a tag: None if it is not bound."""

Values: TypeAlias = Mapping[str, Value]
"""Attributes, and tags as `Tag.<key>`: the names of templates."""

TAG = "Tag."
"""Begins the name of a tag."""

Rules: TypeAlias = tuple[tuple[str, object], ...]
"""The members of a document that say what images become, with their values."""


class CosObject(NamedTuple):
    """A COS object that holds a document; `bucket` is the full name, `<bucket>-<appid>`."""

    bucket: str
    key: str
    region: str
    version_id: str = ""
    """Empty: the newest version."""
    etag: str = ""
    """Of the content that was uploaded; empty if unknown."""
    uploader: Mapping[str, str] = MappingProxyType({})
    """Who uploaded it, as fields of a log line."""

    @property
    def path(self) -> str:
        """Bucket and key."""
        return f"{self.bucket}/{self.key}"

    @property
    def source(self) -> str:
        """Its URL in results and log lines."""
        return f"cos://{self.path}"


class Image(NamedTuple):
    """An image, with the members of DescribeImages that the function uses."""

    image_id: str
    values: Values
    """All attributes, and its tags."""
    facts: Mapping[str, str] = MappingProxyType({})
    """`FACTS`, `STATE`, and `CreatedTime` as `clock.utc` writes it (empty if unreadable)."""

    @property
    def name(self) -> str:
        """Its ImageName."""
        return str(self.values["ImageName"])

    @property
    def tags(self) -> dict[str, str]:
        """Its tags, by key."""
        tags: dict[str, Any] = tags_of(self.values)
        return tags

    @property
    def is_opted_out(self) -> bool:
        """Whether it has the tag by which its owner forbids all changes."""
        return self.values.get(_OPT_OUT) == OPT_OUT[1]

    @property
    def state(self) -> str:
        """Its ImageState."""
        return self.facts["ImageState"]

    def has(self, values: Values) -> bool:
        """Whether it has all these values."""
        return not self.missing(values)

    def with_values(self, values: Values) -> "Image":
        """The image with these values in place of its own."""
        pairs = {**self.values, **values}.items()
        return Image(self.image_id, {n: v for n, v in pairs if v is not None}, self.facts)

    @property
    def has_failed(self) -> bool:
        """Whether its state is permanent, but not NORMAL."""
        return self.state.endswith("FAILED")

    @property
    def is_unready(self) -> bool:
        """Whether its state is transient, and it may be changed afterwards.

        Not all such states are documented.
        """
        is_ours = self.facts["ImageType"] == "PRIVATE_IMAGE" and not self.is_opted_out
        return is_ours and self.state != "NORMAL" and not self.has_failed

    def missing(self, values: Values) -> Values:
        """Those of the given values that the image does not have yet."""
        current = self.values
        return {name: value for name, value in values.items() if current.get(name) != value}


class Change(NamedTuple):
    """What a document asks for one image."""

    region: str
    image_id: str
    values: Values
    expect: Values = MappingProxyType({})
    """What the image must still be."""


class ChangeRequest(NamedTuple):
    """The changes of one document."""

    changes: dict[str, dict[str, Change]]
    """By region and image id."""
    dry_run: bool
    region_paths: Mapping[str, str] = MappingProxyType({})
    """The JSON Pointer of the first mention of each region."""
    tag_paths: Mapping[str, str] = MappingProxyType({})
    """The JSON Pointer of the first change of each tag."""

    @property
    def image_ids(self) -> dict[str, list[str]]:
        """The ids of its images, by region."""
        return {region: list(changes) for region, changes in self.changes.items()}

    def is_as_expected(self, region: str, image: Image) -> bool:
        """Whether an image is what its change expects."""
        return image.has(self.changes[region][image.image_id].expect)


class Step(NamedTuple):
    """The changes that one image still needs; an empty step costs no write."""

    region: str
    image_id: str
    values: Values = MappingProxyType({})
    """The new values, which differ from those before."""
    before: Image | None = None
    """The current image; None if it could not be read."""
    error: StewardError | None = None
    """Why the image cannot be changed, or not completely."""
    reasons: tuple[str, ...] = ()
    """What is special about the changes, or why the image is skipped."""
    is_skipped: bool = False
    waits_for: str = ""
    """The id of the image that has the new name and must be renamed first."""
    would_wait: bool = False
    """In a dry run: whether the image, or its name, would wait until an image is ready."""
    is_guarded: bool = False
    """Whether the document says what it expects of the image."""
    temporary_name: str = ""
    """The name to give until then, if this step opens a rename cycle."""

    @property
    def image_key(self) -> tuple[str, str]:
        """Region and image id."""
        return self.region, self.image_id

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.values

    @property
    def new_name(self) -> str:
        """The new ImageName; empty if the image is not renamed."""
        return str(self.values.get("ImageName", ""))


StepsByRegion: TypeAlias = dict[str, list[Step]]

ONE_PHASE = (("attributes", "tags", "deletions"),)
"""The phases of a plan that writes attributes and tags in parallel."""


class Plan(NamedTuple):
    """The steps of a request, and the errors and warnings to report before it is executed."""

    steps: StepsByRegion
    errors: Mapping[str, StewardError] = MappingProxyType({})
    """Why regions could not be planned; by "", why a part of the document could not."""
    warnings: tuple[StewardError, ...] = ()
    phases: tuple[tuple[str, ...], ...] = ONE_PHASE
    """Phases follow one another, and end for an image with its first error.

    Each writes "attributes", "tags" that are bound, "deletions" of tags, or the "last" tags.
    """
    last_tags: Collection[str] = ()
    rules: Rules = ()

    def written_in(self, phase: Collection[str], step: Step) -> Values:
        """The values of a step that a phase writes."""

        def kind(name: str, value: object) -> str:
            if not name.startswith(TAG):
                return "attributes"
            return "deletions" if value is None else "last" if name in self.last_tags else "tags"

        return {n: v for n, v in step.values.items() if kind(n, v) in phase}

    @property
    def all_steps(self) -> list[Step]:
        """The steps of all regions."""
        return [step for steps in self.steps.values() for step in steps]

    @property
    def changes(self) -> list[Step]:
        """The steps that write something."""
        return [step for step in self.all_steps if not step.is_empty]


class Outcome(NamedTuple):
    """What a step has changed (in a dry run: would change), and the error that ended it."""

    step: Step
    values: Values = MappingProxyType({})
    """Those that differ from the image before the step."""
    request_ids: tuple[str, ...] = ()
    error: StewardError | None = None
    planned: bool = False
    attempts: int = 0
    """Of all calls together."""
    began: float = 0.0
    """Monotonic seconds."""
    ended: float = 0.0
    """Monotonic seconds; delays between attempts are included."""

    @classmethod
    def planned_for(cls, step: Step) -> "Outcome":
        """The outcome of a step in a dry run."""
        return cls(step, step.values, error=step.error, planned=True)

    @property
    def status(self) -> str:
        """The `Status` in the result document."""
        if self.error:
            return self.error.status
        if self.step.is_empty:
            return "skipped" if self.step.is_skipped else "unchanged"
        return "planned" if self.planned else "changed"

    @property
    def old_values(self) -> Values:
        """What the values were before the step."""
        old = self.step.before.values if self.step.before else {}
        return {name: old.get(name) for name in self.values}

    @property
    def before(self) -> dict[str, Any]:
        """The changed members with their old values."""
        return _members(self.old_values)

    @property
    def after(self) -> dict[str, Any]:
        """The changed members with their new values."""
        return _members(self.values)

    def merged_with(self, later: "Outcome") -> "Outcome":
        """One outcome for this one and a `later` one of the same image."""
        step, error = self.step, self.error
        if later.step is not step:
            writing = later.step if step.is_empty and not later.step.is_empty else step
            both = [s for s in (step, later.step) if not s.is_skipped or writing.is_skipped]
            reasons = tuple(reason for each in both for reason in each.reasons)
            waits = step.would_wait or later.step.would_wait
            step = writing._replace(before=_before(self, later), reasons=reasons, would_wait=waits)
        # A transient error has precedence, as it causes a redelivery; then the first error.
        if later.error and (not error or (later.error.transient and not error.transient)):
            error = later.error
        if self.planned != later.planned:  # what was done counts, not what a dry run would do
            return (later if self.planned else self)._replace(error=error)
        values = {**self.values, **later.values}
        return self._replace(
            step=step,
            values=step.before.missing(values) if step.before else values,
            request_ids=self.request_ids + later.request_ids,
            error=error,
            attempts=self.attempts + later.attempts,
            began=self.began if self.attempts else later.began,
            ended=max(self.ended, later.ended),
        )


def _before(earlier: Outcome, later: Outcome) -> Image | None:
    """The image before both outcomes; of what only the later one changed, as that one read it."""
    first, second = earlier.step.before, later.step.before
    if not first or not second:
        return first or second
    names = later.values.keys() - earlier.values.keys()
    return first.with_values({name: second.values.get(name) for name in names})


def by_image(outcomes: Iterable[Outcome]) -> dict[tuple[str, str], Outcome]:
    """One outcome for each image, by image key, in the order of each image's first one."""
    images: dict[tuple[str, str], Outcome] = {}
    for outcome in outcomes:
        earlier = images.get(outcome.step.image_key)
        images[outcome.step.image_key] = earlier.merged_with(outcome) if earlier else outcome
    return images


class Report(NamedTuple):
    """The report on one part of an event."""

    source: str
    outcomes: tuple[Outcome, ...] = ()
    errors: tuple[tuple[str, StewardError], ...] = ()
    """Pairs of a source and why it, or one of its regions, was rejected."""
    warnings: tuple[StewardError, ...] = ()
    """Problems that did not stop the document."""
    rules: Rules = ()
    dry_run: bool | None = None
    """Whether it was a dry run; None: there was no document, or it could not be read."""


def tags_of(values: Mapping[str, T]) -> dict[str, T]:
    """The tags among some values, by key."""
    return {name[4:]: value for name, value in values.items() if name.startswith(TAG)}


def values_in(members: Mapping[str, Any]) -> Values:
    """The values in an entry of a change request: attributes, `Tags` and `DeleteTags`."""
    bound = {f"Tag.{tag['Key']}": tag["Value"] for tag in members.get("Tags", ())}
    deleted = dict.fromkeys(f"Tag.{key}" for key in members.get("DeleteTags", ()))
    return {**{n: members[n] for n in ATTRIBUTES if n in members}, **bound, **deleted}


def members_of(values: Values) -> dict[str, Any]:
    """The members of an entry, as `values_in` reads them."""
    tags = tags_of(values)
    bound = [{"Key": key, "Value": value} for key, value in tags.items() if value is not None]
    lists = {"Tags": bound, "DeleteTags": [key for key, value in tags.items() if value is None]}
    attributes = {name: value for name, value in values.items() if name in ATTRIBUTES}
    return {**attributes, **{name: items for name, items in lists.items() if items}}


def _members(values: Values) -> dict[str, Any]:
    """The members of an entry without `DeleteTags`; `Tags` is empty if no tag is bound."""
    members = members_of(values)
    if members.pop("DeleteTags", ()):
        members.setdefault("Tags", [])
    return members
