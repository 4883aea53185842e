"""What the triggers write, whoever changes something."""

import pytest
from django.db import connection

from core.actors import Actor, ActorType, acting_as
from core.journal.models import Change
from segments.models import CustomerAssignment, Segment
from tests.factories.accounts import CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

STAFF = Actor(ActorType.STAFF, "ada", "Ada L.", "admin", "r1")

pytestmark = pytest.mark.django_db


def changes(**conditions):
    fields = ("kind", "object", "external_id", "count", "before", "after")
    return list(Change.objects.filter(**conditions).order_by("id").values_list(*fields))


def text(keys):
    return "{" + ",".join(f"[{part.lower},{part.upper})" for part in keys) + "}"


def run(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_a_document_is_recorded_with_the_fields_that_differ(tenant, site):
    segment = SegmentFactory(site=site, external_id="gold", name={"en": "Gold"})
    Segment.objects.filter(pk=segment.pk).update(status="INACTIVE", name={"en": "Golden"}, version=2)
    Segment.objects.filter(pk=segment.pk)._raw_delete("default")
    created, updated, deleted = changes(object="segment", key=segment.pk)
    assert created[:4] == ("created", "segment", "gold", 1)
    assert created[4] is None
    assert created[5]["name"] == {"en": "Gold"}
    assert updated == (
        "updated",
        "segment",
        "gold",
        1,
        {"status": "ACTIVE", "name": {"en": "Gold"}, "version": 1},
        {"status": "INACTIVE", "name": {"en": "Golden"}, "version": 2},
    )
    assert deleted[4]["name"] == {"en": "Golden"}
    assert deleted[5] is None


def test_members_are_one_row_for_each_statement_and_segment(tenant, site):
    gold, silver = SegmentFactory(site=site, external_id="gold"), SegmentFactory(site=site)
    customers = CustomerFactory.create_batch(3, tenant=tenant)
    rows = [
        CustomerAssignment(tenant=tenant, segment=segment, customer=customer)
        for segment in (gold, silver)
        for customer in customers
    ]
    CustomerAssignment.objects.bulk_create(rows)
    first, last = customers[0].pk, customers[-1].pk
    recorded = Change.objects.filter(object="segment-customer", key=gold.pk)
    assert [(row.kind, row.count, text(row.keys), row.external_id) for row in recorded] == [
        ("created", 3, f"{{[{first},{last + 1})}}", "gold")
    ]
    assert Change.objects.filter(object="segment-customer").count() == 2


def test_members_as_they_were_are_grouped_by_what_they_have_in_common(tenant, site):
    segment = SegmentFactory(site=site)
    one, two, three = CustomerFactory.create_batch(3, tenant=tenant)
    CustomerAssignmentFactory(segment=segment, customer=one)
    for customer in (two, three):
        CustomerAssignmentFactory(segment=segment, customer=customer, mixins={"tier": 1})
    CustomerAssignment.objects.filter(segment=segment)._raw_delete("default")
    deleted = Change.objects.get(object="segment-customer", kind="deleted")
    instant = "2026-03-04T09:30:15.25+00:00"
    assert deleted.count == 3
    assert deleted.before == [
        {"keys": f"{{[{one.pk},{one.pk + 1})}}", "created_at": instant, "modified_at": instant},
        {
            "keys": f"{{[{two.pk},{three.pk + 1})}}",
            "created_at": instant,
            "modified_at": instant,
            "mixins": {"tier": 1},
        },
    ]


def test_a_member_that_is_moved_by_sql_left_one_segment_and_joined_another(tenant, site):
    gold, silver = SegmentFactory.create_batch(2, site=site)
    member = CustomerAssignmentFactory(segment=gold)
    run("UPDATE segments_customerassignment SET segment_id = %s WHERE id = %s", silver.pk, member.pk)
    rows = Change.objects.filter(object="segment-customer").order_by("id").values_list("kind", "key")
    assert list(rows) == [("created", gold.pk), ("deleted", gold.pk), ("created", silver.pk)]


MOVE = "UPDATE segments_customerassignment SET segment_id = %(silver)s WHERE id = %(member)s"
KEEP = "UPDATE segments_customerassignment SET version = 7 WHERE id = %(other)s"


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO segments_customerassignment SELECT * FROM segments_customerassignment"
        " WHERE id = %(member)s ON CONFLICT (id) DO UPDATE SET segment_id = %(silver)s",
        "MERGE INTO segments_customerassignment AS stored USING (VALUES (%(member)s, %(silver)s))"
        " AS given (id, segment) ON stored.id = given.id"
        " WHEN MATCHED AND stored.version > 1 THEN UPDATE SET version = 7"
        " WHEN MATCHED THEN UPDATE SET segment_id = given.segment",
        f"WITH kept AS ({KEEP} RETURNING id) {MOVE}",
        f"WITH moved AS ({MOVE} RETURNING id) {KEEP}",
        f"WITH kept AS ({KEEP} RETURNING id), moved AS ({MOVE} RETURNING id) SELECT FROM kept, moved",
    ],
    ids=["upsert", "merge", "kept first", "moved first", "both first"],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_each_way_to_move_a_member_is_recorded(tenant, site, statement, is_first):
    gold, silver = SegmentFactory.create_batch(2, site=site)
    member, other = CustomerAssignmentFactory.create_batch(2, segment=gold)
    if not is_first:
        CustomerAssignment.objects.filter(pk=member.pk).update(mixins={"tier": 1})
        CustomerAssignment.objects.filter(pk=member.pk).update(mixins=None)
    recorded = Change.objects.filter(object="segment-customer", keys__contains_key=member.customer_id)
    latest = recorded.latest("id").pk
    with connection.cursor() as cursor:
        cursor.execute(statement, {"silver": silver.pk, "member": member.pk, "other": other.pk})
    rows = recorded.filter(pk__gt=latest).order_by("id")
    assert list(rows.values_list("kind", "key")) == [("deleted", gold.pk), ("created", silver.pk)]


def test_members_are_recorded_alike_after_one_was_moved(tenant, site):
    gold, silver = SegmentFactory.create_batch(2, site=site)
    members = CustomerAssignmentFactory.create_batch(3, segment=gold)
    of_gold = CustomerAssignment.objects.filter(segment=gold)
    of_gold.update(mixins={"tier": 1})
    CustomerAssignment.objects.filter(pk=members[0].pk).update(segment=silver)
    of_gold.update(mixins={"tier": 2})
    first, last = Change.objects.filter(object="segment-customer", kind="updated").order_by("id")
    plain = {"created_at": "2026-03-04T09:30:15.25+00:00", "modified_at": "2026-03-04T09:30:15.25+00:00"}
    keys = [text(change.keys) for change in (first, last)]
    assert (first.count, first.before, first.is_cascade) == (3, [{**plain, "keys": keys[0]}], False)
    assert (last.count, last.before, last.is_cascade) == (
        2,
        [{**plain, "keys": keys[1], "mixins": {"tier": 1}}],
        False,
    )


def test_many_rows_are_divided_in_the_order_of_their_keys(tenant, site):
    segment = SegmentFactory(site=site)
    run(
        "INSERT INTO accounts_customer SELECT (jsonb_populate_record(customer, jsonb_build_object("
        "'id', 1000000 + number, 'external_id', number::text, 'email', NULL))).*"
        " FROM accounts_customer AS customer, generate_series(1, 40001) AS number WHERE customer.id = %s",
        CustomerFactory(tenant=tenant).pk,
    )
    run("ANALYZE accounts_customer")  # or each key would be looked up as in an empty table
    run(
        "INSERT INTO segments_customerassignment (tenant_id, segment_id, customer_id, version, created_at,"
        " modified_at, mixin_schemas, assignment_type)"
        " SELECT tenant_id, %s, id, 1, now(), now(), '{}', 'MANUAL' FROM accounts_customer"
        " WHERE id > 1000000",
        segment.pk,
    )
    run("UPDATE segments_customerassignment SET version = 2 WHERE segment_id = %s", segment.pk)
    run("DELETE FROM segments_customerassignment WHERE segment_id = %s", segment.pk)
    rows = Change.objects.filter(object="segment-customer").order_by("kind", "keys")
    parts = [(20_000, "{[1000001,1020001)}"), (20_000, "{[1020001,1040001)}"), (1, "{[1040001,1040002)}")]
    assert [(row.kind, row.count, text(row.keys)) for row in rows] == [
        (kind, *part) for kind in ("created", "deleted", "updated") for part in parts
    ]


def test_items_are_recorded_as_products_and_categories(tenant, site):
    segment = SegmentFactory(site=site)
    product, category = ProductFactory(tenant=tenant), CategoryFactory(tenant=tenant)
    ItemAssignmentFactory(segment=segment, product=product)
    ItemAssignmentFactory(segment=segment, category=category, product=None)
    rows = Change.objects.filter(key=segment.pk, object__startswith="segment-").order_by("id")
    assert [(row.object, text(row.keys)) for row in rows] == [
        ("segment-product", f"{{[{product.pk},{product.pk + 1})}}"),
        ("segment-category", f"{{[{category.pk},{category.pk + 1})}}"),
    ]


def test_b2b_members_name_their_legal_entity(tenant, site):
    entity = LegalEntityFactory(tenant=tenant)
    CustomerAssignmentFactory(segment=SegmentFactory(site=site), legal_entity=entity)
    assert Change.objects.get(object="segment-customer").legal_entity_id == entity.pk


def test_a_cascade_is_recorded_as_the_act_of_whoever_deleted(tenant, site):
    segment = SegmentFactory(site=site)
    member = CustomerAssignmentFactory(segment=segment)
    with acting_as(STAFF):
        run("DELETE FROM accounts_customer WHERE id = %s", member.customer_id)
    rows = Change.objects.filter(kind="deleted").order_by("id")
    assert [(row.object, row.is_cascade, row.actor_id, row.source_id) for row in rows] == [
        ("customer", False, "ada", "r1"),
        ("segment-customer", True, "ada", "r1"),
    ]


def test_a_write_that_nobody_claims_is_of_the_database_role(tenant, site):
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_user")
        [(role,)] = cursor.fetchall()
    row = Change.objects.get(object="tenant")
    assert (row.actor_type, row.actor_id, row.source_type) == ("sql", role, "")


def test_derived_columns_alone_are_no_change(tenant, site):
    category = CategoryFactory(tenant=tenant)
    before = Change.objects.count()
    run("UPDATE catalog_category SET lft = lft + 2, rght = rght + 2 WHERE id = %s", category.pk)
    run("UPDATE segments_segment SET status = status")
    assert Change.objects.count() == before


def test_a_change_of_the_key_of_a_row_is_recorded(tenant, site):
    product = ProductFactory(tenant=tenant)
    run("UPDATE catalog_product SET id = id + 1000 WHERE id = %s", product.pk)
    keys = Change.objects.filter(object="product").order_by("id").values_list("key", flat=True)
    assert list(keys) == [product.pk, product.pk, product.pk + 1000]
