import contextlib
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import InvalidInput
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
    Value,
    as_boolean,
    as_number,
    as_time,
)
from core.representation.query_language import parse
from core.representation.query_writing import write_query
from core.text import normalized


def word(text: str) -> Value:
    return Value(text)


def quoted(text: str) -> Value:
    return Value(text, quoted=True)


def fault_in(text: str) -> tuple[int, str]:
    with pytest.raises(QuerySyntaxError) as refused:
        parse(text)
    message = f"Fault in q at character {refused.value.position}: "
    assert refused.value.message.startswith(message)
    assert refused.value.field == "q"
    return refused.value.position, refused.value.message.removeprefix(message)


# Every form of the language


@pytest.mark.parametrize(
    ("text", "test"),
    [
        ("f:abc", Equals(word("abc"))),
        ('f:"a b"', Equals(quoted("a b"))),
        ("f:>5", Range((Comparison(">", word("5")),))),
        ("f:>=5", Range((Comparison(">=", word("5")),))),
        ("f:<5", Range((Comparison("<", word("5")),))),
        ("f:<=5", Range((Comparison("<=", word("5")),))),
        ('f:>"2024-01-01T00:00:00.000Z"', Range((Comparison(">", quoted("2024-01-01T00:00:00.000Z")),))),
        ("f:(>=10 AND <20)", Range((Comparison(">=", word("10")), Comparison("<", word("20"))))),
        ('f:(a,b,"c d")', OneOf((word("a"), word("b"), quoted("c d")))),
        ("f:~abc", Matches("abc")),
        ("f:(~a b)", Matches("a b")),
        ("f:~(a b)", Matches("a b")),
        ("f:null", IsNull()),
        ("f:exists", Exists()),
        ("f:missing", Missing()),
    ],
)
def test_each_form_is_read_as_its_test(text, test):
    assert parse(text) == (Term(("f",), test),)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        (
            'code:"a b" name.en:~foo',
            (Term(("code",), Equals(quoted("a b"))), Term(("name", "en"), Matches("foo"))),
        ),
        (
            'metadata.modifiedAt:(>="2024-01-01T00:00:00.000Z" AND <"2024-02-01T00:00:00.000Z")',
            (
                Term(
                    ("metadata", "modifiedAt"),
                    Range(
                        (
                            Comparison(">=", quoted("2024-01-01T00:00:00.000Z")),
                            Comparison("<", quoted("2024-02-01T00:00:00.000Z")),
                        )
                    ),
                ),
            ),
        ),
        ("mixins.a.b:null", (Term(("mixins", "a", "b"), IsNull()),)),
        (
            "name.de-CH:x metadata_1:y",
            (Term(("name", "de-CH"), Equals(word("x"))), Term(("metadata_1",), Equals(word("y")))),
        ),
        ("", ()),
        (" \t\r\n", ()),
        ("\n a:1 \t b:2 ", (Term(("a",), Equals(word("1"))), Term(("b",), Equals(word("2"))))),
    ],
)
def test_terms_are_separated_by_blanks_and_their_fields_are_dotted_paths(text, terms):
    assert parse(text) == terms


@pytest.mark.parametrize(
    "text",
    [
        "a:b",
        "a.b@c.example",
        "-5",
        "a~b",
        "a,b",
        "=>5",
        "a<b",
        "ä€😀",
        "'x'",
        "\\",
        "2024-01-01T00:00:00.000Z",
    ],
)
def test_a_word_runs_to_the_next_blank(text):
    assert parse(f"f:{text} g:1") == (Term(("f",), Equals(word(text))), Term(("g",), Equals(word("1"))))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('""', ""),
        ('" a "', " a "),
        (r'"a\"b"', 'a"b'),
        (r'"a\\"', "a\\"),
        (r'"\\\""', '\\"'),
        ('"(a,b) AND c:~d"', "(a,b) AND c:~d"),
        ('"a\nb"', "a\nb"),
    ],
)
def test_quotes_hold_anything_with_quotes_and_backslashes_escaped(text, value):
    assert parse(f"f:{text}") == (Term(("f",), Equals(quoted(value))),)


@pytest.mark.parametrize("name", ["null", "exists", "missing"])
def test_in_quotes_and_brackets_the_words_of_the_language_are_texts(name):
    assert parse(f'f:"{name}" f:({name}) f:("{name}")') == (
        Term(("f",), Equals(quoted(name))),
        Term(("f",), OneOf((word(name),))),
        Term(("f",), OneOf((quoted(name),))),
    )


@pytest.mark.parametrize("text", ["NULL", "nullable", "existsNot", "null,"])
def test_other_words_are_texts(text):
    assert parse(f"f:{text}") == (Term(("f",), Equals(word(text))),)


@pytest.mark.parametrize(
    ("text", "test"),
    [
        ("( a , b )", OneOf((word("a"), word("b")))),
        ("(a OR b)", OneOf((word("a"), word("b")))),
        ('("a b" or c,\tOR  OR d)', OneOf((quoted("a b"), word("c"), word("OR"), word("d")))),
        ("(a)", OneOf((word("a"),))),
        ("(a,a)", OneOf((word("a"), word("a")))),
        ("(a,~b,c:d)", OneOf((word("a"), word("~b"), word("c:d")))),
        ("( >= 1 and < 2 )", Range((Comparison(">=", word("1")), Comparison("<", word("2"))))),
        ('(>"1"AND<"2")', Range((Comparison(">", quoted("1")), Comparison("<", quoted("2"))))),
        ("(>1)", Range((Comparison(">", word("1")),))),
        ("( ~a)", Matches("a")),
    ],
)
def test_blanks_within_brackets_do_not_matter(text, test):
    assert parse(f"f:{text}") == (Term(("f",), test),)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("~^abc$", "^abc$"),
        ("~(a|b)c", "(a|b)c"),
        ("~(a)(b)", "(a)(b)"),
        ("~((a) b)", "(a) b"),
        ("~(?:a b)", "(?:a b)"),
        ("~a(b c)d", "a(b c)d"),
        ("~[ )(]x", "[ )(]x"),
        ("~a\\ b", "a\\ b"),
        ("~\\(", "\\("),
        ("(~(a|b) c)", "(a|b) c"),
        ("(~ a )", " a "),
        ("(~\\))", "\\)"),
        ("(~[)])", "[)]"),
        ('~"a b"', "a b"),
        (r'~"\"\\d"', r'"\d'),
        ('(~"a b" )', "a b"),
    ],
)
def test_a_regular_expression_ends_at_a_blank_or_bracket_that_is_not_its_own(text, pattern):
    assert parse(f"f:{text} g:1") == (Term(("f",), Matches(pattern)), Term(("g",), Equals(word("1"))))


def test_terms_values_and_regular_expressions_know_where_they_stand():
    terms = parse('a:1  b.c:(x, "y") d:>=5 e:~z f:~(u v) g:~"w"')

    assert [term.position for term in terms] == [1, 6, 19, 25, 30, 39]
    first, second, third, *patterns = (term.test for term in terms)
    assert first.value.position == 3
    assert [value.position for value in second.values] == [11, 14]
    assert third.comparisons[0].value.position == 23
    assert [pattern.position for pattern in patterns] == [28, 34, 42]


# Faults


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("f", 2, "expected ':' after the field."),
        ("f :1", 2, "expected ':' after the field."),
        ("a.:1", 2, "expected ':' after the field."),
        ("a..b:1", 2, "expected ':' after the field."),
        ("a:1 AND b:2", 8, "expected ':' after the field."),
        (":1", 1, "expected a field of letters, digits, '_' and '-', with '.' between its parts."),
        ("a:1 ä:2", 5, "expected a field of letters, digits, '_' and '-', with '.' between its parts."),
        ('"a":1', 1, "expected a field of letters, digits, '_' and '-', with '.' between its parts."),
        ("f:", 3, "expected a value."),
        ("f: x", 3, "expected a value."),
        ("f:>", 4, "expected a value."),
        ("f:> 5", 4, "expected a value."),
        ("f:>>5", 4, "expected a value."),
        ("f:)", 3, "expected a value."),
        ("f:()", 4, "expected a value."),
        ("f:(a,)", 6, "expected a value."),
        ("f:(,a)", 4, "expected a value."),
        ("f:(a,>5)", 6, "expected a value."),
        ("f:((a))", 4, "expected a value."),
        ("f:(", 4, "expected a value."),
        ("f:(a b)", 6, "expected ',', OR or ')'."),
        ("f:(a(b))", 5, "expected ',', OR or ')'."),
        ('f:("a"b)', 7, "expected ',', OR or ')'."),
        ("f:(>1 <2)", 7, "expected AND or ')'."),
        ("f:(>1,<2)", 6, "expected AND or ')'."),
        ("f:(>1 AND <2 AND <3)", 14, "expected ')'."),
        ("f:(>1 AND 2)", 11, "expected '>', '>=', '<' or '<='."),
        ("f:(>1 ANDY)", 10, "expected '>', '>=', '<' or '<='."),
        ('f:(~"a"b)', 8, "expected ')'."),
        ("f:(a", 3, "this bracket is not closed."),
        ("f:(>1 ", 3, "this bracket is not closed."),
        ("f:(~a b", 3, "this bracket is not closed."),
        ("f:abc)", 6, "expected a blank; write values that hold brackets or quotes in double quotes."),
        ("f:a(b)", 4, "expected a blank; write values that hold brackets or quotes in double quotes."),
        ('f:a"b"', 4, "expected a blank; write values that hold brackets or quotes in double quotes."),
        ('f:"a"g:1', 6, "expected a blank; write values that hold brackets or quotes in double quotes."),
        ("f:(a)g:1", 6, "expected a blank; write values that hold brackets or quotes in double quotes."),
        ('g:1 f:"a', 7, "this quote is not closed."),
        (r'f:"a\"', 3, "this quote is not closed."),
        ('f:"a\\', 3, "this quote is not closed."),
        (r'f:"a\n"', 5, r"expected \" or \\ (in quotes a backslash is written twice)."),
        ("f:~", 4, "expected a regular expression."),
        ("f:~ a", 4, "expected a regular expression."),
        ("f:~()", 5, "expected a regular expression."),
        ("f:(~)", 5, "expected a regular expression."),
        ('f:~""', 4, "expected a regular expression."),
        ("f:~a(b", 5, "an unbalanced bracket."),
        ("f:~a)", 5, "an unbalanced bracket."),
        ("f:~[a", 4, "a bracket expression that is not closed or not supported."),
        ("f:~a**", 6, "there is nothing before * to be repeated."),
        (r"f:~(a)\1", 7, "this escape is not supported (back references are not either)."),
        (r'f:~"\"a**"', 9, "there is nothing before * to be repeated."),
        ("f:a\x00", 4, "this character is not allowed."),
        ('f:"\ud800"', 4, "this character is not allowed."),
    ],
)
def test_a_fault_names_the_character_and_what_is_wrong_there(text, position, reason):
    assert fault_in(text) == (position, reason)


def test_a_fault_is_an_invalid_input_with_its_own_code():
    with pytest.raises(InvalidInput) as refused:
        parse("f")

    assert refused.value.code == "query_syntax_error"


def test_anything_but_a_text_is_refused():
    with pytest.raises(QuerySyntaxError) as refused:
        parse(["f:1"])

    assert refused.value.message == "Fault in q at character 1: expected a text."


@pytest.mark.parametrize(
    ("accepted", "refused", "position", "reason"),
    [
        ("f:" + "x" * 39_998, "f:" + "x" * 39_999, 40_001, "q has at most 40000 characters."),
        (" ".join(["a:1"] * 50), " ".join(["a:1"] * 51), 201, "q has at most 50 terms."),
        (
            f"f:({','.join('x' * 1_000)})",
            f"f:({','.join('x' * 1_001)})",
            2_004,
            "a list has at most 1000 values.",
        ),
        (".".join("abcdefghij") + ":1", ".".join("abcdefghijk") + ":1", 1, "a field has at most 10 parts."),
        (f"a.{'b' * 128}:1", f"a.{'b' * 129}:1", 1, "a part of a field has at most 128 characters."),
        ("f:~" + "x" * 200, "f:~" + "x" * 201, 204, "a regular expression has at most 200 characters."),
        ("f:~x{50}", "f:~x{51}", 5, "a repetition count is at most 50."),
    ],
)
def test_every_bound_holds_to_the_last_one(accepted, refused, position, reason):
    parse(accepted)

    assert fault_in(refused) == (position, reason)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 40_000,
        " " * 40_000,
        "a." * 20_000,
        "f:" + "(" * 39_000,
        "f:(" + " " * 39_000,
        "f:(a" + " " * 39_000,
        "f:(" + "a , " * 9_000,
        "f:(>1" + " " * 39_000,
        "f:~" + "(" * 39_000,
        "f:~" + "[[:" * 13_000,
        'f:"' + "\\\\" * 19_000,
    ],
)
def test_reading_a_hostile_text_takes_a_few_calls_a_character(text):
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        with contextlib.suppress(QuerySyntaxError):
            parse(text)
    finally:
        sys.setprofile(None)
    assert 0 < calls < 20 * len(text)


# Types


@pytest.mark.parametrize(
    ("text", "number"), [("5", "5"), ("-5.50", "-5.50"), ("0", "0"), ("9" * 30, "9" * 30)]
)
def test_a_number_is_exact(text, number):
    assert as_number(Value(text)) == Decimal(number)


@pytest.mark.parametrize(
    "text", ["", "abc", "1e5", "NaN", "Infinity", "1,5", "+5", "5.", ".5", "٣", "5\n", "9" * 31]
)
def test_anything_else_is_no_number(text):
    with pytest.raises(QuerySyntaxError) as refused:
        as_number(Value(text, position=7))

    assert refused.value.message == "Fault in q at character 7: expected a number."


@pytest.mark.parametrize(("text", "truth"), [("true", True), ("false", False)])
def test_a_boolean_is_true_or_false(text, truth):
    assert as_boolean(Value(text)) is truth


@pytest.mark.parametrize("text", ["", "True", "1", "yes", "null"])
def test_anything_else_is_no_boolean(text):
    with pytest.raises(QuerySyntaxError) as refused:
        as_boolean(Value(text, position=7))

    assert refused.value.message == "Fault in q at character 7: expected true or false."


def test_a_time_is_read_in_utc():
    assert as_time(Value("2024-01-01T01:00:00.000+01:00", quoted=True)) == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_date_is_no_time():
    with pytest.raises(QuerySyntaxError) as refused:
        as_time(Value("2024-01-01", quoted=True, position=7))

    assert (refused.value.position, refused.value.field) == (7, "q")
    assert refused.value.message == (
        "Fault in q at character 7: the value is a date without a time and an offset; "
        "send an instant such as 2024-01-31T12:00:00.000Z."
    )


# Whatever comes in


def position_of_fault(text: str) -> int | None:
    try:
        parse(text)
    except QuerySyntaxError as refused:
        return refused.position
    return None


@given(st.text(max_size=200))
def test_no_text_raises_anything_but_a_syntax_error_within_the_text(text):
    assert position_of_fault(text) in (None, *range(1, len(text) + 2))


@given(st.text(alphabet='ab1.:~()"\\,<>= AND{}[]?*|^$!nul', max_size=80))
@example("~(?")
def test_no_text_of_the_language_s_own_characters_raises_anything_but_a_syntax_error(text):
    assert position_of_fault(f"f:{text}") in (None, *range(1, len(text) + 4))


def stays_as_it_is(text: str) -> bool:
    """Say whether `parse`, which composes characters, leaves the text as it is behind an operator."""
    return normalized(f">{text}") == f">{text}"


STORABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
PATHS = st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True), min_size=1, max_size=10).map(tuple)
QUOTED = st.text(STORABLE, max_size=20).filter(stays_as_it_is).map(quoted)
WORDS = st.from_regex(r'[^\x00 \t\n\r()",<>~][^\x00 \t\n\r()",]{0,15}', fullmatch=True).filter(stays_as_it_is)
PLAIN_WORDS = WORDS.filter(lambda text: text not in ("null", "exists", "missing")).map(word)
VALUES = QUOTED | PLAIN_WORDS
# behind an operator a word that begins with = would be read as a part of the operator
COMPARED = QUOTED | PLAIN_WORDS.filter(lambda value: not value.text.startswith("="))
COMPARISONS = st.builds(Comparison, st.sampled_from([">", ">=", "<", "<="]), COMPARED)
PATTERNS = st.recursive(
    st.sampled_from(["a", "é", ".", "[a-z ]", r"\d", r"\.", " ", "[[:alpha:]]"]),
    lambda inner: (
        st.builds("({})".format, inner)
        | st.builds("{}{}".format, inner, inner)
        | st.builds("{}|{}".format, inner, inner)
        | st.builds("(?:{})*".format, inner)
    ),
    max_leaves=8,
).filter(lambda pattern: len(pattern) <= 100)
TESTS = (
    st.builds(Equals, VALUES)
    | st.builds(OneOf, st.lists(VALUES, min_size=1, max_size=5).map(tuple))
    | st.builds(Range, st.lists(COMPARISONS, min_size=1, max_size=2).map(tuple))
    | st.builds(Matches, PATTERNS)
    | st.sampled_from([IsNull(), Exists(), Missing()])
)
TERMS = st.lists(st.builds(Term, PATHS, TESTS), max_size=8).map(tuple)


@given(TERMS)
def test_terms_written_as_text_are_read_back(terms):
    text = write_query(terms)

    if len(text) <= 40_000:
        assert parse(text) == terms


# Compound queries


def a(value: str) -> Term:
    return Term(("a",), Equals(word(value)))


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("(a:1)", a("1")),
        ("((a:1) OR (a:2))", AnyOf((a("1"), a("2")))),
        ("( (a:1)or(a:2) )", AnyOf((a("1"), a("2")))),
        ("((a:1 a:2) OR (a:3))", AnyOf((AllOf((a("1"), a("2"))), a("3")))),
        ("((a:1) OR (a:2) AND (a:3))", AnyOf((a("1"), AllOf((a("2"), a("3")))))),
        ("(((a:1) OR (a:2)) AND (a:3))", AllOf((AnyOf((a("1"), a("2"))), a("3")))),
        ("(NOT (a:1))", Negation(a("1"))),
        ("((a:1) AND NOT(a:2))", AllOf((a("1"), Negation(a("2"))))),
        ("((a:1) AND NOT NOT (a:2))", AllOf((a("1"), Negation(Negation(a("2")))))),
        ("(not:5)", Term(("not",), Equals(word("5")))),
        ("(a:null)", Term(("a",), IsNull())),
        (
            "((a:(x,y)) AND (a:(>1 AND <2)))",
            AllOf(
                (
                    Term(("a",), OneOf((word("x"), word("y")))),
                    Term(("a",), Range((Comparison(">", word("1")), Comparison("<", word("2"))))),
                )
            ),
        ),
        ('(a:"x)")', Term(("a",), Equals(quoted("x)")))),
        ("((a:~x+) OR (a:(~x y)))", AnyOf((Term(("a",), Matches("x+")), Term(("a",), Matches("x y"))))),
    ],
)
def test_compound_queries_combine_terms(text, condition):
    assert parse(f"compoundLogicalQuery:{text}") == (condition,)


def test_the_published_example_of_a_compound_query_is_read():
    published = Term(("published",), Equals(word("true")))
    unpublished = Term(("published",), Equals(word("false")))
    apple, onion = (Term(("code",), Equals(word(code))) for code in ("apple", "onion"))
    assert parse(
        "compoundLogicalQuery:(((code:apple) AND (published:true)) OR ((code:onion) AND (published:false)))"
    ) == (AnyOf((AllOf((apple, published)), AllOf((onion, unpublished)))),)


def test_a_compound_query_stands_beside_other_terms():
    compound = AnyOf((a("1"), a("2")))
    assert parse("a:0 compoundLogicalQuery:((a:1) OR (a:2)) a:3") == (a("0"), compound, a("3"))


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("a:1", 22, "expected '(' and a compound query such as ((a:1) OR (b:2))."),
        ("(a:1", 22, "this bracket is not closed."),
        ("((a:1) OR )", 32, "expected '(' or NOT."),
        ("((a:1) XOR (a:2))", 29, "expected AND, OR or ')'."),
        ("((a:1) OR (a:2)", 22, "this bracket is not closed."),
        ("()", 23, "expected a field of letters, digits, '_' and '-', with '.' between its parts."),
        ("((a:1)(b:2))", 28, "expected AND, OR or ')'."),
        ("(a)", 24, "expected ':' after the field."),
        ("(" * 11 + "a:1" + ")" * 11, 32, "the brackets of a compound query nest at most 10 deep."),
        ("(NOT " * 5 + "NOT " * 6 + "(a:1)", 63, "a compound query nests at most 10 deep."),
        ("(a:1)) ", 27, "expected a blank; write values that hold brackets or quotes in double quotes."),
    ],
)
def test_a_faulty_compound_query_names_the_character(text, position, reason):
    assert fault_in(f"compoundLogicalQuery:{text}") == (position, reason)


def test_the_terms_of_a_compound_query_count_as_all_others():
    terms = " ".join(["a:1"] * 49)
    assert position_of_fault(f"{terms} compoundLogicalQuery:(a:1)") is None
    assert fault_in(f"{terms} compoundLogicalQuery:(a:1 a:2)") == (223, "q has at most 50 terms.")


CONDITIONS = st.recursive(
    st.builds(Term, PATHS, TESTS),
    lambda inner: (
        st.builds(AllOf, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Negation, inner)
    ),
    max_leaves=8,
)


def depth_of(condition: Condition) -> int:
    match condition:
        case AllOf(operands) | AnyOf(operands):
            return 1 + max(map(depth_of, operands))
        case Negation(operand):
            return 2 + depth_of(operand)
    return 1


@given(CONDITIONS.filter(lambda condition: depth_of(condition) <= 10))
def test_compound_queries_written_as_text_are_read_back(condition):
    assert parse(write_query([condition])) == (condition,)
