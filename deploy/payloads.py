"""`make payloads`: writes the API calls that deploy serverless.yml, as files for tccli."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from scf_deploy import planning, serverless_file
from scf_deploy.code import Code
from scf_deploy.deployment import Current
from scf_deploy.errors import DeployError

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "build" / "deploy"


def payloads(inputs: Mapping[str, Any], code: Code) -> dict[str, dict[str, Any]]:
    """Return the parameters of each call by action; triggers have number and kind after a dot.

    They create the function with all it has, or update its code and settings.
    """
    wanted, number = serverless_file.deployment(inputs, code), count(1)
    created = planning.changes(wanted, Current(trust=wanted.trust)).calls
    return {
        f"CreateTrigger.{next(number)}-{call.params['Type']}"
        if call.action == "CreateTrigger"
        else call.action: dict(call.params)
        for call in (*created, *planning.updates(wanted))
        if call.service == "scf"
    }


def main() -> int:
    """Write a file for each call, and print its name."""
    try:
        file = serverless_file.read(ROOT / "serverless.yml")
    except DeployError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, payload in payloads(file.inputs, file.code).items():
        path = TARGET / f"{name}.json"
        path.write_text(json.dumps(payload, ensure_ascii=False, indent=2), encoding="utf-8")
        sys.stdout.write(f"{os.path.relpath(path)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
