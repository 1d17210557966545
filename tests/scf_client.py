"""The official typed SDK of SCF, for tests of functions that are deployed to an emulated cloud."""

from __future__ import annotations

import base64
import io
import json
import sys
import zipfile
from dataclasses import dataclass
from typing import Any

from scf_local import cloud_client
from sdk_client import SdkClient, add_role

RUNTIME = f"Python{sys.version_info[0]}.{sys.version_info[1]}"
ECHO = "def main_handler(event, context): return event"
READY_SECONDS = 10
"""After which a new or changed function is Active."""


def zipped(files: dict[str, str]) -> bytes:
    """Return a zip file with these texts by name."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


@dataclass(frozen=True)
class ScfClient(SdkClient):
    """Calls SCF actions of an emulated cloud, and moves its clock."""

    service: str = "scf"

    def create(
        self,
        name: str,
        code: str = ECHO,
        *,
        content: bytes = b"",
        seconds: float = READY_SECONDS,
        **params: Any,  # noqa: ANN401 - CreateFunction's
    ) -> None:
        """Create a function from its `index.py`, or a zip file, and move the time on.

        Its role may do anything, unless there is one of that name already.
        """
        code_file = base64.b64encode(content or zipped({"index.py": code})).decode()
        given: dict[str, Any] = {"Runtime": RUNTIME, "Handler": "index.main_handler"}
        given |= {"Role": "worker", "Code": {"ZipFile": code_file}, **params}
        if given["Role"] and given["Role"] not in self.cloud.state.access.roles:
            add_role(self.cloud, given["Role"])
        self("CreateFunction", FunctionName=name, **given)
        self.move(seconds)

    def update_code(self, name: str, content: bytes) -> None:
        """Replace a function's code by a zip file, and move the time on."""
        code_file = base64.b64encode(content).decode()
        self("UpdateFunctionCode", FunctionName=name, ZipFile=code_file)
        self.move(READY_SECONDS)

    def move(self, seconds: float = 0) -> None:
        """Move the time on; what is due by then has been done."""
        cloud_client.move_clock(self.cloud.url, seconds)

    def invoke(self, name: str, event: object = None, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - Invoke's
        """Call a function and return the `Result`."""
        given = {} if event is None else {"ClientContext": json.dumps(event)}
        result: dict[str, Any] = self("Invoke", FunctionName=name, **given, **params)["Result"]
        return result

    def runs(self, name: str, request_id: str) -> list[tuple[int, int]]:
        """Return `RetCode` and `RetryNum` of each run of a request id."""
        period = {"StartTime": "2020-01-01 00:00:00", "EndTime": "2099-01-01 00:00:00"}
        where = {"FunctionName": name, "FunctionRequestId": request_id}
        reply = self("GetRequestStatus", **where, **period)
        return [(each["RetCode"], each["RetryNum"]) for each in reply["Data"]]
