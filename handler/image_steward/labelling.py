"""From a Packer manifest and its images as they are to the changes that it wants. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_steward.documents import Change
from image_steward.errors import InvalidDocument, Violation
from image_steward.manifests import breach
from image_steward.normalising import values_of
from image_steward.schema import pointer_step

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
    values = values_of(fields, region, image) | build.values
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


def _rendered(build: Build, name: str, template: Template, values: dict[str, str]) -> str:
    text = template.render(values)
    if wrong := breach(name, text):
        raise InvalidDocument(Violation(f"{build.path}/{pointer_step(name)}", wrong))
    return text
