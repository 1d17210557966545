"""COS objects through the official COS SDK, its own sleeping retries off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from qcloud_cos import CosClientError, CosConfig, CosS3Client, CosServiceError
from urllib3.exceptions import HTTPError

from image_steward import errors
from image_steward.cloud.credentials import Credentials
from image_steward.cloud.transport import Session
from image_steward.model import CosObject
from image_steward.settings import Settings


@dataclass(frozen=True)
class Objects:
    """Reads and writes objects for one run."""

    settings: Settings
    session: Session
    credentials: Credentials

    def read(self, place: CosObject) -> bytes:
        """The content of an object of at most STEWARD_MAX_DOCUMENT_BYTES.

        Raises:
            ObjectNotFound, AccessDenied, DocumentTooLarge: as they say.
            ApiError: COS refuses with another code.
            AmbiguousResponse: no reply, or one that broke off.
        """
        name = place.source
        with _told(name, "GetObject"):
            reply = self._client(place.region).get_object(Bucket=place.bucket, Key=place.key)
            return self._body(reply["Body"], name)

    def write(self, place: CosObject, data: bytes) -> None:
        """Store an object; the same again does no harm.

        Raises:
            ObjectNotFound, AccessDenied: the bucket does not exist, the role may not write to it.
            ApiError, AmbiguousResponse: as `read`.
        """
        with _told(place.source, "PutObject"):
            self._client(place.region).put_object(
                Bucket=place.bucket, Key=place.key, Body=data, ContentType="application/json"
            )

    def _client(self, region: str) -> CosS3Client:
        where: dict[str, Any] = {}
        if self.settings.cos_endpoint:
            url = urlsplit(self.settings.cos_endpoint)
            # By IP the real bucket stays in the Host header; Endpoint and Domain would lose it.
            host = f"[{url.hostname}]" if ":" in str(url.hostname) else url.hostname
            where = {"Scheme": url.scheme, "IP": host, "Port": url.port}
        config = CosConfig(
            Region=region,
            SecretId=self.credentials.secret_id,
            SecretKey=self.credentials.secret_key,
            Token=self.credentials.token,  # CosConfig's CredentialInstance would send none
            **where,
        )
        return CosS3Client(config, retry=0, session=self.session)

    def _body(self, body: Any, name: str) -> bytes:  # noqa: ANN401 - the SDK's StreamBody
        limit = self.settings.max_document_bytes
        stream = body.get_raw_stream()
        data = b""
        try:
            # A second, empty read is what tells a body cut short from a whole one.
            while max(len(body), len(data)) <= limit:
                chunk = stream.read(limit + 1 - len(data), decode_content=True)
                if not chunk:
                    return data
                data += chunk
        finally:
            stream.release_conn() if stream.isclosed() else stream.close()
        size = max(len(body), len(data))
        told = f"{name} has {size} bytes or more; at most {limit} are allowed"
        raise errors.DocumentTooLarge(told)


@contextmanager
def _told(name: str, action: str) -> Iterator[None]:
    """Errors of the SDK, and of what is below it, as our own."""
    try:
        yield
    except CosServiceError as error:
        raise _refusal(error, name, action) from None
    except (CosClientError, OSError, HTTPError, ValueError, OverflowError) as error:
        # Reading a body lets the exceptions of the layers below out raw; those of `requests` are
        # of OSError.
        raise errors.AmbiguousResponse(
            f"{name}: {type(error).__name__}: {str(error)[:300]}"
        ) from None


def _refusal(error: CosServiceError, name: str, action: str) -> errors.StewardError:
    status = error.get_status_code()
    try:
        code, told = str(error.get_error_code()), f"{name}: {error.get_error_msg()}"
    except KeyError:  # the SDK takes any JSON for an error of COS
        code, told = "Unknown", f"{name}: HTTP status {status}"
    if status == HTTPStatus.NOT_FOUND:
        return errors.ObjectNotFound(f"{name} does not exist ({code})")
    if status == HTTPStatus.FORBIDDEN:
        hint = f"; the function's role needs cos:{action} on it" if code == "AccessDenied" else ""
        return errors.AccessDenied(f"{told} ({code}){hint}")
    if code == "Unknown":  # an empty or foreign body: the status is all there is
        code = f"HTTP{status}"
    busy = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return (errors.ApiBusy if busy else errors.ApiError)(code, told)
