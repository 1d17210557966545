"""From a plan to outcomes: what the images of a region need, a few tasks at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

from image_steward.errors import AccountRefused, NameTaken, StewardError, Stopped
from image_steward.execution.settling import not_attempted, settle
from image_steward.execution.writes import Chain, TagBatch, chains, tag_batches
from image_steward.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from image_steward.cloud.image_api import Call
    from image_steward.cloud.retries import Retries
    from image_steward.execution.settling import Effect, Settling
    from image_steward.model import Plan, Step
    from image_steward.parallel import SideBySide

WORKERS = 4
"""Tasks at a time in each region: enough that a reply of a third of a second costs no turn."""

Task: TypeAlias = "Chain | TagBatch"


@dataclass(frozen=True)
class Executor:
    """Carries out plans: regions side by side, in each the tasks of a phase, a few at a time.

    Tasks share nothing: each returns what became of its images, and only the executor puts that
    together. A task that has to wait steps aside for the others. `note` is told of each outcome as
    soon as all that the image needs is settled.
    """

    call: Call
    retries: Retries
    side_by_side: SideBySide
    note: Callable[[Outcome], None]

    def execute(self, plan: Plan) -> list[Outcome]:
        """Carry out a plan; the outcomes are in the order of its steps."""
        works = [partial(self._region, plan, *each) for each in plan.steps.items()]
        return [outcome for outcomes in self.side_by_side(works) for outcome in outcomes]

    def _region(self, plan: Plan, region: str, steps: Sequence[Step]) -> list[Outcome]:
        outcomes = {step.image_id: Outcome(step, error=step.error) for step in steps}
        phases = [_tasks(region, steps, phase) for phase in plan.phases]
        open_tasks = Counter(i for tasks in phases for task in tasks for i in task.image_ids)
        for image_id, outcome in outcomes.items():
            if not open_tasks[image_id]:
                self.note(outcome)
        for number, tasks in enumerate(phases):
            held_by = plan.held_by if number else ()
            held = {i: o.error for i, o in outcomes.items() if o.error and o.status in held_by}
            works = [self._work(task, held, held_by) for task in tasks]
            for task, effects in self._done(tasks, works):
                for effect in effects:
                    outcomes[effect.image_id] = _with(outcomes[effect.image_id], effect)
                for image_id in task.image_ids:
                    open_tasks[image_id] -= 1
                    if not open_tasks[image_id]:
                        self.note(outcomes[image_id])
        return list(outcomes.values())

    def _done(
        self, tasks: Sequence[Task], works: Sequence[Settling]
    ) -> Iterator[tuple[Task, list[Effect]]]:
        """The tasks, each with what became of it, in rounds: who waits is in the next one."""
        waiting = [(0.0, *each) for each in zip(tasks, works, strict=True)]
        while waiting:
            waiting.sort(key=itemgetter(0))
            turns = [partial(self._go_on, moment, work) for moment, _, work in waiting]
            later = []
            ends = self.side_by_side(turns, WORKERS)
            for (_, task, work), end in zip(waiting, ends, strict=True):
                if isinstance(end, float):
                    later.append((end, task, work))
                else:
                    yield task, end
            waiting = later

    def _go_on(self, moment: float, work: Settling) -> float | list[Effect]:
        """Do what a work can do from a moment on: its effects, or when to go on with it."""
        self.retries.deadline.clock.sleep_until(moment)
        try:
            return next(work)
        except StopIteration as end:
            effects: list[Effect] = end.value
            return effects

    def _work(
        self, task: Task, held: dict[str, StewardError], held_by: tuple[str, ...]
    ) -> Settling:
        if isinstance(task, Chain):
            return self._rename(task, held)
        return self._tag(task, held, held_by)

    def _rename(self, chain: Chain, held: dict[str, StewardError]) -> Settling:
        effects: list[Effect] = []
        is_done: list[bool] = []
        stays: StewardError | None = None
        for write in chain.writes:
            (image_id,) = write.steps
            blocked = stays
            error = blocked or held.get(image_id)
            if blocked:
                effects += not_attempted(write, blocked)
            elif not error:
                (effect,) = yield from settle(write, self.call, self.retries)
                effects.append(effect)
                error = effect.error
            is_done.append(not error)
            stays = _still_taken(image_id, error)
        way_back = chain.way_back()
        # Rather the old name than a temporary one for good, if that is still free.
        if way_back and blocked and blocked.status == "failed" and is_done[0] and not is_done[1]:
            effects += yield from settle(way_back, self.call, self.retries)
        return effects

    def _tag(
        self, batch: TagBatch, held: dict[str, StewardError], held_by: tuple[str, ...]
    ) -> Settling:
        effects: list[Effect] = []
        left_out = set(held)
        for write in batch.writes:
            steps = {i: step for i, step in write.steps.items() if i not in left_out}
            found = yield from settle(replace(write, steps=steps), self.call, self.retries)
            left_out |= {e.image_id for e in found if e.error and e.error.status in held_by}
            effects += found
        return effects


def _tasks(region: str, steps: Sequence[Step], phase: tuple[str, ...]) -> list[Task]:
    return [
        *(chains(region, steps) if "attributes" in phase else ()),
        *(tag_batches(region, steps) if "tags" in phase else ()),
    ]


def _with(outcome: Outcome, effect: Effect) -> Outcome:
    """The outcome with what one more write did."""
    is_first = not outcome.attempts
    return replace(
        outcome,
        attributes=outcome.differing({**outcome.attributes, **effect.attributes}),
        tags={**outcome.tags, **effect.tags},
        request_ids=outcome.request_ids + effect.request_ids,
        attempts=outcome.attempts + effect.attempts,
        began=effect.began if is_first else min(outcome.began, effect.began or outcome.began),
        ended=max(outcome.ended, effect.ended),
    ).with_error(effect.error)


def _still_taken(image_id: str, error: StewardError | None) -> StewardError | None:
    """Why what waits for an image cannot be done: for good, unless the image may yet be renamed.

    None if its name is free: it was renamed, or does not exist any more.
    """
    if error is None or error.code == "InvalidImageId.NotFound":
        return None
    if isinstance(error, AccountRefused):
        return Stopped(f"not attempted after {error.code}: {error.message}")
    if error.status == "pending":
        return error
    message = f"{image_id} could not leave its name; see what became of it"
    return NameTaken("InvalidImageName.Duplicate", message)
