"""STS 2018-08-13: sessions of roles (document/product/1312/48197), and who calls (1312/66098).

Parameters and members of replies are those of tencentcloud-sdk-python-sts; None marks what is not
emulated. Behaviour that the documents leave open is marked "assumed".
"""

from __future__ import annotations

import re
from dataclasses import astuple
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from image_steward.clock import utc
from scf_local.cloud.actions import EmulatedAction, Service
from scf_local.cloud.cam import policies
from scf_local.cloud.cam.model import role_arn
from scf_local.cloud.wire import ErrorReply, found, require
from scf_local.environment import UIN

if TYPE_CHECKING:
    from scf_local.cloud.actions import ApiCall
    from scf_local.cloud.cam.model import Role
    from scf_local.cloud.cam.policies import Statement

DEFAULT_S = 7200
ROOT = f"qcs::cam::uin/{UIN}:root"
"""The account; as a principal, every identity of it."""

_SESSION = re.compile(r"[\w+=,.@-]{2,128}", re.ASCII)
_PARAM = "InvalidParameter.ParamError"
_KEYS = ("TmpSecretId", "TmpSecretKey", "Token")
_CODES = {
    "InvalidParameter.PolicyDocumentLength": "InvalidParameter.PolicyTooLong",
    "InvalidParameter.PolicyDocumentError": "InvalidParameter.StrategyFormatError",
    "InvalidParameter.Resource": "InvalidParameter.ResouceError",
    "InvalidParameter": "InvalidParameter.StrategyInvalid",
}
"""Of errors in a session's policy, by how CAM's code starts (assumed)."""


def assume_role(call: ApiCall) -> dict[str, Any]:
    """Return `Credentials` of a new session of a role, and when they expire, in real time.

    Raises:
        ErrorReply: ResourceNotFound.RoleNotFound; UnauthorizedOperation if the trust policy does
            not name the caller (assumed); InvalidParameter.OverTimeError if it would last longer
            than the role allows; .ParamError; for its policy .PolicyTooLong, .StrategyFormatError,
            .ResouceError or .StrategyInvalid.
    """
    name, caller = call.params["RoleSessionName"], call.caller
    message = f"The account has no role {call.params['RoleArn']!r:.120}."
    role = found(_role(call), "ResourceNotFound.RoleNotFound", message)
    message = f"RoleSessionName is {name!r:.80}; 2 to 128 letters, digits and +=,.@_- are allowed."
    require(_SESSION.fullmatch(name), _PARAM, message)
    seconds = call.params.get("DurationSeconds", min(DEFAULT_S, role.session_s))
    message = f"DurationSeconds is {seconds}; 1 to {role.session_s} are allowed."
    require(seconds >= 1, _PARAM, message)
    require(seconds <= role.session_s, "InvalidParameter.OverTimeError", message)
    limits = _limits(call.params.get("Policy", ""))
    own = role_arn(caller.role.name) if caller.role else f"qcs::cam::uin/{UIN}:uin/{UIN}"
    message = f"The trust policy of the role {role.name} names neither {ROOT} nor {own}."
    require(role.trusts(f"qcs:{ROOT}", f"qcs:{own}"), "UnauthorizedOperation", message)
    session = call.state.access.assume(role, name, call.time, seconds, limits)
    expires = int(session.expires)
    return {
        "Credentials": dict(zip(_KEYS, astuple(session.credentials), strict=True)),
        "ExpiredTime": expires,
        "Expiration": utc(expires),
    }


def get_caller_identity(call: ApiCall) -> dict[str, Any]:
    """Return who calls; assumed: the account's own `Type` and `Arn`."""
    who, account = call.caller, {"AccountId": UIN, "PrincipalId": UIN}
    if who.role is None:
        return {**account, "Type": "RootAccount", "UserId": UIN, "Arn": ROOT}
    arn, user = f"qcs::sts:{UIN}:assumed-role/{who.role.id}", f"{who.role.id}:{who.session}"
    return {**account, "Type": "CAMRole", "UserId": user, "Arn": arn}


def _role(call: ApiCall) -> Role | None:
    """Return the role whose ARN a call has, which ends with its name or its id."""
    for role in call.state.access.roles.values():
        if call.params["RoleArn"] in {role_arn(role.name), f"qcs::cam::uin/{UIN}:role/{role.id}"}:
            return role
    return None


def _resource(call: ApiCall) -> str:
    role = _role(call)
    return role_arn(role.name) if role else call.params["RoleArn"]


def _limits(text: str) -> tuple[Statement, ...] | None:
    try:
        return policies.parse(unquote(text)) if text else None
    except ErrorReply as error:
        codes = (code for start, code in _CODES.items() if error.code.startswith(start))
        raise ErrorReply(next(codes, error.code), error.message) from None


_ASSUME = dict.fromkeys(("ExternalId", "Tags", "SourceIdentity", "SerialNumber", "TokenCode"))
_ASSUME |= {"RoleArn": str, "RoleSessionName": str, "DurationSeconds": int, "Policy": str}
_NAMED = ("RoleArn", "RoleSessionName")

SERVICE = Service(
    "2018-08-13",
    {
        "AssumeRole": EmulatedAction(assume_role, 600, _ASSUME, _NAMED, _resource),
        "GetCallerIdentity": EmulatedAction(get_caller_identity, 20, {}),
    },
)
