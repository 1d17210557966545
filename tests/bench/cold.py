"""An instance: `python cold.py FOLDER EVENT TIMES` loads a function and runs it TIMES times.

`make bench` starts it with only the standard library and FOLDER on its path. Prints the outcome of
the last run, the mean seconds of all runs but the first, and the peak memory in kB.
"""

import importlib
import json
import os
import sys
from time import perf_counter

folder, event, times = sys.argv[1:]
sys.path[0] = folder
context = {
    "request_id": "r-1",
    "time_limit_in_ms": 900_000,
    "tencentcloud_region": os.environ["TENCENTCLOUD_REGION"],
}
devnull = open(os.devnull, "w")  # noqa: SIM115, PTH123 - stays open
stdout, sys.stdout = sys.stdout, devnull
function = importlib.import_module("index").main_handler
result = function(json.loads(event), context)
start = perf_counter()
for _ in range(int(times) - 1):
    result = function(json.loads(event), context)
warm = (perf_counter() - start) / max(1, int(times) - 1)
with open("/proc/self/status", encoding="utf-8") as status:  # noqa: PTH123 - importing pathlib costs time
    (peak,) = [line.split()[1] for line in status if line.startswith("VmHWM:")]
stdout.write(json.dumps([result["Outcome"], warm, int(peak)]))
