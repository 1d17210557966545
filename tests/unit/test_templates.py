"""Templates: fields in braces, alternatives, formats, and nothing else."""

from __future__ import annotations

import string
import unicodedata
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from image_steward.clock import utc
from image_steward.naming.fields import FIELDS
from image_steward.naming.templates import (
    DIRECTIVES,
    MAX_FIELDS,
    MAX_LENGTH,
    Fields,
    NoValue,
    Template,
)
from image_steward.naming.text import clean

VALUES = {
    "ImageId": "img-6pb6lrmy",
    "ImageName": "web-7",
    "OldName": "web-6",
    "ImageDescription": "built from 3f2c1d",
    "ImageFamily": "web",
    "OsName": "TencentOS Server 3.1 (TK4)",
    "Platform": "TencentOS",
    "Architecture": "x86_64",
    "ImageCreator": "100012345678",
    "CreatedTime": "2024-02-03T04:05:06Z",
    "Region": "ap-guangzhou",
    "Tag.team": "infra",
}

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def render(text: str, **values: str) -> str:
    """Render a template for the image above, with some values replaced."""
    return Template.parse(text, FIELDS).render(VALUES | values)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{ImageFamily}", "web"),
        ("{ImageFamily}{ImageFamily}", "webweb"),
        ("{ImageFamily|none}", "web"),
        ("{Tag.team|unknown}", "infra"),
        ("{CreatedTime}", "2024-02-03T04:05:06Z"),
        ("{CreatedTime|never}", "2024-02-03T04:05:06Z"),
        ("{CreatedTime:%Y%m%d}", "20240203"),
        ("{CreatedTime:%Y%m%d|never}", "20240203"),
        ("{CreatedTime:%H:%M:%S}", "04:05:06"),
        ("{CreatedTime:%Y年%m月}", "2024年02月"),
        ("{CreatedTime:day %j %%}", "day 034 %"),
        ("{ImageFamily}-{OsName}-{CreatedTime:%Y%m%d}", "web-TencentOS Server 3.1 (TK4)-20240203"),
        ("{{ImageFamily}}", "{ImageFamily}"),
        ("{{{ImageFamily}}}", "{web}"),
        ("{{}}{{", "{}{"),
        ("}}{{", "}{"),
        ("100 % of {ImageFamily}, %s %d %(x)s %%", "100 % of web, %s %d %(x)s %%"),
        ("%", "%"),
        ("$ImageFamily ${{ImageFamily}}\n\\{ImageFamily}", "$ImageFamily ${ImageFamily}\n\\web"),
        ("镜像 {ImageFamily} 😀", "镜像 web 😀"),
    ],
)
def test_render(text: str, rendered: str) -> None:
    """Fields are replaced by their values, double braces by a brace; other text is unchanged."""
    assert render(text) == rendered


def test_every_field() -> None:
    """All fields are rendered, each at its position, and known by name."""
    names = [*FIELDS.names, "Tag.team"]
    template = Template.parse(" / ".join(f"{{{name}}}" for name in names), FIELDS)
    assert template.render(VALUES) == " / ".join(VALUES[name] for name in names)
    assert template.fields == set(VALUES)


def test_fields() -> None:
    """The fields of a template are listed once each, whatever their defaults and formats."""
    text = "{ImageFamily|x}{ImageFamily}{CreatedTime:%Y|y}{Tag.a:b}{{ImageName}}"
    assert Template.parse(text, FIELDS).fields == {"ImageFamily", "CreatedTime", "Tag.a:b"}


@pytest.mark.parametrize(
    ("directive", "written"),
    [
        ("Y", "2027"), ("y", "27"), ("m", "01"), ("d", "02"), ("H", "04"), ("M", "05"),
        ("S", "06"), ("j", "002"), ("G", "2026"), ("V", "53"), ("u", "6"),
    ],
)  # fmt: skip
def test_directives(directive: str, written: str) -> None:
    """A directive renders a time as numbers: of the day, the year, or the week and its year."""
    assert render(f"{{CreatedTime:%{directive}}}", CreatedTime="2027-01-02T04:05:06Z") == written


PARTS = st.sampled_from([*(f"%{letter}" for letter in DIRECTIVES), "%%", "-", "s", "é"])


@given(st.integers(0, 253_000_000_000), st.lists(PARTS, min_size=1), st.integers(-840, 840))
@example(1_798_862_706, ["%%", "s", "%y", "%Y"], 0)
def test_any_format(moment: int, parts: list[str], minutes: int) -> None:
    """Any format renders a time as strftime does, local to any offset."""
    form = "".join(["%d", *parts])
    fields = replace(FIELDS, utc_offset=minutes * 60)
    zone = timezone(timedelta(minutes=minutes))
    template = Template.parse(f"{{CreatedTime:{form}}}", fields)
    written = datetime.fromtimestamp(moment, zone).strftime(form)
    assert template.render({"CreatedTime": utc(moment)}) == written


def test_every_directive_is_tested() -> None:
    """The table above has every directive."""
    assert sorted(DIRECTIVES) == sorted("YymdHMSjGVu")


@pytest.mark.parametrize(
    "directive", sorted({*string.ascii_letters, *"-_^#+0159:é镜 \n"} - set(DIRECTIVES))
)
def test_other_directives(directive: str) -> None:
    """Names of months and days, time zones, widths and flags are rejected, since they vary."""
    for form in (f"%{directive}", f"%Y%{directive}", f"%%%{directive}Y"):
        with pytest.raises(ValueError, match="a time format requires at least one of %Y %y %m"):
            Template.parse(f"{{CreatedTime:{form}}}", FIELDS)


@pytest.mark.parametrize("form", ["", "%", "%Y%", "%%%", "%Y\0", "\0"])
def test_formats_that_end_early(form: str) -> None:
    """An empty format, or one at which strftime would stop early, is rejected."""
    with pytest.raises(ValueError, match="a time format requires at least one of"):
        Template.parse(f"{{CreatedTime:{form}}}", FIELDS)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "unmatched { at character 1; write a field as {ImageId}, and a literal brace as {{"),
        ("}", "unmatched } at character 1; write a field as {ImageId}, and a literal brace as }}"),
        ("web-{ImageFamily", "unmatched { at character 5"),
        ("web}", "unmatched } at character 4"),
        ("{ImageFamily}}", "unmatched } at character 14"),
        ("{{ImageFamily}", "unmatched } at character 14"),
        ("{{{ImageFamily}}", "unmatched } at character 16"),
        ("{ImageName:{ImageFamily}}", "unmatched { at character 1"),
        ("{ImageName|{ImageFamily}}", "unmatched { at character 1"),
        ("{Tag.{ImageFamily}}", "unmatched { at character 1"),
        ("{Tag.a|{{}", "unmatched { at character 1"),
        ("{}", '"{}" is not a field; allowed are ImageId, ImageName, '),
        ("{ }", '"{ }" is not a field; allowed are'),
        ("{0}", '"{0}" is not a field; allowed are'),
        ("{|web}", "{|web} has an empty alternative"),
        ("{ImageName||web}", "{ImageName||web} has an empty alternative"),
        ("{||}", "{||} has an empty alternative"),
        ("{:%Y}", "is not a field; allowed are"),
        ("{__class__}", "is not a field; allowed are"),
        ("{self}", "is not a field; allowed are"),
        ("{Tag}", "is not a field; did you mean Tag.<key>?"),
        ("{Tag.}", "is not a field; did you mean Tag.<key>?"),
        ("{Tag.|x}", "is not a field; did you mean Tag.<key>?"),
        ("{ImageNmae}", '"{ImageNmae}" is not a field; did you mean ImageName?'),
        ("{imagename}", "did you mean ImageName?"),
        ("{ ImageName }", "did you mean ImageName?"),
        ("{ImageFamilly|web}", "did you mean ImageFamily?"),
        ("{Createdtime:%Y}", "did you mean CreatedTime?"),
        ("{ImageName.upper}", "did you mean ImageName?"),
        ("{ImageName.__class__}", "is not a field"),
        ("{ImageName.__init__.__globals__}", "is not a field"),
        ("{ImageName[0]}", "did you mean ImageName?"),
        ("{ImageName!r}", "did you mean ImageName?"),
        ("{CreatedTime!s:%Y}", "did you mean CreatedTime?"),
        ("{CreatedTime.year}", "did you mean CreatedTime?"),
        (
            "{ImageName:>10}",
            '{ImageName:>10}: ">10" is not a format of ImageName; allowed are .20 (characters)',
        ),
        ("{ImageName:%Y}", "lower and upper, and only CreatedTime may have a time format"),
        ("{ImageName:}", "only CreatedTime may have a time format"),
        ("{Region:%Y}", "only CreatedTime may have a time format"),
        ("{ImageName:.0}", '{ImageName:.0}: ".0" is not a format of ImageName'),
        ("{ImageName:.}", '{ImageName:.}: "." is not a format of ImageName'),
        ("{ImageName:.10000}", '{ImageName:.10000}: ".10000" is not a format of ImageName'),
        ("{ImageName:.\u0662}", "only CreatedTime may have a time format"),
        ("{ImageName:Lower}", "only CreatedTime may have a time format"),
        (
            "{ImageName:.20:lower}",
            '{ImageName:.20:lower}: ".20:lower" is not a format of ImageName',
        ),
        ("{lower}", '"{lower}" is not a field; allowed are'),
        ("{:lower}", '"{:lower}" is not a field; allowed are'),
        ("{Tag.:lower}", "is not a field; did you mean Tag.<key>?"),
        ("{CreatedTime:abc}", "{CreatedTime:abc}: a time format requires at least one of %Y"),
        ("{CreatedTime:lower:%q}", "{CreatedTime:lower:%q}: a time format"),
        ("{Tag.a|ImageNmae|x}", '"{ImageNmae}" is not a field; did you mean ImageName?'),
        ("{Tag.a|b|c}", '"{b}" is not a field; allowed are ImageId, '),
        ("{Tag.a|ImageName:%Y}", '{ImageName:%Y}: "%Y" is not a format of ImageName'),
        ("{Tag.a|CreatedTime:%q}", "{CreatedTime:%q}: a time format requires"),
        ("{Tag.a|ImageName:>10|x}", '{ImageName:>10}: ">10" is not a format of ImageName'),
        ("{CreatedTime:>10}", "{CreatedTime:>10}: a time format requires at least one of %Y"),
        ("{CreatedTime:%%}", "{CreatedTime:%%}: a time format requires at least one"),
        ("{CreatedTime:%Y}{CreatedTime:%c}", "{CreatedTime:%c}: a time format"),
        ("{ImageName|}", "{ImageName|} has an empty alternative; give one, or leave out the |"),
        ("{Tag.a|}", "{Tag.a|} has an empty alternative"),
        ("{CreatedTime:%Y|}", "{CreatedTime:%Y|} has an empty alternative"),
        ("{|}", "{|} has an empty alternative"),
        ("x" * (MAX_LENGTH + 1), "has 1025 characters; at most 1024 are allowed"),
        ("{ImageId}" * (MAX_FIELDS + 1), "has more than 20 fields"),
        ("{ImageId}" * 10 + "{ImageId|ImageName|x}" * 5 + "{ImageId}", "has more than 20 fields"),
    ],
)
def test_rejected(text: str, error: str) -> None:
    """A wrong template is rejected with what is wrong, and what is allowed there."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        Template.parse(text, FIELDS)
    assert error in str(caught.value)


def test_longest_templates() -> None:
    """A template may have 1,024 characters and 20 fields."""
    longest = Template.parse("{ImageId}" * MAX_FIELDS + "x" * (MAX_LENGTH - 9 * MAX_FIELDS), FIELDS)
    assert longest.render({"ImageId": "i"}) == "i" * 20 + "x" * 844


def test_long_fields_are_cut() -> None:
    """An unclosed field is cut in the error message."""
    with pytest.raises(ValueError, match="is not a field") as caught:
        Template.parse("{" + "x" * 1000 + "}", FIELDS)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "key",
    ["a:b", "a.b", "a:%Y", "a!r", "a[0]", "__class__", "a b", " ", "镜像", "%s", "%", ".", ":",
     "Tag.a", "ImageName", "a:>10", "\n"],
)  # fmt: skip
def test_keys_of_tags(key: str) -> None:
    """Syntax characters in the key of a tag are part of the key."""
    template = Template.parse(f"<{{Tag.{key}|none}}>", FIELDS)
    assert template.fields == {f"Tag.{key}"}
    assert template.render({f"Tag.{key}": "infra"}) == "<infra>"
    assert template.render({f"Tag.{key}": ""}) == "<none>"


def test_bar() -> None:
    """A bar ends a name, even the key of a tag."""
    template = Template.parse("{Tag.a|Tag.b:c|d:e}", FIELDS)
    assert template.fields == {"Tag.a", "Tag.b:c"}
    values = {"Tag.a": "A", "Tag.b:c": "B"}
    for empty, rendered in [((), "A"), (("Tag.a",), "B"), (values, "d:e")]:
        assert template.render(values | dict.fromkeys(empty, "")) == rendered


@pytest.mark.parametrize(
    ("text", "empty", "rendered"),
    [
        ("{ImageFamily|OsName}", "", "web"),
        ("{ImageFamily|OsName}", "ImageFamily", "TencentOS Server 3.1 (TK4)"),
        ("{ImageFamily:upper|OsName:.9}", "", "WEB"),
        ("{ImageFamily:upper|OsName:.9}", "ImageFamily", "TencentOS"),
        ("{ImageFamily|OsName|Region|x}", "ImageFamily OsName", "ap-guangzhou"),
        ("{ImageFamily|OsName|Region|x}", "ImageFamily OsName Region", "x"),
        ("{CreatedTime:%Y|ImageFamily}", "CreatedTime", "web"),
        ("{ImageFamily|CreatedTime:%H:%M|x:y}", "ImageFamily", "04:05"),
        ("{ImageFamily|CreatedTime:%H:%M|x:y}", "ImageFamily CreatedTime", "x:y"),
        ("{ImageFamily|CreatedTime}", "ImageFamily", "2024-02-03T04:05:06Z"),
        ("{ImageFamily|ImageFamily}", "", "web"),
        ("{ImageFamily|ImageNmae}", "ImageFamily", "ImageNmae"),
        ("{ImageFamily|Region: none}", "ImageFamily", "Region: none"),
        ("{ImageFamily|%Y:.20}", "ImageFamily", "%Y:.20"),
        ("{ImageFamily|Tag.}", "ImageFamily", "Tag."),
        ("{ImageFamily|lower}-{Region:.2}", "ImageFamily", "lower-ap"),
    ],
)
def test_alternatives(text: str, empty: str, rendered: str) -> None:
    """The first alternative that has a value is used, in its own format, or the final text."""
    assert render(text, **dict.fromkeys(empty.split(), "")) == rendered


@pytest.mark.parametrize(
    ("form", "value", "rendered"),
    [
        (".3", "web-7", "web"),
        (".5", "web-7", "web-7"),
        (".9999", "web-7", "web-7"),
        (".2", "x👨\u200d👩\u200d👧y", "x"),
        (".5", "👨\u200d👩\u200d👧y", "👨\u200d👩\u200d👧"),
        (".4", "web 7", "web"),
        ("lower", "WEB İ ΑΣ", "web i\u0307 ας"),
        ("upper", "straße", "STRASSE"),
    ],
)
def test_formats_of_texts(form: str, value: str, rendered: str) -> None:
    """A text is cut between visible characters, or its case is changed."""
    for name in ("ImageName", "Tag.a:b", "Tag.lower"):
        template = Template.parse(f"{{{name}:{form}}}", FIELDS)
        assert template.fields == {name}
        assert template.render({name: value}) == rendered
        with pytest.raises(NoValue, match=f"^{name} has no value"):
            template.render({name: ""})


def test_formats_of_texts_apply_to_times() -> None:
    """Without directives, a time is its text in UTC, which may be cut."""
    assert render("{CreatedTime:.10}_{CreatedTime:lower}") == "2024-02-03_2024-02-03t04:05:06z"


@pytest.mark.parametrize(
    ("text", "offset", "rendered"),
    [
        ("{CreatedTime:%Y%m%d %H%M%S}", 28_800, "20240203 120506"),
        ("{CreatedTime:%Y%m%d}", -18_000, "20240202"),
        ("{CreatedTime:%j %G-%V-%u}", -18_000, "033 2024-05-5"),
        ("{CreatedTime:%j %G-%V-%u}", 0, "034 2024-05-6"),
        ("{CreatedTime:%H:%M}", 20_700, "09:50"),
        ("{CreatedTime}", 28_800, "2024-02-03T04:05:06Z"),
        ("{ImageFamily|CreatedTime:%H}", 28_800, "12"),
    ],
)
def test_offset(text: str, offset: int, rendered: str) -> None:
    """A time with directives is local to the offset of the fields; without, it is UTC."""
    template = Template.parse(text, replace(FIELDS, utc_offset=offset))
    assert template.render(VALUES | {"ImageFamily": ""}) == rendered


@pytest.mark.parametrize(
    ("time", "offset", "directive"),
    [("9999-12-31T23:00:00Z", 3600, "%Y"), ("0001-01-01T00:59:59Z", -3600, "%j")],
)
def test_no_local_time(time: str, offset: int, directive: str) -> None:
    """A time whose local year would be 0 or 10000 has no value, and neither has an empty one."""
    fields = replace(FIELDS, utc_offset=offset)
    template = Template.parse(f"{{CreatedTime:{directive}|none}}", fields)
    assert template.render({"CreatedTime": time}) == "none"
    assert template.render({"CreatedTime": ""}) == "none"


def test_early_years() -> None:
    """A year has four digits, whichever directives are beside it."""
    text = "{CreatedTime:%Y}{CreatedTime:%Y%j}{CreatedTime:%G}"
    assert render(text, CreatedTime="0007-01-02T00:00:00Z") == "000700070020007"


def test_no_value_of_alternatives() -> None:
    """If no alternative has a value, the reason names all of them."""
    with pytest.raises(NoValue, match=r"^Tag\.a\|ImageName has no value and no default$"):
        render("{Tag.a|ImageName:upper}", **{"Tag.a": "", "ImageName": ""})


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("{ImageFamily|none}", "none"),
        ("<{ImageFamily| }>", "< >"),
        ("{ImageFamily|a:b.c!r %s %Y}", "a:b.c!r %s %Y"),
        ("{CreatedTime|never}", "never"),
        ("{CreatedTime:%Y|%Y}", "%Y"),
    ],
)
def test_default(text: str, rendered: str) -> None:
    """A field without a value is replaced by its default, unchanged."""
    assert render(text, ImageFamily="", CreatedTime="") == rendered


@pytest.mark.parametrize("text", ["{ImageFamily}", "{CreatedTime}", "{CreatedTime:%Y}"])
def test_no_value(text: str) -> None:
    """A field without value and default renders to no text, with the reason."""
    field = text.strip("{}").partition(":")[0]
    with pytest.raises(NoValue, match=f"^{field} has no value and no default$"):
        render(f"x {{ImageId}} {{ImageName|y}} {text}", **{field: "", "ImageName": ""})


def test_first_missing_field() -> None:
    """Of several fields without a value, the first is named."""
    with pytest.raises(NoValue, match=r"^Tag\.team has no value"):
        render(
            "{ImageFamily|x}{Tag.team}{OsName}", **{"ImageFamily": "", "Tag.team": "", "OsName": ""}
        )


def test_other_fields() -> None:
    """The caller chooses the fields: other names, other prefixes, several times."""
    fields = Fields(("run", "built"), ("custom_data.", "Tag."), ("built", "copied"))
    template = Template.parse("{run}/{custom_data.sha}/{Tag.x}/{built:%Y}/{copied:%d}", fields)
    values = {"run": "r", "custom_data.sha": "3f2c1d", "Tag.x": "y"}
    times = {"built": "2024-02-03T04:05:06Z", "copied": "2024-02-04T04:05:06Z"}
    assert template.render(values | times) == "r/3f2c1d/y/2024/04"
    with pytest.raises(ValueError, match="only built and copied may have a time format"):
        Template.parse("{run:%Y}", fields)
    with pytest.raises(ValueError, match=r"are run, built, custom_data\.<key>, Tag\.<key>"):
        Template.parse("{ImageName}", fields)


@given(TEXTS)
@example("100 % of %s")
def test_text_is_unchanged(text: str) -> None:
    """Text without braces renders to itself, cleaned."""
    plain = text.replace("{", "").replace("}", "")
    template = Template.parse(plain, FIELDS)
    assert template.render({}) == clean(plain)
    assert template.fields == frozenset()
    assert template.text == plain


@given(st.text(st.sampled_from("{}%s|:\nx") | st.characters(exclude_categories=["Cs"])))
@example("}{{}%{s}")
def test_braces_round_trip(text: str) -> None:
    """Any text with its braces doubled renders to itself, cleaned."""
    assert render(text.replace("{", "{{").replace("}", "}}")) == clean(text)


INVISIBLE = [0xAD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x200B, 0x200E, 0x200F,
             *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164, 0xFEFF, 0xFFA0,
             *range(0xFFF9, 0xFFFC), *range(0x1D173, 0x1D17B), 0xE0001]  # fmt: skip


@given(
    st.text(
        st.sampled_from(["a", " ", "\n", "\u3000", "\u200c", "\u200d", *map(chr, INVISIBLE)])
        | st.characters()
    )
)
@example(" \u200b \ufeffa\u200bb\u200d \u200e\n")
def test_what_is_rendered_is_clean(text: str) -> None:
    """Whatever a value is, the result has no invisible character and no blank at its ends."""
    rendered = render("{ImageName|-}", ImageName=text)
    without = "".join(c for c in text or "-" if ord(c) not in INVISIBLE and not is_surrogate(c))
    assert rendered == without.strip()
    assert rendered.encode().decode() == rendered
    assert clean(rendered) == rendered


def is_surrogate(letter: str) -> bool:
    """Whether a character has no UTF-8 form."""
    return unicodedata.category(letter) == "Cs"


@given(TEXTS.map(clean).filter(bool), TEXTS.map(clean).filter(bool))
@example("{ImageId}", "%s{{")
@example("{Tag.team|x}", "%(ImageId)s")
def test_values_are_not_templates(name: str, team: str) -> None:
    """Braces, percent signs and fields in a value have no meaning."""
    text = "<{ImageName}|{Tag.team}>%"
    assert render(text, **{"ImageName": name, "Tag.team": team}) == f"<{name}|{team}>%"


PIECES = ["{", "}", "{{", "}}", "|", ":", ".9", "lower", "%", "%Y", "%q", "!r", "[0]", ".", "Tag.",
          "ImageName", "CreatedTime", "x", "\0"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_accepted_or_rejected(text: str) -> None:
    """A template that is not rejected renders, given values for its fields."""
    try:
        template = Template.parse(text, FIELDS)
    except ValueError:
        return
    values = dict.fromkeys(template.fields, "v") | {"CreatedTime": VALUES["CreatedTime"]}
    rendered = template.render(values)
    assert bool(rendered) == bool(text)
    assert all(name in FIELDS.names or name.startswith("Tag.") for name in template.fields)
