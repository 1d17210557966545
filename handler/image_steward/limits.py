"""What the cloud allows, each number once. `tests/unit/test_limits.py` holds the schemas to them.

Sources: [1] ModifyImageAttribute, document/api/213/15713; [2] DescribeImages,
document/api/213/15715; [3] tags, document/product/651/13354 and document/api/651. Lengths are
counted in code points, as every tool counts them.
"""

from __future__ import annotations

NAME_LENGTH = 60
"""Of ImageName; the shortest has one character. [1]"""

DESCRIPTION_LENGTH = 256
"""Of ImageDescription, which may be empty. [1]"""

TAG_KEY_LENGTH = 127
TAG_VALUE_LENGTH = 255
"""Neither may be empty. [3]"""

TAGS_OF_AN_IMAGE = 50
"""[3]"""

IMAGES_OF_A_REQUEST = 1000
"""Our own limit: images that one document names."""

PAGE = 100
"""Images of one reply of DescribeImages. [2]"""

VALUES_OF_A_FILTER = 5
"""Of DescribeImages. [2]"""

RESOURCES_OF_A_TAG_CALL = 9
TAGS_OF_A_TAG_CALL = 10
"""The text on resources can be read as 9 or as 10; the smaller one is right in both cases. [3]"""
