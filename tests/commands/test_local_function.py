"""`scf_local` as a package for testing any function."""

from __future__ import annotations

import doctest
import json
import os
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

import scf_local
from conftest import ROOT, SEED
from scf_local import EmulatedCloud, LocalFunction, State, cos_event, timer_event

if TYPE_CHECKING:
    from pathlib import Path


def show_surroundings(event: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """A function that returns its event, context and environment."""
    print("one\ntwo")  # noqa: T201 - as functions do
    print("three", file=sys.stderr)  # noqa: T201 - as functions do
    return {"event": event, "context": context, "environ": dict(os.environ), "pair": (1, 2)}


def test_example() -> None:
    """The example in the package's docstring works as printed."""
    assert doctest.testmod(scf_local) == (0, 4)


def test_import_is_cheap() -> None:
    """Importing the package imports neither its heavy dependencies nor those of the command."""
    code = "import sys, scf_local; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"aiohttp", "click", "rich", "asyncio", "image_steward"} & {*done.stdout.split()}


def test_public_names() -> None:
    """Every public name exists, and any other name raises AttributeError."""
    assert all(getattr(scf_local, name) for name in scf_local.__all__)
    with pytest.raises(AttributeError, match="'scf_local' has no attribute 'Cloud'"):
        scf_local.Cloud  # type: ignore[attr-defined]  # noqa: B018 - the access is the test


def test_surroundings_are_those_of_scf() -> None:
    """A function gets SCF's context, its variables and those of the cloud, and no others."""
    before = {**os.environ}
    with EmulatedCloud() as cloud:
        function = LocalFunction(
            show_surroundings, cloud, {"TABLE": "t"}, "ap-beijing", 256, 3, "other", "1300000000"
        )
        answer = function(timer_event("now"))
    assert answer.error is None
    assert answer.lines == ("one", "two", "three")
    assert answer.value["event"]["Message"] == "now"
    assert answer.value["pair"] == [1, 2]
    context, environ = answer.value["context"], answer.value["environ"]
    assert context["request_id"] == answer.request_id
    assert (context["memory_limit_in_mb"], context["time_limit_in_ms"]) == (256, 3000)
    assert context["tencentcloud_region"] == environ["TENCENTCLOUD_REGION"] == "ap-beijing"
    assert context["function_name"] == environ["SCF_FUNCTIONNAME"] == "other"
    assert context["tencentcloud_appid"] == environ["TENCENTCLOUD_APPID"] == "1300000000"
    assert (environ["TABLE"], environ["TRIGGER_SRC"]) == ("t", "Timer")
    assert json.loads(context["environment"]).items() <= environ.items()
    assert environ["SCF_LOCAL_ENDPOINT"] == cloud.url
    assert environ["TENCENTCLOUD_SECRETID"] == cloud.credentials.secret_id
    assert not [name for name in environ if name.startswith("PYTEST")]
    assert before == os.environ


def test_event_is_copied() -> None:
    """A function's changes to its event are not visible to the caller."""
    event = {"list": [1]}
    answer = LocalFunction(lambda event, _context: event["list"].pop())(event)
    assert (answer.value, event) == (1, {"list": [1]})


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3)])
def test_errors_are_kept(error: BaseException) -> None:
    """The answer has the error that a function raised, even SystemExit, and its output."""

    def main(_event: object, _context: object) -> None:
        print("before")  # noqa: T201 - as functions do
        raise error

    answer = LocalFunction(main)({})
    assert (answer.value, answer.error, answer.lines) == (None, error, ("before",))


@pytest.mark.parametrize(("value", "error"), [({1}, TypeError), (float("nan"), ValueError)])
def test_value_must_be_json(value: object, error: type[Exception]) -> None:
    """A value that JSON cannot represent is an error, as in SCF."""
    assert isinstance(LocalFunction(lambda _event, _context: value)({}).error, error)


def test_file_is_loaded_once(tmp_path: Path) -> None:
    """A file's function is loaded at its first call, in SCF's environment, and stays warm."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        text = (
            "import os\nprint(os.environ['TENCENTCLOUD_RUNENV'])\nCOUNT = []\n"
            "def main(event, context):\n    COUNT.append(event)\n    return [__file__, *COUNT]\n"
        )
        (tmp_path / name / "index.py").write_text(text, encoding="utf-8")
    first, second = (LocalFunction(f"{tmp_path}/{name}/index.py:main") for name in ("a", "b"))
    assert first(1).lines == ("SCF",)
    assert second(2).value == [f"{tmp_path}/b/index.py", 2]
    again = first(3)
    assert (again.value, again.lines) == ([f"{tmp_path}/a/index.py", 1, 3], ())
    assert str(tmp_path / "a") not in sys.path


def test_code_that_cannot_be_loaded(tmp_path: Path) -> None:
    """An error while loading is the call's error; a missing file raises at once."""
    (tmp_path / "app.py").write_text("1 / 0", encoding="utf-8")
    assert isinstance(LocalFunction(f"{tmp_path}/app.py:main")({}).error, ZeroDivisionError)
    with pytest.raises(ValueError, match=r"no such file: .*none\.py"):
        LocalFunction(f"{tmp_path}/none.py:main")
    with pytest.raises(ValueError, match="PATH is reserved"):
        LocalFunction(show_surroundings, variables={"PATH": "x"})


def test_own_function() -> None:
    """This project's function runs on a cloud whose state can be read afterwards."""
    with EmulatedCloud(State.from_folder(SEED)) as cloud:
        function = LocalFunction(f"{ROOT}/handler/index.py:main_handler", cloud)
        answer = function(cos_event("manifests-1250000000", "requests/rename.json"))
        assert answer.error is None
        assert answer.value["Outcome"] == "applied"
        assert cloud.state.image("ap-guangzhou", "img-6pb6lrmy")["ImageName"] == "sample"
    assert any('"run.finished"' in line for line in answer.lines)


def test_urlopen_uses_the_cloud() -> None:
    """A function's `urlopen` reaches the cloud by its own names, whatever has used it before."""
    url = "https://cvm.tencentcloudapi.com/_state"

    def read(_event: object, _context: object) -> int:
        with urllib.request.urlopen(url) as reply:
            return int(reply.status)

    for _ in range(2):
        with EmulatedCloud() as cloud:
            with urllib.request.urlopen(f"{cloud.url}/_state") as reply:  # noqa: S310 - just started
                assert reply.status == 200
            assert LocalFunction(read, cloud)({}).value == 200
