"""What became of each step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from image_steward.errors import StewardError, Stopped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from image_steward.planning import Step


@dataclass
class Outcome:
    """What became of a step: what was done (or planned), and the error that ended it."""

    source: str
    step: Step
    attributes: dict[str, str | bool] = field(default_factory=dict)
    tags: dict[str, str | None] = field(default_factory=dict)
    """Values bound; None: unbound."""
    request_ids: list[str] = field(default_factory=list)
    error: StewardError | None = None
    planned: bool = False
    attempts: int = 0
    """Tries of the calls it took, all of them together."""
    started: float | None = None
    """Monotonic seconds, when its first try began."""
    seconds: float = 0.0
    """From then to the end of the last try, waits included."""
    open_writes: int = 0
    """Calls that are still to be settled."""

    @property
    def status(self) -> str:
        """The `Status` of the result document."""
        if self.error:
            return "failed" if is_final(self.error) else "pending"
        if self.step.is_empty:
            return "skipped" if self.step.is_skipped else "unchanged"
        return "planned" if self.planned else "changed"

    def fail(self, error: StewardError) -> None:
        """Something of it is not done. What time can heal counts most: it brings the event back."""
        if self.error is None or (error.healable and not self.error.healable):
            self.error = error

    def take_up(self, later: Outcome) -> None:
        """Become the outcome of both, `later` being of the same image as this one left it."""
        step = self.step
        attributes = step.attributes | later.step.attributes
        self.step = replace(step, attributes=attributes, reasons=step.reasons + later.step.reasons)
        was = step.before.attributes if step.before else {}
        both = self.attributes | later.attributes
        self.attributes = {name: value for name, value in both.items() if was.get(name) != value}
        self.request_ids += later.request_ids
        self.error = later.error

    @property
    def before(self) -> dict[str, Any]:
        """The members that differ, as they were."""
        if not self.step.before:
            return {}
        image = self.step.before
        was = {key: image.tags.get(key) for key in self.tags}
        return _members({n: image.attributes[n] for n in self.attributes}, was)

    @property
    def after(self) -> dict[str, Any]:
        """The members that differ, as they are now, or would be."""
        return _members(self.attributes, self.tags)


def is_final(error: StewardError) -> bool:
    """Whether a later run would meet it again."""
    return not (error.healable or isinstance(error, Stopped))


def outcome_of(source: str, step: Step, *, planned: bool = False) -> Outcome:
    """The outcome of a step before any call; `planned`: there will be none."""
    outcome = Outcome(source, step, error=step.error, planned=planned)
    if planned:
        outcome.attributes.update(step.attributes)
        outcome.tags.update({**step.tags, **dict.fromkeys(step.delete_tags)})
    return outcome


def _members(
    attributes: Mapping[str, str | bool], tags: Mapping[str, str | None]
) -> dict[str, Any]:
    """As documents write them; `Tags` only where a tag differs."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items() if value is not None]
    return {**attributes, **({"Tags": pairs} if tags else {})}
