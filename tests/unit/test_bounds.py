"""Bounds: no document and no image takes much time or memory, whatever it holds.

The bounds are looser than what `make bench` promises, as other tests run at the same time.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from image_steward import registry
from image_steward.current_images import RegionImages
from image_steward.errors import InvalidDocument, InvalidEvent, InvalidJSON, Rejection
from image_steward.events.parse import InlineDocument, RejectedPart, parse
from image_steward.limits import NAME_LENGTH
from image_steward.naming.style import Style, cut
from image_steward.planning import manifest_plan, policy_plan
from packer import build, manifest
from region import NOW, REGION, image, policy

pytestmark = pytest.mark.no_cover  # coverage would be most of the time and of the memory

IMAGES = 200
SECONDS = 0.4
"""CPU for `IMAGES` images; the promise is 1 s for 1,000."""
MIB = 1 << 20
RUN = "r" * 36
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
FULL = "{ImageDescription}" * 20


@contextmanager
def cpu_time() -> Iterator[list[float]]:
    """The CPU seconds that a block takes; filled in at its end."""
    seconds: list[float] = []
    trace = sys.gettrace()
    sys.settrace(None)  # of two tracers in a process of xdist, the marker stops only one
    start = time.process_time()
    yield seconds
    seconds.append(time.process_time() - start)
    sys.settrace(trace)


def read(document: object) -> Any:  # noqa: ANN401 - a request of any kind
    """The request of a document."""
    return registry.read(json.dumps(document).encode(), region=REGION).request


# --- B13 ---


@pytest.mark.parametrize("template", [FULL, "{ImageDescription}"], ids=["full", "one field"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_b13_cpu_of_a_policy(text: str, template: str) -> None:
    """Normalising, cutting and numbering names takes no longer for any text."""
    images = {
        f"img-{i}": image(f"img-{i}", f"n-{i}", ImageDescription=text, ImageFamily=text)
        for i in range(IMAGES)
    }
    request = policy(
        {"ImageName": template, "ImageFamily": FULL, "Tags": [{"Key": "k", "Value": FULL}],
         "MaxChanges": IMAGES}
    )  # fmt: skip
    with cpu_time() as cpu:
        plan = policy_plan.plan(request, {REGION: RegionImages(images)}, NOW)
    assert len(plan.all_steps) == IMAGES
    assert cpu[0] < SECONDS


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_b13_cpu_of_a_name(text: str) -> None:
    """Of a text only as much is normalised as a name may come from."""
    with cpu_time() as cpu:
        for _ in range(IMAGES):
            assert len(Style().apply(text * 56)) <= NAME_LENGTH
    assert cpu[0] < SECONDS


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_b13_cpu_of_a_cut(text: str) -> None:
    """A cut looks at a few characters before the end only."""
    with cpu_time() as cpu:
        for _ in range(5 * IMAGES):
            assert len(cut(text * 100, NAME_LENGTH)) <= NAME_LENGTH
    assert cpu[0] < SECONDS


DATA = {f"Tag.{i}": "{custom_data.ket}" for i in range(20_000)}
DOCUMENTS: dict[str, object] = {
    "hints of missing fields": manifest(build({**DATA, "key": "v"})),
    "hints of fields": manifest(
        *[build({f"Tag.{i}": "{custom_dat.key}" for i in range(50)}) for _ in range(300)]
    ),
    "typos": manifest(
        *[build({f"ImageNam{i}": "x" for i in range(100)} | {"ImageName": "n"}) for _ in range(300)]
    ),
    "typos, nothing to set": manifest(
        *[build({f"ImageNam{i}": "x" for i in range(100)}) for _ in range(300)]
    ),
    "fields": manifest(build({"ImageName": "{build_time|x}" * 70_000})),
    "fields of a policy": {"Normalise": {"ImageName": "{ImageId}" * 100_000}},
    "images": {"Images": [{"ImageId": "img-1", "ImageName": "n"}] * 27_000},
    "wrong images": {"Images": [{"ImageId": 5, "x": 1}] * 27_000},
    "tags": {"ImageId": "img-1", "Tags": [{"Key": 5}] * 50_000},
    "unknown members": {"ImageId": "img-1", **{f"ImageNam{i}": 1 for i in range(50_000)}},
    "regions": {"Normalise": {"Regions": [f"ap-guangzho{i}" for i in range(50)], "KeepLatest": 1}},
    "regions of images": {
        "Images": [
            {"ImageId": "img-1", "ImageName": "n", "Region": f"ap-guangzho{i}"} for i in range(1000)
        ]
    },
    "artifacts": manifest(build({"ImageName": "n"}, artifact_id="ap-x:img-1," * 90_000)),
    "builders": manifest(
        *[build({"ImageName": "n"}, builder_type=f"tencentcloud-cv{i}") for i in range(3000)]
    ),
    "duplicates": {"Images": [{"ImageId": "img-1", "ImageName": "n"}] * 1000},
    "values": manifest(build({"a": "x" * 900_000, "ImageName": "{custom_data.a}" * 60})),
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=list(DOCUMENTS))
def test_b13_cpu_of_a_document(document: object) -> None:
    """Reading a document, and saying what is wrong with it, takes no longer for any mistakes."""
    data = json.dumps(document).encode()
    with cpu_time() as cpu:
        rejected = None
        try:
            registry.read(data, region=REGION)
        except Rejection as error:
            rejected = error
    assert cpu[0] < 1
    assert rejected is None or len(rejected.details) <= 1001


MANIFESTS: dict[str, dict[str, str]] = {
    "many fields": {"ImageDescription": "{Tag.a|x}" * 100_000},
    "fields": {f"Tag.k{i}": "{Tag.a|x}" * 20 for i in range(50)},
    "calendar": {f"Tag.k{i}": f"{{CreatedTime:%j{i}}}" * 20 for i in range(50)},
    "its own fields": {f"Tag.k{i}": "{Tag.k1|x}" * 20 for i in range(50)},
    "its own name": {
        "ImageName": "{ImageId}",
        **{f"Tag.k{i}": "{ImageName}" * 20 for i in range(50)},
    },
    "values": {"a": "x" * 100, **{f"Tag.k{i}": "{custom_data.a}" * 2 for i in range(50)}},
    "a description": {"ImageDescription": "{ImageDescription|d}", "Tag.a": "{ImageDescription}"},
}


@pytest.mark.parametrize("data", MANIFESTS.values(), ids=list(MANIFESTS))
def test_b13_cpu_of_a_manifest(data: dict[str, str]) -> None:
    """Labelling the images of a build takes no longer for any templates."""
    ids = [f"img-{i}" for i in range(IMAGES)]
    artifacts = ",".join(f"{REGION}:{i}" for i in ids)
    images = {i: image(i, f"n-{i}", ImageDescription="\ufdfa" * 200) for i in ids}
    with cpu_time() as cpu, suppress(InvalidDocument):
        request = read(manifest(build(data, artifact_id=artifacts)))
        manifest_plan.plan(request, {REGION: RegionImages(images)}, NOW)
    assert cpu[0] < SECONDS


def test_b13_cpu_of_the_calendar() -> None:
    """Formats of the calendar take no longer than others, however many there are."""
    tags = [{"Key": f"k{i}", "Value": f"{{CreatedTime:%j{i}}}" * 20} for i in range(50)]
    images = {f"img-{i}": image(f"img-{i}", f"n-{i}") for i in range(IMAGES)}
    request = policy({"Tags": tags, "MaxChanges": IMAGES})
    with cpu_time() as cpu:
        policy_plan.plan(request, {REGION: RegionImages(images)}, NOW)
    assert cpu[0] < SECONDS


# --- B14 ---

HUGE: dict[str, bytes] = {
    "commas": json.dumps(manifest(build({"ImageName": "n"}, artifact_id="," * 200_000))).encode(),
    "a MiB of commas": json.dumps(
        manifest(build({"ImageName": "n"}, artifact_id="," * (MIB - 500)))
    ).encode(),
    "empty objects": b'{"Images": [' + b"{}," * 349_000 + b"{}]}",
    "empty lists": b"[" + b"[]," * 349_000 + b"[]]",
    "numbers": b'{"Images": [' + b"1," * 524_000 + b"1]}",
    "strings": b'{"Images": [' + b'"",' * 349_000 + b'""]}',
    "members": b"{" + b",".join(b'"%d":1' % i for i in range(95_000)) + b"}",
    "members of a request": b'{"ImageId": "img-1",'
    + b",".join(b'"%d":1' % i for i in range(95_000))
    + b"}",
    "a name": json.dumps({"ImageId": "img-1", "ImageName": "x" * (MIB - 100)}).encode(),
    "a key": json.dumps({"ImageId": "img-1", "x" * (MIB - 100): 1}).encode(),
    "a region": json.dumps({"ImageId": "img-1", "Region": "ap" + "-x" * 524_000}).encode(),
    "escapes": b'["' + b'\\"{' * 349_000 + b'"]',
    "a template": json.dumps({"Normalise": {"ImageName": "{" * (MIB - 100)}}).encode(),
    "tags": json.dumps({"ImageId": "img-1", "DeleteTags": [5] * 300_000}).encode(),
    "values": json.dumps(manifest(build({f"Tag.{i}": "{x}" for i in range(50_000)}))).encode(),
    "builds": json.dumps(manifest(*[build({"Tag.": "{x}"}) for _ in range(4_000)])).encode(),
}


@pytest.mark.parametrize("data", HUGE.values(), ids=list(HUGE))
def test_b14_memory_of_a_rejected_document(data: bytes) -> None:
    """A document of a MiB that is rejected takes at most 64 MB."""
    assert len(data) <= MIB + 3
    read(manifest(build({"ImageName": "n"})))  # what is loaded once
    tracemalloc.start()
    try:
        with pytest.raises(Rejection) as caught:
            registry.read(data, region=REGION)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(caught.value.details) <= 1001
    assert peak <= 64e6


# --- B16 ---

DEEP: Any = []
for _ in range(1000):
    DEEP = [DEEP]
LONG = 10**5000
BUCKET = {"appid": "1250000000", "name": "manifests", "cosRegion": "ap-guangzhou"}
OBJECT = {"key": "/1250000000/manifests/requests/x.json", "url": ""}


def record(bucket: dict[str, Any], cos_object: dict[str, Any]) -> dict[str, Any]:
    """A COS event."""
    return {
        "Records": [
            {
                "event": {"eventName": "cos:ObjectCreated:Put"},
                "cos": {"cosBucket": {**BUCKET, **bucket}, "cosObject": {**OBJECT, **cos_object}},
            }
        ]
    }


@pytest.mark.parametrize("value", [DEEP, LONG, -LONG, {"a": DEEP}], ids=["deep", "long", "-", "{}"])
@pytest.mark.parametrize("member", ["name", "appid", "url", "TriggerName", "cosRegion", "region"])
def test_b16_member_of_an_event(member: str, value: object) -> None:
    """A member that is no text is taken for none, however deep or long it is."""
    if member == "TriggerName":
        event = {"Type": "Timer", "TriggerName": value, "Message": "{}"}
    else:
        bucket, cos_object = ({}, {member: value}) if member == "url" else ({member: value}, {})
        event = record(bucket, cos_object)
    (part,) = parse(event, region=REGION).parts
    if member in {"name", "appid"}:
        assert isinstance(part, RejectedPart)
        assert "cosBucket is" in part.error.message


@pytest.mark.parametrize("value", [DEEP, LONG], ids=["deep", "long"])
@pytest.mark.parametrize("member", ["eventName", "key", "event", "cos"])
def test_b16_other_member_of_an_event(member: str, value: object) -> None:
    """What must be a text or an object is rejected if it is not."""
    event = record({}, {})
    (one,) = event["Records"]
    parent = {"eventName": one["event"], "key": one["cos"]["cosObject"]}.get(member, one)
    parent[member] = value
    (part,) = parse(event, region=REGION).parts
    assert isinstance(part, RejectedPart)


def test_b16_direct_event_with_a_long_number() -> None:
    """A number that JSON cannot hold makes no document."""
    (part,) = parse({"ImageId": "img-1", "x": 10**400}, region=REGION).parts
    assert isinstance(part, InlineDocument)
    with pytest.raises(InvalidJSON):
        registry.read(part.data, region=REGION)
    with pytest.raises(InvalidEvent):
        parse({"ImageId": "img-1", "x": LONG}, region=REGION)
