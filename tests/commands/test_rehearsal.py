"""A failed production event, from the log to a regression test, by commands alone."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from cls_export import fields, newest_first
from scf_local.cli import main
from scf_local.cloud.seed import Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.environment import FunctionConfig
from scf_local.events import cos_event
from scf_local.exports import kept
from scf_local.invocation import WarmInstance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUCKET, KEY, IMAGE = "team-builds-1250000001", "builds/42 镜像.json", "img-prod0042"
HANDLER = """
import json, os
from qcloud_cos import CosConfig, CosS3Client
from tencentcloud.common import credential
from tencentcloud.cvm.v20170312 import cvm_client, models

def main_handler(event, context):
    print(event)
    names = ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
    keys = secret_id, secret_key, token = [os.environ[f"TENCENTCLOUD_{name}"] for name in names]
    config = {"SecretId": secret_id, "SecretKey": secret_key, "Token": token}
    cos = CosS3Client(CosConfig(Region="ap-shanghai", **config))
    cvm = cvm_client.CvmClient(credential.Credential(*keys), "ap-shanghai")
    renamed = 0
    for record in event["Records"]:
        bucket = f"{record['cos']['cosBucket']['name']}-{record['cos']['cosBucket']['appid']}"
        key = record["cos"]["cosObject"]["key"].split("/", 3)[3]
        build = json.load(cos.get_object(bucket, key)["Body"].get_raw_stream())
        request = models.ModifyImageAttributeRequest()
        request.ImageId, request.ImageName = build["image"], build["name"]
        cvm.ModifyImageAttribute(request)
        renamed += 1
    return {"renamed": renamed}
"""
"""A function without a word about a harness; it fails if a build has no name."""
FIXED = HANDLER.replace('build["name"]', 'build.get("name") or f"build {build[\'number\']}"')
OPTIONS = ("--region", "ap-shanghai", "--memory", "256")


@pytest.fixture
def production() -> Iterator[EmulatedCloud]:
    """The account in which the function fails; another emulated cloud plays it."""
    image = {"ImageId": IMAGE, "ImageName": "old", "ImageCreator": "100000000042"}
    build = Object(json.dumps({"image": IMAGE, "number": 42}).encode())
    state = State({"ap-shanghai": [image]}, {BUCKET: {KEY: build}})
    with EmulatedCloud(state) as cloud, kept(cloud.environment()):
        yield cloud


@pytest.fixture
def desk(tmp_path: Path, production: EmulatedCloud, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of work, with the function, deployed and mended, and the log that it has left."""
    monkeypatch.chdir(tmp_path)
    for name, code in {"deployed": HANDLER, "mended": FIXED}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.py").write_text(code, encoding="utf-8")
    log: list[bytes] = []
    config = FunctionConfig(
        tmp_path / "deployed", region="ap-shanghai", memory_mb=256, cloud=production.environment()
    )
    with WarmInstance(config, log.append) as instance:
        done = instance.invoke(cos_event(BUCKET, KEY, region="ap-shanghai"))
    assert done.outcome == "raised"
    lines = map(json.dumps, newest_first(fields(b"".join(log), done, function="builds")))
    (tmp_path / "export.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments], env={"COLUMNS": "100"})


def _replay(desk: Path, code: str, path: str, *options: str) -> Result:
    command = ("replay", str(desk / path), "--code", str(desk / code), *OPTIONS)
    return _run(*command, *options)


def test_rehearsal(desk: Path, production: EmulatedCloud) -> None:
    """Each step tells the next one, and a folder for `scf-local replay` is the end."""
    # The log of a bucket that no seed has: each replay names what is missing, and how to get it.
    options: tuple[str, ...] = ()
    for missing in (f"objects/{BUCKET}/{KEY}", f"image {IMAGE} in ap-shanghai"):
        replay = _replay(desk, "mended", "export.jsonl", *options)
        assert replay.exit_code == 1, replay.output
        assert f"scf-local: not in the emulated cloud: {missing}\n" in replay.stderr
        hint = re.search(r"`(scf-local seed .*?)`", replay.stderr)
        assert hint is not None
        elsewhere = hint[1].replace("--real", f"--endpoint {production.url}")
        made = _run(*shlex.split(elsewhere)[1:])
        assert made.exit_code == 0, made.output
        options = ("--seed", "seed")
    assert "100000000042" not in (desk / "seed/images.json").read_text(encoding="utf-8")

    # The failure is reproduced.
    same = _replay(desk, "deployed", "export.jsonl", "--seed", "seed", "--json")
    (replayed,) = json.loads(same.stdout)
    assert replayed["Differences"] == []
    assert "KeyError: 'name'" in same.stderr

    # The mended code ends otherwise.
    fixed = _replay(desk, "mended", "export.jsonl", "--seed", "seed")
    assert fixed.exit_code == 0
    assert "raised KeyError → returned" in fixed.stdout
    assert "1 of 1 events ended differently than the log says" in fixed.stdout

    # A regression test.
    regression = desk / "regression"
    extracted = _replay(
        desk, "mended", "export.jsonl", "--seed", "seed", "--extract", str(regression)
    )
    assert extracted.exit_code == 0
    assert "q-sign-algorithm" not in "".join(
        path.read_text(encoding="utf-8") for path in regression.iterdir()
    )
    assert _replay(desk, "mended", "regression", "--seed", "seed").exit_code == 0
    again = _replay(desk, "deployed", "regression", "--seed", "seed")
    assert again.exit_code == 1
    assert "KeyError: 'name'" in again.stdout
