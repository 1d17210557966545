"""The events that `scf-local event` creates."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from conftest import SEED
from cos_client import client_of
from image_steward.events.parse import parse
from scf_local import EmulatedCloud
from scf_local.cli import main
from scf_local.cloud.seed import read_objects
from scf_local.events import COS_EVENT_NAMES, SHAPES, cos_event, timer_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

NOW = 1545205770.9
BUCKET = "manifests-1250000000"
_SIGNATURE = {
    "Authorization": "q-sign-algorithm=sha1&q-ak=AKIDuploader00000000000000000EXAMPLE"
    "&q-sign-time=1545205770;1545209370&q-key-time=1545205770;1545209370&q-header-list=host&q-url-param-list="
    "&q-signature=0123456789abcdef0123456789abcdef01234567"
}


def _clock() -> float:
    return NOW


def _golden(*, bucket: dict[str, str], meta: dict[str, str], queue: str, reqid: int) -> Any:  # noqa: ANN401 - JSON
    return {
        "Records": [
            {
                "cos": {
                    "cosSchemaVersion": "1.0",
                    "cosObject": {
                        "url": "http://manifests-1250000000.cos.ap-chengdu.myqcloud.com/a/b%20%C3%A9.json",
                        "meta": {
                            "x-cos-request-id": "NWMxOWY4MGFfZDBkYjhmMzZfMTUyMV8yNzhhZjM=",
                            "Content-Type": "application/json",
                            **meta,
                        },
                        "vid": "",
                        "key": "/1250000000/manifests/a/b é.json",
                        "size": 1029,
                    },
                    "cosBucket": {
                        "region": "cd",
                        "name": "manifests",
                        "appid": "1250000000",
                        **bucket,
                    },
                    "cosNotificationId": "unkown",
                },
                "event": {
                    "eventName": "cos:ObjectCreated:Post",
                    "eventVersion": "1.0",
                    "eventTime": 1545205770,
                    "eventSource": "qcs::cos",
                    "requestParameters": {
                        "requestSourceIP": "192.0.2.1",
                        "requestHeaders": _SIGNATURE,
                    },
                    "eventQueue": queue,
                    "reservedInfo": "",
                    "reqid": reqid,
                },
            }
        ]
    }


GOLDEN = {
    "2018": _golden(
        bucket={},
        meta={},
        queue="qcs:0:scf:cd:appid/1250000000:default.function.$LATEST",
        reqid=179398952,
    ),
    "2021": _golden(
        bucket={"cosRegion": "ap-chengdu", "s3Region": "ap-chengdu"},
        meta={"x-cos-storage-class": "STANDARD"},
        queue="qcs:0:scf:ap-chengdu:appid/1250000000:default.function.$DEFAULT",
        reqid=0,
    ),
}


def _event(shape: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - of cos_event
    """The event that `GOLDEN` has, with other options."""
    return cos_event(
        "manifests-1250000000",
        "a/b é.json",
        region="ap-chengdu",
        shape=shape,
        event_name="cos:ObjectCreated:Post",
        clock=_clock,
        **options,
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_cos_event_is_as_delivered(shape: str) -> None:
    """Both shapes of a COS event equal, member by member, what SCF delivers."""
    assert _event(shape) == GOLDEN[shape]


def _object(event: dict[str, Any], record: int = 0) -> dict[str, Any]:
    value: dict[str, Any] = event["Records"][record]["cos"]["cosObject"]
    return value


def _upload(*arguments: str | Path) -> Result:
    """Run `event cos` for a bucket."""
    command = ["event", "cos", "--bucket", BUCKET, *map(str, arguments)]
    return CliRunner().invoke(main, command)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("etag", ["9a0364b9e99bb480dd25e1f0284c8555", '"9a0364b9e99bb480-2"'])
def test_version_and_etag(shape: str, etag: str) -> None:
    """The version id and the ETag, with its quotes or without, change only these two members."""
    expected = copy.deepcopy(GOLDEN[shape])
    cos_object = _object(expected)
    cos_object["vid"] = "MTg0NDUxNTc1"
    cos_object["meta"]["ETag"] = etag if etag.startswith('"') else f'"{etag}"'
    event = _event(shape, vid="MTg0NDUxNTc1", etag=etag)
    del cos_object["meta"]["x-cos-request-id"], _object(event)["meta"]["x-cos-request-id"]
    assert event == expected


@pytest.mark.parametrize("body", [b"", b"content"])
def test_body(body: bytes) -> None:
    """A body sets the size and, in the shape that has one, the ETag, unless one is given."""
    etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    for options, expected in (
        ({"shape": "2021"}, etag),
        ({"shape": "2018"}, None),
        ({"shape": "2021", "etag": "1a-2"}, '"1a-2"'),
        ({"shape": "2018", "etag": "1a-2"}, '"1a-2"'),
    ):
        cos_object = _object(_event(body=body, **options))
        assert (cos_object["size"], cos_object["meta"].get("ETag")) == (len(body), expected)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a/B.JSON", "application/json"),
        ("名.html", "text/html"),
        ("data:text/csv,a.png", "image/png"),
        *((key, "application/octet-stream") for key in ("a", ".json", "json", "a.json/", "a.x-y")),
    ],
)
def test_content_type(key: str, expected: str) -> None:
    """The content type is that of the key's extension, whatever else the key has."""
    assert _object(cos_event(BUCKET, key))["meta"]["Content-Type"] == expected


def test_metadata() -> None:
    """Metadata gets the prefix, and standard headers their names, in place of defaults."""
    meta = {"team": "web", "X-COS-Meta-Build": "1 7", "content-TYPE": "", "cache-control": "a=b"}
    meta |= {"x-cos-storage-class": "ARCHIVE", "ExpiresAt": "1", "Expires": "2"}
    expected = copy.deepcopy(GOLDEN["2021"])
    _object(expected)["meta"] |= {
        "x-cos-meta-team": "web",
        "x-cos-meta-build": "1 7",
        "Content-Type": "",
        "Cache-Control": "a=b",
        "x-cos-storage-class": "ARCHIVE",
        "x-cos-meta-expiresat": "1",
        "Expires": "2",
    }
    assert _event("2021", meta=meta) == expected


def test_several_records(tmp_path: Path) -> None:
    """Each key is a record, in order, with its own content, ETag, version and request id."""
    for name in ("one", "three"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    keys = ["--key", "b", "--key", "a", "--key", "b"]
    bodies = [part for name in ("one", "three", "three") for part in ("--body", tmp_path / name)]
    vids = ["--vid", "1", "--vid", "2", "--vid", "3"]
    names = ["--function-name", "mine", "--meta", "a=b", "--meta", "c="]
    event = json.loads(_upload(*keys, *bodies, *vids, *names).stdout)
    objects = [_object(event, record) for record in range(3)]
    assert [(each["key"][-1], each["size"], each["vid"]) for each in objects] == [
        ("b", 3, "1"),
        ("a", 5, "2"),
        ("b", 5, "3"),
    ]
    assert objects[1]["meta"]["ETag"] == objects[2]["meta"]["ETag"] != objects[0]["meta"]["ETag"]
    assert {(each["meta"]["x-cos-meta-a"], each["meta"]["x-cos-meta-c"]) for each in objects} == {
        ("b", "")
    }
    assert len({each["meta"]["x-cos-request-id"] for each in objects}) == 3
    assert {record["event"]["eventQueue"] for record in event["Records"]} == {
        "qcs:0:scf:ap-guangzhou:appid/1250000000:default.mine.$DEFAULT"
    }


KEYS = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda key: len(key.encode()) < 851)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=63)
FILE_KEYS = st.lists(NAMES.filter(lambda name: name not in {".", ".."}), min_size=1, max_size=3)


@given(key=KEYS, shape=st.sampled_from(SHAPES))
@example(key="/ +%2F%00\0\n\x1b\x7f\u2028'\"\\😀名//..", shape="2021")
@example(key="1250000000/manifests//1250000000/manifests/a", shape="2018")
@example(key="é" * 425, shape="2021")
def test_any_key(key: str, shape: str) -> None:
    """The function finds any key in an event, and its URL decodes to the key."""
    event = json.loads(_upload("--shape", shape, f"--key={key}").stdout)
    assert unquote(urlsplit(_object(event)["url"]).path) == f"/{key}"
    _, (part,) = parse(event, region="")
    if not key.endswith("/"):  # folder markers are ignored
        assert isinstance(part.content, list)
        assert part.content[0].path == f"{BUCKET}/{key}"


@pytest.fixture(scope="module")
def cos() -> Iterator[EmulatedCloud]:
    """An emulated cloud, whose objects each test sets."""
    with EmulatedCloud() as cloud:
        yield cloud


@given(keys=st.lists(FILE_KEYS.map("/".join), min_size=1, max_size=3), body=st.binary())
@example(keys=[f"{'é' * 127}a/{'名' * 85}", "." * 53], body=b"")
@example(keys=["a", "a", "b/c", "b/d", "...", "..."], body=b"\r\n\xff")
def test_function_reads_what_was_seeded(cos: EmulatedCloud, keys: list[str], body: bytes) -> None:
    """Under any key that a file can have, the emulated COS has the content that an event names."""
    folders = {key[:at] for key in keys for at, char in enumerate(key) if char == "/"}
    keys = [key for key in keys if key not in folders]
    with tempfile.TemporaryDirectory() as folder:
        contents = [body + str(number).encode() for number in range(len(keys))]
        options: list[str | Path] = ["--seed", folder]
        for number, (key, content) in enumerate(zip(keys, contents, strict=True)):
            file = Path(folder) / str(number)
            file.write_bytes(content)
            options += [f"--key={key}", "--body", file]
        result = _upload(*options)
        assert result.exit_code == 0, result.stderr
        objects = read_objects(Path(folder) / "objects")
        again = _upload(*(f"--key={key}" for key in keys), "--seed", folder)
    assert objects[BUCKET].keys() == {*keys}
    cos.state.objects = {bucket: dict(each) for bucket, each in objects.items()}
    stored = dict(zip(keys, contents, strict=True))
    _, parts = parse(json.loads(again.stdout), region="")
    for key, record, part in zip(keys, json.loads(again.stdout)["Records"], parts, strict=True):
        assert isinstance(part.content, list)
        source = part.content[0]
        reply = client_of(cos).get_object(source.bucket, source.key, IfMatch=source.etag)
        assert reply["Body"].get_raw_stream().read() == stored[key]
        assert record["cos"]["cosObject"]["size"] == len(stored[key])
    if len(stored) == len(keys):
        assert _without_ids(again) == _without_ids(result)


def _without_ids(result: Result) -> list[Any]:
    """What an event says of its objects, without the time of the upload."""
    objects = [record["cos"]["cosObject"] for record in json.loads(result.stdout)["Records"]]
    return [each | {"meta": each["meta"] | {"x-cos-request-id": ""}} for each in objects]


def test_invoke_reads_the_body(tmp_path: Path) -> None:
    """The function, invoked with an event and its seed, reads the body, also if it replaced one."""
    seed = shutil.copytree(SEED, tmp_path / "seed")
    body = tmp_path / "body"
    body.write_text('{"ImageId": "img-6pb6lrmy", "ImageName": "sample", "DryRun": true}')
    for key in ("requests/名 +%2F\n😀.json", "requests/rename.json"):
        event = _upload("--key", key, "--body", body, "--seed", seed)
        run = CliRunner().invoke(main, ["invoke", "--seed", str(seed)], input=event.stdout)
        assert run.exit_code == 0, run.stderr
        assert json.loads(run.stdout)["Outcome"] == "planned"


def test_object_that_is_not_in_the_seed(tmp_path: Path) -> None:
    """Without a body and an object in the seed, an event is as without a seed."""
    keys = ["--key", "a//b", "--key", "k.json"]
    assert _without_ids(_upload(*keys, "--seed", tmp_path)) == _without_ids(_upload(*keys))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("key", "message"),
    [
        *((key, "an empty part, . or ..") for key in ("/a", "a/", "a//b", "..", "x/../a", "./a")),
        ("a\0b", "NUL"),
        ("new/" + "é" * 128, "longer than 255 bytes"),
        ("old/a", "would be a file and a folder"),
        ("file/a/b", "would be a file and a folder"),
        ("folder", "would be a file and a folder"),
        ("new", "would be a file and a folder"),
        ("new/a/b", "would be a file and a folder"),
    ],
)
def test_key_that_no_file_can_hold(tmp_path: Path, key: str, message: str) -> None:
    """A key that cannot be a file, beside those of the seed and the event, writes nothing."""
    bucket = tmp_path / "objects" / BUCKET
    (bucket / "folder").mkdir(parents=True)
    for name in ("file", "old"):
        (bucket / name).write_text("before")
    before = sorted(tmp_path.rglob("*"))
    options = [part for k in ("file", "new/a", key) for part in ("--key", k, "--body", __file__)]
    result = _upload(*options, "--seed", tmp_path)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not result.stdout
    assert sorted(tmp_path.rglob("*")) == before
    assert (bucket / "file").read_text() == "before"


@pytest.mark.parametrize("link", ["", BUCKET, f"{BUCKET}/folder", f"{BUCKET}/folder/a"])
def test_nothing_is_written_through_a_link(tmp_path: Path, link: str) -> None:
    """A link in the seed is not followed: what is outside of the seed stays as it is."""
    (elsewhere := tmp_path / "elsewhere").mkdir()
    path = tmp_path / "seed" / "objects" / link
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere / "new" if link.endswith("a") else elsewhere)
    result = _upload("--key", "folder/a", "--body", __file__, "--seed", tmp_path / "seed")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is a link" in result.stderr
    assert not list(elsewhere.iterdir())


def test_seed_may_be_a_link(tmp_path: Path) -> None:
    """A seed that is a link itself is written to."""
    (tmp_path / "real").mkdir()
    (tmp_path / "seed").symlink_to(tmp_path / "real")
    assert _upload("--key", "a", "--body", __file__, "--seed", tmp_path / "seed").exit_code == 0
    assert (tmp_path / "real" / "objects" / BUCKET / "a").is_file()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "key", ["a.json", "/a.json", "1250000000/manifests/a.json", "名 +%2F.json"]
)
def test_function_finds_the_object(shape: str, key: str) -> None:
    """The function reads the given bucket, region and key from either shape."""
    event = cos_event("manifests-1250000000", key, region="ap-nanjing", shape=shape)
    _, (part,) = parse(event, region="eu-frankfurt")
    assert isinstance(part.content, list)
    assert part.content[0][:5] == ("manifests-1250000000", key, "ap-nanjing", "", "")


def test_timer_event_is_as_delivered() -> None:
    """A timer event has exactly four members, all strings, and the minute when it fired."""
    assert timer_event('{"a": 1}', name="Nightly", clock=_clock) == {
        "Type": "Timer",
        "TriggerName": "Nightly",
        "Time": "2018-12-19T07:49:00Z",
        "Message": '{"a": 1}',
    }


def test_command_prints_utf8(tmp_path: Path) -> None:
    """`event` prints text without escapes, and reads a timer's message from a file or stdin."""
    path = tmp_path / "message.json"
    path.write_text('{"ImageName": "名"}', encoding="utf-8")
    result = CliRunner().invoke(main, ["event", "timer", "--message", f"@{path}"])
    assert result.exit_code == 0
    assert "名" in result.stdout
    assert json.loads(result.stdout)["Message"] == '{"ImageName": "名"}'
    piped = CliRunner().invoke(main, ["event", "timer", "--message", "@-"], path.read_bytes())
    assert json.loads(piped.stdout)["Message"] == '{"ImageName": "名"}'


@pytest.mark.parametrize("name", COS_EVENT_NAMES)
def test_every_event_name_is_accepted(name: str) -> None:
    """Every kind of COS event can be created."""
    arguments = ["event", "cos", "--bucket", "b-1", "--key", "k", "--event-name", name]
    result = CliRunner().invoke(main, arguments)
    assert json.loads(result.stdout)["Records"][0]["event"]["eventName"] == name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cos", "--bucket", "manifests", "--key", "a"], "manifests-1250000000"),
        (["cos", "--bucket", "b-1", "--key", ""], "the key is empty"),
        (["cos", "--bucket", "b-1", "--key", "\udcff"], "not UTF-8"),
        (["cos", "--bucket", "b-1", "--key", "é" * 425 + "a"], "851 bytes; COS allows 850"),
        (
            ["cos", "--bucket", "b-1", "--key", "a", "--vid", "1", "--vid", "2"],
            "2 --vid for 1 --key",
        ),
        (["cos", "--bucket", "b-1", "--key", "a", "--key", "b", "--etag", "1"], "1 --etag for 2"),
        (["cos", *["--bucket", "b-1", "--key", "a", "--key", "b", "--body", __file__]], "1 --body"),
        (["cos", "--bucket", "b-1", "--key", "a", "--meta", "team"], "'team' must be NAME=VALUE"),
        *(
            (["cos", "--bucket", "b-1", "--key", "a", "--meta", pair], "letters, digits and -")
            for pair in ("=a", "a_b=c", "é=a", "a b=c", "a=é", "a=b\n", "a=\x7f", "x-cos-meta-=a")
        ),
        (["cos", "--bucket", "b-1", "--key", "a", "--region", "gz"], "ap-guangzhou"),
        (["cos", "--bucket", "b-1", "--key", "a", "--shape", "2020"], "'2018', '2021'"),
        (["cos", "--buckets", "b-1", "--key", "a"], "Did you mean '--bucket'?"),
        (["timr"], "Did you mean 'timer'?"),
        (["timer", "--name", "1st"], "a letter followed by"),
        (["timer", "--message", "x" * 4097], "cos://"),
        (["timer", "--message", "@no-such-file"], "no-such-file"),
    ],
)
def test_wrong_usage_says_what_is_allowed(arguments: list[str], message: str) -> None:
    """Wrong usage ends with status 2, and the error says what is allowed."""
    result = CliRunner().invoke(main, ["event", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert not result.stdout


def test_invalid_message_file(tmp_path: Path) -> None:
    """The error for a message file that is a folder or not text names it."""
    (tmp_path / "binary").write_bytes(b"ab\xff")
    for path, message in (
        (tmp_path, "Is a directory"),
        (tmp_path / "binary", "not UTF-8 at byte 2"),
    ):
        result = CliRunner().invoke(main, ["event", "timer", "--message", f"@{path}"])
        assert result.exit_code == 2
        assert f"{path}: {message}" in result.stderr
