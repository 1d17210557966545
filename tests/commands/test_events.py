"""The events that `scf-local event` creates."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from image_steward.events.parse import parse
from scf_local.cli import main
from scf_local.events import COS_EVENT_NAMES, SHAPES, cos_event, timer_event

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1545205770.9
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
                            "x-cos-request-id": "NWMxOWY4MGFfMjViMjU4NjRfMTUyMV8yNzhhZjM=",
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
        queue="qcs:0:scf:cd:appid/1250000000:default.image-steward.$LATEST",
        reqid=179398952,
    ),
    "2021": _golden(
        bucket={"cosRegion": "ap-chengdu", "s3Region": "ap-chengdu"},
        meta={"x-cos-storage-class": "STANDARD"},
        queue="qcs:0:scf:ap-chengdu:appid/1250000000:default.image-steward.$DEFAULT",
        reqid=0,
    ),
}


def _event(shape: str, **options: str) -> dict[str, Any]:
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


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("etag", ["9a0364b9e99bb480dd25e1f0284c8555", '"9a0364b9e99bb480-2"'])
def test_version_and_etag(shape: str, etag: str) -> None:
    """The version id and the ETag, with its quotes or without, change only these two members."""
    expected = copy.deepcopy(GOLDEN[shape])
    cos_object = expected["Records"][0]["cos"]["cosObject"]
    cos_object["vid"] = "MTg0NDUxNTc1"
    cos_object["meta"]["ETag"] = etag if etag.startswith('"') else f'"{etag}"'
    assert _event(shape, version_id="MTg0NDUxNTc1", etag=etag) == expected


def test_options_of_an_object() -> None:
    """The command has options for both."""
    options = ["--bucket", "b-1", "--key", "k", "--version-id", "MTg0", "--etag", "9a03"]
    result = CliRunner().invoke(main, ["event", "cos", *options])
    cos_object = json.loads(result.stdout)["Records"][0]["cos"]["cosObject"]
    assert (cos_object["vid"], cos_object["meta"]["ETag"]) == ("MTg0", '"9a03"')


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
    """`event` prints text without escapes, and reads a timer's message from a file."""
    path = tmp_path / "message.json"
    path.write_text('{"ImageName": "名"}', encoding="utf-8")
    result = CliRunner().invoke(main, ["event", "timer", "--message", f"@{path}"])
    assert result.exit_code == 0
    assert "名" in result.stdout
    assert json.loads(result.stdout)["Message"] == '{"ImageName": "名"}'


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
