"""From the bytes of a document to a typed request: strict JSON, schema, the rules beyond it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from image_steward import schema, strict_json
from image_steward.errors import InvalidDocument, Violation
from image_steward.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from image_steward.manifests import PackerManifest
    from image_steward.policies import Policy

ATTRIBUTES = ("ImageName", "ImageDescription", "ImageFamily", "ImageDeprecated")
"""What ModifyImageAttribute can change (document/api/213/15713)."""

_KINDS = ("Images", "ImageId", "Normalise", "builds", "Document")
"""The member by which a document is recognised."""


@dataclass(frozen=True)
class Change:
    """What one image is to be. `attributes` are by their API names; tags are key to value."""

    region: str
    image_id: str
    attributes: dict[str, str | bool]
    tags: dict[str, str]
    delete_tags: tuple[str, ...]


@dataclass(frozen=True)
class ChangeRequest:
    """Changes of one document; no image of a region stands in it twice."""

    changes: tuple[Change, ...]
    dry_run: bool


@dataclass(frozen=True)
class NamingPolicy:
    """A policy for all images of some regions."""

    policy: Policy
    dry_run: bool


Request: TypeAlias = "ChangeRequest | NamingPolicy | PackerManifest"


@dataclass(frozen=True)
class Pointer:
    """The document lies elsewhere: in an object of a bucket (full name) of a region."""

    bucket: str
    key: str
    region: str


def read(data: bytes, *, region: str) -> Request | Pointer:
    """The request that a document holds. `region` is used where the document names none.

    Raises:
        InvalidJSON: not strict JSON.
        InvalidDocument: every breach of the schema or of a rule beyond it, with its place.
    """
    document = strict_json.loads(data)
    if not isinstance(document, dict):
        kind = strict_json.kind_of(document)
        raise InvalidDocument(f"the document is {kind}; an object is needed")
    if "Document" in document:
        schema.validate("pointer", document)
        bucket, _, key = document["Document"].removeprefix("cos://").partition("/")
        place = document.get("Region", region)
        if not place:
            raise InvalidDocument(_NO_REGION)
        return Pointer(bucket, key, place)
    if "Normalise" in document:
        return _naming_policy(document, region)
    if "builds" in document:
        from image_steward import manifests  # noqa: PLC0415 - other kinds never pay for it

        schema.validate("packer-manifest", document)
        return manifests.read(document)
    if "Images" in document:
        return _change_request(document, region)
    if "ImageId" in document:
        return _api_body(document, region)
    raise InvalidDocument(_no_kind(document))


_NO_REGION = "no Region is given, and the function's own is not known"


def _no_kind(document: dict[str, Any]) -> str:
    found = ", ".join(map(schema.short, islice(document, 5))) or "no member at all"
    hints = "".join(nearest(name, _KINDS) for name in islice(document, 5))
    return f"one of {', '.join(_KINDS)} is needed, there is {found}{hints}"


def _naming_policy(document: dict[str, Any], region: str) -> NamingPolicy:
    from image_steward import policies  # noqa: PLC0415 - other kinds never pay for it

    schema.validate("naming-policy", document)
    if not region and "Regions" not in document["Normalise"]:
        raise InvalidDocument(Violation("/Normalise", _NO_REGION))
    policy = policies.read(document["Normalise"], region=region)
    return NamingPolicy(policy, document.get("DryRun", False))


def _api_body(document: dict[str, Any], region: str) -> ChangeRequest:
    """The body of the API call itself: a change request of one image."""
    image = dict(document)
    request = {"DryRun": image.pop("DryRun")} if "DryRun" in image else {}
    try:
        return _change_request({**request, "Images": [image]}, region)
    except InvalidDocument as error:
        inner = (Violation(v.path.removeprefix("/Images/0"), v.message) for v in error.violations)
        raise InvalidDocument(*inner) from None


def _change_request(document: dict[str, Any], region: str) -> ChangeRequest:
    schema.validate("change-request", document)
    region = document.get("Region", region)
    changes = tuple(
        Change(
            region=image.get("Region", region),
            image_id=image["ImageId"],
            attributes={name: image[name] for name in ATTRIBUTES if name in image},
            tags={tag["Key"]: tag["Value"] for tag in image.get("Tags", ())},
            delete_tags=tuple(image.get("DeleteTags", ())),
        )
        for image in document["Images"]
    )
    violations = list(_rules(document["Images"], changes))
    if violations:
        raise InvalidDocument(*violations)
    return ChangeRequest(changes, document.get("DryRun", False))


def _rules(images: list[dict[str, Any]], changes: tuple[Change, ...]) -> Iterator[Violation]:
    """What a schema cannot say."""
    first: dict[tuple[str, str], int] = {}
    for i, (image, change) in enumerate(zip(images, changes, strict=True)):
        path = f"/Images/{i}"
        if not change.region:
            yield Violation(path, _NO_REGION)
        before = first.setdefault((change.region, change.image_id), i)
        if before != i:
            yield Violation(
                f"{path}/ImageId",
                f"{change.image_id} in {change.region} stands at /Images/{before} already",
            )
        keys = {
            "Tags": Counter(tag["Key"] for tag in image.get("Tags", ())),
            "DeleteTags": Counter(change.delete_tags),
        }
        for name, counts in keys.items():
            for key, count in counts.items():
                if count > 1:
                    message = f"key {schema.short(key)} stands {count} times"
                    yield Violation(f"{path}/{name}", message)
        for key in keys["Tags"].keys() & keys["DeleteTags"]:
            yield Violation(f"{path}/DeleteTags", f"{schema.short(key)} stands in Tags too")
