"""Rows of the page and the text of a rule are made from each other without loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.representation.conditions import QuerySyntaxError
from core.representation.query_language import parse
from segments.rules.rows import REASONS, TESTS, Row, RowFault, groups_of, place_of, text_of


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        ([], ""),
        ([[Row("onHold", "is", "false")]], "onHold:false"),
        ([[Row("a", "is", "1")], [Row("b", "more", "2")]], "a:1 b:>2"),
        ([[Row("a", "is", "1"), Row("b", "is", "2")]], "compoundLogicalQuery:((a:1) OR (b:2))"),
        ([[Row("a", "is_not", "1")]], "compoundLogicalQuery:(NOT (a:1))"),
        (
            [[Row("a", "is_not", "1, 2"), Row("b", "known")], [Row("c", "unknown")]],
            "compoundLogicalQuery:((NOT (a:(1,2))) OR (b:exists)) c:missing",
        ),
        ([[Row("m.n", "is", "50-74K, a b")]], 'm.n:(50-74K,"a b")'),
        ([[Row("m.n", "is", '"a, b"')]], 'm.n:"a, b"'),
        ([[Row("m.n", "is", '"5"')]], 'm.n:"5"'),
        ([[Row("m.n", "is", "exists")]], 'm.n:"exists"'),
        ([[Row("t", "at_least", "now-30d")]], "t:>=now-30d"),
        ([[Row("t", "between", "1, 5")]], "t:(>=1 AND <=5)"),
        ([[Row("r.90d.total", "top", "10%")]], "r.90d.total:top(10%)"),
        ([[Row("n", "matches", "a b|c")]], "n:(~(a b|c))"),
    ],
)
def test_rows_and_text_are_made_from_each_other(groups, text):
    assert text_of(groups) == text
    assert groups_of(text) == groups


def test_rows_that_are_empty_are_left_out():
    assert text_of([[Row()], [Row("a", "is", "1"), Row(" ", "is", "")]]) == "a:1"


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("compoundLogicalQuery:((a:1) AND (b:2))", [[Row("a", "is", "1")], [Row("b", "is", "2")]]),
        ("a:<=now-1w a:null", [[Row("a", "at_most", "now-1w")], [Row("a", "unknown")]]),
        ("compoundLogicalQuery:((a:1) OR ((b:2) AND (c:3)))", None),
        ("compoundLogicalQuery:(NOT (a:>1))", None),
        ("a:(>1 AND <2)", None),
    ],
)
def test_a_text_that_nests_deeper_has_no_rows(text, groups):
    assert groups_of(text) == groups


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row("", "is", "1"), "Choose a field."),
        (Row("a", "is", ""), "Enter a value."),
        (Row("a b", "is", "1"), "Expected ':' after the field."),
        (Row("a:1 b", "is", "1"), "Write the field as in the list, such as mixins.loyalty.tier."),
        (Row("a", "between", "1"), "Write two values with a comma between them."),
        (Row("a", "top", "many"), "Write a number such as 500, or a part such as 10%."),
        (Row("a", "is", '"b'), REASONS["is"]),
        (Row("a", "more", "1, 2"), "This value cannot be read."),
        (Row("a", "likes", "1"), "This value cannot be read."),
        (Row("a", "matches", "x) b:1 c:(~(y"), "This bracket is not closed."),
    ],
)
def test_a_faulty_row_is_named(row, message):
    with pytest.raises(RowFault) as refused:
        text_of([[Row("z", "is", "1")], [Row(), row]])
    assert (refused.value.message, refused.value.group, refused.value.row) == (message, 1, 1)


ROWS = st.builds(
    Row,
    st.sampled_from(["a", "mixins.b.c", "compoundLogicalQuery", "a:1", "x y", ""]) | st.text(max_size=5),
    st.sampled_from(TESTS),
    st.sampled_from(["1", "a b", '"1"', "1, 2", "now-3d", "10%", "(", "null"]) | st.text(max_size=8),
)


@given(st.lists(st.lists(ROWS, min_size=1, max_size=3), max_size=3))
def test_whatever_is_filled_in_becomes_as_many_terms_or_a_named_fault(groups):
    try:
        text = text_of(groups)
    except RowFault as fault:
        named = groups[fault.group][fault.row]
    else:
        assert_same_rows(groups, text)
        return
    assert not named.is_empty


def assert_same_rows(groups, text):
    again = groups_of(text)
    assert again is not None
    assert sum(map(len, again)) == sum(not row.is_empty for rows in groups for row in rows)
    assert text_of(again) == text


@given(st.text(alphabet='ab:.(), "<>=~NOTANDORcompoundLogicalQuery1', max_size=60))
def test_any_text_has_rows_or_not_or_a_fault(text):
    try:
        groups = groups_of(text)
    except QuerySyntaxError:
        return
    assert groups is None or parse(text_of(groups)) is not None


def test_a_position_of_the_text_leads_to_its_row():
    groups = [[Row("a", "is", "1")], [Row(), Row("b", "is", "2"), Row("c", "is_not", "3")]]
    text = text_of(groups)
    assert text == "a:1 compoundLogicalQuery:((b:2) OR (NOT (c:3)))"
    assert place_of(groups, text, 1) == (0, 0)
    assert place_of(groups, text, text.index("b:2") + 1) == (1, 1)
    assert place_of(groups, text, text.index("3") + 1) == (1, 2)
