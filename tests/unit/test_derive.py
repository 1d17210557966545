"""Derived fields: what policies take out of other fields, replace, and map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_steward.documents.naming_policy import NamingPolicy
from image_steward.errors import InvalidDocument
from image_steward.naming.derive import MAX_TEXT
from image_steward.planning.desired_state import desired_states_of
from region import NOW, REGION, Region, attributes_of, bound_tags, image, normalised, policy

if TYPE_CHECKING:
    from image_steward.model import Image
    from image_steward.planning.desired_state import DesiredState

PAIRS = st.lists(
    st.builds(
        lambda key, value: {"Key": key, "Value": value},
        st.text("abA\\1.*", min_size=1, max_size=3),
        st.text("abA\\1.*", max_size=3),
    ),
    min_size=1,
    max_size=4,
)


def wide(text: str) -> str:
    """Return the full-width form of ASCII characters."""
    return "".join(chr(ord(letter) + 0xFEE0) for letter in text)


def derived(steps: list[dict[str, Any]], name: str = "web", **members: object) -> dict[str, str]:
    """Return the derived fields of an image with this name."""
    made = policy({"ImageDescription": "x", "Derive": steps})
    values = made.values(REGION, image("img-a", name, **members))
    return {field: values[field] for step in made.derive for field in step.fields}


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """Return what Replace makes of a text."""
    rules = [{"Key": key, "Value": value} for key, value in pairs]
    return derived([{"From": "{ImageName}", "Replace": rules, "As": "x"}], text)["x"]


def mapped(text: str, *pairs: tuple[str, str]) -> str:
    """Return what Map makes of a text."""
    rules = [{"Key": key, "Value": value} for key, value in pairs]
    return derived([{"From": "{ImageName}", "Map": rules, "As": "x"}], text)["x"]


def parsed(text: str, *patterns: str) -> dict[str, str]:
    """Return what Parse makes of a text."""
    return derived([{"From": "{ImageName}", "Parse": list(patterns)}], text)


@pytest.mark.parametrize(
    ("text", "pairs", "found"),
    [
        ("【勿删】web 2.3.9", [("【勿删】", "")], "web 2.3.9"),
        ("a-b-a-b", [("a", "x")], "x-b-x-b"),
        ("ab", [("a", "b"), ("b", "c")], "cc"),
        ("ab", [("b", "c"), ("a", "b")], "bc"),
        ("Final_FINAL_final", [("_final", "")], "Final"),
        ("生产web", [("生产", "Prod-")], "Prod-web"),
        (wide("WEB2"), [("web", "Db")], "Db2"),
        ("web", [(wide("we"), wide("x"))], wide("x") + "b"),
        ("a.c abc", [("a.c", "*")], "* abc"),
        ("a*c", [("*", "?")], "a?c"),
        ("aa", [("a", "\\1\\g<0>\\n")], "\\1\\g<0>\\n" * 2),
        ("a\\b", [("\\", "/")], "a/b"),
        ("web", [("x", "y")], "web"),
        ("aaa", [("aa", "a")], "aa"),
    ],
)
def test_replace(text: str, pairs: list[tuple[str, str]], found: str) -> None:
    """Replace puts each value in place of every occurrence of its key, in order, in any case."""
    assert replaced(text, *pairs) == found


@given(st.text("abA\\1.*", min_size=1, max_size=20), PAIRS)
def test_replace_by_definition(text: str, pairs: list[dict[str, str]]) -> None:
    """Keys and values of Replace are literal: no character has a meaning of its own."""
    expected = text
    for pair in pairs:
        key = pair["Key"].lower()
        rest, expected = expected, ""
        while (at := rest.lower().find(key)) >= 0:
            expected += rest[:at] + pair["Value"]
            rest = rest[at + len(key) :]
        expected = (expected + rest)[:MAX_TEXT]
    assert replaced(text, *((pair["Key"], pair["Value"]) for pair in pairs)) == expected


def test_replace_that_grows() -> None:
    """A text that doubles with each of a hundred replacements is cut to 256 characters."""
    assert replaced("a", *[("a", "aa")] * 100) == "a" * MAX_TEXT
    assert replaced("a" * 60, ("a", "b" * 256)) == "b" * MAX_TEXT


@pytest.mark.parametrize(
    ("text", "pairs", "found"),
    [
        ("Ubuntu Server 22.04 LTS 64bit", [("Ubuntu Server 22.04*", "ubuntu2204")], "ubuntu2204"),
        ("ubuntu server 22.04", [("UBUNTU*", "u"), ("*", "other")], "u"),
        ("CentOS 7", [("UBUNTU*", "u"), ("*", "other")], "other"),
        ("CentOS 7", [("centos ?", "first"), ("centos 7", "second")], "first"),
        ("CentOS 7", [("centos", "whole")], ""),
        ("CentOS 7", [("x", "y")], ""),
        (wide("Cent"), [("cent", "c")], "c"),
        ("cent", [(wide("cent"), "c")], "c"),
        ("[a]", [("[a]", "c")], "c"),
        ("a", [("[a]", "c")], ""),
        ("ab", [("a" + wide("*"), "star"), ("a" + wide("?"), "mark"), ("a*", "wild")], "wild"),
        ("a" + wide("*"), [("a" + wide("*"), "star"), ("a*", "wild")], "star"),
        ("ab", [("a*", ""), ("*", "later")], ""),
        ("a\nb", [("a*b", "x")], "x"),
    ],
)
def test_map(text: str, pairs: list[tuple[str, str]], found: str) -> None:
    """Map gives the value of the first glob that matches the whole text, in any case."""
    assert mapped(text, *pairs) == found


@pytest.mark.parametrize(
    ("text", "patterns", "found"),
    [
        ("web-api-copy-2", ["{app}-copy-{n:digits}", "{app}"], {"app": "web-api", "n": "2"}),
        ("web-api", ["{app}-copy-{n:digits}", "{app}"], {"app": "web-api", "n": ""}),
        ("x-1", ["{a}-{b}", "{a}-{b:digits}", "{c}"], {"a": "x", "b": "1", "c": ""}),
        ("", ["{a}-{b}"], {"a": "", "b": ""}),
        ("web", ["{a}-{b}"], {"a": "", "b": ""}),
        ("web", ["web", "{a}"], {"a": ""}),
        ("WEB-x", ["web-{a}"], {"a": "x"}),
        (wide("Web-X"), ["wEb-{a}"], {"a": "X"}),
    ],
)
def test_parse(text: str, patterns: list[str], found: dict[str, str]) -> None:
    """The first pattern that matches gives its fields; those of the others are empty."""
    assert parsed(text, *patterns) == found


def test_order() -> None:
    """A step sees the fields of the steps before it, and the later of two steps counts."""
    steps: list[dict[str, Any]] = [
        {"From": "{ImageName}", "Replace": [{"Key": "-", "Value": "_"}], "As": "x"},
        {"From": "{x}", "Map": [{"Key": "a_*", "Value": "first"}], "As": "y"},
        {"From": "{y}+{x}", "Parse": ["{x}_{z}"]},
        {"From": "{x}", "Replace": [{"Key": "f", "Value": "F"}], "As": "w"},
    ]
    assert derived(steps, "a-b") == {"x": "first+a", "y": "first", "z": "b", "w": "First+a"}
    assert derived(steps, "b") == {"x": "", "y": "", "z": "", "w": ""}


def test_no_value() -> None:
    """The text of a From without a value is empty: a star maps it, and other fields count."""
    steps: list[dict[str, Any]] = [
        {"From": "{ImageFamily}", "Map": [{"Key": "*", "Value": "none"}], "As": "a"},
        {"From": "{ImageFamily}-x", "Replace": [{"Key": "x", "Value": "y"}], "As": "b"},
        {"From": "{ImageFamily}", "Parse": ["{c}"]},
        {"From": "{c|Tag.k|last}", "Parse": ["{d}"]},
    ]
    assert derived(steps) == {"a": "none", "b": "", "c": "", "d": "last"}
    assert derived(steps, Tags={"k": "v"})["d"] == "v"


def test_only_so_much_counts() -> None:
    """256 characters of a text count, before and after NFKC."""
    steps = [{"From": "{ImageDescription}{ImageDescription}", "Parse": ["{x}"]}]
    assert derived(steps, ImageDescription="y" * 200)["x"] == "y" * MAX_TEXT
    assert len(derived(steps, ImageDescription="\ufdfa" * 200)["x"]) == MAX_TEXT


def renamed(body: dict[str, Any], *images: Image) -> dict[str, Any]:
    """Return what a policy gives an image: its new attributes and tags."""
    (step,) = normalised(body, Region(images))
    assert not step.error
    return {**attributes_of(step), **bound_tags(step)}


def test_time_zone() -> None:
    """What is read and written by one format is the same text, and CreatedTime is local."""
    body = {
        "Derive": [{"From": "{ImageName}", "Parse": ["{app}_{built:%Y年%m月%d日}"]}],
        "ImageName": "{app}-{built:%Y%m%d}",
        "ImageDescription": "{built} {CreatedTime:%d-%H}",
        "ImageFamily": "{CreatedTime:%d-%H}",
    }
    one = image("img-a", "支付_2023年5月3日", CreatedTime="2026-11-20T20:30:00Z")
    assert renamed({**body, "OnConflict": "skip", "TimeZone": "+08:00"}, one) == {
        "ImageName": "支付-20230503",
        "ImageDescription": "2023-05-02T16:00:00Z 21-04",
        "ImageFamily": "21-04",
    }
    assert renamed({**body, "TimeZone": "-03:30"}, one)["ImageFamily"] == "20-17"
    assert renamed(body, one)["ImageDescription"] == "2023-05-03T00:00:00Z 20-20"


def test_old_name() -> None:
    """OldName is the name before the change, in all templates; ImageName is the new one."""
    body = {
        "ImageName": "{OsName}",
        "ImageDescription": "{ImageName}",
        "Tags": [{"Key": "was", "Value": "{Tag.was|OldName}"}],
    }
    one = image("img-a", "old")
    assert renamed(body, one) == {
        "ImageName": "TencentOS", "ImageDescription": "TencentOS", "was": "old",
    }  # fmt: skip
    assert renamed(body, image("img-a", "old", Tags={"was": "older"})).get("was") is None


def test_fields_of_the_new_name() -> None:
    """Other templates see the fields of the new name, and of the old one where those are empty."""
    fields = ("app", "env", "day", "role", "old")
    body = {
        "Derive": [
            {"From": "{ImageName}", "Parse": ["{env}/{app}/{day:digits}", "{app}-{env}", "{app}"]},
            {"From": "{app}", "Map": [{"Key": "nginx", "Value": "proxy"}], "As": "role"},
            {"From": "{OldName}", "Replace": [{"Key": "/", "Value": "+"}], "As": "old"},
        ],
        "ImageName": "{app:upper}-{env}",
        "Tags": [{"Key": k, "Value": f"{{Tag.{k}|{k}}}"} for k in fields],
    }
    one = image("img-a", "prod/nginx/20230503")
    assert renamed(body, one) == {
        "ImageName": "NGINX-prod", "app": "NGINX", "env": "prod", "day": "20230503",
        "role": "proxy", "old": "prod+nginx+20230503",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("数据库备份-mysql-8.0.33", "mysql-8.0.33"),
        ("Web Api!!(2)", "Web-Api-2"),
        ("é" * 5 + "abcdefghijkl", "abcdefgh"),
    ],
)
def test_charset_and_length(old: str, new: str) -> None:
    """A policy's style may leave ASCII only, and shorter names."""
    length = 8 if new == "abcdefgh" else 60
    body = {"ImageName": "{ImageName}", "Style": {"Charset": "ascii", "MaxLength": length}}
    assert renamed(body, image("img-a", old)) == {"ImageName": new}


def test_numbers_within_the_length() -> None:
    """Numbered names keep to the style's length."""
    body = {"ImageName": "abcdefghijk", "Style": {"MaxLength": 8}}
    steps = normalised(body, Region(image(f"img-{i:02}", f"n{i}") for i in range(10)))
    assert [step.new_name for step in steps] == [
        "abcdefgh", *(f"abcdef-{i}" for i in range(2, 10)), "abcde-10",
    ]  # fmt: skip


INHERITED: dict[str, Any] = {
    "Derive": [
        {
            "From": "{ImageName}",
            "Replace": [
                {"Key": text, "Value": ""} for text in ("【勿删】", "镜像_", "_final", "img of ")
            ],
            "As": "clean",
        },
        {
            "From": "{clean}",
            "Parse": [
                "{env:word}/{app}/{built:%Y%m%d}",
                "{app}_v{version:version}_{built:%d.%m.%Y}",
                "{app}_{built:%Y年%m月%d日}",
                "{app}-copy-{n:digits}",
                "{app} {version:version}",
                "{app} (*)",
                "{app}-tencentos3*",
                "{app}",
            ],
        },
        {
            "From": "{OsName}",
            "Map": [{"Key": "tencentos server 3*", "Value": "tencentos3"}],
            "As": "os",
        },
    ],
    "ImageName": "{app}-{env|-}-{os|-}-{version|-}-{built:%Y%m%d|-}",
    "Style": {"Case": "lower"},
}


@pytest.mark.parametrize(
    ("old", "os_name", "new"),
    [
        ("prod/nginx/20230503", "", "nginx-prod-20230503"),
        ("【勿删】web 2.3.9", "", "web-2.3.9"),
        ("web-api-copy-2", "", "web-api"),
        ("ERP_v4.1_03.05.2023_final_FINAL", "", "erp-4.1-20230503"),
        ("镜像_支付_2023年5月3日", "", "支付-20230503"),
        (
            "img of bastion (TencentOS Server 3.1 (TK4))",
            "TencentOS Server 3.1 (TK4)",
            "bastion-tencentos3",
        ),
        ("数据库备份-mysql-8.0.33", "", "mysql-8.0.33"),
    ],
)
def test_inherited_names(old: str, os_name: str, new: str) -> None:
    """Names of an inherited list become the right ones, and a second run plans nothing."""
    charset = "ascii" if new.startswith("mysql") else "any"
    body = {**INHERITED, "Style": {"Case": "lower", "Charset": charset}}
    assert renamed(body, image("img-a", old, OsName=os_name)) == {"ImageName": new}
    assert renamed(body, image("img-a", new, OsName=os_name)) == {}
    taken = image("img-0", new, OsName=os_name)
    _, second = normalised(body, Region([taken, image("img-a", old, OsName=os_name)]))
    assert second.new_name == f"{new}-2"


# ---- violations

TIME = {"From": "{ImageName}", "Parse": ["{app}-{built:%Y%m%d}"]}


@pytest.mark.parametrize(
    ("steps", "path", "message"),
    [
        (
            [{"From": "x"}],
            "/0",
            "has no rule; exactly one of Replace, Map and Parse is required",
        ),
        (
            [{"From": "x", "As": "x"}],
            "/0",
            "has no rule; exactly one of Replace, Map and Parse is required",
        ),
        (
            [{"From": "x", "Map": [{"Key": "*", "Value": ""}], "Parse": ["{a}"], "As": "x"}],
            "/0",
            "has Map and Parse; exactly one of Replace, Map and Parse is required",
        ),
        (
            [{"From": "x", "Map": [{"Key": "*", "Value": ""}]}],
            "/0",
            "As is required: the new field",
        ),
        (
            [{"From": "x", "Parse": ["{a}"], "As": "x"}],
            "/0",
            "As is not allowed with Parse, whose patterns name the fields",
        ),
        (
            [{"From": "x", "Map": [{"Key": "*", "Value": ""}], "As": "OsName"}],
            "/0",
            "OsName is a field of every image; choose another name",
        ),
        (
            [{"From": "x", "Parse": ["{a}", "{OldName}-{a}"]}],
            "/0",
            "OldName is a field of every image; choose another name",
        ),
        (
            [{"From": "x", "Parse": ["{a:%Y}", "{a}"]}],
            "/0/Parse",
            "a is a time in one pattern and text in another",
        ),
        ([{"From": "{OsNam}", "Parse": ["{a}"]}], "/0/From", "did you mean OsName?"),
        ([{"From": "{apq}", "Parse": ["{b}"]}], "/0/From", '"{apq}" is not a field'),
        (
            [
                {"From": "{ImageName}", "Parse": ["{version}"]},
                {"From": "{verson}", "Parse": ["{b}"]},
            ],
            "/1/From",
            "did you mean version?",
        ),
        (
            [{"From": "{later}", "Parse": ["{a}"]}, {"From": "x", "Parse": ["{later}"]}],
            "/0/From",
            '"{later}" is not a field',
        ),
        ([{"From": "{a}", "Parse": ["{a}"]}], "/0/From", '"{a}" is not a field'),
        ([TIME, {"From": "{app:%Y}", "Parse": ["{b}"]}], "/1/From", "may have a time format"),
        (
            [TIME, {"From": "x", "Parse": ["{built}"]}],
            "/1",
            "built is a time in one step and text in another",
        ),
        (
            [{"From": "x", "Parse": ["{built}"]}, TIME],
            "/1",
            "built is a time in one step and text in another",
        ),
        ([{"From": "x", "Parse": []}], "/0/Parse", "0 entries; at least 1 is required"),
        ([{"From": "x", "Replace": [{"Key": ""}], "As": "x"}], "/0/Replace/0", "Value is missing"),
        ([{"From": "x", "Map": [{"Key": "*", "Value": 5}], "As": "x"}], "/0/Map/0/Value", "string"),
        (
            [{"From": "x", "Map": [{"Key": "*", "Value": ""}], "As": "1x"}],
            "/0/As",
            "must be a letter, then letters, digits and _, at most 64",
        ),
        ([{"From": "x", "Pars": ["{a}"]}], "/0/Pars", "did you mean Parse?"),
        ([{"Parse": ["{a}"]}], "/0", "member From is missing"),
    ],
)
def test_rejected(steps: list[dict[str, Any]], path: str, message: str) -> None:
    """Each wrong step is reported with its path and what is allowed."""
    with pytest.raises(InvalidDocument) as caught:
        policy({"ImageName": "x", "Derive": steps})
    found = dict(caught.value.details)
    assert message in found[f"/Normalise/Derive{path}"]
    assert len(found) == 1 + ('"Key": ""' in str(steps).replace("'", '"'))


def test_wrong_pattern() -> None:
    """A wrong pattern is one violation; templates that use its fields are none."""
    steps: list[dict[str, Any]] = [
        {"From": "{ImageName}", "Parse": ["{app}-{n:digit}-{built:%Y%Q}", "{app}"]},
        {"From": "{n}", "Parse": ["{other}"]},
    ]
    templates = {"ImageName": "{app}-{n}-{other}-{built:%Y}", "ImageFamily": "{built}"}
    with pytest.raises(InvalidDocument) as caught:
        policy({**templates, "Derive": steps})
    ((path, message),) = caught.value.details
    assert path == "/Normalise/Derive/0/Parse/0"
    assert '"digit" at character 10 is not a kind of field' in message
    assert "did you mean digits?" in message


def test_templates_use_derived_fields() -> None:
    """All templates know the derived fields and which of them are times."""
    body = {
        "Derive": [TIME],
        "ImageName": "{app}-{built:%y}",
        "ImageDescription": "{app}",
        "ImageFamily": "{app:upper}",
        "Tags": [{"Key": "built", "Value": "{built:%Y-%m-%d}"}],
        "Retire": {"KeepLatest": 1, "GroupBy": "{app}-{built:%Y}"},
    }
    assert renamed(body, image("img-a", "web-20230503")) | {"ImageName": ""} == {
        "ImageName": "", "ImageDescription": "web", "ImageFamily": "WEB", "built": "2023-05-03",
    }  # fmt: skip


TWINS = [
    {"From": "{ImageName}", "Parse": ["{x}-{n:digits}", "{x}"]},
    {"From": "{x}{Tag.t}", "Replace": [{"Key": "web", "Value": "w"}], "As": "y"},
    {"From": "{OsName}{Tag.t}", "Map": [{"Key": "*", "Value": "os"}], "As": "x"},
]


@pytest.mark.parametrize(
    "steps", [TWINS, TWINS[:2], [TWINS[0], TWINS[2], TWINS[1]], [TWINS[2], TWINS[1]]]
)
@pytest.mark.parametrize("name", ["web-1", "db"])
def test_steps_are_left_out_if_nothing_changes(steps: list[dict[str, Any]], name: str) -> None:
    """Deriving only from what has changed makes the same plan as deriving from everything."""
    body = {
        "Derive": steps,
        "ImageName": "a-{ImageName}",
        "ImageDescription": "{x|none} {y|none}",
        "Tags": [{"Key": "t", "Value": "{y|none}"}],
        "Retire": {"KeepLatest": 1, "GroupBy": "{y|none}"},
    }
    images = [image("img-a", name, Tags={"t": "web"}), image("img-b", "x-2", ImageFamily="f")]

    def groups() -> list[DesiredState]:
        return desired_states_of(policy(body), REGION, images, lambda: NOW, ())

    partly = groups()
    with patch.object(NamingPolicy, "_reads_final_fields", new=False):
        assert groups() == partly
