"""`scf-local seed`, seeds in files, and what the emulated cloud says of what it lacks."""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

import page_commands
from conftest import ROOT, SEED
from scf_local import exports
from scf_local.cli import main
from scf_local.cloud.seed import OTHER_UIN, Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.credentials import SDK_NAMES, AccountCredentials
from scf_local.environment import UIN

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE: dict[str, Any] = {
    "ImageId": "img-aaaaaaaa", "ImageName": "web", "ImageType": "PRIVATE_IMAGE",
    "ImageState": "NORMAL", "CreatedTime": "2026-11-20T08:15:30Z", "ImageCreator": "3321337994",
    "OsName": "Ubuntu", "SyncPercent": None, "Tags": [{"Key": "team", "Value": "infra"}],
}  # fmt: skip
REPLY = {"TotalCount": 1, "ImageSet": [IMAGE], "RequestId": "r"}
BUCKET = "manifests-1250000000"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No scf-local.toml is read."""
    monkeypatch.chdir(tmp_path)


def page(*numbers: int, total: int) -> dict[str, Any]:
    """A page of a reply, with one image for each number."""
    images = [{"ImageId": f"img-{number:08}", "ImageName": f"n{number}"} for number in numbers]
    return {"TotalCount": total, "ImageSet": images, "RequestId": "r"}


def seed(folder: Path, *arguments: str | Path, data: bytes = b"", status: int = 0) -> Result:
    """Run `scf-local seed`; no secret may be printed."""
    result = CliRunner().invoke(main, ["seed", str(folder), *map(str, arguments)], input=data)
    assert result.exit_code == status, result.output
    keys = AccountCredentials()
    assert not any(key in result.output for key in (keys.secret_id, keys.secret_key, keys.token))
    return result


def state_of(folder: Path) -> dict[str, Any]:
    """What `GET /_state` returns with a seed."""
    return State.from_folder(folder).snapshot()


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(REPLY).encode(),
        json.dumps({"Response": REPLY}).encode(),
        json.dumps([{"Response": REPLY}, REPLY]).encode(),
        gzip.compress(json.dumps(REPLY, indent=4).encode()),
        json.dumps(REPLY, indent=4).encode("utf-16"),
        b"\n".join(json.dumps(each, indent=4).encode() for each in (REPLY, REPLY)),
    ],
    ids=["tccli", "HTTP", "list", "gzip", "UTF-16", "pages"],
)
@pytest.mark.parametrize("is_file", [True, False])
def test_forms_of_replies(tmp_path: Path, data: bytes, is_file: bool) -> None:  # noqa: FBT001
    """Each form of a reply is read, from a file or stdin; region and account id are not in it."""
    (tmp_path / "reply.json").write_bytes(data)
    source = tmp_path / "reply.json" if is_file else "-"
    result = seed(tmp_path / "new", "--from", source, "--region", "ap-tokyo", data=data)
    assert (result.stdout, result.stderr) == (
        f"{tmp_path / 'new'}: 1 image in ap-tokyo, 0 objects\n", ""
    )  # fmt: skip
    (image,) = state_of(tmp_path / "new")["Images"]["ap-tokyo"]
    tags = [{"Key": "team", "Value": "infra", "tagKey": "team", "tagValue": "infra"}]
    assert image == IMAGE | {"ImageCreator": UIN, "Tags": tags}


def test_odd_replies(tmp_path: Path) -> None:
    """Members and values that a seed cannot have are left out with a note; states are kept."""
    odd = {
        "ImageState": "RECYCLED", "New": 1, "ImageSize": "50", "Platform": None, "Tags": [{}],
        "CreatedTime": "2026-11-20T08:15:30", "ImageType": "SHARED_IMAGE",
    }  # fmt: skip
    reply = json.dumps({"ImageSet": [IMAGE | odd], "TotalCount": 2}).encode()
    notes = seed(tmp_path, "--from", "-", data=reply).stderr.splitlines()
    assert sorted(notes) == [
        'scf-local: stdin: ImageSize: is "50"; must be an integer; left out of 1 image',
        "scf-local: stdin: New: unknown member; left out of 1 image",
        'scf-local: stdin: Tags/0: must be {"Key": "...", "Value": "..."}; left out of 1 image',
        "scf-local: stdin: has 1 of 2 images; add the other pages",
    ]
    (image,) = state_of(tmp_path)["Images"]["ap-guangzhou"]
    assert (image["ImageState"], image["CreatedTime"]) == ("RECYCLED", "2026-11-20T08:15:30")
    assert image["ImageCreator"] == OTHER_UIN
    assert not {"New", "ImageSize", "Platform"} & image.keys()


def test_pages_are_merged(tmp_path: Path) -> None:
    """Pages make one list without repeated images; a later one replaces, others stay."""
    pages = [page(*range(100), total=250), page(*range(99, 200), total=250)]
    (tmp_path / "pages.json").write_text("\n".join(json.dumps(p, indent=4) for p in pages))
    (tmp_path / "last.json").write_text(json.dumps(page(*range(200, 250), total=250)))
    folder = tmp_path / "new"
    options = [f"--from={tmp_path / name}" for name in ("pages.json", "last.json")]
    assert "250 images in ap-guangzhou" in seed(folder, *options).stdout
    seed(folder, "--from", "-", data=json.dumps(REPLY).encode())
    renamed = page(7, total=1)
    renamed["ImageSet"][0]["ImageName"] = "renamed"
    seed(folder, "--from", "-", data=json.dumps(renamed).encode())
    images = {each["ImageId"]: each for each in state_of(folder)["Images"]["ap-guangzhou"]}
    assert len(images) == 251
    assert images["img-00000007"]["ImageName"] == "renamed"


def test_objects_of_folders(tmp_path: Path) -> None:
    """Objects come from a bucket's folder, from folders of buckets, and from another seed."""
    bucket = tmp_path / "all" / BUCKET
    (bucket / "n").mkdir(parents=True)
    (bucket / "n" / "名.json").write_bytes(b"1")
    os.utime(bucket / "n" / "名.json", (1, 1e9))
    (tmp_path / "all" / "empty-1250000000").mkdir()
    for number, source in enumerate((bucket, tmp_path / "all", SEED)):
        folder = tmp_path / f"new{number}"
        seed(folder, "--from", source)
        assert (
            state_of(folder)["Objects"]
            == (
                {BUCKET: ["n/名.json"]},
                {BUCKET: ["n/名.json"], "empty-1250000000": []},
                state_of(SEED)["Objects"],
            )[number]
        )
    assert state_of(folder)["Images"] == state_of(SEED)["Images"]
    (folder / "objects" / BUCKET / "b").write_bytes(b"stays")
    assert ", 1 object\n" in seed(folder, "--from", bucket).stdout.replace(": ", ", ")
    stored = State.from_folder(folder).objects[BUCKET]
    assert stored["b"].content == b"stays"
    assert stored["n/名.json"] == Object(b"1", modified=1e9)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "stdin:1:1: not JSON: it is empty"),
        (b"{", "stdin:1:"),
        (b"[1]", "must be DescribeImages replies, with ImageSet; is 1"),
        (b'{"Response": [1]}', "must be DescribeImages replies"),
        (b'{"Response": {"Error": {"Code": "AuthFailure"}}}', "AuthFailure"),
        (b'{"ImageSet": [1]}', "must be DescribeImages replies"),
        (b'{"ImageSet": [{"ImageId": []}]}', '/ap-guangzhou/0/ImageId: is ""'),
        (b'{"ap-guangzhou": [{"ImageNam": "a"}]}', "/ap-guangzhou/0/ImageNam: unknown member"),
        (json.dumps({"ImageSet": [IMAGE | {"ImageId": "img-bbbbbbbb"}]}).encode(), "2 times"),
    ],
)
def test_bad_sources_write_nothing(tmp_path: Path, data: bytes, message: str) -> None:
    """If one source is bad, or contradicts the folder, the error says why, and nothing changes."""
    seed(tmp_path, "--from", "-", data=json.dumps(REPLY).encode())
    before = (tmp_path / "images.json").read_bytes()
    result = seed(tmp_path, "--from", SEED / "objects", "--from", "-", data=data, status=2)
    assert message in result.stderr
    assert not result.stdout
    assert (tmp_path / "images.json").read_bytes() == before
    assert [*tmp_path.iterdir()] == [tmp_path / "images.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to read; add --from SOURCE, or --real"),
        (["--from", "nope"], "nope: No such file"),
        (["--from", str(SEED.parent)], "must be a folder with a full bucket name"),
        (["--from", f"cos://{BUCKET}/a"], "with --real or --endpoint"),
        (["--from", "-", "--region", "Mars"], "'Mars' is not a region"),
        (["--profile", "x"], "--profile requires --real"),
        (["--endpoint", "http://127.0.0.1:9"], "no emulated cloud of yours runs at"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], message: str) -> None:
    """Wrong usage ends with status 2, and says what is allowed."""
    assert message in seed(tmp_path / "new", *arguments, status=2).stderr
    assert not (tmp_path / "new").exists()


# --- From a cloud ---


def test_images_of_a_cloud(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """All pages of private and shared images are read, and nothing is written to the cloud."""
    reply = {"ap-seoul": page(*range(250), total=250)["ImageSet"]}
    cloud.state.images |= State(reply).images
    result = seed(tmp_path, "--endpoint", cloud.url, "--region", "ap-seoul")
    assert result.stdout == f"{tmp_path}: 250 images in ap-seoul, 0 objects\n"
    calls = cloud.state.snapshot()["Calls"]
    assert [call["Action"] for call in calls] == ["DescribeImages"] * 3
    seed(tmp_path, "--endpoint", cloud.url)
    images = state_of(tmp_path)["Images"]["ap-guangzhou"]
    assert len(images) == 6  # without the public one
    before = [each for each in cloud.state.images["ap-guangzhou"] if each in images]
    assert len(before) == 6


@pytest.fixture
def real(cloud: EmulatedCloud, monkeypatch: pytest.MonkeyPatch) -> EmulatedCloud:
    """A cloud that stands in for the real one, at its hosts, and the user's credentials."""
    keys = AccountCredentials()
    values = (keys.secret_id, keys.secret_key, keys.token)
    variables = cloud.network() | dict(zip(SDK_NAMES, values, strict=True))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    bundle = variables["SSL_CERT_FILE"]
    monkeypatch.setattr("tencentcloud.common.http.request.certifi.where", lambda: bundle)
    return cloud


def test_real_account(real: EmulatedCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--real` uses the user's own credentials at the public hosts, without a question."""
    monkeypatch.setenv("TENCENTCLOUD_REGION", "ap-shanghai-fsi")
    assert "1 image in ap-shanghai-fsi" in seed(tmp_path, "--real").stdout
    source = f"cos://{BUCKET}/requests/rename.json"
    seed(tmp_path, "--real", "--region", "ap-guangzhou", "--from", source)
    stored = State.from_folder(tmp_path).objects[BUCKET]["requests/rename.json"]
    assert stored.content == (SEED / "objects" / BUCKET / "requests/rename.json").read_bytes()
    assert not real.state.writes()
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", "wrong")
    assert "AuthFailure.SignatureFailure" in seed(tmp_path, "--real", status=2).stderr


@pytest.mark.parametrize("key", ["名 +%2F.json", "a\u2028b", "gzip", " "])
def test_objects_of_a_cloud(cloud: EmulatedCloud, tmp_path: Path, key: str) -> None:
    """An object is downloaded byte by byte, with its time, whatever its key is."""
    content = gzip.compress(b"1")
    cloud.state.objects[BUCKET][key] = Object(content, {"Content-Encoding": "gzip"}, modified=1e9)
    seed(tmp_path, "--endpoint", cloud.url, "--from", f"cos://{BUCKET}/{key}")
    assert State.from_folder(tmp_path).objects == {BUCKET: {key: Object(content, modified=1e9)}}


@pytest.mark.parametrize(
    "key", ["..", "../../a", "a/../b", "a//b", "/a", "a/", "./a", "é" * 128, "none", "a\0b"]
)
def test_objects_that_cannot_be_files(cloud: EmulatedCloud, tmp_path: Path, key: str) -> None:
    """A key that no file can have, and one that does not exist, is an error; nothing is written."""
    cloud.state.objects[BUCKET] |= dict.fromkeys(
        ["a", "../../a", "a/../b", "a//b", "/a", "a/", "./a", "é" * 128, "a\0b"], Object(b"1")
    )
    folder = tmp_path / "x" / "seed"
    result = seed(folder, "--endpoint", cloud.url, "--from", f"cos://{BUCKET}/{key}", status=2)
    assert any(text in result.stderr for text in ("no file can", "NoSuchKey", "Key is invalid"))
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


@pytest.mark.parametrize("link", ["images.json", "objects", f"objects/{BUCKET}"])
def test_nothing_is_written_through_a_link(tmp_path: Path, link: str) -> None:
    """If something in the folder is a link, what is outside of it stays as it is."""
    (outside := tmp_path / "outside").mkdir()
    (outside / "images.json").write_text("{}")
    (source := tmp_path / BUCKET).mkdir()  # an empty bucket
    (tmp_path / "seed" / link).parent.mkdir(parents=True)
    target = outside / "images.json" if link == "images.json" else outside
    (tmp_path / "seed" / link).symlink_to(target)
    data = json.dumps(REPLY).encode()
    result = seed(tmp_path / "seed", "--from", "-", "--from", source, data=data, status=2)
    assert "is a link" in result.stderr
    assert [*outside.iterdir()] == [outside / "images.json"]
    assert (outside / "images.json").read_text() == "{}"


_IMAGES = st.lists(
    st.fixed_dictionaries(
        {
            "ImageId": st.from_regex(r"img-[0-9a-z]{8}", fullmatch=True),
            "ImageType": st.sampled_from(["PRIVATE_IMAGE", "SHARED_IMAGE"]),
        },
        optional={
            "ImageDescription": st.text(max_size=9),
            "SnapshotSet": st.none(),
            "Platform": st.none(),
            "ImageState": st.sampled_from(["NORMAL", "CREATING"]),
            "Tags": st.just([{"Key": "a", "Value": "b"}]),
        },
    ),
    unique_by=lambda image: str(image["ImageId"]),
    max_size=5,
)


@pytest.fixture(scope="module")
def served() -> Any:  # noqa: ANN401 - a generator
    """An emulated cloud that `--endpoint` knows."""
    with EmulatedCloud(limits=False) as cloud, exports.kept(cloud.environment()):
        yield cloud


@given(images=_IMAGES)
def test_round_trip(served: EmulatedCloud, images: list[dict[str, Any]]) -> None:
    """A seed of an emulated cloud has the same images when it is served again."""
    served.state.images = State({"ap-guangzhou": images}).images
    with tempfile.TemporaryDirectory() as folder:
        seed(Path(folder), "--endpoint", served.url)
        again = state_of(Path(folder))["Images"]["ap-guangzhou"]
    key: Callable[[dict[str, Any]], str] = lambda image: image["ImageId"]  # noqa: E731 - one line
    assert sorted(again, key=key) == sorted(served.state.images["ap-guangzhou"], key=key)


# --- A seed in a file, and what is missing ---

READ = """
import os
from qcloud_cos import CosConfig, CosS3Client
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential

def main(event, context):
    keys = [os.environ[f"TENCENTCLOUD_{n}"] for n in ("SECRETID", "SECRETKEY", "SESSIONTOKEN")]
    cos = CosS3Client(CosConfig(Region="ap-guangzhou", SecretId=keys[0], SecretKey=keys[1],
                                Token=keys[2]), retry=0)
    for call, *arguments in event["cos"]:
        try: getattr(cos, call)(*arguments)
        except Exception: pass
    cvm = CommonClient("cvm", "2017-03-12", Credential(*keys), "ap-guangzhou")
    found = 0
    for call, parameters in event["cvm"]:
        try: found = cvm.call_json(call, parameters)["Response"].get("TotalCount")
        except Exception: pass
    return found
"""


def invoke(folder: Path, calls: dict[str, Any], *options: str | Path) -> Result:
    """Invoke a function that makes calls, whatever they return."""
    (folder / "app.py").write_text(READ)
    arguments = ["invoke", "--handler", f"{folder / 'app.py'}:main", *map(str, options)]
    return CliRunner().invoke(main, arguments, input=json.dumps({"cos": [], "cvm": []} | calls))


def missing(result: Result) -> list[str]:
    """The messages about what is missing, without the prefix."""
    assert result.exit_code == 0, result.output
    return [
        line.partition("scf-local: ")[2]
        for line in result.stderr.splitlines()
        if line.startswith("scf-local: ")
    ]


def test_seed_in_a_file(tmp_path: Path) -> None:
    """`--seed` takes a reply as it is, whose images are in the region of the function."""
    (tmp_path / "reply.json").write_text(json.dumps({"Response": REPLY}))
    calls = {"cvm": [["DescribeImages", {"ImageIds": ["img-aaaaaaaa"]}]]}
    result = invoke(tmp_path, calls, "--seed", tmp_path / "reply.json")
    assert (result.stdout, missing(result)) == ("1\n", [])
    result = invoke(tmp_path, calls, "--seed", tmp_path / "reply.json", "--region", "ap-seoul")
    assert result.stdout == "0\n"
    (tmp_path / "reply.json").write_text("[1]")
    result = invoke(tmp_path, calls, "--seed", tmp_path / "reply.json")
    assert result.exit_code == 2
    assert f"{tmp_path / 'reply.json'}: must be DescribeImages replies" in result.stderr


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """Objects and images that a function asked for in vain are named once, and what gets them."""
    (tmp_path / "seed" / "objects" / "b-1250000000").mkdir(parents=True)
    calls: dict[str, Any] = {
        "cos": [
            *[["get_object", "other-1250000000", "requests/a b.json"]] * 2,
            ["head_object", "b-1250000000", "c"],
            ["put_object", "journal-1250000000", "x", "d"],
        ],
        "cvm": [
            ["DescribeImages", {"ImageIds": ["img-aaaaaaaa"]}],
            ["DescribeImages", {"Filters": [{"Name": "image-id", "Values": ["img-bbbbbbbb"]}]}],
            ["ModifyImageAttribute", {"ImageId": "img-cccccccc", "ImageName": "x"}],
        ],
    }
    folder = tmp_path / "seed"
    *lines, hint = missing(invoke(tmp_path, calls, "--seed", folder))
    assert lines == [
        f"not in the emulated cloud: {name}"
        for name in (
            "objects/other-1250000000/requests/a b.json",
            "objects/b-1250000000/c",
            "objects/journal-1250000000/",
            *(f"image img-{letter * 8} in ap-guangzhou" for letter in "abc"),
        )
    ]
    assert hint == (
        "put them into a folder for --seed (docs/seeds.md), or get them with `scf-local seed "
        f"{folder} --real --region ap-guangzhou --from 'cos://other-1250000000/requests/a b.json' "
        f"--from cos://b-1250000000/c`, and replay with --seed {folder}"
    )
    lines = missing(invoke(tmp_path, {"cos": calls["cos"][-1:]}))
    assert lines[1:] == ["put them into a folder for --seed (docs/seeds.md)"]
    *_, hint = missing(invoke(tmp_path, calls | {"cos": []}))
    assert "`scf-local seed seed --real --region ap-guangzhou`, and" in hint


def test_what_is_not_missing(tmp_path: Path) -> None:
    """What is stored after the function has looked, or was deleted by it, is not missing.

    Nor is a key that is there without URL encoding.
    """
    (tmp_path / "seed" / "objects" / "b-1250000000").mkdir(parents=True)
    for name in ("old", "a b"):
        (tmp_path / "seed" / "objects" / "b-1250000000" / name).write_bytes(b"1")
    calls = {
        "cos": [
            ["head_object", "b-1250000000", "new"],
            ["put_object", "b-1250000000", "x", "new"],
            ["delete_object", "b-1250000000", "old"],
            ["get_object", "b-1250000000", "old"],
            ["list_objects", "b-1250000000"],
            ["get_object", "b-1250000000", "a%20b"],
        ],
        "cvm": [["DescribeImages", {"Filters": [{"Name": "image-name", "Values": ["none"]}]}]],
    }
    assert missing(invoke(tmp_path, calls, "--seed", tmp_path / "seed")) == []


def test_much_is_missing(tmp_path: Path) -> None:
    """Of much that is missing, 20 are named, and the others counted."""
    ids = [f"img-{number:08}" for number in range(50)]
    lines = missing(invoke(tmp_path, {"cvm": [["DescribeImages", {"ImageIds": ids}]]}))
    assert len(lines) == 22
    assert lines[20] == "and 30 more"


def test_replay_as_expected_misses_nothing(tmp_path: Path) -> None:
    """A replay names what is missing only if an event has not ended as expected."""
    (tmp_path / "app.py").write_text(READ)
    (tmp_path / "a.json").write_text('{"cos": [["get_object", "b-1250000000", "a"]], "cvm": []}')
    command = ["replay", str(tmp_path / "a.json"), "--handler", f"{tmp_path / 'app.py'}:main"]
    assert missing(CliRunner().invoke(main, command)) == []
    (tmp_path / "expected.json").write_text('{"a.json": {"Outcome": "raised"}}')
    assert "not in the emulated cloud: objects/b-1250000000/a\n" in (
        CliRunner().invoke(main, command).stderr
    )


# --- The page ---

PAGE = (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8")


def test_page(tmp_path: Path) -> None:
    """Each command on the page prints what the page shows."""
    (reply, *_) = re.findall(r"```json\n([\s\S]*?)```", PAGE)
    (tmp_path / "reply.json").write_text(reply, encoding="utf-8")
    (tmp_path / "scf-local.toml").write_text(f'code = "{ROOT / "handler"}"', encoding="utf-8")
    assert len(re.findall(r"```sh\n[^`]*```\n\n```text", PAGE)) == PAGE.count("```sh")
    page_commands.check(PAGE, tmp_path)


def test_page_on_the_real_cloud(real: EmulatedCloud, tmp_path: Path) -> None:
    """Each command for the real cloud on the page, and in the help, works."""
    help_text = (ROOT / "docs" / "scf-local.md").read_text(encoding="utf-8")
    commands = re.findall(
        r"^    scf-local seed (\S+) (.*--real.*)$", PAGE + help_text, re.MULTILINE
    )
    assert len(commands) == 4
    for folder, options in commands:
        region = [] if "--region" in options else ["--region", "ap-guangzhou"]
        seed(tmp_path / folder, *options.split(), *region)
    seeded = state_of(tmp_path / "new")
    assert len(seeded["Images"]["ap-guangzhou"]) == 6
    assert seeded["Objects"] == {BUCKET: ["requests/rename.json"]}
    assert not real.state.writes()


def test_page_has_every_member() -> None:
    """The table on the page has the members that an image may have, and their defaults."""
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.+) \|$", PAGE, re.MULTILINE)
    image = State({"ap-x": [{"ImageId": "img-aaaaaaaa"}]}).image("ap-x", "img-aaaaaaaa")
    named = {name: row for names, row in rows for name in re.findall(r"`(\w+)`", names)}
    assert named.keys() == image.keys() | {"CdcCacheStatus"}
    for name in image.keys() - {"ImageId", "ImageName", "SnapshotSet"}:
        value = image[name]
        text = f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"
        assert text in named[name] or (value == "" and "empty" in named[name])
