import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.representation.regular_expressions import PatternFault, check_cheap, scan


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "abc",
        "^a.c$",
        "a|b|",
        "(a|(b))*c+d?e*?f+?g??",
        "a{3}b{3,}c{3,5}d{50}?",
        "(a{2}b)+",
        "(a{3}-){2}",
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        ".{50}" * 9,
        "x{y",
        "{}",
        "[a-z0-9_]+",
        "[]a][^]a][^a]",
        "[[:alpha:]_[:digit:]]",
        r"[\]\d.[]",
        r"\d\D\s\S\w\W\f\n\r\t\v",
        r"\Aa\mb\Mc\yd\Ye\Z",
        r"\.\*\(\)\[\]\{\}\\\-\/\"\ ",
        "(?:a)(?=b)(?!c)(?<=d)(?<!e)",
        "(?i)abc",
        "(a*)*",
        "é+",
        "a]b}c",
    ],
)
def test_the_supported_syntax_is_accepted_whole(pattern):
    assert scan(pattern) == len(pattern)


@pytest.mark.parametrize(
    ("pattern", "index", "reason"),
    [
        (r"(a)\1", 3, "this escape is not supported (back references are not either)"),
        (r"\0", 0, "this escape is not supported (back references are not either)"),
        (r"\b", 0, "this escape is not supported (back references are not either)"),
        (r"\ä", 0, "this escape is not supported (back references are not either)"),
        ("a\\", 1, "this escape is not supported (back references are not either)"),
        ("a{51}", 1, "a repetition count is at most 50"),
        ("a{2,51}", 1, "a repetition count is at most 50"),
        ("a{999,}", 1, "a repetition count is at most 50"),
        ("a{5,3}", 1, "a repetition count that ends below its start"),
        ("((a{9}){9}){9}", 11, "this makes the regular expression too large"),
        ("(a?b?){50}(a?b?){50}", 16, "this makes the regular expression too large"),
        (".{50}" * 10, 46, "this makes the regular expression too large"),
        ("a{1000}", 1, "expected a repetition count such as {3}, {3,} or {3,5}"),
        ("a{2", 1, "expected a repetition count such as {3}, {3,} or {3,5}"),
        ("a{2,x}", 1, "expected a repetition count such as {3}, {3,} or {3,5}"),
        ("*a", 0, "there is nothing before * to be repeated"),
        ("***=a", 0, "there is nothing before * to be repeated"),
        ("a|+b", 2, "there is nothing before + to be repeated"),
        ("(?a)", 0, "a group of this kind is not supported"),
        ("a(?i)", 1, "a group of this kind is not supported"),
        ("(?q)a", 0, "a group of this kind is not supported"),
        ("(*a)", 1, "there is nothing before * to be repeated"),
        ("a+*", 2, "there is nothing before * to be repeated"),
        ("a{2}{3}", 4, "there is nothing before {3} to be repeated"),
        ("^*", 1, "there is nothing before * to be repeated"),
        (r"\y+", 2, "there is nothing before + to be repeated"),
        ("(?=a)*", 5, "there is nothing before * to be repeated"),
        ("(a", 0, "an unbalanced bracket"),
        ("a(b(c)", 1, "an unbalanced bracket"),
        ("a)", 1, "an unbalanced bracket"),
        ("[a", 0, "a bracket expression that is not closed or not supported"),
        ("[]", 0, "a bracket expression that is not closed or not supported"),
        (r"[\b]", 0, "a bracket expression that is not closed or not supported"),
        ("[[.a.]]", 0, "a bracket expression that is not closed or not supported"),
        ("[[=a=]]", 0, "a bracket expression that is not closed or not supported"),
        ("x" * 201, 200, "a regular expression has at most 200 characters"),
    ],
)
def test_everything_else_is_refused_where_it_stands(pattern, index, reason):
    with pytest.raises(PatternFault) as refused:
        scan(f"pre{pattern}", 3)

    assert (refused.value.index, refused.value.reason) == (index + 3, reason)


@pytest.mark.parametrize(
    ("text", "ends_at", "end"),
    [
        ("ab cd", " ", 2),
        ("(a b) c", " ", 5),
        ("[ ] c", " ", 3),
        ("a\\ b c", " ", 4),
        ("a(b)c)d", ")", 5),
        ("ab", ")", 2),
        ("", ")", 0),
    ],
)
def test_it_ends_at_a_character_outside_its_own_brackets(text, ends_at, end):
    assert scan(text, ends_at=ends_at) == end


@given(st.text(alphabet="ab(){}[]|*+?\\^$,:!=<12i", max_size=60))
def test_no_text_raises_anything_but_a_pattern_fault_within_the_text(text):
    try:
        index = scan(text)
    except PatternFault as refused:
        index = refused.index
        is_in_text = index < len(text)
    else:
        is_in_text = index == len(text)

    assert is_in_text


@pytest.mark.parametrize(
    "pattern",
    [
        "abc",
        "^a.*z$",
        "a|b",
        "(?i)gold",
        "(gold|silver) card",
        "x[0-9]*",
        "a{2,3}",
        "(ab)+",
        "(ab)?c",
        "(a*)?b",
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}",
        r"\.",
        r"\d+\.\d+",
    ],
)
def test_what_anybody_may_search_with(pattern):
    scan(pattern)
    check_cheap(pattern)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "a literal character"),
        (".*", "a literal character"),
        ("[a-z]+", "a literal character"),
        (r"\d{3}", "a literal character"),
        ("a*", "a literal character"),
        ("a?", "a literal character"),
        ("a{0,3}.", "a literal character"),
        ("a|.", "a literal character"),
        ("(a|.)", "a literal character"),
        ("(ab)*", "a literal character"),
        ("(?=a)", "a literal character"),
        ("^$", "a literal character"),
        ("(a*)*b", "nested quantifiers"),
        ("(a+){3}b", "nested quantifiers"),
        ("((a|b*)c)+", "nested quantifiers"),
        ("(a{2,3}b)*c", "nested quantifiers"),
        ("(((a|e|i|o|u|.)*){20}zzz)", "nested quantifiers"),
    ],
)
def test_what_only_services_may_search_with(pattern, reason):
    scan(pattern)
    with pytest.raises(PatternFault, match=reason):
        check_cheap(pattern)


@given(st.text(alphabet="ab(){}[]|*+?\\^$,:!=<12i", max_size=60))
def test_every_faultless_expression_is_judged(text):
    try:
        scan(text)
        check_cheap(text)
    except PatternFault:
        pass
