"""The calls that read and change images, by their API names, over any transport.

API: cvm 2017-03-12 (document/api/213/15713, 213/15715), tag 2018-08-13 (document/api/651).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, TypeAlias

from image_steward.clock import utc
from image_steward.cloud import actions
from image_steward.cloud.actions import Action
from image_steward.error_codes import error_of
from image_steward.errors import AmbiguousResponse, ApiError, StewardError
from image_steward.limits import PAGE
from image_steward.model import FACTS, STATE, Image, TagChanges

_LISTINGS = 2
"""Pages shift when an image is deleted while they are read; a second reading finds the rest."""


Call: TypeAlias = "Callable[[Action, str, Mapping[str, Any]], dict[str, Any]]"
"""One API call: for an action, a region and parameters the members of `Response`.

It raises as `cloud.api.Api` does.
"""


def image_of(entry: Mapping[str, Any]) -> Image:
    """An entry of DescribeImages' ImageSet; what is absent there is empty here."""
    return Image(
        image_id=_text(entry["ImageId"]),
        attributes={
            "ImageName": _text(entry.get("ImageName")),
            "ImageDescription": _text(entry.get("ImageDescription")),
            "ImageFamily": _text(entry.get("ImageFamily")),
            "ImageDeprecated": bool(entry.get("ImageDeprecated")),
        },
        tags={_text(tag["Key"]): _text(tag["Value"]) for tag in entry.get("Tags") or ()},
        facts={
            **{name: _text(entry.get(name)) for name in (*FACTS, *STATE)},
            "CreatedTime": _time(_text(entry.get("CreatedTime"))),
        },
    )


def describe_images(
    call: Call, region: str, image_ids: Sequence[str]
) -> dict[str, Image | ApiError]:
    """The images of these ids that exist in the region, by id: one call for every 100.

    One id that the API finds malformed makes it refuse all that are asked for with it; so the
    others are asked for again without it, and its refusal stands in its place.
    """
    found: dict[str, Image | ApiError] = {}
    pages = [list(image_ids[i : i + PAGE]) for i in range(0, len(image_ids), PAGE)]
    while pages:
        ids = pages.pop()
        try:
            reply = call(actions.DESCRIBE_IMAGES, region, {"ImageIds": ids, "Limit": PAGE})
        except ApiError as error:
            if error.code != "InvalidImageId.Malformed":
                raise
            if len(ids) == 1:
                found[ids[0]] = error
            else:
                pages += [ids[: len(ids) // 2], ids[len(ids) // 2 :]]
        else:
            with _reading(actions.DESCRIBE_IMAGES):
                found |= {image.image_id: image for image in map(image_of, reply["ImageSet"])}
    return found


def list_images(call: Call, region: str, names: Sequence[str] = ()) -> dict[str, Image]:
    """The private images of a region, by id: one call for every 100.

    With at most five `names`, those that hold one of them, and some with names like them.
    """
    filters = [{"Name": "image-type", "Values": ["PRIVATE_IMAGE"]}]
    if names:
        filters.append({"Name": "image-name", "Values": list(names)})
    found: dict[str, Image] = {}
    for _ in range(_LISTINGS):
        images, is_whole = _list_once(call, region, filters)
        if is_whole:
            return images
        found |= images
    return found


def _list_once(
    call: Call, region: str, filters: list[dict[str, Any]]
) -> tuple[dict[str, Image], bool]:
    """What the pages show, and whether that is all: as many as each of them says there are."""
    found: dict[str, Image] = {}
    offset, total, totals = 0, 1, set()
    while offset < total:
        params = {"Filters": filters, "Offset": offset, "Limit": PAGE}
        reply = call(actions.DESCRIBE_IMAGES, region, params)
        with _reading(actions.DESCRIBE_IMAGES):
            page = [image_of(image) for image in reply["ImageSet"]]
            total = int(reply["TotalCount"])
        totals.add(total)
        if not page:
            break
        found.update({image.image_id: image for image in page})
        offset += len(page)
    return found, len(totals) == 1 and len(found) >= total


def modify_image_attribute(
    call: Call, region: str, image_id: str, attributes: Mapping[str, str | bool]
) -> str:
    """Change attributes of one image; the RequestId of the call."""
    params = {"ImageId": image_id, **attributes}
    return str(call(actions.MODIFY_IMAGE_ATTRIBUTE, region, params)["RequestId"])


def change_tags(
    call: Call, region: str, image_ids: Iterable[str], tags: TagChanges
) -> tuple[str, dict[str, StewardError]]:
    """Bind at most 10 tags to at most 9 images, or unbind them if one has no value.

    It gives the RequestId of the call, and what failed, by image id.
    """
    # The account's own uin may be left empty in a resource's six segments.
    by_resource = {f"qcs::cvm:{region}:uin/:image/{image_id}": image_id for image_id in image_ids}
    params: dict[str, Any] = {"ResourceList": list(by_resource)}
    if None in tags.values():
        action, params["TagKeys"] = actions.UNTAG_RESOURCES, list(tags)
    else:
        action = actions.TAG_RESOURCES
        params["Tags"] = [{"TagKey": key, "TagValue": value} for key, value in tags.items()]
    reply = call(action, region, params)
    request_id = str(reply["RequestId"])
    with _reading(action):
        failed = {
            # The reply may fill in the uin, so the image is known by the last segment.
            entry["Resource"].rpartition("/")[2]: error_of(
                _text(entry["Code"]), _text(entry["Message"]), request_id
            )
            for entry in reply.get("FailedResources") or ()
        }
        if failed.keys() - set(by_resource.values()):
            raise ValueError("FailedResources names what was not asked for")
    return request_id, failed


def _time(text: str) -> str:
    # Python 3.10 reads no Z; both spellings are met (document/api/213/15715).
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z"))
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
        return utc(seconds) if seconds >= 0 else ""  # before 1970: nobody's, and would not sort
    except (ValueError, OverflowError):  # not a time, or one that its zone puts out of range
        return ""


def _text(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a string belongs")
    return value or ""


@contextmanager
def _reading(action: Action) -> Iterator[None]:
    """A reply that is not of its documented shape tells nothing."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise AmbiguousResponse(
            f"{action.name}: a reply of another shape ({reason[:80]})"
        ) from None
