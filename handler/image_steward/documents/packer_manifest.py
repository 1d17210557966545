"""Packer manifests, as written by the post-processor `manifest`, with their templates parsed.

Packer appends each build to the file, and keeps the builds of earlier runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from image_steward import limits
from image_steward.clock import utc
from image_steward.documents.validation import Violations, validate
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
"""The fields of templates in `custom_data`."""

_SETTABLE = (*fields.TEXT_ATTRIBUTES, "ImageDeprecated", "KeepLatest", "Tag.<key>")
_TYPO_CUTOFF = 0.8
"""Similarity at which a data key looks like a misspelt settable key."""
_MAX_HINTS, _MAX_KEYS = 20, 100
"""Typos reported, and data keys of a build that are looked at for one: that takes time."""
_MAX_VALUES = 4096
"""Characters of all the values that one template takes from the manifest."""
_PLACEHOLDER = "2026-01-01T00:00:00Z"
"""Stands in for values that only the image has; valid as a text and as a time."""


@dataclass(frozen=True)
class Build:
    """One build: its image, the copies, and what `custom_data` sets on them."""

    path: str
    """The JSON Pointer of its `custom_data`."""
    images: tuple[tuple[str, str], ...]
    """Pairs of region and image id."""
    data: dict[str, str]
    """Its `custom_data`."""
    values: dict[str, str]
    """The values of template fields that come from the manifest."""
    templates: dict[str, Template]
    """By key of `custom_data`: attributes in the order of `TEXT_ATTRIBUTES`, then `Tag.…`."""
    deprecated: bool | None
    keep_latest: int
    """Images of the family that are not deprecated; 0: leave the others alone."""


@dataclass(frozen=True)
class PackerManifest:
    """The builds of the last run by our builder that set something."""

    builds: tuple[Build, ...]
    warnings: tuple[Violation, ...]
    """Data keys that look like typos."""
    dry_run: bool = False
    """A manifest cannot ask for a dry run; STEWARD_DRY_RUN can."""

    @cached_property
    def by_region(self) -> dict[str, dict[str, Build]]:
        """The build that made each image, by region and image id."""
        builds: dict[str, dict[str, Build]] = {}
        for build in self.builds:
            for region, image_id in build.images:
                builds.setdefault(region, {})[image_id] = build
        return builds

    @property
    def region_paths(self) -> dict[str, str]:
        """The JSON Pointer of the first artifact in each region."""
        pairs = [
            (r, b.path.replace("custom_data", "artifact_id"))
            for b in self.builds
            for r, _ in b.images
        ]
        return dict(reversed(pairs))

    @property
    def tag_paths(self) -> dict[str, str]:
        """The JSON Pointer of each tag."""
        return {
            name.removeprefix("Tag."): f"{build.path}/{pointer_step(name)}"
            for build in self.builds
            for name in build.templates
            if name.startswith("Tag.")
        }

    @property
    def image_ids(self) -> dict[str, list[str]]:
        """The ids of the images, by region."""
        return {region: list(images) for region, images in self.by_region.items()}


def read(document: dict[str, Any], _region: str = "") -> PackerManifest:
    """Read a manifest; each artifact names its own region.

    Raises:
        InvalidDocument: lists every violation of the schema; or every invalid artifact id, value
            and template; or no build of the last run is ours, or none sets anything.
    """
    validate("packer-manifest", document)
    run = document["last_run_uuid"]
    ours = {
        f"/builds/{i}": build
        for i, build in enumerate(document["builds"])
        if build["builder_type"] == BUILDER and build["packer_run_uuid"] == run
    }
    if not ours:
        raise InvalidDocument(Violation("/builds", _no_matching_build(document["builds"], run)))
    violations = Violations()
    builds = [_read_build(path, body, violations) for path, body in ours.items()]
    _check_duplicates(builds, violations)
    count, limit = sum(len(build.images) for build in builds), limits.IMAGES_PER_REQUEST
    if count > limit:
        message = f"the last run has {count:,} images; at most {limit:,} are allowed"
        violations.add("/builds", message)
    violations.check()
    active = [b for b in builds if b.templates or b.keep_latest or b.deprecated is not None]
    if not active:
        raise InvalidDocument(*map(_nothing_to_set, builds[:_MAX_HINTS]))
    typos = (typo for build in builds for typo in _typos(build))
    return PackerManifest(tuple(active), tuple(islice(typos, _MAX_HINTS)))


def length_error(name: str, text: str) -> str:
    """Why the length of a value, of an attribute or `Tag.…`, is not allowed; empty if it is."""
    least, most = limits.LENGTHS.get(name.partition(".")[0], (0, len(text)))
    if least <= len(text) <= most:
        return ""
    return f"{short(text)} has {len(text)} characters; {least} to {most} are allowed"


def _read_build(path: str, body: dict[str, Any], violations: Violations) -> Build:
    """Read one build, and add its errors to `violations`."""
    images = tuple(_artifacts(body["artifact_id"], f"{path}/artifact_id", violations))
    path = f"{path}/custom_data"
    data: dict[str, str] = body.get("custom_data") or {}
    values = {f"custom_data.{key}": value for key, value in data.items()}
    values["build_time"] = utc(body["build_time"]) if "build_time" in body else ""
    values["packer_run_uuid"] = body["packer_run_uuid"]

    def add(key: str, message: str) -> None:
        violations.add(f"{path}/{pointer_step(key)}", message)

    templates: dict[str, Template] = {}
    tags = [name for name in data if name.startswith("Tag.")]
    if len(tags) > limits.TAGS_PER_IMAGE:
        message = f"sets {len(tags)} tags; at most {limits.TAGS_PER_IMAGE} are allowed"
        violations.add(path, message)
        tags = []
    for name in (*(name for name in fields.TEXT_ATTRIBUTES if name in data), *tags):
        try:
            templates[name] = _template(name, data, values, violations)
        except ValueError as error:  # noqa: PERF203 - report all of them
            add(name, str(error))
    deprecated, keep_latest = data.get("ImageDeprecated"), data.get("KeepLatest")
    if deprecated not in {None, "true", "false"}:
        add("ImageDeprecated", f'is {short(str(deprecated))}; must be "true" or "false"')
    if deprecated is not None and keep_latest is not None:
        add("ImageDeprecated", "cannot be combined with KeepLatest, which sets it")
    number = re.fullmatch("[1-9][0-9]{0,5}", keep_latest or "")
    if keep_latest is not None and not number:
        add("KeepLatest", f'is {short(keep_latest)}; must be a number from "1" to "999999"')
    is_deprecated = None if deprecated is None else deprecated == "true"
    latest = int(number[0]) if number else 0
    return Build(path, images, data, values, templates, is_deprecated, latest)


def _artifacts(text: str, path: str, violations: Violations) -> Iterator[tuple[str, str]]:
    """Yield region and id of the image and its copies (packer-plugin-tencentcloud, artifact.go)."""
    parts = text.split(",", limits.IMAGES_PER_REQUEST)
    if len(parts) > limits.IMAGES_PER_REQUEST:
        violations.add(path, f"has more than {limits.IMAGES_PER_REQUEST:,} images")
    for part in parts[: limits.IMAGES_PER_REQUEST]:
        region, _, image_id = part.strip().partition(":")
        if is_region(region) and re.fullmatch("img-[0-9a-z]+", image_id):
            yield region, image_id
        else:
            allowed = "must be a list of <region>:<image id>, such as ap-guangzhou:img-6pb6lrmy"
            violations.add(path, f"contains {short(part)}; {allowed}")


def _template(
    name: str, data: dict[str, str], values: dict[str, str], violations: Violations
) -> Template:
    """Parse the template of a key, and render it with placeholders for what only the image has.

    Raises:
        ValueError: what is wrong, and what may have been meant.
    """
    key = name.removeprefix("Tag.")
    if len(key) > (limit := limits.TAG_KEY_LENGTH) or not key:
        raise ValueError(f"the tag key has {len(key)} characters; 1 to {limit} are allowed")
    template = Template.parse(data[name], FIELDS)
    own = {f for f in template.fields if f in values or f.startswith("custom_data.")}
    known = {field: values.get(field, "") for field in own}
    if (size := sum(map(len, known.values()))) > _MAX_VALUES:
        raise ValueError(f"its fields have {size} characters; at most {_MAX_VALUES} are allowed")
    try:
        text = template.render({**dict.fromkeys(template.fields, _PLACEHOLDER), **known})
    except NoValue as error:
        hint = "; Packer's strip_time removes it" if error.field == "build_time" else ""
        missing = error.field.removeprefix("custom_data.")
        if missing not in {error.field, *data}:
            hint = violations.nearest(missing, islice(data, _MAX_KEYS))
        raise ValueError(f"{error}{hint}") from None
    if own == template.fields and (message := length_error(name, text)):
        raise ValueError(message)
    return template


def _check_duplicates(builds: Sequence[Build], violations: Violations) -> None:
    first: dict[tuple[str, str], str] = {}
    for build in builds:
        path = build.path.replace("custom_data", "artifact_id")
        for region, image_id in build.images:
            if earlier := first.get((region, image_id)):
                violations.add(path, f"{image_id} in {region} is already at {earlier}")
            first.setdefault((region, image_id), path)


def _typos(build: Build) -> Iterator[Violation]:
    """The data keys that look like typos."""
    for key in islice(build.data, _MAX_KEYS):
        if key in _SETTABLE or key.startswith("Tag."):
            continue
        hint = nearest(key, _SETTABLE[:-1], _TYPO_CUTOFF)
        if re.match(r"tags?[^a-z0-9]", key, re.IGNORECASE):
            hint = "; did you mean Tag.<key>?"
        if hint:
            message = f"{short(key)} sets nothing: it is data for templates{hint}"
            yield Violation(f"{build.path}/{pointer_step(key)}", message)


def _nothing_to_set(build: Build) -> Violation:
    keys = ", ".join(map(short, list(build.data)[:5])) or "no keys"
    message = f"nothing to set: at least one of {', '.join(_SETTABLE)} is required; found {keys}"
    hints = [typo.message for typo in _typos(build)][:5]
    return Violation(build.path, "; ".join([message, *hints]))


def _no_matching_build(builds: list[dict[str, Any]], run: str) -> str:
    counts = Counter((build["builder_type"], build["packer_run_uuid"] == run) for build in builds)
    found = ", ".join(
        f"{count} by {short(builder)} in {'this' if is_last else 'another'} run"
        for (builder, is_last), count in counts.most_common(5)
    )
    return f"the last run, {short(run)}, has no build by {BUILDER}; found {found}"
