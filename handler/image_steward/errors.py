"""All errors of the function, as one tree, and the error codes of the APIs.

    StewardError
    ├── Rejection              rejected before anything was changed; a retry cannot help
    │   ├── InvalidSetting         an environment variable is missing or invalid
    │   ├── InvalidEvent           not an event of COS, a timer or a direct call
    │   ├── InvalidJSON            not strict JSON
    │   ├── InvalidDocument        violates its schema or another rule; lists every violation
    │   ├── DocumentTooLarge       larger than STEWARD_MAX_DOCUMENT_BYTES
    │   ├── ObjectNotFound         COS has no such object or bucket
    │   ├── AccessDenied           the function's role may not read or write the object
    │   ├── SourceNotAllowed       the object is outside STEWARD_SOURCES
    │   ├── NotAllowed             a setting or an image's tag forbids what the document asks for
    │   ├── UnstablePolicy         the policy would change its own outcome in the next run
    │   └── TooManyChanges         the plan changes more images than allowed
    ├── ApiError               the cloud returned an error code, kept as `code`
    │   ├── ApiBusy                a transient error code
    │   │   ├── Throttled              the calls exceed the API's rate limit
    │   │   └── ImageBusy              the image is in a transient state
    │   ├── FailedOperation        a permanent error code, but the change may have been made
    │   ├── NameTaken              another image has the name
    │   └── AccountError           all further calls would fail too, so the run stops
    │       └── CredentialsError       the cloud rejects the credentials or the token
    │           └── CredentialsExpired     ... which it accepted earlier in the run
    ├── AmbiguousResponse      no readable response: the call may have worked
    ├── Changed                the image is not what the document expects
    ├── Ignored                the function has nothing to do: reported, but not as an error
    │   └── Superseded             the object is another than the event tells of
    ├── TimeRanOut             the run's time was over before this could start
    ├── Stopped                not attempted after an AccountError
    ├── TemporaryName          an image has a temporary name: a warning, never raised
    ├── NotRestorable          Undo has to leave out a value: a warning, never raised
    ├── NotRetired             KeepLatest leaves a family alone: a warning, never raised
    └── Unfinished             raised by the function so that SCF redelivers the event

`transient` says whether a retry can help. Transient errors make the function raise after all other
work is done; permanent errors are returned in the result. An image with a transient error is
`pending`, as is one that was not attempted (`Stopped`); with any other error it is `failed`.
`may_be_applied` says whether the change may have been made all the same: the image is read back to
find out.
"""

from typing import ClassVar, NamedTuple


class Violation(NamedTuple):
    """A rule that a document violates, and where: `path` is a JSON Pointer into the document."""

    path: str
    message: str


class StewardError(Exception):
    """Base class; `code` is the name of the class or the error code of the cloud.

    `details` has at least one entry; its path is "" if there is none. A class may set `transient`
    and `may_be_applied`, which those below it inherit.
    """

    code: str
    transient: ClassVar[bool] = False
    may_be_applied: ClassVar[bool] = False

    def __init__(self, *details: Violation | str) -> None:
        pairs = (d if isinstance(d, Violation) else Violation("", d) for d in details)
        self.details = tuple(pairs)
        super().__init__(self.message)

    def __init_subclass__(cls, **flags: bool) -> None:
        cls.code = cls.__name__
        for name, value in flags.items():
            setattr(cls, name, value)

    @property
    def status(self) -> str:
        """The status of an image with this error: `failed` if a later run would meet it too."""
        return "pending" if self.transient or isinstance(self, Stopped) else "failed"

    @property
    def message(self) -> str:
        """What was given and what is allowed."""
        return self.details[0].message

    @property
    def log_fields(self) -> dict[str, object]:
        """The fields of a log line: the first detail, and the number of details."""
        path, message = self.details[0]
        return {"Code": self.code, "Path": path, "Message": message, "Details": len(self.details)}


class Rejection(StewardError):
    """Something was rejected before any change; the details of a document are its violations."""


class InvalidSetting(Rejection):
    """An environment variable is missing or has an invalid value."""


class InvalidEvent(Rejection):
    """The event is not one of COS, a timer or a direct call."""


class InvalidJSON(Rejection):
    """The bytes of a document are not strict JSON."""


class InvalidDocument(Rejection):
    """The document violates its schema or another rule."""


class DocumentTooLarge(Rejection):
    """The document is larger than STEWARD_MAX_DOCUMENT_BYTES."""


class ObjectNotFound(Rejection):
    """COS has no such object or bucket."""


class AccessDenied(Rejection):
    """The function's role may not read or write the object."""


class SourceNotAllowed(Rejection):
    """The object is outside STEWARD_SOURCES."""


class NotAllowed(Rejection):
    """A setting of the function, or a tag of the image, forbids what the document asks for."""


class UnstablePolicy(Rejection):
    """The next run of the policy would change its outcome again, or skip what is half done."""


class TooManyChanges(Rejection):
    """The plan changes more images than MaxChanges or STEWARD_MAX_CHANGES."""


class ApiError(StewardError):
    """The cloud returned an error code, which is kept as `code`."""

    def __init__(self, code: str, message: str, request_id: str = "") -> None:
        super().__init__(message[:1000])  # the cloud sets no limit
        self.code = code
        self.request_id = request_id


class ApiBusy(ApiError, transient=True, may_be_applied=True):
    """The cloud returned a transient error code."""


class Throttled(ApiBusy, may_be_applied=False):
    """The calls exceed the API's rate limit."""


class ImageBusy(ApiBusy, may_be_applied=False):
    """The image is being created, copied or imported."""


class FailedOperation(ApiError, may_be_applied=True):
    """A permanent error code that does not say whether the change was made."""


class NameTaken(ApiError):
    """Another image of the region has the name."""


class AccountError(ApiError):
    """Every further call of the run would return the same error."""


class CredentialsError(AccountError):
    """The cloud rejects the credentials or the token; the environment may hold new ones."""


class CredentialsExpired(CredentialsError, transient=True):
    """The cloud accepted the credentials earlier in the run; the next delivery has new ones."""


class AmbiguousResponse(StewardError, transient=True, may_be_applied=True):
    """There is no response, or it is neither an error nor a success: the call may have worked."""


class Changed(StewardError):
    """The image is neither what the document expects nor what it wants: left as it is."""


class Ignored(StewardError):
    """A part of an event is not for this function."""


class Superseded(Ignored):
    """The object has been replaced since the event; the later upload has an event of its own."""


class TimeRanOut(StewardError, transient=True):
    """The run's time was over before this could start."""


class Stopped(StewardError):
    """The call was not attempted, as an `AccountError` had stopped the run."""


class TemporaryName(StewardError):
    """An image has a temporary name, or Undo would restore one: a warning, never raised."""


class NotRestorable(StewardError):
    """An image has a value that no document may set, so Undo leaves it out: never raised."""


class NotRetired(StewardError):
    """An image of a manifest was not labelled, so its family stays: a warning, never raised."""


class Unfinished(StewardError, transient=True):
    """The function raises this if a redelivery of the event can finish what is left."""


_CODES: dict[type[ApiError], str] = {
    Throttled: "RequestLimitExceeded",  # [1]
    ApiBusy: """
        InternalError ServiceUnavailable ResourceInUse ResourceUnavailable
        InternalServerError MutexOperation ResourceBusy
        FailedOperation.ResourceTagProcessing""",  # [1]; [5]; [4]
    ImageBusy: """
        InvalidImageId.IncorrectState
        FailedOperation.InvalidImageState InvalidParameterValue.InvalidImageState""",  # [2]; [5]
    CredentialsError: """
        AuthFailure.TokenFailure AuthFailure.SignatureExpire
        UnauthorizedOperation.InvalidToken""",  # [1]; [2] [3]
    NameTaken: "InvalidImageName.Duplicate",  # [2]
    AccountError: "AuthFailure UnauthorizedOperation IpInBlacklist IpNotInWhitelist",  # [1]
    FailedOperation: "FailedOperation",  # [1]
    ApiError: """
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
"""The codes of all APIs in use, by what happens next: retry, stop the run, or give up.

Sources: [1] the common codes, document/product/1778/111040; [2] ModifyImageAttribute,
document/api/213/15713; [3] DescribeImages, document/api/213/15715; [4] TagResources and
UnTagResources, document/product/651; [5] cvm codes that other tools retry.
`tests/unit/test_codes.py` lists every code they name.
"""

_CLASSES = {code: cls for cls, codes in _CODES.items() for code in codes.split()}


def error_of(code: str, message: str, request_id: str = "") -> StewardError:
    """The error for a code of an API. A code missing from the table is looked up by its first part.

    An unknown code is never retried, but may hide a change; its message says that it is unknown.
    """
    cls = _CLASSES.get(code) or _CLASSES.get(code.partition(".")[0])
    if not cls:
        message += " (unknown error code, so not retried)"
    return (cls or FailedOperation)(code, message, request_id)
