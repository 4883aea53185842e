from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from core.errors import InvalidInput, VersionConflict
from core.sql.upserts import BatchPlan, UpsertTarget, insert_rows, upsert_rows
from coupons.models import Coupon
from segments.models import CustomerAssignment
from tests.factories.accounts import CustomerFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

MEMBERS = UpsertTarget(
    table="segments_customerassignment",
    key=("tenant_id", "segment_id", "customer_id", "legal_entity_id"),
    columns={
        "tenant_id": "bigint",
        "segment_id": "bigint",
        "customer_id": "bigint",
        "legal_entity_id": "bigint",
        "assignment_type": "text",
        "mixins": "jsonb",
        "mixin_schemas": "jsonb",
        "created_at": "timestamptz",
        "modified_at": "timestamptz",
    },
    created_only=frozenset({"created_at"}),
)
THEN = datetime(2024, 1, 1, tzinfo=UTC)
LATER = datetime(2024, 2, 1, tzinfo=UTC)


@pytest.fixture
def segment(site):
    return SegmentFactory(site=site)


def row(segment, customer, *, mixins=None, at=THEN):
    values = {
        "tenant_id": segment.tenant_id,
        "segment_id": segment.pk,
        "customer_id": customer.pk,
        "legal_entity_id": None,
        "assignment_type": "MANUAL",
        "mixins": mixins,
        "mixin_schemas": {},
        "created_at": at,
        "modified_at": at,
    }
    return [values[name] for name in MEMBERS.columns]


def test_rows_are_created_and_updated_in_one_statement(segment, django_assert_num_queries):
    known = CustomerAssignmentFactory(segment=segment, version=4, created_at=THEN).customer
    new = CustomerFactory(tenant=segment.tenant)
    with django_assert_num_queries(1):
        written = upsert_rows(
            MEMBERS,
            [(row(segment, known, mixins={"a": [1, None]}, at=LATER), 1), (row(segment, new, at=LATER), 3)],
        )
    key = (segment.tenant_id, segment.pk)
    assert written[*key, known.pk, None].created is False
    assert written[*key, known.pk, None].version == 5
    assert written[*key, new.pk, None].created is True
    assert written[*key, new.pk, None].version == 3
    updated = CustomerAssignment.objects.get(customer=known)
    assert (updated.mixins, updated.created_at, updated.modified_at) == ({"a": [1, None]}, THEN, LATER)


def test_no_rows_take_no_statement(django_assert_num_queries, db):
    with django_assert_num_queries(0):
        assert upsert_rows(MEMBERS, []) == {}


def outcomes(plan):
    return [
        (outcome.position, outcome.created, outcome.error and outcome.error.code) for outcome in plan.results
    ]


def test_the_same_key_twice_acts_in_order():
    plan = BatchPlan()
    plan.add(0, "a", "first", stored_version=None)
    plan.reject(1, InvalidInput("no"))
    plan.add(2, "a", "second", stored_version=None)
    assert outcomes(plan) == [(0, True, None), (1, False, "invalid_input"), (2, False, None)]
    assert (plan.rows, plan.writes) == ({"a": "second"}, {"a": 2})


def test_versions_are_checked_against_what_the_row_meets():
    plan = BatchPlan()
    plan.add(0, "stored", "x", stored_version=3, expected_version=3)
    plan.add(1, "stored", "y", stored_version=3, expected_version=3)
    plan.add(2, "stored", "z", stored_version=3, expected_version=4)
    plan.add(3, "new", "x", stored_version=None, expected_version=9)
    plan.add(4, "new", "y", stored_version=None, expected_version=1)
    assert outcomes(plan) == [
        (0, False, None),
        (1, False, "version_conflict"),
        (2, False, None),
        (3, True, None),
        (4, False, None),
    ]
    assert isinstance(plan.results[1].error, VersionConflict)
    assert plan.rows == {"stored": "z", "new": "y"}


def test_rows_that_expect_no_version_are_planned_like_any_others():
    plan = BatchPlan()
    rows = [SimpleNamespace(id="a"), SimpleNamespace(id="b"), InvalidInput("no"), SimpleNamespace(id="a")]
    plan.add_all(rows, ("id",))
    plan.record_in_order([True, False])
    assert outcomes(plan) == [
        (0, True, None),
        (1, False, None),
        (2, False, "invalid_input"),
        (3, False, None),
    ]
    assert plan.rows == {("a",): rows[3], ("b",): rows[1]}
    assert plan.writes == {("a",): 2, ("b",): 1}


def test_a_key_that_cannot_be_written_refuses_all_rows_of_it():
    plan = BatchPlan()
    plan.add(0, "unknown", "first", stored_version=None)
    plan.add(1, "known", "only", stored_version=None)
    plan.add(2, "unknown", "second", stored_version=None)
    plan.record_in_order([InvalidInput("no"), True])
    assert outcomes(plan) == [(0, False, "invalid_input"), (1, True, None), (2, False, "invalid_input")]


def test_rows_with_free_keys_are_inserted_and_taken_keys_left_alone(segment, django_assert_num_queries):
    taken = CustomerAssignmentFactory(segment=segment, version=4, mixins={"a": 1}).customer
    new = CustomerFactory(tenant=segment.tenant)
    with django_assert_num_queries(1):
        inserted = insert_rows(MEMBERS, [row(segment, taken), row(segment, new, mixins={"b": 2})])
    stored = CustomerAssignment.objects.get(customer=new)
    assert inserted == {(segment.tenant_id, segment.pk, new.pk, None): stored.pk}
    assert (stored.mixins, stored.version) == ({"b": 2}, 1)
    kept = CustomerAssignment.objects.get(customer=taken)
    assert (kept.mixins, kept.version) == ({"a": 1}, 4)


def test_inserting_no_rows_takes_no_statement(django_assert_num_queries, db):
    with django_assert_num_queries(0):
        assert insert_rows(MEMBERS, []) == {}


def test_values_that_only_look_alike_in_python_stay_apart(segment):
    values = [1, True, 1.0]
    customers = CustomerFactory.create_batch(3, tenant=segment.tenant)
    upsert_rows(
        MEMBERS,
        [
            (row(segment, customer, mixins={"a": value}), 1)
            for customer, value in zip(customers, values, strict=True)
        ],
    )
    stored = dict(CustomerAssignment.objects.values_list("customer", "mixins"))
    assert [repr(stored[customer.pk]["a"]) for customer in customers] == ["1", "True", "1.0"]


@pytest.mark.parametrize("writer", ["alone", "second"])
def test_rows_with_the_same_values_are_written_like_any_others(segment, writer):
    rows = [(row(segment, CustomerFactory(tenant=segment.tenant)), 1)]
    if writer == "second":
        rows.append((row(segment, CustomerFactory(tenant=segment.tenant), mixins={"b": 2}, at=LATER), 1))
    upsert_rows(MEMBERS, rows)
    stored = CustomerAssignment.objects.order_by("customer").values_list("mixins", "created_at")
    assert list(stored) == [(None, THEN), ({"b": 2}, LATER)][: len(rows)]


def test_the_columns_of_a_target_are_those_of_the_model():
    target = UpsertTarget.of(Coupon, "tenant_id", "code", created_only=("is_referral",), first_version=0)
    assert (target.table, target.key, target.first_version) == ("coupons_coupon", ("tenant_id", "code"), 0)
    assert target.created_only == {"created_at", "is_referral"}
    assert target.columns.keys().isdisjoint({"id", "version"})
    types = (
        "tenant_id",
        "name",
        "discount_percentage",
        "valid_for",
        "max_redemptions",
        "mixins",
        "valid_from",
    )
    assert [target.columns[name] for name in types] == [
        "bigint",
        "text",
        "numeric",
        "text[]",
        "integer",
        "jsonb",
        "timestamptz",
    ]
