"""Region names, and the short codes used in COS events.

The format of a name is a security check too: a region becomes part of the host that receives
signed requests.
"""

from __future__ import annotations

import re

_FORMAT = re.compile(r"(?=.{1,63}\Z)[a-z]{2,}(?:-[a-z0-9]+)+")

# Source: document/product/248/50863; gz, sh, bj and cd have been seen in COS events.
# The codes from jkt on are known from other Tencent tools only.
SHORT_CODES = {
    "gz": "ap-guangzhou", "gzopen": "ap-guangzhou-open", "szx": "ap-shenzhen",
    "szjr": "ap-shenzhen-fsi", "sh": "ap-shanghai", "shjr": "ap-shanghai-fsi",
    "nj": "ap-nanjing", "bj": "ap-beijing", "bjjr": "ap-beijing-fsi", "tsn": "ap-tianjin",
    "hk": "ap-hongkong", "sg": "ap-singapore", "th": "ap-bangkok", "in": "ap-mumbai",
    "kr": "ap-seoul", "jp": "ap-tokyo", "tpe": "ap-taipei", "cd": "ap-chengdu",
    "cq": "ap-chongqing", "qy": "ap-qingyuan", "use": "na-ashburn", "usw": "na-siliconvalley",
    "de": "eu-frankfurt",
    "jkt": "ap-jakarta", "osa": "ap-osaka", "sao": "sa-saopaulo", "ru": "eu-moscow",
    "tor": "na-toronto", "ca": "na-toronto",
}  # fmt: skip

KNOWN = frozenset(SHORT_CODES.values())
"""The names that documents may use; STEWARD_REGIONS adds others."""

UNKNOWN = "is not a known region, nor listed in STEWARD_REGIONS"
"""Why documents may not use a name."""


def is_region(value: object) -> bool:
    """Whether `value` is formatted like a region name, such as `ap-shanghai-fsi`."""
    return isinstance(value, str) and _FORMAT.fullmatch(value) is not None


def from_code(value: object) -> str | None:
    """The region of a short code such as `gz`, or of a full name; None if it is neither."""
    region = SHORT_CODES.get(value, value) if isinstance(value, str) else None
    return region if is_region(region) else None
