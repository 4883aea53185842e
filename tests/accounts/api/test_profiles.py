import pytest
from django.contrib.auth.hashers import check_password

from accounts.identity.tokens import issue_access_token
from accounts.models import Customer
from core.tenancy.callers import CallerKind
from core.timestamps import format_time
from tests.conftest import Api, session_of
from tests.factories.accounts import ContactAssignmentFactory

ME = "/customer/acme/me"
SIGNUP = "/customer/acme/signup"
GOOD = "correct horse battery"


@pytest.fixture
def customer(customer):
    customer.title = "MR"
    Customer.objects.filter(pk=customer.pk).update(title=customer.title)
    return customer


@pytest.fixture
def own(customer_api, customer):
    return customer_api(customer)


# Signing up


def test_sign_up_makes_a_customer_who_can_log_in(anonymous_api, tenant):
    body = {
        "email": "jane@example.com",
        "password": GOOD,
        "customerDetails": {
            "title": "MS",
            "firstName": "Jane",
            "middleName": "",
            "lastName": "Doe",
            "contactEmail": "jane@example.com",
            "preferredCurrency": "EUR",
            "b2b": {"companyRegistrationId": "123"},
            "mixins": {"a": {"b": 1}},
        },
        "customerAddress": {"contactName": "Jane Doe"},
    }
    answer = anonymous_api.post(SIGNUP, body)
    customer = Customer.objects.get()
    assert (answer.status_code, answer.json()) == (201, {"id": customer.external_id})
    assert (customer.tenant, customer.email, customer.first_name) == (tenant, "jane@example.com", "Jane")
    assert (customer.company_registration_id, customer.mixins) == ("123", {"a": {"b": 1}})
    assert (customer.preferred_language, customer.preferred_currency) == ("en", "EUR")
    answer = anonymous_api.post("/customer/acme/login", {"email": "jane@example.com", "password": GOOD})
    assert answer.status_code == 200


def test_sign_up_needs_only_email_and_password(anonymous_api):
    assert anonymous_api.post(SIGNUP, {"email": "j@x.io", "password": GOOD}).status_code == 201


def test_password_of_the_separate_login_is_the_one_that_counts(anonymous_api):
    body = {
        "email": "j@x.io",
        "password": "ignored",
        "signup": {"email": "J@x.io", "password": "the real one"},
    }
    assert anonymous_api.post(SIGNUP, body).status_code == 201
    assert check_password("the real one", Customer.objects.get().password)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"password": None}, "password"),
        ({"customerDetails": {"contactEmail": "other@x.io"}}, "customerDetails.contactEmail"),
        ({"signup": {"email": "other@x.io", "password": GOOD}}, "signup.email"),
        ({"customerDetails": {"preferredCurrency": "x"}}, "customerDetails.preferredCurrency"),
        ({"customerDetails": {"password": GOOD}}, "customerDetails.password"),
    ],
    ids=str,
)
def test_faulty_sign_up_is_refused_with_the_field(anonymous_api, change, field):
    answer = anonymous_api.post(SIGNUP, {"email": "j@x.io", "password": GOOD, **change})
    assert answer.status_code == 400
    assert answer.json()["details"][0]["field"] == field
    assert not Customer.objects.exists()


@pytest.mark.parametrize(
    ("password", "faults"),
    [
        ("zq8!w", "This password is too short. It must contain at least 8 characters."),
        ("password123", "This password is too common."),
        ("jane.m@example.com", "The password is too similar to the email."),
        ("millerson", "The password is too similar to the last name."),
        (
            "secret",
            "This password is too short. It must contain at least 8 characters. This password is too common.",
        ),
    ],
)
@pytest.mark.parametrize("separate", [False, True])
def test_sign_up_says_what_is_wrong_with_a_password(anonymous_api, password, faults, separate):
    body = {
        "email": "jane.m@example.com",
        "password": password,
        "customerDetails": {"lastName": "Millerson"},
    }
    if separate:
        body.update(password=GOOD, signup={"email": body["email"], "password": password})
    field = "signup.password" if separate else "password"
    for _ in range(6):  # which does not count as an attempt
        answer = anonymous_api.post(SIGNUP, body)
        assert (answer.status_code, answer.json()) == (
            400,
            {
                "status": 400,
                "type": "validation_violation",
                "message": faults,
                "details": [{"field": field, "type": "unacceptable_password", "message": faults}],
            },
        )
    assert not Customer.objects.exists()


def test_sign_up_follows_the_password_validators_of_the_settings(anonymous_api, settings):
    settings.AUTH_PASSWORD_VALIDATORS = []
    assert anonymous_api.post(SIGNUP, {"email": "j@x.io", "password": "secret"}).status_code == 201


def test_sign_up_with_a_taken_email_is_refused(anonymous_api, customer):
    answer = anonymous_api.post(SIGNUP, {"email": "John@Example.com", "password": GOOD})
    assert (answer.status_code, answer.json()["type"]) == (409, "conflict_resource")
    assert Customer.objects.count() == 1


def sign_ups(api, body, *, count):
    return [api.post(SIGNUP, body).status_code for _ in range(count)]


def test_known_emails_are_answered_5_times_a_session(anonymous_api, customer, monkeypatch):
    known = {"email": "john@example.com", "password": GOOD}
    monkeypatch.setattr("accounts.operations.customers.hash_password", pytest.fail)  # needs no hash
    assert sign_ups(anonymous_api, known, count=6) == [409] * 5 + [429]
    response = anonymous_api.post(SIGNUP, {"email": "new@example.com", "password": GOOD})
    wait = response["Retry-After"]
    assert (response.status_code, response.json()) == (
        429,
        {
            "status": 429,
            "type": "too_many_requests",
            "message": f"Too many sign-ups; try again in {wait} seconds.",
        },
    )
    assert 840 <= int(wait) <= 900


def test_known_emails_are_answered_20_times_an_address(customer, tenant, stored_signing_keys, now):
    known = {"email": "john@example.com", "password": GOOD}
    found = [sign_ups(visitor(tenant, now), known, count=4) for _ in range(5)]
    assert found == [[409] * 4] * 5
    assert sign_ups(visitor(tenant, now), known, count=1) == [429]
    elsewhere = visitor(tenant, now)
    elsewhere.client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    assert sign_ups(elsewhere, known, count=1) == [409]


def test_new_customers_are_limited_by_address_only(anonymous_api, tenant, settings):
    settings.SIGN_UPS_OF_ADDRESS = 8
    bodies = [{"email": f"{number}@example.com", "password": GOOD} for number in range(9)]
    assert [anonymous_api.post(SIGNUP, body).status_code for body in bodies] == [201] * 8 + [429]
    anonymous_api.client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    assert anonymous_api.post(SIGNUP, bodies[-1]).status_code == 201


def visitor(tenant, now):
    """Return the API as another anonymous session sees it."""
    session = session_of(tenant, now)
    return Api(
        issue_access_token(
            tenant=tenant,
            kind=CallerKind.ANONYMOUS,
            client_id=session.client.client_id,
            session_id=str(session.session_id),
            at=now,
        )
    )


def test_sign_up_needs_an_anonymous_token(service_api, own):
    for api in (service_api("customer.customer_manage"), own):
        assert api.post(SIGNUP, {"email": "j@x.io", "password": GOOD}).status_code == 403


# One's own profile


def test_anonymous_profile_says_so(anonymous_api, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = anonymous_api.get(ME)
    assert answer.json() == {
        "id": "00000000",
        "customerNumber": "00000000",
        "firstName": "Anonymous",
        "lastName": "Anonymous",
        "preferredSite": "default",
        "accounts": [],
    }


def test_customers_see_their_own_profile_whole(own, customer, django_assert_num_queries):
    contact = ContactAssignmentFactory(
        customer=customer, legal_entity__tenant=customer.tenant, legal_entity__name="Emporium"
    )
    with django_assert_num_queries(1):
        answer = own.get(ME)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "private, no-cache"
    assert answer["Vary"].split(", ")[0] == "Authorization"
    assert answer.json() == {
        "id": "C1",
        "customerNumber": "C1",
        "title": "MR",
        "firstName": "John",
        "lastName": "Doe",
        "contactEmail": "john@example.com",
        "preferredLanguage": "en_US",
        "preferredCurrency": "USD",
        "preferredSite": "main",
        "businessModel": "B2B",
        "b2b": {
            "legalEntities": [
                {
                    "id": contact.legal_entity.external_id,
                    "name": "Emporium",
                    "contactAssignmentId": contact.external_id,
                }
            ]
        },
        "accounts": [{"id": "john@example.com"}],
        "metadata": {
            "version": 1,
            "createdAt": format_time(customer.created_at),
            "modifiedAt": format_time(customer.modified_at),
        },
    }


def test_profile_is_changed_by_its_customer(own, customer):
    body = {"firstName": "Ada", "contactEmail": "john@example.com", "metadata": {"version": 1}}
    answer = own.patch(ME, body)
    assert (answer.status_code, answer.content) == (200, b"")
    customer.refresh_from_db()
    assert (customer.first_name, customer.last_name, customer.version) == ("Ada", "Doe", 2)


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        ({"contactEmail": "other@example.com"}, 403),
        ({"contactEmail": None}, 400),
        ({"id": "C2"}, 400),
        ({"password": "a new password"}, 400),
        ({"preferredCurrency": "euro"}, 400),
        ({"metadata": {"version": 4}}, 409),
    ],
)
def test_profile_patch_that_breaks_a_rule_changes_nothing(own, customer, patch, status):
    assert own.patch(ME, {"firstName": "Ada", **patch}).status_code == status
    customer.refresh_from_db()
    assert (customer.first_name, customer.email, customer.version) == ("John", "john@example.com", 1)


def test_profile_patch_cannot_reach_what_staff_decides(own, customer):
    own.patch(ME, {"active": False, "onHold": True, "type": "CONTACT"})
    customer.refresh_from_db()
    assert (customer.is_active, customer.is_on_hold, customer.type) == (True, False, "CUSTOMER")


def test_profile_is_for_customers(anonymous_api, service_api):
    assert anonymous_api.patch(ME, {}).status_code == 403
    assert service_api("customer.customer_manage").get(ME).status_code == 403
    assert service_api("customer.customer_manage").patch(ME, {}).status_code == 403


def test_profile_needs_the_scopes_of_a_profile(customer, stored_signing_keys, now):
    session = session_of(customer.tenant, now, customer)
    token = issue_access_token(
        tenant=customer.tenant,
        kind=CallerKind.CUSTOMER,
        client_id=session.client.client_id,
        session_id=str(session.session_id),
        customer=customer,
        scopes=["coupon.coupon_redeem"],
        at=now,
    )
    assert Api(token).get(ME).status_code == 403
    assert Api(token).patch(ME, {"firstName": "Ada"}).status_code == 403
