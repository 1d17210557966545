"""A plan: what becomes of each part of a deployment, and the calls that do it."""

from __future__ import annotations

from dataclasses import dataclass

from scf_deploy.call import Call

SAME, CREATE, CHANGE, REPLACE, DELETE = "same", "create", "change", "replace", "delete"


@dataclass(frozen=True)
class Line:
    """A part of the deployment, and what becomes of it; texts may be empty."""

    verb: str
    what: str
    old: str = ""
    new: str = ""
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """Lines to read, and calls to make, in order."""

    lines: tuple[Line, ...]
    calls: tuple[Call, ...]

    @property
    def changes(self) -> list[Line]:
        """The lines of what does not stay the same."""
        return [line for line in self.lines if line.verb != SAME]
