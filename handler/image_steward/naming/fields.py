"""The fields of templates, and their values for an image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from image_steward.limits import RESERVED_TAG_KEYS
from image_steward.model import FACTS, OPT_OUT, TAG, Image
from image_steward.naming.patterns import Glob
from image_steward.naming.templates import Fields
from image_steward.naming.temporary import is_temporary
from image_steward.naming.text import value_error

TEXT_ATTRIBUTES = ("ImageName", "ImageDescription", "ImageFamily")
"""The attributes set by templates. `ImageName` is first: the other templates see the new name."""

_NAMES = ("ImageId", "ImageName", "OldName", *TEXT_ATTRIBUTES[1:], *FACTS, "CreatedTime", "Region")
FIELDS = Fields(_NAMES, prefixes=(TAG,), times=("CreatedTime",))
"""By their API names; `OldName` is the name before the change."""


def values_of(fields: Iterable[str], region: str, image: Image) -> dict[str, Any]:
    """The values of an image; those of `fields` that it does not have are empty."""
    name = "" if is_temporary(image.name) else image.name
    own = {"ImageId": image.image_id, "Region": region, "OldName": name, "ImageName": name}
    return {**dict.fromkeys(fields, ""), **image.facts, **image.values, **own}


def may_change(key: str, protected: Iterable[Glob]) -> bool:
    """Whether a document may set or delete the tag with a key, unless it names the tag itself."""
    is_reserved = key == OPT_OUT[0] or key.startswith(RESERVED_TAG_KEYS)
    is_protected = is_reserved or any(glob.matches(key) for glob in protected)
    return not (is_protected or value_error("TagKey", key))
