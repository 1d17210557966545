"""The code of a function: a folder as a zip file, and how two zip files differ."""

from __future__ import annotations

import base64
import io
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip allows
_MODE = 0o100644 << 16
_LEVEL = 7  # 9 takes three times as long, for 0.5 % less
NOT_ZIP = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError)
MAX_BYTES = 7_500_000
"""A call takes 10 MB, in which the file is base64 (document/product/1278/46710)."""


@dataclass(frozen=True)
class Code:
    """A zip file; the same files give the same bytes."""

    content: bytes = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Code:
        """Read a zip file, or zip a folder.

        Raises:
            ValueError: there is neither.
        """
        try:
            content = path.read_bytes() if path.is_file() else b""  # a device has no end
            code = cls.of_folder(path) if path.is_dir() else cls(content)
            code.files  # noqa: B018 - reads the list
        except (OSError, *NOT_ZIP) as error:
            raise ValueError(
                f"{path}: no folder or zip to read; is it built (make bundle)? {error}"
            ) from None
        return code

    @classmethod
    def of_folder(cls, folder: Path) -> Code:
        """Zip a folder, without what its files' times and rights are, up to what is too large."""
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_dir() and path.is_symlink():
                    raise OSError(f"{path} is a link to a folder, of which nothing would be read")
                if not path.is_file() or target.tell() > MAX_BYTES:
                    continue
                info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _TIME)
                info.external_attr = _MODE
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, path.read_bytes(), compresslevel=_LEVEL)
        return cls(target.getvalue())

    @cached_property
    def files(self) -> dict[str, tuple[bytes, int]]:
        """Hash and size of each file, by name; a CRC could be another file's, too.

        Raises:
            NOT_ZIP: it is not a zip file, or encrypted, or damaged.
        """
        with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
            entries = (entry for entry in archive.infolist() if not entry.is_dir())
            return {x.filename: (sha256(archive.read(x)).digest(), x.file_size) for x in entries}

    @property
    def sha256(self) -> str:
        """The hash in hex."""
        return sha256(self.content).hexdigest()

    def has_hash(self, text: str) -> bool:
        """Whether a hash is this file's, in hex or base64: SCF's documents do not say which."""
        encoded = base64.b64encode(bytes.fromhex(self.sha256)).decode()
        return text.lower() == self.sha256 or text == encoded

    def changed_files(self, other: Code) -> list[str]:
        """Return the names of the files that differ from those of another zip file."""
        names = self.files.keys() | other.files.keys()
        return sorted(name for name in names if self.files.get(name) != other.files.get(name))

    def problems(self, handler: str, runtime: str) -> list[str]:
        """Return why a function with this code cannot run."""
        if len(self.content) > MAX_BYTES:
            return [f"the code takes more than {MAX_BYTES / 1e6} MB as a zip file: too much"]
        found = []
        module = re.escape(handler.partition(".")[0])
        if not any(re.fullmatch(rf"{module}(/__init__)?\.(py|so|.*\.so)", n) for n in self.files):
            found.append(f"the code has no {handler.partition('.')[0]}.py for {handler}")
        own = runtime.removeprefix("Python").replace(".", "")
        tags = {tag for n in self.files for tag in re.findall(r"\.cpython-(\d+)[-.]", n)}
        if others := sorted(tags - {own}):
            has = ", ".join(f"{tag[0]}.{tag[1:]}" for tag in others)
            found.append(
                f"the code is compiled for Python {has}, not for {runtime}; build it again"
            )
        return found
