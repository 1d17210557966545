"""Files and folders watched for changes, by looking at them: a few times a second is enough."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_INTERVAL_S = 0.2
_OWN = 3
"""Runs in a row that change a file until it is the function, or whoever reads it, that does so."""


class Watch:
    """What is below some folders, and some files; remembers how they were last."""

    def __init__(self, *places: Path) -> None:
        self._places = places
        self._streaks: dict[str, int] = {}
        self._own: set[str] = set()
        self._seen = self._look()

    def wait(self) -> set[str]:
        """Return what has changed since the last time; at once, or when there is a change.

        Many changes at once, as of a checkout, are one. What changes during every run is told
        and not watched any longer, or a run would be the cause of the next.
        """
        changed = self._changed()
        self._streaks = {path: self._streaks.get(path, 0) + 1 for path in changed}
        for path in [path for path, streak in self._streaks.items() if streak >= _OWN]:
            click.echo(f"scf-local: {path} changes with every run; not watched from now", err=True)
            self._own.add(path)
        changed -= self._own
        while not changed:
            time.sleep(_INTERVAL_S)
            changed = self._changed()
        while more := self._settling():
            changed |= more
        return changed

    def _settling(self) -> set[str]:
        time.sleep(_INTERVAL_S)
        return self._changed()

    def _changed(self) -> set[str]:
        before, self._seen = self._seen, self._look()
        return {path for path, _ in before.items() ^ self._seen.items()} - self._own

    def _look(self) -> dict[str, tuple[int, int, int]]:
        found = {}
        for place in self._places:
            paths = _files(place) if place.is_dir() else [str(place)]
            for path in paths:
                try:
                    stat = os.stat(path)  # noqa: PTH116 - of thousands, several times a second
                except OSError:  # gone meanwhile
                    continue
                found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return found


def repeat(run: Callable[[], object], *places: Path) -> None:
    """Run, and again with every change of `places`, for ever.

    What cannot be used later, while it is edited, is told; at first it ends the command.
    """
    watch = Watch(*places)
    run()
    while True:
        click.echo("scf-local: watching for changes; Ctrl-C ends it", err=True)
        watch.wait()
        try:
            run()
        except click.UsageError as error:
            error.show()
        except (FileNotFoundError, NotADirectoryError) as error:  # a checkout replaces the folder
            click.echo(f"scf-local: {error.filename}: {error.strerror}", err=True)


def _files(folder: Path) -> list[str]:
    """All but bytecode, and what editors and version control keep for themselves."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__" and name[0] != "."]
        found += [
            f"{parent}/{name}"
            for name in files
            if name[0] != "." and not name.endswith((".pyc", "~"))
        ]
    return found
