"""Rights of sessions in the emulated cloud, over HTTP: each action needs exactly its own."""

from __future__ import annotations

import base64
import copy
import json
import time
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest
from qcloud_cos import CosS3Client, CosServiceError
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from cos_client import BUCKET, CREDENTIALS, REGION, client_of, config, error_of
from roles import allow, document, keys_for, role_of, session_of
from scf_client import ECHO, RUNTIME, ScfClient, zipped
from scf_local.cloud import cos, cvm, tags
from scf_local.cloud.cam.model import role_arn
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.scf.model import Code, Function
from scf_local.cloud.seed import Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from sdk_client import add_role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scf_local.credentials import AccountCredentials

KEY, OTHER = "in/a.json", "in/b.json"
HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"
NEW = "new-1250000000"
IN_BUCKET = f"qcs::cos:{REGION}:uid/1250000000:{BUCKET}/"
OBJECT = {"Bucket": BUCKET, "Key": KEY}
SOURCE = {"Bucket": BUCKET, "Key": OTHER, "Region": REGION}
IMAGE = "img-6pb6lrmy"
ANY_IMAGE = f"qcs::cvm:{REGION}:uin/100000000001:image/"
TAGGED = f"qcs::cvm:{REGION}:uin/100000000001:image/{IMAGE}"


@pytest.fixture
def cloud() -> Iterator[EmulatedCloud]:
    """A cloud with two objects, an image, and a function that any change of an object fires."""
    state = State(
        {REGION: [{"ImageId": IMAGE, "ImageName": "web"}]},
        {BUCKET: {KEY: Object(b"old"), OTHER: Object(b"other")}},
    )
    function = Function("steward", REGION, "lam-1", {}, Code(b"", ""), 0.0, 0.0, 0.0)
    state.functions.by_name[REGION, "steward"] = function
    runs_nothing = Faults((Rule("RunFunction", "error", code="500"),))
    with EmulatedCloud(state, limits=False, faults=runs_nothing) as running:
        for kind in ("Created", "Remove"):
            rule = {"event": f"cos:Object{kind}:*", "filter": {"Prefix": "", "Suffix": ""}}
            given = {"FunctionName": "steward", "TriggerName": HOST, "Type": "cos"}
            ScfClient(running)("CreateTrigger", **given, TriggerDesc=json.dumps(rule))
        state.calls.clear()
        yield running


def objects_of(cloud: EmulatedCloud) -> object:
    """All that COS keeps, and the events of it."""
    state = cloud.state
    return copy.deepcopy((state.objects, state.buckets, state.uploads, state.functions.queue))


def outcomes(cloud: EmulatedCloud) -> list[tuple[str, str]]:
    """The actions and outcomes of all calls but those that prepared them."""
    return [(call["Action"], call["Outcome"]) for call in cloud.state.calls]


# --- COS (document/product/436/31923) ---

PART = {"PartNumber": 1, "Body": b"part"}
IN_NEW = IN_BUCKET.replace(BUCKET, NEW)
PARTS = {"Part": [{"PartNumber": 1, "ETag": '"8e69b9a4cbfa4d0d7d4c0ef4b5a5f0d6"'}]}
COS: dict[str, tuple[str, str, Any]] = {
    "GetBucketVersioning": (
        "GetBucketVersioning", "", lambda c, _: c.get_bucket_versioning(Bucket=BUCKET)),
    "PutBucketVersioning": (
        "PutBucketVersioning", "",
        lambda c, _: c.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")),
    "GetBucketACL": ("GetBucketACL", "", lambda c, _: c.get_bucket_acl(Bucket=BUCKET)),
    "PutBucketACL": (
        "PutBucketACL", "", lambda c, _: c.put_bucket_acl(Bucket=BUCKET, ACL="public-read")),
    "PutBucket": ("PutBucket", "", lambda c, _: c.create_bucket(Bucket=NEW)),
    "ListMultipartUploads": (
        "ListMultipartUploads", "", lambda c, _: c.list_multipart_uploads(Bucket=BUCKET)),
    "GetBucket": ("GetBucket", "", lambda c, _: c.list_objects(Bucket=BUCKET, Prefix="in/")),
    "HeadBucket": ("HeadBucket", "", lambda c, _: c.head_bucket(Bucket=BUCKET)),
    "DeleteMultipleObjects": (
        "DeleteObject", KEY,
        lambda c, _: c.delete_objects(Bucket=BUCKET, Delete={"Object": [{"Key": KEY}]})),
    "InitiateMultipartUpload": (
        "InitiateMultipartUpload", KEY, lambda c, _: c.create_multipart_upload(**OBJECT)),
    "UploadPart": ("UploadPart", KEY, lambda c, up: c.upload_part(**up, **PART)),
    "CompleteMultipartUpload": (
        "CompleteMultipartUpload", KEY,
        lambda c, up: c.complete_multipart_upload(**up, MultipartUpload=PARTS)),
    "AbortMultipartUpload": (
        "AbortMultipartUpload", KEY, lambda c, up: c.abort_multipart_upload(**up)),
    "ListParts": ("ListParts", KEY, lambda c, up: c.list_parts(**up)),
    "GetObject": ("GetObject", KEY, lambda c, _: c.get_object(**OBJECT)),
    "HeadObject": ("HeadObject", KEY, lambda c, _: c.head_object(**OBJECT)),
    "PutObjectCopy": ("PutObject", KEY, lambda c, _: c.copy_object(**OBJECT, CopySource=SOURCE)),
    "PutObject": ("PutObject", KEY, lambda c, _: c.put_object(**OBJECT, Body=b"new")),
    "DeleteObject": ("DeleteObject", KEY, lambda c, _: c.delete_object(**OBJECT)),
}  # fmt: skip
"""Of each action its right, the key in the resource (that of a bucket is empty), and a call."""


def resource_of(name: str) -> str:
    """Return what the call of an action of COS is about."""
    return (IN_NEW if name == "PutBucket" else IN_BUCKET) + COS[name][1]


@pytest.fixture
def upload(cloud: EmulatedCloud) -> dict[str, Any]:
    """An upload that the account has begun, with one part."""
    client = client_of(cloud)
    upload = {**OBJECT, "UploadId": client.create_multipart_upload(**OBJECT)["UploadId"]}
    PARTS["Part"][0]["ETag"] = client.upload_part(**upload, **PART)["ETag"]
    cloud.state.calls.clear()
    return upload


def test_each_action_of_cos_is_here() -> None:
    """No action of COS is without a right."""
    assert COS.keys() == cos.ACTIONS.keys()


@pytest.mark.parametrize("name", COS)
def test_right_of_cos(cloud: EmulatedCloud, upload: dict[str, Any], name: str) -> None:
    """An action needs its right, on the object or the bucket, and no other."""
    right, _, call = COS[name]
    statements = [allow(f"name/cos:{right}", resource=resource_of(name))]
    if name == "PutObjectCopy":
        statements.append(allow("name/cos:GetObject", resource=IN_BUCKET + OTHER))
    former = objects_of(cloud)
    reply = call(client_of(cloud, keys_for(cloud.state, *statements)), upload)
    assert "Error" not in (reply or {})
    assert outcomes(cloud) == [(name, "ok")]
    writes = not name.startswith(("Get", "Head", "List"))
    assert (objects_of(cloud) != former) == writes


@pytest.mark.parametrize("name", [name for name in COS if name != "DeleteMultipleObjects"])
@pytest.mark.parametrize("lacks", ["action", "resource"])
def test_missing_right_of_cos(
    cloud: EmulatedCloud, upload: dict[str, Any], name: str, lacks: str
) -> None:
    """Without its right an action is denied, whatever else is allowed, and changes nothing."""
    (right, _, call), resource = COS[name], resource_of(name)
    statements = [allow("*"), allow(f"cos:{right}", resource=resource, effect="deny")]
    if lacks == "resource":
        statements = [allow("*", resource=f"{resource}/*")]
    former = objects_of(cloud)
    with pytest.raises(CosServiceError) as raised:
        call(client_of(cloud, keys_for(cloud.state, *statements)), upload)
    assert raised.value.get_status_code() == 403
    if not name.startswith("Head"):  # whose replies have no body
        assert raised.value.get_error_code() == "AccessDenied"
    assert outcomes(cloud) == [(name, "AccessDenied")]
    assert objects_of(cloud) == former


@pytest.mark.parametrize("missing", ["GetObject", "PutObject"])
def test_copy_needs_both_rights(cloud: EmulatedCloud, missing: str) -> None:
    """A copy needs the right to read its source, and to write."""
    rights = {"GetObject": OTHER, "PutObject": KEY, missing: "elsewhere"}
    statements = [allow(f"cos:{n}", resource=IN_BUCKET + key) for n, key in rights.items()]
    client, former = client_of(cloud, keys_for(cloud.state, *statements)), objects_of(cloud)
    copied = {**OBJECT, "CopySource": SOURCE}
    assert error_of(client.copy_object, **copied) == (403, "AccessDenied")
    missing_bucket = {**SOURCE, "Bucket": "no-1250000000"}
    copied["CopySource"] = missing_bucket
    assert error_of(client.copy_object, **copied) == (403, "AccessDenied")
    assert objects_of(cloud) == former


def test_deleting_several(cloud: EmulatedCloud) -> None:
    """Of several objects, those are deleted that may be; the reply names the others (436/8289)."""
    keys = keys_for(cloud.state, allow("cos:DeleteObject", resource=IN_BUCKET + KEY))
    both = [{"Key": KEY}, {"Key": OTHER, "VersionId": "null"}]
    for quiet in ("true", "false"):
        delete = {"Object": both, "Quiet": quiet}
        reply = client_of(cloud, keys).delete_objects(Bucket=BUCKET, Delete=delete)
        (denied,) = reply["Error"]
        assert (denied["Key"], denied["VersionId"], denied["Code"]) == (
            OTHER, "null", "AccessDenied",
        )  # fmt: skip
        assert "cos:DeleteObject" in denied["Message"]
        assert ("Deleted" in reply) == (quiet == "false")
        assert list(cloud.state.objects[BUCKET]) == [OTHER]
    assert len(cloud.state.functions.queue) == 1
    assert outcomes(cloud) == [("DeleteMultipleObjects", "ok")] * 2


def test_versions_need_no_other_right(cloud: EmulatedCloud) -> None:
    """`GetObject` covers older versions, too (436/46206)."""
    account = client_of(cloud)
    account.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")
    account.put_object(**OBJECT, Body=b"new")
    client = client_of(
        cloud, keys_for(cloud.state, allow("cos:GetObject", resource=IN_BUCKET + KEY))
    )
    reply = client.get_object(**OBJECT, VersionId="null")
    assert reply["Body"].get_raw_stream().read() == b"old"
    other = {"Bucket": BUCKET, "Key": OTHER, "VersionId": "null"}
    assert error_of(client.get_object, **other) == (403, "AccessDenied")


def test_other_buckets(cloud: EmulatedCloud) -> None:
    """A right on one bucket is none on another, of another region, or of another account."""
    keys = keys_for(cloud.state, allow("cos:*", resource=f"{IN_BUCKET}*"))
    cloud.state.objects["other-1250000000"] = {KEY: Object(b"secret")}
    cloud.state.objects[f"{BUCKET[:-1]}1"] = {KEY: Object(b"secret")}
    client = client_of(cloud, keys)
    assert client.get_object(**OBJECT)
    for bucket in ("other-1250000000", f"{BUCKET[:-1]}1", "no-1250000000"):
        assert error_of(client.get_object, Bucket=bucket, Key=KEY) == (403, "AccessDenied")
    host, port = cloud.url.removeprefix("http://").split(":")
    elsewhere = config(keys, IP=host, Port=int(port), KeepAlive=False)
    elsewhere._endpoint = "cos.ap-shanghai.myqcloud.com"
    denied = error_of(CosS3Client(elsewhere, retry=0).get_object, **OBJECT)
    assert denied == (403, "AccessDenied")


# --- CVM and Tag ---

API: dict[str, tuple[str, dict[str, Any], str]] = {
    "DescribeImages": ("cvm", {}, f"{ANY_IMAGE}*"),
    "ModifyImageAttribute": ("cvm", {"ImageId": IMAGE, "ImageName": "new"}, ANY_IMAGE + IMAGE),
    "TagResources": (
        "tag", {"ResourceList": [TAGGED], "Tags": [{"TagKey": "a", "TagValue": "1"}]}, "*"),
    "UnTagResources": ("tag", {"ResourceList": [TAGGED], "TagKeys": ["a"]}, "*"),
    "ModifyResourceTags": (
        "tag", {"Resource": TAGGED, "ReplaceTags": [{"TagKey": "a", "TagValue": "1"}]}, "*"),
    "DescribeResourceTagsByResourceIds": (
        "tag",
        {"ServiceType": "cvm", "ResourcePrefix": "image", "ResourceIds": [IMAGE],
         "ResourceRegion": REGION},
        "*"),
}  # fmt: skip
"""Of each action its service, parameters, and the narrowest resource that it needs."""
DENIED = {"cvm": "UnauthorizedOperation", "tag": "AuthFailure.UnauthorizedOperation"}


def api(
    cloud: EmulatedCloud, keys: AccountCredentials, name: str, sign: str = "TC3-HMAC-SHA256"
) -> tuple[str, str]:
    """Return the code of an action's reply, or `ok`, and its message."""
    service, params, _ = API[name]
    http = HttpProfile("http", cloud.url.removeprefix("http://"), "POST")
    signer = Credential(keys.secret_id, keys.secret_key, keys.token)
    version = {"cvm": cvm.SERVICE, "tag": tags.SERVICE}[service].version
    client = CommonClient(service, version, signer, REGION, ClientProfile(sign, http))
    try:
        client.call_json(name, params)
    except TencentCloudSDKException as error:
        return error.get_code(), error.get_message()
    return "ok", ""


def test_each_action_of_the_apis_is_here() -> None:
    """No action on images and tags is without a right."""
    assert list(API) == [*cvm.SERVICE.actions, *tags.SERVICE.actions]


@pytest.mark.parametrize("sign", ["TC3-HMAC-SHA256", "HmacSHA1", "HmacSHA256"])
@pytest.mark.parametrize("name", API)
def test_right_of_api(cloud: EmulatedCloud, name: str, sign: str) -> None:
    """An action needs its right, and no other, however it is signed; the cloud tells of denials."""
    service, _, resource = API[name]
    keys = keys_for(cloud.state, allow(f"name/{service}:{name}", resource=resource))
    assert api(cloud, keys, name, sign) == ("ok", "")
    former = copy.deepcopy(cloud.state.images)
    cloud.state.calls.clear()
    deny = allow(f"{service}:{name}", resource=resource, effect="deny")
    code, message = api(cloud, keys_for(cloud.state, allow("*"), deny), name, sign)
    assert code == DENIED[service]
    assert f"({service}:{name})" in message
    assert f"({resource})" in message
    assert f"({service}:{name}) resource ({resource})" in cloud.refused[0]
    assert cloud.state.images == former
    assert outcomes(cloud) == [(name, code)]


@pytest.mark.parametrize("name", API)
@pytest.mark.parametrize(
    "resource",
    [
        f"{ANY_IMAGE}img-other000",
        f"qcs::cvm:ap-shanghai:uin/100000000001:image/{IMAGE}",
        f"qcs::cvm:{REGION}:uin/100000000002:image/{IMAGE}",
        f"qcs::cvm:{REGION}:uin/100000000001:instance/*",
    ],
    ids=["image", "region", "account", "instances"],
)
def test_other_resources(cloud: EmulatedCloud, name: str, resource: str) -> None:
    """A right on other images is none; nor is one on images for tags, which have no resources."""
    service, _, _ = API[name]
    keys = keys_for(cloud.state, allow("*", resource=resource))
    assert api(cloud, keys, name)[0] == DENIED[service]
    if service == "tag":
        keys = keys_for(cloud.state, allow("*", resource=TAGGED))
        assert api(cloud, keys, name)[0] == DENIED[service]


def test_wrong_parameters_come_first(cloud: EmulatedCloud) -> None:
    """A call that is not valid says so, without any rights (assumed)."""
    keys = session_of(cloud.state, role_of())
    http = HttpProfile("http", cloud.url.removeprefix("http://"), "POST")
    signer = Credential(keys.secret_id, keys.secret_key, keys.token)
    client = CommonClient("cvm", "2017-03-12", signer, REGION, ClientProfile(httpProfile=http))
    with pytest.raises(TencentCloudSDKException, match="ImageId"):
        client.call_json("ModifyImageAttribute", {})


# --- SCF ---


def test_right_on_a_function(cloud: EmulatedCloud) -> None:
    """Actions on a function may be allowed for that one only (583/38177); a list may not."""
    name = f"qcs::scf:{REGION}:uin/100000000001:namespace/default/function/steward"
    scf = ScfClient(cloud, keys=keys_for(cloud.state, allow("scf:*", resource=name)))
    action, denied = "GetReservedConcurrencyConfig", "UnauthorizedOperation"
    assert scf.error(action, FunctionName="steward") == ""
    assert scf.error(action, FunctionName="steward", Namespace="default") == ""
    assert scf.error(action, FunctionName="steward", Namespace="other") == denied
    assert scf.error(action, FunctionName="other") == denied
    assert replace(scf, region="ap-shanghai").error(action, FunctionName="steward") == denied
    assert scf.error("ListFunctions") == denied


def test_giving_a_role_to_a_function(cloud: EmulatedCloud) -> None:
    """Who gives a role to a function needs `cam:PassRole` on that role, or would get its rights."""
    account = ScfClient(cloud)
    account.create("old", Role="")
    add_role(cloud, "admin")
    code = {"ZipFile": base64.b64encode(zipped({"index.py": ECHO})).decode()}
    new = {"Runtime": RUNTIME, "Handler": "index.main_handler", "Code": code, "Role": "admin"}
    for passed, expected in (("other", "UnauthorizedOperation"), ("admin", "")):
        passing = allow("cam:PassRole", resource=role_arn(passed))
        scf = ScfClient(cloud, keys=keys_for(cloud.state, allow("scf:*"), passing))
        assert scf.error("CreateFunction", FunctionName="new", **new) == expected
        assert scf.error("UpdateFunctionConfiguration", FunctionName="old", Role="admin") == (
            expected
        )


# --- Sessions ---


def test_policies_of_a_role_add_up(cloud: EmulatedCloud) -> None:
    """A role may do what any of its policies allows, unless one of them denies it."""
    read, write = document(allow("cvm:Describe*")), document(allow("cvm:Modify*"))
    deny = document(allow("cvm:*", effect="deny"))
    both = session_of(cloud.state, role_of(read, write))
    assert api(cloud, both, "DescribeImages") == api(cloud, both, "ModifyImageAttribute")
    none = session_of(cloud.state, role_of(read, write, deny))
    assert api(cloud, none, "DescribeImages")[0] == DENIED["cvm"]
    assert api(cloud, session_of(cloud.state, role_of()), "DescribeImages")[0] == DENIED["cvm"]


def test_policy_of_a_session_only_limits(cloud: EmulatedCloud) -> None:
    """A session's own policy takes rights of the role away, and adds none."""
    role = role_of(document(allow("cvm:DescribeImages"), allow("tag:TagResources")))
    keys = session_of(cloud.state, role, limits=document(allow("cvm:*")))
    assert api(cloud, keys, "DescribeImages")[0] == "ok"
    assert api(cloud, keys, "ModifyImageAttribute")[0] == DENIED["cvm"]
    assert api(cloud, keys, "TagResources")[0] == DENIED["tag"]


def test_role_changes_while_a_session_lasts(cloud: EmulatedCloud) -> None:
    """What is attached to a role, or detached, counts for its sessions at once (assumed)."""
    role = role_of(document(allow("cvm:*")))
    keys = session_of(cloud.state, role)
    assert api(cloud, keys, "DescribeImages")[0] == "ok"
    role.attached.clear()
    assert api(cloud, keys, "DescribeImages")[0] == DENIED["cvm"]


@pytest.mark.parametrize("sign", ["TC3-HMAC-SHA256", "HmacSHA1"])
@pytest.mark.parametrize("problem", ["expired", "guessed", "no token", "token of another session"])
def test_invalid_token(cloud: EmulatedCloud, problem: str, sign: str) -> None:
    """A session's keys need its token, until it expires; then they may do nothing."""
    expires = time.time() - 1 if problem in {"expired", "guessed"} else time.time() + 60
    keys = keys_for(cloud.state, allow("*"), expires=expires)
    tokens = {
        "expired": keys.token,
        "guessed": f"not {keys.token}",
        "no token": "",
        "token of another session": CREDENTIALS.token,
    }
    keys = type(keys)(keys.secret_id, keys.secret_key, tokens[problem])
    former = objects_of(cloud)
    assert api(cloud, keys, "ModifyImageAttribute", sign)[0] == "AuthFailure.TokenFailure"
    denied = error_of(client_of(cloud, keys).put_object, **OBJECT, Body=b"new")
    assert denied == (403, "InvalidToken")
    assert objects_of(cloud) == former
    assert cloud.state.image(REGION, IMAGE)["ImageName"] == "web"


def test_second_of_expiry() -> None:
    """A session's keys may do nothing from the very second on when they expire."""
    now = time.time()
    with EmulatedCloud(State(), clock=lambda: now) as cloud:
        keys = [keys_for(cloud.state, allow("*"), expires=now + s) for s in (0, 0.001)]
        codes = [api(cloud, each, "DescribeImages")[0] for each in keys]
    assert codes == ["AuthFailure.TokenFailure", "ok"]


def test_unknown_keys_and_wrong_signatures(cloud: EmulatedCloud) -> None:
    """The keys of a session are of no use without both halves."""
    keys = keys_for(cloud.state, allow("*"))
    unknown = type(keys)("AKIDNOBODY", keys.secret_key, keys.token)
    forged = type(keys)(keys.secret_id, CREDENTIALS.secret_key, keys.token)
    assert api(cloud, unknown, "DescribeImages")[0] == "AuthFailure.SecretIdNotFound"
    assert api(cloud, forged, "DescribeImages")[0] == "AuthFailure.SignatureFailure"
    read = {"Bucket": BUCKET, "Key": KEY}
    assert error_of(client_of(cloud, unknown).get_object, **read) == (403, "InvalidAccessKeyId")
    assert error_of(client_of(cloud, forged).get_object, **read) == (403, "SignatureDoesNotMatch")


def test_account_needs_no_rights(cloud: EmulatedCloud) -> None:
    """The account's own keys may do anything; permanent ones have no token."""
    assert {api(cloud, CREDENTIALS, name)[0] for name in API} == {"ok"}
    permanent = type(CREDENTIALS)("AKIDPERMANENT", "PERMANENTKEY", "")
    with EmulatedCloud(State(), credentials=permanent) as other:
        assert api(other, permanent, "DescribeImages")[0] == "ok"
        with_token = type(permanent)("AKIDPERMANENT", "PERMANENTKEY", "TOKEN")
        assert api(other, with_token, "DescribeImages")[0] == "AuthFailure.TokenFailure"


def fetched(cloud: EmulatedCloud, url: str) -> tuple[int, bytes]:
    """Return the status and the body of a signed URL's object."""
    path = urlsplit(url)._replace(scheme="", netloc="").geturl()
    request = urllib.request.Request(cloud.url + path, headers={"Host": HOST})  # noqa: S310 - ours
    try:
        with urllib.request.build_opener().open(request) as reply:
            return reply.status, reply.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def test_signed_urls(cloud: EmulatedCloud) -> None:
    """A URL that a session has signed works with its rights, and until it expires."""
    keys = keys_for(cloud.state, allow("cos:GetObject", resource=IN_BUCKET + KEY))
    client = CosS3Client(config(keys))
    token = {"x-cos-security-token": keys.token}
    urls = [
        str(client.get_presigned_url(BUCKET, key, "GET", Expired=3600, Params=token))
        for key in (KEY, OTHER)
    ]
    assert fetched(cloud, urls[0]) == (200, b"old")
    status, body = fetched(cloud, urls[1])
    assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)
    caller = cloud.state.access.sessions[keys.secret_id]
    expired = type(caller)(keys, caller.role, "scf", time.time() - 1)
    cloud.state.access.sessions[keys.secret_id] = expired
    status, body = fetched(cloud, urls[0])
    assert (status, b"<Code>InvalidToken</Code>" in body) == (403, True)
