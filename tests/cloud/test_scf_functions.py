"""The actions of SCF's functions in the emulated cloud, called with the typed official SDK."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import time
import zipfile
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.scf.v20180416 import errorcodes, models
from tencentcloud.scf.v20180416.scf_client import ScfClient

import payloads
from conftest import called
from scf_deploy.code import Code
from scf_local.cloud.scf import functions
from scf_local.cloud.scf.model import Delivery, Run, Trigger, local_time
from scf_local.cloud.scf.service import SERVICE
from scf_local.cloud.seed import Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State, is_write
from scf_local.cloud.wire import ErrorReply
from scf_local.credentials import AccountCredentials
from sdk_client import TRUST, add_role, policy

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION, NAME, BUCKET = "ap-guangzhou", "steward", "code-1250000000"
INVALID = "InvalidParameterValue"
SERVERLESS = Path(__file__).parents[2] / "serverless.yml"


def zipped(content: str = "def main_handler(event, context): ...", name: str = "index.py") -> bytes:
    """A zip file with one entry."""
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(zipfile.ZipInfo(name), content)
        return file.getvalue()


def code(content: bytes) -> dict[str, str]:
    """Code as it is sent."""
    return {"ZipFile": base64.b64encode(content).decode()}


def variables(**pairs: str) -> dict[str, Any]:
    """An `Environment`."""
    return {"Variables": [{"Key": key, "Value": value} for key, value in pairs.items()]}


ZIP, NEW_ZIP = zipped(), zipped("new = True", "app.py")
NEW: dict[str, Any] = {"FunctionName": "other", "Runtime": "Python3.13", "Code": code(ZIP)}


@dataclass
class Scf:
    """The SDK's client of an emulated cloud, whose time only `now` moves."""

    now: float = field(default_factory=time.time)

    def connect(self, cloud: EmulatedCloud) -> None:
        """Use a running cloud, and create the role of `KEPT`."""
        add_role(cloud, "image-steward")
        keys = AccountCredentials()
        credential = Credential(keys.secret_id, keys.secret_key, keys.token)
        http = HttpProfile("http", cloud.url.removeprefix("http://"))
        self.cloud = cloud
        self.clients = {
            region: ScfClient(credential, region, ClientProfile(httpProfile=http))
            for region in (REGION, "ap-shanghai", "guangzhou")
        }

    def __call__(self, action: str, *, region: str = REGION, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - any parameter
        """Call an action, and return the members of the reply that are not null."""
        request = getattr(models, f"{action}Request")()
        request._deserialize(params)
        reply = json.loads(getattr(self.clients[region], action)(request).to_json_string())
        del reply["RequestId"]
        return {name: value for name, value in reply.items() if value is not None}

    def create(self, name: str = NAME, **params: Any) -> None:  # noqa: ANN401 - any parameter
        """Create a function, and wait until it is active."""
        self("CreateFunction", **{**NEW, "FunctionName": name, **params})
        self.now += functions.DEPLOY_SECONDS

    def get(self, name: str = NAME, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - any parameter
        """Return a function."""
        return self("GetFunction", FunctionName=name, **params)

    def error(self, action: str, **params: Any) -> TencentCloudSDKException:  # noqa: ANN401 - any parameter
        """Return the error of a call that changes nothing."""
        before = self.content()
        with pytest.raises(TencentCloudSDKException) as raised:
            self(action, **params)
        assert self.content() == before
        return raised.value

    def content(self) -> dict[str, Any]:
        """Return all that the cloud holds, but not its calls."""
        snapshot = self.cloud.state.snapshot(self.now)
        del snapshot["Calls"]
        held = [vars(each).copy() for each in self.cloud.state.functions.by_name.values()]
        return {**snapshot, "held": held}


def connected() -> Iterator[Scf]:
    """A client of a cloud with one bucket and no functions."""
    scf = Scf()
    objects = {BUCKET: {"a/f.zip": Object(NEW_ZIP), "gone": Object(b"", is_delete_marker=True)}}
    objects[BUCKET] |= {"text": Object(b"no zip")}
    with EmulatedCloud(State({}, objects), limits=False, clock=lambda: scf.now) as cloud:
        scf.connect(cloud)
        yield scf


@pytest.fixture
def scf() -> Iterator[Scf]:
    """A client of a cloud with one bucket and no functions."""
    yield from connected()


@pytest.fixture(scope="module")
def shared() -> Iterator[Scf]:
    """The same with an active function, for calls that change nothing."""
    for scf in connected():
        scf.create(Environment=variables(A="1"), MemorySize=512)
        scf.create("large")
        scf("PutReservedConcurrencyConfig", FunctionName="large", ReservedConcurrencyMem=115_000)
        yield scf


def test_new_function(scf: Scf) -> None:
    """A new function has the documented defaults, and becomes active after a while."""
    scf("CreateFunction", **NEW)
    assert (scf.get("other")["Status"], scf.get("other")["Triggers"]) == ("Creating", [])
    created = scf.now
    scf.now += functions.DEPLOY_SECONDS - 0.1
    assert scf.get("other")["Status"] == "Creating"
    scf.now += 0.2
    reply = scf.get("other", Qualifier="$LATEST", Namespace="default", ShowCode="FALSE")
    assert re.fullmatch("lam-[0-9a-z]{8}", reply.pop("FunctionId"))
    assert reply.pop("AddTime") == reply.pop("ModTime") == local_time(created)
    assert reply == {
        "FunctionName": "other",
        "Namespace": "default",
        "Qualifier": "$LATEST",
        "FunctionVersion": "$LATEST",
        "Type": "Event",
        "Status": "Active",
        "StatusDesc": "",
        "StatusReasons": [],
        "AvailableStatus": "Available",
        "Runtime": "Python3.13",
        "Handler": "index.main_handler",
        "Description": "",
        "MemorySize": 128,
        "Timeout": 3,
        "InitTimeout": 65,
        "Role": "",
        "Environment": {"Variables": []},
        "VpcConfig": {"VpcId": "", "SubnetId": ""},
        "PublicNetConfig": {
            "PublicNetStatus": "ENABLE",
            "EipConfig": {"EipStatus": "DISABLE", "EipAddress": []},
        },
        "ClsLogsetId": "",
        "ClsTopicId": "",
        "CodeSize": len(ZIP),
        "CodeInfo": "",
        "CodeResult": "success",
        "CodeError": "",
        "ErrNo": 0,
        "Triggers": [],
        "Tags": [],
        "Layers": [],
        "AsyncRunEnable": "FALSE",
        "TraceEnable": "FALSE",
        "DnsCache": "FALSE",
        "InstallDependency": "FALSE",
        "DeadLetterConfig": {"Type": "", "Name": "", "FilterType": ""},
        "CfsConfig": {"CfsInsList": []},
        "IntranetConfig": {"IpFixed": "DISABLE", "IpAddress": []},
        "EipConfig": {"EipFixed": "FALSE", "Eips": []},
        "AccessInfo": {"Host": "", "Vip": ""},
        "L5Enable": "FALSE",
        "UseGpu": "FALSE",
        "ProtocolType": "",
        "OnsEnable": "FALSE",
    }


def test_times() -> None:
    """Times are written in Beijing time."""
    assert local_time(1795521600.9) == "2026-11-24 20:00:00"


KEPT: dict[str, Any] = {
    "Description": "keeps images 整洁",
    "Handler": "app.handle",
    "MemorySize": 64,
    "Timeout": 900,
    "InitTimeout": 3,
    "Runtime": "Python3.6",
    "Role": "image-steward",
    "Environment": variables(STEWARD_DRY_RUN="0", B="=2 ü"),
    "ClsLogsetId": "logset",
    "ClsTopicId": "topic",
    "Tags": [{"Key": "team", "Value": "infra"}],
    "TraceEnable": "TRUE",
    "DnsCache": "TRUE",
}
OFF: dict[str, Any] = {
    "VpcConfig": {"VpcId": "", "SubnetId": ""},
    "PublicNetConfig": {"PublicNetStatus": "ENABLE", "EipConfig": {"EipStatus": "DISABLE"}},
    "DeadLetterConfig": {"Type": "", "Name": ""},
    "Layers": [],
    "CfsConfig": {"CfsInsList": []},
    "AsyncRunEnable": "FALSE",
    "InstallDependency": "FALSE",
    "IntranetConfig": {"IpFixed": "DISABLE"},
}


def test_settings_are_kept(scf: Scf) -> None:
    """All given settings are read back, and what is switched off is accepted."""
    scf.create(
        **KEPT,
        **OFF,
        Code=code(NEW_ZIP),
        Type="Event",
        CodeSource="ZipFile",
        AutoCreateClsTopic="TRUE",
    )
    assert scf.get().items() >= KEPT.items()


def test_made_up_topic(scf: Scf) -> None:
    """A function for which a topic is created gets the ids of one."""
    scf.create(AutoCreateClsTopic="TRUE", AutoDeployClsTopicIndex="TRUE")
    reply = scf.get()
    assert len(reply["ClsLogsetId"]) == len(reply["ClsTopicId"]) == 36


def test_configuration_changes_what_is_given(scf: Scf) -> None:
    """An update changes what is given, replaces all variables, and takes a while."""
    scf.create(Environment=variables(A="1", B="2"), Role="image-steward", Timeout=5)
    before, revision = scf.get(), scf.content()["held"][0]["revision"]
    changes: dict[str, Any] = {
        "MemorySize": 3072,
        "Environment": variables(C="3"),
        "Runtime": "Python3.13",
    }
    update: dict[str, Any] = {
        "FunctionName": NAME,
        "Publish": "FALSE",
        "L5Enable": "FALSE",
        "IgnoreSysLog": False,
    }
    scf("UpdateFunctionConfiguration", **update, **changes)
    later = {"Status": "Updating", "ModTime": local_time(scf.now)}
    assert scf.get() == before | changes | later
    assert scf.content()["held"][0]["revision"] == revision + 1
    scf.now += functions.DEPLOY_SECONDS
    assert scf.get() == before | changes | later | {"Status": "Active"}


@pytest.mark.parametrize(
    ("role", "code"), [("no", "ResourceNotFound.Role"), ("own", "ResourceNotFound.RoleCheck")]
)
def test_role(scf: Scf, role: str, code: str) -> None:
    """A function's role must exist, and its trust policy let SCF assume it."""
    trust = policy({**TRUST, "principal": {"qcs": "qcs::cam::uin/100000000001:root"}})
    add_role(scf.cloud, "own", trust=trust)
    scf.create()
    assert scf.error("CreateFunction", **NEW, Role=role).code == code
    update = {"FunctionName": NAME, "Role": role}
    assert scf.error("UpdateFunctionConfiguration", **update).code == code
    assert code in vars(errorcodes).values()


def test_clearing(scf: Scf) -> None:
    """Empty values clear the role, the topic and, as Terraform sends it, the variables."""
    scf.create(**KEPT, Code=code(NEW_ZIP))
    empty: dict[str, Any] = {"Role": "", "ClsTopicId": "", "ClsLogsetId": "", "Description": ""}
    cleared = {**empty, "Environment": {"Variables": [{"Key": "", "Value": ""}]}}
    scf("UpdateFunctionConfiguration", FunctionName=NAME, **cleared)
    assert scf.get().items() >= {**empty, "Environment": {"Variables": []}}.items()


@pytest.mark.parametrize(
    "given",
    [
        code(NEW_ZIP),
        {"Code": code(NEW_ZIP), "CodeSource": "ZipFile"},
        {"CosBucketName": "code", "CosObjectName": "/a/f.zip", "CosBucketRegion": REGION},
        {"Code": {"CosBucketName": "code", "CosObjectName": "a/f.zip"}, "CodeSource": "Cos"},
    ],
)
def test_code_is_replaced(scf: Scf, given: dict[str, Any]) -> None:
    """Code is replaced from the call or from a bucket, with the handler if one is given."""
    scf.create()
    scf("UpdateFunctionCode", FunctionName=NAME, Handler="app.handle", **given)
    reply = scf.get()
    assert (reply["Status"], reply["Handler"]) == ("Updating", "app.handle")
    assert reply["CodeSize"] == len(NEW_ZIP)
    (held,) = scf.content()["held"]
    assert (held["code"].zip, held["revision"]) == (NEW_ZIP, 2)
    assert held["code"].sha256 == hashlib.sha256(NEW_ZIP).hexdigest()


def test_code_of_a_new_function_in_a_bucket(scf: Scf) -> None:
    """A function can be created from an object; one that is missing is noted for the seed."""
    scf.create(Code={"CosBucketName": "code", "CosObjectName": "/a/f.zip"}, Handler="app.handle")
    assert (scf.get()["CodeSize"], scf.get()["Status"]) == (len(NEW_ZIP), "Active")
    missing = {"CosBucketName": "code", "CosObjectName": "/b.zip", "CosBucketRegion": "ap-beijing"}
    error = scf.error("UpdateFunctionCode", FunctionName=NAME, Code=missing)
    assert (error.code, BUCKET in error.message) == ("ResourceNotFound.CosObject", True)
    options = "--region ap-beijing --from cos://code-1250000000/b.zip"
    assert scf.cloud.state.missing == {f"objects/{BUCKET}/b.zip": options}


@pytest.mark.parametrize(
    ("name", "is_found"),
    [
        *((name, True) for name in ("index.py", "./index.py", "index.pyc", "index.cpython-313.so")),
        *((name, True) for name in ("index/__init__.py", "index/__init__.pyc")),
        *((name, False) for name in ("src/index.py", "Index.py", "index", "index/main.py")),
        *((name, False) for name in ("main.py", "index.py.txt", "__pycache__/index.pyc")),
    ],
)
def test_module_of_the_handler(scf: Scf, name: str, *, is_found: bool) -> None:
    """A function fails to be created if its zip file does not have the handler's module."""
    scf("CreateFunction", **NEW | {"Code": code(zipped("", name))})
    assert (scf.get("other")["Status"], scf.get("other")["StatusReasons"]) == ("Creating", [])
    scf.now += functions.DEPLOY_SECONDS
    reply = scf.get("other")
    assert reply["Status"] == ("Active" if is_found else "CreateFailed")
    messages = [each["ErrorMessage"] for each in reply["StatusReasons"]]
    text = f"no index.py for the handler index.main_handler; it has {json.dumps(name)}"
    assert (text in reply["StatusDesc"]) is (messages == [reply["StatusDesc"]]) is not is_found


def test_failed_creation(scf: Scf) -> None:
    """A function that could not be created can only be read and deleted."""
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(9):
            archive.writestr(f"{number}.py", "")
    scf.create(Code=code(many.getvalue()))
    assert scf.get()["StatusDesc"].endswith('it has "0.py", "1.py", "2.py", "3.py", "4.py".')
    for action, (params, error) in CHANGES.items():
        if action != "DeleteFunction":
            failed = scf.error(action, FunctionName=NAME, **params)
            assert (failed.code, "use DeleteFunction" in failed.message) == (error, True)
    failed = scf.error("Invoke", FunctionName=NAME)
    assert failed.code == "FailedOperation.FunctionStatusError"
    scf("DeleteFunction", FunctionName=NAME)


def test_failed_update(scf: Scf) -> None:
    """After an update that failed, the old code and settings stay, and can be updated again."""
    scf.create()
    before, held = scf.get(), scf.content()["held"]
    update = {"FunctionName": NAME, "Handler": "main.handle"}
    scf("UpdateFunctionCode", **update, **code(NEW_ZIP))
    later = {"Status": "Updating", "ModTime": local_time(scf.now)}
    assert scf.get() == before | later
    scf.now += functions.DEPLOY_SECONDS
    reply = scf.get()
    (reason,) = reply["StatusReasons"]
    assert reason["ErrorMessage"].endswith('it has "app.py".')
    failed = {"Status": "UpdateFailed", "StatusDesc": reason["ErrorMessage"]}
    assert reply == before | later | failed | {"StatusReasons": [reason]}
    now = scf.content()["held"]
    assert [now[0][name] for name in ("code", "settings", "revision")] == [
        held[0][name] for name in ("code", "settings", "revision")
    ]
    scf("UpdateFunctionConfiguration", FunctionName=NAME, Timeout=9)
    scf.now += functions.DEPLOY_SECONDS
    assert (scf.get()["Status"], scf.get()["StatusDesc"], scf.get()["Timeout"]) == ("Active", "", 9)


IN_COS = {"CosBucketName": "code", "CosObjectName": "/a/f.zip"}
LONG = {f"NAME{number}": "v" * 40 for number in range(100)}
ASYNC = "AsyncTriggerConfig"
CREATE: list[tuple[dict[str, Any], str]] = [
    ({"FunctionName": NAME}, "ResourceInUse.Function"),
    ({"Namespace": "staging"}, "ResourceNotFound.Namespace"),
    ({"region": "guangzhou"}, "UnsupportedRegion"),
    *(
        ({"FunctionName": name}, f"{INVALID}.FunctionName")
        for name in ("", "a", "1ab", "ab-", "ab_", "a b", "名字", "a" * 61)
    ),
    *(({"MemorySize": size}, f"{INVALID}.Memory") for size in (0, 32, 65, 192, 3200)),
    *(({"Timeout": seconds}, "LimitExceeded.Timeout") for seconds in (0, -1, 901)),
    *(({"InitTimeout": seconds}, "LimitExceeded.InitTimeout") for seconds in (2, 301)),
    *(
        ({"Runtime": name}, f"{INVALID}.Runtime")
        for name in ("Nodejs18.15", "Python2.7", "Python3.8", "python3.13", "")
    ),
    ({"Runtime": None}, f"{INVALID}.Runtime"),  # the default is Python2.7
    ({"Type": "HTTP"}, f"{INVALID}.Type"),
    *(
        ({"Handler": name}, f"{INVALID}.Handler")
        for name in ("main", "index.", ".main", "a.main", "index.main.x", "index.main_", "x/y.main")
    ),
    ({"Description": "d" * 1001}, f"{INVALID}.Description"),
    ({"Environment": variables(**LONG)}, f"{INVALID}.EnvironmentExceededLimit"),
    *(
        ({"Environment": variables(**{name: "1"})}, f"{INVALID}.EnvironmentSystemProtect")
        for name in ("SCF_A", "QCLOUD_A", "TENCENTCLOUD_A", "PATH", "PYTHONPATH")
    ),
    *(
        ({"Environment": variables(**{name: value})}, f"{INVALID}.Environment")
        for name, value in (("1A", "x"), ("A-B", "x"), ("", "x"), ("A=B", "x"), ("A", ""))
    ),
    ({"Environment": variables(A="\0")}, f"{INVALID}.Environment"),
    (
        {"Environment": {"Variables": variables(A="1")["Variables"] * 2}},
        f"{INVALID}.Environment",
    ),
    ({"TraceEnable": "yes"}, f"{INVALID}.TraceEnable"),
    *(({name: "yes"}, INVALID) for name in ("DnsCache", "AutoCreateClsTopic")),
    ({"PublicNetConfig": {"PublicNetStatus": "DISABLE"}}, f"{INVALID}.PublicNetConfig"),
    ({"CodeSource": "Demo"}, f"{INVALID}.CodeSource"),
]
NOT_EMULATED: dict[str, Any] = {
    "Layers": [{"LayerName": "deps", "LayerVersion": 1}],
    "CfsConfig": {"CfsInsList": [{"CfsId": "cfs-1"}]},
    "VpcConfig": {"VpcId": "vpc-1", "SubnetId": "subnet-1"},
    "DeadLetterConfig": {"Type": "topic", "Name": "q"},
    "AsyncRunEnable": "TRUE",
    "InstallDependency": "TRUE",
    "ProtocolType": "WS",
    "PublicNetConfig": {"EipConfig": {"EipStatus": "ENABLE"}},
    "Code": {"ImageConfig": {"ImageUri": "ccr.ccs.tencentyun.com/a/b:c"}},
}
CODE: list[tuple[dict[str, Any], str]] = [
    ({}, "MissingParameter.Code"),
    ({"CosBucketName": "code"}, "MissingParameter.Code"),
    ({**code(ZIP), **IN_COS}, f"{INVALID}.Code"),
    ({"ZipFile": "UEsDBA="}, f"{INVALID}.ZipFileBase64BinasciiError"),
    ({"ZipFile": "é==="}, f"{INVALID}.ZipFileBase64BinasciiError"),
    ({"ZipFile": ""}, f"{INVALID}.ZipFile"),
    (code(b"no zip"), f"{INVALID}.ZipFile"),
    (code(ZIP[:-30]), f"{INVALID}.ZipFile"),
    (code(ZIP.replace(b"context", b"CONTEXT")), f"{INVALID}.ZipFile"),  # another checksum
    *((code(zipped("", name)), f"{INVALID}.ZipFile") for name in ("/etc/a", "../a", "b/../../a")),
    ({**IN_COS, "CosObjectName": "text"}, f"{INVALID}.Code"),
    ({**IN_COS, "CosObjectName": "gone"}, "ResourceNotFound.CosObject"),
    ({**IN_COS, "CosObjectName": ""}, "ResourceNotFound.CosObject"),
    ({**IN_COS, "CosBucketName": BUCKET}, "ResourceNotFound.CosObject"),
    ({**IN_COS, "CosBucketRegion": "gz"}, f"{INVALID}.CosBucketRegion"),
    ({"CosObjectName": "/a/f.zip"}, f"{INVALID}.CosBucketName"),
]
ON_ONE: list[tuple[str, dict[str, Any], str]] = [
    ("GetFunction", {"Qualifier": "1"}, "ResourceNotFound.Version"),
    ("GetFunction", {"ShowCode": "TRUE"}, "UnsupportedOperation"),
    ("GetFunctionAddress", {"Qualifier": "1"}, "ResourceNotFound.Version"),
    ("GetFunctionEventInvokeConfig", {"Qualifier": "1"}, "ResourceNotFound.Version"),
    ("DeleteFunction", {"Qualifier": "1"}, "ResourceNotFound.Qualifier"),
    ("UpdateFunctionConfiguration", {"Runtime": "Python3.12"}, f"{INVALID}.Runtime"),
    ("UpdateFunctionConfiguration", {"Publish": "TRUE"}, "UnsupportedOperation"),
    ("UpdateFunctionConfiguration", {"IgnoreSysLog": True}, "UnsupportedOperation"),
    ("UpdateFunctionConfiguration", {"L5Enable": "TRUE"}, "UnsupportedOperation"),
    ("UpdateFunctionConfiguration", {"Timeout": 5, "MemorySize": 1}, f"{INVALID}.Memory"),
    ("UpdateFunctionCode", {**code(ZIP), "Publish": "TRUE"}, "UnsupportedOperation"),
    ("UpdateFunctionCode", {**code(ZIP), "Code": code(ZIP)}, f"{INVALID}.Code"),
    ("UpdateFunctionCode", {**code(ZIP), "Handler": "x"}, f"{INVALID}.Handler"),
    *(
        ("PutReservedConcurrencyConfig", {"ReservedConcurrencyMem": size}, error)
        for size, error in (
            (-1, INVALID),
            (511, INVALID),
            (512, "FailedOperation.ReservedExceedTotal"),
        )
    ),
    ("PutReservedConcurrencyConfig", {}, "MissingParameter"),
    ("UpdateFunctionEventInvokeConfig", {}, "MissingParameter"),
    *(
        ("UpdateFunctionEventInvokeConfig", {ASYNC: config}, error)
        for config, error in (
            ({"MsgTTL": 0}, "LimitExceeded.MsgTTL"),
            ({"MsgTTL": 21601}, "LimitExceeded.MsgTTL"),
            ({"MsgTTL": 60, "RetryConfig": [{"RetryNum": 3}]}, "LimitExceeded.RetryNum"),
            ({"MsgTTL": 60, "RetryConfig": [{"RetryNum": -1}]}, "LimitExceeded.RetryNum"),
            ({"RetryConfig": [{"RetryNum": 1}] * 2}, f"{INVALID}.AsyncTriggerConfig"),
        )
    ),
]
LIST: list[tuple[dict[str, Any], str]] = [
    ({"Offset": -1}, f"{INVALID}.Offset"),
    ({"Limit": 0}, f"{INVALID}.Limit"),
    ({"Limit": 101}, f"{INVALID}.Limit"),
    ({"Orderby": "Name"}, f"{INVALID}.OrderBy"),
    ({"Order": "asc"}, f"{INVALID}.Order"),
    ({"Namespace": "staging"}, "ResourceNotFound.Namespace"),
    ({"Filters": [{"Name": "Status", "Values": ["Active"]}]}, "UnsupportedOperation"),
]
REFUSED = [
    *(("CreateFunction", NEW | params, error) for params, error in CREATE),
    *(
        ("CreateFunction", NEW | {name: value}, "UnsupportedOperation")
        for name, value in NOT_EMULATED.items()
    ),
    *(("CreateFunction", NEW | {"Code": given}, error) for given, error in CODE),
    *(("UpdateFunctionCode", {"FunctionName": NAME, **given}, error) for given, error in CODE),
    *((action, {"FunctionName": NAME, **params}, error) for action, params, error in ON_ONE),
    *(("ListFunctions", params, error) for params, error in LIST),
]


@pytest.mark.parametrize(
    ("action", "params", "expected"),
    REFUSED,
    ids=[f"{number}-{action}-{error}" for number, (action, _, error) in enumerate(REFUSED)],
)
def test_refused(shared: Scf, action: str, params: dict[str, Any], expected: str) -> None:
    """Each input that is not allowed has the API's own code, and changes nothing."""
    assert shared.error(action, **params).code == expected
    assert expected in [*vars(errorcodes).values(), "UnsupportedRegion"]


@pytest.mark.parametrize("name", NOT_EMULATED)
def test_what_is_not_emulated_is_named(shared: Scf, name: str) -> None:
    """What would change a function's behaviour, but is not emulated, is refused by its name."""
    message = shared.error("CreateFunction", **{**NEW, name: NOT_EMULATED[name]}).message
    assert re.match(f"`{name}[.`].* is not emulated; leave it out", message)
    assert message in shared.cloud.refused


def test_messages(shared: Scf) -> None:
    """A message has the parameter, its value, and what is allowed in words."""
    for params, message in (
        ({"Runtime": "Go1"}, f"Runtime is 'Go1'; .* allows {', '.join(functions.RUNTIMES)}"),
        ({"Timeout": 901}, "Timeout is 901; .* allows 1 to 900"),
        ({"Handler": "main"}, "Handler is 'main'; .* allows module.function, such as index.main_h"),
        ({"FunctionName": "a"}, "FunctionName is 'a'; .* allows 2 to 60 letters, .* image-steward"),
        ({"Description": "d" * 1001}, "Description is .* allows up to 1000 characters"),
        ({"Namespace": "b"}, "Namespace is 'b'; .* allows default[.]$"),
    ):
        assert re.match(message, shared.error("CreateFunction", **NEW | params).message)


FAILED = "FailedOperation"
# Parameters, and the code while the function is not active.
CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "UpdateFunctionCode": (code(ZIP), f"{FAILED}.UpdateFunctionCode"),
    "UpdateFunctionConfiguration": ({"Timeout": 9}, f"{FAILED}.UpdateFunctionConfiguration"),
    "DeleteFunction": ({}, f"{FAILED}.DeleteFunction"),
    "PutReservedConcurrencyConfig": (
        {"ReservedConcurrencyMem": 0},
        f"{FAILED}.FunctionVersionStatusNotActive",
    ),
    "DeleteReservedConcurrencyConfig": ({}, f"{FAILED}.ReservedInProgress"),
    "UpdateFunctionEventInvokeConfig": (
        {ASYNC: {"MsgTTL": 60}},
        f"{FAILED}.FunctionVersionStatusNotActive",
    ),
}
READS = ("GetFunction", "GetFunctionAddress", "GetReservedConcurrencyConfig")


@pytest.mark.parametrize("action", [*CHANGES, *READS, "GetFunctionEventInvokeConfig"])
def test_unknown_function(shared: Scf, action: str) -> None:
    """A function that is not there, or in another region or namespace, is not found."""
    params, _ = CHANGES.get(action, ({}, ""))
    for wrong in ({"FunctionName": "no"}, {"FunctionName": NAME, "region": "ap-shanghai"}):
        assert shared.error(action, **params, **wrong).code == "ResourceNotFound.Function"
    elsewhere = {"FunctionName": NAME, "Namespace": "staging"}
    assert shared.error(action, **params, **elsewhere).code == "ResourceNotFound.Namespace"


@pytest.mark.parametrize("action", CHANGES)
def test_change_of_a_function_that_is_not_active(scf: Scf, action: str) -> None:
    """A function is changed only while it is active."""
    scf("CreateFunction", **NEW)
    changes, code = CHANGES[action]
    params = {"FunctionName": "other", **changes}
    error = scf.error(action, **params)
    assert (error.code, "is Creating; wait" in error.message) == (code, True)
    assert code in vars(errorcodes).values()
    scf.now += functions.DEPLOY_SECONDS
    scf(action, **params)
    assert [each["Action"] for each in scf.cloud.state.writes()[-2:]] == ["CreateFunction", action]
    assert all(map(is_write, ("CreateFunction", *CHANGES)))


def test_number_of_functions(scf: Scf) -> None:
    """A region has at most 50 functions, and other regions do not count."""
    for number in range(50):
        scf("CreateFunction", **NEW | {"FunctionName": f"f{number}"})
    assert scf.error("CreateFunction", **NEW).code == "LimitExceeded.Function"
    scf("CreateFunction", **NEW, region="ap-shanghai")
    assert scf.content()["Functions"]["ap-shanghai"].keys() == {"other"}


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, "cab"),
        ({"Orderby": "ModTime"}, "acb"),
        ({"Orderby": "FunctionName", "Order": "ASC"}, "abc"),
        ({"Order": "ASC"}, "bac"),
        ({"Offset": 1, "Limit": 1}, "a"),
        ({"Offset": 3}, ""),
        ({"SearchKey": "x-b"}, "b"),
        ({"Description": "第一"}, "b"),
    ],
)
def test_list(scf: Scf, params: dict[str, Any], names: str) -> None:
    """Functions are listed by page and order, and found by parts of name and description."""
    for name, text in (("b", "the 第一 one"), ("a", ""), ("c", "")):
        scf.create(f"x-{name}", Description=text)
    scf("UpdateFunctionConfiguration", FunctionName="x-a", Timeout=9)
    scf("PutReservedConcurrencyConfig", FunctionName="x-b", ReservedConcurrencyMem=256)
    reply = scf("ListFunctions", **params)
    assert [each["FunctionName"][-1] for each in reply["Functions"]] == [*names]
    assert reply["TotalCount"] == (1 if {"SearchKey", "Description"} & params.keys() else 3)
    for entry in reply["Functions"]:
        whole = scf.get(entry["FunctionName"])
        reserved = entry.pop("ReservedConcurrencyMem")
        assert reserved == (256 if entry["FunctionName"] == "x-b" else None)
        assert {name: value for name, value in entry.items() if value is not None}.items() <= (
            whole.items()
        )


def test_delete(scf: Scf) -> None:
    """A deleted function takes its events with it, and its name is free for another one."""
    scf.create()
    scf.create("other")
    first = scf.get()["FunctionId"]
    waiting: Future[Run] = Future()
    queue = scf.cloud.state.functions.queue
    queue += [Delivery(REGION, each, {}, "r", 0, 9e9) for each in (NAME, "other")]
    queue.append(Delivery(REGION, NAME, {}, "r", 0, 9e9, result=waiting))
    scf("DeleteFunction", FunctionName=NAME)
    assert [each.function for each in scf.cloud.state.functions.queue] == ["other"]
    assert waiting.cancelled()
    assert scf.error("GetFunction", FunctionName=NAME).code == "ResourceNotFound.Function"
    scf.create()
    assert scf.get()["FunctionId"] != first


def test_reserved_concurrency(scf: Scf) -> None:
    """Reserved concurrency is set, read and removed; a region's sum leaves 12,800 MB."""
    scf.create()
    scf.create("other")
    assert scf("GetReservedConcurrencyConfig", FunctionName=NAME) == {}
    for size in (0, 128, 200, 115_200):
        put: dict[str, Any] = {"FunctionName": NAME, "ReservedConcurrencyMem": size}
        scf("PutReservedConcurrencyConfig", **put)
        assert scf("GetReservedConcurrencyConfig", FunctionName=NAME) == {"ReservedMem": size}
    more: dict[str, Any] = {"FunctionName": "other", "ReservedConcurrencyMem": 128}
    error = scf.error("PutReservedConcurrencyConfig", **more)
    assert error.code == "FailedOperation.ReservedExceedTotal"
    for _ in range(2):
        scf("DeleteReservedConcurrencyConfig", FunctionName=NAME)
        assert scf("GetReservedConcurrencyConfig", FunctionName=NAME) == {}
    scf("PutReservedConcurrencyConfig", **more)


def test_event_invoke_config(scf: Scf) -> None:
    """Events are retried twice within 6 hours, unless it is set; what is left out stays."""
    scf.create()
    for change, seconds, retries in (
        ({}, 21600, 2),
        ({"RetryConfig": [{"RetryNum": 0}]}, 21600, 0),
        ({"MsgTTL": 60, "RetryConfig": []}, 60, 0),
    ):
        scf("UpdateFunctionEventInvokeConfig", FunctionName=NAME, AsyncTriggerConfig=change)
        config = scf("GetFunctionEventInvokeConfig", FunctionName=NAME)[ASYNC]
        assert config == {"MsgTTL": seconds, "RetryConfig": [{"RetryNum": retries}]}


def test_address(scf: Scf) -> None:
    """The code's hash can be compared, and its presigned URL returns it, until it expires."""
    scf.create()
    scf.cloud.move_clock(86400)  # which signatures do not follow
    reply = scf("GetFunctionAddress", FunctionName=NAME)
    assert reply["CodeSha256"] == hashlib.sha256(ZIP).hexdigest()
    url = urlsplit(reply["Url"])
    assert (url.scheme, url.hostname) == (
        "https",
        "scf-code-1250000000.cos.ap-guangzhou.myqcloud.com",
    )

    def fetched() -> tuple[int, bytes]:
        connection = HTTPConnection(scf.cloud.url.removeprefix("http://"), timeout=20)
        connection.request("GET", f"{url.path}?{url.query}", headers={"Host": url.netloc})
        with closing(connection), connection.getresponse() as answer:
            return answer.status, answer.read()

    assert fetched() == (200, ZIP)
    scf.now += functions.URL_SECONDS + 1
    assert fetched()[0] == 403


def test_triggers_of_a_function(scf: Scf) -> None:
    """A function is read with its triggers."""
    scf.create()
    (function,) = scf.cloud.state.functions.by_name.values()
    cron = '{"cron":"0 17 3 * * * *"}'
    trigger = Trigger("nightly", "timer", cron, "$DEFAULT", is_enabled=True, added=0, modified=0)
    function.triggers.append(trigger)
    assert [each["TriggerName"] for each in scf.get()["Triggers"]] == ["nightly"]


def test_state(scf: Scf) -> None:
    """`GET /_state` shows each function as GetFunction does, and more, at the cloud's time."""
    scf("CreateFunction", **NEW)
    for status in ("Creating", "Active"):
        connection = HTTPConnection(scf.cloud.url.removeprefix("http://"), timeout=20)
        connection.request("GET", "/_state")
        with closing(connection), connection.getresponse() as answer:
            shown = json.load(answer)["Functions"]
        config = scf("GetFunctionEventInvokeConfig", FunctionName="other")
        assert shown[REGION]["other"] == {**scf.get("other"), **config, "ReservedMem": None}
        assert (shown.keys(), shown[REGION]["other"]["Status"]) == ({REGION}, status)
        scf.now += functions.DEPLOY_SECONDS
    before = scf.cloud.state.snapshot()
    before["Functions"][REGION]["other"]["Environment"]["Variables"].append("changed")
    assert scf.get("other")["Environment"] == {"Variables": []}


def test_deployment_of_this_project(scf: Scf) -> None:
    """The calls that deploy serverless.yml are accepted, for a new function as for an old one."""
    inputs = yaml.safe_load(SERVERLESS.read_text("utf-8"))["inputs"]
    calls = payloads.payloads(inputs, Code(ZIP))
    for action in filter(SERVICE.actions.__contains__, calls):  # those of triggers have a number
        scf(action, **calls[action])
        scf.now += functions.DEPLOY_SECONDS
    reply = scf.get(inputs["name"])
    assert reply["Environment"] == calls["CreateFunction"]["Environment"]
    assert (reply["Status"], reply["Timeout"]) == ("Active", inputs["timeout"])


def test_rates() -> None:
    """Functions are created, changed, deleted and read up to 100 times a second; others are 20."""
    fast = {"CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration"}
    fast |= {"GetFunction", "ListFunctions", "DeleteFunction"}
    for name in ("CreateFunction", "ListFunctions", *CHANGES, *READS):
        assert SERVICE.actions[name].per_second == (100 if name in fast else 20)


def members(shape: Any, model: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - nested
    """The members of a shape that the SDK's model does not have, or the other way round."""
    names = {name for name, each in vars(type(model)).items() if isinstance(each, property)}
    yield from (f"{path}.{name}" for name in names ^ shape.keys())
    for name, each in shape.items():
        inner = each[0] if isinstance(each, list) else each
        if isinstance(inner, dict):
            typed = str(getattr(type(model), name).__doc__)
            (kind,) = re.findall(r":rtype: (?:list of |:class:`.*\.)(\w+)", typed)
            yield from members(inner, getattr(models, kind)(), f"{path}.{name}")


# What the Serverless toolkit sends, but the SDK does not have; and other values.
TOOLKIT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "CreateFunction": (
        {"DeployMode": "code", "L5Enable": "FALSE", "DiskSize": 512},
        {"DeployMode": "image", "L5Enable": "TRUE", "DiskSize": 1024},
    ),
    "UpdateFunctionConfiguration": ({"DiskSize": 512}, {"DiskSize": 1024}),
    "GetFunction": ({"ShowTriggers": "TRUE"}, {"ShowTriggers": "yes"}),
}


@pytest.mark.parametrize("action", ["CreateFunction", "ListFunctions", *CHANGES, *READS])
def test_parameters_are_those_of_the_sdk(action: str) -> None:
    """Each action knows the parameters of the SDK and of the toolkit, so that none is ignored."""
    request = getattr(models, f"{action}Request")()
    others = {f"{action}.{name}" for name in TOOLKIT.get(action, ({},))[0]}
    assert {*members(SERVICE.actions[action].shape, request, action)} == others


@pytest.mark.parametrize("action", TOOLKIT)
def test_parameters_of_the_toolkit(scf: Scf, action: str) -> None:
    """What the Serverless toolkit sends is accepted; other values are refused by their names."""
    accepted, refused = TOOLKIT[action]
    params = NEW if action == "CreateFunction" else {"FunctionName": NAME}
    scf.create()
    scf.cloud.state.functions.by_name[REGION, NAME].ready = 0
    for name, value in refused.items():
        with pytest.raises(ErrorReply, match=name):
            called(SERVICE.actions[action], scf.cloud.state, REGION, {**params, name: value})
    called(SERVICE.actions[action], scf.cloud.state, REGION, params | accepted)


def test_triggers_are_left_out(scf: Scf) -> None:
    """ShowTriggers FALSE leaves the triggers out."""
    scf.create()
    timer: dict[str, Any] = {"FunctionName": NAME, "Type": "timer", "TriggerDesc": "0 0 3 * * * *"}
    scf("CreateTrigger", TriggerName="nightly", **timer)
    for value, number in (("TRUE", 1), ("FALSE", 0)):
        params = {"FunctionName": NAME, "ShowTriggers": value}
        reply = called(SERVICE.actions["GetFunction"], scf.cloud.state, REGION, params)
        assert len(reply["Triggers"]) == number


def created(params: dict[str, Any], state: State) -> str:
    """Create a function without HTTP, and return "ok" or the code of the error."""
    try:
        called(SERVICE.actions["CreateFunction"], state, REGION, NEW | params)
    except ErrorReply as error:
        return error.code
    return "ok"


def used(content: bytes) -> str:
    """Use code for a new function, and return "ok" or the code of the error."""
    return created({"Code": code(content)}, State())


@example(position=28, value=77, end=0)  # the entry ends too early
@given(position=st.integers(0, len(ZIP) - 1), value=st.integers(0, 255), end=st.integers(0, 40))
def test_damaged_zip_file(position: int, value: int, end: int) -> None:
    """A zip file that is damaged anywhere is used or refused, but never fails otherwise."""
    damaged = bytearray(ZIP)
    damaged[position] = value
    assert used(bytes(damaged[: len(damaged) - end])) in {"ok", f"{INVALID}.ZipFile"}


def test_size_of_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that is too large is refused, zipped or unzipped, whatever it compresses to."""
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2_000_000))
    assert used(bomb.getvalue()) == "ok"
    monkeypatch.setattr(functions, "MAX_UNZIPPED", 1_999_999)
    assert used(bomb.getvalue()) == f"{INVALID}.ZipFile"
    assert used(ZIP) == "ok"


def test_size_of_a_call(shared: Scf) -> None:
    """Code in a call is limited by the size of the call, 10 MB; larger code goes through COS."""
    error = shared.error("CreateFunction", **NEW | {"Code": {"ZipFile": "A" * (10 << 20)}})
    assert error.code == "RequestSizeLimitExceeded"


def test_empty_names_are_not_given(scf: Scf) -> None:
    """An empty namespace or version is that of a call without one."""
    empty = {"Namespace": "", "Qualifier": ""}
    scf.create(Namespace="")
    assert scf.get(**empty) == scf.get()
    assert scf("ListFunctions", Namespace="")["TotalCount"] == 1
    timer: dict[str, Any] = {"FunctionName": NAME, "TriggerName": "nightly", "Type": "timer"}
    scf("CreateTrigger", **timer, **empty, TriggerDesc="0 0 3 * * * *")
    assert scf.get()["Triggers"][0]["Qualifier"] == "$LATEST"
    scf("DeleteTrigger", **timer, **empty)
    scf("DeleteFunction", FunctionName=NAME, **empty)


@given(st.dictionaries(st.from_regex("[A-Z][A-Z0-9_]{0,9}", fullmatch=True), st.text()))
def test_variables_are_kept_or_refused(pairs: dict[str, str]) -> None:
    """Variables are kept exactly as they were given, or refused with a code of the API."""
    state = State()
    params = {"Environment": variables(**pairs)}
    outcome = created(params, state)
    if outcome == "ok":
        function = state.functions.by_name[REGION, "other"]
        assert function.settings["Environment"] == params["Environment"]
    else:
        assert outcome.startswith(f"{INVALID}.Environment")
