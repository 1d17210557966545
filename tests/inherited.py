"""The sample images of docs/policies/inherited, with the names that they should have."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 300
ROWS = {
    "prod/nginx/20230503": "nginx-prod-20230503",
    "【勿删】web 2.3.9": "web-2.3.9",
    "web-api-copy-2": "web-api",
    "ERP_v4.1_03.05.2023_final_FINAL": "erp-4.1-20230503",
    "镜像_支付_2023年5月3日": "支付-20230503",
    "img of bastion (TencentOS Server 3.1 (TK4))": "bastion-tencentos3",
}
"""Real names, and what they should be. They are the oldest images."""

UNREADABLE = {
    "未命名 (3)": "未命名-(3)",
    "新建镜像": "新建",
    "backup of friday, ask Li": "backup-of-friday,-ask-li",
    "do_not_use!!": "do-not-use!!",
    "ins-3f2c1d0a": "ins-3f2c1d0a",
    "2023年13月3日": "2023年13月3日",
}
"""Names that say too little: only their spelling changes."""

LEFT_ALONE: dict[str, dict[str, Any]] = {
    "golden-base 2023": {},
    "golden-web 2023": {},
    "Jump Host 1": {"Tags": [{"Key": "managed-by", "Value": "terraform"}]},
    "Jump Host 2": {"Tags": [{"Key": "managed-by", "Value": "terraform"}]},
    "ERP (certified)": {"Tags": [{"Key": "image-steward", "Value": "ignore"}]},
    "数据同步 new": {"ImageState": "SYNCING", "SyncPercent": 40},
}
"""Names that the policy does not touch, and why: other members of the image."""

_FIRST = datetime(2023, 5, 3, 2, tzinfo=timezone.utc)
_APPS = [
    "Gateway", "MySQL", "redis", "jenkins", "user-center", "订单", "数据同步", "Grafana", "日志",
    "kafka", "report", "搜索", "mail", "网关", "CRM", "scheduler", "auth", "监控",
]  # fmt: skip
_FORMS = [
    ("prod/{app}/{day:%Y%m%d}", "{app}-prod-{day:%Y%m%d}"),
    ("生产/{app}/{day:%Y%m%d}", "{app}-prod-{day:%Y%m%d}"),
    ("测试/{app}_{version}", "{app}-test-{version}"),
    ("【勿删】{app} {version}", "{app}-{version}"),
    ("{app}-copy-2", "{app}"),
    ("{app}_v{version}_{day:%d.%m.%Y}_final_FINAL", "{app}-{version}-{day:%Y%m%d}"),
    ("{app} - 副本", "{app}"),
    ("镜像_{app}_{day.year}年{day.month}月{day.day}日", "{app}-{day:%Y%m%d}"),
    ("img of {app} (TencentOS Server 3.1 (TK4))", "{app}-tencentos3"),
    ("img of {app} (Ubuntu Server 22.04 LTS 64bit)", "{app}-ubuntu2204"),
    ("{app}-{day:%Y-%m-%d}", "{app}-{day:%Y%m%d}"),
    ("{app}_{version}_{day:%Y%m%d}", "{app}-{version}-{day:%Y%m%d}"),
    ("{app} {version}_副本", "{app}-{version}"),
    ("{app}-v{version}", "{app}-{version}"),
    ("\uff08勿删\uff09{app}_{day:%Y-%m-%d}", "{app}-{day:%Y%m%d}"),
    ("{app}\uff3f{day:%d.%m.%Y} FINAL", "{app}-{day:%Y%m%d}"),
]
"""How people wrote names, and what these should be."""


_Entry: TypeAlias = "tuple[int, str, str, dict[str, Any]]"
"""The index of the region, the old and the new name, and other members."""


class Inherited(NamedTuple):
    """An image of a seed, and the name that it should have."""

    region: str
    image: dict[str, Any]
    name: str


def inherited() -> Iterator[Inherited]:
    """Yield the images, oldest first; of equal names in a region, the later ones have numbers."""
    images: list[_Entry] = [(0, old, new, {}) for old, new in ROWS.items()]
    images += [(form % 2, old, new, {}) for form, old, new in _generated()]
    others: list[_Entry] = [(1, old, new, {}) for old, new in UNREADABLE.items()]
    others += [(0, old, old, members) for old, members in LEFT_ALONE.items()]
    seen: Counter[tuple[int, str]] = Counter()
    for i, (region_index, old, new, members) in enumerate([*images[: SIZE - len(others)], *others]):
        seen[region_index, new] += 1
        number = seen[region_index, new]
        created = _FIRST + timedelta(hours=13 * i)
        image = {
            "ImageId": f"img-{i:03}old00",
            "ImageName": old,
            "CreatedTime": f"{created:%Y-%m-%dT%H:%M:%SZ}",
            **members,
        }
        region = ("ap-guangzhou", "ap-shanghai")[region_index]
        yield Inherited(region, image, new if number == 1 else f"{new}-{number}")


def seed_text() -> str:
    """Return the seed, one image a line."""
    regions: dict[str, list[str]] = {}
    for region, image, _ in inherited():
        line = f"    {json.dumps(image, ensure_ascii=False)}"
        regions.setdefault(region, []).append(line)
    texts = [
        f'  "{region}": [\n' + ",\n".join(lines) + "\n  ]" for region, lines in regions.items()
    ]
    return "{\n" + ",\n".join(texts) + "\n}\n"


def _generated() -> Iterator[tuple[int, str, str]]:
    """Yield the number of a form, and an old and a new name: every app in every form."""
    for i, app in enumerate(_APPS):
        for j, (form, new) in enumerate(_FORMS):
            parts = {
                "app": app,
                "version": f"{1 + i % 4}.{j}.{(i * j) % 10}",
                "day": _FIRST + timedelta(days=17 * i + 5 * j),
            }
            yield j, form.format(**parts), new.format(**parts).lower()
