"""Packer manifests: lenient where Packer varies, strict where the function depends on it."""

from __future__ import annotations

import json
from collections import UserDict
from dataclasses import replace
from itertools import islice
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_steward import limits, registry
from image_steward.current_images import CurrentImages, RegionImages
from image_steward.documents.packer_manifest import Build, PackerManifest
from image_steward.errors import ApiError, InvalidDocument
from image_steward.model import Image
from image_steward.naming.style import Style
from image_steward.naming.templates import NoValue
from image_steward.naming.text import clean
from image_steward.planning.manifest_plan import labels, new_names, plan, unstable_values
from packer import OTHER_RUN, RUN, build, manifest
from region import with_tags

IMAGE = Image(
    "img-6pb6lrmy",
    {
        "ImageName": "old",
        "ImageDescription": "",
        "ImageFamily": "web",
        "ImageDeprecated": False,
        "Tag.team": "infra",
    },
    {
        "OsName": "Linux",
        "CreatedTime": "2026-11-01T00:00:00Z",
        "ImageState": "NORMAL",
        "ImageType": "PRIVATE_IMAGE",
    },
)


def read(*builds: object) -> PackerManifest:
    """Read the manifest of some builds."""
    request = registry.read(json.dumps(manifest(*builds)).encode(), region="").request
    assert isinstance(request, PackerManifest)
    return request


def desired_values(custom_data: dict[str, str], image: Image = IMAGE, **members: object) -> Any:  # noqa: ANN401 - attributes and tags
    """Return the attributes and tags that one build sets on an image."""
    (one,) = read(build(custom_data, **members)).builds
    wanted = image.with_values(labels(one, "ap-guangzhou", image)).values
    others = {name: value for name, value in wanted.items() if name not in one.data}
    assert others.items() <= image.values.items()
    return {name: value for name, value in wanted.items() if name in one.data}


def violations(*builds: object) -> list[tuple[str, str]]:
    """Return the violations in a manifest of some builds."""
    with pytest.raises(InvalidDocument) as caught:
        read(*builds)
    return list(caught.value.details)


def test_everything_that_can_be_set() -> None:
    """Each attribute name sets that attribute, Tag.<key> a tag, and other keys nothing."""
    data = {
        "ImageName": "web-1", "ImageDescription": "", "ImageFamily": "web",
        "ImageDeprecated": "true", "Tag.team": "infra", "Tag.a.b:c": "d", "git": "3f2c1d",
    }  # fmt: skip
    assert desired_values(data) == {
        "ImageName": "web-1", "ImageDescription": "", "ImageFamily": "web",
        "ImageDeprecated": True, "Tag.team": "infra", "Tag.a.b:c": "d",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{custom_data.git}", "3f2c1d"),
        ("{custom_data.none|no}", "no"),
        ("{build_time:%Y%m%d-%H%M}", "20251124-1600"),
        ("{build_time}", "2025-11-24T16:00:00Z"),
        ("{packer_run_uuid}", RUN),
        ("{name}", "web"),
        ("{ImageFamily}-{OsName}-{Tag.team}", "web-Linux-infra"),
        ("{ImageName}", "old"),
        ("{ImageId} in {Region}", "img-6pb6lrmy in ap-guangzhou"),
        ("{CreatedTime:%Y}", "2026"),
        ("{Tag.none|-}", "-"),
        ("{{}}", "{}"),
    ],
)
def test_templates(template: str, text: str) -> None:
    """Values are templates with the fields of the image and of the manifest."""
    data = {"ImageDescription": template, "git": "3f2c1d"}
    assert desired_values(data)["ImageDescription"] == text


def test_templates_see_the_new_name() -> None:
    """ImageName is rendered first, and the other templates see the new name."""
    data = {"Tag.name": "{ImageName}", "ImageDescription": "{ImageName}", "ImageName": "new"}
    assert desired_values(data) == {
        "ImageName": "new",
        "ImageDescription": "new",
        "Tag.name": "new",
    }


def test_other_keys_are_not_templates() -> None:
    """The values of other keys are used unchanged, including braces."""
    assert desired_values({"Tag.t": "{custom_data.x}", "x": "{ImageName"})["Tag.t"] == "{ImageName"


def test_three_builds_and_copies() -> None:
    """Every build of the last run is used, with each of its images."""
    copies = "ap-guangzhou:img-a1, ap-hongkong:img-b2"
    found = read(
        build({"ImageName": "a"}, artifact_id=copies),
        build({"ImageName": "b"}, artifact_id="ap-guangzhou:img-c3"),
        build({"Tag.x": "y"}, artifact_id="ap-shanghai-fsi:img-d4"),
    )
    assert [one.images for one in found.builds] == [
        (("ap-guangzhou", "img-a1"), ("ap-hongkong", "img-b2")),
        (("ap-guangzhou", "img-c3"),),
        (("ap-shanghai-fsi", "img-d4"),),
    ]


def test_other_builders_and_earlier_runs_are_skipped() -> None:
    """Builds of other builders and of earlier runs are skipped, whatever Packer wrote there."""
    found = read(
        build({"ImageName": "x" * 99}, packer_run_uuid=OTHER_RUN, artifact_id="garbage"),
        build({"ImageName": "{"}, builder_type="amazon-ebs", artifact_id="us-east-1:ami-1"),
        build({"ImageName": "a"}),
        build({"git": "no label"}, artifact_id="ap-guangzhou:img-other"),
    )
    assert [one.path for one in found.builds] == ["/builds/2"]


def test_optional_members() -> None:
    """A missing build_time (strip_time), any files and unknown members are accepted."""
    body = build({"ImageName": "a-{build_time:%Y|0}"}, files=[{"name": "f", "size": 1}], new=1)
    del body["build_time"], body["name"]
    (one,) = read(body).builds
    assert labels(one, "ap-guangzhou", IMAGE)["ImageName"] == "a-0"


ONLY = {"ImageName": "a"}
COPIES = "ap-guangzhou:img-6pb6lrmy,ap-hongkong:img-b2"


@pytest.mark.parametrize(
    ("builds", "path", "message"),
    [
        ([], "/builds", "0 entries; at least 1"),
        ([5], "/builds/0", "is a number; must be an object"),
        ([{}], "/builds/0", "member artifact_id is missing"),
        ([build(ONLY, artifact_id=None)], "/builds/0/artifact_id", "is null; must be a string"),
        ([build(ONLY, build_time="now")], "/builds/0/build_time", "string; must be an integer"),
        ([build({"ImageName": 5})], "/builds/0/custom_data/ImageName", "number; must be a string"),
        ([build([])], "/builds/0/custom_data", "is an array; must be an object or null"),
        ([build(ONLY, builder_type="amazon-ebs")], "/builds",
         'has no build by tencentcloud-cvm; found "amazon-ebs" in this run'),
        ([build(ONLY, packer_run_uuid=OTHER_RUN)], "/builds",
         'found "tencentcloud-cvm" in another run'),
        ([build(None)], "/builds/0/custom_data", "nothing to set: at least one of ImageName"),
        ([build({"env": "prod"})], "/builds/0/custom_data", 'found "env"'),
        ([build({"ImageNmae": "a"})], "/builds/0/custom_data", "did you mean ImageName?"),
        ([build(ONLY, artifact_id="img-6pb6lrmy")], "/builds/0/artifact_id",
         'contains "img-6pb6lrmy"; must be a list of <region>:<image id>'),
        ([build(ONLY, artifact_id="")], "/builds/0/artifact_id", 'contains ""'),
        ([build(ONLY, artifact_id="ap-x:img-1,")], "/builds/0/artifact_id", 'contains ""'),
        ([build(ONLY, artifact_id="ap-x:ami-1")], "/builds/0/artifact_id", "ap-x:ami-1"),
        ([build(ONLY, artifact_id="evil.example/:img-1")], "/builds/0/artifact_id", "evil"),
        ([build(ONLY, artifact_id=f"ap-{'x' * 61}:img-1")], "/builds/0/artifact_id", "contains"),
        ([build(ONLY), build(ONLY, artifact_id=COPIES)], "/builds/1/artifact_id",
         "img-6pb6lrmy in ap-guangzhou is already at /builds/0/artifact_id, with other images"),
        ([build(ONLY), build({"ImageName": "b"})], "/builds/1/custom_data/ImageName",
         'is "b", but "a" at /builds/0/custom_data/ImageName, for the same images'),
        ([build({"ImageName": "{custom_data.a}", "a/b": "1"}), build({"a/b": "2"})],
         "/builds/1/custom_data/a~1b", 'is "2", but "1" at /builds/0/custom_data/a~1b'),
        ([build({"git": "1"}), build({"ImageNmae": "{custom_data.git}"})],
         "/builds/0/custom_data", "nothing to set"),
        ([build({"ImageName": "x" * 61})], "/builds/0/custom_data/ImageName",
         "has 61 characters; 1 to 60 are allowed"),
        ([build({"ImageName": "{custom_data.x}", "x": "y" * 61})],
         "/builds/0/custom_data/ImageName", "has 61 characters"),
        ([build({"ImageName": ""})], "/builds/0/custom_data/ImageName", "0 characters; 1 to 60"),
        ([build({"ImageName": "{custom_data.x}" * 2, "x": "y" * 4097})],
         "/builds/0/custom_data/ImageName", "its fields have 4097 characters; at most 4096"),
        ([build({"ImageDescription": "x" * 257})], "/builds/0/custom_data/ImageDescription",
         "257 characters; 0 to 256"),
        ([build({"Tag.a/b": ""})], "/builds/0/custom_data/Tag.a~1b", "0 characters; 1 to 255"),
        ([build({f"Tag.{i}": "x" for i in range(51)})], "/builds/0/custom_data",
         "sets 51 tags; at most 50 are allowed"),
        ([build(ONLY, artifact_id=",".join(f"ap-beijing:img-{i}" for i in range(1001)))],
         "/builds/0/artifact_id", "has more than 1,000 images"),
        ([build(ONLY, artifact_id=",".join(f"ap-seoul:img-{b}{i}" for i in range(501)))
          for b in "ab"],
         "/builds", "the last run has 1,002 images; at most 1,000"),
        ([build({"Tag.": "x"})], "/builds/0/custom_data/Tag.", 'the tag key "" has 0 characters'),
        ([build({"Tag." + "k" * 128: "x"})], "/builds/0/custom_data/Tag." + "k" * 128,
         "has 128 characters; 1 to 127"),
        ([build({"Tag.a\tb": "x"})], "/builds/0/custom_data/Tag.a\tb",
         'the tag key "a\\tb" contains U+0009; no control character or line end is allowed'),
        ([build({"Tag.a\u200bb": "x"})], "/builds/0/custom_data/Tag.a\u200bb",
         'the tag key "a\u200bb" has invisible characters, or blanks at its ends'),
        ([build({"Tag.a\u3000": "x"})], "/builds/0/custom_data/Tag.a\u3000", "blanks at its ends"),
        ([build({"ImageFamily": "a\0b"})], "/builds/0/custom_data/ImageFamily",
         "contains U+0000; no control"),
        ([build({"Tag.t": "{custom_data.v}", "v": "a\u2028b"})], "/builds/0/custom_data/Tag.t",
         "contains U+2028; no control"),
        ([build({"ImageName": "v{version}", "version": "1"})], "/builds/0/custom_data/ImageName",
         '"{version}" is not a field; did you mean {custom_data.version}?'),
        ([build({"ImageName": "v{Version}", "version": "1"})], "/builds/0/custom_data/ImageName",
         '"{Version}" is not a field; did you mean {custom_data.version}?'),
        ([build({"ImageName": "v{Version}", "version": "1", "Version": "2"})],
         "/builds/0/custom_data/ImageName", "did you mean {custom_data.Version}?"),
        ([build({"ImageName": "{version:%Y|0}", "version": "1"})],
         "/builds/0/custom_data/ImageName", "did you mean {custom_data.version}?"),
        ([build({"ImageName": "{name}"}, name="")], "/builds/0/custom_data/ImageName",
         "name has no value and no default"),
        ([build({"ImageName": "{name}"}, name="x" * 61)], "/builds/0/custom_data/ImageName",
         "has 61 characters; 1 to 60"),
        ([build(ONLY, name=5)], "/builds/0/name", "is a number; must be a string"),
        ([build({"ImageName": "{custom_data.gti}", "git": "1"})],
         "/builds/0/custom_data/ImageName",
         "custom_data.gti has no value and no default; did you mean git?"),
        ([build({"ImageName": "{custom_data.zzz}", "git": "1"})],
         "/builds/0/custom_data/ImageName", "custom_data.zzz has no value and no default"),
        ([build({"ImageName": "{custom_data.git sha}", "git_sha": "1"})],
         "/builds/0/custom_data/ImageName", "; did you mean git_sha?"),
        ([build({"ImageName": "{build_time:%Y}"}, build_time=None)],
         "/builds/0/build_time", "is null; must be an integer"),
        ([build({"ImageName": "{Nmae}"})], "/builds/0/custom_data/ImageName", "is not a field"),
        ([build({"ImageDeprecated": "yes"})], "/builds/0/custom_data/ImageDeprecated",
         'is "yes"; must be "true" or "false"'),
        ([build({"KeepLatest": "0"})], "/builds/0/custom_data/KeepLatest", 'is "0"; must be'),
        ([build({"KeepLatest": "3", "ImageDeprecated": "true"})],
         "/builds/0/custom_data/ImageDeprecated", "cannot be combined with KeepLatest"),
        ([build({"KeepLatest": "3", "ImageDeprecated": "False", "CopyTags": "no"})],
         "/builds/0/custom_data/ImageDeprecated",
         'is "False"; must be "true" or "false"; did you mean false?'),
        ([build({"CopyTags": "yes"})], "/builds/0/custom_data/CopyTags",
         'is "yes"; must be "true" or "false"'),
        ([build({**ONLY, "Style.Case": "Lower"})], "/builds/0/custom_data/Style.Case",
         'is "Lower"; must be "keep", "lower" or "upper"; did you mean lower?'),
        ([build({**ONLY, "Style.Separator": ""})], "/builds/0/custom_data/Style.Separator",
         'is ""; must be "-", "_", "." or " "'),
        ([build({**ONLY, "Style.Charset": "ascii7"})], "/builds/0/custom_data/Style.Charset",
         'is "ascii7"; must be "any" or "ascii"; did you mean ascii?'),
        ([build({**ONLY, "Style.MaxLength": "61"})], "/builds/0/custom_data/Style.MaxLength",
         'is "61"; must be a number from "8" to "60"'),
        ([build({"Tag.a": "b", "Style.Case": "lower", "Style.MaxLength": "x"})],
         "/builds/0/custom_data/Style.Case", "requires ImageName, whose style it sets"),
        ([build({"Style.MaxLength": "x"})],
         "/builds/0/custom_data/Style.MaxLength", 'is "x"; must be a number'),
        ([build({"ImageName": "- _ -", "Style.Case": "keep"})],
         "/builds/0/custom_data/ImageName", '"- _ -" is empty in its style'),
        ([build({"ImageName": "{custom_data.x}", "x": "", "Style.Case": "keep"})],
         "/builds/0/custom_data/ImageName", "custom_data.x has no value"),
        ([build({"git": "1"})], "/builds/0/custom_data",
         "ImageFamily, ImageDeprecated, KeepLatest, CopyTags, Tag.<key> is required"),
    ],
)  # fmt: skip
def test_rejected(builds: list[object], path: str, message: str) -> None:
    """A violation is reported with its path, what was given and what is allowed."""
    found = violations(*builds)
    assert any(path == p and message in m for p, m in found), found


def test_stripped_time() -> None:
    """A template that needs a build_time removed by strip_time is rejected, with that reason."""
    body = build({"ImageName": "a-{build_time:%Y}"})
    del body["build_time"]
    ((path, message),) = violations(body)
    assert path == "/builds/0/custom_data/ImageName"
    assert "Packer's strip_time removes it" in message


def test_key_without_a_value() -> None:
    """A key with an empty value is not reported as missing."""
    ((_, message),) = violations(build({"ImageName": "{custom_data.git}", "git": ""}))
    assert message == "custom_data.git has no value and no default"


def test_values_of_a_template() -> None:
    """What a template takes from the manifest has at most 4,096 characters."""
    data = {"ImageFamily": "{custom_data.a}{custom_data.b}", "a": "x" * 2048, "b": "x" * 2048}
    assert read(build(data)).builds
    ((_, message),) = violations(build({**data, "b": "x" * 2049}))
    assert message == "its fields have 4097 characters; at most 4096 are allowed"


def test_many_wrong_keys() -> None:
    """The search for similar keys takes no quadratic time."""
    data = {f"Tag.{i}": "{custom_data.ket}" for i in range(3000)}
    found = violations(build({**data, "key": "v"}))
    assert found == [("/builds/0/custom_data", "sets 3000 tags; at most 50 are allowed")]
    body = {**dict(islice(data.items(), 50)), "key": "v"}
    found = violations(*(build(body, artifact_id=f"ap-beijing:img-{i}") for i in range(10)))
    assert len(found) == 500
    assert sum("did you mean key?" in message for _, message in found) == 20


def test_every_violation_is_listed() -> None:
    """The violations of all builds are reported together."""
    found = violations(
        build({"ImageName": "x" * 61, "ImageDeprecated": "no"}, artifact_id="x"),
        build({"Tag.a": "{b}"}, artifact_id="ap-beijing:img-1"),
    )
    assert len(found) == 4


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("ImageNmae", "ImageName"),
        ("image_name", "ImageName"),
        ("imagefamily", "ImageFamily"),
        ("KeepLast", "KeepLatest"),
        ("ImageDepricated", "ImageDeprecated"),
        ("tag.team", "Tag.<key>"),
        ("Tags.team", "Tag.<key>"),
        ("Tag_team", "Tag.<key>"),
        ("ImageOwner", ""),
        ("CopyTag", "CopyTags"),
        ("copytags", "CopyTags"),
        ("Style.Cas", "Style.Case"),
        ("style.case", "Style.Case"),
        ("Style.Seperator", "Style.Separator"),
        ("StyleMaxLength", "Style.MaxLength"),
        ("style", ""),
        ("stylesheet", ""),
        ("Tags", "Tag.<key>"),
        ("tags", "Tag.<key>"),
        ("Tag", "Tag.<key>"),
        ("tag", ""),
        ("tagline", ""),
        ("env", ""),
    ],
)
def test_similar_key_is_a_warning(key: str, hint: str) -> None:
    """A key similar to a known one is a warning, and stays data."""
    found = read(build({**ONLY, key: "x"}))
    warnings = [f"{warning.path} {warning.message}" for warning in found.warnings]
    assert [f"did you mean {hint}?" in text for text in warnings] == [True] * bool(hint)
    assert all(f"/builds/0/custom_data/{key} " in text for text in warnings)
    assert found.builds[0].templates.keys() == {"ImageName"}


def test_value_of_the_image_is_missing() -> None:
    """A field that the image lacks is reported by its name."""
    (one,) = read(build({"ImageName": "{Tag.none}"})).builds
    with pytest.raises(NoValue, match=r"Tag\.none has no value"):
        labels(one, "ap-guangzhou", IMAGE)


def test_unused_values_are_not_read() -> None:
    """For each image, only the values that its templates name are read."""
    (one,) = read(build({"ImageName": "{custom_data.git}-{custom_data.no|0}", "git": "a"})).builds

    class Many(UserDict[str, str]):
        def __iter__(self) -> NoReturn:
            raise AssertionError("all of the values were looked at")

        def __ror__(self, other: object) -> NoReturn:
            raise AssertionError("all of the values were copied")

    many = Many()
    many.data = one.values
    seen = replace(one, values=many)  # type: ignore[arg-type]  # it is read like a dict
    assert labels(seen, "ap-guangzhou", IMAGE)["ImageName"] == "a-0"


def test_value_of_the_image_is_too_long() -> None:
    """A name that is too long because of the image's values is rejected, too."""
    (one,) = read(build({"ImageName": "x" * 50 + "{ImageId}"})).builds
    with pytest.raises(InvalidDocument, match="has 62 characters"):
        labels(one, "ap-guangzhou", IMAGE)


@pytest.mark.parametrize("key", ["Style", "Style.Numbers", "styles.of", "STYLE_x"])
def test_unknown_member_of_style(key: str) -> None:
    """A key that looks like a member of Style, but like none of them, is a warning with all."""
    ((path, message),) = read(build({**ONLY, key: "x"})).warnings
    assert path == f"/builds/0/custom_data/{key}"
    assert message.endswith(
        "; allowed are Style.Case, Style.Separator, Style.Charset, Style.MaxLength"
    )


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ({}, "Web  API_v1"),
        ({"Case": "keep"}, "Web-API-v1"),
        ({"Case": "lower"}, "web-api-v1"),
        ({"Case": "upper", "Separator": "_"}, "WEB_API_V1"),
        ({"Separator": " "}, "Web API v1"),
        ({"Separator": ".\n"}, "Web.API.v1"),
        ({"Charset": "any"}, "Web-API-v1"),
        ({"MaxLength": "8"}, "Web-API"),
        ({"MaxLength": "9 "}, "Web-API-v"),
    ],
)
@pytest.mark.parametrize("name", ["Web  API_v1", "{custom_data.x}", "{Tag.long}"])
def test_style_of_the_name(style: dict[str, str], expected: str, name: str) -> None:
    """Any key of Style styles the name, which the other templates see; without any it stays."""
    data = {f"Style.{key}": value for key, value in style.items()}
    data |= {"ImageName": name, "Tag.n": "{ImageName}", "ImageFamily": "A_b", "x": "Web  API_v1"}
    image = with_tags(IMAGE, {"long": "Web  API_v1"})
    assert desired_values(data, image) == {
        "ImageName": expected, "Tag.n": expected, "ImageFamily": "A_b",
    }  # fmt: skip


def test_style_is_that_of_a_policy() -> None:
    """The keys of Style make the same style as the members of a policy's Style."""
    data = {"Style.Case": "upper", "Style.Separator": ".", "Style.Charset": "ascii"}
    (one,) = read(build({**ONLY, **data, "Style.MaxLength": "12"})).builds
    assert one.style == Style(case="upper", separator=".", charset="ascii", max_length=12)
    (one,) = read(build({**ONLY, "Style.MaxLength": "60"})).builds
    assert one.style == Style()


def test_style_may_shorten_a_name() -> None:
    """With a style, a text of more than 60 characters is a name, in the manifest or the image."""
    data = {"ImageName": "{Tag.team}-" + "x" * 70, "Style.MaxLength": "20"}
    assert desired_values(data)["ImageName"] == "infra-" + "x" * 14
    literal = {**data, "ImageName": "x" * 70}
    assert desired_values(literal)["ImageName"] == "x" * 20


def test_name_is_empty_in_its_style() -> None:
    """A name that is empty by what the image holds and the style is an error that shows both."""
    (one,) = read(build({"ImageName": "{Tag.team}", "Style.Case": "lower"})).builds
    with pytest.raises(InvalidDocument, match='"___" is empty in its style'):
        labels(one, "ap-guangzhou", IMAGE.with_values({"Tag.team": "___"}))


@given(st.text("0123456789 ٣-", max_size=4) | st.integers(0, 100).map(str))
def test_length_of_a_style(text: str) -> None:
    """MaxLength is a plain number from 8 to the longest name."""
    body = json.dumps(manifest(build({**ONLY, "Style.MaxLength": text}))).encode()
    allowed = [str(number) for number in range(8, limits.NAME_LENGTH + 1)]
    try:
        (one,) = registry.read(body, region="").request.builds
    except InvalidDocument:
        assert clean(text) not in allowed
    else:
        assert str(one.style.max_length) == clean(text)
        assert clean(text) in allowed


@pytest.mark.parametrize("value", ["true", "false"])
def test_copy_tags_alone(value: str) -> None:
    """CopyTags is enough for a build, although it sets nothing on the image itself."""
    assert desired_values({"CopyTags": value}) == {}


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ({"ImageName": "prod-{ImageName}"}, ["ImageName"]),
        ({"ImageName": "Prod {ImageName}", "Style.Case": "lower"}, ["ImageName"]),
        ({"ImageName": "{ImageName} ", "Style.Case": "upper"}, []),
        ({"ImageName": "x" * 54 + "{ImageName}"}, ["ImageName"]),
        ({"Tag.n": "{Tag.n|0}1"}, ["Tag.n"]),
        ({"ImageName": "{ImageFamily}-1", "ImageFamily": "db"}, ["ImageName"]),
        ({"ImageDescription": "{Tag.team}", "Tag.team": "b"}, ["ImageDescription"]),
        ({"ImageFamily": "", "Tag.b": "{ImageFamily}"}, ["Tag.b"]),
        ({"ImageFamily": "{Tag.team}", "Tag.team": "{ImageFamily}"}, ["ImageFamily", "Tag.team"]),
        # Alike once all is set, but not in between.
        (
            {
                "ImageDescription": "{ImageFamily}{Tag.team}",
                "ImageFamily": "we",
                "Tag.team": "binfra",
            },
            ["ImageDescription"],
        ),
        ({"ImageName": "{ImageName}"}, []),
        ({"Tag.team": "{Tag.team|infra}", "Tag.b": "{Tag.b|none}"}, []),
        ({"ImageName": "n", "ImageDescription": "{ImageName}", "Tag.b": "{ImageName}"}, []),
    ],
)
def test_unstable_manifest(data: dict[str, str], names: list[str]) -> None:
    """Values that a second delivery would set differently are found."""
    (one,) = read(build(data)).builds
    found = unstable_values(one, "ap-guangzhou", IMAGE, labels(one, "ap-guangzhou", IMAGE))
    assert sorted(v.path for v in found) == [f"/builds/0/custom_data/{name}" for name in names]


def test_keep_latest_alone() -> None:
    """KeepLatest is enough for a build, although it sets nothing on the image itself."""
    (one,) = read(build({"KeepLatest": "3"})).builds
    assert isinstance(one, Build)
    assert one.is_active
    assert desired_values({"KeepLatest": "3"}) == {}


def test_unused_names_are_not_looked_up() -> None:
    """No holders are looked up while a copy is pending, since nothing is renamed."""
    both = "ap-guangzhou:img-6pb6lrmy,ap-hongkong:img-qlzp4oea"
    request = read(build({"ImageName": "new"}, artifact_id=both))
    copy = IMAGE._replace(image_id="img-qlzp4oea")
    making = copy._replace(facts={**IMAGE.facts, "ImageState": "CREATING"})
    names = {"ap-guangzhou": ["new"], "ap-hongkong": ["new"]}
    for image, dry_run, expected in (
        (copy, False, names),
        (making, False, {"ap-guangzhou": [], "ap-hongkong": []}),
        (making, True, names),
    ):
        one, other = ({each.image_id: each} for each in (IMAGE, image))
        seen = {"ap-guangzhou": RegionImages(one), "ap-hongkong": RegionImages(other)}
        assert new_names(replace(request, dry_run=dry_run), seen) == expected


def test_unknown_holders_stop_renames_only() -> None:
    """Unknown holders of names do not affect a region without renames."""
    request = read(build({"Tag.team": "web"}))
    images = {IMAGE.image_id: IMAGE}
    current: CurrentImages = {"ap-guangzhou": RegionImages(images, ApiError("InvalidFilter", "no"))}
    (step,) = plan(request, current, lambda: 0).steps["ap-guangzhou"]
    assert (step.values, step.error) == ({"Tag.team": "web"}, None)


def test_data_that_is_used_is_no_typo() -> None:
    """A data key that a template uses is not reported, whatever it looks like."""
    assert read(build({"ImageName": "{custom_data.tags}", "tags": "x"})).warnings == ()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("built {{ .BuildTime }}", "{{ .BuildTime }}"),
        ("{{timestamp}}-x", "{{timestamp}}"),
        ("${var.git}", "${var.git}"),
        ("at <no value>", "<no value>"),
        ("{{ {}", ""),
        ("{{}}", ""),
        ("$HOME {x}", ""),
    ],
)
def test_template_that_packer_has_not_filled_in(value: str, shown: str) -> None:
    """A template of Packer in a value is a warning."""
    found = read(build({**ONLY, "git": value}), build({"Tag.a": "{{timestamp}}"})).warnings
    message = "contains {}, which Packer has not filled in".format
    expected = [("/builds/0/custom_data/git", message(f'"{shown}"'))] if shown else []
    expected.append(("/builds/1/custom_data/Tag.a", message('"{{timestamp}}"')))
    assert [tuple(warning) for warning in found] == expected


@pytest.mark.parametrize(
    "again",
    [
        COPIES,
        "ap-hongkong:img-b2,ap-guangzhou:img-6pb6lrmy",
        "ap-hongkong:img-b2, ap-hongkong:img-b2,ap-guangzhou:img-6pb6lrmy ",
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_entries_of_one_artifact(again: str, *, is_first: bool) -> None:
    """Entries with the same images are one build, with all their data and the first time."""
    ids = (COPIES, again) if is_first else (again, COPIES)
    first = build({"git": "1"}, artifact_id=ids[0])
    text = "{custom_data.git}-{build_time:%Y}"
    second = build({"ImageName": text}, artifact_id=ids[1], build_time=0)
    (one,) = read(first, second).builds
    images = [("ap-guangzhou", "img-6pb6lrmy"), ("ap-hongkong", "img-b2")]
    assert sorted(one.images) == images
    assert labels(one, "ap-guangzhou", IMAGE)["ImageName"] == "1-2025"
    assert one.paths["ImageName"] == "/builds/1/custom_data/ImageName"


def test_invalid_builds_are_left_out() -> None:
    """A build with errors, or without anything to set, is left out and listed."""
    made = [
        build(ONLY, artifact_id="ap-beijing:img-1"),
        build({"ImageName": "{x}"}, artifact_id="ap-beijing:img-2"),
        build({"git": "1"}, artifact_id="ap-beijing:img-3"),
        build(ONLY, artifact_id="ap-beijing:img-4,"),
    ]
    found = read(*made)
    assert [b.path for b in found.builds] == ["/builds/0"]
    assert [b.path for b in found.others] == ["/builds/1", "/builds/2", "/builds/3"]
    assert [error.path for error in found.errors] == [
        "/builds/1/custom_data/ImageName", "/builds/3/artifact_id",
    ]  # fmt: skip
    assert found.image_ids == {"ap-beijing": ["img-1"]}


def test_builds_with_very_many_errors() -> None:
    """Builds are left out even after the last error that is listed; the others are read."""
    data = {"ImageName": "x" * 61, "ImageDescription": "{x}"}
    many = [build(data, artifact_id=f"ap-beijing:img-{i}") for i in range(600)]
    garbage = build(ONLY, artifact_id=",".join(f"bad{i}" for i in range(1001)))
    for invalid in (many, [garbage]):
        found = read(*invalid, build(ONLY))
        assert len(found.builds) == 1
        assert len(found.others) == len(invalid)
        assert len(found.errors) == 1001
        assert found.errors[-1] == ("", "more than 1000 violations; the rest are omitted")
    assert len(violations(*many)) == 1001
