"""The bundle: what is in it, that it is always the same, and that it runs alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import pytest

import bundle
from conftest import ROOT
from scf_local import events
from scf_local.cloud.seed import Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State

if TYPE_CHECKING:
    from pathlib import Path

BUCKET = "manifests-1250000000"

PROGRAM = """
import importlib, json, sys
folder = sys.argv[1]
sys.path[0:1] = [folder]
function = importlib.import_module("index").main_handler
context = {"tencentcloud_region": "ap-guangzhou", "time_limit_in_ms": 20_000}
stdout, sys.stdout = sys.stdout, sys.stderr
outcomes = [function(event, context)["Outcome"] for event in json.load(sys.stdin)]
files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
foreign = sorted(f for f in files if "site-packages" in f)
stdout.write(json.dumps([outcomes, foreign, sorted(sys.modules)]))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    """The bundle for this Python, of the packages of the project's own environment."""
    target = tmp_path_factory.mktemp("bundle") / "function.zip"
    return bundle.assemble(bundle.own_packages(), sys.executable, target)


def test_same_input_same_bytes(made: bundle.Bundle, tmp_path: Path) -> None:
    """Built again, elsewhere and later, the zip is the same to the byte."""
    again = bundle.assemble(bundle.own_packages(), sys.executable, tmp_path / "again.zip")
    assert again.path.read_bytes() == made.path.read_bytes()


def test_what_is_in_it(made: bundle.Bundle) -> None:
    """The entry point is at the root, the package beside it, and nothing that never runs."""
    names = set(made.sizes)
    assert {
        "index.py",
        "image_steward/invocation.py",
        "image_steward/documents/schemas/pointer.json",
    } <= names
    unwanted = [pattern for pattern in bundle.NEVER_IMPORTED if not pattern.endswith(".pyc")]
    assert not [name for name in names for pattern in unwanted if fnmatch(name, pattern)]
    assert not [name for name in names if "pycryptodome" in name]
    about = [name for name in names if ".dist-info/" in name]
    assert about
    assert all(bundle.LICENCES.fullmatch(name) for name in about)
    with zipfile.ZipFile(made.path) as archive:
        assert set(archive.namelist()) == names
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_every_module_is_compiled(made: bundle.Bundle) -> None:
    """Each module has its bytecode, which Python takes without a look at the source."""
    tag = sys.implementation.cache_tag
    with zipfile.ZipFile(made.path) as archive:
        for name in made.sizes:
            if name.endswith(".py"):
                folder, _, stem = name.removesuffix(".py").rpartition("/")
                cached = f"{folder}/__pycache__/{stem}.{tag}.pyc".removeprefix("/")
                # PEP 552: flags 0b01, by hash and unchecked.
                assert archive.read(cached)[4:8] == b"\x01\0\0\0"


def test_traces_name_the_code_folder(made: bundle.Bundle) -> None:
    """Bytecode names its source where SCF has it, not where it was built."""
    tag = sys.implementation.cache_tag
    with zipfile.ZipFile(made.path) as archive:
        data = archive.read(f"image_steward/__pycache__/invocation.{tag}.pyc")
    assert b"/var/user/image_steward/invocation.py" in data
    assert str(made.path.parent).encode() not in data


def test_manifest_adds_up(made: bundle.Bundle) -> None:
    """The list beside the zip names every file and package with its bytes."""
    text = made.manifest()
    assert f"{made.sizes['index.py']:>10,}  index.py" in text
    own = sum(size for name, size in made.sizes.items() if name.startswith("image_steward/"))
    assert f"{own:>10,}  image_steward\n" in text
    assert "MB unpacked" in str(made)


IMAGE = {"ImageId": "img-6pb6lrmy", "ImageName": "sample"}
TAGS = [{"Key": "a", "Value": "b"}]
OBJECTS: dict[str, Any] = {
    "requests/a.json": {**IMAGE, "Tags": TAGS},
    "requests/policy.json": {"Normalise": {"ImageName": "{ImageName}", "Tags": TAGS}},
}
PACKER = "requests/packer-web-20261124153012.json"
EVENTS: list[tuple[Any, str]] = [
    ({"ImageId": "img-1"}, "rejected"),
    (events.cos_event(BUCKET, "requests/a.json"), "applied"),
    (events.cos_event(BUCKET, "requests/none.json"), "rejected"),
    (events.timer_event(json.dumps({"Document": f"cos://{BUCKET}/requests/policy.json"})),
     "applied"),
    ({"ImageId": "img-6pb6lrmy", "DeleteTags": ["a"]}, "applied"),
    (events.cos_event(BUCKET, PACKER), "applied"),
    ({"ImageId": "img-gone0001", "ImageName": "x"}, "partial"),
]  # fmt: skip


def test_it_runs_alone(made: bundle.Bundle, tmp_path: Path) -> None:
    """Unpacked, with nothing but the standard library beside it, it does every kind of work.

    That the encryption of the COS SDK is not needed is shown so, not assumed.
    """
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(tmp_path)
    state = State.from_folder(ROOT / "events/seed")
    for key, document in OBJECTS.items():
        state.objects[BUCKET][key] = Object(json.dumps(document).encode())
    with EmulatedCloud(state, limits=False) as cloud:
        journal = {"STEWARD_JOURNAL": f"{BUCKET}/journal/"}
        run = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-S", "-c", PROGRAM, str(tmp_path)],
            env={**os.environ, **cloud.environment(), **journal, "PYTHONDONTWRITEBYTECODE": "x"},
            input=json.dumps([event for event, _ in EVENTS]),
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    outcomes, foreign, modules = json.loads(run.stdout)
    assert outcomes == [outcome for _, outcome in EVENTS]
    assert foreign == []
    assert "Crypto" not in modules
    assert "Traceback" not in run.stderr


def test_wheels_not_to_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What pip cannot fetch ends the build, with a sentence in place of a trace."""
    for name, value in {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": ""}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    with pytest.raises(ValueError, match=r"could not fetch the wheels.*package index"):
        bundle.fetch("3.13", tmp_path / "site")


@pytest.mark.parametrize("version", bundle.VERSIONS)
def test_each_runtime_gets_its_packages(version: str) -> None:
    """Whichever Python asks, the lock gives each package once, in the release for the runtime."""
    asked = list(bundle.requirements(version))
    names = {name for name, _ in asked}
    assert len(asked) == len(names)
    assert {"requests", "rpds-py", *bundle.WITHOUT_WHEEL} <= names
    assert ("typing-extensions" in names) == (version != "3.13")
    assert all(entry.startswith(f"{name}==") for name, entry in asked)
    assert not any(";" in entry or "--hash=sha256:" not in entry for _, entry in asked)


def test_own_packages_are_those_of_the_runtime() -> None:
    """What the environment has for another package's sake is not in the bundle that is measured."""
    tops = {path.partition("/")[0].partition(".")[0] for path, _ in bundle.own_packages()}
    assert {"requests", "rpds", "crcmod"} <= tops
    assert ("typing_extensions" in tops) == (bundle.HERE != "3.13")


@pytest.mark.parametrize(("given", "version"), [("3.12", "3.12"), ("Python3.11", "3.11")])
def test_runtime_can_be_named(monkeypatch: pytest.MonkeyPatch, given: str, version: str) -> None:
    """RUNTIME beats serverless.yml, written either way."""
    monkeypatch.setenv("RUNTIME", given)
    assert bundle.runtime() == version


def test_runtime_of_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without RUNTIME, the runtime that serverless.yml deploys to counts."""
    monkeypatch.delenv("RUNTIME", raising=False)
    assert bundle.runtime() == "3.13"


def test_figures_are_of_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures of docs/bench.md were measured on the Python that is deployed to."""
    monkeypatch.delenv("RUNTIME", raising=False)
    page = (ROOT / "docs/bench.md").read_text(encoding="utf-8")
    assert f", CPython {bundle.runtime()}." in page


def test_unknown_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime that is none is refused, with those that are."""
    monkeypatch.setenv("RUNTIME", "Nodejs18.15")
    with pytest.raises(ValueError, match=r"'Nodejs18.15' is not supported; allowed: 3\.10, 3\.11"):
        bundle.runtime()


def fake(path: Path, text: str) -> None:
    """A Python 3.9 that prints this, whatever it is asked."""
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho '{text}'\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that PATH names, on a machine without any Python beside this one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.delenv("UV_PYTHON_INSTALL_DIR", raising=False)
    return tmp_path / "bin"


@pytest.mark.parametrize(
    "kind", ["pypy39  final", "cpython-310  final", "cpython-39  candidate", "cpython-39 t final"]
)
def test_interpreter_of_another_kind(nowhere: Path, tmp_path: Path, kind: str) -> None:
    """PyPy, another version, a release candidate and a build without the GIL are passed over."""
    fake(nowhere / "python3.9", kind)
    with pytest.raises(ValueError, match=r"CPython 3\.9 is required"):
        bundle.interpreter("3.9")
    right = tmp_path / ".pyenv/versions/3.9.1/bin/python"
    fake(right, "cpython-39  final")
    assert bundle.interpreter("3.9") == str(right)


@pytest.mark.usefixtures("nowhere")
def test_missing_interpreter() -> None:
    """For a Python that is not installed there are the commands to type, one of which works now."""
    with pytest.raises(ValueError, match=r"CPython 3\.9 is required") as caught:
        bundle.interpreter("3.9")
    commands = [line.strip() for line in str(caught.value).splitlines() if line[0] == " "]
    assert commands == [
        "uv python install 3.9", "pyenv install 3.9", f"make bundle RUNTIME={bundle.HERE}",
    ]  # fmt: skip
    assert bundle.interpreter(bundle.HERE) == sys.executable
