"""Region names: their form, and the short codes that COS events carry.

Names are checked by form, never against a list: lists rot. The form matters beyond neatness,
since a region becomes part of the host that signed requests go to.
"""

from __future__ import annotations

import re

_FORM = re.compile(r"(?=.{1,63}\Z)[a-z]{2,}(?:-[a-z0-9]+)+")

# document/product/248/50863; gz, sh, bj and cd have been seen in COS events.
# The last five rows are aliases known from other Tencent tools only.
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


def is_region(value: object) -> bool:
    """Whether `value` has the form of a region name, such as `ap-shanghai-fsi`."""
    return isinstance(value, str) and _FORM.fullmatch(value) is not None


def from_code(value: object) -> str | None:
    """The region of a short code such as `gz`; a full name stands for itself."""
    if not isinstance(value, str):
        return None
    return SHORT_CODES.get(value) or (value if is_region(value) else None)
