"""Clients that Python and the system have, with nothing but what `scf-local cloud` exports."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from conformance.conftest import COS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.conftest import ServedCloud

PRESIGNED = """
token = {"x-cos-security-token": os.environ["TENCENTCLOUD_TOKEN"]}
url = client.get_presigned_url("manifests-1250000000", "requests/rename.json", "GET", Params=token)
"""
PROGRAMS = {
    "COS SDK": COS
    + """
body = client.get_object(Bucket="manifests-1250000000", Key="requests/rename.json")["Body"]
print(body.get_raw_stream().read().decode())
""",
    "urllib": COS
    + PRESIGNED
    + """
from urllib.request import urlopen
print(urlopen(url).read().decode())
""",
    "requests": COS
    + PRESIGNED
    + """
import requests
print(requests.get(url).text)
""",
    "httpx": COS
    + PRESIGNED
    + """
import httpx
print(httpx.get(url).text)
""",
    "aiohttp with trust_env": COS
    + PRESIGNED
    + """
import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session, session.get(url) as reply:
        print(await reply.text())
asyncio.run(main())
""",
    "curl": COS
    + PRESIGNED
    + """
import subprocess
print(subprocess.run(["curl", "--silent", "--fail", url], stdout=-1, check=True).stdout.decode())
""",
    "API SDK with the bundle as certification": """
import os
from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.common.common_client import CommonClient
keys = [os.environ[f"TENCENTCLOUD_{name}"] for name in ("SECRET_ID", "SECRET_KEY", "TOKEN")]
profile = ClientProfile(httpProfile=HttpProfile(certification=os.environ["SSL_CERT_FILE"]))
client = CommonClient(
    "cvm", "2017-03-12", credential.Credential(*keys), "ap-guangzhou", profile=profile)
client.call_json("DescribeImages", {})
print('{"ImageId": "img-6pb6lrmy"}')
""",
}
"""Each prints JSON about the same image."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_client(serve: Callable[[], ServedCloud], tmp_path: Path, name: str) -> None:
    """A client works at the cloud's own names, over TLS, by the exported variables."""
    done = serve().run(sys.executable, "-c", PROGRAMS[name], home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["ImageId"] == "img-6pb6lrmy"
