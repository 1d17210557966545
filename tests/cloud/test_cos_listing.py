"""Listings of the emulated cloud's buckets, read with the official COS SDK."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_client import BUCKET, REGION, client_of, error_of, send
from scf_local.cloud.seed import Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcloud_cos import CosS3Client


@pytest.fixture(scope="module")
def shared() -> Iterator[EmulatedCloud]:
    """One running cloud for all examples of a property."""
    with EmulatedCloud(State(objects={BUCKET: {}})) as running:
        yield running


@pytest.fixture
def client(cloud: EmulatedCloud) -> CosS3Client:
    """The COS client."""
    return client_of(cloud)


def fill(cloud: EmulatedCloud, *keys: str) -> None:
    """Let the bucket have these keys only."""
    cloud.state.objects[BUCKET] = {key: Object(key.encode()) for key in keys}


def shown(reply: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the keys and the common prefixes of a listing."""
    prefixes = [each["Prefix"] for each in reply.get("CommonPrefixes", ())]
    return [each["Key"] for each in reply.get("Contents", ())], prefixes


def test_objects_of_a_listing(cloud: EmulatedCloud, client: CosS3Client) -> None:
    """A listing has what COS says of each object, and of the request."""
    fill(cloud, "a")
    assert client.list_objects(Bucket=BUCKET, Prefix="a", Delimiter="/") == {
        "Name": BUCKET,
        "EncodingType": "url",
        "Prefix": "a",
        "Delimiter": "/",
        "Marker": None,
        "MaxKeys": "1000",
        "IsTruncated": "false",
        "Contents": [
            {
                "Key": "a",
                "LastModified": "2026-11-01T00:00:00.000Z",
                "ETag": '"0cc175b9c0f1b6a831c399e269772661"',
                "Size": "1",
                "Owner": {"ID": "1250000000", "DisplayName": "1250000000"},
                "StorageClass": "STANDARD",
            }
        ],
    }


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, (["a", "a/b", "a/c/d", "b/", "b/e", "é"], [])),
        ({"Prefix": "a/"}, (["a/b", "a/c/d"], [])),
        ({"Delimiter": "/"}, (["a", "é"], ["a/", "b/"])),
        ({"Delimiter": "/", "Prefix": "a/"}, (["a/b"], ["a/c/"])),
        ({"Delimiter": "é"}, (["a", "a/b", "a/c/d", "b/", "b/e"], ["é"])),
        ({"Marker": "a/b"}, (["a/c/d", "b/", "b/e", "é"], [])),
        ({"Marker": "a/0"}, (["a/b", "a/c/d", "b/", "b/e", "é"], [])),
        ({"Delimiter": "/", "Marker": "a/"}, (["é"], ["b/"])),
        ({"Prefix": "z"}, ([], [])),
        ({"MaxKeys": 0}, ([], [])),
    ],
    ids=str,
)
def test_selection(
    cloud: EmulatedCloud,
    client: CosS3Client,
    params: dict[str, Any],
    expected: tuple[list[str], list[str]],
) -> None:
    """Prefix, delimiter and marker select keys, in the order of bytes."""
    fill(cloud, "é", "b/e", "b/", "a/c/d", "a/b", "a")
    reply = client.list_objects(Bucket=BUCKET, **params)
    assert shown(reply) == expected
    assert reply["IsTruncated"] == "false"


KEYS = st.lists(st.text("a/\x00\n+é%", min_size=1, max_size=6).filter(lambda key: key != "/"))


@given(keys=KEYS, prefix=st.sampled_from(["", "a", "/"]), delimiter=st.sampled_from(["", "/"]))
def test_pages(shared: EmulatedCloud, keys: list[str], prefix: str, delimiter: str) -> None:
    """However long a page is, all pages together are the whole listing, each entry once."""
    fill(shared, *keys)
    client = client_of(shared)
    whole = shown(client.list_objects(Bucket=BUCKET, Prefix=prefix, Delimiter=delimiter))
    expected = {key for key in keys if key.startswith(prefix)}
    assert all(any(key.startswith(common) for key in expected) for common in whole[1])
    assert {k for k in expected if not any(k.startswith(p) for p in whole[1])} == set(whole[0])
    for length in (1, 2):
        marker, pages = "", ([], [])  # type: tuple[str, tuple[list[str], list[str]]]
        for _ in range(len(keys) + 1):
            reply = client.list_objects(
                Bucket=BUCKET, Prefix=prefix, Delimiter=delimiter, Marker=marker, MaxKeys=length
            )
            for entries, new in zip(pages, shown(reply), strict=True):
                entries.extend(new)
            assert sum(map(len, shown(reply))) <= length
            marker = reply.get("NextMarker")
            if reply["IsTruncated"] == "false":
                break
        assert pages == whole


def test_at_most_a_thousand(cloud: EmulatedCloud, client: CosS3Client) -> None:
    """A page has at most 1,000 keys, whatever is asked for."""
    fill(cloud, *(f"{number:04}" for number in range(1001)))
    reply = client.list_objects(Bucket=BUCKET, MaxKeys=5000)
    assert (reply["MaxKeys"], reply["IsTruncated"], reply["NextMarker"]) == ("1000", "true", "0999")
    assert len(reply["Contents"]) == 1000


@pytest.mark.parametrize(
    "params",
    [
        {"max-keys": b"x"},
        {"max-keys": b"-1"},
        {"encoding-type": b"x"},
        {"delimiter": b"//"},
    ],
    ids=str,
)
def test_invalid_parameters(cloud: EmulatedCloud, params: dict[str, bytes]) -> None:
    """A parameter with a value that COS does not allow is an error."""
    fill(cloud, "a")
    status, _, body = send(cloud, "GET", params=params)
    assert (status, ET.fromstring(body).findtext("Code")) == (400, "NotImplemented")  # noqa: S314


def test_keys_that_xml_cannot_hold(cloud: EmulatedCloud) -> None:
    """Without encoding-type, a listing is valid XML, in which U+FFFD replaces such characters."""
    fill(cloud, "a\0", "b\r\n", "c<&>", "d")
    cloud.state.objects[BUCKET]["e\udcff"] = Object(b"")
    status, _, body = send(cloud, "GET")
    keys = [each.text for each in ET.fromstring(body).iterfind("Contents/Key")]  # noqa: S314
    assert status == 200
    assert keys == ["a\ufffd", "b\r\n", "c<&>", "d", "e\ufffd"]
    prefix = send(cloud, "GET", params={"prefix": b"e\xff", "encoding-type": b"url"})[2]
    assert ET.fromstring(prefix).findtext("Contents/Key") == "e%FF"  # noqa: S314


def test_bucket(cloud: EmulatedCloud, client: CosS3Client) -> None:
    """A bucket exists, and has a region, or does not exist."""
    assert client.bucket_exists(Bucket=BUCKET)
    assert client.head_bucket(Bucket=BUCKET)["x-cos-bucket-region"] == REGION
    assert not client.bucket_exists(Bucket="other-1250000000")
    assert error_of(client.list_objects, Bucket="other-1250000000") == (404, "NoSuchBucket")
    actions = [call["Action"] for call in cloud.state.calls]
    assert actions == ["HeadBucket", "HeadBucket", "HeadBucket", "GetBucket"]
