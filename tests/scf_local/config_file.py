"""`scf-local.toml`: defaults for options, for all functions and for each one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from image_steward.messages import nearest
from scf_local import json_files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_COMMAND_LINE_ONLY = {"config", "version", "real", "yes"}
"""A file must not make a run reach the real cloud, nor confirm it."""


@dataclass(frozen=True)
class ConfigFile:
    """The options in a file, by name without `--`: those for all functions, and by function."""

    path: Path
    shared: dict[str, list[str]]
    functions: dict[str, dict[str, list[str]]]

    @classmethod
    def read(cls, path: Path, program: click.Group) -> ConfigFile:
        """The content of a file, whose options must be those of a command of `program`.

        Raises:
            ValueError: it is not TOML, has an option that no command has, or several values
                for an option that takes one.
        """
        try:
            shared = tomllib.loads(json_files.decode(path.read_bytes(), str(path)))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path}: not TOML: {error}") from None
        functions = shared.pop("functions", {})
        if not (isinstance(functions, dict) and all(type(x) is dict for x in functions.values())):
            raise ValueError(f"{path}: functions must be tables of options, as [functions.NAME]")
        options = {_name(option): option for option in _options(program)}
        shared = _texts(shared, options, path, "")
        options.pop("function-name")
        for name, table in functions.items():
            functions[name] = _texts(table, options, path, f" functions.{name}:")
        return cls(path, shared, functions)

    @property
    def default_function(self) -> str | None:
        """The function to use if the command line names none."""
        only = [*self.functions] if len(self.functions) == 1 else [None]
        return self.shared.get("function-name", only)[0]

    def choose(self, name: str | None) -> str | None:
        """The function to use if the command line says `name`; None: neither names one.

        Raises:
            ValueError: the file has other functions, or several.
        """
        name = name or self.default_function
        if self.functions and name not in self.functions:
            problem = f"no function {name!r}" if name else "several functions"
            choice = f"{', '.join(sorted(self.functions))}{nearest(name or '', self.functions)}"
            raise ValueError(f"{self.path} has {problem}; --function-name must be one of: {choice}")
        return name

    def default_map(self, command: click.Command, function: str | None) -> dict[str, Any]:
        """Click's `default_map`: values for the options that the command has."""
        if isinstance(command, click.Group):
            return {name: self.default_map(c, function) for name, c in command.commands.items()}
        tables = (self.shared, self.functions.get(function or "", {}))
        has_code = any("code" in table for table in tables)
        defaults: dict[str, Any] = {}
        for option in _options(command):
            values = [text for table in tables for text in table.get(_name(option), ())]
            # The file in a handler is relative to the code folder, if there is one.
            keep = option.name == "handler" and (has_code or ":" not in "".join(values[-1:]))
            if isinstance(option.type, click.Path) and not keep:
                values = [str(self.path.parent / text) for text in values]
            if values and option.name:
                defaults[option.name] = values if option.multiple else values[-1]
        return defaults


def _options(command: click.Command) -> Iterator[click.Option]:
    """The options of a command and of those below it."""
    yield from (param for param in command.params if isinstance(param, click.Option))
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _options(below)


def _name(option: click.Option) -> str:
    """The name without `--`; a short one comes before it."""
    return option.opts[-1][2:]


def _texts(
    table: dict[str, Any], options: dict[str, click.Option], path: Path, where: str
) -> dict[str, list[str]]:
    """The values of a table as they would be on the command line, where all values are text."""
    texts = {}
    for name, value in table.items():
        if name in _COMMAND_LINE_ONLY:
            raise ValueError(f"{path}:{where} --{name} is for the command line only; remove it")
        if name not in options:
            of_function = f"; the table of a function is [functions.{name}]"
            hint = of_function if isinstance(value, dict) else nearest(name, options)
            raise ValueError(f"{path}:{where} {name!r} is not an option{hint}")
        entries = [("", value)]
        if options[name].multiple and isinstance(value, dict):
            entries = [(f"{key}=", entry) for key, entry in value.items()]
        elif options[name].multiple and isinstance(value, list):
            entries = [("", entry) for entry in value]
        if any(isinstance(entry, (dict, list)) for _, entry in entries):
            several = options[name].multiple
            allowed = "a list or table of texts" if several else "one text or number"
            raise ValueError(f"{path}:{where} {name} must be {allowed}")
        texts[name] = [f"{k}{str(x).lower() if isinstance(x, bool) else x}" for k, x in entries]
    return texts
