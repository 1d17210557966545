"""COS objects of the emulated cloud, asked by the official SDK and by the URLs that it signs."""

from __future__ import annotations

import gzip
import time
import urllib.error
import urllib.request
from base64 import b64encode
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from qcloud_cos import CosS3Client, CosServiceError

from cos_client import CREDENTIALS, REGION, client_of, config
from scf_local.cloud.dispatcher import Dispatcher
from scf_local.cloud.seed import Object
from scf_local.cloud.signatures import cos_signature
from scf_local.cloud.state import State
from scf_local.cloud.wire import Request
from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from scf_local.cloud.server import EmulatedCloud

BUCKET, KEY = "manifests-1250000000", "a.bin"
HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"
TOKEN = {"x-cos-security-token": CREDENTIALS.token}
ETAG = '"9a0364b9e99bb480dd25e1f0284c8555"'


@pytest.fixture
def client(cloud: EmulatedCloud) -> CosS3Client:
    """The COS client; `KEY` holds b"content"."""
    cloud.state.objects[BUCKET][KEY] = Object(b"content")
    return client_of(cloud)


def refusal(call: Callable[..., Any], **params: Any) -> tuple[int, str]:  # noqa: ANN401 - the SDK's own
    """The status and the code that a call of the SDK is refused with."""
    with pytest.raises(CosServiceError) as raised:
        call(Bucket=BUCKET, **{"Key": KEY, **params})
    return raised.value.get_status_code(), raised.value.get_error_code()


def outcomes(cloud: EmulatedCloud) -> list[str]:
    """How the calls are on record."""
    return [one["Outcome"] for one in cloud.state.snapshot()["Calls"]]


def presigned(method: str = "GET", keys: AccountCredentials = CREDENTIALS, **params: Any) -> str:  # noqa: ANN401 - the SDK's own
    """What the SDK signs for a browser: path and query."""
    url = CosS3Client(config(keys)).get_presigned_url(BUCKET, KEY, method, **params)
    return urlsplit(str(url))._replace(scheme="", netloc="").geturl()


def fetched(
    cloud: EmulatedCloud, url: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[int, bytes, str]:
    """Status, body and type. Not by `requests`: its log would hold the signature."""
    request = urllib.request.Request(  # noqa: S310 - just started
        cloud.url + url, body, {"Host": HOST, **(headers or {})}, method="PUT" if body else "GET"
    )
    try:
        with urllib.request.urlopen(request) as reply:  # noqa: S310 - the same
            return reply.status, reply.read(), reply.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers["Content-Type"]


@pytest.mark.parametrize("key", ["a.json", "请求/a b+c%20d.json", "/lead//double", "x?y&z=1#f"])
def test_objects(client: CosS3Client, cloud: EmulatedCloud, key: str) -> None:
    """The COS SDK writes, reads and looks at an object under any key."""
    tag = client.put_object(Bucket=BUCKET, Key=key, Body=b"content")["ETag"]
    reply = client.get_object(Bucket=BUCKET, Key=key)
    assert reply["Body"].get_raw_stream().read() == b"content"
    assert (reply["ETag"], reply["Content-Length"]) == (tag, "7")
    assert reply["x-cos-request-id"]
    head = client.head_object(Bucket=BUCKET, Key=key)
    assert (head["ETag"], head["Content-Length"]) == (tag, "7")
    assert tag == ETAG
    actions = [one["Action"] for one in cloud.state.snapshot()["Calls"]]
    assert actions == ["PutObject", "GetObject", "HeadObject"]


@pytest.mark.parametrize("read", ["get_object", "head_object"])
def test_what_is_kept(client: CosS3Client, read: str) -> None:
    """Type, metadata, the other headers and the time come back as they were given."""
    body = gzip.compress(b"content")
    kept = {
        "ContentType": "text/plain; charset=utf-8",
        "CacheControl": "no-cache",
        "ContentDisposition": "inline",
        "ContentEncoding": "gzip",
        "ContentLanguage": "en",
        "Expires": "Thu, 01 Jan 2026 00:00:00 GMT",
    }
    meta = {"x-cos-meta-team": "web", "x-cos-meta-Build": "17"}
    given = {**kept, "Metadata": meta, "StorageClass": "STANDARD"}
    client.put_object(Bucket=BUCKET, Key=KEY, Body=body, **given)
    reply = getattr(client, read)(Bucket=BUCKET, Key=KEY)
    shown = {name.lower(): value for name, value in reply.items() if name != "Body"}
    expected = {**{name.replace("Content", "Content-"): kept[name] for name in kept}, **meta}
    expected["Cache-Control"] = expected.pop("CacheControl")
    assert shown.items() >= {name.lower(): value for name, value in expected.items()}.items()
    assert shown["content-length"] == str(len(body))
    assert abs(parsedate_to_datetime(shown["last-modified"]).timestamp() - time.time()) < 60


def test_large_object(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """An object may be far larger than a request of the API."""
    body = bytes(12 << 20)
    client.put_object(Bucket=BUCKET, Key=KEY, Body=body)
    assert cloud.state.objects[BUCKET][KEY].content == body


def test_seeded_object(client: CosS3Client) -> None:
    """An object of which only the content is known has a type and a time all the same."""
    reply = client.head_object(Bucket=BUCKET, Key=KEY)
    assert reply["Content-Type"] == "application/octet-stream"
    assert reply["Last-Modified"] == "Sun, 01 Nov 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("asked", "body", "told"),
    [
        ("bytes=0-0", b"c", "bytes 0-0/7"),
        ("bytes=1-3", b"ont", "bytes 1-3/7"),
        ("bytes=5-", b"nt", "bytes 5-6/7"),
        ("bytes=5-99", b"nt", "bytes 5-6/7"),
        ("bytes=-2", b"nt", "bytes 5-6/7"),
        ("bytes=-99", b"content", "bytes 0-6/7"),
    ],
)
def test_range(client: CosS3Client, asked: str, body: bytes, told: str) -> None:
    """A range is answered by itself, with its place and the size of all."""
    reply = client.get_object(Bucket=BUCKET, Key=KEY, Range=asked)
    assert reply["Body"].get_raw_stream().read() == body
    assert (reply["Content-Range"], reply["Content-Length"]) == (told, str(len(body)))
    assert reply["Body"]._rt.status_code == 206


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        *((each, (416, "InvalidRange")) for each in ("bytes=7-", "bytes=7-9", "bytes=-0")),
        *(
            (each, (501, "NotImplemented"))
            for each in ("bytes=0-1,3-4", "bytes=-", "bytes=a-b", "lines=0-1")
        ),
    ],
)
def test_range_refused(
    client: CosS3Client, cloud: EmulatedCloud, asked: str, expected: tuple[int, str]
) -> None:
    """A range beyond the end is refused as by COS; other forms are not passed over."""
    assert refusal(client.get_object, Range=asked) == expected
    assert outcomes(cloud) == [expected[1]]


def test_digest(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """Content is stored only if its Content-MD5 is one, and its own."""
    put: dict[str, Any] = {"Key": "new", "Body": b"content"}
    for digest, code in (
        (b64encode(bytes(16)).decode(), "BadDigest"),
        (b64encode(bytes(15)).decode(), "InvalidDigest"),
        ("0" * 32, "InvalidDigest"),
        ("?", "InvalidDigest"),
    ):
        assert refusal(client.put_object, ContentMD5=digest, **put) == (400, code)
    assert "new" not in cloud.state.objects[BUCKET]
    client.put_object(Bucket=BUCKET, EnableMD5=True, **put)
    assert cloud.state.objects[BUCKET]["new"].content == b"content"


@pytest.mark.parametrize(
    ("call", "params"),
    [
        ("get_object", {"IfModifiedSince": "Sun, 01 Nov 2026 00:00:00 GMT"}),
        ("get_object", {"IfUnmodifiedSince": "Sun, 01 Nov 2026 00:00:00 GMT"}),
        ("get_object", {"VersionId": "1"}),
        ("get_object", {"TrafficLimit": "819200"}),
        ("get_object_acl", {}),
        ("get_object_tagging", {}),
        ("put_object", {"Body": b"", "ACL": "public-read"}),
        ("put_object", {"Body": b"", "StorageClass": "ARCHIVE"}),
        ("put_object", {"Body": b"", "Tagging": "a=b"}),
        ("put_object", {"Body": b"", "PicOperations": "{}"}),
        ("put_object", {"Body": b"", "IfNoneMatch": "*"}),
        ("put_object_acl", {"ACL": "public-read"}),
        ("copy_object", {"CopySource": {"Bucket": BUCKET, "Key": "b", "Region": REGION}}),
        ("upload_part", {"Body": b"", "PartNumber": 1, "UploadId": "1"}),
    ],
    ids=str,
)
def test_not_emulated(
    client: CosS3Client, cloud: EmulatedCloud, call: str, params: dict[str, Any]
) -> None:
    """What COS can do and the emulated cloud cannot is refused as such, and changes nothing."""
    assert refusal(getattr(client, call), **params) == (501, "NotImplemented")
    assert cloud.state.objects[BUCKET][KEY] == Object(b"content")


def test_other_methods(client: CosS3Client) -> None:
    """Only GET, HEAD and PUT of objects are emulated."""
    assert refusal(client.delete_object) == (405, "MethodNotAllowed")
    assert refusal(client.head_object, Key="no.json")[0] == 404


@pytest.mark.parametrize(
    ("bucket", "keys", "status", "code"),
    [
        (BUCKET, CREDENTIALS, 404, "NoSuchKey"),
        ("other-1250000000", CREDENTIALS, 404, "NoSuchBucket"),
        (BUCKET, AccountCredentials(secret_key="other"), 403, "SignatureDoesNotMatch"),
        (BUCKET, AccountCredentials(secret_id="AKIDOTHER"), 403, "InvalidAccessKeyId"),
        (BUCKET, AccountCredentials(token="other"), 403, "InvalidToken"),
    ],
)
def test_refusals(
    cloud: EmulatedCloud, bucket: str, keys: AccountCredentials, status: int, code: str
) -> None:
    """The COS SDK understands every refusal."""
    with pytest.raises(CosServiceError) as raised:
        client_of(cloud, keys).get_object(Bucket=bucket, Key="no.json")
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
    """An ETag that was asked for, or asked against, decides between 200, 304 and 412."""
    params = {name.replace("-", ""): value for name, value in condition.items()}
    if status == 412:
        assert refusal(client.get_object, **params) == (412, "PreconditionFailed")
        assert refusal(client.head_object, **params)[0] == 412
    else:
        head = client.head_object(Bucket=BUCKET, Key=KEY, **params)
        assert (head["ETag"], "Content-Length" in head) == (ETAG, status == 200)
    # Not by the SDK: its `get_object` raises OSError for any 304.
    assert fetched(cloud, presigned(Params=TOKEN), condition)[0] == status


# --- Signed URLs ---


@pytest.mark.usefixtures("client")
def test_presigned_url(cloud: EmulatedCloud) -> None:
    """A URL alone is enough to read and to write, its token being a parameter or a header."""
    url = presigned(Params=TOKEN)
    assert fetched(cloud, url) == (200, b"content", "application/octet-stream")
    assert fetched(cloud, presigned(), TOKEN)[:2] == (200, b"content")
    assert fetched(cloud, presigned("PUT", Params=TOKEN, SignHost=False), body=b"new")[0] == 200
    typed = presigned(Params={**TOKEN, "response-content-type": "text/x a"})
    assert fetched(cloud, typed) == (200, b"new", "text/x a")
    assert set(outcomes(cloud)) == {"ok"}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("sign", "status", "code"),
    [
        (presigned, 403, "InvalidToken"),
        (lambda: presigned(Params={"x-cos-security-token": "other"}), 403, "InvalidToken"),
        (lambda: presigned("PUT", Params=TOKEN), 403, "SignatureDoesNotMatch"),
        (lambda: presigned(Params=TOKEN).replace("x-c", "y-c"), 403, "SignatureDoesNotMatch"),
        (lambda: presigned(keys=AccountCredentials(secret_key="a")), 403, "SignatureDoesNotMatch"),
        (lambda: presigned(Params=TOKEN, Expired=-1), 403, "AccessDenied"),
        (lambda: presigned(Params=TOKEN).replace("q-key-time", "q-key"), 403, "AccessDenied"),
        (lambda: f"/{KEY}", 403, "AccessDenied"),
        (lambda: presigned(Params={**TOKEN, "acl": ""}), 501, "NotImplemented"),
        (lambda: presigned(Params={**TOKEN, "response-expires": "\n"}), 400, "InvalidArgument"),
    ],
    ids=[
        *("no token", "other token", "other method", "changed", "other key", "expired"),
        *("malformed", "unsigned", "not emulated", "no header"),
    ],
)
def test_presigned_refusals(
    cloud: EmulatedCloud, sign: Callable[[], str], status: int, code: str
) -> None:
    """A signed URL is judged like a signed header."""
    got, body, _ = fetched(cloud, sign())
    assert (got, outcomes(cloud)) == (status, [code])
    assert f"<Code>{code}</Code>".encode() in body


def test_header_that_cannot_come_back() -> None:
    """Metadata that no reply could carry is refused, not stored."""
    now, method, path = 1764000000, "PUT", f"/{KEY}"
    window = f"{now - 9};{now + 9}"
    signature = cos_signature(
        CREDENTIALS.secret_key, key_time=window, method=method, path=path, params=(), headers=()
    )
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
