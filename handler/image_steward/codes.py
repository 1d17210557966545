"""The error codes that time can heal. Every other code is final.

Sources: the common codes (document/product/1778/111040), those of cvm and tag as the SDKs list
them, and what Packer, Terraform and the SDKs retry.
"""

from __future__ import annotations

_HEALABLE = (
    "RequestLimitExceeded",  # and its three kinds, by account and by IP
    "InternalError",
    "InternalServerError",
    "ServiceUnavailable",
    "ResourceInUse",
    "ResourceBusy",
    "ResourceUnavailable",
    "MutexOperation",
    "FailedOperation.ResourceTagProcessing",
    "FailedOperation.InvalidImageState",
    "InvalidParameterValue.InvalidImageState",
    "InvalidImageId.IncorrectState",
)


def is_healable(code: str) -> bool:
    """Whether the same call may succeed later."""
    return any(code == known or code.startswith(f"{known}.") for known in _HEALABLE)


def is_throttle(code: str) -> bool:
    """Whether the cloud says that calls come too fast."""
    return code.partition(".")[0] == "RequestLimitExceeded"
