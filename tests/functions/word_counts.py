"""Counts the words of uploaded texts, and moves each text to the archive, also compressed.

Variables: COS_DOMAIN, the bucket's own domain if it has one; KEEP, how many counts to keep.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from qcloud_cos import CosConfig, CosS3Client

TMP = Path("/tmp")  # noqa: S108 - SCF's only writable folder


def main_handler(event: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    """Process the upload of each record."""
    config = CosConfig(
        Region=context["tencentcloud_region"],
        SecretId=os.environ["TENCENTCLOUD_SECRETID"],
        SecretKey=os.environ["TENCENTCLOUD_SECRETKEY"],
        Token=os.environ["TENCENTCLOUD_SESSIONTOKEN"],
        Domain=os.environ.get("COS_DOMAIN"),
    )
    client = CosS3Client(config)
    return {
        record["cos"]["cosObject"]["key"]: process(client, record["cos"])
        for record in event["Records"]
    }


def process(client: CosS3Client, cos: dict[str, Any]) -> dict[str, Any]:
    """Count the words of an object, archive it, and return what the bucket holds now."""
    bucket = f"{cos['cosBucket']['name']}-{cos['cosBucket']['appid']}"
    key = cos["cosObject"]["key"].split("/", 3)[3]
    name = key.rpartition("/")[2]
    print(f"processing {bucket}/{key}")

    text = TMP / "text"
    client.download_file(Bucket=bucket, Key=key, DestFilePath=str(text), DumpRecordDir=str(TMP))
    words = Counter(text.read_text(encoding="utf-8").split())
    client.put_object(
        Bucket=bucket,
        Key=f"counts/{name}.json",
        Body=json.dumps(dict(words)).encode(),
        ContentType="application/json",
        Metadata={"x-cos-meta-words": str(sum(words.values()))},
    )

    packed = TMP / "packed"
    with text.open("rb") as source, gzip.open(packed, "wb", compresslevel=0) as target:
        shutil.copyfileobj(source, target)
    client.upload_file(
        Bucket=bucket, Key=f"archive/{name}.gz", LocalFilePath=str(packed), PartSize=1
    )
    source_object = {"Bucket": bucket, "Key": key, "Region": cos["cosBucket"]["cosRegion"]}
    client.copy(Bucket=bucket, Key=f"archive/{name}", CopySource=source_object)
    client.delete_object(Bucket=bucket, Key=key)

    counts = keys_below(client, bucket, "counts/")
    keep = int(os.environ.get("KEEP", "1000"))
    if old := counts[:-keep]:
        client.delete_objects(Bucket=bucket, Delete={"Object": [{"Key": each} for each in old]})
    return {"words": sum(words.values()), "counts": counts[-keep:]}


def keys_below(client: CosS3Client, bucket: str, prefix: str) -> list[str]:
    """Return all keys that begin with a prefix, the oldest object first."""
    found: list[dict[str, str]] = []
    marker = ""
    while True:
        page = client.list_objects(Bucket=bucket, Prefix=prefix, Marker=marker, MaxKeys=2)
        found += page.get("Contents", [])
        if page["IsTruncated"] == "false":
            return [each["Key"] for each in sorted(found, key=lambda each: each["LastModified"])]
        marker = page["NextMarker"]
