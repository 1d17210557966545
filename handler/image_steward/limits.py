"""Limits of the cloud APIs. `tests/unit/test_limits.py` checks that the schemas agree.

Sources: [1] ModifyImageAttribute, document/api/213/15713; [2] DescribeImages,
document/api/213/15715; [3] tags, document/product/651/13354 and document/api/651. Lengths are
in code points.
"""

from __future__ import annotations

NAME_LENGTH = 60
"""Of ImageName, which must not be empty. [1]"""

DESCRIPTION_LENGTH = 256
"""Of ImageDescription, which may be empty. [1]"""

TAG_KEY_LENGTH = 127
TAG_VALUE_LENGTH = 255
"""Neither may be empty. [3]"""

LENGTHS = {
    "ImageName": (1, NAME_LENGTH),
    "ImageDescription": (0, DESCRIPTION_LENGTH),
    "Tag": (1, TAG_VALUE_LENGTH),
    "TagKey": (1, TAG_KEY_LENGTH),
}
"""Least and most characters of a value; none are documented for ImageFamily."""

TAGS_PER_IMAGE = 50
"""[3]"""

RESERVED_TAG_KEYS = ("qcs:", "project", "项目", "qcloud", "tencent")
"""Beginnings of the keys that only the cloud may bind. [3]"""

IMAGES_PER_REQUEST = 1000
"""Our own limit: images that one document may name."""

PAGE_SIZE = 100
"""Images in one response of DescribeImages. [2]"""

VALUES_PER_FILTER = 5
"""Of DescribeImages. [2]"""

RESOURCES_PER_TAG_CALL = 9
TAGS_PER_TAG_CALL = 10
"""The documentation can be read as 9 or 10 resources; 9 is safe either way. [3]"""
