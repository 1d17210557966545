"""serverless.yml: what is valid becomes a deployment, and all else is refused at once."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from scf_deploy import serverless_file
from scf_deploy.code import MAX_BYTES, Code
from scf_deploy.deployment import Deployment
from scf_deploy.errors import InvalidFile
from scf_deploy.serverless_file import Account
from scf_deploy.trigger import Trigger, cos_rule
from scf_local import events

SCHEMA = json.loads((ROOT / "deploy/scf_deploy/serverless.json").read_text(encoding="utf-8"))
MEMBERS = SCHEMA["properties"]["inputs"]["properties"]
HOST = "box-1250000000.cos.ap-guangzhou.myqcloud.com"
OWN = Account("100000000007", "1250000007")
ACCOUNT = Account("100000000001", "1250000000")
"""Whose ids are the placeholders."""
COS = {"bucket": HOST, "events": "cos:ObjectCreated:*", "enable": True}
TIMER = {"name": "nightly", "cronExpression": "0 17 3 * * * *", "enable": True}
INPUTS: dict[str, Any] = {
    "name": "app", "src": "code", "handler": "index.main", "runtime": "Python3.13",
    "region": "ap-guangzhou",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with code, and without a file."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "index.py").write_text("def main(event, context): ...", "utf-8")
    return tmp_path


def write(folder: Path, content: object) -> Path:
    """Write a file, as text or as what YAML makes of it."""
    path = folder / "serverless.yml"
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    path.write_text(text, encoding="utf-8")
    return path


def file_of(**inputs: object) -> dict[str, Any]:
    """Return a valid file with more or other inputs; what is None is left out."""
    every = {name: each for name, each in {**INPUTS, **inputs}.items() if each is not None}
    return {"component": "scf", "inputs": every}


def triggers_of(*triggers: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the member `events` with COS triggers and timers."""
    return [{"cos" if "bucket" in each else "timer": {"parameters": each}} for each in triggers]


def problems(path: Path) -> list[str]:
    """Return what is wrong with a file, each on a line below its path."""
    with pytest.raises(InvalidFile) as caught:
        serverless_file.read(path)
    head, *lines = str(caught.value).split("\n  ")
    assert head == f"{path}:"
    assert len({*lines}) == len(lines)
    return lines


def deployment(
    folder: Path, inputs: Mapping[str, object] | None = None, account: Account = ACCOUNT
) -> Deployment:
    """Return what a valid file asks for, of an account."""
    return serverless_file.read(write(folder, file_of(**(inputs or {})))).deployment(account)


# --- Valid files ---

VALID: list[tuple[str, object, dict[str, object]]] = [
    ("type", "event", {"Type": "Event"}),
    ("description", "does it", {"Description": "does it"}),
    ("role", "app-role", {"Role": "app-role"}),
    ("memorySize", 64, {"MemorySize": 64}),
    ("memorySize", 3072, {"MemorySize": 3072}),
    ("timeout", 900, {"Timeout": 900}),
    ("initTimeout", 3, {"InitTimeout": 3}),
    ("publicAccess", True, {"PublicNetConfig": {"PublicNetStatus": "ENABLE"}}),
    ("publicAccess", False, {"PublicNetConfig": {"PublicNetStatus": "DISABLE"}}),
    ("cls", {"logsetId": "l", "topicId": "t"}, {"ClsLogsetId": "l", "ClsTopicId": "t"}),
    ("environment", {"variables": {}}, {"Environment": {"Variables": []}}),
    ("environment", {"variables": {"A_1": "0"}},
     {"Environment": {"Variables": [{"Key": "A_1", "Value": "0"}]}}),
]  # fmt: skip
"""Members, their values, and the parameters of CreateFunction that they become."""
OTHERS: list[tuple[str, object, dict[str, object]]] = [
    ("name", "i" * 60, {"name": "i" * 60}),
    ("region", "eu-frankfurt", {"region": "eu-frankfurt"}),
    ("namespace", "prod", {"namespace": "prod"}),
    ("retryNum", 0, {"delivery": {"RetryConfig": [{"RetryNum": 0}]}}),
    ("msgTTL", 60, {"delivery": {"MsgTTL": 60}}),
    ("reservedConcurrencyMem", 0, {"reserved_mb": 0}),
    ("events", triggers_of(TIMER),
     {"triggers": (Trigger("timer", "nightly", "0 17 3 * * * *", is_enabled=True),)}),
    ("events", triggers_of({**TIMER, "argument": "now", "enable": False, "qualifier": "$LATEST"}),
     {"triggers": (
         Trigger("timer", "nightly", "0 17 3 * * * *", False, "now", "$LATEST"),  # noqa: FBT003
     )}),
    ("events", triggers_of({**COS, "filter": {"prefix": "in/"}}),
     {"triggers": (
         Trigger("cos", HOST, cos_rule("cos:ObjectCreated:*", "in/", ""), is_enabled=True),
     )}),
]  # fmt: skip
"""Members, their values, and the fields of the deployment that they become."""


def test_least_file(folder: Path) -> None:
    """What a file does not name, its deployment says nothing about."""
    wanted = deployment(folder)
    settings = {"Type": "Event", "Runtime": "Python3.13", "Handler": "index.main"}
    assert wanted == Deployment(
        region="ap-guangzhou", name="app", namespace="default", settings=settings,
        code=Code.of_folder(folder / "code"), triggers=(), trust=wanted.trust,
    )  # fmt: skip
    assert (wanted.role, wanted.policy, wanted.delivery, wanted.reserved_mb) == (
        "",
        None,
        None,
        None,
    )


@pytest.mark.parametrize(("name", "value", "expected"), VALID)
def test_settings(folder: Path, name: str, value: object, expected: dict[str, object]) -> None:
    """Each member becomes its parameters, and nothing else."""
    least = deployment(folder).settings
    assert deployment(folder, {name: value}).settings == {**least, **expected}


@pytest.mark.parametrize(("name", "value", "expected"), OTHERS)
def test_other_members(folder: Path, name: str, value: object, expected: dict[str, object]) -> None:
    """Each member becomes a field of the deployment, and changes no other."""
    least, wanted = deployment(folder), deployment(folder, {name: value})
    assert vars(wanted) == {**vars(least), **expected}


def test_every_member_has_a_test() -> None:
    """No member of `inputs` can be read and then forgotten: each is in a table above."""
    assert {name for name, *_ in (*VALID, *OTHERS)} | {*INPUTS} == {*MEMBERS}


def test_shipped_file(tmp_path: Path) -> None:
    """The project's own file is valid, and names all that it ships."""
    (tmp_path / "deploy").mkdir()
    for name in ("serverless.yml", "deploy/policy.json", "deploy/trust.json"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (code := tmp_path / "build" / "function").mkdir(parents=True)
    (code / "index.py").touch()
    wanted = serverless_file.read(tmp_path / "serverless.yml").deployment(ACCOUNT)
    assert (wanted.role, wanted.buckets) == ("image-steward", ["manifests-1250000000"])
    assert wanted.policy == json.loads((ROOT / "deploy/policy.json").read_text("utf-8"))
    assert (wanted.reserved_mb, wanted.filled_in) == (256, ())


def test_events_are_known() -> None:
    """The events of COS triggers are those that the emulated cloud fires."""
    (event,) = MEMBERS["events"]["items"]["properties"]["cos"]["properties"].values()
    assert {*event["properties"]["events"]["enum"]} < {*events.COS_EVENT_NAMES}


# --- Mistakes ---

WRONG: list[tuple[dict[str, object], list[str]]] = [
    ({"memory": 128}, ['/inputs/memory: unknown member "memory"; did you mean memorySize?']),
    ({"vpcConfig": {}}, ["/inputs/vpcConfig: unknown member", "allowed are name, src,"]),
    ({"layers": []}, ['/inputs/layers: unknown member "layers"']),
    ({"name": None}, ["/inputs: member name is missing"]),
    ({"src": None}, ["/inputs: member src is missing"]),
    ({"handler": None}, ["/inputs: member handler is missing"]),
    ({"runtime": None}, ["/inputs: member runtime is missing"]),
    ({"region": None}, ["/inputs: member region is missing"]),
    ({"name": "a"}, ['/inputs/name: is "a"; must be 2 to 60 letters']),
    ({"name": "app-"}, ['is "app-"; must be', "the last not - or _"]),
    ({"name": "app\n"}, ['is "app\\n"; must be']),
    ({"name": 7}, ["/inputs/name: is a number; must be a string"]),
    ({"src": {"bucket": "box"}}, ["/inputs/src: is an object; must be a string"]),
    ({"type": "web"}, ['/inputs/type: is "web"; must be one of "event"']),
    ({"handler": "main"}, ['/inputs/handler: is "main"; must be file.function']),
    ({"handler": "src/index.main"}, ['is "src/index.main"; must be file.function']),
    ({"runtime": "Python3.9"}, ['is "Python3.9"; must be one of "Python3.10"', "did you mean"]),
    ({"runtime": 3.1}, ["/inputs/runtime: is 3.1; must be one of"]),
    ({"region": "gz"}, ['/inputs/region: is "gz"; must be a region, such as ap-guangzhou']),
    ({"namespace": ""}, ["/inputs/namespace: has 0 characters; at least 1 is required"]),
    ({"description": "x" * 1001}, ["has 1001 characters; at most 1000 are allowed"]),
    ({"role": "qcs::cam::uin/1"}, ["/inputs/role: is", "must be the name of a role"]),
    ({"memorySize": 192}, ["/inputs/memorySize: is 192; must be one of 64, 128, 256"]),
    ({"memorySize": "128"}, ['/inputs/memorySize: is "128"; must be one of 64']),
    ({"timeout": 901}, ["/inputs/timeout: is 901; must be at most 900"]),
    ({"timeout": True}, ["/inputs/timeout: is a boolean; must be an integer"]),
    ({"initTimeout": 2}, ["/inputs/initTimeout: is 2; must be at least 3"]),
    ({"publicAccess": "yes"}, ["/inputs/publicAccess: is a string; must be a boolean"]),
    ({"cls": {"topicId": "t"}}, ["/inputs/cls: member logsetId is missing"]),
    ({"retryNum": 3}, ["/inputs/retryNum: is 3; must be at most 2"]),
    ({"msgTTL": 59}, ["/inputs/msgTTL: is 59; must be at least 60"]),
    ({"reservedConcurrencyMem": -1}, ["is -1; must be at least 0"]),
    ({"environment": {}}, ["/inputs/environment: member variables is missing"]),
    ({"environment": {"variables": {"A": 0}}}, ["/variables/A: is a number; must be a string"]),
    ({"environment": {"variables": {"A": ""}}}, ["/variables/A: has 0 characters"]),
    ({"environment": {"variables": {"A-B": "x"}}}, ['is "A-B"; must be a letter, then letters']),
    ({"environment": {"variables": {"SCF_A": "x"}}}, ['is "SCF_A"', "not begin with SCF_"]),
    ({"environment": {"variables": {"A": "x" * 4094}}},
     ["the environment takes 4,097 bytes; 4,096 are allowed"]),
    ({"environment": {"variables": {"A": "${env:B}", "C": "${env:B}"}}},
     ["${env:B} is a variable; write its value"]),
    ({"events": {}}, ["/inputs/events: is an object; must be an array"]),
    ({"events": [{}]}, ["/inputs/events/0: has 0 members; at least 1 is required"]),
    ({"events": [{"apigw": {}}]}, ['/inputs/events/0/apigw: unknown member "apigw"', "cos, timer"]),
    ({"events": [{"times": {}}]}, ["did you mean timer?"]),
    ({"events": [{"timer": {}}]}, ["/events/0/timer: member parameters is missing"]),
    ({"events": triggers_of({**TIMER, "cron": "x"})}, ["did you mean cronExpression?"]),
    ({"events": triggers_of({**TIMER, "name": "1st"})}, ['/name: is "1st"; must be a letter']),
    ({"events": triggers_of({**TIMER, "enable": 1})}, ["/enable: is a number; must be a boolean"]),
    ({"events": triggers_of({**TIMER, "qualifier": "1"})}, ['is "1"; must be one of "$DEFAULT"']),
    ({"events": triggers_of({**TIMER, "argument": "x" * 4097})},
     ["trigger timer nightly: its argument takes 4,097 bytes; 4,096 are allowed"]),
    ({"events": triggers_of({**TIMER, "cronExpression": "17 3 * * *"})},
     ['is "17 3 * * *"; must be seven fields']),
    ({"events": triggers_of({**TIMER, "cronExpression": "0 60 3 * * * *"})},
     ['trigger timer nightly: cronExpression is "0 60 3 * * * *"; must be a cron expression']),
    ({"events": triggers_of({**TIMER, "cronExpression": "0 0 0 30 2 * *"})},
     ["trigger timer nightly: cronExpression 0 0 0 30 2 * * is never due"]),
    ({"events": triggers_of(TIMER, {**TIMER, "enable": False})},
     ["trigger timer nightly: given twice"]),
    ({"events": triggers_of({**COS, "bucket": "box-1250000000"})}, ["must be the bucket's host"]),
    ({"events": triggers_of({**COS, "events": "cos:ObjectCreated:put"})},
     ["did you mean cos:ObjectCreated:Put?"]),
    ({"events": triggers_of({**COS, "bucket": HOST.replace("guangzhou", "beijing")})},
     ["trigger cos box-1250000000", "is not in the function's region, ap-guangzhou"]),
    ({"events": triggers_of({**COS, "filter": {"suffix": "json"}})},
     ['/filter/suffix: is "json"; must be empty, or begin with a dot']),
    ({"events": triggers_of({**COS, "filter": {"Prefix": "in/"}})}, ["did you mean prefix?"]),
]  # fmt: skip
"""Inputs with one mistake, and parts of the one line that tells of it."""


@pytest.mark.parametrize(("inputs", "parts"), WRONG)
def test_mistake(folder: Path, inputs: dict[str, object], parts: list[str]) -> None:
    """A mistake is one line, with what was given and what is allowed."""
    (line,) = problems(write(folder, file_of(**inputs)))
    assert [part for part in parts if part not in line] == []


def test_all_mistakes_at_once(folder: Path) -> None:
    """Two mistakes of any kind, in different members, are both told."""
    told: dict[str, tuple[dict[str, object], list[str]]] = {}
    for inputs, parts in WRONG:
        told |= dict.fromkeys(inputs, (inputs, parts))
    every = {name: each for inputs, _ in told.values() for name, each in inputs.items()}
    lines = problems(write(folder, file_of(**every)))
    missing = [parts for _, parts in told.values() if not any(parts[0] in line for line in lines)]
    assert missing == []


def test_mistakes_of_several_triggers(folder: Path) -> None:
    """Mistakes of the form are listed together, then those of what the file says."""
    wrong = {**COS, "enable": "on"}, {**TIMER, "name": "1st"}
    first, second = problems(write(folder, file_of(events=triggers_of(*wrong))))
    assert first.startswith("/inputs/events/0/cos/parameters/enable: is a string")
    assert second.startswith("/inputs/events/1/timer/parameters/name: is")
    late = {**TIMER, "cronExpression": "99 * * * * * *"}
    far = {**COS, "bucket": HOST.replace("guangzhou", "beijing")}
    first, second = problems(write(folder, file_of(events=triggers_of(late, far))))
    assert first.startswith("trigger timer nightly: cronExpression is")
    assert second.endswith("is not in the function's region, ap-guangzhou")


CREATED = "cos:ObjectCreated:*"
RULES: list[tuple[tuple[str, str, str], tuple[str, str, str], bool]] = [
    ((CREATED, "", ""), (CREATED, "", ""), True),
    ((CREATED, "in/", ""), (CREATED, "in/a/", ".json"), True),
    ((CREATED, "in/", ".json"), (CREATED, "in/", ".yml"), False),
    ((CREATED, "in/", ""), (CREATED, "out/", ""), False),
    ((CREATED, "in/", ""), ("cos:ObjectCreated:Put", "in/", ""), True),
    ((CREATED, "in/", ""), ("cos:ObjectRemove:*", "in/", ""), False),
]


@pytest.mark.parametrize("is_enabled", [True, False])
@pytest.mark.parametrize(("one", "other", "is_refused"), RULES)
def test_rules_of_a_bucket(
    folder: Path,
    one: tuple[str, str, str],
    other: tuple[str, str, str],
    is_refused: bool,  # noqa: FBT001 - a table's column
    is_enabled: bool,  # noqa: FBT001 - the same
) -> None:
    """Rules of a bucket may not fire for the same object, even if one is off; COS refuses them."""
    both = [
        {**COS, "events": event, "filter": {"prefix": prefix, "suffix": suffix}, "enable": switch}
        for (event, prefix, suffix), switch in ((one, True), (other, is_enabled))
    ]
    path = write(folder, file_of(events=triggers_of(*both)))
    if not is_refused:
        assert len(serverless_file.read(path).deployment(ACCOUNT).triggers) == 2
        return
    (line,) = problems(path)
    assert line.startswith(f"trigger cos box-1250000000: {cos_rule(*one)} and {cos_rule(*other)} ")


BROKEN: list[tuple[str, list[str]]] = [
    ("", ["is null; must be an object"]),
    ("- scf", ["is an array; must be an object"]),
    ("component: multi-scf\ninputs: {}", ['/component: is "multi-scf"; must be one of "scf"']),
    ("inputs: {}", ["member component is missing"]),
    ("component: scf", ["member inputs is missing"]),
    ("component: scf\ninputs: text", ["/inputs: is a string; must be an object"]),
    ("component: scf\nsrc: x", ['/src: unknown member "src"']),
    ("component: scf\ninputs:\n  timeout: 3\n  timeout: 3", ["line 3: timeout is given twice"]),
    ("component: scf\ninputs:\n  on: 3", ["line 3: on is no text; put it into quotes"]),
    ("component: scf\ninputs: {description: 2026-11-27, timeout: 0}", ["/inputs/timeout: is 0"]),
    ("component: ${stage}", ["${stage} is a variable; write its value"]),
]


@pytest.mark.parametrize(("text", "parts"), BROKEN)
def test_broken_file(folder: Path, text: str, parts: list[str]) -> None:
    """Another component, a member given twice, or names that are no texts are told."""
    lines = problems(write(folder, text))
    assert [part for part in parts if not any(line.startswith(part) for line in lines)] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "not YAML: line 1: expected the node content"),
     ("a: 1\n---\nb: 1", "not YAML: line 2: but found another document"),
     ("!!python/name:os.system", "not YAML: line 1: could not determine a constructor"),
     ("a: &a [*a]", "Circular reference detected"),
     ("[" * 1200, "recursion"), ("a: \x01", "unacceptable character #x0001")],
)  # fmt: skip
def test_not_yaml(folder: Path, text: str, message: str) -> None:
    """What YAML cannot read is refused with its line, and nothing in it is run."""
    with pytest.raises(InvalidFile) as caught:
        serverless_file.read(write(folder, text))
    assert str(caught.value).startswith(f"{folder}/serverless.yml: ")
    assert message in str(caught.value)


def test_values_as_written(folder: Path) -> None:
    """A date is a text as it is written; what no JSON has is refused."""
    text = yaml.safe_dump(file_of()) + "  environment: {variables: {DAY: 2001-12-14T21:59:43.1Z}}\n"
    settings = serverless_file.read(write(folder, text)).deployment(ACCOUNT).settings
    assert settings["Environment"]["Variables"][0]["Value"] == "2001-12-14T21:59:43.1Z"
    with pytest.raises(InvalidFile):
        serverless_file.read(write(folder, text.replace("2001-12-14T21:59:43.1Z", "!!binary aGk=")))


def test_billion_laughs(folder: Path) -> None:
    """A file whose aliases would fill the memory is refused."""
    lines = [
        "a0: &a0 [x, x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)),
    ]
    with pytest.raises(InvalidFile, match="aliases"):
        serverless_file.read(write(folder, "\n".join(lines)))


def test_no_file(folder: Path) -> None:
    """A file that is not there, or not UTF-8, is named with the reason."""
    path = folder / "serverless.yml"
    with pytest.raises(InvalidFile, match=r"serverless\.yml: No such file or directory$"):
        serverless_file.read(path)
    path.write_bytes(b"name: \xff")
    with pytest.raises(InvalidFile, match="can't decode byte 0xff"):
        serverless_file.read(path)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["component", "inputs", "events", "cos", "timer", "parameters", *MEMBERS]),
        inner, max_size=6),
    max_leaves=12,
))  # fmt: skip
def test_any_content_is_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory,
    content: Any,  # noqa: ANN401 - whatever YAML has
) -> None:
    """Whatever a file has, reading it says what is wrong; it never fails otherwise."""
    folder = tmp_path_factory.getbasetemp()
    for each in (content, {"component": "scf", "inputs": content}, file_of(events=content)):
        with suppress(InvalidFile):
            serverless_file.read(write(folder, each))


# --- Code ---


def zipped(*names: str, content: bytes = b"") -> bytes:
    """Return a zip file with files of the same content."""
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name in names:
                archive.writestr(name, content)
        return file.getvalue()


CODES: list[tuple[tuple[str, ...], list[str]]] = [
    (("index.py",), []),
    (("index/__init__.py",), []),
    (("index.cpython-313-x86_64-linux-gnu.so",), []),
    (("index.py", "__pycache__/index.cpython-313.opt-1.pyc"), []),
    (("main.py",), ["the code has no index.py for index.main"]),
    (("sub/index.py", "index.pyi"), ["the code has no index.py for index.main"]),
    (("index.py", "__pycache__/index.cpython-310.pyc"),
     ["the code is compiled for Python 3.10, not for Python3.13; build it again"]),
    (("index.py", "x.cpython-39-darwin.so", "y.cpython-312.pyc"),
     ["the code is compiled for Python 3.12, 3.9, not for Python3.13; build it again"]),
]  # fmt: skip
"""Names of files, and what is wrong."""


@pytest.mark.parametrize(("names", "expected"), CODES)
def test_code(folder: Path, names: tuple[str, ...], expected: list[str]) -> None:
    """The handler's module must be there, and what is compiled must be for the runtime."""
    (folder / "app.zip").write_bytes(zipped(*names))
    path = write(folder, file_of(src="app.zip"))
    if expected:
        assert problems(path) == expected
    else:
        assert {*serverless_file.read(path).code.files} == {*names}


def test_code_is_too_large(folder: Path) -> None:
    """Code that a call has no room for is refused with both sizes."""
    (folder / "code" / "data").write_bytes(os.urandom(MAX_BYTES))
    (line,) = problems(write(folder, file_of()))
    assert line == "the code takes more than 7.5 MB as a zip file: too much"
    (folder / "code" / "index.py").rename(folder / "code" / "zzz.py")
    assert problems(folder / "serverless.yml") == [line]


def test_large_folder_is_not_read_to_its_end(folder: Path) -> None:
    """Of a folder such as `/`, no more is read than a call has room for."""
    (folder / "code" / "data").write_bytes(os.urandom(MAX_BYTES))
    (folder / "code" / "late").mkdir()
    (folder / "code" / "late" / "file").symlink_to("/proc/self/mem")
    assert "more than 7.5 MB" in problems(write(folder, file_of()))[0]


@pytest.mark.parametrize("src", ["/dev/zero", "pipe"])
def test_code_without_end(folder: Path, src: str) -> None:
    """What is no regular file is refused without being read."""
    os.mkfifo(folder / "pipe")
    (line,) = problems(write(folder, file_of(src=src)))
    assert "no folder or zip to read" in line


def test_code_that_would_be_lost(folder: Path) -> None:
    """A link to a folder is refused, since what is in it would not be in the zip file."""
    (folder / "other").mkdir()
    (folder / "other" / "module.py").touch()
    (folder / "code" / "package").symlink_to(folder / "other")
    (line,) = problems(write(folder, file_of()))
    assert "package is a link to a folder" in line


def test_unreadable_code(folder: Path) -> None:
    """A file of the code that cannot be read is told with the reason."""
    (folder / "code" / "late").symlink_to("/proc/self/mem")
    (line,) = problems(write(folder, file_of()))
    assert line.endswith("Input/output error")


def test_code_of_the_same_checksum() -> None:
    """Code that was made to have the CRC and size of other code is other code."""
    one, two = (Code(zipped("index.py", content=each)) for each in (b"plumless", b"buckeroo"))
    assert [*one.files] == [*two.files]
    assert one.changed_files(two) == ["index.py"]


@pytest.mark.parametrize("src", ["absent", "code/index.py", "absent.zip"])
def test_no_code(folder: Path, src: str) -> None:
    """A `src` that is neither a folder nor a zip file is named."""
    (line,) = problems(write(folder, file_of(src=src)))
    told = f"/inputs/src: {folder}/{src}: no folder or zip to read; is it built (make bundle)? "
    assert line.startswith(told)


def test_same_code_is_the_same_zip(folder: Path) -> None:
    """Neither times nor rights of files are in the zip, so that the same code needs no call."""
    before = Code.of_folder(folder / "code")
    os.utime(folder / "code" / "index.py", (1, 1))
    (folder / "code" / "index.py").chmod(0o700)
    assert Code.of_folder(folder / "code") == before
    (folder / "code" / "more.py").touch()
    after = Code.of_folder(folder / "code")
    assert (before.changed_files(after), before.changed_files(before)) == (["more.py"], [])


def test_hash_of_code() -> None:
    """The hash that SCF returns is recognised in hex and in base64, and no other is."""
    code = Code(b"zip")
    digest = hashlib.sha256(b"zip").digest()
    assert all(map(code.has_hash, (digest.hex(), digest.hex().upper(), b64encode(digest).decode())))
    assert not any(map(code.has_hash, ("", "0" * 64, code.sha256[:12])))


# --- Placeholders and policies ---


def policy(region: str = "ap-guangzhou") -> dict[str, Any]:
    """Return a policy with placeholders."""
    resources = [f"qcs::cos:{region}:uid/1250000000:box-1250000000/*"]
    resources.append("qcs::cvm::uin/100000000001:image/*")
    allow = {"effect": "allow", "action": "name/cos:GetObject", "resource": resources}
    return {"version": "2.0", "statement": [allow]}


TRUST = {
    "version": "2.0",
    "statement": [
        {
            "effect": "allow",
            "action": ["name/sts:AssumeRole"],
            "principal": {"qcs": ["qcs::cam::uin/100000000001:root"]},
        },
    ],
}


def put_policies(folder: Path, **documents: object) -> None:
    """Write deploy/policy.json or deploy/trust.json, as text or as JSON."""
    (folder / "deploy").mkdir(exist_ok=True)
    for name, document in documents.items():
        text = document if isinstance(document, str) else json.dumps(document)
        (folder / "deploy" / f"{name}.json").write_text(text, encoding="utf-8")


def test_placeholders(folder: Path) -> None:
    """The account's ids take the place of placeholders, in the file and in both policies."""
    put_policies(folder, policy=policy(), trust=TRUST)
    variables = {"BOX": "box-1250000000/in", "UIN": "100000000001", "OTHER": "12500000001"}
    variables["NOTE"] = "箱1250000000"
    inputs = {"role": "app", "environment": {"variables": variables}, "events": triggers_of(COS)}
    wanted = deployment(folder, inputs, OWN)
    assert wanted.buckets == ["box-1250000007"]
    pairs = {each["Key"]: each["Value"] for each in wanted.settings["Environment"]["Variables"]}
    assert pairs == {
        **variables,
        "BOX": "box-1250000007/in",
        "UIN": "100000000007",
        "NOTE": "箱1250000007",
    }
    for document in (wanted.policy, wanted.trust):
        assert "uin/100000000007" in str(document)
        assert not any(placeholder in str(document) for placeholder in ("1250000000", "00001"))
    assert wanted.filled_in == ("APPID 1250000007", "uin 100000000007")


def test_nothing_is_filled_in_for_real_ids(folder: Path) -> None:
    """A file with the account's own ids stays as it is, and only what was filled in is told."""
    own = triggers_of({**COS, "bucket": HOST.replace("1250000000", "1250000007")})
    wanted = deployment(folder, {"events": own}, OWN)
    assert (wanted.buckets, wanted.filled_in) == (["box-1250000007"], ())
    write(folder, "# 1250000000, 100000000001\n" + yaml.safe_dump(file_of()))
    file = serverless_file.read(folder / "serverless.yml")
    assert file.deployment(OWN).filled_in == ()
    put_policies(folder, policy=policy(""))
    assert deployment(folder, {"role": "app"}, OWN).filled_in == (
        "APPID 1250000007", "uin 100000000007",
    )  # fmt: skip


def test_bucket_of_another_account(folder: Path) -> None:
    """A bucket with another APPID is refused, with the caller's own."""
    hosts = [HOST.replace("1250000000", "1250000008"), HOST.replace("box", "bag")]
    events = triggers_of(*({**COS, "bucket": host} for host in hosts))
    file = serverless_file.read(write(folder, file_of(events=events)))
    with pytest.raises(InvalidFile) as caught:
        file.deployment(OWN)
    (line,) = str(caught.value).split("\n  ")[1:]
    known = "box-1250000008 is not your account's, whose APPID is 1250000007"
    assert line == f"{known}; did you mean box-1250000007?"


POLICIES: list[tuple[dict[str, object], str | None, str]] = [
    ({"policy": policy("ap-beijing")}, "app",
     "deploy/policy.json names buckets in ap-beijing; the function is in ap-guangzhou"),
    ({"policy": policy()}, None, "deploy/policy.json is for no role; name one: /inputs/role"),
    ({"trust": TRUST}, "app",
     "deploy/trust.json is for no role, since there is no deploy/policy.json"),
    ({"policy": "{"}, "app", "{folder}/deploy/policy.json: not JSON: "),
    ({"policy": "[]"}, "app", "{folder}/deploy/policy.json: is an array; must be an object"),
    ({"policy": {"version": "2.0", "statement": ["x"]}}, "app",
     "{folder}/deploy/policy.json: /statement/0: is a string; must be an object"),
    ({"policy": policy(), "trust": {"version": "2.0"}}, "app",
     "{folder}/deploy/trust.json: member statement is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("documents", "role", "message"), POLICIES)
def test_policies(
    folder: Path, documents: dict[str, object], role: str | None, message: str
) -> None:
    """A policy that is none, or that nothing would use, is refused."""
    put_policies(folder, **documents)
    (line,) = problems(write(folder, file_of(role=role)))
    assert line.startswith(message.format(folder=folder))


def test_default_trust(folder: Path) -> None:
    """Without deploy/trust.json, SCF may assume the role."""
    put_policies(folder, policy=policy())
    trust = deployment(folder, {"role": "app"}).trust
    assert trust["statement"]["principal"] == {"service": "scf.qcloud.com"}
