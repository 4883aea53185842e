"""Members and items of a segment: pages by key, search, actions on what is chosen, export, combinations."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Site
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.factories.accounts import CustomerFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

pytestmark = pytest.mark.usefixtures("real_time")
MEMBERS = "admin:segments_customerassignment"
ITEMS = "admin:segments_itemassignment"


@pytest.fixture
def vip(site: Site) -> Segment:
    segment = SegmentFactory(site=site, external_id="vip", name={"en": "VIP"})
    for number in range(7):
        customer = CustomerFactory(
            tenant=site.tenant, external_id=f"C{number}", email=f"c{number}@x.example", last_name=f"N{number}"
        )
        CustomerAssignmentFactory(segment=segment, customer=customer)
    return segment


@pytest.fixture
def other(site: Site) -> Segment:
    return SegmentFactory(site=site, external_id="other", name={"en": "Other"})


def list_of(segment: Segment, page: str = MEMBERS) -> str:
    return f"{reverse(f'{page}_changelist')}?segment__id__exact={segment.pk}"


def customers(response: HttpResponse) -> list[str]:
    assert response.status_code == 200
    return [row.customer.external_id for row in response.context["cl"].result_list]


def members(segment: Segment) -> set[str]:
    rows = CustomerAssignment.objects.filter(segment=segment)
    return set(rows.values_list("customer__external_id", flat=True))


def chosen(segment: Segment, *ids: str) -> list[int]:
    rows = CustomerAssignment.objects.filter(segment=segment, customer__external_id__in=ids)
    return list(rows.values_list("pk", flat=True))


def undo(browser: Client, response: HttpResponse) -> None:
    message = str(next(iter(response.context["messages"])))
    source = message.split('name="id" value="')[1].split('"')[0]
    browser.post(reverse("admin:journal_change_undo_occasion"), {"type": "admin", "id": source})


def test_pages_go_by_key_without_counting_or_offsets(
    staff_browser: Client, vip: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segments.admin.assignments.CustomerAssignmentAdmin.list_per_page", 3)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        first = staff_browser.get(list_of(vip))
    assert customers(first) == ["C6", "C5", "C4"]
    counts = [one["sql"] for one in queries if "COUNT(*)" in one["sql"]]
    assert all("LIMIT 251" in text for text in counts)
    assert not any("OFFSET" in one["sql"] for one in queries)
    assert first.context["cl"].newer == ""
    second = staff_browser.get(reverse(f"{MEMBERS}_changelist") + first.context["cl"].older)
    assert customers(second) == ["C3", "C2", "C1"]
    third = staff_browser.get(reverse(f"{MEMBERS}_changelist") + second.context["cl"].older)
    assert (customers(third), third.context["cl"].older) == (["C0"], "")
    back = staff_browser.get(reverse(f"{MEMBERS}_changelist") + third.context["cl"].newer)
    assert customers(back) == ["C3", "C2", "C1"]


@pytest.mark.parametrize("term", ["C3", "c3@x.example", "N3"])
@pytest.mark.parametrize(("most", "sample"), [(1_000, 0), (0, 1_000), (0, 1)])
def test_members_are_searched_by_number_email_and_name(
    staff_browser: Client, vip: Segment, term: str, most: int, sample: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alike whether few, many of the newest, or many of all customers match."""
    monkeypatch.setattr("segments.admin.assignments.MOST_FOUND", most)
    monkeypatch.setattr("segments.admin.assignments.SAMPLE", sample)
    assert customers(staff_browser.get(list_of(vip), {"segment__id__exact": vip.pk, "q": term})) == ["C3"]


def test_items_are_searched_by_the_products_name(staff_browser: Client, vip: Segment) -> None:
    product = ProductFactory(tenant=vip.tenant, name={"en": "Ground coffee", "de": "Kaffee"})
    wanted = ItemAssignmentFactory(segment=vip, product=product)
    ItemAssignmentFactory(segment=vip, product=ProductFactory(tenant=vip.tenant))
    found = staff_browser.get(reverse(f"{ITEMS}_changelist"), {"segment__id__exact": vip.pk, "q": "kaff"})
    assert list(found.context["cl"].result_list) == [wanted]


def test_selected_members_are_removed_and_come_back(staff_browser: Client, vip: Segment) -> None:
    selection = {"action": "delete_selected", "_selected_action": chosen(vip, "C1", "C2")}
    answer = staff_browser.post(list_of(vip), selection, follow=True)
    assert members(vip) == {"C0", "C3", "C4", "C5", "C6"}
    undo(staff_browser, answer)
    assert len(members(vip)) == 7


def test_the_statement_of_the_first_page_of_a_search_counts_too(
    staff_browser: Client, vip: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segments.admin.assignments.CustomerAssignmentAdmin.list_per_page", 3)
    with CaptureQueriesContext(connection) as queries:
        page = staff_browser.get(list_of(vip), {"segment__id__exact": vip.pk, "q": "C"})
    assert (customers(page), page.context["cl"].result_count) == (["C6", "C5", "C4"], 7)
    assert not [one["sql"] for one in queries if "COUNT(" in one["sql"]]
    older = staff_browser.get(reverse(f"{MEMBERS}_changelist") + page.context["cl"].older)
    assert (customers(older), older.context["cl"].result_count) == (["C3", "C2", "C1"], 7)


@pytest.mark.parametrize(("most", "sample"), [(1_000, 0), (0, 1_000), (0, 1)])
def test_all_that_match_a_search_are_removed(
    staff_browser: Client, vip: Segment, most: int, sample: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segments.admin.assignments.MOST_FOUND", most)
    monkeypatch.setattr("segments.admin.assignments.SAMPLE", sample)
    selection = {"action": "delete_selected", "_selected_action": chosen(vip, "C1"), "select_across": "1"}
    staff_browser.post(f"{list_of(vip)}&q=N5", selection)
    assert members(vip) == {"C0", "C1", "C2", "C3", "C4", "C6"}


def test_members_are_copied_with_their_dates(staff_browser: Client, vip: Segment, other: Segment) -> None:
    end = datetime(2030, 1, 1, tzinfo=UTC)
    CustomerAssignment.objects.filter(customer__external_id="C1").update(valid_to=end)
    CustomerAssignmentFactory(
        segment=other, customer=vip.customer_assignments.get(customer__external_id="C2").customer
    )
    selection = {"action": "copy_to", "_selected_action": chosen(vip, "C1", "C2")}
    page = staff_browser.post(list_of(vip), selection)
    values = dict(page.context["repeated"])
    values["_selected_action"] = selection["_selected_action"]
    answer = staff_browser.post(list_of(vip), {**values, "segment": other.pk, "_apply": "1"}, follow=True)
    assert str(next(iter(answer.context["messages"]))).startswith("Copied to Other (other): 1 is new there.")
    assert members(other) == {"C1", "C2"}
    assert CustomerAssignment.objects.get(segment=other, customer__external_id="C1").valid_to == end
    assert len(members(vip)) == 7


def test_members_are_moved_and_put_back(staff_browser: Client, vip: Segment, other: Segment) -> None:
    selection = {"action": "move_to", "_selected_action": chosen(vip, "C1", "C2"), "segment": other.pk}
    answer = staff_browser.post(list_of(vip), {**selection, "_apply": "1"}, follow=True)
    assert (members(other), len(members(vip))) == ({"C1", "C2"}, 5)
    undo(staff_browser, answer)
    assert (members(other), len(members(vip))) == (set(), 7)


def test_items_are_copied(staff_browser: Client, vip: Segment, other: Segment) -> None:
    category = CategoryFactory(tenant=vip.tenant)
    row = ItemAssignmentFactory(segment=vip, product=None, category=category, includes_subcategories=True)
    selection = {"action": "copy_to", "_selected_action": [row.pk], "segment": other.pk, "_apply": "1"}
    staff_browser.post(list_of(vip, ITEMS), selection)
    copied = ItemAssignment.objects.get(segment=other)
    assert (copied.category, copied.includes_subcategories, copied.version) == (category, True, 1)


def test_dates_are_set(staff_browser: Client, vip: Segment) -> None:
    values = {"valid_to_0": "2030-12-24", "valid_to_1": "18:00", "_apply": "1"}
    selection = {"action": "change_dates", "_selected_action": chosen(vip, "C1"), **values}
    staff_browser.post(list_of(vip), selection)
    row = CustomerAssignment.objects.get(customer__external_id="C1")
    assert (row.valid_to, row.version) == (datetime(2030, 12, 24, 18, tzinfo=UTC), 2)


def test_what_is_shown_is_exported(staff_browser: Client, vip: Segment) -> None:
    page = reverse(f"{MEMBERS}_export")
    answer = staff_browser.get(page, {"segment__id__exact": vip.pk, "q": "N4"})
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0] == "segmentId,customerId,email,legalEntityId,validity.from,validity.to,createdAt"
    assert [line.split(",")[:4] for line in lines[1:]] == [["vip", "C4", "c4@x.example", ""]]


def test_one_is_added_by_name(staff_browser: Client, vip: Segment) -> None:
    category = CategoryFactory(tenant=vip.tenant)
    page = reverse(f"{ITEMS}_add_one") + f"?segment__id__exact={vip.pk}"
    staff_browser.post(page, {"one-category": category.pk, "one-includes_subcategories": "on"})
    item = ItemAssignment.objects.get()
    assert (item.category, item.includes_subcategories) == (category, True)
    page = reverse(f"{MEMBERS}_add_one") + f"?segment__id__exact={vip.pk}"
    new = CustomerFactory(tenant=vip.tenant, external_id="NEW")
    staff_browser.post(page, {"one-customer": new.pk})
    assert "NEW" in members(vip)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("or", {"C0", "C1", "C2", "X"}), ("and", {"C0"}), ("minus", {"C1", "C2"}), ("copy", {"C0", "C1", "C2"})],
)
def test_segments_are_combined_after_a_count(
    staff_browser: Client, site: Site, other: Segment, operation: str, expected: set[str]
) -> None:
    first = SegmentFactory(site=site, external_id="first", name={"en": "First"})
    made = {name: CustomerFactory(tenant=site.tenant, external_id=name) for name in ("C0", "C1", "C2", "X")}
    for name in ("C0", "C1", "C2"):
        CustomerAssignmentFactory(segment=first, customer=made[name])
    for name in ("C0", "X"):
        CustomerAssignmentFactory(segment=other, customer=made[name])
    page = reverse("admin:segments_segment_combine", args=[first.pk])
    values = {"operation": operation, "other": other.pk, "name": "Both"}
    counted = staff_browser.post(page, {**values, "_count": "1"})
    assert counted.context["counted"].members.value == len(expected)
    assert Segment.objects.count() == 2
    for into, fact in ((None, 0), (None, 1), (other, 1)):
        of_target = {} if into is None else {"into": into.pk}
        shown = staff_browser.post(page, {**values, **of_target}).context["facts"][fact]
        listed = customers(staff_browser.get(shown.url))
        new = expected - members(into) if into is not None else expected
        assert (sorted(listed), shown.number) == (sorted(new), str(len(new)))
    staff_browser.post(page, {**values, "_apply": "1"})
    made_segment = Segment.objects.get(name={"en": "Both"})
    assert (made_segment.status, members(made_segment)) == ("INACTIVE", expected)


def test_selected_products_are_added_from_their_list(staff_browser: Client, vip: Segment) -> None:
    product = ProductFactory(tenant=vip.tenant)
    selection = {"action": "add_to_segment", "_selected_action": [product.pk]}
    page = staff_browser.post(reverse("admin:catalog_product_changelist"), selection)
    assert "includes_subcategories" not in page.context["form"].fields
    values = {**selection, "segment": vip.pk, "_assign": "1"}
    staff_browser.post(reverse("admin:catalog_product_changelist"), values)
    assert ItemAssignment.objects.get().product == product
