"""What the actions of CAM share: how calls name roles and policies, and pages of lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from scf_local.cloud.cam.model import Policy, Role
from scf_local.cloud.wire import found, require

if TYPE_CHECKING:
    from scf_local.cloud.actions import ApiCall, Params

MAX_ROWS = 200
"""Of a page."""
MAX_DESCRIPTION = 300
"""Bytes, of a role's or a policy's description."""
PARAM = "InvalidParameter.ParamError"
NO_POLICY = "ResourceNotFound.PolicyIdNotFound"
POLICY = {"PolicyId": int, "PolicyName": str}
TAGS = {"Tags": [{"Key": str, "Value": str}]}
PAGE = {"Page": int, "Rp": int}
ACTIVE = {"CreateMode": 2, "Deactived": 0, "DeactivedDetail": []}
"""Members of policies in lists."""

_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
_Named = TypeVar("_Named", Role, Policy)


def role(call: ApiCall, verb: str = "") -> Role:
    """Return the role that a call names, or raise InvalidParameter.RoleNotExist."""
    roles = call.state.access.roles.values()
    return _found(call, f"{verb}Role", roles, "InvalidParameter.RoleNotExist")


def policy(call: ApiCall, code: str = NO_POLICY) -> Policy:
    """Return the policy that a call names, or raise an error reply."""
    return _found(call, "Policy", call.state.access.policies.values(), code)


def _found(call: ApiCall, kind: str, among: Iterable[_Named], code: str) -> _Named:
    """Return what a call names by an id or a name; if it has both, both must be right (assumed)."""
    keys = {f"{kind}Id": "id", f"{kind}Name": "name"}
    wanted = {keys[key]: call.params[key] for key in keys if key in call.params}
    require(wanted, PARAM, f"{' or '.join(keys)} is required.")
    named = (each for each in among if wanted.items() <= vars(each).items())
    return found(next(named, None), code, f"There is no {' with '.join(keys)} {wanted!r:.160}.")


def check_name(name: str, code: str) -> None:
    """Reject a name of a role or a policy that is not allowed."""
    message = f"{name!r:.80} is not 1 to 128 letters, digits and +=,.@-_."
    require(_NAME.fullmatch(name), code, message)


def about(given: Params) -> str:
    """Return the description, or raise InvalidParameter.DescriptionLengthOverlimit."""
    text: str = given.get("Description", "")
    message = f"Description has more than {MAX_DESCRIPTION} bytes."
    code = "InvalidParameter.DescriptionLengthOverlimit"
    require(len(text.encode()) <= MAX_DESCRIPTION, code, message)
    return text


def tags(given: Params) -> list[Params]:
    """Return `Tags` with all members."""
    return [{"Key": "", "Value": "", **tag} for tag in given.get("Tags", ())]


def page(call: ApiCall, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a page as `List`, and `TotalNum`, or raise InvalidParameter.ParamError."""
    number, rows = call.params.get("Page", 1), call.params.get("Rp", 20)
    message = f"Page is {number}, and Rp {rows}; from 1, and 1 to {MAX_ROWS}, are allowed."
    require(number >= 1 and 1 <= rows <= MAX_ROWS, PARAM, message)
    return {"List": found[(number - 1) * rows :][:rows], "TotalNum": len(found)}
