"""The API actions that the function calls, a row each."""

from __future__ import annotations

from typing import NamedTuple


class Action(NamedTuple):
    """One action of an API. `limit`: calls a second that an account may make at an endpoint."""

    service: str
    version: str
    name: str
    limit: int


# document/api/213/15715, 213/15713
DESCRIBE_IMAGES = Action("cvm", "2017-03-12", "DescribeImages", 40)
MODIFY_IMAGE_ATTRIBUTE = Action("cvm", "2017-03-12", "ModifyImageAttribute", 10)
# document/product/651/33003
TAG_RESOURCES = Action("tag", "2018-08-13", "TagResources", 20)
UNTAG_RESOURCES = Action("tag", "2018-08-13", "UnTagResources", 20)

ACTIONS = (DESCRIBE_IMAGES, MODIFY_IMAGE_ATTRIBUTE, TAG_RESOURCES, UNTAG_RESOURCES)
