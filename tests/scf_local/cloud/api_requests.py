"""The two kinds of API requests: signed in a header (TC3) or in the parameters (v1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from scf_local.cloud import hosts, parameters
from scf_local.cloud.signatures import tc3_key, verify_tc3, verify_v1
from scf_local.cloud.wire import ErrorReply, Request
from scf_local.credentials import AccountCredentials

MAX_GET_BYTES = 32 << 10
"""document/product/1278/46710, also for the other size limits."""

# document/api/213/15692, and the SDKs' own RequestClient
_IDENTITY = ("SecretId", "Token", "Timestamp", "Nonce", "SignatureMethod", "Signature")
_COMMON = frozenset(("Action", "Version", "Region", "Language", "RequestClient", *_IDENTITY))


@dataclass(frozen=True)
class Tc3Request:
    """Common parameters are X-TC-... headers; the action's own are JSON, or the query of a GET."""

    http: Request
    max_bytes: ClassVar[int] = 10 << 20
    label: ClassVar[str] = "header `X-TC-{}`"

    def common(self, name: str) -> str:
        """Return a common parameter such as `Action`, empty if missing."""
        return self.http.headers.get(f"x-tc-{name.lower()}", "")

    @property
    def key(self) -> str:
        """The SecretId that it names, or nothing."""
        return tc3_key(self.http)

    def verify(self, credentials: AccountCredentials, now: float) -> str:
        """Verify the signature, and return the service that it is for.

        Raises:
            ErrorReply: the signature is not valid.
        """
        return verify_tc3(self.http, credentials, now)

    def params(self, shape: Mapping[str, parameters.Shape]) -> Any:  # noqa: ANN401 - any JSON
        """Return the action's own parameters.

        Raises:
            ErrorReply: they cannot be parsed.
        """
        if self.http.method == "GET":
            return parameters.from_query(self.http.query, shape)
        if self.http.headers.get("content-type", "").startswith("multipart/"):
            raise ErrorReply("InvalidRequest", "multipart/form-data is not emulated; send JSON.")
        try:
            params = json.loads(self.http.body)
            json.dumps(params, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ErrorReply("InvalidParameter", "The body holds half a surrogate pair.") from None
        except (ValueError, RecursionError):
            raise ErrorReply("InvalidParameter", "The body is not JSON.") from None
        return params


@dataclass(frozen=True)
class V1Request:
    """Common parameters and the action's own are all in the query, or in the form of a POST."""

    http: Request
    max_bytes: ClassVar[int] = 1 << 20
    label: ClassVar[str] = "parameter `{}`"

    @cached_property
    def text(self) -> str:
        """All parameters, as sent."""
        # Do not look at the Content-Type: the Python SDK sends that of a form with a GET, too.
        sent = self.http.body
        # Other methods are rejected later; until then take the parameters from where they are.
        if self.http.method == "GET" or (self.http.method != "POST" and not sent):
            sent = self.http.query.encode("utf-8", "surrogateescape")
        return sent.decode("utf-8", "replace")  # anything but UTF-8 makes the signature invalid

    @cached_property
    def fields(self) -> dict[str, str]:
        """All parameters, by name."""
        return dict(parse_qsl(self.text, keep_blank_values=True))

    def common(self, name: str) -> str:
        """Return a common parameter such as `Action`, empty if missing."""
        return self.fields.get(name, "")

    @property
    def key(self) -> str:
        """The SecretId that it names, or nothing."""
        return self.common("SecretId")

    def verify(self, credentials: AccountCredentials, now: float) -> str:
        """Verify the signature, and return the service: the host's first label, its only source.

        Raises:
            ErrorReply: the signature is not valid.
        """
        verify_v1(self.http, self.fields, credentials, now)
        return hosts.name_of(self.http.headers.get("host", "")).partition(".")[0]

    def params(self, shape: Mapping[str, parameters.Shape]) -> dict[str, Any]:
        """Return the action's own parameters.

        Raises:
            ErrorReply: they cannot be parsed.
        """
        return parameters.from_query(self.text, shape, exclude=_COMMON)


def parse(http: Request) -> Tc3Request | V1Request | None:
    """Return the API request in an HTTP request, or None if it is for something else."""
    if http.path != "/":
        return None
    if http.headers.keys() & {"authorization", "x-tc-action"}:
        return Tc3Request(http)
    request = V1Request(http)
    # The parameters come in any order: the rest of a form may name the action.
    is_incomplete = http.timed_out or len(http.body) > request.max_bytes
    return request if is_incomplete or request.fields.keys() & {"Action", "Signature"} else None
