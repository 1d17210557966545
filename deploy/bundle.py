"""`make bundle`: builds build/function.zip, the code that SCF runs, reproducibly.

It has the packages locked in requirements/function.txt, as wheels for SCF's CentOS 7 (glibc 2.17,
x86_64). Each module comes with bytecode, compiled by the Python of the runtime and never checked
against the source. Otherwise every cold start would compile all modules, since SCF's code folder is
read-only and its files get new modification times.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
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

from scf_deploy.code import Code
from scf_local import pythons

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
LOCKED = ROOT / "requirements" / "function.txt"
PLATFORM = "manylinux2014_x86_64"
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"

CODE_FOLDER = "/var/user"
"""Where SCF unpacks the zip (document/product/583/40323); stack traces have these paths."""

NEVER_IMPORTED = (
    "Crypto/*",  # 11 MB, for the COS SDK's client-side encryption only
    "qcloud_cos/cos_encryption_client.py",
    "qcloud_cos/crypto.py",
    "crcmod/_crcfunext*",  # compiled for the building machine; crcmod also works without
    "crcmod/test.py",
    "charset_normalizer/*",  # optional: without it, requests assumes UTF-8
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
"""tests/deploy/test_bundle.py runs the function without these files."""

LEFT_OUT = ("pycryptodome-", "charset_normalizer-")
"""Packages that are left out completely."""

LICENCES = re.compile(r"(?i)[^/]+\.dist-info/(licenses/.*|(licen[cs]e|copying|notice)[^/]*)")
"""The only metadata of packages that is kept."""

WITHOUT_WHEEL = ("crcmod",)
"""Packages without wheels, copied from the project's own environment.

Only their modules, which are pure Python and contain the licence: the other files depend on the pip
that built the package.
"""

_PRINT_ABI = "import sys as s; print(s.implementation.cache_tag, s.abiflags, s.version_info[3])"
"""Rules out PyPy, release candidates and builds without the GIL: SCF cannot use their bytecode."""


@dataclass(frozen=True)
class Bundle:
    """A zip, and the uncompressed size of each file in bytes."""

    path: Path
    sizes: dict[str, int]

    def __str__(self) -> str:
        return (
            f"{self.path.name}: {self.path.stat().st_size / 1e6:.2f} MB, "
            f"{len(self.sizes):,} files, {sum(self.sizes.values()) / 1e6:.2f} MB unpacked"
        )

    def manifest(self) -> str:
        """Return the sizes of all packages and of all files, one per line."""
        packages: Counter[str] = Counter()
        for name, size in self.sizes.items():
            packages[name.partition("/")[0]] += size
        lines = [f"{size:>10,}  {name}" for name, size in packages.most_common()]
        files = [f"{size:>10,}  {name}" for name, size in self.sizes.items()]
        return "\n".join(["# packages", *lines, "", "# files", *files, ""])


def runtime() -> str:
    """Return the Python version in RUNTIME, or else of the runtime in serverless.yml.

    Raises:
        ValueError: the version is not supported.
    """
    inputs = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))["inputs"]
    version = (os.environ.get("RUNTIME") or str(inputs["runtime"])).removeprefix("Python")
    if version not in VERSIONS:
        raise ValueError(f"runtime {version!r} is not supported; allowed: {', '.join(VERSIONS)}")
    return version


def interpreter(version: str) -> str:
    """Return this machine's Python of the runtime's version, since bytecode fits one version only.

    Raises:
        ValueError: it is not installed; says what to do.
    """
    abi = f"cpython-{version.replace('.', '')}  final"
    if python := pythons.find(version, _PRINT_ABI, abi, os.environ):
        return python
    raise ValueError(
        f"CPython {version} is required to compile bytecode for the runtime, but was not found in "
        f"PATH, pyenv or uv. Install it with one of\n"
        f"    uv python install {version}\n"
        f"    pyenv install {version}\n"
        f"or build for the runtime Python{HERE} with\n"
        f"    make bundle RUNTIME={HERE}\n"
        f"Then serverless.yml and deploy/main.tf must name Python{HERE} when the function is "
        f"created: no other runtime can run that bundle, and a function cannot change its runtime."
    )


def fetch(version: str, target: Path) -> None:
    """Install the locked wheels for the runtime into `target`, with their hashes verified.

    Raises:
        ValueError: pip failed.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    wheels = target.with_name(f"{target.name}.txt")
    kept = (entry for name, entry in requirements(version) if name not in WITHOUT_WHEEL)
    wheels.write_text("\n".join(kept), encoding="utf-8")
    # With this Python: that of the runtime may have no pip, or be too new for this pip.
    command = [
        sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
        "--no-compile", "--no-deps", "--require-hashes", "--only-binary=:all:",
        "--implementation", "cp", "--python-version", version, "--platform", PLATFORM,
        "--ignore-requires-python",  # an old pip checks it against the version that runs pip
        "--target", str(target), "--requirement", str(wheels),
    ]  # fmt: skip
    environ = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    if subprocess.run(command, check=False, env=environ).returncode:  # noqa: S603 - our own pip
        raise ValueError(
            f"pip {pip.__version__} could not fetch the wheels; see its output above. "
            "Can this machine reach the package index?"
        )
    for path, source in installed(WITHOUT_WHEEL):
        if ".dist-info/" not in path:
            _copy(source, target / path)


def requirements(version: str) -> Iterator[tuple[str, str]]:
    """Yield each package that is locked for the runtime, with its entry in the lock.

    The entry has no environment marker: pip would evaluate it for the Python that runs pip.
    """
    runtime = {"python_version": version, "python_full_version": f"{version}.0"}
    for entry in re.split(r"\n(?=\S)", LOCKED.read_text(encoding="utf-8")):
        name, marker = re.findall(r"^(\S+)==\S+(?: ; (.*?))? \\\n", entry)[0]
        if not marker or Marker(marker).evaluate(runtime):
            yield name, entry.replace(f" ; {marker}", "", 1)


def installed(names: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Yield the files of packages in the project's own environment, with their relative paths."""
    for package in map(distribution, names):
        site = Path(str(package.locate_file("")))
        if package.read_text("RECORD"):
            listed = [site / file for file in package.files or () if ".." not in file.parts]
        else:  # an old pip built the package from source, without a RECORD
            tops = (package.read_text("top_level.txt") or "").split()
            listed = [file for top in tops for file in (site / top).rglob("*")]
        for source in listed:
            if source.is_file():
                yield source.relative_to(site).as_posix(), source


def own_packages() -> Iterator[tuple[str, Path]]:
    """Yield the files of the locked packages in the project's own environment."""
    return installed(name for name, _ in requirements(HERE))


def is_needed(name: str) -> bool:
    """Whether the function needs a file of a package, or the file is a licence."""
    if ".dist-info/" in name:
        return bool(LICENCES.fullmatch(name)) and not name.startswith(LEFT_OUT)
    return not any(fnmatch(name, pattern) for pattern in NEVER_IMPORTED)


def assemble(packages: Iterable[tuple[str, Path]], python: str, target: Path) -> Bundle:
    """Copy handler/ and packages into one folder, compile it with `python`, and zip it."""
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
    code = Code.of_folder(folder)
    target.write_bytes(code.content)
    return Bundle(target, {name: (folder / name).stat().st_size for name in code.files})


def compile_all(python: str, folder: Path) -> None:
    """Compile all modules, with their paths in SCF's code folder."""
    command = [
        python, "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash",
        "-s", str(folder), "-p", CODE_FOLDER, str(folder),
    ]  # fmt: skip
    # Otherwise the order of sets would differ between builds.
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run(command, check=True, env=environ)  # noqa: S603 - the runtime's own Python


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


@click.command()
def main() -> None:
    """Write build/function.zip, and build/function.txt, which lists its content."""
    try:
        version = runtime()
        python = interpreter(version)
        site = BUILD / f"site-{version}"
        fetch(version, site)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    packages = ((path.relative_to(site).as_posix(), path) for path in sorted(site.rglob("*")))
    files = (pair for pair in packages if pair[1].is_file())
    bundle = assemble(files, python, BUILD / "function.zip")
    listing = bundle.path.with_suffix(".txt")
    listing.write_text(bundle.manifest(), encoding="utf-8")
    click.echo(f"{bundle}, for Python {version}; {listing.name} lists the files")


if __name__ == "__main__":
    main()
