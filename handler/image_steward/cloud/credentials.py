"""The credentials of the function's run role."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TypeVar

from image_steward.errors import CredentialsError, CredentialsExpired, InvalidSetting

T = TypeVar("T")


class Credentials:
    """Credentials as read from the environment. They may change between runs of an instance."""

    def __init__(self, secret_id: str, secret_key: str, token: str | None) -> None:
        self.secret_id, self.secret_key, self.token = secret_id, secret_key, token

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Credentials:
        """Read SCF's own variables (document/product/583/32748), which the SDKs do not know.

        Raises:
            InvalidSetting: a variable is unset, because the function has no run role, or invalid.
        """
        names = ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY")
        secret_id, secret_key = (environ.get(name, "") for name in names)
        if not secret_id or not secret_key:
            raise InvalidSetting(f"{' or '.join(names)} is not set; the function needs a run role")
        token = environ.get("TENCENTCLOUD_SESSIONTOKEN", "")
        # With a space or line break, an HTTP error message would contain the credentials.
        if not re.fullmatch(r"[!-~]*", secret_id + secret_key + token):
            raise InvalidSetting("the run role's credentials contain an invalid character")
        return cls(secret_id, secret_key, token or None)

    def get_credential_info(self) -> tuple[str, str, str | None]:
        """Called by the API SDK, in place of its own class, which takes 10 ms to import."""
        return self.secret_id, self.secret_key, self.token


class RunCredentials:
    """The credentials of one run, shared by its clients. Thread-safe.

    `read` is called at the start, and once more if the cloud rejects the credentials.
    """

    def __init__(self, read: Callable[[], Credentials]) -> None:
        self._read = read
        self._first = self._current = read()
        self._accepted = False
        self._lock = Lock()

    def use(self, call: Callable[[Credentials], T]) -> T:
        """What `call` returns, called again if the credentials have been read again meanwhile.

        Raises:
            CredentialsExpired: the cloud rejects those too, but has accepted some before.
        """
        credentials = self._current
        try:
            result = call(credentials)
        except CredentialsError as error:
            with self._lock:
                if self._current is credentials is self._first:
                    self._current = self._read()
            if self._current is not credentials:
                return self.use(call)
            if self._accepted:
                raise CredentialsExpired(error.code, error.message, error.request_id) from None
            raise
        self._accepted = True
        return result
