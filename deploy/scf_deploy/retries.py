"""Makes a call again where that is worth it and safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scf_deploy.call import Api, Call
from scf_deploy.errors import CloudError, Throttled, Unanswered

DELAYS = (1, 2, 4, 8, 16)
"""Seconds before a call is made again."""
_LONG = 4
_BUSY = {
    *(f"FailedOperation.{action}" for action in (
        "FunctionStatusError", "FunctionNameStatusError", "FunctionVersionStatusNotActive",
        "CreateTrigger", "UpdateTrigger", "UpdateTriggerStatus", "DeleteTrigger",
        "ReservedInProgress", "UpdateFunctionCode", "UpdateFunctionConfiguration", "DeleteFunction",
    )),
    "OperationConflict", "LimitExceeded.LogSearch",
    *(f"FailedOperation.{each}" for each in ("SearchTimeout", "Timeout", "ReadQpsLimit")),  # of CLS
    # So says SCF of a new role, too (assumed: it learns of it within seconds).
    "ResourceNotFound.Role", "ResourceNotFound.RoleCheck", "InvalidParameter.RoleCheck",
}  # fmt: skip
"""What may be over soon: the function is being changed."""


def patient(api: Api, sleep: Callable[[float], object], say: Callable[[str], object]) -> Api:
    """Return an API whose calls are made again after some seconds; `say` tells of long waits.

    After no answer, only calls that read: nobody knows whether others have been carried out.
    """

    def call_again(call: Call) -> dict[str, Any]:
        kinds = (Throttled,) if call.says else (Throttled, Unanswered)
        for delay in DELAYS:
            try:
                return api(call)
            except CloudError as error:  # noqa: PERF203 - that is what it is for
                if not isinstance(error, kinds) and error.code not in _BUSY:
                    raise
                if delay >= _LONG:
                    say(f"Waiting {delay} s: {error}")
                sleep(delay)
        return api(call)

    return call_again
