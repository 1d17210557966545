"""`scf-local.toml` and `.env` files: where the values of options and variables come from."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import ROOT
from scf_local.cli import main
from scf_local.environment import parse_variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scf_local.cloud.server import EmulatedCloud

SHOW = """
import json, os
def main(event, context):
    return {**context, **os.environ, "environ": ""}
"""
TWO = """
region = "ap-singapore"
env = ["SHARED=1", "BOTH=shared"]

[functions.thumbnails]
handler = "src/app.py:main"
memory = 256
timeout = 2.5
appid = 1300000000
env = {BOTH = "own", DEBUG = true, COUNT = 3}

[functions.resize]
handler = "src/other.py:main"
"""
ONE = TWO.partition("[functions.resize]")[0]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A function's folder, which is the current one."""
    (tmp_path / "src").mkdir()
    for name in ("app", "other"):
        (tmp_path / "src" / f"{name}.py").write_text(SHOW, encoding="utf-8")
    (tmp_path / "event.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCF_LOCAL_CONFIG", raising=False)
    return tmp_path


def make_seed(path: Path) -> None:
    """Make a seed without images."""
    path.mkdir()
    (path / "images.json").write_text("{}", encoding="utf-8")


def run(toml: str, *arguments: str) -> Result:
    """Run a command where `scf-local.toml` has this content."""
    Path("scf-local.toml").write_text(toml, encoding="utf-8")
    return CliRunner().invoke(main, arguments)


def shown(toml: str, *arguments: str) -> dict[str, Any]:
    """What the function that is invoked so finds in its context and environment."""
    result = run(toml, "invoke", "event.json", *arguments)
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def usage_error(toml: str, *arguments: str) -> str:
    """The message of the usage error with which a command ends."""
    result = run(toml, *(arguments or ("invoke", "event.json")))
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr.partition("Error: ")[2].rstrip()


EXPECTED = {
    "function_name": "thumbnails",
    "SCF_FUNCTIONNAME": "thumbnails",
    "memory_limit_in_mb": 256,
    "time_limit_in_ms": 2500,
    "tencentcloud_region": "ap-singapore",
    "tencentcloud_appid": "1300000000",
    "TENCENTCLOUD_APPID": "1300000000",
    "SHARED": "1",
    "BOTH": "own",
    "DEBUG": "true",
    "COUNT": "3",
}


@pytest.mark.parametrize(
    ("toml", "arguments"),
    [
        (ONE, ()),
        (TWO, ("--function-name", "thumbnails")),
        (f'function-name = "thumbnails"\n{TWO}', ()),
        ("\ufeff" + ONE.replace("\n", "\r\n"), ()),
    ],
)
def test_options_of_a_function(toml: str, arguments: tuple[str, ...]) -> None:
    """The function that is named, or the only one, has its own options and the shared ones."""
    assert shown(toml, *arguments).items() >= EXPECTED.items()


def test_without_a_file() -> None:
    """Without a file, a function has a neutral name, and nothing of this project is used."""
    Path("index.py").write_text(SHOW.replace("main(", "main_handler("), encoding="utf-8")
    result = CliRunner().invoke(main, ["invoke", "event.json"])
    found = json.loads(result.stdout)
    assert found["function_name"] == found["SCF_FUNCTIONNAME"] == "function"
    assert found["TENCENTCLOUD_APPID"] == "1250000000"
    assert "image-steward" not in result.stdout


def test_command_line_wins() -> None:
    """Options on the command line replace those of the file; variables, those of one name."""
    arguments = ("--memory", "64", "--region", "ap-tokyo", "--env", "BOTH=given", "--env", "X=y")
    expected = EXPECTED | {
        "memory_limit_in_mb": 64, "tencentcloud_region": "ap-tokyo", "BOTH": "given", "X": "y"
    }  # fmt: skip
    assert shown(ONE, *arguments).items() >= expected.items()


def test_handler_of_the_command_line_brings_its_folder() -> None:
    """FILE in a handler on the command line replaces the file's code folder; a module does not."""
    toml = 'code = "none"\n'
    assert "'none' does not exist" in usage_error(toml)
    Path("none").mkdir()
    code = str(Path("src").resolve())
    assert shown(toml, "--handler", "src/app.py:main")["PWD"] == code
    assert shown(toml.replace("none", "src"), "--handler", "other.main")["PWD"] == code
    assert shown(toml, "--handler", "app.py:main", "--code", "src")["PWD"] == code
    Path("main.py").write_text(SHOW, encoding="utf-8")
    toml = 'handler = "src/app.py:main"\n[functions.main]\nhandler = "main.main"'
    assert shown(toml)["PWD"] == str(Path.cwd())


@pytest.mark.parametrize("variable", [False, True])
def test_paths_are_relative_to_the_file(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, *, variable: bool
) -> None:
    """A file that is named applies in any folder, and its paths are relative to it."""
    here = tmp_path_factory.mktemp("elsewhere")
    seed = here / "cloud"
    make_seed(seed)
    (here / "lib").mkdir()
    (here / "lib" / "app.py").write_text(SHOW, encoding="utf-8")
    (here / "a.env").write_text("IN_FILE=1", encoding="utf-8")
    for code, handler in (("", "lib/app.py:main"), ("code = 'lib'\n", "app.py:main")):
        (here / "x.toml").write_text(
            f"{code}handler = '{handler}'\nseed = 'cloud'\nenv-file = 'a.env'", encoding="utf-8"
        )
        config = [] if variable else ["--config", str(here / "x.toml")]
        if variable:
            monkeypatch.setenv("SCF_LOCAL_CONFIG", str(here / "x.toml"))
        result = CliRunner().invoke(main, [*config, "invoke", "event.json"])
        found = json.loads(result.stdout)
        assert (found["PWD"], found["IN_FILE"]) == (str(here / "lib"), "1")
        help_text = CliRunner().invoke(main, [*config, "cloud", "--help"]).stdout
        assert f"default: {seed}" in re.sub(r"\s+", " ", help_text).replace("- ", "-")


def test_parent_folders_are_not_searched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the current folder has a file that is read without being named."""
    (folder / "scf-local.toml").write_text("nonsense", encoding="utf-8")
    monkeypatch.chdir("src")
    arguments = ["invoke", "../event.json", "--handler", "app.main"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    ignored = CliRunner().invoke(main, ["--config", os.devnull, *arguments])
    assert ignored.exit_code == 0


def test_every_command_has_its_defaults() -> None:
    """Flags, options with several values and groups of commands get their defaults, too."""
    toml = (
        '[functions.a1]\nhandler = "src/app.py:main"\nendpoint = "http://127.0.0.1:9"\n'
        'region = "ap-tokyo"\nlist = true\nonly = ["event*", "1"]\npart = 7\n'
        'bucket = "b-1250000000"\nkey = "k"\n'
    )
    assert "event.json" in run(toml, "replay", "event.json").stdout
    Path("a.csv").write_text("ImageId,ImageName\nimg-6pb6lrmy,sample\n", encoding="utf-8")
    assert "--part 7 not found" in usage_error(toml, "request", "a.csv")
    record = json.loads(run(toml, "event", "cos").stdout)["Records"][0]
    assert ":default.a1.$" in record["event"]["eventQueue"]
    event = record["cos"]
    assert event["cosBucket"]["cosRegion"] == "ap-tokyo"
    assert event["cosObject"]["key"] == "/1250000000/b/k"


def test_help_shows_what_holds() -> None:
    """The help of a command shows the defaults of the function that is named before."""
    texts = [
        re.sub(r"\s+", " ", run(TWO, "invoke", *arguments, "--help").stdout)
        for arguments in ((), ("--function-name", "thumbnails"))
    ]
    assert [text.count("default: 256") for text in texts] == [0, 1]
    assert [text.count("default: ap-singapore") for text in texts] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("invoke", "event.json"), "has several functions; --function-name must be one of: re"),
        (("replay", "event.json"), "scf-local.toml has several functions; "),
        (
            ("plan", "event.json", "--function-name", "resise"),
            "must be one of: resize, thumbnails",
        ),
        (("invoke", "event.json", "--function-name", "resise"), "; did you mean resize?"),
        (("invoke", "event.json", "--function-name", "a"), "scf-local.toml has no function 'a'; "),
    ],
)
def test_function_must_be_known(arguments: tuple[str, ...], message: str) -> None:
    """With several functions, one must be named, and it must be one of them."""
    assert message in usage_error(TWO, *arguments)


def test_commands_without_a_function_need_no_name() -> None:
    """A command that runs no function has the shared options, whatever functions there are."""
    done = run(TWO, "event", "cos", "--bucket", "b-1250000000", "--key", "k")
    assert json.loads(done.stdout)["Records"][0]["cos"]["cosBucket"]["cosRegion"] == "ap-singapore"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("memroy = 1", "scf-local.toml: 'memroy' is not an option; did you mean memory?"),
        ("dry_run = true", "'dry_run' is not an option; did you mean dry-run?"),
        ("[thumbnails]", "the table of a function is [functions.thumbnails]"),
        (
            "[functions.f1]\ntimeot = 1",
            "scf-local.toml: functions.f1: 'timeot' is not an option; did you mean timeout?",
        ),
        ("[functions.f1]\nfunction-name = 'x'", "functions.f1: 'function-name' is not an option"),
        ("functions = 1", "scf-local.toml: functions must be tables of options"),
        ("[functions]\nf1 = 1", "functions must be tables of options, as [functions.NAME]"),
        ("real = true", "scf-local.toml: --real is for the command line only; remove it"),
        ("[functions.f1]\nyes = true", "functions.f1: --yes is for the command line only"),
        ("config = 'x'", "--config is for the command line only"),
        ("help = true", "'help' is not an option"),
        ("a = 1\nb c", "scf-local.toml: not TOML: Expected "),
        ("a = 1\nb c", "(at line 2, column 3)"),
        ("memory = 'x'", "'--memory': 'x' is not a valid integer range. (scf-local.toml)"),
        ("memory = 256.5", "'--memory': '256.5' is not a valid integer"),
        ("memory = true", "'--memory': 'true' is not a valid integer"),
        ("memory = 1", "'--memory': 1 is not in the range 64<=x<=3072. (scf-local.toml)"),
        ("memory = [64]", "scf-local.toml: memory must be one text or number"),
        ("memory = {a = 64}", "scf-local.toml: memory must be one text or number"),
        ("env = {A = [1]}", "scf-local.toml: env must be a list or table of texts"),
        ("function-name = ['f1']", "scf-local.toml: function-name must be one text or number"),
        ("function-name = ['f1']\n[functions.f1]", "function-name must be one text or number"),
        ("env = [['A=1']]", "scf-local.toml: env must be a list or table of texts"),
        ("watch = 'often'", "'--watch': 'often' is not a valid boolean"),
        ("faults = 'none.json'", "'--faults': File 'none.json' does not exist. (scf-local.toml)"),
        ("code = 'no'", "'--code': Directory 'no' does not exist. (scf-local.toml)"),
        ("env-file = 'no.env'", "'no.env' does not exist. (scf-local.toml)"),
        ("env = ['A']", "'A' is not a variable"),
        ("appid = 'x'", "APPID 'x' must be digits"),
        ("appid = '\\u0661'".replace("'", '"'), "must be digits"),
        ("function-name = '1st'", "'1st' is not a function name"),
        ("function-name = 'a'", "2 to 60 letters"),
        ("function-name = 'ab-'", "end with a letter or digit"),
        (f"function-name = 'a{'b' * 60}'", "2 to 60 letters"),
    ],
)  # fmt: skip
def test_errors_name_what_is_wrong(toml: str, message: str) -> None:
    """What is wrong in the file is a usage error that names the file and what is allowed."""
    assert message in usage_error(toml)


def test_errors_of_the_command_line_do_not_name_the_file() -> None:
    """A wrong value on the command line is not blamed on the file."""
    message = usage_error(ONE, "invoke", "event.json", "--memory", "x")
    assert message == "Invalid value for '--memory': 'x' is not a valid integer range."


def test_file_must_be_text(folder: Path) -> None:
    """A file that is not UTF-8, not a file or not there is a usage error."""
    (folder / "scf-local.toml").write_bytes(b"a = '\xff'")
    result = CliRunner().invoke(main, ["invoke", "event.json"])
    assert (result.exit_code, "scf-local.toml: not UTF-8 at byte 5" in result.stderr) == (2, True)
    for name in ("none.toml", "src"):
        result = CliRunner().invoke(main, ["--config", name, "undo"])
        assert (result.exit_code, f"'{name}'" in result.stderr) == (2, True)
    (folder / "scf-local.toml").unlink()
    (folder / "scf-local.toml").mkdir()
    result = CliRunner().invoke(main, ["invoke", "event.json"])
    assert (result.exit_code, "scf-local.toml: Is a directory" in result.stderr) == (2, True)


def test_real_cloud_ignores_what_is_for_the_emulated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's seed, faults and endpoint give way to --real, its profile needs it."""
    make_seed(Path("seed"))
    Path("faults.json").write_text("[]", encoding="utf-8")
    for name in ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"):
        monkeypatch.setenv(name, "made-up")
    toml = 'handler = "src/app.py:main"\nseed = "seed"\nfaults = "faults.json"\n'
    arguments = ("invoke", "event.json", "--region", "ap-tokyo", "--real", "--yes")
    done = run(toml, *arguments)
    assert json.loads(done.stdout)["TENCENTCLOUD_SECRETID"] == "made-up"
    done = run('handler = "src/app.py:main"\nendpoint = "http://127.0.0.1:9"', *arguments)
    assert "SCF_LOCAL_ENDPOINT" not in json.loads(done.stdout)
    assert "--seed cannot be used with --real" in usage_error(toml, *arguments, "--seed", "seed")
    profile = 'profile = "none-such"\n'
    assert shown(profile + 'handler = "src/app.py:main"')
    assert "none-such" in usage_error(profile, *arguments)
    message = "--profile requires --real"
    assert message in usage_error("", "invoke", "event.json", "--profile", "x")


def test_seed_and_endpoint_replace_each_other(cloud: EmulatedCloud) -> None:
    """--endpoint replaces the file's seed, and --seed and --allow-host its endpoint."""
    make_seed(Path("seed"))
    handler = 'handler = "src/app.py:main"\n'
    endpoint = ("--endpoint", cloud.url)
    assert shown(handler + 'seed = "seed"', *endpoint)["SCF_LOCAL_ENDPOINT"] == cloud.url
    for own in (("--seed", "seed"), ("--allow-host", "db.example.com")):
        found = shown(handler + f'endpoint = "{cloud.url}"', *own)
        assert found["SCF_LOCAL_ENDPOINT"] != cloud.url
        for both in ((*endpoint, *own), (*own, *endpoint)):
            message = usage_error("", "invoke", "event.json", *both)
            assert f"{both[2]} cannot be used with {both[0]}; remove one of them" in message


def test_this_project_is_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a checkout, its own file names its function, code and seed."""
    monkeypatch.chdir(ROOT)
    text = CliRunner().invoke(main, ["invoke", "--help"]).stdout
    assert "default: events/seed" in re.sub(r"\s+", " ", text)
    event = "events/06-direct-dry-run.json"
    done = CliRunner().invoke(main, ["plan", event])
    assert "emulated cloud with events/seed" in done.stdout
    known = CliRunner().invoke(main, ["invoke", event, "--function-name", "image-steward"])
    assert known.exit_code == 0


def _options(command: click.Command) -> Iterator[click.Option]:
    for below in getattr(command, "commands", {}).values():
        yield from _options(below)
    yield from (p for p in command.params if isinstance(p, click.Option))


def test_every_option_can_be_in_the_file() -> None:
    """Each option of a command, except those for the command line only, is known in the file.

    Options of one name take as many values in every command, and their last name is the long one.
    """
    known = {(p.opts[-1], p.multiple) for p in _options(main)}
    names = {name[2:] for name, _ in known if name.startswith("--")}
    assert len(names) == len(known)
    for name in names - {"real", "yes", "config", "version", "help"}:
        result = run(f"{name} = [[1]]", "event", "timer", "--message", "x")
        assert result.exit_code == 0 or f"{name} must be" in result.stderr


def test_example_of_the_page() -> None:
    """The file that the page shows sets what it says."""
    page = (ROOT / "docs/any-function.md").read_text(encoding="utf-8")
    _, block = re.findall(r"```toml\n([\s\S]+?)```", page)
    make_seed(Path("seed"))
    Path(".env").write_text("KEY=k", encoding="utf-8")
    Path("src/app.py").rename("src/thumbnails.py")
    found = shown(block, "--function-name", "thumbnails")
    assert (found["KEY"], found["TABLE"], found["tencentcloud_region"]) == (
        "k",
        "t",
        "ap-singapore",
    )
    assert shown(block)["time_limit_in_ms"] == 30000


ENV = """
# a comment
export PLAIN=one two  # a comment
EMPTY=
QUOTED='$PLAIN "x" # y'
DOUBLE="a\\nb ${PLAIN}"

LINES="1
2"
BOTH=file
"""


def test_variables_of_a_file() -> None:
    """A file's variables are read as other tools do, without replacing $NAME; --env wins."""
    Path("a.env").write_text("\ufeff" + ENV, encoding="utf-8")
    Path("b.env").write_text("EMPTY=b", encoding="utf-8")
    files = ("--env-file", "a.env", "--env-file", "b.env")
    found = shown('handler = "src/app.py:main"', "--env", "BOTH=given", *files)
    expected = {
        "PLAIN": "one two", "EMPTY": "b", "QUOTED": '$PLAIN "x" # y', "DOUBLE": "a\nb ${PLAIN}",
        "LINES": "1\n2", "BOTH": "given",
    }  # fmt: skip
    assert found.items() >= expected.items()


def test_files_of_both_are_read() -> None:
    """--env-file adds to the files that scf-local.toml names, and wins; also for other commands."""
    Path("a.env").write_text("A=1\nB=1", encoding="utf-8")
    Path("b.env").write_text("B=2", encoding="utf-8")
    toml = 'handler = "src/app.py:main"\nenv-file = "a.env"\nenv = ["C=3"]\n'
    found = shown(toml, "--env-file", "b.env")
    assert (found["A"], found["B"], found["C"]) == ("1", "2", "3")
    Path("bad.env").write_text("SCF_X=1", encoding="utf-8")
    for command in ("replay", "plan", "invoke"):
        message = usage_error(toml, command, "event.json", "--env-file", "bad.env")
        assert message.startswith("bad.env:1: SCF_X is reserved")


def test_files_with_variables_are_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --watch, a change of a file with variables, named anywhere, runs the function again."""
    Path("a.env").touch()
    Path("b.env").touch()
    watched: list[Path] = []
    monkeypatch.setattr("scf_local.cli.rerun_on_change", lambda _, *paths: watched.extend(paths))
    shown('env-file = "a.env"\nhandler = "src/app.py:main"', "--watch", "--env-file", "b.env")
    assert watched == [Path("src").resolve(), Path("a.env"), Path("b.env"), Path("event.json")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\n\n# c\n\nB", "a.env:5: 'B' is not a variable; use NAME=VALUE"),
        ("\r\n\r\n1A=1", "a.env:3: '1A' is not a variable"),
        ('A=1\nB="open\n', "a.env:2: not NAME=VALUE; quotes must enclose the whole value"),
        ("A='1' x", "a.env:1: not NAME=VALUE"),
        ("A=1\n=2", "a.env:2: not NAME=VALUE"),
        ("A=1\nTENCENTCLOUD_SECRETID=s3cret", "a.env:2: TENCENTCLOUD_SECRETID is reserved"),
        ("LD_PRELOAD=x", "a.env:1: LD_PRELOAD is reserved"),
        ("A=\0", "a.env:1: A must not contain a NUL character"),
        ("A=" + "x" * 4096, "the variables, with those of a.env, take 4097 bytes; SCF allows 4096"),
    ],
)
def test_errors_name_file_and_line(text: str, message: str) -> None:
    """What SCF would not accept, or cannot be read, is an error with file and line, not skipped."""
    Path("a.env").write_bytes(text.encode())
    found = usage_error("", "invoke", "event.json", "--env-file", "a.env")
    assert found.startswith(message)
    assert "s3cret" not in found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    variables=st.dictionaries(
        st.from_regex(r"X[A-Za-z0-9_]{0,8}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
        max_size=5,
    )
)
def test_any_value_can_be_in_a_file(variables: dict[str, str]) -> None:
    """Each value in single quotes, with quotes and backslashes escaped, arrives as it was."""
    lines = []
    for name, value in variables.items():
        text = value.replace("\\", "\\\\").replace("'", "\\'")
        lines.append(f"{name}='{text}'\n")
    Path("a.env").write_bytes("".join(lines).encode())
    assert parse_variables((), [Path("a.env")]) == variables
