"""`scf-local undo`: from made-up logs to the document that undoes the logged changes."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import tracemalloc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

import cls_export
from cls_export import ENCODINGS
from conftest import ROOT
from image_steward import registry
from image_steward.model import ChangeRequest
from image_steward.settings import Settings
from scf_local import json_files, log_records, undo
from scf_local.cli import main
from scf_local.console import copied_input
from scf_local.invocation import InvocationResult
from scf_local.log_records import from_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = b"START RequestId:r-1\n"
END = b"END RequestId:r-1\nReport RequestId:r-1 Duration:5ms Memory:128MB MemUsage:30.000000MB\n"


def _line(image_id: str = "img-a", run: str = "r-1", time: str = "", **members: object) -> bytes:
    """A line as the function logs it; one with a `time` sorts after those without."""
    entry = {"Region": "ap-guangzhou", "ImageId": image_id, **members}
    return _event({"Time": f"2026-01-01T00:00:00{time}", "RequestId": run, "Undo": entry})


def _event(fields: dict[str, Any]) -> bytes:
    head = {"Level": "INFO", "Event": "image.before", "Source": "direct"}
    return json.dumps({**head, **fields}, ensure_ascii=False).encode() + b"\n"


def _undo(*lines: bytes, arguments: tuple[str, ...] = ()) -> Result:
    return CliRunner().invoke(main, ["undo", *arguments], input=b"".join(lines))


def _images(result: Result) -> list[dict[str, Any]]:
    """The entries of the printed document, which must be valid for the function."""
    request = registry.read(result.stdout.encode(), region="").request
    assert isinstance(request, ChangeRequest)
    document = json.loads(result.stdout)
    assert document.keys() == {"Images"}
    assert sum(map(len, request.changes.values())) == len(document["Images"])
    entries: list[dict[str, Any]] = document["Images"]
    return entries


def test_lines_become_a_document() -> None:
    """The lines of an image are merged in order; the image that was changed last comes first."""
    result = _undo(
        START,
        _line(Tags=[{"Key": "team", "Value": "名"}], ImageDeprecated=False, ImageName="old"),
        _line(DeleteTags=["k2"], Tags=[{"Key": "os", "Value": "linux"}]),
        _line("img-b", ImageDescription="", ImageFamily="web"),
        _line(DeleteTags=["k3"]),
        END,
    )
    assert result.exit_code == 0
    assert result.stderr == "scf-local: 2 images of 1 run: r-1\n"
    here = {"Region": "ap-guangzhou"}
    tags = [{"Key": "team", "Value": "名"}, {"Key": "os", "Value": "linux"}]
    expected: list[dict[str, Any]] = [
        {**here, "ImageId": "img-a", "ImageName": "old", "ImageDeprecated": False,
         "Tags": tags, "DeleteTags": ["k2", "k3"]},
        {**here, "ImageId": "img-b", "ImageDescription": "", "ImageFamily": "web"},
    ]  # fmt: skip
    assert _images(result) == expected
    assert [list(entry) for entry in _images(result)] == [list(entry) for entry in expected]


def test_oldest_state_counts() -> None:
    """For each attribute and tag, the older run's state counts, in any order of lines."""
    older = _line(ImageName="first", Tags=[{"Key": "t", "Value": "1"}], DeleteTags=["new"])
    newer = _line(
        run="r-2", time="Z", ImageName="second", ImageFamily="web", DeleteTags=["t"],
        Tags=[{"Key": "new", "Value": "x"}, {"Key": "u", "Value": "2"}],
    )  # fmt: skip
    expected = {
        "Region": "ap-guangzhou", "ImageId": "img-a", "ImageName": "first", "ImageFamily": "web",
        "Tags": [{"Key": "t", "Value": "1"}, {"Key": "u", "Value": "2"}], "DeleteTags": ["new"],
    }  # fmt: skip
    for log in ((older, newer), (newer, older)):
        assert _images(_undo(*log)) == [expected]


def test_regions_are_separate() -> None:
    """The same id in two regions means two images."""
    elsewhere = _event({"Undo": {"Region": "ap-beijing", "ImageId": "img-a", "ImageName": "b"}})
    assert len(_images(_undo(_line(ImageName="a"), elsewhere))) == 2


@pytest.mark.parametrize(
    "other",
    [
        b"\n",
        b"\xff\xfe { \x80\n",
        b'{"Event":"image.changed","Undo":{}}\n',
        _event({"Event": "image.changed", "Time": "", "RequestId": "", "Name": "image.before"}),
        b'{"Time":"2026-01-01","Level":"INFO","Event":"run.fini\n',
        b'{"a":' * 100_000 + b"\n",
        b'{"a":' + b"9" * 5000 + b"}\n",
    ],
)
def test_other_lines_are_ignored(other: bytes) -> None:
    """Other lines, even broken ones, are ignored, and so is the time in front of a line."""
    ours = b"2026-01-01 00:00:00 " + _line(ImageName="a").replace(b"\n", b"\r\n")
    result = _undo(other, ours, other)
    assert (result.exit_code, result.stderr) == (0, "scf-local: 1 image of 1 run: r-1\n")
    assert _images(result)[0]["ImageName"] == "a"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (_line(ImageName="x")[:-20] + b"\n", "not JSON, or cut off"),
        (_line(ImageName="x").replace(b"x", b"\xff"), "not JSON, or cut off"),
        (_event({"Undo": "{'ImageId': 'img-b\x1b", "Cut": ["Undo"]}), "begins {'ImageId': 'img-b�"),
        (_event({}), "Undo (None): is null; must be an object"),
        (_line("img-b"), "Undo (img-b): nothing to change"),
        (_line("img-b", Tags="x"), "Undo (img-b): /Tags is a string; must be an array"),
        (_line("img-b", Tag=[], ImageName="x"), "Undo (img-b): /Tag unknown member"),
        (_line("img-b", ImageName=""), "Undo (img-b): /ImageName has 0 characters"),
        (_event({"Undo": {"ImageId": "img-b", "ImageName": "x"}}), "Undo (img-b): no Region"),
        (
            _line("img-b", ImageName="half").replace(b"half", b"\\udc00"),
            "Undo (img-b): half a surrogate pair",
        ),
        (_line("img-b\x1b[2J", ImageName="x"), "Undo (img-b�[2J): /ImageId is"),
        (
            b'{"Event":["image.before"]}\n',
            "contains image.before, but not as the function logs it",
        ),
        (b'["image.before"]\n', "contains image.before"),
        (b"INFO " + _line("img-b", ImageName="b"), "contains image.before, but not as the"),
        (_line("img-b", ImageName="b")[:-1] + b" tail\n", "not JSON, or cut off"),
        (b'{"Message":"{\\"Event\\":\\"image.before\\"}"}\n', "contains image.before"),
    ],
)
def test_unusable_line_is_reported(line: bytes, message: str) -> None:
    """An unusable line is reported with its number and image, and leads to status 1."""
    result = _undo(START, line, _line(ImageName="a"))
    assert result.exit_code == 1
    assert result.stderr.startswith("scf-local: line 2 cannot be used: ")
    assert message in result.stderr
    assert [entry["ImageId"] for entry in _images(result)] == ["img-a"]
    assert "\x1b" not in result.stderr


EXPECTED = {"ImageName": "new", "Tags": [{"Key": "k", "Value": "v"}], "DeleteTags": ["gone"]}


def test_expect_is_kept() -> None:
    """Merged entries restore the first state of an image and expect the last one."""
    first = _line(ImageName="a", Tags=[{"Key": "gone", "Value": "x"}], DeleteTags=["k"],
                  Expect=EXPECTED)  # fmt: skip
    second = _line(run="r-2", time="Z", ImageName="new", Expect={"ImageName": "newer"})
    (entry,) = _images(_undo(second, first))
    assert entry["ImageName"] == "a"
    assert entry["Expect"] == {**EXPECTED, "ImageName": "newer"}


def _result(*entries: object, **members: object) -> bytes:
    """A result document, as the function returns and journals it."""
    document = {"RequestId": "r-1", "Outcome": "unfinished", "Images": [{"ImageId": "img-z"}]}
    return json.dumps({**document, "Undo": {"Images": entries}, **members}, indent=2).encode()


HERE: dict[str, Any] = {"Region": "ap-moon"}
ENTRIES = [
    {**HERE, "ImageId": "img-b", "ImageName": "b", "Expect": {"ImageName": "c"}},
    {**HERE, "ImageId": "img-a", "ImageName": "c", "DeleteTags": ["k"],
     "Expect": {"ImageName": "d", "Tags": [{"Key": "k", "Value": "v"}]}},
]  # fmt: skip


@pytest.mark.parametrize("before", [b"", b"\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_what_precedes_a_result(before: bytes) -> None:
    """A byte order mark and empty lines before a JSON value change nothing."""
    assert _undo(before + _result(*ENTRIES)).exit_code == 0


@pytest.mark.parametrize("arguments", [(), ("--request-id", "r-1")])
def test_result_document(arguments: tuple[str, ...]) -> None:
    """A result, as the journal keeps it, gives its `Undo` as it is."""
    result = _undo(_result(*ENTRIES), arguments=arguments)
    assert (result.exit_code, result.stderr) == (0, "scf-local: 2 images of 1 run: r-1\n")
    assert json.loads(result.stdout) == {"Images": ENTRIES}


def test_result_with_problems() -> None:
    """The message names each invalid entry, and says that the result is truncated."""
    result = _undo(_result(5, {**ENTRIES[0], "ImageName": ""}, ENTRIES[1], Truncated=True))
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"Images": ENTRIES[1:]})
    assert "an entry cannot be used: Undo (img-b): /ImageName has 0 characters" in result.stderr
    assert "an entry cannot be used: Undo (5): is a number" in result.stderr
    assert "Truncated result omits cannot be used: take it from the journal" in result.stderr
    assert _undo(_result(Truncated=True)).exit_code == 1
    wrong = _undo(_result(*ENTRIES), arguments=("--request-id", "r-2"))
    assert (wrong.exit_code, wrong.stdout) == (2, "")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (_result(), "Undo of this result is empty"),
        (_result(Undo=None), "has no Undo"),
        (_result(Undo={"Images": 5}), "has no Undo"),
        (json.dumps({"Images": ENTRIES}).encode(), "undoes its run as it is"),
    ],
)
def test_document_that_is_no_log(document: bytes, message: str) -> None:
    """What is neither a log nor a result with an undo is wrong usage, and is said to be so."""
    result = _undo(document)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in " ".join(result.stderr.split())


def test_many_problems_are_counted() -> None:
    """After 20 problems, only their total number is reported."""
    result = _undo(_line(ImageName="a"), *[_line("img-b")] * 1021)
    assert result.stderr.count("cannot be used") == 20
    assert "… 1,021 problems in total" in result.stderr
    assert result.exit_code == 1


def test_no_document_without_usable_lines() -> None:
    """Without a usable line, nothing is printed: a change request cannot be empty."""
    result = _undo(_line("img-b"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("scf-local: 0 images of 0 runs\n")


def test_image_that_cannot_be_undone() -> None:
    """An image whose merged lines exceed a limit is left out, and the others are kept."""
    keys = [f"k{n}" for n in range(100)]
    lines = [_line("img-b", DeleteTags=part) for part in (keys[:50], keys[50:])]
    result = _undo(_line(ImageName="a"), *lines)
    assert result.exit_code == 1
    assert "img-b cannot be undone: /DeleteTags has 100 entries; at most 50" in result.stderr
    assert [entry["ImageId"] for entry in _images(result)] == ["img-a"]


def test_one_run_of_many() -> None:
    """`--request-id` selects a run, and reports unusable lines that may belong to it."""
    log = [
        _line(ImageName="a"), _line(run="r-2", ImageName="b"), _line("img-c", run="r-2"),
        _line()[:-9] + b"\n",
    ]  # fmt: skip
    first = _undo(*log, arguments=("--request-id", "r-1"))
    assert [entry["ImageName"] for entry in _images(first)] == ["a"]
    assert first.stderr.count("cannot be used") == 1
    assert "line 4 " in first.stderr
    second = _undo(*log, arguments=("--request-id", "r-2"))
    assert [entry["ImageName"] for entry in _images(second)] == ["b"]
    assert second.stderr.count("cannot be used") == 2
    assert second.stderr.endswith("scf-local: 1 image of 1 run: r-2\n")


def test_unknown_run() -> None:
    """An unknown request id is wrong usage; the error lists the known and the nearest ones."""
    lines = [_line(run=f"{n:02}-abcdef", ImageName="a") for n in range(12)]
    result = _undo(*lines, arguments=("--request-id", "11-abcdee"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'11-abcdee'; the log has 00-abcdef, " in result.stderr
    assert "09-abcdef, and 2 more; did you mean 11-abcdef?" in result.stderr


def test_beginning_of_a_request_id() -> None:
    """The first 6 characters of a request id select its run, unless several runs begin so."""
    log = [_line(run=f"4f9c2d1e-{n}", ImageName=str(n)) for n in (1, 2, 22)]
    log.append(_line(run="ee34cf80-1", ImageName="other"))
    found = _undo(*log, arguments=("--request-id", "ee34cf"))
    assert (found.exit_code, _images(found)[0]["ImageName"]) == (0, "other")
    whole = _undo(*log, arguments=("--request-id", "4f9c2d1e-2"))
    assert (whole.exit_code, _images(whole)[0]["ImageName"]) == (0, "2")
    several = _undo(*log, arguments=("--request-id", "4f9c2d"))
    assert (several.exit_code, several.stdout) == (2, "")
    ids = "4f9c2d1e-1, 4f9c2d1e-2, 4f9c2d1e-22"
    assert f"'4f9c2d' is the beginning of {ids}" in " ".join(several.stderr.split())
    short = _undo(*log, arguments=("--request-id", "ee34c"))
    assert (short.exit_code, short.stdout) == (2, "")
    assert "'ee34c'; a shortened id needs at least 6 characters" in " ".join(short.stderr.split())


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("name", cls_export.FORMS)
def test_redelivered_event(name: str, *, newest_first: bool) -> None:
    """Of an event that was delivered twice, the first state is restored, and the last expected."""
    first, second = (
        _exported("r-1", 10 * n, _line(time=_time(n), ImageName=old, Expect={"ImageName": new}),
                  retry=n)
        for n, old, new in ((0, "a", "b"), (1, "b", "c"))
    )  # fmt: skip
    records = [*first, *second]
    log = cls_export.FORMS[name](cls_export.newest_first(records) if newest_first else records)
    (entry,) = undo.read(log.encode(), name=name).entries
    assert (entry["ImageName"], entry["Expect"]) == ("a", {"ImageName": "c"})


_STREAMED = ("export.jsonl", "export.ndjson", "objects.jsonl", "export.csv", "tabs.txt",
             "console.log")  # fmt: skip


@pytest.mark.parametrize("name", _STREAMED)
@pytest.mark.parametrize("encoding", ["utf-8", "gzip", "utf-16"])
def test_records_are_read_one_at_a_time(tmp_path: Path, name: str, encoding: str) -> None:
    """However long a log is, only the current record and the one before are in memory."""
    lines = [_line(f"img-{n}", ImageName="a") for n in range(300)]
    text = cls_export.FORMS[name](_exported("r-1", 0, *lines))
    encode = ENCODINGS.get(encoding, str.encode)
    (tmp_path / name).write_bytes(encode(text))
    kept: list[weakref.ref[log_records.Record]] = []
    count = 0
    with copied_input(str(tmp_path / name), "log") as log:
        for record in log_records.stream(log, name, pytest.fail, is_log=True):
            kept = [*filter(lambda reference: reference(), kept), weakref.ref(record)]
            assert len(kept) <= 2
            count += 1
    assert count >= 303


def test_lost_lines_are_counted() -> None:
    """In any encoding, lines that name the event and cannot be read are counted."""
    log = f"{json.dumps(_record(_line(ImageName='😀')))}\n".encode()
    lost = b'["Event' + b" " * 90 + b'image.before", "Event", "image.befor"]\n'
    for encode in ENCODINGS.values():
        read = undo.read(json_files.unpacked(encode((log + log + lost).decode()), "log"))
        assert [entry["ImageName"] for entry in read.entries] == ["😀"]
        assert not read.problems
    wrapped = json.dumps([_record(_line(ImageName="a")), {"x": (lost + LOST).decode()}]).encode()
    (problem,) = undo.read(wrapped).problems
    assert problem.startswith("image.before (count: 2) cannot be used")
    mixed = log + log.decode().encode("utf-16-le")
    with pytest.raises(ValueError, match="partly UTF-16"):
        json_files.unpacked(mixed, "log")


def test_large_json_value() -> None:
    """A JSON value or sequence that is longer than what is read at once is read as a whole."""
    records = _exported("r-1", 0, *[_line(f"img-{n}", ImageName="a" * 50) for n in range(1200)])
    for name in ("list.json", "reply.json", "pretty.json"):
        log = cls_export.FORMS[name](records).encode()
        assert len(log) > 2**19
        assert len(undo.read(log, name=name).entries) == 1200
        cut = undo.read(log[:-9], name=name)
        assert not cut.entries


OTHER = _event({"Event": "run.finished", "Time": "2026-01-01T00:00:00Z", "RequestId": "r-1"})
_DOES_NOT_SHOW = "nor has it any other line of Image Steward: use the log"
_BINARY = "the log is not text: it contains zero bytes"


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (START + OTHER + END, "which is written before each change, at any log level"),
        (b"", _DOES_NOT_SHOW),
        (b"\n", _DOES_NOT_SHOW),
        (START + END, _DOES_NOT_SHOW),
        (START + b'{"level": "info", "message": "of another function"}\n' + END, _DOES_NOT_SHOW),
        (START + OTHER.decode().encode("cp037") + END, _DOES_NOT_SHOW),
        (OTHER.decode().encode("utf-32"), _BINARY),
        (b"\x7fELF\x00\x00", _BINARY),
        (gzip.compress(b"\x00" * 9, mtime=0), _BINARY),
    ],
)
def test_log_without_lines_is_wrong_usage(log: bytes, message: str) -> None:
    """A log without any such line is wrong usage; nothing that was not read counts as unchanged."""
    result = _undo(log)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "nothing was changed" not in result.stderr


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_log_in_any_encoding(encode: Callable[[str], bytes]) -> None:
    """A log that is compressed, or that PowerShell has saved as UTF-16, is read like any other."""
    log = b"".join([START, _line(ImageName="名", ImageDescription="\u2028"), END]).decode()
    result = _undo(encode(log))
    assert (result.exit_code, result.stderr) == (0, "scf-local: 1 image of 1 run: r-1\n")
    assert [_images(result)[0][key] for key in ("ImageName", "ImageDescription")] == [
        "名",
        "\u2028",
    ]
    assert json.loads(_undo(encode(_result(*ENTRIES).decode())).stdout) == {"Images": ENTRIES}


def test_end_of_utf_16_that_is_cut_off() -> None:
    """Of a UTF-16 log that ends within a character, everything before it is read."""
    result = _undo(_line(ImageName="a").decode().encode("utf-16")[:-1])
    assert (result.exit_code, result.stderr) == (0, "scf-local: 1 image of 1 run: r-1\n")


def _reply(*lines: bytes, result: object = None, wrapped: bool = True, **members: object) -> bytes:
    """The reply of SCF's API action Invoke with `LogType` Tail."""
    log = b"".join(lines).decode()
    reply = {"FunctionRequestId": "r-1", "RetMsg": json.dumps(result), "ErrMsg": "", "Log": log}
    response = {"Result": {**reply, **members}, "RequestId": "x"}
    return json.dumps({"Response": response} if wrapped else response).encode()


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("is_base64", [True, False])
def test_reply_of_invoke(*, wrapped: bool, is_base64: bool) -> None:
    """The log in a reply of Invoke is read, as text or as Base64."""
    log = b"".join([START, _line(ImageName="a"), END])
    more = {"Log": base64.b64encode(log).decode()} if is_base64 else {}
    result = _undo(_reply(log, wrapped=wrapped, **more))
    assert (result.exit_code, result.stderr) == (0, "scf-local: 1 image of 1 run: r-1\n")
    assert _images(result)[0]["ImageName"] == "a"


def test_reply_of_invoke_without_the_beginning_of_its_log() -> None:
    """The reply keeps 4 KB of the log: lines before them are reported as missing."""
    result = _undo(_reply(b'mage.before","Undo":{}}\n', _line(ImageName="a"), END))
    assert (result.exit_code, len(_images(result))) == (1, 1)
    assert "the log of run r-1 cannot be used: a part of it is missing; take it" in result.stderr
    assert _undo(_reply(Log=None)).exit_code == 1


def test_reply_of_invoke_with_a_result() -> None:
    """The `Undo` of a result in a reply of Invoke is complete, so it is used instead of the log."""
    document = json.loads(_result(*ENTRIES))
    result = _undo(_reply(_line("img-z", ImageName="z"), END, result=document))
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"Images": ENTRIES})


def test_several_replies() -> None:
    """Replies of Invoke, one per line, are the logs of their runs."""
    other = _reply(START, _line("img-b", run="r-2", ImageName="b"), FunctionRequestId="r-2")
    result = _undo(_reply(START, _line(ImageName="a")), b"\n", other)
    assert (result.exit_code, len(_images(result))) == (0, 2)


def test_more_images_than_a_document_holds() -> None:
    """1,000 images are one document and 1,001 are two, and each part has its number."""
    log = [_line(f"img-{n}", ImageName="a") for n in range(1001)]
    full = _undo(*log[:1000])
    assert len(_images(full)) == 1000
    assert "part" not in full.stderr
    parts = [_undo(*log, arguments=("--part", str(n))) for n in (1, 2)]
    ids = [entry["ImageId"] for part in parts for entry in json.loads(part.stdout)["Images"]]
    assert ids == [f"img-{n}" for n in reversed(range(1001))]
    assert parts[0].stderr == "scf-local: 1,001 images of 1 run: r-1; this is part 1 of 2\n"
    assert parts[1].stderr.endswith("part 2 of 2\n")
    assert _undo(*log).stdout == parts[0].stdout


def test_parts_are_accepted() -> None:
    """Each printed part has at most as many bytes as the function accepts, also with many tags."""
    tags = [{"Key": f"k{n}", "Value": "v"} for n in range(30)]
    log = [_line(f"img-{n}", Tags=tags) for n in range(1500)]
    parts = [_undo(*log, arguments=("--part", str(n))) for n in (1, 2)]
    assert parts[1].stderr.endswith("part 2 of 2\n")
    assert [len(_images(part)) for part in parts] == [1000, 500]
    assert all(len(part.stdout_bytes) <= Settings().max_document_bytes for part in parts)


def _time(milliseconds: int) -> str:
    return f".{milliseconds:03}Z"


def _exported(run: str, start: int, *lines: bytes, retry: int = 0) -> list[cls_export.Fields]:
    """What CLS has of a run, oldest first."""
    done = InvocationResult(run, 200, 5.0, 30.0, result={"Outcome": "applied"})
    log = b"".join([START.replace(b"r-1", run.encode()), *lines, END.replace(b"r-1", run.encode())])
    return cls_export.fields(log, done, cls_export.BEGIN + start, retry=retry)


def _indexed(records: list[cls_export.Fields]) -> str:
    """The export of a topic that splits printed JSON into fields."""
    return cls_export.as_lines(
        {**record, "SCF_Message": "", **_texts(record["SCF_Message"])} for record in records
    )


def _texts(message: str) -> dict[str, str]:
    if not message.startswith("{"):
        return {"SCF_Message": message}
    members = json.loads(message).items()
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in members}


def _few(records: list[cls_export.Fields]) -> str:
    """CSV with only the two required fields."""
    names = ("SCF_RequestId", "SCF_Message")
    return cls_export.as_csv({name: record[name] for name in names} for record in records)


def _bare(records: list[cls_export.Fields]) -> str:
    """Only the function's own lines."""
    messages = [record["SCF_Message"] for record in records]
    return "".join(f"{message}\n" for message in messages if message.startswith("{"))


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(
    ("name", "form"),
    [
        *cls_export.FORMS.items(), ("download", cls_export.as_csv), ("indexed.jsonl", _indexed),
        ("few.csv", _few), ("bare.log", _bare),
    ],
    ids=[*cls_export.FORMS, "download", "indexed.jsonl", "few.csv", "bare.log"],
)  # fmt: skip
def test_any_form_of_a_log(
    tmp_path: Path,
    name: str,
    form: Callable[..., str],
    newest_first: bool,  # noqa: FBT001 - a parameter
) -> None:
    """For each form of a log, in either order, the state before the first change counts.

    One run was delivered twice, with another in between; lines of one moment keep their order.
    """
    first = _exported(
        "r-1", 0,
        _line("img-a", time=_time(1), ImageDescription="名 \u2028", ImageDeprecated=False),
        _line("img-b", time=_time(1), Tags=[{"Key": "k", "Value": "1"}]),
        _line("img-c", time=_time(2), ImageName="c"),
    )  # fmt: skip
    between = _exported("r-2", 10, _line("img-a", "r-2", time=_time(11), ImageName="second"))
    retry = _exported(
        "r-1", 20,
        _line("img-a", time=_time(21), ImageName="third", ImageFamily="web"),
        _line("img-d", time=_time(22), DeleteTags=["d"]),
        retry=1,
    )  # fmt: skip
    records = [*first, *between, *retry]
    log = tmp_path / name
    log.write_text(form(cls_export.newest_first(records) if newest_first else records), "utf-8")
    result = _undo(arguments=(str(log),))
    assert result.stderr == "scf-local: 4 images of 2 runs: r-1, r-2\n"
    here = {"Region": "ap-guangzhou"}
    assert _images(result) == [
        {**here, "ImageId": "img-d", "DeleteTags": ["d"]},
        {**here, "ImageId": "img-a", "ImageName": "second", "ImageDescription": "名 \u2028",
         "ImageFamily": "web", "ImageDeprecated": False},
        {**here, "ImageId": "img-c", "ImageName": "c"},
        {**here, "ImageId": "img-b", "Tags": [{"Key": "k", "Value": "1"}]},
    ]  # fmt: skip
    single = _undo(arguments=(str(log), "--request-id", "r-2"))
    assert [entry["ImageName"] for entry in _images(single)] == ["second"]


def test_sample_export_can_be_undone() -> None:
    """The export that docs/replay.md replays has the undo of the run that changed images."""
    result = _undo(arguments=(str(ROOT / "events" / "logs" / "export.jsonl"),))
    assert (result.exit_code, len(_images(result))) == (0, 3)
    assert result.stderr.startswith("scf-local: 3 images of 1 run: 4a700e30-")


def test_truncated_line_of_an_export(tmp_path: Path) -> None:
    """A line that was cut within an image's state is reported; other cut lines are not."""
    (ours,) = cls_export.as_lines(_exported("r-1", 0, _line(ImageName="a"))[1:2]).splitlines()
    log = tmp_path / "export.jsonl"
    log.write_text(f"{ours}\n{ours[:-200]}\n\n{{'SCF_Mess\n", "utf-8")
    result = _undo(arguments=(str(log),))
    assert result.exit_code == 1
    assert result.stderr.startswith("scf-local: line 2 cannot be used: not JSON, or cut off\n")
    assert result.stderr.count("cannot be used") == 1
    assert len(_images(result)) == 1


@pytest.mark.parametrize("name", ["export.jsonl", "export.csv", "export"])
@pytest.mark.parametrize(
    "first", ["_cut", "# of 2026-01-01\n", '{"Query": "*", "Limit": 100}\n', "[1]\n", "\n" * 99]
)
@pytest.mark.parametrize("form", [cls_export.as_lines, cls_export.as_contents])
def test_first_line_of_an_export_may_be_anything(
    tmp_path: Path, form: Callable[..., str], first: str, name: str
) -> None:
    """An export is recognised whatever its name, even if its first line is something else."""
    text = form(_exported("r-1", 0, _line(ImageName="a")))
    log = tmp_path / name
    log.write_text(text[30:] if first == "_cut" else first + text, "utf-8")
    result = _undo(arguments=(str(log),))
    assert result.stderr == "scf-local: 1 image of 1 run: r-1\n"
    assert _images(result)[0]["ImageName"] == "a"


def test_wrapped_lines_are_reported() -> None:
    """Lines inside JSON of an unknown form are reported, each with its number."""
    (line,) = cls_export.as_lines(_exported("r-1", 0, _line(ImageName="a"))[1:2]).splitlines()
    result = _undo(*[f"{json.dumps({'wrapped': line})}\n".encode()] * 2)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "scf-local: line 1 cannot be used: contains image.before, but not as the function logs it\n"
        "scf-local: line 2 cannot be used: contains image.before, but not as the function logs it\n"
        "scf-local: 0 images of 0 runs\n"
    )


def test_unreadable_lines_are_reported() -> None:
    """A log that names the event only in unreadable lines is not reported as without changes."""
    result = _undo(START, b"{'Event': 'image.before'}\n", END)
    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        "the log contains image.before, but no such line as the function writes it" in result.stderr
    )
    assert "nothing was changed" not in result.stderr


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("run.csv", b""),
        ("run.csv", START),
        ("run.log", b"SCF_RequestId is r-1, SCF_Message follows\n"),
        ("run.log", b'now, "SCF_' + b"x" * 200_000 + b"\n"),
        ("run.csv", b"SCF_RequestId,other\n"),
    ],
    ids=["csv", "csv-start", "comma", "long", "header"],
)
def test_plain_log_is_not_csv(tmp_path: Path, name: str, first: bytes) -> None:
    """A printed log is read as text, whatever its name and its first line."""
    log = tmp_path / name
    log.write_bytes(first + _line(ImageName="a, b"))
    result = _undo(arguments=(str(log),))
    assert result.stderr == "scf-local: 1 image of 1 run: r-1\n"
    assert _images(result)[0]["ImageName"] == "a, b"


def test_csv_without_its_fields_is_wrong_usage(tmp_path: Path) -> None:
    """CSV without the required fields is wrong usage, and the error names them."""
    log = tmp_path / "export.csv"
    log.write_text("SCF_Message,x\na,b\n", "utf-8")
    result = _undo(arguments=(str(log),))
    assert result.exit_code == 2
    assert f"{log}: the header row lacks SCF_RequestId" in result.stderr


@pytest.mark.parametrize("part", ["0", "2", "-1"])
def test_missing_part_is_wrong_usage(part: str) -> None:
    """A part that does not exist is wrong usage, and the error gives the last one."""
    result = _undo(_line(ImageName="a"), arguments=("--part", part))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"--part {part} not found; the last part is 1" in result.stderr


def test_log_may_be_a_file(tmp_path: Path) -> None:
    """The log is a file or standard input."""
    log = tmp_path / "run.log"
    log.write_bytes(_line(ImageName="a"))
    assert (
        _undo(arguments=(str(log),)).stdout == _undo(_line(ImageName="a"), arguments=("-",)).stdout
    )


LOST = _line("img-b", ImageName="b")
TRACEBACK = b"Traceback (most recent call last):\n"


def _record(line: bytes, **members: str) -> dict[str, str]:
    return {"SCF_RequestId": "r-1", "SCF_Message": line.decode().strip(), **members}


def _as_reply(*records: object) -> bytes:
    return json.dumps({"Response": {"Results": records, "RequestId": "x"}}).encode()


def _nested(value: object) -> object:
    for _ in range(9):
        value = {"Logs": [value]}
    return value


GOOD = {"LogJson": json.dumps(_record(_line(ImageName="a")))}
SEVERAL = _line(ImageName="a") * 40
"""More than the 4 KB from which the encoding is guessed."""


@pytest.mark.parametrize(
    "log",
    [
        START + _line(ImageName="a") + TRACEBACK + LOST[:-9],
        START + _line(ImageName="a") + b"ERROR RequestId:r-1 Result:x\n" + LOST[:-9],
        START + _line(ImageName="a") + TRACEBACK + b"scf-1  | " + LOST + END,
        json.dumps([_record(_line(ImageName="a")), _record(b"warning: x\n" + LOST[:-9])]).encode(),
        _as_reply(GOOD, {"LogJson": json.dumps(_record(LOST))[:-9]}),
        _as_reply(GOOD, {"Weird": json.dumps(_record(LOST))}),
        json.dumps([_record(_line(ImageName="a")), {"x": LOST.decode()}]).encode(),
        json.dumps([_record(_line(ImageName="a")), _nested(_record(LOST))]).encode(),
        SEVERAL + LOST.replace(b"RequestId", b"x").decode().encode("utf-16-le"),
    ],
    ids=["traceback", "error", "prefix", "text", "cut", "member", "element", "levels", "zeros"],
)
def test_no_line_is_dropped(log: bytes) -> None:
    """Whatever hides a line `image.before`, others are undone, and the loss is reported."""
    result = _undo(log)
    assert (result.exit_code, _images(result)[0]["ImageName"]) == (1, "a")
    assert "cannot be used: " in result.stderr


@pytest.mark.parametrize("command", [["undo"], ["replay", "--list"]])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
@pytest.mark.parametrize("is_wide_first", [True, False])
def test_log_in_two_encodings(
    tmp_path: Path, command: list[str], encoding: str, *, is_wide_first: bool
) -> None:
    """A file in UTF-8 to which PowerShell has appended UTF-16, or the reverse, is not half read."""
    wide = (START + SEVERAL + END).decode().encode(encoding)
    log = tmp_path / "run.log"
    log.write_bytes(wide + START + LOST + END if is_wide_first else START + SEVERAL + END + wide)
    result = CliRunner().invoke(main, [*command, str(log)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "run.log: is partly UTF-16 and partly UTF-8" in " ".join(result.stderr.split())


def test_highlighted_words_are_not_lines() -> None:
    """The words that a reply of SearchLog highlights are not taken for lost lines."""
    reply = _as_reply({**GOOD, "HighLights": [{"Key": "SCF_Message", "Values": ["image.before"]}]})
    assert (_undo(reply).exit_code, _undo(_as_reply(GOOD)).exit_code) == (0, 0)


@pytest.mark.parametrize("command", [["undo"], ["replay", "--list"]])
def test_csv_with_an_unquoted_comma(tmp_path: Path, command: list[str]) -> None:
    """A CSV row with more columns than the header row is wrong usage: its message may be cut."""
    quoted = LOST.decode().strip().replace('"', '""')
    log = tmp_path / "export.csv"
    log.write_text(f'SCF_RequestId,SCF_Message\nr-1,"{quoted}"\nr-1,x,"{quoted}"\n', "utf-8")
    result = CliRunner().invoke(main, [*command, str(log)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "not CSV after line 3: more columns than the header row" in result.stderr


OTHER_RUN = _line("img-b", run="other", ImageName="b")


@pytest.mark.parametrize(
    "log",
    [
        START + OTHER_RUN + _line(ImageName="a") + END,
        START.replace(b"r-1", b"other") + END.replace(b"r-1", b"other") + START + OTHER_RUN
        + _line(ImageName="a") + END,
        json.dumps([_record(OTHER_RUN), _record(_line(ImageName="a"))]).encode(),
        b"\n".join(
            json.dumps(_record(line)).encode() for line in (OTHER_RUN, _line(ImageName="a"))
        ),
        _reply(OTHER_RUN, _line(ImageName="a")),
    ],
    ids=["text", "ended", "list", "lines", "reply"],
)  # fmt: skip
def test_line_of_another_run(log: bytes) -> None:
    """A line with another request id than its run is reported, and not undone."""
    result = _undo(log)
    assert (result.exit_code, [entry["ImageId"] for entry in _images(result)]) == (1, ["img-a"])
    assert "its RequestId other is not that of the run, r-1" in result.stderr


def test_runs_at_the_same_time() -> None:
    """Lines of runs that overlap in a text log belong to the runs that they name."""
    other = [line.replace(b"r-1", b"other") for line in (START, END)]
    log = [START, other[0], _line(ImageName="a"), OTHER_RUN, other[1], _line(ImageFamily="f"), END]
    result = _undo(*log)
    assert (result.exit_code, len(_images(result))) == (0, 2)
    assert "2 images of 2 runs: " in result.stderr


@pytest.mark.parametrize("line", [b"\n", b"\r\n", b" \t\n"])
@pytest.mark.parametrize("before", [b"", TRACEBACK, START], ids=["", "traceback", "start"])
def test_blank_lines_cost_nothing(line: bytes, before: bytes) -> None:
    """Millions of blank lines need little time and memory, and leave line numbers as they are."""
    text = (before + line * 1_000_000).decode()
    tracemalloc.start()
    assert len(from_text(text)) == bool(before)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert "line 4 " in _undo(START, line * 2, _line("img-b")).stderr


def _finished(outcome: str, run: str = "r-1") -> bytes:
    fields = {"Time": "2026-01-01T00:00:00Z", "Event": "run.finished", "RequestId": run}
    return _event({**fields, "Outcome": outcome})


CHANGED = _event({"Time": "", "Event": "image.changed", "RequestId": "r-1"})
_NOTHING = "nothing was changed, so there is nothing to undo"


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (
            START + _finished("planned") + END,
            f"run r-1 was planned: {_NOTHING}",
        ),
        (
            _finished("ignored") + _finished("rejected", "r-2"),
            "run r-1 was ignored, run r-2 was rejected",
        ),
        (START + CHANGED + _finished("rejected") + END, ""),
        (START + CHANGED + END + _finished("planned", "r-2"), ""),
        (START + _finished("applied") + END, ""),
    ],
)
def test_run_without_changes(log: bytes, message: str) -> None:
    """If the log shows that its runs changed nothing, the message says so, else it does not."""
    result = _undo(log)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in " ".join(result.stderr.split())
    assert (_NOTHING in " ".join(result.stderr.split())) == bool(message)


@pytest.mark.parametrize("command", [["undo"], ["replay"], ["invoke"]])
@pytest.mark.parametrize(
    "data",
    [bz2.compress(b"x"), lzma.compress(b"x"), b"PK\x03\x04\x00\x00", b"\x28\xb5\x2f\xfd\x00"],
    ids=["bz2", "xz", "zip", "zstd"],
)
def test_other_compression(tmp_path: Path, command: list[str], data: bytes) -> None:
    """A file that is compressed, but not with gzip, is said to be so."""
    (tmp_path / "a.log").write_bytes(data)
    result = CliRunner().invoke(main, [*command, str(tmp_path / "a.log")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "a.log: compressed; only gzip is read" in " ".join(result.stderr.split())


def test_message_names_the_file(tmp_path: Path) -> None:
    """The error for a file that is not a log names it."""
    (tmp_path / "a.log").write_bytes(b"hello\n")
    result = _undo(arguments=(str(tmp_path / "a.log"),))
    assert "a.log: the log has no line image.before" in " ".join(result.stderr.split())
