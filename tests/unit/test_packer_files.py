"""Manifests as Packer writes them, from any version and for any artifact, by property."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hypothesis import example, given
from hypothesis import strategies as st

from image_steward import registry
from image_steward.clock import utc
from image_steward.documents.packer_manifest import BUILDER, PackerManifest
from image_steward.model import Image
from image_steward.planning.manifest_plan import labels
from packer import RUN

# Go's encoder replaces invalid UTF-8, so no text has a surrogate.
TEXT = st.text(st.sampled_from('<&>{}$\n\0\u2028"\\/') | st.characters(exclude_categories=["Cs"]))
INT64 = st.integers(-(2**63), 2**63 - 1)
GOOD = "ap-guangzhou:img-good0001"
LABELS = {"ImageName": "n-{name|none}", "ImageDescription": "{build_time|none}"}
IMAGE = Image("img-good0001", {"ImageName": "", "ImageDescription": "", "ImageFamily": ""})

KEYS = st.sampled_from(
    ["ImageName", "ImageFamily", "ImageDeprecated", "KeepLatest", "Tag.", "Tag.a", "Tags", "git"]
)
DATA = st.none() | st.dictionaries(KEYS | TEXT, TEXT, max_size=3)
FILES = st.none() | st.lists(st.fixed_dictionaries({"name": TEXT, "size": INT64}), max_size=3)
OURS = st.integers(0, 10**6).map("ap-shanghai:img-other{}".format)
ARTIFACTS = st.tuples(st.just(BUILDER), OURS | st.just("") | TEXT) | st.tuples(
    st.sampled_from(["amazon-ebs", "docker", "null", "qemu"]) | TEXT, TEXT
)


@dataclass
class Packer:
    """The post-processor `manifest`: adds each artifact to the file, and writes all of it anew.

    Its structs (post-processor/manifest/artifact.go) have had the same members since 1.3.5, the
    first version with `custom_data`: `name`, `builder_type`, `build_time`, `files`, `artifact_id`,
    `packer_run_uuid`, `custom_data`; around them `builds` and `last_run_uuid`. From 1.4.0 to
    1.16.0 only one thing changed: 1.5.6 brought strip_time, for which `build_time` is 0, and 0 is
    left out since then. An older version writes 0 for such a build of a newer one. A list of files
    or a map without entries may be null. Since 1.5.0, templates in `custom_data` are rendered with
    data of the build.
    """

    builds: list[dict[str, Any]] = field(default_factory=list)
    last_run: str = ""
    text: bytes = b""

    def add(
        self, run: str, artifact: dict[str, Any], *, force: bool, strip: bool, is_old: bool
    ) -> None:
        """Add an artifact of a run; `force` drops those of other runs."""
        if force and run != self.last_run:
            self.builds = []
        time = 0 if strip and not is_old else artifact["build_time"]
        self.builds.append({**artifact, "build_time": time, "packer_run_uuid": run})
        self.last_run = run
        shown = [
            {n: v for n, v in build.items() if n != "build_time" or v or is_old}
            for build in self.builds
        ]
        document = {"builds": shown, "last_run_uuid": run}
        text = json.dumps(document, indent=2, ensure_ascii=False)
        for letter in "<>&\u2028\u2029":  # Go's encoder escapes these
            text = text.replace(letter, f"\\u{ord(letter):04x}")
        self.text = text.encode()


Artifact: TypeAlias = "dict[str, Any]"
Flags: TypeAlias = "dict[str, bool]"

OTHER: Artifact = {
    "name": "web",
    "builder_type": "null",
    "build_time": 0,
    "files": None,
    "artifact_id": "",
    "custom_data": None,
}


@st.composite
def artifacts(draw: st.DrawFn) -> Artifact:
    """An artifact of any builder."""
    builder, artifact_id = draw(ARTIFACTS)
    return {
        "name": draw(TEXT),
        "builder_type": builder,
        "build_time": draw(INT64),
        "files": draw(FILES),
        "artifact_id": artifact_id,
        "custom_data": draw(DATA),
    }


FLAGS = st.fixed_dictionaries({n: st.booleans() for n in ("force", "strip", "is_old")})
ADDED = st.lists(st.tuples(artifacts(), FLAGS), max_size=3, unique_by=lambda a: a[0]["artifact_id"])


@given(
    earlier=st.lists(st.tuples(st.text(max_size=2), artifacts(), FLAGS), max_size=3),
    before=ADDED,
    time=INT64 | st.integers(0, 2**32),
    flags=FLAGS,
    after=ADDED,
)
@example(
    earlier=[],
    before=[],
    time=1764000000,
    flags={"force": False, "strip": True, "is_old": False},
    after=[(OTHER, {"force": False, "strip": False, "is_old": True})],
)
def test_any_file_of_packer(
    earlier: list[tuple[str, Artifact, Flags]],
    before: list[tuple[Artifact, Flags]],
    time: int,
    flags: Flags,
    after: list[tuple[Artifact, Flags]],
) -> None:
    """A build that sets something is read, whatever else Packer has written into the file."""
    good = {**OTHER, "builder_type": BUILDER, "artifact_id": GOOD, "custom_data": LABELS}
    packer = Packer()
    for other, artifact, how in earlier:
        packer.add(other, artifact, **how)
    taken = {artifact["artifact_id"] for artifact, _ in before}
    rest = [pair for pair in after if pair[0]["artifact_id"] not in taken]
    for artifact, how in (*before, ({**good, "build_time": time}, flags), *rest):
        packer.add(RUN, artifact, **how)
    request = registry.read(packer.text, region="").request
    assert isinstance(request, PackerManifest)
    (build,) = (b for b in request.builds if b.images == (("ap-guangzhou", "img-good0001"),))
    written = 0 if flags["strip"] and not flags["is_old"] else time
    wanted = labels(build, "ap-guangzhou", IMAGE)
    assert wanted["ImageName"] == "n-web"
    described = utc(written) if 0 < written < 253402300800 else "none"
    assert wanted["ImageDescription"] == described
