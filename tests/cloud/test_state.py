"""Seeds and the state of the emulated cloud."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from scf_local.cloud.rate_limits import RateLimits
from scf_local.cloud.seed import Object, SeedError
from scf_local.cloud.state import State

SEED = Path(__file__).parents[2] / "events" / "seed"


def test_project_seed() -> None:
    """The project's own seed is valid and has an image of each kind."""
    state = State.from_folder(SEED)
    kinds = {(i["ImageType"], i["ImageState"]) for i in state.images["ap-guangzhou"]}
    assert len(kinds) == 4
    assert set(state.images) == {"ap-guangzhou", "ap-shanghai", "ap-beijing", "ap-shanghai-fsi"}
    content = state.objects["manifests-1250000000"]["requests/rename.json"].content
    assert json.loads(content) == {"ImageId": "img-6pb6lrmy", "ImageName": "sample"}


def test_sparse_image_is_completed() -> None:
    """An id is enough; null omits a member, except the one that may be null on the wire."""
    given = {
        "ImageId": "img-aaaaaaaa",
        "SnapshotSet": None,
        "Tags": None,
        "IsSupportCloudinit": False,
    }
    state = State({"ap-guangzhou": [given]})
    image = state.image("ap-guangzhou", "img-aaaaaaaa")
    assert image["ImageName"] == "img-aaaaaaaa"
    assert (image["ImageState"], image["ImageType"]) == ("NORMAL", "PRIVATE_IMAGE")
    assert "SnapshotSet" not in image
    assert image["SyncPercent"] is None
    assert image["Tags"] == []
    assert image["isSupportCloudinit"] is False
    assert given["Tags"] is None, "the seed itself is not changed"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("[", "images.json: not JSON: line 1, column 2: expecting value"),
        ([], r"images.json: must be"),
        ({"guangzhou": []}, "/guangzhou: must be a region name"),
        ({"ap-guangzhou": {}}, "/ap-guangzhou: must be a list"),
        ({"ap-guangzhou": [1]}, "/ap-guangzhou/0: must be an object"),
        ({"ap-guangzhou": [{}]}, '/ap-guangzhou/0/ImageId: is ""'),
        ({"ap-guangzhou": [{"ImageId": "ami-aaaaaaaa"}]}, '/ap-guangzhou/0/ImageId: is "ami'),
        (
            {"ap-guangzhou": [{"ImageNam": "a"}]},
            r"/ap-guangzhou/0/ImageNam: .*; did you mean ImageName\?",
        ),
        ({"ap-guangzhou": [{"zzz": "a"}]}, "/ap-guangzhou/0/zzz: unknown member$"),
        ({"ap-guangzhou": [{"ImageSize": True}]}, "ImageSize: is true; must be an integer"),
        ({"ap-guangzhou": [{"ImageName": None}]}, "ImageName: is null; must be a string"),
        ({"ap-guangzhou": [{"ImageType": "PRIVATE"}]}, "ImageType: .* PRIVATE_IMAGE, SHARED"),
        ("[" * 100_000, "images.json: not JSON: nested deeper than 64 levels"),
        ('{"ap-guangzhou": [{"SnapshotSet": ' + "[" * 200 + "]" * 200 + "}]}", "deeper than 64"),
        ('{"ap-a": [], "ap-a": []}', 'images.json: .* member "ap-a" appears 2 times'),
        ("[NaN]", "images.json: not JSON: NaN is not a JSON number"),
        (
            {"ap-guangzhou": [{"ImageState": "NORMALE"}]},
            "must be one of CREATING, .*; did you mean NORMAL.",
        ),
        (
            {"ap-guangzhou": [{"ImageName": "x" * 61}]},
            "ImageName: has 61 characters; at most 60 are allowed",
        ),
        (
            {"ap-x": [{"ImageId": f"img-aaaaaaa{n}", "ImageName": "same"} for n in "ab"]},
            '/ap-x: ImageName "same" appears 2 times',
        ),
        ({"ap-guangzhou": [{"CreatedTime": "2026"}]}, 'CreatedTime: is "2026"'),
        ({"ap-guangzhou": [{"Tags": [{"Key": "a"}]}]}, "/ap-guangzhou/0/Tags/0: must be"),
        ({"ap-guangzhou": [{"Tags": ["a"]}]}, "/ap-guangzhou/0/Tags/0: must be"),
        (
            {"ap-guangzhou": [{"ImageId": "img-aaaaaaaa"}] * 2},
            '"img-aaaaaaaa" appears 2 times',
        ),
    ],
)
def test_invalid_seed(tmp_path: Path, images: Any, message: str) -> None:  # noqa: ANN401 - any JSON
    """The error for an invalid seed names the file, the path in it and what is allowed."""
    text = images if isinstance(images, str) else json.dumps(images)
    (tmp_path / "images.json").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=message):
        State.from_folder(tmp_path)


def test_seed_folder(tmp_path: Path) -> None:
    """An error names a folder of objects that is not a bucket."""
    (tmp_path / "images.json").write_text("{}", "utf-8")
    assert not any(State.from_folder(tmp_path).snapshot().values())
    (tmp_path / "objects" / "manifests").mkdir(parents=True)
    with pytest.raises(ValueError, match="manifests: must be a folder"):
        State.from_folder(tmp_path)


def test_seed_without_images(tmp_path: Path) -> None:
    """A seed may have objects only, or images only, but not neither."""
    with pytest.raises(SeedError, match=r"has neither images\.json nor objects/"):
        State.from_folder(tmp_path)
    (tmp_path / "objects" / "b-1250000000").mkdir(parents=True)
    assert State.from_folder(tmp_path).snapshot()["Objects"] == {"b-1250000000": []}
    assert State.from_folder(tmp_path).images == {}


def test_time_of_a_seeded_object(tmp_path: Path) -> None:
    """An object of a seed was uploaded when its file was written; the path may be text."""
    file = tmp_path / "objects" / "b-1250000000" / "a"
    file.parent.mkdir(parents=True)
    file.touch()
    os.utime(file, (1, 1e9))
    assert State.from_folder(str(tmp_path)).objects["b-1250000000"]["a"].modified == 1e9


def test_snapshot_is_a_copy() -> None:
    """A snapshot does not change with the cloud, and has object keys instead of contents."""
    state = State(
        {"ap-guangzhou": [{"ImageId": "img-aaaaaaaa"}]},
        {"b-1": {"b": Object(b"1"), "a": Object(b"2")}},
    )
    snapshot = state.snapshot()
    state.images["ap-guangzhou"][0]["ImageName"] = "changed"
    state.record({"Action": "GetObject", "Outcome": "ok"})
    assert snapshot["Images"]["ap-guangzhou"][0]["ImageName"] == "img-aaaaaaaa"
    assert (snapshot["Objects"], snapshot["Calls"]) == ({"b-1": ["a", "b"]}, [])
    json.dumps(snapshot)


def test_unknown_image() -> None:
    """The error for an unknown image names the region."""
    with pytest.raises(KeyError, match="ap-guangzhou has no image img-aaaaaaaa"):
        State().image("ap-guangzhou", "img-aaaaaaaa")


def test_writes() -> None:
    """Writes are the changing actions that succeeded."""
    state = State()
    for action, outcome in (
        ("ModifyImageAttribute", "ok"),
        ("ModifyImageAttribute", "InternalError"),
        ("DescribeImages", "ok"),
        ("PutObject", "ok"),
    ):
        state.record({"Action": action, "Outcome": outcome})
    assert [call["Action"] for call in state.writes()] == ["ModifyImageAttribute", "PutObject"]


def test_rate_window_slides() -> None:
    """No second admits more requests than allowed, and rejected requests do not count."""
    limits = RateLimits()
    times = [0.0, 0.25, 0.5, 0.75, 1.0, 1.125, 1.25]
    admitted = [limits.try_acquire("a", 2, time) for time in times]
    assert admitted == [True, True, False, False, True, False, True]
    assert limits.try_acquire("b", 2, 1.25)


def test_seed_with_a_byte_order_mark(tmp_path: Path) -> None:
    """A seed may start with a byte order mark."""
    (tmp_path / "images.json").write_text('{"ap-x": []}', "utf-8-sig")
    assert State.from_folder(tmp_path).images == {"ap-x": []}


def test_duplicate_names_that_are_allowed() -> None:
    """Only private images in one region need distinct names."""
    image = {"ImageName": "same", "ImageType": "PUBLIC_IMAGE"}
    State({"ap-x": [image | {"ImageId": f"img-aaaaaaa{n}"} for n in "ab"]})
    private = [{"ImageId": "img-aaaaaaaa", "ImageName": "same"}]
    State({"ap-x": private, "ap-y": private})
