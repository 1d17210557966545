"""A replay on its way: one event after another, and what came of them all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scf_local import happened
from scf_local.invocation import Instance, Stopped
from scf_local.replay import Replayed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from scf_local.console import Stops
    from scf_local.environment import Function
    from scf_local.replay import Case

MAX_ROWS = 1000
"""Above it, a replay shows and keeps what failed or changed, and counts the rest."""


@dataclass
class Tally:
    """What came of a replay, in numbers, and what of it is to be shown.

    Without `everything` that is what failed or changed, and no more than so much of it: a long
    replay needs no more memory than a short one.
    """

    everything: bool = True
    total: int = 0
    right: int = 0
    told: int = 0
    """Events of which the log says how they ended."""
    changed: int = 0
    shown: list[Replayed] = field(default_factory=list)

    def add(self, each: Replayed) -> None:
        """Count one more."""
        self.total += 1
        self.right += each.as_expected
        self.told += each.case.then is not None
        self.changed += bool(each.differences)
        is_news = not each.as_expected or bool(each.differences)
        if self.everything or (is_news and len(self.shown) < MAX_ROWS):
            self.shown.append(each)

    def __str__(self) -> str:
        hidden = self.total - len(self.shown)
        lines = [f"… {hidden:,} more are not shown"] if hidden else []
        lines.append(f"{self.right} of {self.total} events as expected")
        if self.told:
            lines.append(
                f"{self.changed} of {self.told} events ended differently than the log says"
            )
        return "\n".join(lines)


def replays(
    function: Function, cases: Iterable[Case], stops: Stops | None = None, *, cold: bool = False
) -> Generator[tuple[Replayed, bytes]]:
    """What comes of each event, and its log; all in one instance, or `cold` in one for each.

    They end early, with what was under way left out, when a signal has come to `stops`.
    """
    log: list[bytes] = []
    with suppress(Stopped), Instance(function, log.append, stops=stops) as instance:
        for case in cases:
            log.clear()
            done = instance.invoke(case.event)
            if cold:
                instance.close()
            told = b"".join(log)
            yield (
                Replayed(case, done, happened.of_invocation(done, told) if case.then else None),
                told,
            )
