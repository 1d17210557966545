"""Downloads a link and returns its size and digest; makes the link of an object in COS itself."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import requests
from qcloud_cos import CosConfig, CosS3Client


def main(event: dict[str, str], context: dict[str, Any]) -> dict[str, Any]:
    """Download `{"url": …}`, or the object in `{"bucket": …, "key": …}`."""
    url = event.get("url") or link(event["bucket"], event["key"], context["tencentcloud_region"])
    reply = requests.get(url, timeout=30)
    reply.raise_for_status()
    print(reply.status_code, url.partition("?")[0])
    return {"size": len(reply.content), "sha256": hashlib.sha256(reply.content).hexdigest()}


def link(bucket: str, key: str, region: str) -> str:
    """Return a signed link of an object, which works without credentials."""
    config = CosConfig(
        Region=region,
        SecretId=os.environ["TENCENTCLOUD_SECRETID"],
        SecretKey=os.environ["TENCENTCLOUD_SECRETKEY"],
        Token=os.environ["TENCENTCLOUD_SESSIONTOKEN"],
    )
    token = {"x-cos-security-token": os.environ["TENCENTCLOUD_SESSIONTOKEN"]}
    signed = CosS3Client(config).get_presigned_url(
        Bucket=bucket, Key=key, Method="GET", Expired=300, Params=token
    )
    return str(signed)
