"""Random scenarios of whole runs: no claim of the function is ever false.

`HYPOTHESIS_PROFILE=thorough pytest tests/function/test_simulation.py` plays 50,000.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import requests

from image_steward import invocation
from image_steward.errors import Unfinished
from image_steward.model import values_in
from image_steward.naming.temporary import is_temporary
from region import in_any_order
from scenarios import document, images_of, naming_policy
from scf_local.undo import merged
from simulation import BUCKET, Luck, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from image_steward.reporting.undo import Entry
    from simulation import Change, ImageKey, Run

pytestmark = pytest.mark.no_cover

SCENARIOS = {"thorough": 50_000, "brief": 200}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 2_000)
BATCHES = 16
CLAIMS = {"image.changed", "image.failed", "image.pending"}
CALM = Luck()
UNLUCKY_DELIVERIES = 3
DELIVERIES = 8


def luck_of(random: Random) -> Luck:
    """Some things go wrong, others do not."""
    hazards = {name: 0.08 for name in Luck.__dataclass_fields__ if random.random() < 0.25}
    if "lag" in hazards:
        hazards["lag"] = 4.0
    return Luck(**hazards)


class Scenario:
    """One event, delivered until SCF would stop, and what is to be said of that.

    `before` is what the event's document undoes or applies: the result of an earlier run.
    """

    def __init__(self, seed: int, before: str = "") -> None:
        self.random = random = Random(seed)  # noqa: S311 - no secret
        images = images_of(random)
        self.world = World(random, CALM, images)
        self.document = document(random, images)
        if before:
            self._prepare(before)
        self.world.others = [document(random, images)]
        self.runs: list[Run] = []

    def _prepare(self, before: str) -> None:
        world = self.world
        world.all_ready()
        for body in (self.document, self.document.get("Normalise")):
            if body is not None:
                body.pop("DryRun", None)
        dry_run = "1" if before == "Apply" else "0"
        result = world.run(self.document, STEWARD_DRY_RUN=dry_run).result or {}
        if images := result.get(before, {}).get("Images"):
            self.document = {"Images": images}
        world.begin()

    def play(self) -> None:
        """Deliver the event again and again; in the end nothing goes wrong any more."""
        world = self.world
        trigger = self.random.choice(["direct", "timer", "cos", "pointer"])
        event = world.event_of(self.document, trigger)
        world.luck = self.luck = luck_of(self.random)
        instance = world.instance()
        for delivery in range(DELIVERIES):
            if delivery == UNLUCKY_DELIVERIES:
                world.luck = CALM
                world.all_ready()
            run = world.run(event, instance)
            self.runs.append(run)
            if run.crashed or self.random.random() < 0.3:
                instance = world.instance()
            if run.result is not None:
                break

    def anomalies(self) -> Iterator[str]:
        """What the function said or did, and should not have."""
        for run in self.runs:
            if run.error is not None and not isinstance(run.error, Unfinished):
                yield f"{run.request_id} raised {run.error!r}"
            yield from self._claims(run)
            yield from self._journaled(run)
        last = self.runs[-1]
        if last.result is None:
            yield f"never done: {last.error}"
            return
        yield from self._result(last.result)
        if self.document.get("DryRun") and any(c.writer in self._ids for c in self._changes()):
            yield "a dry run wrote"
        if not self._is_shared:
            yield from self._expected()
            yield from self._names()
            yield from self._undone()

    @property
    def _ids(self) -> set[str]:
        return {run.request_id for run in self.runs}

    @property
    def _is_shared(self) -> bool:
        """Whether somebody else wrote in between."""
        return self.luck.foreign > 0 or self.luck.second > 0

    def _changes(self) -> Iterator[Change]:
        for each in self.world.changes.values():
            yield from each

    def _result(self, result: dict[str, Any]) -> Iterator[str]:
        if result["Outcome"] == "rejected" and not result["Errors"]:
            yield "rejected without a reason"
        keys = [(each["Region"], each["ImageId"]) for each in result["Images"]]
        if len(keys) != len(set(keys)):
            yield "an image stands twice"
        statuses = {each["Status"] for each in result["Images"]}
        codes = {each.get("Code") for each in result["Images"]}
        if "pending" in statuses and "Stopped" not in codes:
            yield "pending, and returned"
        now = self.world.values()
        for each in result["Images"] if not self._is_shared else ():
            if each["Status"] == "changed":
                state = now[each["Region"], each["ImageId"]]
                for name, value in _flat(each["After"]).items():
                    if state.get(name) != value:
                        yield f"{each['ImageId']} is said to have {name} = {value!r}"

    def _claims(self, run: Run) -> Iterator[str]:
        """The log lines of a run against what it did."""
        said: dict[ImageKey, set[str]] = defaultdict(set)
        for line in run.lines:
            if line["Event"] not in CLAIMS:
                continue
            key = (line["Region"], line["ImageId"])
            after = _flat(line["After"])
            if line["Event"] == "image.pending":  # nobody may know yet what has been done
                said[key] |= {name for c in self.world.changes[key] for name in c.values}
            said[key] |= after.keys() | _flat(line["Before"]).keys()
            for name, value in after.items():
                values = [c.values[name] for c in self.world.changes[key] if name in c.values]
                if value not in values and self.world.initial[key].get(name) != value:
                    yield f"{line['Event']} {key} claims {name} = {value!r}, which it never was"
        if run.crashed:
            return
        for key, changes in self.world.changes.items():
            written = {n for c in changes if c.writer == run.request_id for n in c.values}
            if hidden := {n for n in written - said[key] if self._differs(run, key, n)}:
                yield f"{key} hides {hidden} in {run.request_id}"

    def _differs(self, run: Run, key: ImageKey, name: str) -> bool:
        """Whether a value is another one after a run than it was before, by the run's doing."""
        all_changes = [c for c in self.world.changes[key] if name in c.values]
        changes = [c for c in all_changes if c.moment <= run.ended]
        first = next(i for i, c in enumerate(changes) if c.writer == run.request_id)
        before = changes[first - 1].values[name] if first else self.world.initial[key].get(name)
        last = changes[-1]
        return last.writer == run.request_id and bool(last.values[name] != before)

    def _journaled(self, run: Run) -> Iterator[str]:
        """The journal of a run against its result and its log."""
        failed = any(line["Event"] == "journal.failed" for line in run.lines)
        results = list(self._objects(run, result=True))
        is_journaled = run.result is not None and run.result["Outcome"] != "ignored" and not failed
        if is_journaled and results != [run.result]:
            yield f"{run.request_id} journals {len(results)} results, not what it returns"
        for result in results:
            if run.error and result["Outcome"] != "unfinished":
                yield f"{run.request_id} raised, and journals {result['Outcome']}"
        journaled = [e for each in self._objects(run) for e in each["Images"]]
        logged = [line["Undo"] for line in run.lines if line["Event"] == "image.before"]
        if logged and not run.crashed and _by_image(journaled) != _by_image(logged):
            yield f"{run.request_id} journals something else than it logs"

    def _objects(self, run: Run, *, result: bool = False) -> Iterator[dict[str, Any]]:
        for key, each in sorted(self.world.cloud.state.objects[BUCKET].items()):
            if f"-{run.request_id}-" in key and key.endswith("-result.json") == result:
                yield json.loads(each.content)

    def _expected(self) -> Iterator[str]:
        """An image that is not as expected stays as it is."""
        for entry in self.document.get("Images", ()):
            key = (entry.get("Region", "ap-guangzhou"), entry["ImageId"])
            former = self.world.initial.get(key)
            if "Expect" not in entry or former is None:
                continue
            wanted, expected = _by_name(entry), _by_name(entry["Expect"])
            others = {
                name
                for name, value in expected.items()
                if former.get(name) not in {value, wanted.get(name, value)}
                and not (name == "ImageName" and is_temporary(str(former[name])))
            }
            if others and any(c.writer in self._ids for c in self.world.changes[key]):
                yield f"{key} has another {others} than expected, and was changed"

    def _names(self) -> Iterator[str]:
        """No image keeps a temporary name that nobody asked for."""
        known = {values["ImageName"] for values in self.world.initial.values()}
        known |= {entry.get("ImageName") for entry in self.document.get("Images", ())}
        for key, values in self.world.values().items():
            if is_temporary(str(values["ImageName"])) and values["ImageName"] not in known:
                yield f"{key} keeps a temporary name"

    def _undone(self) -> Iterator[str]:
        """The undo of the log, of the journal and of a single result brings everything back."""
        world = self.world
        back = self._undo()
        world.luck = CALM
        world.clock.now += 60
        if any(is_temporary(e.get("ImageName", "")) for e in back) or world.has_duplicates:
            return
        if back:
            run = world.run({"Images": back})
            if run.result is None or run.result["Outcome"] != "applied":
                yield f"the undo ends {run.result and run.result['Outcome']} {run.error}"
        now, initial = world.values(), world.initial
        if now != initial:
            yield f"the undo leaves {[(k, now[k], v) for k, v in initial.items() if now[k] != v]}"

    def _undo(self) -> list[Entry]:
        match self.random.choice(["log", "journal", "result"]):
            case "journal":
                found = [e for r in self.runs for each in self._objects(r) for e in each["Images"]]
            case "result" if len(self.runs) == 1 and self.runs[0].result:
                return list(self.runs[0].result["Undo"]["Images"])
            case _:
                lines = [line for run in self.runs for line in run.lines]
                found = [line["Undo"] for line in lines if line["Event"] == "image.before"]
        return list(merged(found))


def _by_image(entries: list[Entry]) -> dict[ImageKey, Entry]:
    return {(entry["Region"], entry["ImageId"]): entry for entry in merged(entries)}


def _by_name(members: dict[str, Any]) -> dict[str, object]:
    return dict(values_in(members))


def _flat(members: dict[str, Any]) -> dict[str, Any]:
    """`Before` or `After`, the tags as `Tag.<key>`; those that are gone are not in it."""
    return {name: value for name, value in _by_name(members).items() if value is not None}


def scenario(monkeypatch: pytest.MonkeyPatch, seed: int, before: str = "") -> Scenario:
    """A scenario whose regions are handled in any order."""
    # There are no sockets, and looking for a proxy takes a sixth of the time.
    monkeypatch.setattr(requests.sessions, "get_environ_proxies", lambda *_, **__: {})
    found = Scenario(seed, before)
    monkeypatch.setattr(invocation, "run_parallel", in_any_order(found.random))
    return found


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_claim_is_false(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over any documents, faults, crashes and other people's changes, what is said is true."""
    for seed in range(batch, SCENARIOS, BATCHES):
        found = scenario(monkeypatch, seed, ["", "", "", "Apply", "Undo"][seed % 5])
        if seed % 5 >= 3 and found.random.random() < 0.5:
            found.world.interfere()
            found.world.begin()
        found.play()
        assert not list(found.anomalies()), f"scenario {seed}"


@pytest.mark.parametrize("before", ["Apply", "Undo"])
@pytest.mark.parametrize("seed", range(12))
def test_killed_after_any_call(before: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An Apply or Undo that is killed after any call and redelivered ends like one that is not."""
    whole = scenario(monkeypatch, seed, before)
    result = whole.world.run(whole.document).result
    assert result
    for number in range(1, 1000):
        killed = scenario(monkeypatch, seed, before)
        killed.world.crash_in = number
        if not killed.world.run(killed.document).crashed:
            assert number > 1
            break
        again = killed.world.run(killed.document).result
        assert again
        assert again["Outcome"] == result["Outcome"]
        assert killed.world.values() == whole.world.values()


@pytest.mark.parametrize("batch", range(4))
def test_policy_killed_after_any_call(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that is killed after any call and redelivered ends like one that is not.

    Unless its warning says that no order of its writes is safe.
    """
    killed = 0
    for seed in range(batch, 160, 4):
        whole = policy_scenario(monkeypatch, seed)
        result = whole.world.run(whole.document).result
        assert result
        codes = {each["Code"] for each in (*result["Errors"], *result.get("Warnings", ()))}
        names = {name for each in result["Images"] for name in [each["Before"].get("ImageName")]}
        if codes & {"UnstablePolicy", "TooManyChanges"} or any(
            map(is_temporary, filter(None, names))
        ):
            continue
        for number in range(1, 1000):
            torn = policy_scenario(monkeypatch, seed)
            torn.world.crash_in = number
            if not torn.world.run(torn.document).crashed:
                break
            killed += 1
            torn.world.run(torn.document)
            assert torn.world.values() == whole.world.values(), f"policy {seed}, call {number}"
    assert killed > 50


def policy_scenario(monkeypatch: pytest.MonkeyPatch, seed: int) -> Scenario:
    """A scenario of a policy, with images that are ready."""
    found = scenario(monkeypatch, seed)
    found.document = naming_policy(Random(seed))  # noqa: S311 - no secret
    found.document["DryRun"] = False
    found.world.all_ready()
    return found


@pytest.mark.parametrize("batch", range(4))
def test_apply_is_the_plan(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run's Apply does exactly what the document itself does."""
    applied = 0
    for seed in range(batch, 200, 4):
        direct = scenario(monkeypatch, seed)
        direct.document.pop("DryRun", None)
        direct.world.all_ready()
        direct.world.run(direct.document)
        planned = scenario(monkeypatch, seed, "Apply")
        planned.world.run(planned.document)
        assert planned.world.values() == direct.world.values(), f"scenario {seed}"
        applied += any("Expect" in entry for entry in planned.document.get("Images", ()))
    assert applied > 25
