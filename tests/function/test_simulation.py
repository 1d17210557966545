"""Random scenarios, whole runs of them: no claim of the function is ever false.

`SIMULATIONS=50000 pytest tests/function/test_simulation.py` plays more than `make test` does.
"""

from __future__ import annotations

import os
from collections import defaultdict
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from image_steward import invocation
from image_steward.errors import Unfinished
from image_steward.naming.temporary import is_temporary
from image_steward.reporting import undo
from packer import RUN
from region import in_any_order
from simulation import Luck, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulation import ImageKey, Run

SCENARIOS = int(os.environ.get("SIMULATIONS", "2000"))
BATCHES = 16
CLAIMS = {"image.changed", "image.failed", "image.pending"}
REGIONS = ("ap-guangzhou", "ap-shanghai")
NAMES = ("web", "web-2", "web-3", "db", "build-1", "build-2", "x", "image-steward-tmp-img-aaaaaaaa")


def images_of(random: Random) -> dict[str, list[dict[str, Any]]]:
    """One or two regions with a few images; names and tags that often meet."""
    found: dict[str, list[dict[str, Any]]] = {}
    for region in REGIONS[: random.choice([1, 1, 2])]:
        names = random.sample(NAMES, k=random.randint(1, 6))
        if len(names) > 1 and random.random() < 0.1:
            names[0] = names[1]
        found[region] = [
            {
                "ImageId": f"img-{'abcdefgh'[i] * 8}",
                "ImageName": name,
                "ImageDescription": random.choice(["", "d", "web"]),
                "ImageFamily": random.choice(["", "web", "db"]),
                "ImageState": random.choice(["NORMAL"] * 12 + ["CREATEFAILED", "SYNCING"]),
                "ImageType": random.choice(["PRIVATE_IMAGE"] * 12 + ["SHARED_IMAGE"]),
                "CreatedTime": f"2026-11-{10 + random.randrange(10)}T00:00:00Z",
                "Tags": [
                    {"Key": key, "Value": random.choice("12")}
                    for key in random.sample("ab", k=random.randint(0, 2))
                ],
            }
            for i, name in enumerate(names)
        ]
    return found


def change_request(random: Random, images: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """New values for some images, often the names of others."""
    entries = []
    for region, each in images.items():
        own = [image["ImageName"] for image in each if not is_temporary(image["ImageName"])]
        names = [*own, "new-1", "new-2"]
        random.shuffle(names)
        for image, name in zip(each, names, strict=False):
            if random.random() < 0.2:
                continue
            entry: dict[str, Any] = {"Region": region, "ImageId": image["ImageId"]}
            if random.random() < 0.8:
                entry["ImageName"] = name
            if random.random() < 0.3:
                entry["ImageDescription"] = random.choice(["", "new"])
            if random.random() < 0.4:
                entry["Tags"] = [{"Key": random.choice("abc"), "Value": random.choice("123")}]
            if random.random() < 0.2:
                entry["DeleteTags"] = [
                    "d",
                    *({"a", "b"} - {t["Key"] for t in entry.get("Tags", ())}),
                ]
            if len(entry) > 2:
                entries.append(entry)
    entries = entries or [{"ImageId": "img-aaaaaaaa", "ImageName": "only"}]
    return {"Images": entries, "DryRun": random.random() < 0.1}


def naming_policy(random: Random) -> dict[str, Any]:
    """A policy that is stable more often than not."""
    body: dict[str, Any] = {
        "Regions": list(REGIONS[: random.choice([1, 2])]),
        "ImageName": random.choice(
            ["{ImageFamily|web}", "web", "{Tag.a|x}-{CreatedTime:%d}", "{ImageFamily}-{Tag.b|1}"]
        ),
        "OnConflict": random.choice(["number", "skip"]),
        "MaxChanges": random.choice([2, 100, 100]),
    }
    if random.random() < 0.4:
        body["Tags"] = [{"Key": "c", "Value": "{ImageName}"}]
    if random.random() < 0.3:
        body["Select"] = random.choice([{"ImageName": "build-*"}, {"Tags": [{"Key": "a"}]}])
    if random.random() < 0.3:
        body["KeepLatest"] = random.choice([1, 2])
    return {"Normalise": body, "DryRun": random.random() < 0.1}


def manifest(random: Random, images: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """A manifest of one or two of the images."""
    artifacts = [f"{r}:{random.choice(each)['ImageId']}" for r, each in images.items()]
    data = {"ImageFamily": "web", "Tag.run": "{packer_run_uuid}"}
    if random.random() < 0.6:
        data["ImageName"] = random.choice(["web", "app-{build_time:%Y%m%d}"])
    if random.random() < 0.5:
        data["KeepLatest"] = "1"
    build = {
        "builder_type": "tencentcloud-cvm",
        "build_time": 1764000000,
        "artifact_id": ",".join(artifacts),
        "packer_run_uuid": RUN,
        "custom_data": data,
    }
    return {"builds": [build], "last_run_uuid": RUN}


def document(random: Random, images: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """A document of some kind."""
    kind = random.choice(["request", "request", "policy", "manifest"])
    if kind == "request":
        return change_request(random, images)
    return naming_policy(random) if kind == "policy" else manifest(random, images)


def luck_of(random: Random) -> Luck:
    """Some things go wrong, others do not."""
    hazards = {name: 0.08 for name in Luck.__dataclass_fields__ if random.random() < 0.25}
    if "lag" in hazards:
        hazards["lag"] = 4.0
    return Luck(**hazards)


class Scenario:
    """One event, delivered until SCF would stop, and what is to be said of that."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        images = images_of(self.random)
        self.world = World(self.random, luck_of(self.random), images)
        self.event = document(self.random, images)
        self.world.others = [document(self.random, images)]
        self.runs: list[Run] = []

    def play(self) -> None:
        """Deliver the event again and again; in the end nothing goes wrong any more."""
        world = self.world
        luck, instance = world.luck, world.instance()
        for delivery in range(8):
            if delivery >= 3:
                world.luck = Luck()
                for entries in world.cloud.state.images.values():
                    for entry in entries:
                        if entry["ImageState"] == "SYNCING":
                            entry["ImageState"] = "NORMAL"
                world._note("")
            run = world.run(self.event, instance)
            self.runs.append(run)
            if run.crashed or self.random.random() < 0.3:
                instance = world.instance()
            if run.result is not None:
                break
        world.luck = luck

    def anomalies(self) -> Iterator[str]:
        """What the function said or did, and should not have."""
        for run in self.runs:
            if run.error is not None and not isinstance(run.error, Unfinished):
                yield f"{run.request_id} raised {run.error!r}"
        last = self.runs[-1]
        if last.result is None:
            yield f"never done: {last.error}"
            return
        yield from self._result(last)
        for run in self.runs:
            yield from self._claims(run)
        if self.event.get("DryRun") and any(c.writer in self._ids for c in self._changes()):
            yield "a dry run wrote"
        if not self._foreign:
            yield from self._names()
            yield from self._undone()

    @property
    def _ids(self) -> set[str]:
        return {run.request_id for run in self.runs}

    @property
    def _foreign(self) -> bool:
        return self.world.luck.foreign > 0 or self.world.luck.second > 0

    def _changes(self) -> Iterator[Any]:
        for each in self.world.changes.values():
            yield from each

    def _result(self, run: Run) -> Iterator[str]:
        result = run.result or {}
        if result["Outcome"] == "rejected" and not result["Errors"]:
            yield "rejected without a reason"
        keys = [(each["Region"], each["ImageId"]) for each in result["Images"]]
        if len(keys) != len(set(keys)):
            yield "an image stands twice"
        if any(each["Status"] == "pending" for each in result["Images"]):
            if not any(each.get("Code") == "Stopped" for each in result["Images"]):
                yield "pending, and returned"

    def _claims(self, run: Run) -> Iterator[str]:
        """The log lines of a run against what it did."""
        told: dict[ImageKey, set[str]] = defaultdict(set)
        for line in run.lines:
            if line["Event"] not in CLAIMS:
                continue
            key = (line["Region"], line["ImageId"])
            after = _flat(line["After"])
            if line["Event"] == "image.pending":  # nobody may know yet what has been done
                told[key] |= {*self.world.initial[key], *"abcd", "Tag.a", "Tag.b", "Tag.c", "Tag.d"}
            told[key] |= after.keys() | _flat(line["Before"]).keys()
            for name, value in after.items():
                values = [c.values[name] for c in self.world.changes[key] if name in c.values]
                if value not in values and self.world.initial[key].get(name) != value:
                    yield f"{line['Event']} {key} claims {name} = {value!r}, which it never was"
        if run.crashed:
            return
        for key, changes in self.world.changes.items():
            own = [c for c in changes if c.writer == run.request_id]
            written = {name for change in own for name in change.values}
            if hidden := {n for n in written - told[key] if self._differs(run, key, n)}:
                yield f"{key} hides {hidden} in {run.request_id}"

    def _differs(self, run: Run, key: ImageKey, name: str) -> bool:
        """Whether a value is another one after a run than it was before, by the run's doing."""
        changes = [c for c in self.world.changes[key] if name in c.values]
        first = next(i for i, c in enumerate(changes) if c.writer == run.request_id)
        before = changes[first - 1].values[name] if first else self.world.initial[key].get(name)
        own = [c for c in changes if c.writer == run.request_id]
        return bool(own[-1].values[name] != before)

    def _names(self) -> Iterator[str]:
        """No image keeps a temporary name that it did not have."""
        for key, values in self.world.values().items():
            if is_temporary(str(values["ImageName"])):
                if not is_temporary(str(self.world.initial[key]["ImageName"])):
                    yield f"{key} keeps a temporary name"

    def _undone(self) -> Iterator[str]:
        """The log's undo brings everything back."""
        lines = [line for run in self.runs for line in run.lines]
        entries = [line["Undo"] for line in lines if line["Event"] == "image.before"]
        back = list(undo.merged(entries))
        world = self.world
        world.luck = Luck()
        world.clock.now += 60
        if any(is_temporary(e.get("ImageName", "")) for e in back) or _duplicates(world):
            return
        if back:
            run = world.run({"Images": back})
            if run.result is None or run.result["Outcome"] not in {"applied"}:
                yield f"the undo ends {run.result and run.result['Outcome']} {run.error}"
        if world.values() != world.initial:
            now = world.values()
            yield f"the undo leaves {[(k, now[k], v) for k, v in world.initial.items() if now[k] != v]}"


def _duplicates(world: World) -> bool:
    names = [(key[0], values["ImageName"]) for key, values in world.initial.items()]
    return len(names) != len(set(names))


def _flat(members: dict[str, Any]) -> dict[str, Any]:
    """`Before` or `After`, the tags as `Tag.<key>`; those that are gone are not in it."""
    tags = {f"Tag.{tag['Key']}": tag["Value"] for tag in members.get("Tags", ())}
    return {**{name: value for name, value in members.items() if name != "Tags"}, **tags}


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_claim_is_false(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over any documents, faults, crashes and other people's changes, what is said is true."""
    for seed in range(batch, SCENARIOS, BATCHES):
        scenario = Scenario(seed)
        monkeypatch.setattr(invocation, "run_parallel", in_any_order(scenario.random))
        scenario.play()
        assert not list(scenario.anomalies()), f"scenario {seed}"
