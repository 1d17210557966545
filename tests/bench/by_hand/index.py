"""A handler made by hand for one job: it sets attributes of one image, as an upload says.

`make bench` compares the function with it. It makes the same calls with the same libraries, also
imported only when they are needed, but has no settings, policies, retries, rate limiter, time
limits or messages of its own. schema.json beside it is the function's own schema.
"""

from __future__ import annotations

import gc
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

gc.set_threshold(100_000)  # imports allocate many objects, but little garbage
warnings.filterwarnings("ignore", "Unable to find acceptable character detection")

SCHEMA = Path(__file__).parent / "schema.json"
ATTRIBUTES = ("ImageName", "ImageDescription", "ImageFamily", "ImageDeprecated")


class Credentials(NamedTuple):
    """The run role's credentials; the SDK's own class takes 10 ms to import."""

    secret_id: str
    secret_key: str
    token: str

    def get_credential_info(self) -> tuple[str, str, str]:
        """Called by the SDK."""
        return self.secret_id, self.secret_key, self.token


def main_handler(event: Any, context: Any) -> Any:  # noqa: ANN401 - whatever SCF delivers
    """Set the attributes that the uploaded document names; the journal gets what undoes that."""
    started = time.monotonic()
    run, region = context["request_id"], context["tencentcloud_region"]
    names = ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
    credentials = Credentials(*(os.environ[f"TENCENTCLOUD_{name}"] for name in names))
    record = event["Records"][0]
    if not record["event"]["eventName"].startswith("cos:ObjectCreated:"):
        log("event.ignored", run, Reason=record["event"]["eventName"])
        return {"Outcome": "ignored"}
    bucket = "{name}-{appid}".format(**record["cos"]["cosBucket"])
    key = unquote(record["cos"]["cosObject"]["key"].split("/", 3)[3])
    cos = cos_client(region, credentials)
    journal_bucket, _, prefix = os.environ["STEWARD_JOURNAL"].partition("/")
    journal = f"{prefix}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{run}"

    def write(name: str, document: dict[str, Any]) -> None:
        body = json.dumps(document, ensure_ascii=False).encode()
        cos.put_object(journal_bucket, body, name, ContentType="application/json")
        log("journal.written", run, Journal=f"cos://{journal_bucket}/{name}")

    log("run.started", run, Source=f"cos://{bucket}/{key}")
    image = json.loads(cos.get_object(bucket, key)["Body"].get_raw_stream().read())
    if errors := violations(image):
        log("document.rejected", run, Errors=errors)
        return {"Outcome": "rejected", "Errors": errors}
    image_id, api = image["ImageId"], api_client(region, credentials)
    wanted = {name: image[name] for name in ATTRIBUTES if name in image}
    (current,) = call(api, "DescribeImages", ImageIds=[image_id])["ImageSet"]
    after = {name: value for name, value in wanted.items() if current.get(name) != value}
    if name := after.get("ImageName"):
        filters = [{"Name": "image-name", "Values": [name]}]
        found = call(api, "DescribeImages", Filters=filters, Offset=0, Limit=100)["ImageSet"]
        if any(other["ImageName"] == name for other in found):
            raise ValueError(f"the name {name} is taken")
    before = {name: current.get(name) for name in after}
    undo = {"Region": region, "ImageId": image_id, **before, "Expect": after}
    if after:
        write(f"{journal}.json", {"Images": [undo]})
        log("image.before", run, Undo=undo)
        request_id = call(api, "ModifyImageAttribute", ImageId=image_id, **after)["RequestId"]
        log("image.changed", run, Before=before, After=after, ApiRequestId=request_id)
    result = {"Outcome": "applied", "ImageId": image_id, "Before": before, "After": after}
    write(f"{journal}-result.json", result)
    log(
        "run.finished", run, Outcome="applied", DurationMs=round((time.monotonic() - started) * 1e3)
    )
    return result


def log(name: str, run: str, **fields: object) -> None:
    """Write a line for CLS."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = {"Time": moment, "Level": "INFO", "Event": name, "RequestId": run, **fields}
    print(json.dumps(line, ensure_ascii=False), flush=True)  # noqa: T201 - SCF's log


def violations(document: object) -> list[str]:
    """Say what is wrong with a document that describes one image."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - not needed for ignored events

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors({"Images": [document]})]


def cos_client(region: str, credentials: Credentials) -> Any:  # noqa: ANN401 - the SDK has no types
    """Return a client for COS."""
    from qcloud_cos import CosConfig, CosS3Client  # noqa: PLC0415 - as above

    endpoint = urlsplit(os.environ["STEWARD_COS_ENDPOINT"])
    config = CosConfig(
        Region=region, SecretId=credentials.secret_id, SecretKey=credentials.secret_key,
        Token=credentials.token, Scheme=endpoint.scheme, IP=endpoint.hostname, Port=endpoint.port,
    )  # fmt: skip
    return CosS3Client(config)


def api_client(region: str, credentials: Credentials) -> Any:  # noqa: ANN401 - the SDK has no types
    """Return a client for CVM."""
    from tencentcloud.common.common_client import CommonClient  # noqa: PLC0415 - not for rejected
    from tencentcloud.common.profile.client_profile import ClientProfile  # noqa: PLC0415
    from tencentcloud.common.profile.http_profile import HttpProfile  # noqa: PLC0415

    endpoint = urlsplit(os.environ["STEWARD_API_ENDPOINT"])
    http = HttpProfile(protocol=endpoint.scheme, endpoint=endpoint.netloc)
    profile = ClientProfile(httpProfile=http)
    return CommonClient("cvm", "2017-03-12", credentials, region, profile)


def call(api: Any, action: str, **params: object) -> Any:  # noqa: ANN401 - any JSON value
    """Make an API call; the SDK raises its errors."""
    return json.loads(api.call(action, params))["Response"]
