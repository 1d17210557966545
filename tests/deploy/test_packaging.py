"""The project's dependencies are stated once, and locked once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import requires, version
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement

from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENTS = ROOT / "requirements"


def named(name: str) -> set[str]:
    """The packages that a file `*.in` lists."""
    return set(re.findall(r"^[a-z][\w-]+", (REQUIREMENTS / f"{name}.in").read_text(), re.MULTILINE))


def locked(name: str) -> dict[str, list[str]]:
    """The hashes of each package version in a file `*.txt`."""
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    return {
        re.sub(r"\[.*\]", "", entry.split()[0]): re.findall(r"sha256:\w+", entry)
        for entry in re.split(r"\n(?=\S)", text)
    }


def test_dependencies_are_those_of_the_requirements() -> None:
    """The dependencies to build and run are those that requirements/*.in list."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (build,) = re.findall(r"^requires = \[(.+)\]", project, re.MULTILINE)
    needed = {Requirement(text).name for text in requires("image-steward") or ()}
    assert needed | set(re.findall(r"[\w-]+", build)) == named("function") | named("run")


def test_dependencies_allow_what_is_locked() -> None:
    """Each dependency's range of versions includes the locked version."""
    versions = dict(entry.split("==") for entry in locked("run"))
    for requirement in map(Requirement, requires("image-steward") or ()):
        assert requirement.specifier
        assert requirement.specifier.contains(versions[requirement.name])


def test_what_is_shipped_is_what_is_tested() -> None:
    """The bundle and `make replay` use the same locked files as the tests."""
    tested = locked("dev").items()
    for name in ("function", "run"):
        assert all(locked(name).values())
        assert locked(name).items() <= tested


def test_make_says_what_it_installs(tmp_path: Path) -> None:
    """Before it sets up .venv, make names the packages; once that is done, it says nothing."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -c ]\n')  # creates no environment
    python.chmod(0o755)
    # Within `make test`, it would also name its folder.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    quiet: dict[str, Any] = {"env": environ, "capture_output": True}
    command = ["make", f"VENV={tmp_path}/venv", f"PYTHON={python}", f"{tmp_path}/venv/.runs"]
    run = subprocess.run(command, cwd=ROOT, **quiet, text=True, check=False)  # noqa: S603 - our own command
    head, count, *names = run.stdout.splitlines()
    shown = {name for line in names[:-1] for name in line.split()}
    assert shown == {entry.split("==")[0] for entry in locked("run")}
    assert head.startswith(f"Setting up {tmp_path}/venv ")
    assert count == f"At most {len(shown)} packages, some 90 MB with pip:"
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / ".runs").touch()
    command.append("--silent")
    run = subprocess.run(command, cwd=ROOT, **quiet, text=True, check=True)  # noqa: S603 - the same
    assert run.stdout + run.stderr == ""


APP = """
import os
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential

def main(event, context):
    print("hello", event["name"])
    names = ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
    credential = Credential(*(os.environ[f"TENCENTCLOUD_{name}"] for name in names))
    client = CommonClient("cvm", "2017-03-12", credential, context["tencentcloud_region"])
    return client.call_json("DescribeImages", {})["Response"]["TotalCount"]
"""
CONFIG = """
[functions.app]
handler = "app.py:main"
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project's installed wheel, and its commands in `bin`."""
    wheels = tmp_path_factory.mktemp("wheels")
    folder = tmp_path_factory.mktemp("installed")
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check", "--no-compile"]
    for command in (
        ["hatchling", "build", "--target", "wheel", "--directory", str(wheels)],
        ["pip", "install", *options, "--find-links", str(wheels), "--target", str(folder),
         "image-steward"],
    ):  # fmt: skip
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - our own Python
    return folder


def test_wheel_holds_three_packages(installed: Path) -> None:
    """The wheel installs only the function's package, the harness and the deployer."""
    names = {path.name for path in installed.iterdir() if path.suffix != ".dist-info"}
    assert names == {"image_steward", "scf_local", "scf_deploy", "bin"}


def test_wheel_runs_any_function(installed: Path, tmp_path: Path) -> None:
    """In any folder with a handler, an event and scf-local.toml, one command runs the function."""
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    (tmp_path / "event.json").write_text('{"name": "you"}', encoding="utf-8")
    (tmp_path / "scf-local.toml").write_text(CONFIG, encoding="utf-8")

    def run(*arguments: str, command: str = "scf-local") -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command
            [installed / "bin" / command, *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            check=False,
        )

    done = run("invoke", "event.json")  # over https, on an empty emulated cloud
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert "\nhello you\n" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"app.py", "event.json", "scf-local.toml"}
    assert run("replay", "event.json", "--report", "r.html").returncode == 0
    assert "returned" in (tmp_path / "r.html").read_text(encoding="utf-8")
    for command in ("scf-local", "scf-deploy"):
        shown = run("--version", command=command).stdout
        assert shown == f"{command} {version('image-steward')}\n"
    (tmp_path / "scf-local.toml").unlink()
    assert f"no module 'index' in the code folder {tmp_path}" in run("invoke", "event.json").stderr
