"""From a Packer manifest and its images as they are to the changes that it wants. Pure."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from image_steward.documents import Change
from image_steward.errors import InvalidDocument, Violation
from image_steward.manifests import breach
from image_steward.normalising import values_of
from image_steward.schema import pointer_step, short
from image_steward.templates import NoValue

if TYPE_CHECKING:
    from image_steward.images import Image
    from image_steward.manifests import Build
    from image_steward.templates import Template


def change_of(build: Build, region: str, image: Image) -> Change:
    """What a build wants of its image or of a copy of it.

    Raises:
        NoValue: the image has no value for a field of a template, nor has that a default.
        InvalidDocument: a value comes out longer than the API takes, or empty.
    """
    templates = [*build.templates.values(), *build.tags.values()]
    fields = {field for template in templates for field in template.fields}
    values = values_of(fields, region, image)
    # Of thousands of values a template names a few, and there may be a thousand images.
    values |= {field: build.values[field] for field in fields if field in build.values}
    attributes: dict[str, str | bool] = {}
    for name, template in build.templates.items():  # ImageName first: the others see the new one
        attributes[name] = text = _rendered(build, name, template, values)
        if name == "ImageName":
            values[name] = text
    if build.deprecated is not None:
        attributes["ImageDeprecated"] = build.deprecated
    tags = {
        key: _rendered(build, f"Tag.{key}", template, values)
        for key, template in build.tags.items()
    }
    return Change(region, image.image_id, attributes, tags, ())


def unstable(build: Build, image: Image, change: Change) -> list[Violation]:
    """What a build would want otherwise of an image that has its `change`, or a part of it.

    Events come twice, and a run may break off between attributes and tags, or put off the name.
    """
    wanted = _members(change)
    no_name = {name: value for name, value in change.attributes.items() if name != "ImageName"}
    found: dict[str, Violation] = {}
    for attributes, tags in product((change.attributes, no_name, {}), (change.tags, {})):
        has = {**image.attributes, **attributes}
        labelled = replace(image, attributes=has, tags={**image.tags, **tags})
        try:
            again = _members(change_of(build, change.region, labelled))
        except (NoValue, InvalidDocument):
            again = {}
        for name, template in build.by_key.items():
            if template.fields and again.get(name) != wanted[name]:
                now = short(str(wanted[name]))
                later = short(str(again[name])) if name in again else "nothing that can be set"
                told = (
                    f"{name} of {image.image_id} in {change.region} would be {now} now and {later} "
                    "at the next delivery: it hangs on what the manifest itself sets"
                )
                path = f"{build.path}/{pointer_step(name)}"
                found.setdefault(name, Violation(path, told))
    return list(found.values())


def _members(change: Change) -> dict[str, str | bool]:
    return {**change.attributes, **{f"Tag.{key}": value for key, value in change.tags.items()}}


def _rendered(build: Build, name: str, template: Template, values: dict[str, str]) -> str:
    text = template.render(values)
    if wrong := breach(name, text):
        raise InvalidDocument(Violation(f"{build.path}/{pointer_step(name)}", wrong))
    return text
