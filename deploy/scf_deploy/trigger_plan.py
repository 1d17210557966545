"""Plans triggers: UpdateTrigger takes timers only, so a COS trigger's rule is replaced. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from scf_deploy.call import Call
from scf_deploy.deployment import Deployment
from scf_deploy.masking import masked
from scf_deploy.plan import CHANGE, CREATE, DELETE, REPLACE, SAME, Line
from scf_deploy.trigger import Trigger

Pair = tuple[Trigger | None, Trigger | None]
"""A trigger before and after."""


def paired(wanted: Collection[Trigger], current: Collection[Trigger]) -> Iterator[Pair]:
    """Yield each trigger before and after: those that stay, then those of the same name."""
    yield from ((each, each) for each in wanted if each in current)
    left = [each for each in current if each not in wanted]
    for new in (each for each in wanted if each not in current):
        named = [each for each in left if (each.kind, each.name) == (new.kind, new.name)]
        old = min(named, key=lambda each: each.rule != new.rule, default=None)
        if old:
            left.remove(old)
        yield old, new
    yield from ((each, None) for each in left)


def _can_change(old: Trigger, new: Trigger) -> bool:
    """Whether a call can change it: UpdateTrigger takes timers only, and nothing a qualifier."""
    return old.qualifier == new.qualifier and (old.kind == "timer" or old.rule == new.rule)


def calls(wanted: Deployment, pairs: Collection[Pair]) -> Iterator[Call]:
    """Yield the calls that change triggers, then those that create them."""
    creates = []
    for old, new in pairs:
        if not new or old == new:
            continue
        params = {**wanted.named, **new.params()}
        if old and _can_change(old, new):
            action = "UpdateTrigger" if new.kind == "timer" else "UpdateTriggerStatus"
            yield Call("scf", action, params, f"changes the {new}")
            continue
        if old:  # before any is created, since a new rule may overlap the old one of another
            yield delete(wanted, old)
        creates.append(Call("scf", "CreateTrigger", params, f"creates the {new}"))
    yield from creates


def delete(wanted: Deployment, trigger: Trigger) -> Call:
    """Return the call that deletes a trigger."""
    params = {**wanted.named, **trigger.named()}
    return Call("scf", "DeleteTrigger", params, f"deletes the {trigger}")


def line(old: Trigger | None, new: Trigger | None) -> Line:
    """Return the line of a trigger; of one that changes, with what differs."""
    before, after = (each.described() if each else {} for each in (old, new))
    verb, note = CREATE if not old else DELETE if not new else SAME, ""
    if old and new and old != new:
        before, after = (
            {name: each[name] for name in each if before[name] != after[name]}
            for each in (before, after)
        )
        verb, note = CHANGE, ""
        if not _can_change(old, new):
            verb, note = REPLACE, "what happens in between starts nothing"
    texts = [
        ", ".join(f"{name} {masked('', text) or 'none'}".strip() for name, text in each.items())
        for each in (before, after)
    ]
    return Line(verb, str(new or old), texts[0], texts[1], note)
