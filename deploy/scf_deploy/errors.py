"""What can go wrong: each error has a message for the user, and the exit status.

DeployError                  1
├── InvalidFile              2   serverless.yml, or a file that belongs to it
├── InvalidEndpoint          2   --endpoint or --cos-endpoint
├── CannotChange             1   SCF cannot make this change to a function that exists
├── NotDeployed              1   SCF could not deploy what it got, or took too long
├── Unconfirmed              1   the user, or somebody who changes the same things, says no
└── CloudError               1   an API refuses a call, or does not answer
    ├── Unanswered           1   it may have been done or not: look again
    └── Throttled            1   it was not done: try again
"""

from __future__ import annotations

import re

from scf_local.terminal_text import printable

_ADVICE = {
    r"FailedOperation\.QcsRoleNotFound": "open SCF's console once, and create its role SCF_QcsRole",
    r"ResourceNotFound\.Role|.*\.RoleCheck": "the run role must exist, and trust scf.qcloud.com",
    r".*Cls.*": "open the console of CLS once, or name a log topic: inputs.cls in the file",
    r"InvalidParameterValue\.Runtime": "the region lacks this runtime; see docs/deploy.md",
    r".*CosNotifyRuleConflict|ResourceInUse\.(Cos|Trigger)": "another rule of the bucket has "
    "these objects: remove it, or choose another prefix",
    r"BucketAlready.*": "the bucket is in another region, or of another account",
    r"UnauthorizedOperation.*|AuthFailure\.Unauth.*|AccessDenied|HTTP403": "your keys lack this "
    "right; docs/deploy.md lists what a deployment needs",
    r"AuthFailure\.SignatureExpire|RequestTimeTooSkewed": "set this machine's clock",
    r"AuthFailure.*|InvalidAccessKeyId|SignatureDoesNotMatch": "check your keys, and the clock",
    r".*InsufficientBalance": "the account is in arrears",
    r"LimitExceeded.*|FailedOperation\.ReservedExceedTotal": "it is a quota of the account",
}
"""What to do, by a pattern of the error's code."""


class DeployError(Exception):
    """The message is for the user; nothing was done that it does not tell."""

    exit_status = 1


class InvalidFile(DeployError):
    """The file cannot be deployed; lists all that is wrong with it."""

    exit_status = 2


class InvalidEndpoint(DeployError):
    """It is not a URL: what is meant for it must not go to the real cloud."""

    exit_status = 2


class CannotChange(DeployError):
    """SCF cannot make this change; says which ways there are."""


class NotDeployed(DeployError):
    """The function is not Active; has SCF's reasons."""


class Unconfirmed(DeployError):
    """Nobody has agreed to this."""


class CloudError(DeployError):
    """An API's error, in its own words, and what to do."""

    def __init__(self, action: str, code: str, reason: str, request_id: str = "") -> None:
        advice = next((text for key, text in _ADVICE.items() if re.fullmatch(key, code)), "")
        reason = printable(reason, 500)  # it may be a proxy's page
        of = f" (request {request_id})" if request_id else ""
        super().__init__(f"{action}: {code}: {reason}{of}{advice and f'. Advice: {advice}'}")
        self.code = code


class Unanswered(CloudError):
    """No reply, or one that says nothing: the call may have been carried out."""


class Throttled(CloudError):
    """Too many calls: this one was not carried out."""
