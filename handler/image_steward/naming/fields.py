"""The fields of templates, and their values for an image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from image_steward.model import FACTS, Image
from image_steward.naming.templates import Fields
from image_steward.naming.temporary import is_temporary

TEXT_ATTRIBUTES = ("ImageName", "ImageDescription", "ImageFamily")
"""The attributes set by templates. `ImageName` is first: the other templates see the new name."""

FIELDS = Fields(
    names=(
        "ImageId",
        "ImageName",
        "OldName",
        *TEXT_ATTRIBUTES[1:],
        *FACTS,
        "CreatedTime",
        "Region",
    ),
    prefixes=("Tag.",),
    times=("CreatedTime",),
)
"""By their API names; `OldName` is the name before the change."""


def values_of(fields: Iterable[str], region: str, image: Image) -> dict[str, Any]:
    """The values for an image of all fields but tags, and of those tags that are in `fields`.

    They are empty where it has none.
    """
    name = "" if is_temporary(image.name) else image.name
    own = {"ImageId": image.image_id, "Region": region, "OldName": name, "ImageName": name}
    values = {**image.facts, **image.attributes, **own}
    for field in fields:
        if field.startswith("Tag."):
            values[field] = image.tags.get(field[4:], "")
        else:
            values.setdefault(field, "")
    return values
