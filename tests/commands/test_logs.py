"""`scf-local replay` of logs: finding events, and comparing the logged outcomes with new ones."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

import cls_export
from conftest import ROOT, SEED
from scf_local.cli import main
from scf_local.environment import FunctionConfig
from scf_local.events import cos_event
from scf_local.invocation import WarmInstance
from scf_local.options import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

BROKEN = """
import gzip
import json
import re
def main_handler(event, context):
    print("Received event: " + json.dumps(event, indent=2))
    size = event["Records"][0]["cos"]["cosObject"]["Size"]
    return {"Outcome": "applied", "Size": size}
"""
FIXED = BROKEN.replace('["Size"]', '["size"]')
PRINTS_REPR = BROKEN.replace(
    'print("Received event: " + json.dumps(event, indent=2))', "print(event)"
)
KEYS = [f"in/ev '{number}' \\ 名.json" for number in range(5)]


@dataclass
class Bench:
    """A folder for versions of a function, and methods to run them."""

    root: Path

    def code(self, name: str, source: str) -> Path:
        """Write a function to a code folder."""
        path = self.root / name / "index.py"
        path.parent.mkdir()
        path.write_text(source, encoding="utf-8")
        return path.parent

    def exported(
        self, code: Path, events: Iterable[object], **variables: str
    ) -> list[cls_export.Fields]:
        """What CLS exports for runs of the code, a second apart, newest first."""
        log: list[bytes] = []
        records: list[cls_export.Fields] = []
        with serving(SEED, None) as environ:
            function = FunctionConfig(code, variables=variables, cloud=environ)
            with WarmInstance(function, log.append) as instance:
                for number, event in enumerate(events):
                    log.clear()
                    done = instance.invoke(event)
                    start = cls_export.BEGIN + number
                    records += cls_export.fields(b"".join(log), done, start)
        return cls_export.newest_first(records)

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.root / name
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A folder to work in."""
    return Bench(tmp_path)


def replay(*arguments: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


def documents(*arguments: object) -> list[dict[str, Any]]:
    """The entries of the command's JSON output."""
    entries: list[dict[str, Any]] = json.loads(replay("--json", *arguments).stdout)
    return entries


@pytest.mark.parametrize("source", [BROKEN, PRINTS_REPR], ids=["json", "repr"])
@pytest.mark.parametrize(("name", "form"), cls_export.FORMS.items(), ids=[*cls_export.FORMS])
def test_five_failed_events_become_five_fixed_ones(
    bench: Bench, source: str, name: str, form: Callable[..., str]
) -> None:
    """All five failed events of an export are replayed in order, and the fix shows in each."""
    events = [cos_event("b-1250000000", key) for key in KEYS]
    records = bench.exported(bench.code("broken", source), events)
    export = bench.write(name, form(records))
    fixed = bench.code("fixed", FIXED)
    if source == BROKEN:
        result = replay(export, "--code", fixed)
        assert result.exit_code == 0, result.output
        assert result.stdout.endswith(
            "5 of 5 events as expected\n5 of 5 events ended differently than the log says\n"
        )
        assert result.stdout.count("raised KeyError → applied") == 5
    entries = documents(export, "--code", fixed)
    ids = list(dict.fromkeys(record["SCF_RequestId"] for record in reversed(records)))
    assert [entry["Then"]["RequestId"] for entry in entries] == ids
    assert [entry["Event"] for entry in entries] == [f"{export}:{request_id}" for request_id in ids]
    assert all(entry["Then"]["Error"] == "KeyError: 'Size'" for entry in entries)
    assert all(entry["Changed"] and entry["Outcome"] == "applied" for entry in entries)


def test_unfixed_failures(bench: Bench) -> None:
    """Without a fix, each event ends as before, and the replay fails."""
    broken = bench.code("broken", BROKEN)
    records = bench.exported(broken, [cos_event("b-1250000000", key) for key in KEYS])
    export = bench.write("export.csv", cls_export.as_csv(records))
    result = replay(export, "--code", broken)
    assert result.exit_code == 1
    assert result.stdout.endswith(
        "0 of 5 events as expected\n0 of 5 events ended differently than the log says\n"
    )
    assert [*re.findall("│ (raised) .*│ no  *│ yes ", result.stdout)] == ["raised"] * 5


def test_events_are_recovered_exactly(bench: Bench) -> None:
    """The event that is replayed equals the one that was printed."""
    events = [cos_event("b-1250000000", key) for key in KEYS]
    records = bench.exported(bench.code("broken", PRINTS_REPR), events)
    echo = bench.code("echo", "def main_handler(event, context):\n    return event\n")
    export = bench.write("export.csv", cls_export.as_csv(records))
    assert [entry["Result"] for entry in documents(export, "--code", echo)] == events


@pytest.mark.parametrize("name", ["export.jsonl", "export.csv", "console.log"])
def test_our_own_log_is_enough_for_uploads(bench: Bench, name: str) -> None:
    """Image Steward prints no event; its uploads are rebuilt from its log and end the same."""
    paths = sorted((ROOT / "events").glob("0*.json"))
    events = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    cos = [event for event in events if "Records" in event]
    records = bench.exported(ROOT / "handler", events, STEWARD_LOG_LEVEL="DEBUG")
    export = bench.write(name, cls_export.FORMS[name](records))
    result = replay("--json", export)
    assert result.exit_code == 1  # rejections are failures, in the log and in the replay
    entries = json.loads(result.stdout)
    assert len(entries) == len(cos) + 1
    assert not any(entry["Changed"] for entry in entries)
    problems = [line for line in result.stderr.splitlines() if "cannot be replayed" in line]
    assert len(problems) == len(events) - len(cos) - 1  # the timer's pointer is in the log
    assert all("a direct call" in line for line in problems)
    assert [entry["Result"]["Trigger"] for entry in entries].count("timer") == 1
    bad, twice, missing = entries[-3:]
    assert [entry["Then"]["Codes"] for entry in (bad, twice, missing)] == [
        ["InvalidDocument"],
        ["InvalidJSON"],
        ["ObjectNotFound"],
    ]


def test_fixed_permission_shows(bench: Bench) -> None:
    """An event that failed without a permission shows what it does with the permission."""
    events = [cos_event("manifests-1250000000", "requests/rename.json") for _ in range(5)]
    records = bench.exported(ROOT / "handler", events, STEWARD_SOURCES="other-1250000000/x/")
    export = bench.write("export.jsonl", cls_export.as_lines(records))
    result = replay(export)
    assert result.exit_code == 0
    assert "5 of 5 events ended differently than the log says" in result.stdout
    first, second, *_ = documents(export)
    assert first["Differences"] == [
        "rejected → applied",
        "SourceNotAllowed → no code",
        "ap-guangzhou/img-6pb6lrmy: untouched → changed",
    ]
    assert second["Differences"] == first["Differences"][:2]  # the image is renamed already


def test_retried_event_is_replayed_once(bench: Bench) -> None:
    """An event with three attempts is replayed once, and compared with the last one."""
    code = bench.code("broken", BROKEN)
    records = bench.exported(code, [cos_event("b-1250000000", "k")])
    retries = [
        {
            **record,
            "SCF_RetryNum": str(retry),
            "SCF_LogTime": f"{int(record['SCF_LogTime']) + retry * 60 * 10**9}",
        }
        for retry in range(3)
        for record in records
    ]
    export = bench.write("export.jsonl", cls_export.as_lines(cls_export.newest_first(retries)))
    (entry,) = documents(export, "--code", code)
    assert (entry["Then"]["Attempts"], entry["Then"]["Outcome"]) == (3, "raised")


def test_printed_fields_are_found(bench: Bench) -> None:
    """An event is also found if CLS split the printed JSON object into fields."""
    event = cos_event("b-1250000000", "k")
    record = {"SCF_RequestId": "r-1", "SCF_StartTime": "1764000000000", "__TAG__": "{}"}
    records = [{**record, "Records": json.dumps(event["Records"])}, record]
    export = bench.write("export.jsonl", cls_export.as_lines(records))
    echo = bench.code("echo", "def main_handler(event, context):\n    return event\n")
    (entry,) = documents(export, "--code", echo)
    assert entry["Result"] == event
    assert (entry["Then"]["Outcome"], entry["Changed"]) == ("unknown", False)


def test_runs_of_several_functions(bench: Bench) -> None:
    """If functions share a topic, their names are listed, and `--only` selects one."""
    code = bench.code("broken", BROKEN)
    records = bench.exported(code, [cos_event("b-1250000000", key) for key in KEYS[:2]])
    first = records[0]["SCF_RequestId"]
    for record in records:
        if record["SCF_RequestId"] == first:
            record["SCF_FunctionName"] = "other"
    export = bench.write("export.jsonl", cls_export.as_lines(records))
    result = replay("--list", export)
    assert (
        "runs of 2 functions: other, steward; use --only other to replay those of one"
        in result.stderr
    )
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["1", "2"]
    (entry,) = documents("--list", "--only", "other", export)
    assert entry["Then"]["RequestId"] == first


def test_truncated_line_of_an_export(bench: Bench) -> None:
    """A line that is not JSON is reported with its number, and the others are replayed."""
    records = bench.exported(bench.code("broken", BROKEN), [cos_event("b-1250000000", "k")])
    lines = cls_export.as_lines(records)
    export = bench.write("export.jsonl", f'{lines}{{"SCF_Message": "cu\n\n')
    result = replay("--list", export)
    assert f"{export}:{len(records) + 1}:" in result.stderr
    assert "not JSON" in result.stderr
    assert result.stdout.count("raised  KeyError: 'Size'") == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "a,b\n1,2\n", "the header row lacks SCF_Message and SCF_RequestId"),
        ("a.csv", "", "the header row lacks SCF_Message"),
        (
            "a.csv",
            'SCF_RequestId,SCF_Message\nr,"cut',
            "a.csv: not CSV after line 1: unexpected end",
        ),
        ("a.csv", 'SCF_RequestId,"SCF_Message', "a.csv: not CSV after line 0: unexpected end"),
        ("a.json", '{"SCF_RequestId": 1, "SCF_', "a.json:1:22: not JSON"),
        (
            "a.log",
            "something\n",
            "1:1: not JSON: expecting value; nor is it a log: no line has a request id",
        ),
        (
            "a.log",
            "START RequestId:r-1\nhello\nEND RequestId:r-1\n",
            "the function printed no event",
        ),
        ("a.log", '{"event": "cut', "no line has a request id"),
        ("a.json", '{"a": 1}\n{"a": 2}\n', "a.json:2:1: not JSON: extra data"),
        ("a.json", "", "a.json:1:1: not JSON"),
    ],
)
def test_files_without_events(bench: Bench, name: str, text: str, message: str) -> None:
    """A file without events is wrong usage, and the error says what is missing."""
    result = replay(bench.write(name, text))
    assert result.exit_code == 2
    assert message in result.stderr


def test_export_that_was_cut_at_its_start(bench: Bench) -> None:
    """The rest of an export is replayed, even if its first line is not JSON any more."""
    event = cos_event("b-1250000000", "k")
    records = bench.exported(bench.code("broken", BROKEN), [event, event])
    for name in ("export.jsonl", "export.csv", "download"):
        result = replay("--list", bench.write(name, cls_export.as_lines(records)[30:]))
        assert f"{name}:1:1: not JSON" in result.stderr
        assert result.stdout.count("raised  KeyError: 'Size'") == 2


def test_printed_environment(bench: Bench) -> None:
    """A log is still read as text if the function prints SCF's variables as JSON."""
    code = BROKEN.replace(
        "def main_handler(event, context):",
        "import os\ndef main_handler(event, context):\n    print(json.dumps(dict(os.environ)))",
    )
    records = bench.exported(bench.code("broken", code), [cos_event("b-1250000000", "k")])
    result = replay("--list", bench.write("console.log", cls_export.as_text(records)))
    assert result.stdout.count("raised  KeyError: 'Size'") == 1
    assert not result.stderr


def test_csv_with_any_file_name(bench: Bench) -> None:
    """CSV is recognised by its header; a message may have commas, quotes and newlines."""
    event = cos_event("b-1250000000", "k")
    message = json.dumps(event, indent=1).replace('"', '""')
    text = f'SCF_RequestId,SCF_Message,SCF_StartTime\nr-1,"{message}",1764000000000\n'
    result = replay("--list", "--json", bench.write("download", text))
    (entry,) = json.loads(result.stdout)
    assert entry["Trigger"] == "cos"
    assert entry["Then"]["StartTime"] == "2025-11-24T16:00:00.000Z"


def test_runs_that_cannot_be_replayed(bench: Bench) -> None:
    """Each run without an event in the log is reported on a line with its outcome."""
    records = bench.exported(
        bench.code("silent", "def main_handler(event, context):\n    raise ValueError\n"), [1, 2]
    )
    records += bench.exported(bench.code("broken", BROKEN), [cos_event("b-1250000000", "k")])
    result = replay("--list", bench.write("export.jsonl", cls_export.as_lines(records)))
    assert result.exit_code == 0
    assert (
        result.stderr.count("(outcome raised) cannot be replayed: the function printed no event")
        == 2
    )
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.parametrize("encode", cls_export.ENCODINGS.values(), ids=cls_export.ENCODINGS)
def test_files_in_any_encoding(bench: Bench, encode: Callable[[str], bytes]) -> None:
    """Logs, events and expected outcomes may be compressed, or UTF-16 as PowerShell writes it."""
    event = cos_event("b-1250000000", "名")
    records = bench.exported(bench.code("broken", BROKEN), [event])
    for name, form in cls_export.FORMS.items():
        (bench.root / name).write_bytes(encode(form(records)))
        assert replay("--list", bench.root / name).stdout.count("raised  KeyError: 'Size'") == 1
    echo = bench.code("echo", "def main_handler(event, context):\n    return event\n")
    folder = bench.root / "events"
    folder.mkdir()
    (folder / "a.json").write_bytes(encode(json.dumps(event)))
    (folder / "b.jsonl").write_bytes(encode(json.dumps(event) + "\n"))
    (folder / "expected.json").write_bytes(encode('{"a.json": {"Outcome": "returned"}}'))
    assert [entry["Result"] for entry in documents(folder, "--code", echo)] == [event] * 2
    arguments = ["invoke", str(folder / "a.json"), "--code", str(echo), "--region", "ap-beijing"]
    assert json.loads(CliRunner().invoke(main, arguments).stdout) == event
    (bench.root / "message").write_bytes(encode('{"a": "名"}'))
    arguments = ["event", "timer", "--message", f"@{bench.root / 'message'}"]
    assert json.loads(CliRunner().invoke(main, arguments).stdout)["Message"] == '{"a": "名"}'


PACKED = gzip.compress(json.dumps(cos_event("b-1250000000", "k")).encode(), mtime=0)


@pytest.mark.parametrize("command", [["replay"], ["invoke"], ["undo"], ["invoke", "--faults"]])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PACKED[:-9], "gzip that is damaged or cut off"),
        (PACKED[:20] + b"\x00" * 9 + PACKED[29:], "gzip that is damaged or cut off"),
        (PACKED + b"x", "gzip that is damaged or cut off"),
        (b"\x1f\x8b", "gzip that is damaged or cut off"),
        (gzip.compress(b"0" * 2001, mtime=0), "unpacks to more than 0 MB"),
    ],
)
def test_damaged_gzip(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    data: bytes,
    message: str,
) -> None:
    """Gzip that is damaged, cut off or too large once unpacked is wrong usage."""
    monkeypatch.setattr("scf_local.json_files._MAX_UNPACKED", 2000)
    file = bench.root / "packed.json"
    file.write_bytes(data)
    result = CliRunner().invoke(main, [*command, str(file)], input="{}")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_reply_of_invoke(bench: Bench) -> None:
    """A reply of SCF's API action Invoke is a run: its log has the event, `RetMsg` the result."""
    event = cos_event("b-1250000000", "k")
    log = f"START RequestId:r-1\n{json.dumps(event)}\nEND RequestId:r-1\n"
    good = {
        "FunctionRequestId": "r-1",
        "RetMsg": '{"Outcome": "partial"}',
        "ErrMsg": "",
        "Log": log,
    }
    failed = f"ERROR RequestId:r-1 Result:{json.dumps({'stackTrace': 'KeyError: 1'})}\n"
    bad = {**good, "RetMsg": "", "ErrMsg": "it failed", "Log": log + failed}
    for result, outcome in ((good, "partial"), (bad, "raised")):
        reply = {"Response": {"Result": result, "RequestId": "x"}}
        (entry,) = documents("--list", bench.write("reply.json", json.dumps(reply, indent=1)))
        assert (entry["Trigger"], entry["Then"]["Outcome"]) == ("cos", outcome)
        assert entry["Then"]["RequestId"] == "r-1"
    tail = bench.write("reply.json", json.dumps({"Result": {**good, "Log": "cut"}}))
    assert "run r-1 (outcome partial) cannot be replayed" in replay("--list", tail).stderr


STEWARD_LINE = '{"Time": "2026", "Level": "INFO", "Event": "run.started", "RequestId": "r-1"}'


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.txt"])
@pytest.mark.parametrize(
    "value",
    [
        {"Response": {"Error": {"Code": "AuthFailure", "Message": "m"}, "RequestId": "r"}},
        {"Response": {"TotalCount": 1, "Data": [{"RetMsg": "{}"}], "RequestId": "r"}},
        {"Response": {"Results": [], "AnalysisRecords": ['{"count": 5}'], "RequestId": "r"}},
        {"Results": None, "AnalysisResults": [{"Data": [{"Key": "count", "Value": 5}]}]},
        {"Time": 1, "LogJson": '{"level": "INFO"}'},
        {"Time": 1, "RawLog": "printed"},
        {"RetMsg": "{}", "ErrMsg": ""},
        {"__CONTENT__": "printed"},
        {"Result": {"RetMsg": "{}", "FunctionRequestId": "r-1", "ErrMsg": ""}, "RequestId": "r"},
        {"Context": "", "ListOver": True, "Analysis": False, "Results": [], "RequestId": "r"},
        {"Context": "", "ListOver": True, "Analysis": False, "Results": None, "RequestId": "r"},
        {"TotalCount": 0, "Data": [], "SearchContext": {"Offset": ""}, "RequestId": "r"},
        {"Error": {"Code": "AuthFailure", "Message": "m"}, "RequestId": "r"},
        {"LogContextInfos": [{"Content": "x", "PkgId": "1"}], "RequestId": "r"},
        {"TotalCount": 0, "ImageSet": [], "RequestId": "r"},
        {"HistogramInfos": [], "RequestId": "r"},
        {"Response": {"Results": []}},
        {"RequestId": "r"},
    ],
)
def test_reply_without_log_is_not_an_event(bench: Bench, name: str, value: object) -> None:
    """A reply of the API that has no records, or a part of one, is never replayed as an event."""
    for text in (json.dumps(value), f"{json.dumps(value)}\n{json.dumps(value)}"):
        result = replay("--list", bench.write(name, text))
        assert (result.exit_code, result.stdout) == (2, "")
    if name == "a.jsonl":
        assert "1: not an event, but a reply of the cloud's API or part" in result.stderr


@pytest.mark.parametrize(
    "line",
    [
        STEWARD_LINE,
        json.dumps({"content": "START RequestId:r-1"}),
        json.dumps({"SCF_RequestId": "r-1", "SCF_Message": "x"}),
    ],
)
@pytest.mark.parametrize("before", [["cut"], ["[1]"], ["{}"] * 60])
def test_log_line_is_not_an_event(bench: Bench, line: str, before: list[str]) -> None:
    """A line of a log is never replayed as an event, whatever the first lines are."""
    result = replay("--list", bench.write("a.jsonl", "\n".join([*before, line])))
    assert (result.exit_code, result.stdout) == (2, "")


def test_records_without_a_request_id(bench: Bench) -> None:
    """If an export lacks the request ids, the message names the missing field."""
    record = json.dumps({"SCF_Message": str(cos_event("b-1250000000", "k"))})
    result = replay("--list", bench.write("a.jsonl", record))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no record has a request id; export SCF_RequestId too" in result.stderr


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.txt"])
def test_pretty_events(bench: Bench, name: str) -> None:
    """Events on several lines each, as `jq .` prints them, are read in order."""
    events = [cos_event("b-1250000000", key) for key in KEYS]
    echo = bench.code("echo", "def main_handler(event, context):\n    return event\n")
    file = bench.write(name, "".join(json.dumps(event, indent=2) + "\n" for event in events))
    assert [entry["Result"] for entry in documents(file, "--code", echo)] == events


def test_result_is_not_an_event(bench: Bench) -> None:
    """A result of Image Steward, as printed or in the journal, is never replayed as an event."""
    result = {"RequestId": "r-1", "Trigger": "cos", "Outcome": "applied", "Images": []}
    for name in ("a.json", "20260101T000000Z-result.json"):
        replayed = replay("--list", bench.write(name, json.dumps(result)))
        assert (replayed.exit_code, replayed.stdout) == (2, "")
        assert "a result, not an event; use `scf-local undo`, or replay its" in replayed.stderr


def test_event_with_members_of_a_reply(bench: Bench) -> None:
    """A direct event may have members that a reply has, too."""
    events = [{"Results": []}, {"Data": [], "RequestId": "r"}, {"Outcome": "x", "RequestId": "r"}]
    listed = replay("--list", bench.write("a.json", json.dumps(events)))
    assert listed.stdout.count("direct") == 3, listed.output


RUN = "r-1"
SOURCE = "cos://manifests-1250000000/requests/a.json"
FORGED_EVENT = (
    "{'Records':[{'cos':{'cosBucket':{'name':'evil','appid':'1'},'cosObject':{'key':'k'}},"
    "'event':{'eventName':'cos:ObjectCreated:Put'}}]}"
)


def _line(event: str, run: str = RUN, level: str = "INFO", **fields: object) -> str:
    head = {"Time": "2026-01-01T00:00:00.000Z", "Level": level, "Event": event, "RequestId": run}
    return json.dumps({**head, **fields}, separators=(",", ":"))


def _text(*lines: str, run: str = RUN) -> str:
    start, end = (
        f"START RequestId:{run}",
        f"END RequestId:{run}\nReport RequestId:{run} Duration:5ms",
    )
    return "\n".join([start, *lines, end, ""])


@pytest.mark.parametrize("is_finished", [True, False])
@pytest.mark.parametrize("form", ["reply", "text", "records"])
def test_description_is_not_an_event(bench: Bench, form: str, *, is_finished: bool) -> None:
    """No event is taken from the rest of a line of Image Steward whose beginning is cut off."""
    after = {"ImageDescription": FORGED_EVENT}
    cut = _line("image.changed", Source="direct", ImageId="img-a", After=after)[100:]
    finished = _line("run.finished", Trigger="direct", Outcome="applied")
    lines = [cut, finished] if is_finished or form != "reply" else [cut]
    log = "\n".join([*lines, *_text().split("\n")[1:]])
    reply = {"FunctionRequestId": RUN, "RetMsg": '{"Outcome": "applied"}', "ErrMsg": "", "Log": log}
    text = {
        "reply": json.dumps({"Response": {"Result": reply, "RequestId": "x"}}),
        "text": _text(*lines),
        "records": "\n".join(
            json.dumps({"SCF_RequestId": RUN, "SCF_Message": line}) for line in lines
        ),
    }[form]
    result = replay("--list", bench.write("a.log", text))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be replayed" in result.stderr


def _keys(event: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    return [record["cos"]["cosObject"]["key"].split("/", 3)[-1] for record in event["Records"]]


@pytest.mark.parametrize("key", ["requests/a.json ap-shanghai", "requests/a.json"])
def test_key_that_ends_with_a_region(bench: Bench, key: str) -> None:
    """The region after the source of a rejected policy is no part of it; one in a key is."""
    source = f"cos://manifests-1250000000/{key}"
    log = bench.write("a.log", _text(
        _line("run.started", Source=source),
        _line("document.rejected", Source=source, Code="InvalidJSON"),
        _line("document.rejected", Source=f"{source} ap-beijing", Code="NotFound"),
        _line("run.finished", Trigger="cos", Outcome="rejected"),
    ))  # fmt: skip
    echo = bench.code("echo", "def main_handler(event, context):\n    return event\n")
    (entry,) = documents(log, "--code", echo)
    assert _keys(entry["Result"]) == [key]


def test_source_that_was_cut(bench: Bench) -> None:
    """A source that the function's logger has cut does not become a document of the event."""
    log = bench.write("a.log", _text(
        _line("run.started", Source=SOURCE),
        _line("image.before", Source=f"{SOURCE[:30]}…", Cut=["Source", "Undo"], Undo="…"),
        _line("run.finished", Trigger="cos", Outcome="applied"),
    ))  # fmt: skip
    echo = bench.code("echo", "def main_handler(event, context):\n    return event\n")
    (entry,) = documents(log, "--code", echo)
    assert _keys(entry["Result"]) == ["requests/a.json"]


def test_run_within_the_error_of_another(bench: Bench) -> None:
    """A run that may be text of an error is not replayed, but reported."""
    error = f"ERROR RequestId:{RUN} Result:" + json.dumps({"statusCode": 430, "stackTrace": "x"})
    inner = _text(_line("run.started", "r-2", Source=SOURCE.replace("a.json", "b.json")), run="r-2")
    log = _text(_line("run.started", Source=SOURCE), error, inner.strip())
    result = replay("--list", bench.write("a.log", log))
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)
    assert "run r-2 begins within the text of run r-1; not replayed" in " ".join(
        result.stderr.split()
    )
