"""The journal: what undoes a run, written to `STEWARD_JOURNAL` and the log before any change."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from image_steward.clock import utc
from image_steward.errors import InvalidSetting, Rejection, StewardError
from image_steward.model import CosObject, Plan
from image_steward.reporting import undo
from image_steward.reporting.log import Log
from image_steward.settings import Settings

Write: TypeAlias = "Callable[[CosObject, bytes], None]"


class Journal:
    """The journal of one run, whose objects are numbered. `region` is the function's own.

    `delivery` is part of the keys: a redelivery has the same request id, perhaps in
    the same second.
    """

    def __init__(
        self, settings: Settings, region: str, log: Log, write: Write, delivery: str
    ) -> None:
        self.settings, self.region, self.log = settings, region, log
        self.write, self.delivery, self._written = write, delivery, 0

    def record(self, source: str, plan: Plan) -> None:
        """Record the current state of all images that a plan will change.

        Raises:
            StewardError: it could not be written, so nothing may be changed.
        """
        entries = [entry for step in plan.changes if (entry := undo.entry(step))]
        if self.settings.journal and entries:
            for batch in undo.batches(map(json.dumps, entries), self.settings.max_document_bytes):
                self._write_object({"Images": list(map(json.loads, batch))})
        for entry in entries:
            for chunk in undo.chunks(entry, 6000):  # the whole line must stay below SCF's 8 KB
                self.log.always("image.before", Source=source, Undo=chunk)

    def record_result(self, document: dict[str, Any]) -> None:
        """Record the result of the run; if it cannot be written, a line of the log says so."""
        if self.settings.journal:
            try:
                self._write_object(document, "-result")
            except StewardError as error:
                self.log.error("journal.failed", **error.log_fields)

    def _write_object(self, document: dict[str, Any], kind: str = "") -> None:
        if not self.region:
            raise InvalidSetting("STEWARD_JOURNAL: the function's own region is unknown")
        bucket, prefix = self.settings.journal or ("", "")
        time = re.sub("[-:]", "", utc(self.log.clock.time()))
        run = re.sub(r"[^\w-]", "", self.log.request_id)
        key = f"{prefix}{time}-{run}-{self.delivery}-{self._written + 1}{kind}.json"
        target = CosObject(bucket, key, self.region)
        text = json.dumps(document, ensure_ascii=False)
        try:
            # An unpaired surrogate becomes \ud83d, as in JSON.
            self.write(target, text.encode("utf-8", "backslashreplace"))
        except Rejection as error:
            raise type(error)(f"STEWARD_JOURNAL: {error.message}") from None
        self._written += 1
        self.log.info("journal.written", Journal=target.source, Images=len(document["Images"]))
