"""Carries out a plan: waits until the function can be changed, and goes on after a lost reply.

After a call without an answer, nobody knows whether it was carried out. So the account is read
again, and the rest is planned anew. The same happens in the end: nothing may be left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from scf_deploy import current
from scf_deploy.call import Api, Call
from scf_deploy.errors import CloudError, NotDeployed, Unanswered, Unconfirmed
from scf_deploy.plan import DELETE, REPLACE, Plan

ACTIVE_SECONDS = 120
"""How long to wait for a function; SCF was seen to take 6 to 11."""
_POLL_SECONDS = 2
_TRIES = 5
"""How often the rest is planned anew while it does not get less."""
_LOST = {DELETE, REPLACE}
"""What becomes of a part that only a line which says so may touch."""
_DEPLOYS = {"CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration"}
_RACED = (
    "ResourceInUse.", "ResourceNotFound.Trigger", "ResourceNotFound.Function",
    "InvalidParameter.RoleNameInUse", "InvalidParameter.RoleNotExist",
    "InvalidParameter.PolicyIdNotExist", "FailedOperation.PolicyNameInUse",
    "BucketAlreadyOwnedByYou",
)  # fmt: skip
"""How the codes begin if something is there that was not when it was read, or is not there yet."""


@dataclass
class Deployer:
    """Carries out a plan, and those that follow from it.

    Attributes:
        plan: reads the account and returns what is left to do.
        named: the parameters that name the function.
        sleep: waits for some seconds; `say` tells of each call that was made.
        done: the calls that were made.
    """

    api: Api
    plan: Callable[[], Plan]
    named: Mapping[str, str]
    sleep: Callable[[float], object]
    say: Callable[[str], object]
    done: list[Call] = field(default_factory=list)

    def run(self, agreed: Plan) -> None:
        """Make the calls that the user has agreed to, until nothing is left.

        Raises:
            Unconfirmed: something has changed meanwhile, so that other changes are needed.
            NotDeployed: the function is not Active, or the account does not keep what it gets.
            CloudError: the API's reason; what is done stays, and the next run goes on from there.
        """
        left, tries, fewest = agreed, 0, len(agreed.calls)
        names = {(x.what, lost) for x in agreed.changes for lost in {False, x.verb in _LOST}}
        if any(call.action == "PutReservedConcurrencyConfig" for call in agreed.calls):
            names.add(("concurrency", False))  # 0 while code and settings change
        while True:
            problem = self._make(left.calls)
            self._wait()
            left = self.plan()
            if others := [x.what for x in left.changes if (x.what, x.verb in _LOST) not in names]:
                changed = ", ".join(others)
                raise Unconfirmed(f"somebody else changes the same things: {changed}; run it again")
            if not left.calls:
                return
            tries = 0 if len(left.calls) < fewest else tries + 1
            fewest = min(fewest, len(left.calls))
            if tries == _TRIES or (tries > 1 and not problem):
                things = ", ".join(line.what for line in left.changes)
                raise problem or NotDeployed(f"the cloud does not keep what it gets: {things}")
            self.sleep(_POLL_SECONDS)

    def _make(self, calls: tuple[Call, ...]) -> CloudError | None:
        """Make calls up to one that has no answer, or that meets a state that was not read."""
        for call in calls:
            if call.service == "scf":
                self._wait()
            try:
                self.api(call)
            except CloudError as error:
                if isinstance(error, Unanswered) or error.code.startswith(_RACED):
                    return error
                raise
            self.done.append(call)
            self.say(call.says)
        return None

    def _wait(self) -> None:
        """Wait until the function, if there is one, is not being changed.

        Raises:
            NotDeployed: it takes too long, or what was changed now has failed.
        """
        for _ in range(ACTIVE_SECONDS // _POLL_SECONDS):
            reply = current.function(self.api, self.named) or {"Status": "Active"}
            status = str(reply.get("Status"))
            if status.endswith("Failed") and any(call.action in _DEPLOYS for call in self.done):
                raise NotDeployed(f"the function is {status}: {current.reasons(reply)}")
            if status.endswith(("Active", "Failed")):
                return
            self.sleep(_POLL_SECONDS)
        raise NotDeployed(f"the function is still {status} after {ACTIVE_SECONDS} s; run it again")
