"""What templates may name of an image, and what an image has for it."""

from __future__ import annotations

from collections.abc import Iterable

from image_steward.model import FACTS, Image
from image_steward.naming.templates import Fields
from image_steward.naming.temporary import is_temporary

TEXTS = ("ImageName", "ImageDescription", "ImageFamily")
"""The attributes that have a template. `ImageName` comes first: the others see the new name."""

FIELDS = Fields(
    names=("ImageId", *TEXTS, *FACTS, "CreatedTime", "Region"),
    prefixes=("Tag.",),
    times=("CreatedTime",),
)
"""By the API's own names."""


def values_of(fields: Iterable[str], region: str, image: Image) -> dict[str, str]:
    """What an image has for the fields of templates; empty for fields that it knows nothing of."""
    values = {}
    for name in fields:
        if name in image.attributes:
            values[name] = str(image.attributes[name])
        elif name.startswith("Tag."):
            values[name] = image.tags.get(name[4:], "")
        else:
            values[name] = image.facts.get(name, "")
    if is_temporary(image.name):
        values["ImageName"] = ""
    values["ImageId"] = image.image_id
    values["Region"] = region
    return values
