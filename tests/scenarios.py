"""Random images and documents for a simulation, made so that they often meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from image_steward.naming.temporary import is_temporary, temporary
from packer import RUN

if TYPE_CHECKING:
    from random import Random

REGIONS = ("ap-guangzhou", "ap-shanghai")
NAMES = ("web", "web-2", "web-3", "db", "build-1", "build-2", "x", "")
"""An empty one stands for the temporary name that an interrupted run left."""
IDS = [f"img-{letter * 8}" for letter in "abcdef"]


def images_of(random: Random) -> dict[str, list[dict[str, Any]]]:
    """One or two regions with a few images; names and tags that often meet."""
    found: dict[str, list[dict[str, Any]]] = {}
    for region in REGIONS[: random.choice([1, 1, 2])]:
        names = random.sample(NAMES, k=random.randint(1, 6))
        if len(names) > 1 and random.random() < 0.1:
            names[0] = names[1]
        found[region] = [
            {
                "ImageId": image_id,
                "ImageName": name or temporary(image_id, 1),
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
            for image_id, name in zip(IDS, names, strict=False)
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


DERIVE = [
    {"From": "{ImageName}", "Parse": ["{app}-{n:digits}", "{app}"]},
    {"From": "{app}", "Replace": [{"Key": "build", "Value": "web"}], "As": "app"},
    {"From": "{ImageFamily}", "Map": [{"Key": "W*", "Value": "w"}], "As": "kind"},
]


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
        body["Derive"] = DERIVE
        body["ImageName"] = random.choice(["{app}-{kind|x}", "{kind|app}", "{app}-{n|Tag.a|0}"])
    if random.random() < 0.4:
        text = random.choice(["{ImageName}", "{Tag.c|OldName}"])
        body["Tags"] = [{"Key": "c", "Value": text}]
    if random.random() < 0.2:
        body["DeleteTags"] = random.choice([["a"], ["*"]])
    if random.random() < 0.3:
        body["Select"] = random.choice(
            [{"ImageName": ["build-*", "db"]}, {"Tags": [{"Key": "a"}]}, {"OlderThanHours": 200}]
        )
    if random.random() < 0.2:
        body["Except"] = [random.choice([{"Tags": [{"Key": "c"}]}, {"ImageName": "web-?"}])]
    if random.random() < 0.2:
        body["Style"] = {"Charset": "ascii", "MaxLength": 8}
    if random.random() < 0.4:
        rules: list[dict[str, Any]] = [
            {"KeepLatest": 1},
            {"ImageDeprecated": True},
            {"Retire": {"KeepLatest": 2}},
            {"Retire": {"KeepLatest": 1, "GroupBy": "{Tag.a|x}", "OlderThanDays": 9}},
        ]
        body |= random.choice(rules)
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
