"""Everything that can go wrong, as one tree.

    StewardError
    ├── Rejection              nothing was attempted; returned to the caller, no retry can help
    │   ├── InvalidSetting         an environment variable of ours is wrong
    │   ├── InvalidEvent           not an event of a shape we know
    │   ├── InvalidJSON            a violation of strict JSON
    │   ├── InvalidDocument        a violation of a schema or of a rule beyond it, every one listed
    │   ├── DocumentTooLarge
    │   ├── ObjectNotFound
    │   ├── AccessDenied           COS refuses to show the object
    │   ├── SourceNotAllowed       outside STEWARD_SOURCES
    │   ├── UnstablePolicy         a second run would change something again, or finish nothing
    │   └── TooManyChanges         more than the policy's MaxChanges
    ├── ApiError               the cloud answered with an error code, kept as `code`
    │   ├── ApiBusy                a code that time can heal
    │   │   ├── Throttled              calls come too fast
    │   │   └── ImageBusy              the image is in a state that will pass
    │   ├── NameTaken              another image holds the name
    │   └── AccountError         a code that all calls of the account would get: stops the run
    │       └── CredentialsError            ... with the keys as they were read
    ├── AmbiguousResponse          no reply, or one that is neither an error nor a success
    ├── TimeRanOut             the run's time was over before this could start
    ├── Stopped                not attempted, since the account was refused
    ├── TemporaryName          an image has one, or would get it back: a warning, never raised
    └── Unfinished             what the function raises, so that SCF delivers the event again

`transient` says whether time can heal it: transient trouble makes the function raise after
everything else was done, all other trouble is returned. An image that met it is `pending`, as is
one that was not attempted (`Stopped`); with any other error it is `failed`.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

MAX_MESSAGE = 1000
"""Characters of a message that came from outside."""


class StewardError(Exception):
    """The root of the tree. `code` is the name of the class, or what the cloud answered."""

    code: str
    transient: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        cls.code = cls.__name__

    @property
    def status(self) -> str:
        """How an image that met it ends: `failed` if a later run would meet it again."""
        return "pending" if self.transient or isinstance(self, Stopped) else "failed"

    @property
    def message(self) -> str:
        """What was given, what is allowed."""
        return str(self.args[0])

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a JSON Pointer ("" where there is none) and a message; at least one."""
        return (("", self.message),)

    @property
    def log_fields(self) -> dict[str, object]:
        """What a log line says of it: the first detail, and how many there are."""
        path, message = self.details[0]
        return {"Code": self.code, "Path": path, "Message": message, "Details": len(self.details)}


class Violation(NamedTuple):
    """One violation of a rule: where (`path`, a JSON Pointer into the document) and what."""

    path: str
    message: str


class Rejection(StewardError):
    """Nothing was attempted, and no retry can help. `violations` is never empty."""

    def __init__(self, *violations: Violation | str) -> None:
        self.violations = tuple(
            v if isinstance(v, Violation) else Violation("", v) for v in violations
        )
        super().__init__(self.violations[0].message)

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """A pair for each violation."""
        return self.violations


class InvalidSetting(Rejection):
    """A setting (environment variable) has a value that it cannot have."""


class InvalidEvent(Rejection):
    """The event has none of the shapes that COS, the timer or a direct call have."""


class InvalidJSON(Rejection):
    """The bytes of a document are not strict JSON."""


class InvalidDocument(Rejection):
    """The document is JSON, but breaks its schema or a rule beyond it."""


class DocumentTooLarge(Rejection):
    """The document is larger than STEWARD_MAX_DOCUMENT_BYTES."""


class ObjectNotFound(Rejection):
    """COS has no such object or no such bucket."""


class AccessDenied(Rejection):
    """COS refuses to show the object to the function's role."""


class SourceNotAllowed(Rejection):
    """The object lies outside STEWARD_SOURCES."""


class UnstablePolicy(Rejection):
    """A second run would change something again, or not find what the first had begun."""


class TooManyChanges(Rejection):
    """The plan changes more images than the policy's MaxChanges."""


class ApiError(StewardError):
    """The cloud answered with an error code, which is kept as `code`."""

    def __init__(self, code: str, message: str, request_id: str = "") -> None:
        super().__init__(message[:MAX_MESSAGE])
        self.code = code
        self.request_id = request_id


class ApiBusy(ApiError):
    """An error code that says: not now."""

    transient = True


class Throttled(ApiBusy):
    """Calls come too fast."""


class ImageBusy(ApiBusy):
    """The image is being created, copied or imported."""


class NameTaken(ApiError):
    """Another image of the region holds the name."""


class AccountError(ApiError):
    """Every further call of the run would be refused the same way."""


class CredentialsError(AccountError):
    """The keys, or the token, are no longer good; those in the environment may be."""


class AmbiguousResponse(StewardError):
    """No reply, or a reply that is neither an error nor a success: the call may have worked."""

    transient = True


class TimeRanOut(StewardError):
    """The run's time was over before this could start."""

    transient = True


class Stopped(StewardError):
    """Not attempted: the account was refused before, and would be again."""


class TemporaryName(StewardError):
    """An image has a temporary name and keeps it, or would get it back: a warning, never raised."""


class Unfinished(StewardError):
    """Raised out of the function: some work is left, and delivering the event again does it."""

    transient = True
