"""The API calls that read and change images, independent of the transport.

APIs: cvm 2017-03-12 (document/api/213/15713, 213/15715), tag 2018-08-13 (document/api/651).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, TypeAlias

from image_steward.clock import utc
from image_steward.errors import AmbiguousResponse, ApiError, StewardError, error_of
from image_steward.limits import PAGE_SIZE
from image_steward.model import ATTRIBUTES, FACTS, STATE, Image, Value, Values, tags_of


class Action:
    """An API action, with its calls per second, for each account and endpoint.

    `parameters` are all that the function may send.
    """

    def __init__(self, service: str, version: str, name: str, limit: int, parameters: str) -> None:
        self.service, self.version, self.name = service, version, name
        self.limit, self.parameters = limit, parameters


# document/api/213/15715
DESCRIBE_IMAGES = Action("cvm", "2017-03-12", "DescribeImages", 40, "ImageIds Filters Offset Limit")
MODIFY_IMAGE_ATTRIBUTE = Action(  # document/api/213/15713
    "cvm", "2017-03-12", "ModifyImageAttribute", 10,
    "ImageId ImageName ImageDescription ImageFamily ImageDeprecated",
)  # fmt: skip
# document/product/651/33003
TAG_RESOURCES = Action("tag", "2018-08-13", "TagResources", 20, "ResourceList Tags")
UNTAG_RESOURCES = Action("tag", "2018-08-13", "UnTagResources", 20, "ResourceList TagKeys")

_UNREADABLE = (OSError, KeyError, TypeError, ValueError, OverflowError, RecursionError, zlib.error)
"""What reading a response may raise; `requests.RequestException` is an OSError."""

Call: TypeAlias = "Callable[[Action, str, Mapping[str, Any]], dict[str, Any]]"
"""Makes an API call from action, region and parameters, and returns the members of `Response`.

Raises like `cloud.api.Api`.
"""


def image_of(entry: Mapping[str, Any]) -> Image:
    """Convert an entry of DescribeImages' ImageSet; absent members become empty."""
    image_id = _text(entry["ImageId"])
    names = (name for name in ATTRIBUTES if name != "ImageDeprecated")
    values: dict[str, Value] = {name: _text(entry.get(name)) for name in names}
    values["ImageDeprecated"] = bool(entry.get("ImageDeprecated"))
    values |= {f"Tag.{_text(t['Key'])}": _text(t["Value"]) for t in entry.get("Tags") or ()}
    facts = {name: _text(entry.get(name)) for name in (*FACTS, *STATE, "CreatedTime")}
    facts["CreatedTime"] = _time(facts["CreatedTime"])
    return Image(image_id, values, facts)


def describe_images(call: Call, region: str, ids: Sequence[str]) -> dict[str, Image | ApiError]:
    """The images with these ids that exist in the region, by id: one call per 100.

    A malformed id makes the API reject the whole batch. The batch is then halved until the id is
    alone; its error is returned in place of an image.
    """
    found: dict[str, Image | ApiError] = {}
    batches = [list(ids[i : i + PAGE_SIZE]) for i in range(0, len(ids), PAGE_SIZE)]
    while batches:
        batch = batches.pop()
        try:
            params = {"ImageIds": batch, "Limit": PAGE_SIZE}
            response = call(DESCRIBE_IMAGES, region, params)
            with parsing(DESCRIBE_IMAGES):
                found |= {image.image_id: image for image in map(image_of, response["ImageSet"])}
        except ApiError as error:
            if error.code != "InvalidImageId.Malformed":
                raise
            if len(batch) == 1:
                found[batch[0]] = error
            else:
                batches += [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
    return found


def list_images(call: Call, region: str, names: Sequence[str] = ()) -> dict[str, Image]:
    """The private images of a region, by id: one call per 100.

    With `names` (at most five), only images with one of these names, and some with similar ones.
    """
    filters = [{"Name": "image-type", "Values": ["PRIVATE_IMAGE"]}]
    if names:
        filters.append({"Name": "image-name", "Values": list(names)})
    found: dict[str, Image] = {}
    # Pages shift when an image is deleted meanwhile; a second listing finds what the first missed.
    for _ in range(2):
        images, is_complete = _list_once(call, region, filters)
        if is_complete:
            return images
        found |= images
    return found


def _list_once(call: Call, region: str, filters: Sequence[object]) -> tuple[dict[str, Image], bool]:
    """The images on all pages, and whether they match the total, which no page changes."""
    found: dict[str, Image] = {}
    offset, total, totals = 0, 1, set()
    while offset < total:
        params = {"Filters": filters, "Offset": offset, "Limit": PAGE_SIZE}
        response = call(DESCRIBE_IMAGES, region, params)
        with parsing(DESCRIBE_IMAGES):
            page = [image_of(entry) for entry in response["ImageSet"]]
            total = int(response["TotalCount"])
        totals.add(total)
        if not page:
            break
        found.update({image.image_id: image for image in page})
        offset += len(page)
    return found, len(totals) == 1 and len(found) >= total


def change_images(
    call: Call, region: str, image_ids: Sequence[str], values: Values
) -> tuple[str, dict[str, StewardError]]:
    """Change attributes of one image; or bind at most 10 tags to at most 9, or unbind them (None).

    Returns the RequestId, and the errors by image id.
    """
    if not (tags := tags_of(values)):
        params: dict[str, Any] = {"ImageId": image_ids[0], **values}
        return str(call(MODIFY_IMAGE_ATTRIBUTE, region, params)["RequestId"]), {}
    # In a six-segment resource name, the account's own uin may be left empty.
    params = {"ResourceList": [f"qcs::cvm:{region}:uin/:image/{i}" for i in image_ids]}
    if None in tags.values():
        action, params["TagKeys"] = UNTAG_RESOURCES, list(tags)
    else:
        action = TAG_RESOURCES
        params["Tags"] = [{"TagKey": key, "TagValue": value} for key, value in tags.items()]
    response = call(action, region, params)
    request_id = str(response["RequestId"])
    with parsing(action):
        failed: dict[str, StewardError] = {}
        for entry in response.get("FailedResources") or ():
            # The response may fill in the uin, so only the last segment identifies the image.
            image_id = _text(entry["Resource"]).rpartition("/")[2]
            failed[image_id] = error_of(_text(entry["Code"]), _text(entry["Message"]), request_id)
        if failed.keys() - set(image_ids):
            raise ValueError("FailedResources names a resource that was not in the request")
    return request_id, failed


def _time(text: str) -> str:
    # Times come with and without Z (document/api/213/15715), which Python 3.10 cannot parse.
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z"))
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
        return utc(seconds) if seconds >= 0 else ""  # before 1970: not real, and would not sort
    except (ValueError, OverflowError):  # not a time, or out of range in UTC
        return ""


def _text(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} in place of a string")
    return value or ""


@contextmanager
def parsing(action: Action) -> Iterator[None]:
    """Treat a response as ambiguous if it is missing or does not match its documentation."""
    try:
        yield
    except _UNREADABLE as error:
        reason = f"{type(error).__name__}: {error}"[:300]
        raise AmbiguousResponse(f"{action.name}: no readable response ({reason})") from None
