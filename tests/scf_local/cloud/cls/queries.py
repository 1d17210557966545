"""Search conditions of CLS (document/product/614/47044): what Lucene and CQL have in common.

Words, phrases in quotes, a `*` at the end of a word, fields, AND, OR, NOT and parentheses. Assumed:
the topic has the default delimiters, upper and lower case are the same, and terms side by side must
all be met.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache

from scf_local.cloud.wire import ErrorReply, require

Test = Callable[[Mapping[str, str]], bool]
"""Whether the fields of a record meet a condition."""

MAX_BYTES = 12 << 10
MAX_NESTED = 50  # assumed
_DELIMITERS = re.compile(r"""[@&?|#()='",;:<>\[\]{}/ \n\t\r\\]+""")
_TERM = r'(?:([\w.-]+):)?(?:"([^"\\*]*)"|([\w.$][\w.$-]*\*?|\*)(?=[\s()]|$))'
_PARTS = [
    re.compile(rf'([()]|(?{flags}:AND|OR|NOT)(?=[\s()"]|$))|{_TERM}|(\S.*)', re.DOTALL)
    for flags in ("", "i")
]
"""The parts of a query in Lucene and in CQL: an operator, a term, or what is not emulated."""
_OPERATORS = {"AND": "&", "OR": "|", "NOT": "!"}
_MISPLACED = re.compile(r"(^|[&|!(])([&|)]|$)")
_SYNTAX = "FailedOperation.SyntaxError"


def parse(query: str, *, is_cql: bool) -> Test:
    """Return the test of a query; an empty one finds any record.

    Raises:
        ErrorReply: it is too long, not a query, or one that is not emulated.
    """
    size = len(query.encode("utf-8", "surrogatepass"))
    message = f"The query has {size} bytes; at most {MAX_BYTES} are allowed."
    require(size <= MAX_BYTES, "InvalidParameterValue", message)
    parts = deque(_parts(query.strip() or "*", _PARTS[is_cql]))
    kinds = "".join(part if isinstance(part, str) else "." for part in parts)
    is_complete = not _MISPLACED.search(kinds) and kinds.count("(") == kinds.count(")")
    depth = kinds.count("(") + kinds.count("!")
    test = _group(parts) if is_complete and depth <= MAX_NESTED else None
    if test is None or parts:
        raise ErrorReply(_SYNTAX, "A word or a parenthesis is missing, or too many are nested.")
    return test


def _parts(query: str, pattern: re.Pattern[str]) -> Iterator[str | Test]:
    for match in pattern.finditer(query):
        operator, field, phrase, word, rest = match.groups()
        if rest is not None:
            message = f"The query cannot be used from {rest!r:.80} on; emulated are words, word*, "
            message += '"phrases", field:word, AND, OR, NOT and parentheses.'
            code = _SYNTAX if query.count('"') % 2 else "UnsupportedOperation"
            raise ErrorReply(code, message)
        operator = operator and operator.upper()
        yield _OPERATORS.get(operator, operator) if operator else _term(field, phrase, word)


def _group(parts: deque[str | Test]) -> Test:
    tests: list[list[Test]] = [[]]
    while parts and (part := parts.popleft()) != ")":
        if part == "|":
            tests.append([])
        elif part != "&":
            tests[-1].append(_one(part, parts))
    return lambda fields: any(all(test(fields) for test in each) for each in tests)


def _one(part: str | Test, parts: deque[str | Test]) -> Test:
    if part == "!":
        test = _one(parts.popleft(), parts)
        return lambda fields: not test(fields)
    return _group(parts) if isinstance(part, str) else part


def _term(field: str | None, phrase: str | None, word: str) -> Test:
    wanted = words_of(word.removesuffix("*") if phrase is None else phrase)
    if phrase is None and word.endswith("*"):
        wanted = wanted.rstrip()

    def test(fields: Mapping[str, str]) -> bool:
        texts = [*fields.values()]
        if field is not None:
            named = fields if field in fields else _printed(fields.get("SCF_Message", ""))
            texts = [named[field]] if field in named else []
        # An empty phrase finds a text without words.
        return any(
            wanted in each if wanted != " " else each == " " for each in map(words_of, texts)
        )

    return test


@lru_cache(1 << 10)
def words_of(text: str) -> str:
    """Return the words of a text in lower case, with one space around each."""
    return _DELIMITERS.sub(" ", f" {text.lower()} ")


@lru_cache(1 << 10)
def _printed(message: str) -> dict[str, str]:
    """Return the members of a message that is a JSON object, which CLS takes as fields, too."""
    with suppress(ValueError, RecursionError, AttributeError):
        members = json.loads(message).items()
        return {name: v if isinstance(v, str) else json.dumps(v) for name, v in members}
    return {}
