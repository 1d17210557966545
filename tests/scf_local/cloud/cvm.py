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
from scf_local.cloud.wire import ErrorReply
from scf_local.environment import UIN

MAX_LIMIT, DEFAULT_LIMIT = 100, 20
MAX_IMAGE_IDS = 100  # assumed: the document names no maximum
MAX_FILTERS, MAX_VALUES = 10, 5
MAX_CHARACTERS = {"ImageName": MAX_NAME, "ImageDescription": 256}
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
    if not is_region(region):
        raise ErrorReply("InvalidRegion.NotFound", f"Region {region!r} is not found.")
    offset, limit = params.get("Offset", 0), params.get("Limit", DEFAULT_LIMIT)
    if offset < 0:
        raise ErrorReply("InvalidParameterValue", f"Offset is {offset}; it must be 0 or more.")
    if not 1 <= limit <= MAX_LIMIT:
        code = "InvalidParameterValue.InvalidParameterValueLimit"
        raise ErrorReply(code, f"Limit is {limit}; it must be 1 to {MAX_LIMIT}.")
    if not re.fullmatch(r"\w+\.\w+", params.get("InstanceType", "SA5.MEDIUM2")):
        raise ErrorReply("InvalidInstanceType.Malformed", f"{params['InstanceType']!r} is invalid.")
    images = sorted(
        filter(_selector(state, region, params), state.images.get(region, [])),
        key=lambda image: ((image.get("CreatedTime") or "")[:19], image["ImageId"]),
        reverse=True,
    )
    page = copy.deepcopy(images[offset : offset + limit])
    return {"ImageSet": page, "TotalCount": len(images)}


def _selector(state: State, region: str, params: Params) -> Callable[[ImageEntry], bool]:
    ids, filters = params.get("ImageIds"), params.get("Filters")
    if ids is not None and filters is not None:
        code = "InvalidParameter.InvalidParameterCoexistImageIdsFilters"
        raise ErrorReply(code, "ImageIds and Filters cannot be given together.")
    if ids is not None:
        if len(ids) > MAX_IMAGE_IDS:
            message = f"{len(ids)} ImageIds; at most {MAX_IMAGE_IDS} are allowed."
            raise ErrorReply("InvalidParameterValue.LimitExceeded", message)
        _check_ids(state, region, *ids)
        # assumed: an empty list selects all images
        return lambda image: not ids or image["ImageId"] in ids
    tests = [_filter(state, region, given) for given in filters or ()]
    if len(tests) > MAX_FILTERS:
        raise ErrorReply("InvalidFilter", f"{len(tests)} Filters; at most {MAX_FILTERS} allowed.")
    return lambda image: all(test(image) for test in tests)


def _filter(state: State, region: str, given: Params) -> Callable[[ImageEntry], bool]:
    name, values = given.get("Name", ""), given.get("Values", [])
    if len(values) > MAX_VALUES:
        message = f"Filter {name!r} has {len(values)} Values; at most {MAX_VALUES} are allowed."
        raise ErrorReply("InvalidFilterValue.LimitExceeded", message)
    test = _FILTERS.get(name)
    if name == "tag:":
        raise ErrorReply("FailedOperation.IllegalTagKey", "The filter `tag:` has no key.")
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
    if not is_region(region):
        raise ErrorReply("UnsupportedRegion", f"Region {region!r} is not supported.")
    image_id = params["ImageId"]
    changes = {name: value for name, value in params.items() if name != "ImageId"}
    _check_ids(state, region, image_id)
    _check_values(changes)
    image = state.find(region, image_id)
    if image is None:
        raise ErrorReply("InvalidImageId.NotFound", f"{region} has no image {image_id}.")
    _check_owner(image)
    if image["ImageState"] != "NORMAL":
        message = f"{image_id} is in state {image['ImageState']}."
        raise ErrorReply("InvalidImageId.IncorrectState", message)
    # The document says only "existing images". Tools rely on using one name in several regions.
    # assumed: names of public and shared images do not count
    for other in state.images[region]:
        if (
            other is not image
            and other["ImageType"] == "PRIVATE_IMAGE"
            and other["ImageName"] == changes.get("ImageName")
        ):
            message = f"{other['ImageId']} already has the name {other['ImageName']!r}."
            raise ErrorReply("InvalidImageName.Duplicate", message)
    image.update(changes)
    return {}


def _check_ids(state: State, region: str, *image_ids: str) -> None:
    existing = {image["ImageId"] for image in state.images.get(region, ())}
    for image_id in image_ids:
        if not IMAGE_ID.fullmatch(image_id):
            raise ErrorReply("InvalidImageId.Malformed", f"{image_id!r} is not an image id.")
        if image_id not in existing:
            state.missing.setdefault(f"image {image_id} in {region}", f"--region {region}")


def _check_values(changes: Params) -> None:
    for name, limit in MAX_CHARACTERS.items():
        # "字符" means characters, not bytes; counted as code points, as all tools do.
        if len(changes.get(name, "")) > limit:
            message = f"{name} is longer than {limit} characters."
            raise ErrorReply("InvalidParameterValue.TooLarge", message)
    # assumed: an empty description or family clears it, an empty name is an error
    if changes.get("ImageName") == "":
        raise ErrorReply("InvalidParameterValue", "ImageName is empty.")
    family = changes.get("ImageFamily", "")
    if family and not FAMILY.fullmatch(family):
        raise ErrorReply("InvalidParameterValue.InvalidImageFamily", f"{family!r} is invalid.")


def _check_owner(image: ImageEntry) -> None:
    if image["ImageType"] == "SHARED_IMAGE":
        code = "UnsupportedOperation.SharedImageModifyUnsupported"
        raise ErrorReply(code, f"{image['ImageId']} is shared from another account.")
    if image["ImageType"] != "PRIVATE_IMAGE":
        # assumed: CVM's general code for "the image does not belong to the user". This API lists
        # no code for public images, and NotFound would contradict DescribeImages.
        code = "UnauthorizedOperation.ImageNotBelongToAccount"
        raise ErrorReply(code, f"{image['ImageId']} does not belong to this account.")


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
