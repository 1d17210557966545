"""From a plan to outcomes: the writes of each region, a few tasks at a time."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from operator import itemgetter
from typing import TypeAlias

from image_steward.cloud.image_api import Call
from image_steward.cloud.recent_writes import RecentWrites
from image_steward.cloud.retries import Retries
from image_steward.errors import AccountError, NameTaken, StewardError, Stopped
from image_steward.execution.settling import Execution, Settling
from image_steward.execution.writes import Task, Write, tasks_of
from image_steward.model import Outcome, Plan
from image_steward.parallel import RunParallel

WORKERS = 4
"""Tasks at a time in each region: enough to use the full rate at a response time of 1/3 s."""

TaskExecution: TypeAlias = "Iterator[float | list[Outcome]]"
"""Yields moments (monotonic seconds) at which to resume it, and finally the outcomes."""


class Executor:
    """Executes plans: regions in parallel, and in each region one phase after the other.

    A phase consists of tasks, a few of which run at a time. Tasks share no state: each returns the
    outcomes of its images, and only the executor merges them. A task that waits for a retry lets
    others run. `on_outcome` is called once for each image, as soon as its outcome is final.
    """

    def __init__(
        self,
        call: Call,
        retries: Retries,
        run_parallel: RunParallel,
        on_outcome: Callable[[Outcome], None],
        recent_writes: RecentWrites,
    ) -> None:
        self.call, self.retries, self.run_parallel = call, retries, run_parallel
        self.on_outcome, self.recent_writes = on_outcome, recent_writes

    def execute(self, plan: Plan) -> list[Outcome]:
        """Execute a plan; the outcomes are in the order of its steps."""
        self.recent_writes.expire()
        regions = [partial(self._execute_region, plan, region) for region in plan.steps]
        return [outcome for outcomes in self.run_parallel(regions) for outcome in outcomes]

    def _execute_region(self, plan: Plan, region: str) -> list[Outcome]:
        steps = plan.steps[region]
        outcomes = {step.image_id: Outcome(step, error=step.error) for step in steps}
        phases = [list(tasks_of(plan, region, phase)) for phase in plan.phases]
        tasks_left = Counter(i for tasks in phases for task in tasks for i in task.image_ids)
        for image_id, outcome in outcomes.items():
            if not tasks_left[image_id]:
                self.on_outcome(outcome)
        for tasks in phases:
            errors = {i: o.error for i, o in outcomes.items() if o.error}
            failed = errors if len(phases) > 1 else None
            started = [(0.0, task, self._execute_task(task, failed)) for task in tasks]
            for task, settled in self._run_tasks(started):
                for outcome in settled:
                    image_id = outcome.step.image_id
                    outcomes[image_id] = outcomes[image_id].merged_with(outcome)
                tasks_left.subtract(task.image_ids)
                for image_id in task.image_ids:
                    if not tasks_left[image_id]:
                        self.on_outcome(outcomes[image_id])
        return list(outcomes.values())

    def _run_tasks(
        self, waiting: list[tuple[float, Task, TaskExecution]]
    ) -> Iterator[tuple[Task, list[Outcome]]]:
        """Run tasks from their moments on; yield each of them with its outcomes at its end.

        Each round resumes all tasks that are due now, or else the next ones to become due. So no
        task waits for one with a longer delay.
        """
        clock = self.retries.deadline.clock
        while waiting:
            waiting = sorted(waiting, key=itemgetter(0))
            moment = max(waiting[0][0], clock.monotonic())
            due = [entry for entry in waiting if entry[0] <= moment]
            waiting = waiting[len(due) :]
            clock.sleep_until(moment)
            resumed = [partial(next, execution) for *_, execution in due]
            results = self.run_parallel(resumed, WORKERS)
            for (_, task, execution), result in zip(due, results, strict=True):
                if isinstance(result, float):
                    waiting.append((result, task, execution))
                else:
                    yield task, result

    def _execute_task(self, task: Task, failed: Mapping[str, StewardError] | None) -> TaskExecution:
        """Make the writes; `failed` are the images whose phases have ended: None if one is all."""
        outcomes: list[Outcome] = []
        errors = dict(failed or {})  # of the images that get no further write
        renamed: list[Write] = []
        conflict: StewardError | None = None  # why the name of the next write is not free
        for write in task.writes:
            if conflict:
                settled = [Outcome(step, error=conflict) for step in write.steps.values()]
            else:
                steps = {i: step for i, step in write.steps.items() if i not in errors}
                settled = yield from self._settle(write._replace(steps=steps))
            outcomes += settled
            for outcome in settled:
                if outcome.error and (failed is not None or not task.is_of_tags):
                    errors[outcome.step.image_id] = outcome.error
            if not task.is_of_tags and write is not task.writes[-1]:
                (image_id,) = write.steps
                conflict = _conflict_after(errors.get(image_id), image_id)
                if image_id not in errors:
                    renamed.append(write)
        if task.is_cycle and conflict and conflict.status == "failed" and task.writes[0] in renamed:
            # No image keeps a temporary name: those renamed get their old names, the last first.
            for write in reversed(renamed):
                outcomes += yield from self._settle(write.reverted)
                outcomes += [Outcome(step, error=conflict) for step in write.steps.values()]
        yield outcomes

    def _settle(self, write: Write) -> Execution:
        return Settling(write, self.call, self.retries, self.recent_writes).run()


def _conflict_after(error: StewardError | None, image_id: str) -> StewardError | None:
    """The error of the image that waits for this one, whose rename ended with `error`.

    None if the name is free: this image was renamed, or does not exist any more.
    """
    if error is None or error.code == "InvalidImageId.NotFound":
        return None
    if isinstance(error, AccountError):
        return Stopped(f"the run stopped after {error.code}: {error.message}")
    if error.status == "pending":
        return error
    message = f"the new name is taken: {image_id} could not be renamed; see its own outcome"
    return NameTaken("InvalidImageName.Duplicate", message)
