"""Compound queries over generated documents: PostgreSQL finds what a reading in Python finds.

The reading knows only the tree and the documents that clients read, no SQL.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.json_types import JsonObject
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
    Range,
    Term,
    Value,
)
from core.representation.fields import Languages
from core.representation.query_writing import write_query
from core.representation.relative_instants import Clock
from core.sql.composition import Sql, sql
from core.sql.fetching import fetch_rows
from segments.representations import SEGMENT
from tests.factories.segments import SegmentFactory

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2024, 7, 15, 22, 30, tzinfo=UTC)  # the 16th in Berlin
CLOCK = Clock(NOW, lambda: BERLIN)
ORDERED = {"a": "2024-07-16", "b": "2024-07-15T21:59:59.000Z", "c": 5, "d": "soon", "e": None}
TODAY = datetime(2024, 7, 15, 22, tzinfo=UTC)
INSTANTS = {
    "now": NOW,
    "now-1d": NOW - timedelta(days=1),
    "now-2h": NOW - timedelta(hours=2),
    "now+1w": NOW + timedelta(weeks=1),
    "today": TODAY,
    "today-1w": TODAY - timedelta(weeks=1),
    "today-1m": datetime(2024, 6, 15, 22, tzinfo=UTC),
    "now-1y": datetime(2023, 7, 15, 22, 30, tzinfo=UTC),
}


@pytest.fixture
def documents(site) -> list[JsonObject]:
    edges = [*INSTANTS.values(), NOW - timedelta(milliseconds=1), TODAY + timedelta(seconds=1), None]
    for number, starts_at in enumerate(edges):
        mixins = {"tier": {"level": number % 3, "orderedAt": list(ORDERED.values())[number % 5]}}
        SegmentFactory(
            site=site,
            external_id=f"segment-{number}",
            name={"en": ["Gold", "Silver", "Plain"][number % 3]},
            valid_from=starts_at,
            status=["ACTIVE", "INACTIVE"][number % 2],
            mixins=mixins if number % 4 else None,
        )
    return [json.loads(text) for (text,) in rows_where(Sql("true"))]


def rows_where(condition: Sql) -> list[tuple[object, ...]]:
    statement = sql(
        "SELECT {document} FROM segments_segment AS segment{joins} WHERE {condition}",
        document=SEGMENT.document(None, LANGUAGES),
        joins=SEGMENT.joined(SEGMENT.joins),
        condition=condition,
    )
    return fetch_rows(statement)


def found(q: str) -> set[str]:
    search = SEGMENT.search(q, CLOCK)
    return {json.loads(text)["id"] for (text,) in rows_where(Sql.joined(" AND ", search.conditions))}


# The reading in Python


def holds(condition: Condition, document: JsonObject) -> bool:
    match condition:
        case AllOf(operands):
            return all(holds(operand, document) for operand in operands)
        case AnyOf(operands):
            return any(holds(operand, document) for operand in operands)
        case Negation(operand):
            return not holds(operand, document)
    value: Any = document
    for part in condition.path:
        value = value.get(part) if isinstance(value, dict) else None
    match condition.test:
        case Exists():
            return value is not None
        case IsNull() | Missing():
            return value is None
    if value is None:
        return False
    match condition.test:
        case Equals(wanted):
            return equals(value, wanted)
        case OneOf(choices):
            return any(equals(value, wanted) for wanted in choices)
        case Matches(pattern):
            return re.search(pattern, str(value)) is not None
        case Range(comparisons):
            return all(compares(value, item) for item in comparisons)
    raise AssertionError(condition)


def equals(value: object, wanted: Value) -> bool:
    if isinstance(value, str) and wanted.text in INSTANTS and value.endswith("Z"):
        return value == wire(INSTANTS[wanted.text])
    return str(value) == wanted.text


def compares(value: object, item: Comparison) -> bool:
    text = item.value.text
    if text in INSTANTS:
        if not isinstance(value, str) or not value.startswith("2"):
            return False
        left, right = value, wire(INSTANTS[text])
    else:
        left, right = Decimal(value), Decimal(text)  # type: ignore[assignment]
    return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[item.operator]


def wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


# Generated queries


def values(*texts: str) -> st.SearchStrategy[Value]:
    return st.sampled_from(texts).map(Value)


def matched(choices: st.SearchStrategy[Value]) -> st.SearchStrategy[object]:
    return st.builds(Equals, choices) | st.builds(OneOf, st.lists(choices, min_size=1, max_size=3).map(tuple))


def ranges_of(choices: st.SearchStrategy[Value]) -> st.SearchStrategy[Range]:
    comparisons = st.builds(Comparison, st.sampled_from([">", ">=", "<", "<="]), choices)
    return st.builds(Range, st.lists(comparisons, min_size=1, max_size=2).map(tuple))


LANGUAGES = Languages()
LEVELS = values("0", "1", "2")
RELATIVE = values(*INSTANTS)
PRESENCE = st.sampled_from([Exists(), Missing(), IsNull()])
TERMS = (
    st.builds(Term, st.just(("name", "en")), matched(values("Gold", "Silver", "now", "today")) | PRESENCE)
    | st.builds(Term, st.just(("status",)), matched(values("ACTIVE", "INACTIVE")))
    | st.builds(Term, st.just(("id",)), st.builds(Matches, st.sampled_from(["1", "-[2-5]$", "^x"])))
    | st.builds(Term, st.just(("validity", "from")), matched(RELATIVE) | ranges_of(RELATIVE) | PRESENCE)
    | st.builds(Term, st.just(("mixins", "tier", "orderedAt")), ranges_of(RELATIVE) | PRESENCE)
    | st.builds(
        Term,
        st.just(("mixins", "tier", "level")),
        matched(values("0", "1", "2")) | ranges_of(values("0", "1")),
    )
)
CONDITIONS = st.recursive(
    TERMS,
    lambda inner: (
        st.builds(AllOf, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Negation, inner)
    ),
    max_leaves=6,
)


def test_postgresql_finds_what_the_reading_finds(documents):
    @settings(
        max_examples=150,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
    )
    @given(st.lists(CONDITIONS, min_size=1, max_size=2))
    def agree(conditions: list[Condition]) -> None:
        expected = {
            document["id"] for document in documents if all(holds(item, document) for item in conditions)
        }
        assert found(write_query(conditions)) == expected

    agree()


@pytest.mark.parametrize(
    ("q", "number"),
    [
        ("validity.from:<today", 5),
        ("validity.from:(>=today-1w AND <now)", 6),
        ("mixins.tier.orderedAt:>=today", 2),
        ('mixins.tier.orderedAt:"today"', 0),
        ("compoundLogicalQuery:(NOT (validity.from:<=now))", 2),
    ],
)
def test_the_reading_and_a_person_agree(documents, q, number):
    assert len(found(q)) == number
