"""Naming policies: read whole, or rejected with every violation; and their selection."""

from __future__ import annotations

import json
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
        ({"ImageName": "x", "ImageFamily": "web"}, "ImageName does not match x"),
        ({"ImageName": "build-*", "ImageFamily": "x"}, "ImageFamily does not match x"),
        ({"ImageName": "*", "Tags": [{"Key": "x"}], "OlderThanHours": 1}, "no tag matches x = *"),
        ({"ImageName": "*", "Tags": [{"Key": "team"}], "OlderThanHours": 9}, "it is younger"),
        ({"ImageName": "*", "ImageFamily": "*", "Tags": [{"Key": "*"}], "OlderThanHours": 1}, ""),
    ],
)  # fmt: skip
def test_select(given_: dict[str, Any], reason: str) -> None:
    """An image is selected if all conditions match; otherwise, the first mismatch is returned."""
    mismatch = select(**given_).mismatch(image(), CREATED + 3 * HOUR)
    assert mismatch.startswith(reason)
    assert bool(mismatch) == bool(reason)


def test_select_of_empty_values() -> None:
    """A missing value is empty: a star matches it, a question mark does not."""
    bare = image(ImageFamily=None, Tags=[{"Key": "team", "Value": ""}])
    now = CREATED
    assert not select(ImageFamily="*", Tags=[{"Key": "team"}]).mismatch(bare, now)
    assert select(ImageFamily="?*").mismatch(bare, now) == "ImageFamily does not match ?*"
    assert select(Tags=[{"Key": "team", "Value": "?*"}]).mismatch(bare, now)


@given(st.integers(0, 10**6), st.integers(0, 300), st.floats(0, 0.999))
@example(2 * HOUR, 2, 0.0)
@example(2 * HOUR - 1, 2, 0.999)
def test_older_than(age: int, hours: int, fraction: float) -> None:
    """An image is old enough from the second on in which it reaches the age."""
    mismatch = select(OlderThanHours=hours).mismatch(image(), CREATED + age + fraction)
    assert bool(mismatch) == (age < hours * HOUR)


@pytest.mark.parametrize("created", [None, "", "yesterday"])
def test_unknown_age(created: str | None) -> None:
    """An image of unknown age is not old enough for any age."""
    ageless = image(CreatedTime=created)
    for hours in (0, 1):
        mismatch = select(OlderThanHours=hours).mismatch(ageless, CREATED)
        assert mismatch == "CreatedTime is unknown"
    assert select(ImageName="build-*").mismatch(ageless, CREATED) == ""


def test_temporary_name() -> None:
    """An image with a temporary name is selected by the policy that set it, and by no other."""
    ours, theirs = select(ImageName="build-*"), select(ImageName="other-*")
    assert ours.owner != theirs.owner
    for attempt in (1, 2):
        left = image(ImageName=temporary("img-6pb6lrmy", attempt, ours.owner))
        assert ours.mismatch(left, CREATED) == ""
        assert theirs.mismatch(left, CREATED) == "ImageName does not match other-*"
    unmarked = image(ImageName=temporary("img-6pb6lrmy", 1))
    assert ours.mismatch(unmarked, CREATED) == "ImageName does not match build-*"
    assert ours.mismatch(image(ImageName=TEMPORARY), CREATED) == "ImageName does not match build-*"
    assert select().mismatch(unmarked, CREATED) == ""


def test_temporary_name_with_a_new_family() -> None:
    """An image with a temporary name is selected, even if it already has its new family."""
    ours = select(ImageName="build-*", ImageFamily="db")
    left = image(ImageName=temporary("img-6pb6lrmy", 1, ours.owner), ImageFamily="new")
    assert ours.mismatch(left, CREATED) == ""


def test_temporary_name_is_not_enough() -> None:
    """An image with a temporary name must match conditions other than name and family."""
    ours = select(ImageName="build-*", Tags=[{"Key": "never"}])
    left = image(ImageName=temporary("img-6pb6lrmy", 1, ours.owner))
    assert ours.mismatch(left, CREATED) == "no tag matches never = *"


def test_mark() -> None:
    """The mark in temporary names is the same in every run; a selection by tags has none."""
    assert select(ImageName="build-*").owner == "13a53d80-"
    assert select(ImageName="build-*", OlderThanHours=2).owner == "13a53d80-"
    assert select(ImageFamily="build-*").owner != select(ImageName="build-*").owner
    assert select(Tags=[{"Key": "a"}]).owner == ""


def test_defaults() -> None:
    """Members that a policy leaves out have their documented defaults."""
    found = read({"Normalise": NAMED})
    assert not found.dry_run
    assert found.regions == (OWN,)
    assert found.select == Select({}, (), None)
    assert found.style == Style("keep", "-")
    assert found.number_on_conflict
    assert found.keep_latest == 0
    assert found.max_changes == MAX_CHANGES == 100
    assert found.tags == {}
    assert {name: each.text for name, each in found.templates.items()} == NAMED


def test_all_members() -> None:
    """Every member of a policy is read, the template of the name first."""
    request = read(
        {
            "Normalise": {
                "Regions": ["ap-shanghai", "ap-tokyo"],
                "Select": {
                    "ImageName": "build-*",
                    "ImageFamily": "web*",
                    "Tags": [{"Key": "team", "Value": "infra"}, {"Key": "stage"}],
                    "OlderThanHours": 1.5,
                },
                "ImageFamily": "web",
                "ImageDescription": "{ImageName}",
                "Tags": [{"Key": "source", "Value": "{Tag.pipeline|unknown}"}],
                "ImageName": "{OsName}",
                "Style": {"Case": "lower", "Separator": "_"},
                "OnConflict": "skip",
                "KeepLatest": 3,
                "MaxChanges": 7,
            },
            "DryRun": True,
        }
    )
    found = request
    assert request.dry_run
    assert found.regions == ("ap-shanghai", "ap-tokyo")
    assert found.select == Select(
        {"ImageName": Glob("build-*"), "ImageFamily": Glob("web*")},
        ((Glob("team"), Glob("infra")), (Glob("stage"), Glob("*"))),
        5400,
    )
    assert [(name, each.text) for name, each in found.templates.items()] == [
        ("ImageName", "{OsName}"),
        ("ImageDescription", "{ImageName}"),
        ("ImageFamily", "web"),
    ]
    assert {key: each.text for key, each in found.tags.items()} == {
        "source": "{Tag.pipeline|unknown}"
    }
    assert found.style == Style("lower", "_")
    assert (found.number_on_conflict, found.keep_latest, found.max_changes) == (False, 3, 7)
    assert found.fields == {"OsName", "ImageName", "Tag.pipeline"}


@pytest.mark.parametrize("field", FIELDS.names)
def test_every_field_is_allowed(field: str) -> None:
    """A policy may use every field of an image, and a time with a format."""
    assert policy(ImageDescription=f"{{{field}|none}}").fields == {field}
    assert policy(ImageDescription="{CreatedTime:%Y}").fields == {"CreatedTime"}


def test_one_rule_is_enough() -> None:
    """A policy with a single rule is accepted."""
    assert policy(ImageDescription="x").fields == frozenset()
    assert policy(Tags=[{"Key": "team", "Value": "{ImageCreator}"}]).fields == {"ImageCreator"}
    assert policy(ImageFamily="web").templates.keys() == {"ImageFamily"}
    retiring = policy(KeepLatest=3)
    assert (retiring.keep_latest, retiring.templates, retiring.fields) == (3, {}, frozenset())


def test_limits_are_reached() -> None:
    """The largest and smallest values that are allowed are read."""
    regions = [f"ap-x{i}" for i in range(50)]
    body = {
        "ImageName": "镜" * 1024,
        "Tags": [{"Key": f"{i:03}" + "k" * 124, "Value": "v" * 1024} for i in range(50)],
        "Regions": regions,
        "Select": {"ImageName": "*" * 256, "OlderThanHours": 0},
        "KeepLatest": 1_000_000,
        "MaxChanges": 1,
    }
    data = json.dumps({"Normalise": body}).encode()
    found = registry.read(data, region="", settings=Settings(regions=tuple(regions))).request
    assert isinstance(found, NamingPolicy)
    assert len(found.tags) == len(found.regions) == 50
    assert (found.keep_latest, found.max_changes, found.select.older_than) == (1_000_000, 1, 0)


def test_whole_numbers() -> None:
    """A whole number may be written with a decimal point."""
    found = policy(KeepLatest=3.0, MaxChanges=5.0)
    assert (repr(found.keep_latest), repr(found.max_changes)) == ("3", "5")


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        (None, "", "is null; must be an object (type)"),
        ({}, "", "at least one of ImageName, ImageDescription, ImageFamily, Tags, KeepLatest is"),
        ({"Select": {"ImageName": "*"}}, "", "nothing to change: at least one of ImageName, "),
        ({**NAMED, "Selct": {}}, "/Selct", "did you mean Select?"),
        ({**NAMED, "Region": OWN}, "/Region", "did you mean Regions?"),
        ({**NAMED, "Normalise": {}}, "/Normalise", "allowed are Regions, Select, ImageName, "),
        ({**NAMED, "Regions": []}, "/Regions", "has 0 entries; at least 1 is required"),
        ({**NAMED, "Regions": OWN}, "/Regions", "is a string; must be an array"),
        ({**NAMED, "Regions": [OWN, "x"]}, "/Regions/1", '"x"; must be a region name such as'),
        ({**NAMED, "Regions": [f"ap-{i}" for i in range(51)]}, "/Regions", "at most 50"),
        ({**NAMED, "Select": {"OsName": "*"}}, "/Select/OsName", "unknown member"),
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
        "/ImageName", "/ImageDescription", "/ImageFamily", "/Tags/0/Value", "/Tags/2/Value",
        "/Tags/2/Key", "/Tags/3/Key",
    ]  # fmt: skip
    for part, (_, message) in zip(
        ["did you mean OsName?", "unmatched", "empty alternative", "a time format",
         "only CreatedTime", 'key "team" appears again', 'key "team" appears again'],
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
    ("body", "reads"),
    [
        ({"ImageName": "{ImageFamily}-{CreatedTime:%Y}"}, False),
        ({"ImageName": "prod-{ImageName}"}, True),
        ({"ImageName": "{ImageDescription}"}, False),
        ({"ImageName": "{ImageDescription}", "ImageDescription": "x"}, True),
        ({"ImageName": "{ImageFamily}", "ImageFamily": "{ImageId}"}, True),
        ({"ImageName": "{ImageId}", "ImageDescription": "{ImageName}"}, False),
        ({"ImageDescription": "{ImageName}"}, False),
        ({"ImageDescription": "{ImageDescription}!"}, True),
        ({"ImageDescription": "{ImageFamily}", "ImageFamily": "{OsName}"}, True),
        ({"ImageFamily": "{ImageFamily|web}"}, True),
        ({"ImageName": "{Tag.team}", "Tags": [{"Key": "team", "Value": "x"}]}, True),
        ({"ImageName": "{Tag.team}", "Tags": [{"Key": "stage", "Value": "x"}]}, False),
        ({"Tags": [{"Key": "team", "Value": "{Tag.team|x}"}]}, True),
        ({"Tags": [{"Key": "team", "Value": "{ImageName}"}]}, False),
        ({"Tags": [{"Key": "a", "Value": "{Tag.b}"}, {"Key": "b", "Value": "{Tag.a}"}]}, True),
        ({"ImageName": "x-{OsName}", "Select": {"ImageName": "x-*"}}, True),
        ({"ImageName": "{OsName}", "Select": {"ImageName": "x-*"}, "KeepLatest": 3}, True),
        ({"ImageName": "{OsName}", "Select": {"ImageFamily": "x-*"}, "KeepLatest": 3}, False),
        ({"ImageFamily": "web", "Select": {"ImageFamily": "*"}, "KeepLatest": 3}, True),
        ({"ImageDescription": "x", "Select": {"ImageName": "*"}, "KeepLatest": 3}, False),
        ({"Select": {"ImageName": "*", "Tags": [{"Key": "*"}]}, "KeepLatest": 3}, False),
        (
            {
                "Tags": [{"Key": "team", "Value": "x"}],
                "Select": {"Tags": [{"Key": "stage"}]},
                "KeepLatest": 3,
            },
            False,
        ),
        (
            {
                "Tags": [{"Key": "team", "Value": "x"}],
                "Select": {"Tags": [{"Key": "te*"}]},
                "KeepLatest": 3,
            },
            False,
        ),
        (
            {
                "Tags": [{"Key": "team", "Value": "x"}],
                "Select": {"Tags": [{"Key": "te*", "Value": "y"}]},
                "KeepLatest": 3,
            },
            True,
        ),
        ({"Tags": [{"Key": "team", "Value": "x"}], "KeepLatest": 3}, False),
        ({"Tags": [{"Key": "team", "Value": "x"}], "Select": {"Tags": [{"Key": "team"}]}}, False),
        ({"KeepLatest": 3}, False),
    ],
)
def test_reads_what_it_writes(body: dict[str, Any], *, reads: bool) -> None:
    """A policy is checked for stability if a template or Select reads what it writes."""
    assert (policy(**body).feedback_paths > 0) == reads


@pytest.mark.parametrize(
    ("body", "torn"),
    [
        ({"ImageName": "x-{ImageName}"}, False),
        ({"ImageName": "x-{ImageName}", "Select": {"ImageName": "y*"}}, True),
        ({"ImageName": "x-{ImageName}", "Select": {"ImageFamily": "y*"}}, False),
        (
            {
                "ImageName": "x-{ImageName}",
                "Tags": [{"Key": "done", "Value": "1"}],
                "Select": {"Tags": [{"Key": "d*", "Value": "0"}]},
            },
            True,
        ),
        (
            {
                "ImageName": "x",
                "Tags": [{"Key": "a", "Value": "1"}],
                "Select": {"ImageName": "y*", "Tags": [{"Key": "a", "Value": "0"}]},
            },
            True,
        ),
        (
            {
                "ImageName": "x",
                "Tags": [{"Key": "a", "Value": "1"}],
                "Select": {"ImageName": "y*", "Tags": [{"Key": "b"}]},
            },
            False,
        ),
        ({"ImageName": "{ImageName}", "Tags": [{"Key": "a", "Value": "{Tag.a|0}"}]}, True),
        ({"ImageName": "{Tag.a|0}", "Tags": [{"Key": "a", "Value": "{ImageName}"}]}, False),
    ],
)
def test_halves_matter(body: dict[str, Any], *, torn: bool) -> None:
    """A half-done plan is checked if templates or Select read both halves."""
    assert (policy(**body).feedback_paths > 1) == torn


@pytest.mark.parametrize(
    ("key", "written", "glob", "ends"),
    [
        ("team", "x", "*", False),
        ("team", "{ImageId}", "*", False),
        ("team", "x", "x", False),
        ("team", " x ", "x", False),
        ("team", "x", "y", True),
        ("team", "{ImageId}", "i*", True),
        ("team", "x" * 255 + "y", "*x", True),
        ("stage", "x", "y", False),
    ],
)
def test_a_tag_that_ends_the_selection(key: str, written: str, glob: str, *, ends: bool) -> None:
    """A tag may end the selection, unless its value surely matches."""
    select = {"Tags": [{"Key": "te*", "Value": glob}]}
    made = policy(Tags=[{"Key": key, "Value": written}], Select=select, KeepLatest=1)
    assert made.may_regroup == ends
    assert ("failed" in made.blocking_statuses) == ends
    assert made.phases[-1] == (("tags",) if ends else ("attributes",))


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
    wanted = desired_state_of(found, OWN, image(ImageName=name), lambda: CREATED).attributes[
        "ImageName"
    ]
    assert (wanted == name) == keeps
