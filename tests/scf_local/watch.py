"""Watches files and folders for changes by polling them several times a second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import click

from scf_local.console import note

_INTERVAL_S = 0.2
_MAX_STREAK = 3
"""Runs in a row that change a file before it is ignored: the function itself must change it."""


class Watch:
    """Watches files, and all files in folders; remembers their last state."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._streaks: dict[str, int] = {}
        self._ignored: set[str] = set()
        self._last = self._snapshot()

    def wait(self) -> set[str]:
        """Wait for a change; returns the paths that have changed since the last call.

        Changes in quick succession, as of a checkout, are returned together. A file that changes
        during every run is reported and ignored from then on, or each run would cause the next.
        """
        changed = self._changed()
        self._streaks = {path: self._streaks.get(path, 0) + 1 for path in changed}
        for path in [path for path, streak in self._streaks.items() if streak >= _MAX_STREAK]:
            note(f"{path} changes with every run; no longer watched")
            self._ignored.add(path)
        changed -= self._ignored
        while not changed:
            changed = self._changed_later()
        while more := self._changed_later():
            changed |= more
        return changed

    def _changed_later(self) -> set[str]:
        time.sleep(_INTERVAL_S)
        return self._changed()

    def _changed(self) -> set[str]:
        before, self._last = self._last, self._snapshot()
        return {path for path, _ in before.items() ^ self._last.items()} - self._ignored

    def _snapshot(self) -> dict[str, tuple[int, int, int]]:
        states = {}
        for path in self._paths:
            for file in _files(path) if path.is_dir() else [str(path)]:
                try:
                    stat = os.stat(file)  # noqa: PTH116 - called for thousands of files
                except OSError:  # removed meanwhile
                    continue
                states[file] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return states


def rerun_on_change(run: Callable[[], object], *paths: Path) -> None:
    """Call `run` now and after every change of `paths`, forever.

    Usage errors of the first run end the command; later ones, while files are edited, are printed.
    """
    watch = Watch(*paths)
    run()
    while True:
        note("watching for changes; press Ctrl-C to stop")
        watch.wait()
        try:
            run()
        except click.UsageError as error:
            error.show()
        except (FileNotFoundError, NotADirectoryError) as error:  # a checkout replaces the folder
            note(f"{error.filename}: {error.strerror}")


def _files(folder: Path) -> list[str]:
    """All files but bytecode, hidden files and backups of editors."""
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__" and name[0] != "."]
        shown = [name for name in names if name[0] != "." and not name.endswith((".pyc", "~"))]
        files += [f"{parent}/{name}" for name in shown]
    return files
