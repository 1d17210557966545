"""From a plan to outcomes: what the images of a region need, a few tasks at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

from image_steward.cloud.image_api import Call
from image_steward.cloud.retries import Retries
from image_steward.errors import AccountError, NameTaken, StewardError, Stopped
from image_steward.execution.settling import Settling, Work
from image_steward.execution.writes import Chain, Task, Write, tasks_of, way_back_of
from image_steward.model import Outcome, Plan, Step

if TYPE_CHECKING:
    from image_steward.parallel import SideBySide

WORKERS = 4
"""Tasks at a time in each region: enough that a reply of a third of a second costs no turn."""


@dataclass(frozen=True)
class Executor:
    """Carries out plans: regions side by side, and in each the phases of the plan, one by one.

    A phase is tasks, a few of them at a time. Tasks share nothing: each returns what became of its
    images, and only the executor puts that together. A task that has to wait steps aside for the
    others. `note` is told of each outcome as soon as all that the image needs is settled.
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
        phases = [tasks_of(region, steps, phase) for phase in plan.phases]
        still_open = Counter(i for tasks in phases for task in tasks for i in task.image_ids)
        for image_id, outcome in outcomes.items():
            if not still_open[image_id]:
                self.note(outcome)
        for number, tasks in enumerate(phases):
            blocking_statuses = plan.blocking_statuses if number else ()
            held = {
                i: o.error for i, o in outcomes.items() if o.error and o.status in blocking_statuses
            }
            works = [
                (self._rename if isinstance(task, Chain) else self._tag)(
                    task, held, blocking_statuses
                )
                for task in tasks
            ]
            for task, settled in self._rounds(tasks, works):
                for each in settled:
                    outcomes[each.step.image_id] = outcomes[each.step.image_id].merged_with(each)
                still_open.subtract(task.image_ids)
                for image_id in task.image_ids:
                    if not still_open[image_id]:
                        self.note(outcomes[image_id])
        return list(outcomes.values())

    def _rounds(
        self, tasks: Sequence[Task], works: Sequence[Work]
    ) -> Iterator[tuple[Task, list[Outcome]]]:
        """The tasks, each with what became of it; one that has to wait is in a later round.

        A round is what may go on by now, or else what may go on first: nobody waits for a sleeper.
        """
        waiting = [(0.0, *each) for each in zip(tasks, works, strict=True)]
        while waiting:
            waiting.sort(key=itemgetter(0))
            moment = max(waiting[0][0], self.retries.deadline.clock.monotonic())
            due = [each for each in waiting if each[0] <= moment]
            later = waiting[len(due) :]
            ends = self.side_by_side(
                [partial(self._go_on, moment, each[2]) for each in due], WORKERS
            )
            for (_, task, work), end in zip(due, ends, strict=True):
                if isinstance(end, float):
                    later.append((end, task, work))
                else:
                    yield task, end
            waiting = later

    def _go_on(self, moment: float, work: Work) -> float | list[Outcome]:
        """Do what a work can do from a moment on: its outcomes, or when to go on with it."""
        self.retries.deadline.clock.sleep_until(moment)
        try:
            return next(work)
        except StopIteration as end:
            return list(end.value)

    def _settle(self, write: Write) -> Work:
        return Settling(write, self.call, self.retries).work()

    def _rename(self, chain: Task, held: dict[str, StewardError], _: tuple[str, ...]) -> Work:
        outcomes: list[Outcome] = []
        is_done: list[bool] = []
        stays: StewardError | None = None
        for write in chain.writes:
            ((image_id, step),) = write.steps.items()
            blocked = stays
            error = blocked or held.get(image_id)
            if blocked:
                outcomes.append(Outcome(step, error=blocked))
            elif not error:
                (outcome,) = yield from self._settle(write)
                outcomes.append(outcome)
                error = outcome.error
            is_done.append(not error)
            stays = _still_taken(image_id, error)
        way_back = way_back_of(chain)
        # Rather the old name than a temporary one for good, if that is still free.
        if way_back and blocked and blocked.status == "failed" and is_done[0] and not is_done[1]:
            outcomes += yield from self._settle(way_back)
        return outcomes

    def _tag(
        self, task: Task, held: dict[str, StewardError], blocking_statuses: tuple[str, ...]
    ) -> Work:
        outcomes: list[Outcome] = []
        left_out = set(held)
        for write in task.writes:
            steps = {i: step for i, step in write.steps.items() if i not in left_out}
            settled = yield from self._settle(replace(write, steps=steps))
            left_out |= {
                o.step.image_id for o in settled if o.error and o.status in blocking_statuses
            }
            outcomes += settled
        return outcomes


def _still_taken(image_id: str, error: StewardError | None) -> StewardError | None:
    """The error of an image that waits for the name of this one, which met `error`.

    None if the name is free: the image was renamed, or does not exist any more.
    """
    if error is None or error.code == "InvalidImageId.NotFound":
        return None
    if isinstance(error, AccountError):
        return Stopped(f"not attempted after {error.code}: {error.message}")
    if error.status == "pending":
        return error
    message = f"{image_id} could not leave its name; see what became of it"
    return NameTaken("InvalidImageName.Duplicate", message)
