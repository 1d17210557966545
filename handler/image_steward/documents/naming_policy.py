"""Naming policies: the document `Normalise`, with its templates parsed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from image_steward.clock import utc
from image_steward.documents.validation import NO_REGION, Violations, validate
from image_steward.errors import InvalidDocument, Violation
from image_steward.limits import TAG_VALUE_LENGTH
from image_steward.model import Image
from image_steward.naming.fields import FIELDS, TEXT_ATTRIBUTES
from image_steward.naming.patterns import Glob
from image_steward.naming.style import Style
from image_steward.naming.templates import Template
from image_steward.naming.temporary import is_temporary
from image_steward.naming.text import value_error

MAX_CHANGES = 100
"""Images that one run may change, unless the policy sets another limit."""


@dataclass(frozen=True)
class Select:
    """Selects the images of a policy; an image must match every condition."""

    attributes: dict[str, Glob]
    tags: tuple[tuple[Glob, Glob], ...]
    """Pairs of key and value: some tag of the image must match both."""
    older_than: float | None
    """Seconds."""

    @cached_property
    def owner(self) -> str:
        """Marks temporary names as this policy's: an image left with one is still selected."""
        globs = {name: glob.text for name, glob in self.attributes.items()}
        return f"{zlib.crc32(repr(globs).encode()):08x}-" if globs else ""

    def may_deselect(self, key: str, template: Template) -> bool:
        """Whether an image may no longer be selected once it has this tag."""
        value = "" if template.fields else template.render({})
        value = value if len(value) <= TAG_VALUE_LENGTH else ""  # it will be cut
        globs = [glob for name, glob in self.tags if name.matches(key)]
        return not all(glob.text == "*" or (value and glob.matches(value)) for glob in globs)

    def mismatch(self, image: Image, now: float) -> str:
        """Why an image is not selected at `now` (seconds since the epoch); empty if it is."""
        if self.attributes and not is_temporary(image.name, self.owner):
            for name, glob in self.attributes.items():
                if not glob.matches(str(image.attributes[name])):
                    return f"{name} does not match {glob.text}"
        for key, value in self.tags:
            if not any(key.matches(k) and value.matches(v) for k, v in image.tags.items()):
                return f"no tag matches {key.text} = {value.text}"
        if self.older_than is not None:
            if not image.facts["CreatedTime"]:
                return "CreatedTime is unknown"
            if image.facts["CreatedTime"] > utc(now - self.older_than):
                return f"it is younger than {self.older_than / 3600:g} hours"
        return ""


@dataclass(frozen=True)
class NamingPolicy:
    """A naming policy: the member `Normalise` of a document."""

    regions: tuple[str, ...]
    select: Select
    style: Style
    templates: dict[str, Template]
    """By attribute, in the order of `TEXT_ATTRIBUTES`."""
    tags: dict[str, Template]
    """By key. Tags that may deselect an image come last, since one call sets only some of them."""
    number_on_conflict: bool
    """Whether a taken name gets a number; otherwise the newer image keeps its old name."""
    keep_latest: int
    """Images of each family that are not deprecated; 0: leave ImageDeprecated alone."""
    max_changes: int
    dry_run: bool = False

    @property
    def region_paths(self) -> dict[str, str]:
        """The JSON Pointer of each region."""
        return {region: f"/Normalise/Regions/{i}" for i, region in enumerate(self.regions)}

    @property
    def tag_paths(self) -> dict[str, str]:
        """The JSON Pointer of each tag."""
        return dict.fromkeys(self.tags, "/Normalise/Tags")

    @cached_property
    def fields(self) -> frozenset[str]:
        """The names of the fields in all templates."""
        templates = (*self.templates.values(), *self.tags.values())
        return frozenset().union(*(template.fields for template in templates))

    @cached_property
    def feedback_paths(self) -> int:
        """How many of four paths there are from what the policy writes to what it reads.

        It writes attributes or tags, and reads them in templates or in Select. With no path the
        policy is stable. With one path, an image that has only the attributes or only the tags of
        a plan looks to the policy like the image before or after the whole plan. With more, such
        an image may get other values, or be skipped.
        """
        name = self.templates.get("ImageName")
        # The ImageName template reads the old name, all others the new one.
        read = self.fields - {"ImageName"} | (name.fields if name else set())
        rendered = (read & self.templates.keys(), read & {f"Tag.{key}" for key in self.tags})
        return sum(map(bool, (*rendered, *self._deselects)))

    @cached_property
    def may_regroup(self) -> bool:
        """Whether KeepLatest may rank different images once some of them have been written."""
        return self.keep_latest > 0 and any(self._deselects)

    @property
    def phases(self) -> tuple[tuple[str, ...], ...]:
        """The order of writes: first what cannot deselect an image that is only half done."""
        return (("attributes",), ("tags",)) if self._deselects[1] else (("tags",), ("attributes",))

    @property
    def blocking_statuses(self) -> tuple[str, ...]:
        """The statuses that exclude an image from the last phase.

        If the last phase deselects images, a failed write of an earlier phase could never be
        retried.
        """
        return ("pending", "failed") if any(self._deselects) else ("pending",)

    @cached_property
    def _deselects(self) -> tuple[bool, bool]:
        """Whether the attributes, and the tags, that it writes may deselect an image."""
        tags = (self.select.may_deselect(key, value) for key, value in self.tags.items())
        return bool(self.select.attributes.keys() & self.templates.keys()), any(tags)


def read(document: dict[str, Any], region: str, _known: object = ()) -> NamingPolicy:
    """Read a naming policy; `region` is the default for Regions.

    Raises:
        InvalidDocument: lists every violation of the schema, or every invalid template and
            duplicate tag; or no region is known.
    """
    validate("naming-policy", document)
    body = document["Normalise"]
    if not region and "Regions" not in body:
        raise InvalidDocument(Violation("/Normalise", NO_REGION))
    tags, style, select = body.get("Tags", ()), body.get("Style", {}), _select(body)
    texts = {name: body[name] for name in TEXT_ATTRIBUTES if name in body}
    texts |= {f"Tags/{i}/Value": tag["Value"] for i, tag in enumerate(tags)}
    templates: dict[str, Template] = {}
    violations = Violations()
    for path, text in texts.items():
        try:
            templates[path] = Template.parse(text, FIELDS, violations.nearest)
        except ValueError as error:  # noqa: PERF203 - report all of them
            violations.add(f"/Normalise/{path}", str(error))
    keys = [tag["Key"] for tag in tags]
    for i, key in enumerate(keys):
        if problem := value_error("TagKey", key):
            violations.add(f"/Normalise/Tags/{i}/Key", f"the tag key {problem}")
        if key in keys[:i]:
            violations.add(f"/Normalise/Tags/{i}/Key", f'key "{key}" appears again')
    violations.check()
    by_key = [(key, templates.pop(f"Tags/{i}/Value")) for i, key in enumerate(keys)]
    return NamingPolicy(
        regions=tuple(dict.fromkeys(body.get("Regions", (region,)))),
        select=select,
        style=Style(style.get("Case", "keep"), style.get("Separator", "-")),
        templates=templates,
        tags=dict(sorted(by_key, key=lambda tag: select.may_deselect(*tag))),
        number_on_conflict=body.get("OnConflict", "number") == "number",
        keep_latest=int(body.get("KeepLatest", 0)),
        max_changes=int(body.get("MaxChanges", MAX_CHANGES)),
        dry_run=document.get("DryRun", False),
    )


def _select(body: dict[str, Any]) -> Select:
    given = body.get("Select", {})
    tags = ((Glob(tag["Key"]), Glob(tag.get("Value", "*"))) for tag in given.get("Tags", ()))
    hours = given.get("OlderThanHours")
    return Select(
        {name: Glob(given[name]) for name in ("ImageName", "ImageFamily") if name in given},
        tuple(tags),
        None if hours is None else hours * 3600,
    )
