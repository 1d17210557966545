"""What one writes first: the typed SDKs, jsonschema.validate for each event, a call an image.

The baseline of `make bench`. It reads the same change requests, and leaves out pacing, retries,
reading back, undo and all else.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlsplit

import jsonschema
from qcloud_cos import CosConfig, CosS3Client
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.cvm.v20170312 import cvm_client, models
from tencentcloud.tag.v20180813 import models as tag_models
from tencentcloud.tag.v20180813 import tag_client

IMAGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "ImageId": {"type": "string", "pattern": "^img-[0-9a-z]+$"},
        "ImageName": {"type": "string", "minLength": 1, "maxLength": 60},
        "Tags": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"Key": {"type": "string"}, "Value": {"type": "string"}},
                "required": ["Key", "Value"],
            },
        },
    },
    "required": ["ImageId", "ImageName"],
    "additionalProperties": False,
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "anyOf": [
        IMAGE,
        {"type": "object", "properties": {"Images": {"type": "array", "items": IMAGE}},
         "required": ["Images"], "additionalProperties": False},
    ],
}  # fmt: skip


def main_handler(event: Any, context: Any) -> Any:  # noqa: ANN401 - whatever SCF delivers
    """Rename and tag the images that a change request names, one after the other."""
    keys = [
        os.environ[f"TENCENTCLOUD_{name}"] for name in ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
    ]
    region = context["tencentcloud_region"]
    document = event
    if "Records" in event:
        cos = event["Records"][0]["cos"]
        bucket = "{name}-{appid}".format(**cos["cosBucket"])
        key = cos["cosObject"]["key"].split("/", 3)[3]
        where = urlsplit(os.environ["STEWARD_COS_ENDPOINT"])
        config = CosConfig(
            Region=region, SecretId=keys[0], SecretKey=keys[1], Token=keys[2],
            Scheme=where.scheme, IP=where.hostname, Port=where.port,
        )  # fmt: skip
        body = CosS3Client(config).get_object(Bucket=bucket, Key=key)["Body"]
        document = json.loads(body.get_raw_stream().read())
    try:
        jsonschema.validate(document, SCHEMA)
    except jsonschema.ValidationError as error:
        return {"Outcome": "rejected", "Message": error.message}
    endpoint = urlsplit(os.environ["STEWARD_API_ENDPOINT"])
    http = HttpProfile(protocol=endpoint.scheme, endpoint=endpoint.netloc)
    client = cvm_client.CvmClient(Credential(*keys), region, ClientProfile(httpProfile=http))
    for image in document.get("Images", [document]):
        asked = models.DescribeImagesRequest()
        asked.ImageIds = [image["ImageId"]]
        (found,) = client.DescribeImages(asked).ImageSet
        if found.ImageName != image["ImageName"]:
            wanted = models.ModifyImageAttributeRequest()
            wanted.ImageId = image["ImageId"]
            wanted.ImageName = image["ImageName"]
            client.ModifyImageAttribute(wanted)
        if "Tags" in image:
            tags = tag_models.TagResourcesRequest()
            tags.ResourceList = [f"qcs::cvm:{region}:uin/:image/{image['ImageId']}"]
            tags.Tags = [tag_models.Tag() for _ in image["Tags"]]
            for tag, pair in zip(tags.Tags, image["Tags"], strict=True):
                tag.TagKey, tag.TagValue = pair["Key"], pair["Value"]
            profile = ClientProfile(httpProfile=http)
            tag_client.TagClient(Credential(*keys), region, profile).TagResources(tags)
    return {"Outcome": "applied"}
