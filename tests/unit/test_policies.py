"""Naming policies: read whole, or rejected with every violation; and their selection."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from image_steward import registry
from image_steward.clock import utc
from image_steward.cloud.image_api import image_of
from image_steward.documents import validation
from image_steward.documents.naming_policy import MAX_CHANGES, NamingPolicy, Select
from image_steward.errors import InvalidDocument
from image_steward.model import tags_of
from image_steward.naming.fields import FIELDS
from image_steward.naming.patterns import Glob
from image_steward.naming.style import Style
from image_steward.naming.temporary import TEMPORARY, temporary
from image_steward.planning.desired_state import desired_state_of
from image_steward.settings import Settings

if TYPE_CHECKING:
    from image_steward.model import Image

OWN = "ap-guangzhou"
NAMED = {"ImageName": "{ImageFamily}-{CreatedTime:%Y%m%d}"}
CREATED = datetime(2024, 2, 3, 4, 5, 6, tzinfo=timezone.utc).timestamp()
HOUR = 3600


def read(document: object, region: str = OWN) -> NamingPolicy:
    """Read a document from a Python value."""
    request = registry.read(json.dumps(document).encode(), region=region).request
    assert isinstance(request, NamingPolicy)
    return request


def policy(**body: object) -> NamingPolicy:
    """Return the policy of a document with this member `Normalise`."""
    return read({"Normalise": body})


def select(**given: object) -> Select:
    """Return the selection of a policy."""
    return policy(**NAMED, Select=given).select


def mismatch_of(one: Image, now: float, **given: object) -> str:
    """Return why a selection leaves an image out, first apart from its age."""
    selection = select(**given)
    return selection.mismatch(one) or selection.age_mismatch(one, now)


def violations(document: object, region: str = OWN) -> list[tuple[str, str]]:
    """Return the path and message of each violation of a document that is rejected."""
    with pytest.raises(InvalidDocument) as caught:
        read(document, region)
    return list(caught.value.details)


def image(**members: object) -> Image:
    """Return an image, with some members replaced."""
    return image_of(
        {
            "ImageId": "img-6pb6lrmy",
            "ImageName": "build-7",
            "ImageFamily": "web",
            "CreatedTime": utc(CREATED),
            "OsName": "TencentOS Server 3.1",
            "Platform": "Linux",
            "Architecture": "x86_64",
            "ImageCreator": "10001",
            "Tags": [{"Key": "team", "Value": "infra"}, {"Key": "stage", "Value": "prod"}],
            "ImageState": "NORMAL",
            "ImageType": "PRIVATE_IMAGE",
            **members,
        }
    )


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        ({}, ""),
        ({"ImageName": "build-*"}, ""),
        ({"ImageName": "BUILD-*"}, "ImageName does not match BUILD-*"),
        ({"ImageName": "build"}, "ImageName does not match build"),
        ({"ImageFamily": "web*"}, ""),
        ({"ImageFamily": "db"}, "ImageFamily does not match db"),
        ({"Tags": [{"Key": "team"}]}, ""),
        ({"Tags": [{"Key": "team", "Value": "*"}]}, ""),
        ({"Tags": [{"Key": "t*", "Value": "inf??"}]}, ""),
        ({"Tags": [{"Key": "team", "Value": "infra"}, {"Key": "stage", "Value": "prod"}]}, ""),
        ({"Tags": [{"Key": "*", "Value": "prod"}]}, ""),
        ({"Tags": [{"Key": "Team"}]}, "no tag matches Team = *"),
        ({"Tags": [{"Key": "team", "Value": "prod"}]}, "no tag matches team = prod"),
        ({"Tags": [{"Key": "team"}, {"Key": "owner"}]}, "no tag matches owner = *"),
        ({"OlderThanHours": 2}, ""),
        ({"OlderThanHours": 3}, ""),
        ({"OlderThanHours": 3.5}, "it is younger than 3.5 hours"),
        ({"OlderThanHours": 876000}, "it is younger than 876000 hours"),
        ({"YoungerThanHours": 3.5}, ""),
        ({"YoungerThanHours": 3}, "it is older than 3 hours"),
        ({"YoungerThanHours": 0}, "it is older than 0 hours"),
        ({"YoungerThanHours": 4, "OlderThanHours": 2}, ""),
        ({"YoungerThanHours": 2, "OlderThanHours": 4}, "it is younger than 4 hours"),
        ({"ImageName": ["x", "build-*"]}, ""),
        ({"ImageName": ["x", "y*"]}, "ImageName does not match x or y*"),
        ({"ImageName": [*"abcdef"]}, "ImageName does not match a or b or c or d or e …"),
        ({"ImageName": [*"abcde"]}, "ImageName does not match a or b or c or d or e"),
        ({"OsName": "TencentOS*", "Platform": ["Windows", "Linux"]}, ""),
        ({"OsName": "*tencent*"}, "OsName does not match *tencent*"),
        ({"Platform": "Windows*"}, "Platform does not match Windows*"),
        ({"Architecture": ["arm", "arm64"]}, "Architecture does not match arm or arm64"),
        ({"Architecture": "x86_*", "ImageCreator": "1000?"}, ""),
        ({"ImageCreator": "7"}, "ImageCreator does not match 7"),
        ({"ImageName": "x", "ImageFamily": "web"}, "ImageName does not match x"),
        ({"ImageName": "build-*", "ImageFamily": "x"}, "ImageFamily does not match x"),
        ({"ImageName": "*", "Tags": [{"Key": "x"}], "OlderThanHours": 1}, "no tag matches x = *"),
        ({"ImageName": "*", "Tags": [{"Key": "team"}], "OlderThanHours": 9}, "it is younger"),
        ({"ImageName": "*", "ImageFamily": "*", "Tags": [{"Key": "*"}], "OlderThanHours": 1}, ""),
    ],
)  # fmt: skip
def test_select(given_: dict[str, Any], reason: str) -> None:
    """An image is selected if all conditions match; otherwise, the first mismatch is returned."""
    mismatch = mismatch_of(image(), CREATED + 3 * HOUR, **given_)
    assert mismatch.startswith(reason)
    assert bool(mismatch) == bool(reason)
    assert reason in {mismatch, "it is younger"}


def test_select_of_empty_values() -> None:
    """A missing value is empty: a star matches it, a question mark does not."""
    bare = image(ImageFamily=None, Tags=[{"Key": "team", "Value": ""}])
    assert not select(ImageFamily="*", Tags=[{"Key": "team"}]).mismatch(bare)
    assert select(ImageFamily="?*").mismatch(bare) == "ImageFamily does not match ?*"
    assert select(Tags=[{"Key": "team", "Value": "?*"}]).mismatch(bare)


@given(st.integers(0, 10**6), st.integers(0, 300), st.floats(0, 0.999))
@example(2 * HOUR, 2, 0.0)
@example(2 * HOUR - 1, 2, 0.999)
def test_age(age: int, hours: int, fraction: float) -> None:
    """An image is old enough from the second on in which it reaches the age, and young before."""
    now = CREATED + age + fraction
    too_young = select(OlderThanHours=hours).age_mismatch(image(), now)
    assert too_young == (f"it is younger than {hours} hours" if age < hours * HOUR else "")
    too_old = select(YoungerThanHours=hours).age_mismatch(image(), now)
    assert too_old == ("" if too_young else f"it is older than {hours} hours")


@pytest.mark.parametrize("created", [None, "", "yesterday"])
def test_unknown_age(created: str | None) -> None:
    """An image of unknown age is neither old nor young enough for any age."""
    ageless = image(CreatedTime=created)
    for hours in (0, 1):
        for member in ("OlderThanHours", "YoungerThanHours"):
            mismatch = select(**{member: hours}).age_mismatch(ageless, CREATED)
            assert mismatch == "CreatedTime is unknown"
    assert select(ImageName="build-*").age_mismatch(ageless, CREATED) == ""


def test_temporary_name() -> None:
    """An image with a temporary name is selected by the policy that set it, and by no other."""
    ours, theirs = select(ImageName="build-*"), select(ImageName="other-*")
    assert ours.owner != theirs.owner
    for attempt in (1, 2):
        left = image(ImageName=temporary("img-6pb6lrmy", attempt, ours.owner))
        assert ours.mismatch(left) == ""
        assert theirs.mismatch(left) == "ImageName does not match other-*"
    unmarked = image(ImageName=temporary("img-6pb6lrmy", 1))
    assert ours.mismatch(unmarked) == "ImageName does not match build-*"
    assert ours.mismatch(image(ImageName=TEMPORARY)) == "ImageName does not match build-*"
    assert select().mismatch(unmarked) == ""


def test_temporary_name_with_a_new_family() -> None:
    """An image with a temporary name is selected, even if it already has its new family."""
    ours = select(ImageName="build-*", ImageFamily="db")
    left = image(ImageName=temporary("img-6pb6lrmy", 1, ours.owner), ImageFamily="new")
    assert ours.mismatch(left) == ""


def test_temporary_name_is_not_enough() -> None:
    """An image with a temporary name must match conditions other than name and family."""
    ours = select(ImageName="build-*", Tags=[{"Key": "never"}])
    left = image(ImageName=temporary("img-6pb6lrmy", 1, ours.owner))
    assert ours.mismatch(left) == "no tag matches never = *"


def test_mark() -> None:
    """The mark in temporary names is the same in every run; a selection by tags has none."""
    assert select(ImageName="build-*").owner == "78731db8-"
    assert select(ImageName=["build-*"], OsName="x").owner == "78731db8-"
    assert select(ImageName="build-*", OlderThanHours=2).owner == "78731db8-"
    assert select(ImageFamily="build-*").owner != select(ImageName="build-*").owner
    assert select(Tags=[{"Key": "a"}]).owner == ""


def test_defaults() -> None:
    """Members that a policy leaves out have their documented defaults."""
    found = read({"Normalise": NAMED})
    assert not found.dry_run
    assert found.regions == (OWN,)
    assert found.select == Select({}, (), None, None)
    assert (found.excepted, found.derive, found.delete_tags) == ((), (), ())
    assert found.style == Style("keep", "-", "any", 60)
    assert found.number_on_conflict
    assert (found.deprecated, found.retire) == (None, None)
    assert found.max_changes == MAX_CHANGES == 100
    assert {name: each.text for name, each in found.templates.items()} == NAMED


def test_all_members() -> None:
    """Every member of a policy is read, the template of the name first."""
    request = read(
        {
            "Normalise": {
                "Regions": ["ap-shanghai", "ap-tokyo"],
                "Select": {
                    "ImageName": ["build-*", "*镜像*"],
                    "ImageFamily": "web*",
                    "OsName": "Ubuntu*",
                    "Tags": [{"Key": "team", "Value": "infra"}, {"Key": "stage"}],
                    "OlderThanHours": 1.5,
                    "YoungerThanHours": 2,
                },
                "Except": [{"Tags": [{"Key": "keep"}]}, {"ImageName": "golden-*"}],
                "Derive": [
                    {"From": "{Tag.made}", "Parse": ["{app}-{built:%Y}", "{app}"]},
                    {"From": "{OsName}", "Map": [{"Key": "*", "Value": "x"}], "As": "os"},
                    {"From": "{os}", "Replace": [{"Key": "x", "Value": ""}], "As": "os"},
                ],
                "TimeZone": "-03:30",
                "ImageFamily": "web",
                "ImageDescription": "{ImageName}",
                "Tags": [{"Key": "source", "Value": "{Tag.pipeline|unknown}"}],
                "DeleteTags": ["tmp-*", "old"],
                "ImageName": "{OsName}",
                "Style": {"Case": "lower", "Separator": "_", "Charset": "ascii", "MaxLength": 8},
                "OnConflict": "skip",
                "Retire": {"KeepLatest": 3, "GroupBy": "{app}", "OlderThanDays": 1.5},
                "MaxChanges": 7,
            },
            "DryRun": True,
        }
    )
    found = request
    assert request.dry_run
    assert found.regions == ("ap-shanghai", "ap-tokyo")
    assert found.select == Select(
        {
            "ImageName": (Glob("build-*"), Glob("*镜像*")),
            "ImageFamily": (Glob("web*"),),
            "OsName": (Glob("Ubuntu*"),),
        },
        ((Glob("team"), Glob("infra")), (Glob("stage"), Glob("*"))),
        5400,
        7200,
    )
    assert found.excepted == (
        Select({}, ((Glob("keep"), Glob("*")),)),
        Select({"ImageName": (Glob("golden-*"),)}),
    )
    assert [step.fields for step in found.derive] == [("app", "built"), ("os",), ("os",)]
    assert [step.source.text for step in found.derive] == ["{Tag.made}", "{OsName}", "{os}"]
    assert [(name, each.text) for name, each in found.templates.items()] == [
        ("ImageName", "{OsName}"),
        ("ImageDescription", "{ImageName}"),
        ("ImageFamily", "web"),
        ("Tag.source", "{Tag.pipeline|unknown}"),
    ]
    assert found.style == Style("lower", "_", "ascii", 8)
    assert found.delete_tags == (Glob("tmp-*"), Glob("old"))
    assert found.tag_paths == {"old": "/Normalise/DeleteTags", "source": "/Normalise/Tags"}
    assert found.retire
    assert (found.retire.keep, found.retire.older_than) == (3, 129_600)
    assert found.retire.group_by.text == "{app}"
    assert (found.number_on_conflict, found.max_changes) == (False, 7)
    assert {n for n in found.fields if n.startswith("Tag.")} == {"Tag.made", "Tag.pipeline"}


@pytest.mark.parametrize("field", FIELDS.names)
def test_every_field_is_allowed(field: str) -> None:
    """A policy may use every field of an image, and a time with a format."""
    for template in (f"{{{field}|none}}", f"{{{field}:.20|CreatedTime:%Y}}"):
        assert field in policy(ImageDescription=template).templates["ImageDescription"].fields


def test_one_rule_is_enough() -> None:
    """A policy with a single rule is accepted."""
    assert policy(ImageDescription="x").fields == frozenset()
    tag = {"Key": "team", "Value": "{Tag.a|Tag.b|x}"}
    assert policy(Tags=[tag]).templates.keys() == {"Tag.team"}
    assert policy(ImageFamily="web").templates.keys() == {"ImageFamily"}
    assert policy(ImageDeprecated=False).deprecated is False
    assert policy(DeleteTags=["*"]).delete_tags == (Glob("*"),)
    retiring = policy(KeepLatest=3)
    same = policy(Retire={"KeepLatest": 3})
    assert retiring.retire
    assert same.retire == replace(retiring.retire, path="/Normalise/Retire")
    assert (retiring.retire.keep, retiring.retire.older_than) == (3, 0)
    assert retiring.templates == {}
    assert retiring.retire.group_by.fields == {"ImageFamily"}


def test_limits_are_reached() -> None:
    """The largest and smallest values that are allowed are read."""
    regions = [f"ap-x{i}" for i in range(50)]
    body = {
        "ImageName": "镜" * 1024,
        "Tags": [{"Key": f"{i:03}" + "k" * 124, "Value": "v" * 1024} for i in range(50)],
        "Regions": regions,
        "Select": {"ImageName": ["*" * 256] * 50, "OlderThanHours": 0},
        "Except": [{"YoungerThanHours": 876_000}] * 20,
        "Derive": [
            {"From": "x" * 1024, "Parse": ["镜" * 1024] * 20},
            *[{"From": "x", "Map": [{"Key": "*" * 256, "Value": "v" * 256}] * 100, "As": "f" * 64}]
            * 8,
            {"From": "x", "Replace": [{"Key": "k" * 256, "Value": ""}] * 100, "As": "x"},
        ],
        "TimeZone": "+14:59",
        "DeleteTags": ["?" * 256] * 50,
        "Retire": {
            "KeepLatest": 1_000_000,
            "GroupBy": "{Region}" + "x" * 1016,
            "OlderThanDays": 36_500,
        },
        "MaxChanges": 1,
    }
    data = json.dumps({"Normalise": body}).encode()
    found = registry.read(data, region="", settings=Settings(regions=tuple(regions))).request
    assert isinstance(found, NamingPolicy)
    assert len(tags_of(found.templates)) == len(found.regions) == 50
    assert (len(found.excepted), len(found.derive), len(found.delete_tags)) == (20, 10, 50)
    assert found.retire
    assert (found.retire.keep, found.max_changes, found.select.older_than) == (1_000_000, 1, 0)


def test_whole_numbers() -> None:
    """A whole number may be written with a decimal point."""
    found = policy(KeepLatest=3.0, MaxChanges=5.0)
    assert found.retire
    assert (repr(found.retire.keep), repr(found.max_changes)) == ("3", "5")


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        (None, "", "is null; must be an object (type)"),
        (
            {},
            "",
            "ImageDeprecated, Tags, DeleteTags, KeepLatest, Retire is required (anyOf)",
        ),
        ({"Select": {"ImageName": "*"}}, "", "nothing to change: at least one of ImageName, "),
        ({**NAMED, "Selct": {}}, "/Selct", "did you mean Select?"),
        ({**NAMED, "Region": OWN}, "/Region", "did you mean Regions?"),
        ({**NAMED, "Normalise": {}}, "/Normalise", "allowed are Regions, Select, Except, Derive, "),
        ({**NAMED, "Regions": []}, "/Regions", "has 0 entries; at least 1 is required"),
        ({**NAMED, "Regions": OWN}, "/Regions", "is a string; must be an array"),
        ({**NAMED, "Regions": [OWN, "x"]}, "/Regions/1", '"x"; must be a region name such as'),
        ({**NAMED, "Regions": [f"ap-{i}" for i in range(51)]}, "/Regions", "at most 50"),
        ({**NAMED, "Select": {"OsNme": "*"}}, "/Select/OsNme", "did you mean OsName?"),
        ({**NAMED, "Select": {"OsName": []}}, "/Select/OsName", "0 entries; at least 1 is"),
        ({**NAMED, "Select": {"OsName": [""]}}, "/Select/OsName/0", "0 characters"),
        ({**NAMED, "Select": {"OsName": 5}}, "/Select/OsName", "must be a string or an array"),
        ({**NAMED, "Select": {"OsName": ["*"] * 51}}, "/Select/OsName", "51 entries; at most 50"),
        ({**NAMED, "Except": []}, "/Except", "0 entries; at least 1 is required"),
        ({**NAMED, "Except": {"ImageName": "x"}}, "/Except", "is an object; must be an array"),
        (
            {**NAMED, "Except": [{"ImageName": "x"}, {}]},
            "/Except/1",
            "has 0 members; at least 1 is required (minProperties)",
        ),
        ({**NAMED, "Except": [{"Tag": []}]}, "/Except/0/Tag", "did you mean Tags?"),
        ({**NAMED, "TimeZone": "+8"}, "/TimeZone", "must be an offset from UTC such as +08:00"),
        ({**NAMED, "TimeZone": "+15:00"}, "/TimeZone", "must be an offset from UTC"),
        ({**NAMED, "TimeZone": "+08:00\n"}, "/TimeZone", "must be an offset from UTC"),
        ({**NAMED, "Style": {"Charset": "ASCII"}}, "/Style/Charset", "did you mean ascii?"),
        ({**NAMED, "Style": {"MaxLength": 7}}, "/Style/MaxLength", "is 7; must be at least 8"),
        ({**NAMED, "Style": {"MaxLength": 61}}, "/Style/MaxLength", "must be at most 60"),
        ({"ImageDeprecated": "true"}, "/ImageDeprecated", "is a string; must be a boolean"),
        ({"DeleteTags": []}, "/DeleteTags", "0 entries; at least 1 is required"),
        ({"DeleteTags": [""]}, "/DeleteTags/0", "0 characters; at least 1 is required"),
        ({"Retire": {}}, "/Retire", "member KeepLatest is missing"),
        ({"Retire": {"KeepLatest": 0}}, "/Retire/KeepLatest", "must be at least 1"),
        (
            {"Retire": {"KeepLatest": 1, "OlderThanDays": -1}},
            "/Retire/OlderThanDays",
            "is -1; must be at least 0",
        ),
        ({"Retire": {"KeepLatest": 1, "GroupBy": "{x}"}}, "/Retire/GroupBy", "is not a field"),
        (
            {"Retire": {"KeepLatest": 1, "GroupBy": "app"}},
            "/Retire/GroupBy",
            '"app" has no field, so all images would be one group; write a field as {ImageFamily}',
        ),
        (
            {"KeepLatest": 1, "Retire": {"KeepLatest": 1}},
            "/Retire",
            "cannot be combined with KeepLatest, which sets the same",
        ),
        (
            {"KeepLatest": 1, "ImageDeprecated": False},
            "/KeepLatest",
            "cannot be combined with ImageDeprecated, which sets the same",
        ),
        (
            {"Retire": {"KeepLatest": 1}, "ImageDeprecated": True},
            "/Retire",
            "cannot be combined with ImageDeprecated, which sets the same",
        ),
        ({**NAMED, "Select": {"ImageName": ""}}, "/Select/ImageName", "at least 1"),
        ({**NAMED, "Select": {"ImageName": "*" * 257}}, "/Select/ImageName", "at most 256"),
        ({**NAMED, "Select": {"Tags": []}}, "/Select/Tags", "0 entries"),
        ({**NAMED, "Select": {"Tags": [{}]}}, "/Select/Tags/0", "member Key is missing"),
        (
            {**NAMED, "Select": {"OlderThanHours": -0.5}},
            "/Select/OlderThanHours",
            "is -0.5; must be at least 0 (minimum)",
        ),
        (
            {**NAMED, "Select": {"OlderThanHours": 1e300}},
            "/Select/OlderThanHours",
            "is 1e+300; must be at most 876000 (maximum)",
        ),
        ({**NAMED, "Select": {"OlderThanHours": "2"}}, "/Select/OlderThanHours", "is a string"),
        ({"ImageName": ""}, "/ImageName", "0 characters; at least 1"),
        ({"ImageName": "x" * 1025}, "/ImageName", "1025 characters; at most 1024"),
        ({"ImageName": None}, "/ImageName", "is null; must be a string"),
        ({"ImageName": ["{ImageId}"]}, "/ImageName", "is an array; must be a string"),
        ({"ImageName": "{ImageNmae}"}, "/ImageName", "did you mean ImageName?"),
        ({"ImageDescription": "{"}, "/ImageDescription", "unmatched { at character 1"),
        ({"ImageFamily": "{Tag.}"}, "/ImageFamily", "is not a field"),
        ({"Tags": []}, "/Tags", "0 entries"),
        ({"Tags": [{"Key": "team"}]}, "/Tags/0", "member Value is missing"),
        ({"Tags": [{"Key": "", "Value": "x"}]}, "/Tags/0/Key", "at least 1"),
        ({"Tags": [{"Key": "k" * 128, "Value": "x"}]}, "/Tags/0/Key", "at most 127"),
        ({"Tags": [{"Key": "a\u200bb", "Value": "x"}]}, "/Tags/0/Key", "has invisible characters"),
        ({"Tags": [{"Key": "team ", "Value": "x"}]}, "/Tags/0/Key", "blanks at its ends"),
        ({"Tags": [{"Key": "team", "Value": "{x}"}]}, "/Tags/0/Value", '"{x}" is not a field'),
        (
            {"Tags": [{"Key": "team", "Value": "a"}, {"Key": "team", "Value": "b"}]},
            "/Tags/1/Key",
            'key "team" appears again',
        ),
        (
            {**NAMED, "Style": {"Case": "Lower"}},
            "/Style/Case",
            'is "Lower"; must be one of "keep", "lower", "upper"; did you mean lower? (enum)',
        ),
        (
            {**NAMED, "Style": {"Case": "title"}},
            "/Style/Case",
            'is "title"; must be one of "keep", "lower", "upper" (enum)',
        ),
        (
            {**NAMED, "Style": {"Case": None}},
            "/Style/Case",
            'is null; must be one of "keep", "lower", "upper" (enum)',
        ),
        ({**NAMED, "Style": {"Case": True}}, "/Style/Case", "is true; must be one of"),
        (
            {**NAMED, "Style": {"Separator": "/"}},
            "/Style/Separator",
            'is "/"; must be one of "-", "_", ".", " " (enum)',
        ),
        ({**NAMED, "Style": {"Separator": ["-"]}}, "/Style/Separator", 'is ["-"]; must be one of'),
        ({**NAMED, "OnConflict": "fail"}, "/OnConflict", 'must be one of "number", "skip" (enum)'),
        ({**NAMED, "OnConflict": "x" * 90}, "/OnConflict", f'is "{"x" * 60}…"; must be one of'),
        ({**NAMED, "OnConflict": [0] * 90}, "/OnConflict", f"is [{'0, ' * 19}0,…; must be one of"),
        ({"KeepLatest": 0}, "/KeepLatest", "is 0; must be at least 1 (minimum)"),
        ({"KeepLatest": 2.5}, "/KeepLatest", "is a number; must be an integer"),
        ({"KeepLatest": True}, "/KeepLatest", "is a boolean; must be an integer"),
        ({**NAMED, "MaxChanges": -1}, "/MaxChanges", "is -1; must be at least 1 (minimum)"),
        (
            {**NAMED, "MaxChanges": 1_000_001},
            "/MaxChanges",
            "is 1000001; must be at most 1000000 (maximum)",
        ),
        ({**NAMED, "MaxChanges": 10**399}, "/MaxChanges", f"is 1{'0' * 59}…; must be at most"),
    ],
)
def test_rejected(body: object, path: str, message: str) -> None:
    """Each violation is reported once, with its path, what was given and what is allowed."""
    ((found_path, found_message),) = violations({"Normalise": body})
    assert found_path == f"/Normalise{path}"
    assert message in found_message


def test_other_members_of_the_document() -> None:
    """The only other member of a policy's document is DryRun."""
    ((path, message),) = violations({"Normalise": NAMED, "Images": []})
    assert path == "/Images"
    assert message.startswith('unknown member "Images"; allowed are DryRun, Normalise')
    ((path, _),) = violations({"Normalise": NAMED, "DryRun": 1})
    assert path == "/DryRun"
    ((_, message),) = violations({"Normalize": NAMED})
    assert "did you mean Normalise?" in message


def test_every_violation_is_listed() -> None:
    """All wrong templates and duplicate keys are reported together."""
    body = {
        "ImageName": "{OsNam}",
        "ImageDescription": "}",
        "ImageFamily": "{ImageFamily|}",
        "Tags": [
            {"Key": "team", "Value": "{CreatedTime:%c}"},
            {"Key": "stage", "Value": "{ImageName}"},
            {"Key": "team", "Value": "{ImageName:x}"},
            {"Key": "team", "Value": "infra"},
        ],
    }
    found = violations({"Normalise": body})
    assert [path.removeprefix("/Normalise") for path, _ in found] == [
        "/ImageName", "/ImageDescription", "/ImageFamily", "/Tags/0/Value", "/Tags/2/Key",
        "/Tags/2/Value", "/Tags/3/Key",
    ]  # fmt: skip
    for part, (_, message) in zip(
        ["did you mean OsName?", "unmatched", "empty alternative", "a time format",
         'key "team" appears again', "only CreatedTime", 'key "team" appears again'],
        found,
        strict=True,
    ):  # fmt: skip
        assert part in message


def test_region_is_required() -> None:
    """A policy without Regions needs the function's own region; one with Regions does not."""
    ((path, message),) = violations({"Normalise": NAMED}, region="")
    assert path == "/Normalise"
    assert message == "no Region is given, and the function's own is unknown"
    found = read({"Normalise": {**NAMED, "Regions": ["ap-tokyo"]}}, region="")
    assert found.regions == ("ap-tokyo",)


def test_regions_replace_the_own_one() -> None:
    """A policy with Regions applies to these only, and to each of them once."""
    found = policy(**NAMED, Regions=["ap-tokyo", "ap-shanghai", "ap-tokyo"])
    assert list(found.regions) == ["ap-tokyo", "ap-shanghai"]


def test_schema_is_valid() -> None:
    """The schema is valid draft 2020-12."""
    Draft202012Validator.check_schema(validation.validator("naming-policy").schema)


def test_rule_without_a_sentence() -> None:
    """A violation of a rule without a message of its own is reported with the name of the rule."""
    (error,) = Draft202012Validator({"const": 1}).iter_errors(2)
    found = list(validation._messages(error, validation.Violations()))
    assert found == [("", 'violates the schema: "1 was expected"')]


@pytest.mark.parametrize(
    ("name", "base", "numbers", "keeps"),
    [
        ("web", "web", True, True),
        ("web-2", "web", True, True),
        ("web-x", "web", True, False),
        ("web", "web", False, True),
        ("web-2", "web", False, False),
    ],
)
def test_names_that_are_kept(name: str, base: str, *, numbers: bool, keeps: bool) -> None:
    """A numbered form is kept only if conflicts are numbered."""
    found = policy(ImageName=base, OnConflict="number" if numbers else "skip")
    wanted = desired_state_of(found, OWN, image(ImageName=name), lambda: CREATED).values[
        "ImageName"
    ]
    assert (wanted == name) == keeps
