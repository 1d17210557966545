"""Packer manifests: what the post-processor `manifest` writes, typed, its templates read.

Packer adds a build to the file whenever one ends, and keeps those of earlier runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from image_steward import limits
from image_steward.clock import utc
from image_steward.documents.validation import validate
from image_steward.errors import InvalidDocument, Violation
from image_steward.messages import nearest, pointer_step, short
from image_steward.naming import fields
from image_steward.naming.templates import Fields, NoValue, Template
from image_steward.regions import is_region

BUILDER = "tencentcloud-cvm"

FIELDS = Fields(
    names=(*fields.FIELDS.names, "build_time", "packer_run_uuid"),
    prefixes=(*fields.FIELDS.prefixes, "custom_data."),
    times=(*fields.FIELDS.times, "build_time"),
)
"""What the templates of `custom_data` may name."""

_SETS = (*fields.TEXTS, "ImageDeprecated", "KeepLatest", "Tag.<key>")
_LENGTHS = {
    "ImageName": (1, limits.NAME_LENGTH),
    "ImageDescription": (0, limits.DESCRIPTION_LENGTH),
    "Tag": (1, limits.TAG_VALUE_LENGTH),
}
"""Characters, fewest and most; of a family nothing is documented."""
_LIKE_ENOUGH = 0.8
"""Of one key to another, to be taken for a slip rather than for data."""
_HINTS = 10
"""So many violations of one build may come with the key that is nearest to what was meant."""
_ANY = "2026-01-01T00:00:00Z"
"""Stands in for values that are known only when the image is, be they texts or times."""


@dataclass(frozen=True)
class Build:
    """One build: its image, its copies, and what `custom_data` wants of all of them."""

    path: str
    """The JSON Pointer of its `custom_data`."""
    images: tuple[tuple[str, str], ...]
    """Pairs of region and image id."""
    data: dict[str, str]
    """Its `custom_data`."""
    values: dict[str, str]
    """Of the fields that the manifest itself gives a value to."""
    templates: dict[str, Template]
    """By key of `custom_data`: attributes in the order of `TEXTS`, then tags, `Tag.…`."""
    deprecated: bool | None
    keep_latest: int
    """Images of the family that stay un-deprecated; 0: it says nothing of the others."""


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
        InvalidDocument: every violation of the schema; or every artifact id, value and template
            that cannot be used; or no build of the last run is ours, or none sets anything.
    """
    validate("packer-manifest", document)
    run = document["last_run_uuid"]
    ours = {
        f"/builds/{i}": build
        for i, build in enumerate(document["builds"])
        if build["builder_type"] == BUILDER and build["packer_run_uuid"] == run
    }
    if not ours:
        raise InvalidDocument(Violation("/builds", _no_build(document["builds"], run)))
    violations: list[Violation] = []
    builds = [_build(path, body, violations) for path, body in ours.items()]
    violations += _twice(builds)
    count, most = sum(len(build.images) for build in builds), limits.IMAGES_OF_A_REQUEST
    if count > most:
        told = f"name {count:,} images of this run; at most {most:,} are allowed"
        violations.append(Violation("/builds", told))
    if violations:
        raise InvalidDocument(*violations)
    set_by = [b for b in builds if b.templates or b.keep_latest or b.deprecated is not None]
    if not set_by:
        raise InvalidDocument(*map(_nothing, builds))
    return PackerManifest(tuple(set_by), tuple(slip for build in builds for slip in _slips(build)))


def violation_of(name: str, text: str) -> str:
    """What forbids a text as the value of an attribute or tag (`Tag.…`); empty if nothing does."""
    least, most = _LENGTHS.get(name.partition(".")[0], (0, len(text)))
    if least <= len(text) <= most:
        return ""
    return f"{short(text)} has {len(text)} characters; {least} to {most} are allowed"


def _build(path: str, body: dict[str, Any], violations: list[Violation]) -> Build:
    """One build; `violations` get what is wrong with it."""
    path, artifacts = f"{path}/custom_data", f"{path}/artifact_id"
    data: dict[str, str] = body.get("custom_data") or {}
    values = {f"custom_data.{key}": value for key, value in data.items()}
    values["build_time"] = utc(body["build_time"]) if "build_time" in body else ""
    values["packer_run_uuid"] = body["packer_run_uuid"]
    found: list[Violation] = []

    def wrong(key: str, message: str) -> None:
        found.append(Violation(f"{path}/{pointer_step(key)}", message))

    templates: dict[str, Template] = {}
    tags = [name for name in data if name.startswith("Tag.")]
    for name in (*(name for name in fields.TEXTS if name in data), *tags):
        try:
            templates[name] = _template(name, data, values, hints=len(found) < _HINTS)
        except ValueError as error:  # noqa: PERF203 - every wrong one is to be named
            wrong(name, str(error))
    images = []
    for part in body["artifact_id"].split(","):  # copies (packer-plugin-tencentcloud, artifact.go)
        region, _, image_id = part.strip().partition(":")
        if is_region(region) and re.fullmatch("img-[0-9a-z]+", image_id):
            images.append((region, image_id))
        else:
            needed = "<region>:<image id> is needed, such as ap-guangzhou:img-6pb6lrmy"
            found.append(Violation(artifacts, f"holds {short(part)}; {needed}"))
    marked, kept = data.get("ImageDeprecated"), data.get("KeepLatest")
    if marked not in {None, "true", "false"}:
        wrong("ImageDeprecated", f'is {short(str(marked))}; allowed are "true" and "false"')
    if marked is not None and kept is not None:
        wrong("ImageDeprecated", "KeepLatest decides it; only one of them is allowed")
    number = re.fullmatch("[1-9][0-9]{0,5}", kept or "")
    if kept is not None and not number:
        wrong("KeepLatest", f'is {short(kept)}; allowed is a number from "1" on')
    if len(tags) > limits.TAGS_OF_AN_IMAGE:
        told = f"sets {len(tags)} tags; an image holds at most {limits.TAGS_OF_AN_IMAGE}"
        found.append(Violation(path, told))
    violations += found
    deprecated = None if marked is None else marked == "true"
    keep_latest = int(number[0]) if number else 0
    return Build(path, tuple(images), data, values, templates, deprecated, keep_latest)


def _template(
    name: str, data: Mapping[str, str], values: Mapping[str, str], *, hints: bool
) -> Template:
    """The template of a key, tried out with a stand-in for what only the image can tell.

    Raises:
        ValueError: what is wrong, with `hints` what may have been meant.
    """
    key = name.removeprefix("Tag.")
    if not 1 <= len(key) <= limits.TAG_KEY_LENGTH:
        told = f"has a key of {len(key)} characters; 1 to {limits.TAG_KEY_LENGTH} are allowed"
        raise ValueError(told)
    template = Template.parse(data[name], FIELDS)
    own = {f for f in template.fields if f in values or f.startswith("custom_data.")}
    known = {field: values.get(field, "") for field in own}
    try:
        text = template.render({**dict.fromkeys(template.fields, _ANY), **known})
    except NoValue as error:
        hint = "; strip_time leaves it out of the manifest" if error.field == "build_time" else ""
        missing = error.field.removeprefix("custom_data.")
        if hints and missing not in {error.field, *data}:
            hint = nearest(missing, data)
        raise ValueError(f"{error}{hint}") from None
    if own == template.fields and (told := violation_of(name, text)):
        raise ValueError(told)
    return template


def _twice(builds: Sequence[Build]) -> Iterator[Violation]:
    first: dict[tuple[str, str], str] = {}
    for build in builds:
        path = build.path.replace("custom_data", "artifact_id")
        for region, image_id in build.images:
            if before := first.get((region, image_id)):
                yield Violation(path, f"{image_id} in {region} stands at {before} already")
            first.setdefault((region, image_id), path)


def _slips(build: Build) -> Iterator[Violation]:
    """The keys that are data, but look like slips."""
    for key in build.data:
        if key in _SETS or key.startswith("Tag."):
            continue
        hint = nearest(key, _SETS[:-1], _LIKE_ENOUGH)
        if re.match(r"tags?[^a-z0-9]", key, re.IGNORECASE):
            hint = "; did you mean Tag.<key>?"
        if hint:
            told = f"{short(key)} sets nothing, it is data{hint}"
            yield Violation(f"{build.path}/{pointer_step(key)}", told)


def _nothing(build: Build) -> Violation:
    keys = ", ".join(map(short, list(build.data)[:5])) or "no key at all"
    told = f"nothing to set: at least one of {', '.join(_SETS)} is needed, there is {keys}"
    return Violation(build.path, "; ".join([told, *(s.message for s in list(_slips(build))[:5])]))


def _no_build(builds: list[dict[str, Any]], run: str) -> str:
    there = Counter((build["builder_type"], build["packer_run_uuid"] == run) for build in builds)
    found = ", ".join(
        f"{count} by {short(builder)} of {'this' if is_last else 'another'} run"
        for (builder, is_last), count in there.most_common(5)
    )
    return f"none of the last run, {short(run)}, is by {BUILDER}; there are {found}"
