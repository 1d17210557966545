"""What each error code means for what comes next: one table for all the APIs used.

Sources: [1] the common codes, document/product/1778/111040; [2] ModifyImageAttribute,
document/api/213/15713; [3] DescribeImages, document/api/213/15715; [4] TagResources and
UnTagResources, document/product/651; [5] cvm codes that other tools retry; [6] names of Python
exceptions and of network trouble that the SDK puts in the place of a code.
"""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """What a code asks for."""

    THROTTLE = "slow down, then try again"
    RETRY = "try again after a while"
    WAIT = "wait for the image's state to pass"
    REFRESH = "read the keys anew, once"
    CONFLICT = "another image holds the name"
    STOP = "no call of this account will do: stop the run"
    AMBIGUOUS = "it may have happened: read back"
    FINAL = "never try again"
    UNKNOWN = "not in the table: never try again, and say so"


_TABLE: dict[Kind, str] = {
    Kind.THROTTLE: """
        RequestLimitExceeded RequestLimitExceeded.IPLimitExceeded
        RequestLimitExceeded.UinLimitExceeded
        RequestLimitExceeded.GlobalRegionUinLimitExceeded""",  # [1]
    Kind.RETRY: """
        InternalError ServiceUnavailable ResourceInUse ResourceUnavailable
        InternalServerError MutexOperation MutexOperation.TaskRunning ResourceBusy
        FailedOperation.ResourceTagProcessing""",  # [1]; [5]; [4]
    Kind.WAIT: """
        InvalidImageId.IncorrectState
        FailedOperation.InvalidImageState InvalidParameterValue.InvalidImageState""",  # [2]; [5]
    Kind.REFRESH: """
        AuthFailure.TokenFailure AuthFailure.SignatureExpire
        UnauthorizedOperation.InvalidToken""",  # [1]; [2] [3]
    Kind.CONFLICT: "InvalidImageName.Duplicate",  # [2]
    Kind.STOP: """
        AuthFailure AuthFailure.InvalidAuthorization AuthFailure.InvalidSecretId
        AuthFailure.MFAFailure AuthFailure.SecretIdNotFound AuthFailure.SignatureFailure
        AuthFailure.UnauthorizedOperation UnauthorizedOperation
        UnauthorizedOperation.PermissionDenied IpInBlacklist IpNotInWhitelist""",  # [1]; [3]
    Kind.AMBIGUOUS: """
        ClientNetworkError ServerNetworkError JSONDecodeError KeyError TypeError ValueError
        AttributeError UnicodeDecodeError ChunkedEncodingError ConnectionError ReadTimeout
        IncompleteRead""",  # [6]
    Kind.FINAL: """
        ActionOffline DryRunOperation FailedOperation InvalidAction InvalidParameter
        InvalidParameterValue InvalidRequest LimitExceeded MissingParameter NoSuchProduct
        NoSuchVersion RequestSizeLimitExceeded ResourceInsufficient ResourceNotFound
        ResponseSizeLimitExceeded UnknownParameter UnsupportedOperation UnsupportedProtocol
        UnsupportedRegion

        InvalidImageId.Malformed InvalidImageId.NotFound InvalidParameter.ValueTooLarge
        InvalidParameterValue.TooLarge InvalidParameterValue.InvalidImageFamily
        InvalidParameterValue.InvalidAppIdFormat
        UnsupportedOperation.SharedImageModifyUnsupported
        UnauthorizedOperation.ImageNotBelongToAccount

        FailedOperation.IllegalTagKey InvalidFilter InvalidFilterValue.LimitExceeded
        InvalidInstanceType.Malformed InvalidParameter.InvalidParameterCoexistImageIdsFilters
        InvalidParameterValue.InstanceTypeNotFound InvalidParameterValue.InvalidParameterValueLimit
        InvalidParameterValue.LimitExceeded InvalidParameterValue.TagKeyNotFound
        InvalidParameterValue.ZoneNotSupported InvalidRegion.NotFound InvalidZone.MismatchRegion
        ResourcesSoldOut.SpecifiedInstanceType

        FailedOperation.PolicyEnforcedInvalid InvalidParameter.ReservedTagKey InvalidParameter.Tag
        InvalidParameter.UnsupportedService InvalidParameterValue.DeleteTagsParamError
        InvalidParameterValue.ResourceDescriptionError InvalidParameterValue.TagKeyCharacterIllegal
        InvalidParameterValue.TagKeyDuplicate InvalidParameterValue.TagKeyEmpty
        InvalidParameterValue.TagKeyLengthExceeded InvalidParameterValue.TagValueCharacterIllegal
        InvalidParameterValue.TagValueEmpty InvalidParameterValue.TagValueLengthExceeded
        LimitExceeded.Quota LimitExceeded.ResourceAttachedTags LimitExceeded.ResourceNumPerRequest
        LimitExceeded.TagKey LimitExceeded.TagNumPerRequest LimitExceeded.TagValue
        """,  # [1]; [2], the last one is the image's and not the account's; [3]; [4]
}

KINDS = {code: kind for kind, codes in _TABLE.items() for code in codes.split()}
"""The kind of every code that is known."""


def kind_of(code: str) -> Kind:
    """The kind of a code. One not in the table has that of its first part, if that is there."""
    return KINDS.get(code) or KINDS.get(code.partition(".")[0]) or Kind.UNKNOWN
