r"""The regular expressions a client may send: a bounded part of PostgreSQL's advanced syntax.

They run in the database only, under its statement timeout. What is refused here either makes its engine
slow (back references, repetition counts that multiply), changes how the rest is read (`***=`, options
other than a leading `(?i)`) or is a plain mistake that PostgreSQL would answer with an error (an unbalanced
bracket, a quantifier without anything to repeat). Left to PostgreSQL is what is within `[...]`: a range
turned round or an unknown class name is still its error 2201B.

Accepted: characters, `.`, `[...]` with ranges and `[:class:]`, `(...)`, `(?:...)`, lookahead and lookbehind,
`|`, `^`, `$`, the quantifiers `* + ? {m} {m,} {m,n}` and their lazy forms, `\` before any character that is
no letter or digit, the classes `\d \s \w \D \S \W`, the positions `\A \m \M \y \Y \Z` and `\f \n \r \t \v`.
"""

import re

MAX_LENGTH = 200
MAX_COUNT = 50
MAX_SIZE = 500
"""The most parts an expression may have once its repetition counts are written out, as PostgreSQL does it.

The time to prepare an expression grows with the third power of that: 500 parts take it up to 30 milliseconds,
2,000 parts several seconds.
"""

_TOKEN = re.compile(
    r"""
    (?P<anchor>     [\^$] | \\[AmMyYZ] )
  | (?P<escape>     \\(?:[dDsSwWfnrtv]|[\W_]) )
  | (?P<set>        \[\^?+\]?+
                    (?: \\(?:[dDsSwWfnrtv]|[\W_]) | \[:[a-z]{1,10}:\] | \[(?![:.=]) | [^\]\\\[] )*
                    \] )
  | (?P<lookaround> \(\?<?[=!] )
  | (?P<group>      \((?:\?:|(?!\?)) )
  | (?P<close>      \) )
  | (?P<either>     \| )
  | (?P<count>      \{(?P<least>[0-9]{1,3})(?P<comma>,(?P<most>[0-9]{1,3})?)?\}\?? )
  | (?P<repeat>     [*+?]\?? )
  | (?P<character>  [^\\\[({] | \{(?![0-9]) )
    """,
    re.VERBOSE | re.DOTALL,
)
_IGNORE_CASE = "(?i)"
_REASONS = {  # by the character at which no token begins
    "\\": "this escape is not supported (back references are not either)",
    "[": "a bracket expression that is not closed or not supported",
    "(": "a group of this kind is not supported",
    "{": "expected a repetition count such as {3}, {3,} or {3,5}",
}


class PatternFault(Exception):
    """A regular expression that is refused: why, and the index in the text at which it goes wrong."""

    def __init__(self, reason: str, *, index: int):
        super().__init__(reason)
        self.reason = reason
        self.index = index


class _Group:
    """An open bracket, or the whole expression, and how many parts it has so far."""

    __slots__ = ("is_lookaround", "opened_at", "size")

    def __init__(self, *, opened_at: int, is_lookaround: bool = False):
        self.opened_at = opened_at
        self.is_lookaround = is_lookaround
        self.size = 1


def scan(text: str, start: int = 0, *, ends_at: str = "") -> int:
    """Return the index at which the regular expression that begins at `start` ends.

    It ends before the first character of `ends_at` that is outside all brackets, or with the text.
    Raises PatternFault when it is faulty, too long or of a kind that is refused.
    """
    groups = [_Group(opened_at=start)]
    repeatable = 0  # the size of what is to the left, where a quantifier may follow it
    index = start + len(_IGNORE_CASE) if text.startswith(_IGNORE_CASE, start) else start
    while index < len(text):
        if len(groups) == 1 and text[index] in ends_at:
            break
        token = _TOKEN.match(text, index)
        if token is None:
            raise PatternFault(_REASONS[text[index]], index=index)
        size = 1
        match token.lastgroup:
            case "character" | "escape" | "set":
                repeatable = 1
            case "group" | "lookaround" as kind:
                groups.append(_Group(opened_at=index, is_lookaround=kind == "lookaround"))
                repeatable = 0
            case "close":
                if len(groups) == 1:
                    raise PatternFault("an unbalanced bracket", index=index)
                closed = groups.pop()
                size = closed.size
                repeatable = 0 if closed.is_lookaround else size
            case "anchor" | "either":
                repeatable = 0
            case "repeat" | "count" as kind:
                if not repeatable:
                    raise PatternFault(f"there is nothing before {token[0]} to be repeated", index=index)
                size = repeatable * _count(token) if kind == "count" else 1
                repeatable = 0
        groups[-1].size += size
        if groups[-1].size > MAX_SIZE:
            raise PatternFault("this makes the regular expression too large", index=index)
        index = token.end()
    if index - start > MAX_LENGTH:
        raise PatternFault(
            f"a regular expression has at most {MAX_LENGTH} characters", index=start + MAX_LENGTH
        )
    if len(groups) > 1:
        raise PatternFault("an unbalanced bracket", index=groups[-1].opened_at)
    return index


class _Part:
    """A group that is being read by `check_cheap`: an open bracket, or the whole expression."""

    __slots__ = ("branches", "has_literal", "is_lookaround", "pending", "repeats")

    def __init__(self, *, is_lookaround: bool = False) -> None:
        self.is_lookaround = is_lookaround
        self.has_literal = False  # in the branch that is being read
        self.branches: list[bool] = []  # of those before it
        self.pending = False  # does the last part have one, unless it turns out to be optional
        self.repeats = False

    def next_part(self, *, is_literal: bool = False) -> None:
        self.has_literal = self.has_literal or self.pending
        self.pending = is_literal

    def next_branch(self) -> None:
        self.next_part()
        self.branches.append(self.has_literal)
        self.has_literal = False

    def always_has_literal(self) -> bool:
        self.next_branch()
        return all(self.branches)


def check_cheap(text: str) -> None:
    """Raise PatternFault unless a faultless expression is one that anybody may search with.

    Refused are quantifiers around `*`, `+`, `{m,}` or `{m,n}`, such as `(a*b)*`, and those that can match
    without a literal character, such as `.*` or `a|[0-9]`.
    """
    groups = [_Part()]
    closed: _Part | None = None  # the group that ends just before
    index = len(_IGNORE_CASE) if text.startswith(_IGNORE_CASE) else 0
    while index < len(text):
        token = _TOKEN.match(text, index)
        assert token is not None  # `scan` has accepted it
        group, kind = groups[-1], token.lastgroup
        just_closed, closed = closed, None
        match kind:
            case "character" | "escape":
                written = token[0].removeprefix("\\")
                is_class = token[0] == "." or (kind == "escape" and written in "dDsSwW")
                group.next_part(is_literal=not is_class)
            case "group" | "lookaround":
                groups.append(_Part(is_lookaround=kind == "lookaround"))
            case "close":
                closed = groups.pop()
                has_literal = closed.always_has_literal() and not closed.is_lookaround
                groups[-1].next_part(is_literal=has_literal)
                groups[-1].repeats = groups[-1].repeats or closed.repeats
            case "either":
                group.next_branch()
            case "repeat" | "count":
                if token[0][0] != "?":
                    if just_closed and just_closed.repeats:
                        raise PatternFault("nested quantifiers are not allowed here", index=index)
                    group.repeats = group.repeats or kind == "repeat" or token["comma"] is not None
                if token[0][0] in "*?" or (kind == "count" and int(token["least"]) == 0):
                    group.pending = False
            case _:
                group.next_part()
        index = token.end()
    if not groups[0].always_has_literal():
        raise PatternFault("a regular expression needs a literal character here", index=0)


def _count(token: re.Match[str]) -> int:
    """Return how often PostgreSQL writes out what is repeated."""
    least, most = int(token["least"]), int(token["most"] or token["least"])
    if max(least, most) > MAX_COUNT:
        raise PatternFault(f"a repetition count is at most {MAX_COUNT}", index=token.start())
    if least > most:
        raise PatternFault("a repetition count that ends below its start", index=token.start())
    return most
