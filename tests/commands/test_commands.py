"""The `scf-local` command: server, help, completion, signals and streams."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from conftest import ROOT
from scf_local.cli import main
from scf_local.console import deferred_signals

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMAND = (sys.executable, "-c", "from scf_local.cli import main; main(prog_name='scf-local')")
COMMANDS = [
    ["event", "cos"], ["event", "timer"], ["invoke"], ["replay"], ["undo"], ["cloud"],
]  # fmt: skip
_IMAGES = {"ap-guangzhou": [{"ImageId": "img-6pb6lrmy", "ImageName": "old"}]}


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    """A seed with one image."""
    folder = tmp_path / "seed"
    folder.mkdir()
    (folder / "images.json").write_text(json.dumps(_IMAGES), encoding="utf-8")
    return folder


@contextmanager
def _running(seed: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A running `scf-local cloud`."""
    command = [*_COMMAND, "cloud", "--seed", str(seed)]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environ},
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def server(seed: Path) -> Iterator[subprocess.Popen[str]]:
    """A running `scf-local cloud`."""
    with _running(seed) as process:
        yield process


def _exports(server: subprocess.Popen[str]) -> dict[str, str]:
    assert server.stdout is not None
    exports: dict[str, str] = {}
    while "TENCENTCLOUD_TOKEN" not in exports:  # the last one
        export, setting = shlex.split(server.stdout.readline())
        assert export == "export"
        name, _, exports[name] = setting.partition("=")
    return exports


@pytest.mark.parametrize("stop", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_cloud_serves_until_stopped(
    server: subprocess.Popen[str], stop: signal.Signals, tmp_path: Path
) -> None:
    """`cloud` exports variables for clients, serves its seed, and exits cleanly."""
    exports = _exports(server)
    url = exports["STEWARD_API_ENDPOINT"]
    assert exports.keys() == {
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
        "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
        "SCF_LOCAL_ENDPOINT", "STEWARD_API_ENDPOINT", "STEWARD_COS_ENDPOINT",
        "TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN",
        "TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN",
    }  # fmt: skip
    assert exports["TENCENTCLOUD_SECRET_KEY"] == exports["TENCENTCLOUD_SECRETKEY"]
    assert re.fullmatch("[0-9a-f]{32}", exports["TENCENTCLOUD_SECRETKEY"])  # not those of tests
    with urllib.request.urlopen(f"{url}/_state") as reply:  # noqa: S310 - the server just started
        images = json.load(reply)["Images"]
    assert images["ap-guangzhou"][0]["ImageName"] == "old"

    code = "import os\ndef main_handler(event, context): return os.environ['SCF_LOCAL_ENDPOINT']"
    (tmp_path / "index.py").write_text(code, encoding="utf-8")
    arguments = ["invoke", "--code", str(tmp_path), "--endpoint", f"{url}/"]
    result = CliRunner().invoke(main, arguments, input="{}")
    assert json.loads(result.stdout) == exports["SCF_LOCAL_ENDPOINT"]

    (file,) = Path(os.environ["XDG_CONFIG_HOME"], "scf-local").glob(f"cloud-{url[17:]}.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    server.send_signal(stop)
    out, err = server.communicate(timeout=10)
    assert (server.returncode, out, err) == (0, "", "")
    assert not file.exists()
    assert not Path(exports["SSL_CERT_FILE"]).exists()

    started = time.monotonic()
    result = CliRunner().invoke(main, arguments, input="{}")
    assert time.monotonic() - started < 3
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"no emulated cloud of yours runs at '{url}/'" in result.stderr


def test_exports_are_quoted(seed: Path, tmp_path: Path) -> None:
    """The exports of `cloud` are what a shell reads, wherever its files are."""
    (folder := tmp_path / "a 'b").mkdir()
    with _running(seed, TMPDIR=str(folder)) as process:
        assert Path(_exports(process)["SSL_CERT_FILE"]).is_relative_to(folder)


def test_cloud_of_a_user_without_a_folder(seed: Path) -> None:
    """If the file for --endpoint cannot be written, `cloud` says so, and serves other clients."""
    with _running(seed, XDG_CONFIG_HOME="/dev/null") as process:
        url = _exports(process)["SCF_LOCAL_ENDPOINT"]
        with urllib.request.urlopen(f"{url}/_state") as reply:  # noqa: S310 - the server just started
            assert reply.status == 200
        process.terminate()
        _, err = process.communicate(timeout=10)
    assert err.startswith("scf-local: --endpoint will not find this cloud: /dev/null/scf-local/")
    assert process.returncode == 0


def test_cloud_outlives_its_terminal_under_nohup(seed: Path) -> None:
    """`cloud` ignores SIGHUP if it was started so, and still ends on SIGTERM."""
    command = f"trap '' HUP; exec {shlex.join(_COMMAND)} cloud --seed {shlex.quote(str(seed))}"
    with subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        url = _exports(process)["STEWARD_API_ENDPOINT"]
        process.send_signal(signal.SIGHUP)
        with urllib.request.urlopen(f"{url}/_state") as reply:  # noqa: S310 - the server just started
            assert reply.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_port_in_use_is_wrong_usage(seed: Path) -> None:
    """A port in use ends with status 2, and the error says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(  # noqa: S603 - our own command
            [*_COMMAND, "cloud", "--seed", str(seed), "--port", port],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
    assert done.returncode == 2
    assert "choose another port" in done.stderr
    assert done.stderr.count("ddress already in use") == 1


def test_own_cloud_is_seeded(seed: Path, tmp_path: Path) -> None:
    """Without `--endpoint`, an invocation has its own emulated cloud with the given seed."""
    code = (
        "import json, os, urllib.request\n"
        "def main_handler(event, context):\n"
        "    url = os.environ['SCF_LOCAL_ENDPOINT'] + '/_state'\n"
        "    return json.load(urllib.request.urlopen(url))['Images']"
    )
    (tmp_path / "index.py").write_text(code, encoding="utf-8")
    arguments = ["invoke", "--code", str(tmp_path), "--seed", str(seed)]
    result = CliRunner().invoke(main, arguments, input="{}")
    assert json.loads(result.stdout)["ap-guangzhou"][0]["ImageName"] == "old"


@pytest.mark.parametrize(
    "command",
    [[], ["event"], *COMMANDS],
    ids=" ".join,
)
def test_help_has_an_example(command: list[str]) -> None:
    """Every command's help has an example."""
    result = CliRunner().invoke(main, [*command, "--help"], prog_name="scf-local")
    usage, _, example = result.output.partition("Examples:\n")
    assert "--help" in usage
    assert f"{' '.join(['scf-local', *command])} " in example


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("command", [[], *COMMANDS, ["plan"], ["request"]], ids=" ".join)
def test_help_is_as_wide_as_columns(
    monkeypatch: pytest.MonkeyPatch, command: list[str], columns: int
) -> None:
    """No sentence of a help text is wider than COLUMNS, and none is wrapped before."""
    monkeypatch.setenv("COLUMNS", str(columns))
    text = CliRunner().invoke(main, [*command, "--help"], prog_name="scf-local").output
    text = text.partition("Examples:\n")[0]
    usage, _, rest = text.partition("\n\n")
    paragraph = rest.partition("\n\n")[0].splitlines()
    assert usage
    assert max(map(len, paragraph)) <= columns - 2
    words = [line.split()[0] for line in paragraph[1:]]
    assert all(
        len(line) + 1 + len(word) > columns - 2
        for line, word in zip(paragraph, words, strict=False)
        if "-" not in word
    )


def test_usage_errors_are_not_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message of a usage error is one line, however long it is."""
    monkeypatch.setenv("COLUMNS", "40")
    name = "no-such-name " * 20
    result = CliRunner().invoke(main, ["replay", name])
    assert result.stderr.splitlines()[-1] == (
        f"Error: Invalid value for 'PATH|-...': Path '{name}' does not exist."
    )


@pytest.mark.parametrize(
    ("command", "status"), [("invoke", 0), ("undo", 2), ("request", 2), ("plan", 0)]
)
def test_terminal_is_read_until_its_end(tmp_path: Path, command: str, status: int) -> None:
    """Without a file at a terminal, a line says that the command reads from there."""
    code = "def main_handler(event, _): return {'Outcome': 'planned', 'DryRun': True}"
    (tmp_path / "index.py").write_text(code, encoding="utf-8")
    terminal, side = pty.openpty()
    try:
        with subprocess.Popen(  # noqa: S603 - our own command
            [*_COMMAND, command], stdin=side, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=tmp_path, text=True, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                assert process.stderr
                assert re.fullmatch(
                    r"scf-local: reading the \w+ from the terminal; end it with Ctrl-D, "
                    r"or pass a file\n",
                    process.stderr.readline(),
                )
                os.write(terminal, b"{}\n\x04")
                process.communicate(timeout=30)
                assert process.returncode == status
            finally:
                process.kill()
    finally:
        os.close(terminal)
        os.close(side)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_offered(shell: str) -> None:
    """The line that a shell evaluates defines the completion, for each of the three shells."""
    environ = {**os.environ, "_SCF_LOCAL_COMPLETE": f"{shell}_source"}
    done = subprocess.run(_COMMAND, env=environ, capture_output=True, text=True, check=True)  # noqa: S603 - our own command
    assert "_SCF_LOCAL_COMPLETE" in done.stdout
    assert f"{shell}_complete" in done.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("", {"event", "invoke", "replay", "undo", "cloud"}),
        ("event ", {"cos", "timer"}),
        ("event cos --shape ", {"2018", "2021"}),
        ("invoke --region ap-guang", {"ap-guangzhou", "ap-guangzhou-open"}),
        ("invoke --re", {"--real", "--region"}),
        ("invoke ", "file"),
        ("invoke --handler src/", "file"),
        ("invoke --code ", "dir"),
        ("replay ", "file"),
        ("undo ", "file"),
        ("cloud --faults ", "file"),
        ("cloud --seed ", "file"),
    ],
)
def test_completion_knows_commands_and_values(words: str, offered: set[str] | str) -> None:
    """Commands, options and choices are completed; files and folders are left to the shell."""
    environ = {
        **os.environ,
        "_SCF_LOCAL_COMPLETE": "bash_complete",
        "COMP_WORDS": f"scf-local {words}",
        "COMP_CWORD": str(len(f"scf-local {words}".split(" ")) - 1),
    }
    done = subprocess.run(_COMMAND, env=environ, capture_output=True, text=True, check=True)  # noqa: S603 - our own command
    kinds, values = zip(*(line.split(",", 1) for line in done.stdout.splitlines()), strict=True)
    assert set(kinds) == {offered} if isinstance(offered, str) else set(values) >= offered


def test_misspelt_command() -> None:
    """A misspelt command ends with status 2 and a suggestion."""
    result = CliRunner().invoke(main, ["reply"])
    assert result.exit_code == 2
    assert "Did you mean 'replay'?" in result.stderr


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "utf-8"])
def test_encoding_of_stdout(tmp_path: Path, seed: Path, encoding: str) -> None:
    """Characters that the encoding of stdout lacks are written as escapes."""
    (tmp_path / "名 🎉.json").write_text("{}", encoding="utf-8")
    (tmp_path / "index.py").write_text("def main_handler(event, context): ...", encoding="utf-8")
    for options in ([], ["--list"]):
        command = ["replay", str(tmp_path), "--seed", str(seed), "--code", str(tmp_path), *options]
        environ = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run([*_COMMAND, *command], env=environ, capture_output=True, check=False)  # noqa: S603 - our own command
        assert (done.returncode, done.stderr) == (0, b"")
        assert "名 🎉.json".encode(encoding, "backslashreplace") in done.stdout


def test_broken_pipe_is_quiet() -> None:
    """A closed pipe causes no output on stderr."""
    message = ["event", "timer", "--message", "x" * 4000]
    with subprocess.Popen(  # noqa: S603 - our own command
        [*_COMMAND, *message], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, err = process.communicate(timeout=30)
    assert not err


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The path of a named pipe for a function to write to, and the end to read from."""
    path = tmp_path / "held-by-the-living"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield str(path), reader
    os.close(reader)


_WAITS = """
import time
def main_handler(event, context):
    if event:
        held = open(event, "w"); held.write("x"); held.flush(); time.sleep(60)
"""


def _run_and_signal(
    command: list[str], tmp_path: Path, seed: Path, reader: int, signum: signal.Signals
) -> tuple[int, str, str]:
    """Return status, stdout and stderr of a command that gets a signal while its function waits."""
    (tmp_path / "index.py").write_text(_WAITS, encoding="utf-8")
    command = [*_COMMAND, *command, "--code", str(tmp_path), "--seed", str(seed)]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert select.select([reader], [], [], 30)[0]
        assert os.read(reader, 1) == b"x"
        process.send_signal(signum)
        out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_function_too(
    tmp_path: Path, seed: Path, fifo: tuple[str, int], signum: signal.Signals
) -> None:
    """A signal to the command also ends the function, with the status of a shell."""
    path, reader = fifo
    (tmp_path / "event.json").write_text(json.dumps(path), encoding="utf-8")
    command = ["invoke", str(tmp_path / "event.json")]
    status, _, err = _run_and_signal(command, tmp_path, seed, reader, signum)
    assert status == 128 + signum
    assert "Traceback" not in err
    ended, _, _ = select.select([reader], [], [], 5)
    assert ended  # end of file: no process has it open for writing
    assert os.read(reader, 1) == b""


@pytest.mark.parametrize(
    ("options", "signum"),
    [
        ([], signal.SIGHUP),
        ([], signal.SIGINT),
        ([], signal.SIGTERM),
        (["--json"], signal.SIGTERM),
    ],
)
def test_signal_ends_a_replay(
    tmp_path: Path, seed: Path, fifo: tuple[str, int], signum: signal.Signals, options: list[str]
) -> None:
    """A signal ends the current event; table, count and report cover those before it."""
    events, report = tmp_path / "events.jsonl", tmp_path / "report.html"
    events.write_text(f"null\n{json.dumps(fifo[0])}\nnull\nnull\n", encoding="utf-8")
    command = ["replay", str(events), "--report", str(report), *options]
    status, out, err = _run_and_signal(command, tmp_path, seed, fifo[1], signum)
    assert (status, err) == (128 + signum, "scf-local: stopped; events left: 3\n")
    if options:
        assert [entry["Event"] for entry in json.loads(out)] == [f"{events}:1"]
    else:
        assert out.count("events.jsonl:") == 1
        assert out.endswith("1 of 1 events as expected\n")
    assert "1 of 1 event as expected" in report.read_text(encoding="utf-8")


def test_signal_during_the_first_event(tmp_path: Path, seed: Path, fifo: tuple[str, int]) -> None:
    """A replay that ends during its first event counts nothing, and keeps an old report."""
    event, report = tmp_path / "event.json", tmp_path / "report.html"
    event.write_text(json.dumps(fifo[0]), encoding="utf-8")
    report.write_text("old", encoding="utf-8")
    command = ["replay", str(event), "--report", str(report)]
    status, out, err = _run_and_signal(command, tmp_path, seed, fifo[1], signal.SIGINT)
    assert (status, out) == (130, "0 of 0 events as expected\n")
    assert err == "scf-local: stopped; events left: 1\n"
    assert report.read_text(encoding="utf-8") == "old"


def test_second_signal_interrupts() -> None:
    """The first signal is only recorded, and a second one interrupts at once."""
    with deferred_signals() as interrupt:
        assert not interrupt
        signal.raise_signal(signal.SIGINT)
        assert (bool(interrupt), interrupt.exit_status) == (True, 130)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_immediate_signals() -> None:
    """Inside `immediately`, the first signal interrupts; after it, it is only recorded."""
    with deferred_signals() as interrupt, pytest.raises(KeyboardInterrupt), interrupt.immediately():
        signal.raise_signal(signal.SIGINT)
    assert interrupt.exit_status == 130
    with deferred_signals() as interrupt:
        with interrupt.immediately():
            pass
        signal.raise_signal(signal.SIGINT)
        assert interrupt.exit_status == 130


_BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
"""The environment in which Python buffers its output, as it does by default."""
_FLOODS = """
def main_handler(event, context):
    print("x" * event)
    return "x" * event
"""


@pytest.mark.parametrize(
    ("command", "events", "blocked", "signum"),
    [
        ("replay --json", [5_000] * 60, "stdout", signal.SIGHUP),  # less than a buffer at a time
        ("replay --json", [500_000], "stdout", signal.SIGINT),
        ("replay --logs", [5_000] * 60, "stderr", signal.SIGTERM),
        ("replay --logs", [500_000], "stderr", signal.SIGHUP),
        ("invoke", [70_000], "stdout", signal.SIGINT),
        ("invoke", [70_000], "stderr", signal.SIGTERM),
    ],
)
def test_signal_ends_blocked_output(  # noqa: PLR0913, PLR0917 - parameters and fixtures
    tmp_path: Path,
    seed: Path,
    command: str,
    events: list[int],
    blocked: str,
    signum: signal.Signals,
) -> None:
    """A command that is blocked because its output is not read ends on the first signal."""
    (tmp_path / "index.py").write_text(_FLOODS, encoding="utf-8")
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(map(str, events)), encoding="utf-8")
    arguments = [*command.split(), str(path), "--code", str(tmp_path), "--seed", str(seed)]
    reader, writer = os.pipe()
    out, err = (
        writer if stream == blocked else subprocess.DEVNULL for stream in ("stdout", "stderr")
    )
    command_line = [*_COMMAND, *arguments]
    with subprocess.Popen(command_line, env=_BUFFERED, stdout=out, stderr=err) as process:  # noqa: S603 - our own command
        while select.select([], [writer], [], 0)[1] and process.poll() is None:
            time.sleep(0.01)  # the pipe is not full yet
        process.send_signal(signum)
        try:
            assert process.wait(timeout=10) == 128 + signum
        finally:
            process.kill()
            os.close(reader)
            os.close(writer)


def test_signal_discards_blocked_output(tmp_path: Path, seed: Path) -> None:
    """Output that a signal stopped at a full pipe is not written again at exit."""
    (tmp_path / "index.py").write_text(_FLOODS, encoding="utf-8")
    command = [*_COMMAND, "invoke", "--code", str(tmp_path), "--seed", str(seed)]
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b" ")
    os.set_blocking(writer, True)
    with subprocess.Popen(  # noqa: S603 - our own command
        command, env=_BUFFERED, stdin=subprocess.PIPE, stdout=writer, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"10")
        process.stdin.close()
        assert process.stderr is not None
        while not process.stderr.readline().startswith(b"Report"):
            pass
        time.sleep(0.3)  # the result comes next
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(timeout=10) == 128 + signal.SIGTERM
        finally:
            process.kill()
            os.close(reader)
            os.close(writer)


@pytest.mark.parametrize(
    ("command", "stream", "status", "message"),
    [
        ("invoke", "<&-", 2, "standard input is closed"),
        ("invoke", ">&-", 2, "standard output is closed"),
        ("cloud", ">&-", 2, "standard output is closed"),
        ("cloud", ">/dev/full", 1, "cannot write to standard output: No space left"),
        ("event timer", ">/dev/full", 1, "cannot write to standard output: No space left"),
        ("event timer", "2>&-", 0, ""),
        ("replay events/06-direct-dry-run.json", ">/dev/full", 1, "No space left"),
    ],
)
def test_unusable_streams(command: str, stream: str, status: int, message: str) -> None:
    """A closed or full standard stream ends with its status and a message, not a traceback."""
    done = subprocess.run(  # noqa: S602 - our own command
        f"{shlex.join(_COMMAND)} {command} {stream}",
        shell=True, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
