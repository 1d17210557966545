"""CVM 2017-03-12: DescribeImages and ModifyImageAttribute (document/api/213/15715, 213/15713).

Behaviour that the documents leave open is marked "assumed".
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from image_steward.regions import is_region
from scf_local.cloud.actions import ApiCall, EmulatedAction, Params, Service
from scf_local.cloud.seed import IMAGE_ID, MAX_NAME, ImageEntry, tags_of
from scf_local.cloud.state import State
from scf_local.cloud.wire import ErrorReply, found, require
from scf_local.environment import UIN

MAX_LIMIT, DEFAULT_LIMIT = 100, 20
MAX_IMAGE_IDS = 100  # assumed: the document names no maximum
MAX_FILTERS, MAX_VALUES = 10, 5
MAX_CHARACTERS = {"ImageName": MAX_NAME, "ImageDescription": 256}
_WRONG = "InvalidParameterValue"
FAMILY = re.compile(r"[\w.-]{1,60}")  # assumed: no grammar is published

# assumed: a fuzzy match is a case-insensitive substring match
_FILTERS: dict[str, Callable[[ImageEntry, str], bool]] = {
    "image-id": lambda image, value: image["ImageId"] == value,
    "image-type": lambda image, value: image["ImageType"] == value,
    "image-name": lambda image, value: value.lower() in image["ImageName"].lower(),
    "platform": lambda image, value: value.lower() in image.get("Platform", "").lower(),
    "tag-key": lambda image, value: value in tags_of(image),
    "tag-value": lambda image, value: value in tags_of(image).values(),
    "dedicated-cluster-id": lambda _image, _value: False,
    "cdc-cache-status": lambda image, value: image.get("CdcCacheStatus") == value,
}


def describe_images(call: ApiCall) -> dict[str, Any]:
    """Return one page of `ImageSet`, newest first, and `TotalCount`; unknown ids are left out."""
    state, region, params = call.state, call.region, call.params
    offset, limit = params.get("Offset", 0), params.get("Limit", DEFAULT_LIMIT)
    kind = params.get("InstanceType", "SA5.MEDIUM2")
    is_limit, wrong_limit = 1 <= limit <= MAX_LIMIT, f"{_WRONG}.InvalidParameterValueLimit"
    require(is_region(region), "InvalidRegion.NotFound", f"Region {region!r} is not found.")
    require(offset >= 0, _WRONG, f"Offset is {offset}; it must be 0 or more.")
    require(is_limit, wrong_limit, f"Limit is {limit}; it must be 1 to {MAX_LIMIT}.")
    is_kind = re.fullmatch(r"\w+\.\w+", kind)
    require(is_kind, "InvalidInstanceType.Malformed", f"{kind!r} is invalid.")
    images = sorted(
        filter(_selector(state, region, params), state.images.get(region, [])),
        key=lambda image: ((image.get("CreatedTime") or "")[:19], image["ImageId"]),
        reverse=True,
    )
    page = copy.deepcopy(images[offset : offset + limit])
    return {"ImageSet": page, "TotalCount": len(images)}


def _selector(state: State, region: str, params: Params) -> Callable[[ImageEntry], bool]:
    ids, filters = params.get("ImageIds"), params.get("Filters")
    code = "InvalidParameter.InvalidParameterCoexistImageIdsFilters"
    require(None in (ids, filters), code, "ImageIds and Filters cannot be given together.")
    if ids is not None:
        message = f"{len(ids)} ImageIds; at most {MAX_IMAGE_IDS} are allowed."
        require(len(ids) <= MAX_IMAGE_IDS, f"{_WRONG}.LimitExceeded", message)
        _check_ids(state, region, *ids)
        # assumed: an empty list selects all images
        return lambda image: not ids or image["ImageId"] in ids
    tests = [_filter(state, region, given) for given in filters or ()]
    message = f"{len(tests)} Filters; at most {MAX_FILTERS} allowed."
    require(len(tests) <= MAX_FILTERS, "InvalidFilter", message)
    return lambda image: all(test(image) for test in tests)


def _filter(state: State, region: str, given: Params) -> Callable[[ImageEntry], bool]:
    name, values = given.get("Name", ""), given.get("Values", [])
    message = f"Filter {name!r} has {len(values)} Values; at most {MAX_VALUES} are allowed."
    require(len(values) <= MAX_VALUES, "InvalidFilterValue.LimitExceeded", message)
    test = _FILTERS.get(name)
    message = "The filter `tag:` has no key."
    require(name != "tag:", "FailedOperation.IllegalTagKey", message)
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        test = lambda image, value: tags_of(image).get(key) == value  # noqa: E731 - as in the table
    if test is None or not values:
        allowed = ", ".join([*_FILTERS, "tag:<key>"])
        raise ErrorReply("InvalidFilter", f"Filter {name!r} with {values}; allowed: {allowed}.")
    if name == "image-id":
        _check_ids(state, region, *values)
    return lambda image: any(test(image, value) for value in values)


def modify_image_attribute(call: ApiCall) -> dict[str, Any]:
    """Set the given attributes of an image; without any, succeed and change nothing (assumed)."""
    state, region, params = call.state, call.region, call.params
    require(is_region(region), "UnsupportedRegion", f"Region {region!r} is not supported.")
    image_id = params["ImageId"]
    changes = {name: value for name, value in params.items() if name != "ImageId"}
    _check_ids(state, region, image_id)
    _check_values(changes)
    message = f"{region} has no image {image_id}."
    image = found(state.find(region, image_id), "InvalidImageId.NotFound", message)
    _check_owner(image)
    message = f"{image_id} is in state {image['ImageState']}."
    require(image["ImageState"] == "NORMAL", "InvalidImageId.IncorrectState", message)
    # The document says only "existing images". Tools rely on using one name in several regions.
    # assumed: names of public and shared images do not count
    for other in state.images[region]:
        is_named = other["ImageName"] == changes.get("ImageName") and other is not image
        is_taken = is_named and other["ImageType"] == "PRIVATE_IMAGE"
        message = f"{other['ImageId']} already has the name {other['ImageName']!r}."
        require(not is_taken, "InvalidImageName.Duplicate", message)
    image.update(changes)
    return {}


def _check_ids(state: State, region: str, *image_ids: str) -> None:
    existing = {image["ImageId"] for image in state.images.get(region, ())}
    for image_id in image_ids:
        is_id = IMAGE_ID.fullmatch(image_id)
        require(is_id, "InvalidImageId.Malformed", f"{image_id!r} is not an image id.")
        if image_id not in existing:
            state.missing.setdefault(f"image {image_id} in {region}", f"--region {region}")


def _check_values(changes: Params) -> None:
    for name, limit in MAX_CHARACTERS.items():
        # "字符" means characters, not bytes; counted as code points, as all tools do.
        message = f"{name} is longer than {limit} characters."
        require(len(changes.get(name, "")) <= limit, f"{_WRONG}.TooLarge", message)
    # assumed: an empty description or family clears it, an empty name is an error
    require(changes.get("ImageName") != "", _WRONG, "ImageName is empty.")
    family = changes.get("ImageFamily", "")
    is_family = not family or FAMILY.fullmatch(family)
    require(is_family, f"{_WRONG}.InvalidImageFamily", f"{family!r} is invalid.")


def _check_owner(image: ImageEntry) -> None:
    kind, code = image["ImageType"], "UnsupportedOperation.SharedImageModifyUnsupported"
    message = f"{image['ImageId']} is shared from another account."
    require(kind != "SHARED_IMAGE", code, message)
    # assumed: CVM's general code for "the image does not belong to the user". This API lists no
    # code for public images, and NotFound would contradict DescribeImages.
    code = "UnauthorizedOperation.ImageNotBelongToAccount"
    message = f"{image['ImageId']} does not belong to this account."
    require(kind == "PRIVATE_IMAGE", code, message)


_FILTER = {"Name": str, "Values": [str]}
_PAGE = {"Offset": int, "Limit": int}
_DESCRIBE = {"ImageIds": [str], "Filters": [_FILTER], "InstanceType": str, **_PAGE}
_TEXTS = ("ImageId", "ImageName", "ImageDescription", "ImageFamily")
_MODIFY = {**dict.fromkeys(_TEXTS, str), "ImageDeprecated": bool}


def _resource(call: ApiCall) -> str:
    # A list of images cannot be allowed for some only (document/product/213/10314).
    return f"qcs::cvm:{call.region}:uin/{UIN}:image/{call.params.get('ImageId', '*')}"


SERVICE = Service(
    "2017-03-12",
    {
        "DescribeImages": EmulatedAction(describe_images, 40, _DESCRIBE, (), _resource),
        "ModifyImageAttribute": EmulatedAction(
            modify_image_attribute, 10, _MODIFY, ("ImageId",), _resource
        ),
    },
)
