"""Lists of customers and items are read however they are written, and no entry of them is lost."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import Customer, Site
from core.background.models import Job
from core.background.worker import BackgroundWorker
from core.imports import parts
from core.imports.models import ImportPart, ImportRun, ImportState
from core.imports.undo import undo_import
from core.tenancy.models import Tenant
from segments.forms.entries import PastedList
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.factories.accounts import CustomerFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

BERLIN = ZoneInfo("Europe/Berlin")


def read(text: str) -> list[object]:
    return [line.names for line in PastedList(text.splitlines(keepends=True), zone=BERLIN)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1\n2\n\n3", [("1",), ("2",), ("3",)]),
        ("a@x.org, b@x.org; c@x.org", [("a@x.org", "b@x.org", "c@x.org")]),
        ("1,2,3,4,5", [("1", "2", "3", "4", "5")]),
        ("1,,2,3", [("1", "2", "3")]),
        ("1\t2|3", [("1", "2", "3")]),
        ("1|2", [("1", "2")]),
        ('"1","Smith, John"', [("1", "Smith, John")]),
        ("Anna Meier <anna@x.org>\nB <b@x.org>", [("anna@x.org",), ("b@x.org",)]),
        ("1 2 3", [("1", "2", "3")]),
        ("“7”\n\ufeff8", [("7",), ("8",)]),
        ("customerId\n7", [("7",)]),
        ("E-Mail;Name\na@x.org;Anna", [("a@x.org",)]),
        ('{"customerId": "7"}\n{"contactEmail": "a@x.org"}', [("7",), ("a@x.org",)]),
        ("", []),
    ],
)
def test_entries_are_read_however_they_are_separated(text: str, names: list[object]) -> None:
    assert read(text) == names


def test_a_table_keeps_its_windows_and_names_what_it_does_not_use() -> None:
    rows = ("7;Anna;2026-12-01;24.12.2026", "8;Bo;;2026-12-24T17:00:00Z", "9;C;soon;")
    text = "\n".join(("customerId;Name;validity.from;validity.to", *rows))
    lines = PastedList(text.splitlines(keepends=True), zone=BERLIN)
    first, second, third = lines
    assert lines.ignored == ["Name"]
    assert first.validity == {"from": "2026-11-30T23:00:00+00:00", "to": "2026-12-24T22:59:59.999000+00:00"}
    assert datetime.fromisoformat(second.validity["to"]) == datetime(2026, 12, 24, 17, tzinfo=UTC)
    assert (third.number, third.names) == (4, ("9",))
    assert "Enter a date" in third.fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00+00:00"),
        ("2026-12-24T18:00:00-05:00", "2026-12-24T23:00:00+00:00"),
        ("2026-12-24T18:00", "2026-12-24T17:00:00+00:00"),  # without an offset it is a time of the site
        ("2026-12-24 18:00", "2026-12-24T17:00:00+00:00"),
        ("2026-12-24T18:00:30.5", "2026-12-24T17:00:30.500000+00:00"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999000+00:00"),
    ],
)
def test_times_of_a_table_are_those_of_the_site_unless_they_say_more(text: str, expected: str) -> None:
    lines = ["customerId;validity.to\n", f"7;{text}\n"]
    [line] = PastedList(lines, zone=BERLIN)
    assert (line.validity, line.fault) == ({"to": expected}, "")


@pytest.fixture
def segment(site: Site) -> Segment:
    return SegmentFactory(site=site, external_id="vip")


@pytest.fixture
def send(staff_browser: Client, segment: Segment) -> Callable[..., Any]:
    """Post to the page that adds members."""

    def post(text: str = "", **values: object) -> HttpResponse:
        page = reverse("admin:segments_segment_add_members", args=[segment.pk])
        return staff_browser.post(page, {"pasted": text, **values}, follow=True)

    return post


def counts(preview: Any) -> tuple[int, ...]:
    assert preview.read == preview.new + preview.present + preview.repeated + preview.refused
    return preview.read, preview.new, preview.present, preview.repeated, preview.refused


def test_pasted_emails_are_found_in_any_case(send: Callable[..., HttpResponse], site: Site) -> None:
    for number in range(50):
        CustomerFactory(tenant=site.tenant, email=f"c{number}@x.org")
    text = "; ".join(f"C{number}@X.org" for number in range(50))
    assert counts(send(text, _preview="").context["preview"]) == (50, 50, 0, 0, 0)


def test_the_counts_sum_up_to_the_entries_read(
    send: Callable[..., HttpResponse], site: Site, segment: Segment
) -> None:
    shuffled = random.Random(16)  # noqa: S311 -- the same list in every run
    customers = [CustomerFactory(tenant=site.tenant, email=f"m{n}@x.org") for n in range(30)]
    for member in customers[:10]:
        CustomerAssignmentFactory(segment=segment, customer=member)
    named = [c.external_id for c in customers] + [c.email for c in customers[5:15]] + ["no", "n@x.org", "no"]
    for _ in range(5):
        shuffled.shuffle(named)
        text = "".join(name + shuffled.choice([",", "\n", ";\n", ",,"]) for name in named)
        page = send(text.replace(";\n", "\n"), _preview="")
        preview = page.context["preview"]
        read_, new, present, repeated, refused = counts(preview)
        assert (read_, new, refused) == (43, 20, 2)
        listed = {part.name: part for part in page.context["sections"]}
        assert {name: len(part.entries) for name, part in listed.items()} == {
            "new": new,
            "present": present,
            "repeated": repeated,
        }
        assert len(preview.unusable) == refused
        members = {str(customer) for customer in customers[:10]}
        assert {one.meaning for one in listed["present"].entries} == members
        assert not {one.meaning for one in listed["new"].entries} & members
    assert CustomerAssignment.objects.count() == 10


def test_a_file_with_windows_keeps_them(send: Callable[..., HttpResponse], site: Site) -> None:
    customer = CustomerFactory(tenant=site.tenant, external_id="7")
    content = b"customerId,validity.from,validity.to\n7,2026-12-01,2026-12-24\n"
    send(upload=SimpleUploadedFile("members.csv", content), _apply="")
    member = CustomerAssignment.objects.get(customer=customer)
    assert member.valid_from == datetime(2026, 12, 1, tzinfo=UTC)
    assert member.valid_to == datetime(2026, 12, 24, 23, 59, 59, 999_000, tzinfo=UTC)


def test_what_was_previewed_is_what_is_added_once(send: Callable[..., HttpResponse], site: Site) -> None:
    CustomerFactory(tenant=site.tenant, external_id="7")
    run = send(upload=SimpleUploadedFile("a.csv", b"7"), _preview="").context["preview"].run
    assert run.state == ImportState.PREPARED
    assert not CustomerAssignment.objects.exists()
    send(_apply="", prepared=run.pk)
    assert CustomerAssignment.objects.count() == 1
    again = send(_apply="", prepared=run.pk)
    assert [str(message) for message in again.context["messages"]] == [
        "This list has been applied already. Nothing was added a second time."
    ]
    run.refresh_from_db()
    assert (run.state, run.created, run.rows, run.started_by) == (ImportState.FINISHED, 1, 1, "staff")
    assert not ImportPart.objects.exists()


def test_a_list_that_somebody_else_prepared_is_not_added(
    send: Callable[..., HttpResponse], site: Site
) -> None:
    CustomerFactory(tenant=site.tenant, external_id="7")
    run = send("7", _preview="").context["preview"].run
    ImportRun.objects.update(started_by="somebody")
    send(_apply="", prepared=run.pk)
    assert not CustomerAssignment.objects.exists()


@pytest.mark.usefixtures("real_time")
def test_a_long_list_is_added_in_the_background_part_by_part(
    send: Callable[..., HttpResponse], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ROWS_OF_PART", 10)
    customers = CustomerFactory.create_batch(25, tenant=site.tenant)
    run = send("\n".join(c.external_id for c in customers) + "\nnobody", _preview="").context["preview"].run
    assert run.parts.count() == 3
    page = send(_apply="", prepared=run.pk)
    assert page.redirect_chain[-1][0] == reverse("admin:imports_importrun_change", args=[run.pk])
    assert not CustomerAssignment.objects.exists()
    job = Job.objects.get()
    seen = []
    while parts._run_job(job, datetime(2026, 3, 4, tzinfo=UTC)):
        seen.append((job.progress["rows"], job.progress["left"]))
    assert seen == [(10, 16), (20, 6)]
    run.refresh_from_db()
    assert (run.state, run.rows, run.created, run.refused) == (ImportState.FINISHED, 26, 25, 1)
    assert run.rejects.get().message == "There is no customer nobody."
    undone = undo_import(run=run, clock=timezone.now)
    assert undone.total == 25
    assert not CustomerAssignment.objects.exists()
    assert Customer.objects.count() == 25


def test_a_long_list_takes_as_many_statements_as_a_short_one(
    staff_browser: Client, segment: Segment, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    page = reverse("admin:segments_segment_add_members", args=[segment.pk])
    for size in (1, 2_000):
        with django_assert_max_num_queries(40):
            response = staff_browser.post(page, {"pasted": "\n".join(map(str, range(size))), "_preview": ""})
        assert response.context["preview"].refused == size


def test_items_are_named_by_ids_and_codes(staff_browser: Client, segment: Segment) -> None:
    by_id = ProductFactory(tenant=segment.tenant, external_id="P-1", code="apple")
    by_code = ProductFactory(tenant=segment.tenant, external_id="P-2", code="pear")
    page = reverse("admin:segments_segment_add_items", args=[segment.pk])
    staff_browser.post(page, {"pasted": "P-1, pear, P-2, plum", "item_type": "PRODUCT", "_apply": ""})
    assert set(ItemAssignment.objects.values_list("product", flat=True)) == {by_id.pk, by_code.pk}
    run = ImportRun.objects.get()
    assert (run.rows, run.created, run.refused, run.refused_by_reason) == (3, 2, 1, {"unknown_product": 1})


def test_columns_of_the_import_are_read_and_unknown_ones_named(
    send: Callable[..., HttpResponse], site: Site, segment: Segment
) -> None:
    CustomerFactory(tenant=site.tenant, external_id="7")
    CustomerFactory(tenant=site.tenant, external_id="8")
    text = (
        "segmentId;customerId;MIXINS;metadata.mixins;metadata.version;note\n"
        'x;7;"{""a"": 1}";"{""a"": ""https://x.example/a.json""}";3;hello\n'
        "x;8;no json;;;\n"
    )
    page = send(text, _preview="")
    preview = page.context["preview"]
    assert counts(preview) == (2, 1, 0, 0, 1)
    assert preview.ignored == ["segmentId", "note"]
    assert [(entry.line, entry.reason) for entry in preview.unusable] == [(3, "mixins is not JSON: no json")]
    send(_apply="", prepared=preview.run.pk)
    member = CustomerAssignment.objects.get()
    assert (member.customer.external_id, member.segment) == ("7", segment)
    assert (member.mixins, member.mixin_schemas) == ({"a": 1}, {"a": "https://x.example/a.json"})


def test_json_lines_keep_what_the_import_knows(send: Callable[..., Any], site: Site) -> None:
    CustomerFactory(tenant=site.tenant, external_id="7")
    CustomerFactory(tenant=site.tenant, external_id="8")
    text = '{"customerId": "7", "mixins": {"a": 1}, "note": "x"}\n{"customerId": "8", "mixins": 5}\n[1]'
    preview = send(text, _preview="").context["preview"]
    assert counts(preview) == (3, 1, 0, 0, 2)
    assert preview.ignored == ["note"]
    send(_apply="", prepared=preview.run.pk)
    assert CustomerAssignment.objects.get().mixins == {"a": 1}


def test_items_name_their_type_and_subcategories_by_row(
    staff_browser: Client, site: Site, segment: Segment
) -> None:
    ProductFactory(tenant=site.tenant, external_id="same", code="P-1")
    CategoryFactory(tenant=site.tenant, external_id="same", code="K-1")
    CategoryFactory(tenant=site.tenant, external_id="other")
    page = reverse("admin:segments_segment_add_items", args=[segment.pk])
    text = "type,code,includeSubcategories\ncategory,k-1,yes\nPRODUCT,P-1,\nCATEGORY,other,\nSTORE,x,"
    values = {"pasted": text, "item_type": "PRODUCT", "_preview": ""}
    preview = staff_browser.post(page, values).context["preview"]
    assert counts(preview) == (4, 3, 0, 0, 1)
    staff_browser.post(page, {"_apply": "", "prepared": preview.run.pk, "item_type": "PRODUCT"})
    rows = ItemAssignment.objects.order_by("category__external_id").select_related("product", "category")
    assert [
        (row.type, (row.product or row.category).external_id, row.includes_subcategories) for row in rows
    ] == [("CATEGORY", "other", False), ("CATEGORY", "same", True), ("PRODUCT", "same", False)]


def test_what_is_not_found_comes_with_the_closest_name(
    send: Callable[..., HttpResponse], site: Site, other_tenant: Tenant, segment: Segment
) -> None:
    for number in range(20):
        CustomerFactory(tenant=site.tenant, external_id=f"C{1000 + number}", email=f"shopper{number}@x.org")
    anna = CustomerFactory(tenant=site.tenant, external_id="77", email="Anna.Meier@example.org")
    CustomerFactory(tenant=other_tenant, external_id="99", email="bert.braun@example.org")
    text = "anna.meier@exmaple.org\nnna.meier@example.org\nC10033\nbert.braun@exampel.org\nqq\nC1003"
    page = send(text, _preview="")
    preview = page.context["preview"]
    assert counts(preview) == (6, 1, 0, 0, 5)
    found = {
        entry.name: entry.suggestion and (entry.suggestion.id, entry.suggestion.name)
        for entry in preview.unusable
    }
    assert found == {
        "anna.meier@exmaple.org": ("77", "Anna.Meier@example.org"),
        "nna.meier@example.org": ("77", "Anna.Meier@example.org"),
        "C10033": ("C1003", "C1003"),
        "bert.braun@exampel.org": None,
        "qq": None,
    }
    assert 'value="77 anna.meier@exmaple.org"' in page.content.decode()
    send(_apply="", prepared=preview.run.pk, suggestion=["77 anna.meier@exmaple.org", "C1003 C10033", "bad"])
    assert set(CustomerAssignment.objects.values_list("customer", flat=True)) == {
        anna.pk,
        Customer.objects.get(external_id="C1003").pk,
    }
    preview.run.refresh_from_db()
    assert (preview.run.created, preview.run.rows) == (2, 6)


@pytest.mark.parametrize(("kind", "make"), [("PRODUCT", ProductFactory), ("CATEGORY", CategoryFactory)])
def test_items_that_are_not_found_come_with_the_closest_code(
    staff_browser: Client, site: Site, segment: Segment, kind: str, make: Any
) -> None:
    make(tenant=site.tenant, external_id="id-1", code="COFFEE-500")
    page = reverse("admin:segments_segment_add_items", args=[segment.pk])
    values = {"pasted": "COFFEE-50\nTEA", "item_type": kind, "_preview": ""}
    preview = staff_browser.post(page, values).context["preview"]
    assert [entry.suggestion and entry.suggestion.id for entry in preview.unusable] == ["id-1", None]


def test_the_preview_says_what_the_list_opens_to_them(
    send: Callable[..., HttpResponse], staff_browser: Client, site: Site, segment: Segment
) -> None:
    CustomerFactory(tenant=site.tenant, external_id="7")
    ItemAssignmentFactory(segment=segment)
    CustomerAssignmentFactory(segment=segment)
    coupon = CouponFactory(tenant=site.tenant, code="VIP10", is_segment_restricted=True)
    CouponSegmentFactory(coupon=coupon, segment=segment)
    page = send("7", _preview="")
    assert [(fact.number, fact.text, fact.details) for fact in page.context["facts"]] == [
        ("1", "item opened to them", "1 product · 0 categories"),
        ("1", "coupon opened to them", "VIP10"),
    ]
    assert send("nobody", _preview="").context["facts"] == []
    product = ProductFactory(tenant=site.tenant)
    items = reverse("admin:segments_segment_add_items", args=[segment.pk])
    values = {"pasted": product.external_id, "item_type": "PRODUCT", "_preview": ""}
    found = staff_browser.post(items, values)
    assert [(fact.number, fact.text) for fact in found.context["facts"]] == [("1", "member sees them")]
    Segment.objects.update(status="INACTIVE")
    assert "does not count now" in send("7", _preview="").content.decode()


@pytest.mark.usefixtures("real_time")
def test_the_page_of_a_long_list_shows_how_far_it_is(
    send: Callable[..., Any], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ROWS_OF_PART", 2)
    for number in range(5):
        CustomerFactory(tenant=site.tenant, external_id=f"C{number}")
    page = send("\n".join(f"C{number}" for number in range(5)), _apply="")
    run = ImportRun.objects.get()
    assert page.redirect_chain[-1][0] == reverse("admin:imports_importrun_change", args=[run.pk])
    assert (page["Refresh"], 'max="5"' in page.content.decode()) == ("3", True)
    assert "0 of 5 rows" in page.content.decode()
    worker = BackgroundWorker()
    worker.prepare()
    worker.run_until_idle()
    done = page.client.get(page.redirect_chain[-1][0])
    assert "Refresh" not in done
    assert CustomerAssignment.objects.count() == 5
