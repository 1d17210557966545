"""The values that pass between the stages, from what is asked for to what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from image_steward.errors import StewardError

ATTRIBUTES = ("ImageName", "ImageDescription", "ImageFamily", "ImageDeprecated")
"""What ModifyImageAttribute can change (document/api/213/15713)."""

FACTS = ("OsName", "Platform", "Architecture", "ImageCreator")
"""What else DescribeImages tells of an image that templates may name."""

STATE = ("ImageState", "ImageType")
"""What else it tells that decides whether an image may be changed."""

STATUSES = ("Changed", "Unchanged", "Planned", "Skipped", "Failed", "Pending")
"""How an image may end, as the summary counts them; in lower case, an image's `Status`."""

Attributes: TypeAlias = "dict[str, str | bool]"
"""By their API names."""

TagChanges: TypeAlias = "dict[str, str | None]"
"""Values that are bound, by key; None: unbound."""


class CosObject(NamedTuple):
    """An object that holds a document. `bucket` is the full name, `<bucket>-<appid>`."""

    bucket: str
    key: str
    region: str

    @property
    def source(self) -> str:
        """How results and log lines name it."""
        return f"cos://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Image:
    """What the function needs to know of an image as it is."""

    image_id: str
    attributes: Attributes
    tags: dict[str, str]
    facts: dict[str, str] = field(default_factory=dict)
    """`FACTS`, `STATE`, and `CreatedTime` as `clock.utc` writes it, empty if it cannot be read."""

    @property
    def name(self) -> str:
        """Its ImageName."""
        return str(self.attributes["ImageName"])

    @property
    def state(self) -> str:
        """Its ImageState."""
        return self.facts["ImageState"]

    @property
    def has_failed(self) -> bool:
        """Whether it will never be NORMAL; other states may pass."""
        return self.state.endswith("FAILED")

    @property
    def is_unready(self) -> bool:
        """Whether its state is one that passes; they are not all documented."""
        return self.state != "NORMAL" and not self.has_failed

    def lacks(
        self, attributes: Mapping[str, str | bool], tags: Mapping[str, str]
    ) -> tuple[Attributes, dict[str, str]]:
        """Those attributes and tags that it does not have."""
        has, tagged = self.attributes, self.tags
        return (
            {name: value for name, value in attributes.items() if has[name] != value},
            {key: value for key, value in tags.items() if tagged.get(key) != value},
        )


class Change(NamedTuple):
    """What one image is to be."""

    region: str
    image_id: str
    attributes: Attributes
    tags: dict[str, str]
    delete_tags: tuple[str, ...]


@dataclass(frozen=True)
class ChangeRequest:
    """Changes of one document; no image of a region stands in it twice."""

    changes: tuple[Change, ...]
    dry_run: bool

    @cached_property
    def by_region(self) -> dict[str, list[Change]]:
        """The changes of each region."""
        found: dict[str, list[Change]] = {}
        for change in self.changes:
            found.setdefault(change.region, []).append(change)
        return found

    @property
    def image_ids(self) -> dict[str, list[str]]:
        """The images that it names, by region."""
        return {r: [change.image_id for change in each] for r, each in self.by_region.items()}


@dataclass(frozen=True, slots=True)
class Step:
    """What one image lacks. Only what differs is in it; an empty step costs no write."""

    region: str
    image_id: str
    attributes: Attributes = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    delete_tags: tuple[str, ...] = ()
    before: Image | None = None
    """The image as it is."""
    error: StewardError | None = None
    """Why nothing can be done about it."""
    reasons: tuple[str, ...] = ()
    """Which rules want this, or why the image is skipped."""
    is_skipped: bool = False
    waits_for: str = ""
    """The image that has to leave its name first."""
    temporary: str = ""
    """A name for the time until that has happened: the step opens a cycle."""

    @property
    def image_key(self) -> tuple[str, str]:
        """Region and id of the image."""
        return self.region, self.image_id

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.attributes or self.tags or self.delete_tags)

    @property
    def new_name(self) -> str:
        """The name that the image is to get; empty if it keeps its own."""
        return str(self.attributes.get("ImageName", ""))

    @property
    def family(self) -> str:
        """The family that the image is to be in."""
        has = self.before.attributes["ImageFamily"] if self.before else ""
        return str(self.attributes.get("ImageFamily", has))


TOGETHER = (("attributes", "tags"),)
"""The phases of a plan that needs no order: one, in which both are written side by side."""


@dataclass(frozen=True)
class Plan:
    """What is to be done, and what is to be said of it beforehand."""

    steps: dict[str, list[Step]]
    """By region."""
    region_errors: dict[str, StewardError] = field(default_factory=dict)
    """The regions that could not be planned, and why."""
    warnings: tuple[StewardError, ...] = ()
    phases: tuple[tuple[str, ...], ...] = TOGETHER
    """What of an image, "attributes" or "tags", is written in which order."""
    blocking_statuses: tuple[str, ...] = ()
    """An image with one of these statuses gets none of the writes of a later phase."""

    @property
    def changes(self) -> list[Step]:
        """The steps that write something."""
        return [step for steps in self.steps.values() for step in steps if not step.is_empty]


@dataclass(frozen=True)
class Outcome:
    """What became of a step: what was done (or planned), and the error that ended it."""

    step: Step
    attributes: Attributes = field(default_factory=dict)
    """Those that differ from what they were before the step."""
    tags: TagChanges = field(default_factory=dict)
    request_ids: tuple[str, ...] = ()
    error: StewardError | None = None
    planned: bool = False
    attempts: int = 0
    """Tries of the calls it took, all of them together."""
    began: float = 0.0
    """Monotonic seconds."""
    ended: float = 0.0
    """The same; waits between two tries lie between them."""

    @classmethod
    def planned_for(cls, step: Step) -> Outcome:
        """The outcome of a step in a dry run."""
        tags: TagChanges = {**step.tags, **dict.fromkeys(step.delete_tags)}
        return cls(step, dict(step.attributes), tags, error=step.error, planned=True)

    @property
    def status(self) -> str:
        """The `Status` of the result document."""
        if self.error:
            return self.error.status
        if self.step.is_empty:
            return "skipped" if self.step.is_skipped else "unchanged"
        return "planned" if self.planned else "changed"

    @property
    def before(self) -> dict[str, Any]:
        """The members that differ, as they were."""
        if not self.step.before:
            return {}
        image = self.step.before
        was = {key: image.tags.get(key) for key in self.tags}
        return _members({name: image.attributes[name] for name in self.attributes}, was)

    @property
    def after(self) -> dict[str, Any]:
        """The members that differ, as they are now, or would be."""
        return _members(self.attributes, self.tags)

    def merged_with(self, later: Outcome) -> Outcome:
        """The outcome of both, `later` being of the same image as this one left it."""
        step, error = self.step, self.error
        if later.step is not step:
            attributes = {**step.attributes, **later.step.attributes}
            step = replace(step, attributes=attributes, reasons=step.reasons + later.step.reasons)
        # What time can heal counts most: it brings the event back. Then the first error counts.
        if later.error and (not error or (later.error.transient and not error.transient)):
            error = later.error
        was = step.before.attributes if step.before else {}
        attributes = {**self.attributes, **later.attributes}
        return replace(
            self,
            step=step,
            attributes={
                name: value for name, value in attributes.items() if was.get(name) != value
            },
            tags={**self.tags, **later.tags},
            request_ids=self.request_ids + later.request_ids,
            error=error,
            attempts=self.attempts + later.attempts,
            began=self.began if self.attempts else later.began,
            ended=max(self.ended, later.ended),
        )


@dataclass(frozen=True)
class Report:
    """What one part of an event came to."""

    source: str
    outcomes: tuple[Outcome, ...] = ()
    errors: tuple[tuple[str, StewardError], ...] = ()
    """Source, and why it or one of its regions was refused."""
    warnings: tuple[StewardError, ...] = ()
    """What did not stop a document, but would have, or will."""
    dry_run: bool | None = None
    """Whether the document was to write nothing; None: there was none, or it was not read."""

    def merged_with(self, later: Report) -> Report:
        """The report on both; an image stands once, whatever it took."""
        outcomes = {outcome.step.image_key: outcome for outcome in self.outcomes}
        for outcome in later.outcomes:
            earlier = outcomes.get(outcome.step.image_key)
            outcomes[outcome.step.image_key] = earlier.merged_with(outcome) if earlier else outcome
        return replace(later, outcomes=tuple(outcomes.values()))


def _members(
    attributes: Mapping[str, str | bool], tags: Mapping[str, str | None]
) -> dict[str, Any]:
    """As documents write them; `Tags` only where a tag differs."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items() if value is not None]
    return {**attributes, **({"Tags": pairs} if tags else {})}
