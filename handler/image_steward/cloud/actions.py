"""The API actions that the function calls, one row each."""

from __future__ import annotations

from typing import NamedTuple


class Action(NamedTuple):
    """An API action."""

    service: str
    version: str
    name: str
    limit: int
    """Calls per second, for each account and endpoint."""
    parameters: str
    """All parameters that the function may send."""


DESCRIBE_IMAGES = Action(  # document/api/213/15715
    "cvm", "2017-03-12", "DescribeImages", 40, "ImageIds Filters Offset Limit"
)
MODIFY_IMAGE_ATTRIBUTE = Action(  # document/api/213/15713
    "cvm", "2017-03-12", "ModifyImageAttribute", 10,
    "ImageId ImageName ImageDescription ImageFamily ImageDeprecated",
)  # fmt: skip
# document/product/651/33003
TAG_RESOURCES = Action("tag", "2018-08-13", "TagResources", 20, "ResourceList Tags")
UNTAG_RESOURCES = Action("tag", "2018-08-13", "UnTagResources", 20, "ResourceList TagKeys")

ACTIONS = (DESCRIBE_IMAGES, MODIFY_IMAGE_ATTRIBUTE, TAG_RESOURCES, UNTAG_RESOURCES)
