"""Tag 2018-08-13, of images (document/product/651/13354, api/651/35322, api/651/33022).

What the documents leave open is marked "assumed" where it is decided.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from image_steward.regions import is_region
from scf_local.cloud.actions import Action, Service
from scf_local.cloud.seed import set_tags, tags_of
from scf_local.cloud.wire import ApiError
from scf_local.environment import UIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from scf_local.cloud.actions import Params
    from scf_local.cloud.state import State

MAX_RESOURCES = MAX_TAGS = 10
MAX_TAGS_OF_RESOURCE = 50
MAX_RESOURCE_IDS, DEFAULT_LIMIT = 50, 15
CATEGORIES = ("Custom", "System", "All")
MAX_KEY, MAX_VALUE = 127, 255
RESERVED = ("qcs:", "project", "项目", "qcloud", "tencent")

_RESOURCE = re.compile(
    r"qcs::(?P<service>\w+):(?P<region>[a-z0-9-]*):uin/(?P<uin>\d*):(?P<prefix>\w+)/(?P<id>[\w-]+)"
)
# Letters and digits of any script and the punctuation that the document lists, once NFKC has
# made its wide forms narrow.
_ILLEGAL = re.compile(r"[^\w +\-=.:/@()\[\],;><【】。]|^ | $")


def tag_resources(state: State, _region: str, params: Params) -> dict[str, Any]:
    """Bind tags to images; a key that an image has gets the new value."""
    _check_count(params["Tags"], "Tags", MAX_TAGS, "LimitExceeded.TagNumPerRequest")
    tags = _tags(params["Tags"])
    return _for_each(state, params["ResourceList"], lambda held: held | tags)


def untag_resources(state: State, _region: str, params: Params) -> dict[str, Any]:
    """Unbind keys from images; a key that is not bound is no failure (assumed)."""
    keys = params["TagKeys"]
    _check_count(keys, "TagKeys", MAX_TAGS, "LimitExceeded.TagNumPerRequest")
    for key in keys:
        _check_key(key)
    return _for_each(
        state,
        params["ResourceList"],
        lambda held: {key: value for key, value in held.items() if key not in keys},
    )


def modify_resource_tags(state: State, _region: str, params: Params) -> dict[str, Any]:
    """Bind and unbind tags of one resource; its other tags stay.

    So the parameters' own texts have it; the title of an example says "replace by the set".
    """
    for name in ("ReplaceTags", "DeleteTags"):
        if name in params:
            _check_count(params[name], name, MAX_TAGS, "InvalidParameter.Tag")  # assumed
    if not params.keys() & {"ReplaceTags", "DeleteTags"}:
        raise ApiError("InvalidParameter.Tag", "ReplaceTags or DeleteTags is needed.")
    tags = _tags(params.get("ReplaceTags", []))
    unbound = [tag.get("TagKey", "") for tag in params.get("DeleteTags", [])]
    for key in unbound:
        _check_key(key)
        if key in tags:
            code = "InvalidParameterValue.DeleteTagsParamError"
            raise ApiError(code, f"TagKey {key!r} is in both lists.")
    failure = _change(
        state,
        _parsed(params["Resource"]),
        lambda held: {key: value for key, value in held.items() if key not in unbound} | tags,
    )
    if failure:
        raise ApiError(*failure)
    return {}


def describe_resource_tags_by_resource_ids(
    state: State, _region: str, params: Params
) -> dict[str, Any]:
    """One page of the tags, a row each, in the order of the ids; unknown ids have none."""
    offset, limit = params.get("Offset", 0), params.get("Limit", DEFAULT_LIMIT)
    category = params.get("Category", "All")
    ids = params["ResourceIds"]
    is_page = offset >= 0 and offset % max(limit, 1) == 0
    wrong = "InvalidParameterValue"
    for holds, code, told in (
        (params["ServiceType"] == "cvm", f"{wrong}.ServiceTypeInvalid", "ServiceType: only cvm."),
        (params["ResourcePrefix"], f"{wrong}.ResourcePrefixInvalid", "ResourcePrefix is empty."),
        (is_region(params["ResourceRegion"]), f"{wrong}.RegionInvalid", "ResourceRegion."),
        (1 <= len(ids) <= MAX_RESOURCE_IDS, f"{wrong}.ResourceIdInvalid", f"{len(ids)} ids."),
        (limit >= 1, wrong, f"Limit is {limit}."),  # no maximum is documented
        (is_page, f"{wrong}.OffsetInvalid", f"Offset is {offset}, no multiple of Limit."),
        (category in CATEGORIES, wrong, f"Category is none of {', '.join(CATEGORIES)}."),
    ):
        if not holds:
            raise ApiError(code, told)
    # Other resources of cvm exist, not here: they have no tags. Nor has an image system tags.
    known = params["ResourcePrefix"] == "image" and category != "System"
    images = [state.find(params["ResourceRegion"], one) for one in dict.fromkeys(ids) if known]
    rows = [
        {
            "TagKey": key,
            "TagValue": text,
            "ResourceId": image["ImageId"],
            "TagKeyMd5": _md5(key),
            "TagValueMd5": _md5(text),
            "ServiceType": "cvm",
            "Category": "Custom",
        }
        for image in images
        if image
        for key, text in tags_of(image).items()
    ]
    page = rows[offset : offset + limit]
    return {"TotalCount": len(rows), "Offset": offset, "Limit": limit, "Tags": page}


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def _tags(pairs: list[Params]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for pair in pairs:
        key, value = pair.get("TagKey", ""), pair.get("TagValue", "")
        _check_key(key)
        _check_text("TagValue", value, MAX_VALUE)
        if key in tags:
            code = "InvalidParameterValue.TagKeyDuplicate"
            raise ApiError(code, f"TagKey {key!r} is there twice.")
        tags[key] = value
    return tags


def _for_each(
    state: State, resources: list[str], change: Callable[[dict[str, str]], dict[str, str]]
) -> dict[str, Any]:
    _check_count(resources, "resources", MAX_RESOURCES, "LimitExceeded.ResourceNumPerRequest")
    parsed = [_parsed(resource) for resource in resources]
    failed = []
    for resource, parts in zip(resources, parsed, strict=True):
        failure = _change(state, parts, change)
        if failure:
            code, message = failure
            failed.append({"Resource": resource, "Code": code, "Message": message})
    return {"FailedResources": failed}


def _parsed(resource: str) -> re.Match[str]:
    parts = _RESOURCE.fullmatch(resource)
    if parts is None:
        told = f"{resource!r} has not the form qcs::cvm:<region>:uin/<uin>:image/<id>."
        raise ApiError("InvalidParameterValue.ResourceDescriptionError", told)
    if parts["service"] != "cvm":
        raise ApiError("InvalidParameter.UnsupportedService", f"Only cvm is emulated: {resource}.")
    return parts


def _change(
    state: State, parts: re.Match[str], change: Callable[[dict[str, str]], dict[str, str]]
) -> tuple[str, str] | None:
    """Change one image's tags, or say why not: the call goes on with the next one."""
    image = state.find(parts["region"], parts["id"]) if parts["prefix"] == "image" else None
    if image is None:  # assumed: the common code; the API's own list has none
        return "ResourceNotFound", f"{parts['prefix']} {parts['id']} is not found."
    # An empty uin is one's own account.
    if parts["uin"] not in {"", UIN} or image["ImageType"] != "PRIVATE_IMAGE":
        return "AuthFailure.UnauthorizedOperation", f"{parts['id']} is another account's."
    tags = change(tags_of(image))
    if len(tags) > MAX_TAGS_OF_RESOURCE:
        told = f"{parts['id']} would have {len(tags)} tags; {MAX_TAGS_OF_RESOURCE} are allowed."
        return "LimitExceeded.ResourceAttachedTags", told
    set_tags(image, tags)
    return None


def _check_key(key: str) -> None:
    _check_text("TagKey", key, MAX_KEY)
    if key.startswith(RESERVED):
        raise ApiError("InvalidParameter.ReservedTagKey", f"TagKey {key!r} is reserved.")


def _check_text(name: str, text: str, most: int) -> None:
    wrong = f"InvalidParameterValue.{name}"
    if not text:
        raise ApiError(f"{wrong}Empty", f"A {name} is empty.")
    if len(text) > most:
        raise ApiError(f"{wrong}LengthExceeded", f"A {name} has over {most} characters.")
    if _ILLEGAL.search(unicodedata.normalize("NFKC", text)):
        raise ApiError(f"{wrong}CharacterIllegal", f"{name} {text!r}.")


def _check_count(given: list[Any], what: str, most: int, code: str) -> None:
    if not 1 <= len(given) <= most:
        raise ApiError(code, f"{len(given)} {what}; 1 to {most} are allowed.")


_TAG = {"TagKey": str, "TagValue": str, "Category": str}
_TAGGED = {"ResourceList": [str], "Tags": [_TAG]}
_UNTAGGED = {"ResourceList": [str], "TagKeys": [str]}
_ASKED = {"ServiceType": str, "ResourcePrefix": str, "ResourceIds": [str], "ResourceRegion": str}
_PAGE = {"Offset": int, "Limit": int}

SERVICE = Service(
    "2018-08-13",
    {
        "TagResources": Action(tag_resources, 20, _TAGGED, required=tuple(_TAGGED)),
        "UnTagResources": Action(untag_resources, 20, _UNTAGGED, required=tuple(_UNTAGGED)),
        "ModifyResourceTags": Action(
            modify_resource_tags,
            20,
            {"Resource": str, "ReplaceTags": [_TAG], "DeleteTags": [{"TagKey": str}]},
            required=("Resource",),
        ),
        "DescribeResourceTagsByResourceIds": Action(
            describe_resource_tags_by_resource_ids,
            100,
            {**_ASKED, **_PAGE, "Category": str},
            required=tuple(_ASKED),
        ),
    },
)
