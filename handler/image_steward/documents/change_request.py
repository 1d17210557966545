"""Change requests, the desired attributes and tags of listed images; and pointers to documents."""

from __future__ import annotations

from collections import Counter
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
    violations = Violations()
    changes: dict[str, dict[str, Change]] = {}
    paths: dict[tuple[str, str], str] = {}
    region_paths: dict[str, str] = {}
    tag_paths: dict[str, str] = {}
    for i, image in enumerate(document["Images"]):
        path = f"/Images/{i}"
        own, image_id = image.get("Region", document.get("Region", region)), image["ImageId"]
        expected = image.get("Expect", {})
        change = Change(own, image_id, values_in(image), values_in(expected))
        changes.setdefault(own, {})[image_id] = change
        if not own:
            violations.add(path, NO_REGION)
        if (earlier := paths.setdefault((own, image_id), path)) != path:
            violations.add(f"{path}/ImageId", f"{image_id} in {own} is already at {earlier}")
        _check_tags(path, image, violations)
        _check_tags(f"{path}/Expect", expected, violations)
        region_paths.setdefault(own, f"{path}/Region" if "Region" in image else "/Region")
        for tag, value in tags_of(change.values).items():
            tag_paths.setdefault(tag, f"{path}/{'DeleteTags' if value is None else 'Tags'}")
    violations.check()
    return ChangeRequest(changes, document.get("DryRun", False), region_paths, tag_paths)


def read_api_body(document: dict[str, Any], region: str, _known: object = ()) -> ChangeRequest:
    """Read the body of an API call as a change request of one image. Raises like `read`."""
    image = dict(document)
    request = {"DryRun": image.pop("DryRun")} if "DryRun" in image else {}
    try:
        change_request = read({**request, "Images": [image]}, region)
    except InvalidDocument as error:
        inner = (Violation(v.path.removeprefix("/Images/0"), v.message) for v in error.details)
        raise InvalidDocument(*inner) from None
    region_paths = dict.fromkeys(change_request.changes, "/Region")
    tag_paths = {k: p.removeprefix("/Images/0") for k, p in change_request.tag_paths.items()}
    return change_request._replace(region_paths=region_paths, tag_paths=tag_paths)


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


def _check_tags(path: str, members: dict[str, Any], violations: Violations) -> None:
    """Check that each key is there once, which a schema cannot express."""
    counts = Counter(("Tags", tag["Key"]) for tag in members.get("Tags", ()))
    counts.update(("DeleteTags", key) for key in members.get("DeleteTags", ()))
    for (name, key), count in counts.items():
        if count > 1:
            violations.add(f"{path}/{name}", f"key {short(key)} appears {count} times")
        if name == "DeleteTags" and ("Tags", key) in counts:
            violations.add(f"{path}/{name}", f"key {short(key)} is also in Tags")
