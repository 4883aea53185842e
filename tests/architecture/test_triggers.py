"""The triggers of the database are as declared, and docs/caching.md lists what raises revisions."""

import re
from collections.abc import Collection
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection

import catalog.revisions
import segments.revisions
from catalog.representations import (
    ASSIGNMENT,
    CATEGORY,
    CATEGORY_OF_REFERENCE,
    DEPRECATED_TREE_FIELDS,
    PARENT_JOIN,
    PRODUCT,
    PRODUCT_FOR_SHOPPERS,
    PRODUCT_IN_SHOWN_CATEGORIES,
    TREE_FIELDS,
)
from catalog.revisions import OF_CATEGORIES, OF_PLACEMENTS, OF_PRODUCTS, OF_REFERENCES
from core.journal.declarations import all_columns, recorded
from core.journal.installation import STORED, digest_of
from core.journal.triggers import MARKING, copying_name, create_copying, is_marked, trigger_name
from core.representation.fields import Languages, Localized
from core.representation.representations import Representation
from segments.category_trees import CATEGORY_NODE
from segments.representations import ITEM_ASSIGNMENT, SEGMENT
from segments.visibility import DOCUMENT_SUBJECTS, SHOWN_SUBJECTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "caching.md"
TRIGGERS = """
SELECT tgrelid::regclass::text, tgname::text, obj_description(tgfoid, 'pg_proc')
FROM pg_trigger WHERE NOT tgisinternal
"""
TRIGGERS_BEFORE_ROWS = """
SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgtype::integer & 3 = 3
"""


def test_the_triggers_are_as_declared(db):
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS)
        installed = {(table, name): digest for table, name, digest in cursor.fetchall()}
        cursor.execute(STORED)
        tables = [table for table, _ in cursor.fetchall()]
    stored = dict.fromkeys(tables, ()) | {one.table: all_columns(one.model) for one in recorded()}
    assert installed == {
        (one.table, name): digest_of(one, event, stored)
        for one in recorded()
        for event in one.events
        for name in (trigger_name(event), *([MARKING] if is_marked(one, event) else []))
    } | {
        (one.table, copying_name(event)): None
        for one in recorded()
        for event in one.events
        if create_copying(one, event, stored)
    }


def test_no_other_trigger_writes_to_columns_that_are_recorded(db):
    """A statement that sets derived columns only calls no trigger of the journal: see `ignores_derived`."""
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS_BEFORE_ROWS)
        assert cursor.fetchall() == []


COUNTED = [one for one in recorded() if "count_revisions" in "".join(one.follow.values())]
SUBJECTS = {
    value: name
    for module in (catalog.revisions, segments.revisions)
    for name, value in vars(module).items()
    if isinstance(value, int)
}
LANGUAGES = (Languages(), Languages(("de", "en"), "de", ("de", "en")))


def counted_subjects(statements: str) -> set[int]:
    return {
        int(number) for found in re.findall(r"'\{([-\d,]+)\}'", statements) for number in found.split(",")
    }


def test_no_two_subjects_are_the_same_and_none_is_a_key():
    assert len(SUBJECTS) == 6
    assert all(subject < 0 for subject in SUBJECTS)


def test_what_raises_the_revisions_is_documented():
    rows = re.findall(r"^\| `(\w+)` \| ([A-Z, ]+) \| (.+?) \|", PAGE.read_text(), flags=re.MULTILINE)
    documented = {table: (writes, set(re.findall(r"`(\w+)`", raised))) for table, writes, raised in rows}
    assert documented == {
        one.table: (
            ", ".join(event for event, text in one.follow.items() if "count_revisions" in text),
            {SUBJECTS[subject] for subject in counted_subjects("".join(one.follow.values()))},
        )
        for one in COUNTED
    }


def watched_columns(subjects: Collection[int], *, of_segments: bool) -> set[tuple[str, str]]:
    """Return the columns, with their tables, whose every change raises one of these revisions.

    `of_segments` adds those of the segments that an answer is about.
    """
    watched = set()
    for one in COUNTED:
        columns = set(all_columns(one.model))
        if of_segments and one.table in ("segments_segment", "segments_itemassignment"):
            watched |= {(one.table, column) for column in columns}
        for performed in one.follow.get("UPDATE", "").split("PERFORM")[1:]:
            statement, _, _ = performed.partition(";")
            if counted_subjects(statement).isdisjoint(subjects):
                continue
            narrowed = set(re.findall(r"IS DISTINCT FROM|it\.(\w+)", statement.partition("WHERE")[2])) - {""}
            watched |= {
                (one.table, column) for column in (narrowed | {"id", "tenant_id"} if narrowed else columns)
            }
    return watched


def shown_columns(shown: Representation) -> set[tuple[str, str]]:
    """Return the columns that documents are made of, with their tables."""
    text = " ".join(
        [
            f"FROM {shown.table} AS {shown.alias}",
            *shown.joins.values(),
            *(shown.document(None, languages).sql for languages in LANGUAGES),
        ]
    )
    tables = {alias: table for table, alias in re.findall(r"(?:FROM|JOIN) (\w+) AS (\w+)", text)}
    models = {model._meta.db_table: model for model in apps.get_models()}
    found = {
        (tables[alias], column)
        for alias, column in re.findall(r"\b(\w+)\.\"?(\w+)\"?", text)
        if tables.get(alias) in models
    }
    named = set(re.findall(r"\b(?:accounts|catalog|segments|coupons)_\w+", text))
    assert named <= {table for table, _ in found}, "a table is read whose columns cannot be told"
    return found


TREES = [
    Representation(table="catalog_category", alias="category", fields=fields, joins={"parent": PARENT_JOIN})
    for fields in (TREE_FIELDS, DEPRECATED_TREE_FIELDS)
]


@pytest.mark.parametrize(
    ("shown", "subjects"),
    [
        (CATEGORY, OF_CATEGORIES),
        (CATEGORY, OF_REFERENCES),
        (CATEGORY_OF_REFERENCE, OF_REFERENCES),
        *[(tree, OF_CATEGORIES) for tree in TREES],
        (ASSIGNMENT, OF_PLACEMENTS),
        (PRODUCT, OF_PRODUCTS),
        (PRODUCT_FOR_SHOPPERS, OF_PRODUCTS),
        (PRODUCT_IN_SHOWN_CATEGORIES, OF_PRODUCTS),
    ],
)
def test_all_that_the_catalogue_shows_is_watched(shown, subjects):
    assert shown_columns(shown) - watched_columns(subjects, of_segments=False) == set()


@pytest.mark.parametrize(
    ("shown", "subjects"),
    [(SEGMENT, DOCUMENT_SUBJECTS), (ITEM_ASSIGNMENT, SHOWN_SUBJECTS), (CATEGORY_NODE, SHOWN_SUBJECTS)],
    ids=["segments", "items", "trees"],
)
def test_all_that_shoppers_are_shown_is_watched(shown, subjects):
    assert shown_columns(shown) - watched_columns(subjects, of_segments=True) == set()


def test_a_column_that_nothing_watches_is_noticed():
    described = Representation(
        table="segments_itemassignment",
        alias="assignment",
        fields={"text": Localized("product.description", needs=("product",))},
        joins={"product": ITEM_ASSIGNMENT.joins["product"]},
    )

    unwatched = shown_columns(described) - watched_columns(SHOWN_SUBJECTS, of_segments=True)
    assert unwatched == {("catalog_product", "description")}
