"""CVM 2017-03-12: DescribeImages and ModifyImageAttribute (document/api/213/15715, 213/15713).

What the documents leave open is marked "assumed" where it is decided.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from image_steward.regions import is_region
from scf_local.cloud.actions import Action, Service
from scf_local.cloud.seed import IMAGE_ID, MAX_NAME, tags_of
from scf_local.cloud.wire import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from scf_local.cloud.actions import Params
    from scf_local.cloud.seed import Image
    from scf_local.cloud.state import State

MAX_LIMIT, DEFAULT_LIMIT = 100, 20
MAX_IMAGE_IDS = 100  # assumed: the document names no maximum
MAX_FILTERS, MAX_VALUES = 10, 5
MAX_CHARACTERS = {"ImageName": MAX_NAME, "ImageDescription": 256}
FAMILY = re.compile(r"[\w.-]{1,60}")  # assumed: no grammar is published

# Fuzzy is assumed to mean: contains, whatever the case.
_FILTERS: dict[str, Callable[[Image, str], bool]] = {
    "image-id": lambda image, value: image["ImageId"] == value,
    "image-type": lambda image, value: image["ImageType"] == value,
    "image-name": lambda image, value: value.lower() in image["ImageName"].lower(),
    "platform": lambda image, value: value.lower() in image.get("Platform", "").lower(),
    "tag-key": lambda image, value: value in tags_of(image),
    "tag-value": lambda image, value: value in tags_of(image).values(),
    "dedicated-cluster-id": lambda _image, _value: False,
    "cdc-cache-status": lambda image, value: image.get("CdcCacheStatus") == value,
}


def describe_images(state: State, region: str, params: Params) -> dict[str, Any]:
    """`ImageSet`, newest first, one page of it, and `TotalCount`; unknown ids are just absent."""
    if not is_region(region):
        raise ApiError("InvalidRegion.NotFound", f"Region {region!r} is not found.")
    offset, limit = params.get("Offset", 0), params.get("Limit", DEFAULT_LIMIT)
    if offset < 0:
        raise ApiError("InvalidParameterValue", f"Offset is {offset}; 0 or more is allowed.")
    if not 1 <= limit <= MAX_LIMIT:
        code = "InvalidParameterValue.InvalidParameterValueLimit"
        raise ApiError(code, f"Limit is {limit}; 1 to {MAX_LIMIT} is allowed.")
    if not re.fullmatch(r"\w+\.\w+", params.get("InstanceType", "SA5.MEDIUM2")):
        raise ApiError("InvalidInstanceType.Malformed", f"{params['InstanceType']!r} is malformed.")
    chosen = _chooser(params)
    images = sorted(
        filter(chosen, state.images.get(region, [])),
        key=lambda image: ((image.get("CreatedTime") or "")[:19], image["ImageId"]),
        reverse=True,
    )
    page = copy.deepcopy(images[offset : offset + limit])
    return {"ImageSet": page, "TotalCount": len(images)}


def _chooser(params: Params) -> Callable[[Image], bool]:
    ids, filters = params.get("ImageIds"), params.get("Filters")
    if ids is not None and filters is not None:
        code = "InvalidParameter.InvalidParameterCoexistImageIdsFilters"
        raise ApiError(code, "ImageIds and Filters cannot be given together.")
    if ids is not None:
        if len(ids) > MAX_IMAGE_IDS:
            told = f"{len(ids)} ImageIds; {MAX_IMAGE_IDS} are allowed."
            raise ApiError("InvalidParameterValue.LimitExceeded", told)
        _check_ids(*ids)
        # assumed: an empty list is no restriction
        return lambda image: not ids or image["ImageId"] in ids
    tests = [_filter(one) for one in filters or ()]
    if len(tests) > MAX_FILTERS:
        raise ApiError("InvalidFilter", f"{len(tests)} Filters; {MAX_FILTERS} are allowed.")
    return lambda image: all(test(image) for test in tests)


def _filter(given: Params) -> Callable[[Image], bool]:
    name, values = given.get("Name", ""), given.get("Values", [])
    if len(values) > MAX_VALUES:
        told = f"Filter {name!r} has {len(values)} Values; {MAX_VALUES} are allowed."
        raise ApiError("InvalidFilterValue.LimitExceeded", told)
    test = _FILTERS.get(name)
    if name == "tag:":
        raise ApiError("FailedOperation.IllegalTagKey", "The filter `tag:` names no key.")
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        test = lambda image, value: tags_of(image).get(key) == value  # noqa: E731 - as the table
    if test is None or not values:
        allowed = ", ".join([*_FILTERS, "tag:<key>"])
        raise ApiError("InvalidFilter", f"Filter {name!r} with {values}; allowed: {allowed}.")
    if name == "image-id":
        _check_ids(*values)
    return lambda image: any(test(image, value) for value in values)


def modify_image_attribute(state: State, region: str, params: Params) -> dict[str, Any]:
    """Set what is given of one image; its id alone sets nothing (assumed: no refusal)."""
    if not is_region(region):
        raise ApiError("UnsupportedRegion", f"Region {region!r} is not supported.")
    image_id = params["ImageId"]
    changes = {name: value for name, value in params.items() if name != "ImageId"}
    _check_ids(image_id)
    _check_values(changes)
    image = state.find(region, image_id)
    if image is None:
        raise ApiError("InvalidImageId.NotFound", f"{region} has no image {image_id}.")
    _check_owner(image)
    if image["ImageState"] != "NORMAL":
        told = f"{image_id} is in state {image['ImageState']}."
        raise ApiError("InvalidImageId.IncorrectState", told)
    # Of the scope the document says only "existing images"; tools rely on equal names in other
    # regions. That the names of public and shared images do not count is assumed.
    for other in state.images[region]:
        if (
            other is not image
            and other["ImageType"] == "PRIVATE_IMAGE"
            and other["ImageName"] == changes.get("ImageName")
        ):
            told = f"{other['ImageId']} already has the name {other['ImageName']!r}."
            raise ApiError("InvalidImageName.Duplicate", told)
    image.update(changes)
    return {}


def _check_ids(*image_ids: str) -> None:
    for one in image_ids:
        if not IMAGE_ID.fullmatch(one):
            raise ApiError("InvalidImageId.Malformed", f"{one!r} has not the form img-xxxxxxxx.")


def _check_values(changes: Params) -> None:
    for name, limit in MAX_CHARACTERS.items():
        # "字符" are characters, not bytes: taken as code points, as every tool counts them.
        if len(changes.get(name, "")) > limit:
            told = f"{name} is longer than {limit} characters."
            raise ApiError("InvalidParameterValue.TooLarge", told)
    # assumed: an empty description or family clears it, an empty name is refused
    if changes.get("ImageName") == "":
        raise ApiError("InvalidParameterValue", "ImageName is empty.")
    family = changes.get("ImageFamily", "")
    if family and not FAMILY.fullmatch(family):
        raise ApiError("InvalidParameterValue.InvalidImageFamily", f"{family!r} is no family.")


def _check_owner(image: Image) -> None:
    if image["ImageType"] == "SHARED_IMAGE":
        code = "UnsupportedOperation.SharedImageModifyUnsupported"
        raise ApiError(code, f"{image['ImageId']} is shared from another account.")
    if image["ImageType"] != "PRIVATE_IMAGE":
        # assumed: the code is CVM's own for "the image does not belong to the user". The list of
        # this API has none for public images; NotFound would deny what DescribeImages shows.
        code = "UnauthorizedOperation.ImageNotBelongToAccount"
        raise ApiError(code, f"{image['ImageId']} does not belong to this account.")


_FILTER = {"Name": str, "Values": [str]}
_ASKED = {"ImageIds": [str], "Filters": [_FILTER], "InstanceType": str, "Offset": int, "Limit": int}
_TEXTS = ("ImageId", "ImageName", "ImageDescription", "ImageFamily")
_SET = {**dict.fromkeys(_TEXTS, str), "ImageDeprecated": bool}

SERVICE = Service(
    "2017-03-12",
    {
        "DescribeImages": Action(describe_images, 40, _ASKED),
        "ModifyImageAttribute": Action(modify_image_attribute, 10, _SET, required=("ImageId",)),
    },
)
