"""How to call `tccli`, and what it says of the types in replies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.conftest import INSTALLED, ServedCloud

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

REGION = "ap-guangzhou"
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "int": (int,), "bool": (bool,), "list": (list,), "object": (dict,),
    "float": (float, int),
}  # fmt: skip
"""In Python, of the JSON that has a type of tccli; exact, since True is an int, too."""


@dataclass(frozen=True)
class Tccli:
    """`tccli`, connected to a cloud by `--endpoint` and by the exported credentials."""

    cloud: ServedCloud
    home: Path

    def run(
        self, service: str, action: str, *options: str, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run an action."""
        command = (INSTALLED / "venv/bin/tccli", service, action)
        target = ("--region", REGION, "--endpoint", self.cloud.url)
        return self.cloud.run(*command, *target, *options, home=self.home, **environ)

    def __call__(self, service: str, action: str, *options: str) -> Any:  # noqa: ANN401 - any JSON
        """Run an action without errors or warnings, and return the JSON that it prints."""
        done = self.run(service, action, *options)
        assert (done.returncode, done.stderr) == (0, ""), f"{action}: {done.stderr or done}"
        return json.loads(done.stdout)


def mistyped(reply: dict[str, Any], name: str, service: str) -> Iterator[str]:
    """Yield the members of a reply that do not have the type, or may not be null, in tccli.

    Members that are missing in a reply are null in what tccli prints.
    """
    (path,) = INSTALLED.glob(f"venv/lib/*/site-packages/tccli/services/{service}/v*/api.json")
    objects = json.loads(path.read_text(encoding="utf-8"))["objects"]

    def of(value: dict[str, Any], name: str) -> Iterator[str]:
        members = {member["name"]: member for member in objects[name]["members"]}
        assert value.keys() == members.keys(), f"{name} has the members {sorted(value)}"
        for key, member in value.items():
            described = members[key]
            kind = described["member"]
            if member is None:
                if described.get("output_required", True) and not described["value_allowed_null"]:
                    yield f"{name}.{key} is null"
            elif type(member) not in TYPES[described["type"]]:
                yield f"{name}.{key} is {member!r}"
            elif kind in objects:
                for item in member if isinstance(member, list) else [member]:
                    yield from of(item, kind)

    return of(reply, name)
