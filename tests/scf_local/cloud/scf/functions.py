"""SCF: the actions of functions (document/product/583/18586 and its neighbours).

Behaviour that the documents leave open is marked "assumed".
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from scf_local.cloud.wire import ErrorReply
from scf_local.environment import NAMESPACE

if TYPE_CHECKING:
    from scf_local.cloud.actions import ApiCall
    from scf_local.cloud.scf.model import Function

BEIJING = timezone(timedelta(hours=8))
DEPLOY_SECONDS = 2.0
"""How long a function is `Creating` or `Updating`: shorter than the 6 to 11 s of SCF."""


def local_time(seconds: float) -> str:
    """Return a time as SCF writes it; assumed: of Beijing."""
    return datetime.fromtimestamp(seconds, BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def find(call: ApiCall) -> Function:
    """Return the function that a call is for."""
    name = call.params["FunctionName"]
    if call.params.get("Namespace", NAMESPACE) != NAMESPACE:
        message = f"Only the namespace {NAMESPACE!r} is emulated."
        raise ErrorReply("ResourceNotFound.Namespace", message)
    function = call.state.functions.by_name.get((call.region, name))
    if function is None:
        raise ErrorReply("ResourceNotFound.Function", f"{call.region} has no function {name!r}.")
    return function


def find_active(call: ApiCall) -> Function:
    """Return the function that a call changes."""
    function = find(call)
    status = function.status(call.now)
    if status != "Active":
        message = f"The function {function.name} is {status}; wait until it is Active."
        raise ErrorReply("FailedOperation.FunctionStatusError", message)
    return function
