"""Documents and images made to take as much time or memory as they can.

The documents are made when they are needed: collecting garbage takes longer the more objects exist.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import image_steward.documents.change_request  # noqa: F401 - not while lines are counted
from image_steward import registry
from image_steward.current_images import RegionImages
from image_steward.planning import manifest_plan, policy_plan
from packer import build, manifest
from region import NOW, REGION, image, policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from image_steward.documents.naming_policy import NamingPolicy
    from image_steward.model import Plan

MIB = 1 << 20

TEXTS = {
    "ligatures": "\ufdfa" * 256,
    "marks": "a" + "\u0301" * 255,
    "enclosing marks": "\u20dd" * 256,
    "flags": "\U0001f1e6" * 256,
    "joiners": "\u200d" * 256,
    "virama": "क्" * 128,
    "jamo": "\u1100" * 256,
    "prepended": "\u0d4e" * 256,
    "ideographs": "字" * 256,
    "spaces": " " * 256,
}
"""Descriptions; normalised, cut or looked through, some take far longer than others."""

FULL = "{ImageDescription}" * 20
CALENDAR = [{"Key": f"k{i}", "Value": f"{{CreatedTime:%j{i}}}" * 20} for i in range(50)]
GLOBS = [f"*{i}*a*b*c" for i in range(50)]
PAIRS = [{"Key": f"{'*a' * 127}{i % 10}", "Value": "v" * 256} for i in range(100)]
STEP = {"From": "{ImageDescription}"}
GROWING = [{"Key": "a", "Value": "a" * 256}, *[{"Key": "a", "Value": "aa"}] * 99]
WORST = ["*{a:word}!", "{a}{b:version}{c:version}!", "*{a:digits}!", "*" + "-".join(
    f"{{{x}:version}}" for x in "abcdefghijklmnopqrst") + "!"]  # fmt: skip
DERIVES: dict[str, list[dict[str, Any]]] = {
    "replace": [{**STEP, "Replace": GROWING, "As": f"x{i}"} for i in range(10)],
    "map": [{**STEP, "Map": PAIRS, "As": f"x{i}"} for i in range(10)],
    "parse": [{**STEP, "Parse": WORST * 5} for _ in range(10)],
    "many fields": [
        {**STEP, "Parse": ["".join(f"{{x{i}y{j}}}" for j in range(20)) + "!"] * 20}
        for i in range(10)
    ],
}
"""The most and the slowest steps that a policy may have."""
LARGEST: dict[str, dict[str, Any]] = {
    **{
        name: {
            "ImageDescription": "{x|d}",
            "ImageName": "{ImageId}",
            "Derive": [*steps[1:], {"From": "{ImageId}", "Parse": ["{x}"]}],
        }
        for name, steps in DERIVES.items()
    },
    "select": {
        "Select": dict.fromkeys(("ImageFamily", "OsName", "Platform", "Architecture"), GLOBS),
        "Except": [{"ImageFamily": GLOBS, "Tags": [{"Key": k} for k in "abcdefghij"]}] * 20,
        "ImageDescription": "x",
    },
    "except": {
        "Except": [{"ImageFamily": [*GLOBS[1:], "*"], "Platform": "?*"}] * 20,
        "ImageDescription": "x",
    },
    "delete": {"DeleteTags": GLOBS, "ImageDescription": "x"},
}
"""Policies with the most and the slowest steps and patterns."""
POLICIES: dict[str, dict[str, Any]] = {
    "full": {"ImageName": FULL, "ImageFamily": FULL, "Tags": [{"Key": "k", "Value": FULL}]},
    "one field": {"ImageName": "{ImageDescription}", "OnConflict": "number"},
    "calendar": {"Tags": CALENDAR},
}
MANIFESTS: dict[str, dict[str, str]] = {
    "fields": {f"Tag.k{i}": "{Tag.a|x}" * 20 for i in range(50)},
    "calendar": {f"Tag.k{i}": f"{{CreatedTime:%j{i}}}" * 20 for i in range(50)},
    "its own fields": {f"Tag.k{i}": "{Tag.k1|x}" * 20 for i in range(50)},
    "its own name": {
        "ImageName": "{ImageId}",
        **{f"Tag.k{i}": "{ImageName}" * 20 for i in range(50)},
    },
    "values": {"a": "x" * 100, **{f"Tag.k{i}": "{custom_data.a}" * 2 for i in range(50)}},
    "copied tags": {
        "CopyTags": "true",
        "Style.Case": "lower",
        **{f"Tag.k{i}": "{Tag.k1|x}" * 20 for i in range(50)},
    },
    "a description": {"ImageDescription": "{ImageDescription|d}", "Tag.a": "{ImageDescription}"},
}
"""`custom_data` of a build."""

DOCUMENTS: dict[str, Callable[[], object]] = {
    "hints of missing fields": lambda: manifest(
        build({**_tags(20_000, "{custom_data.ket}"), "key": "v"})
    ),
    "hints of fields": lambda: manifest(*[build(_tags(50, "{custom_dat.key}"))] * 300),
    "typos": lambda: manifest(*[build({**_typos(100), "ImageName": "n"})] * 300),
    "no typos": lambda: manifest(
        build({"ImageName": "n"}),
        *[build(_near(100), artifact_id=f"ap-beijing:img-{i}") for i in range(300)],
    ),
    "wrong templates": lambda: manifest(
        build({"ImageName": "n"}),
        *[
            build(_tags(50, "{imagedeskription}"), artifact_id=f"ap-beijing:img-{i}")
            for i in range(300)
        ],
    ),
    "typos, nothing to set": lambda: manifest(*[build(_typos(100))] * 300),
    "many fields": lambda: manifest(build({"ImageDescription": "{Tag.a|x}" * 100_000})),
    "fields": lambda: manifest(build({"ImageName": "{build_time|x}" * 70_000})),
    "fields of a policy": lambda: {"Normalise": {"ImageName": "{ImageId}" * 100_000}},
    "images": lambda: {"Images": [{"ImageId": "img-1", "ImageName": "n"}] * 27_000},
    "wrong images": lambda: {"Images": [{"ImageId": 5, "x": 1}] * 27_000},
    "tags": lambda: {"ImageId": "img-1", "Tags": [{"Key": 5}] * 50_000},
    "unknown members": lambda: {"ImageId": "img-1", **_typos(50_000)},
    **{
        f"policy: {name}": partial(lambda body: {"Normalise": body}, body)
        for name, body in LARGEST.items()
    },
    "regions": lambda: {
        "Normalise": {"Regions": [f"ap-guangzho{i}" for i in range(50)], "KeepLatest": 1}
    },
    "regions of images": lambda: {
        "Images": [
            {"ImageId": "img-1", "ImageName": "n", "Region": f"ap-guangzho{i}"} for i in range(1000)
        ]
    },
    "artifacts": lambda: manifest(build({"ImageName": "n"}, artifact_id="ap-x:img-1," * 90_000)),
    "builders": lambda: manifest(
        *[build({"ImageName": "n"}, builder_type=f"tencentcloud-cv{i}") for i in range(3000)]
    ),
    "duplicates": lambda: {"Images": [{"ImageId": "img-1", "ImageName": "n"}] * 1000},
    "values": lambda: manifest(build({"a": "x" * 900_000, "ImageName": "{custom_data.a}" * 60})),
}
"""What is read, and nearly always rejected with an explanation."""

VALID: dict[str, Callable[[], object]] = {
    "valid tags": lambda: {
        "Images": [
            {
                "ImageId": f"img-{i}",
                "Tags": [{"Key": f"k{j}", "Value": "v"} for j in range(37)],
            }
            for i in range(1000)
        ]
    },
    "valid keys": lambda: {
        "Images": [
            {"ImageId": f"img-{i}", "DeleteTags": [f"k{j}" for j in range(50)]} for i in range(1000)
        ]
    },
}
"""What takes longest to validate."""

HUGE: dict[str, Callable[[], bytes]] = {
    "commas": lambda: _json(manifest(build({"ImageName": "n"}, artifact_id="," * 200_000))),
    "a MiB of commas": lambda: _json(
        manifest(build({"ImageName": "n"}, artifact_id="," * (MIB - 500)))
    ),
    "empty objects": lambda: b'{"Images": [' + b"{}," * 349_000 + b"{}]}",
    "empty lists": lambda: b"[" + b"[]," * 349_000 + b"[]]",
    "numbers": lambda: b'{"Images": [' + b"1," * 524_000 + b"1]}",
    "strings": lambda: b'{"Images": [' + b'"",' * 349_000 + b'""]}',
    "different strings": lambda: (
        b'{"Images": [' + b",".join(b'"%x"' % i for i in range(120_000)) + b"]}"
    ),
    "small objects": lambda: b'{"Images": [' + b",".join([b'{"a":{"b":{}}}'] * 69_000) + b"]}",
    "members": lambda: b"{" + b",".join(b'"%d":1' % i for i in range(95_000)) + b"}",
    "members of a request": lambda: (
        b'{"ImageId": "img-1",' + b",".join(b'"%d":1' % i for i in range(95_000)) + b"}"
    ),
    "a name": lambda: _json({"ImageId": "img-1", "ImageName": "x" * (MIB - 100)}),
    "a key": lambda: _json({"ImageId": "img-1", "x" * (MIB - 100): 1}),
    "a region": lambda: _json({"ImageId": "img-1", "Region": "ap" + "-x" * 524_000}),
    "escapes": lambda: b'["' + b'\\"{' * 349_000 + b'"]',
    "a template": lambda: _json({"Normalise": {"ImageName": "{" * (MIB - 100)}}),
    "tags": lambda: _json({"ImageId": "img-1", "DeleteTags": [5] * 300_000}),
    "values": lambda: _json(manifest(build(_tags(50_000, "{x}")))),
    "builds": lambda: _json(manifest(*[build({"Tag.": "{x}"})] * 4_000)),
}
"""Documents of up to a MiB that are rejected."""


def patterns(*sizes: int) -> list[tuple[str, str]]:
    """Patterns, and texts of given sizes from which they read nothing, slowly."""
    letters = "abcdefghijklmnopqrst"
    words = "".join(f"{{{x}:word}}-" for x in letters)
    pairs = "".join(
        f"{{{x}}}{{{y}:word}}-" for x, y in zip(letters[:10], letters[10:], strict=True)
    )
    slow = {
        "*{a:version}!": "1",
        "{a}{b:version}{c:version}!": "1.",
        "*{a:digits}!": "1",
        "*{a:word}!": "a",
        "*{a:word}é": "字",
        f"*{words}!": "a" * 50 + "-",
        f"{pairs}!": "a" * 50 + "-",
        "*" + "-".join(f"{{{x}:version}}" for x in letters) + "!": "1.1.1.1.1-",
        "".join(f"{{{x}}}" for x in letters) + "!": "a",
        "".join(f"{{{x}}}a" for x in letters) + "!": "a",
        "*a" * 500 + "*b": "a",
        "*?" * 500 + "b": "a",
        "*" + "?" * 500 + "b": "a",
        "*" + "字" * 500 + "b": "字",
        "*{a:%Y%m%d%H%M%S}!": "20230229112233",
        "*{a:%Y年%m月%d日}!": "2023年2月29日",
        "*" + "".join(f"{{{x}:%y%m%d}}" for x in letters) + "!": "230503",
        f"*{{a:%y{'0' * 450}%m{'0' * 450}%d}}!": "0",
    }
    return [(pattern, (text * size)[:size]) for pattern, text in slow.items() for size in sizes]


def _tags(number: int, template: str) -> dict[str, str]:
    return {f"Tag.{i}": template for i in range(number)}


def _typos(number: int) -> dict[str, str]:
    return {f"ImageNam{i}": "x" for i in range(number)}


def _near(number: int) -> dict[str, str]:
    """Keys with the letters of `ImageDescription` in another order: similar, but not enough."""
    letters = "imagedescription"
    return {letters[i % 16 :: 3] + letters[i // 16 :: 2] + str(i): "x" for i in range(number)}


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def read(document: object) -> Any:  # noqa: ANN401 - a request of any kind
    """The request of a document.

    Raises:
        Rejection: as `registry.read`.
    """
    return registry.read(_json(document), region=REGION).request


def plan_policy(body: dict[str, Any], text: str, number: int) -> Plan:
    """Apply a policy to a number of images, as `plan_images`."""
    return plan_images(policy({**body, "MaxChanges": number}), text, number)


def plan_images(request: NamingPolicy, text: str, number: int) -> Plan:
    """Apply a policy to images with this description and family, each ending differently."""
    texts = [f"{text[:-4]}{i:04}" for i in range(number)]
    images = {
        f"img-{i}": image(f"img-{i}", f"n-{i}", ImageDescription=each, ImageFamily=each)
        for i, each in enumerate(texts)
    }
    return policy_plan.plan(request, {REGION: RegionImages(images)}, lambda: NOW)


def plan_manifest(data: dict[str, str], text: str, number: int) -> Plan:
    """Label a number of images with this description.

    Raises:
        InvalidDocument: as `manifest_plan.plan`.
    """
    ids = [f"img-{i}" for i in range(number)]
    artifacts = ",".join(f"{REGION}:{i}" for i in ids)
    images = {i: image(i, f"n-{i}", ImageDescription=text) for i in ids}
    request = read(manifest(build(data, artifact_id=artifacts)))
    return manifest_plan.plan(request, {REGION: RegionImages(images)}, lambda: NOW)
