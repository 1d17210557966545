"""Packer manifests: what the post-processor `manifest` writes, typed, its templates read.

Packer adds a build to the file whenever one ends, and keeps those of earlier runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from image_steward import limits
from image_steward.clock import utc
from image_steward.documents.validation import validate
from image_steward.errors import InvalidDocument, Violation
from image_steward.messages import nearest, pointer_step, short
from image_steward.naming.fields import FIELDS as IMAGE_FIELDS
from image_steward.naming.fields import TEXTS
from image_steward.naming.templates import Fields, NoValue, Template
from image_steward.regions import is_region

BUILDER = "tencentcloud-cvm"

FIELDS = Fields(
    names=(*IMAGE_FIELDS.names, "build_time", "packer_run_uuid"),
    prefixes=(*IMAGE_FIELDS.prefixes, "custom_data."),
    times=(*IMAGE_FIELDS.times, "build_time"),
)
"""What the templates of `custom_data` may name."""

_SETS = (*TEXTS, "ImageDeprecated", "KeepLatest", "Tag.<key>")
_LENGTHS = {
    "ImageName": (1, limits.NAME_LENGTH),
    "ImageDescription": (0, limits.DESCRIPTION_LENGTH),
    "Tag": (1, limits.TAG_VALUE_LENGTH),
}
"""Characters, fewest and most; of a family nothing is documented."""
_MOST_KEPT = 6
"""Digits of KeepLatest."""
_LIKE_ENOUGH = 0.8
"""Of one key to another, to be taken for a slip rather than for data."""
_HINTS = 10
"""So many violations of one build may come with the key that is nearest to what was meant."""
_ARTIFACT = re.compile(r"(?P<region>[^:]+):(?P<image_id>img-[0-9a-z]+)")
"""`<region>:<image>`; copies stand behind commas (packer-plugin-tencentcloud, artifact.go)."""
_ANY = {"CreatedTime": "2026-01-01T00:00:00Z"}
"""Stand-ins for values that are known only when the image is."""


@dataclass(frozen=True)
class Build:
    """One build: its image, its copies, and what `custom_data` wants of all of them."""

    path: str
    """The JSON Pointer of its `custom_data`."""
    images: tuple[tuple[str, str], ...]
    """Pairs of region and image id."""
    templates: dict[str, Template] = field(default_factory=dict)
    """By attribute, in the order of `TEXTS`."""
    tags: dict[str, Template] = field(default_factory=dict)
    deprecated: bool | None = None
    keep_latest: int = 0
    """Images of the family that stay un-deprecated; 0: it says nothing of the others."""
    values: dict[str, str] = field(default_factory=dict)
    """Of the fields that the manifest itself gives a value to."""

    @cached_property
    def by_key(self) -> dict[str, Template]:
        """All its templates, by their keys in `custom_data`."""
        return {**self.templates, **{f"Tag.{key}": each for key, each in self.tags.items()}}


@dataclass(frozen=True)
class PackerManifest:
    """The builds of the last run that made images here."""

    builds: tuple[Build, ...]
    warnings: tuple[Violation, ...]
    """Keys that are data, but look like slips."""
    dry_run: bool = False
    """Packer's file has no place to ask for one; STEWARD_DRY_RUN does."""

    @cached_property
    def by_region(self) -> dict[str, dict[str, Build]]:
        """The images of each region, by id, each with the build that made it."""
        found: dict[str, dict[str, Build]] = {}
        for build in self.builds:
            for region, image_id in build.images:
                found.setdefault(region, {})[image_id] = build
        return found

    @property
    def image_ids(self) -> dict[str, list[str]]:
        """The images that it names, by region."""
        return {region: list(images) for region, images in self.by_region.items()}


def read(document: dict[str, Any], _region: str = "") -> PackerManifest:
    """A manifest; each of its artifacts names its own region.

    Raises:
        InvalidDocument: every breach of the schema, or every artifact id, value and template that
            cannot be used; or no build of the last run is ours, or none sets anything.
    """
    validate("packer-manifest", document)
    run = document["last_run_uuid"]
    ours = [
        (f"/builds/{i}", build)
        for i, build in enumerate(document["builds"])
        if build["builder_type"] == BUILDER and build["packer_run_uuid"] == run
    ]
    if not ours:
        raise InvalidDocument(Violation("/builds", _no_build(document["builds"], run)))
    readers = [_Reader(path, build) for path, build in ours]
    builds = tuple(reader.build for reader in readers)
    violations = [violation for reader in readers for violation in reader.violations]
    violations += _twice(ours, builds)
    count = sum(len(build.images) for build in builds)
    if count > limits.IMAGES_OF_A_REQUEST:
        told = (
            f"name {count:,} images of this run; at most {limits.IMAGES_OF_A_REQUEST:,} are allowed"
        )
        violations.append(Violation("/builds", told))
    if violations:
        raise InvalidDocument(*violations)
    if not any(_sets_something(build) for build in builds):
        raise InvalidDocument(*(_nothing(reader) for reader in readers))
    return PackerManifest(
        tuple(build for build in builds if _sets_something(build)),
        tuple(warning for reader in readers for warning in reader.warnings),
    )


def breach(name: str, text: str) -> str:
    """What forbids a text as the value of an attribute or tag (`Tag.…`); empty if nothing does."""
    least, most = _LENGTHS.get(name.partition(".")[0], (0, len(text)))
    if least <= len(text) <= most:
        return ""
    return f"{short(text)} has {len(text)} characters; {least} to {most} are allowed"


class _Reader:
    """Reads one build, and notes what is wrong with it."""

    def __init__(self, path: str, body: dict[str, Any]) -> None:
        self.violations: list[Violation] = []
        self.warnings: list[Violation] = []
        self.path = f"{path}/custom_data"
        self.data: dict[str, str] = body.get("custom_data") or {}
        time = body.get("build_time")
        self._values = {
            **{f"custom_data.{key}": value for key, value in self.data.items()},
            "build_time": "" if time is None else utc(time),
            "packer_run_uuid": body["packer_run_uuid"],
        }
        texts = {name: self._template(name) for name in TEXTS if name in self.data}
        tags = {key: self._template(f"Tag.{key}") for key in self._tag_keys()}
        self.build = Build(
            path=self.path,
            images=tuple(self._images(f"{path}/artifact_id", body["artifact_id"])),
            templates={name: template for name, template in texts.items() if template},
            tags={key: template for key, template in tags.items() if template},
            deprecated=self._deprecated(),
            keep_latest=self._keep_latest(),
            values=self._values,
        )
        if len(tags) > limits.TAGS_OF_AN_IMAGE:
            told = f"sets {len(tags)} tags; an image holds at most {limits.TAGS_OF_AN_IMAGE}"
            self.violations.append(Violation(self.path, told))
        self._warn()

    def _wrong(self, key: str, message: str) -> None:
        self.violations.append(Violation(f"{self.path}/{pointer_step(key)}", message))

    def _images(self, path: str, artifact_id: str) -> Iterator[tuple[str, str]]:
        for part in artifact_id.split(","):
            found = _ARTIFACT.fullmatch(part.strip())
            if found and is_region(found["region"]):
                yield found["region"], found["image_id"]
            else:
                needed = "<region>:<image id> is needed, such as ap-guangzhou:img-6pb6lrmy"
                self.violations.append(Violation(path, f"holds {short(part)}; {needed}"))

    def _tag_keys(self) -> Iterator[str]:
        for name in self.data:
            key = name.removeprefix("Tag.")
            if key == name:
                continue
            if 1 <= len(key) <= limits.TAG_KEY_LENGTH:
                yield key
            else:
                told = (
                    f"has a key of {len(key)} characters; 1 to {limits.TAG_KEY_LENGTH} are allowed"
                )
                self._wrong(name, told)

    def _template(self, name: str) -> Template | None:
        """The template of a key, tried out with stand-ins for what only the image can tell."""
        try:
            template = Template.parse(self.data[name], FIELDS)
            theirs = {field: _ANY.get(field, "x") for field in template.fields}
            own = {
                field: self._values.get(field, "")
                for field in template.fields
                if field in self._values or field.startswith("custom_data.")
            }
            text = template.render({**theirs, **own})
        except ValueError as error:
            self._wrong(name, str(error))
            return None
        except NoValue as error:
            self._wrong(name, f"{error}{self._hint(error.field)}")
            return None
        wrong = breach(name, text) if template.fields <= own.keys() else ""
        if wrong:
            self._wrong(name, wrong)
        return template

    def _hint(self, field: str) -> str:
        """What may help where a field has no value."""
        if field == "build_time":
            return "; strip_time leaves it out of the manifest"
        key = field.removeprefix("custom_data.")
        # Searched for a few times only: a megabyte may hold thousands of templates, and of keys.
        if key == field or key in self.data or len(self.violations) >= _HINTS:
            return ""
        return nearest(key, self.data)

    def _deprecated(self) -> bool | None:
        text = self.data.get("ImageDeprecated")
        if text not in {None, "true", "false"}:
            self._wrong("ImageDeprecated", f'is {short(str(text))}; allowed are "true" and "false"')
        if text is not None and "KeepLatest" in self.data:
            self._wrong("ImageDeprecated", "KeepLatest decides it; only one of them is allowed")
        return None if text is None else text == "true"

    def _keep_latest(self) -> int:
        text = self.data.get("KeepLatest", "0")
        if re.fullmatch(rf"[1-9][0-9]{{0,{_MOST_KEPT - 1}}}", text):
            return int(text)
        if "KeepLatest" in self.data:
            self._wrong("KeepLatest", f'is {short(text)}; allowed is a number from "1" on')
        return 0

    def _warn(self) -> None:
        for key in self.data:
            if key in _SETS or key.startswith("Tag."):
                continue
            hint = nearest(key, _SETS[:-1], _LIKE_ENOUGH)
            if re.match(r"tags?[^a-z0-9]", key, re.IGNORECASE):
                hint = "; did you mean Tag.<key>?"
            if hint:
                message = f"{short(key)} sets nothing, it is data{hint}"
                self.warnings.append(Violation(f"{self.path}/{pointer_step(key)}", message))


def _sets_something(build: Build) -> bool:
    return bool(build.templates or build.tags or build.keep_latest or build.deprecated is not None)


def _nothing(reader: _Reader) -> Violation:
    keys = ", ".join(map(short, list(reader.data)[:5])) or "no key at all"
    hints = "".join(f"; {warning.message}" for warning in reader.warnings[:5])
    return Violation(
        reader.path,
        f"nothing to set: at least one of {', '.join(_SETS)} is needed, there is {keys}{hints}",
    )


def _no_build(builds: list[dict[str, Any]], run: str) -> str:
    there = Counter((build["builder_type"], build["packer_run_uuid"] == run) for build in builds)
    found = ", ".join(
        f"{count} by {short(builder)} of {'this' if is_last else 'another'} run"
        for (builder, is_last), count in there.most_common(5)
    )
    return f"none of the last run, {short(run)}, is by {BUILDER}; there are {found}"


def _twice(
    ours: list[tuple[str, dict[str, Any]]], builds: tuple[Build, ...]
) -> Iterator[Violation]:
    first: dict[tuple[str, str], str] = {}
    for (path, _), build in zip(ours, builds, strict=True):
        for region, image_id in build.images:
            if (region, image_id) in first:
                told = f"{image_id} in {region} stands at {first[region, image_id]} already"
                yield Violation(f"{path}/artifact_id", told)
            first.setdefault((region, image_id), f"{path}/artifact_id")
