"""A large log of changes, as CLS exports it."""

from __future__ import annotations

import io
from itertools import count
from typing import TYPE_CHECKING

import cls_export
from clocks import FakeClock
from image_steward.reporting.log import Log, Secrets
from scf_local.invocation import InvocationResult

if TYPE_CHECKING:
    from typing import BinaryIO

_IMAGES = 250
"""Of each run."""


def write(file: BinaryIO, size: int) -> int:
    """Write at least `size` bytes of JSON Lines; return the number of images that were changed."""
    clock = FakeClock()
    for run in count():
        if file.tell() >= size:
            return run * _IMAGES
        request_id = f"4f9c2d1e-0000-4000-8000-{run:012}"
        stream = io.StringIO()
        log = Log(stream, clock, Secrets({}, set()), request_id)
        source = f"cos://manifests-1250000000/requests/change-{run}.json"
        log.info("run.started", Source=source, Trigger="cos")
        for image in range(run * _IMAGES, (run + 1) * _IMAGES):
            _change(log, source, f"img-{image:08x}")
        log.info("run.finished", Trigger="cos", Outcome="applied", Summary={"Changed": _IMAGES})
        text = f"START RequestId:{request_id}\n{stream.getvalue()}END RequestId:{request_id}\n"
        report = f"Report RequestId:{request_id} Duration:5ms Memory:128MB MemUsage:30.000000MB\n"
        done = InvocationResult(request_id, 200, 5.0, 30.0, result={"Outcome": "applied"})
        records = cls_export.fields((text + report).encode(), done, cls_export.BEGIN + run)
        file.write(cls_export.as_lines(records).encode())
    raise AssertionError


def _change(log: Log, source: str, image_id: str) -> None:
    """Log what the function logs for an image."""
    image = {"Region": "ap-guangzhou", "ImageId": image_id}
    old, new = f"build {image_id}", f"web-tencentos-{image_id}"
    tag = {"Key": "source", "Value": "pipeline"}
    expected = {"ImageName": new, "Tags": [tag], "DeleteTags": ["team"]}
    undo = {**image, "ImageName": old, "Tags": [{"Key": "team", "Value": "infra"}],
            "DeleteTags": ["source"], "Expect": expected}  # fmt: skip
    before = {"ImageName": old, "Tags": {"team": "infra"}}
    after = {"ImageName": new, "Tags": {"source": "pipeline"}}
    log.always("image.before", Source=source, Undo=undo)
    log.info("image.changed", Source=source, **image, Before=before, After=after)
    log.info("image.confirmed", Source=source, **image)
