"""The API actions that the function calls, a row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Action:
    """One action of an API.

    `limit` is how many calls a second the API allows the account at an endpoint, `parameters` what
    the function may send, `permission` what the run role needs (deploy/policy.json).
    """

    service: str
    version: str
    name: str
    limit: int
    permission: str
    parameters: frozenset[str]


def _action(service: str, version: str, name: str, limit: int, parameters: str) -> Action:
    return Action(service, version, name, limit, f"{service}:{name}", frozenset(parameters.split()))


DESCRIBE_IMAGES = _action(  # document/api/213/15715
    "cvm", "2017-03-12", "DescribeImages", 40, "ImageIds Filters Offset Limit"
)
MODIFY_IMAGE_ATTRIBUTE = _action(  # document/api/213/15713
    "cvm", "2017-03-12", "ModifyImageAttribute", 10,
    "ImageId ImageName ImageDescription ImageFamily ImageDeprecated",
)  # fmt: skip
TAG_RESOURCES = _action(  # document/product/651/33003
    "tag", "2018-08-13", "TagResources", 20, "ResourceList Tags"
)
UNTAG_RESOURCES = _action(  # document/product/651/33003
    "tag", "2018-08-13", "UnTagResources", 20, "ResourceList TagKeys"
)

ACTIONS = (DESCRIBE_IMAGES, MODIFY_IMAGE_ATTRIBUTE, TAG_RESOURCES, UNTAG_RESOURCES)
