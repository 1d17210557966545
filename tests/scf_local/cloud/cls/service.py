"""CLS 2020-10-16: SearchLog (document/product/614/60066), for what functions have logged.

Assumed: the order of records of the same time, and the codes of parameters that contradict.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from itertools import islice
from operator import gt, lt
from typing import TYPE_CHECKING, Any

from image_steward.regions import is_region
from scf_local.cloud.actions import ApiCall, EmulatedAction, Params, Service
from scf_local.cloud.cls import queries
from scf_local.cloud.wire import ErrorReply, require
from scf_local.environment import UIN

if TYPE_CHECKING:
    from scf_local.cloud.cls.model import LogRecord

MAX_LIMIT, DEFAULT_LIMIT = 1000, 100
MAX_BY_CONTEXT = 10_000
CONTEXT_SECONDS = 3600
_INVALID, _VALUE = "InvalidParameter", "InvalidParameterValue"
_NULL = ("ColNames", "AnalysisResults", "AnalysisRecords", "Columns")


def search_log(call: ApiCall) -> dict[str, Any]:
    """Return one page of `Results`, and the `Context` of the next one."""
    params, region, topic = call.params, call.region, _topic(call.params)
    unsupported = "UnsupportedOperation.UnsupportedRegion"
    require(is_region(region), unsupported, f"Region {region!r} is not supported.")
    start, end, sort = params["From"], params["To"], params.get("Sort", "desc")
    limit, offset = params.get("Limit", DEFAULT_LIMIT), params.get("Offset", 0)
    require(start <= end, _VALUE, f"From is {start}, later than To, {end}.")
    require(sort in ("asc", "desc"), _VALUE, f"Sort is {sort!r:.80}; it must be asc or desc.")
    require(1 <= limit <= MAX_LIMIT, _VALUE, f"Limit is {limit}; it must be 1 to {MAX_LIMIT}.")
    require(offset >= 0, _VALUE, f"Offset is {offset}; it must be 0 or more.")
    test = _test(params)
    records = call.state.topics.records.get((region, topic))
    named = [each.settings["ClsTopicId"] for each in call.state.functions.in_region(region)]
    is_known = topic and (records is not None or topic in named)
    message = f"{region} has no topic {topic!r:.80}."
    require(is_known, "ResourceNotFound.TopicNotExist", message)
    context = params.get("Context") or params.get("Topics", [{}])[0].get("Context", "")
    message = "Offset cannot be used with Context, nor with Topics."
    require(not offset or not (context or "Topics" in params), _INVALID, message)
    last, count = _place(call, context)
    is_beyond = gt if sort == "asc" else lt
    found = [
        record
        for record in records or ()
        if start <= record.time < end and (last is None or is_beyond(record.place, last))
    ]
    found.sort(key=lambda record: record.place, reverse=sort == "desc")
    matches = islice((each for each in found if test(each.fields)), offset, None)
    page = list(islice(matches, min(limit, MAX_BY_CONTEXT - count)))
    last = page[-1].place if page else last
    following = _context(call, json.dumps([call.time, last, count + len(page)]))
    infos = {"Errors": [], "Infos": [{"TopicId": topic, "Period": 7, "Context": following}]}
    return {
        "Context": "" if "Topics" in params else following, "Analysis": False, "SamplingRate": 1,
        "Results": [_described(topic, record) for record in page],
        "ListOver": next(matches, None) is None,
        "Topics": infos if "Topics" in params else None, **dict.fromkeys(_NULL),
    }  # fmt: skip


def _topic(params: Params) -> str:
    given = params.get("Topics", [params])
    is_one = ("TopicId" in params) != ("Topics" in params) and bool(given)
    require(is_one, _INVALID, "Either TopicId or Topics must be given.")
    require(len(given) == 1, "UnsupportedOperation", "Several Topics are not emulated, only one.")
    return str(given[0].get("TopicId", ""))


def _test(params: Params) -> queries.Test:
    is_old = "Query" in params
    message = "Query and QueryString cannot be given together."
    require(not (is_old and "QueryString" in params), _INVALID, message)
    name = "SyntaxRule" if is_old else "QuerySyntax"
    syntax = params.get(name, 0 if is_old else 1)
    require(syntax in (0, 1), _VALUE, f"{name} is {syntax}; it must be 0 or 1.")
    return queries.parse(params.get("Query" if is_old else "QueryString", ""), is_cql=syntax == 1)


def _context(call: ApiCall, content: str) -> str:
    """Return the context with a time, the place of the last record, and how many there were.

    It is of use to the same query only.
    """
    rest = {name: value for name, value in call.params.items() if name not in {"Context", "Topics"}}
    text = json.dumps([call.region, _topic(call.params), rest, content], sort_keys=True)
    return b64encode(f"{hashlib.sha256(text.encode()).hexdigest()}{content}".encode()).decode()


def _place(call: ApiCall, context: str) -> tuple[tuple[int, str, int] | None, int]:
    """Return the place of the last record before a page, and how many there were."""
    if not context:
        return None, 0
    code = "FailedOperation.InvalidContext"
    try:
        content = b64decode(context)[64:].decode()
    except ValueError:
        raise ErrorReply(code, "The Context is not one of CLS.") from None
    message = "The Context is of another query: all parameters but Context must stay the same."
    require(context == _context(call, content), code, message)
    issued, place, count = json.loads(content)
    require(call.time - issued <= CONTEXT_SECONDS, code, "The Context has expired.")
    message = f"By Context, there are at most {MAX_BY_CONTEXT} records in all."
    require(count < MAX_BY_CONTEXT, "FailedOperation.GetlogReachLimit", message)
    return place and tuple(place), count


def _described(topic: str, record: LogRecord) -> dict[str, Any]:
    return {
        "Time": record.time, "TimeNanos": record.time % 1000 * 1_000_000, "TopicId": topic,
        "TopicName": "scf", "Source": "10.0.0.1", "FileName": "", "HostName": "",
        "PkgId": record.package, "PkgLogId": str(record.number), "HighLights": None,
        "LogJson": json.dumps(record.fields, ensure_ascii=False), "RawLog": "", "IndexStatus": "",
    }  # fmt: skip


def _resource(call: ApiCall) -> str:
    return f"qcs::cls:{call.region}:uin/{UIN}:topic/{_topic(call.params)}"


_TEXTS = ("TopicId", "QueryString", "Query", "Sort", "Context")
_NUMBERS = ("From", "To", "Limit", "Offset", "QuerySyntax", "SyntaxRule")
_SEARCH = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(_NUMBERS, int),
    "Topics": [{"TopicId": str, "Context": str}],
    "UseNewAnalysis": bool,  # without SQL, it changes nothing
    **dict.fromkeys(("SamplingRate", "HighLight")),
}
SERVICE = Service(
    "2020-10-16",
    {"SearchLog": EmulatedAction(search_log, 10_000, _SEARCH, ("From", "To"), _resource)},
)
