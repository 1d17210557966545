"""Deleting and copying objects of the emulated cloud with the official COS SDK."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qcloud_cos import CosS3Client
from requests import Session
from requests.adapters import HTTPAdapter

from cos_client import BUCKET, REGION, client_of, config, error_of, send
from scf_local.cloud.seed import Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import Bucket, State

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

KEY, OTHER = "a.bin", "other-1250000000"


@pytest.fixture
def client(cloud: EmulatedCloud) -> CosS3Client:
    """The COS client; the object `KEY` contains b"content", in both buckets."""
    stored = Object(b"content", {"Content-Type": "text/x", "x-cos-meta-team": "web"})
    cloud.state.objects |= {BUCKET: {KEY: stored}, OTHER: {KEY: stored}}
    return client_of(cloud)


def keys(client: CosS3Client) -> list[str]:
    """Return the keys that a listing has."""
    return [each["Key"] for each in client.list_objects(Bucket=BUCKET).get("Contents", ())]


def content_of(client: CosS3Client, **params: str) -> bytes:
    """Return an object's content."""
    reply = client.get_object(Bucket=BUCKET, **{"Key": KEY, **params})
    return bytes(reply["Body"].get_raw_stream().read())


# --- Deleting ---


def test_delete(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """A deleted object is gone; deleting it again succeeds, too."""
    for _ in range(2):
        reply = client.delete_object(Bucket=BUCKET, Key=KEY)
        assert not {"x-cos-version-id", "x-cos-delete-marker"} & set(reply)
        assert error_of(client.get_object, Bucket=BUCKET, Key=KEY) == (404, "NoSuchKey")
    assert keys(client) == []
    assert [call["Action"] for call in cloud.state.writes()] == ["DeleteObject"] * 2
    assert error_of(client.delete_object, Bucket="no-1250000000", Key=KEY) == (404, "NoSuchBucket")
    assert send(cloud, "DELETE", b"never")[0] == 204


def test_delete_with_versions(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """With versions, an object is hidden by a delete marker, and is back once that is deleted."""
    client.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")
    version = client.put_object(Bucket=BUCKET, Key=KEY, Body=b"new")["x-cos-version-id"]
    reply = client.delete_object(Bucket=BUCKET, Key=KEY)
    marker = {"Key": KEY, "VersionId": reply["x-cos-version-id"]}
    assert reply["x-cos-delete-marker"] == "true"
    assert keys(client) == cloud.state.snapshot()["Objects"][BUCKET] == []
    assert error_of(client.get_object, Bucket=BUCKET, Key=KEY) == (404, "NoSuchKey")
    assert error_of(client.get_object, Bucket=BUCKET, **marker) == (405, "MethodNotAllowed")
    assert content_of(client, VersionId=version) == b"new"
    reply = client.delete_object(Bucket=BUCKET, **marker)
    assert reply["x-cos-delete-marker"] == "true"
    assert content_of(client) == b"new"
    reply = client.delete_object(Bucket=BUCKET, Key=KEY, VersionId=version)
    assert (reply["x-cos-version-id"], "x-cos-delete-marker" in reply) == (version, False)
    assert content_of(client) == b"content"
    client.delete_object(Bucket=BUCKET, Key=KEY, VersionId=version)
    client.delete_object(Bucket=BUCKET, Key=KEY, VersionId="null")
    assert cloud.state.objects[BUCKET] == {}


def test_delete_while_suspended(client: CosS3Client) -> None:
    """While versioning is suspended, a delete marker replaces the version `null` only."""
    client.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")
    version = client.put_object(Bucket=BUCKET, Key=KEY, Body=b"new")["x-cos-version-id"]
    client.put_bucket_versioning(Bucket=BUCKET, Status="Suspended")
    assert client.delete_object(Bucket=BUCKET, Key=KEY)["x-cos-version-id"] == "null"
    assert keys(client) == []
    assert content_of(client, VersionId=version) == b"new"
    client.put_object(Bucket=BUCKET, Key=KEY, Body=b"newer")
    assert content_of(client, VersionId="null") == b"newer"


ACTIONS = st.lists(st.tuples(st.sampled_from(["put", "delete", "remove"]), st.integers(0, 9)))


@given(actions=ACTIONS)
def test_versions_of_one_moment(actions: list[tuple[str, int]]) -> None:
    """Whatever is deleted meanwhile, no version gets the id of one that exists."""
    now = time.time()
    state = State(objects={BUCKET: {}}, buckets={BUCKET: Bucket(versioning="Enabled")})
    with EmulatedCloud(state, clock=lambda: now) as cloud:
        for action, number in actions:
            newest = cloud.state.objects[BUCKET].get("k")
            versions = [old.version for old in (newest, *newest.older)] if newest else []
            if action == "put":
                send(cloud, "PUT", b"k")
            elif action == "delete":
                send(cloud, "DELETE", b"k")
            elif number < len(versions):
                send(cloud, "DELETE", b"k", {"versionId": versions[number].encode()})
            newest = cloud.state.objects[BUCKET].get("k")
            versions = [old.version for old in (newest, *newest.older)] if newest else []
            assert len(versions) == len(set(versions))


def test_delete_objects(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """Several objects are deleted in one request, whose reply has each, or none if quiet."""
    cloud.state.objects[BUCKET] |= {"b & c": Object(b""), "d": Object(b"")}
    objects = [{"Key": KEY}, {"Key": "b & c"}, {"Key": "no"}]
    reply = client.delete_objects(Bucket=BUCKET, Delete={"Quiet": "false", "Object": objects})
    assert reply == {"Deleted": objects}
    assert keys(client) == ["d"]
    quiet: dict[str, Any] = {"Quiet": "true", "Object": [{"Key": "d"}]}
    assert "Deleted" not in client.delete_objects(Bucket=BUCKET, Delete=quiet)
    assert keys(client) == []
    assert [each["Action"] for each in cloud.state.writes()] == ["DeleteMultipleObjects"] * 2


def test_delete_objects_with_versions(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """The reply has new delete markers, and the versions that were deleted."""
    client.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")
    objects = [{"Key": KEY}, {"Key": KEY, "VersionId": "null"}]
    reply = client.delete_objects(Bucket=BUCKET, Delete={"Object": objects})
    marker = cloud.state.objects[BUCKET][KEY].version
    assert reply["Deleted"] == [
        {"Key": KEY, "DeleteMarker": "true", "DeleteMarkerVersionId": marker},
        {"Key": KEY, "VersionId": "null"},
    ]
    assert cloud.state.objects[BUCKET][KEY].older == ()


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"", {}, "MalformedXML"),
        (b"<Delete></Delete>", {}, "MalformedXML"),
        (b"<Delete><Object><Key/></Object></Delete>", {}, "MalformedXML"),
        (b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>", {}, "MalformedXML"),
        (b"<?xml version='1.0' encoding='no-such'?><Delete/>", {}, "MalformedXML"),
        (
            b"<Delete><Object><Key>a.bin</Key></Object></Delete>",
            {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="},
            "BadDigest",
        ),
        (b"a" * (8 << 20) + b"a", {}, "EntityTooLarge"),
    ],
    ids=[*("empty", "none", "no key", "too many", "encoding", "digest", "long")],
)
@pytest.mark.usefixtures("client")
def test_invalid_delete_objects(
    cloud: EmulatedCloud, body: bytes, headers: dict[str, str], code: str
) -> None:
    """A body that COS does not accept deletes nothing."""
    status, _, reply = send(cloud, "POST", params={"delete": b""}, headers=headers, body=body)
    assert (status, ET.fromstring(reply).findtext("Code")) == (400, code)  # noqa: S314
    assert KEY in cloud.state.objects[BUCKET]


# --- Copying ---


def source(bucket: str = BUCKET, key: str = KEY, **more: str) -> dict[str, str]:
    """The SDK's description of an object to copy."""
    return {"Bucket": bucket, "Key": key, "Region": REGION, **more}


class ToCloud(HTTPAdapter):
    """Sends requests for any host to the cloud; `copy` ignores the address in the configuration."""

    def __init__(self, cloud: EmulatedCloud) -> None:
        super().__init__()
        self.url = cloud.url

    def send(self, request: PreparedRequest, *args: Any, **more: Any) -> Response:  # noqa: ANN401 - as there
        """Send a request."""
        url = urlsplit(str(request.url))
        request.headers["Host"] = url.netloc
        request.url = f"{self.url}{url.path}{'?' * bool(url.query)}{url.query}"
        return super().send(request, *args, **more)


@pytest.mark.parametrize("bucket", [BUCKET, OTHER])
@pytest.mark.parametrize("region", [REGION, "ap-shanghai"])
@pytest.mark.parametrize("call", ["copy_object", "copy"])
@pytest.mark.usefixtures("client")
def test_copy(cloud: EmulatedCloud, call: str, bucket: str, region: str) -> None:
    """A copy has the content and the headers of the source, of whichever bucket and region."""
    session = Session()
    session.mount("http://", ToCloud(cloud))
    client = CosS3Client(config(), retry=0, session=session)
    copy_source = {**source(bucket), "Region": region}
    reply = getattr(client, call)(Bucket=BUCKET, Key="b/ü", CopySource=copy_source)
    assert reply["ETag"] == '"9a0364b9e99bb480dd25e1f0284c8555"'
    assert reply["LastModified"].endswith("Z")
    head = client.head_object(Bucket=BUCKET, Key="b/ü")
    assert (head["Content-Type"], head["x-cos-meta-team"]) == ("text/x", "web")
    assert content_of(client, Key="b/ü") == b"content"
    assert [each["Action"] for each in cloud.state.writes()] == ["PutObjectCopy"]


def test_copy_with_other_headers(client: CosS3Client) -> None:
    """A copy has the headers of the request if these are to replace those of the source."""
    meta = {"Metadata": {"x-cos-meta-a": "b"}}
    client.copy_object(Bucket=BUCKET, Key=KEY, CopySource=source(), CopyStatus="Replaced", **meta)
    head = client.head_object(Bucket=BUCKET, Key=KEY)
    assert head["x-cos-meta-a"] == "b"
    assert "x-cos-meta-team" not in head
    client.copy_object(Bucket=BUCKET, Key="b", CopySource=source(), **meta, ContentType="text/y")
    head = client.head_object(Bucket=BUCKET, Key="b")
    assert (head["Content-Type"], head["x-cos-meta-a"]) == ("application/octet-stream", "b")


def test_copy_of_a_version(client: CosS3Client) -> None:
    """A version other than the newest can be copied, and the copy is a version itself."""
    client.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")
    client.put_object(Bucket=BUCKET, Key=KEY, Body=b"new")
    reply = client.copy_object(Bucket=BUCKET, Key=KEY, CopySource=source(VersionId="null"))
    assert (
        content_of(client, VersionId=reply["x-cos-version-id"]) == content_of(client) == b"content"
    )
    marker = client.delete_object(Bucket=BUCKET, Key=KEY)["x-cos-version-id"]
    copy: dict[str, Any] = {"call": client.copy_object, "Bucket": BUCKET, "Key": "b"}
    assert error_of(**copy, CopySource=source()) == (404, "NoSuchKey")
    assert error_of(**copy, CopySource=source(VersionId="no")) == (404, "NoSuchVersion")
    assert error_of(**copy, CopySource=source(VersionId=marker)) == (405, "MethodNotAllowed")


@pytest.mark.parametrize(
    ("given_source", "expected"),
    [
        (source(key="no"), (404, "NoSuchKey")),
        (source("no-1250000000"), (404, "NoSuchBucket")),
        (source("a"), (400, "InvalidCopySource")),
    ],
    ids=str,
)
def test_invalid_copies(
    client: CosS3Client,
    cloud: EmulatedCloud,
    given_source: dict[str, str],
    expected: tuple[int, str],
) -> None:
    """A source that does not exist is an error that changes nothing."""
    before = dict(cloud.state.objects[BUCKET])
    params = {"Bucket": BUCKET, "Key": KEY, "CopySource": given_source}
    assert error_of(client.copy_object, **params) == expected
    assert cloud.state.objects[BUCKET] == before


@pytest.mark.parametrize(
    "address",
    [
        "",
        f"{BUCKET}/a.bin",
        f"{BUCKET}.cos.{REGION}.myqcloud.com/",
        f"{BUCKET}.cos.{REGION}.myqcloud.com/{KEY}?version=1",
    ],
)
@pytest.mark.usefixtures("client")
def test_malformed_sources(cloud: EmulatedCloud, address: str) -> None:
    """A malformed source is an error, never an upload without content."""
    status, _, reply = send(cloud, "PUT", b"b", headers={"x-cos-copy-source": address})
    assert (status, ET.fromstring(reply).findtext("Code")) == (400, "InvalidCopySource")  # noqa: S314
    assert "b" not in cloud.state.objects[BUCKET]


@pytest.mark.usefixtures("client")
def test_malformed_directive(cloud: EmulatedCloud) -> None:
    """The headers of a copy are those of the source, or those of the request."""
    address = f"{BUCKET}.cos.{REGION}.myqcloud.com/{KEY}"
    headers = {"x-cos-copy-source": address, "x-cos-metadata-directive": "Move"}
    status, _, reply = send(cloud, "PUT", b"b", headers=headers)
    assert (status, ET.fromstring(reply).findtext("Code")) == (400, "NotImplemented")  # noqa: S314
    assert "b" not in cloud.state.objects[BUCKET]


def test_copy_source_as_a_parameter(cloud: EmulatedCloud) -> None:
    """The source of a copy is a header; as a parameter, it is rejected."""
    address = f"{BUCKET}.cos.{REGION}.myqcloud.com/{KEY}".encode()
    status, _, reply = send(cloud, "PUT", b"b", {"x-cos-copy-source": address})
    assert (status, ET.fromstring(reply).findtext("Code")) == (400, "NotImplemented")  # noqa: S314
