"""Tag 2018-08-13, for images (document/product/651/13354, api/651/35322, api/651/33022).

Tags of roles can only be read, which Terraform does by `RoleId`, without a region.

Behaviour that the documents leave open is marked "assumed".
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Any

from image_steward.regions import is_region
from scf_local.cloud.actions import ApiCall, EmulatedAction, Params, Service
from scf_local.cloud.seed import set_tags, tags_of
from scf_local.cloud.state import State
from scf_local.cloud.wire import ErrorReply, found, require
from scf_local.environment import UIN

MAX_RESOURCES = MAX_TAGS = 10
MAX_TAGS_OF_RESOURCE = 50
MAX_RESOURCE_IDS, DEFAULT_LIMIT = 50, 15
CATEGORIES = ("Custom", "System", "All")
MAX_KEY, MAX_VALUE = 127, 255
RESERVED = ("qcs:", "project", "项目", "qcloud", "tencent")

_WRONG = "InvalidParameterValue"
_RESOURCE = re.compile(
    r"qcs::(?P<service>\w+):(?P<region>[a-z0-9-]*):uin/(?P<uin>\d*):(?P<prefix>\w+)/(?P<id>[\w-]+)"
)
# Allowed are letters and digits of any script, and the punctuation that the document lists, after
# NFKC, which turns full-width punctuation into ASCII.
_ILLEGAL = re.compile(r"[^\w +\-=.:/@()\[\],;><【】。]|^ | $")


def tag_resources(call: ApiCall) -> dict[str, Any]:
    """Bind tags to images; replaces the value of a key that is already bound."""
    _check_count(call.params["Tags"], "Tags", MAX_TAGS, "LimitExceeded.TagNumPerRequest")
    return _change_each(call, _tags(call.params["Tags"]), [])


def untag_resources(call: ApiCall) -> dict[str, Any]:
    """Unbind keys from images; ignores keys that are not bound (assumed)."""
    keys = call.params["TagKeys"]
    _check_count(keys, "TagKeys", MAX_TAGS, "LimitExceeded.TagNumPerRequest")
    for key in keys:
        _check_key(key)
    return _change_each(call, {}, keys)


def modify_resource_tags(call: ApiCall) -> dict[str, Any]:
    """Bind and unbind tags of one resource; its other tags stay.

    This is how the parameters are documented, although the title of an example says "replace by
    the set".
    """
    params = call.params
    given = [name for name in ("ReplaceTags", "DeleteTags") if name in params]
    for name in given:
        _check_count(params[name], name, MAX_TAGS, "InvalidParameter.Tag")  # assumed
    require(given, "InvalidParameter.Tag", "ReplaceTags or DeleteTags is required.")
    tags = _tags(params.get("ReplaceTags", []))
    deleted = [tag.get("TagKey", "") for tag in params.get("DeleteTags", [])]
    for key in deleted:
        _check_key(key)
        message = f"TagKey {key!r} is in both lists."
        require(key not in tags, f"{_WRONG}.DeleteTagsParamError", message)
    _change(call.state, _parsed(params["Resource"]), tags, deleted)
    return {}


def describe_tags(call: ApiCall) -> dict[str, Any]:
    """Return one page of tags, one entry per tag, in the order of the ids; ignores unknown ids."""
    state, params = call.state, call.params
    offset, limit = params.get("Offset", 0), params.get("Limit", DEFAULT_LIMIT)
    category = params.get("Category", "All")
    service, prefix, ids, region = (params[name] for name in _REQUIRED)
    is_place = service == "cam" or is_region(region)
    is_page = offset >= 0 and offset % max(limit, 1) == 0
    for valid, code, message in (
        (service in {"cvm", "cam"}, f"{_WRONG}.ServiceTypeInvalid", "ServiceType: cvm or cam."),
        (prefix, f"{_WRONG}.ResourcePrefixInvalid", "ResourcePrefix is empty."),
        (is_place, f"{_WRONG}.RegionInvalid", "No such ResourceRegion."),
        (1 <= len(ids) <= MAX_RESOURCE_IDS, f"{_WRONG}.ResourceIdInvalid", f"{len(ids)} ids."),
        (limit >= 1, _WRONG, f"Limit is {limit}; it must be 1 or more."),  # assumed: no maximum
        (is_page, f"{_WRONG}.OffsetInvalid", f"{offset} is not a multiple of Limit {limit}."),
        (category in CATEGORIES, _WRONG, f"Category must be one of {', '.join(CATEGORIES)}."),
    ):
        require(valid, code, message)
    # Other resources are not emulated: they have no tags. There are no system tags.
    tagged = {
        "cvm image": {image["ImageId"]: tags_of(image) for image in state.images.get(region, ())},
        "cam role": {role.id: tags_of({"Tags": role.tags}) for role in state.access.roles.values()},
    }
    found = tagged.get(f"{service} {prefix}", {}) if category != "System" else {}
    pairs = [(id_, *tag) for id_ in dict.fromkeys(ids) for tag in found.get(id_, {}).items()]
    entries = [
        {"ResourceId": id_, "ServiceType": service, "Category": "Custom"}
        | {"TagKey": key, "TagKeyMd5": _md5(key), "TagValue": value, "TagValueMd5": _md5(value)}
        for id_, key, value in pairs
    ]
    page = entries[offset : offset + limit]
    return {"TotalCount": len(entries), "Offset": offset, "Limit": limit, "Tags": page}


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def _tags(pairs: list[Params]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for pair in pairs:
        key, value = pair.get("TagKey", ""), pair.get("TagValue", "")
        _check_key(key)
        _check_text("TagValue", value, MAX_VALUE)
        message = f"TagKey {key!r} is used more than once."
        require(key not in tags, f"{_WRONG}.TagKeyDuplicate", message)
        tags[key] = value
    return tags


def _change_each(call: ApiCall, tags: dict[str, str], deleted: list[str]) -> dict[str, Any]:
    """Change the tags of several images; returns those that cannot be changed."""
    resources = call.params["ResourceList"]
    _check_count(resources, "resources", MAX_RESOURCES, "LimitExceeded.ResourceNumPerRequest")
    failed = []
    for resource, parts in [(resource, _parsed(resource)) for resource in resources]:
        try:
            _change(call.state, parts, tags, deleted)
        except ErrorReply as error:  # noqa: PERF203 - each may fail
            failed.append({"Resource": resource, "Code": error.code, "Message": error.message})
    return {"FailedResources": failed}


def _parsed(resource: str) -> re.Match[str]:
    message = f"{resource!r} does not look like qcs::cvm:<region>:uin/<uin>:image/<id>."
    parts = found(_RESOURCE.fullmatch(resource), f"{_WRONG}.ResourceDescriptionError", message)
    code = "InvalidParameter.UnsupportedService"
    require(parts["service"] == "cvm", code, f"{resource} is not of cvm.")
    return parts


def _change(state: State, parts: re.Match[str], tags: dict[str, str], deleted: list[str]) -> None:
    """Change one image's tags."""
    image = state.find(parts["region"], parts["id"]) if parts["prefix"] == "image" else None
    # assumed: the common code; this API lists none of its own
    image = found(image, "ResourceNotFound", f"{parts['prefix']} {parts['id']} is not found.")
    # An empty uin means the caller's own account.
    is_own = parts["uin"] in {"", UIN} and image["ImageType"] == "PRIVATE_IMAGE"
    message = f"{parts['id']} belongs to another account."
    require(is_own, "AuthFailure.UnauthorizedOperation", message)
    new = {key: value for key, value in tags_of(image).items() if key not in deleted} | tags
    message = f"{len(new)} tags of {parts['id']}; at most {MAX_TAGS_OF_RESOURCE} are allowed."
    require(len(new) <= MAX_TAGS_OF_RESOURCE, "LimitExceeded.ResourceAttachedTags", message)
    set_tags(image, new)


def _check_key(key: str) -> None:
    _check_text("TagKey", key, MAX_KEY)
    is_free, message = not key.startswith(RESERVED), f"TagKey {key!r} is reserved."
    require(is_free, "InvalidParameter.ReservedTagKey", message)


def _check_text(name: str, text: str, limit: int) -> None:
    code, message = f"{_WRONG}.{name}", f"A {name} has more than {limit} characters."
    require(text, f"{code}Empty", f"A {name} is empty.")
    require(len(text) <= limit, f"{code}LengthExceeded", message)
    is_legal = not _ILLEGAL.search(unicodedata.normalize("NFKC", text))
    require(is_legal, f"{code}CharacterIllegal", f"{name} {text!r} has an illegal character.")


def _check_count(given: list[Any], what: str, limit: int, code: str) -> None:
    message = f"{len(given)} {what}; 1 to {limit} are allowed."
    require(1 <= len(given) <= limit, code, message)


_TAG = {"TagKey": str, "TagValue": str, "Category": str}
_BIND = {"ResourceList": [str], "Tags": [_TAG]}
_UNBIND = {"ResourceList": [str], "TagKeys": [str]}
_MODIFY = {"Resource": str, "ReplaceTags": [_TAG], "DeleteTags": [{"TagKey": str}]}
_REQUIRED = {"ServiceType": str, "ResourcePrefix": str, "ResourceIds": [str], "ResourceRegion": str}
_DESCRIBE = {**_REQUIRED, "Offset": int, "Limit": int, "Category": str}

SERVICE = Service(
    "2018-08-13",
    {
        "TagResources": EmulatedAction(tag_resources, 20, _BIND, (*_BIND,)),
        "UnTagResources": EmulatedAction(untag_resources, 20, _UNBIND, (*_UNBIND,)),
        "ModifyResourceTags": EmulatedAction(modify_resource_tags, 20, _MODIFY, ("Resource",)),
        "DescribeResourceTagsByResourceIds": EmulatedAction(
            describe_tags, 100, _DESCRIBE, (*_REQUIRED,)
        ),
    },
    is_regional=False,
)
