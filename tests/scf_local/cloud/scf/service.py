"""SCF 2018-04-16: the table of its actions.

Actions that name a function may be allowed for some only (583/38177; assumed: all of them).

The parameters are those of tencentcloud-sdk-python-scf, and some that the Serverless toolkit sends;
None marks what is not emulated. The rates are documented on the actions' pages.
"""

from __future__ import annotations

from dataclasses import replace

from scf_local.cloud.actions import ApiCall, EmulatedAction, Service
from scf_local.cloud.scf import calls, triggers
from scf_local.cloud.scf import functions as f
from scf_local.environment import NAMESPACE, UIN

_NAME = {"FunctionName": str, "Namespace": str}
_VERSION = {**_NAME, "Qualifier": str}
_PAIR = {"Key": str, "Value": str}
_SOURCE = dict.fromkeys(("ZipFile", "CosBucketName", "CosObjectName", "CosBucketRegion"), str)
_CODE = _SOURCE | dict.fromkeys((
    "DemoId", "TempCosObjectName", "ImageConfig", "GitUrl", "GitUserName", "GitPassword",
    "GitPasswordSecret", "GitBranch", "GitDirectory", "GitCommitId", "GitUserNameSecret",
))  # fmt: skip
_SETTINGS = {
    "Description": str, "Role": str, "Runtime": str, "ClsLogsetId": str, "ClsTopicId": str,
    "DnsCache": str, "MemorySize": int, "Timeout": int, "InitTimeout": int,
    "Environment": {"Variables": [_PAIR]},
    "PublicNetConfig": {"PublicNetStatus": str, "EipConfig": None},
    **dict.fromkeys((
        "VpcConfig", "Layers", "CfsConfig", "DeadLetterConfig", "IntranetConfig",
        "InstallDependency", "ProtocolParams", "InstanceConcurrencyConfig",
    )),
}  # fmt: skip
_CREATE = {
    **_NAME, **_SETTINGS, "Code": _CODE, "CodeSource": str, "Handler": str, "Type": str,
    "Tags": [_PAIR], "TraceEnable": str, "AutoCreateClsTopic": str, "AutoDeployClsTopicIndex": str,
    "AsyncRunEnable": None, "ProtocolType": None, "L5Enable": None, "DeployMode": str,
    "DiskSize": int,
}  # fmt: skip
_UPDATE = {
    **_NAME, **_SETTINGS, "DiskSize": int,
    "IgnoreSysLog": None,  # replay and undo need these lines
    "Publish": None, "L5Enable": None,
}  # fmt: skip
_UPDATE_CODE = {
    **_NAME, **_SOURCE, "Code": _CODE, "CodeSource": str, "Handler": str,
    "InstallDependency": None, "Publish": None, "EnvId": None,
}  # fmt: skip
_GET = {**_VERSION, "ShowCode": None, "ShowTriggers": str}
_LIST = {
    "Namespace": str, "SearchKey": str, "Description": str, "Orderby": str, "Order": str,
    "Offset": int, "Limit": int, "Filters": None,
}  # fmt: skip
_RESERVE = {**_NAME, "ReservedConcurrencyMem": int}
_DELIVER = {**_NAME, "AsyncTriggerConfig": {"MsgTTL": int, "RetryConfig": [{"RetryNum": int}]}}
_ONE = ("FunctionName",)


def _resource(call: ApiCall) -> str:
    name, space = (call.params.get(each) for each in ("FunctionName", "Namespace"))
    path = f"namespace/{space or NAMESPACE}/function/{name}"
    return "*" if name is None else f"qcs::scf:{call.region}:uin/{UIN}:{path}"


_ACTIONS = {
    "CreateFunction": EmulatedAction(f.create_function, 100, _CREATE, (*_ONE, "Code")),
    "GetFunction": EmulatedAction(f.get_function, 100, _GET, _ONE),
    "ListFunctions": EmulatedAction(f.list_functions, 100, _LIST),
    "UpdateFunctionCode": EmulatedAction(f.update_function_code, 100, _UPDATE_CODE, _ONE),
    "UpdateFunctionConfiguration": EmulatedAction(f.update_configuration, 100, _UPDATE, _ONE),
    "DeleteFunction": EmulatedAction(f.delete_function, 100, _VERSION, _ONE),
    "GetFunctionAddress": EmulatedAction(f.get_function_address, 20, _VERSION, _ONE),
    "PutReservedConcurrencyConfig": EmulatedAction(
        f.put_reserved, 20, _RESERVE, (*_ONE, "ReservedConcurrencyMem")
    ),
    "GetReservedConcurrencyConfig": EmulatedAction(f.get_reserved, 20, _NAME, _ONE),
    "DeleteReservedConcurrencyConfig": EmulatedAction(f.delete_reserved, 20, _NAME, _ONE),
    "UpdateFunctionEventInvokeConfig": EmulatedAction(
        f.update_event_invoke, 20, _DELIVER, (*_ONE, "AsyncTriggerConfig")
    ),
    "GetFunctionEventInvokeConfig": EmulatedAction(f.get_event_invoke, 20, _VERSION, _ONE),
    **triggers.ACTIONS,
    **calls.ACTIONS,
}
SERVICE = Service(
    "2018-04-16",
    {name: replace(action, resource=_resource) for name, action in _ACTIONS.items()},
)
