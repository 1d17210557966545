"""`make payloads`: writes the API calls that deploy serverless.yml, as files for tccli.

API: scf 2018-04-16 (document/api/583).
"""

from __future__ import annotations

import base64
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
CODE = ROOT / "build" / "function.zip"
TARGET = ROOT / "build" / "deploy"

RETRIES = 2
EVENT_SECONDS = 6 * 3600
"""Redeliveries of an event after a run that raised, and how long SCF keeps the event.

These are SCF's defaults (document/product/583/41138), set explicitly because the function relies on
redelivery after transient errors.
"""

INSTANCES = 2
"""The maximum of concurrent runs: with two, an upload need not wait for the nightly policy.

All instances share the API's limit of ten changes per second without knowing of each other: with
more instances, no more images are changed and more calls are throttled (`make bench`). Further
events wait in SCF's queue. Zero would stop the function.
"""

_SWITCH = {True: "OPEN", False: "CLOSE"}


def payloads(inputs: Mapping[str, Any], code: bytes) -> dict[str, dict[str, Any]]:
    """Return the parameters of each call by action; triggers have number and kind after a dot."""
    function = {"FunctionName": inputs["name"]}
    zipped = {"ZipFile": base64.b64encode(code).decode()}
    settings = _settings(inputs)
    retries = {"RetryConfig": [{"RetryNum": RETRIES}], "MsgTTL": EVENT_SECONDS}
    return {
        "CreateFunction": {
            **function,
            "Type": inputs["type"].capitalize(),
            "Runtime": inputs["runtime"],
            "Handler": inputs["handler"],
            "Code": zipped,
            **settings,
        },
        "UpdateFunctionCode": {**function, "Handler": inputs["handler"], **zipped},
        "UpdateFunctionConfiguration": {**function, **settings},
        "UpdateFunctionEventInvokeConfig": {**function, "AsyncTriggerConfig": retries},
        "PutReservedConcurrencyConfig": {
            **function,
            "ReservedConcurrencyMem": inputs["memorySize"] * INSTANCES,
        },
        **{
            f"CreateTrigger.{i}-{kind}": {**function, "Type": kind, **_TRIGGERS[kind](parameters)}
            for i, (kind, parameters) in enumerate(triggers(inputs), 1)
        },
    }


def triggers(inputs: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return kind and parameters of each trigger."""
    events = [(kind, body["parameters"]) for e in inputs["events"] for kind, body in e.items()]
    if unknown := {kind for kind, _ in events} - _TRIGGERS.keys():
        raise ValueError(f"trigger {', '.join(unknown)} is not supported; allowed: cos, timer")
    return events


def _settings(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that can be changed later, although only all at once."""
    variables = inputs["environment"]["variables"]
    logs = inputs.get("cls")
    return {
        "Role": inputs["role"],
        "MemorySize": inputs["memorySize"],
        "Timeout": inputs["timeout"],
        "InitTimeout": inputs["initTimeout"],
        "Environment": {
            "Variables": [{"Key": key, "Value": value} for key, value in variables.items()]
        },
        **({"ClsLogsetId": logs["logsetId"], "ClsTopicId": logs["topicId"]} if logs else {}),
    }


def _cos(trigger: Mapping[str, Any]) -> dict[str, Any]:
    filters = {"Prefix": trigger["filter"]["prefix"], "Suffix": trigger["filter"]["suffix"]}
    # SCF does not accept blanks in it (document/product/583/39901).
    desc = json.dumps({"event": trigger["events"], "filter": filters}, separators=(",", ":"))
    return {"TriggerName": trigger["bucket"], "TriggerDesc": desc, **_common(trigger)}


def _timer(trigger: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "TriggerName": trigger["name"],
        "TriggerDesc": trigger["cronExpression"],
        "CustomArgument": trigger["argument"],
        **_common(trigger),
    }


def _common(trigger: Mapping[str, Any]) -> dict[str, Any]:
    return {"Qualifier": trigger["qualifier"], "Enable": _SWITCH[trigger["enable"]]}


_TRIGGERS = {"cos": _cos, "timer": _timer}


def is_for(runtime: str) -> bool:
    """Whether the zip has bytecode for this runtime; any other fails at the first import."""
    tag = f"cpython-{runtime.removeprefix('Python').replace('.', '')}"
    with zipfile.ZipFile(CODE) as archive:
        return any(f".{tag}." in name for name in archive.namelist())


def main() -> int:
    """Write a file for each call, and print its name."""
    if not CODE.exists():
        sys.stderr.write("build/function.zip was not found; run make bundle\n")
        return 1
    inputs = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))["inputs"]
    if not is_for(inputs["runtime"]):
        wanted = f"{inputs['runtime']}, the runtime in serverless.yml"
        sys.stderr.write(
            f"build/function.zip is not for {wanted}; run make bundle, or change it there\n"
        )
        return 1
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, payload in payloads(inputs, CODE.read_bytes()).items():
        path = TARGET / f"{name}.json"
        path.write_text(json.dumps(payload, ensure_ascii=False, indent=2), encoding="utf-8")
        sys.stdout.write(f"{os.path.relpath(path)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
