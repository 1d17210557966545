"""Policies of CAM: what is allowed, and what is not a policy (document/product/598/10603)."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.cam.v20190116 import errorcodes

from scf_local.cloud.cam import policies
from scf_local.cloud.cam.policies import Statement
from scf_local.cloud.wire import ErrorReply

IMAGE = "qcs::cvm:ap-guangzhou:uin/100000000001:image/img-6pb6lrmy"
OBJECT = "qcs::cos:ap-guangzhou:uid/1250000000:web-1250000000/a/b.json"
ALLOW: dict[str, Any] = {"effect": "allow", "action": "*", "resource": "*"}


def document(*statements: object, **members: object) -> str:
    """A policy with these statements; `members` replace its own."""
    return json.dumps({"version": "2.0", "statement": statements, **members})


def is_allowed(action: str, resource: str, *statements: object) -> bool:
    """Whether a policy allows an action on a resource."""
    return policies.is_allowed(policies.parse(document(*statements)), action, resource)


def code_of(text: str, *, is_trust: bool = False) -> str:
    """The code of the error for a document that is not a policy; the SDK has it."""
    with pytest.raises(ErrorReply) as raised:
        policies.parse(text, is_trust=is_trust)
    assert len(raised.value.message) < 300
    return raised.value.code


# --- What is allowed ---


@pytest.mark.parametrize(
    ("pattern", "allows"),
    [
        ("*", True),
        ("cvm:*", True),
        ("name/cvm:*", True),
        ("cvm:DescribeImages", True),
        ("name/cvm:DescribeImages", True),
        ("cvm:Describe*", True),
        ("cvm:*Images", True),
        ("cvm:D*e*s", True),
        ("cvm:DescribeImages*", True),
        ("cvm:DescribeImage", False),
        ("cvm:escribeImages", False),
        ("cvm:describeimages", False),
        ("tag:DescribeImages", False),
        ("tag:*", False),
    ],
)
def test_actions(pattern: str, allows: object) -> None:
    """An action has its service, `name/` is optional, and `*` is any text; case matters."""
    for action in (pattern, ["sts:AssumeRole", pattern]):
        statement = {**ALLOW, "action": action}
        assert is_allowed("cvm:DescribeImages", IMAGE, statement) is allows
        assert not is_allowed("sts:Other", IMAGE, statement) or pattern == "*"


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("*", {IMAGE, OBJECT, "*"}),
        (IMAGE, {IMAGE}),
        ("qcs::cvm:ap-guangzhou:uin/100000000001:image/*", {IMAGE}),
        ("qcs::cvm:ap-guangzhou:uin/100000000001:*", {IMAGE}),
        ("qcs::cvm::uin/100000000001:image/*", {IMAGE}),
        ("qcs::cvm:ap-*:uin/100000000001:image/img-6*", {IMAGE}),
        ("qcs::cvm:::image/*", {IMAGE}),
        ("qcs::cvm:*:*:*", {IMAGE}),
        ("qcs:::::*", {IMAGE, OBJECT}),
        ("qcs:id/0:cvm:ap-guangzhou:uin/100000000001:image/img-6pb6lrmy", {IMAGE}),
        ("qcs:id/1158313:cvm:ap-guangzhou:uin/100000000001:image/*", {IMAGE}),
        ("qcs::cvm:ap-shanghai:uin/100000000001:image/*", set()),
        ("qcs::cvm::uin/100000000002:image/*", set()),
        ("qcs::cvm::uid/100000000001:image/*", set()),
        ("qcs::cvm::uin/100000000001:instance/*", set()),
        ("qcs::cvm::uin/100000000001:image/img-6pb6lrm", set()),
        ("qcs::cvm::uin/100000000001:image/img-6pb6lrm?", set()),
        ("qcs::cvm::uin/100000000001:image/img-6pb6lrm[y]", set()),
        ("qcs::cos:ap-guangzhou:uid/1250000000:web-1250000000/*", {OBJECT}),
        ("qcs::cos:ap-guangzhou:uid/1250000000:web-1250000000/a*", {OBJECT}),
        ("qcs::cos:ap-guangzhou:uid/1250000000:web-1250000000/*.json", {OBJECT}),
        ("qcs::cos::uid/1250000000:web-1250000000/a/b.json", {OBJECT}),
        ("qcs::cos:gz:uid/1250000000:web-1250000000/*", set()),
        ("qcs::cos:ap-guangzhou:uin/1250000000:web-1250000000/*", set()),
        ("qcs::cos:ap-guangzhou:uid/1250000000:web-1250000000/", set()),
        ("qcs::cos:ap-guangzhou:uid/1250000000:web-1250000000/b/*", set()),
    ],
)
def test_resources(pattern: str, allowed: set[str]) -> None:
    """A resource has six segments, where an empty service, region or account is any (598/10606).

    Only `*` allows an action that has no resources (598/69910). The project, as error messages have
    it, means nothing (598/50255).
    """
    for resource in (pattern, ["qcs::vpc:::vpc/*", pattern]):
        statement = {**ALLOW, "resource": resource}
        assert {each for each in (IMAGE, OBJECT, "*") if is_allowed("a:B", each, statement)} == (
            allowed
        )


def test_key_with_colons_and_line_breaks() -> None:
    """The last segment may have any characters, which `*` covers."""
    where = "qcs::cos:ap-guangzhou:uid/1250000000:web-1250000000/"
    for key in ("a:b:c", "a\nb", "[x]", "?", "a*b", "\udc80", ""):
        assert is_allowed("cos:GetObject", where + key, {**ALLOW, "resource": f"{where}*"})
        if key:
            assert is_allowed("cos:GetObject", where + key, {**ALLOW, "resource": where + key})


def test_deny_wins() -> None:
    """What is denied stays so, wherever it is allowed; what nothing allows is not allowed."""
    deny = {"effect": "deny", "action": "cvm:Modify*", "resource": IMAGE}
    for statements in ((ALLOW, deny), (deny, ALLOW), (ALLOW, deny, ALLOW)):
        assert not is_allowed("cvm:ModifyImageAttribute", IMAGE, *statements)
        assert is_allowed("cvm:DescribeImages", IMAGE, *statements)
        assert is_allowed("cvm:ModifyImageAttribute", f"{IMAGE}x", *statements)
    assert not is_allowed("cvm:DescribeImages", IMAGE, deny)


def test_rights_of_different_statements_do_not_mix() -> None:
    """The action of one statement is not allowed on the resource of another one."""
    read = {**ALLOW, "action": "cos:GetObject", "resource": OBJECT}
    write = {**ALLOW, "action": "cos:PutObject", "resource": f"{OBJECT}.bak"}
    assert is_allowed("cos:GetObject", OBJECT, read, write)
    assert not is_allowed("cos:PutObject", OBJECT, read, write)
    assert not is_allowed("cos:GetObject", f"{OBJECT}.bak", read, write)


def test_statement_may_be_an_object() -> None:
    """A single statement needs no list."""
    assert policies.parse(document(statement=ALLOW)) == (Statement("allow", ("*",), ("*",)),)


def test_trust_policy() -> None:
    """A trust policy says who may do what; `name/` is optional here, too."""
    principal = {"service": ["scf.qcloud.com", "cvm.qcloud.com"], "qcs": "qcs::cam::uin/1:root"}
    for action in ("sts:AssumeRole", "name/sts:AssumeRole"):
        statement = {"effect": "allow", "action": action, "principal": principal}
        (found,) = policies.parse(document(statement), is_trust=True)
        assert found.covers("sts:AssumeRole", "*")
        assert found.principals == (
            "service:scf.qcloud.com", "service:cvm.qcloud.com", "qcs:qcs::cam::uin/1:root",
        )  # fmt: skip


PATTERNS = st.text("ab*", min_size=1, max_size=6)


def naive_match(pattern: str, text: str) -> bool:
    """Whether a text matches, by all ways to divide it."""
    if pattern[:1] == "*":
        return any(naive_match(pattern[1:], text[i:]) for i in range(len(text) + 1))
    return pattern == text or (pattern[:1] == text[:1] != "" and naive_match(pattern[1:], text[1:]))


@given(
    st.lists(st.tuples(st.sampled_from(["allow", "deny"]), PATTERNS, PATTERNS), max_size=4),
    st.text("ab", min_size=1, max_size=6),
    st.text("ab", min_size=1, max_size=6),
)
def test_against_naive_evaluation(
    statements: list[tuple[str, str, str]], name: str, path: str
) -> None:
    """A request is allowed if a statement that matches allows it, and none that matches denies."""
    given = [Statement(e, (f"x:{a}",), (f"qcs::x:::{r}",)) for e, a, r in statements]
    effects = [e for e, a, r in statements if naive_match(a, name) and naive_match(r, path)]
    allowed = policies.is_allowed(given, f"x:{name}", f"qcs::x:r:uin/1:{path}")
    assert allowed == ("allow" in effects and "deny" not in effects)


# --- What is not a policy ---

WRONG: dict[str, list[Any]] = {
    "effect": [None, "", "Allow", ["allow"], {}],
    "action": [
        None, "", [], [""], [1], {}, ["*", None], "DescribeImages", "name/*", "cvm", "cvm:",
        "cvm: X", "permid/280655", "cvm:A:B", ":X", "**",
    ],
    "resource": [None, "", [], 1, "qcs", "image/*", "qcs::cvm::uin/1", "**"],
}  # fmt: skip
NO_PRINCIPALS: list[Any] = ["*", {}, [], {"service": []}, {"service": None}, {"service": [1]}]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "PolicyDocumentError"),
        ("{", "PolicyDocumentError"),
        ("[]", "PolicyDocumentError"),
        ("null", "PolicyDocumentError"),
        ("[" * 6000, "PolicyDocumentError"),
        ("\udc80", "PolicyDocumentError"),
        (document(ALLOW, id="x"), "PolicyDocumentError"),
        (document(ALLOW) + " " * 6144, "PolicyDocumentLengthOverLimit"),
        ("{}", "VersionError"),
        (document(ALLOW, version="1.0"), "VersionError"),
        (document(ALLOW, version=2.0), "VersionError"),
        (document(), "StatementError"),
        (document(statement=None), "StatementError"),
        (document(statement="x"), "StatementError"),
        (document(ALLOW, "x"), "StatementError"),
        (document({**ALLOW, "notAction": "x"}), "StatementError"),
        (document({**ALLOW, "Action": "x"}), "StatementError"),
        (document({**ALLOW, "principal": {"qcs": "*"}}), "PrincipalError"),
        *(
            (document({**ALLOW, member: each}), f"{member.title()}Error")
            for member, values in WRONG.items()
            for each in values
        ),
        (document({**ALLOW, "resource": "arn::cvm:::*"}), "ResourceQcsError"),
        (document({**ALLOW, "resource": "qcs:1:cvm:::*"}), "ResourceProjectError"),
        (document({**ALLOW, "resource": "qcs::c v:::*"}), "ResourceServiceNotExist"),
        (document({**ALLOW, "resource": "qcs::cvm:gz/:1:*"}), "ResourceRegionError"),
        (document({**ALLOW, "resource": "qcs::cvm::100000000001:*"}), "ResourceUinError"),
        (document({**ALLOW, "resource": "qcs::cvm::uin/:*"}), "ResourceUinError"),
        (document({**ALLOW, "resource": "qcs::cvm:::"}), "ResourceContentError"),
    ],
)
def test_wrong_documents(text: str, code: str) -> None:
    """What is no policy is refused, with a code that the SDK has."""
    assert code_of(text) == f"InvalidParameter.{code}"
    assert f"InvalidParameter.{code}" in vars(errorcodes).values()


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "PrincipalError"),
        *[({"principal": each}, "PrincipalError") for each in NO_PRINCIPALS],
        ({"principal": {"service": "scf.qcloud.com"}, "resource": "*"}, "StatementError"),
    ],
)
def test_wrong_trust_policies(members: dict[str, Any], code: str) -> None:
    """A trust policy has a principal, and no resource."""
    statement = {"effect": "allow", "action": "sts:AssumeRole", **members}
    assert code_of(document(statement), is_trust=True) == f"InvalidParameter.{code}"


@pytest.mark.parametrize(
    "members",
    [{"condition": {"ip_equal": {"qcs:ip": "10.0.0.1"}}}, {"resource": "qcs::cvm::uin/${uin}:*"}],
)
def test_what_is_not_emulated(members: dict[str, Any]) -> None:
    """Conditions and variables, which CAM has, are refused by name, not ignored."""
    with pytest.raises(ErrorReply, match=r"condition|\$\{uin\}.*variable") as raised:
        policies.parse(document({**ALLOW, **members}))
    assert raised.value.code == "UnsupportedOperation"


MEMBERS = ["version", "statement", "effect", "action", "resource", "principal", "x"]
TEXTS = st.sampled_from(["2.0", "allow", "*", "cvm:*", "qcs::cvm:::*", "", "x"])
JSON = st.recursive(
    TEXTS | st.none() | st.integers(),
    lambda each: (
        st.lists(each, max_size=2) | st.dictionaries(st.sampled_from(MEMBERS), each, max_size=4)
    ),
    max_leaves=8,
)


@given(JSON | JSON.map(lambda each: {"version": "2.0", "statement": each}), st.booleans())
def test_any_json(content: object, is_trust: object) -> None:
    """Any JSON is a policy, or refused."""
    with suppress(ErrorReply):
        for statement in policies.parse(json.dumps(content), is_trust=bool(is_trust)):
            assert statement.effect in {"allow", "deny"}
            assert statement.actions


@pytest.mark.parametrize("pattern", ["*a" * 2900, "a*" * 2900 + "b", "*a" * 10 + "b", "*" * 5800])
def test_many_wildcards(pattern: str) -> None:
    """No pattern takes long, however many wildcards it has."""
    (statement,) = policies.parse(document({**ALLOW, "resource": f"qcs::cos:::{pattern}"}))
    start = time.process_time()
    is_covered = statement.covers("cos:GetObject", "qcs::cos:r:uid/1:" + "a" * 850)
    assert time.process_time() - start < 1
    assert is_covered == (pattern == "*" * 5800)


@pytest.mark.parametrize("nested", ['"effect":', '"action":', '"resource":'])
def test_deep_members(nested: str) -> None:
    """Deep JSON is refused wherever it is."""
    text = f'{{"version": "2.0", "statement": {{{nested} {"[" * 2900}{"]" * 2900}}}}}'
    assert code_of(text).startswith("InvalidParameter.")
