"""Is a deployed function well: what was seen, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from scf_deploy.current import reasons
from scf_deploy.deployment import Current, Deployment
from scf_deploy.plan import Plan


@dataclass(frozen=True)
class Check:
    """A question, what was seen, and what to do if that is not well."""

    what: str
    is_well: bool
    seen: str
    advice: str = ""

    def described(self) -> dict[str, str]:
        """Return it in words: `State` is `ok` or `FAIL`, and only the latter has `Advice`."""
        words = {"State": "ok" if self.is_well else "FAIL", "What": self.what, "Seen": self.seen}
        return words if self.is_well else {**words, "Advice": self.advice}


def checks(wanted: Deployment, current: Current, left: Plan) -> list[Check]:
    """Return the checks that only read; `left` is the plan of what differs from the file."""
    function = current.function
    if function is None:
        advice = "deploy it: scf-deploy apply"
        return [Check("function", is_well=False, seen="there is none", advice=advice)]
    changes = ", ".join(line.what for line in left.changes)
    off = ", ".join(str(each) for each in current.triggers if not each.is_enabled)
    unbound = ", ".join(current.unbound)
    topic, reserved = function.get("ClsTopicId"), current.reserved_mb
    return [
        Check("function", function["Status"] == "Active", function["Status"], reasons(function)),
        Check("as in the file", not left.calls, changes or "yes", "see scf-deploy plan"),
        Check("triggers", bool(current.triggers) and not off and not unbound,
              f"not bound: {unbound}" if unbound else f"off: {off}" if off else
              ", ".join(map(str, current.triggers)) or "none", "nothing starts the function"),
        Check("concurrency", reserved != 0, "no limit" if reserved is None else f"{reserved} MB",
              "it does not run, and events wait; scf-deploy apply starts it if the file does"),
        Check("log", bool(topic), topic or "not stored",
              f"set cls in the file of {wanted.name}, or turn on log delivery in the console"),
    ]  # fmt: skip
