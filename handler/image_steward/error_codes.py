"""Error codes of all APIs in use, by what happens next: retry, stop the run, or give up.

Sources: [1] the common codes, document/product/1778/111040; [2] ModifyImageAttribute,
document/api/213/15713; [3] DescribeImages, document/api/213/15715; [4] TagResources and
UnTagResources, document/product/651; [5] cvm codes that other tools retry.
`tests/unit/test_codes.py` lists every code they name.
"""

from __future__ import annotations

from image_steward import errors

_CODES: dict[type[errors.ApiError], str] = {
    errors.Throttled: "RequestLimitExceeded",  # [1]
    errors.ApiBusy: """
        InternalError ServiceUnavailable ResourceInUse ResourceUnavailable
        InternalServerError MutexOperation ResourceBusy
        FailedOperation.ResourceTagProcessing""",  # [1]; [5]; [4]
    errors.ImageBusy: """
        InvalidImageId.IncorrectState
        FailedOperation.InvalidImageState InvalidParameterValue.InvalidImageState""",  # [2]; [5]
    errors.CredentialsError: """
        AuthFailure.TokenFailure AuthFailure.SignatureExpire
        UnauthorizedOperation.InvalidToken""",  # [1]; [2] [3]
    errors.NameTaken: "InvalidImageName.Duplicate",  # [2]
    errors.AccountError: """
        AuthFailure UnauthorizedOperation IpInBlacklist IpNotInWhitelist""",  # [1]
    errors.FailedOperation: "FailedOperation",  # [1]
    errors.ApiError: """
        ActionOffline DryRunOperation InvalidAction InvalidParameter
        InvalidParameterValue InvalidRequest LimitExceeded MissingParameter NoSuchProduct
        NoSuchVersion RequestSizeLimitExceeded ResourceInsufficient ResourceNotFound
        ResponseSizeLimitExceeded UnknownParameter UnsupportedOperation UnsupportedProtocol
        UnsupportedRegion

        InvalidImageId.Malformed InvalidImageId.NotFound
        UnauthorizedOperation.ImageNotBelongToAccount

        InvalidFilter InvalidFilterValue.LimitExceeded InvalidInstanceType.Malformed
        InvalidRegion.NotFound InvalidZone.MismatchRegion ResourcesSoldOut.SpecifiedInstanceType
        """,  # [1]; [2], the last one concerns an image, not the account; [3]
}
_CLASSES = {code: cls for cls, codes in _CODES.items() for code in codes.split()}


def error_of(code: str, message: str, request_id: str = "") -> errors.StewardError:
    """The error for a code. A code missing from the table is looked up by its first part.

    An unknown code is never retried, but may hide a change; its message says that it is unknown.
    """
    cls = _CLASSES.get(code) or _CLASSES.get(code.partition(".")[0])
    if not cls:
        message += " (unknown error code, so not retried)"
    return (cls or errors.FailedOperation)(code, message, request_id)
