"""SCF: the actions of functions (document/product/583/18586 and its neighbours).

Limits: document/product/583/11637. Behaviour that the documents leave open is marked "assumed".
"""

from __future__ import annotations

import binascii
import hashlib
import io
import re
import uuid
import zipfile
import zlib
from base64 import b64decode
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from image_steward.messages import shown
from image_steward.regions import is_region
from scf_local import environment as env
from scf_local.cloud.cam.model import SCF, role_arn
from scf_local.cloud.scf.model import FAILED, QUALIFIERS, Code, Function, local_time
from scf_local.cloud.seed import Object
from scf_local.cloud.signatures import presigned_url
from scf_local.cloud.wire import ErrorReply, require
from scf_local.environment import APPID, NAMESPACE, VERSION

if TYPE_CHECKING:
    from scf_local.cloud.actions import ApiCall, Params
    from scf_local.cloud.scf.model import Functions

DEPLOY_SECONDS = 2.0
"""How long a function is `Creating` or `Updating`: shorter than the 6 to 11 s of SCF."""
RUNTIMES = tuple(f"Python3.{minor}" for minor in (6, 7, 9, 10, 11, 12, 13))
MAX_FUNCTIONS = 50
MAX_UNZIPPED = 500 << 20
"""Bytes. A `ZipFile` is limited by the body of a call."""
MAX_RESERVED_MB = 128_000 - 12_800
"""In a region; assumed: also in those where less memory is available."""
URL_SECONDS = 600  # assumed
CODE_BUCKET = f"scf-code-{APPID}"

SETTINGS: dict[str, Any] = {
    "Description": "", "Role": "", "ClsLogsetId": "", "ClsTopicId": "", "Tags": [],
    "Runtime": "Python2.7", "Type": "Event", "Environment": {"Variables": []},
    "Handler": "index.main_handler",  # assumed
    "MemorySize": 128, "Timeout": 3, "InitTimeout": 65,
    "TraceEnable": "FALSE", "DnsCache": "FALSE",
}  # fmt: skip
"""Members of CreateFunction that are kept and read back, with their defaults."""
UNREAD = ("AutoCreateClsTopic", "AutoDeployClsTopicIndex")
"""Members that are kept, but not read back."""

# What is read back of settings that are not emulated, and of code without errors.
_CONSTANT = {
    "VpcConfig": {"VpcId": "", "SubnetId": ""}, "Layers": [], "CfsConfig": {"CfsInsList": []},
    "PublicNetConfig": {
        "PublicNetStatus": "ENABLE", "EipConfig": {"EipStatus": "DISABLE", "EipAddress": []}
    },
    "DeadLetterConfig": {"Type": "", "Name": "", "FilterType": ""},
    "IntranetConfig": {"IpFixed": "DISABLE", "IpAddress": []},
    "EipConfig": {"EipFixed": "FALSE", "Eips": []}, "AccessInfo": {"Host": "", "Vip": ""},
    "L5Enable": "FALSE", "UseGpu": "FALSE", "ProtocolType": "", "OnsEnable": "FALSE",
    "AsyncRunEnable": "FALSE", "InstallDependency": "FALSE", "AvailableStatus": "Available",
    "CodeInfo": "", "CodeError": "", "CodeResult": "success", "ErrNo": 0,
    "Namespace": NAMESPACE, "Qualifier": VERSION, "FunctionVersion": VERSION,
}  # fmt: skip
_LISTED = (
    "FunctionName", "FunctionId", "Namespace", "Runtime", "Type", "Description", "Tags", "Status",
    "StatusDesc", "StatusReasons", "AsyncRunEnable", "TraceEnable", "AddTime", "ModTime",
    "ReservedConcurrencyMem",
)  # fmt: skip

_INVALID = "InvalidParameterValue"
_NOT_ACTIVE = "FunctionVersionStatusNotActive"
_PART = "[A-Za-z][A-Za-z0-9_-]{0,58}[A-Za-z]"
_SWITCH = ("TRUE", "FALSE")
_NOT_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OverflowError, ValueError)
_VARIABLES: dict[type, str] = {
    env.ReservedVariable: "EnvironmentSystemProtect",
    env.VariablesTooLarge: "EnvironmentExceededLimit",
}
# Of a parameter: the code if it has none of the values, or does not match the pattern.
_CHECKS: dict[str, tuple[str, range | tuple[object, ...] | str]] = {
    "Namespace": ("ResourceNotFound.Namespace", (NAMESPACE, "")),
    "FunctionName": (f"{_INVALID}.FunctionName", env.FUNCTION_NAME.pattern),
    "Description": (f"{_INVALID}.Description", "(?s).{0,1000}"),
    "Handler": (f"{_INVALID}.Handler", rf"{_PART}\.{_PART}"),
    "MemorySize": (f"{_INVALID}.Memory", (64, *range(128, 3073, 128))),
    "Timeout": ("LimitExceeded.Timeout", range(1, 901)),
    "InitTimeout": ("LimitExceeded.InitTimeout", range(3, 301)),
    "Runtime": (f"{_INVALID}.Runtime", RUNTIMES),
    "Type": (f"{_INVALID}.Type", ("Event",)),
    "PublicNetStatus": (f"{_INVALID}.PublicNetConfig", ("ENABLE",)),
    "CodeSource": (f"{_INVALID}.CodeSource", ("ZipFile", "Cos")),
    "Offset": (f"{_INVALID}.Offset", range(1 << 31)),
    "Limit": (f"{_INVALID}.Limit", range(1, 101)),  # assumed
    "Orderby": (f"{_INVALID}.OrderBy", ("AddTime", "ModTime", "FunctionName")),
    "Order": (f"{_INVALID}.Order", ("ASC", "DESC")),
    "RetryNum": ("LimitExceeded.RetryNum", range(3)),  # assumed
    "MsgTTL": ("LimitExceeded.MsgTTL", range(1, 21601)),  # assumed
    "TraceEnable": (f"{_INVALID}.TraceEnable", _SWITCH),
    "InvocationType": (f"{_INVALID}.InvokeType", ("RequestResponse", "Event")),
    "LogType": (f"{_INVALID}.Param", ("None", "Tail")),  # assumed
    "DiskSize": (f"{_INVALID}.DiskSize", (512,)),
    "DeployMode": (_INVALID, ("code",)),
    **dict.fromkeys(("DnsCache", "ShowTriggers", *UNREAD), (_INVALID, _SWITCH)),
}
# What a pattern allows.
_WORDS = {
    "FunctionName": "2 to 60 letters, digits, _ or -, such as image-steward: the first a letter, "
    "the last a letter or a digit",
    "Description": "up to 1000 characters",
    "Handler": "module.function, such as index.main_handler: each 2 to 60 letters, digits, _ or -, "
    "the first and the last a letter",
}


def find(call: ApiCall, unknown: str = "Qualifier") -> Function:
    """Return the function that a call is for; `unknown` ends the code of an unknown version."""
    name, qualifier = call.params["FunctionName"], call.params.get("Qualifier", "")
    check({"Namespace": call.params.get("Namespace", "")})
    function = call.state.functions.by_name.get((call.region, name))
    if function is None:
        raise ErrorReply("ResourceNotFound.Function", f"{call.region} has no function {name!r}.")
    message = f"Qualifier is {qualifier!r:.80}; emulated are {' and '.join(QUALIFIERS)}."
    require(qualifier in ("", *QUALIFIERS), f"ResourceNotFound.{unknown}", message)
    return function


def find_active(call: ApiCall, code: str, also: str = "UpdateFailed") -> Function:
    """Return the function that a call changes; `code` ends that of the error if it cannot now.

    It can while the function is `Active`, or has the other status.
    """
    function = find(call)
    status = function.status(call.now)
    advice = "use DeleteFunction" if status == "CreateFailed" else "wait until it is Active"
    message = f"The function {function.name} is {status}; {advice}."
    require(status in {"Active", "UpdateFailed", also}, f"FailedOperation.{code}", message)
    return function


# --- Functions ---


def create_function(call: ApiCall) -> dict[str, Any]:
    """Create a function, which is `Creating` at first."""
    functions, region, name = call.state.functions, call.region, call.params["FunctionName"]
    require(is_region(region), "UnsupportedRegion", f"Region {region!r} is not supported.")
    settings, code = _settings({**SETTINGS, **call.params}), _code(call)
    _check_role(call)
    is_new = (region, name) not in functions.by_name
    require(is_new, "ResourceInUse.Function", f"{region} has a function {name!r}.")
    has_room = len(functions.in_region(region)) < MAX_FUNCTIONS
    require(has_room, "LimitExceeded.Function", f"{region} has {MAX_FUNCTIONS} functions.")
    made_up = uuid.uuid5(uuid.NAMESPACE_URL, f"{region}/{name}/{call.now}")
    if settings.get("AutoCreateClsTopic") == "TRUE" and not settings["ClsTopicId"]:  # assumed
        settings |= dict.fromkeys(("ClsLogsetId", "ClsTopicId"), str(made_up))
    times = call.now, call.now, call.now
    function = Function(name, region, f"lam-{made_up.hex[:8]}", settings, code, *times)
    functions.by_name[region, name] = function
    return _deploy(call, function, {}, code)


def get_function(call: ApiCall) -> dict[str, Any]:
    """Return a function with its settings, status and triggers, but not its code."""
    check(call.params)
    reply = described(find(call, "Version"), call.now)
    return {**reply, "Triggers": []} if call.params.get("ShowTriggers") == "FALSE" else reply


def described(function: Function, now: float) -> dict[str, Any]:
    """Return a function as GetFunction does."""
    from scf_local.cloud.scf import triggers  # noqa: PLC0415 - it imports this module

    status = function.status(now)
    failure = function.failure if status in FAILED.values() else ""
    reason = {"ErrorCode": "InvalidParameterValue.Handler", "ErrorMessage": failure}  # assumed
    return {
        "FunctionName": function.name,
        "FunctionId": function.id,
        "Status": status,
        "StatusDesc": failure,
        "StatusReasons": [reason] if failure else [],
        **{name: function.settings[name] for name in SETTINGS},
        **_CONSTANT,
        "CodeSize": len(function.code.zip),
        "Triggers": [triggers.described(trigger) for trigger in function.triggers],
        "AddTime": local_time(function.added),
        "ModTime": local_time(function.modified),
    }


def by_region(functions: Functions, now: float) -> dict[str, dict[str, Any]]:
    """Return all functions as GetFunction does, with more settings, by region and name."""
    return {
        region: {
            each.name: {**described(each, now), **_retries(each), "ReservedMem": each.reserved_mb}
            for each in functions.in_region(region)
        }
        for region, _ in functions.by_name
    }


def list_functions(call: ApiCall) -> dict[str, Any]:
    """Return one page of `Functions`, without most settings, and `TotalCount`."""
    params: Params = {"Offset": 0, "Limit": 20, "SearchKey": "", "Description": ""}
    params |= {"Orderby": "AddTime", "Order": "DESC", **call.params}  # assumed
    check(params)
    found = [
        {**described(function, call.now), "ReservedConcurrencyMem": function.reserved_mb}
        for function in call.state.functions.in_region(call.region)
        if params["SearchKey"] in function.name
        and params["Description"] in function.settings["Description"]
    ]
    found.sort(key=itemgetter(params["Orderby"]), reverse=params["Order"] == "DESC")
    page = found[params["Offset"] :][: params["Limit"]]
    entries = [{name: each[name] for name in _LISTED} for each in page]
    return {"Functions": entries, "TotalCount": len(found)}


def update_function_code(call: ApiCall) -> dict[str, Any]:
    """Replace the code, and the handler if it is given; the function is `Updating` at first."""
    function = find_active(call, "UpdateFunctionCode")
    return _deploy(call, function, _settings(call.params), _code(call))


def update_configuration(call: ApiCall) -> dict[str, Any]:
    """Replace the given settings; the function is `Updating` at first."""
    function = find_active(call, "UpdateFunctionConfiguration")
    settings, runtime = _settings(call.params), function.settings["Runtime"]
    _check_role(call)
    message = f"The runtime of {function.name} is {runtime}, and cannot be changed."
    require(settings.get("Runtime", runtime) == runtime, f"{_INVALID}.Runtime", message)
    return _deploy(call, function, settings, function.code)


def delete_function(call: ApiCall) -> dict[str, Any]:
    """Delete a function, its triggers, and the events that wait for it.

    Assumed: at once, without the status `Deleting`; the only version may be named.
    """
    call.state.functions.remove(find_active(call, "DeleteFunction", "CreateFailed"))
    return {}


def get_function_address(call: ApiCall) -> dict[str, Any]:
    """Return a presigned `Url` of the code, and its `CodeSha256`, assumed in hex."""
    function = find(call, "Version")
    key = f"{function.id}/{function.code.sha256}.zip"
    # Stored only now, so that nobody else sees the bucket.
    stored = Object(function.code.zip, modified=function.modified)
    call.state.objects.setdefault(CODE_BUCKET, {})[key] = stored
    host, end = f"{CODE_BUCKET}.cos.{call.region}.myqcloud.com", call.time + URL_SECONDS
    url = presigned_url(call.account, host, f"/{key}", end)
    return {"Url": url, "CodeSha256": function.code.sha256}


def _deploy(call: ApiCall, function: Function, settings: Params, code: Code) -> dict[str, Any]:
    """Deploy settings and code, unless the module of the handler is missing."""
    function.pending = "Updating" if function.revision else "Creating"
    function.modified, function.ready = call.now, call.now + DEPLOY_SECONDS
    new = {**function.settings, **settings}
    function.failure = _missing(code, new["Handler"])
    if not function.failure or not function.revision:
        function.settings, function.code = new, code
        function.revision += 1
    return {}


def _missing(code: Code, handler: str) -> str:
    """Return which file of a handler the code does not have, or nothing."""
    module = handler.partition(".")[0]
    with zipfile.ZipFile(io.BytesIO(code.zip)) as archive:
        names = archive.namelist()
    if any(re.fullmatch(rf"(\./)?{module}(/__init__)?\.(pyc?|(.*\.)?so)", name) for name in names):
        return ""
    has = ", ".join(map(shown, names[:5])) or "no files"
    return f"The zip file has no {module}.py for the handler {handler}; it has {has}."


# --- Concurrency and retries ---


def put_reserved(call: ApiCall) -> dict[str, Any]:
    """Set the reserved concurrency; 0 stops the function."""
    function, given = find_active(call, _NOT_ACTIVE), call.params["ReservedConcurrencyMem"]
    least = function.settings["MemorySize"]
    is_enough = given == 0 or given >= least  # assumed: no instance has room in less
    require(is_enough, _INVALID, f"{given} MB is neither 0 nor MemorySize, {least}, or more.")
    others = call.state.functions.in_region(call.region)
    total = given + sum(each.reserved_mb or 0 for each in others if each is not function)
    message = f"{total} MB would be reserved; at most {MAX_RESERVED_MB} are allowed."
    require(total <= MAX_RESERVED_MB, "FailedOperation.ReservedExceedTotal", message)
    function.reserved_mb = given
    return {}


def get_reserved(call: ApiCall) -> dict[str, Any]:
    """Return the reserved concurrency, in MB, or null."""
    return {"ReservedMem": find(call).reserved_mb}


def delete_reserved(call: ApiCall) -> dict[str, Any]:
    """Remove the reserved concurrency; without one, succeed (assumed)."""
    find_active(call, "ReservedInProgress").reserved_mb = None
    return {}


def update_event_invoke(call: ApiCall) -> dict[str, Any]:
    """Set how often, and for how long, events are delivered; assumed: what is left out stays."""
    function, given = find_active(call, _NOT_ACTIVE), call.params["AsyncTriggerConfig"]
    retries = given.get("RetryConfig", [])
    code = f"{_INVALID}.AsyncTriggerConfig"  # assumed
    require(len(retries) <= 1, code, f"RetryConfig has {len(retries)} entries, not 1.")
    given = {**given, **(retries or [{}])[0]}
    check(given)
    function.max_age_s = given.get("MsgTTL", function.max_age_s)
    function.retries = given.get("RetryNum", function.retries)
    return {}


def get_event_invoke(call: ApiCall) -> dict[str, Any]:
    """Return how often, and for how long, events are delivered."""
    return _retries(find(call, "Version"))


def _retries(function: Function) -> dict[str, Any]:
    retries = [{"RetryNum": function.retries}]
    return {"AsyncTriggerConfig": {"MsgTTL": function.max_age_s, "RetryConfig": retries}}


# --- Parameters ---


def check(given: Params) -> None:
    """Reject what `_CHECKS` does not allow."""
    for name, (code, allowed) in _CHECKS.items():
        if name in given:
            value = given[name]
            is_met = re.fullmatch(allowed, value) if isinstance(allowed, str) else value in allowed
            words = f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else ""
            words = words or _WORDS.get(name) or ", ".join(filter(None, map(str, allowed)))
            require(is_met, code, f"{name} is {value!r:.80}; the emulated cloud allows {words}.")


def _settings(params: Params) -> Params:
    """Return the given settings as they are kept."""
    check({**params.get("PublicNetConfig", {}), **params})
    settings = {name: params[name] for name in (*SETTINGS, *UNREAD) if name in params}
    if "Environment" in settings:
        settings["Environment"] = _environment(settings["Environment"])
    return settings


def _check_role(call: ApiCall) -> None:
    """Reject a role that is not there, that SCF may not assume, or that the caller may not give.

    Assumed: the last two, and their codes.
    """
    if name := call.params.get("Role"):
        role = call.state.access.roles.get(name)
        require(role, "ResourceNotFound.Role", f"The role {name!r:.80} does not exist.")
        message = f"The trust policy of the role {name} does not let scf.qcloud.com assume it."
        require(role and role.trusts(SCF), "ResourceNotFound.RoleCheck", message)
        call.caller.require("cam:PassRole", role_arn(name))


def _environment(given: Params) -> Params:
    pairs = [(pair.get("Key", ""), pair.get("Value", "")) for pair in given.get("Variables", ())]
    if pairs == [("", "")]:  # how Terraform removes all
        pairs = []
    try:
        parsed = env.parse_variables(map("=".join, pairs))
    except ValueError as error:
        code = _VARIABLES.get(type(error), "Environment")
        raise ErrorReply(f"{_INVALID}.{code}", f"{error}.") from None
    # An empty value is documented as an error; assumed: a second one is, too.
    is_valid = [*parsed.items()] == pairs and all(parsed.values())
    require(is_valid, f"{_INVALID}.Environment", "A variable is given twice, or has no value.")
    return {"Variables": [{"Key": name, "Value": value} for name, value in pairs]}


def _code(call: ApiCall) -> Code:
    """Return the code of a call, which UpdateFunctionCode also takes outside of `Code`."""
    groups = call.params, call.params.get("Code", {})
    given = {**groups[0], **groups[1]}
    check(given)
    sources = [name for group in groups for name in ("ZipFile", "CosObjectName") if name in group]
    require(sources, "MissingParameter.Code", "ZipFile and CosObjectName are missing.")
    message = f"{' and '.join(sources)} cannot be given together."
    require(len(sources) == 1, f"{_INVALID}.Code", message)
    is_inline = sources == ["ZipFile"]
    code = f"{_INVALID}.{'ZipFile' if is_inline else 'Code'}"
    try:
        sent = given.get("ZipFile", "").encode()
        content = b64decode(sent, validate=True) if is_inline else _stored(call, given)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            require(size <= MAX_UNZIPPED, code, f"The code has {size} bytes, over {MAX_UNZIPPED}.")
            damaged = archive.testzip()  # or raises, also if it is encrypted
            require(damaged is None, code, f"The entry {damaged!r:.80} is damaged.")
    except _NOT_ZIP as error:
        code += "Base64BinasciiError" if isinstance(error, binascii.Error) else ""
        raise ErrorReply(code, f"The code is not a zip file, or not base64: {error}.") from None
    for name in (entry.filename for entry in entries):
        is_inside = not name.startswith("/") and ".." not in name.split("/")
        require(is_inside, code, f"The entry {name!r:.80} is outside of the code's folder.")
    return Code(content, hashlib.sha256(content).hexdigest())


def _stored(call: ApiCall, given: Params) -> bytes:
    name, key = given.get("CosBucketName", ""), given["CosObjectName"]
    require(name, f"{_INVALID}.CosBucketName", "CosBucketName is missing, such as code.")
    region = given.get("CosBucketRegion", call.region)
    message = f"CosBucketRegion is {region!r:.80}; it must be a region, such as ap-guangzhou."
    require(is_region(region), f"{_INVALID}.CosBucketRegion", message)
    bucket = f"{name}-{APPID}"
    stored = (call.state.objects_in(region, bucket) or {}).get(key := key.removeprefix("/"))
    if stored is None or stored.is_delete_marker:
        call.state.miss_object(region, bucket, key)
        message = f"{bucket} (CosBucketName and the APPID) has no object {key!r}."
        raise ErrorReply("ResourceNotFound.CosObject", message)
    return stored.content
