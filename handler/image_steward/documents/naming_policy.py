"""Naming policies: the document `Normalise`, with its templates parsed."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from image_steward.clock import utc
from image_steward.documents.validation import NO_REGION, Violations, validate
from image_steward.errors import InvalidDocument, Violation
from image_steward.limits import LENGTHS
from image_steward.messages import short
from image_steward.model import FACTS, TAG, Image, Rules, tags_of
from image_steward.naming import derive
from image_steward.naming.derive import Derive
from image_steward.naming.fields import FIELDS, TEXT_ATTRIBUTES, may_change, values_of
from image_steward.naming.patterns import Glob, Pattern
from image_steward.naming.style import Style
from image_steward.naming.templates import Fields, Template
from image_steward.naming.temporary import is_temporary
from image_steward.naming.text import value_error

MAX_CHANGES = 100
"""Images that one run may change, unless the policy sets another limit."""

_WRITABLE = ("ImageName", "ImageFamily")
"""The attributes that Select reads and a policy may write."""
_MAX_SHOWN = 5
"""Patterns that a reason lists."""
_HOUR, _DAY = 3600, 86400
_NO_LIMIT = (0, 1 << 20)


@dataclass(frozen=True)
class Select:
    """Conditions of `Select`, or of an entry of `Except`; an image must meet all of them."""

    attributes: dict[str, tuple[Glob, ...]]
    """By name of an attribute or a fact: patterns, one of which must match."""
    tags: tuple[tuple[Glob, Glob], ...] = ()
    """Pairs of key and value: some tag of the image must match both."""
    older_than: float | None = None
    younger_than: float | None = None
    """Seconds."""

    @cached_property
    def owner(self) -> str:
        """Marks temporary names as this policy's: an image left with one is still selected."""
        globs = {n: [g.text for g in self.attributes[n]] for n in _WRITABLE if n in self.attributes}
        return f"{zlib.crc32(repr(globs).encode()):08x}-" if globs else ""

    def mismatch(self, image: Image) -> str:
        """Which condition an image does not meet, apart from its age; empty if it meets all."""
        is_ours = bool(self.owner) and is_temporary(image.name, self.owner)
        for name, globs in self.attributes.items():
            text = str(image.values[name] if name in _WRITABLE else image.facts[name])
            if not (any(glob.matches(text) for glob in globs) or (is_ours and name in _WRITABLE)):
                shown = " or ".join(glob.text for glob in globs[:_MAX_SHOWN])
                return f"{name} does not match {shown}{' …' if globs[_MAX_SHOWN:] else ''}"
        tags = image.tags if self.tags else {}
        for key, value in self.tags:
            if not any(key.matches(k) and value.matches(v) for k, v in tags.items()):
                return f"no tag matches {key.text} = {value.text}"
        return ""

    def age_mismatch(self, image: Image, now: float) -> str:
        """Why an image does not have the right age at `now` (seconds since the epoch)."""
        created = image.facts["CreatedTime"]
        if not created and (self.older_than, self.younger_than) != (None, None):
            return "CreatedTime is unknown"
        if self.older_than is not None and created > utc(now - self.older_than):
            return f"it is younger than {self.older_than / _HOUR:g} hours"
        if self.younger_than is not None and created <= utc(now - self.younger_than):
            return f"it is older than {self.younger_than / _HOUR:g} hours"
        return ""


@dataclass(frozen=True)
class Retire:
    """Which images of a group stay: the newest; of the others those that are old are retired."""

    keep: int
    group_by: Template
    older_than: float
    """Seconds."""
    path: str
    """Its JSON Pointer."""


@dataclass(frozen=True)
class NamingPolicy:
    """A naming policy: the member `Normalise` of a document."""

    regions: tuple[str, ...]
    select: Select
    excepted: tuple[Select, ...]
    derive: tuple[Derive, ...]
    style: Style
    templates: dict[str, Template]
    """By attribute, in the order of `TEXT_ATTRIBUTES`, then by `Tag.<key>`."""
    deprecated: bool | None
    """The value of ImageDeprecated; None: left alone, or set by `retire`."""
    delete_tags: tuple[Glob, ...]
    number_on_conflict: bool
    """Whether a taken name gets a number; otherwise the newer image keeps its old name."""
    retire: Retire | None
    max_changes: int
    rules: Rules
    dry_run: bool = False
    protected_tags: tuple[Glob, ...] = ()
    """Keys that `delete_tags` leaves out."""

    _replace = replace  # as a NamedTuple has it: all requests are changed alike

    @property
    def region_paths(self) -> dict[str, str]:
        """The JSON Pointer of each region."""
        return {region: f"/Normalise/Regions/{i}" for i, region in enumerate(self.regions)}

    @property
    def tag_paths(self) -> dict[str, str]:
        """The JSON Pointer of each tag that the document names; a glob names none."""
        deleted = (g.text for g in self.delete_tags if not re.search(r"[*?]", g.text))
        paths = dict.fromkeys(deleted, "/Normalise/DeleteTags")
        return {**paths, **dict.fromkeys(tags_of(self.templates), "/Normalise/Tags")}

    @cached_property
    def other_templates(self) -> tuple[tuple[str, Template, int], ...]:
        """All but that of the name: name, template, most characters."""
        others = ((n, t) for n, t in self.templates.items() if n != "ImageName")
        return tuple((n, t, LENGTHS.get(n.split(".")[0], _NO_LIMIT)[1]) for n, t in others)

    @cached_property
    def fields(self) -> frozenset[str]:
        """The names of the fields in all templates."""
        sources = [step.source for step in self.derive]
        sources += [self.retire.group_by] if self.retire else []
        return frozenset().union(*(t.fields for t in (*self.templates.values(), *sources)))

    def reads(self, name: str) -> bool:
        """Whether a value of an image, such as `Tag.team`, decides about what it becomes."""
        selects = (self.select, *self.excepted)
        names = self.fields.union(*(each.attributes for each in selects))
        keys = (key for each in selects for key, _ in each.tags if name.startswith(TAG))
        is_old_name = name == "ImageName" and "OldName" in names
        return name in names or is_old_name or any(key.matches(name[4:]) for key in keys)

    def mismatch(self, image: Image, now: float) -> str:
        """Why Select or Except leaves an image out at `now`, apart from Select's age members."""
        for i, each in enumerate(self.excepted):
            is_hidden = "ImageName" in each.attributes and is_temporary(image.name)
            if not (is_hidden or each.mismatch(image) or each.age_mismatch(image, now)):
                return f"it matches /Normalise/Except/{i}"
        return self.select.mismatch(image)

    def values(self, region: str, image: Image) -> dict[str, Any]:
        """The values of all template fields, by the name that the image has."""
        return self.derived(values_of(self.fields, region, image), {})

    def derived(
        self,
        values: dict[str, Any],
        former: Mapping[str, str],
        changed: Collection[str] | None = None,
    ) -> dict[str, Any]:
        """`values` with the derived fields; one that would be empty keeps its `former` value.

        If only some fields have `changed`, `values` has all others already.
        """
        stale = set(changed or ())
        is_partial = changed is not None and self._reads_final_fields
        for step in self.derive:
            if not is_partial or step.depends_on(stale):
                for name, text in step.apply(values):
                    values[name] = text or former.get(name, "")
                stale.update(step.fields)
        return values

    @cached_property
    def _reads_final_fields(self) -> bool:
        """Whether no step of Derive reads a field that a later step gives once more."""
        last = {name: i for i, step in enumerate(self.derive) for name in step.fields}
        reads = ((i, name) for i, step in enumerate(self.derive) for name in step.source.fields)
        return all(last.get(name, -1) < i for i, name in reads)

    @cached_property
    def changed_fields(self) -> frozenset[str]:
        """The fields that may change with the image, apart from its name."""
        return frozenset((*self.templates, *filter(self.deletes, self.fields))) - {"ImageName"}

    def deletes(self, name: str) -> bool:
        """Whether it deletes a value: a tag."""
        if not name.startswith(TAG) or name in self.templates:
            return False
        key = name.removeprefix(TAG)
        return any(g.matches(key) for g in self.delete_tags) and may_change(
            key, self.protected_tags
        )

    @cached_property
    def last_tags(self) -> frozenset[str]:
        """The tags that may end the selection of an image, by Select or Except."""
        globs = [key for key, value in self.select.tags if value.text != "*"]
        globs += [key for each in self.excepted for key, _ in each.tags]
        tags = tags_of(self.templates)
        return frozenset(f"Tag.{key}" for key in tags if any(g.matches(key) for g in globs))


def read(document: dict[str, Any], region: str, _known: object = ()) -> NamingPolicy:
    """Read a naming policy; `region` is the default for Regions.

    Raises:
        InvalidDocument: lists every violation of the schema, or of the rules beyond it; or no
            region is known.
    """
    validate("naming-policy", document)
    body = document["Normalise"]
    if not region and "Regions" not in body:
        raise InvalidDocument(Violation("/Normalise", NO_REGION))
    sign, hours, minutes = re.findall("[+-]|[0-9]+", body.get("TimeZone", "+00:00"))
    offset = int(f"{sign}{int(hours) * _HOUR + int(minutes) * 60}")
    reader = _Reader(replace(FIELDS, utc_offset=offset))
    steps = [reader.step(*step) for step in enumerate(body.get("Derive", ()))]
    templates = {name: reader.template(name, body) for name in TEXT_ATTRIBUTES if name in body}
    templates |= reader.tags(body.get("Tags", ()))
    retire = reader.retire(body)
    reader.violations.check()
    return NamingPolicy(
        regions=tuple(dict.fromkeys(body.get("Regions", (region,)))),
        select=_select(body.get("Select", {})),
        excepted=tuple(map(_select, body.get("Except", ()))),
        derive=tuple(steps),
        style=Style.of(body.get("Style", {})),
        templates=templates,
        deprecated=body.get("ImageDeprecated"),
        delete_tags=tuple(map(Glob, body.get("DeleteTags", ()))),
        number_on_conflict=body.get("OnConflict", "number") == "number",
        retire=retire,
        max_changes=int(body.get("MaxChanges", MAX_CHANGES)),
        rules=tuple(body.items()),
        dry_run=document.get("DryRun", False),
    )


def _select(given: dict[str, Any]) -> Select:
    texts = {name: given[name] for name in (*_WRITABLE, *FACTS) if name in given}
    globs = {n: tuple(map(Glob, [t] if isinstance(t, str) else t)) for n, t in texts.items()}
    tags = tuple((Glob(tag["Key"]), Glob(tag.get("Value", "*"))) for tag in given.get("Tags", ()))
    ages = (given.get(name) for name in ("OlderThanHours", "YoungerThanHours"))
    return Select(globs, tags, *(hours if hours is None else hours * _HOUR for hours in ages))


class _Reader:
    """Reads the templates of a policy; each step of Derive adds fields for what follows."""

    def __init__(self, fields: Fields) -> None:
        self.violations = Violations()
        self._fields = fields

    def template(self, name: str, given: dict[str, Any], path: str = "") -> Template:
        """The template in a member; if it is invalid, a violation and an empty template."""
        try:
            return Template.parse(given[name], self._fields, self.violations.nearest)
        except ValueError as error:
            self._add(f"{path}/{name}", str(error))
            return Template.parse("", FIELDS)

    def step(self, number: int, given: dict[str, Any]) -> Derive:
        """A step of Derive."""
        path = f"/Derive/{number}"
        source = self.template("From", given, path)
        kinds = [kind for kind in ("Replace", "Map", "Parse") if kind in given]
        if len(kinds) != 1:
            found = f"has {' and '.join(kinds)}" if kinds else "has no rule"
            self._add(path, f"{found}; exactly one of Replace, Map and Parse is required")
        elif ("As" in given) is (kinds == ["Parse"]):
            with_parse = "is not allowed with Parse, whose patterns name the fields"
            self._add(path, f"As {with_parse if 'As' in given else 'is required: the new field'}")
        texts = given.get("Parse", ())
        patterns = [self._pattern(text, f"{path}/Parse/{i}") for i, text in enumerate(texts)]
        named = [given["As"]] if "As" in given else []
        fields = tuple(dict.fromkeys((*named, *(name for p in patterns for name in p.fields))))
        times = dict.fromkeys(name for pattern in patterns for name in sorted(pattern.times))
        for name in fields:
            if name in FIELDS.names:
                self._add(path, f"{name} is a field of every image; choose another name")
            if name in times and any(name in {*p.fields} - p.times for p in patterns):
                self._add(f"{path}/Parse", f"{name} is a time in one pattern and text in another")
            if name in self._fields.names and (name in times) != (name in self._fields.times):
                self._add(path, f"{name} is a time in one step and text in another")
        known = dict.fromkeys((*self._fields.names, *fields))
        times |= dict.fromkeys(name for name in self._fields.times if name not in fields)
        self._fields = replace(self._fields, names=tuple(known), times=tuple(times))
        if "Parse" in given:
            return Derive(source, fields, derive.parsing(patterns, fields))
        make = derive.replacing if "Replace" in given else derive.mapping
        return Derive(source, fields, make(given.get("Replace", given.get("Map", ()))))

    def tags(self, given: Sequence[dict[str, Any]]) -> dict[str, Template]:
        """The templates in `Tags`, by `Tag.<key>`."""
        tags: dict[str, Template] = {}
        for i, tag in enumerate(given):
            if problem := value_error("TagKey", tag["Key"]):
                self._add(f"/Tags/{i}/Key", f"the tag key {problem}")
            if (name := f"Tag.{tag['Key']}") in tags:
                self._add(f"/Tags/{i}/Key", f'key "{tag["Key"]}" appears again')
            tags[name] = self.template("Value", tag, f"/Tags/{i}")
        return tags

    def retire(self, body: dict[str, Any]) -> Retire | None:
        """The rule in `Retire`, or in `KeepLatest` alone."""
        setting = [name for name in ("ImageDeprecated", "KeepLatest", "Retire") if name in body]
        for other in setting[1:]:
            self._add(f"/{other}", f"cannot be combined with {setting[0]}, which sets the same")
        given = body.get("Retire", body)
        if "KeepLatest" not in given:
            return None
        group = {"GroupBy": "{ImageFamily}", **given}
        group_by = self.template("GroupBy", group, "/Retire")
        if group_by.text and not group_by.fields:
            message = f"{short(group_by.text)} has no field, so all images would be one group"
            self._add("/Retire/GroupBy", f"{message}; write a field as {{ImageFamily}}")
        path = f"/Normalise/{'Retire' if 'Retire' in body else 'KeepLatest'}"
        older_than = given.get("OlderThanDays", 0) * _DAY
        return Retire(int(given["KeepLatest"]), group_by, older_than, path)

    def _pattern(self, text: str, path: str) -> Pattern:
        try:
            return Pattern.parse(text, self._fields.utc_offset)
        except ValueError as error:
            self._add(path, str(error))
            # With its fields, so that the templates that use them are not violations, too.
            fields = dict(re.findall(r"\{([A-Za-z]\w*)(:[^{}]*%)?", text))
            times = frozenset(name for name, form in fields.items() if form)
            return replace(Pattern.parse("*"), fields=tuple(fields), times=times)

    def _add(self, path: str, message: str) -> None:
        self.violations.add(f"/Normalise{path}", message)
