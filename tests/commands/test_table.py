"""Plans as tables: what people and spreadsheets make of them, and `scf-local request`."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import assume, given
from hypothesis import strategies as st

from image_steward.model import ATTRIBUTES, Outcome, Report, Step, values_in
from image_steward.reporting.result import Run, document
from region import image
from scf_local.cli import main
from scf_local.plans import table
from scf_local.plans.cells import cell_of, value_of
from scf_local.plans.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from conftest import Function

GUANGZHOU, SHANGHAI = "ap-guangzhou", "ap-shanghai"
Values = dict[str, Any]
Request = dict[tuple[str, str], tuple[Values, Values]]
"""What each image gets, and what it must be, by region and image id."""


def plan_of(*outcomes: Outcome) -> Plan:
    """The plan in the result of a dry run."""
    result = document(Run("direct", [Report("direct", outcomes, dry_run=True)]), "r-1")
    return Plan.of("policy.json", "", json.loads(json.dumps(result)))


def planned(
    image_id: str, before: Values, after: Values, region: str = GUANGZHOU, reason: str = ""
) -> Outcome:
    """The outcome of a dry run for an image with these values; None: no such tag."""
    members: Values = {"ImageName": "old", **before}
    tags = {name[4:]: value for name, value in members.items() if name.startswith("Tag.")}
    bound = {key: value for key, value in tags.items() if value is not None}
    was = image(image_id, members.pop("ImageName"), **members, Tags=bound)
    step = Step(region, image_id, after, was, reasons=(reason,) if reason else ())
    return Outcome.planned_for(step)


def request_of(entries: Iterable[Values]) -> Request:
    """A change request, without the order of its images and tags."""
    return {
        (entry["Region"], entry["ImageId"]): (
            dict(values_in(entry)), dict(values_in(entry.get("Expect", {})))
        )
        for entry in entries
    }  # fmt: skip


def read(text: str | bytes) -> Request:
    """The change request in a table without problems."""
    parsed = table.read(text if isinstance(text, bytes) else text.encode(), "plan.csv")
    assert parsed.problems == []
    assert len({(entry["Region"], entry["ImageId"]) for entry in parsed.entries}) == len(
        parsed.entries
    )
    return request_of(parsed.entries)


def problems(text: str | bytes) -> list[str]:
    """The problems of a table, of which nothing is then used."""
    parsed = table.read(text if isinstance(text, bytes) else text.encode(), "t.csv")
    assert parsed.entries == []
    return [problem.removeprefix("t.csv:") for problem in parsed.problems]


def rows_of(text: str, delimiter: str = ",") -> list[list[str]]:
    """The cells of a CSV file."""
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="")
    return list(csv.reader(lines, delimiter=delimiter))


def csv_of(rows: Iterable[Sequence[str]], **options: Any) -> str:  # noqa: ANN401 - the writer's own
    """A CSV file."""
    stream = io.StringIO(newline="")
    csv.writer(stream, **options).writerows(rows)
    return stream.getvalue()


def request(text: str | bytes, *arguments: str) -> Result:
    """Run the command on a table from stdin."""
    data = text if isinstance(text, bytes) else text.encode()
    return CliRunner().invoke(main, ["request", *arguments], input=data)


# --- any plan, any text ---

TRAPS = [
    "", "(none)", '"', '""', '"quoted"', '"half', " ", " blank", "blank ", "a, b; c", "'0142",
    "=1+1", "+1", "-web", "@web", "|web", "\uff1d1", "\uff20a", "%", "#N/A",
    "\uff10\uff11", "\uff34RUE", "M\uff41r-1", '=HYPERLINK("http://x.example")',
    "0142", "1.10", "1e5", "2025-01-18", "3/4", "12:30", "50%", "$5", "€ 5", "(5)", ".5",
    "true", "TRUE", "False", "wahr", "Mar-1", "SEPT2", "dec 2023", "May 5, 2025", "1. Mai", "三月",
    "H7.1.1", "上午9:00", "USD 5", "镜像", "😀", "web", "web-2", 'a "b" c', '\\"a"', "\\", "“q”",
]  # fmt: skip
"""Texts that a table, or a spreadsheet, could take for something else."""
WITHOUT_CONTROL = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
LABELS = st.sampled_from(TRAPS) | st.text(WITHOUT_CONTROL, max_size=12)
NOT_EMPTY = LABELS.filter(bool)
TEXTS = LABELS | st.text(max_size=12) | st.text("a\n\r\t\0\"', ;=", max_size=12)
"""Descriptions may have any characters but half surrogate pairs."""
FOUND = TEXTS | st.just("\ud83d")
"""What images may have."""
KEYS = NOT_EMPTY.filter(lambda key: key != "image-steward")
VALUES = {
    "ImageName": (FOUND, NOT_EMPTY),
    "ImageDescription": (FOUND, TEXTS.filter(lambda text: "\ud83d" not in text)),
    "ImageFamily": (FOUND, LABELS),
    "ImageDeprecated": (st.booleans(), st.booleans()),
}


@st.composite
def outcomes(draw: st.DrawFn, image_id: str) -> Outcome:
    """An image that would change in a dry run."""
    names = draw(st.lists(st.sampled_from(ATTRIBUTES), unique=True))
    keys = draw(st.lists(KEYS, unique=True, min_size=not names, max_size=3))
    pairs = {name: (draw(VALUES[name][0]), draw(VALUES[name][1])) for name in names}
    for key in keys:  # a tag that is absent is not deleted
        found = draw(st.none() | FOUND)
        pairs[f"Tag.{key}"] = found, draw(NOT_EMPTY if found is None else st.none() | NOT_EMPTY)
    before, after = ({name: pair[n] for name, pair in pairs.items()} for n in (0, 1))
    region, reason = draw(st.sampled_from([GUANGZHOU, SHANGHAI])), draw(LABELS)
    return planned(image_id, before, after, region, reason)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan with some changes."""
    ids = [f"img-{n}" for n in range(draw(st.integers(1, 4)))]
    return plan_of(*(draw(outcomes(image_id)) for image_id in ids))


def apply_of(plan: Plan) -> Request:
    """The change request that the function itself makes of a plan."""
    assert plan.change_request
    return request_of(plan.change_request["Images"])


@given(plans(), st.booleans())
def test_table_is_the_plan(plan: Plan, all_images: bool) -> None:  # noqa: FBT001 - drawn
    """A table that nobody changed does exactly what was planned, whatever the texts are."""
    assert read(table.csv_of(plan, all_images=all_images)) == apply_of(plan)


@given(plans(), st.randoms(use_true_random=False), NOT_EMPTY)
def test_one_cell(plan: Plan, random: Random, text: str) -> None:
    """An edited cell changes the value of its column in its image, and nothing else."""
    rows = rows_of(table.csv_of(plan))
    row = random.randrange(1, len(rows))
    names = [n for n in rows[0] if n == "ImageName" or n.startswith(("Expect.ImageName", "Tag."))]
    name = random.choice(names)
    rows[row][rows[0].index(name)] = cell_of(text)
    wanted = apply_of(plan)
    values = wanted[rows[row][0], rows[row][1]][name.startswith("Expect.")]
    values[name.removeprefix("Expect.")] = text
    assume(any(values for values, _ in wanted.values()))
    assert read(csv_of(rows)) == {key: pair for key, pair in wanted.items() if pair[0]}


FORMS = [
    *((ends, quoting) for ends in ("\r\n", "\n") for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
    ("\r", csv.QUOTE_ALL),  # before Python 3.13, the writer does not quote LF if CR ends a line
]
"""Line ends, and what is in quotes."""


@given(plans(), st.randoms(use_true_random=False), st.data())
def test_saved_by_a_spreadsheet(plan: Plan, random: Random, data: st.DataObject) -> None:
    """Whatever form a spreadsheet saves, and in whatever order, the change request is the same."""
    rows = rows_of(table.csv_of(plan))
    columns = random.sample(range(len(rows[0])), len(rows[0]))
    head, *others = ([row[column] for column in columns] for row in rows)
    others += [[""] * len(head)] * 2
    random.shuffle(others)
    extra = [""] * data.draw(st.integers(0, 3))
    ends, quoting = data.draw(st.sampled_from(FORMS))
    text = csv_of(
        ([*row, *extra] for row in [head, *others]),
        delimiter=data.draw(st.sampled_from(",;\t")),
        lineterminator=ends,
        quoting=quoting,
    )
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig"]))
    assert read(text.encode(encoding)) == apply_of(plan)


@given(FOUND.filter(lambda text: "\ud83d" not in text) | st.booleans())
def test_cells_are_text(value: str | bool) -> None:  # noqa: FBT001 - one of the values
    """A cell reads as its value, and begins with a letter, a quote, or what escapes one."""
    cell = cell_of(value)
    column = "ImageDeprecated" if isinstance(value, bool) else "ImageDescription"
    assert value_of(column, cell) == value
    assert cell[0].isalpha() or cell[0] in '"\\'
    assert not set(cell) & set(map(chr, (*range(10), *range(11, 32))))


@pytest.mark.parametrize("text", TRAPS)
def test_spreadsheets_do_not_convert(text: str) -> None:
    """A text that is not clearly a word is in quotes; words are as they are."""
    is_word = text in {"镜像", "web", 'a "b" c', "a, b; c"}
    assert cell_of(text) == (text if is_word else f'"{text}"')


@pytest.mark.parametrize("text", ["n;=6*7;x", "d\n=6*7", "d;  @a", "d\n'+1", "d;;1"])
def test_formula_behind_a_delimiter(text: str) -> None:
    """A spreadsheet that parts cells by semicolons finds no formula after one, or after a line."""
    cell = cell_of(text)
    assert not set(";\n") & set(cell)
    assert value_of("ImageDescription", cell) == text
    key = f"Tag.{text}"
    plan = plan_of(planned("img-a", {key: None, "ImageName": text}, {key: "v"}, reason=text))
    assert ";" not in table.csv_of(plan)
    if "\n" not in text:
        assert read(table.csv_of(plan)) == apply_of(plan)


@pytest.mark.parametrize("text", ["set-05", "maj 5", "mei-3-2025", "web-2", "sant", "waar"])
def test_dates_of_other_languages(text: str) -> None:
    """What may be a date or a boolean in some language is in quotes."""
    assert cell_of(text) == f'"{text}"'


@pytest.mark.parametrize("text", ["a\r\nb", "\0", "a\tb", "\x1b[2J", '镜\r"', "\\\r"])
def test_damaged_characters_are_escaped(text: str) -> None:
    """Characters that a spreadsheet removes or replaces are written as in JSON."""
    assert cell_of(text) == "\\" + json.dumps(text, ensure_ascii=False)
    assert value_of("ImageDescription", cell_of(text)) == text


@pytest.mark.parametrize(
    "text", ["marketing", "decoder-x", "Main", "true-name", "sep", "web-build-0142", "usd"]
)
def test_words_need_no_quotes(text: str) -> None:
    """A word that only resembles a date, a boolean or a currency is easy to read and to edit."""
    assert cell_of(text) == text


# --- the table of a plan ---

PLAN = plan_of(
    planned("img-b", {"ImageName": "=old", "Tag.team": "web", "Tag.tmp": "x"},
            {"ImageName": "镜像, b", "Tag.team": None, "Tag.os": "0142"}, SHANGHAI, "is taken"),
    planned("img-a", {"ImageDescription": "", "ImageDeprecated": False},
            {"ImageDescription": "a\nb", "ImageDeprecated": True}),
    Outcome(Step(GUANGZHOU, "img-c", before=image("img-c", "web"), reasons=("tagged",),
                 is_skipped=True), planned=True),
)  # fmt: skip
ROWS = [
    ["Region", "ImageId", "#Name", "Expect.ImageName", "ImageName", "Expect.ImageDescription",
     "ImageDescription", "Expect.ImageDeprecated", "ImageDeprecated", "Expect.Tag.os", "Tag.os",
     "Expect.Tag.team", "Tag.team", "#Reason"],
    [GUANGZHOU, "img-a", "old", "", "", '""', "a\nb", '"false"', '"true"', "", "", "", "", ""],
    [SHANGHAI, "img-b", '"=old"', '"=old"', "镜像, b", "", "", "", "", "(none)", '"0142"', "web",
     "(none)", "is taken"],
]  # fmt: skip
SKIPPED = [GUANGZHOU, "img-c", "web", "web", *[""] * 9, "tagged"]


def test_columns_and_rows() -> None:
    """A table has the values before and after, by image; notes are in columns with a #."""
    text = table.csv_of(PLAN)
    assert text.startswith("\ufeffRegion,ImageId,#Name,")
    assert text.endswith(",is taken\r\n")
    assert rows_of(text) == ROWS
    assert rows_of(table.csv_of(PLAN, all_images=True)) == [ROWS[0], ROWS[1], SKIPPED, ROWS[2]]


def test_name_of_a_skipped_image() -> None:
    """Whoever fills in the name of a skipped image renames it; the other images are unchanged."""
    text = table.csv_of(PLAN, all_images=True)
    edited = text.replace("img-c,web,web,", "img-c,web,web,web-2")
    assert read(edited) == {
        **apply_of(PLAN), (GUANGZHOU, "img-c"): ({"ImageName": "web-2"}, {"ImageName": "web"})
    }  # fmt: skip


def test_plan_without_changes() -> None:
    """A plan without changes is a table in which a name can be filled in."""
    assert rows_of(table.csv_of(plan_of())) == [
        ["Region", "ImageId", "#Name", "Expect.ImageName", "ImageName", "#Reason"]
    ]


def test_failed_image_has_no_values() -> None:
    """What an image that failed would have become is not in the table; its name and reason are."""
    failed = {
        "Region": GUANGZHOU, "ImageId": "img-a", "ImageName": "old", "Status": "failed",
        "Before": {"ImageName": "old"}, "After": {"ImageName": "new"},
        "Code": "NameTaken", "Message": "img-b has it",
    }  # fmt: skip
    plan = Plan.of("x", "", {"Outcome": "partial", "Images": [failed]})
    row = [GUANGZHOU, "img-a", "old", "old", "", "NameTaken: img-b has it"]
    assert rows_of(table.csv_of(plan))[1:] == [row]


def test_result_of_another_function() -> None:
    """A result that only resembles a plan still is a table, in which no cell is a formula."""
    entry = {
        "Region": "=a", "ImageId": "@b", "ImageName": 5, "Status": "planned", "Reason": "+c",
        "Before": {"ImageName": None, "Other": "=1"}, "After": {"ImageName": 7, "Other": "=2"},
    }  # fmt: skip
    plan = Plan.of("x", "", {"Outcome": "planned", "Images": [entry]})
    assert rows_of(table.csv_of(plan))[1] == ['"=a"', '"@b"', "5", "", '"7"', '"+c"']


# --- a real spreadsheet ---

EDITED = [
    ("=1+1", "0142"), ("1.10", "2025-01-18"), ("true", "Mar-1"), ("", '"'), ("(none)", "-5 %"),
    ("a\r\nb", "a\nb"), ("a; b", "镜像😀"), ("$5", "1. Mai 2025"), ("'a", " a "),
    ('a "b"', "\x07\t"),
]  # fmt: skip
TAG = {"Tag.k": "1"}
SAVED_PLAN = plan_of(
    *(
        planned(f"img-{n}", {"ImageDescription": before}, {"ImageDescription": after, **TAG})
        for n, (before, after) in enumerate(EDITED)
    ),
    planned("img-x", {"Tag.k": "007"}, {"Tag.k": None}, SHANGHAI, "=reason"),
)
LIBREOFFICE = {
    "English, by way of .xlsx": r'''
Region,ImageId,#Name,Expect.ImageName,ImageName,Expect.ImageDescription,ImageDescription,Expect.Tag.k,Tag.k,#Reason
ap-guangzhou,img-0,old,,,"""=1+1""","""0142""",(none),"""1""",
ap-guangzhou,img-1,old,,,"""1.10""","""2025-01-18""",(none),"""1""",
ap-guangzhou,img-2,old,,,"""true""","""Mar-1""",(none),"""1""",
ap-guangzhou,img-3,old,,,"""""","""""""",(none),"""1""",
ap-guangzhou,img-4,old,,,"""(none)""","""-5 %""",(none),"""1""",
ap-guangzhou,img-5,old,,,"\""a\r\nb""","a
b",(none),"""1""",
ap-guangzhou,img-6,old,,,a; b,镜像😀,(none),"""1""",
ap-guangzhou,img-7,old,,,"""$5""","""1. Mai 2025""",(none),"""1""",
ap-guangzhou,img-8,old,,,"""'a""",""" a """,(none),"""1""",
ap-guangzhou,img-9,old,,,"a ""b""","\""\u0007\t""",(none),"""1""",
ap-shanghai,img-x,old,,,,,"""007""",(none),"""=reason"""
''',
    "German, by way of .ods, with all texts in quotes": r'''
"Region";"ImageId";"#Name";"Expect.ImageName";"ImageName";"Expect.ImageDescription";"ImageDescription";"Expect.Tag.k";"Tag.k";"#Reason"
"ap-guangzhou";"img-0";"old";;;"""=1+1""";"""0142""";"(none)";"""1""";
"ap-guangzhou";"img-1";"old";;;"""1.10""";"""2025-01-18""";"(none)";"""1""";
"ap-guangzhou";"img-2";"old";;;"""true""";"""Mar-1""";"(none)";"""1""";
"ap-guangzhou";"img-3";"old";;;"""""";"""""""";"(none)";"""1""";
"ap-guangzhou";"img-4";"old";;;"""(none)""";"""-5 %""";"(none)";"""1""";
"ap-guangzhou";"img-5";"old";;;"\""a\r\nb""";"a
b";"(none)";"""1""";
"ap-guangzhou";"img-6";"old";;;"a; b";"镜像😀";"(none)";"""1""";
"ap-guangzhou";"img-7";"old";;;"""$5""";"""1. Mai 2025""";"(none)";"""1""";
"ap-guangzhou";"img-8";"old";;;"""'a""";""" a """;"(none)";"""1""";
"ap-guangzhou";"img-9";"old";;;"a ""b""";"\""\u0007\t""";"(none)";"""1""";
"ap-shanghai";"img-x";"old";;;;;"""007""";"(none)";"""=reason"""
''',
}  # fmt: skip
"""What LibreOffice 7.4 saved after it had opened the table of this plan."""


@pytest.mark.parametrize("saved", LIBREOFFICE.values(), ids=LIBREOFFICE)
def test_saved_by_libreoffice(saved: str) -> None:
    """What a real spreadsheet saves is the same change request, up to the last character."""
    assert read(saved) == apply_of(SAVED_PLAN)


# --- tables that people write ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ImageId,ImageName\nimg-a,web", {"ImageName": "web"}),
        ("\n\nImageId;ImageName\n;\nimg-a;web\n\n", {"ImageName": "web"}),
        ("ImageId\tImageName\rimg-a\tweb\r", {"ImageName": "web"}),
        ("ImageName,ImageId,,\r\nweb,img-a,,,,\r\n", {"ImageName": "web"}),
        ("#,ImageId,#,Tag.k\n=1,img-a,=2,(none)\n", {"Tag.k": None}),
        ("ImageId,Tag.a,Tag.b, Tag.c\nimg-a,,(none) ,", None),
        ('ImageId,Tag.a,Tag.b\nimg-a,,"""(none) """', {"Tag.b": "(none) "}),
        ('ImageId,ImageName\nimg-a,"""a""b"""', {"ImageName": 'a"b'}),
        ('ImageId,ImageFamily\nimg-a,""""""', {"ImageFamily": ""}),
        ('ImageId,ImageFamily\n"""img-a""",""""', {"ImageFamily": '"'}),
        ("ImageId,ImageDeprecated\nimg-a,TRUE", {"ImageDeprecated": True}),
        ('ImageId,ImageDeprecated\nimg-a,"""False"""', {"ImageDeprecated": False}),
        ("ImageId,ImageName,Tag.a\nimg-a,  ,+1", {"Tag.a": "+1"}),
        ("ImageId,ImageName,ImageFamily\nimg-a,web", {"ImageName": "web"}),
    ],
)
def test_forms(text: str, expected: Values | None) -> None:
    """A table can be written by hand, with any delimiter, line ends and blank rows."""
    if expected is None:
        assert "unknown column" in problems(text)[0]
    else:
        assert read(text) == {("", "img-a"): (expected, {})}


MESSAGE = "scf-local: 1 image of 1 region; without Region: that of the function\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_encodings(tmp_path: Path, encoding: str, pack: Any) -> None:  # noqa: ANN401 - a function
    """A file may be UTF-8 or UTF-16, and gzip."""
    path = tmp_path / "t.csv"
    path.write_bytes(pack(f"ImageId,ImageName\r\nimg-a,{'镜像' * 20}\r\n".encode(encoding)))
    result = CliRunner().invoke(main, ["request", str(path)])
    assert (result.exit_code, result.stderr) == (0, MESSAGE)
    assert json.loads(result.stdout) == {"Images": [{"ImageId": "img-a", "ImageName": "镜像" * 20}]}


def test_rows_without_values_are_left_out() -> None:
    """A row in which only expected values are filled in is not part of the change request."""
    text = "ImageId,Expect.ImageName,ImageName\nimg-a,web,\nimg-b,,web\n"
    assert read(text) == {("", "img-b"): ({"ImageName": "web"}, {})}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("imageid,ImageName", ['1: unknown column "imageid"; did you mean ImageId?',
                               "1: column ImageId is missing"]),
        ("", ["1: column ImageId is missing"]),
        ("\n\nImageId,ImgName\n", ['3: unknown column "ImgName"; did you mean ImageName?']),
        ("ImageId,tag.team\n", ['1: unknown column "tag.team"; did you mean Tag.team?']),
        ("ImageId,expect.tag.x\n",
         ['1: unknown column "expect.tag.x"; did you mean Expect.Tag.x?']),
        ("ImageId,Expect.Region\n",
         ['1: unknown column "Expect.Region"; did you mean Region?']),
        ("ImageId,Tags.team,Expect.team\n",
         ['1: unknown column "Tags.team"; did you mean Tag.team?',
          '1: unknown column "Expect.team"; did you mean Expect.Tag.team?']),
        ("ImageId,ImageName,#a,#a,ImageName,,\n", ["1: column ImageName appears 2 times"]),
        ('ImageId,"\\""Tag.x"',
         ['1: a column is "\\\\\\"Tag.x"; what follows the \\ is no JSON string']),
    ],
)  # fmt: skip
def test_wrong_columns(text: str, expected: list[str]) -> None:
    """All wrong columns are reported, with the nearest name, and no row is read."""
    assert problems(text and f"{text}\nimg,(none)") == expected


IN_QUOTES = "for this text, put it in quotes"
TEXT_RULE = "must be text without control characters and line breaks (pattern)"
PROTECTED = 'tag "image-steward" is protected: no document may set or delete it'


@pytest.mark.parametrize("column", ["Tags", "DeleteTags", "tags"])
def test_lists_of_tags(column: str) -> None:
    """A column for all tags is rejected, and the message names the columns to use."""
    (problem,) = problems(f"ImageId,{column}\nimg-a,x")
    assert f'1: unknown column "{column}"; allowed are Region, ImageId, ' in problem
    assert "Tag.<key>" in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"ImageId,ImageName\nimg-a,{'x' * 61}",
         ["2: column ImageName: has 61 characters; at most 60 are allowed (maxLength)"]),
        ('ImageId,#a,ImageName\n"img-a","x\ny",ok\nIMG,\n,,x',
         ['5: column ImageId: is ""; must be an image id such as img-6pb6lrmy (pattern)']),
        ("Region,ImageId,ImageFamily\nap-shangai,img-a,x\nap-shangai,img-b,x",
         [f'{line}: column Region: "ap-shangai" is not a known region, nor listed in '
          "STEWARD_REGIONS; did you mean ap-shanghai?" for line in (2, 3)]),
        ("ImageId,ImageDeprecated\nimg-a,yes",
         ['2: column ImageDeprecated: is "yes"; must be true or false']),
        ("ImageId,ImageName\nimg-a,(none)\nimg-b,“x”",
         [f'2: column ImageName: is "(none)"; only a tag can be deleted; {IN_QUOTES}',
          '3: column ImageName: is "“x”"; quotes must be plain (")']),
        ("ImageId,Tag.a\nimg-a,(None)\nimg-b,\uff08none\uff09 ",
         [f'{line}: column Tag.a: is "{text}"; (none) deletes a tag; {IN_QUOTES}'
          for line, text in ((2, "(None)"), (3, "\uff08none\uff09 "))]),
        ('ImageId,ImageName\nimg-a,=A1\nimg-b,#NAME?\nimg-c,"""=A1"""',
         [f'{line}: column ImageName: is "{text}", a formula, or the error of one; {IN_QUOTES}'
          for line, text in ((2, "=A1"), (3, "#NAME?"))]),
        ('ImageId,Tag.a,Tag.b,Tag.c\nimg-a,x,(none),""""""',
         ["2: column Tag.c: has 0 characters; at least 1 is required (minLength)"]),
        ("ImageId,Tag.,Tag.a\nimg-a,(none),(none)",
         ["2: column Tag.: has 0 characters; at least 1 is required (minLength)"]),
        ('ImageId,Tag.a,Expect.Tag.b,Expect.ImageName\nimg-a,"a\nb","a\nb","a\nb"',
         [f'2: column Tag.a: is "a\\nb"; {TEXT_RULE}']),
        ("ImageId,Tag.a,Tag.image-steward\nimg-a,x,ignore",
         [f"2: column Tag.image-steward: {PROTECTED}"]),
        ("ImageId,ImageName\nimg-a,x\n\nimg-a,y",
         ["4: column ImageId: img-a is already in line 2"]),
        ("ImageId,ImageName,\nimg-a,x,y,,z",
         [f'2: column without a name: has a cell, "{cell}"' for cell in "yz"]),
        ('ImageId,ImageName\nimg-a,"\\""\\ud800"""',
         ['2: column (any): half a surrogate pair in "\\ud800"']),
        ('ImageId,ImageName\nimg-a,\\"x',
         ['2: column ImageName: is "\\\\\\"x"; what follows the \\ is no JSON string']),
        (f"ImageId{''.join(f',Tag.{n}' for n in range(51))}\nimg-a{',v' * 51}",
         ["2: column Tag.<key>: has 51 entries; at most 50 are allowed (maxItems)"]),
        (f"ImageId,ImageName{''.join(f',Expect.Tag.{n}' for n in range(101))}\nimg-a{',v' * 102}",
         ["2: column Expect.Tag.<key>: has 101 entries; at most 100 are allowed (maxItems)"]),
        ("ImageId,ImageDeprecated,ImageName\nIMG,no,x",
         ['2: column ImageDeprecated: is "no"; must be true or false',
          '2: column ImageId: is "IMG"; must be an image id such as img-6pb6lrmy (pattern)']),
    ],
)  # fmt: skip
def test_wrong_cells(text: str, expected: list[str]) -> None:
    """Every wrong cell is reported with its line and column, and nothing of the table is used."""
    assert problems(text) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("ImageId,ImageName\nimg-a,镜像".encode("gbk"),
         't.csv:2: not text in UTF-8; save the table as "CSV UTF-8"'),
        (b"ImageId,ImageName\nimg-a,a\0b", "t.csv:2: not text in UTF-8; save"),
        (b'ImageId,ImageName\nimg-a,x\nimg-b,"x\nimg-c,y\n',
         "t.csv:3: not CSV, or a quote is not closed: unexpected end of data"),
        (b'ImageId,ImageName\nimg-a,"x"y\n', "t.csv:2: not CSV, or a quote is not closed: ',' exp"),
        (b"ImageId,ImageName\nimg-a," + b"x" * 200_000, "t.csv:2: not CSV, or a quote is not clos"),
        (b"ImageId,ImageName\n", "t.csv: no cell changes anything; fill in ImageName or"),
        (b"ImageId,#n,Expect.ImageName,ImageName\nimg-a,x,web,\n,,,\n", "t.csv: no cell changes"),
        (b"x" * ((16 << 20) + 1), "t.csv: has more than 16 MiB or 50,000 rows; split the table"),
        (b"ImageId\r\n" * 50_001, "t.csv: has more than 16 MiB or 50,000 rows; split the table"),
    ],
)  # fmt: skip
def test_not_a_table(data: bytes, message: str) -> None:
    """What is not a table, is too large, or changes nothing, is wrong usage."""
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared
        table.read(data, "t.csv")
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "ImageId" + ",x" * 500_000 + "\nimg-a" + ",x" * 500_000,
        "ImageId" + "," * 2_000_000 + "\n" + "img-a,x\n" * 40_000,
        "ImageId,ImageName\nimg-a,x" + ",x" * 100_000,
        "ImageId" + "".join(f",Tag.{n}" for n in range(100_000)) + "\nimg-a" + ",x" * 100_000,
        "".join(f"x{n}," for n in range(200_000)) + "ImageId",
        "ImageId,ImageName\n" + "IMG,x\n" * 50_000,
    ],
)
def test_hostile_tables(text: str) -> None:
    """A table of senseless size is rejected with few messages, and in little memory."""
    data = text.encode()
    tracemalloc.start()
    try:
        found = table.read(data, "t.csv").problems
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert 1 <= len(found) <= 1001
    assert peak < 200 << 20


# --- the command ---


def test_command_prints_the_change_request() -> None:
    """The change request is on stdout, the number of its images and regions on stderr."""
    result = request(table.csv_of(PLAN))
    assert (result.exit_code, result.stderr) == (0, "scf-local: 2 images of 2 regions\n")
    assert request_of(json.loads(result.stdout)["Images"]) == apply_of(PLAN)


def test_problems_of_a_table() -> None:
    """A table with problems prints no change request, the first 20 of them, and their number."""
    rows = "".join(f"img-{n},{'x' * (61 if n else 1)}\n" for n in range(26))
    result = request(f"ImageId,ImageName\n{rows}")
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert lines[0].startswith("scf-local: -:3: column ImageName: has 61 characters; at most 60")
    assert lines[20:] == [
        "scf-local: … 25 problems in total",
        "scf-local: no change request, since the table has errors",
    ]  # fmt: skip


def test_messages_are_printable() -> None:
    """A message shows no control character of the table."""
    result = request('ImageId,Tag.\x1b[2J,ImageName\nimg-a,"x\ny",\x1b[2J\n')
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "column Tag.�[2J: " in result.stderr


def test_problems_of_a_later_part() -> None:
    """The problems of a table are printed, whichever part of it is asked for."""
    result = request("ImageId,ImageName\nIMG,x\n", "--part", "2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "-:2: column ImageId: is " in result.stderr


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_unreadable_file(name: str) -> None:
    """A file that cannot be read is wrong usage."""
    assert CliRunner().invoke(main, ["request", name]).exit_code == 2


def test_more_images_than_a_document_holds() -> None:
    """1,001 images are two parts, which together have them all; there is no third part."""
    text = "ImageId,ImageName\n" + "".join(f"img-{n},x\n" for n in range(1001))
    parts = [request(text, "--part", str(n)) for n in (1, 2)]
    assert parts[0].stderr.startswith("scf-local: 1,001 images of 1 region; ")
    assert parts[0].stderr.endswith("; this is part 1 of 2\n")
    ids = [entry["ImageId"] for part in parts for entry in json.loads(part.stdout)["Images"]]
    assert ids == [f"img-{n}" for n in range(1001)]
    missing = request(text, "--part", "3")
    assert missing.exit_code == 2
    assert "--part 3 not found; the last part is 2" in missing.stderr


POLICY = {"Normalise": {"Regions": [GUANGZHOU], "ImageName": "{ImageFamily|web}-{Tag.n|x}",
                        "Tags": [{"Key": "team", "Value": "infra"}]}}  # fmt: skip


def test_edited_plan_is_carried_out(function: Function) -> None:
    """From the plan of a policy to the cloud: only what the edited table says is changed."""
    function.hold(
        {"ImageId": "img-00000001", "ImageName": "one", "Tags": [{"Key": "n", "Value": "0142"}]},
        {"ImageId": "img-00000002", "ImageName": "=2", "Tags": [{"Key": "n", "Value": "b"}]},
        {"ImageId": "img-00000003", "ImageName": "three", "Tags": [{"Key": "n", "Value": "c"}]},
        {"ImageId": "img-00000004", "ImageName": "four", "Tags": [{"Key": "n", "Value": "d"}]},
    )
    before = function.images
    result = function(POLICY, STEWARD_DRY_RUN="1")
    rows = rows_of(table.csv_of(Plan.of("policy.json", "", result)))
    cells = {row[1]: dict(zip(rows[0], row, strict=True)) for row in rows[1:]}
    cells["img-00000001"]["ImageName"] = "镜像"  # another name
    cells["img-00000002"] |= {"Tag.team": "", "Expect.Tag.team": ""}  # no tag
    cells["img-00000003"] |= dict.fromkeys(("ImageName", "Tag.team"), "")  # nothing
    cells["img-00000004"]["Tag.n"] = "(none)"  # an additional column
    header = [*rows[0], "Tag.n"]
    edited = csv_of([header, *([row.get(n, "") for n in header] for row in cells.values())])
    applied = function(json.loads(request(edited).stdout))
    assert applied["Summary"] == {
        "Changed": 3, "Unchanged": 0, "Planned": 0, "Skipped": 0, "Failed": 0, "Pending": 0,
    }  # fmt: skip
    assert function.names() == {
        "img-00000001": "镜像", "img-00000002": "web-b", "img-00000003": "three",
        "img-00000004": "web-d",
    }  # fmt: skip
    tags = {
        i["ImageId"]: {t["Key"]: t["Value"] for t in i["Tags"]} for i in function.images[GUANGZHOU]
    }
    assert tags == {
        "img-00000001": {"n": "0142", "team": "infra"}, "img-00000002": {"n": "b"},
        "img-00000003": {"n": "c"}, "img-00000004": {"team": "infra"},
    }  # fmt: skip
    assert {r: i for r, i in function.images.items() if r != GUANGZHOU} == {
        r: i for r, i in before.items() if r != GUANGZHOU
    }


def test_image_that_changed_since(function: Function) -> None:
    """An image that somebody renamed after the plan was written is left as it is."""
    plan = Plan.of("policy.json", "", function(POLICY, STEWARD_DRY_RUN="1"))
    first = plan.planned[0]
    function({"ImageId": first.image_id, "ImageName": "renamed"})
    applied = function(json.loads(request(table.csv_of(plan)).stdout))
    failed = [image for image in applied["Images"] if image["Status"] == "failed"]
    assert [(image["ImageId"], image["Code"]) for image in failed] == [(first.image_id, "Changed")]
    assert function.names()[first.image_id] == "renamed"
