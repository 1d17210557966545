"""SCF 2018-04-16: the table of its actions.

The parameters are those of tencentcloud-sdk-python-scf; None marks what is not emulated. The rates
of CreateFunction and its updates are documented on their pages; assumed: 20 for the others.
"""

from __future__ import annotations

from scf_local.cloud.actions import EmulatedAction, Service
from scf_local.cloud.scf import calls, functions, triggers

_NAME = {"FunctionName": str, "Namespace": str}
_VERSION = {**_NAME, "Qualifier": str}
_PAIR = {"Key": str, "Value": str}
_SOURCE = dict.fromkeys(("ZipFile", "CosBucketName", "CosObjectName", "CosBucketRegion"), str)
_CODE = {
    **_SOURCE,
    **dict.fromkeys(("DemoId", "TempCosObjectName", "ImageConfig", "GitUrl", "GitUserName")),
    **dict.fromkeys(("GitPassword", "GitPasswordSecret", "GitBranch", "GitDirectory")),
    **dict.fromkeys(("GitCommitId", "GitUserNameSecret")),
}
_SETTINGS = {
    **_NAME,
    **dict.fromkeys(("Description", "Role", "Runtime", "ClsLogsetId", "ClsTopicId"), str),
    **dict.fromkeys(("MemorySize", "Timeout", "InitTimeout"), int),
    "DnsCache": str,
    "Environment": {"Variables": [_PAIR]},
    "PublicNetConfig": {"PublicNetStatus": str, "EipConfig": None},
    **dict.fromkeys(("VpcConfig", "Layers", "CfsConfig", "DeadLetterConfig", "IntranetConfig")),
    **dict.fromkeys(("InstallDependency", "ProtocolParams", "InstanceConcurrencyConfig")),
}
_CREATE = {
    **_SETTINGS,
    **dict.fromkeys(("Handler", "Type", "TraceEnable", "CodeSource"), str),
    **dict.fromkeys(("AutoCreateClsTopic", "AutoDeployClsTopicIndex"), str),
    "Code": _CODE,
    "Tags": [_PAIR],
    **dict.fromkeys(("AsyncRunEnable", "ProtocolType")),
}
_UPDATE_CODE = {
    **_NAME,
    **_SOURCE,
    "Code": _CODE,
    **dict.fromkeys(("Handler", "CodeSource"), str),
    **dict.fromkeys(("InstallDependency", "Publish", "EnvId")),
}
_UPDATE = {**_SETTINGS, "IgnoreSysLog": bool, "Publish": None, "L5Enable": None}
_LIST = {
    **dict.fromkeys(("Namespace", "SearchKey", "Description", "Orderby", "Order"), str),
    **dict.fromkeys(("Offset", "Limit"), int),
    "Filters": None,
}
_RESERVE = {**_NAME, "ReservedConcurrencyMem": int}
_DELIVER = {**_NAME, "AsyncTriggerConfig": {"MsgTTL": int, "RetryConfig": [{"RetryNum": int}]}}
_ONE = ("FunctionName",)

SERVICE = Service(
    "2018-04-16",
    {
        "CreateFunction": EmulatedAction(functions.create_function, 100, _CREATE, (*_ONE, "Code")),
        "GetFunction": EmulatedAction(
            functions.get_function, 20, {**_VERSION, "ShowCode": None}, _ONE
        ),
        "ListFunctions": EmulatedAction(functions.list_functions, 20, _LIST),
        "UpdateFunctionCode": EmulatedAction(
            functions.update_function_code, 100, _UPDATE_CODE, _ONE
        ),
        "UpdateFunctionConfiguration": EmulatedAction(
            functions.update_function_configuration, 100, _UPDATE, _ONE
        ),
        "DeleteFunction": EmulatedAction(functions.delete_function, 20, _VERSION, _ONE),
        "GetFunctionAddress": EmulatedAction(functions.get_function_address, 20, _VERSION, _ONE),
        "PutReservedConcurrencyConfig": EmulatedAction(
            functions.put_reserved_concurrency_config,
            20,
            _RESERVE,
            (*_ONE, "ReservedConcurrencyMem"),
        ),
        "GetReservedConcurrencyConfig": EmulatedAction(
            functions.get_reserved_concurrency_config, 20, _NAME, _ONE
        ),
        "DeleteReservedConcurrencyConfig": EmulatedAction(
            functions.delete_reserved_concurrency_config, 20, _NAME, _ONE
        ),
        "UpdateFunctionEventInvokeConfig": EmulatedAction(
            functions.update_function_event_invoke_config,
            20,
            _DELIVER,
            (*_ONE, "AsyncTriggerConfig"),
        ),
        "GetFunctionEventInvokeConfig": EmulatedAction(
            functions.get_function_event_invoke_config, 20, _VERSION, _ONE
        ),
        **triggers.ACTIONS,
        **calls.ACTIONS,
    },
)
