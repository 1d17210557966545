"""Reads a function's log from the cloud: GetFunction names its topic, SearchLog its records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from scf_local.environment import FUNCTION_NAME, NAMESPACE

MAX_PAGE, MAX_BY_CONTEXT = 1000, 10_000
"""What CLS returns at once, and in all by Context (document/product/614/60066)."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ID, _FULL_ID = re.compile(r"[A-Za-z0-9-]{6,64}"), 36
_MAX_IDS = 5
_DELAYS = (0.5, 1, 2, 4, 8, 0)
"""Seconds to wait after an action that fails for the moment."""
_TRANSIENT = re.compile(
    r"RequestLimitExceeded.*|InternalError.*|(Client|Server)NetworkError|LimitExceeded\.LogSearch|"
    r"FailedOperation\.(SearchTimeout|Timeout|ReadQpsLimit)"
)
_NAMES = ("PkgId", "PkgLogId", "LogJson")
"""Members of a result that tell it from others of the same time."""
_TO_START_OVER = {"FailedOperation.InvalidContext", "FailedOperation.GetlogReachLimit"}
"""Codes after which it goes on by time: the Context has expired, or has no more records."""


class CloudError(ValueError):
    """An error of the cloud, with its code."""

    def __init__(self, error: TencentCloudSDKException) -> None:
        super().__init__(f"cannot read from the cloud: {error}")
        self.code = str(error.get_code())


def seconds_of(period: str) -> int:
    """The seconds of a period such as 90s, 15m, 1h or 7d.

    Raises:
        ValueError: it is another text.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", period)
    if not match:
        raise ValueError(
            f"--since is {period!r}; it must be a number and s, m, h or d, such as 90s"
        )
    return int(match[1]) * _UNITS[match[2]]


@dataclass(frozen=True)
class Source:
    """The log of a function, or of its run with a request id, or with one that begins so.

    Attributes:
        call: returns the reply of an action of a service, or raises as the SDK does.
        sleep: waits for some seconds.

    Raises:
        ValueError: no function, or no run, can have such a name.
    """

    call: Callable[[str, str, dict[str, Any]], dict[str, Any]]
    sleep: Callable[[float], object]
    region: str
    function: str
    request_id: str = ""
    namespace: str = NAMESPACE

    def __post_init__(self) -> None:
        if not FUNCTION_NAME.fullmatch(self.function):
            rule = "it has 2 to 60 letters, digits, - and _, the first a letter"
            raise ValueError(f"{self.function!r} is not the name of a function; {rule}")
        if self.request_id and not _ID.fullmatch(self.request_id):
            rule = "it has at least 6 letters, digits and -"
            raise ValueError(f"{self.request_id!r} is not a request id; {rule}")

    def topic(self) -> str:
        """The id of its topic.

        Raises:
            ValueError: the region has no such function, or it has no topic; or a `CloudError`.
        """
        name = f"function {self.function!r}"
        try:
            reply = self._reply("scf", "GetFunction", {"FunctionName": self.function})
        except CloudError as error:
            if not error.code.startswith("ResourceNotFound"):
                raise
            raise ValueError(f"{self.region} has no {name}; for another, use --region") from None
        if topic := reply.get("ClsTopicId"):
            return str(topic)
        raise ValueError(
            f"{name} in {self.region} delivers no logs: its ClsTopicId is empty. Create it with "
            "AutoCreateClsTopic, or set ClsLogsetId and ClsTopicId in its configuration"
        )

    def pages(self, topic: str, start: int, end: int) -> Iterator[list[dict[str, Any]]]:
        """The records from `start` to `end`, in epoch milliseconds, oldest first, as they arrive.

        One that is not a JSON object is empty.

        Raises:
            ValueError: CLS has not returned all, such as too many of one millisecond; or a
                `CloudError`.
        """
        terms = {"SCF_Namespace": self.namespace, "SCF_FunctionName": self.function}
        terms = {name: f'"{value}"' for name, value in terms.items()}
        if self.request_id:
            is_full = len(self.request_id) == _FULL_ID
            terms["SCF_RequestId"] = f'"{self.request_id}"' if is_full else f"{self.request_id}*"
        query = " AND ".join(f"{name}:{value}" for name, value in terms.items())
        params = {"TopicId": topic, "To": end, "QueryString": query, "QuerySyntax": 1}
        params |= {"Sort": "asc", "Limit": MAX_PAGE}
        seen: set[tuple[Any, ...]] = set()
        patience = len(_DELAYS)
        while patience:  # go on by time
            page_params, failure, is_new, count = {**params, "From": start}, None, False, 0
            while count < MAX_BY_CONTEXT:  # by Context
                try:
                    reply = self._reply("cls", "SearchLog", page_params)
                except CloudError as error:
                    if error.code not in _TO_START_OVER:
                        raise
                    failure = error
                    break
                results = reply.get("Results") or []
                named = {(x["Time"], *map(x.get, _NAMES)): x for x in results}
                page = [_record(each) for name, each in named.items() if name not in seen]
                start = max((name[0] for name in named), default=start)
                seen = {name for name in (*seen, *named) if name[0] == start}
                # A page without records may precede others, but not for ever.
                is_new, count = is_new or bool(page), count + (len(results) or MAX_PAGE)
                yield [record for record in page if self._is_wanted(record)]
                if reply.get("ListOver") and count < MAX_BY_CONTEXT:
                    return
                page_params["Context"] = reply.get("Context")
                if not page_params["Context"]:
                    break
            patience -= 0 if is_new else 1 if failure else patience
        raise failure or ValueError(
            f"CLS does not return all records from the millisecond {start} on; if it has "
            f"{MAX_BY_CONTEXT:,} or more of that one, which are too many, try --request-id"
        )

    def of_one_run(self, pages: Iterator[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
        """The records, once it is known that all are of one run: `undo` would undo the others, too.

        Raises:
            ValueError: several request ids begin with the given one; or as `pages`.
        """
        held = [*pages]
        ids = sorted({str(each.get("SCF_RequestId")) for page in held for each in page if each})
        if len(ids) > 1:
            given = f"--request-id {self.request_id} is the beginning of {len(ids)} ids"
            raise ValueError(f"{given}: {', '.join(ids[:_MAX_IDS])}; give more of it")
        return iter(held)

    def _is_wanted(self, record: dict[str, Any]) -> bool:
        """Whether it is of this function and run; an index may find more than that."""
        name = record.get("SCF_FunctionName", self.function)
        run = str(record.get("SCF_RequestId", self.request_id))
        return name == self.function and run.lower().startswith(self.request_id.lower())

    def _reply(self, service: str, action: str, params: dict[str, Any]) -> dict[str, Any]:
        for delay in _DELAYS:
            try:
                return self.call(service, action, params)
            except TencentCloudSDKException as error:
                failure = CloudError(error)
            if not _TRANSIENT.fullmatch(failure.code):
                break
            self.sleep(delay)
        raise failure


def _record(result: dict[str, Any]) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        record = json.loads(result.get("LogJson") or result.get("RawLog") or "")  # without an index
        return record if isinstance(record, dict) else {}
    return {}
