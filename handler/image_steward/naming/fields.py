"""The fields of templates, and their values for an image."""

from __future__ import annotations

from collections.abc import Iterable

from image_steward.model import FACTS, Image
from image_steward.naming.templates import Fields
from image_steward.naming.temporary import is_temporary

TEXT_ATTRIBUTES = ("ImageName", "ImageDescription", "ImageFamily")
"""The attributes set by templates. `ImageName` is first: the other templates see the new name."""

FIELDS = Fields(
    names=("ImageId", *TEXT_ATTRIBUTES, *FACTS, "CreatedTime", "Region"),
    prefixes=("Tag.",),
    times=("CreatedTime",),
)
"""By their API names."""


def values_of(fields: Iterable[str], region: str, image: Image) -> dict[str, str]:
    """The values of template fields for an image; empty where it has none."""
    known = {**image.facts, **image.values, "ImageId": image.image_id, "Region": region}
    if is_temporary(image.name):
        known["ImageName"] = ""
    return {name: str(known.get(name, "")) for name in fields}
