"""Events: every known shape is read, and everything else is rejected with its reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_steward.errors import Ignored, InvalidEvent, StewardError
from image_steward.events.parse import Part, parse
from image_steward.model import CosObject
from image_steward.regions import SHORT_CODES, is_region

OWN = "ap-beijing"


def record(  # noqa: PLR0913 - the fields that vary
    key: str = "/1250000000/manifests/requests/a.json",
    *,
    name: str = "manifests",
    appid: object = "1250000000",
    event_name: object = "cos:ObjectCreated:Put",
    bucket: dict[str, Any] | None = None,
    url: object = "",
) -> dict[str, Any]:
    """Return one record of a COS event."""
    return {
        "cos": {
            "cosObject": {"key": key, "url": url, "size": 1},
            "cosBucket": {"name": name, "appid": appid, **(bucket or {"region": "gz"})},
        },
        "event": {"eventName": event_name},
    }


def only_part(event: object, region: str = OWN) -> Any:  # noqa: ANN401 - any kind of content
    """Return the content of the only part of an event."""
    _, (part,) = parse(event, region=region)
    return part.content


def only_object(*records: object) -> Any:  # noqa: ANN401 - an error fails the test
    """Return the object of an event with these records, by the event's own key."""
    return only_part({"Records": list(records)})[0]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("/1250000000/manifests/a/b.json", "a/b.json"),
        ("/1250000000/manifests-1250000000/a/b.json", "a/b.json"),
        ("/HappyFace.json", "HappyFace.json"),
        ("plain.json", "plain.json"),
        ("/1250000000/manifests//1250000000/manifests/x", "/1250000000/manifests/x"),
        ("/1250000000/manifests/镜像 改名+%41.json", "镜像 改名+%41.json"),
        ("/1250000000/other/x", "1250000000/other/x"),
    ],
)
def test_key(key: str, expected: str) -> None:
    """The prefix of account and bucket is removed once, at the start only."""
    assert only_object(record(key)) == CosObject("manifests-1250000000", expected, "ap-guangzhou")


@pytest.mark.parametrize("name", ["manifests", "manifests-1250000000"])
@pytest.mark.parametrize("appid", ["1250000000", 1250000000])
def test_bucket(name: str, appid: object) -> None:
    """The full bucket name ends with the appid exactly once, whether it is text or a number."""
    assert only_object(record(name=name, appid=appid)).bucket == "manifests-1250000000"


@pytest.mark.parametrize(
    ("bucket", "url", "region"),
    [
        ({"s3Region": "ap-shanghai", "cosRegion": "ap-tokyo", "region": "gz"}, "", "ap-shanghai"),
        ({"cosRegion": "ap-shanghai", "region": "gz"}, "", "ap-shanghai"),
        ({"s3Region": "evil.example/", "region": "gz"}, "", "ap-guangzhou"),
        ({"region": "ap-nanjing"}, "", "ap-nanjing"),
        ({"region": "shjr"}, "", "ap-shanghai-fsi"),
        ({"region": "??"}, "http://b-1.cos.ap-chengdu.myqcloud.com/x", "ap-chengdu"),
        ({"region": None}, "https://b-1.cosbj.myqcloud.com/x", "ap-beijing"),
        ({"region": "??"}, "http://b-1.cos.evil_x.example/x", OWN),
        ({"region": 5}, 7, OWN),
        ({"region": 5}, "http://[broken", OWN),
        ({"region": 5}, "http://" + "cos" * 100_000, OWN),
    ],
)
def test_region(bucket: dict[str, Any], url: object, region: str) -> None:
    """The region is the first found: full names, short code, URL, the function's own."""
    assert only_object(record(bucket=bucket, url=url)).region == region


def test_short_codes_are_regions() -> None:
    """Every short code maps to a valid region name."""
    assert all(is_region(region) for region in SHORT_CODES.values())


@pytest.mark.parametrize(
    ("event_name", "key"),
    [
        ("cos:ObjectRemove:Delete", "a.json"),
        ("cos: ObjectRemove:Delete", "a.json"),
        ("cos:ObjectRestore:Post", "a.json"),
        ("cos:Something", "a.json"),
        ("cos:ObjectCreated:Put", "folder/"),
    ],
)
def test_ignored(event_name: str, key: str) -> None:
    """Removals, unknown event types and folder marks are ignored, with a reason."""
    error = only_part({"Records": [record(key, event_name=event_name)]})
    assert type(error) is Ignored
    assert error.message


@pytest.mark.parametrize("event_name", ["cos:ObjectCreated:*", " cos: ObjectCreated :Post"])
def test_created(event_name: str) -> None:
    """The literal star of an old sample, and extra blanks, are accepted."""
    assert isinstance(only_object(record(event_name=event_name)), CosObject)


@pytest.mark.parametrize(
    "broken",
    [
        None,
        5,
        {},
        {"cos": {}},
        {"cos": 1, "event": {}},
        record(event_name=None),
        record(""),
        record("///"),
        record(name="UPPER"),
        record(name="a.evil.example/"),
        record(appid=None),
        record("a\ud800"),
    ],
)
def test_broken_record_is_rejected_alone(broken: object) -> None:
    """A bad record is rejected with its path, and a good one beside it is read."""
    _, (good, bad) = parse({"Records": [record(), broken]}, region=OWN)
    assert isinstance(good.content, list)
    assert bad.source == "Records/1"
    assert isinstance(bad.content, InvalidEvent)


def test_removal_is_ignored_first() -> None:
    """A removal is ignored whatever else its record contains."""
    event = {"Records": [{"event": {"eventName": "cos:ObjectRemove:Delete"}}]}
    assert isinstance(only_part(event), Ignored)


def test_no_region() -> None:
    """A bucket without a known region is rejected."""
    event = {"Records": [record(bucket={"x": 1})]}
    assert isinstance(only_part(event, region=""), InvalidEvent)


@pytest.mark.parametrize(
    "event",
    [None, [], "text", 5, 1.5, True, "", {"specversion": "1.0", "data": {}}, {"EventList": []},
     {"Records": []}, {"Records": 5}, {"Records": None},
     {"Records": {}}, {"x": {1, 2}}],
)  # fmt: skip
def test_no_event(event: object) -> None:
    """Anything that is not an event is rejected as InvalidEvent."""
    with pytest.raises(InvalidEvent):
        parse(event, region=OWN)


def test_too_deep_a_direct_event() -> None:
    """A direct event that is too deep for JSON is rejected."""
    event: dict[str, Any] = {}
    for _ in range(100_000):
        event = {"a": event}
    with pytest.raises(InvalidEvent):
        parse(event, region=OWN)
    while event:  # taken apart by hand, since some Pythons crash when they free it at once
        event = event.pop("a")


def test_timer() -> None:
    """A timer's document is its Message, and its source names the trigger."""
    event = {"Type": "Timer", "TriggerName": "nightly", "Time": "x", "Message": '{"a": "é"}'}
    parts = [Part("timer:nightly", '{"a": "é"}'.encode())]
    assert parse(event, region=OWN) == ("timer", parts)


@pytest.mark.parametrize("message", [None, 5, {}])
def test_timer_without_text(message: object) -> None:
    """A timer whose Message is not text is rejected."""
    assert isinstance(only_part({"Type": "Timer", "Message": message}), InvalidEvent)


def test_direct() -> None:
    """Any other object is a document."""
    parts = [Part("direct", b'{"ImageId":"img-1","Type":"x"}')]
    assert parse({"ImageId": "img-1", "Type": "x"}, region=OWN) == ("direct", parts)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Records", "cos", "cosObject", "cosBucket", "key", "name", "appid", "region",
                 "event", "eventName", "url", "Type", "Message", "s3Region"]
            ),
            inner,
            max_size=5,
        )
    ),
)  # fmt: skip


@given(JSON)
def test_any_json_is_read_or_rejected(event: object) -> None:
    """Reading any JSON value as an event raises nothing but InvalidEvent."""
    try:
        assert parse(event, region=OWN)[0] in {"cos", "timer", "direct"}
    except InvalidEvent as error:
        assert error.message  # noqa: PT017 - either result is right


def test_rejected_part_leaves_no_garbage() -> None:
    """A part that is not processed does not hold the frames of its parsing, which hold the part."""
    records: list[object] = [{}, {"event": {"eventName": "cos:ObjectRemove:Delete"}}]
    _, parts = parse({"Records": records}, region="ap-guangzhou")
    for _, content in parts:
        assert isinstance(content, StewardError)
        assert content.__traceback__ is None
