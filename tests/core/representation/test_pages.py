import itertools
import json
from datetime import UTC, datetime

import pytest

from core.errors import InvalidInput
from core.representation.conditions import QuerySyntaxError
from core.representation.fields import Integer, Json, Languages, Localized, Nested, Text, Texts, Time
from core.representation.pages import KeyPartitions, PageRequest, fetch_page
from core.representation.query_language import parse
from core.representation.representations import Representation
from core.sql.composition import Sql
from tests.factories.accounts import SiteFactory
from tests.factories.segments import SegmentFactory

SEGMENTS = Representation(
    table="segments_segment",
    alias="segment",
    joins={"site": "LEFT JOIN accounts_site AS site ON site.id = segment.site_id"},
    fields={
        "id": Text("segment.external_id"),
        "name": Localized("segment.name"),
        "validity": Nested({"from": Time("segment.valid_from"), "to": Time("segment.valid_to")}),
        "siteCode": Text("site.code", needs=("site",)),
        "languages": Texts("site.languages", needs=("site",)),
        "mixins": Json("segment.mixins"),
        "metadata": Nested({"version": Integer("segment.version"), "createdAt": Time("segment.created_at")}),
    },
    aliases={"metadataCreatedAt": "metadata.createdAt"},
)
DAY = datetime(2024, 5, 1, 8, 0, 0, 123_000, tzinfo=UTC)


def fetch(page=None, q="", partitions=None):
    conditions, needs = SEGMENTS.condition(parse(q)) if q else ([], set())
    return fetch_page(SEGMENTS, page or PageRequest(), conditions, needs, partitions=partitions)


def ids(page):
    return [json.loads(document)["id"] for document in page.documents]


def test_row_is_written_as_json_without_absent_fields(site):
    SegmentFactory(
        site=site,
        external_id="gold",
        name={"en": 'Gold "1"'},
        valid_from=DAY,
        mixins={"a": {"b": None}},
        created_at=DAY,
    )
    assert json.loads(fetch().body) == [
        {
            "id": "gold",
            "name": {"en": 'Gold "1"'},
            "validity": {"from": "2024-05-01T08:00:00.123Z"},
            "siteCode": "main",
            "languages": ["en"],
            "mixins": {"a": {"b": None}},
            "metadata": {"version": 1, "createdAt": "2024-05-01T08:00:00.123Z"},
        }
    ]


def test_object_without_members_is_absent(site):
    SegmentFactory(site=site)
    [row] = json.loads(fetch().body)
    assert "validity" not in row
    assert "mixins" not in row


def test_fields_keep_what_they_name_and_the_id(site):
    SegmentFactory(site=site, external_id="gold")
    assert json.loads(fetch(PageRequest(fields=("siteCode",))).body) == [{"id": "gold", "siteCode": "main"}]


def test_unknown_field_is_refused(db):
    with pytest.raises(InvalidInput, match="no field colour"):
        fetch(PageRequest(fields=("colour",)))


@pytest.mark.parametrize(
    ("accepted", "shown"),
    [
        (None, {"en": "Gold", "de": "Gold-Kunden", "fr": "Or"}),
        (("de",), {"de": "Gold-Kunden"}),
        (("de-CH", "en"), {"de": "Gold-Kunden", "en": "Gold"}),
        (("it",), {"fr": "Or"}),
    ],
)
def test_localized_fields_are_cut_to_the_accepted_languages(site, accepted, shown):
    SegmentFactory(site=site, name={"en": "Gold", "de": "Gold-Kunden", "fr": "Or"})
    [row] = json.loads(fetch(PageRequest(languages=Languages(accepted, "fr"))).body)
    assert row["name"] == shown


def test_page_numbers_cut_the_list_and_the_count_covers_all_of_it(site):
    for name in "abcde":
        SegmentFactory(site=site, external_id=name)
    page = fetch(PageRequest(size=2, number=2, wants_count=True))
    assert ids(page) == ["c", "d"]
    assert page.count == 5
    assert fetch(PageRequest(size=2, number=4)).documents == []


def test_rows_come_in_the_order_of_keys_as_numbers(site):
    for key in (10_000, 9_999, 100_000):
        SegmentFactory(site=site, pk=key, external_id=f"s{key}")
    assert ids(fetch()) == ["s9999", "s10000", "s100000"]


@pytest.mark.parametrize(
    "partitions_of",
    [
        lambda sites: KeyPartitions.of_keys("site_id", [site.pk for site in sites]),
        lambda sites: KeyPartitions.of_selection(
            "site_id",
            Sql("SELECT id FROM accounts_site WHERE id = ANY(%s)", ([site.pk for site in sites],)),
        ),
    ],
    ids=["keys", "selection"],
)
def test_partitions_are_merged_in_the_order_of_keys_and_walked_both_ways(site, partitions_of):
    second, other = (SiteFactory(tenant=site.tenant, code=code) for code in ("second", "other"))
    for key, owner in enumerate([site, second, other, second, site, site, other, second], start=9_997):
        SegmentFactory(site=owner, pk=key, external_id=f"s{key}")
    partitions = partitions_of([site, second])
    first = fetch(PageRequest(size=4, wants_count=True), partitions=partitions)
    assert ids(first) == ["s9997", "s9998", "s10000", "s10001"]
    assert first.count == 6
    rest = fetch(PageRequest(size=4, after=first.next_cursor), partitions=partitions)
    assert ids(rest) == ["s10002", "s10004"]
    assert rest.next_cursor is None
    assert (
        ids(fetch(PageRequest(size=3, before=rest.previous_cursor), partitions=partitions)) == ids(first)[1:]
    )
    assert ids(fetch(PageRequest(size=4, number=2), partitions=partitions)) == ids(rest)
    assert ids(fetch(PageRequest(size=2), q="id:(s10001,s9999)", partitions=partitions)) == ["s10001"]


def test_parts_in_another_order_are_sorted_as_a_whole(site):
    for key, name in enumerate("cab", start=9_999):
        SegmentFactory(site=site, pk=key, external_id=name, name={"en": name})
    partitions = KeyPartitions.of_keys("site_id", [site.pk])
    page = fetch(PageRequest(size=2, sort="name.en"), partitions=partitions)
    assert ids(page) == ["a", "b"]
    assert ids(fetch(PageRequest(sort="name.en", after=page.next_cursor), partitions=partitions)) == ["c"]


SORTS = [
    "",
    "name.en",
    "name.en:desc",
    "validity.from,name.en:desc",
    "validity.from:desc",
    "metadata.version:ASC",
]


@pytest.mark.parametrize("sort", SORTS)
def test_cursors_walk_the_whole_list_forwards_and_back(site, sort):
    windows = itertools.cycle([None, DAY, DAY.replace(year=2023)])
    names = itertools.cycle([{"en": "b"}, {"en": "a"}, {"de": "c"}])
    for index in range(9):
        SegmentFactory(site=site, external_id=f"s{index}", name=next(names), valid_from=next(windows))
    whole = ids(fetch(PageRequest(sort=sort)))
    assert sorted(whole) == [f"s{index}" for index in range(9)]

    walked, page = [], fetch(PageRequest(size=2, sort=sort))
    assert page.previous_cursor is None
    while True:
        walked += ids(page)
        if page.next_cursor is None:
            break
        last = page
        page = fetch(PageRequest(size=2, sort=sort, after=page.next_cursor))
    assert walked == whole

    back = fetch(PageRequest(size=2, sort=sort, before=page.previous_cursor))
    assert ids(back) == ids(last)
    backwards = ids(page)
    while page.previous_cursor is not None:
        page = fetch(PageRequest(size=2, sort=sort, before=page.previous_cursor))
        backwards = ids(page) + backwards
    assert backwards == whole


def test_cursor_of_another_order_is_refused(site):
    SegmentFactory.create_batch(3, site=site)
    cursor = fetch(PageRequest(size=1)).next_cursor
    for faulty in (cursor[:-2] + "AA", "", "x", "é", "A" * 10_000):
        with pytest.raises(InvalidInput, match="cursor"):
            fetch(PageRequest(size=1, after=faulty))
    with pytest.raises(InvalidInput, match="cursor"):
        fetch(PageRequest(size=1, sort="name.en", after=cursor))


@pytest.mark.parametrize(
    "sort", ["colour", "name.en:up", "name.en.x", "validity", "mixins.a", "metadata.colour"]
)
def test_faulty_sort_is_refused(db, sort):
    with pytest.raises(InvalidInput):
        fetch(PageRequest(sort=sort))


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("id:gold", ["gold"]),
        ("id:(gold,silver)", ["gold", "silver"]),
        ("id:~^go", ["gold"]),
        ("name.en:Gold", ["gold"]),
        ("name:Silber", ["silver"]),
        ("name:~ol", ["gold"]),
        ("name.de:null", ["gold", "plain"]),
        ("name.de:exists", ["silver"]),
        ("siteCode:main", ["gold", "silver", "plain"]),
        ("languages:en", ["gold", "silver", "plain"]),
        ("languages:fr", []),
        ("validity:exists", ["gold"]),
        ("validity.from:missing", ["silver", "plain"]),
        ('validity.from:>="2024-05-01T00:00:00Z"', ["gold"]),
        ('validity.from:(>="2024-05-01T00:00:00Z" AND <"2024-05-01T08:00:00Z")', []),
        ("metadata.version:>=2", ["silver"]),
        ("metadata.version:(>1 AND <3)", ["silver"]),
        ('metadataCreatedAt:>"2000-01-01T00:00:00Z"', ["gold", "silver", "plain"]),
        ("mixins.tier.level:5", ["gold", "silver"]),
        ("mixins.tier.level:>5", []),
        ("mixins.tier.level:(4,5)", ["gold", "silver"]),
        ("mixins.tier.label:top", ["gold"]),
        ("mixins.tier.gone:null", ["gold", "silver", "plain"]),
        ("id:gold name.en:Silver", []),
        ("mixins:exists", ["gold", "silver"]),
        ("mixins:missing", ["plain"]),
        ("mixins:null", ["plain"]),
        ("metadata.version:~^2$", ["silver"]),
    ],
)
def test_q_finds(site, q, found):
    SegmentFactory(
        site=site,
        external_id="gold",
        name={"en": "Gold"},
        valid_from=DAY,
        mixins={"tier": {"level": 5, "label": "top", "gone": None}},
    )
    SegmentFactory(
        site=site,
        external_id="silver",
        name={"en": "Silver", "de": "Silber"},
        version=2,
        mixins={"tier": {"level": "5"}},
    )
    SegmentFactory(site=site, external_id="plain", name={"en": "Plain"})
    assert ids(fetch(q=q)) == found


@pytest.mark.parametrize(
    ("q", "is_found"),
    [
        ('"2024-05-01T08:00:00.123Z"', True),
        ('("2024-05-01T08:00:00.123Z","2025-01-01T00:00:00Z")', True),
        ('(>="2024-05-01T08:00:00.123Z" AND <="2024-05-01T08:00:00.123Z")', True),
        ('"2024-05-01T10:00:00.123+02:00"', True),
        ('>"2024-05-01T08:00:00.123Z"', False),
        ('<"2024-05-01T08:00:00.123Z"', False),
        ('>"2024-05-01T08:00:00.122Z"', True),
        ('<"2024-05-01T08:00:00.124Z"', True),
        ("~^2024-05-01T08", True),
        (r"~\.123Z$", True),
        ("~2024-05-01 08", False),
    ],
)
def test_an_instant_is_searched_as_it_is_read(site, q, is_found):
    SegmentFactory(site=site, external_id="gold", valid_from=DAY.replace(microsecond=123_987))
    [document] = fetch().documents
    assert json.loads(document)["validity"] == {"from": "2024-05-01T08:00:00.123Z"}
    if q.startswith("~") and " " in q:
        q = f'~"{q[1:]}"'
    assert ids(fetch(q=f"validity.from:{q}")) == (["gold"] if is_found else [])


@pytest.mark.parametrize(
    ("accepted", "order"),
    [
        (None, ["a", "c", "b"]),
        (("en",), ["a", "c", "b"]),
        (("de", "en"), ["b", "a", "c"]),
        (("de-CH",), ["b", "a", "c"]),
        (("fr", "de"), ["a", "c", "b"]),
    ],
)
def test_a_localized_field_is_sorted_by_the_language_that_the_caller_likes_best(site, accepted, order):
    SegmentFactory(site=site, external_id="a", name={"en": "1", "de": "2"})
    SegmentFactory(site=site, external_id="b", name={"en": "3", "de": "1"})
    SegmentFactory(site=site, external_id="c", name={"en": "2", "de": "3"})
    SegmentFactory(site=site, external_id="d", name={"en": "4"})
    page = PageRequest(sort="name", languages=Languages(accepted, "en"))
    assert ids(fetch(page)) == [*order, "d"]
    first = fetch(PageRequest(size=2, sort="name", languages=page.languages))
    rest = PageRequest(size=2, sort="name", languages=page.languages, after=first.next_cursor)
    assert ids(first) + ids(fetch(rest)) == [*order, "d"]


@pytest.mark.parametrize(
    ("q", "position"),
    [
        ("colour:red", 1),
        ("id:a name.en.x:b", 6),
        ("metadata.version:abc", 18),
        ('validity.from:"yesterday"', 15),
        ("metadata:x", 1),
        ("validity.until:x", 1),
    ],
)
def test_faulty_q_says_where(db, q, position):
    with pytest.raises(QuerySyntaxError) as refused:
        fetch(q=q)
    assert refused.value.position == position


@pytest.mark.parametrize("rows", [1, 20])
def test_a_page_takes_one_statement_and_its_count_one_more(site, rows, django_assert_num_queries):
    SegmentFactory.create_batch(rows, site=site)
    with django_assert_num_queries(1):
        assert len(fetch().documents) == rows
    with django_assert_num_queries(2):
        assert fetch(PageRequest(wants_count=True)).count == rows
