"""Unique values within one batch: a model of swaps, rings and hand-ons."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.unique_claims import Claim, Taken, refused_claims

IDS, VALUES = "abcde", "vwxyz"


def judged(rows, holders):
    claims = [Claim(name, list(values)) for name, values in rows]
    return {at: reason for at, (reason, _) in refused_claims(claims, holders).items()}


@pytest.mark.parametrize(
    ("rows", "holders", "refused"),
    [
        ([("a", "w"), ("b", "v")], {"v": "a", "w": "b"}, {}),  # swap
        ([("a", "w"), ("b", "x"), ("c", "v")], {"v": "a", "w": "b", "x": "c"}, {}),  # ring
        ([("a", "w"), ("b", "x")], {"v": "a", "w": "b"}, {}),  # hand-on
        ([("a", "w"), ("b", "")], {"w": "b"}, {}),  # given up
        ([("a", "w")], {"w": "b"}, {0: Taken.STORED}),
        ([("a", "w"), ("b", "w")], {"w": "b"}, {0: Taken.STORED}),
        ([("a", "w"), ("b", "w")], {}, {1: Taken.EARLIER}),
        # d stays, so that c, b and a keep what they have as well
        (
            [("a", "w"), ("b", "x"), ("c", "y")],
            {"v": "a", "w": "b", "x": "c", "y": "d"},
            {0: Taken.STORED, 1: Taken.STORED, 2: Taken.STORED},
        ),
        ([("a", "v"), ("a", "w"), ("b", "v")], {}, {}),  # the last row of an id counts
        ([("a", "v"), ("a", "w")], {"v": "b"}, {0: Taken.STORED}),
    ],
)
def test_the_end_decides(rows, holders, refused):
    assert judged(rows, holders) == refused


@given(
    st.lists(st.tuples(st.sampled_from(IDS), st.sets(st.sampled_from(VALUES), max_size=2)), max_size=8),
    st.dictionaries(st.sampled_from(VALUES), st.sampled_from(IDS)),
)
def test_whatever_is_accepted_leaves_every_value_with_one_owner(rows, holders):
    refused = judged([(name, sorted(values)) for name, values in rows], holders)
    stored = {name: {value for value, owner in holders.items() if owner == name} for name in IDS}
    before = {name: set(values) for name, values in stored.items()}
    for at, (name, values) in enumerate(rows):
        if at not in refused:
            stored[name] = set(values)
    owned = [value for values in stored.values() for value in values]
    assert len(owned) == len(set(owned))
    if not {value for _, values in rows for value in values} & holders.keys():
        firsts = dict(rows)
        taken = [value for values in firsts.values() for value in values]
        assert refused == {} or len(taken) > len(set(taken))
    assert all(stored[name] == before[name] for name in IDS if name not in {name for name, _ in rows})


def test_a_long_chain_is_judged_in_time_that_grows_with_its_length():
    rows = [Claim(str(number), [str(number + 1)]) for number in range(20_000)]
    holders = {str(number): str(number) for number in range(20_001)}
    assert len(refused_claims(rows, holders)) == 20_000
