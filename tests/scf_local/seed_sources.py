"""The sources of a seed: replies, folders, and a cloud, which is only read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from qcloud_cos import CosClientError, CosConfig, CosS3Client, CosServiceError
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from urllib3.exceptions import HTTPError

from image_steward.settings import BUCKET
from scf_local import api_client, network
from scf_local.cloud import seed
from scf_local.cloud.seed import Buckets, Images
from scf_local.console import read_input
from scf_local.credentials import SCF_NAMES

_PAGE = 100
ERRORS = (TencentCloudSDKException, CosClientError, HTTPError)
_OBJECT = re.compile(r"cos://([^/]+)/(.+)", re.DOTALL)
_TYPES = [{"Name": "image-type", "Values": ["PRIVATE_IMAGE", "SHARED_IMAGE"]}]


def read(source: str, region: str, cloud: Mapping[str, str] | None) -> tuple[Images, Buckets]:
    """Return the images and objects of a file, a folder or a `cos://` URL.

    `cloud` are the variables of the cloud for URLs.

    Raises:
        ValueError, OSError, ERRORS: it cannot be read, or has something else.
    """
    folder, match = Path(source), _OBJECT.fullmatch(source)
    if source.startswith("cos://"):
        if not (cloud and match and BUCKET.fullmatch(match[1])):
            raise ValueError(f"{source}: must be cos://NAME-APPID/KEY, with --real or --endpoint")
        return {}, {match[1]: {match[2]: _download(cloud, region, match[1], match[2])}}
    if not folder.is_dir():
        name = "stdin" if source == "-" else source
        return seed.read_images(read_input(source, "reply"), name, region), {}
    if BUCKET.fullmatch(name := folder.resolve().name):
        return {}, {name: seed.read_bucket(folder)}
    return seed.read_folder(folder) or ({}, seed.read_objects(folder))


def read_region(region: str, cloud: Mapping[str, str]) -> Images:
    """Return the private and shared images of a region.

    Raises:
        ValueError, ERRORS: they cannot be read.
    """
    pages: list[dict[str, Any]] = []
    while not pages or len(pages[-1].get("ImageSet", ())) == _PAGE:
        page = {"Filters": _TYPES, "Limit": _PAGE, "Offset": len(pages) * _PAGE}
        pages.append(api_client.call(cloud, region, "cvm", "DescribeImages", page))
    return {region: seed.images_of(pages, region)}


def _download(cloud: Mapping[str, str], region: str, bucket: str, key: str) -> seed.Object:
    url = urlsplit(cloud.get(network.ENDPOINT, "https:"))
    names = ("SecretId", "SecretKey", "Token")
    keys = dict(zip(names, map(cloud.get, SCF_NAMES), strict=True))
    host = {"Scheme": url.scheme, "IP": url.hostname, "Port": url.port}
    config = CosConfig(Region=region, KeepAlive=False, **keys, **host)
    try:
        reply = CosS3Client(config).get_object(Bucket=bucket, Key=key)
    except CosServiceError as error:
        message = f"{error.get_error_msg()} ({error.get_error_code()})"
        raise ValueError(f"cos://{bucket}/{key} in {region}: {message}") from None
    content = reply["Body"].get_raw_stream().read()
    return seed.Object(content, modified=parsedate_to_datetime(reply["Last-Modified"]).timestamp())
