import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from accounts.identity.models import ApiClient, ClientSecret, Session, SigningKey
from accounts.identity.tokens.opaque import digest_of
from accounts.models import ContactAssignment, Customer, Erasure, LegalEntity, Site, User
from accounts.models.customers import SEARCHED_FIELDS
from core.search import in_order, matching
from core.tenancy.models import Tenant
from tests.factories.accounts import (
    ApiClientFactory,
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SessionFactory,
    SiteFactory,
    UserFactory,
)

APP_LABELS = {
    "tenant": "tenancy",
    **dict.fromkeys(("apiclient", "clientsecret", "session", "refreshtoken", "signingkey"), "identity"),
}
JSON = {"mixins": "{}", "mixin_schemas": "{}"}
PROFILE = {
    "external_id": "C1",
    "email": "ada@example.com",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "type": "CUSTOMER",
    "is_active": "on",
    "preferred_language": "en_US",
    "preferred_currency": "EUR",
    "preferred_site": "main",
    **JSON,
}
SHOP = {
    "code": "second",
    "name": "Second",
    "is_active": "on",
    "default_language": "en",
    "languages": "en,de",
    "currency": "EUR",
    "available_currencies": "EUR,USD",
    "ship_to_countries": "DE",
    "tax_determination_based_on": "BILLING_ADDRESS",
    "includes_tax": "unknown",
    "home_base": "{}",
    "settings": "{}",
    **JSON,
}
COMPANY = {
    "external_id": "L1",
    "name": "Works",
    "type": "COMPANY",
    "legal_info": "{}",
    "account_limit": "{}",
    "customer_groups": "[]",
    "entities_addresses": "[]",
    "approval_group": "[]",
    "restrictions": "[]",
    **JSON,
}


def page(name: str, *arguments: object) -> str:
    model = name.split("_")[0]
    app = APP_LABELS.get(model, "accounts")
    return reverse(f"admin:{app}_{name}", args=arguments)


def errors_of(response: HttpResponse) -> dict[str, list[str]]:
    assert response.status_code == 200
    return response.context["adminform"].form.errors


def messages_of(response: HttpResponse) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def rows_of(browser: Client, name: str, **query: object) -> list[object]:
    return list(browser.get(page(f"{name}_changelist"), query).context["cl"].result_list)


def browser_of(tenant: Tenant, *codenames: str) -> Client:
    """The admin as somebody of the tenant sees it who has only these rights."""
    user = UserFactory(tenant=tenant)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    browser = Client()
    browser.force_login(user)
    return browser


# --- customers ---


def test_a_customer_is_added_and_changed(staff_browser: Client, tenant: Tenant) -> None:
    staff_browser.post(page("customer_add"), PROFILE)
    customer = Customer.objects.get()
    assert (customer.external_id, customer.email, customer.tenant) == ("C1", "ada@example.com", tenant)
    version = customer.version
    values = {**PROFILE, "first_name": "Augusta", "expected_version": version}
    staff_browser.post(page("customer_change", customer.pk), values)
    customer.refresh_from_db()
    assert (customer.first_name, customer.version) == ("Augusta", version + 1)


def test_an_email_belongs_to_one_customer_whatever_its_case(staff_browser: Client, tenant: Tenant) -> None:
    CustomerFactory(tenant=tenant, email="ADA@example.com")
    response = staff_browser.post(page("customer_add"), PROFILE)
    assert errors_of(response) == {"email": ["Another customer has this already."]}
    assert Customer.objects.count() == 1


def test_the_email_of_a_customer_is_not_removed(staff_browser: Client, tenant: Tenant) -> None:
    customer = CustomerFactory(tenant=tenant)
    values = {**PROFILE, "email": "", "expected_version": customer.version}
    response = staff_browser.post(page("customer_change", customer.pk), values)
    assert errors_of(response) == {"email": ["The e-mail of a customer cannot be removed."]}


def test_no_page_shows_a_customers_password(staff_browser: Client, tenant: Tenant) -> None:
    customer = CustomerFactory(tenant=tenant, password="md5$salt$d1g3st")
    for address in (page("customer_change", customer.pk), page("customer_changelist"), page("customer_add")):
        text = staff_browser.get(address).content.decode()
        assert "d1g3st" not in text
        assert not re.search(r'name="[^"]*password', text)


def test_a_customer_without_preferences_gets_those_of_the_tenant(
    staff_browser: Client, tenant: Tenant
) -> None:
    SiteFactory(tenant=tenant, code="berlin", is_default=True)
    empty = {"preferred_language": "", "preferred_currency": "", "preferred_site": ""}
    staff_browser.post(page("customer_add"), {**PROFILE, **empty})
    customer = Customer.objects.get()
    assert (customer.preferred_language, customer.preferred_currency) == ("en", "EUR")
    assert customer.preferred_site == "berlin"


def test_names_and_email_of_a_form_are_stored_composed(staff_browser: Client, tenant: Tenant) -> None:
    values = {**PROFILE, "first_name": "Zoe\u0308", "email": "zoe@exa\u0308mple.com"}
    staff_browser.post(page("customer_add"), values)
    customer = Customer.objects.get()
    assert (customer.first_name, customer.email) == ("Zo\u00eb", "zoe@ex\u00e4mple.com")


def test_the_password_of_a_customer_is_set(
    staff_browser: Client, tenant: Tenant, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    customer = CustomerFactory(tenant=tenant)
    session = SessionFactory(client__tenant=tenant, customer=customer)
    address = page("customer_password", customer.pk)
    assert "Set the password" in staff_browser.get(page("customer_change", customer.pk)).content.decode()
    good = "correct horse battery"
    for values, field in (
        ({"password": "short", "again": "short"}, "password"),
        ({"password": good, "again": "another"}, "again"),
    ):
        response = staff_browser.post(address, values)
        assert list(response.context["form"].errors) == [field]
    response = staff_browser.post(address, {"password": good, "again": good}, follow=True)
    assert messages_of(response) == ["The password is set, and all sessions have ended."]
    customer.refresh_from_db()
    session.refresh_from_db()
    assert customer.accepts_password(good)
    assert session.revoked_at is not None


def test_the_password_of_a_customer_is_set_by_those_who_may_change_customers(
    tenant: Tenant, other_tenant: Tenant
) -> None:
    address = page("customer_password", CustomerFactory(tenant=tenant).pk)
    assert browser_of(tenant, "view_customer").get(address).status_code == 403
    assert browser_of(other_tenant, "view_customer", "change_customer").get(address).status_code == 404


def test_selected_customers_are_sent_tokens_for_a_new_password(
    staff_browser: Client, tenant: Tenant, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    ada, nobody = CustomerFactory(tenant=tenant), CustomerFactory(tenant=tenant, email=None)
    values = {"action": "send_reset_tokens", "_selected_action": [ada.pk, nobody.pk]}
    with django_capture_on_commit_callbacks(execute=True):
        response = staff_browser.post(page("customer_changelist"), values, follow=True)
    assert messages_of(response) == ["E-mails to 1 of the selected customers are on their way."]
    assert [message.to for message in mail.outbox] == [[ada.email]]


def test_customers_are_found_by_the_beginning_of_number_email_and_names(
    staff_browser: Client, tenant: Tenant
) -> None:
    ada = CustomerFactory(
        tenant=tenant, external_id="A1", email="ada@x.org", first_name="Ada", last_name="Lovelace"
    )
    CustomerFactory(tenant=tenant)
    for term in ("A1", "ADA@X", "love", "ada l"):
        assert rows_of(staff_browser, "customer", q=term) == [ada]
    assert rows_of(staff_browser, "customer", q="lace") == []


def test_the_search_for_customers_goes_through_indexes(tenant: Tenant) -> None:
    CustomerFactory(tenant=tenant)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_customer SELECT (jsonb_populate_record(c, jsonb_build_object("
            "'id', 1000000 + n, 'external_id', 'N' || n, 'email', 'mail' || n || '@x.org',"
            " 'first_name', 'First' || n, 'last_name', 'Last' || n))).*"
            " FROM accounts_customer AS c, generate_series(1, 5000) AS n",
        )
        cursor.execute("ANALYZE accounts_customer")
        cursor.execute("SET LOCAL enable_seqscan = off")
    rows = Customer.objects.filter(tenant=tenant)
    found = matching(rows, "abc", SEARCHED_FIELDS)
    assert "Bitmap Index Scan on customer_words" in found.order_by().explain()
    page_of_results = in_order(found.order_by("-id"), "abc", SEARCHED_FIELDS)[:50]
    assert "Bitmap Index Scan on customer_words" in page_of_results.explain()


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("elodie", ["77"]),
        ("ÉLO", ["77"]),
        ("goud", ["77"]),  # the second word of the company
        ("wörks ann elodie", ["77"]),
        ("works goudreau elod", ["77"]),
        ("household-77", ["77", "778"]),
        ("household-77@example.com", ["77", "778"]),  # its own first
        ("778", ["778"]),
        ("o'brien", ["778"]),
        ("brien o", ["778"]),
        ("lukasz strasse", ["778"]),
        ("\u2060\u00a0lukasz\u200bstra\u00adsse\ufeff", ["778"]),  # pasted
        ("odie", []),
        ("!!", []),
        ("", ["778", "77"]),
    ],
)
def test_a_customer_is_found_by_the_beginnings_of_words(tenant: Tenant, term: str, found: list[str]) -> None:
    CustomerFactory(
        tenant=tenant,
        external_id="77",
        email="household-77@example.com",
        first_name="Anne Élodie",
        last_name="Martin",
        company="Works & Goudreau",
    )
    CustomerFactory(
        tenant=tenant,
        external_id="778",
        email="household-778@example.com",
        first_name="Łukasz",
        last_name="O’Brien",
        company="Straße 5",
    )
    browser = browser_of(tenant, "view_customer")
    shown = browser.get(page("customer_changelist"), {"q": term}).context["cl"].result_list
    assert [customer.external_id for customer in shown] == found


@pytest.mark.parametrize(
    ("stored", "term"),
    [
        ("Kaf\u00adfee\u00adhaus", "kaffeehaus"),
        ("Kaffee\u2060haus", "kaffeeh"),
        ("Kaffee\ufeffhaus", "kaffeehaus"),
        ("Kaf\u200bfee", "kaffee"),  # as it looks
        ("Kaffee\u200bhaus", "haus"),  # as it may be meant
        ("\u202aKaffee\u202c", "kaffee"),
        ("Kaffee\ufe0f\u200d", "kaffee"),
        ("Kaffeehaus", "kaf\u00adfee\ufe0f"),
        ("Zo\u00ade\u0308", "zoe"),
        ("می\u200cخواهم", "میخواهم"),
    ],
    ids=ascii,
)
def test_a_word_is_found_whatever_invisible_characters_are_in_it(
    tenant: Tenant, stored: str, term: str
) -> None:
    found = CustomerFactory(tenant=tenant, external_id="C1", company=stored)
    CustomerFactory(tenant=tenant, external_id="C2", company="Tee")
    company = LegalEntityFactory(tenant=tenant, external_id="L1", name=stored)
    assert list(matching(Customer.objects.all(), term, SEARCHED_FIELDS)) == [found]
    assert list(matching(LegalEntity.objects.all(), term, ("external_id", "name"))) == [company]


def test_a_term_of_which_nothing_can_be_seen_finds_everything(tenant: Tenant) -> None:
    CustomerFactory.create_batch(2, tenant=tenant)
    assert matching(Customer.objects.all(), "\u00ad \ufe0f", SEARCHED_FIELDS).count() == 2


def test_an_option_of_the_customer_search_shows_the_email(tenant: Tenant) -> None:
    CustomerFactory(
        tenant=tenant, external_id="77", email="ada@example.com", first_name="Ada", last_name="King"
    )
    browser = browser_of(
        tenant, "view_customer", "view_contactassignment", "add_contactassignment", "view_legalentity"
    )
    query = {"app_label": "accounts", "model_name": "contactassignment", "field_name": "customer"}
    response = browser.get("/admin/autocomplete/", {**query, "term": "ada"})
    assert [option["text"] for option in response.json()["results"]] == ["Ada King (77) ada@example.com"]


@pytest.mark.parametrize("customers", [1, 20])
def test_listing_customers_takes_as_many_statements_for_many_as_for_one(
    tenant: Tenant, customers: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    browser = browser_of(tenant, "view_customer")
    CustomerFactory.create_batch(customers, tenant=tenant)
    with django_assert_num_queries(8):  # session, user, zone, rights of user and groups, tenant, count, rows
        assert len(rows_of(browser, "customer")) == customers


def test_a_customer_is_deleted_with_all_that_is_theirs(staff_browser: Client, tenant: Tenant) -> None:
    contact = ContactAssignmentFactory(legal_entity__tenant=tenant)
    SessionFactory(client__tenant=tenant, customer=contact.customer)
    address = page("customer_delete", contact.customer.pk)
    counts = dict(staff_browser.get(address).context["model_count"])
    assert counts == {"customer": "1", "contact assignment": "1", "session": "1"}
    staff_browser.post(address, {"post": "yes"})
    assert (Customer.objects.count(), ContactAssignment.objects.count(), Session.objects.count()) == (0, 0, 0)


# --- companies ---


def test_a_company_and_its_contact_are_added(staff_browser: Client, tenant: Tenant) -> None:
    customer = CustomerFactory(tenant=tenant)
    staff_browser.post(page("legalentity_add"), COMPANY)
    entity = LegalEntity.objects.get()
    assert (entity.external_id, entity.name, entity.tenant) == ("L1", "Works", tenant)
    values = {"legal_entity": entity.pk, "customer": customer.pk, "type": "CONTACT", **JSON}
    staff_browser.post(page("contactassignment_add"), values)
    contact = ContactAssignment.objects.get()
    assert (contact.legal_entity, contact.customer) == (entity, customer)


def test_a_customer_is_a_contact_of_a_company_once(staff_browser: Client, tenant: Tenant) -> None:
    contact = ContactAssignmentFactory(legal_entity__tenant=tenant)
    values = {
        "legal_entity": contact.legal_entity.pk,
        "customer": contact.customer.pk,
        "type": "CONTACT",
        **JSON,
    }
    errors = errors_of(staff_browser.post(page("contactassignment_add"), values))
    assert errors["customer"] == ["The customer is a contact of this legal entity already."]


def test_a_company_is_not_below_itself(staff_browser: Client, tenant: Tenant) -> None:
    parent = LegalEntityFactory(tenant=tenant)
    child = LegalEntityFactory(tenant=tenant, parent=parent)
    values = {**COMPANY, "parent": child.pk, "expected_version": parent.version}
    response = staff_browser.post(page("legalentity_change", parent.pk), values)
    assert errors_of(response) == {"parent": ["A legal entity cannot be below itself."]}


def test_a_company_is_deleted_with_its_subsidiaries(staff_browser: Client, tenant: Tenant) -> None:
    parent = LegalEntityFactory(tenant=tenant)
    child = LegalEntityFactory(tenant=tenant, parent=parent)
    selection = {"action": "delete_selected", "_selected_action": [parent.pk, child.pk], "post": "yes"}
    response = staff_browser.post(page("legalentity_changelist"), selection, follow=True)
    assert messages_of(response) == ["Deleted 2 companies."]
    assert not LegalEntity.objects.exists()


def test_the_page_of_a_company_leads_to_its_contacts(staff_browser: Client, tenant: Tenant) -> None:
    contact = ContactAssignmentFactory(legal_entity__tenant=tenant)
    text = staff_browser.get(page("legalentity_change", contact.legal_entity.pk)).content.decode()
    assert f"{page('contactassignment_changelist')}?legal_entity__id__exact={contact.legal_entity.pk}" in text
    query = {"legal_entity__id__exact": contact.legal_entity.pk}
    assert rows_of(staff_browser, "contactassignment", **query) == [contact]


# --- tenants and sites ---


def test_a_new_default_site_takes_the_role_from_the_old_one(staff_browser: Client, site: Site) -> None:
    staff_browser.post(page("site_add"), {**SHOP, "is_default": "on"})
    assert dict(Site.objects.values_list("code", "is_default")) == {"main": False, "second": True}
    second = Site.objects.get(code="second")
    assert (second.languages, second.available_currencies) == (["en", "de"], ["EUR", "USD"])


def test_the_default_site_stays_one(staff_browser: Client, site: Site) -> None:
    values = {**SHOP, "expected_version": site.version}
    response = staff_browser.post(page("site_change", site.pk), values)
    assert errors_of(response) == {
        "is_default": ["This is the default site; make another site the default instead."]
    }


def test_the_languages_of_a_site_hold_its_default(staff_browser: Client, site: Site) -> None:
    errors = errors_of(staff_browser.post(page("site_add"), {**SHOP, "languages": "de"}))
    assert errors == {"languages": ["languages must contain the default language en."]}


def test_a_site_code_is_taken_once(staff_browser: Client, site: Site) -> None:
    errors = errors_of(staff_browser.post(page("site_add"), {**SHOP, "code": "main"}))
    assert errors == {"code": ["Another site has this already."]}
    assert Site.objects.count() == 1


def test_a_tenant_is_made_with_its_site_by_operators_only(
    operator_browser: Client, staff_browser: Client
) -> None:
    values = {"name": "initech", "default_language": "en", "languages": "en,de", "currency": "EUR"}
    assert staff_browser.post(page("tenant_add"), values).status_code == 403
    assert operator_browser.post(page("tenant_add"), values).status_code == 302
    tenant = Tenant.objects.get(name="initech")
    assert (tenant.languages, Site.objects.get(tenant=tenant).is_default) == (["en", "de"], True)


def test_staff_change_their_tenant_but_do_not_switch_it_off(staff_browser: Client, tenant: Tenant) -> None:
    values = {
        "name": "other",
        "title": "Acme",
        "default_language": "en",
        "languages": "en",
        "currency": "USD",
    }
    staff_browser.post(page("tenant_change", tenant.pk), values)
    tenant.refresh_from_db()
    assert (tenant.name, tenant.title, tenant.currency, tenant.is_active) == ("acme", "Acme", "USD", True)


def test_no_tenant_is_deleted(operator_browser: Client, tenant: Tenant) -> None:
    assert operator_browser.post(page("tenant_delete", tenant.pk), {"post": "yes"}).status_code == 403


# --- API clients ---


def secret_in(response: HttpResponse) -> str:
    found = re.search(r'id="secret">([^<]+)<', response.content.decode())
    assert found is not None
    return found[1]


def test_the_secret_of_a_new_client_is_shown_once(staff_browser: Client, tenant: Tenant) -> None:
    values = {"client_id": "shop", "has_secret": "on", "scopes": ["coupon.coupon_read"]}
    response = staff_browser.post(page("apiclient_add"), values)
    secret = secret_in(response)
    assert "no-store" in response["Cache-Control"]
    client = ApiClient.objects.get()
    assert (client.client_id, client.tenant, client.scopes) == ("shop", tenant, ["coupon.coupon_read"])
    assert ClientSecret.objects.get().digest == digest_of(secret)
    for address in (page("apiclient_change", client.pk), page("clientsecret_changelist")):
        text = staff_browser.get(address).content.decode()
        assert secret not in text
        assert digest_of(secret) not in text


def test_a_client_without_an_id_gets_one_and_a_storefront_no_secret(
    staff_browser: Client, tenant: Tenant
) -> None:
    response = staff_browser.post(page("apiclient_add"), {"client_id": "", "may_start_sessions": "on"})
    assert response.status_code == 302
    client = ApiClient.objects.get()
    assert client.client_id.startswith("acme-")
    assert client.may_start_sessions
    assert not ClientSecret.objects.exists()


@pytest.mark.parametrize(("keep", "days"), [({"keep": "on"}, 7), ({}, 0)])
def test_a_new_secret_leaves_the_old_one_good_for_a_week_or_not_at_all(
    staff_browser: Client, tenant: Tenant, keep: dict[str, str], days: int
) -> None:
    client = ApiClientFactory(tenant=tenant)
    old = ClientSecret.objects.create(client=client, slot=1, digest="0" * 64)
    before = timezone.now()
    secret = secret_in(staff_browser.post(page("apiclient_rotate", client.pk), keep))
    old.refresh_from_db()
    assert ClientSecret.objects.get(slot=2).digest == digest_of(secret)
    assert timedelta(0) <= old.expires_at - before - timedelta(days=days) < timedelta(minutes=1)


def test_all_tokens_of_a_client_are_revoked(staff_browser: Client, tenant: Tenant) -> None:
    client = ApiClientFactory(tenant=tenant)
    before = timezone.now()
    response = staff_browser.post(page("apiclient_revoke", client.pk), follow=True)
    assert messages_of(response) == ["All tokens of this client are refused from now on."]
    client.refresh_from_db()
    assert client.tokens_not_before >= before


@pytest.mark.parametrize("name", ["apiclient_rotate", "apiclient_revoke"])
def test_looking_at_the_question_changes_nothing(staff_browser: Client, tenant: Tenant, name: str) -> None:
    client = ApiClientFactory(tenant=tenant)
    assert staff_browser.get(page(name, client.pk)).status_code == 200
    client.refresh_from_db()
    assert client.tokens_not_before is None
    assert not ClientSecret.objects.exists()


@pytest.mark.parametrize("name", ["apiclient_rotate", "apiclient_revoke"])
def test_clients_of_another_tenant_are_not_changed(
    staff_browser: Client, other_tenant: Tenant, name: str
) -> None:
    client = ApiClientFactory(tenant=other_tenant)
    assert staff_browser.post(page(name, client.pk)).status_code == 404
    client.refresh_from_db()
    assert client.tokens_not_before is None
    assert not ClientSecret.objects.exists()


@pytest.mark.parametrize("name", ["apiclient_rotate", "apiclient_revoke"])
def test_who_may_only_look_at_clients_does_not_change_them(tenant: Tenant, name: str) -> None:
    browser = browser_of(tenant, "view_apiclient")
    client = ApiClientFactory(tenant=tenant)
    assert browser.post(page(name, client.pk)).status_code == 403


def test_a_client_is_deleted_with_secrets_and_sessions(staff_browser: Client, tenant: Tenant) -> None:
    client = ApiClientFactory(tenant=tenant)
    ClientSecret.objects.create(client=client, slot=1, digest="0" * 64)
    SessionFactory(client=client)
    response = staff_browser.post(page("apiclient_delete", client.pk), {"post": "yes"})
    assert response.status_code == 302
    assert (ApiClient.objects.count(), ClientSecret.objects.count(), Session.objects.count()) == (0, 0, 0)


# --- sessions and keys ---


def test_selected_sessions_are_revoked(staff_browser: Client, tenant: Tenant) -> None:
    first, ended = SessionFactory.create_batch(2, client__tenant=tenant)
    other = SessionFactory(client__tenant=tenant)
    Session.objects.filter(pk=ended.pk).update(revoked_at=datetime(2024, 1, 1, tzinfo=UTC))
    selection = {"action": "revoke", "_selected_action": [first.pk, ended.pk]}
    response = staff_browser.post(page("session_changelist"), selection, follow=True)
    assert messages_of(response) == ["Revoked 1 session."]
    revoked = dict(Session.objects.values_list("pk", "revoked_at"))
    assert revoked[first.pk] is not None
    assert revoked[ended.pk] == datetime(2024, 1, 1, tzinfo=UTC)
    assert revoked[other.pk] is None


def test_sessions_are_found_by_their_whole_id(staff_browser: Client, tenant: Tenant) -> None:
    session, _ = SessionFactory.create_batch(2, client__tenant=tenant)
    assert rows_of(staff_browser, "session", q=str(session.session_id)) == [session]
    assert rows_of(staff_browser, "session", q="nothing") == []


def test_sessions_and_keys_are_only_looked_at(operator_browser: Client, tenant: Tenant) -> None:
    session = SessionFactory(client__tenant=tenant)
    key = SigningKey.objects.create(kid="k1", status="retired", private_key="PRIVATE", public_key={})
    for name, row in (("session", session), ("signingkey", key)):
        assert operator_browser.get(page(f"{name}_change", row.pk)).status_code == 200
        assert operator_browser.post(page(f"{name}_change", row.pk), {}).status_code == 403
        assert operator_browser.post(page(f"{name}_delete", row.pk), {"post": "yes"}).status_code == 403
        assert operator_browser.get(page(f"{name}_add")).status_code == 403
    assert "PRIVATE" not in operator_browser.get(page("signingkey_change", key.pk)).content.decode()


def test_operators_rotate_the_signing_keys(operator_browser: Client, staff_browser: Client) -> None:
    assert staff_browser.post(page("signingkey_rotate")).status_code == 403
    assert not SigningKey.objects.exists()
    operator_browser.post(page("signingkey_rotate"))
    before = SigningKey.objects.get(status="next")
    operator_browser.post(page("signingkey_rotate"))
    assert SigningKey.objects.get(status="active") == before


# --- staff ---


def manager(tenant: Tenant, *codenames: str) -> Client:
    """Somebody who may manage the staff of the tenant, and has these rights besides."""
    return browser_of(tenant, "view_user", "add_user", "change_user", "delete_user", *codenames)


def group(name: str, *codenames: str) -> Group:
    found = Group.objects.create(name=name)
    found.permissions.set(Permission.objects.filter(codename__in=codenames))
    return found


NEW_USER = {
    "username": "new",
    "usable_password": "true",
    "password1": "correct horse battery",
    "password2": "correct horse battery",
    "is_staff": "on",
}


def test_staff_are_added_to_the_tenant_of_who_adds_them(tenant: Tenant, other_tenant: Tenant) -> None:
    given = group("Viewers", "view_segment")
    browser = manager(tenant, "view_segment")
    values = {**NEW_USER, "groups": [given.pk], "tenant": other_tenant.pk, "is_superuser": "on"}
    assert browser.post(page("user_add"), values).status_code == 302
    user = User.objects.get(username="new")
    assert (user.tenant, user.is_staff, user.is_superuser) == (tenant, True, False)
    assert list(user.groups.all()) == [given]
    assert user.check_password("correct horse battery")


def test_nobody_gives_rights_that_they_lack(tenant: Tenant) -> None:
    more = group("Movers", "change_segment")
    browser = manager(tenant, "view_segment")
    assert "groups" in errors_of(browser.post(page("user_add"), {**NEW_USER, "groups": [more.pk]}))
    assert not User.objects.filter(username="new").exists()


def test_nobody_changes_somebody_who_may_do_more(tenant: Tenant) -> None:
    colleague = UserFactory(tenant=tenant, first_name="Before")
    colleague.user_permissions.set(Permission.objects.filter(codename="change_segment"))
    superuser = UserFactory(tenant=tenant, is_superuser=True)
    browser = manager(tenant)
    values = {"username": "taken-over", "is_active": "on"}
    assert browser.post(page("user_change", colleague.pk), values).status_code == 403
    assert browser.post(page("user_change", superuser.pk), values).status_code == 302  # not there for them
    password = reverse("admin:auth_user_password_change", args=[colleague.pk])
    change = {"password1": "correct horse battery", "password2": "correct horse battery"}
    assert browser.post(password, change).status_code == 403
    assert not User.objects.filter(username="taken-over").exists()


def test_the_password_of_staff_of_another_tenant_is_out_of_reach(
    tenant: Tenant, other_tenant: Tenant
) -> None:
    stranger = UserFactory(tenant=other_tenant, password="before")
    password = reverse("admin:auth_user_password_change", args=[stranger.pk])
    change = {"password1": "correct horse battery", "password2": "correct horse battery"}
    assert manager(tenant).post(password, change).status_code in (302, 403, 404)
    stranger.refresh_from_db()
    assert stranger.password == "before"


def test_operators_choose_the_tenant_of_staff_and_make_superusers(
    operator_browser: Client, other_tenant: Tenant
) -> None:
    operator_browser.post(page("user_add"), {**NEW_USER, "tenant": other_tenant.pk})
    assert User.objects.get(username="new").tenant == other_tenant
    operator_browser.post(page("user_add"), {**NEW_USER, "username": "root", "is_superuser": "on"})
    assert User.objects.get(username="root").tenant is None


def test_staff_without_a_tenant_are_not_made(operator_browser: Client) -> None:
    errors = errors_of(operator_browser.post(page("user_add"), NEW_USER))
    assert errors == {"tenant": ["Staff belong to a tenant, unless they are superusers."]}


def test_groups_serve_all_tenants_and_are_the_operators(
    operator_browser: Client, staff_browser: Client
) -> None:
    given = group("Viewers", "view_segment")
    address = reverse("admin:auth_group_change", args=[given.pk])
    assert operator_browser.get(address).status_code == 200
    assert staff_browser.get(address).status_code in (302, 403)
    assert staff_browser.get(reverse("admin:auth_group_changelist")).status_code == 403


# Logging in


def admin_login(browser: Client, username: str, password: str) -> HttpResponse:
    return browser.post("/admin/login/", {"username": username, "password": password})


def login_error(browser: Client, username: str, password: str = "wrong") -> str:
    return admin_login(browser, username, password).context["form"].non_field_errors()[0]


def test_failed_logins_of_staff_are_limited(tenant: Tenant) -> None:
    user = UserFactory(username="staff", tenant=tenant)
    user.set_password("correct horse battery")
    user.save()
    browser = Client()
    for _ in range(5):
        assert login_error(browser, "staff").startswith("Please enter the correct username")
    assert re.fullmatch(
        r"Too many failed attempts; try again in \d+ seconds.",
        login_error(browser, "Staff", "correct horse battery"),
    )
    elsewhere = Client(REMOTE_ADDR="192.0.2.7")
    assert admin_login(elsewhere, "staff", "correct horse battery").status_code == 302
    for number in range(101):
        login_error(elsewhere, f"nobody-{number}")
    assert login_error(elsewhere, "another").startswith("Too many failed attempts")
    assert admin_login(elsewhere, "staff", "correct horse battery").status_code == 302


def test_login_of_staff_forgives_the_failures_before_it(tenant: Tenant) -> None:
    user = UserFactory(username="staff", tenant=tenant)
    user.set_password("correct horse battery")
    user.save()
    browser = Client()
    for _ in range(3):
        for _ in range(4):
            login_error(browser, "staff")
        assert admin_login(browser, "staff", "correct horse battery").status_code == 302


def test_selected_customers_are_erased_after_a_question(staff_browser: Client, tenant: Tenant) -> None:
    ada, other = CustomerFactory(tenant=tenant, first_name="Ada"), CustomerFactory(tenant=tenant)
    values = {"action": "erase_selected", "_selected_action": [ada.pk]}
    asked = staff_browser.post(page("customer_changelist"), values)
    assert "This cannot be undone" in asked.content.decode()
    assert Customer.objects.count() == 2
    response = staff_browser.post(page("customer_changelist"), {**values, "post": "yes"}, follow=True)
    assert messages_of(response) == ["Erased 1 customer."]
    assert Customer.objects.get() == other
    assert Erasure.objects.get().requested_by == "staff staff"
    assert Erasure.objects.get().pseudonym in staff_browser.get(page("erasure_changelist")).content.decode()


def test_customers_of_another_tenant_are_not_erased(staff_browser: Client, other_tenant: Tenant) -> None:
    theirs = CustomerFactory(tenant=other_tenant)
    values = {"action": "erase_selected", "_selected_action": [theirs.pk], "post": "yes"}
    staff_browser.post(page("customer_changelist"), values)
    assert Customer.objects.get() == theirs


def test_who_may_not_delete_customers_may_not_erase_them(tenant: Tenant) -> None:
    user = UserFactory(tenant=tenant)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_customer", "change_customer"]))
    browser = Client()
    browser.force_login(user)
    customer = CustomerFactory(tenant=tenant)
    values = {"action": "erase_selected", "_selected_action": [customer.pk], "post": "yes"}
    browser.post(page("customer_changelist"), values)
    assert Customer.objects.exists()
    assert not Erasure.objects.exists()


@pytest.mark.parametrize("term", ["household-77@example.com", "HOUSEHOLD-77@example.com", "77"])
def test_the_customer_whose_number_or_email_is_searched_comes_first(
    staff_browser: Client, tenant: Tenant, term: str
) -> None:
    wanted = CustomerFactory(tenant=tenant, external_id="77", email="household-77@example.com")
    for number in ("770", "779", "7-77"):  # newer, and with the words of the search
        CustomerFactory(tenant=tenant, external_id=number, email=f"77-household-77@{number}.example.com")
    page = staff_browser.get(reverse("admin:accounts_customer_changelist"), {"q": term})
    assert page.context["cl"].result_list[0] == wanted
    query = {
        "app_label": "segments",
        "model_name": "customerassignment",
        "field_name": "customer",
        "term": term,
    }
    found = staff_browser.get(reverse("admin:autocomplete"), query).json()["results"]
    assert found[0]["id"] == str(wanted.pk)
    assert "household-77@example.com" in found[0]["text"]
