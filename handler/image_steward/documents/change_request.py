"""Change requests, the desired attributes and tags of listed images; and pointers to documents."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from image_steward.documents.validation import NO_REGION, Violations, validate
from image_steward.errors import InvalidDocument, Violation
from image_steward.messages import short
from image_steward.model import Change, ChangeRequest, CosObject, tags_of, values_in


def read(document: dict[str, Any], region: str, _known: object = ()) -> ChangeRequest:
    """Read a change request; `region` is the default for images without a Region.

    Raises:
        InvalidDocument: lists every violation of the schema, or of the rules beyond it.
    """
    validate("change-request", document)
    changes = tuple(
        Change(
            region=image.get("Region", document.get("Region", region)),
            image_id=image["ImageId"],
            values=values_in(image),
            expect=values_in(image.get("Expect", {})),
        )
        for image in document["Images"]
    )
    _check_rules(document["Images"], changes)
    paths: dict[str, str] = {}
    tag_paths: dict[str, str] = {}
    for i, (image, change) in enumerate(zip(document["Images"], changes, strict=True)):
        paths.setdefault(change.region, f"/Images/{i}/Region" if "Region" in image else "/Region")
        for key, value in tags_of(change.values).items():
            tag_paths.setdefault(key, f"/Images/{i}/{'DeleteTags' if value is None else 'Tags'}")
    return ChangeRequest(changes, document.get("DryRun", False), paths, tag_paths)


def read_api_body(document: dict[str, Any], region: str, _known: object = ()) -> ChangeRequest:
    """Read the body of an API call as a change request of one image. Raises like `read`."""
    image = dict(document)
    request = {"DryRun": image.pop("DryRun")} if "DryRun" in image else {}
    try:
        change_request = read({**request, "Images": [image]}, region)
    except InvalidDocument as error:
        inner = (Violation(v.path.removeprefix("/Images/0"), v.message) for v in error.details)
        raise InvalidDocument(*inner) from None
    region_paths = dict.fromkeys(change_request.by_region, "/Region")
    tag_paths = {k: p.removeprefix("/Images/0") for k, p in change_request.tag_paths.items()}
    return replace(change_request, region_paths=region_paths, tag_paths=tag_paths)


def read_pointer(document: dict[str, Any], region: str, _known: object = ()) -> CosObject:
    """Read a pointer to a document in COS; `region` is the default for its Region.

    Raises:
        InvalidDocument: lists every violation of the schema; or no region is known.
    """
    validate("pointer", document)
    bucket, _, key = document["Document"].removeprefix("cos://").partition("/")
    if not (region := document.get("Region", region)):
        raise InvalidDocument(NO_REGION)
    return CosObject(bucket, key, region)


def _check_rules(images: list[dict[str, Any]], changes: tuple[Change, ...]) -> None:
    """Check the rules that a schema cannot express. Raises like `read`."""
    violations = Violations()
    first: dict[tuple[str, str], int] = {}
    for i, (image, change) in enumerate(zip(images, changes, strict=True)):
        path = f"/Images/{i}"
        if not change.region:
            violations.add(path, NO_REGION)
        earlier = first.setdefault((change.region, change.image_id), i)
        if earlier != i:
            message = f"{change.image_id} in {change.region} is already at /Images/{earlier}"
            violations.add(f"{path}/ImageId", message)
        for place, members in ((path, image), (f"{path}/Expect", image.get("Expect", {}))):
            counts = Counter(("Tags", tag["Key"]) for tag in members.get("Tags", ()))
            counts.update(("DeleteTags", key) for key in members.get("DeleteTags", ()))
            for (name, key), count in counts.items():
                if count > 1:
                    violations.add(f"{place}/{name}", f"key {short(key)} appears {count} times")
                if name == "DeleteTags" and ("Tags", key) in counts:
                    violations.add(f"{place}/{name}", f"key {short(key)} is also in Tags")
    violations.check()
