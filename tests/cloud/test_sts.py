"""STS in the emulated cloud, called with the typed official SDK, and what its keys may do."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests
from tencentcloud.sts.v20180813 import errorcodes

from cos_client import BUCKET, client_of, error_of
from scf_local.cloud.seed import Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.signatures import presigned_url
from scf_local.cloud.state import State
from scf_local.credentials import AccountCredentials
from sdk_client import ALL, SCF_TRUST, TRUST, SdkClient, add_role, policy

if TYPE_CHECKING:
    from collections.abc import Iterator

UIN, INVALID = "100000000001", "InvalidParameter"
ROOT = f"qcs::cam::uin/{UIN}:root"
READ = {"effect": "allow", "action": ["cvm:DescribeImages", "cos:GetObject"], "resource": "*"}
TAG = {"ResourceList": [f"qcs::cvm:ap-guangzhou:uin/{UIN}:image/img-1"], "TagKeys": ["a"]}


def arn(role: str) -> str:
    """Return the ARN of a role."""
    return f"qcs::cam::uin/{UIN}:roleName/{role}"


def trust(*principals: str) -> str:
    """Return a trust policy for identities of accounts."""
    return policy({**TRUST, "principal": {"qcs": principals}})


@dataclass
class Sts:
    """A cloud, whose real time is later by some seconds, and calls of it."""

    later: float = 0.0
    cloud: EmulatedCloud = field(init=False)

    def client(self, service: str, keys: AccountCredentials | None = None) -> SdkClient:
        """Return a client of a service."""
        return SdkClient(self.cloud, service, keys=keys)

    def reply(
        self,
        role: str = "a",
        keys: AccountCredentials | None = None,
        **params: Any,  # noqa: ANN401 - AssumeRole's
    ) -> dict[str, Any]:
        """Return the reply of AssumeRole."""
        given = {"RoleArn": arn(role), "RoleSessionName": "test", **params}
        return self.client("sts", keys)("AssumeRole", **given)

    def keys(self, *args: Any, **params: Any) -> AccountCredentials:  # noqa: ANN401 - of `reply`
        """Return the keys of a new session."""
        keys = self.reply(*args, **params)["Credentials"]
        return AccountCredentials(keys["TmpSecretId"], keys["TmpSecretKey"], keys["Token"])


def connected() -> Iterator[Sts]:
    """A cloud with an object, and the roles `a`, which may read, and `all`."""
    sts = Sts()
    state = State(objects={BUCKET: {"in/a.txt": Object(b"a"), "out/b.txt": Object(b"b")}})
    with EmulatedCloud(state, limits=False, clock=lambda: time.time() + sts.later) as cloud:
        sts.cloud = cloud
        add_role(cloud, "a", policy(READ), trust(ROOT))
        add_role(cloud, "all", ALL, trust(ROOT))
        yield sts


@pytest.fixture
def sts() -> Iterator[Sts]:
    """A cloud with an object, and the roles `a`, which may read, and `all`."""
    yield from connected()


@pytest.fixture(scope="module")
def shared() -> Iterator[Sts]:
    """The same, for tests that change nothing."""
    yield from connected()


def test_reply(sts: Sts) -> None:
    """The reply has keys, and when they expire: seconds of the real time, however it was moved."""
    sts.cloud.move_clock(86400)
    cases: tuple[tuple[dict[str, Any], int], ...] = (({}, 7200), ({"DurationSeconds": 60}, 60))
    for given, seconds in cases:
        reply = sts.reply(**given)
        assert abs(reply["ExpiredTime"] - seconds - time.time()) < 5
        expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(reply["ExpiredTime"]))
        assert reply["Expiration"] == expiration
        assert reply["Credentials"].keys() == {"TmpSecretId", "TmpSecretKey", "Token"}
        assert len(reply["Credentials"]["Token"]) <= 4096


def test_session_of_a_role_by_its_id(shared: Sts) -> None:
    """A role is named by its id, too."""
    role = shared.cloud.state.access.roles["a"]
    keys = shared.keys(RoleArn=f"qcs::cam::uin/{UIN}:role/{role.id}")
    assert shared.client("cvm", keys).error("DescribeImages") == ""


def test_identity(shared: Sts) -> None:
    """GetCallerIdentity names the account, or the session of a role."""
    account = {"AccountId": UIN, "PrincipalId": UIN}
    role = shared.cloud.state.access.roles["all"].id
    for keys, who in (
        (None, {"Type": "RootAccount", "UserId": UIN, "Arn": ROOT}),
        (
            shared.keys("all"),
            {
                "Type": "CAMRole",
                "UserId": f"{role}:test",
                "Arn": f"qcs::sts:{UIN}:assumed-role/{role}",
            },
        ),
    ):
        reply = shared.client("sts", keys)("GetCallerIdentity")
        del reply["RequestId"]
        assert reply == {**account, **who}


ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"RoleArn": arn("no")}, "ResourceNotFound.RoleNotFound"),
    ({"RoleArn": "qcs::cam::uin/100000000002:roleName/a"}, "ResourceNotFound.RoleNotFound"),
    ({"RoleSessionName": "a"}, f"{INVALID}.ParamError"),
    ({"RoleSessionName": "a b"}, f"{INVALID}.ParamError"),
    ({"RoleSessionName": "a" * 129}, f"{INVALID}.ParamError"),
    ({"DurationSeconds": 0}, f"{INVALID}.ParamError"),
    ({"DurationSeconds": 7201}, f"{INVALID}.OverTimeError"),
    ({"Policy": "%7B"}, f"{INVALID}.StrategyFormatError"),
    ({"Policy": "{}"}, f"{INVALID}.StrategyInvalid"),
    ({"Policy": policy(READ | {"resource": "img-1"})}, f"{INVALID}.ResouceError"),
    ({"Policy": policy(READ | {"principal": {"qcs": ROOT}})}, f"{INVALID}.StrategyInvalid"),
    ({"Policy": policy(READ | {"resource": "qcs::cvm:::"})}, f"{INVALID}.ResouceError"),
    ({"Policy": policy(READ | {"condition": {}})}, "UnsupportedOperation"),
    ({"Policy": policy(READ | {"action": "a" * 6144})}, f"{INVALID}.PolicyTooLong"),
]


@pytest.mark.parametrize(("params", "code"), ERRORS)
def test_errors(shared: Sts, params: dict[str, Any], code: str) -> None:
    """What is not allowed has a code that the SDK knows of STS."""
    given = {"RoleArn": arn("a"), "RoleSessionName": "test", **params}
    assert shared.client("sts").error("AssumeRole", **given) == code
    assert code in [*vars(errorcodes).values()]


@pytest.mark.parametrize("name", ["ExternalId", "SourceIdentity", "SerialNumber", "TokenCode"])
def test_not_emulated(shared: Sts, name: str) -> None:
    """What is not emulated is refused."""
    given = {"RoleArn": arn("a"), "RoleSessionName": "test", name: "1234"}
    assert shared.client("sts").error("AssumeRole", **given) == "UnsupportedOperation"


@pytest.mark.parametrize(
    ("seconds", "allowed"), [(0, 7200), (900, 900), (43200, 43200)], ids=["default", "less", "most"]
)
def test_duration_of_a_role(sts: Sts, seconds: int, allowed: int) -> None:
    """A session lasts at most as long as its role allows, and by default two hours or less."""
    cam = sts.client("cam")
    cam("CreateRole", RoleName="b", PolicyDocument=trust(ROOT), SessionDuration=seconds)
    assert sts.reply("b", DurationSeconds=allowed)["ExpiredTime"]
    given = {"RoleArn": arn("b"), "RoleSessionName": "test", "DurationSeconds": allowed + 1}
    assert sts.client("sts").error("AssumeRole", **given) == f"{INVALID}.OverTimeError"
    assert abs(sts.reply("b")["ExpiredTime"] - time.time() - min(7200, allowed)) < 5


@pytest.mark.parametrize(
    ("document", "of_account", "of_role"),
    [
        (trust(ROOT), True, True),
        (trust(arn("all")), False, True),
        (trust(arn("a"), f"qcs::cam::uin/{UIN}:uin/{UIN}"), True, False),
        (trust("qcs::cam::uin/100000000002:root"), False, False),
        (SCF_TRUST, False, False),
        (
            policy(
                {**TRUST, "principal": {"qcs": ROOT}},
                {**TRUST, "effect": "deny", "principal": {"qcs": arn("all")}},
            ),
            True,
            False,
        ),
    ],
    ids=["root", "role", "account", "other account", "service", "denied"],
)
def test_trust(sts: Sts, document: str, *, of_account: bool, of_role: bool) -> None:
    """Only whom the trust policy names may have the role; the account stands for all of it."""
    sts.client("cam")("CreateRole", RoleName="b", PolicyDocument=document)
    given = {"RoleArn": arn("b"), "RoleSessionName": "test"}
    for keys, is_allowed in ((None, of_account), (sts.keys("all"), of_role)):
        code = "" if is_allowed else "UnauthorizedOperation"
        assert sts.client("sts", keys).error("AssumeRole", **given) == code


def test_role_of_a_role(sts: Sts) -> None:
    """A session may have another role if its own policies allow it for that role."""
    to_all = {"effect": "allow", "action": "name/sts:AssumeRole", "resource": [arn("all")]}
    add_role(sts.cloud, "b", policy(to_all), trust(ROOT))
    second = sts.keys("all", sts.keys("b"))
    assert sts.client("cam", second).error("ListPolicies") == ""
    refused = {"RoleArn": arn("a"), "RoleSessionName": "test"}
    for role in ("a", "b"):
        client = sts.client("sts", sts.keys(role))
        assert client.error("AssumeRole", **refused) == "UnauthorizedOperation"


def test_session_policy_limits(shared: Sts) -> None:
    """A session may do what both its role and its own policy allow."""
    action = {"action": ["cvm:DescribeImages", "tag:*"]}
    for text in (policy(READ | action), quote(policy(READ | action))):
        keys = shared.keys(Policy=text)
        assert shared.client("cvm", keys).error("DescribeImages") == ""
        assert error_of(
            client_of(shared.cloud, keys).get_object, Bucket=BUCKET, Key="in/a.txt"
        ) == (
            403,
            "AccessDenied",
        )
        code = shared.client("tag", keys).error("UnTagResources", **TAG)
        assert code == "AuthFailure.UnauthorizedOperation"
    denied = shared.keys("all", Policy=policy(READ | {"effect": "deny"}))
    assert shared.client("cvm", denied).error("DescribeImages") == "UnauthorizedOperation"


def test_expired_keys(sts: Sts) -> None:
    """Expired keys have the codes of a wrong token; others go on."""
    short, long = sts.keys(DurationSeconds=60), sts.keys()
    object_a = {"Bucket": BUCKET, "Key": "in/a.txt"}
    for keys in (short, long):
        assert sts.client("cvm", keys).error("DescribeImages") == ""
    sts.cloud.move_clock(3600)  # which sessions do not follow
    assert sts.client("cvm", short).error("DescribeImages") == ""
    sts.later = 61
    assert sts.client("cvm", short).error("DescribeImages") == "AuthFailure.TokenFailure"
    assert error_of(client_of(sts.cloud, short).get_object, **object_a) == (403, "InvalidToken")
    assert sts.client("cvm", long).error("DescribeImages") == ""
    assert client_of(sts.cloud, long).get_object(**object_a)["Body"].get_raw_stream().read() == b"a"
    sts.keys()  # which forgets expired ones
    assert sts.client("cvm", short).error("DescribeImages") == "AuthFailure.SecretIdNotFound"


@pytest.mark.parametrize("method", ["TC3-HMAC-SHA256", "HmacSHA1", "HmacSHA256"])
def test_signatures(shared: Sts, method: str) -> None:
    """Keys of a session sign in all ways, also calls of STS, and only with their token."""
    keys = shared.keys("all")
    for service, action in (("cvm", "DescribeImages"), ("sts", "GetCallerIdentity")):
        client = replace(shared.client(service, keys), sign_method=method)
        assert client.error(action) == ""
        without = replace(client, keys=replace(keys, token=""))
        assert without.error(action) == "AuthFailure.TokenFailure"
        wrong = replace(client, keys=replace(keys, secret_key="wrong"))
        assert wrong.error(action) == "AuthFailure.SignatureFailure"
    tag = replace(shared.client("tag", keys), sign_method=method)  # which has the version of STS
    assert tag.error("UnTagResources", **TAG) == ""


def test_objects(sts: Sts) -> None:
    """A role reads and writes only the objects that its policy names, by prefix."""
    resource = f"qcs::cos:ap-guangzhou:uid/1250000000:{BUCKET}/in/*"
    allowed = {"effect": "allow", "action": ["name/cos:GetObject"], "resource": [resource]}
    add_role(sts.cloud, "reader", policy(allowed), trust(ROOT))
    keys = sts.keys("reader")
    client = client_of(sts.cloud, keys)
    assert client.get_object(BUCKET, "in/a.txt")["Body"].get_raw_stream().read() == b"a"
    denied = (403, "AccessDenied")
    assert error_of(client.get_object, Bucket=BUCKET, Key="out/b.txt") == denied
    assert error_of(client.put_object, Bucket=BUCKET, Key="in/a.txt", Body=b"") == denied
    host = f"{BUCKET}.cos.ap-guangzhou.myqcloud.com"
    for key, status in (("/in/a.txt", 200), ("/out/b.txt", 403)):
        url = presigned_url(keys, host, key, time.time() + 60).removeprefix(f"https://{host}")
        reply = requests.get(f"{sts.cloud.url}{url}", headers={"Host": host}, timeout=5)
        assert reply.status_code == status
