"""Policy documents of CAM: what they allow, to whom (document/product/598/10603, 598/10606)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scf_local.cloud.wire import ErrorReply, require

MAX_BYTES = 6144
"""Of a document."""
_SEGMENTS = 6
_EFFECTS = ("allow", "deny")
_MEMBERS = {"effect", "action", "resource", "principal"}


@dataclass(frozen=True)
class Statement:
    """A statement of a policy; `principals` are those of a trust policy, such as `service:x`.

    Attributes:
        effect: `allow` or `deny`.
        actions: such as `cvm:Describe*`, without `name/`.
        resources: such as `qcs::cvm::uin/100000000001:image/*`, or `*`.
    """

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: tuple[str, ...] = ()

    def covers(self, action: str, resource: str) -> bool:
        """Whether it is about an action on a resource, which is `*` if the action has none."""
        return any(_matches(each, action) for each in self.actions) and any(
            each == "*" or _is_in(each, resource) for each in self.resources
        )


def is_allowed(statements: Iterable[Statement], action: str, resource: str) -> bool:
    """Whether an action on a resource is allowed, and not denied."""
    effects = {each.effect for each in statements if each.covers(action, resource)}
    return effects == {"allow"}


def parse(text: str, *, is_trust: bool = False) -> tuple[Statement, ...]:
    """Return the statements of a policy, or of a trust policy.

    Raises:
        ErrorReply: it is not a policy, or has what is not emulated.
    """
    require(len(text.encode()) <= MAX_BYTES, "InvalidParameter.PolicyDocumentLengthOverLimit",
            f"The document has more than {MAX_BYTES} bytes.")  # fmt: skip
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    code = "InvalidParameter.PolicyDocumentError"
    require(isinstance(document, dict), code, "The document is not a JSON object.")
    require(document.get("version") == "2.0", "InvalidParameter.VersionError",
            f"version is {document.get('version')!r}, not '2.0'.")  # fmt: skip
    given = document.get("statement")
    given = [given] if isinstance(given, dict) else given
    is_list = isinstance(given, list) and given and all(isinstance(each, dict) for each in given)
    require(is_list, "InvalidParameter.StatementError", "statement is not a list of objects.")
    return tuple(_statement(each, is_trust=is_trust) for each in given)


def _statement(given: dict[str, Any], *, is_trust: bool) -> Statement:
    code = "InvalidParameter.StatementError"
    for name in given.keys() - _MEMBERS:
        raise ErrorReply(code, f"{name!r} in a statement is not emulated.")
    effect = str(given.get("effect")).lower()
    require(effect in _EFFECTS, "InvalidParameter.EffectError", f"effect is {effect!r}.")
    actions = _texts(given, "action", "InvalidParameter.ActionError")
    resources: tuple[str, ...] = ("*",)
    principals: tuple[str, ...] = ()
    if is_trust:
        principals = _principals(given.get("principal"))
    else:
        require("principal" not in given, "InvalidParameter.PrincipalError", "principal is given.")
        resources = _texts(given, "resource", "InvalidParameter.ResourceError")
        for each in resources:
            is_valid = each == "*" or (each.startswith("qcs:") and each.count(":") >= _SEGMENTS - 1)
            require(is_valid, "InvalidParameter.ResourceError", f"{each!r:.80} is not a resource.")
    return Statement(effect, tuple(each.removeprefix("name/") for each in actions), resources,
                     principals)  # fmt: skip


def _principals(given: object) -> tuple[str, ...]:
    code = "InvalidParameter.PrincipalError"
    if not isinstance(given, dict) or not given:
        raise ErrorReply(code, "principal is missing, or not an object.")
    return tuple(f"{kind}:{name}" for kind in given for name in _texts(given, kind, code))


def _texts(given: dict[str, Any], name: str, code: str) -> tuple[str, ...]:
    value = given.get(name)
    values = [value] if isinstance(value, str) else value
    is_list = isinstance(values, list) and values and all(isinstance(v, str) and v for v in values)
    require(is_list, code, f"{name} is {value!r:.80}, not a text or a list of texts.")
    return tuple(values or ())


def _is_in(pattern: str, resource: str) -> bool:
    """Whether a resource with six segments matches a pattern; an empty segment matches all."""
    parts, wanted = (each.split(":", _SEGMENTS - 1) for each in (resource, pattern))
    return len(parts) == len(wanted) and all(
        not want or _matches(want, part) for want, part in zip(wanted, parts, strict=True)
    )


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
