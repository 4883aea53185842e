import pytest

from accounts.identity.scopes import CONTACT_MANAGE, CONTACT_READ
from accounts.models import ContactAssignment, Customer
from core.timestamps import format_time
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory

CONTACTS = "/customer-management/acme/contact-assignments"


@pytest.fixture
def staff(service_api):
    return service_api(CONTACT_MANAGE)


@pytest.fixture
def customer(customer):
    Customer.objects.filter(pk=customer.pk).update(contact_phone="123")
    return customer


def body(**more):
    return {"legalEntity": {"id": "abc"}, "customer": {"id": "C1"}, **more}


def test_contact_assignment_is_created_and_shown_whole(staff, company, customer):
    answer = staff.post(CONTACTS, body(id="ca-1", type="BILLING", primary=True, mixins={"a": {"b": 1}}))
    assert (answer.status_code, answer.json()) == (201, {"id": "ca-1"})
    moment = format_time(ContactAssignment.objects.get().created_at)
    assert staff.get(f"{CONTACTS}/ca-1").json() == {
        "id": "ca-1",
        "legalEntity": {"id": "abc", "name": "ABC Company", "type": "COMPANY"},
        "customer": {
            "id": "C1",
            "name": "John",
            "surname": "Doe",
            "email": "john@example.com",
            "phone": "123",
        },
        "type": "BILLING",
        "primary": True,
        "mixins": {"a": {"b": 1}},
        "metadata": {"version": 1, "createdAt": moment, "modifiedAt": moment},
    }


def test_type_is_contact_by_default(staff, company, customer):
    key = staff.post(CONTACTS, body()).json()["id"]
    shown = staff.get(f"{CONTACTS}/{key}").json()
    assert (shown["type"], shown["primary"]) == ("CONTACT", False)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"legalEntity": {"id": "nobody"}}, "legalEntity.id: There is no legal entity nobody."),
        ({"customer": {"id": "nobody"}}, "customer.id: There is no customer nobody."),
        ({"customer": None}, "customer: customer is missing."),
        ({"legalEntity": {}}, "legalEntity.id: legalEntity.id is missing."),
        ({"type": "FRIEND"}, "type: type must be BILLING, CONTACT, LOGISTICS or PRIMARY."),
    ],
)
def test_faulty_body_is_refused_with_the_detail(staff, company, customer, change, detail):
    answer = staff.post(CONTACTS, body(**change))
    assert (answer.status_code, answer.json()["details"]) == (400, [detail])
    assert not ContactAssignment.objects.exists()


def test_customer_and_company_of_another_tenant_do_not_exist(staff, other_tenant, company):
    CustomerFactory(tenant=other_tenant, external_id="C1")
    assert staff.post(CONTACTS, body()).status_code == 400


def test_customer_is_assigned_once_to_a_legal_entity(staff, company, customer):
    ContactAssignmentFactory(legal_entity=company, customer=customer)
    for answer in (staff.post(CONTACTS, body()), staff.put(f"{CONTACTS}/other", body())):
        assert answer.status_code == 409
        assert answer.json()["details"] == [
            "customer.id: The customer is assigned to this legal entity already."
        ]
    assert ContactAssignment.objects.count() == 1


def test_taken_id_is_refused(staff, company, customer, tenant):
    ContactAssignmentFactory(legal_entity__tenant=tenant, external_id="ca-1")
    assert staff.post(CONTACTS, body(id="ca-1")).status_code == 409


def test_put_creates_then_replaces(staff, company, customer, tenant):
    answer = staff.put(f"{CONTACTS}/ca-1", body(type="BILLING"))
    assert (answer.status_code, answer.json()) == (201, {"id": "ca-1"})
    LegalEntityFactory(tenant=tenant, external_id="xyz")
    change = {"legalEntity": {"id": "xyz"}, "type": "LOGISTICS", "metadata": {"version": 1}}
    assert staff.put(f"{CONTACTS}/ca-1", body(**change)).status_code == 204
    shown = staff.get(f"{CONTACTS}/ca-1").json()
    assert (shown["legalEntity"]["id"], shown["type"]) == ("xyz", "LOGISTICS")
    assert shown["metadata"]["version"] == 2


def test_put_of_an_old_version_is_refused(staff, company, customer):
    contact = ContactAssignmentFactory(legal_entity=company, customer=customer, external_id="ca-1")
    answer = staff.put(f"{CONTACTS}/ca-1", body(type="BILLING", metadata={"version": 3}))
    assert answer.status_code == 409
    contact.refresh_from_db()
    assert contact.type == "CONTACT"


def test_contact_assignment_is_deleted(staff, tenant):
    ContactAssignmentFactory(legal_entity__tenant=tenant, external_id="ca-1")
    assert staff.delete(f"{CONTACTS}/ca-1").status_code == 204
    assert staff.delete(f"{CONTACTS}/ca-1").status_code == 404
    assert staff.get(f"{CONTACTS}/ca-1").status_code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["1", "2", "3"]),
        ({"legalEntity.id": "abc"}, ["1", "2"]),
        ({"customer.id": "C1"}, ["1", "3"]),
        ({"type": "BILLING"}, ["2"]),
        ({"primary": "true"}, ["3"]),
        ({"primary": "false", "customer.id": "C1"}, ["1"]),
        ({"q": "legalEntity.name:~ABC customer.email:john@example.com"}, ["1"]),
        ({"sort": "legalEntity.id:desc,id"}, ["3", "1", "2"]),
    ],
    ids=str,
)
def test_filters_and_search(staff, company, customer, tenant, other_tenant, query, found):
    ContactAssignmentFactory(external_id="1", legal_entity=company, customer=customer)
    ContactAssignmentFactory(external_id="2", legal_entity=company, type="BILLING")
    ContactAssignmentFactory(
        external_id="3",
        legal_entity__tenant=tenant,
        legal_entity__external_id="xyz",
        customer=customer,
        is_primary=True,
    )
    ContactAssignmentFactory(external_id="4", legal_entity__tenant=other_tenant)
    assert [contact["id"] for contact in staff.get(CONTACTS, **query).json()] == found


@pytest.mark.parametrize("count", [1, 16])
def test_list_takes_one_statement(staff, company, count, django_assert_num_queries):
    ContactAssignmentFactory.create_batch(count, legal_entity=company)
    with django_assert_num_queries(1):
        assert len(staff.get(CONTACTS).json()) == count


def test_scopes(service_api, customer_api, company, customer):
    ContactAssignmentFactory(external_id="1", legal_entity=company, customer=customer)
    reader = service_api(CONTACT_READ)
    assert reader.get(f"{CONTACTS}/1").status_code == 200
    for answer in (
        customer_api(customer).get(CONTACTS),
        reader.post(CONTACTS, body()),
        reader.put(f"{CONTACTS}/1", body()),
        reader.delete(f"{CONTACTS}/1"),
    ):
        assert answer.status_code == 403
        assert answer.json()["details"][0].startswith("Required scope(s): customermanagement.contact")
    assert ContactAssignment.objects.count() == 1
