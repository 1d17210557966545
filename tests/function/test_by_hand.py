"""The handler made by hand, with which `make bench` compares the function: it does the same."""

from __future__ import annotations

import json
import os
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from conftest import ROOT, cos_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from conftest import Function

BUCKET, IMAGE_ID = "manifests-1250000000", "img-6pb6lrmy"
RENAME = {"ImageId": IMAGE_ID, "ImageName": "renamed"}
JOURNAL: dict[str, Any] = {"STEWARD_JOURNAL": f"{BUCKET}/journal/"}


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of that handler, with the schema that `make bench` copies beside it."""
    spec = spec_from_file_location("by_hand", ROOT / "tests/bench/by_hand/index.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    schemas = ROOT / "handler/image_steward/documents/schemas"
    monkeypatch.setattr(module, "SCHEMA", schemas / "change-request.json")
    return module


def run(function: Function, handler: ModuleType, event: object) -> dict[str, Any]:
    """Run that handler in place of the function, with the same settings."""
    endpoints = dict.fromkeys(("STEWARD_API_ENDPOINT", "STEWARD_COS_ENDPOINT"), function.cloud.url)
    context = {"request_id": "r-1", "tencentcloud_region": "ap-guangzhou"}
    with patch.dict(os.environ, {**function.environ, **endpoints, **JOURNAL}):
        result: dict[str, Any] = handler.main_handler(event, context)
        return result


def test_same_calls(function: Function, by_hand: ModuleType) -> None:
    """For the event that is measured, both make the same calls, in this order, with one effect."""
    seen = []
    handlers: list[Callable[[object], dict[str, Any]]] = [
        partial(function, **JOURNAL),
        partial(run, function, by_hand),
    ]
    for handle in handlers:
        function.hold({"ImageId": IMAGE_ID, "ImageName": "old"})
        objects = function.cloud.state.objects[BUCKET] = {}
        event = function.uploaded(RENAME, "requests/rename.json")
        before = len(function.calls())
        assert handle(event)["Outcome"] == "applied"
        actions = [call["Action"] for call in function.calls()[before:]]
        undo, _result = (new.content for key, new in objects.items() if "journal/" in key)
        seen.append((actions, json.loads(undo), function.image(IMAGE_ID)))
    ours, theirs = seen
    assert ours == theirs
    assert ours[0] == [
        "GetObject", "DescribeImages", "DescribeImages",
        "PutObject", "ModifyImageAttribute", "PutObject",
    ]  # fmt: skip


def test_same_rejection(function: Function, by_hand: ModuleType) -> None:
    """A document that violates the schema is rejected by both, before any call to CVM."""
    event = function.uploaded({**RENAME, "ImageName": ""})
    assert run(function, by_hand, event)["Outcome"] == function(event)["Outcome"] == "rejected"
    assert not function.calls("DescribeImages")


def test_same_events(function: Function, by_hand: ModuleType) -> None:
    """An event that creates no object is ignored by both."""
    event = cos_event("requests/x.json", event_name="cos:ObjectRemove:Delete")
    assert run(function, by_hand, event)["Outcome"] == function(event)["Outcome"] == "ignored"
    assert not function.calls()
