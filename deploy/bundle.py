"""`make bundle`: build/function.zip, what SCF runs, byte for byte the same from the same input.

The packages are those that requirements/function.txt locks, as wheels for SCF's CentOS 7 (glibc
2.17, x86_64). Beside each module lies its bytecode, made by the runtime's own Python and never
checked against the source: SCF's code folder is read-only and its clock sets new times, so that
without it every cold start would compile everything again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pip
import yaml
from packaging.markers import Marker

import pythons

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
LOCKED = ROOT / "requirements" / "function.txt"
PLATFORM = "manylinux2014_x86_64"
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"

CODE_FOLDER = "/var/user"
"""Where SCF unpacks the zip (document/product/583/40323); traces name files there."""

NEVER_IMPORTED = (
    "Crypto/*",  # only the COS SDK's client-side encryption needs it: 11 MB
    "qcloud_cos/cos_encryption_client.py",
    "qcloud_cos/crypto.py",
    "crcmod/_crcfunext*",  # the extension of the building machine; there is a pure fallback
    "crcmod/test.py",
    "charset_normalizer/*",  # guesses at charsets; requests does without, and takes UTF-8
    "jsonschema/tests/*",
    "jsonschema/benchmarks/*",
    "referencing/tests/*",
    "jsonschema_specifications/tests/*",
    "urllib3/contrib/emscripten/*",
    "bin/*",
    "*.pyi",
    "*/py.typed",
    "*.pyc",
)
"""tests/deploy/test_bundle.py runs the function without all of these."""

LEFT_OUT = ("pycryptodome-", "charset_normalizer-")
"""Packages of which nothing is left."""

LICENCES = re.compile(r"(?i)[^/]+\.dist-info/(licenses/.*|(licen[cs]e|copying|notice)[^/]*)")
"""All that is kept of what describes a package."""

WITHOUT_WHEEL = ("crcmod",)
"""Taken from the project's own environment: pure Python, once its extension is left out.

Only its modules, which bring their licence in themselves: what else lies there depends on the pip
that built it.
"""

_KIND = "import sys as s; print(s.implementation.cache_tag, s.abiflags, s.version_info[3])"
"""Bytecode of PyPy, of a release candidate or of a build without the GIL is not SCF's."""

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold
_MODE = 0o100644 << 16


@dataclass(frozen=True)
class Bundle:
    """A zip that was written, and the bytes of each file in it before compression."""

    path: Path
    sizes: dict[str, int]

    def __str__(self) -> str:
        return (
            f"{self.path.name}: {self.path.stat().st_size / 1e6:.2f} MB, "
            f"{len(self.sizes):,} files, {sum(self.sizes.values()) / 1e6:.2f} MB unpacked"
        )

    def manifest(self) -> str:
        """Every file with its size, and the sum of each package."""
        packages: Counter[str] = Counter()
        for name, size in self.sizes.items():
            packages[name.partition("/")[0]] += size
        lines = [f"{size:>10,}  {name}" for name, size in packages.most_common()]
        files = [f"{size:>10,}  {name}" for name, size in self.sizes.items()]
        return "\n".join(["# packages", *lines, "", "# files", *files, ""])


def runtime() -> str:
    """The Python version that serverless.yml deploys to, or that RUNTIME names instead.

    Raises:
        ValueError: it is none that can be built for.
    """
    inputs = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))["inputs"]
    version = (os.environ.get("RUNTIME") or str(inputs["runtime"])).removeprefix("Python")
    if version not in VERSIONS:
        raise ValueError(f"runtime {version!r} is not known; allowed are {', '.join(VERSIONS)}")
    return version


def interpreter(version: str) -> str:
    """The runtime's own Python on this machine: bytecode is good for one version only.

    Raises:
        ValueError: it is not installed; says what to do.
    """
    answer = f"cpython-{version.replace('.', '')}  final"
    if python := pythons.find(version, _KIND, answer, os.environ):
        return python
    raise ValueError(
        f"CPython {version}, which is needed to make bytecode for the runtime, is neither in PATH "
        f"nor in pyenv nor in uv. Install it by one of\n"
        f"    uv python install {version}\n"
        f"    pyenv install {version}\n"
        f"or build for the runtime Python{HERE}, by\n"
        f"    make bundle RUNTIME={HERE}\n"
        f"No other runtime can run that, and no function can change its own: serverless.yml and "
        f"deploy/main.tf must name Python{HERE} when it is created."
    )


def fetch(version: str, target: Path) -> None:
    """Install the locked wheels for the runtime into `target`, hashes checked.

    Raises:
        ValueError: pip could not.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    wheels = target.with_name(f"{target.name}.txt")
    kept = (entry for name, entry in requirements(version) if name not in WITHOUT_WHEEL)
    wheels.write_text("\n".join(kept), encoding="utf-8")
    # By this Python: the runtime's own may have no pip, and may be too new for ours.
    command = [
        sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
        "--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:",
        "--implementation", "cp", "--python-version", version, "--platform", PLATFORM,
        "--ignore-requires-python",  # an old pip compares with the version that runs it
        "--target", str(target), "--requirement", str(wheels),
    ]  # fmt: skip
    environ = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    if subprocess.run(command, check=False, env=environ).returncode:  # noqa: S603 - our own pip
        raise ValueError(
            f"pip {pip.__version__} could not fetch the wheels; what it says stands above. "
            "Is the package index to be reached?"
        )
    for path, source in installed(WITHOUT_WHEEL):
        if ".dist-info/" not in path:
            _copy(source, target / path)


def requirements(version: str) -> Iterator[tuple[str, str]]:
    """Each package that is locked for the runtime, with its entry.

    Without its condition, in which pip would put the version of the Python that runs it.
    """
    runtime = {"python_version": version, "python_full_version": f"{version}.0"}
    for entry in re.split(r"\n(?=\S)", LOCKED.read_text(encoding="utf-8")):
        name, condition = re.findall(r"^(\S+)==\S+(?: ; (.*?))? \\\n", entry)[0]
        if not condition or Marker(condition).evaluate(runtime):
            yield name, entry.replace(f" ; {condition}", "", 1)


def installed(names: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """The files of packages in the project's own environment, by their place in it."""
    for package in map(distribution, names):
        site = Path(str(package.locate_file("")))
        if package.read_text("RECORD"):
            listed = [site / file for file in package.files or () if ".." not in file.parts]
        else:  # an old pip built it from source, and left no list
            tops = (package.read_text("top_level.txt") or "").split()
            listed = [file for top in tops for file in (site / top).rglob("*")]
        for source in listed:
            if source.is_file():
                yield source.relative_to(site).as_posix(), source


def own_packages() -> Iterator[tuple[str, Path]]:
    """The locked packages as they are in the project's own environment, for its own Python."""
    return installed(name for name, _ in requirements(HERE))


def is_needed(name: str) -> bool:
    """Whether a file of a package is for the function to run, or says who wrote it."""
    if ".dist-info/" in name:
        return bool(LICENCES.fullmatch(name)) and not name.startswith(LEFT_OUT)
    return not any(fnmatch(name, pattern) for pattern in NEVER_IMPORTED)


def assemble(packages: Iterable[tuple[str, Path]], python: str, target: Path) -> Bundle:
    """Put handler/ and packages together, compile them by `python`, and zip all of it."""
    folder = target.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    for name, source in packages:
        if is_needed(name):
            _copy(source, folder / name)
    for source in sorted((ROOT / "handler").rglob("*")):
        name = source.relative_to(ROOT / "handler").as_posix()
        if source.is_file() and is_needed(name):
            _copy(source, folder / name)
    compile_all(python, folder)
    target.unlink(missing_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in files:
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _TIME)
            info.external_attr = _MODE
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes(), compresslevel=9)
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    return Bundle(target, sizes)


def compile_all(python: str, folder: Path) -> None:
    """Bytecode for every module, each naming its source where SCF will have it."""
    command = [
        python, "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash",
        "-s", str(folder), "-p", CODE_FOLDER, str(folder),
    ]  # fmt: skip
    # The order of a set's members would else differ from one build to the next.
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run(command, check=True, env=environ)  # noqa: S603 - the runtime's own Python


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


@click.command()
def main() -> None:
    """Write build/function.zip and build/function.txt, which lists what is in it."""
    try:
        version = runtime()
        python = interpreter(version)
        site = BUILD / f"site-{version}"
        fetch(version, site)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    packages = ((path.relative_to(site).as_posix(), path) for path in sorted(site.rglob("*")))
    files = (pair for pair in packages if pair[1].is_file())
    made = assemble(files, python, BUILD / "function.zip")
    listing = made.path.with_suffix(".txt")
    listing.write_text(made.manifest(), encoding="utf-8")
    click.echo(f"{made} for Python {version}; {listing.name} lists them")


if __name__ == "__main__":
    main()
