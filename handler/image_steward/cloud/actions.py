"""The API actions that the function calls, a row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Action:
    """One action of an API. `limit`: calls a second that an account may make at an endpoint."""

    service: str
    version: str
    name: str
    limit: int


DESCRIBE_IMAGES = Action("cvm", "2017-03-12", "DescribeImages", 40)  # document/api/213/15715
MODIFY_IMAGE_ATTRIBUTE = Action(  # document/api/213/15713
    "cvm", "2017-03-12", "ModifyImageAttribute", 10
)
TAG_RESOURCES = Action("tag", "2018-08-13", "TagResources", 20)  # document/product/651/33003
UNTAG_RESOURCES = Action("tag", "2018-08-13", "UnTagResources", 20)  # the same

ACTIONS = (DESCRIBE_IMAGES, MODIFY_IMAGE_ATTRIBUTE, TAG_RESOURCES, UNTAG_RESOURCES)
