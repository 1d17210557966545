"""The bundle: its content, that it is reproducible, and that it runs on its own."""

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
def built(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    """The bundle for this Python, with the packages of the project's own environment."""
    target = tmp_path_factory.mktemp("bundle") / "function.zip"
    return bundle.assemble(bundle.own_packages(), sys.executable, target)


def test_bundle_is_reproducible(built: bundle.Bundle, tmp_path: Path) -> None:
    """A later build in another folder is identical to the byte."""
    again = bundle.assemble(bundle.own_packages(), sys.executable, tmp_path / "again.zip")
    assert again.path.read_bytes() == built.path.read_bytes()


def test_content(built: bundle.Bundle) -> None:
    """The entry point is at the root, next to the package, and nothing unused is included."""
    names = set(built.sizes)
    assert {
        "index.py",
        "image_steward/invocation.py",
        "image_steward/documents/schemas/pointer.json",
    } <= names
    unwanted = [pattern for pattern in bundle.NEVER_IMPORTED if not pattern.endswith(".pyc")]
    assert not [name for name in names for pattern in unwanted if fnmatch(name, pattern)]
    assert not [name for name in names if "pycryptodome" in name]
    metadata = [name for name in names if ".dist-info/" in name]
    assert metadata
    assert all(bundle.LICENCES.fullmatch(name) for name in metadata)
    with zipfile.ZipFile(built.path) as archive:
        assert set(archive.namelist()) == names
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_every_module_is_compiled(built: bundle.Bundle) -> None:
    """Each module has bytecode that Python uses without checking the source."""
    tag = sys.implementation.cache_tag
    with zipfile.ZipFile(built.path) as archive:
        for name in built.sizes:
            if name.endswith(".py"):
                folder, _, stem = name.removesuffix(".py").rpartition("/")
                cached = f"{folder}/__pycache__/{stem}.{tag}.pyc".removeprefix("/")
                # PEP 552: flags 0b01, by hash and unchecked.
                assert archive.read(cached)[4:8] == b"\x01\0\0\0"


def test_traces_name_the_code_folder(built: bundle.Bundle) -> None:
    """Bytecode names the source path in SCF, not the path where it was built."""
    tag = sys.implementation.cache_tag
    with zipfile.ZipFile(built.path) as archive:
        data = archive.read(f"image_steward/__pycache__/invocation.{tag}.pyc")
    assert b"/var/user/image_steward/invocation.py" in data
    assert str(built.path.parent).encode() not in data


def test_manifest_adds_up(built: bundle.Bundle) -> None:
    """The list next to the zip names every file and package with its size in bytes."""
    text = built.manifest()
    assert f"{built.sizes['index.py']:>10,}  index.py" in text
    own = sum(size for name, size in built.sizes.items() if name.startswith("image_steward/"))
    assert f"{own:>10,}  image_steward\n" in text
    assert "MB unpacked" in str(built)


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


def test_runs_on_its_own(built: bundle.Bundle, tmp_path: Path) -> None:
    """The unpacked bundle handles every kind of event with only the standard library.

    This also shows that the encryption of the COS SDK is not needed.
    """
    with zipfile.ZipFile(built.path) as archive:
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


def test_wheels_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If pip cannot fetch a wheel, the build fails with a message instead of a traceback."""
    for name, value in {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": ""}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    with pytest.raises(ValueError, match=r"could not fetch the wheels.*package index"):
        bundle.fetch("3.13", tmp_path / "site")


@pytest.mark.parametrize("version", bundle.VERSIONS)
def test_each_runtime_gets_its_packages(version: str) -> None:
    """The lock has each package once, in the release for the runtime, for any Python."""
    entries = list(bundle.requirements(version))
    names = {name for name, _ in entries}
    assert len(entries) == len(names)
    assert {"requests", "rpds-py", *bundle.WITHOUT_WHEEL} <= names
    assert ("typing-extensions" in names) == (version != "3.13")
    assert all(entry.startswith(f"{name}==") for name, entry in entries)
    assert not any(";" in entry or "--hash=sha256:" not in entry for _, entry in entries)


def test_own_packages_are_those_of_the_runtime() -> None:
    """Packages that only other packages of the environment need are not in the bundle."""
    top_level = {path.partition("/")[0].partition(".")[0] for path, _ in bundle.own_packages()}
    assert {"requests", "rpds", "crcmod"} <= top_level
    assert ("typing_extensions" in top_level) == (bundle.HERE != "3.13")


@pytest.mark.parametrize(("given", "version"), [("3.12", "3.12"), ("Python3.11", "3.11")])
def test_runtime_can_be_named(monkeypatch: pytest.MonkeyPatch, given: str, version: str) -> None:
    """RUNTIME, in either spelling, overrides serverless.yml."""
    monkeypatch.setenv("RUNTIME", given)
    assert bundle.runtime() == version


def test_runtime_of_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without RUNTIME, the runtime in serverless.yml is used."""
    monkeypatch.delenv("RUNTIME", raising=False)
    assert bundle.runtime() == "3.13"


def test_figures_are_of_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures in docs/bench.md were measured on the runtime in serverless.yml."""
    monkeypatch.delenv("RUNTIME", raising=False)
    page = (ROOT / "docs/bench.md").read_text(encoding="utf-8")
    assert f", CPython {bundle.runtime()}." in page


def test_unknown_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unsupported runtime is rejected, and the error lists the supported ones."""
    monkeypatch.setenv("RUNTIME", "Nodejs18.15")
    with pytest.raises(ValueError, match=r"'Nodejs18.15' is not supported; allowed: 3\.10, 3\.11"):
        bundle.runtime()


def write_fake_python(path: Path, text: str) -> None:
    """Write a fake Python 3.9 that prints this text, whatever its arguments."""
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho '{text}'\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH, on a machine without any other Python."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.delenv("UV_PYTHON_INSTALL_DIR", raising=False)
    return tmp_path / "bin"


@pytest.mark.parametrize(
    "kind", ["pypy39  final", "cpython-310  final", "cpython-39  candidate", "cpython-39 t final"]
)
def test_interpreter_of_another_kind(bin_folder: Path, tmp_path: Path, kind: str) -> None:
    """PyPy, other versions, release candidates and builds without the GIL are skipped."""
    write_fake_python(bin_folder / "python3.9", kind)
    with pytest.raises(ValueError, match=r"CPython 3\.9 is required"):
        bundle.interpreter("3.9")
    right = tmp_path / ".pyenv/versions/3.9.1/bin/python"
    write_fake_python(right, "cpython-39  final")
    assert bundle.interpreter("3.9") == str(right)


@pytest.mark.usefixtures("bin_folder")
def test_missing_interpreter() -> None:
    """The error for a missing Python lists commands that help; the last works right away."""
    with pytest.raises(ValueError, match=r"CPython 3\.9 is required") as raised:
        bundle.interpreter("3.9")
    commands = [line.strip() for line in str(raised.value).splitlines() if line[0] == " "]
    assert commands == [
        "uv python install 3.9", "pyenv install 3.9", f"make bundle RUNTIME={bundle.HERE}",
    ]  # fmt: skip
    assert bundle.interpreter(bundle.HERE) == sys.executable
