"""The forms of an API request: signed in headers (TC3), or in its parameters (v1)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl

from scf_local.cloud import parameters
from scf_local.cloud.signatures import verify_tc3, verify_v1
from scf_local.cloud.wire import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scf_local.cloud.wire import Request
    from scf_local.credentials import AccountCredentials

MAX_GET_BYTES = 32 << 10
"""document/product/1278/46710, as the other maxima."""

# document/api/213/15692, and the SDKs' own RequestClient
_IDENTITY = ("SecretId", "Token", "Timestamp", "Nonce", "SignatureMethod", "Signature")
_COMMON = frozenset(("Action", "Version", "Region", "Language", "RequestClient", *_IDENTITY))


@dataclass(frozen=True)
class Tc3Form:
    """Common parameters are X-TC-... headers; the action's own are JSON, or the query of a GET."""

    request: Request
    max_bytes: ClassVar[int] = 10 << 20
    place: ClassVar[str] = "header `X-TC-{}`"

    def common(self, name: str) -> str:
        """A common parameter, such as `Action`; empty if missing."""
        return self.request.headers.get(f"x-tc-{name.lower()}", "")

    def verify(self, credentials: AccountCredentials, now: float) -> str:
        """The service that it was signed for.

        Raises:
            ApiError: a signature that does not hold.
        """
        return verify_tc3(self.request, credentials, now)

    def params(self, shape: Mapping[str, parameters.Shape]) -> Any:  # noqa: ANN401 - what was sent
        """The action's own parameters.

        Raises:
            ApiError: they cannot be read.
        """
        if self.request.method == "GET":
            return parameters.from_query(self.request.query, shape)
        if self.request.headers.get("content-type", "").startswith("multipart/"):
            raise ApiError("InvalidRequest", "multipart/form-data is not emulated; send JSON.")
        try:
            params = json.loads(self.request.body)
            json.dumps(params, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ApiError("InvalidParameter", "The body holds half a surrogate pair.") from None
        except (ValueError, RecursionError):
            raise ApiError("InvalidParameter", "The body is no JSON.") from None
        return params


@dataclass(frozen=True)
class V1Form:
    """Common parameters and the action's own are all in the query, or the form of a POST."""

    request: Request
    max_bytes: ClassVar[int] = 1 << 20
    place: ClassVar[str] = "parameter `{}`"

    @cached_property
    def text(self) -> str:
        """All parameters, as sent."""
        # The Content-Type does not tell: the Python SDK gives a GET request that of a form.
        sent = self.request.body
        # Other methods are refused, but in this form, wherever it is.
        if self.request.method == "GET" or (self.request.method != "POST" and not sent):
            sent = self.request.query.encode("utf-8", "surrogateescape")
        return sent.decode("utf-8", "replace")  # what is no UTF-8 breaks the signature

    @cached_property
    def fields(self) -> dict[str, str]:
        """All parameters, by name."""
        return dict(parse_qsl(self.text, keep_blank_values=True))

    def common(self, name: str) -> str:
        """A common parameter, such as `Action`; empty if missing."""
        return self.fields.get(name, "")

    def verify(self, credentials: AccountCredentials, now: float) -> str:
        """The first label of its host, which is the service: no other part of it names one.

        Raises:
            ApiError: a signature that does not hold.
        """
        verify_v1(self.request, self.fields, credentials, now)
        return self.request.headers.get("host", "").partition(".")[0]

    def params(self, shape: Mapping[str, parameters.Shape]) -> dict[str, Any]:
        """The action's own parameters.

        Raises:
            ApiError: they cannot be read.
        """
        return parameters.from_query(self.text, shape, besides=_COMMON)


def form_of(request: Request) -> Tc3Form | V1Form | None:
    """The form of an API request; None if it is none."""
    if request.path != "/":
        return None
    if request.headers.keys() & {"authorization", "x-tc-action"}:
        return Tc3Form(request)
    form = V1Form(request)
    return form if form.fields.keys() & {"Action", "Signature"} else None
