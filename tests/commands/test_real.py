"""`scf-local invoke --real`: the user's credentials, public endpoints, and permission to write.

An emulated cloud, set with `--env`, stands in for the real one, and accepts these credentials.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from scf_local.cli import main
from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Function
    from scf_local.cloud.server import EmulatedCloud

CREDENTIALS = AccountCredentials()
EVENT = {"ImageId": "img-6pb6lrmy", "ImageName": "sample"}
SHOW = "import os\ndef main_handler(event, context): return dict(os.environ)"
STORED_CREDENTIALS = {
    "secretId": CREDENTIALS.secret_id,
    "secretKey": CREDENTIALS.secret_key,
    "token": CREDENTIALS.token,
}
CONFIGURE = {"_sys_param": {"region": "ap-guangzhou", "output": "json"}}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without credentials, and none in the environment."""
    for name in os.environ:
        if name.startswith(("TENCENTCLOUD_", "TCCLI_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    (home / ".tccli").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    return home


def write_profile(home: Path, name: str = "default", **changes: Any) -> None:  # noqa: ANN401 - JSON
    """Write the files that `tccli configure` writes."""
    for kind, content in (("credential", STORED_CREDENTIALS | changes), ("configure", CONFIGURE)):
        (home / ".tccli" / f"{name}.{kind}").write_text(json.dumps(content), encoding="utf-8")


def invoke(*arguments: str, event: object = EVENT) -> Result:
    """Run `scf-local invoke --real` with the event on stdin; no secret may be printed."""
    result = CliRunner().invoke(main, ["invoke", "--real", *arguments], input=json.dumps(event))
    output = result.stdout + result.stderr
    assert not any(key in output for key in (CREDENTIALS.secret_key, CREDENTIALS.token))
    return result


def endpoint_options(cloud: EmulatedCloud) -> tuple[str, ...]:
    """The options that point the function at the cloud that stands in for the real one."""
    names = ("STEWARD_API_ENDPOINT", "STEWARD_COS_ENDPOINT")
    return tuple(word for name in names for word in ("--env", f"{name}={cloud.url}"))


def test_dry_run_needs_no_confirmation(function: Function, home: Path) -> None:
    """A dry run with a tccli profile reads, plans and changes nothing, without a question."""
    write_profile(home)
    result = invoke("--dry-run", *endpoint_options(function.cloud))
    assert result.exit_code == 0
    assert json.loads(result.stdout)["Outcome"] == "planned"
    assert function.calls("DescribeImages")
    assert not function.writes


def test_plan_needs_no_confirmation(function: Function, home: Path) -> None:
    """`scf-local plan --real` reads with the user's credentials, and changes nothing."""
    write_profile(home)
    command = ["plan", "--real", *endpoint_options(function.cloud)]
    result = CliRunner().invoke(main, command, input=json.dumps(EVENT))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Plan of stdin, real cloud\n")
    assert "img-6pb6lrmy  ap-guangzhou  web-build-0142 → sample\n" in result.stdout
    assert not function.writes


@pytest.mark.parametrize("names", [0, 1])
def test_yes_writes(function: Function, monkeypatch: pytest.MonkeyPatch, names: int) -> None:
    """With `--yes` and credentials in the SDKs' or SCF's variables, the change is made."""
    variables = (
        ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN"),
        ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN"),
    )[names]
    for name, key in zip(variables, STORED_CREDENTIALS.values(), strict=True):
        monkeypatch.setenv(name, key)
    monkeypatch.setenv("TENCENTCLOUD_REGION", "ap-guangzhou")
    result = invoke("--yes", *endpoint_options(function.cloud))
    assert json.loads(result.stdout)["Outcome"] == "applied"
    assert function.image("img-6pb6lrmy")["ImageName"] == "sample"


def test_pipe_is_rejected(function: Function, home: Path) -> None:
    """Without a terminal, a run that may write is rejected, and the error names both options."""
    write_profile(home)
    result = invoke(*endpoint_options(function.cloud))
    assert result.exit_code == 2
    assert "--dry-run" in result.stderr
    assert "--yes" in result.stderr
    assert not function.calls()


@pytest.mark.parametrize(("answer", "status"), [("yes", 0), ("y", 2), ("", 2)])
def test_confirmation_is_typed(
    function: Function, home: Path, tmp_path: Path, answer: str, status: int
) -> None:
    """At a terminal, only `yes` lets the function write; other answers end with status 2."""
    write_profile(home)
    (tmp_path / "event.json").write_text(json.dumps(EVENT), encoding="utf-8")
    command = "from scf_local.cli import main; main()"
    arguments = [
        "invoke",
        str(tmp_path / "event.json"),
        "--real",
        *endpoint_options(function.cloud),
    ]
    parent_end, child_end = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", command, *arguments],
        stdin=child_end, stderr=child_end, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        prompt = b""
        while b"Type yes to continue: " not in prompt:
            prompt += os.read(parent_end, 1024)
        assert not function.calls()
        os.write(parent_end, answer.encode() + b"\n")
        out, _ = process.communicate(timeout=30)
    os.close(child_end)
    os.close(parent_end)
    assert process.returncode == status
    assert b"default.credential" in prompt
    assert b"ap-guangzhou" in prompt
    assert (function.image("img-6pb6lrmy")["ImageName"] == "sample") is (status == 0)
    assert bool(out) is (status == 0)


def test_public_endpoints_are_used(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `--env`, the public endpoints are used, even if the shell sets others."""
    write_profile(home, token="")
    monkeypatch.setenv("STEWARD_API_ENDPOINT", "http://127.0.0.1:9")
    (tmp_path / "index.py").write_text(
        SHOW.replace("dict(os.environ)", "sorted(os.environ)"), encoding="utf-8"
    )
    names = json.loads(invoke("--yes", "--code", str(tmp_path)).stdout)
    assert not [name for name in names if name.startswith("STEWARD_")]
    keys = [name for name in names if "SECRET" in name or "TOKEN" in name]
    assert keys == ["TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY"]


@pytest.mark.parametrize(
    ("arguments", "environ", "region"),
    [
        ((), {}, "ap-guangzhou"),
        (("--region", "ap-tokyo"), {"TENCENTCLOUD_REGION": "ap-seoul"}, "ap-tokyo"),
        ((), {"TENCENTCLOUD_REGION": "ap-seoul"}, "ap-seoul"),
        (("--profile", "other"), {"TENCENTCLOUD_REGION": "ap-seoul"}, "ap-guangzhou"),
        ((), {"TCCLI_PROFILE": "other"}, "ap-guangzhou"),
    ],
)
def test_account_is_that_of_tccli(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    environ: dict[str, str],
    region: str,
) -> None:
    """Profile and region are those of tccli: from `--profile`, variables or TCCLI_PROFILE."""
    write_profile(tmp_path / "home", secretId="AKIDdefault")
    write_profile(tmp_path / "home", "other", secretId="AKIDother")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    code = SHOW.replace("dict(os.environ)", "[context['tencentcloud_region'], os.environ[K]]")
    code += "\nK = 'TENCENTCLOUD_SECRETID'"
    (tmp_path / "index.py").write_text(code, encoding="utf-8")
    result = invoke("--yes", "--code", str(tmp_path), *arguments)
    other = "other" in [*arguments, *environ.values()]
    assert json.loads(result.stdout) == [region, "AKIDother" if other else "AKIDdefault"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"secretKey": ""}, "secretId or secretKey is missing; run `tccli configure`"),
        ({"secretKey": 1}, "secretId or secretKey is missing"),
        ({"role-arn": "qcs::cam::uin/100000000001:roleName/x"}, "the profile assumes a role"),
        ({"expiresAt": int(time.time()) - 1}, "have expired; any `tccli` call renews them"),
    ],
)
def test_unusable_profile_is_rejected(home: Path, changes: dict[str, Any], message: str) -> None:
    """The error for a profile without valid credentials names its file and the next step."""
    write_profile(home, **changes)
    result = invoke("--yes")
    assert result.exit_code == 2
    assert str(home / ".tccli" / "default.credential") in result.stderr
    assert message in result.stderr


def test_sources_of_credentials_are_listed(home: Path) -> None:
    """Without credentials, the error lists where they were looked for and how to set them."""
    result = invoke("--yes")
    assert result.exit_code == 2
    for source in (
        "TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRETKEY", str(home / ".tccli/default.credential"),
        "Run `tccli configure`",
    ):  # fmt: skip
        assert source in result.stderr


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        (("--endpoint", "http://127.0.0.1:9"), {}, "--endpoint cannot be used with --real"),
        (("--seed", "/"), {}, "--seed cannot be used with --real"),
        (("--faults", __file__), {}, "--faults cannot be used with --real"),
        (("--profile", "none"), {}, "none.credential (no such file)"),
        (("--profile", "../x"), {}, "'../x' is not a profile name"),
        ((), {"TENCENTCLOUD_SECRET_KEY": "x"}, "TENCENTCLOUD_SECRET_ID is not: set both"),
        ((), {"TENCENTCLOUD_SECRETID": "x"}, "TENCENTCLOUD_SECRETKEY is not: set both"),
        (("--region", "Mars"), {}, "such as ap-guangzhou"),
    ],
)
def test_wrong_usage_says_what_is_allowed(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    environ: dict[str, str],
    message: str,
) -> None:
    """Options that are not allowed with `--real` end with status 2, before any call."""
    write_profile(home)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    result = invoke("--yes", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_region_is_required(home: Path) -> None:
    """With `--real`, no region is assumed: one must be configured."""
    write_profile(home)
    for content in ("{}", '{"_sys_param": []}', '{"_sys_param": {"region": ""}}'):
        (home / ".tccli" / "default.configure").write_text(content, encoding="utf-8")
        result = invoke("--yes")
        assert result.exit_code == 2
        assert "add --region" in result.stderr
    (home / ".tccli" / "default.configure").write_text("[]", encoding="utf-8")
    assert "default.configure: not a JSON object" in invoke("--yes").stderr


def test_yes_without_real_is_wrong_usage() -> None:
    """`--yes` and `--profile` without `--real` are wrong usage."""
    for arguments in (["--yes"], ["--profile", "x"]):
        result = CliRunner().invoke(main, ["invoke", *arguments], input="{}")
        assert result.exit_code == 2
        assert "requires --real" in result.stderr
