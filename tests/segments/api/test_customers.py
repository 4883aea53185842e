"""Customers of segments over HTTP: B2C and B2B, one by one and in bulk."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.identity.scopes import SEGMENT_READ_OWN
from accounts.models import Customer, LegalEntity
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, Segment
from tests.conftest import Api, Clock
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.segments import CustomerAssignmentFactory
from tests.segments.api.conftest import THEN

CUSTOMERS = "/customer-segment/acme/segments/gold/customers"
STAMPS = {
    "createdAt": "2024-05-14T12:00:00.000Z",
    "modifiedAt": "2024-05-14T12:00:00.000Z",
    "version": 1,
}
B2C = {
    "customer": {"id": "C1", "firstName": "Jo", "lastName": "Doe", "email": "jo@example.com"},
    "assignmentType": "MANUAL",
    "metadata": STAMPS,
}
B2B = {
    "customer": B2C["customer"],
    "legalEntity": {"id": "L1", "name": "Some Company"},
    "assignmentType": "MANUAL",
    "metadata": STAMPS,
}


@pytest.fixture
def member(gold: Segment, customer: Customer) -> CustomerAssignment:
    return CustomerAssignmentFactory(segment=gold, customer=customer, created_at=THEN, modified_at=THEN)


@pytest.fixture
def buyer(gold: Segment, customer: Customer, company: LegalEntity) -> CustomerAssignment:
    return CustomerAssignmentFactory(
        segment=gold, customer=customer, legal_entity=company, created_at=THEN, modified_at=THEN
    )


def test_the_b2c_and_the_b2b_assignment_are_different_rows(
    reader: Api, member: CustomerAssignment, buyer: CustomerAssignment
) -> None:
    assert reader.get(CUSTOMERS).json() == [B2C, B2B]
    assert reader.get(f"{CUSTOMERS}/C1").json() == B2C
    assert reader.get(f"{CUSTOMERS}/C1/L1").json() == B2B


def test_own_rows_are_private_and_tagged_by_what_they_say(
    member: CustomerAssignment, customer: Customer, customer_api: Callable[..., Api]
) -> None:
    api = customer_api(customer)
    answer = api.get(CUSTOMERS)
    assert answer.json() == [B2C]
    assert answer["Cache-Control"] == "private"
    assert {"Authorization", "Accept-Language"} <= {word.strip() for word in answer["Vary"].split(",")}
    held = {"If-None-Match": answer["ETag"]}
    assert api.get(CUSTOMERS, headers=held).status_code == 304
    Customer.objects.filter(pk=customer.pk).update(first_name="Joanna")
    changed = api.get(CUSTOMERS, headers=held)
    assert changed.json()[0]["customer"]["firstName"] == "Joanna"
    assert changed["ETag"] != answer["ETag"]


def test_members_are_searched_by_their_fields(
    reader: Api, member: CustomerAssignment, buyer: CustomerAssignment
) -> None:
    def found(q: str) -> object:
        return reader.post(f"{CUSTOMERS}/search", {"q": q}).json()

    assert found("assignmentType:MANUAL") == [B2C, B2B]
    assert found("legalEntity.id:L1") == [B2B]
    assert found("legalEntity:missing customer.email:jo@example.com") == [B2C]
    assert found("customer.firstName:~^Ja") == []
    assert reader.get(CUSTOMERS, q="legalEntity.name:exists", fields="legalEntity").json() == [
        {"legalEntity": {"id": "L1", "name": "Some Company"}}
    ]


def test_an_assignment_that_does_not_exist_is_not_found(reader: Api, member: CustomerAssignment) -> None:
    for path in (f"{CUSTOMERS}/C2", f"{CUSTOMERS}/C1/L1"):
        assert reader.get(path).status_code == 404
    assert reader.get(CUSTOMERS.replace("gold", "silver")).status_code == 404


def test_an_upsert_creates_then_replaces(
    manager: Api, gold: Segment, customer: Customer, clock: type[Clock]
) -> None:
    body = {
        "mixins": {"vip": {"level": 3}},
        "metadata": {"mixins": {"vip": "https://example.com/vip.json"}},
        "validity": {"from": "2024-01-01T00:00:00Z", "to": "2034-01-01T00:00:00+01:00"},
    }
    created = manager.put(f"{CUSTOMERS}/C1", body)
    first = manager.get(f"{CUSTOMERS}/C1").json()
    clock.advance(timedelta(seconds=1))
    replaced = manager.put(f"{CUSTOMERS}/C1", {"metadata": {"version": 1}, "mixins": None})
    second = manager.get(f"{CUSTOMERS}/C1").json()

    assert (created.status_code, created.content, replaced.status_code) == (201, b"", 204)
    created_at, modified_at = first["metadata"].pop("createdAt"), first["metadata"].pop("modifiedAt")
    assert first == {
        **B2C,
        "validity": {"from": "2024-01-01T00:00:00.000Z", "to": "2033-12-31T23:00:00.000Z"},
        "mixins": {"vip": {"level": 3}},
        "metadata": {"version": 1, "mixins": {"vip": "https://example.com/vip.json"}},
    }
    assert second["metadata"].pop("createdAt") == created_at
    assert second["metadata"].pop("modifiedAt") > modified_at
    assert second == {**B2C, "metadata": {"version": 2}}


def test_an_upsert_without_a_body_assigns(manager: Api, buyer: CustomerAssignment) -> None:
    assert manager.put(f"{CUSTOMERS}/C1").status_code == 201
    assert manager.put(f"{CUSTOMERS}/C1/L1").status_code == 204


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("C9", {}, 400, "There is no customer C9."),
        ("C1/L9", {}, 400, "There is no legal entity L9."),
        ("C1/L2", {}, 400, "The customer C1 is not assigned to the legal entity L2."),
        ("C1", {"mixins": 1}, 400, "mixins must be an object."),
        ("C1", [], 400, "The body must be an object."),
        ("C1", {"validity": {"from": "2024-01-01T00:00:00"}}, 400, None),
        (
            "C1",
            {"metadata": {"version": 4}},
            409,
            "The resource you are attempting to access has changed: version 4 was sent, version 1 is stored.",
        ),
    ],
)
def test_an_upsert_that_breaks_a_rule_is_refused(
    manager: Api, member: CustomerAssignment, path: str, body: object, status: int, message: str | None
) -> None:
    LegalEntityFactory(tenant=member.tenant, external_id="L2")
    answer = manager.put(f"{CUSTOMERS}/{path}", body)

    assert answer.status_code == status
    if message:
        assert answer.json()["message"] == message
    assert list(CustomerAssignment.objects.values_list("id", "version")) == [(member.id, 1)]


def test_an_assignment_to_an_unknown_segment_is_not_found(manager: Api, customer: Customer) -> None:
    answer = manager.put(f"{CUSTOMERS}/C1", {})

    assert (answer.status_code, answer.json()["resourceId"]) == (404, "gold")


def test_deleting_one_assignment_leaves_the_other(
    manager: Api, member: CustomerAssignment, buyer: CustomerAssignment
) -> None:
    assert manager.delete(f"{CUSTOMERS}/C1/L1").status_code == 204
    assert list(CustomerAssignment.objects.all()) == [member]
    assert manager.delete(f"{CUSTOMERS}/C1").status_code == 204
    assert not CustomerAssignment.objects.exists()


@pytest.mark.parametrize("path", ["gold/customers/C1", "gold/customers/C1/L1", "silver/customers/C9/L9"])
def test_deleting_what_is_not_there_is_no_fault(manager: Api, gold: Segment, path: str) -> None:
    assert manager.delete(f"/customer-segment/acme/segments/{path}").status_code == 204


def test_a_bulk_upsert_reports_every_row_and_a_bad_one_spoils_no_other(
    manager: Api, member: CustomerAssignment, company: LegalEntity
) -> None:
    answer = manager.put(
        f"{CUSTOMERS}/bulk",
        [
            {"customerId": "C1", "mixins": {"a": {}}},
            {"customerId": "C9"},
            {"customerId": "C1", "legalEntityId": "L1", "metadata": {"version": 5}},
            {"customerId": "C1", "legalEntityId": "L9"},
            {"customerId": "C1", "metadata": {"version": 1}},
            {"customerId": "C1", "mixins": []},
            {"legalEntityId": "L1"},
            "C1",
            {"customerId": "C1", "legalEntityId": "L1", "validity": {"to": "2030-01-01T00:00:00Z"}},
            {"customerId": "C1", "metadata": {"version": 2}},
        ],
    )

    assert answer.status_code == 207
    conflict = (
        "The resource you are attempting to access has changed: version 1 was sent, version 2 is stored."
    )
    bad = {"code": 400, "status": "Bad Request"}
    assert answer.json() == [
        {"index": 1, "code": 204, "status": "OK"},
        {"index": 2, **bad, "message": "There is no customer C9."},
        {"index": 3, "code": 201, "status": "Created"},
        {"index": 4, **bad, "message": "There is no legal entity L9."},
        {"index": 5, "code": 409, "status": "Conflict", "message": conflict},
        {"index": 6, **bad, "message": "mixins must be an object."},
        {"index": 7, **bad, "message": "customerId is missing."},
        {"index": 8, **bad, "message": "The body must be an object."},
        {"index": 9, "code": 204, "status": "OK"},
        {"index": 10, "code": 204, "status": "OK"},
    ]
    rows = CustomerAssignment.objects.order_by("id").values_list(
        "legal_entity__external_id", "version", "mixins", "valid_to"
    )
    assert list(rows) == [(None, 3, None, None), ("L1", 2, None, datetime(2030, 1, 1, tzinfo=UTC))]


@pytest.mark.parametrize("body", [None, {}, [], [{"customerId": "C1"}] * 201])
@pytest.mark.parametrize("method", ["put", "delete"])
def test_a_bulk_body_that_is_no_list_of_1_to_200_is_refused_whole(
    manager: Api, gold: Segment, customer: Customer, method: str, body: object
) -> None:
    assert manager.send(method, f"{CUSTOMERS}/bulk", body).status_code == 400
    assert not CustomerAssignment.objects.exists()


def test_exactly_200_rows_are_accepted(manager: Api, gold: Segment, customer: Customer) -> None:
    answer = manager.put(f"{CUSTOMERS}/bulk", [{"customerId": "C1"}] * 200)

    assert [entry["code"] for entry in answer.json()] == [201] + [204] * 199
    assert CustomerAssignment.objects.get().version == 200


def test_a_bulk_upsert_for_an_unknown_segment_is_not_found(manager: Api, customer: Customer) -> None:
    assert manager.put(f"{CUSTOMERS}/bulk", [{"customerId": "C1"}]).status_code == 404


def test_a_bulk_deletion_reports_every_row(
    manager: Api, member: CustomerAssignment, buyer: CustomerAssignment
) -> None:
    kept = CustomerAssignmentFactory(segment=member.segment)
    answer = manager.delete(
        f"{CUSTOMERS}/bulk",
        [
            {"customerId": "C1", "legalEntityId": "L1"},
            {"customerId": "C1"},
            {"customerId": "C1"},
            {"customerId": kept.customer.external_id, "legalEntityId": "L9"},
            {},
        ],
    )

    assert answer.json() == [
        *({"index": index, "code": 204, "status": "OK"} for index in (1, 2, 3, 4)),
        {
            "index": 5,
            "code": 400,
            "status": "Bad Request",
            "message": "customerId is missing.",
        },
    ]
    assert list(CustomerAssignment.objects.all()) == [kept]


@pytest.mark.parametrize("size", [1, 200])
def test_a_bulk_upsert_takes_as_many_statements_for_1_row_as_for_200(
    manager: Api,
    gold: Segment,
    company: LegalEntity,
    size: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    customers = CustomerFactory.create_batch(size, tenant=gold.tenant)
    for customer in customers:
        ContactAssignmentFactory(legal_entity=company, customer=customer)
    manager.get(CUSTOMERS)
    body = [
        {"customerId": customer.external_id, "legalEntityId": "L1", "metadata": {"version": 1}}
        for customer in customers
    ]
    with django_assert_num_queries(
        2 + 2
    ):  # and a savepoint instead of the transaction, inside that of the test
        answer = manager.put(f"{CUSTOMERS}/bulk", body)
    assert [entry["code"] for entry in answer.json()] == [201] * size


@pytest.mark.parametrize("size", [1, 20])
def test_listing_members_takes_one_statement(
    reader: Api, gold: Segment, size: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    CustomerAssignmentFactory.create_batch(size, segment=gold)
    reader.get(CUSTOMERS)
    with django_assert_num_queries(1):
        answer = reader.get(CUSTOMERS)
    assert len(answer.json()) == size


def test_a_shopper_is_shown_own_rows_that_count(
    gold: Segment,
    customer: Customer,
    member: CustomerAssignment,
    buyer: CustomerAssignment,
    customer_api: Callable[..., Api],
) -> None:
    CustomerAssignmentFactory(segment=gold)
    other = LegalEntityFactory(tenant=gold.tenant, external_id="L2")
    ContactAssignmentFactory(legal_entity=other, customer=customer)
    CustomerAssignmentFactory(segment=gold, customer=customer, legal_entity=other)

    assert customer_api(customer).get(CUSTOMERS).json() == [B2C]
    assert customer_api(customer, legal_entity=buyer.legal_entity).get(CUSTOMERS).json() == [B2C, B2B]
    assert customer_api(customer).get(CUSTOMERS, legalEntityId="L1").json() == [B2C, B2B]
    member.valid_to = timezone.now() - timedelta(days=1)
    member.save()
    assert customer_api(customer, legal_entity=buyer.legal_entity).get(CUSTOMERS).json() == [B2B]


def test_a_segment_of_others_is_not_found(
    gold: Segment, member: CustomerAssignment, customer_api: Callable[..., Api]
) -> None:
    stranger = CustomerFactory(tenant=gold.tenant)

    assert customer_api(stranger).get(CUSTOMERS).status_code == 404


def test_the_own_scope_does_not_allow_single_reads_and_searches(
    member: CustomerAssignment, service_api: Callable[..., Api]
) -> None:
    own = service_api(SEGMENT_READ_OWN)

    for answer in (own.get(f"{CUSTOMERS}/C1"), own.post(f"{CUSTOMERS}/search", {})):
        assert answer.status_code == 403
        assert answer.json()["message"] == "The token lacks the scope customersegment.segment_read."


def test_ids_of_another_tenant_are_unknown(manager: Api, gold: Segment, other_tenant: Tenant) -> None:
    CustomerFactory(tenant=other_tenant, external_id="C7")

    assert manager.put(f"{CUSTOMERS}/C7", {}).json()["message"] == "There is no customer C7."
