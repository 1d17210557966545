"""Error codes: which of them time can heal."""

from __future__ import annotations

import pytest

from image_steward.error_codes import KINDS, Kind, kind_of
from image_steward.errors import (
    AccountRefused,
    ApiBusy,
    ApiError,
    ImageBusy,
    KeysRefused,
    NameTaken,
    NoClearAnswer,
    StewardError,
    Throttled,
)

CLASSES = {
    Kind.THROTTLE: Throttled,
    Kind.RETRY: ApiBusy,
    Kind.WAIT: ImageBusy,
    Kind.REFRESH: KeysRefused,
    Kind.CONFLICT: NameTaken,
    Kind.STOP: AccountRefused,
    Kind.AMBIGUOUS: NoClearAnswer,
    Kind.FINAL: ApiError,
}


@pytest.mark.parametrize("code", KINDS)
def test_known_code(code: str) -> None:
    """Each code in the table becomes an error of the class that its kind has."""
    error = ApiError.of(code, "m", "r-1")
    assert type(error) is CLASSES[KINDS[code]]
    assert "not known" not in error.message


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("RequestLimitExceeded.Whatever", Kind.THROTTLE),
        ("ResourceInUse.Image", Kind.RETRY),
        ("UnauthorizedOperation.Whatever", Kind.STOP),
        ("UnauthorizedOperation.ImageNotBelongToAccount", Kind.FINAL),
        ("LimitExceeded.Whatever", Kind.FINAL),
        ("InternalErrorOfAnotherName", Kind.UNKNOWN),
        ("InvalidImageId.Whatever", Kind.UNKNOWN),
        ("", Kind.UNKNOWN),
    ],
)
def test_code_by_its_first_part(code: str, kind: Kind) -> None:
    """A code that is not in the table has the kind of its first part, if that is there."""
    assert kind_of(code) is kind


def test_unknown_code_says_so() -> None:
    """A code never heard of is final, kept as it came, and said to be unknown."""
    error = ApiError.of("Surprise.New", "m", "r-1")
    assert type(error) is ApiError
    assert (error.code, error.request_id) == ("Surprise.New", "r-1")
    assert error.message.startswith("m (a code that is not known here")


def test_tree_is_drawn() -> None:
    """The tree at the top of errors.py names every class there is."""
    import image_steward.errors as module  # noqa: PLC0415 - its docstring is what is tested

    classes = [c.__name__ for c in vars(module).values() if isinstance(c, type)]
    errors = [c for c in classes if issubclass(getattr(module, c), StewardError)]
    assert module.__doc__
    assert all(name in module.__doc__ for name in errors)
