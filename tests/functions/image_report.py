"""Reports the custom images of some regions, every night: how many, and the largest.

Variables: API_DOMAIN, for accounts that call the API at another domain.
"""

from __future__ import annotations

import json
import os
from typing import Any

from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.cvm.v20170312.cvm_client import CvmClient
from tencentcloud.cvm.v20170312.models import DescribeImagesRequest, Filter


def main_handler(event: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    """Report the function's own region, and those that the timer's message lists."""
    credential = Credential(
        os.environ["TENCENTCLOUD_SECRETID"],
        os.environ["TENCENTCLOUD_SECRETKEY"],
        os.environ["TENCENTCLOUD_SESSIONTOKEN"],
    )
    own = context["tencentcloud_region"]
    reports = {own: report(CvmClient(credential, own))}  # at the nearest host
    domain = os.environ.get("API_DOMAIN", "tencentcloudapi.com")
    for region in json.loads(event["Message"] or "[]"):
        host = HttpProfile(endpoint=f"cvm.{region}.{domain}")
        client = CvmClient(credential, region, ClientProfile(httpProfile=host))
        reports[region] = report(client)
    print(json.dumps(reports))
    return reports


def report(client: CvmClient) -> dict[str, Any]:
    """Read all custom images of a client's region, page by page."""
    private = Filter()
    private.Name, private.Values = "image-type", ["PRIVATE_IMAGE"]
    request = DescribeImagesRequest()
    request.Filters, request.Limit, request.Offset = [private], 2, 0
    images: list[Any] = []
    while True:
        page = client.DescribeImages(request)
        images += page.ImageSet
        if len(images) >= page.TotalCount:
            break
        request.Offset = len(images)
    largest = max(images, key=lambda image: image.ImageSize, default=None)
    return {"images": len(images), "largest": largest and largest.ImageId}
