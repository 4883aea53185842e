import json
import re
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils.inspect import get_func_args
from pytest_django import DjangoAssertNumQueries

from accounts.models import Customer, Site
from catalog.models import Product
from core.admin import CappedPaginator, JsonField, LocalizedField, starting_with
from core.admin.moments import MomentInput
from core.journal.models import Change
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from coupons.models import Coupon
from segments.models import ItemAssignment, Segment
from tests.factories.accounts import CustomerFactory, SiteFactory, UserFactory
from tests.factories.catalog import ProductFactory
from tests.factories.coupons import CouponFactory, ReservationFactory
from tests.factories.segments import ItemAssignmentFactory, SegmentFactory

# --- fields ---


def localized(**options: object) -> LocalizedField:
    return LocalizedField(languages=["en", "de"], max_length=5, **options)


def test_a_localized_field_leaves_empty_languages_out() -> None:
    assert localized().clean(["VIP", ""]) == {"en": "VIP"}


def test_a_localized_field_that_is_required_needs_one_language() -> None:
    assert localized(required=True).clean(["", "VIP"]) == {"de": "VIP"}
    with pytest.raises(ValidationError, match="This field is required"):
        localized(required=True).clean(["", ""])


def test_a_localized_field_that_is_not_required_may_be_empty() -> None:
    assert localized(required=False).clean(["", ""]) == {}


def test_a_localized_field_bounds_each_text() -> None:
    with pytest.raises(ValidationError, match="at most 5 characters"):
        localized().clean(["too long", ""])


def test_a_localized_field_shows_one_input_for_each_language() -> None:
    html = localized().widget.render("name", {"de": "Stamm", "en": "VIP"}, {"id": "id_name"})
    assert html.index('name="name_en" value="VIP"') < html.index('name="name_de" value="Stamm"')


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (dict, '{"a": 1}', {"a": 1}),
        (dict, "", {}),
        (list, "[1]", [1]),
        (list, "", []),
        (dict, '{"path": "C:\\\\u0000"}', {"path": "C:\\u0000"}),
        (dict, '{"a": 18446744073709551616}', {"a": 2.0**64}),
        (list, "[" * 30 + "]" * 30, json.loads("[" * 30 + "]" * 30)),
    ],
)
def test_json_of_the_right_kind_is_taken(kind: type, text: str, value: object) -> None:
    assert JsonField(kind=kind, required=False).clean(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (dict, "[1]", "Enter an object such as"),
        (list, "{}", "Enter a list such as"),
        (dict, "{", "Enter a valid JSON"),
        (dict, '{"a": "\\u0000"}', "U\\+0000 cannot be stored"),
        (dict, json.dumps({"a": "x" * 100_000}), "no more than 100,000 characters"),
        (dict, "[" * 50_000, "nested too deeply"),
        (list, "[" * 31 + "]" * 31, "nested too deeply"),
        (dict, '{"a": ' + "[" * 30 + "]" * 30 + ', "a": 1}', "nested too deeply"),
        (dict, '{"a": NaN}', "Enter a valid JSON"),
        (dict, '{"a": 1e400}', "Enter a valid JSON"),
        (dict, '{"a": "\\ud800"}', "Enter a valid JSON"),
        (dict, '{"a": ' + "9" * 5_000 + "}", "too many digits"),
        (dict, '{"a": {"b": 1, "b": 2}}', "The name b is there twice in one object"),
    ],
)
def test_json_that_cannot_be_stored_is_refused(kind: type, text: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        JsonField(kind=kind).clean(text)


def test_a_time_keeps_its_milliseconds_through_the_form() -> None:
    widget = MomentInput()
    end = datetime(2024, 1, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    html = widget.render("valid_to", end)
    assert 'value="2024-01-31"' in html
    assert 'value="23:59:59.999"' in html
    assert "UTC" in html


# --- lists ---


def test_a_capped_paginator_counts_no_further_than_its_cap(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr(CappedPaginator, "cap", 2)
    CustomerFactory.create_batch(3, tenant=tenant)
    paginator = CappedPaginator(Customer.objects.order_by("id"), 1)
    with django_assert_num_queries(1):
        assert (paginator.count, paginator.is_capped, paginator.num_pages) == (2, True, 2)
    Customer.objects.first().delete()
    fits = CappedPaginator(Customer.objects.order_by("id"), 1)
    assert (fits.count, fits.is_capped) == (2, False)


def test_a_search_takes_each_word_as_a_beginning(tenant: Tenant) -> None:
    ada = CustomerFactory(
        tenant=tenant, external_id="C1", first_name="Ada", last_name="Lovelace", email="Ada@x.org"
    )
    CustomerFactory(
        tenant=tenant, external_id="C2", first_name="Grace", last_name="Hopper", email="grace@x.org"
    )

    def found(term: str) -> list[Customer]:
        folded = ["email", "first_name", "last_name"]
        return list(starting_with(Customer.objects.all(), term, exact=["external_id"], folded=folded))

    assert found("LOVE") == [ada]
    assert found("ada lovelace") == [ada]
    assert found("ada hopper") == []
    assert found("C1") == [ada]
    assert found("c1") == []  # ids tell upper case from lower
    assert found("ada@") == [ada]
    assert found("lace") == []
    assert len(found("")) == 2


def test_the_index_groups_models_as_a_merchandiser_thinks(staff_browser: Client) -> None:
    groups = staff_browser.get(reverse("admin:index")).context["app_list"]
    shown = {group["name"]: [model["object_name"] for model in group["models"]] for group in groups}
    assert shown["Segments"] == ["Segment", "CustomerAssignment", "ItemAssignment"]
    assert shown["Customers"] == ["Customer", "LegalEntity", "ContactAssignment", "Erasure"]


def test_the_page_says_whose_data_it_shows(staff_browser: Client, operator_browser: Client) -> None:
    assert 'class="console-tenant"' in staff_browser.get(reverse("admin:index")).content.decode()
    assert staff_browser.get(reverse("admin:index")).context["console_tenant"] == "acme"
    assert operator_browser.get(reverse("admin:index")).context["console_tenant"] == "all tenants"


def test_an_empty_list_says_what_to_do(staff_browser: Client) -> None:
    page = staff_browser.get(reverse("admin:segments_segment_changelist"))
    assert "There are no segments yet." in page.content.decode()
    assert (
        "Add one, put customers, products and categories into it, and activate it." in page.content.decode()
    )


def test_a_search_without_result_offers_to_clear_it(staff_browser: Client) -> None:
    page = staff_browser.get(reverse("admin:segments_segment_changelist"), {"q": "nothing"})
    assert "No segments match." in page.content.decode()


def test_no_list_counts_the_whole_table() -> None:
    for model, model_admin in admin.site._registry.items():
        assert model_admin.show_full_result_count is False, model
        assert model_admin.paginator is CappedPaginator, model
        assert model_admin.show_facets is admin.ShowFacets.NEVER, model


def test_nothing_is_edited_inline() -> None:
    assert [model for model, model_admin in admin.site._registry.items() if model_admin.inlines] == []


# --- the tenant of a new row ---


def form_values(site: Site, **values: object) -> JsonObject:
    return {
        "external_id": "vip",
        "site": site.pk,
        "name_en": "VIP",
        "status": "ACTIVE",
        "mixins": "{}",
        "mixin_schemas": "{}",
        **values,
    }


def test_staff_add_rows_to_their_own_tenant(staff_browser: Client, site: Site) -> None:
    staff_browser.post(reverse("admin:segments_segment_add"), form_values(site))
    assert Segment.objects.get().tenant == site.tenant


def test_staff_cannot_add_rows_to_another_tenant(
    staff_browser: Client, site: Site, other_tenant: Tenant
) -> None:
    values = form_values(site, tenant=other_tenant.pk, _tenant=other_tenant.pk)
    staff_browser.post(reverse("admin:segments_segment_add"), values)
    assert Segment.objects.get().tenant == site.tenant


def test_a_superuser_chooses_the_tenant_first(
    operator_browser: Client, tenant: Tenant, other_tenant: Tenant
) -> None:
    page = operator_browser.get(reverse("admin:segments_segment_add"), {"_popup": "1"})
    assert "Add segment: for which tenant?" in page.content.decode()
    assert '<input type="hidden" name="_popup" value="1">' in page.content.decode()
    assert list(page.context["tenants"]) == [tenant, other_tenant]


def test_a_superusers_form_offers_the_chosen_tenants_rows_and_languages(
    operator_browser: Client, site: Site, other_tenant: Tenant
) -> None:
    other_tenant.languages = ["en", "fr"]
    other_tenant.save()
    page = operator_browser.get(
        reverse("admin:segments_segment_add"), {"tenant": other_tenant.pk}
    ).content.decode()
    assert 'name="name_fr"' in page
    assert 'name="name_de"' not in page
    assert f"tenant={other_tenant.pk}" in page  # what the site field searches in


def test_a_superuser_adds_a_row_to_the_chosen_tenant(
    operator_browser: Client, site: Site, other_tenant: Tenant
) -> None:
    other_site = SiteFactory(tenant=other_tenant)
    values = form_values(other_site, _tenant=other_tenant.pk)
    operator_browser.post(reverse("admin:segments_segment_add"), values)
    assert Segment.objects.get().tenant == other_tenant


def test_a_superusers_form_refuses_a_row_of_another_than_the_chosen_tenant(
    operator_browser: Client, site: Site, other_tenant: Tenant
) -> None:
    page = operator_browser.post(
        reverse("admin:segments_segment_add"), form_values(site, _tenant=other_tenant.pk)
    )
    assert page.context["adminform"].form.errors["site"] == [
        "Select a valid choice. That choice is not one of the available choices."
    ]
    assert not Segment.objects.exists()


def test_the_tenant_of_a_row_is_fixed(operator_browser: Client, site: Site, other_tenant: Tenant) -> None:
    segment = SegmentFactory(site=site)
    page = reverse("admin:segments_segment_change", args=[segment.pk])
    values = form_values(site, tenant=other_tenant.pk, _tenant=other_tenant.pk, expected_version=1)
    assert operator_browser.post(page, values).status_code == 302
    segment.refresh_from_db()
    assert (segment.tenant, segment.name) == (site.tenant, {"en": "VIP"})


def test_staff_without_a_tenant_are_refused(staff_browser: Client, tenant: Tenant) -> None:
    # The database keeps such a user from being stored, so this one is made on the way in.
    from_database = UserFactory._meta.model.from_db.__func__

    def without_tenant(cls: type, *arguments: object, **named: object) -> object:
        user = from_database(cls, *arguments, **named)
        user.tenant_id = None
        return user

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UserFactory._meta.model, "from_db", classmethod(without_tenant))
        response = staff_browser.get(reverse("admin:segments_segment_changelist"))
    assert response.status_code == 403


# --- saving ---


def change(browser: Client, segment: Segment, **values: object) -> HttpResponse:
    page = reverse("admin:segments_segment_change", args=[segment.pk])
    return browser.post(page, form_values(segment.site, **values))


def test_a_form_carries_the_version_that_was_seen(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site, version=7)
    page = staff_browser.get(reverse("admin:segments_segment_change", args=[segment.pk])).content.decode()
    assert '<input type="hidden" name="expected_version" value="7" id="id_expected_version">' in page


def test_the_second_of_two_editors_is_told(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site, version=2, name={"en": "First"})
    page = change(staff_browser, segment, name_en="Second", expected_version=1)
    assert page.status_code == 200
    [message] = page.context["adminform"].form.non_field_errors()
    assert message.startswith("Somebody else changed this in the meantime")
    assert 'value="Second"' in page.content.decode()
    segment.refresh_from_db()
    assert (segment.name, segment.version) == ({"en": "First"}, 2)


def test_a_refusal_that_only_the_operation_knows_comes_back_beside_its_field(
    staff_browser: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a site that is gone when the operation looks for it
    segment = SegmentFactory(site=site, name={"en": "First"})
    monkeypatch.setattr("segments.operations.segments.site_keys", lambda tenant_id, rows: {})
    # when
    page = change(staff_browser, segment, name_en="Second", expected_version=1)
    # then
    assert page.status_code == 200
    assert page.context["adminform"].form.errors == {"site": ["There is no site main."]}
    assert 'value="Second"' in page.content.decode()
    assert list(page.context["messages"]) == []
    segment.refresh_from_db()
    assert segment.name == {"en": "First"}


def test_a_version_that_changes_under_the_form_is_found_by_the_operation(
    staff_browser: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = SegmentFactory(site=site)
    locked = "segments.admin.segments.locked_segment"

    def changed_by_somebody(**arguments: object) -> None:
        Segment.objects.update(version=2)

    monkeypatch.setattr(locked, changed_by_somebody)
    page = change(staff_browser, segment, expected_version=1)
    [message] = page.context["adminform"].form.non_field_errors()
    assert message.startswith("Somebody else changed this in the meantime")
    segment.refresh_from_db()
    assert segment.version == 1  # what the other one did in our transaction is rolled back with it


def test_languages_that_the_tenant_does_not_use_any_more_are_kept(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site, name={"en": "VIP", "fr": "Fidèles"})
    page = reverse("admin:segments_segment_change", args=[segment.pk])
    assert 'name="name_fr" value="Fidèles"' in staff_browser.get(page).content.decode()
    change(staff_browser, segment, name_fr="Fidèles", name_en="Best", expected_version=1)
    segment.refresh_from_db()
    assert segment.name == {"en": "Best", "fr": "Fidèles"}


def test_a_form_saved_unchanged_keeps_the_milliseconds_of_a_window(staff_browser: Client, site: Site) -> None:
    end = datetime(2024, 1, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    segment = SegmentFactory(site=site, valid_to=end)
    change(staff_browser, segment, valid_to_0="2024-01-31", valid_to_1="23:59:59.999", expected_version=1)
    segment.refresh_from_db()
    assert segment.valid_to == end


# --- deletion ---


def test_deletion_tells_counts_and_loads_nothing(
    staff_browser: Client, site: Site, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    product = ProductFactory(tenant=site.tenant)
    for _ in range(3):
        ItemAssignmentFactory(segment=SegmentFactory(site=site), product=product)
    page = reverse("admin:catalog_product_delete", args=[product.pk])
    response = staff_browser.get(page)
    assert response.context["model_count"] == {"product": "1", "item assignments": "3"}.items()
    assert len(response.context["deleted_objects"]) == 1


def test_a_deletion_says_whether_it_can_be_taken_back(staff_browser: Client, site: Site) -> None:
    product, customer = ProductFactory(tenant=site.tenant), CustomerFactory(tenant=site.tenant)

    def asked(row: Model) -> str:
        page = f"admin:{row._meta.app_label}_{row._meta.model_name}"
        selected = {"action": "delete_selected", "_selected_action": [row.pk]}
        both = [
            staff_browser.get(reverse(f"{page}_delete", args=[row.pk])),
            staff_browser.post(reverse(f"{page}_changelist"), selected),
        ]
        [one] = {response.context["is_undoable"] for response in both}
        assert all(
            ("It can be taken back under Activity." in text, "This cannot be undone." in text)
            == (one, not one)
            for text in (response.content.decode() for response in both)
        )
        return "can" if one else "cannot"

    assert (asked(product), asked(customer)) == ("can", "cannot")


@pytest.mark.parametrize("is_selected", [True, False], ids=["selected", "one"])
def test_what_is_deleted_is_restored_by_the_message_where_it_can_be(
    staff_browser: Client, site: Site, is_selected: bool
) -> None:
    coupon = CouponFactory(tenant=site.tenant)
    product, customer = ProductFactory(tenant=site.tenant), CustomerFactory(tenant=site.tenant)
    ItemAssignmentFactory(segment=SegmentFactory(site=site), product=product)

    def deleted(row: Model) -> str:
        page = f"admin:{row._meta.app_label}_{row._meta.model_name}"
        lists = reverse(f"{page}_changelist")
        selected = {"action": "delete_selected", "_selected_action": [row.pk]} if is_selected else {}
        address = lists if is_selected else reverse(f"{page}_delete", args=[row.pk])
        answer = staff_browser.post(address, {**selected, "post": "yes"}, follow=True)
        *_, message = [str(one) for one in answer.context["messages"]]
        occasion = dict(re.findall(r'name="(type|id|next)" value="([^"]*)"', message))
        if not occasion:
            return "gone"
        assert "Restore" in message
        restored = staff_browser.post(reverse("admin:journal_change_undo_occasion"), occasion)
        assert (restored.status_code, restored["Location"]) == (302, lists)
        return "restored"

    assert [deleted(row) for row in (coupon, product, customer)] == ["restored", "restored", "gone"]
    assert Product.objects.get().pk == product.pk
    assert ItemAssignment.objects.get().product == product
    assert Coupon.objects.live().get() == coupon
    assert not Customer.objects.exists()


def test_the_page_of_an_app_is_called_as_the_groups_that_lead_there(staff_browser: Client) -> None:
    page = staff_browser.get("/admin/accounts/")
    assert page.context["title"] == "Customers, Access"
    assert [group["name"] for group in page.context["app_list"]] == ["Customers", "Access"]


def test_what_others_refer_to_is_not_deleted(staff_browser: Client, site: Site) -> None:
    SegmentFactory(site=site)
    page = reverse("admin:accounts_site_delete", args=[site.pk])
    [(number, name, listed)] = staff_browser.get(page).context["protecting"]
    assert (number, name) == ("1", "segment")
    assert staff_browser.get(listed).context["cl"].paginator.count == 1
    staff_browser.post(page, {"post": "yes"})
    assert Site.objects.filter(pk=site.pk).exists()


def test_a_refusal_of_a_deletion_is_told_on_the_rows_page(staff_browser: Client, site: Site) -> None:
    page = reverse("admin:accounts_site_delete", args=[site.pk])
    response = staff_browser.post(page, {"post": "yes"}, follow=True)
    assert response.redirect_chain == [(reverse("admin:accounts_site_change", args=[site.pk]), 302)]
    assert [str(message) for message in response.context["messages"]] == [
        "The default site cannot be deleted."
    ]
    assert Site.objects.filter(pk=site.pk).exists()


def test_selected_rows_are_deleted_after_a_question(staff_browser: Client, site: Site) -> None:
    products = ProductFactory.create_batch(2, tenant=site.tenant)
    kept = ProductFactory(tenant=site.tenant)
    ItemAssignmentFactory(segment=SegmentFactory(site=site), product=products[0])
    page = reverse("admin:catalog_product_changelist")
    selection = {"action": "delete_selected", "_selected_action": [product.pk for product in products]}
    question = staff_browser.post(page, selection)
    own, (number, name, listed) = question.context["counts"]
    assert (own, number, name) == (("2", "products", "#deleted-objects"), "1", "item assignment")
    assert staff_browser.get(listed).context["cl"].paginator.count == 1
    assert Product.objects.count() == 3
    response = staff_browser.post(page, {**selection, "post": "yes"}, follow=True)
    [message] = [str(message) for message in response.context["messages"]]
    assert message.startswith("Deleted 2 products. <form")
    assert list(Product.objects.all()) == [kept]


def test_all_rows_across_pages_are_deleted_without_naming_them(staff_browser: Client, site: Site) -> None:
    products = ProductFactory.create_batch(3, tenant=site.tenant)
    page = reverse("admin:catalog_product_changelist")
    selection = {"action": "delete_selected", "_selected_action": [products[0].pk], "select_across": "1"}
    question = staff_browser.post(page, selection)
    assert question.context["selected"] == [str(products[0].pk)]
    staff_browser.post(page, {**selection, "post": "yes"})
    assert not Product.objects.exists()


def test_more_rows_than_are_deleted_at_once_are_refused(
    staff_browser: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What refers to them would stay locked for too long."""
    monkeypatch.setattr("core.admin.actions.MOST_DELETED", 2)
    products = ProductFactory.create_batch(3, tenant=site.tenant)
    page = reverse("admin:catalog_product_changelist")
    selection = {"action": "delete_selected", "_selected_action": [product.pk for product in products]}
    for body in (selection, {**selection, "post": "yes"}):
        response = staff_browser.post(page, body, follow=True)
        assert [str(message) for message in response.context["messages"]] == ["Select at most 2 at a time."]
    assert Product.objects.count() == 3


def test_the_log_of_the_admin_has_only_what_the_journal_does_not_record(
    staff_browser: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.admin.deletion.MAX_LOGGED_ROWS", 2)
    address = reverse("admin:accounts_customer_add")
    values = {"tenant": site.tenant.pk, "external_id": "C1", "type": "CUSTOMER"}
    assert staff_browser.post(address, values).status_code == 302
    customer = Customer.objects.get()
    change(staff_browser, SegmentFactory(site=site), name_en="Second")
    staff_browser.post(reverse("admin:accounts_customer_delete", args=[customer.pk]), {"post": "yes"})
    assert Change.objects.filter(object="customer").count() == 2
    assert not LogEntry.objects.exists()
    held = [ReservationFactory(coupon=CouponFactory(tenant=site.tenant)).pk for _ in range(3)]
    page = reverse("admin:coupons_reservation_changelist")
    staff_browser.post(page, {"action": "delete_selected", "_selected_action": held, "post": "yes"})
    assert [entry.object_repr for entry in LogEntry.objects.all()] == ["3 reservations"]


def test_every_registered_model_has_its_place_on_the_index(operator_browser: Client) -> None:
    groups = operator_browser.get(reverse("admin:index")).context["app_list"]
    assert [group["name"] for group in groups] == list(settings.ADMIN_INDEX)


def test_a_session_cookie_with_a_nul_character_is_no_session(client: Client, db: None) -> None:
    cookie = {"cookie": r'sessionid="\000aaaaaaaaaaaaaaaaaaa"'}
    response = client.get(reverse("admin:index"), headers=cookie)
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("admin:login"))


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("/admin/segments/segment/", "/admin/segments/segment/"),
        ("/admin/segments/segment/?status=ACTIVE", "/admin/segments/segment/?status=ACTIVE"),
        ("/admin/nothing/", "/admin/"),
        ("/admin/segments/nothing/", "/admin/"),
        ("/nothing", "/admin/"),
        ("/admin/logout/", "/admin/"),
        ("/admin/autocomplete/", "/admin/"),
        ("/customer-segment/acme/segments", "/admin/"),
        ("https://example.com/admin/", "/admin/"),
        ("", "/admin/"),
    ],
)
def test_a_login_leads_to_a_page_of_the_admin(tenant: Tenant, asked: str, shown: str) -> None:
    UserFactory(username="keeper", tenant=None, is_superuser=True, password=make_password("correct horse"))
    entries = {"username": "keeper", "password": "correct horse"}
    answer = Client().post(f"/admin/login/?{urlencode({'next': asked})}", entries)
    assert (answer.status_code, answer["Location"]) == (302, shown)


def test_lists_of_actions_take_what_django_passes_on_in_later_versions() -> None:
    """Django 6.1 looks at the names of the parameters, and warns where this one is missing."""
    for model_admin in admin.site._registry.values():
        assert "action_location" in get_func_args(model_admin.get_actions), model_admin
