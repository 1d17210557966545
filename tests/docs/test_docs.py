"""The pages are correct: commands are run, outputs compared, names looked up."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from conftest import ROOT
from image_steward import errors, registry
from image_steward.documents import naming_policy
from image_steward.naming.fields import FIELDS
from image_steward.naming.patterns import Pattern
from image_steward.naming.templates import DIRECTIVES
from region import image
from scf_local.cli import main
from scf_local.cloud.faults import Faults
from scf_local.cloud.seed import read_images

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )
}
COOKBOOK, POLICIES = PAGES["docs/cookbook.md"], PAGES["docs/policies.md"]
BIN = Path(sys.executable).parent
SESSIONS = [
    (page, command, output)
    for page, text in PAGES.items()
    for command, output in re.findall(r"```console\n\$ (.+)\n([\s\S]*?)```", text)
]
"""`UPDATE_GOLDEN=1 pytest tests/docs/test_docs.py` renews the outputs that have no … in them."""

BLOCKS = [
    (page, block)
    for page, text in PAGES.items()
    for block in re.findall(r"```json\n([\s\S]*?)```", text)
]
EXAMPLES = dict.fromkeys(
    re.findall(r"^ {4}(scf-local .+)$", PAGES["docs/scf-local.md"], re.MULTILINE)
)
"""The examples in the help texts."""

LINKS = [
    (page, target)
    for page, text in PAGES.items()
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text)
]


@pytest.mark.parametrize(("page", "command", "output"), SESSIONS, ids=[c for _, c, _ in SESSIONS])
def test_output_of_commands(page: str, command: str, output: str) -> None:
    """Each command on a page prints the output on the page; … matches anything."""
    run = subprocess.run(  # noqa: S602 - the pages' own commands, pipes among them
        command.replace("make replay", "scf-local replay events"),
        shell=True,
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "80" if command.endswith("--help") else "140",
            # The help is for functions of other people, in whose folders it shows no such defaults.
            **({"SCF_LOCAL_CONFIG": os.devnull} if command.endswith("--help") else {}),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    if "UPDATE_GOLDEN" in os.environ and "…" not in output:
        text = (ROOT / page).read_text(encoding="utf-8")
        text = text.replace(f"$ {command}\n{output}```", f"$ {command}\n{run.stdout}```")
        (ROOT / page).write_text(text, encoding="utf-8")
        output = run.stdout
    pattern = re.escape(output).replace("…", r"[\s\S]*?")
    assert re.fullmatch(pattern, run.stdout)


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=range(len(BLOCKS)))
def test_documents_are_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], page: str, block: str
) -> None:
    """Each document on a page is accepted by the function, or as faults or a seed."""
    if page == "docs/faults.md":
        path = tmp_path / "faults.json"
        path.write_text(block, encoding="utf-8")
        assert Faults.from_file(path).rules
    elif page == "docs/seeds.md":
        assert read_images(block.encode(), page, "ap-guangzhou")
        assert not capsys.readouterr().err
    else:
        registry.read(block.encode(), region="ap-guangzhou")  # raises if it is rejected


@pytest.mark.parametrize(("page", "target"), LINKS, ids=[f"{p} {t}" for p, t in LINKS])
def test_links(page: str, target: str) -> None:
    """Each relative link leads to an existing file, and to a heading in it."""
    file, _, anchor = target.partition("#")
    path = (ROOT / page).parent / file if file else ROOT / page
    assert path.exists()
    if anchor:
        headings = re.findall(r"^#+ (.+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


def test_every_command_has_its_help() -> None:
    """The page on scf-local has the help of every command and group."""

    def names(command: click.Command, name: str) -> set[str]:
        below = command.commands if isinstance(command, click.Group) else {}
        return {name}.union(*(names(each, f"{name} {sub}") for sub, each in below.items()))

    shown = {command for page, command, _ in SESSIONS if page == "docs/scf-local.md"}
    assert shown >= {f"{name} --help" for name in names(main, "scf-local")}


@pytest.fixture
def files_of_examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample events, and with the files that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "src").mkdir()
    (folder / "src" / "app.py").write_text("def main(event, context): return event\n")
    for name, target in {
        "events": "events",
        "event.json": "events/06-direct-dry-run.json",
        "policy.json": "docs/policies/clean-up.json",
        "fixed": "handler",
        "manifests-1250000000": "events/seed/objects/manifests-1250000000",
    }.items():
        (folder / name).symlink_to(ROOT / target)
    shutil.copytree(ROOT / "events/seed", folder / "seed")
    reply = {"ImageSet": [{"ImageId": "img-6pb6lrmy"}]}
    (folder / "reply.json").write_text(json.dumps(reply), encoding="utf-8")
    (folder / "plan.csv").write_text("ImageId,ImageName\nimg-6pb6lrmy,sample\n")
    export = (ROOT / "events/logs/export.jsonl").read_text(encoding="utf-8")
    (folder / "export.jsonl").write_text(export.replace("ee34cf80", "4f9c2d1e"), encoding="utf-8")
    (folder / "run.log").write_text(re.sub(r"4a700e30-[\w-]+", "ID", export), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "example", [each for each in EXAMPLES if "--real" not in each and "--debug" not in each]
)
def test_examples_of_help_work(files_of_examples: Path, example: str) -> None:
    """Each example in a help text runs as printed, except on the real cloud and at a terminal."""
    endless = {"--watch": "watching for changes", "scf-local cloud": "export TENCENTCLOUD_TOKEN"}
    ready = next((line for part, line in endless.items() if part in example), None)
    with subprocess.Popen(  # noqa: S602 - our own commands, pipes among them
        f"exec {example}" if ready else example,
        shell=True,
        cwd=files_of_examples,
        env={
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "SCF_LOCAL_CONFIG": str(ROOT / "scf-local.toml"),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        if ready:
            assert any(ready in line for line in process.stdout)
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode in ({0, 128 + signal.SIGINT} if ready else {0}), output


def test_cookbook_shows_the_files() -> None:
    """Each policy in the cookbook is the file whose plan follows, and none is missing."""
    shown = re.findall(
        r"```json\n([\s\S]*?)```\n\n```console\n\$ scf-local plan docs/policies/(\S+) --seed",
        COOKBOOK,
    )
    files = {path.name: path for path in (ROOT / "docs/policies").glob("*.json")}
    del files["images.json"]
    assert {name for _, name in shown} == files.keys()
    assert all(files[name].read_text(encoding="utf-8") == block for block, name in shown)
    assert COOKBOOK.count("```json") == len(shown)


def test_every_member_of_policies_is_documented() -> None:
    """The table of members has those of the schema, with their allowed values."""
    path = ROOT / "handler/image_steward/documents/schemas/naming-policy.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    members = schema["properties"]["Normalise"]["properties"]
    objects = {name: members[name] for name in ("Style", "Retire")} | schema["$defs"]
    inner = {
        f"{name}.{each}"
        for name in ("Select", "Style", "Retire")
        for each in objects[name]["properties"]
    }
    table = POLICIES[POLICIES.index("### Members") : POLICIES.index("### Templates")]
    rows = re.findall(r"^\| ((?:`[A-Z]\w+(?:\.\w+)?`(?:, )?)+) \| (.*)", table, re.MULTILINE)
    found = {name: row for names, row in rows for name in re.findall(r"`(.+?)`", names)}
    assert found.keys() | {"Style"} == members.keys() | inner
    assert found["MaxChanges"].startswith(f"{naming_policy.MAX_CHANGES} |")
    choices = {
        "Style.Case": members["Style"]["properties"]["Case"],
        "Style.Separator": members["Style"]["properties"]["Separator"],
        "Style.Charset": members["Style"]["properties"]["Charset"],
        "OnConflict": members["OnConflict"],
    }
    for name, choice in choices.items():
        row = found[name].replace("a space", "` `")
        assert all(f"`{value}`" in row for value in choice["enum"])


def test_every_rule_of_derive_is_documented() -> None:
    """The table of rules has those of the schema, and says which need `As`."""
    path = ROOT / "handler/image_steward/documents/schemas/naming-policy.json"
    members = json.loads(path.read_text(encoding="utf-8"))["properties"]["Normalise"]["properties"]
    table = POLICIES[POLICIES.index("## Deriving fields") : POLICIES.index("### Patterns")]
    rows = dict(re.findall(r"^\| `(\w+)` \| (?:`(As)` )?\|", table, re.MULTILINE))
    assert rows.keys() == members["Derive"]["items"]["properties"].keys() - {"From", "As"}
    assert rows == {"Replace": "As", "Map": "As", "Parse": ""}


def test_patterns_match_their_examples() -> None:
    """Each pattern in the table matches the examples beside it."""
    table = POLICIES[POLICIES.index("| In a pattern") : POLICIES.index("### An example")]
    rows = re.findall(r"^\| `(\{\w+(?::.+?)?\})` \|.+\| (`.+`) \|$", table, re.MULTILINE)
    assert {pattern.partition(":")[2] for pattern, _ in rows} == {
        "", "word}", "digits}", "version}", "%Y%m%d}"
    }  # fmt: skip
    for pattern, examples in rows:
        for text in re.findall("`(.+?)`", examples):
            assert Pattern.parse(pattern).match(text)


def test_steps_of_the_example_yield_the_fields_beside_them() -> None:
    """The steps of the example of Derive make the fields and the name that the page shows."""
    example = POLICIES[POLICIES.index("### An example") : POLICIES.index("## Stable")]
    (old,) = re.findall("The name is `(.+)`:", example)
    steps = [json.loads(step) for step in re.findall(r"^\| `(\{.+\})` \|", example, re.MULTILINE)]
    template, name = re.findall("the template `(.+)` yields `(.+)`", example)[0]
    policy = naming_policy.read({"Normalise": {"Derive": steps, "ImageName": template}}, "ap-x")
    values = policy.values("ap-x", image("img-00000001", old))
    shown = dict(re.findall(r"`(\w+)` is `(.+?)`", example))
    assert shown == {field: values[field] for field in ("clean", "app", "version", "owner")}
    assert values["built"] == "2023-05-03T00:00:00Z"
    assert policy.templates["ImageName"].render(values) == name


def test_every_field_is_documented() -> None:
    """The page on policies has exactly the fields and time directives of templates."""
    table = POLICIES[POLICIES.index("| In a template") : POLICIES.index("### Names")]
    named = set(re.findall(r"\{([A-Z]\w+)", table))
    assert named == {
        *FIELDS.names,
        *(each.rstrip(".") for each in FIELDS.prefixes),
    }
    directives = table[table.index("| Directive") :]
    assert set(re.findall(r"`%(.)`", directives)) == {*DIRECTIVES, "%"}


def test_every_setting_is_documented() -> None:
    """The table of settings has exactly the settings that exist."""
    source = (ROOT / "handler/image_steward/settings.py").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(STEWARD_\w+)`", PAGES["docs/settings.md"], re.MULTILINE)) == set(
        re.findall(r'"(STEWARD_\w+)": (?:_|partial)', source)
    )


def test_every_rejection_is_documented() -> None:
    """The page on results has every code of a rejection."""
    codes = {cls.code for cls in errors.Rejection.__subclasses__()}
    (listed,) = re.findall(r"Rejection codes: ([\s\S]+?)\.\n", PAGES["docs/results.md"])
    assert set(re.findall(r"`(\w+)`", listed)) == codes


def test_readme_is_short() -> None:
    """The README has at most 150 lines, and the table of contents links to every page in docs/."""
    assert len(PAGES["README.md"].splitlines()) <= 150
    contents = {target for page, target in LINKS if page == "docs/README.md"}
    assert contents >= {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_changelog_has_the_version() -> None:
    """The version in pyproject.toml has a section in the changelog."""
    (version,) = re.findall(
        r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert f"\n## [{version}] - " in (ROOT / "CHANGELOG.md").read_text()
