"""Error codes: the kind of error that each becomes."""

from __future__ import annotations

import pytest

from image_steward.errors import (
    AccountError,
    ApiBusy,
    ApiError,
    CredentialsError,
    FailedOperation,
    ImageBusy,
    NameTaken,
    StewardError,
    Throttled,
    error_of,
)

CODES: dict[type[StewardError], str] = {
    Throttled: """
        RequestLimitExceeded RequestLimitExceeded.IPLimitExceeded
        RequestLimitExceeded.UinLimitExceeded RequestLimitExceeded.GlobalRegionUinLimitExceeded""",
    ApiBusy: """
        InternalError ServiceUnavailable ResourceInUse ResourceUnavailable InternalServerError
        MutexOperation MutexOperation.TaskRunning ResourceBusy
        FailedOperation.ResourceTagProcessing""",
    ImageBusy: """
        InvalidImageId.IncorrectState FailedOperation.InvalidImageState
        InvalidParameterValue.InvalidImageState""",
    CredentialsError: """
        AuthFailure.TokenFailure AuthFailure.SignatureExpire UnauthorizedOperation.InvalidToken""",
    NameTaken: "InvalidImageName.Duplicate",
    AccountError: """
        AuthFailure AuthFailure.InvalidAuthorization AuthFailure.InvalidSecretId
        AuthFailure.MFAFailure AuthFailure.SecretIdNotFound AuthFailure.SignatureFailure
        AuthFailure.UnauthorizedOperation UnauthorizedOperation
        UnauthorizedOperation.PermissionDenied IpInBlacklist IpNotInWhitelist""",
    FailedOperation: """
        FailedOperation FailedOperation.IllegalTagKey FailedOperation.PolicyEnforcedInvalid""",
    ApiError: """
        ActionOffline DryRunOperation InvalidAction InvalidParameter
        InvalidParameterValue InvalidRequest LimitExceeded MissingParameter NoSuchProduct
        NoSuchVersion RequestSizeLimitExceeded ResourceInsufficient ResourceNotFound
        ResponseSizeLimitExceeded UnknownParameter UnsupportedOperation UnsupportedProtocol
        UnsupportedRegion InvalidImageId.Malformed InvalidImageId.NotFound
        InvalidParameter.ValueTooLarge InvalidParameterValue.TooLarge
        InvalidParameterValue.InvalidImageFamily InvalidParameterValue.InvalidAppIdFormat
        UnsupportedOperation.SharedImageModifyUnsupported
        UnauthorizedOperation.ImageNotBelongToAccount
        InvalidFilter InvalidFilterValue.LimitExceeded InvalidInstanceType.Malformed
        InvalidParameter.InvalidParameterCoexistImageIdsFilters
        InvalidParameterValue.InstanceTypeNotFound
        InvalidParameterValue.InvalidParameterValueLimit InvalidParameterValue.LimitExceeded
        InvalidParameterValue.TagKeyNotFound InvalidParameterValue.ZoneNotSupported
        InvalidRegion.NotFound InvalidZone.MismatchRegion ResourcesSoldOut.SpecifiedInstanceType
        InvalidParameter.ReservedTagKey InvalidParameter.Tag InvalidParameter.UnsupportedService
        InvalidParameterValue.DeleteTagsParamError
        InvalidParameterValue.ResourceDescriptionError
        InvalidParameterValue.TagKeyCharacterIllegal InvalidParameterValue.TagKeyDuplicate
        InvalidParameterValue.TagKeyEmpty InvalidParameterValue.TagKeyLengthExceeded
        InvalidParameterValue.TagValueCharacterIllegal InvalidParameterValue.TagValueEmpty
        InvalidParameterValue.TagValueLengthExceeded LimitExceeded.Quota
        LimitExceeded.ResourceAttachedTags LimitExceeded.ResourceNumPerRequest
        LimitExceeded.TagKey LimitExceeded.TagNumPerRequest LimitExceeded.TagValue""",
}
"""All codes that the sources in `errors` name, by the class that each must become."""

CLASSES = {code: cls for cls, codes in CODES.items() for code in codes.split()}


def test_known_codes() -> None:
    """Each documented code becomes an error of its class, with its code and message."""
    errors = {code: error_of(code, "m", "r-1") for code in CLASSES}
    assert {code: type(error) for code, error in errors.items()} == CLASSES
    assert [error.code for error in errors.values()] == list(CLASSES)
    assert {error.message for error in errors.values()} == {"m"}


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        ("RequestLimitExceeded.Whatever", Throttled),
        ("ResourceInUse.Image", ApiBusy),
        ("UnauthorizedOperation.Whatever", AccountError),
        ("LimitExceeded.Whatever", ApiError),
    ],
)
def test_code_by_its_first_part(code: str, cls: type[StewardError]) -> None:
    """A code missing from the table is looked up by its first part."""
    error = error_of(code, "m")
    assert type(error) is cls
    assert "unknown" not in error.message


@pytest.mark.parametrize(
    "code", ["Surprise.New", "InternalErrorOfAnotherName", "InvalidImageId.Whatever", ""]
)
def test_unknown_code_says_so(code: str) -> None:
    """A code never heard of is final, but may hide a change; it is kept, and called unknown."""
    error = error_of(code, "m", "r-1")
    assert isinstance(error, FailedOperation)
    assert error.may_be_applied
    assert (error.code, error.request_id) == (code, "r-1")
    assert error.message.startswith("m (unknown error code")


def test_tree_is_complete() -> None:
    """The tree at the top of errors.py names every error class."""
    import image_steward.errors as module  # noqa: PLC0415 - its docstring is what is tested

    classes = [c.__name__ for c in vars(module).values() if isinstance(c, type)]
    errors = [c for c in classes if issubclass(getattr(module, c), StewardError)]
    assert module.__doc__
    assert all(name in module.__doc__ for name in errors)
