"""Buckets that are created in the emulated COS, with the official SDKs: region and ACL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from qcloud_cos import CosConfig, CosS3Client

from cos_client import BUCKET, CREDENTIALS, REGION, client_of, error_of, send
from scf_client import ECHO, RUNTIME, ScfClient, zipped
from scf_local.cloud.seed import Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW, ELSEWHERE = "new-1250000000", "ap-shanghai"
OWNER = {"ID": "qcs::cam::uin/100000000001:uin/100000000001"}
OWNER |= {"DisplayName": OWNER["ID"]}
ALL_USERS = {"Type": "Group", "URI": "http://cam.qcloud.com/groups/global/AllUsers"}


@pytest.fixture
def cloud() -> Iterator[EmulatedCloud]:
    """A cloud with a seeded bucket."""
    with EmulatedCloud(State(objects={BUCKET: {"a": Object(b"a")}}), limits=False) as running:
        yield running


@pytest.fixture
def client(cloud: EmulatedCloud) -> CosS3Client:
    """A client of the bucket's region."""
    return client_of(cloud)


@pytest.fixture
def elsewhere(cloud: EmulatedCloud) -> CosS3Client:
    """A client of another region."""
    host, port = cloud.url.removeprefix("http://").split(":")
    keys = {"SecretId": CREDENTIALS.secret_id, "SecretKey": CREDENTIALS.secret_key}
    address = {"IP": host, "Port": int(port), "Scheme": "http", "KeepAlive": False}
    config = CosConfig(Region=ELSEWHERE, Token=CREDENTIALS.token, **keys, **address)
    return CosS3Client(config, retry=0)


def buckets(cloud: EmulatedCloud) -> dict[str, dict[str, str]]:
    """What `GET /_state` has of buckets."""
    found: dict[str, dict[str, str]] = cloud.state.snapshot()["Buckets"]
    return found


def test_create(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """A created bucket is empty and usable, and is not missing any more."""
    assert error_of(client.head_bucket, Bucket=NEW)[0] == 404
    assert not client.bucket_exists(NEW)
    client.create_bucket(Bucket=NEW)
    assert client.bucket_exists(NEW)
    assert client.head_bucket(Bucket=NEW)["x-cos-bucket-region"] == REGION
    assert "Contents" not in client.list_objects(Bucket=NEW)
    client.put_object(Bucket=NEW, Key="k", Body=b"new")
    client.put_bucket_versioning(Bucket=NEW, Status="Enabled")
    assert buckets(cloud) == {
        BUCKET: {"Region": "", "ACL": "private", "Versioning": ""},
        NEW: {"Region": REGION, "ACL": "private", "Versioning": "Enabled"},
    }
    assert [call["Action"] for call in cloud.state.writes()] == [
        *("PutBucket", "PutObject", "PutBucketVersioning"),
    ]
    assert not any(options is not None for options in cloud.state.missing.values())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (BUCKET, (409, "BucketAlreadyOwnedByYou")),
        (NEW, (409, "BucketAlreadyOwnedByYou")),
        ("new-1250000001", (400, "InvalidBucketName")),
        ("new--1250000000", (400, "InvalidBucketName")),
    ],
)
def test_names(
    client: CosS3Client, elsewhere: CosS3Client, name: str, expected: tuple[int, str]
) -> None:
    """A name is free only once in all regions, and ends with the account's APPID."""
    client.create_bucket(Bucket=NEW, ACL="public-read")
    client.put_object(Bucket=NEW, Key="k", Body=b"new")
    for each in (client, elsewhere):
        assert error_of(each.create_bucket, Bucket=name) == expected
    assert client.get_bucket_acl(Bucket=NEW)["CannedACL"] == "public-read"
    assert client.head_object(Bucket=NEW, Key="k")


def test_region(client: CosS3Client, elsewhere: CosS3Client) -> None:
    """A created bucket is only in its own region; a seeded one is in any."""
    elsewhere.create_bucket(Bucket=NEW)
    elsewhere.put_object(Bucket=NEW, Key="k", Body=b"new")
    assert error_of(client.head_bucket, Bucket=NEW)[0] == 404
    for call, params in (
        (client.list_objects, {}),
        (client.get_bucket_acl, {}),
        (client.get_object, {"Key": "k"}),
        (client.put_object, {"Key": "k", "Body": b"other"}),
        (client.put_bucket_versioning, {"Status": "Enabled"}),
    ):
        assert error_of(call, Bucket=NEW, **params) == (404, "NoSuchBucket")
    source = {"Bucket": NEW, "Key": "k", "Region": REGION}
    copied = {"Bucket": BUCKET, "Key": "copy"}
    assert error_of(client.copy_object, **copied, CopySource=source) == (404, "NoSuchBucket")
    client.copy_object(**copied, CopySource={**source, "Region": ELSEWHERE})
    for each in (client, elsewhere):
        assert each.get_object(**copied)["Body"].get_raw_stream().read() == b"new"


@pytest.mark.parametrize(
    ("acl", "permissions"),
    [("private", []), ("public-read", ["READ"]), ("public-read-write", ["READ", "WRITE"])],
)
def test_acl(client: CosS3Client, cloud: EmulatedCloud, acl: str, permissions: list[str]) -> None:
    """An ACL is read back as documented, whether it came with the bucket or later (436/7733)."""
    expected = {
        "Owner": OWNER,
        "AccessControlList": {
            "Grant": [
                {"Grantee": {"Type": "CanonicalUser", **OWNER}, "Permission": "FULL_CONTROL"},
                *({"Grantee": ALL_USERS, "Permission": each} for each in permissions),
            ]
        },
        "CannedACL": acl,
    }
    client.create_bucket(Bucket=NEW, ACL=acl)
    client.put_bucket_acl(Bucket=BUCKET, ACL=acl)
    assert client.get_bucket_acl(Bucket=NEW) == client.get_bucket_acl(Bucket=BUCKET) == expected
    assert {each["ACL"] for each in buckets(cloud).values()} == {acl}
    client.put_bucket_acl(Bucket=NEW)  # replaces it by the default
    assert client.get_bucket_acl(Bucket=NEW)["CannedACL"] == "private"


def test_public_bucket_needs_signatures(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """An ACL is only kept: requests without a signature are denied."""
    client.put_bucket_acl(Bucket=BUCKET, ACL="public-read")
    status, _, body = send(cloud, "GET", b"a", headers={"Authorization": ""})
    assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)


NOT_EMULATED: list[dict[str, Any]] = [
    {"ACL": "authenticated-read"},
    {"ACL": ""},
    {"GrantRead": 'id="100000000002"'},
    {"GrantFullControl": 'id="100000000002"'},
]


@pytest.mark.parametrize("params", NOT_EMULATED, ids=str)
def test_what_is_not_emulated(
    client: CosS3Client, cloud: EmulatedCloud, params: dict[str, str]
) -> None:
    """Other ACLs are refused, and change nothing."""
    expected = (400, "NotImplemented")
    before = buckets(cloud)
    assert error_of(client.create_bucket, Bucket=NEW, **params) == expected
    assert error_of(client.put_bucket_acl, Bucket=BUCKET, **params) == expected
    assert buckets(cloud) == before


def test_other_requests(client: CosS3Client, cloud: EmulatedCloud) -> None:
    """Bodies, and other settings of a bucket, are refused, and change nothing."""
    before, grant = buckets(cloud), {"Grantee": OWNER, "Permission": "READ"}
    for call, params in (
        (client.create_bucket, {"Bucket": NEW, "BucketAZConfig": "MAZ"}),
        (client.put_bucket_acl, {"Bucket": BUCKET, "AccessControlPolicy": {"Owner": OWNER}}),
        (client.put_bucket_acl, {"Bucket": BUCKET, "AccessControlPolicy": {"Grant": grant}}),
        (client.put_bucket_cors, {"Bucket": NEW, "CORSConfiguration": {}}),
        (client.put_bucket_tagging, {"Bucket": NEW, "Tagging": {}}),
    ):
        assert error_of(call, **params) == (400, "NotImplemented")
    assert buckets(cloud) == before


def test_functions_find_buckets_in_their_region(
    client: CosS3Client, elsewhere: CosS3Client, cloud: EmulatedCloud
) -> None:
    """Code comes from a bucket's own region, and a trigger needs a bucket in the function's."""
    elsewhere.create_bucket(Bucket=NEW)
    elsewhere.put_object(Bucket=NEW, Key="f.zip", Body=zipped({"index.py": ECHO}))
    scf = ScfClient(cloud)
    code = {"CosBucketName": "new", "CosObjectName": "/f.zip"}
    given = {"FunctionName": "fn", "Runtime": RUNTIME, "Handler": "index.main_handler"}
    assert scf.error("CreateFunction", **given, Code=code) == "ResourceNotFound.CosObject"
    scf("CreateFunction", **given, Code={**code, "CosBucketRegion": ELSEWHERE})
    scf.move(10)
    trigger: dict[str, Any] = {"FunctionName": "fn", "Type": "cos"}
    trigger["TriggerDesc"] = json.dumps({"event": "cos:ObjectCreated:*"})
    trigger["TriggerName"] = f"{NEW}.cos.{REGION}.myqcloud.com"
    assert scf.error("CreateTrigger", **trigger) == "ResourceNotFound.Cos"
    client.create_bucket(Bucket="own-1250000000")
    scf("CreateTrigger", **{**trigger, "TriggerName": f"own-1250000000.cos.{REGION}.myqcloud.com"})
    client.put_object(Bucket="own-1250000000", Key="k", Body=b"")
    scf.move()
    (run,) = cloud.state.functions.runs
    assert run.delivery.event["Records"][0]["cos"]["cosBucket"]["name"] == "own"
