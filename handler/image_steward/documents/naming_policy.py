"""Naming policies: the document `Normalise`, typed, its templates read."""

from __future__ import annotations

import zlib
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
    def fields(self) -> frozenset[str]:
        """The names of all the fields in its templates."""
        every = (*self.templates.values(), *self.tags.values())
        return frozenset().union(*(template.fields for template in every))

    @cached_property
    def feedback(self) -> int:
        """In how many ways it looks at what it writes: by templates or Select, at either half.

        With none it is stable. With one, it sees in an image that has only its attributes or only
        its tags of a plan what it sees in one before the plan, or after it. With more, it may
        want something else of such a half, or nothing.
        """
        name = self.templates.get("ImageName")
        # The other templates see the new name, this one the old.
        seen = self.fields - {"ImageName"} | (name.fields if name else set())
        rendered = (seen & self.templates.keys(), seen & {f"Tag.{key}" for key in self.tags})
        return sum(map(bool, (*rendered, *self._selected)))

    @cached_property
    def regroups(self) -> bool:
        """Whether KeepLatest may rank other images when some of them have been written."""
        return self.keep_latest > 0 and any(self._selected)

    @property
    def phases(self) -> tuple[tuple[str, ...], ...]:
        """What of an image is written first, and last: one half done is still selected."""
        return (("attributes",), ("tags",)) if self._selected[1] else (("tags",), ("attributes",))

    @property
    def blocking_statuses(self) -> tuple[str, ...]:
        """The statuses with which an image gets nothing of the last phase.

        What has failed for good could never be tried again, if the last phase ends the selection.
        """
        return ("pending", "failed") if any(self._selected) else ("pending",)

    @cached_property
    def _selected(self) -> tuple[bool, bool]:
        """Whether it writes attributes, or tags, such that its outcome may be selected no more."""
        tags = (self.select.may_end_by(key, value) for key, value in self.tags.items())
        return bool(self.select.attributes.keys() & self.templates.keys()), any(tags)


def read(document: dict[str, Any], region: str) -> NamingPolicy:
    """A naming policy; `region` is used if it names none.

    Raises:
        InvalidDocument: every violation of the schema, or every template that cannot be read and
            every tag that is there twice; no region is known.
    """
    validate("naming-policy", document)
    body = document["Normalise"]
    if not region and "Regions" not in body:
        raise InvalidDocument(Violation("/Normalise", NO_REGION))
    tags, style, select = body.get("Tags", ()), body.get("Style", {}), _select(body)
    texts = {name: body[name] for name in TEXTS if name in body}
    texts |= {f"Tags/{i}/Value": tag["Value"] for i, tag in enumerate(tags)}
    found: dict[str, Template] = {}
    violations: list[Violation] = []
    for path, text in texts.items():
        try:
            found[path] = Template.parse(text, FIELDS)
        except ValueError as error:  # noqa: PERF203 - every wrong one is to be named
            violations.append(Violation(f"/Normalise/{path}", str(error)))
    keys = [tag["Key"] for tag in tags]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            violations.append(Violation(f"/Normalise/Tags/{i}/Key", f"{key} is there already"))
    if violations:
        raise InvalidDocument(*violations)
    by_key = [(key, found.pop(f"Tags/{i}/Value")) for i, key in enumerate(keys)]
    return NamingPolicy(
        regions=tuple(dict.fromkeys(body.get("Regions", ()))) or (region,),
        select=select,
        style=Style(style.get("Case", "keep"), style.get("Separator", "-")),
        templates=found,
        tags=dict(sorted(by_key, key=lambda tag: select.may_end_by(*tag))),
        numbers=body.get("OnConflict", "number") == "number",
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
