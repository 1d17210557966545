"""Replays events one after another and counts how they ended."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from scf_local import cloud_client, network, run_summary
from scf_local.console import InterruptFlag
from scf_local.environment import FunctionConfig, trigger_of
from scf_local.invocation import TOO_LARGE, Interrupted, InvocationResult, WarmInstance
from scf_local.replay import Case, ReplayedCase

RETRIES, RETRY_AFTER_S = 2, 60.0
"""SCF's defaults for events of triggers (document/product/583/41138)."""
MAX_ROWS = 1000
"""Above it, a replay shows only events that failed or changed, and counts the others."""


@dataclass
class ReplayTotals:
    """The numbers of a replay, and the events to show.

    Without `keep_all`, only events that failed or changed are kept, up to `MAX_ROWS`, so that
    memory does not grow with the length of a replay.
    """

    keep_all: bool = True
    total: int = 0
    as_expected: int = 0
    logged: int = 0
    """Events from a log."""
    changed: int = 0
    kept: list[ReplayedCase] = field(default_factory=list)

    def add(self, replayed: ReplayedCase) -> None:
        """Count one more event."""
        self.total += 1
        self.as_expected += replayed.as_expected
        self.logged += replayed.case.logged is not None
        self.changed += bool(replayed.differences)
        is_news = not replayed.as_expected or bool(replayed.differences)
        if self.keep_all or (is_news and len(self.kept) < MAX_ROWS):
            self.kept.append(replayed)

    def __str__(self) -> str:
        hidden = self.total - len(self.kept)
        lines = [f"… {hidden:,} more are not shown"] if hidden else []
        lines.append(f"{self.as_expected} of {self.total} events as expected")
        changed = f"{self.changed} of {self.logged} events ended differently than the log says"
        lines += [changed] * bool(self.logged)
        return "\n".join(lines)


def replay_cases(
    config: FunctionConfig,
    cases: Iterable[Case],
    interrupt: InterruptFlag | None = None,
    *,
    cold: bool = False,
    retries: int = 0,
) -> Generator[tuple[ReplayedCase, bytes]]:
    """Replay and yield each event with its log, in one instance or, if `cold`, in one for each.

    An event whose run fails is delivered again up to `retries` times, as SCF does, with the clock
    of the emulated cloud moved on. Ends early, without the event in progress, once `interrupt` is
    set.
    """
    log: list[bytes] = []
    with suppress(Interrupted), WarmInstance(config, log.append, interrupt=interrupt) as instance:
        for case in cases:
            invocation, logs, request_id = None, [], ""
            while invocation is None or (len(logs) <= retries and _is_retried(case, invocation)):
                if invocation is not None:
                    cloud_client.move_clock(config.cloud[network.ENDPOINT], RETRY_AFTER_S)
                log.clear()
                invocation = instance.invoke(case.event, request_id)
                request_id = invocation.request_id
                logs.append(b"".join(log))
                if cold:
                    instance.close()
            actual = run_summary.from_invocation(invocation, logs) if case.logged else None
            yield ReplayedCase(case, invocation, actual, attempts=len(logs)), b"".join(logs)


def _is_retried(case: Case, invocation: InvocationResult) -> bool:
    """Whether SCF delivers the event again: the run failed, and nobody waits for its result."""
    is_delivered = invocation.status != TOO_LARGE
    return invocation.error is not None and is_delivered and trigger_of(case.event) != "direct"
