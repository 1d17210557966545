"""SCF: the actions of functions (document/product/583/18586 and its neighbours).

Limits: document/product/583/11637. Behaviour that the documents leave open is marked "assumed".
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import uuid
import zipfile
from datetime import datetime, timedelta, timezone
from operator import attrgetter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from image_steward.regions import is_region
from scf_local import environment
from scf_local.cloud.scf.model import Code, Function
from scf_local.cloud.seed import Object
from scf_local.cloud.signatures import COS_TOKEN, cos_signature
from scf_local.cloud.wire import ErrorReply
from scf_local.environment import APPID, FUNCTION_NAME, FUNCTION_NAMES, NAMESPACE, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from scf_local.cloud.actions import ApiCall, Params
    from scf_local.cloud.scf.model import Functions

BEIJING = timezone(timedelta(hours=8))
DEPLOY_SECONDS = 2.0
"""How long a function is `Creating` or `Updating`: shorter than the 6 to 11 s of SCF."""
RUNTIMES = tuple(f"Python3.{minor}" for minor in (6, 7, 9, 10, 11, 12, 13))
MAX_FUNCTIONS = 50
MAX_ZIP, MAX_UNZIPPED = 50 << 20, 500 << 20
"""Bytes; a zip file in COS may be larger."""
TOTAL_MB, UNRESERVED_MB = 128_000, 12_800
"""Of memory in a region, and what reserved concurrency must leave of it.

assumed: also in regions where the total is 64,000.
"""

SETTINGS: dict[str, Any] = {
    "Description": "",
    "Handler": "index.main_handler",  # assumed
    "MemorySize": 128,
    "Timeout": 3,
    "InitTimeout": 65,
    "Runtime": "Python2.7",
    "Type": "Event",
    "Role": "",  # any, since roles are not emulated
    "Environment": {"Variables": []},
    "ClsLogsetId": "",
    "ClsTopicId": "",
    "Tags": [],
    "TraceEnable": "FALSE",
    "DnsCache": "FALSE",
}
"""Members of CreateFunction that are kept and read back, with their defaults."""
UNREAD = ("AutoCreateClsTopic", "AutoDeployClsTopicIndex", "IgnoreSysLog")
"""Members that are kept, but not read back."""

# What is read back of settings that are not emulated, and of code without errors.
_CONSTANT = {
    "VpcConfig": {"VpcId": "", "SubnetId": ""},
    "PublicNetConfig": {
        "PublicNetStatus": "ENABLE",
        "EipConfig": {"EipStatus": "DISABLE", "EipAddress": []},
    },
    "DeadLetterConfig": {"Type": "", "Name": "", "FilterType": ""},
    "AsyncRunEnable": "FALSE",
    "InstallDependency": "FALSE",
    "Layers": [],
    "StatusReasons": [],
    **dict.fromkeys(("StatusDesc", "CodeInfo", "CodeError"), ""),
    "CodeResult": "success",
    "ErrNo": 0,
    "AvailableStatus": "Available",
    "Namespace": NAMESPACE,
    **dict.fromkeys(("Qualifier", "FunctionVersion"), VERSION),
}
_LISTED = (
    *("FunctionName", "FunctionId", "Namespace", "Runtime", "Type", "Description", "Tags"),
    *("Status", "StatusDesc", "StatusReasons", "AsyncRunEnable", "TraceEnable"),
    *("AddTime", "ModTime"),
)

_INVALID = "InvalidParameterValue"
_PART = "[A-Za-z][A-Za-z0-9_-]{0,58}[A-Za-z]"
_DESCRIPTION = re.compile("(?s).{0,1000}")
_MEMORY = (64, *range(128, 3073, 128))
_TIMES = range(1, environment.MAX_TIMEOUT_S + 1)
_ORDERS = {"AddTime": "added", "ModTime": "modified", "FunctionName": "name"}
_SWITCHES = ("TraceEnable", "DnsCache", "AutoCreateClsTopic", "AutoDeployClsTopicIndex")
# Of a parameter: whether a value is allowed, the code if not, and what is allowed, in words.
_CHECKS: dict[str, tuple[Callable[[Any], object], str, str]] = {
    "FunctionName": (FUNCTION_NAME.fullmatch, f"{_INVALID}.FunctionName", FUNCTION_NAMES),
    "Qualifier": ((VERSION, "$DEFAULT").__contains__, "ResourceNotFound.Qualifier", VERSION),
    "Description": (_DESCRIPTION.fullmatch, f"{_INVALID}.Description", "1000 characters"),
    "Handler": (
        re.compile(rf"{_PART}\.{_PART}").fullmatch,
        f"{_INVALID}.Handler",
        "FILE.FUNCTION, each 2 to 60 letters, digits, _ or -, a letter first and last",
    ),
    "MemorySize": (_MEMORY.__contains__, f"{_INVALID}.Memory", "64, or 128 to 3072 by 128"),
    "Timeout": (_TIMES.__contains__, "LimitExceeded.Timeout", f"1 to {_TIMES[-1]}"),
    "InitTimeout": (range(3, 301).__contains__, "LimitExceeded.InitTimeout", "3 to 300"),
    "Runtime": (RUNTIMES.__contains__, f"{_INVALID}.Runtime", f"only Python: {RUNTIMES}"),
    "Type": (("Event",).__contains__, f"{_INVALID}.Type", "Event; HTTP is not emulated"),
    "PublicNetStatus": (
        ("ENABLE",).__contains__,
        f"{_INVALID}.PublicNetConfig",
        "ENABLE; DISABLE is not emulated",
    ),
    "CodeSource": (("ZipFile", "Cos").__contains__, f"{_INVALID}.CodeSource", "ZipFile or Cos"),
    "CosBucketRegion": (is_region, f"{_INVALID}.CosBucketRegion", "a name such as ap-guangzhou"),
    "Offset": ((0).__le__, f"{_INVALID}.Offset", "0 or more"),
    "Limit": (range(1, 101).__contains__, f"{_INVALID}.Limit", "1 to 100"),  # assumed
    "Orderby": (_ORDERS.__contains__, f"{_INVALID}.OrderBy", " or ".join(_ORDERS)),
    "Order": (("ASC", "DESC").__contains__, f"{_INVALID}.Order", "ASC or DESC"),
    "RetryNum": (range(3).__contains__, "LimitExceeded.RetryNum", "0 to 2"),  # assumed
    "MsgTTL": (range(60, 21601).__contains__, "LimitExceeded.MsgTTL", "60 to 21600"),  # assumed
    **{
        name: (("TRUE", "FALSE").__contains__, f"{_INVALID}.{name}", "TRUE or FALSE")
        for name in _SWITCHES
    },
}


def local_time(seconds: float) -> str:
    """Return a time as SCF writes it; assumed: of Beijing."""
    return datetime.fromtimestamp(seconds, BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def find(call: ApiCall) -> Function:
    """Return the function that a call is for."""
    function = _find(call)
    if function is None:
        message = f"{call.region} has no function {call.params['FunctionName']!r}."
        raise ErrorReply("ResourceNotFound.Function", message)
    return function


def find_active(call: ApiCall) -> Function:
    """Return the function that a call changes."""
    function = find(call)
    status = function.status(call.now)
    if status != "Active":
        message = f"The function {function.name} is {status}; wait until it is Active."
        raise ErrorReply("FailedOperation.FunctionStatusError", message)
    return function


def _find(call: ApiCall) -> Function | None:
    if call.params.get("Namespace", NAMESPACE) != NAMESPACE:
        message = f"Only the namespace {NAMESPACE!r} is emulated."
        raise ErrorReply("ResourceNotFound.Namespace", message)
    return call.state.functions.by_name.get((call.region, call.params.get("FunctionName", "")))


# --- Functions ---


def create_function(call: ApiCall) -> dict[str, Any]:
    """Create a function, which is `Creating` at first."""
    functions, name = call.state.functions, call.params["FunctionName"]
    if not is_region(call.region):
        raise ErrorReply("UnsupportedRegion", f"Region {call.region!r} is not supported.")
    settings, code = _settings({**SETTINGS, **call.params}), _code(call)
    if _find(call):
        raise ErrorReply("ResourceInUse.Function", f"{call.region} has a function {name!r}.")
    if len(functions.in_region(call.region)) >= MAX_FUNCTIONS:
        message = f"{call.region} has {MAX_FUNCTIONS} functions; no more are allowed."
        raise ErrorReply("LimitExceeded.Function", message)
    made_up = uuid.uuid5(uuid.NAMESPACE_URL, f"{call.region}/{name}/{call.now}")
    if settings.get("AutoCreateClsTopic") == "TRUE" and not settings["ClsTopicId"]:  # assumed
        settings |= dict.fromkeys(("ClsLogsetId", "ClsTopicId"), str(made_up))
    times = call.now, call.now, call.now
    function = Function(name, call.region, f"lam-{made_up.hex[:8]}", settings, code, *times)
    functions.by_name[call.region, name] = function
    return _deploy(call, function, "Creating")


def get_function(call: ApiCall) -> dict[str, Any]:
    """Return a function with its settings, status and triggers, but not its code."""
    _check(call.params)
    return described(find(call), call.now)


def described(function: Function, now: float) -> dict[str, Any]:
    """Return a function as GetFunction does."""
    from scf_local.cloud.scf import triggers  # noqa: PLC0415 - it imports this module

    return {
        "FunctionName": function.name,
        "FunctionId": function.id,
        "Status": function.status(now),
        **{name: function.settings[name] for name in SETTINGS},
        **_CONSTANT,
        "CodeSize": len(function.code.zip),
        "Triggers": [triggers.described(trigger) for trigger in function.triggers],
        "AddTime": local_time(function.added),
        "ModTime": local_time(function.modified),
    }


def by_region(functions: Functions, now: float) -> dict[str, dict[str, Any]]:
    """Return all functions as GetFunction does, by region and name."""
    regions: dict[str, dict[str, Any]] = {}
    for (region, name), function in functions.by_name.items():
        regions.setdefault(region, {})[name] = described(function, now)
    return regions


def list_functions(call: ApiCall) -> dict[str, Any]:
    """Return one page of `Functions`, without most settings, and `TotalCount`."""
    params = {"SearchKey": "", "Description": "", "Offset": 0, "Limit": 20, **call.params}
    params = {"Orderby": "AddTime", "Order": "DESC", **params}  # assumed
    _check(params)
    _find(call)
    found = [
        function
        for function in call.state.functions.in_region(call.region)
        if params["SearchKey"] in function.name
        and params["Description"] in function.settings["Description"]
    ]
    found.sort(key=attrgetter(_ORDERS[params["Orderby"]]), reverse=params["Order"] == "DESC")
    entries = []
    for function in found[params["Offset"] :][: params["Limit"]]:
        whole = described(function, call.now)
        entry = {name: whole[name] for name in _LISTED}
        entries.append(entry | {"ReservedConcurrencyMem": function.reserved_mb})
    return {"Functions": entries, "TotalCount": len(found)}


def update_function_code(call: ApiCall) -> dict[str, Any]:
    """Replace the code, and the handler if it is given; the function is `Updating` at first."""
    function = find_active(call)
    settings, function.code = _settings(call.params), _code(call)
    function.settings |= settings
    return _deploy(call, function, "Updating")


def update_function_configuration(call: ApiCall) -> dict[str, Any]:
    """Replace the given settings; the function is `Updating` at first."""
    function = find_active(call)
    settings, runtime = _settings(call.params), function.settings["Runtime"]
    if settings.get("Runtime", runtime) != runtime:
        message = f"The runtime of {function.name} is {runtime}, and cannot be changed."
        raise ErrorReply(f"{_INVALID}.Runtime", message)
    function.settings |= settings
    return _deploy(call, function, "Updating")


def delete_function(call: ApiCall) -> dict[str, Any]:
    """Delete a function, its triggers, and the events that wait for it."""
    _check(call.params)  # assumed: its only version can be named
    call.state.functions.remove(find_active(call))
    return {}


def get_function_address(call: ApiCall) -> dict[str, Any]:
    """Return a presigned `Url` of the code, and its `CodeSha256`, assumed in hex."""
    _check(call.params)
    function = find(call)
    key = f"{function.id}/{function.code.sha256}.zip"
    # Stored only now, so that the bucket is not seen by those who do not ask for it.
    stored = Object(function.code.zip, modified=function.modified)
    call.state.objects.setdefault(_CODE_BUCKET, {})[key] = stored
    return {"Url": _presigned(call, key), "CodeSha256": function.code.sha256}


_CODE_BUCKET, _URL_SECONDS = f"scf-code-{APPID}", 600  # assumed


def _presigned(call: ApiCall, key: str) -> str:
    host = f"{_CODE_BUCKET}.cos.{call.region}.myqcloud.com"
    times = f"0;{int(call.now) + _URL_SECONDS}"  # `now` may be ahead of the time of signatures
    signature = cos_signature(
        call.credentials.secret_key,
        key_time=times,
        method="GET",
        path=f"/{key}",
        params=(),
        headers=[("host", host)],
    )
    query = {"q-sign-algorithm": "sha1", "q-ak": call.credentials.secret_id, "q-sign-time": times}
    query |= {"q-key-time": times, "q-header-list": "host", "q-url-param-list": ""}
    query |= {"q-signature": signature, COS_TOKEN: call.credentials.token}
    return f"https://{host}/{key}?{urlencode(query)}"


def _deploy(call: ApiCall, function: Function, status: str) -> dict[str, Any]:
    function.pending, function.ready = status, call.now + DEPLOY_SECONDS
    function.modified = call.now
    function.revision += 1
    return {}


# --- Concurrency and retries ---


def put_reserved_concurrency_config(call: ApiCall) -> dict[str, Any]:
    """Set the reserved concurrency; 0 stops the function."""
    function, given = find_active(call), call.params["ReservedConcurrencyMem"]
    least = function.settings["MemorySize"]
    if given and given < least:  # assumed: no instance has room in less
        message = f"ReservedConcurrencyMem is {given}; allowed: 0, or {least} (MemorySize) or more."
        raise ErrorReply(_INVALID, message)
    others = call.state.functions.in_region(call.region)
    total = given + sum(each.reserved_mb or 0 for each in others if each is not function)
    if total > TOTAL_MB - UNRESERVED_MB:
        message = f"{total} MB would be reserved; at most {TOTAL_MB - UNRESERVED_MB} are allowed."
        raise ErrorReply("FailedOperation.ReservedExceedTotal", message)
    function.reserved_mb = given
    return {}


def get_reserved_concurrency_config(call: ApiCall) -> dict[str, Any]:
    """Return the reserved concurrency, in MB, or null."""
    return {"ReservedMem": find(call).reserved_mb}


def delete_reserved_concurrency_config(call: ApiCall) -> dict[str, Any]:
    """Remove the reserved concurrency; without one, succeed (assumed)."""
    find_active(call).reserved_mb = None
    return {}


def update_function_event_invoke_config(call: ApiCall) -> dict[str, Any]:
    """Set how often, and for how long, events are delivered; assumed: what is left out stays."""
    function, given = find_active(call), call.params["AsyncTriggerConfig"]
    retries = given.get("RetryConfig", [])
    if len(retries) > 1:  # assumed
        message = f"RetryConfig has {len(retries)} entries; 1 is allowed."
        raise ErrorReply(f"{_INVALID}.AsyncTriggerConfig", message)
    given = {**given, **(retries or [{}])[0]}
    _check(given)
    function.max_age_s = given.get("MsgTTL", function.max_age_s)
    function.retries = given.get("RetryNum", function.retries)
    return {}


def get_function_event_invoke_config(call: ApiCall) -> dict[str, Any]:
    """Return how often, and for how long, events are delivered."""
    _check(call.params)
    function = find(call)
    retries = [{"RetryNum": function.retries}]
    return {"AsyncTriggerConfig": {"MsgTTL": function.max_age_s, "RetryConfig": retries}}


# --- Checks of parameters ---


def _check(given: Params) -> None:
    for name, (is_allowed, code, allowed) in _CHECKS.items():
        if name in given and not is_allowed(given[name]):
            raise ErrorReply(code, f"{name} is {given[name]!r:.80}; allowed: {allowed}.")


def _settings(params: Params) -> Params:
    """Return the given settings as they are kept."""
    _check({**params.get("PublicNetConfig", {}), **params})
    settings = {name: params[name] for name in (*SETTINGS, *UNREAD) if name in params}
    if "Environment" in settings:
        settings["Environment"] = _environment(settings["Environment"])
    return settings


def _environment(given: Params) -> Params:
    pairs = [(pair.get("Key", ""), pair.get("Value", "")) for pair in given.get("Variables", ())]
    if pairs == [("", "")]:  # how Terraform removes all
        pairs = []
    for name, value in pairs:
        # An empty value is documented as an error.
        if not environment.VARIABLE.fullmatch(name) or not value or "\0" in value:
            message = f"{name!r:.80} is not a variable, or its value is empty or has a NUL."
            raise ErrorReply(f"{_INVALID}.Environment", message)
        if reason := environment.why_reserved(name):
            raise ErrorReply(f"{_INVALID}.EnvironmentSystemProtect", f"{name}: {reason}.")
    variables = dict(pairs)
    if len(variables) < len(pairs):  # assumed
        raise ErrorReply(f"{_INVALID}.Environment", "A variable is given more than once.")
    size, limit = environment.size_of(variables), environment.MAX_VARIABLES_BYTES
    if size > limit:
        message = f"The variables take {size} bytes; at most {limit} are allowed."
        raise ErrorReply(f"{_INVALID}.EnvironmentExceededLimit", message)
    return {"Variables": [{"Key": name, "Value": value} for name, value in pairs]}


def _code(call: ApiCall) -> Code:
    """Return the code of a call, which UpdateFunctionCode also takes outside of `Code`."""
    groups = call.params, call.params.get("Code", {})
    given = {**groups[0], **groups[1]}
    _check(given)
    sources = [name for name in ("ZipFile", "CosObjectName") for group in groups if name in group]
    if not sources:
        raise ErrorReply("MissingParameter.Code", "ZipFile and CosObjectName are missing.")
    if len(sources) > 1:
        message = f"{' and '.join(sources)} cannot be given together."
        raise ErrorReply(f"{_INVALID}.Code", message)
    is_inline = "ZipFile" in given
    content = _inline(given["ZipFile"]) if is_inline else _stored(call, given)
    if problem := _problem(content):
        raise ErrorReply(f"{_INVALID}.{'ZipFile' if is_inline else 'Code'}", problem)
    return Code(content, hashlib.sha256(content).hexdigest())


def _inline(text: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError as error:
        code = f"{_INVALID}.ZipFileBase64BinasciiError"
        raise ErrorReply(code, f"ZipFile is not base64: {error}.") from None
    if len(content) > MAX_ZIP:
        message = f"ZipFile has {len(content)} bytes; at most {MAX_ZIP} are allowed."
        raise ErrorReply(f"{_INVALID}.ZipFile", message)
    return content


def _stored(call: ApiCall, given: Params) -> bytes:
    bucket, key = f"{given.get('CosBucketName', '')}-{APPID}", given["CosObjectName"]
    key = key.removeprefix("/")
    stored = call.state.objects.get(bucket, {}).get(key)
    if stored is None or stored.is_delete_marker:
        call.state.miss_object(given.get("CosBucketRegion", call.region), bucket, key)
        message = f"{bucket} (CosBucketName and the APPID) has no object {key!r}."
        raise ErrorReply("ResourceNotFound.CosObject", message)
    return stored.content


def _problem(content: bytes) -> str:
    """Return why a zip file cannot be used, or an empty text."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OverflowError, ValueError) as error:
        return f"The code is not a zip file: {error}."
    size = sum(entry.file_size for entry in entries)
    if size > MAX_UNZIPPED:
        return f"The code has {size} bytes unzipped; at most {MAX_UNZIPPED} are allowed."
    for name in (entry.filename for entry in entries):
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            return f"The entry {name!r:.80} is outside of the code's folder."
    return ""
