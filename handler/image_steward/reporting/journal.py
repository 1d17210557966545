"""What images are like before a run changes them, kept where `STEWARD_JOURNAL` and the log say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from image_steward.clock import utc
from image_steward.errors import InvalidSetting, Rejection
from image_steward.model import CosObject, Plan
from image_steward.reporting import undo
from image_steward.reporting.log import Log
from image_steward.settings import Settings

LINE_BYTES = 6000
"""Of one line `image.before`: with what else is in it, below the 8 KB that SCF keeps of a line."""


@dataclass
class Journal:
    """The journal of one run: its objects are numbered. `region` is the function's own."""

    settings: Settings
    region: str
    log: Log
    write: Callable[[CosObject, bytes], None]
    _written: int = 0

    def keep(self, source: str, plan: Plan) -> None:
        """Keep what the images of a plan are like now, before any of them is changed.

        Raises:
            StewardError: it could not be kept, so nothing may be changed.
        """
        former = [entry for step in plan.changes if (entry := undo.entry(step))]
        if self.settings.journal and former:
            for images in undo.batches(former, self.settings.max_document_bytes):
                self._store(*self.settings.journal, images)
        for entry in former:
            for chunk in undo.chunks(entry, LINE_BYTES):
                self.log.keep("image.before", Source=source, Undo=chunk)

    def _store(self, bucket: str, prefix: str, images: list[undo.Entry]) -> None:
        if not self.region:
            raise InvalidSetting("STEWARD_JOURNAL: the region of the function is not known")
        moment = re.sub("[-:]", "", utc(self.log.clock.time()))
        run = re.sub(r"[^\w-]", "", self.log.request_id)
        name = f"{prefix}{moment}-{run}-{self._written + 1}.json"
        target = CosObject(bucket, name, self.region)
        # Half a surrogate pair, as JSON writes it.
        text = json.dumps({"Images": images}, ensure_ascii=False)
        try:
            self.write(target, text.encode("utf-8", "backslashreplace"))
        except Rejection as error:
            raise type(error)(f"STEWARD_JOURNAL: {error.message}") from None
        self._written += 1
        self.log.info("journal.written", Journal=target.source, Images=len(images))
