import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import Site
from core.imports.models import ImportRun
from core.journal.models import Change
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from segments.admin import SegmentAdmin
from segments.models import CustomerAssignment, ItemAssignment, Segment, Tally
from tests.conftest import Clock
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
    UserFactory,
)
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

SEGMENTS = "admin:segments_segment"
MEMBERS = "admin:segments_customerassignment"
ITEMS = "admin:segments_itemassignment"
JSON = {"mixins": "{}", "mixin_schemas": "{}"}


def rows_of(browser: Client, page: str, **query: object) -> list[object]:
    response = browser.get(reverse(f"{page}_changelist"), query)
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def errors_of(response: HttpResponse) -> dict[str, list[str]]:
    assert response.status_code == 200
    return response.context["adminform"].form.errors


def messages_of(response: HttpResponse) -> list[str]:
    return [str(message) for message in response.context["messages"]]


# --- segments ---


def test_a_segment_is_added_through_the_operation(staff_browser: Client, site: Site) -> None:
    values = {
        "external_id": "vip",
        "site": site.pk,
        "name_en": "VIP",
        "name_de": "Stammkunden",
        "description_en": "The best",
        "status": "ACTIVE",
        "valid_from_0": "2024-01-01",
        "valid_from_1": "00:00",
        "valid_to_0": "2024-01-31",
        "valid_to_1": "23:59:59.999",
        "mixins": '{"colour": "red"}',
        "mixin_schemas": '{"colour": "https://example.com/colour.json"}',
    }
    response = staff_browser.post(reverse(f"{SEGMENTS}_add"), values)
    assert response.status_code == 302
    segment = Segment.objects.get()
    assert (segment.external_id, segment.site, segment.status, segment.version) == ("vip", site, "ACTIVE", 1)
    assert segment.name == {"en": "VIP", "de": "Stammkunden"}
    assert segment.description == {"en": "The best"}
    assert segment.valid_from == datetime(2024, 1, 1, tzinfo=UTC)
    assert segment.valid_to == datetime(2024, 1, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    assert segment.mixins == {"colour": "red"}
    assert segment.mixin_schemas == {"colour": "https://example.com/colour.json"}


def test_a_segment_without_an_id_gets_one(staff_browser: Client, site: Site) -> None:
    values = {"external_id": "", "site": site.pk, "name_en": "VIP", "status": "ACTIVE", **JSON}
    staff_browser.post(reverse(f"{SEGMENTS}_add"), values)
    assert len(Segment.objects.get().external_id) == 36


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"external_id": "a b"}, "external_id", "The id must be 1 to 128 characters"),
        ({"name_en": ""}, "name", "This field is required."),
        ({"site": ""}, "site", "This field is required."),
        ({"mixins": "[]"}, "mixins", "Enter an object such as {}."),
        (
            {
                "valid_from_0": "2024-02-01",
                "valid_from_1": "00:00",
                "valid_to_0": "2024-01-01",
                "valid_to_1": "00:00",
            },
            "valid_to",
            "The end must not be earlier than the start.",
        ),
    ],
)
def test_a_mistake_is_shown_beside_its_field(
    staff_browser: Client, site: Site, values: dict[str, str], field: str, message: str
) -> None:
    whole = {"external_id": "vip", "site": site.pk, "name_en": "VIP", "status": "ACTIVE", **JSON, **values}
    errors = errors_of(staff_browser.post(reverse(f"{SEGMENTS}_add"), whole))
    assert list(errors) == [field]
    assert errors[field][0].startswith(message)
    assert not Segment.objects.exists()


def test_a_change_counts_the_version_up(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site, version=3)
    values = {"site": site.pk, "name_en": "New", "status": "INACTIVE", "expected_version": 3, **JSON}
    staff_browser.post(reverse(f"{SEGMENTS}_change", args=[segment.pk]), values)
    segment.refresh_from_db()
    assert (segment.name, segment.status, segment.version) == ({"en": "New"}, "INACTIVE", 4)


def test_a_segment_that_is_deleted_under_the_form_is_not_made_anew(
    staff_browser: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = SegmentFactory(site=site, external_id="vip")
    save = "segments.admin.segments.SegmentAdmin.save_model"
    saving = SegmentAdmin.save_model

    def deleted_meanwhile(*arguments: object) -> None:
        Segment.objects.all()._raw_delete("default")
        saving(*arguments)

    monkeypatch.setattr(save, deleted_meanwhile)
    values = {"site": site.pk, "name_en": "New", "status": "ACTIVE", "expected_version": 1, **JSON}
    response = staff_browser.post(reverse(f"{SEGMENTS}_change", args=[segment.pk]), values)
    assert errors_of(response) == {"__all__": ["The resource with id vip has not been found."]}


def test_segments_are_found_by_name_in_any_language_and_by_id(staff_browser: Client, site: Site) -> None:
    vip = SegmentFactory(site=site, external_id="vip-1", name={"en": "Very important", "de": "Stammgast"})
    SegmentFactory(site=site, external_id="new-1", name={"en": "Newcomers"})
    assert rows_of(staff_browser, SEGMENTS, q="stamm") == [vip]
    assert rows_of(staff_browser, SEGMENTS, q="very important") == [vip]
    assert rows_of(staff_browser, SEGMENTS, q="vip-") == [vip]
    hyphened = SegmentFactory(site=vip.site, external_id="G", name={"de": "Groß\u00adhänd\u00adler"})
    for term in ("großhändler", "grosshandler", "händ\u00adler"):
        assert rows_of(staff_browser, SEGMENTS, q=term) == [hyphened]
    assert rows_of(staff_browser, SEGMENTS, q="de") == []  # the name of a language is no name


def test_segments_are_filtered_by_what_they_do_now(staff_browser: Client, site: Site, now: datetime) -> None:
    day = timedelta(days=1)
    effective = SegmentFactory(site=site, valid_from=now - day, valid_to=now + day)
    later = SegmentFactory(site=site, valid_from=now + day)
    over = SegmentFactory(site=site, valid_to=now - day)
    inactive = SegmentFactory(site=site, status="INACTIVE")
    for effect, segment in {"now": effective, "later": later, "over": over, "off": inactive}.items():
        assert rows_of(staff_browser, SEGMENTS, effect=effect) == [segment]


def test_segments_are_filtered_by_site(staff_browser: Client, site: Site) -> None:
    other = SiteFactory(tenant=site.tenant, code="second")
    SegmentFactory(site=site)
    segment = SegmentFactory(site=other)
    assert rows_of(staff_browser, SEGMENTS, site__id__exact=other.pk) == [segment]


def test_the_list_counts_members_and_items_and_leads_to_them(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site)
    CustomerAssignmentFactory.create_batch(2, segment=segment)
    ItemAssignmentFactory(segment=segment)
    page = staff_browser.get(reverse(f"{SEGMENTS}_changelist")).content.decode()
    members, items = reverse(f"{MEMBERS}_changelist"), reverse(f"{ITEMS}_changelist")
    assert f'<a href="{members}?segment__id__exact={segment.pk}">2</a>' in page
    assert f'<a href="{items}?segment__id__exact={segment.pk}">1</a>' in page


@pytest.mark.parametrize("segments", [1, 20])
def test_listing_segments_takes_as_many_statements_for_many_as_for_one(
    viewing_browser: Client, site: Site, segments: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for segment in SegmentFactory.create_batch(segments, site=site):
        CustomerAssignmentFactory(segment=segment)
    with django_assert_num_queries(
        9
    ):  # session, user, zone, rights of user and groups, tenant, sites, count, rows
        assert len(rows_of(viewing_browser, SEGMENTS)) == segments


def test_counts_of_members_and_items_are_exact(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site)
    CustomerAssignmentFactory.create_batch(3, segment=segment)
    Tally.objects.filter(key=segment.pk, kind="members").update(count=1_234_567)
    assert ">1,234,567</a>" in staff_browser.get(reverse(f"{SEGMENTS}_changelist")).content.decode()
    staff_browser.cookies["django_language"] = "de"
    assert ">1.234.567</a>" in staff_browser.get(reverse(f"{SEGMENTS}_changelist")).content.decode()


def test_selected_segments_are_activated_and_deactivated(
    staff_browser: Client, site: Site, clock: type[Clock]
) -> None:
    off, on = SegmentFactory(site=site, status="INACTIVE"), SegmentFactory(site=site, status="ACTIVE")
    selection = {"_selected_action": [off.pk, on.pk]}
    page = reverse(f"{SEGMENTS}_changelist")
    response = staff_browser.post(page, {"action": "activate", **selection}, follow=True)
    assert [message.split(" <")[0] for message in messages_of(response)] == ["Activated 1 segment."]
    versions = dict(Segment.objects.values_list("pk", "version"))
    assert versions == {off.pk: 2, on.pk: 1}  # what was active already is left as it is
    clock.advance(timedelta(seconds=1))
    response = staff_browser.post(page, {"action": "deactivate", **selection}, follow=True)
    assert [message.split(" <")[0] for message in messages_of(response)] == ["Deactivated 2 segments."]
    assert set(Segment.objects.values_list("status", flat=True)) == {"INACTIVE"}
    changes = Change.objects.filter(object="segment", key=off.pk, kind="updated").order_by("id")
    assert [(change.actor_id, change.after["status"]) for change in changes] == [
        ("staff", "ACTIVE"),
        ("staff", "INACTIVE"),
    ]


def test_a_segment_is_deleted_with_its_assignments(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site)
    CustomerAssignmentFactory(segment=segment)
    ItemAssignmentFactory(segment=segment)
    values = {"typed_name": segment.external_id, "version": f"{segment.external_id}=1", "_confirmed": "1"}
    response = staff_browser.post(reverse(f"{SEGMENTS}_delete", args=[segment.pk]), values, follow=True)
    assert messages_of(response)[0].startswith("Deleted ")
    counts = (Segment.objects.count(), CustomerAssignment.objects.count(), ItemAssignment.objects.count())
    assert counts == (0, 0, 0)


# --- members and items, one by one ---


def test_a_customer_is_assigned_without_and_with_a_company(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site)
    contact = ContactAssignmentFactory(legal_entity__tenant=site.tenant)
    values = {"segment": segment.pk, "customer": contact.customer.pk, **JSON}
    staff_browser.post(reverse(f"{MEMBERS}_add"), values)
    staff_browser.post(reverse(f"{MEMBERS}_add"), {**values, "legal_entity": contact.legal_entity.pk})
    rows = CustomerAssignment.objects.values_list("segment", "customer", "legal_entity", "assignment_type")
    assert list(rows) == [
        (segment.pk, contact.customer.pk, None, "MANUAL"),
        (segment.pk, contact.customer.pk, contact.legal_entity.pk, "MANUAL"),
    ]


def test_a_customer_is_not_assigned_twice(staff_browser: Client, site: Site) -> None:
    assignment = CustomerAssignmentFactory(segment=SegmentFactory(site=site))
    values = {"segment": assignment.segment.pk, "customer": assignment.customer.pk, **JSON}
    response = staff_browser.post(reverse(f"{MEMBERS}_add"), values)
    assert errors_of(response)["customer"] == ["The customer is in this segment already."]
    assert CustomerAssignment.objects.count() == 1


def test_a_customer_is_not_assigned_for_a_company_that_they_are_no_contact_of(
    staff_browser: Client, site: Site
) -> None:
    customer = CustomerFactory(tenant=site.tenant, external_id="C1")
    entity = LegalEntityFactory(tenant=site.tenant, external_id="L1")
    values = {
        "segment": SegmentFactory(site=site).pk,
        "customer": customer.pk,
        "legal_entity": entity.pk,
        **JSON,
    }
    response = staff_browser.post(reverse(f"{MEMBERS}_add"), values)
    assert errors_of(response) == {
        "legal_entity": ["The customer C1 is not assigned to the legal entity L1."]
    }
    assert not CustomerAssignment.objects.exists()


def test_the_window_of_an_assignment_is_changed_and_its_customer_is_not(
    staff_browser: Client, site: Site
) -> None:
    assignment = CustomerAssignmentFactory(segment=SegmentFactory(site=site), assignment_type="AUTOMATIC")
    stranger = CustomerFactory(tenant=site.tenant)
    values = {
        "customer": stranger.pk,
        "valid_to_0": "2024-01-31",
        "valid_to_1": "12:00",
        "expected_version": 1,
    }
    staff_browser.post(reverse(f"{MEMBERS}_change", args=[assignment.pk]), {**values, **JSON})
    stored = CustomerAssignment.objects.get()
    assert (stored.customer, stored.version, stored.assignment_type) == (assignment.customer, 2, "MANUAL")
    assert stored.valid_to == datetime(2024, 1, 31, 12, tzinfo=UTC)


def test_an_assignment_that_is_removed_under_the_form_is_not_made_anew(
    staff_browser: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assignment = CustomerAssignmentFactory(segment=SegmentFactory(site=site))

    def removed_meanwhile(*arguments: object) -> int:
        CustomerAssignment.objects.all()._raw_delete("default")
        return 0

    monkeypatch.setattr("segments.admin.assignments.held_segment", removed_meanwhile)
    page = reverse(f"{MEMBERS}_change", args=[assignment.pk])
    response = staff_browser.post(page, {"expected_version": 1, **JSON})
    assert errors_of(response) == {"__all__": ["This was removed from the segment in the meantime."]}


def test_members_are_found_by_the_beginning_of_a_number_an_email_or_a_name(
    staff_browser: Client, site: Site
) -> None:
    segment = SegmentFactory(site=site)
    ada = CustomerFactory(
        tenant=site.tenant, external_id="A1", first_name="Ada", last_name="Lovelace", email="ada@x.org"
    )
    member = CustomerAssignmentFactory(segment=segment, customer=ada)
    CustomerAssignmentFactory(segment=segment, customer__external_id="B1")
    for term in ("A1", "ada@", "love", "ada love"):
        assert rows_of(staff_browser, MEMBERS, q=term) == [member]
    assert rows_of(staff_browser, MEMBERS, q="nobody") == []


def test_members_are_filtered_by_segment_and_by_whether_they_count(
    staff_browser: Client, site: Site, now: datetime
) -> None:
    segment = SegmentFactory(site=site)
    counts = CustomerAssignmentFactory(segment=segment)
    over = CustomerAssignmentFactory(segment=segment, valid_to=now - timedelta(days=1))
    elsewhere = CustomerAssignmentFactory(segment=SegmentFactory(site=site, status="INACTIVE"))
    assert rows_of(staff_browser, MEMBERS, segment__id__exact=segment.pk) == [over, counts]
    assert rows_of(staff_browser, MEMBERS, counts="yes") == [counts]
    assert rows_of(staff_browser, MEMBERS, counts="no") == [elsewhere, over]


@pytest.mark.parametrize("members", [1, 20])
def test_listing_members_takes_as_many_statements_for_many_as_for_one(
    viewing_browser: Client, site: Site, members: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    CustomerAssignmentFactory.create_batch(members, segment=SegmentFactory(site=site))
    # session, user, zone, rights of user and groups, keys of the page and the count, its rows, tenant
    with django_assert_num_queries(8):
        assert len(rows_of(viewing_browser, MEMBERS)) == members


def test_an_added_member_begins_with_the_segment_that_the_list_was_filtered_by(
    staff_browser: Client, site: Site
) -> None:
    segment = SegmentFactory(site=site)
    query = {"_changelist_filters": f"segment__id__exact={segment.pk}"}
    page = staff_browser.get(reverse(f"{MEMBERS}_add"), query)
    assert page.context["adminform"].form["segment"].value() == str(segment.pk)


def test_selected_members_are_removed(staff_browser: Client, site: Site) -> None:
    first, second, kept = CustomerAssignmentFactory.create_batch(3, segment=SegmentFactory(site=site))
    selection = {"action": "delete_selected", "_selected_action": [first.pk, second.pk], "post": "yes"}
    response = staff_browser.post(reverse(f"{MEMBERS}_changelist"), selection, follow=True)
    assert messages_of(response)[0].startswith("Removed 2 from the segment. ")
    assert list(CustomerAssignment.objects.all()) == [kept]


def test_a_product_and_a_category_are_assigned(staff_browser: Client, tenant: Tenant, site: Site) -> None:
    segment = SegmentFactory(site=site)
    product, category = ProductFactory(tenant=tenant), CategoryFactory(tenant=tenant)
    values = {"segment": segment.pk, **JSON}
    staff_browser.post(reverse(f"{ITEMS}_add"), {**values, "product": product.pk})
    staff_browser.post(
        reverse(f"{ITEMS}_add"), {**values, "category": category.pk, "includes_subcategories": "on"}
    )
    rows = ItemAssignment.objects.values_list("product", "category", "includes_subcategories")
    assert list(rows) == [(product.pk, None, False), (None, category.pk, True)]


def test_an_item_is_either_a_product_or_a_category(staff_browser: Client, tenant: Tenant, site: Site) -> None:
    segment = SegmentFactory(site=site)
    product, category = ProductFactory(tenant=tenant), CategoryFactory(tenant=tenant)
    for chosen in ({}, {"product": product.pk, "category": category.pk}):
        response = staff_browser.post(reverse(f"{ITEMS}_add"), {"segment": segment.pk, **chosen, **JSON})
        assert errors_of(response)["product"] == ["Choose either a product or a category."]
    assert not ItemAssignment.objects.exists()


def test_a_product_has_no_subcategories(staff_browser: Client, site: Site) -> None:
    values = {
        "segment": SegmentFactory(site=site).pk,
        "product": ProductFactory(tenant=site.tenant).pk,
        "includes_subcategories": "on",
        **JSON,
    }
    errors = errors_of(staff_browser.post(reverse(f"{ITEMS}_add"), values))
    assert errors["includes_subcategories"] == ["A product has no subcategories."]


def test_an_item_is_not_assigned_twice(staff_browser: Client, site: Site) -> None:
    item = ItemAssignmentFactory(segment=SegmentFactory(site=site))
    values = {"segment": item.segment.pk, "product": item.product.pk, **JSON}
    errors = errors_of(staff_browser.post(reverse(f"{ITEMS}_add"), values))
    assert errors["product"] == ["This product is in the segment already."]


def test_items_are_found_by_id_code_and_the_name_of_a_category(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site)
    product = ProductFactory(tenant=site.tenant, external_id="P-1", code="apple-1")
    category = CategoryFactory(tenant=site.tenant, external_id="K-1", name={"en": "Fruit"})
    first = ItemAssignmentFactory(segment=segment, product=product)
    second = ItemAssignmentFactory(segment=segment, product=None, category=category)
    assert rows_of(staff_browser, ITEMS, q="P-") == [first]
    assert rows_of(staff_browser, ITEMS, q="apple") == [first]
    assert rows_of(staff_browser, ITEMS, q="K-1") == [second]
    assert rows_of(staff_browser, ITEMS, q="fru") == [second]
    assert rows_of(staff_browser, ITEMS, type="CATEGORY") == [second]
    assert rows_of(staff_browser, ITEMS, type="PRODUCT") == [first]


# --- whole lists ---


def add_members(browser: Client, segment: Segment, text: str, **values: object) -> HttpResponse:
    page = reverse(f"{SEGMENTS}_add_members", args=[segment.pk])
    return browser.post(page, {"pasted": text, **values}, follow=True)


def test_a_list_of_members_is_previewed_before_anything_is_written(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site)
    present = CustomerFactory(tenant=site.tenant, external_id="C1")
    CustomerAssignmentFactory(segment=segment, customer=present)
    CustomerFactory(tenant=site.tenant, external_id="C2")
    LegalEntityFactory(tenant=site.tenant, external_id="L1")
    response = add_members(
        staff_browser, segment, "customerId;legalEntityId\nC1\n\nC2\nC2\nC9\nC2;L9\nC2;L1", _preview=""
    )
    preview = response.context["preview"]
    counts = (preview.read, preview.new, preview.present, preview.repeated, preview.refused)
    assert counts == (6, 1, 1, 1, 3)
    assert [(entry.line, entry.reason) for entry in preview.unusable] == [
        (6, "There is no customer C9."),
        (7, "There is no legal entity L9."),
        (8, "The customer C2 is not assigned to the legal entity L1."),
    ]
    assert CustomerAssignment.objects.count() == 1


def test_applying_a_list_adds_the_new_and_leaves_the_present_as_they_are(
    staff_browser: Client, site: Site
) -> None:
    segment = SegmentFactory(site=site)
    present = CustomerAssignmentFactory(segment=segment, customer__external_id="C1", mixins={"kept": True})
    contact = ContactAssignmentFactory(
        legal_entity=LegalEntityFactory(tenant=site.tenant, external_id="L1"), customer__external_id="C2"
    )
    window = {"valid_from_0": "2024-01-01", "valid_from_1": "00:00"}
    response = add_members(staff_browser, segment, "C1\nC2,L1\nC9", _apply="", **window)
    assert messages_of(response)[0].startswith("Added 1 to the segment.")
    assert response.context["cl"].result_list[::-1] == list(CustomerAssignment.objects.all())
    present.refresh_from_db()
    assert (present.version, present.mixins, present.valid_from) == (1, {"kept": True}, None)
    added = CustomerAssignment.objects.get(customer=contact.customer)
    assert (added.legal_entity, added.valid_from) == (contact.legal_entity, datetime(2024, 1, 1, tzinfo=UTC))
    recorded = Change.objects.filter(object="segment-customer", key=segment.pk).latest("id")
    assert (recorded.count, recorded.actor_id) == (1, "staff")
    assert (recorded.source_type, recorded.source_id) == ("import", str(ImportRun.objects.get().pk))


def test_the_list_comes_back_for_changes(staff_browser: Client, site: Site) -> None:
    response = add_members(staff_browser, SegmentFactory(site=site), "C1\nC2", _edit="")
    assert response.context["form"]["pasted"].value() == "C1\nC2"
    assert response.context["preview"] is None


def test_a_list_of_members_takes_as_many_statements_for_many_as_for_one(
    staff_browser: Client, site: Site, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    segment = SegmentFactory(site=site)
    customers = CustomerFactory.create_batch(30, tenant=site.tenant)
    ContentType.objects.get_for_model(Segment)  # the process keeps it from then on
    page = reverse(f"{SEGMENTS}_add_members", args=[segment.pk])
    for batch in (customers[:1], customers[1:]):
        text = "\n".join(customer.external_id for customer in batch)
        with django_assert_max_num_queries(75):
            staff_browser.post(page, {"pasted": text, "_apply": ""})
    assert CustomerAssignment.objects.count() == 30


def test_an_uploaded_file_is_read_like_a_pasted_list(staff_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site)
    CustomerFactory(tenant=site.tenant, external_id="C1")
    text = io.StringIO()
    csv.writer(text).writerows([["customerId"], ["C1"]])
    upload = SimpleUploadedFile("members.csv", b"\xef\xbb\xbf" + text.getvalue().encode())
    response = add_members(staff_browser, segment, "", upload=upload, _preview="")
    assert (response.context["preview"].new, response.context["preview"].read) == (1, 1)


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"pasted": " \n"}, "pasted", "Paste at least one entry, or choose a file."),
        ({"upload": SimpleUploadedFile("a.csv", b"\xff")}, "upload", "The file is not UTF-8 text."),
        (
            {"upload": SimpleUploadedFile("a.csv", b"x" * 20_000_001)},
            "upload",
            "The file is larger than 20 MB. Use the import commands for it.",
        ),
        (
            {
                "pasted": "C1",
                "valid_from_0": "2024-02-01",
                "valid_from_1": "00:00",
                "valid_to_0": "2024-01-01",
                "valid_to_1": "00:00",
            },
            "valid_to",
            "The end must not be earlier than the start.",
        ),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(
    staff_browser: Client, site: Site, values: JsonObject, field: str, message: str
) -> None:
    page = reverse(f"{SEGMENTS}_add_members", args=[SegmentFactory(site=site).pk])
    response = staff_browser.post(page, {**values, "_apply": ""})
    assert response.context["form"].errors == {field: [message]}


def test_lists_of_products_and_of_categories_are_added(
    staff_browser: Client, tenant: Tenant, site: Site
) -> None:
    segment = SegmentFactory(site=site)
    product, category = (
        ProductFactory(tenant=tenant, external_id="P1"),
        CategoryFactory(tenant=tenant, external_id="K1"),
    )
    page = reverse(f"{SEGMENTS}_add_items", args=[segment.pk])
    response = staff_browser.post(page, {"pasted": "P1\nK1", "item_type": "PRODUCT", "_preview": ""})
    assert response.context["preview"].new == 1
    [unusable] = response.context["preview"].unusable
    assert unusable.reason == "There is no product K1."
    staff_browser.post(page, {"pasted": "P1", "item_type": "PRODUCT", "_apply": ""})
    response = staff_browser.post(
        page,
        {"pasted": "K1", "item_type": "CATEGORY", "includes_subcategories": "on", "_apply": ""},
        follow=True,
    )
    assert messages_of(response)[-1].startswith("Added 1 to the segment.")
    rows = ItemAssignment.objects.values_list("product", "category", "includes_subcategories")
    assert list(rows) == [(product.pk, None, False), (None, category.pk, True)]


def test_a_list_of_products_has_no_subcategories(staff_browser: Client, site: Site) -> None:
    page = reverse(f"{SEGMENTS}_add_items", args=[SegmentFactory(site=site).pk])
    values = {"pasted": "P1", "item_type": "PRODUCT", "includes_subcategories": "on", "_apply": ""}
    response = staff_browser.post(page, values)
    assert response.context["form"].errors == {"includes_subcategories": ["A product has no subcategories."]}


@pytest.mark.parametrize("page", ["add_members", "add_items"])
def test_lists_are_not_added_to_a_segment_of_another_tenant(
    staff_browser: Client, other_tenant: Tenant, page: str
) -> None:
    segment = SegmentFactory(site=SiteFactory(tenant=other_tenant))
    CustomerFactory(tenant=other_tenant, external_id="C1")
    address = reverse(f"{SEGMENTS}_{page}", args=[segment.pk])
    assert staff_browser.get(address).status_code == 404
    response = staff_browser.post(address, {"pasted": "C1", "item_type": "PRODUCT", "_apply": ""})
    assert response.status_code == 404
    assert not CustomerAssignment.objects.exists()


def test_a_list_does_not_find_customers_of_another_tenant(
    staff_browser: Client, site: Site, other_tenant: Tenant
) -> None:
    CustomerFactory(tenant=other_tenant, external_id="C1")
    response = add_members(staff_browser, SegmentFactory(site=site), "C1", _preview="")
    assert [entry.reason for entry in response.context["preview"].unusable] == ["There is no customer C1."]


@pytest.fixture
def viewing_browser(tenant: Tenant) -> Client:
    """Somebody who may look at segments, and do nothing."""
    user = UserFactory(tenant=tenant)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_segment", "view_customerassignment"])
    )
    browser = Client()
    browser.force_login(user)
    return browser


def test_a_user_who_may_only_view_segments_adds_no_lists(viewing_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site)
    for page in ("add_members", "add_items"):
        assert viewing_browser.get(reverse(f"{SEGMENTS}_{page}", args=[segment.pk])).status_code == 403
    page = viewing_browser.get(reverse(f"{SEGMENTS}_change", args=[segment.pk])).content.decode()
    assert "Add members" not in page
    assert "Add items" not in page


def test_a_user_who_may_only_view_segments_activates_none(viewing_browser: Client, site: Site) -> None:
    segment = SegmentFactory(site=site, status="INACTIVE")
    selection = {"action": "activate", "_selected_action": [segment.pk]}
    viewing_browser.post(reverse(f"{SEGMENTS}_changelist"), selection)
    segment.refresh_from_db()
    assert segment.status == "INACTIVE"


# --- what a customer sees ---


def preview_page(browser: Client, **query: object) -> HttpResponse:
    return browser.get(reverse("admin:view_as_customer"), query)


def counting(response: HttpResponse) -> list[str]:
    """Return the segments that the page shows as counting, by name."""
    return [one["name"] for one in response.context["memberships"] if one["ok"]]


def test_the_preview_shows_what_counts_for_the_customer_and_nothing_else(
    staff_browser: Client, tenant: Tenant, site: Site
) -> None:
    customer = CustomerFactory(tenant=tenant)
    segment, other = SegmentFactory.create_batch(2, site=site)
    CustomerAssignmentFactory(segment=segment, customer=customer)
    food = CategoryFactory(tenant=tenant, external_id="food", name={"en": "Food"})
    fruit = CategoryFactory(parent=food, external_id="fruit", name={"en": "Fruit", "de": "Obst"})
    product = ProductFactory(tenant=tenant)
    ItemAssignmentFactory(segment=segment, product=None, category=fruit)
    ItemAssignmentFactory(segment=segment, product=product)
    ItemAssignmentFactory(segment=other)
    response = preview_page(staff_browser, customer=customer.pk)
    assert counting(response) == [segment.name["en"]]
    assert [row["text"] for row in response.context["products"]["rows"]] == [str(product)]
    [root] = response.context["view"].forest
    assert (root["id"], root["isSegmentAssigned"]) == ("food", False)
    [child] = root["subcategories"]
    assert (child["id"], child["isSegmentAssigned"]) == ("fruit", True)


def test_the_preview_is_of_an_instant(staff_browser: Client, tenant: Tenant, site: Site) -> None:
    customer = CustomerFactory(tenant=tenant)
    segment = SegmentFactory(site=site, valid_to=datetime(2034, 1, 31, 12, tzinfo=UTC))
    CustomerAssignmentFactory(segment=segment, customer=customer)
    response = preview_page(staff_browser, customer=customer.pk, at_0="2034-01-31", at_1="12:00")
    assert counting(response) == [segment.name["en"]]
    response = preview_page(staff_browser, customer=customer.pk, at_0="2034-01-31", at_1="12:01")
    assert counting(response) == []
    assert "segment is over" in response.content.decode()


def test_the_preview_is_of_a_site(staff_browser: Client, tenant: Tenant, site: Site) -> None:
    customer = CustomerFactory(tenant=tenant)
    second = SiteFactory(tenant=tenant, code="second")
    for segment in (SegmentFactory(site=site), wanted := SegmentFactory(site=second)):
        CustomerAssignmentFactory(segment=segment, customer=customer)
    assert counting(preview_page(staff_browser, customer=customer.pk, site=second.pk)) == [wanted.name["en"]]


def test_the_preview_is_for_a_company_acted_for(staff_browser: Client, tenant: Tenant, site: Site) -> None:
    customer = CustomerFactory(tenant=tenant)
    first, second = (
        ContactAssignmentFactory(customer=customer, legal_entity__tenant=tenant).legal_entity
        for _ in range(2)
    )
    segment = SegmentFactory(site=site)
    CustomerAssignmentFactory(segment=segment, customer=customer, legal_entity=first)
    for entity, expected in ((first, [segment.name["en"]]), (second, [])):
        response = preview_page(staff_browser, customer=customer.pk, legal_entity=entity.pk)
        assert (counting(response), response.context["acting_for"]) == (expected, entity)
    assert counting(preview_page(staff_browser, customer=customer.pk)) == []


def test_a_company_that_the_customer_cannot_act_for_is_refused(
    staff_browser: Client, tenant: Tenant, site: Site
) -> None:
    entity = LegalEntityFactory(tenant=tenant, external_id="L1")
    response = preview_page(staff_browser, customer=CustomerFactory(tenant=tenant).pk, legal_entity=entity.pk)
    assert response.context["form"].errors == {
        "legal_entity": ["The customer is not assigned to the legal entity L1."]
    }
    assert "view" not in response.context


def test_the_page_knows_no_customer_of_another_tenant(staff_browser: Client, other_tenant: Tenant) -> None:
    response = preview_page(staff_browser, customer=CustomerFactory(tenant=other_tenant).pk)
    assert list(response.context["form"].errors) == ["customer"]


def test_the_page_needs_the_permission_to_view_customers(viewing_browser: Client) -> None:
    assert preview_page(viewing_browser).status_code == 403
