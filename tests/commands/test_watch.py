"""`scf-local invoke --watch`: another run after every change, and only then."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from scf_local.cli import main
from scf_local.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE = "def main_handler(event, context): return ['{}', event]"
WATCHING = "scf-local: watching for changes; press Ctrl-C to stop\n"


class Watching:
    """A running `scf-local invoke --watch`, and its results, one by one."""

    def __init__(self, folder: Path, event: str) -> None:
        command = "from scf_local.cli import main; main(prog_name='scf-local')"
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", command, "invoke", event, "--watch", "--code", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def next_result(self) -> tuple[object, str]:
        """The next result, or None without one, and what was logged until then."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        log = ""
        while not log.endswith(WATCHING):
            assert select.select([self.process.stderr], [], [], 30)[0]
            data = os.read(self.process.stderr.fileno(), 1 << 16)
            assert data, f"the command has ended: {log}"
            log += data.decode()
        ready, _, _ = select.select([self.process.stdout], [], [], 0)
        text = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b"null"
        return json.loads(text), log


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder with a function."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "index.py").write_text(CODE.format("first"), encoding="utf-8")
    return folder


@pytest.fixture
def watching(code: Path) -> Iterator[Watching]:
    """The command, watching the function and an event next to its folder."""
    event = code.parent / "event.json"
    event.write_text("1", encoding="utf-8")
    watching = Watching(code, str(event))
    with watching.process:
        yield watching
        watching.process.kill()


def test_changes_rerun(watching: Watching, code: Path) -> None:
    """A change of the code or the event runs the function again; mistakes are reported."""
    event = code.parent / "event.json"
    assert watching.next_result()[0] == ["first", 1]
    (code / "index.py").write_text(CODE.format("second"), encoding="utf-8")
    assert watching.next_result()[0] == ["second", 1]
    event.write_text("[", encoding="utf-8")
    result, log = watching.next_result()
    assert result is None
    assert "event.json:1:2: not JSON" in log
    event.with_suffix(".new").write_text("2", encoding="utf-8")
    event.with_suffix(".new").rename(event)  # as editors save
    assert watching.next_result()[0] == ["second", 2]
    (code / "index.py").write_text("def main_handler(:", encoding="utf-8")
    result, log = watching.next_result()
    assert result is None
    assert "SyntaxError" in log


def test_replaced_folder(watching: Watching, code: Path) -> None:
    """A code folder that is briefly missing, as in a checkout, is reported and watched on."""
    watching.next_result()
    code.rename(code.with_name("old"))
    result, log = watching.next_result()
    assert result is None
    assert f"scf-local: {code}: No such file or directory\n" in log
    assert "Traceback" not in log
    code.mkdir()
    (code / "index.py").write_text(CODE.format("second"), encoding="utf-8")
    assert watching.next_result()[0] == ["second", 1]


def test_many_changes_cause_one_run(watching: Watching, code: Path) -> None:
    """A checkout that changes a hundred files runs the function once."""
    watching.next_result()
    for number in range(100):
        (code / f"new{number}.py").write_text("", encoding="utf-8")
    assert watching.next_result()[1].count("START") == 1
    assert watching.process.stderr is not None
    assert not select.select([watching.process.stderr], [], [], 1)[0]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it(watching: Watching, stop: signal.Signals) -> None:
    """Ctrl-C ends the watching without a traceback, and with the status of a shell."""
    watching.next_result()
    watching.process.send_signal(stop)
    out, err = watching.process.communicate(timeout=10)
    assert (watching.process.returncode, out, err) == (128 + stop, b"", b"")


def test_piped_event_is_kept(code: Path) -> None:
    """An event from stdin is read once and used for every run."""
    watching = Watching(code, "-")
    with watching.process as process:
        assert process.stdin is not None
        process.stdin.write(b"3")
        process.stdin.close()
        assert watching.next_result()[0] == ["first", 3]
        (code / "index.py").write_text(CODE.format("second"), encoding="utf-8")
        assert watching.next_result()[0] == ["second", 3]
        process.kill()


def test_own_changes_do_not_rerun_for_ever(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that changes during three runs in a row is reported and no longer watched."""
    own, other = tmp_path / "own.json", tmp_path / "index.py"
    watch = Watch(tmp_path)
    for run in range(2):
        own.write_text("x" * run, encoding="utf-8")
        assert watch.wait() == {str(own)}
    own.write_text("xxx", encoding="utf-8")
    timer = threading.Timer(0.5, other.touch)
    timer.start()
    assert watch.wait() == {str(other)}
    timer.join()
    assert f"{own} changes with every run" in capsys.readouterr().err


def test_files_of_tools_are_not_watched(tmp_path: Path) -> None:
    """Bytecode, hidden files and backups of editors are not watched."""
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / ".git").mkdir()
    watch = Watch(tmp_path)
    for name in ("__pycache__/a.pyc", ".git/index", ".index.py.swp", "index.py~", "b.pyc"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "index.py").touch()
    assert watch.wait() == {str(tmp_path / "index.py")}


def test_wrong_usage_ends_it(code: Path) -> None:
    """Wrong usage at the start ends with status 2, as without `--watch`."""
    command = ["invoke", "--watch", "--code", str(code)]
    for arguments, message in (
        (["--env", "A"], "NAME=VALUE"),
        (["--handler", "none.py:main"], "no such file: "),
        (["--real"], "add --dry-run"),
    ):
        result = CliRunner().invoke(main, [*command, *arguments], input="{}")
        assert result.exit_code == 2
        assert message in result.stderr
