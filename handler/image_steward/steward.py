"""The documents of one event, each on its own: fetched, read, planned, applied."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from image_steward import documents, plans, undoing
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
)
from image_steward.images import utc
from image_steward.outcomes import Outcome, outcome_of
from image_steward.triggers import CosObject, Ignored, Inline, Refused
from image_steward.workers import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from image_steward.clock import RunTime
    from image_steward.cloud.api import Api
    from image_steward.cloud.objects import Objects
    from image_steward.cloud.transport import Credentials
    from image_steward.documents import Request
    from image_steward.images import Call, Image
    from image_steward.logs import Log
    from image_steward.manifests import PackerManifest
    from image_steward.planning import Step
    from image_steward.plans import Plan
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

    def _pointed(self, target: CosObject) -> Request:
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

    def _carry_out(self, source: str, request: Request, api: Api) -> None:
        """Plan all regions, then change them; a plan that is refused changes nothing."""
        call = self.retries.around(api)
        dry_run = self.settings.dry_run or request.dry_run
        self.run.dry_runs.append(dry_run)
        match request:
            case ChangeRequest():
                self._change(source, plans.of_changes(call, request), api, dry_run=dry_run)
            case NamingPolicy(policy):
                made = plans.of_policy(call, policy, self._now, dry_run=dry_run)
                self._change(source, made, api, dry_run=dry_run, policy=policy)
            case _:
                self._label(source, request, call, api, dry_run=dry_run)

    def _label(
        self, source: str, manifest: PackerManifest, call: Call, api: Api, *, dry_run: bool
    ) -> None:
        """Set what a manifest says; when that is done, retire what it says."""
        from image_steward import manifest_plans as of  # noqa: PLC0415 - other kinds never pay for it

        wait = of.wait_for(manifest, self.retries.deadline, self._note_wait)
        made = of.labels(call, manifest, wait, dry_run=dry_run)
        outcomes = self._change(source, made, api, dry_run=dry_run)
        labelled = {o.step.place: o for o in outcomes if not (o.error or o.step.is_skipped)}
        made = of.retirement(call, manifest, [o.step for o in labelled.values()], self._now)
        noted = len(self.run.outcomes)
        retired = self._change(source, made, api, dry_run=dry_run)
        for outcome in retired:
            if earlier := labelled.get(outcome.step.place):
                earlier.take_up(outcome)
        # One entry for each image, whatever it took.
        self.run.outcomes[noted:] = [o for o in retired if o.step.place not in labelled]

    @property
    def _now(self) -> float:
        return self.clouds.time.start_by.clock.time()

    def _note_wait(self, region: str, image: Image) -> None:
        state = image.facts["ImageState"]
        self.log.info("image.awaited", Region=region, ImageId=image.image_id, ImageState=state)

    def _change(
        self, source: str, made: Plan, api: Api, *, dry_run: bool, policy: Policy | None = None
    ) -> list[Outcome]:
        """Carry out a plan, or note it if this is a dry run."""
        for region, error in made.refused:
            self._refuse(f"{source} {region}", error)
        for error in [*made.warnings, *plans.of_temporary_names(made)]:
            self.run.warnings.append((source, error))
            self.log.warning("document.warned", Source=source, **error.log_fields)
        regions = [[outcome_of(source, s, planned=dry_run) for s in steps] for steps in made.steps]
        outcomes = [outcome for region in regions for outcome in region]
        if not dry_run:
            self._write_down(source, [outcome.step for outcome in outcomes])
        self.run.outcomes += outcomes
        for outcome in outcomes:
            if dry_run or outcome.step.is_empty:
                self._note(outcome)
        if not dry_run:
            last, held_by = (policy.writes_last, policy.held_by) if policy else ("", ())
            appliers = [Applier(api, self.retries, self._note) for _ in regions]
            pairs = zip(appliers, regions, strict=True)
            side_by_side([partial(a.apply, each, last, held_by) for a, each in pairs])
        return outcomes

    def _write_down(self, source: str, steps: list[Step]) -> None:
        """Keep what the images are like now, before any of them is changed."""
        former = [entry for step in steps if (entry := undoing.entry(step))]
        if self.settings.journal and former:
            self._keep_journal(self.settings.journal, former)
        for entry in former:
            for piece in undoing.pieces(entry, UNDO_BYTES):
                self.log.keep("image.before", Source=source, Undo=piece)

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


def _candidates(part: CosObject) -> list[CosObject]:
    """What an event's key may mean: documented nowhere, so as it stands first, then decoded."""
    decoded = unquote(part.key)
    is_other = decoded not in {part.key, ""} and not decoded.endswith("/")
    return [part, *([replace(part, key=decoded)] if is_other else [])]
