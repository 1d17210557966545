"""Measures uploads that fire Image Steward in the emulated cloud; prints JSON.

Run as `python uploads.py FILE`, with the function's zip file.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from cos_client import BUCKET, client_of
from scf_client import ScfClient
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.runtime import peak_mb

FIRST, LAST = 200, 1000
RULE = {"event": "cos:ObjectCreated:*", "filter": {"Prefix": "requests/", "Suffix": ".json"}}


def upload(scf: ScfClient, first: int, last: int) -> None:
    """Upload requests, each of which renames an image of its own, in a row; wait for all."""
    cos = client_of(scf.cloud)
    for number in range(first, last):
        document = {"ImageId": f"img-{number:08}", "ImageName": f"new {number}"}
        key = f"requests/{number}.json"
        cos.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(document).encode())
    scf.move()


def main() -> None:
    """Measure the rate of all, and how much memory those after the first ones take."""
    images = [{"ImageId": f"img-{number:08}"} for number in range(LAST)]
    state = State({"ap-guangzhou": images}, {BUCKET: {}})
    with EmulatedCloud(state, limits=False) as cloud:
        scf = ScfClient(cloud)
        scf.create("steward", content=Path(sys.argv[1]).read_bytes(), Timeout=60)
        trigger = {"TriggerName": f"{BUCKET}.cos.ap-guangzhou.myqcloud.com", "Type": "cos"}
        scf("CreateTrigger", FunctionName="steward", TriggerDesc=json.dumps(RULE), **trigger)
        start = time.perf_counter()
        upload(scf, 0, FIRST)
        first_mb = peak_mb()
        upload(scf, FIRST, LAST)
        seconds = time.perf_counter() - start
        done = sum(image["ImageName"].startswith("new") for image in state.images["ap-guangzhou"])
        runs = len(state.functions.runs)
    if runs != LAST:
        raise AssertionError(f"{runs} runs, not {LAST}")
    figures = {"lost": LAST - done, "rate": LAST / seconds, "grown_mb": peak_mb() - first_mb}
    print(json.dumps(figures))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
