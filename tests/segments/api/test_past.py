"""`asOf` in the past: what was read then, also of what no longer exists."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from accounts.identity.scopes import SEGMENT_READ, SEGMENT_READ_OWN
from accounts.models import Customer
from catalog.models import Category
from catalog.tree import locked_tree
from core.journal.models import Beginning
from core.journal.past import journal_beginning
from core.timestamps import format_time
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

SEGMENTS = "/customer-segment/acme/segments"

pytestmark = pytest.mark.usefixtures("real_time")


def moment():
    """Return an instant between what was written before and what will be."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() FROM pg_sleep(0.002)")
        [at] = cursor.fetchone()
        cursor.execute("SELECT pg_sleep(0.002)")
    return at.isoformat()


@pytest.fixture
def reader(service_api, clock):
    api = service_api(SEGMENT_READ)
    clock.advance(timedelta(minutes=30))  # all instants of a test are over by then
    return api


@pytest.fixture
def gold(site):
    return SegmentFactory(site=site, external_id="gold", name={"en": "Gold"})


def ids(answer, *path):
    assert answer.status_code == 200, answer.content
    rows = answer.json()
    for name in path:
        rows = [row[name] for row in rows]
    return sorted(row["id"] for row in rows)


def test_members_of_the_past_are_listed(reader, tenant, gold):
    one, two, three = (CustomerFactory(tenant=tenant, external_id=f"C{n}") for n in (1, 2, 3))
    members = [CustomerAssignmentFactory(segment=gold, customer=customer) for customer in (one, two)]
    CustomerAssignment.objects.filter(pk=members[1].pk).update(mixins={"tier": 1}, version=4)
    then = moment()
    CustomerAssignment.objects.filter(pk=members[0].pk).delete()
    CustomerAssignment.objects.filter(pk=members[1].pk).update(mixins=None, version=5)
    CustomerAssignmentFactory(segment=gold, customer=three)
    now = moment()
    path = f"{SEGMENTS}/gold/customers"
    assert ids(reader.get(path), "customer") == ["C2", "C3"]
    assert ids(reader.get(path, asOf=now), "customer") == ["C2", "C3"]
    past = reader.get(path, asOf=then)
    assert ids(past, "customer") == ["C1", "C2"]
    shown = {row["customer"]["id"]: row for row in past.json()}
    assert shown["C2"]["mixins"] == {"tier": 1}
    assert (shown["C1"]["metadata"]["version"], shown["C2"]["metadata"]["version"]) == (1, 4)
    assert shown["C1"]["assignmentType"] == "MANUAL"
    assert reader.get(path, asOf=then, q="customer.id:C1").json() == [shown["C1"]]


def test_pages_of_the_past_are_complete(reader, tenant, gold):
    customers = [CustomerFactory(tenant=tenant, external_id=f"C{n}") for n in range(9)]
    for customer in customers:
        CustomerAssignmentFactory(segment=gold, customer=customer)
    then = moment()
    CustomerAssignment.objects.filter(customer__in=customers[2:7]).delete()
    path, cursor, seen = f"{SEGMENTS}/gold/customers", {}, []
    for _ in range(5):
        page = reader.get(path, asOf=then, pageSize=2, **cursor)
        seen += ids(page, "customer")
        cursor = {"next": page.headers.get("X-Next-Cursor")}
    assert (sorted(seen), cursor) == ([f"C{n}" for n in range(9)], {"next": None})
    counted = reader.get(path, asOf=then, headers={"X-Total-Count": "true"})
    assert counted.headers["X-Total-Count"] == "9"


def test_a_segment_that_is_gone_is_read_with_its_members_and_items(reader, tenant, gold):
    customer = CustomerFactory(tenant=tenant, external_id="C1", first_name="Ann")
    entity = LegalEntityFactory(tenant=tenant, external_id="E1")
    ContactAssignmentFactory(legal_entity=entity, customer=customer)
    CustomerAssignmentFactory(segment=gold, customer=customer)
    CustomerAssignmentFactory(segment=gold, customer=customer, legal_entity=entity)
    ItemAssignmentFactory(segment=gold, product=ProductFactory(tenant=tenant, external_id="P1"))
    then = moment()
    Customer.objects.filter(pk=customer.pk).update(first_name="Anna")
    Segment.objects.filter(pk=gold.pk)._raw_delete("default")
    Customer.objects.filter(pk=customer.pk)._raw_delete("default")
    assert reader.get(f"{SEGMENTS}/gold/customers").status_code == 404
    past = reader.get(f"{SEGMENTS}/gold/customers", asOf=then).json()
    assert sorted(
        (row["customer"]["firstName"], row.get("legalEntity", {}).get("id", "")) for row in past
    ) == [("Ann", ""), ("Ann", "E1")]
    assert ids(reader.get(SEGMENTS, asOf=then)) == ["gold"]
    assert ids(reader.get(SEGMENTS, asOf=then, customerId="C1")) == ["gold"]
    assert ids(reader.get(f"{SEGMENTS}/items", asOf=then, customerId="C1"), "item") == ["P1"]
    assert ids(reader.get(f"{SEGMENTS}/items", asOf=then), "item") == ["P1"]


def test_a_segment_is_read_as_it_was(reader, gold):
    then = moment()
    Segment.objects.filter(pk=gold.pk).update(name={"en": "Silver"}, status="INACTIVE", version=2)
    Segment.objects.filter(pk=gold.pk).update(name={"en": "Bronze"}, version=3)
    [was] = reader.get(SEGMENTS, asOf=then).json()
    assert (was["name"], was["status"], was["metadata"]["version"]) == ({"en": "Gold"}, "ACTIVE", 1)
    assert reader.get(SEGMENTS).json()[0]["name"] == {"en": "Bronze"}


def test_the_tree_of_the_past_has_its_shape_and_order(reader, tenant, gold):
    top = CategoryFactory(tenant=tenant, external_id="top")
    left = CategoryFactory(parent=top, external_id="left", position=0)
    right = CategoryFactory(parent=top, external_id="right", position=1)
    leaf = CategoryFactory(parent=left, external_id="leaf")
    ItemAssignmentFactory(segment=gold, product=None, category=top, includes_subcategories=True)
    path = f"{SEGMENTS}/items/category-trees"
    present = reader.get(path).json()
    then = moment()
    tree = locked_tree(tenant.id)
    tree.delete(leaf)
    ItemAssignment.objects.filter(segment=gold).delete()
    Category.all_nodes.filter(pk=right.pk).update(is_published=False)
    assert reader.get(path).json() == []
    assert reader.get(path, asOf=then).json() == present


def test_an_instant_before_the_journal_is_refused(reader, gold):
    answer = reader.get(
        f"{SEGMENTS}/gold/customers", asOf=format_time(journal_beginning() - timedelta(days=1))
    )
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("second", "named"), [(54.4945, "2024-04-30T06:12:00.000Z"), (0, "2024-04-30T06:11:00.000Z")]
)
def test_the_instant_that_a_refusal_names_is_taken(reader, second, named):
    """Pages show minutes and take them, and the wire has no microseconds."""
    minute = datetime(2024, 4, 30, 6, 11, tzinfo=UTC)
    Beginning.objects.update(at=minute + timedelta(seconds=second))
    path = f"{SEGMENTS}/items/category-trees"
    refused = reader.get(path, asOf=format_time(minute - timedelta(minutes=1)))
    assert refused.json()["message"] == f"The history begins at {named}; name that instant or a later one."
    assert reader.get(path, asOf=named).status_code == 200


def test_members_of_the_past_need_the_scope_for_all(service_api, gold):
    answer = service_api(SEGMENT_READ_OWN).get(f"{SEGMENTS}/gold/customers", asOf="2024-05-01T00:00:00Z")
    assert answer.status_code == 403


def test_a_page_of_the_past_shows_its_rows_whatever_else_changed_since(reader, tenant, gold):
    """Counted, narrowed to some fields and for companies; customers and companies are named as then."""
    company = LegalEntityFactory(tenant=tenant, external_id="E1", name="Then Ltd")
    customers = [CustomerFactory(tenant=tenant, external_id=f"C{n}", first_name="Then") for n in range(5)]
    ContactAssignmentFactory(legal_entity=company, customer=customers[0])
    CustomerAssignmentFactory(segment=gold, customer=customers[0], legal_entity=company)
    for customer in customers:
        CustomerAssignmentFactory(segment=gold, customer=customer)
    then = moment()
    Customer.objects.filter(tenant=tenant).update(first_name="Now")
    type(company).objects.filter(pk=company.pk).update(name="Now Ltd")
    CustomerAssignment.objects.filter(customer=customers[1]).delete()
    customers[2].delete()
    path = f"{SEGMENTS}/gold/customers"
    rows, cursor = [], {}
    while True:
        page = reader.get(
            path,
            asOf=then,
            pageSize=2,
            fields="customer,legalEntity",
            headers={"X-Total-Count": "true"},
            **cursor,
        )
        assert page.headers["X-Total-Count"] == "6"
        rows += page.json()
        if "X-Next-Cursor" not in page.headers:
            break
        cursor = {"next": page.headers["X-Next-Cursor"]}
    assert sorted(row["customer"]["id"] for row in rows) == ["C0", "C0", "C1", "C2", "C3", "C4"]
    assert {row["customer"]["firstName"] for row in rows} == {"Then"}
    assert [row["legalEntity"]["name"] for row in rows if "legalEntity" in row] == ["Then Ltd"]
    assert set(rows[0]) <= {"customer", "legalEntity"}
