"""Settings: wrong values are rejected by name, and sources match whole path segments."""

from __future__ import annotations

import pytest

from image_steward import registry
from image_steward.errors import InvalidSetting
from image_steward.settings import KINDS, Settings


def test_defaults() -> None:
    """Variables that are not set, empty or blank have the documented defaults."""
    assert Settings.from_environ({}) == Settings()
    assert Settings.from_environ({"STEWARD_SOURCES": "", "STEWARD_DRY_RUN": " "}) == Settings()
    assert Settings().max_document_bytes == 1024 * 1024
    assert Settings().log_level == "INFO"


def test_all_set() -> None:
    """Every variable sets its field."""
    settings = Settings.from_environ(
        {
            "STEWARD_DRY_RUN": "1",
            "STEWARD_SOURCES": "a-1/x/=policies, b-2",
            "STEWARD_MAX_CHANGES": "7",
            "STEWARD_PROTECTED_TAGS": "cost-*, owner",
            "STEWARD_MAX_DOCUMENT_BYTES": "10",
            "STEWARD_API_ENDPOINT": "https://{service}.internal.tencentcloudapi.com/",
            "STEWARD_COS_ENDPOINT": "http://127.0.0.1:9000",
            "STEWARD_LOG_LEVEL": "DEBUG",
            "UNRELATED": "x",
        }
    )
    assert settings == Settings(
        dry_run=True,
        sources={"a-1/x": ("policies",), "b-2": KINDS},
        max_changes=7,
        protected_tags=("cost-*", "owner"),
        max_document_bytes=10,
        api_endpoint="https://{service}.internal.tencentcloudapi.com",
        cos_endpoint="http://127.0.0.1:9000",
        log_level="DEBUG",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STEWARD_DRY_RUN", "yes"),
        ("STEWARD_SOURCES", "no-appid/x"),
        ("STEWARD_SOURCES", "a-1/x,B-2"),
        ("STEWARD_SOURCES", ","),
        ("STEWARD_SOURCES", "timers"),
        ("STEWARD_SOURCES", "a-1/x=requests;timer=policies"),
        ("STEWARD_SOURCES", "a-1/x=requests,manifests"),
        ("STEWARD_SOURCES", "a-1/x=policy"),
        ("STEWARD_SOURCES", "a-1/x=policies+"),
        ("STEWARD_SOURCES", "a-1/x=policies,a-1/x/=requests"),
        ("STEWARD_MAX_CHANGES", "0"),
        ("STEWARD_MAX_CHANGES", "1000001"),
        ("STEWARD_MAX_CHANGES", "9" * 5000),
        ("STEWARD_PROTECTED_TAGS", ", ,"),
        ("STEWARD_PROTECTED_TAGS", "cost-*;owner"),
        ("STEWARD_PROTECTED_TAGS", "cost-* owner"),
        ("STEWARD_PROTECTED_TAGS", "^cost-.*$"),
        ("STEWARD_SOURCES", "a" * 62 + "-1"),
        ("STEWARD_MAX_DOCUMENT_BYTES", "0"),
        ("STEWARD_MAX_DOCUMENT_BYTES", "-1"),
        ("STEWARD_MAX_DOCUMENT_BYTES", "1e6"),
        ("STEWARD_MAX_DOCUMENT_BYTES", "²"),
        ("STEWARD_MAX_DOCUMENT_BYTES", "67108865"),
        ("STEWARD_API_ENDPOINT", "cvm.tencentcloudapi.com"),
        ("STEWARD_API_ENDPOINT", "ftp://x"),
        ("STEWARD_API_ENDPOINT", "https://{product}.tencentcloudapi.com"),
        ("STEWARD_API_ENDPOINT", "https://x.example/path"),
        ("STEWARD_API_ENDPOINT", "http://x:99999"),
        ("STEWARD_API_ENDPOINT", "http://:80"),
        ("STEWARD_COS_ENDPOINT", "http://{region}:80"),
        ("STEWARD_LOG_LEVEL", "info"),
        ("STEWARD_REGIONS", ","),
        ("STEWARD_REGIONS", "ap-guangzhou,Shanghai"),
        ("STEWARD_JOURNAL", "no-appid/journal/"),
        ("STEWARD_JOURNAL", "a-1/journal/../x/"),
        ("STEWARD_JOURNAL", "a-1/journal//x/"),
    ],
)
def test_wrong_value_is_named(name: str, value: str) -> None:
    """A wrong value is an error that names the variable, the value and what is allowed."""
    with pytest.raises(InvalidSetting) as caught:
        Settings.from_environ({name: value})
    assert caught.value.message.startswith(f'{name} is "{value[:60]}')


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("STEWARD_SOURCES", "timmer=policies", "did you mean timer?"),
        ("STEWARD_SOURCES", "a-1/x=policy", "did you mean policies?"),
        ("STEWARD_SOURCES", "a-1/x=requests,manifests", "join kinds with +"),
        ("STEWARD_SOURCES", "manifests/requests/", "neither <bucket>-<appid>/<prefix> nor"),
        ("STEWARD_REGIONS", "ap-guangzhou,AP-Shanghai", '"AP-Shanghai"; did you mean ap-shanghai?'),
        ("STEWARD_LOG_LEVEL", "warn", "did you mean WARNING?"),
        ("STEWARD_PROTECTED_TAG", "cost-*", "did you mean STEWARD_PROTECTED_TAGS?"),
        ("STEWARD_SOURCE", "", "did you mean STEWARD_SOURCES?"),
    ],
)
def test_nearest_valid_name(name: str, value: str, hint: str) -> None:
    """The error for a wrong value, or the name of no setting, suggests what was probably meant."""
    with pytest.raises(InvalidSetting) as caught:
        Settings.from_environ({name: value, "STEWARD_DRY_RUN": "1"})
    assert hint in caught.value.message


@pytest.mark.parametrize("journal", ["a-1", "a-1/", "a-1/requests/", "a-1/requests"])
def test_journal_covers_no_source(journal: str) -> None:
    """A journal whose prefix covers a source is rejected, since uploads there would be ignored."""
    sources = {"STEWARD_SOURCES": "timer=policies,a-1/requests/=requests"}
    with pytest.raises(InvalidSetting, match="covers a-1/requests, whose uploads"):
        Settings.from_environ({**sources, "STEWARD_JOURNAL": journal})
    for apart in ("a-1/journal/", "a-1/requests/journal/", "b-1"):
        assert Settings.from_environ({**sources, "STEWARD_JOURNAL": apart}).journal


@pytest.mark.parametrize(
    "url", ["https://me:hunter2@proxy:80", "me:hunter2@x", "http://a:hun/ter2@x"]
)
def test_login_is_not_shown(url: str) -> None:
    """An endpoint with a user name and a password is rejected without repeating them."""
    with pytest.raises(InvalidSetting) as caught:
        Settings.from_environ({"STEWARD_COS_ENDPOINT": url})
    assert "ter2" not in caught.value.message


def test_every_wrong_value_is_named() -> None:
    """Two wrong values are two violations of one error."""
    with pytest.raises(InvalidSetting) as caught:
        Settings.from_environ({"STEWARD_DRY_RUN": "2", "STEWARD_LOG_LEVEL": "LOUD"})
    assert len(caught.value.details) == 2


@pytest.mark.parametrize(
    ("value", "journal"),
    [
        ("", None),
        ("a-1", ("a-1", "")),
        ("a-1/", ("a-1", "")),
        ("a-1/journal", ("a-1", "journal/")),
        ("a-1/x/journal/", ("a-1", "x/journal/")),
    ],
)
def test_journal(value: str, journal: tuple[str, str] | None) -> None:
    """The journal is a bucket and a prefix, to which a missing final slash is added."""
    assert Settings.from_environ({"STEWARD_JOURNAL": value}).journal == journal


@pytest.mark.parametrize(
    ("sources", "path", "kinds"),
    [
        ("", "b-1/anything", "requests manifests policies"),
        ("", "direct", "requests manifests policies"),
        ("b-1", "b-1/anything", "requests manifests policies"),
        ("b-1/", "b-1/anything", "requests manifests policies"),
        ("b-2", "b-1/anything", ""),
        ("b-1", "b-12/anything", ""),
        ("b-1", "timer", ""),
        ("b-1", "direct", ""),
        ("b-1/requests/", "b-1/requests/a.json", "requests manifests policies"),
        ("b-1/requests", "b-1/requests/a.json", "requests manifests policies"),
        ("b-1/requests/", "b-1/requests-x/a.json", ""),
        ("b-1/requests/a.json", "b-1/requests/a.json", "requests manifests policies"),
        ("b-2,b-1/x", "b-1/x/y", "requests manifests policies"),
        ("timer=policies,direct=requests", "timer", "policies"),
        ("timer=policies,direct=requests", "direct", "requests"),
        ("b-1=policies,b-1/x=requests+manifests", "b-1/x/y", "requests manifests"),
        ("b-1/x=requests,b-1=policies", "b-1/xy", "policies"),
        ("b-1/a=b/", "b-1/a=b/c", "requests manifests policies"),
        ("b-1/a=b/=policies", "b-1/a=b/c", "policies"),
        ("eventbridge", "eventbridge", "requests manifests policies"),
    ],
)
def test_sources(sources: str, path: str, kinds: str) -> None:
    """Of the sources that match whole path segments, the longest decides about the kinds."""
    settings = Settings.from_environ({"STEWARD_SOURCES": sources})
    assert settings.kinds_from(path) == tuple(kinds.split())


def test_kinds_are_those_of_the_registry() -> None:
    """STEWARD_SOURCES can name each kind of document, and no other."""
    assert {kind.name for kind in registry.KINDS.values() if kind.planner} == {*KINDS}


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("ap-guangzhou", "https://cvm.ap-guangzhou.tencentcloudapi.com"),
        ("ap-shanghai-fsi", "https://cvm.ap-shanghai-fsi.tencentcloudapi.com"),
    ],
)
def test_endpoint_covers_every_region(region: str, host: str) -> None:
    """The default template gives every region, Finance too, the host of the API's page."""
    assert Settings().api_endpoint_of("cvm", region) == host
