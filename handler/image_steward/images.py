"""The calls that read and change images, by their API names, over any transport.

API: cvm 2017-03-12 (document/api/213/15713, 213/15715), tag 2018-08-13 (document/api/651).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from image_steward.errors import ApiError, NoClearAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from image_steward.errors import StewardError

PAGE = 100
"""DescribeImages answers at most so many images."""

TAG_RESOURCES = 9
TAG_KEYS = 10
"""Tag calls: the text on resources reads as 9 or as 10; the smaller one is right in both."""


class Call(Protocol):
    """One API call: the members of `Response`, or an `ApiError` or `NoClearAnswer` raised."""

    def __call__(
        self, service: str, action: str, region: str, params: Mapping[str, Any], /
    ) -> dict[str, Any]:
        """Call `action` of `service` for `region`."""


@dataclass(frozen=True)
class Image:
    """What the function needs to know of an image as it is."""

    image_id: str
    attributes: dict[str, str | bool]
    tags: dict[str, str]

    @classmethod
    def from_api(cls, image: Mapping[str, Any]) -> Image:
        """From an entry of DescribeImages' ImageSet; what is absent there is empty here."""
        return cls(
            image_id=_text(image["ImageId"]),
            attributes={
                "ImageName": _text(image.get("ImageName")),
                "ImageDescription": _text(image.get("ImageDescription")),
                "ImageFamily": _text(image.get("ImageFamily")),
                "ImageDeprecated": bool(image.get("ImageDeprecated")),
            },
            tags={_text(tag["Key"]): _text(tag["Value"]) for tag in image.get("Tags") or ()},
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
            reply = call("cvm", "DescribeImages", region, {"ImageIds": ids, "Limit": PAGE})
        except ApiError as error:
            if error.code != "InvalidImageId.Malformed":
                raise
            if len(ids) == 1:
                found[ids[0]] = error
            else:
                pages += [ids[: len(ids) // 2], ids[len(ids) // 2 :]]
        else:
            with _reading("DescribeImages"):
                images = map(Image.from_api, reply["ImageSet"])
                found.update({image.image_id: image for image in images})
    return found


def modify_image_attribute(
    call: Call, region: str, image_id: str, attributes: Mapping[str, str | bool]
) -> str:
    """Change attributes of one image; the RequestId of the call."""
    params = {"ImageId": image_id, **attributes}
    return str(call("cvm", "ModifyImageAttribute", region, params)["RequestId"])


def tag_resources(
    call: Call, region: str, image_ids: Iterable[str], tags: Mapping[str, str]
) -> tuple[str, dict[str, StewardError]]:
    """Bind at most 10 tags to at most 9 images; the RequestId and what failed, by image id."""
    params = {"Tags": [{"TagKey": key, "TagValue": value} for key, value in tags.items()]}
    return _tag_call(call, "TagResources", region, image_ids, params)


def untag_resources(
    call: Call, region: str, image_ids: Iterable[str], keys: Iterable[str]
) -> tuple[str, dict[str, StewardError]]:
    """Unbind at most 10 tags from at most 9 images; as `tag_resources`."""
    return _tag_call(call, "UnTagResources", region, image_ids, {"TagKeys": list(keys)})


def _tag_call(
    call: Call, action: str, region: str, image_ids: Iterable[str], params: dict[str, Any]
) -> tuple[str, dict[str, StewardError]]:
    # The account's own uin may be left empty in a resource's six segments.
    by_resource = {f"qcs::cvm:{region}:uin/:image/{image_id}": image_id for image_id in image_ids}
    reply = call("tag", action, region, {"ResourceList": list(by_resource), **params})
    request_id = str(reply["RequestId"])
    with _reading(action):
        failed = {
            # The reply may fill in the uin, so the image is known by the last segment.
            entry["Resource"].rpartition("/")[2]: ApiError.of(
                _text(entry["Code"]), _text(entry["Message"]), request_id
            )
            for entry in reply.get("FailedResources") or ()
        }
        if failed.keys() - set(by_resource.values()):
            raise ValueError("FailedResources names what was not asked for")
    return request_id, failed


def _text(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a string belongs")
    return value or ""


@contextmanager
def _reading(action: str) -> Iterator[None]:
    """A reply that is not of its documented shape tells nothing."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise NoClearAnswer(f"{action}: a reply of another shape ({reason[:80]})") from None
