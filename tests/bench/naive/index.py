"""A straightforward handler: the typed SDKs, jsonschema.validate for each event, calls per image.

The baseline of `make bench`. It accepts the same change requests, but has no rate limiter, retries,
reading back, undo or anything else.
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
    """Rename and tag the images of a change request, one after another."""
    credentials = [
        os.environ[f"TENCENTCLOUD_{name}"] for name in ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
    ]
    region = context["tencentcloud_region"]
    document = event
    if "Records" in event:
        cos = event["Records"][0]["cos"]
        bucket = "{name}-{appid}".format(**cos["cosBucket"])
        key = cos["cosObject"]["key"].split("/", 3)[3]
        endpoint = urlsplit(os.environ["STEWARD_COS_ENDPOINT"])
        secret_id, secret_key, token = credentials
        config = CosConfig(
            Region=region, SecretId=secret_id, SecretKey=secret_key, Token=token,
            Scheme=endpoint.scheme, IP=endpoint.hostname, Port=endpoint.port,
        )  # fmt: skip
        body = CosS3Client(config).get_object(Bucket=bucket, Key=key)["Body"]
        document = json.loads(body.get_raw_stream().read())
    try:
        jsonschema.validate(document, SCHEMA)
    except jsonschema.ValidationError as error:
        return {"Outcome": "rejected", "Message": error.message}
    endpoint = urlsplit(os.environ["STEWARD_API_ENDPOINT"])
    http = HttpProfile(protocol=endpoint.scheme, endpoint=endpoint.netloc)
    profile = ClientProfile(httpProfile=http)
    client = cvm_client.CvmClient(Credential(*credentials), region, profile)
    for image in document.get("Images", [document]):
        describe = models.DescribeImagesRequest()
        describe.ImageIds = [image["ImageId"]]
        (current,) = client.DescribeImages(describe).ImageSet
        if current.ImageName != image["ImageName"]:
            modify = models.ModifyImageAttributeRequest()
            modify.ImageId = image["ImageId"]
            modify.ImageName = image["ImageName"]
            client.ModifyImageAttribute(modify)
        if "Tags" in image:
            tags = tag_models.TagResourcesRequest()
            tags.ResourceList = [f"qcs::cvm:{region}:uin/:image/{image['ImageId']}"]
            tags.Tags = [tag_models.Tag() for _ in image["Tags"]]
            for tag, pair in zip(tags.Tags, image["Tags"], strict=True):
                tag.TagKey, tag.TagValue = pair["Key"], pair["Value"]
            profile = ClientProfile(httpProfile=http)
            tag_client.TagClient(Credential(*credentials), region, profile).TagResources(tags)
    return {"Outcome": "applied"}
