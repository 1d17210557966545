"""Text that others control: in logs, it forges no line and hides none; terminals do not obey it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given
from hypothesis import strategies as st

import cls_export
from clocks import FakeClock
from conftest import ROOT, SEED
from image_steward.reporting.log import Log, Secrets
from scf_local import log_records, undo
from scf_local.cli import main
from scf_local.environment import FunctionConfig
from scf_local.events import cos_event
from scf_local.invocation import InvocationResult, WarmInstance
from scf_local.options import serving
from scf_local.terminal_text import escaped

if TYPE_CHECKING:
    from pathlib import Path

RUN = "4f9c2d1e-0000-4000-8000-000000000001"
HEAD = {"Time": "2026-01-01T00:00:00.000Z", "Level": "INFO"}
FORGED = json.dumps(
    {**HEAD, "Event": "image.before", "RequestId": RUN,
     "Undo": {"Region": "ap-guangzhou", "ImageId": "img-x", "ImageName": "forged"}}
)  # fmt: skip
FINISHED = json.dumps({**HEAD, "Event": "run.finished", "RequestId": RUN, "Outcome": "applied"})
UNSAFE = "".join(
    map(chr, [*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x61C, 0x200B, 0x200E, 0x200F, 0x2028,
              0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF, 0xE0041])
)  # fmt: skip

FRAGMENTS = st.sampled_from([
    FORGED, FINISHED, "\n", "\r", "\u2028", "\x85", '"', "\\", "}", "{", '"}', '"}}\n', "\\n",
    "Traceback (most recent call last):\n", "\nERROR RequestId:other Result:{}\n",
    "\nEND RequestId:other\nReport RequestId:other Duration:1ms\n", "\nSTART RequestId:other\n",
    '{"SCF_RequestId": "r", "SCF_Message": "x"}', "SCF_RequestId,SCF_Message\n", "image.before",
])  # fmt: skip
TEXTS = st.lists(FRAGMENTS | st.text(max_size=5), max_size=6).map("".join)
RECORD = json.dumps({"SCF_RequestId": RUN, "SCF_Message": FORGED})
RAW = f"bad key\n{FORGED}\n{FINISHED}\n"


def _log(text: str, error: str) -> list[cls_export.Fields]:
    """The records of a run whose strings, except its images' names, are all `text`."""
    stream = io.StringIO()
    log = Log(stream, FakeClock(), Secrets({}, set()), RUN)
    entry = {"Region": "ap-guangzhou", "ImageId": "img-a", "ImageName": "a"}
    log.info("run.started", Source=f"cos://b-1/{text}", Trigger="cos")
    log.always("image.before", Source=text, Undo=entry)
    log.warning("image.failed", ImageId="img-a", Region="ap-x", Message=text, Before={"Name": text})
    log.always("image.before", Source=text, Undo={**entry, "ImageId": "img-b"})
    log.info("run.finished", Outcome="partial", Summary={text: text})
    frame = [f"START RequestId:{RUN}\n", stream.getvalue(), error, f"END RequestId:{RUN}\n",
             f"Report RequestId:{RUN} Duration:5ms\n"]  # fmt: skip
    result = InvocationResult(RUN, 200, 5.0, 30.0, result={"Message": text, "Key": {text: text}})
    return cls_export.fields("".join(frame).encode("utf-8", "replace"), result)


def _json_error(text: str) -> str:
    error = {"errorMessage": text, "stackTrace": f"Traceback …\nKeyError: {text}"}
    return f"ERROR RequestId:{RUN} Result:{json.dumps({**error, 'statusCode': 430})}\n"


def _is_same(read: undo.Undo) -> bool:
    return [entry["ImageId"] for entry in read.entries] == ["img-b", "img-a"]


@pytest.mark.parametrize("name", cls_export.FORMS)
@given(text=TEXTS)
@example(text=RAW)
@example(text=f"\n{FORGED}")
@example(text=f'"}}\n{FORGED}')
def test_no_text_adds_or_removes_a_line(name: str, text: str) -> None:
    """Whatever a key, a message or a name contains, `undo` reads the same lines, and no problem."""
    exported = cls_export.FORMS[name](_log(text, _json_error(text)))
    read = undo.read(exported.encode("utf-8", "backslashreplace"), name=name)
    assert _is_same(read)
    assert not read.problems


@pytest.mark.parametrize("name", cls_export.FORMS)
@pytest.mark.parametrize(
    "before", ['ERROR RequestId:{} Result:{{"a": "', "Traceback (most recent call last):\n"]
)
@given(text=TEXTS)
@example(text=RAW)
@example(text=f'"}}\n{FORGED}')
@example(text="\0")
@example(text=f"\nEND RequestId:other\nSTART RequestId:other\n{FORGED}\n")
def test_no_line_break_in_an_error_adds_or_removes_a_line(
    name: str, before: str, text: str
) -> None:
    """Even if the platform prints an error's text with its line breaks, nothing in it is undone."""
    raised = f"{before.format(RUN)}{text}\n"
    exported = cls_export.FORMS[name](_log("x", raised if name == "console.log" else ""))
    records = _log("x", "")
    if name != "console.log":  # other forms keep the lines of a message together
        records[-2:-2] = [{**records[-1], "SCF_Message": raised}]
        exported = cls_export.FORMS[name](records)
    assert _is_same(undo.read(exported.encode("utf-8", "backslashreplace"), name=name))


@pytest.mark.parametrize(
    "text",
    [
        f'START RequestId:{RUN}\nERROR RequestId:{RUN} Result:{{"a": "\n{FORGED}',
        f"Traceback (most recent call last):\n  File\nKeyError: '\n{FORGED}\n'",
        f"2026-01-01 00:00:00 Traceback (most recent call last):\n{FORGED}",
        f"{FINISHED}\nTraceback (most recent call last):\nKeyError: '\n{FORGED}\n'",
        f"{FINISHED}\nTraceback (most recent call last):\nKeyError: '\n{RECORD}\n{FORGED}\n'",
        f"prefix {FORGED}",
        f"{FORGED} suffix",
        f"'{FORGED}'",
    ],
)
def test_forged_line_is_reported(text: str) -> None:
    """A line that is not certain to be the function's own is not undone, but reported."""
    read = undo.read(text.encode())
    assert (read.entries, bool(read.problems)) == ([], True)
    assert "img-x" not in str(list(log_records.steward_lines(log_records.from_text(text))))


def test_lines_after_an_error_that_ends() -> None:
    """Without SCF's `END`, as after `grep`, lines after a whole error are still read."""
    filtered = f"{_json_error('x')}{FORGED}\n"
    read = undo.read(filtered.encode())
    assert ([entry["ImageId"] for entry in read.entries], read.problems) == (["img-x"], [])


RAISES = """
def main_handler(event, context):
    print(event["Text"])
    raise ValueError("bad key " + event["Text"])
"""


def _exported(code: Path, event: object) -> list[cls_export.Fields]:
    log: list[bytes] = []
    with (
        serving(SEED, None) as environ,
        WarmInstance(FunctionConfig(code, cloud=environ), log.append) as instance,
    ):
        done = instance.invoke(event)
    return cls_export.fields(b"".join(log), done)


@pytest.mark.parametrize("name", cls_export.FORMS)
def test_key_with_a_forged_line(tmp_path: Path, name: str) -> None:
    """An upload whose key contains a log line leaves nothing to undo, in any form of its log."""
    event = cos_event("manifests-1250000000", f"requests/a\n{FORGED}\n{FINISHED}.json")
    records = _exported(ROOT / "handler", event)
    log = tmp_path / name
    log.write_text(cls_export.FORMS[name](records), "utf-8")
    result = CliRunner().invoke(main, ["undo", str(log)])
    assert (result.exit_code, result.stdout) == (2, "")
    listed = CliRunner().invoke(main, ["replay", "--list", "--json", str(log)])
    (run,) = json.loads(listed.stdout)
    assert run["Then"]["Outcome"] != "applied"


def _commands(tmp_path: Path, text: str) -> list[Result]:
    """Outputs of each command that shows text which others control."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "index.py").write_text(RAISES)
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"Text": text, "Records": [{"cos": {}, "event": {}}]}))
    failing = [["invoke", str(event)], ["replay", str(event)], ["replay", "--json", str(event)],
               ["replay", "--cold", "--logs", str(event)]]  # fmt: skip
    results = [CliRunner().invoke(main, [*args, "--code", str(code)]) for args in failing]
    (code / "index.py").write_text("def main_handler(event, context): return event")
    results.append(CliRunner().invoke(main, ["invoke", str(event), "--code", str(code)]))
    assert json.loads(results[-1].stdout)["Text"] == text
    plan = {"DryRun": True, "Outcome": text, "Summary": {text: 5}, "Images": [
        {"Status": text, "Region": text, "ImageId": text, "Before": {text: text}, "Reason": text}
    ], "Errors": [{"Code": text, "Message": text, "Path": text}]}  # fmt: skip
    (code / "index.py").write_text(f"def main_handler(event, context): return {plan}")
    results.append(CliRunner().invoke(main, ["invoke", str(event), "--code", str(code)]))
    results += [
        CliRunner().invoke(main, ["plan", str(event), "--code", str(code), *args])
        for args in ([], ["--all"], ["--json"], ["-o", str(tmp_path / "plan.json")])
    ]
    table = f"ImageId,ImageName,{text}\nimg-a,{text},{text}\n".replace("\0", "")
    results.append(CliRunner().invoke(main, ["request"], input=table))
    line = {**HEAD, "Event": "image.before", "RequestId": text,
            "Undo": {"Region": "ap-x", "ImageId": "img-a", "ImageDescription": text}}  # fmt: skip
    cut = {**line, "Undo": text, "Cut": ["Undo"]}
    log = "".join(f"{json.dumps(each)}\n" for each in (line, cut))
    results += [
        CliRunner().invoke(main, ["undo", *args], input=log)
        for args in ([], ["--request-id", text], ["--request-id", text[::-1]])
    ]
    finished = {
        **line,
        "Event": "run.finished",
        "Trigger": "timer",
        "Outcome": text,
        "Source": text,
    }
    log_file = tmp_path / "a.log"
    log_file.write_text(f"START RequestId:r\n{json.dumps(finished)}\n{text}\n", "utf-8")
    results.append(CliRunner().invoke(main, ["replay", "--list", str(log_file)]))
    log_file.write_text(f"START RequestId:r\n{event.read_text()}\n{text}\n", "utf-8")
    results.append(CliRunner().invoke(main, ["replay", "--list", str(log_file)]))
    return results


def test_terminals_get_no_control_characters(tmp_path: Path) -> None:
    """No command prints a control, bidirectional or invisible character that others wrote."""
    results = _commands(tmp_path, f"名 é {UNSAFE} z")
    outputs = [output for result in results for output in (result.stdout, result.stderr)]
    assert [sorted(set(UNSAFE) & set(output)) for output in outputs] == [[]] * len(outputs)
    assert all(isinstance(result.exception, (SystemExit, type(None))) for result in results)
    assert sum("é" in output for output in outputs) > 10


def test_log_on_the_terminal_is_still_a_log(tmp_path: Path) -> None:
    """What `invoke` prints to stderr can be undone, with every character of the values."""
    entry = {"Region": "ap-x", "ImageId": "img-a", "ImageDescription": UNSAFE[9:].strip()}
    line = json.dumps({**json.loads(FORGED), "Undo": entry}, ensure_ascii=False)
    printed = f"{line!r}.replace({RUN!r}, context['request_id'])"
    (tmp_path / "index.py").write_text(f"def main_handler(event, context):\n    print({printed})")
    saved = CliRunner().invoke(main, ["invoke", "--code", str(tmp_path)], input="{}").stderr
    assert json.loads(CliRunner().invoke(main, ["undo"], input=saved).stdout) == {"Images": [entry]}


@given(value=st.recursive(st.text() | st.none(), lambda inner: st.dictionaries(st.text(), inner)))
@example(value=UNSAFE)
def test_escaped_json_has_the_same_value(value: object) -> None:
    """Escaping changes no JSON value, and leaves nothing that a terminal would obey."""
    text = escaped(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(text) == value
    assert not set(UNSAFE) & set(text)


NOTE = "scf-local: 5 images"


def test_no_value_forges_a_line_on_the_terminal(tmp_path: Path) -> None:
    """A line break in a name, a source or an id of a log begins no line of the commands' output."""
    lines = [
        {**HEAD, "Event": "run.finished", "RequestId": f"{RUN}\n{NOTE}", "Outcome": f"\n{NOTE}",
         "Trigger": trigger, "Source": source}
        for trigger, source in (
            ("timer", f"timer:x\n{NOTE}"), ("cos", f"Records/0\n{NOTE}"), ("cos", f"cos://b-1/k\n{NOTE}"),
        )
    ]  # fmt: skip
    records = [
        {"SCF_RequestId": f"{number}{line['RequestId']}", "SCF_FunctionName": f"f{number}\n{NOTE}",
         "SCF_Message": json.dumps({**line, "RequestId": f"{number}{line['RequestId']}"})}
        for number, line in enumerate(lines)
    ]  # fmt: skip
    log = tmp_path / "a.json"
    log.write_text(json.dumps(records), "utf-8")
    run = f"9{RUN}\n{NOTE}"
    before = {**json.loads(FORGED), "RequestId": run}
    (tmp_path / "b.json").write_text(
        json.dumps({"SCF_RequestId": run, "SCF_Message": json.dumps(before)})
    )
    (tmp_path / "index.py").write_text("def main_handler(event, context): raise ValueError")
    commands = [
        ["replay", "--list", str(log)],
        ["replay", "--list", str(tmp_path / "b.json")],
        ["replay", "--logs", "--code", str(tmp_path), str(log)],
        ["replay", "--list", str(log), "--only", f"f1\n{NOTE}x".replace("\n", "")],
        ["undo", str(tmp_path / "b.json")],
        ["undo", str(tmp_path / "b.json"), "--request-id", run[1:].replace("\n", "")],
    ]
    results = [CliRunner().invoke(main, command) for command in commands]
    outputs = [result.stdout + result.stderr for result in results]
    assert [NOTE in output.splitlines() for output in outputs] == [False] * len(outputs)
    assert [NOTE in output for output in outputs] == [True] * len(outputs), outputs
