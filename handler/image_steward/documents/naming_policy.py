"""Naming policies: the document `Normalise`, typed, its templates read."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from image_steward.clock import utc
from image_steward.documents.validation import NO_REGION, validate
from image_steward.errors import InvalidDocument, Violation
from image_steward.limits import TAG_VALUE_LENGTH
from image_steward.model import Image
from image_steward.naming.fields import FIELDS, TEXTS
from image_steward.naming.patterns import Glob
from image_steward.naming.style import Style
from image_steward.naming.templates import Template
from image_steward.naming.temporary import is_temporary

MAX_CHANGES = 100
"""Images that one run may change, unless the policy says otherwise."""

OPT_OUT = ("image-steward", "ignore")
"""An image with this tag is never touched."""


@dataclass(frozen=True)
class Select:
    """Which of the images a policy is for; all that is given must match."""

    attributes: dict[str, Glob]
    tags: tuple[tuple[Glob, Glob], ...]
    """Pairs of key and value: some tag of the image must match both."""
    older_than: float | None
    """Seconds."""

    @cached_property
    def mark(self) -> str:
        """What temporary names get, so that an image left with one is still selected."""
        globs = {name: glob.text for name, glob in self.attributes.items()}
        return f"{zlib.crc32(repr(globs).encode()):08x}-" if globs else ""

    def may_end_by(self, key: str, written: Template) -> bool:
        """Whether an image that gets this tag may not be selected any more."""
        value = "" if written.fields else written.render({}).strip()
        value = value if len(value) <= TAG_VALUE_LENGTH else ""  # cut somewhere, then
        if key == OPT_OUT[0] and value in ("", OPT_OUT[1]):
            return True
        globs = [glob for name, glob in self.tags if name.matches(key)]
        return not all(glob.text == "*" or (value and glob.matches(value)) for glob in globs)

    def mismatch(self, image: Image, now: float) -> str:
        """Why an image is not selected, `now` (seconds since the epoch); empty if it is."""
        if self.attributes and not is_temporary(image.name, self.mark):
            for name, glob in self.attributes.items():
                if not glob.matches(str(image.attributes[name])):
                    return f"{name} is not {glob.text}"
        for key, value in self.tags:
            if not any(key.matches(k) and value.matches(v) for k, v in image.tags.items()):
                return f"no tag {key.text} is {value.text}"
        if self.older_than is not None:
            if not image.facts["CreatedTime"]:
                return "CreatedTime is not known"
            if image.facts["CreatedTime"] > utc(now - self.older_than):
                return f"it is younger than {self.older_than / 3600:g} hours"
        return ""


@dataclass(frozen=True)
class NamingPolicy:
    """A naming policy, as section `Normalise` of a document gives it."""

    regions: tuple[str, ...]
    select: Select
    style: Style
    templates: dict[str, Template]
    """By attribute, in the order of `TEXTS`."""
    tags: dict[str, Template]
    """By key. Those that it selects by come last, as a call takes only some."""
    numbers: bool
    """Whether names that are taken get numbers; else the later images keep theirs."""
    keep_latest: int
    """Images of each family that stay un-deprecated; 0: deprecation is left alone."""
    max_changes: int
    dry_run: bool = False

    @cached_property
    def later(self) -> dict[str, Template]:
        """Its templates for attributes other than `ImageName`."""
        return {name: t for name, t in self.templates.items() if name != "ImageName"}

    @cached_property
    def fields(self) -> frozenset[str]:
        """The names of all the fields in its templates."""
        return self.later_fields | self._name_fields

    @cached_property
    def later_fields(self) -> frozenset[str]:
        """The same without the template of `ImageName`: these see the new name."""
        return frozenset().union(
            *(template.fields for template in [*self.later.values(), *self.tags.values()])
        )

    @cached_property
    def after_name(self) -> tuple[dict[str, Template], dict[str, Template]]:
        """Its templates for attributes and for tags that see the new name."""
        return (
            {n: t for n, t in self.later.items() if "ImageName" in t.fields},
            {key: t for key, t in self.tags.items() if "ImageName" in t.fields},
        )

    @cached_property
    def renders_what_it_writes(self) -> bool:
        """Whether its templates may give other texts for its own outcome."""
        return bool(self._own_attributes or self._own_tags)

    @cached_property
    def selects_by_what_it_writes(self) -> bool:
        """Whether its own outcome may be selected no more."""
        return bool(self._marks or self._selecting_attributes)

    @cached_property
    def regroups(self) -> bool:
        """Whether KeepLatest may rank other images when some of them have been written."""
        return bool(self.keep_latest) and self.selects_by_what_it_writes

    @cached_property
    def selects_by_both(self) -> bool:
        """Whether it selects by attributes and by tags that it writes: one of them comes first."""
        return bool(self._marks and self._selecting_attributes)

    @cached_property
    def can_be_torn(self) -> bool:
        """Whether it may want something else, or nothing, of an image that has its half of a plan.

        Templates that read attributes or tags only see in a half what they see before or after.
        """
        is_mixed = bool(self._own_attributes and self._own_tags)
        renders_selected = self.renders_what_it_writes and self.selects_by_what_it_writes
        return is_mixed or renders_selected or self.selects_by_both

    @cached_property
    def phases(self) -> tuple[tuple[str, ...], ...]:
        """What of an image is written first, and last: one half done is still selected."""
        return (("attributes",), ("tags",)) if self._marks else (("tags",), ("attributes",))

    @cached_property
    def held_by(self) -> tuple[str, ...]:
        """The statuses of an image in which that is not written.

        What has failed for good could never be tried again, if writing it ends the selection.
        """
        return ("pending", "failed") if self.selects_by_what_it_writes else ("pending",)

    @cached_property
    def _name_fields(self) -> frozenset[str]:
        named = self.templates.get("ImageName")
        return named.fields if named else frozenset()

    @cached_property
    def _own_attributes(self) -> frozenset[str]:
        """The attributes that it writes and reads as they were."""
        return ((self.later_fields - {"ImageName"}) | self._name_fields) & self.templates.keys()

    @cached_property
    def _own_tags(self) -> frozenset[str]:
        """The fields of tags that it writes and reads."""
        return self.fields & {f"Tag.{key}" for key in self.tags}

    @cached_property
    def _selecting_attributes(self) -> frozenset[str]:
        """The attributes that it writes and selects by."""
        return frozenset(self.select.attributes.keys() & self.templates.keys())

    @cached_property
    def _marks(self) -> list[str]:
        """The keys of tags that it writes and selects by, so that writing may end that."""
        return [key for key, value in self.tags.items() if self.select.may_end_by(key, value)]

    def keeps(self, name: str, base: str) -> bool:
        """Whether an image that is called `name` may keep it, the template giving `base`."""
        return self.style.fits(name, base) if self.numbers else name == base


def read(document: dict[str, Any], region: str) -> NamingPolicy:
    """A naming policy; `region` is used if it names none.

    Raises:
        InvalidDocument: every breach of the schema, or every template that cannot be read and
            every tag that is there twice; no region is known.
    """
    validate("naming-policy", document)
    body = document["Normalise"]
    if not region and "Regions" not in body:
        raise InvalidDocument(Violation("/Normalise", NO_REGION))
    violations: list[Violation] = []
    found: dict[str, Template] = {}
    for path, text in _texts(body):
        try:
            found[path] = Template.parse(text, FIELDS)
        except ValueError as error:  # noqa: PERF203 - every wrong one is to be named
            violations.append(Violation(f"/Normalise/{path}", str(error)))
    keys = [tag["Key"] for tag in body.get("Tags", ())]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            violations.append(Violation(f"/Normalise/Tags/{i}/Key", f"{key} is there already"))
    if violations:
        raise InvalidDocument(*violations)
    select, style = _select(body.get("Select", {})), body.get("Style", {})
    tags = [(key, found[f"Tags/{i}/Value"]) for i, key in enumerate(keys)]
    return NamingPolicy(
        regions=tuple(dict.fromkeys(body.get("Regions", ()))) or (region,),
        select=select,
        style=Style(style.get("Case", "keep"), style.get("Separator", "-")),
        templates={name: found[name] for name in TEXTS if name in found},
        tags=dict(sorted(tags, key=lambda tag: select.may_end_by(*tag))),
        numbers=body.get("OnConflict", "number") == "number",
        keep_latest=int(body.get("KeepLatest", 0)),
        max_changes=int(body.get("MaxChanges", MAX_CHANGES)),
        dry_run=document.get("DryRun", False),
    )


def _texts(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in TEXTS:
        if name in body:
            yield name, body[name]
    for i, tag in enumerate(body.get("Tags", ())):
        yield f"Tags/{i}/Value", tag["Value"]


def _select(given: dict[str, Any]) -> Select:
    hours = given.get("OlderThanHours")
    return Select(
        attributes={
            name: Glob(given[name]) for name in ("ImageName", "ImageFamily") if name in given
        },
        tags=tuple(
            (Glob(tag["Key"]), Glob(tag.get("Value", "*"))) for tag in given.get("Tags", ())
        ),
        older_than=None if hours is None else hours * 3600,
    )
