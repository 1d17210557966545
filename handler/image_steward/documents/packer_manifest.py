"""Packer manifests, as written by the post-processor `manifest`, with their templates parsed.

Packer appends each build to the file, and keeps the builds of earlier runs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, TypeAlias

from image_steward import limits
from image_steward.clock import utc
from image_steward.documents.validation import Violations, validate
from image_steward.errors import InvalidDocument, Violation
from image_steward.messages import nearest, pointer_step, short
from image_steward.model import Rules
from image_steward.naming import fields
from image_steward.naming.patterns import Glob
from image_steward.naming.style import Style
from image_steward.naming.templates import Fields, NoValue, Template
from image_steward.naming.text import clean, value_error
from image_steward.regions import KNOWN, UNKNOWN, is_region

BUILDER = "tencentcloud-cvm"

Entries: TypeAlias = "dict[str, dict[str, Any]]"
"""Entries of `builds`, by JSON Pointer."""

FIELDS = Fields(
    names=(*fields.FIELDS.names, "name", "build_time", "packer_run_uuid"),
    prefixes=(*fields.FIELDS.prefixes, "custom_data."),
    times=(*fields.FIELDS.times, "build_time"),
)
"""The fields of templates in `custom_data`."""

_FIXED = {
    "ImageDeprecated": ("true|false", '"true" or "false"'),
    "KeepLatest": ("[1-9][0-9]{0,5}", 'a number from "1" to "999999"'),
    "CopyTags": ("true|false", '"true" or "false"'),
}
_STYLE = {
    "Style.Case": ("keep|lower|upper", '"keep", "lower" or "upper"'),
    "Style.Separator": ("[-_. ]", '"-", "_", "." or " "'),
    "Style.Charset": ("any|ascii", '"any" or "ascii"'),
    "Style.MaxLength": ("[89]|[1-5][0-9]|60", 'a number from "8" to "60"'),
}
"""The keys whose values are not templates: what is allowed, as a pattern and in words."""
_KEYS = (*fields.TEXT_ATTRIBUTES, *_FIXED, *_STYLE)
_TYPO_CUTOFF = 0.8
"""Similarity at which a data key looks like a misspelt settable key."""
_MAX_HINTS, _MAX_KEYS, _MAX_ALL_KEYS = 20, 100, 1000
"""Typos reported, and keys of a build and of all that are looked at for one: that takes time."""
_MAX_VALUES = 4096
"""Characters of all the values that one template takes from the manifest."""
_MAX_TIME = 253402300799
"""Of a build: the end of the year 9999."""
_UNRENDERED = re.compile(r"\{\{[^{}]+\}\}|\$\{[^{}]+\}|<no value>")
"""Templates of Packer, and what it writes for a field that it does not know."""
_PLACEHOLDER = "2026-01-01T00:00:00Z"
"""Stands in for values that only the image has; valid as a text and as a time."""


@dataclass(frozen=True)
class Build:
    """One build: its image, the copies, and what `custom_data` sets on them."""

    path: str
    """The JSON Pointer of its first entry in the manifest."""
    images: tuple[tuple[str, str], ...]
    """Pairs of region and image id."""
    data: dict[str, str]
    """Its `custom_data`."""
    paths: dict[str, str]
    """The JSON Pointer of each key of `data`."""
    values: dict[str, str]
    """The values of template fields that come from the manifest."""
    templates: dict[str, Template]
    """By key of `custom_data`: attributes in the order of `TEXT_ATTRIBUTES`, then `Tag.…`."""
    style: Style | None
    """Of the name; None: the name stays as the template yields it."""
    is_active: bool = False
    """Whether it is valid and sets something."""

    @cached_property
    def fields(self) -> frozenset[str]:
        """The names of the fields in all templates."""
        return frozenset().union(*(template.fields for template in self.templates.values()))


@dataclass(frozen=True)
class PackerManifest:
    """The builds of the last run by our builder."""

    builds: tuple[Build, ...]
    """The active ones."""
    others: tuple[Build, ...]
    """Those that are left out."""
    errors: tuple[Violation, ...]
    """Of the builds that are left out."""
    warnings: tuple[Violation, ...]
    """Data that was probably meant otherwise."""
    dry_run: bool = False
    """A manifest cannot ask for a dry run; STEWARD_DRY_RUN can."""
    protected_tags: tuple[Glob, ...] = ()
    """Keys of tags that are not copied."""

    _replace = replace  # as a NamedTuple has it: all requests are changed alike

    @property
    def region_paths(self) -> dict[str, str]:
        """The JSON Pointer of the first artifact in each region."""
        pairs = [(r, f"{b.path}/artifact_id") for b in self.builds for r, _ in b.images]
        return dict(reversed(pairs))

    @property
    def tag_paths(self) -> dict[str, str]:
        """The JSON Pointer of each tag."""
        tags = ((b, name) for b in self.builds for name in b.templates if name.startswith("Tag."))
        return {name.removeprefix("Tag."): build.paths[name] for build, name in tags}

    @property
    def rules(self) -> Rules:
        """What its builds set, keep and copy; with their paths if there are several builds."""
        is_alone = len(self.builds) == 1
        data = ((b.paths, key, text) for b in self.builds for key, text in b.data.items())
        rules = (rule for rule in data if rule[1] in _KEYS or rule[1].startswith("Tag."))
        return tuple((key if is_alone else paths[key], text) for paths, key, text in rules)

    @cached_property
    def image_ids(self) -> dict[str, list[str]]:
        """The ids of the images, by region."""
        images = [image for build in self.builds for image in build.images]
        regions = dict.fromkeys(region for region, _ in images)
        return {region: [i for r, i in images if r == region] for region in regions}


def read(
    document: dict[str, Any], _region: str = "", known: Collection[str] = KNOWN
) -> PackerManifest:
    """Read a manifest; each artifact names its own region, one of those that are `known`.

    Packer may list an artifact more than once: its entries are one build.

    Raises:
        InvalidDocument: lists every violation of the schema; or, if builds contradict each other
            or none is valid, every error of every build; or no build of the last run is ours, or
            none sets anything.
    """
    validate("packer-manifest", document)
    run = document["last_run_uuid"]
    ours: dict[object, Entries] = {}
    """The entries of each artifact, by path; an artifact is its images, in any order."""
    for i, entry in enumerate(document["builds"]):
        if entry["builder_type"] == BUILDER and entry["packer_run_uuid"] == run:
            path = f"/builds/{i}"
            parts = frozenset(map(str.strip, entry["artifact_id"].split(",")))
            ours.setdefault(path if parts == {""} else parts, {})[path] = entry
    if not ours:
        raise InvalidDocument(Violation("/builds", _no_matching_build(document["builds"], run)))
    conflicts, errors = Violations(), Violations(fatal=False)
    builds = [_read_build(entries, known, conflicts, errors) for entries in ours.values()]
    _check_images(builds, conflicts)
    active = tuple(build for build in builds if build.is_active)
    if conflicts or not active:
        conflicts.extend(errors)
        conflicts.check()
        raise InvalidDocument(*map(_nothing_to_set, builds[:_MAX_HINTS]))
    warnings = islice(_warnings(builds), _MAX_HINTS)
    others = tuple(build for build in builds if not build.is_active)
    return PackerManifest(active, others, tuple(errors), tuple(warnings))


def _read_build(
    entries: Entries, known: Collection[str], conflicts: Violations, errors: Violations
) -> Build:
    """Read a build from its entries, by path; adds contradictions to `conflicts`."""
    path, entry = next(iter(entries.items()))
    count = errors.count
    images = tuple(_artifacts(entry["artifact_id"], f"{path}/artifact_id", known, errors))
    data, paths = _merged(entries, conflicts)
    time = entry.get("build_time", 0)  # 0: a version without strip_time has written it
    values = {f"custom_data.{key}": value for key, value in data.items()}
    values["name"] = entry.get("name", "")
    values["build_time"] = utc(time) if 0 < time <= _MAX_TIME else ""
    values["packer_run_uuid"] = entry["packer_run_uuid"]
    valid: dict[str, str] = {}
    for name, (pattern, allowed) in (_FIXED | _STYLE).items():
        if name in data and re.fullmatch(pattern, data[name]):
            valid[name] = data[name]
        elif name in data:
            hint = errors.nearest(data[name], allowed.split('"')[1::2])
            errors.add(paths[name], f"is {short(data[name])}; must be {allowed}{hint}")
    if {"ImageDeprecated", "KeepLatest"} <= data.keys():
        errors.add(paths["ImageDeprecated"], "cannot be combined with KeepLatest, which sets it")
    if (given := _STYLE.keys() & data.keys()) and "ImageName" not in data:
        errors.add(paths[min(given)], "requires ImageName, whose style it sets")
    style = Style.of({name.removeprefix("Style."): text for name, text in valid.items()})
    build = Build(path, images, data, paths, values, {}, style if given else None)
    tags = [name for name in data if name.startswith("Tag.")]
    if len(tags) > limits.TAGS_PER_IMAGE:
        message = f"sets {len(tags)} tags; at most {limits.TAGS_PER_IMAGE} are allowed"
        errors.add(f"{path}/custom_data", message)
        tags = []
    for name in (*(name for name in fields.TEXT_ATTRIBUTES if name in data), *tags):
        try:
            build.templates[name] = _template(name, build, errors)
        except ValueError as error:  # noqa: PERF203 - report all of them
            errors.add(paths[name], str(error))
    sets_something = build.templates or _FIXED.keys() & data.keys()
    return replace(build, is_active=bool(sets_something) and errors.count == count)


def _merged(entries: Entries, conflicts: Violations) -> tuple[dict[str, str], dict[str, str]]:
    """The `custom_data` of all entries of a build, and the JSON Pointer of each key."""
    data: dict[str, str] = {}
    paths: dict[str, str] = {}
    for path, entry in entries.items():
        for key, text in (entry.get("custom_data") or {}).items():
            # What a command prints ends in a line break.
            value = text.rstrip("\r\n") if key == "Style.Separator" else clean(text)
            here = f"{path}/custom_data/{pointer_step(key)}"
            if (other := data.setdefault(key, value)) != value:
                message = f"is {short(value)}, but {short(other)} at {paths[key]}"
                conflicts.add(here, f"{message}, for the same images")
            paths.setdefault(key, here)
    return data, paths


def _artifacts(
    text: str, path: str, known: Collection[str], errors: Violations
) -> Iterator[tuple[str, str]]:
    """Yield region and id of the image and its copies (packer-plugin-tencentcloud, artifact.go)."""
    parts = text.split(",", limits.IMAGES_PER_REQUEST)
    if len(parts) > limits.IMAGES_PER_REQUEST:
        errors.add(path, f"has more than {limits.IMAGES_PER_REQUEST:,} images")
    for part in dict.fromkeys(part.strip() for part in parts[: limits.IMAGES_PER_REQUEST]):
        region, _, image_id = part.partition(":")
        is_image = is_region(region) and re.fullmatch("img-[0-9a-z]+", image_id)
        if is_image and region in known:
            yield region, image_id
        else:
            problem = "must be a list of <region>:<image id>, such as ap-guangzhou:img-6pb6lrmy"
            if is_image:
                problem = f"{short(region)} {UNKNOWN}{errors.nearest(region, known)}"
            errors.add(path, f"contains {short(part)}; {problem}")


def usable(name: str, text: str, style: Style | None) -> str:
    """What a rendered text sets, as a name in its style.

    Raises:
        ValueError: no document may set it.
    """
    styled = style.apply(text) if style and name == "ImageName" else text
    if error := value_error(name, styled):
        raise ValueError(f"{short(text)} is empty in its style" if text and not styled else error)
    return styled


def _template(name: str, build: Build, violations: Violations) -> Template:
    """Parse the template of a key, and render it with placeholders for what only the image has.

    Raises:
        ValueError: what is wrong, and what may have been meant.
    """
    key = name.removeprefix("Tag.")
    if problem := value_error("TagKey", key):
        raise ValueError(f"the tag key {problem}")
    data, values = build.data, build.values
    template = Template.parse(data[name], FIELDS, violations.nearest, values)
    own = (f for f in template.fields if f in values or f.startswith("custom_data."))
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
    if known.keys() == template.fields:
        usable(name, text, build.style)
    return template


def _check_images(builds: Sequence[Build], conflicts: Violations) -> None:
    """Check that each image is of one build, and that there are not too many."""
    first: dict[tuple[str, str], str] = {}
    for build in builds:
        path = f"{build.path}/artifact_id"
        for image in build.images:
            if (earlier := first.setdefault(image, path)) != path:
                message = f"{image[1]} in {image[0]} is already at {earlier}, with other images"
                conflicts.add(path, message)
    if len(first) > (limit := limits.IMAGES_PER_REQUEST):
        message = f"the last run has {len(first):,} images; at most {limit:,} are allowed"
        conflicts.add("/builds", message)


def _warnings(builds: Iterable[Build]) -> Iterator[Violation]:
    """Keys that look like typos, and templates that Packer has not filled in."""
    keys = ((build, key) for build in builds for key in islice(build.data, _MAX_KEYS))
    for build, key in islice(keys, _MAX_ALL_KEYS):
        value, path = build.data[key], build.paths[key]
        if found := _UNRENDERED.search(value):
            yield Violation(path, f"contains {short(found[0])}, which Packer has not filled in")
        if key in _KEYS or key.startswith("Tag.") or f"custom_data.{key}" in build.fields:
            continue
        hint = nearest(key, _KEYS, _TYPO_CUTOFF)
        if re.match(r"(Tags?|tags)$|(?i:tags?[^a-z0-9])", key):
            hint = "; did you mean Tag.<key>?"
        elif not hint and re.match(r"Styles?$|(?i:styles?[^a-z0-9])", key):
            hint = f"; allowed are {', '.join(_STYLE)}"
        if hint:
            yield Violation(path, f"{short(key)} sets nothing: it is data for templates{hint}")


def _nothing_to_set(build: Build) -> Violation:
    keys = ", ".join(map(short, list(build.data)[:5])) or "no keys"
    settable = ", ".join((*fields.TEXT_ATTRIBUTES, *_FIXED, "Tag.<key>"))
    message = f"nothing to set: at least one of {settable} is required; found {keys}"
    hints = [warning.message for warning in _warnings([build])][:5]
    return Violation(f"{build.path}/custom_data", "; ".join([message, *hints]))


def _no_matching_build(builds: list[dict[str, Any]], run: str) -> str:
    kinds = {(short(b["builder_type"]), b["packer_run_uuid"] == run): None for b in builds}
    found = (f"{kind} in {'this' if last else 'another'} run" for kind, last in islice(kinds, 5))
    return f"the last run, {short(run)}, has no build by {BUILDER}; found {', '.join(found)}"
