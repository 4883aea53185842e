"""A merchandiser's day in the admin, as they see it."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.models import Site
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

pytestmark = pytest.mark.browser


def choose(page: Page, field: str, term: str, choice: str) -> None:
    """Search in an autocomplete field and take a choice, as a person does."""
    page.locator(f"#id_{field} + .select2").click()
    page.locator("input.select2-search__field").last.fill(term)
    page.locator(".select2-results__option", has_text=choice).click()
    expect(page.locator(f"#id_{field} + .select2")).to_contain_text(choice)


def look(page: Page, folder: Path, name: str) -> None:
    """Keep what the page looks like, for people."""
    page.screenshot(path=folder / f"{name}.png", full_page=True)


def test_a_merchandiser_makes_a_segment(working_page: Page, site: Site, tmp_path: Path) -> None:
    page = working_page
    expect(page.get_by_role("heading", name="Segments", exact=True)).to_be_visible()
    look(page, tmp_path, "index")
    page.get_by_role("link", name="Segments", exact=True).click()
    expect(page.get_by_text("There are no segments yet.")).to_be_visible()
    look(page, tmp_path, "empty")
    page.get_by_role("link", name="Add segment").click()
    page.locator("[name=name_en]").fill("VIP")
    page.locator("[name=name_de]").fill("Stammkunden")
    choose(page, "site", "ma", "main")
    page.get_by_label("Status").select_option("ACTIVE")
    look(page, tmp_path, "form")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    expect(page.locator(".record-actions")).to_contain_text("Add members")
    look(page, tmp_path, "segment")
    segment = Segment.objects.get()
    assert (segment.name, segment.status, segment.site) == (
        {"en": "VIP", "de": "Stammkunden"},
        "ACTIVE",
        site,
    )


def test_a_mistake_is_shown_beside_its_field(working_page: Page, site: Site, tmp_path: Path) -> None:
    page = working_page
    page.goto("/admin/segments/segment/add/")
    page.locator("[name=name_en]").fill("VIP")
    choose(page, "site", "ma", "main")
    page.locator("#id_valid_from_0").fill("2024-02-01")
    page.locator("#id_valid_from_1").fill("00:00")
    page.locator("#id_valid_to_0").fill("2024-01-31")
    page.locator("#id_valid_to_1").fill("23:59:59.999")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".field-valid_to")).to_contain_text("The end must not be earlier than the start.")
    expect(page.locator("[name=name_en]")).to_have_value("VIP")
    look(page, tmp_path, "mistake")
    assert not Segment.objects.exists()


def test_members_are_added_by_search(working_page: Page, site: Site, tmp_path: Path) -> None:
    segment = SegmentFactory(site=site, external_id="vip", name={"en": "VIP"})
    CustomerFactory(tenant=site.tenant, external_id="C1", first_name="Ada", last_name="Lovelace")
    page = working_page
    page.goto("/admin/segments/customerassignment/add/")
    choose(page, "segment", "VIP", "VIP (vip)")
    choose(page, "customer", "love", "Ada Lovelace (C1)")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    expect(page.locator("#result_list")).to_contain_text("Ada Lovelace (C1)")
    look(page, tmp_path, "members")
    assert CustomerAssignment.objects.get().segment == segment


def test_members_are_added_by_a_pasted_list(working_page: Page, site: Site, tmp_path: Path) -> None:
    segment = SegmentFactory(site=site, external_id="vip", name={"en": "VIP"})
    ada, grace = (
        CustomerFactory(tenant=site.tenant, external_id=number, first_name=name, last_name="")
        for number, name in [("C1", "Ada"), ("C2", "Grace")]
    )
    contact = ContactAssignmentFactory(
        legal_entity=LegalEntityFactory(tenant=site.tenant, external_id="L1"), customer=ada
    )
    CustomerAssignmentFactory(segment=segment, customer=grace)
    page = working_page
    page.goto(f"/admin/segments/segment/{segment.pk}/change/")
    page.get_by_role("link", name="Add members").click()
    look(page, tmp_path, "list")
    page.locator("#members_pasted").fill("customerId,legalEntityId\nC1,L1\nC2\nC9\nC1,L1\nC2,L1")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".facts .new")).to_have_text("1 new")
    expect(page.locator(".facts .present")).to_contain_text("1 there already")
    expect(page.locator(".facts .unknown")).to_contain_text("2 cannot be added")
    expect(page.locator("#unknown")).to_contain_text("There is no customer C9.")
    expect(page.locator("#unknown")).to_contain_text(
        "The customer C2 is not assigned to the legal entity L1."
    )
    look(page, tmp_path, "preview")
    for name, number in (("new", 1), ("present", 1), ("repeated", 1), ("unknown", 2)):
        page.locator(f".facts .{name} a").click()
        rows = page.locator(f"#{name} tbody tr")
        expect(rows).to_have_count(number)
        expect(rows.first).to_be_in_viewport()
    assert CustomerAssignment.objects.count() == 1
    page.get_by_role("button", name="Add 1 to the segment").click()
    expect(page.locator(".messagelist")).to_contain_text("Added 1 to the segment.")
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    look(page, tmp_path, "added")
    added = CustomerAssignment.objects.get(legal_entity__isnull=False)
    assert (added.customer, added.legal_entity) == (ada, contact.legal_entity)


def test_items_are_added_by_a_file(working_page: Page, site: Site, tmp_path: Path) -> None:
    segment = SegmentFactory(site=site, external_id="vip", name={"en": "VIP"})
    root = CategoryFactory(tenant=site.tenant, external_id="food", name={"en": "Food"})
    page = working_page
    page.goto(f"/admin/segments/segment/{segment.pk}/items/add/")
    page.get_by_role("radio", name="Categories").check()
    page.get_by_label("With all subcategories").check()
    file: Any = {"name": "categories.csv", "mimeType": "text/csv", "buffer": b"id\r\nfood\r\n"}
    page.get_by_label("or choose a file").set_input_files(file)
    look(page, tmp_path, "items")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Add 1 to the segment").click()
    expect(page.locator("#result_list")).to_contain_text("Food (food)")
    look(page, tmp_path, "added")
    item = ItemAssignment.objects.get()
    assert (item.category, item.includes_subcategories) == (root, True)


def test_what_a_customer_sees(working_page: Page, tenant: Tenant, site: Site, tmp_path: Path) -> None:
    customer = CustomerFactory(tenant=tenant, external_id="C1", first_name="Ada", last_name="Lovelace")
    vip = SegmentFactory(site=site, external_id="vip", name={"en": "VIP"})
    SegmentFactory(site=site, external_id="other", name={"en": "Other"})
    CustomerAssignmentFactory(segment=vip, customer=customer)
    food = CategoryFactory(tenant=tenant, external_id="food", name={"en": "Food"})
    fruit = CategoryFactory(parent=food, external_id="fruit", name={"en": "Fruit"})
    ItemAssignmentFactory(segment=vip, product=None, category=fruit)
    ItemAssignmentFactory(
        segment=vip, product=ProductFactory(tenant=tenant, external_id="P1", name={"en": "Apple"})
    )
    page = working_page
    page.goto("/admin/segments/segment/")
    page.get_by_role("link", name="View as customer").click()
    choose(page, "customer", "C1", "Ada Lovelace (C1)")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#preview-segments")).to_contain_text("VIP")
    expect(page.locator("#preview-segments")).not_to_contain_text("Other")
    expect(page.locator("#preview-products")).to_contain_text("Apple (P1)")
    expect(page.locator("#preview-categories")).to_contain_text("Food")
    page.locator("#preview-categories .toggle").click()
    expect(page.locator("#preview-categories .assigned")).to_have_text("Fruit")
    look(page, tmp_path, "preview")


def test_a_list_is_filtered_by_a_searched_segment(working_page: Page, site: Site, tmp_path: Path) -> None:
    vip = SegmentFactory(site=site, external_id="vip", name={"en": "VIP"})
    CustomerAssignmentFactory(segment=vip, customer__external_id="C1")
    CustomerAssignmentFactory(segment=SegmentFactory(site=site), customer__external_id="C2")
    page = working_page
    page.goto("/admin/segments/customerassignment/")
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    page.locator("#filter-segment + .select2").click()
    page.locator("input.select2-search__field").last.fill("VIP")
    page.locator(".select2-results__option", has_text="VIP (vip)").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#result_list")).to_contain_text("(C1)")
    look(page, tmp_path, "filtered")


def test_a_segment_is_deleted_after_its_contents_were_named(
    working_page: Page, site: Site, tmp_path: Path
) -> None:
    segment = SegmentFactory(site=site, external_id="vip", name={"en": "VIP"})
    CustomerAssignmentFactory(segment=segment)
    page = working_page
    page.goto(f"/admin/segments/segment/{segment.pk}/change/")
    page.get_by_role("link", name="Delete").first.click()
    expect(page.locator(".effects li").first).to_contain_text("customer loses it")
    look(page, tmp_path, "delete")
    page.get_by_label("Type the name to delete it: VIP").fill("VIP")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".messagelist")).to_contain_text("Deleted VIP.")
    assert (Segment.objects.count(), CustomerAssignment.objects.count()) == (0, 0)
