"""Strict JSON: what two parsers could read differently is rejected."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_steward import strict_json
from image_steward.errors import InvalidJSON

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_reads_what_json_wrote(value: object) -> None:
    """Any JSON value is read as it was written."""
    assert strict_json.loads(json.dumps(value).encode()) == value


@given(st.binary(max_size=60))
def test_raises_nothing_else(data: bytes) -> None:
    """Any bytes return a value or raise InvalidJSON."""
    try:
        strict_json.loads(data)
    except InvalidJSON as error:
        assert error.message  # noqa: PT017 - either result is right


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "b": 2, "a": 3}', 'member "a" appears 2 times in one object'),
        (b"[NaN]", "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not a JSON number"),
        (b"[1e999]", "1e999 is out of range"),
        (b"[" + b"9" * 5000 + b"]", "a number has 5000 digits; at most 400"),
        ('{"a": 1}'.encode("utf-16"), "zero byte"),
        ('{"a": 1}'.encode("utf-16-le"), "zero byte"),
        ("[1]".encode("utf-16-be"), "zero byte"),
        (b'["\xe9"]', "not UTF-8 at byte 2"),
        (rb'["\ud83d"]', "half a surrogate pair in"),
        (rb'{"\udc00": 1}', "half a surrogate pair in"),
        (b"[" * 100_000 + b"]" * 100_000, "deeper than 64"),
        (b'{"a":' * 100_000, "deeper than 64"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b"[" * 65 + b"1" + b"]" * 65, "deeper than 64"),
        (b"[" + b"{}," * 99_999 + b"{}]", "more than 100,000 arrays and objects"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"a": 1,}', "line 1, column"),
        (b'{"a": 1} x', "extra data"),
        (b"{'a': 1}", "line 1, column 2"),
    ],
)
def test_rejects(data: bytes, message: str) -> None:
    """Each violation of strict JSON is rejected with a message that names it."""
    with pytest.raises(InvalidJSON, match=message):
        strict_json.loads(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\xef\xbb\xbf[1]", [1]),
        ('["镜像"]'.encode(), ["镜像"]),
        (rb'["\ud83d\ude00"]', ["😀"]),
        (b"[1.5e3]", [1500.0]),
        (b"[" + b"{}," * 99_998 + b"{}]", [{}] * 99_999),
        (b'["' + b'{\\"[' * 60_000 + b'"]', ['{"[' * 60_000]),
    ],
)
def test_accepts(data: bytes, value: object) -> None:
    """A byte order mark, any script and surrogate pairs are accepted."""
    assert strict_json.loads(data) == value


def test_accepts_sixty_four_levels() -> None:
    """A document of 64 levels is accepted."""
    assert strict_json.loads(b"[" * 64 + b"1" + b"]" * 64)
