"""Policy documents of CAM: what they allow, to whom (document/product/598/10603, 598/10606)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from scf_local.cloud.wire import ErrorReply, require

MAX_BYTES = 6144
"""Of a document."""
_INVALID = "InvalidParameter."
_ACTION = re.compile(r"\*|(name/)?[a-z]\w*:[\w*]+", re.ASCII)
_SEGMENTS = {
    "ResourceQcsError": "qcs",
    "ResourceProjectError": r"(id/\d+)?",
    "ResourceServiceNotExist": r"[\w*]*",
    "ResourceRegionError": r"[\w*-]*",
    "ResourceUinError": r"(\*|ui[nd]/[\w*]+)?",
    "ResourceContentError": r"(?s:.+)",
}
"""The six segments of a resource, by the code for a wrong one.

Error messages have a project, as in `qcs:id/0:cvm:…` (598/50255); it means nothing (598/10606).
"""


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
        """Whether it is about an action on a resource.

        The resource is `*` if the action has none; then only `*` allows it (598/69910). Names are
        case-sensitive (436/31923; assumed: of all services).
        """
        return any(_matches(each, action) for each in self.actions) and any(
            each == "*" or _is_in(each, resource) for each in self.resources
        )


def is_allowed(statements: Iterable[Statement], action: str, resource: str) -> bool:
    """Whether an action on a resource is allowed, and not denied."""
    effects = {each.effect for each in statements if each.covers(action, resource)}
    return effects == {"allow"}


def _is_in(pattern: str, resource: str) -> bool:
    """Whether a resource matches a pattern, whose empty segments match all."""
    segments, wanted = (each.split(":", len(_SEGMENTS) - 1) for each in (resource, pattern))
    return len(segments) == len(wanted) and all(
        not want or _matches(want, segment) for want, segment in zip(wanted, segments, strict=True)
    )


def _matches(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern, in which only `*` is special."""
    if "*" not in pattern:
        return pattern == text
    return fnmatchcase(text, re.sub(r"([?[])", r"[\1]", pattern))


def parse(text: str, *, is_trust: bool = False) -> tuple[Statement, ...]:
    """Return the statements of a policy, or of a trust policy.

    Raises:
        ErrorReply: it is not a policy, or has what is not emulated.
    """
    require(len(text.encode(errors="replace")) <= MAX_BYTES,
            f"{_INVALID}PolicyDocumentLengthOverLimit",
            f"The document has more than {MAX_BYTES} bytes.")  # fmt: skip
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    code = f"{_INVALID}PolicyDocumentError"
    require(isinstance(document, dict), code, "The document is not a JSON object.")
    require(document.get("version") == "2.0", f"{_INVALID}VersionError", "version must be '2.0'.")
    _check_members(document, {"version", "statement"}, code)
    given = document.get("statement")
    given = [given] if isinstance(given, dict) else given
    is_list = isinstance(given, list) and given and all(isinstance(each, dict) for each in given)
    code = f"{_INVALID}StatementError"
    require(is_list, code, "statement must be an object, or a list of objects.")
    return tuple(_statement(each, code, is_trust=is_trust) for each in given)


def _statement(given: dict[str, Any], code: str, *, is_trust: bool) -> Statement:
    subject = "principal" if is_trust else "resource"
    _check_members(given, {"effect", "action", subject}, code)
    effect = given.get("effect", "")
    require(effect in ("allow", "deny"), f"{_INVALID}EffectError", "effect must be allow or deny.")
    actions = _texts(given, "action", f"{_INVALID}ActionError")
    for each in actions:
        example = "must be such as name/cvm:DescribeImages, cvm:Describe* or *."
        require(_ACTION.fullmatch(each), f"{_INVALID}ActionError", f"{each!r:.80} {example}")
    actions = tuple(each.removeprefix("name/") for each in actions)
    if is_trust:
        return Statement(effect, actions, ("*",), _principals(given.get("principal")))
    return Statement(effect, actions, _resources(given))


def _resources(given: dict[str, Any]) -> tuple[str, ...]:
    resources = _texts(given, "resource", f"{_INVALID}ResourceError")
    for each in resources:
        problem = f"{each!r:.80} must be * or qcs::SERVICE:REGION:uin/UIN:RESOURCE."
        require("${" not in each, "UnsupportedOperation", f"{each!r:.80} has a variable.")
        segments = each.split(":", len(_SEGMENTS) - 1) if each != "*" else []
        require(len(segments) in {0, len(_SEGMENTS)}, f"{_INVALID}ResourceError", problem)
        for code, segment in zip(_SEGMENTS, segments, strict=False):
            require(re.fullmatch(_SEGMENTS[code], segment, re.ASCII), _INVALID + code, problem)
    return tuple(re.sub("^qcs:[^:]+:", "qcs::", each) for each in resources)


def _principals(given: object) -> tuple[str, ...]:
    code = f"{_INVALID}PrincipalError"
    if not isinstance(given, dict) or not given:
        raise ErrorReply(code, "principal is missing, or not an object.")
    return tuple(f"{kind}:{name}" for kind in given for name in _texts(given, kind, code))


def _texts(given: dict[str, Any], name: str, code: str) -> tuple[str, ...]:
    value = given.get(name)
    values = [value] if isinstance(value, str) else value
    is_list = isinstance(values, list) and values and all(isinstance(v, str) and v for v in values)
    require(is_list, code, f"{name!r:.80} must be a text, or a list of texts.")
    return tuple(values or ())


def _check_members(given: dict[str, Any], emulated: set[str], code: str) -> None:
    codes = {"condition": "UnsupportedOperation", "principal": f"{_INVALID}PrincipalError"}
    for name in sorted(given.keys() - emulated):
        problem = f"{name!r:.80} is not allowed here, or not emulated."
        raise ErrorReply(codes.get(name, code), problem)
