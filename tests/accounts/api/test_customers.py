import pytest
from django.contrib.auth.hashers import check_password

from accounts.identity.models import Session
from accounts.identity.scopes import CUSTOMER_MANAGE, CUSTOMER_READ
from accounts.models import ContactAssignment, Customer
from core.timestamps import format_time
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, SessionFactory, SiteFactory

CUSTOMERS = "/customer/acme/customers"


@pytest.fixture
def staff(service_api):
    return service_api(CUSTOMER_MANAGE)


def expected(customer, **more):
    moment = format_time(customer.modified_at)
    return {
        "id": customer.external_id,
        "customerNumber": customer.external_id,
        "firstName": "John",
        "lastName": "Doe",
        "contactEmail": customer.email,
        "preferredLanguage": "en_US",
        "preferredCurrency": "USD",
        "preferredSite": "main",
        "businessModel": "B2C",
        "accounts": [{"id": customer.email}],
        "metadata": {
            "version": customer.version,
            "createdAt": format_time(customer.created_at),
            "modifiedAt": moment,
        },
        "email": customer.email,
        "type": "CUSTOMER",
        "active": True,
        "onHold": False,
        "metadataCreatedAt": format_time(customer.created_at),
        **more,
    }


def test_customer_is_shown_whole(staff, customer):
    answer = staff.get(f"{CUSTOMERS}/C1")
    assert answer.status_code == 200
    assert answer.json() == expected(customer)


def test_contact_is_a_business_customer_with_its_legal_entities(staff, customer):
    contact = ContactAssignmentFactory(
        customer=customer, legal_entity__tenant=customer.tenant, legal_entity__name="Emporium"
    )
    assert staff.get(f"{CUSTOMERS}/C1").json() == expected(
        customer,
        businessModel="B2B",
        b2b={
            "legalEntities": [
                {
                    "id": contact.legal_entity.external_id,
                    "name": "Emporium",
                    "contactAssignmentId": contact.external_id,
                }
            ]
        },
    )


def test_customers_are_listed_searched_sorted_and_counted(staff, tenant, other_tenant):
    for number, name in (("C1", "Ada"), ("C2", "Bea"), ("C3", "Ada")):
        CustomerFactory(tenant=tenant, external_id=number, first_name=name)
    CustomerFactory(tenant=other_tenant, external_id="C9", first_name="Ada")
    found = staff.get(CUSTOMERS, q="firstName:Ada", sort="id:desc", headers={"X-Total-Count": "true"})
    assert [row["id"] for row in found.json()] == ["C3", "C1"]
    assert found["X-Total-Count"] == "2"
    found = staff.post(f"{CUSTOMERS}/search", {"q": "firstName:Bea"}, fields="firstName")
    assert found.json() == [{"id": "C2", "firstName": "Bea"}]


@pytest.mark.parametrize("count", [1, 20])
def test_list_takes_one_statement(staff, tenant, count, django_assert_num_queries):
    for customer in CustomerFactory.create_batch(count, tenant=tenant):
        ContactAssignmentFactory(customer=customer, legal_entity__tenant=tenant)
    with django_assert_num_queries(1):
        assert len(staff.get(CUSTOMERS).json()) == count


def test_customer_is_created_with_all_that_the_body_says(staff, tenant):
    body = {
        "id": "shop-1",
        "contactEmail": "jane@example.com",
        "password": "jane's secret",
        "title": "MS",
        "firstName": "Jane",
        "middleName": "Q",
        "lastName": "Doe",
        "contactPhone": "123",
        "company": "Emporium",
        "preferredLanguage": "de_DE",
        "preferredCurrency": "EUR",
        "preferredSite": "de",
        "type": "CONTACT",
        "photoUrl": "https://example.com/jane.png",
        "b2b": {"companyRegistrationId": "HRB 1"},
        "mixins": {"loyalty": {"tier": "gold"}},
        "metadata": {"mixins": {"loyalty": "https://example.com/loyalty.json"}},
    }
    answer = staff.post(CUSTOMERS, body)
    assert (answer.status_code, answer.json()) == (201, {"id": "shop-1"})
    shown = staff.get(f"{CUSTOMERS}/shop-1").json()
    assert {name: shown[name] for name in body if name not in ("password", "metadata")} == {
        name: value for name, value in body.items() if name not in ("password", "metadata")
    }
    assert shown["metadata"]["version"] == 1
    assert shown["metadata"]["mixins"] == {"loyalty": "https://example.com/loyalty.json"}
    assert check_password("jane's secret", Customer.objects.get(tenant=tenant).password)


def test_customer_number_is_generated_when_none_is_given(staff):
    first, second = (staff.post(CUSTOMERS, {"lastName": "Doe"}).json()["id"] for _ in range(2))
    assert first < second


def test_null_members_count_as_absent(staff):
    answer = staff.post(CUSTOMERS, {"id": "C5", "firstName": None, "b2b": None, "metadata": None})
    assert answer.status_code == 201
    assert "firstName" not in staff.get(f"{CUSTOMERS}/C5").json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"contactEmail": "nobody"}, "contactEmail"),
        ({"preferredCurrency": "euro"}, "preferredCurrency"),
        ({"firstName": "x" * 151}, "firstName"),
        ({"id": "a b"}, "id"),
        ({"type": "ROBOT"}, "type"),
        ({"mixins": []}, "mixins"),
        ({"metadata": {"version": -1}}, "metadata.version"),
        ({"photoUrl": "javascript:alert(1)"}, "photoUrl"),
        ({"password": "short"}, "password"),
    ],
)
def test_faulty_body_is_refused_with_the_field(staff, tenant, body, field):
    answer = staff.post(CUSTOMERS, body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "validation_violation"
    assert answer.json()["details"][0]["field"] == field
    assert not Customer.objects.filter(tenant=tenant).exists()


def test_taken_number_and_taken_email_are_refused(staff, customer):
    answer = staff.post(CUSTOMERS, {"id": "C1"})
    assert (answer.status_code, answer.json()["type"]) == (409, "conflict_resource")
    answer = staff.post(CUSTOMERS, {"contactEmail": "JOHN@example.com"})
    assert answer.status_code == 409
    assert answer.json()["details"][0]["field"] == "contactEmail"
    assert Customer.objects.count() == 1


def test_same_email_is_free_in_another_tenant(staff, other_tenant):
    CustomerFactory(tenant=other_tenant, email="john@example.com")
    assert staff.post(CUSTOMERS, {"contactEmail": "john@example.com"}).status_code == 201


def test_put_creates_then_replaces(staff):
    answer = staff.put(f"{CUSTOMERS}/C7", {"firstName": "Ada", "lastName": "L", "contactEmail": "a@x.io"})
    assert (answer.status_code, answer.json()) == (201, {"id": "C7"})
    answer = staff.put(f"{CUSTOMERS}/C7", {"firstName": "Ada B", "metadata": {"version": 1}})
    assert (answer.status_code, answer.content) == (204, b"")
    shown = staff.get(f"{CUSTOMERS}/C7").json()
    assert shown["firstName"] == "Ada B"
    assert "lastName" not in shown
    assert shown["contactEmail"] == "a@x.io"
    assert shown["metadata"]["version"] == 2


def test_put_that_says_nothing_of_it_leaves_a_customer_on_hold(staff, customer):
    Customer.objects.update(is_on_hold=True)
    staff.put(f"{CUSTOMERS}/C1", {"firstName": "John"})
    assert Customer.objects.get().is_on_hold


@pytest.mark.parametrize("method", ["post", "put"])
def test_preferences_that_are_not_named_are_those_of_the_tenant(staff, tenant, method):
    SiteFactory(tenant=tenant, code="berlin", is_default=True)
    type(tenant).objects.update(currency="CHF", default_language="de")
    path = CUSTOMERS if method == "post" else f"{CUSTOMERS}/C9"
    assert staff.send(method, path, {"id": "C9", "firstName": "Ada"}).status_code == 201
    shown = staff.get(f"{CUSTOMERS}/C9").json()
    assert (shown["preferredLanguage"], shown["preferredCurrency"], shown["preferredSite"]) == (
        "de",
        "CHF",
        "berlin",
    )


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("put", {"password": "a new password"}),
        ("patch", {"password": "a new password"}),
        ("patch", [{"op": "add", "path": "/password", "value": "a new password"}]),
    ],
)
def test_password_is_refused_where_the_contract_has_no_such_field(staff, customer, method, body):
    answer = staff.send(method, f"{CUSTOMERS}/C1", body)
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "password")
    assert "password/change" in answer.json()["message"]
    assert Customer.objects.get().version == 1


def test_every_fault_of_a_body_is_named(staff):
    answer = staff.post(CUSTOMERS, {"id": 5, "contactEmail": "nobody", "active": "yes", "b2b": "x"})
    assert [(row["field"], row["message"]) for row in answer.json()["details"]] == [
        ("contactEmail", "contactEmail must be an e-mail address."),
        ("b2b", "b2b must be an object."),
        ("active", "active must be true or false."),
        ("id", "id must be a text."),
    ]


def test_texts_are_stored_composed_and_without_what_cannot_be_seen(staff, tenant):
    body = {"id": "C9", "firstName": " Zoe\u0308 ", "contactEmail": "\u200bzoe@exa\u0308mple.com\ufeff"}
    assert staff.post(CUSTOMERS, body).status_code == 201
    stored = Customer.objects.get()
    assert (stored.first_name, stored.email) == ("Zo\u00eb", "zoe@ex\u00e4mple.com")
    again = staff.post(CUSTOMERS, {"contactEmail": "ZOE@ex\u00e4mple.com"})
    assert again.status_code == 409
    assert Customer.objects.with_email(" Zoe@exa\u0308mple.com").get() == stored


def test_put_of_an_old_version_is_refused(staff, customer):
    answer = staff.put(f"{CUSTOMERS}/C1", {"firstName": "Ada", "metadata": {"version": 7}})
    assert answer.status_code == 409
    assert Customer.objects.get().first_name == "John"


@pytest.mark.parametrize(
    "patch",
    [
        {"firstName": "Ada", "onHold": True, "metadata": {"version": 1}},
        [
            {"op": "replace", "path": "/firstName", "value": "Ada"},
            {"op": "replace", "path": "/onHold", "value": True},
        ],
    ],
    ids=["merge patch", "JSON patch"],
)
def test_patch_changes_what_it_names(staff, customer, patch):
    assert staff.patch(f"{CUSTOMERS}/C1", patch).status_code == 200
    changed = Customer.objects.get()
    assert (changed.first_name, changed.is_on_hold, changed.version) == ("Ada", True, 2)
    assert (changed.last_name, changed.email) == ("Doe", "john@example.com")


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        ({"firstName": "Ada", "metadata": {"version": 2}}, 409),
        ({"id": "C2"}, 400),
        ({"contactEmail": None}, 400),
        ([{"op": "remove", "path": "/contactEmail"}], 400),
        ({"preferredCurrency": "x"}, 400),
        ("text", 400),
    ],
)
def test_patch_that_breaks_a_rule_changes_nothing(staff, customer, patch, status):
    assert staff.patch(f"{CUSTOMERS}/C1", patch).status_code == status
    customer.refresh_from_db()
    assert (customer.first_name, customer.email, customer.version) == ("John", "john@example.com", 1)


def test_deleting_a_customer_deletes_what_belongs_to_it(staff, customer):
    ContactAssignmentFactory(customer=customer, legal_entity__tenant=customer.tenant)
    SessionFactory(client__tenant=customer.tenant, customer=customer)
    answer = staff.delete(f"{CUSTOMERS}/C1", {})
    assert answer.status_code == 202
    assert not Customer.objects.exists()
    assert not ContactAssignment.objects.exists()
    assert not Session.objects.filter(customer__isnull=False).exists()


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_unknown_customer_is_not_found(staff, customer, method):
    answer = staff.send(method, f"{CUSTOMERS}/C404", {} if method == "patch" else None)
    assert (answer.status_code, answer.json()["type"]) == (404, "resource_not_found")


def test_customer_of_another_tenant_is_not_found(staff, other_tenant):
    CustomerFactory(tenant=other_tenant, external_id="C1")
    assert staff.get(f"{CUSTOMERS}/C1").status_code == 404
    assert staff.delete(f"{CUSTOMERS}/C1").status_code == 404
    assert Customer.objects.count() == 1


def test_reading_does_not_need_and_does_not_give_the_right_to_write(service_api, customer):
    reader = service_api(CUSTOMER_READ)
    assert reader.get(f"{CUSTOMERS}/C1").status_code == 200
    for answer in (
        reader.post(CUSTOMERS, {}),
        reader.put(f"{CUSTOMERS}/C1", {}),
        reader.patch(f"{CUSTOMERS}/C1", {}),
        reader.delete(f"{CUSTOMERS}/C1"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (403, "insufficient_permissions")
    assert Customer.objects.get().version == 1


# The customer's own token


@pytest.fixture
def own(customer_api, customer):
    CustomerFactory(tenant=customer.tenant, external_id="C2")
    return customer_api(customer)


def test_customers_see_only_their_own_profile(own):
    assert [row["id"] for row in own.get(CUSTOMERS).json()] == ["C1"]
    assert [row["id"] for row in own.post(f"{CUSTOMERS}/search", {"q": "lastName:Doe"}).json()] == ["C1"]
    assert own.get(f"{CUSTOMERS}/C1").status_code == 200
    assert own.get(f"{CUSTOMERS}/C2").status_code == 404


def test_customers_write_only_their_own_profile(own, customer):
    assert own.put(f"{CUSTOMERS}/C1", {"firstName": "Ada"}).status_code == 204
    assert own.patch(f"{CUSTOMERS}/C1", {"lastName": "Lovelace"}).status_code == 200
    customer.refresh_from_db()
    assert (customer.first_name, customer.last_name) == ("Ada", "Lovelace")
    for answer in (
        own.put(f"{CUSTOMERS}/C2", {}),
        own.put(f"{CUSTOMERS}/C3", {}),
        own.patch(f"{CUSTOMERS}/C2", {}),
        own.delete(f"{CUSTOMERS}/C2"),
        own.post(CUSTOMERS, {"id": "C3"}),
    ):
        assert answer.status_code == 403
    assert Customer.objects.count() == 2


@pytest.mark.parametrize("patch", [{"onHold": True}, {"active": False}, {"contactEmail": "x@example.com"}])
def test_customers_cannot_change_what_staff_decides(own, customer, patch):
    assert own.patch(f"{CUSTOMERS}/C1", patch).status_code == 403
    customer.refresh_from_db()
    assert (customer.is_on_hold, customer.is_active, customer.version) == (False, True, 1)


def test_customers_may_delete_their_own_profile(own):
    assert own.delete(f"{CUSTOMERS}/C1").status_code == 202
    assert [customer.external_id for customer in Customer.objects.all()] == ["C2"]


def test_anonymous_visitors_see_no_customers(anonymous_api):
    assert anonymous_api.get(CUSTOMERS).status_code == 403
