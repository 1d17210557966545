"""Objects under any key in the emulated cloud, also under those that the COS SDK cannot send."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cos_client import BUCKET, REGION, client_of, error_of, send
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator


HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"
COPY = "copy"


@pytest.fixture(scope="module")
def shared() -> Iterator[EmulatedCloud]:
    """One running cloud for all examples of a property."""
    with EmulatedCloud(State(objects={BUCKET: {}})) as running:
        yield running


def listed(body: bytes, path: str = "Contents/Key") -> list[bytes]:
    """The keys in a listing that encodes them."""
    return [unquote_to_bytes(each.text or "") for each in ET.fromstring(body).iterfind(path)]  # noqa: S314


def code_of(body: bytes) -> str | None:
    """The code of an error, whose XML is valid."""
    return ET.fromstring(body).findtext("Code")  # noqa: S314


@settings(max_examples=50)
@given(key=st.binary(min_size=1, max_size=850))
@example(key=b"\0\x01\x1b\x7f\x85\xff\xfe")
@example(key=b"/")
@example(key=b"//a//")
@example(key=b"..")
@example(key=b"a/../..")
@example(key=b"./a/.")
@example(key=b" ")
@example(key=b"+%2F%2f%00%zz?versionId=null&uploads#f")
@example(key=b"http://a.example/b")
@example(key="中\U0001f600é\u0301\u2028\ufeff\uffff".encode())
@example(key=b"\xed\xb3\xbf")
@example(key=b"]]><&amp;'\"\r\n\t")
@example(key=b"a" * 850)
def test_any_bytes(shared: EmulatedCloud, key: bytes) -> None:
    """Whatever bytes a key has, the object is stored, read, listed, copied and deleted under it."""
    shared.state.objects[BUCKET] = {}
    url = {"encoding-type": b"url"}
    assert send(shared, "PUT", key, body=b"content")[0] == 200
    assert send(shared, "GET", key)[::2] == (200, b"content")
    assert send(shared, "HEAD", key)[0] == 200
    assert listed(send(shared, "GET", params={**url, "prefix": key})[2]) == [key]
    assert listed(send(shared, "GET", params={**url, "marker": key})[2]) == []
    assert ET.fromstring(send(shared, "GET")[2]).findtext("Contents/Size") == "7"  # noqa: S314
    grouped = send(shared, "GET", params={**url, "delimiter": key[-1:]})[2]
    assert listed(grouped, "CommonPrefixes/Prefix") == [key[: key.index(key[-1:]) + 1]]
    source = {"x-cos-copy-source": f"{HOST}/{quote(key)}"}
    assert send(shared, "PUT", COPY.encode(), headers=source)[0] == 200
    assert shared.state.objects[BUCKET][COPY].content == b"content"
    assert send(shared, "DELETE", key)[0] == 204
    assert send(shared, "GET", key)[::2][0] == 404
    assert code_of(send(shared, "PUT", b"another copy", headers=source)[2]) == "NoSuchKey"
    begun = ET.fromstring(send(shared, "POST", key, {"uploads": b""})[2])  # noqa: S314
    upload = {"uploadId": str(begun.findtext("UploadId")).encode()}
    uploads = send(shared, "GET", params={**url, "uploads": b"", "prefix": key})[2]
    assert listed(uploads, "Upload/Key") == [key]
    etag = send(shared, "PUT", key, {**upload, "partNumber": b"1"}, body=b"part")[1]["etag"]
    assert listed(send(shared, "GET", key, {**upload, **url})[2], "Key") == [key]
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
    status, _, reply = send(shared, "POST", key, upload, body=body)
    assert (status, ET.fromstring(reply).findtext("ETag", "")[-3:]) == (200, '-1"')  # noqa: S314
    assert send(shared, "GET", key)[2] == b"part"


def can_be_sent(key: str) -> bool:
    """Whether the SDK sends a key: it drops a slash, and urllib3 resolves a last segment `..`."""
    return not key.startswith("/") and re.search(r"(^|/)[.]{1,2}$", key) is None


@settings(max_examples=50)
@given(key=st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
@example(key="a/../b")
@example(key="a//b/")
@example(key="\0\x01\x1b\x7f\r\n\u2028")
@example(key="a+b %2F%00?x=y&z#f")
@example(key=" \u200b")
@example(key="中/\U0001f600")
def test_any_key_of_the_sdk(shared: EmulatedCloud, key: str) -> None:
    """Every key that the SDK can send is stored, read, listed, copied and deleted as that key."""
    assume(can_be_sent(key))
    assume(len(key.encode()) <= 850)
    client, shared.state.objects[BUCKET] = client_of(shared), {}
    stored: dict[str, Any] = {"Bucket": BUCKET, "Key": key}
    client.put_object(**stored, Body=b"content")
    assert client.object_exists(**stored)
    reply = client.get_object(**stored, KeySimplifyCheck=False)
    assert reply["Body"].get_raw_stream().read() == b"content"
    (entry,) = client.list_objects(Bucket=BUCKET, Prefix=key)["Contents"]
    assert entry["Key"] == key
    if key != COPY:
        client.copy_object(Bucket=BUCKET, Key=COPY, CopySource={**stored, "Region": REGION})
        assert client.get_object(Bucket=BUCKET, Key=COPY)["Content-Length"] == "7"
    client.delete_object(**stored)
    assert key not in shared.state.objects[BUCKET]
    upload = {**stored, "UploadId": client.create_multipart_upload(**stored)["UploadId"]}
    (entry,) = client.list_multipart_uploads(Bucket=BUCKET, Prefix=key)["Upload"]
    assert entry["Key"] == client.list_parts(**upload)["Key"] == key
    etag = client.upload_part(**upload, PartNumber=1, Body=b"a")["ETag"]
    parts = {"Part": [{"PartNumber": 1, "ETag": etag}]}
    client.complete_multipart_upload(**upload, MultipartUpload=parts)
    # XML 1.0, as which the SDK sends this, has no control characters, and no \r.
    if re.search("[\0-\x08\x0b-\x1f\ufffe\uffff]", key) is None:
        reply = client.delete_objects(Bucket=BUCKET, Delete={"Object": [{"Key": key}]})
        assert reply == {"Deleted": [{"Key": key}]}
        assert key not in shared.state.objects[BUCKET]


@pytest.mark.parametrize(
    ("key", "stored"), [("/a", "a"), ("//a", "/a"), ("a/..", None), (".", None)]
)
def test_keys_that_the_sdk_alters(cloud: EmulatedCloud, key: str, stored: str | None) -> None:
    """The SDK drops one slash; what it signs in another form than it sends is an error."""
    cloud.state.objects[BUCKET] = {}
    if stored is None:
        result = error_of(client_of(cloud).put_object, Bucket=BUCKET, Key=key, Body=b"")
        assert result == (403, "SignatureDoesNotMatch")
    else:
        client_of(cloud).put_object(Bucket=BUCKET, Key=key, Body=b"")
    assert [*cloud.state.objects[BUCKET]] == [stored] * (stored is not None)


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD", "DELETE"])
def test_long_keys(cloud: EmulatedCloud, method: str) -> None:
    """A key of more than 850 bytes is rejected, however few characters these are."""
    for key in (b"a" * 851, "é".encode() * 426):
        status, _, body = send(cloud, method, key)
        assert status == 400
        assert method == "HEAD" or code_of(body) == "KeyTooLong"
