"""COS objects in the emulated cloud, accessed with the official SDK and with URLs that it signs."""

from __future__ import annotations

import gzip
import re
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from base64 import b64encode
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from qcloud_cos import CosS3Auth, CosS3Client, CosServiceError

from conftest import ROOT
from cos_client import BUCKET, CREDENTIALS, REGION, client_of, config, send
from scf_local.cloud import cos, faults
from scf_local.cloud.dispatcher import Dispatcher
from scf_local.cloud.seed import Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.signatures import cos_signature
from scf_local.cloud.state import Bucket, State, is_write
from scf_local.cloud.wire import Request
from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "a.bin"
HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"
TOKEN = {"x-cos-security-token": CREDENTIALS.token}
SOURCE = {"Bucket": BUCKET, "Key": KEY, "Region": REGION}
ETAG = '"9a0364b9e99bb480dd25e1f0284c8555"'


@pytest.fixture
def client(cloud: EmulatedCloud) -> CosS3Client:
    """The COS client; the object `KEY` contains b"content"."""
    cloud.state.objects[BUCKET][KEY] = Object(b"content")
    return client_of(cloud)


def error_of(call: Callable[..., Any], **params: Any) -> tuple[int, str]:  # noqa: ANN401 - the SDK's own
    """The status and error code of an SDK call that fails."""
    with pytest.raises(CosServiceError) as raised:
        call(Bucket=BUCKET, **{"Key": KEY, **params})
    return raised.value.get_status_code(), raised.value.get_error_code()


def outcomes(cloud: EmulatedCloud) -> list[str]:
    """The recorded outcomes of all calls."""
    return [call["Outcome"] for call in cloud.state.snapshot()["Calls"]]


def presigned(
    method: str = "GET",
    credentials: AccountCredentials = CREDENTIALS,
    **params: Any,  # noqa: ANN401 - the SDK's own
) -> str:
    """The path and query of a URL that the SDK signs."""
    url = CosS3Client(config(credentials)).get_presigned_url(BUCKET, KEY, method, **params)
    return urlsplit(str(url))._replace(scheme="", netloc="").geturl()


def fetch(
    cloud: EmulatedCloud, url: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, bytes, str]:
    """Return status, body and type, without `requests`, whose log would contain the signature."""
    request = urllib.request.Request(  # noqa: S310 - our own server
        cloud.url + url, body, {"Host": HOST, **(headers or {})}, method="PUT" if body else "GET"
    )
    try:
        # Not `urlopen`, which keeps the proxy variables that another test had set.
        with urllib.request.build_opener().open(request) as reply:
            return reply.status, reply.read(), reply.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers["Content-Type"]


@pytest.mark.parametrize(
    "key",
    [
        *("a.json", "请求/a b+c%20d.json", "/lead//double", "x?y&z=1#f"),
        *("a\nb\r\n.json", "\0\x1b\x7f\x85\u2028\u202e"),
    ],
)
def test_objects(client: CosS3Client, cloud: EmulatedCloud, key: str) -> None:
    """The COS SDK can write, read and query an object under any key."""
    tag = client.put_object(Bucket=BUCKET, Key=key, Body=b"content")["ETag"]
    reply = client.get_object(Bucket=BUCKET, Key=key)
    assert reply["Body"].get_raw_stream().read() == b"content"
    assert (reply["ETag"], reply["Content-Length"]) == (tag, "7")
    assert reply["x-cos-request-id"]
    head = client.head_object(Bucket=BUCKET, Key=key)
    assert (head["ETag"], head["Content-Length"]) == (tag, "7")
    assert tag == ETAG
    actions = [call["Action"] for call in cloud.state.snapshot()["Calls"]]
    assert actions == ["PutObject", "GetObject", "HeadObject"]


@pytest.mark.parametrize("read", ["get_object", "head_object"])
def test_headers_are_stored(client: CosS3Client, read: str) -> None:
    """Content type, metadata, other headers and the time are returned as stored."""
    body = gzip.compress(b"content")
    stored = {
        "ContentType": "text/plain; charset=utf-8",
        "CacheControl": "no-cache",
        "ContentDisposition": "inline",
        "ContentEncoding": "gzip",
        "ContentLanguage": "en",
        "Expires": "Thu, 01 Jan 2026 00:00:00 GMT",
    }
    meta = {"x-cos-meta-team": "web", "x-cos-meta-Build": "17"}
    params = {**stored, "Metadata": meta, "StorageClass": "STANDARD"}
    client.put_object(Bucket=BUCKET, Key=KEY, Body=body, **params)
    reply = getattr(client, read)(Bucket=BUCKET, Key=KEY)
    received = {name.lower(): value for name, value in reply.items() if name != "Body"}
    expected = {**{name.replace("Content", "Content-"): stored[name] for name in stored}, **meta}
    expected["Cache-Control"] = expected.pop("CacheControl")
    assert received.items() >= {name.lower(): value for name, value in expected.items()}.items()
    assert received["content-length"] == str(len(body))
    assert abs(parsedate_to_datetime(received["last-modified"]).timestamp() - time.time()) < 60


def test_large_object(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """An object may be far larger than an API request."""
    body = bytes(12 << 20)
    client.put_object(Bucket=BUCKET, Key=KEY, Body=body)
    assert cloud.state.objects[BUCKET][KEY].content == body


def test_seeded_object(client: CosS3Client) -> None:
    """A seeded object, for which only the content is given, still has a type and a time."""
    reply = client.head_object(Bucket=BUCKET, Key=KEY)
    assert reply["Content-Type"] == "application/octet-stream"
    assert reply["Last-Modified"] == "Sun, 01 Nov 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("requested", "body", "content_range"),
    [
        ("bytes=0-0", b"c", "bytes 0-0/7"),
        ("bytes=1-3", b"ont", "bytes 1-3/7"),
        ("bytes=5-", b"nt", "bytes 5-6/7"),
        ("bytes=5-99", b"nt", "bytes 5-6/7"),
        ("bytes=-2", b"nt", "bytes 5-6/7"),
        ("bytes=-99", b"content", "bytes 0-6/7"),
    ],
)
def test_range(client: CosS3Client, requested: str, body: bytes, content_range: str) -> None:
    """A range request returns only that range, its position and the total size."""
    reply = client.get_object(Bucket=BUCKET, Key=KEY, Range=requested)
    assert reply["Body"].get_raw_stream().read() == body
    assert (reply["Content-Range"], reply["Content-Length"]) == (content_range, str(len(body)))
    assert reply["Body"]._rt.status_code == 206


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        *((value, (416, "InvalidRange")) for value in ("bytes=7-", "bytes=7-9", "bytes=-0")),
        *(
            (value, (400, "NotImplemented"))
            for value in ("bytes=0-1,3-4", "bytes=-", "bytes=a-b", "lines=0-1")
        ),
    ],
)
def test_range_errors(
    client: CosS3Client, cloud: EmulatedCloud, requested: str, expected: tuple[int, str]
) -> None:
    """A range beyond the end is an InvalidRange, and an unsupported form is NotImplemented."""
    assert error_of(client.get_object, Range=requested) == expected
    assert outcomes(cloud) == [expected[1]]


def test_digest(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """Content is stored only if its Content-MD5 matches."""
    put: dict[str, Any] = {"Key": "new", "Body": b"content"}
    for digest, code in (
        (b64encode(bytes(16)).decode(), "BadDigest"),
        ("0" * 32, "BadDigest"),
    ):
        assert error_of(client.put_object, ContentMD5=digest, **put) == (400, code)
    assert "new" not in cloud.state.objects[BUCKET]
    client.put_object(Bucket=BUCKET, EnableMD5=True, **put)
    assert cloud.state.objects[BUCKET]["new"].content == b"content"


@pytest.mark.parametrize(
    ("call", "params"),
    [
        ("get_object", {"IfModifiedSince": "Sun, 01 Nov 2026 00:00:00 GMT"}),
        ("get_object", {"IfUnmodifiedSince": "Sun, 01 Nov 2026 00:00:00 GMT"}),
        ("get_object", {"TrafficLimit": "819200"}),
        ("get_object_acl", {}),
        ("get_object_tagging", {}),
        ("put_object", {"Body": b"", "ACL": "public-read"}),
        ("put_object", {"Body": b"", "StorageClass": "ARCHIVE"}),
        ("put_object", {"Body": b"", "Tagging": "a=b"}),
        ("put_object", {"Body": b"", "PicOperations": "{}"}),
        ("put_object", {"Body": b"", "IfNoneMatch": "*"}),
        ("put_object_acl", {"ACL": "public-read"}),
        ("put_object_tagging", {"Tagging": {"TagSet": {"Tag": [{"Key": "a", "Value": "b"}]}}}),
        ("list_parts", {"UploadId": "1", "MaxParts": 1}),
        ("append_object", {"Position": 0, "Data": b"a"}),
        ("restore_object", {}),
        ("copy_object", {"CopySource": SOURCE, "CopySourceIfMatch": ETAG}),
        ("copy_object", {"CopySource": SOURCE, "Tagging": "a=b"}),
        ("create_multipart_upload", {"ACL": "private"}),
        ("upload_part_copy", {"PartNumber": 1, "UploadId": "1", "CopySource": SOURCE}),
    ],
    ids=str,
)
def test_not_emulated(
    client: CosS3Client, cloud: EmulatedCloud, call: str, params: dict[str, Any]
) -> None:
    """COS features that are not emulated are rejected with NotImplemented and change nothing."""
    assert error_of(getattr(client, call), **params) == (400, "NotImplemented")
    assert cloud.state.objects[BUCKET][KEY] == Object(b"content")


@pytest.mark.parametrize(
    ("method", "key", "params", "status", "message"),
    [
        ("GET", b"k", {"tagging": b""}, 400, "'tagging' of GetObject .* emulated: versionId, res"),
        ("GET", b"", {"versions": b""}, 400, "'versions' of GetBucket .* prefix, delimiter"),
        ("GET", b"", {"policy": b""}, 400, "'policy' of GetBucket is not emulated"),
        ("POST", b"k", {"append": b"", "position": b"0"}, 400, "POST /<key>[?]append is not "),
        ("PUT", b"k", {"uploadId": b"1"}, 400, "'uploadId' of PutObject is not emulated"),
        ("PUT", b"", {"cors": b""}, 400, "'cors' of PutBucket is not emulated"),
        ("POST", b"", {}, 400, "POST / is not emulated; emulated are GET /[?]versioning"),
        ("DELETE", b"", {}, 400, "DELETE / is not emulated"),
        ("DELETE", b"k", {"tagging": b""}, 400, "'tagging' of DeleteObject .* emulated: versionId"),
        ("PATCH", b"k", {}, 400, "PATCH /<key> is not emulated; emulated are .* GET /<key>, HEAD"),
    ],
)
def test_what_is_not_emulated_is_named(  # noqa: PLR0913, PLR0917 - a row of the table
    cloud: EmulatedCloud,
    method: str,
    key: bytes,
    params: dict[str, bytes],
    status: int,
    message: str,
) -> None:
    """A request that is not emulated gets an error with its name and with what is emulated."""
    received, _, body = send(cloud, method, key, params)
    text = ET.fromstring(body).findtext("Message") or ""  # noqa: S314 - our own
    assert received == status
    assert re.search(message, text)


@pytest.mark.parametrize(
    ("bucket", "credentials", "status", "code"),
    [
        (BUCKET, CREDENTIALS, 404, "NoSuchKey"),
        ("other-1250000000", CREDENTIALS, 404, "NoSuchBucket"),
        (BUCKET, AccountCredentials(secret_key="other"), 403, "SignatureDoesNotMatch"),
        (BUCKET, AccountCredentials(secret_id="AKIDOTHER"), 403, "InvalidAccessKeyId"),
        (BUCKET, AccountCredentials(token="other"), 403, "InvalidToken"),
    ],
)
def test_errors(
    cloud: EmulatedCloud, bucket: str, credentials: AccountCredentials, status: int, code: str
) -> None:
    """The COS SDK can read every error."""
    with pytest.raises(CosServiceError) as raised:
        client_of(cloud, credentials).get_object(Bucket=bucket, Key="no\0\x1b.json")
    error = raised.value
    assert (error.get_status_code(), error.get_error_code()) == (status, code)
    assert error.get_request_id()
    assert outcomes(cloud) == [code]


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ({"If-Match": ETAG}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": f'"0", {ETAG}'}, 200),
        ({"If-Match": '"0"'}, 412),
        ({"If-Match": '"0"', "If-None-Match": ETAG}, 412),
        ({"If-None-Match": '"0"'}, 200),
        ({"If-None-Match": ETAG.strip('"')}, 304),
        ({"If-None-Match": ETAG}, 304),
    ],
)
def test_conditions(
    client: CosS3Client, cloud: EmulatedCloud, condition: dict[str, str], status: int
) -> None:
    """Conditions on the ETag decide between status 200, 304 and 412."""
    params = {name.replace("-", ""): value for name, value in condition.items()}
    if status == 412:
        assert error_of(client.get_object, **params) == (412, "PreconditionFailed")
        assert error_of(client.head_object, **params)[0] == 412
    else:
        head = client.head_object(Bucket=BUCKET, Key=KEY, **params)
        assert (head["ETag"], "Content-Length" in head) == (ETAG, status == 200)
    # The SDK cannot be used here: its `get_object` raises OSError for any 304.
    assert fetch(cloud, presigned(Params=TOKEN), condition)[0] == status


@pytest.mark.parametrize("name", ["uploads", "uploadId", "versioning", "delete"])
def test_parameters_are_not_headers(cloud: EmulatedCloud, name: str) -> None:
    """A header with the name of a parameter does not make another action of a request."""
    assert send(cloud, "PUT", b"k", headers={name: "1"})[0] == 200
    assert send(cloud, "GET", headers={name: "1"})[0] == 200
    assert [call["Action"] for call in cloud.state.calls] == ["PutObject", "GetBucket"]


def test_actions_are_documented() -> None:
    """The documentation names every action, faults can have each, and some are writes."""
    page = (ROOT / "docs" / "scf-local.md").read_text()
    section = page.partition("## The emulated cloud's COS")[2].partition("\n## ")[0]
    assert set(re.findall("`([A-Z][a-z]+[A-Z]\\w+)`", section)) >= set(cos.ACTIONS)
    assert set(faults.ACTIONS) >= set(cos.ACTIONS)
    reads = {
        *("GetBucket", "HeadBucket", "GetBucketACL", "GetBucketVersioning", "GetObject"),
        *("HeadObject", "ListMultipartUploads", "ListParts"),
    }
    assert set(cos.ACTIONS) - reads == set(filter(is_write, cos.ACTIONS))


# --- Versions ---


def versions_of(client: CosS3Client, *bodies: bytes) -> list[str | None]:
    """Upload the bodies under one key, and return their version ids."""
    return [
        client.put_object(Bucket=BUCKET, Key=KEY, Body=body).get("x-cos-version-id")
        for body in bodies
    ]


def content_of(client: CosS3Client, **params: str) -> tuple[bytes, str | None]:
    """Return the content of the object and its version id, which a HEAD returns, too."""
    reply = client.get_object(Bucket=BUCKET, Key=KEY, **params)
    head = client.head_object(Bucket=BUCKET, Key=KEY, **params)
    version = reply.get("x-cos-version-id")
    assert (head["ETag"], head.get("x-cos-version-id")) == (reply["ETag"], version)
    return reply["Body"].get_raw_stream().read(), version


def test_versioning_status(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """The status is none, then as set, and each request is recorded under its own name."""
    assert client.get_bucket_versioning(Bucket=BUCKET) == {"VersioningConfiguration": None}
    for status in ("Enabled", "Suspended", "Enabled"):
        client.put_bucket_versioning(Bucket=BUCKET, Status=status)
        assert client.get_bucket_versioning(Bucket=BUCKET) == {"Status": status}
    actions = [call["Action"] for call in cloud.state.writes()]
    assert actions == ["PutBucketVersioning"] * 3
    assert cloud.state.calls[0]["Action"] == "GetBucketVersioning"
    for call, params in (
        (client.get_bucket_versioning, {}),
        (client.put_bucket_versioning, {"Status": "Enabled"}),
    ):
        with pytest.raises(CosServiceError, match="NoSuchBucket"):
            call(Bucket="other-1250000000", **params)


def test_versions(client: CosS3Client) -> None:
    """With versions, each upload stays readable by its id, and the newest is the default."""
    client.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")
    first, second = versions_of(client, b"first", b"second")
    assert first
    assert second
    assert len({first, second}) == 2
    assert content_of(client) == (b"second", second)
    assert content_of(client, VersionId=first) == (b"first", first)
    assert content_of(client, VersionId=second) == (b"second", second)
    assert content_of(client, VersionId="null") == (b"content", "null")
    assert error_of(client.get_object, VersionId="other") == (404, "NoSuchVersion")
    assert error_of(client.head_object, VersionId="other")[0] == 404
    assert error_of(client.get_object, Key="no.json", VersionId=first) == (404, "NoSuchKey")


def test_versions_of_one_moment() -> None:
    """Uploads in the same instant have different versions."""
    now = time.time()
    with EmulatedCloud(State(objects={BUCKET: {}}), clock=lambda: now) as cloud:
        client = client_of(cloud)
        client.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")
        assert len(set(versions_of(client, b"a", b"a", b"b"))) == 3


def test_suspended_versions(client: CosS3Client) -> None:
    """While versioning is suspended, uploads replace only each other."""
    client.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")
    (first,) = versions_of(client, b"first")
    client.put_bucket_versioning(Bucket=BUCKET, Status="Suspended")
    assert versions_of(client, b"second", b"third") == ["null", "null"]
    assert content_of(client) == (b"third", "null")
    assert content_of(client, VersionId="null") == (b"third", "null")
    assert content_of(client, VersionId=str(first)) == (b"first", first)


def test_bucket_without_versions(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """Without versioning, an upload replaces the object, and no reply has a version id."""
    assert versions_of(client, b"first", b"second") == [None, None]
    assert cloud.state.objects[BUCKET][KEY].older == ()
    assert content_of(client) == (b"second", None)
    assert error_of(client.get_object, VersionId="other") == (404, "NoSuchVersion")


def test_versions_of_a_state() -> None:
    """A state may start with versions."""
    stored = Object(b"new", version="2", older=(Object(b"old", version="1"),))
    with EmulatedCloud(
        State(objects={BUCKET: {KEY: stored}}, buckets={BUCKET: Bucket(versioning="Enabled")})
    ) as c:
        assert content_of(client_of(c)) == (b"new", "2")
        assert content_of(client_of(c), VersionId="1") == (b"old", "1")


@pytest.mark.parametrize("body", [b"", b"<Status>On</Status>", b"Enabled", b"\xff"])
def test_invalid_versioning(client: CosS3Client, cloud: EmulatedCloud, body: bytes) -> None:
    """A configuration other than the two statuses is malformed, and changes nothing."""
    params = {"method": "PUT", "url": f"{cloud.url}/", "bucket": BUCKET, "data": body}
    auth = CosS3Auth(client.get_conf(), params={"versioning": ""})
    with pytest.raises(CosServiceError, match="MalformedXML"):
        client.send_request(**params, auth=auth, headers={}, params={"versioning": ""})
    assert client.get_bucket_versioning(Bucket=BUCKET) == {"VersioningConfiguration": None}


# --- Signed URLs ---


@pytest.mark.usefixtures("client")
def test_presigned_url(cloud: EmulatedCloud) -> None:
    """A signed URL is enough to read and write, with the token as a parameter or a header."""
    url = presigned(Params=TOKEN)
    assert fetch(cloud, url) == (200, b"content", "application/octet-stream")
    assert fetch(cloud, presigned(), TOKEN)[:2] == (200, b"content")
    assert fetch(cloud, presigned("PUT", Params=TOKEN, SignHost=False), body=b"new")[0] == 200
    typed = presigned(Params={**TOKEN, "response-content-type": "text/x a"})
    assert fetch(cloud, typed) == (200, b"new", "text/x a")
    assert set(outcomes(cloud)) == {"ok"}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("sign", "status", "code"),
    [
        (presigned, 403, "InvalidToken"),
        (lambda: presigned(Params={"x-cos-security-token": "other"}), 403, "InvalidToken"),
        (lambda: presigned("PUT", Params=TOKEN), 403, "SignatureDoesNotMatch"),
        (lambda: presigned(Params=TOKEN).replace("x-c", "y-c"), 403, "SignatureDoesNotMatch"),
        (
            lambda: presigned(credentials=AccountCredentials(secret_key="a")),
            403,
            "SignatureDoesNotMatch",
        ),
        (lambda: presigned(Params=TOKEN, Expired=-1), 403, "AccessDenied"),
        (lambda: presigned(Params=TOKEN).replace("q-key-time", "q-key"), 403, "AccessDenied"),
        (lambda: f"/{KEY}", 403, "AccessDenied"),
        (lambda: presigned(Params={**TOKEN, "acl": ""}), 400, "NotImplemented"),
        (lambda: presigned(Params={**TOKEN, "response-expires": "\n"}), 400, "InvalidArgument"),
    ],
    ids=[
        *("no token", "other token", "other method", "changed", "other key", "expired"),
        *("malformed", "unsigned", "not emulated", "no header"),
    ],
)
def test_presigned_url_errors(
    cloud: EmulatedCloud, sign: Callable[[], str], status: int, code: str
) -> None:
    """A signed URL is checked like a signed header."""
    received_status, body, _ = fetch(cloud, sign())
    assert (received_status, outcomes(cloud)) == (status, [code])
    assert f"<Code>{code}</Code>".encode() in body


def test_metadata_that_is_not_utf8() -> None:
    """Metadata that no reply could return is rejected, not stored."""
    now, method, path = 1764000000, "PUT", f"/{KEY}"
    window = f"{now - 9};{now + 9}"
    signature = cos_signature(CREDENTIALS.secret_key, Request(method, path), window)
    headers = {
        "host": HOST,
        "authorization": f"q-sign-algorithm=sha1&q-ak={CREDENTIALS.secret_id}&q-sign-time={window}"
        f"&q-key-time={window}&q-header-list=&q-url-param-list=&q-signature={signature}",
        "x-cos-meta-a": "\udcff",
        **TOKEN,
    }
    state = State(objects={BUCKET: {}})
    dispatcher = Dispatcher(state, clock=lambda: now)
    assert dispatcher.dispatch(Request(method, path, headers=headers)).status == 400
    assert state.objects == {BUCKET: {}}
