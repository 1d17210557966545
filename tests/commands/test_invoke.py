"""`scf-local invoke`: one cold invocation, its limits and its exit status."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from conftest import ROOT
from scf_local import process
from scf_local.cli import main
from scf_local.credentials import AccountCredentials
from scf_local.environment import FunctionConfig
from scf_local.invocation import InvocationResult, WarmInstance
from scf_local.log_records import read

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = "def main_handler(event, context):\n    "
_CREDENTIALS = AccountCredentials()
SCF_LOCAL = Path(sys.executable).with_name("scf-local")


def _invoke(folder: Path, code: str, *arguments: str, event: bytes | str = "{}") -> Result:
    (folder / "index.py").write_text(code, encoding="utf-8")
    command = ["invoke", "-", "--code", str(folder), *arguments]
    return CliRunner().invoke(main, command, input=event)


def _error(result: Result) -> dict[str, Any]:
    match = re.search(r"^ERROR RequestId:\S+ Result:(.*)$", result.stderr, re.MULTILINE)
    assert match is not None
    error: dict[str, Any] = json.loads(match[1])
    return error


def test_result_and_log_are_separate(tmp_path: Path) -> None:
    """Only the result is on stdout; the function's output is on stderr, in SCF's frame."""
    code = _HEAD + "print('{\"not\": \"the result\"}', end=''); return {'名': event}"
    result = _invoke(tmp_path, code, event='\ufeff{"a": true}')
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"名": {"a": True}}
    assert "名" in result.stdout
    request_id = r"RequestId:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
    frame = [
        f"START {request_id}",
        rf"Init Report {request_id} Coldstart:\d+ms Memory:128MB MemUsage:\d+\.\d+MB",
        r'\{"not": "the result"\}',
        f"END {request_id}",
        rf"Report {request_id} Duration:\d+ms Memory:128MB MemUsage:\d+\.\d+MB",
    ]
    assert re.fullmatch("\n".join([*frame, ""]), result.stderr)
    assert len(set(re.findall(request_id, result.stderr))) == 1


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("'applied'", 0),
        ("'planned'", 0),
        ("'ignored'", 0),
        ("None", 0),
        ("'partial'", 1),
        ("'rejected'", 1),
        ("'timeout'", 0),
        ("'memory'", 0),
        ("'raised'", 0),
    ],
)
def test_exit_status_follows_the_outcome(tmp_path: Path, outcome: str, status: int) -> None:
    """The exit status is 1 only if the result's Outcome is partial or rejected."""
    result = _invoke(tmp_path, _HEAD + f"return {{'Outcome': {outcome}}}")
    assert result.exit_code == status
    assert "Outcome" in json.loads(result.stdout)


@pytest.mark.parametrize(
    ("code", "status", "message", "exit_status"),
    [
        (_HEAD + "raise RuntimeError('名')", 430, "user code exception caught", 1),
        (_HEAD + "return {1}", 430, "user code exception caught", 1),
        (_HEAD + "return float('nan')", 430, "user code exception caught", 1),
        (_HEAD + "return 'x' * (6 << 20)", 407, "exceeds the upper limit", 1),
        (_HEAD + "import sys; sys.exit(0)", 439, "User process exit when running, code 0", 1),
        (_HEAD + "raise SystemExit(7)", 439, "User process exit when running, code 7", 1),
        (_HEAD + "import os; os._exit(0)", 439, "User process exit when running, code 0", 1),
        (_HEAD + "import os; os.kill(os.getpid(), 9)", 439, "code -9", 1),
        (_HEAD + "import os, signal; os.fork() and os._exit(3) or signal.pause()", 439, "3", 1),
        ("import no_such_module", 443, "No module named 'no_such_module'", 1),
        ("def main_handler(:", 443, "SyntaxError", 1),
        ("raise SystemExit", 439, "User process exit when running", 1),
        ("main = 1", 437, "module 'index' has no function 'main_handler'", 1),
        (_HEAD + "return bytes(1) * (300 << 20) and 1", 434, "Task memory exceeded 128 MB", 4),
        ("big = b'x' * (300 << 20)", 434, "Task memory exceeded 128 MB", 4),
    ],
)
def test_errors_are_as_in_scf(
    tmp_path: Path, code: str, status: int, message: str, exit_status: int
) -> None:
    """Each error has SCF's status code and message, and an exit status other than 0."""
    result = _invoke(tmp_path, code)
    error = _error(result)
    assert (error["statusCode"], result.exit_code) == (status, exit_status)
    assert message in error["errorMessage"]
    assert error["requestId"] in result.stderr.splitlines()[0]
    assert re.search(r"^scf-local: \w[^\n]+[.]\Z", result.stderr.rstrip("\n"), re.MULTILINE)
    assert not result.stdout


@pytest.mark.parametrize("levels", [501, 950, 985, 2000])
def test_deep_results_are_errors(tmp_path: Path, levels: int) -> None:
    """A result that is nested too deeply is an error of the function."""
    code = f"{_HEAD}found = []\n    for _ in range({levels - 1}): found = [found]\n    return found"
    result = _invoke(tmp_path, code)
    assert (_error(result)["statusCode"], result.exit_code) == (430, 1)
    assert "Traceback" not in result.stdout
    assert not isinstance(result.exception, RecursionError)


def test_events_and_results_may_be_deep(tmp_path: Path) -> None:
    """500 levels are allowed, more than any event or result has."""
    event = "[" * 500 + "]" * 500
    result = _invoke(tmp_path, f"{_HEAD}return event", event=event)
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads(event)


@pytest.mark.parametrize(
    ("event", "limit"),
    [
        ('"名…"', 6 << 20),
        ('{"Type":"Timer","Message":"名…"}', 128 << 10),
        ('{"Records":["名…"]}', 128 << 10),
    ],
)
def test_large_events_are_rejected(tmp_path: Path, event: str, limit: int) -> None:
    """An event that is too large for SCF is rejected with 406, and starts no instance."""
    (tmp_path / "index.py").write_text(_HEAD + "return 1", encoding="utf-8")
    room = limit - len(event.encode()) + len("…".encode())
    log: list[bytes] = []
    with WarmInstance(FunctionConfig(tmp_path), log.append) as instance:
        assert instance.invoke(json.loads(event.replace("…", "x" * room))).status == 200
        log.clear()
        done = instance.invoke(json.loads(event.replace("…", "x" * (room + 1))))
    assert (done.status, done.exit_status) == (406, 1)
    assert done.error is not None
    assert done.error["errorMessage"] == "RequestTooLarge"
    assert b"".join(log).startswith(b"ERROR ")
    assert log[0].count(b"\n") == len(log) == 1


@pytest.mark.parametrize(
    ("code", "traceback"),
    [
        (
            "def fail(x):\n    raise KeyError(x)\n" + _HEAD + "fail('名')",
            ["  File '4 in main_handler", "    fail('名')",
             "  File '2 in fail", "    raise KeyError(x)", "KeyError: '名'"],
        ),
        (
            _HEAD + "try: 1 / 0\n    except ZeroDivisionError: raise KeyError from None",
            ["  File '3 in main_handler", "    except ZeroDivisionError: raise KeyError from None",
             "KeyError"],
        ),
        (
            "import json\nmain_handler = json.none",
            ["  File '2 in <module>", "    main_handler = json.none",
             "AttributeError: module 'json' has no attribute 'none'"],
        ),
        (
            "def main_handler(:",
            ["  File '1", "    def main_handler(:", "                     ^",
             "SyntaxError: invalid syntax"],
        ),
    ],
)  # fmt: skip
def test_traceback_is_readable(tmp_path: Path, code: str, traceback: list[str]) -> None:
    """The log is followed by the function's traceback as Python prints it, and by a hint."""
    result = _invoke(tmp_path, code)
    log, header, text = result.stderr.partition("Traceback (most recent call last):\n")
    assert re.fullmatch(r"Report RequestId:.+", log.splitlines()[-1])
    text = text.replace(f'"{tmp_path}/index.py", line ', "'").replace(", in ", " in ")
    *lines, hint = text.splitlines()
    marks = r" +[~^]+"  # since Python 3.11
    shown = [line for line in lines if line in traceback or not re.fullmatch(marks, line)]
    assert shown == traceback
    assert header
    assert hint.startswith("scf-local: ")


def test_traceback_cannot_act(tmp_path: Path) -> None:
    """Control characters in a traceback are escaped, and no line of it passes for one of a log."""
    line = '{"Time": "2026-11-26T00:00:00Z", "Level": "INFO", "Event": "x", "RequestId": "forged"}'
    forged = f"x\x1b[31m\u2028\nSTART RequestId:forged\n{line}\n26-11-26 END RequestId:forged\n"
    stderr = _invoke(tmp_path, _HEAD + f"raise KeyError from ValueError({forged!r})").stderr
    marked = f"> START RequestId:forged\n> {line}\n> 26-11-26 END RequestId:forged\n"
    assert f"\nValueError: x\\u001b[31m\\u2028\n{marked}" in stderr
    assert "forged" not in {record.request_id for record in read(stderr.encode(), "log")[0]}


def test_stack_trace_is_the_functions_own(tmp_path: Path) -> None:
    """A stack trace shows the function's frames and none of the runtime's."""
    error = _error(_invoke(tmp_path, _HEAD + "raise RuntimeError('broken')"))
    assert error["errorCode"] == -1
    assert error["stackTrace"].endswith("RuntimeError: broken")
    assert "index.py" in error["stackTrace"]
    assert "runtime.py" not in error["stackTrace"]


def test_time_limit_ends_the_function(tmp_path: Path) -> None:
    """The time limit kills the function and its processes; their output is shown."""
    fifo = tmp_path / "held-by-the-living"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    code = _HEAD + (
        "import subprocess, time; subprocess.Popen(['sleep', '60'], stdout=open(event, 'w'))\n"
        "    print('started', end=''); time.sleep(60)"
    )
    result = _invoke(tmp_path, code, "--timeout", "0.3", event=json.dumps(str(fifo)))
    assert result.exit_code == 3
    assert _error(result)["statusCode"] == 433
    assert _error(result)["errorMessage"] == "Invoking task timed out after 0.3 seconds"
    assert "--timeout" in result.stderr
    assert "started\nERROR" in result.stderr
    ended, _, _ = select.select([reader], [], [], 5)
    assert ended  # end of file: no process has it open for writing
    assert os.read(reader, 1) == b""
    os.close(reader)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A child process in its own session that no function started."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:  # noqa: S607 - any program
        yield process
        process.kill()


STARTS = {
    "same session": "subprocess.Popen(['sleep', '77'], stdout=held)",
}
# Elsewhere, processes that left their group are not found (docs/scf-local.md).
if sys.platform == "linux":
    STARTS |= {
        "new session": "subprocess.Popen(['sleep', '77'], start_new_session=True, stdout=held)",
        "left by its shell": (
            "subprocess.run('setsid setsid sleep 77 & setsid sleep 78 &', shell=True, stdout=held)"
        ),
        "daemon": "subprocess.run(['setsid', '-f', 'sleep', '77'], env={}, stdout=held)",
    }


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize(
    ("end", "status"),
    [("return 1", 200), ("time.sleep(60)", 433), ("os._exit(1)", 439), ("raise SystemExit", 439)],
)
def test_nothing_outlives_its_instance(
    tmp_path: Path, bystander: subprocess.Popen[bytes], start: str, end: str, status: int
) -> None:
    """Every process that a function started ends with its instance; others keep running."""
    fifo = tmp_path / "held-by-the-living"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    code = f"import os, subprocess, time\n{_HEAD}held = open(event, 'w')\n    {start}\n    {end}"
    (tmp_path / "index.py").write_text(code, encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/index.py").write_text(f"{_HEAD}return event", encoding="utf-8")
    with (
        WarmInstance(FunctionConfig(tmp_path / "other"), lambda _: None) as other,
        WarmInstance(FunctionConfig(tmp_path, timeout_s=0.5), lambda _: None) as instance,
    ):
        assert other.invoke(1).result == 1
        assert instance.invoke(str(fifo)).status == status
        instance.close()
        assert select.select([reader], [], [], 0)[0]  # end of file: no process has it open
        assert os.read(reader, 1) == b""
        os.close(reader)
        assert other.invoke(2).result == 2
    assert bystander.poll() is None


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found only there")
def test_others_survive(tmp_path: Path) -> None:
    """What this process, or another instance, has started goes on when an instance ends."""
    code = """
import subprocess
def main_handler(event, context):
    return subprocess.Popen(["setsid", "sleep", "60"]).pid
"""
    (tmp_path / "index.py").write_text(code, encoding="utf-8")
    config = FunctionConfig(tmp_path)
    with WarmInstance(config, lambda _: None) as one:
        pid = one.invoke({}).result
        with subprocess.Popen(["sleep", "60"], start_new_session=True) as own:  # noqa: S607 - any program
            with WarmInstance(config, lambda _: None) as other:
                ended = other.invoke({}).result
            has_ended = own.poll() is not None
            own.kill()
        assert [process._parent_of(ended), has_ended] == [0, False]
        assert process._parent_of(pid)


_TMP = """
import os, subprocess, tempfile
def main_handler(event, context):
    seen = os.listdir("/tmp")
    with open("/tmp/of-the-function", "w") as file:
        file.write("x")
    subprocess.run(["touch", "/tmp/of-a-program"], check=True)
    with tempfile.NamedTemporaryFile(delete=False) as file:
        folder = os.path.dirname(file.name)
    disk = os.statvfs("/tmp")
    code = os.getcwd(), os.listdir("."), os.getuid()
    return seen, folder, disk.f_blocks * disk.f_frsize >> 20, code
"""
_UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]
_UNABLE = """
echo 0 > /proc/sys/user/max_mnt_namespaces
echo 0 > /proc/sys/user/max_user_namespaces
exec "$@"
"""
"""A shell script whose command can create no namespaces."""
_UNMAPPED = """
mount --rbind /proc /proc
mount -o remount,bind,ro /proc
exec setpriv --bounding-set=-sys_admin "$@"
"""
"""A shell script whose command can create namespaces, but in a new one has no user."""


def _require_namespaces() -> None:
    has_it = shutil.which("unshare")
    if not has_it or subprocess.run([*_UNSHARE, "true"], check=False).returncode:  # noqa: S603
        pytest.skip("needs Linux, and the right to create namespaces")


def test_tmp_is_the_instances_own(tmp_path: Path) -> None:
    """An instance has a /tmp of SCF's size, with nothing of this machine's but the code."""
    _require_namespaces()
    (tmp_path / "index.py").write_text(_TMP, encoding="utf-8")
    (tmp_path.parent / "mine.txt").touch()
    with WarmInstance(FunctionConfig(tmp_path), lambda _: None) as instance:
        cold = instance.invoke({}).result
        warm = instance.invoke({}).result
    own, here = {"of-the-function", "of-a-program"}, os.listdir("/tmp")  # noqa: S108, PTH208 - this machine's
    needed = {Path(path).parts[2] for path in (str(tmp_path), *sys.path) if path[:5] == "/tmp/"}  # noqa: S108
    assert {*cold[0]} <= needed
    assert {*cold[0], *own} < {*warm[0]}
    assert cold[1:3] == ["/tmp", 512]  # noqa: S108 - the same
    assert cold[3] == [str(tmp_path), ["index.py"], os.getuid()]
    assert not own & {*here}


@pytest.mark.parametrize("shell", [_UNABLE, _UNMAPPED], ids=["unable", "unmapped"])
def test_temporary_files_are_removed_where_tmp_is_shared(tmp_path: Path, shell: str) -> None:
    """Where /tmp cannot be replaced, `tempfile` uses a folder that is removed; the user stays."""
    _require_namespaces()
    code = _HEAD + "import os, tempfile; return [tempfile.mkdtemp(), os.getuid()]"
    (tmp_path / "index.py").write_text(code, encoding="utf-8")
    command = [str(SCF_LOCAL), "invoke", "-", "--code", str(tmp_path)]
    run = subprocess.run(  # noqa: S603 - our own program
        [*_UNSHARE, "sh", "-ec", shell, "sh", *command],
        input=b"{}",
        capture_output=True,
        check=True,
    )
    folder, user = json.loads(run.stdout)
    assert folder.startswith("/tmp/scf-local-")  # noqa: S108 - this machine's
    assert not Path(folder).exists()
    assert user == 0  # that of _UNSHARE


def test_root_logger_prints(tmp_path: Path) -> None:
    """As in SCF, the root logger prints; its level can be set, and basicConfig is ignored."""
    code = (
        "import logging\nlogging.basicConfig(level='ERROR', format='other')\n" + _HEAD + "log = "
        "logging.getLogger(); log.info('no'); log.setLevel('INFO'); log.info('yes'); return 1"
    )
    result = _invoke(tmp_path, code)
    assert result.stdout == "1\n"
    assert "\nyes\n" in result.stderr
    assert "no\n" not in result.stderr


def test_slow_start(tmp_path: Path) -> None:
    """Loading the code has its own time limit, as in SCF."""
    (tmp_path / "index.py").write_text("import time; time.sleep(60)", encoding="utf-8")
    with WarmInstance(FunctionConfig(tmp_path), lambda _: None, init_timeout_s=0.3) as instance:
        done = instance.invoke({})
    assert (done.status, done.outcome, done.exit_status) == (450, "timeout", 3)


def test_context_is_complete(tmp_path: Path) -> None:
    """The context has every documented key, in SCF's units and types."""
    arguments = ("--memory", "192", "--timeout", "2.5", "--env", "A=b=c", "--region", "ap-beijing")
    result = _invoke(tmp_path, _HEAD + "return context", *arguments)
    context = json.loads(result.stdout)
    environment = {
        "A": "b=c",
        "TENCENTCLOUD_SECRETID": _CREDENTIALS.secret_id,
        "TENCENTCLOUD_SECRETKEY": _CREDENTIALS.secret_key,
        "TENCENTCLOUD_SESSIONTOKEN": _CREDENTIALS.token,
        "TRIGGER_SRC": "",
    }
    assert json.loads(context.pop("environment")) == environment
    assert context.pop("environ") == ";".join(f"{k}={v}" for k, v in environment.items())
    assert len(context.pop("request_id")) == 36
    assert context == {
        "memory_limit_in_mb": 192,
        "time_limit_in_ms": 2500,
        "function_version": "$LATEST",
        "function_name": "image-steward",
        "namespace": "default",
        "tencentcloud_region": "ap-beijing",
        "tencentcloud_appid": "1250000000",
        "tencentcloud_uin": "100000000001",
    }


def test_environment_is_scfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function gets SCF's variables and the shell's paths, but no stdin and no harness."""
    monkeypatch.setenv("SHELL_SECRET", "s3cret")
    code = (
        "import importlib.util, os, sys\n" + _HEAD + "return [dict(os.environ), os.getcwd(), "
        "sys.stdin.read(), importlib.util.find_spec('scf_local') is None, sys.argv[0]]"
    )
    result = _invoke(tmp_path, code, "--dry-run", event='{"Type": "Timer", "Message": ""}')
    environ, cwd, stdin, no_harness, _ = json.loads(result.stdout)
    assert environ.keys() - {"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} == {
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
        "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
        "SCF_LOCAL_ENDPOINT", "STEWARD_DRY_RUN",
        "TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN",
        "TENCENTCLOUD_REGION", "TENCENTCLOUD_APPID", "TENCENTCLOUD_UIN", "TENCENTCLOUD_RUNENV",
        "TENCENTCLOUD_TZ", "TZ", "TRIGGER_SRC", "USER_CODE_ROOT", "SCF_RUNTIME",
        "SCF_FUNCTIONNAME", "SCF_FUNCTIONVERSION", "SCF_NAMESPACE", "_SCF_SERVER_PORT",
        "PWD", "HOME", "USER", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE",
    }  # fmt: skip
    assert environ["TRIGGER_SRC"] == "Timer"
    assert environ["STEWARD_DRY_RUN"] == "1"
    assert environ["SCF_RUNTIME"] == f"Python{sys.version_info[0]}.{sys.version_info[1]}"
    assert (cwd, stdin, no_harness) == (str(tmp_path), "", True)
    assert not list(tmp_path.rglob("*.pyc"))


@pytest.mark.parametrize("handler", ["index.main_handler", "nopkg.mod.main", "pkg.none.main"])
def test_another_folders_code_is_not_found(tmp_path: Path, handler: str) -> None:
    """A handler's module must be in the code folder; the project's own is not used."""
    (tmp_path / "pkg").mkdir()
    command = ["invoke", "--code", str(tmp_path), "--handler", handler]
    error = _error(result := CliRunner().invoke(main, command, input="{}"))
    module = handler.rpartition(".")[0]
    assert error["statusCode"] == 437
    assert error["errorMessage"] == f"no module {module!r} in the code folder {tmp_path}"
    assert "--code" in result.stderr


@pytest.mark.parametrize(
    "handler",
    ["app.echo", "pkg.app.echo", "app.py:echo", "pkg/app.py:echo", "app.py", "pkg/app.py"],
)
@pytest.mark.parametrize("code", [(), ("--code", ".")])
def test_handler_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handler: str, code: tuple[str, ...]
) -> None:
    """The code folder is the working directory by default; a file without function is an error."""
    (tmp_path / "pkg").mkdir()
    for file in ("app.py", "pkg/app.py"):
        (tmp_path / file).write_text("def echo(event, context):\n    return event", "utf-8")
    monkeypatch.chdir(tmp_path)
    command = ["invoke", "--handler"]
    result = CliRunner().invoke(main, [*command, handler, *code], input="1")
    if handler.endswith(".py"):
        assert result.exit_code == 2
        assert f"did you mean {handler}:FUNCTION?" in result.stderr
    else:
        assert result.stdout == "1\n"


def test_missing_handler() -> None:
    """Without `--code`, the error for a missing module names this project's code folder."""
    command = ["invoke", "--handler", "none.main"]
    message = _error(CliRunner().invoke(main, command, input="{}"))["errorMessage"]
    assert message == f"no module 'none' in the code folder {ROOT / 'handler'}"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("--handler", "{}/my-app.py:run"), "my-app"),
        (("--handler", "my-app.py:run", "--code", "{}"), "my-app"),
        (("--handler", "sub/app.py:run", "--code", "{}"), "sub.app"),
        (("--handler", "{}/sub/app.py:run"), "app"),
        (("--handler", "sub.app.run", "--code", "{}"), "sub.app"),
    ],
)
def test_any_handler_can_be_named(tmp_path: Path, arguments: tuple[str, ...], name: str) -> None:
    """A handler is named by module or by file; a file's folder is the code folder."""
    (tmp_path / "sub").mkdir()
    for file in ("my-app.py", "sub/app.py"):
        code = "import os\ndef run(event, context):\n    return [__name__, os.getcwd()]"
        (tmp_path / file).write_text(code, encoding="utf-8")
    command = ["invoke", *(argument.format(tmp_path) for argument in arguments)]
    result = CliRunner().invoke(main, command, input="{}")
    folder = tmp_path / "sub" if name == "app" else tmp_path
    assert json.loads(result.stdout) == [name, str(folder)]


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """The harness prints neither credentials nor the event, even if the function fails."""
    event = '{"Records": [{"Authorization": "q-signature=0123"}]}'
    result = _invoke(tmp_path, _HEAD + "raise RuntimeError('broken')", event=event)
    output = result.stdout + result.stderr
    for secret in (
        _CREDENTIALS.secret_id,
        _CREDENTIALS.secret_key,
        _CREDENTIALS.token,
        "q-signature",
    ):
        assert secret not in output
        assert secret not in repr(FunctionConfig(tmp_path, cloud={"KEY": secret}))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("open('new', 'w')", "Read-only file system: 'new'"),
        ("open('index.py', 'a')", "Read-only file system: 'index.py'"),
        ("open(__file__, 'r+')", "Read-only file system"),
        ("open(b'new', 'wb')", "Read-only file system"),
        ("open('/dev/../new', 'w')", "Read-only file system"),
        ("os.open('new', os.O_CREAT)", "Read-only file system"),
        ("os.open('index.py', os.O_TRUNC)", "Read-only file system"),
        ("tempfile.TemporaryFile(dir='.')", "Read-only file system"),
        ("os.mkdir('new')", "Read-only file system"),
        ("os.mkdir('new', dir_fd=os.open('.', os.O_RDONLY))", "Read-only file system"),
        ("os.remove('index.py')", "Read-only file system"),
        ("os.remove('none')", "Read-only file system"),
        ("os.rename('index.py', '/tmp/new')", "Read-only file system"),
        ("os.rename('/tmp', 'new')", "Read-only file system"),
        ("os.symlink('index.py', 'new')", "Read-only file system"),
        ("os.utime('index.py')", "Read-only file system"),
        ("os.utime(os.open('index.py', os.O_RDONLY))", "Read-only file system"),
        ("os.link('index.py', 'new')", "Read-only file system"),
        ("os.truncate('index.py', 0)", "Read-only file system"),
        ("os.chmod('index.py', 0)", "Read-only file system"),
        ("os.fchmod(os.open('index.py', os.O_RDONLY), 0)", "Read-only file system"),
        ("os.fchown(os.open('index.py', os.O_RDONLY), 0, 0)", "Read-only file system"),
        ("socket.socket(socket.AF_UNIX).bind('new')", "Read-only file system"),
        ("socket.socket(socket.AF_UNIX).bind(b'new')", "Read-only file system"),
        ("shutil.rmtree('.')", "Read-only file system"),
        ("open('no/new', 'w')", "No such file or directory: 'no/new'"),
        ("open('index.py', 'x')", "File exists: 'index.py'"),
        ("open('.', 'w')", "Is a directory: '.'"),
        ("os.open('none', os.O_RDWR)", "No such file or directory: 'none'"),
        ("os.mkdir('.')", "File exists: '.'"),
        ("os.mkdir('no/new')", "No such file or directory: 'no/new'"),
        ("os.chmod('none', 0)", "No such file or directory: 'none'"),
    ],
)
def test_code_folder_is_read_only(tmp_path: Path, code: str, message: str) -> None:
    """Writing anywhere but in /tmp fails as on a read-only file system."""
    result = _invoke(tmp_path, f"import os, shutil, socket, tempfile\n{_HEAD}{code}")
    trace = _error(result)["stackTrace"]
    assert message in trace.splitlines()[-1]
    assert "runtime.py" not in trace
    assert [path.name for path in tmp_path.iterdir()] == ["index.py"]
    assert "def main_handler" in (tmp_path / "index.py").read_text()


def test_temporary_files_can_be_written(tmp_path: Path) -> None:
    """Files in /tmp, pipes and devices can be written, and all files can be read."""
    code = """
import os, pathlib, shutil, socket, tempfile
def main_handler(event, context):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a")
        path.mkdir()
        (path / "b").write_text("x")
        (path / "b").rename(path / "c")
        (path / "link").symlink_to(__file__)
        os.truncate(path / "c", 0)
        shutil.copytree(path, path.with_name("copy"), symlinks=True)
        os.mkdir("e", dir_fd=os.open(folder, os.O_RDONLY))
        for address in (f"{folder}/socket", "\\0abstract", b"\\0bytes", ""):
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(address)
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
    with tempfile.TemporaryFile() as file, open(os.devnull, "w") as nothing:
        file.write(b"x")
        os.fchmod(file.fileno(), 0o600)
        os.utime(os.pipe()[0])
        os.utime(os.memfd_create("memory")) if hasattr(os, "memfd_create") else None
        nothing.write("x")
    os.makedirs(".", exist_ok=True)
    os.open("pipe", os.O_RDWR | os.O_CREAT)
    return [os.path.exists(folder), len(open(__file__).read()), os.listdir(".") != []]
"""
    os.mkfifo(tmp_path / "pipe")
    result = _invoke(tmp_path, code)
    assert json.loads(result.stdout) == [False, len(code), True]


@pytest.mark.parametrize(
    ("arguments", "event", "message"),
    [
        ((), "{'a': True}", "not JSON: expecting property name"),
        ((), "__import__('os').abort()", "not JSON"),
        ((), "[NaN]", "NaN is not a JSON number"),
        ((), b"\xff", "not UTF-8"),
        ((), "[" * 100_000, "nested deeper than 500 levels"),
        ((), "[" * 700 + "]" * 700, "nested deeper than 500 levels"),
        (("--env", "A"), "{}", "NAME=VALUE"),
        (("--env", "1A=b"), "{}", "NAME=VALUE"),
        (("--env", "SCF_X=1"), "{}", "SCF_X is reserved"),
        (("--env", "TENCENTCLOUD_SECRETID=x"), "{}", "TENCENTCLOUD_SECRETID is reserved"),
        (("--env", "PYTHONPATH=x"), "{}", "PYTHONPATH is reserved"),
        (("--env", f"A={'x' * 4096}"), "{}", "4097 bytes; SCF allows 4096"),
        (("--code", "/tmp"), "{}", "a folder of its own"),  # noqa: S108 - nothing is written
        (("--code", "/"), "{}", "a folder of its own"),
        (("--handler", "main_handler"), "{}", "module.function"),
        (("--timeout", "nan"), "{}", "at most 900 seconds"),
        (("--timeout", "0"), "{}", "at most 900 seconds"),
        (("--memory", "32"), "{}", "64<=x<=3072"),
        (("--endpoint", "localhost:9"), "{}", "http://127.0.0.1:9000"),
        (("--endpoint", "http://127.0.0.1:99999"), "{}", "Port out of range 0-65535"),
        (("--endpoint", ""), "{}", "no emulated cloud of yours runs at ''"),
        (("--endpoint", "https://127.0.0.1:9"), "{}", "it is not the URL of one"),
        (("--endpoint", "http://127.0.0.1"), "{}", "it is not the URL of one"),
        (("--endpoint", "http://example.com:9"), "{}", "it is not the URL of one"),
        (
            ("--endpoint", "http://127.0.0.1:9", "--seed", "/"),
            "{}",
            "--seed cannot be used with --endpoint",
        ),
        (("--region", "Mars"), "{}", "such as ap-guangzhou"),
        (("--handler", "..x"), "{}", "module.function"),
        (("--handler", "none.py:main"), "{}", "no such file: "),
        (("--handler", "../index.py:main"), "{}", "in the code folder"),
        (("--handler", "index.py:"), "{}", "did you mean index.py:FUNCTION?"),
        (("--handler", "index.txt:main"), "{}", "must be a *.py"),
        (("--env", "PYTHONSTARTUP=x"), "{}", "PYTHONSTARTUP is reserved"),
        (("--env", "LD_PRELOAD=x"), "{}", "LD_PRELOAD is reserved"),
        (("--seeds", "x"), "{}", "'--seed'"),
    ],
)
def test_wrong_usage_says_what_is_allowed(
    tmp_path: Path, arguments: tuple[str, ...], event: bytes | str, message: str
) -> None:
    """Wrong options and events that are not JSON end with status 2; nothing runs."""
    for name in ("code/index.txt", "index.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    code = "raise SystemExit('it ran')"
    result = _invoke(tmp_path / "code", code, *arguments, event=event)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "it ran" not in result.stderr


def test_missing_event_is_wrong_usage(tmp_path: Path) -> None:
    """A missing event file ends with status 2, and the error names it."""
    result = CliRunner().invoke(main, ["invoke", str(tmp_path / "none.json")])
    assert result.exit_code == 2
    assert "none.json" in result.stderr


def test_warm_instance_keeps_its_module(tmp_path: Path) -> None:
    """A warm instance loads the code once, numbers each run, and restarts after an exit."""
    code = (
        "count = 0\n" + _HEAD + "global count; count += 1\n"
        "    if event == 'die': raise SystemExit\n"
        "    return [count, context['request_id']]"
    )
    (tmp_path / "index.py").write_text(code, encoding="utf-8")
    with WarmInstance(FunctionConfig(tmp_path), lambda _: None) as instance:
        runs = [instance.invoke(event) for event in ("a", "b", "die", "c")]
    assert [run.status for run in runs] == [200, 200, 439, 200]
    assert [run.result[0] for run in runs if run.result] == [1, 2, 1]
    assert [run.result[1] == run.request_id for run in runs if run.result] == [True] * 3
    assert len({run.request_id for run in runs}) == 4


def test_log_belongs_to_its_own_invocation(tmp_path: Path) -> None:
    """All output of a run, and none of the next, is logged before it returns."""
    (tmp_path / "index.py").write_text(_HEAD + "print(event * 9000)", encoding="utf-8")
    log: list[bytes] = []
    with WarmInstance(FunctionConfig(tmp_path), log.append) as instance:
        for letter in "ab":
            log.clear()
            instance.invoke(letter)
            assert letter * 9000 in b"".join(log).decode().splitlines()
    assert b"aaa" not in b"".join(log)


def test_forked_process_does_not_reply(tmp_path: Path) -> None:
    """If a function forks and both processes return, only the original one replies."""
    code = _HEAD + "import os\n    if os.fork(): os.wait(); return event\n    return 'fork'"
    (tmp_path / "index.py").write_text(code, encoding="utf-8")
    with WarmInstance(FunctionConfig(tmp_path), lambda _: None) as instance:
        assert [instance.invoke(event).result for event in ("a", "b")] == ["a", "b"]


def test_large_events_and_results_pass(tmp_path: Path) -> None:
    """Events and results far larger than a pipe's buffer arrive completely."""
    (tmp_path / "index.py").write_text(_HEAD + "return event", encoding="utf-8")
    event = ["x" * 1000] * 3000
    with WarmInstance(FunctionConfig(tmp_path), lambda _: None) as instance:
        assert instance.invoke(event).result == event


def test_memory_counts_the_functions_process_only(tmp_path: Path) -> None:
    """The harness's own memory does not count towards the function's."""
    ballast = bytearray(os.urandom(1)) * (256 << 20)
    (tmp_path / "index.py").write_text(_HEAD + "return 1", encoding="utf-8")
    with WarmInstance(FunctionConfig(tmp_path), lambda _: None) as instance:
        done = instance.invoke({})
    assert len(ballast) > done.memory_mb * (1 << 20)
    assert (done.status, done.exit_status) == (200, 0)
    assert 1 < done.memory_mb < 64


def test_result_without_utf8_is_printed(tmp_path: Path) -> None:
    """Half a surrogate pair in a result is printed as a JSON escape."""
    result = _invoke(tmp_path, _HEAD + r"return '\ud800'")
    assert (result.exit_code, result.stdout) == (0, '"\\ud800"\n')


def test_result_without_an_outcome() -> None:
    """A result that is not an object has no Outcome, and counts as returned."""
    assert InvocationResult("r", 200, 1.0, 1.0, result=["Outcome"]).outcome == "returned"


def test_code_folder_with_a_colon_is_wrong_usage(tmp_path: Path) -> None:
    """A code folder that PYTHONPATH cannot contain is rejected before the function runs."""
    folder = tmp_path / "a:b"
    folder.mkdir()
    result = _invoke(folder, "raise SystemExit('it ran')")
    assert result.exit_code == 2
    assert "contains ':', PYTHONPATH's separator" in result.stderr


@pytest.mark.parametrize("junk", ["x", "{}", "[]", '{"Status": 200}', '{"Status": 430, "M": 1}'])
def test_forged_reply_is_an_exit(tmp_path: Path, junk: str) -> None:
    """Code that writes to the runtime's reply pipe ends with 439 and a message."""
    line = junk.encode() + b"\n"
    code = f"""
import os
def main_handler(event, context):
    for fd in range(3, 1000):
        try:
            os.write(fd, {line!r})
        except OSError:
            pass
"""
    result = _invoke(tmp_path, code)
    assert (_error(result)["statusCode"], result.exit_code) == (439, 1)
    assert (
        "the file descriptor that is reserved for the runtime's replies"
        in _error(result)["errorMessage"]
    )
    assert "used scf-local's own pipe" in result.stderr


def test_time_limit_holds_while_the_event_is_sent(tmp_path: Path) -> None:
    """The time limit also ends a function that stops reading a large event."""
    (tmp_path / "index.py").write_text("import os\n" + _HEAD + "return os.getpid()", "utf-8")
    with WarmInstance(FunctionConfig(tmp_path, timeout_s=0.3), lambda _: None) as instance:
        os.kill(instance.invoke({}).result, signal.SIGSTOP)
        assert instance.invoke(["x" * 1000] * 3000).status == 433
