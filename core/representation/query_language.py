r"""The `q` language: terms such as `code:"a b" name.en:~foo`, which must all hold.

`parse` only reads. What a field is called in the database, and whether its values are numbers or times, is
the caller's knowledge: it looks at `Term.path` and reads each value as its text, or with `as_number`,
`as_boolean` and `as_time` of core.representation.conditions. Every fault is a QuerySyntaxError that says at
which character; nothing else is ever raised.

    query      = [ blanks ], [ condition, { blanks, condition }, [ blanks ] ] ;
    condition  = term | "compoundLogicalQuery:", group ;
    group      = "(", [ blanks ], ( logical | terms ), [ blanks ], ")" ;
    logical    = both, { or, both } ;                             (* AND binds tighter than OR *)
    both       = operand, { and, operand } ;
    operand    = group | "NOT", [ blanks ], operand ;             (* brackets nest at most 10 deep *)
    and        = [ blanks ], "AND", [ blanks ] ;
    or         = [ blanks ], "OR", [ blanks ] ;
    terms      = term, { blanks, term } ;                         (* all must hold *)
    term       = path, ":", test ;
    path       = part, { ".", part } ;                            (* at most 10 parts *)
    part       = name character, { name character } ;             (* at most 128 *)
    test       = "null" | "exists" | "missing" | value | comparison | "~", pattern | brackets | top ;
    top        = "top(", number, [ "%" ], ")" ;                   (* only in rules of segments *)
    brackets   = "(", [ blanks ], ( list | range ), [ blanks ], ")"
               | "(", [ blanks ], "~", pattern, ")" ;
    list       = value, { ( [ blanks ], ",", [ blanks ] | blanks, "OR", blanks ), value } ;
                                                                  (* at most 1,000 values *)
    range      = comparison, [ [ blanks ], "AND", [ blanks ], comparison ] ;
    comparison = ( ">" | ">=" | "<" | "<=" ), value ;             (* in brackets blanks may come between *)
    value      = quoted | word ;
    quoted     = '"', { character | '\"' | '\\' }, '"' ;
    word       = first, { character } ;
    pattern    = quoted | expression ;
    name character = "A".."Z" | "a".."z" | "0".."9" | "_" | "-" ;
    blanks     = blank, { blank } ;                               (* space, tab, line feed, carriage return *)

A word runs to the next blank, in brackets also to a comma, and holds anything but `( ) "`; it does not begin
with `<` or `>`, nor outside brackets with `~`. `null`, `exists` and `missing` are tests only as the whole
word after the colon: in quotes and in brackets they are texts. A regular expression (see the module
regular_expressions) runs to the next blank outside its own brackets, or within `(~` to the bracket that
closes it; `~(a b)` is the expression `a b`. `AND`, `OR` and `NOT` may be written in lower case. In a group a
word and a regular expression also end before the bracket that closes the group. A text without terms holds
for everything.

Where a field has times, a value may be relative (see the module relative_instants): `now-365d`, `today`.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.representation import regular_expressions
from core.representation.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Equals,
    Exists,
    IsNull,
    Matches,
    Missing,
    Negation,
    OneOf,
    QuerySyntaxError,
    Range,
    Term,
    Test,
    Top,
    Value,
)
from core.representation.regular_expressions import PatternFault
from core.representation.relative_instants import Clock
from core.text import normalized

MAX_LENGTH = 40_000  # room for a list of as many ids as a list may have
MAX_TERMS = 50
MAX_GROUP_DEPTH = 10
MAX_LIST_VALUES = 1_000
MAX_PATH_PARTS = 10
MAX_PART_LENGTH = 128

_BLANK_CHARACTERS = " \t\n\r"
_BLANKS = re.compile(r"[ \t\n\r]+")
_PATH = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_OPERATOR = re.compile(r"[<>]=?")
_SEPARATOR = re.compile(r"[ \t\n\r]*,[ \t\n\r]*|[ \t\n\r]+OR[ \t\n\r]+", re.IGNORECASE)
_COMPOUND = "compoundLogicalQuery"
_LOGICAL = re.compile(r"[ \t\n\r]*(?P<operator>AND|OR)(?=[ \t\n\r(]|NOT\b)[ \t\n\r]*", re.IGNORECASE)
_NOT = re.compile(r"NOT(?=[ \t\n\r(])[ \t\n\r]*", re.IGNORECASE)
_AND = re.compile(r"[ \t\n\r]*AND[ \t\n\r]*", re.IGNORECASE)
_WORD = re.compile(r'[^ \t\n\r()"<>][^ \t\n\r()"]*')
_WORD_IN_BRACKETS = re.compile(r'[^ \t\n\r(),"<>][^ \t\n\r(),"]*')
_QUOTED = re.compile(r'"(?P<content>(?:[^"\\]|\\["\\])*+)(?P<closing>"?)')
_ESCAPE = re.compile(r"\\(.)")
_WRITTEN_CHARACTER = re.compile(r"\\?.", re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL has no text with these
_TOP = re.compile(
    r"top\([ \t\n\r]*(?P<number>[0-9]{1,9}(?:\.[0-9]{1,4})?)[ \t\n\r]*(?P<percent>%?)[ \t\n\r]*\)"
)


_WORD_TESTS: dict[str, Test] = {"null": IsNull(), "exists": Exists(), "missing": Missing()}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a `q` may be, how many terms it may have, and how deep its groups may nest."""

    length: int = MAX_LENGTH
    terms: int = MAX_TERMS
    depth: int = MAX_GROUP_DEPTH


def parse(text: str, clock: Clock | None = None, bounds: Bounds = Bounds()) -> tuple[Condition, ...]:
    """Return the conditions of a `q` in order, in time linear to its length.

    Every term and value knows its position. Relative instants are read by `as_time` with the `clock`;
    without one they are not accepted there.
    Raises QuerySyntaxError for a faulty `q`, which includes one beyond the bounds.
    """
    if not isinstance(text, str):
        raise QuerySyntaxError("expected a text", position=1)
    if len(text) > bounds.length:
        raise QuerySyntaxError(f"q has at most {bounds.length} characters", position=bounds.length + 1)
    if unstorable := _UNSTORABLE.search(text):
        raise QuerySyntaxError("this character is not allowed", position=unstorable.start() + 1)
    return _Parser(normalized(text), clock, bounds).conditions()


class _Parser:
    """A descent over the text: each method reads one rule of the grammar at `index` and moves on."""

    __slots__ = ("bounds", "clock", "depth", "index", "term_count", "text")

    def __init__(self, text: str, clock: Clock | None, bounds: Bounds) -> None:
        self.text = text
        self.clock = clock
        self.bounds = bounds
        self.index = 0
        self.depth = 0  # of the group that is being read
        self.term_count = 0

    def conditions(self) -> tuple[Condition, ...]:
        conditions: list[Condition] = []
        self.skip_blanks()
        while self.index < len(self.text):
            conditions.append(self.condition())
            if self.next not in _BLANK_CHARACTERS:
                raise self.fault(
                    "expected a blank; write values that hold brackets or quotes in double quotes"
                )
            self.skip_blanks()
        return tuple(conditions)

    def condition(self) -> Condition:
        begins_at = self.index
        path = self.field()
        if path != (_COMPOUND,):
            return self.term(path, begins_at)
        if self.next != "(":
            raise self.fault("expected '(' and a compound query such as ((a:1) OR (b:2))")
        return self.group()

    def group(self) -> Condition:
        opened_at = self.index
        self.depth += 1
        if self.depth > self.bounds.depth:
            raise self.fault(f"the brackets of a compound query nest at most {self.bounds.depth} deep")
        self.index += 1
        self.skip_blanks()
        is_logical = self.next == "(" or _NOT.match(self.text, self.index) is not None
        condition = self.logical() if is_logical else self.terms()
        self.skip_blanks()
        if not self.next:
            raise self.fault("this bracket is not closed", index=opened_at)
        if self.next != ")":
            raise self.fault("expected AND, OR or ')'" if is_logical else "expected a blank or ')'")
        self.index += 1
        self.depth -= 1
        return condition

    def logical(self) -> Condition:
        """Read operands between operators; AND binds tighter than OR."""
        alternatives: list[list[Condition]] = [[self.operand()]]
        while operator := _LOGICAL.match(self.text, self.index):
            self.index = operator.end()
            operand = self.operand()
            if operator["operator"].upper() == "OR":
                alternatives.append([operand])
            else:
                alternatives[-1].append(operand)
        choices = [all_of(operands) for operands in alternatives]
        return choices[0] if len(choices) == 1 else AnyOf(tuple(choices))

    def operand(self) -> Condition:
        negations = 0
        while negation := _NOT.match(self.text, self.index):
            negations += 1
            if self.depth + negations > self.bounds.depth:
                raise self.fault(f"a compound query nests at most {self.bounds.depth} deep")
            self.index = negation.end()
        if self.next != "(":
            raise self.fault("expected '(' or NOT")
        condition = self.group()
        for _ in range(negations):
            condition = Negation(condition)
        return condition

    def terms(self) -> Condition:
        """Read the terms of a group, which must all hold."""
        terms: list[Condition] = []
        while not terms or (self.next and self.next != ")"):
            begins_at = self.index
            terms.append(self.term(self.field(), begins_at))
            if self.next and self.next not in _BLANK_CHARACTERS and self.next != ")":
                raise self.fault("expected a blank or ')'")
            self.skip_blanks()
        return all_of(terms)

    def field(self) -> tuple[str, ...]:
        path = self.path()
        if self.next != ":":
            raise self.fault("expected ':' after the field")
        self.index += 1
        return path

    def term(self, path: tuple[str, ...], begins_at: int) -> Term:
        """Read the test of a field that has been read."""
        if self.term_count == self.bounds.terms:
            raise self.fault(f"q has at most {self.bounds.terms} terms", index=begins_at)
        self.term_count += 1
        return Term(path, self.test(), begins_at + 1)

    def path(self) -> tuple[str, ...]:
        path = _PATH.match(self.text, self.index)
        if path is None:
            raise self.fault("expected a field of letters, digits, '_' and '-', with '.' between its parts")
        parts = tuple(path[0].split("."))
        if len(parts) > MAX_PATH_PARTS:
            raise self.fault(f"a field has at most {MAX_PATH_PARTS} parts")
        if any(len(part) > MAX_PART_LENGTH for part in parts):
            raise self.fault(f"a part of a field has at most {MAX_PART_LENGTH} characters")
        self.index = path.end()
        return parts

    def test(self) -> Test:
        match self.next:
            case "(":
                return self.brackets()
            case "~":
                self.index += 1
                return self.pattern(ends_at=_BLANK_CHARACTERS + (")" if self.depth else ""))
            case "<" | ">":
                return Range((self.comparison(_WORD),))
        if top := _TOP.match(self.text, self.index):
            position, self.index = self.index + 1, top.end()
            return Top(Decimal(top["number"]), bool(top["percent"]), position)
        value = self.value(_WORD)
        if not value.quoted and value.text in _WORD_TESTS:
            return _WORD_TESTS[value.text]
        return Equals(value)

    def brackets(self) -> Test:
        opened_at = self.index
        self.index += 1
        self.skip_blanks()
        test: Test
        match self.next:
            case "~":
                self.index += 1
                test, expected = self.pattern(ends_at=")"), "')'"
            case "<" | ">":
                test = Range(self.comparisons())
                expected = "AND or ')'" if len(test.comparisons) == 1 else "')'"
            case _:
                test, expected = OneOf(self.values()), "',', OR or ')'"
        self.skip_blanks()
        if not self.next:
            raise self.fault("this bracket is not closed", index=opened_at)
        if self.next != ")":
            raise self.fault(f"expected {expected}")
        self.index += 1
        return test

    def values(self) -> tuple[Value, ...]:
        values = [self.value(_WORD_IN_BRACKETS)]
        while separator := _SEPARATOR.match(self.text, self.index):
            self.index = separator.end()
            if len(values) == MAX_LIST_VALUES:
                raise self.fault(f"a list has at most {MAX_LIST_VALUES} values")
            values.append(self.value(_WORD_IN_BRACKETS))
        return tuple(values)

    def comparisons(self) -> tuple[Comparison, ...]:
        first = self.comparison(_WORD_IN_BRACKETS)
        conjunction = _AND.match(self.text, self.index)
        if conjunction is None:
            return (first,)
        self.index = conjunction.end()
        return first, self.comparison(_WORD_IN_BRACKETS)

    def comparison(self, word: re.Pattern[str]) -> Comparison:
        operator = _OPERATOR.match(self.text, self.index)
        if operator is None:
            raise self.fault("expected '>', '>=', '<' or '<='")
        self.index = operator.end()
        if word is _WORD_IN_BRACKETS:
            self.skip_blanks()
        return Comparison(operator[0], self.value(word))

    def value(self, word: re.Pattern[str]) -> Value:
        position = self.index + 1
        if self.next == '"':
            return Value(self.quoted(), True, position, self.clock)
        match = word.match(self.text, self.index)
        if match is None:
            raise self.fault("expected a value")
        self.index = match.end()
        return Value(match[0], False, position, self.clock)

    def quoted(self) -> str:
        opened_at = self.index
        match = _QUOTED.match(self.text, opened_at)
        assert match is not None  # noqa: S101 - every caller saw the opening quote
        self.index = match.end()
        if match["closing"]:
            return _ESCAPE.sub(r"\1", match["content"])
        if self.index < len(self.text) - 1:
            raise self.fault('expected \\" or \\\\ (in quotes a backslash is written twice)')
        raise self.fault("this quote is not closed", index=opened_at)

    def pattern(self, *, ends_at: str) -> Matches:
        if self.next == '"':
            return self.quoted_pattern()
        begins_at = self.index
        try:
            self.index = regular_expressions.scan(self.text, begins_at, ends_at=ends_at)
        except PatternFault as fault:
            raise self.fault(fault.reason, index=fault.index) from None
        pattern = self.text[begins_at : self.index]
        if _is_one_group(pattern):  # brackets that only hold the blanks of `(a b)` together
            begins_at, pattern = begins_at + 1, pattern[1:-1]
        if not pattern:
            raise self.fault("expected a regular expression", index=begins_at)
        return Matches(pattern, begins_at + 1)

    def quoted_pattern(self) -> Matches:
        opened_at = self.index
        pattern = self.quoted()
        if not pattern:
            raise self.fault("expected a regular expression", index=opened_at)
        try:
            regular_expressions.scan(pattern)
        except PatternFault as fault:
            written = _WRITTEN_CHARACTER.finditer(self.text, opened_at + 1)
            index = next(itertools.islice(written, fault.index, None)).start()
            raise self.fault(fault.reason, index=index) from None
        return Matches(pattern, opened_at + 1)

    @property
    def next(self) -> str:
        """The character to read next; empty, and so `in` every text, where the text has ended."""
        return self.text[self.index : self.index + 1]

    def skip_blanks(self) -> None:
        if match := _BLANKS.match(self.text, self.index):
            self.index = match.end()

    def fault(self, reason: str, *, index: int | None = None) -> QuerySyntaxError:
        """Return the error for what is at `index` (that is where reading stopped, if not given)."""
        return QuerySyntaxError(reason, position=(self.index if index is None else index) + 1)


def all_of(operands: Sequence[Condition]) -> Condition:
    return operands[0] if len(operands) == 1 else AllOf(tuple(operands))


def _is_one_group(pattern: str) -> bool:
    """Tell `(a b)` from `(a|b)c` and from `(?:a)`; the pattern is known to be faultless."""
    if not pattern.startswith("(") or pattern.startswith("(?"):
        return False
    return regular_expressions.scan(pattern, 1, ends_at=")") == len(pattern) - 1
