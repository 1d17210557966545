"""The documents of one event, each on its own: fetched, read, planned, applied."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from image_steward import documents, undoing
from image_steward.applying import Applier
from image_steward.documents import ChangeRequest, NamingPolicy, Pointer
from image_steward.errors import (
    DocumentTooLarge,
    InvalidDocument,
    InvalidSetting,
    ObjectNotFound,
    Rejection,
    SourceNotAllowed,
    StewardError,
    TooManyChanges,
    Violation,
)
from image_steward.images import NAMES_OF_A_FILTER, describe_images, list_images, utc
from image_steward.normalising import normalise
from image_steward.outcomes import Outcome, outcome_of
from image_steward.planning import Step, ordered, plan
from image_steward.triggers import CosObject, Ignored, Inline, Refused
from image_steward.workers import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from image_steward.clock import RunTime
    from image_steward.cloud.api import Api
    from image_steward.cloud.objects import Objects
    from image_steward.cloud.transport import Credentials
    from image_steward.documents import Change
    from image_steward.images import Call
    from image_steward.logs import Log
    from image_steward.policies import Policy
    from image_steward.results import Run
    from image_steward.retries import Retries
    from image_steward.settings import Settings


UNDO_BYTES = 6000
"""Of one line `image.before`: with what else is in it, below the 8 KB that SCF keeps of a line."""


@dataclass
class Clouds:
    """The two SDKs, each imported when it is first needed: that is most of a cold start."""

    settings: Settings
    environ: Mapping[str, str]
    time: RunTime
    tally: Counter[str] = field(default_factory=Counter)
    """How many API calls (`calls`) were made, and refused as too fast (`throttles`)."""

    @cached_property
    def _keys(self) -> Callable[[], Credentials]:
        """How to read the role's keys. HTTP learns here, before any use, when the run must end."""
        from image_steward.cloud.transport import SESSION, Credentials  # noqa: PLC0415 - see Clouds

        SESSION.deadline = self.time.end_by
        return partial(Credentials.from_environ, self.environ)

    @cached_property
    def api(self) -> Api:
        """CVM and Tag."""
        from image_steward.cloud.api import Api  # noqa: PLC0415 - see Clouds

        return Api(self.settings, self._keys, self.time, self.tally)

    @cached_property
    def objects(self) -> Objects:
        """COS."""
        from image_steward.cloud.objects import Objects  # noqa: PLC0415 - see Clouds

        return Objects(self.settings, self._keys())


@dataclass(frozen=True)
class Steward:
    """What the documents of one event have in common. Everything is noted in `run`."""

    settings: Settings
    clouds: Clouds
    region: str
    retries: Retries
    log: Log
    run: Run

    def take(self, part: CosObject | Inline | Ignored | Refused) -> None:
        """Do what one part of an event asks for; trouble with it stays its own."""
        source = part.source
        try:
            match part:
                case Ignored():
                    self.log.info("event.ignored", Source=source, Reason=part.reason)
                    return
                case Refused():
                    raise part.error
                case CosObject() if any(map(self._is_journal, _candidates(part))):
                    # Applied at once, what is to undo a run would undo it.
                    self.log.info("event.ignored", Source=source, Reason="it is in the journal")
                    return
                case Inline():
                    request = documents.read(self._checked(part.data), region=self.region)
                case _:
                    request = documents.read(self._fetch(*_candidates(part)), region=self.region)
            if isinstance(request, Pointer):
                target = CosObject(request.bucket, request.key, request.region)
                source = target.source
                request = self._pointed(target)
            self._carry_out(source, request, self.clouds.api)
        except StewardError as error:
            self._refuse(source, error)

    def _refuse(self, source: str, error: StewardError) -> None:
        self.run.errors.append((source, error))
        write = self.log.warning if error.healable else self.log.error
        write("document.refused", Source=source, **error.log_fields)

    def _checked(self, data: bytes) -> bytes:
        limit = self.settings.max_document_bytes
        if len(data) > limit:
            raise DocumentTooLarge(f"{len(data)} bytes; at most {limit} are allowed")
        return data

    def _pointed(self, target: CosObject) -> ChangeRequest | NamingPolicy:
        request = documents.read(self._fetch(target), region=self.region)
        if isinstance(request, Pointer):
            raise InvalidDocument("a pointer to a pointer; Document must name the document itself")
        return request

    def _fetch(self, *candidates: CosObject) -> bytes:
        """The content of the first candidate that is allowed and exists."""
        allowed = [c for c in candidates if self.settings.allows(c.bucket, c.key)]
        if not allowed:
            raise SourceNotAllowed(
                f"{candidates[0].source} is outside STEWARD_SOURCES, or has a . or .. segment"
            )
        first, *others = allowed
        try:
            return self.retries(lambda: self.clouds.objects.read(first))
        except ObjectNotFound:
            if not others:
                raise
            return self._fetch(*others)

    def _is_journal(self, place: CosObject) -> bool:
        bucket, prefix = self.settings.journal or ("", "")
        return place.bucket == bucket and place.key.startswith(prefix)

    def _carry_out(self, source: str, request: ChangeRequest | NamingPolicy, api: Api) -> None:
        """Plan all regions, then change them; a plan that is refused changes nothing."""
        call = self.retries.around(api)
        dry_run = self.settings.dry_run or request.dry_run
        if isinstance(request, ChangeRequest):
            planned = self._plan_changes(request, call)
        else:
            planned = self._plan_policy(source, request.policy, call, dry_run=dry_run)
        regions = [[outcome_of(source, s, planned=dry_run) for s in steps] for steps in planned]
        outcomes = [outcome for region in regions for outcome in region]
        if not dry_run:
            self._write_down(source, [outcome.step for outcome in outcomes])
        self.run.dry_runs.append(dry_run)
        self.run.outcomes += outcomes
        for outcome in outcomes:
            if outcome.status != "changed":
                self._note(outcome)
        if not dry_run:
            last = request.policy.writes_last if isinstance(request, NamingPolicy) else ""
            side_by_side(
                [
                    partial(Applier(api, self.retries, self._note).apply, each, last)
                    for each in regions
                ]
            )

    def _plan_changes(self, request: ChangeRequest, call: Call) -> list[list[Step]]:
        by_region: dict[str, list[Change]] = {}
        for change in request.changes:
            by_region.setdefault(change.region, []).append(change)
        return side_by_side(
            [partial(_planned, call, region, changes) for region, changes in by_region.items()]
        )

    def _plan_policy(
        self, source: str, policy: Policy, call: Call, *, dry_run: bool
    ) -> list[list[Step]]:
        now = self.clouds.time.start_by.clock.time()
        plans = side_by_side(
            [partial(_normalised, call, policy, region, now) for region in policy.regions]
        )
        steps = []
        for region, found in zip(policy.regions, plans, strict=True):
            if isinstance(found, list):
                steps.append(found)
            else:  # the other regions can be done without it
                self._refuse(f"{source} {region}", found)
        changes = sum(not step.is_empty for region in steps for step in region)
        if changes > policy.max_changes:
            error = TooManyChanges(
                Violation(
                    "/Normalise/MaxChanges",
                    f"{changes} images would be changed; at most {policy.max_changes} are allowed",
                )
            )
            if not dry_run:
                raise error
            self.run.warnings.append((source, error))
        return steps

    def _write_down(self, source: str, steps: list[Step]) -> None:
        """Keep what the images are like now, before any of them is changed."""
        former = [entry for step in steps if (entry := undoing.entry(step))]
        if self.settings.journal and former:
            self._keep_journal(self.settings.journal, former)
        for entry in former:
            for piece in undoing.pieces(entry, UNDO_BYTES):
                self.log.info("image.before", Source=source, Undo=piece)

    def _keep_journal(self, place: tuple[str, str], former: list[dict[str, Any]]) -> None:
        if not self.region:
            raise InvalidSetting("STEWARD_JOURNAL: the region of the function is not known")
        bucket, prefix = place
        moment = re.sub("[-:]", "", utc(self.clouds.time.start_by.clock.time()))
        run = re.sub(r"[^\w-]", "", self.log.request_id)
        for images in undoing.parcels(former, self.settings.max_document_bytes):
            key = f"{prefix}{moment}-{run}-{len(self.run.journal) + 1}.json"
            target = CosObject(bucket, key, self.region)
            text = json.dumps({"Images": images}, ensure_ascii=False)
            # Half a surrogate pair, as JSON writes it.
            data = text.encode("utf-8", "backslashreplace")
            try:
                self.retries(partial(self.clouds.objects.write, target, data))
            except Rejection as error:
                raise type(error)(f"STEWARD_JOURNAL: {error.message}") from None
            self.run.journal.append(target.source)
            self.log.info("journal.written", Journal=target.source, Images=len(images))

    def _note(self, outcome: Outcome) -> None:
        """One log line for what became of an image."""
        error = outcome.error
        level = {"unchanged": "debug", "skipped": "debug", "pending": "warning", "failed": "error"}
        getattr(self.log, level.get(outcome.status, "info"))(
            f"image.{outcome.status}",
            Source=outcome.source,
            Region=outcome.step.region,
            ImageId=outcome.step.image_id,
            Before=outcome.before,
            After=outcome.after,
            ApiRequestId=outcome.request_ids,
            Attempts=outcome.attempts,
            DurationMs=round(outcome.seconds * 1000),
            **({"Reason": "; ".join(outcome.step.reasons)} if outcome.step.reasons else {}),
            **({"Code": error.code, "Message": error.message} if error else {}),
        )


def _planned(call: Call, region: str, changes: Sequence[Change]) -> list[Step]:
    """The steps of a change request in one region; trouble with the region is that of each."""
    ids = [change.image_id for change in changes]
    try:
        images = describe_images(call, region, ids)
        steps = plan(changes, images)
        names = [step.new_name for step in steps if step.new_name]
        if not names:
            return steps
        # Who else has these names? A few can be asked for; they need not be in the plan.
        others = list_images(call, region, names if len(names) <= NAMES_OF_A_FILTER else ())
    except StewardError as error:
        return [Step(region, image_id, error=error) for image_id in ids]
    return ordered(steps, others.values())


def _normalised(call: Call, policy: Policy, region: str, now: float) -> list[Step] | StewardError:
    """The steps of a policy in one region, or why it could not be read."""
    try:
        images = list_images(call, region)
    except StewardError as error:
        return error
    return normalise(policy, region, images.values(), now)


def _candidates(part: CosObject) -> list[CosObject]:
    """What an event's key may mean: documented nowhere, so as it stands first, then decoded."""
    decoded = unquote(part.key)
    is_other = decoded not in {part.key, ""} and not decoded.endswith("/")
    return [part, *([replace(part, key=decoded)] if is_other else [])]
