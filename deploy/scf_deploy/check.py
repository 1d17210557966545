"""A check of a deployed function: what was seen, and what to do if that is not well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scf_deploy import planning
from scf_deploy.current import reasons
from scf_deploy.deployment import Current, Deployment
from scf_deploy.errors import CannotChange

OK, FAIL, OPEN = "ok", "FAIL", "-"
"""States of a check. `OPEN`: it was not tried, or does not say; its advice is how to find out."""


@dataclass(frozen=True)
class Check:
    """A question, what was seen, and what to do if that is not well."""

    what: str
    state: str
    seen: str
    advice: str = ""

    def described(self) -> dict[str, str]:
        """Return it in words; what is well needs no `Advice`."""
        words = {"State": self.state, "What": self.what, "Seen": self.seen}
        return {**words, "Advice": self.advice} if self.advice and self.state != OK else words


def state_of(is_well: bool) -> str:  # noqa: FBT001 - it says nothing else
    """Return the state of what was found to be well or not."""
    return OK if is_well else FAIL


def of_account(wanted: Deployment, current: Current) -> Iterator[Check]:
    """Yield checks of what the account has."""
    function = current.function
    if function is None:
        yield Check("function", FAIL, "there is none", "deploy it: scf-deploy apply")
        return
    status, reserved = function["Status"], current.reserved_mb
    advice = f"{reasons(function)}; check again, and if it stays so, deploy again"
    yield Check("function", state_of(status == "Active"), str(status), advice)
    yield _as_in_file(wanted, current)
    for name in wanted.buckets:
        is_private, has_versions = current.buckets.get(name, (False, False))
        seen = f"in {wanted.region}, {'private' if is_private else 'open to others'}, versions "
        seen += "on" if has_versions else "off"
        advice = "scf-deploy apply makes it private, with versions"
        if name not in current.buckets:
            seen = f"{wanted.region} has none of this name"
            advice = "a trigger needs a bucket in the function's region: name that region in the "
            advice += "file, or another bucket; scf-deploy apply makes one that does not exist"
        yield Check(f"bucket {name}", state_of(is_private and has_versions), seen, advice)
    yield _triggers(current)
    seen = "no limit" if reserved is None else f"{reserved} MB"
    advice = "it does not run, and events wait; scf-deploy apply starts it if the file does"
    yield Check("concurrency", state_of(reserved != 0), seen, advice)
    has_topic = bool(function.get("ClsTopicId"))
    seen = "yes" if has_topic else "none: what it logs is lost"
    advice = f"set cls in the file of {wanted.name}, or turn on log delivery in the console"
    yield Check("log topic", state_of(has_topic), seen, advice)


def _as_in_file(wanted: Deployment, current: Current) -> Check:
    try:
        left = planning.changes(wanted, current)
    except CannotChange as error:  # which says what there is to do
        return Check("as in the file", FAIL, str(error))
    changes = ", ".join(f"{line.verb} {line.what}" for line in left.changes)
    seen = f"to do: {changes}" if left.calls else "yes"
    advice = "scf-deploy plan shows how; scf-deploy apply makes it as the file says"
    return Check("as in the file", state_of(not left.calls), seen, advice)


def _triggers(current: Current) -> Check:
    if current.unbound:
        seen = f"not bound: {', '.join(sorted(current.unbound))}"
        return Check("triggers", FAIL, seen, "delete it in the console, then scf-deploy apply")
    off = sorted(str(each) for each in current.triggers if not each.is_enabled)
    seen = ", ".join(off or sorted(map(str, current.triggers))) or "none"
    is_well = bool(current.triggers) and not off
    advice = "nothing starts it there: scf-deploy apply, if the file has triggers that are on"
    return Check("triggers", state_of(is_well), f"off: {seen}" if off else seen, advice)
