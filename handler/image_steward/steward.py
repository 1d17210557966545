"""The documents of one event, each on its own: fetched, read, planned, applied."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from image_steward import documents
from image_steward.applying import Applier, Outcome, outcome_of
from image_steward.documents import ChangeRequest, Pointer
from image_steward.errors import (
    DocumentTooLarge,
    InvalidDocument,
    ObjectNotFound,
    SourceNotAllowed,
    StewardError,
)
from image_steward.images import describe_images
from image_steward.planning import Step, plan
from image_steward.triggers import CosObject, Ignored, Inline, Refused
from image_steward.workers import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from image_steward.clock import RunTime
    from image_steward.cloud.api import Api
    from image_steward.cloud.objects import Objects
    from image_steward.cloud.transport import Credentials
    from image_steward.documents import Change
    from image_steward.logs import Log
    from image_steward.results import Run
    from image_steward.retries import Retries
    from image_steward.settings import Settings


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
                case Inline():
                    request = documents.read(self._checked(part.data), region=self.region)
                case _:
                    request = documents.read(self._fetch(*_candidates(part)), region=self.region)
            if isinstance(request, Pointer):
                target = CosObject(request.bucket, request.key, request.region)
                source = target.source
                request = self._pointed(target)
            api = self.clouds.api  # no keys: nothing of the document is attempted
        except StewardError as error:
            self.run.errors.append((source, error))
            write = self.log.warning if error.healable else self.log.error
            write("document.refused", Source=source, **error.log_fields)
        else:
            self._carry_out(source, request, api)

    def _checked(self, data: bytes) -> bytes:
        limit = self.settings.max_document_bytes
        if len(data) > limit:
            raise DocumentTooLarge(f"{len(data)} bytes; at most {limit} are allowed")
        return data

    def _pointed(self, target: CosObject) -> ChangeRequest:
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

    def _carry_out(self, source: str, request: ChangeRequest, api: Api) -> None:
        dry_run = self.settings.dry_run or request.dry_run
        self.run.dry_runs.append(dry_run)
        by_region: dict[str, list[Change]] = {}
        for change in request.changes:
            by_region.setdefault(change.region, []).append(change)
        for outcomes in side_by_side(
            [
                partial(self._carry_out_in, region, changes, source, api, dry_run=dry_run)
                for region, changes in by_region.items()
            ]
        ):
            self.run.outcomes += outcomes

    def _carry_out_in(
        self, region: str, changes: list[Change], source: str, api: Api, *, dry_run: bool
    ) -> list[Outcome]:
        ids = [change.image_id for change in changes]
        try:
            images = describe_images(self.retries.around(api), region, ids)
        except StewardError as error:
            steps = [Step(region, image_id, error=error) for image_id in ids]
        else:
            steps = plan(changes, images)
        outcomes = [outcome_of(source, step, planned=dry_run) for step in steps]
        for outcome in outcomes:
            if outcome.status != "changed":
                self._note(outcome)
        if not dry_run:
            Applier(api, self.retries, self._note).apply(region, outcomes)
        return outcomes

    def _note(self, outcome: Outcome) -> None:
        """One log line for what became of an image."""
        error = outcome.error
        level = {"unchanged": "debug", "pending": "warning", "failed": "error"}
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
            **({"Code": error.code, "Message": error.message} if error else {}),
        )


def _candidates(part: CosObject) -> list[CosObject]:
    """What an event's key may mean: documented nowhere, so as it stands first, then decoded."""
    decoded = unquote(part.key)
    is_other = decoded not in {part.key, ""} and not decoded.endswith("/")
    return [part, *([replace(part, key=decoded)] if is_other else [])]
