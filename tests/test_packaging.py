"""What the project is installed with: dependencies are stated once, and locked once."""

from __future__ import annotations

import re
from importlib.metadata import requires

from packaging.requirements import Requirement

from conftest import ROOT

REQUIREMENTS = ROOT / "requirements"


def named(name: str) -> set[str]:
    """The packages that a file `*.in` names."""
    return set(re.findall(r"^[a-z][\w-]+", (REQUIREMENTS / f"{name}.in").read_text(), re.MULTILINE))


def locked(name: str) -> dict[str, list[str]]:
    """The files to which a file `*.txt` locks each version of a package."""
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    return {
        entry.split()[0]: re.findall(r"sha256:\w+", entry) for entry in re.split(r"\n(?=\S)", text)
    }


def test_dependencies_are_those_of_the_requirements() -> None:
    """What `pip install .` brings and builds with is what requirements/*.in name for running."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (build,) = re.findall(r"^requires = \[(.+)\]", text, re.MULTILINE)
    needed = {Requirement(each).name for each in requires("image-steward") or ()}
    assert needed | set(re.findall(r"[\w-]+", build)) == named("function") | named("run")


def test_dependencies_allow_what_is_locked() -> None:
    """The lower bound of each dependency is no higher than the version that is tested."""
    versions = dict(entry.split("==") for entry in locked("run"))
    for each in map(Requirement, requires("image-steward") or ()):
        assert each.specifier
        assert each.specifier.contains(versions[each.name])


def test_what_is_shipped_is_what_is_tested() -> None:
    """Each package of the bundle and of `make replay` is locked to the same files for the tests."""
    tested = locked("dev").items()
    for name in ("function", "run"):
        assert all(locked(name).values())
        assert locked(name).items() <= tested
