"""Error codes: which of them time can heal."""

from __future__ import annotations

import pytest

from image_steward.errors import ApiBusy, ApiError, StewardError


@pytest.mark.parametrize(
    "code",
    ["RequestLimitExceeded", "RequestLimitExceeded.UinLimitExceeded", "InternalError",
     "ResourceInUse.Image", "InvalidImageId.IncorrectState", "MutexOperation.TaskRunning"],
)  # fmt: skip
def test_healable(code: str) -> None:
    """These may succeed later."""
    assert isinstance(ApiError.of(code, "m"), ApiBusy)


@pytest.mark.parametrize(
    "code",
    ["InvalidImageName.Duplicate", "UnauthorizedOperation", "AuthFailure.SignatureFailure",
     "LimitExceeded", "InternalErrorOfAnotherName", "NeverHeardOf", ""],
)  # fmt: skip
def test_final(code: str) -> None:
    """These, and every code we do not know, are final."""
    error = ApiError.of(code, "m", "r-1")
    assert type(error) is ApiError
    assert (error.code, error.message, error.request_id) == (code, "m", "r-1")


def test_tree_is_drawn() -> None:
    """The tree at the top of errors.py names every class there is."""
    import image_steward.errors as module  # noqa: PLC0415 - its docstring is what is tested

    classes = [c.__name__ for c in vars(module).values() if isinstance(c, type)]
    errors = [c for c in classes if issubclass(getattr(module, c), StewardError)]
    assert module.__doc__
    assert all(name in module.__doc__ for name in errors)
