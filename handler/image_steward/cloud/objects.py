"""COS objects through the official COS SDK, without its own retries, which sleep."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from qcloud_cos import CosClientError, CosConfig, CosS3Client, CosServiceError
from urllib3.exceptions import HTTPError

from image_steward import errors
from image_steward.cloud.credentials import Credentials, RunCredentials
from image_steward.cloud.transport import Session, decoded
from image_steward.model import CosObject
from image_steward.settings import Settings


class Objects:
    """Reads and writes objects for one run."""

    def __init__(self, settings: Settings, session: Session, credentials: RunCredentials) -> None:
        self.settings, self.session, self.credentials = settings, session, credentials

    def read(self, target: CosObject) -> bytes:
        """Read an object of at most STEWARD_MAX_DOCUMENT_BYTES.

        Raises:
            ObjectNotFound, AccessDenied, DocumentTooLarge, Superseded: see `errors`.
            ApiError: COS returned another error.
            AmbiguousResponse: no response, or an incomplete one.
        """
        asked = {"VersionId": target.version_id} if target.version_id else {}
        if target.etag and not asked:
            asked = {"IfMatch": f'"{target.etag}"'}
        response = self._call(target, "GetObject", CosS3Client.get_object, **asked)
        with _translated_errors(target.source, "GetObject"):
            return self._read_body(response["Body"], target.source)

    def write(self, target: CosObject, data: bytes) -> None:
        """Write an object. Idempotent.

        Raises:
            ObjectNotFound: the bucket does not exist.
            AccessDenied: the role may not write to it.
            ApiError, AmbiguousResponse: as in `read`.
        """
        content = {"Body": data, "ContentType": "application/json"}
        self._call(target, "PutObject", CosS3Client.put_object, **content)

    def _call(self, target: CosObject, action: str, method: Any, **options: Any) -> Any:  # noqa: ANN401 - the SDK's
        def call(credentials: Credentials) -> Any:  # noqa: ANN401 - the SDK's
            with _translated_errors(target.source, action):
                client = self._client(credentials, target.region)
                return method(client, Bucket=target.bucket, Key=target.key, **options)

        return self.credentials.use(call)

    def _client(self, credentials: Credentials, region: str) -> CosS3Client:
        url = urlsplit(self.settings.cos_endpoint)
        host = f"[{url.hostname}]" if ":" in str(url.hostname) else url.hostname
        config = CosConfig(
            Region=region,
            SecretId=credentials.secret_id,
            SecretKey=credentials.secret_key,
            Token=credentials.token,  # CosConfig's CredentialInstance would not send it
            Scheme=url.scheme or None,
            IP=host,  # keeps the real bucket in the Host header; Endpoint and Domain would not
            Port=url.port,
        )
        return CosS3Client(config, retry=0, session=self.session)

    def _read_body(self, body: Any, source: str) -> bytes:  # noqa: ANN401 - the SDK's StreamBody
        limit = self.settings.max_document_bytes
        stream = body.get_raw_stream()
        data = b""
        try:
            # Only a second, empty read shows that a body is complete.
            while max(len(body), len(data)) <= limit:
                chunk = stream.read(limit + 1 - len(data), decode_content=False)
                if not chunk:
                    break
                data += chunk
        finally:
            stream.release_conn() if stream.isclosed() else stream.close()
        try:
            data = decoded(data, limit)
        except zlib.error as error:
            raise errors.InvalidDocument(f"{source} is damaged gzip: {error}") from None
        if max(len(body), len(data)) <= limit:
            return data
        size = f"at least {max(len(body), len(data))} bytes"
        raise errors.DocumentTooLarge(f"{source} has {size}; STEWARD_MAX_DOCUMENT_BYTES is {limit}")


@contextmanager
def _translated_errors(source: str, action: str) -> Iterator[None]:
    """Turn exceptions of the SDK, and of the layers below it, into our own."""
    try:
        yield
    except CosServiceError as error:
        raise _error_of(error, source, action) from None
    except (CosClientError, OSError, HTTPError, ValueError, OverflowError) as error:
        # Reading a body raises the layers' own exceptions; those of `requests` are OSErrors.
        message = f"{source}: {type(error).__name__}: {str(error)[:300]}"
        raise errors.AmbiguousResponse(message) from None


def _error_of(error: CosServiceError, source: str, action: str) -> errors.StewardError:
    status = error.get_status_code()
    try:
        code, message = str(error.get_error_code()), f"{source}: {error.get_error_msg()}"
    except KeyError:  # the SDK takes any JSON for an error of COS
        code, message = "Unknown", ""
    if code in {"ExpiredToken", "InvalidToken"}:
        return errors.CredentialsError("AccessDenied", f"{message} ({code})")
    if code == "Unknown":  # the body is empty or not from COS, so only the status is known
        code, message = f"HTTP{status}", f"{source}: HTTP status {status}"
    if status == HTTPStatus.NOT_FOUND:
        missing = f"the bucket of {source}" if code == "NoSuchBucket" else source
        return errors.ObjectNotFound(f"{missing} does not exist ({code})")
    if status == HTTPStatus.PRECONDITION_FAILED:
        reason = "the object has been replaced since; the later upload has an event of its own"
        return errors.Superseded(reason)
    if status == HTTPStatus.FORBIDDEN:
        hint = f"; the function's role needs cos:{action} on it" if code == "AccessDenied" else ""
        return errors.AccessDenied(f"{message} ({code}){hint}")
    busy = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return (errors.ApiBusy if busy else errors.ApiError)(code, message)
