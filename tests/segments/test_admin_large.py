"""Pages of large segments: kept counts in place of counting, and a bounded look at what else members have."""

import re
from datetime import datetime, timedelta

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation
from pytest_django import DjangoAssertNumQueries

from accounts.models import Site
from core.admin.counts import exact_count
from core.journal.histories import add_undoable, newest_changes
from core.journal.undo import rules
from segments.admin.effect_facts import shown
from segments.counting import Count
from segments.effects import SegmentChangeBody, effects_of, members, members_of
from segments.models import CustomerAssignment, Segment
from tests.architecture.test_admin_roles import EXTENSIONS, GROUPS
from tests.conftest import web_client
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    UserFactory,
)
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

DAY = timedelta(days=1)
COUNTED = re.compile(r"count\(.*segments_customerassignment", re.I | re.S)


@pytest.fixture
def vip(site: Site) -> Segment:
    return SegmentFactory(site=site, external_id="vip", name={"en": "VIP"})


def page_of(segment: Segment, **query: str) -> str:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return f"{reverse('admin:segments_customerassignment_changelist')}?segment__id__exact={segment.pk}{more}"


def statements(browser: Client, page: str) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(page).status_code == 200
    return [query["sql"] for query in queries]


@pytest.mark.parametrize("members", [1, 60])
def test_the_list_of_a_segment_says_how_many_there_are_without_counting(
    staff_browser: Client, vip: Segment, members: int
) -> None:
    CustomerAssignmentFactory.create_batch(members, segment=vip)
    taken = statements(staff_browser, page_of(vip))
    assert [sql for sql in taken if COUNTED.search(sql)] == []
    assert len(taken) == 14
    listed = staff_browser.get(page_of(vip)).context["cl"]
    assert (listed.paginator.count, listed.paginator.is_capped) == (members, False)


def test_the_list_of_a_segment_stays_that_when_its_filters_are_cleared(
    staff_browser: Client, vip: Segment
) -> None:
    """And offers no filter by segment: all its rows are of that one."""
    owned = f"segment__id__exact={vip.pk}"
    page = staff_browser.get(page_of(vip))
    assert 'data-parameter="segment__id__exact"' not in page.content.decode()
    assert not page.context["cl"].has_active_filters
    filtered = staff_browser.get(page_of(vip, counts="no", q="nobody"))
    listed = filtered.context["cl"]
    assert (listed.has_active_filters, listed.clear_all_filters_qs) == (True, f"?{owned}")
    assert f'<a href="?{owned}">Clear the search' in filtered.content.decode()
    whole = staff_browser.get(reverse("admin:segments_customerassignment_changelist"))
    assert 'data-parameter="segment__id__exact"' in whole.content.decode()


@pytest.mark.parametrize(("company", "expected"), [("yes", 1), ("no", 2), ("", 3)])
def test_members_for_companies_are_listed(
    staff_browser: Client, vip: Segment, company: str, expected: int
) -> None:
    CustomerAssignmentFactory.create_batch(2, segment=vip)
    entity = LegalEntityFactory(tenant=vip.tenant)
    member = CustomerFactory(tenant=vip.tenant)
    ContactAssignmentFactory(customer=member, legal_entity=entity)
    CustomerAssignmentFactory(segment=vip, customer=member, legal_entity=entity)
    assert staff_browser.get(page_of(vip, company=company)).context["cl"].result_count == expected
    record = staff_browser.get(reverse("admin:segments_segment_change", args=[vip.pk]))
    assert page_of(vip, company="yes") in [number.url for number in record.context["numbers"]]


@pytest.mark.parametrize(("counts", "expected"), [("yes", {"now"}), ("no", {"later", "over"})])
def test_whether_members_count_is_asked_of_the_segment_once(
    staff_browser: Client, vip: Segment, now: datetime, counts: str, expected: set[str]
) -> None:
    for name, window in {
        "now": {},
        "later": {"valid_from": now + DAY},
        "over": {"valid_to": now - DAY},
    }.items():
        CustomerAssignmentFactory(segment=vip, customer__external_id=name, **window)
    page = page_of(vip, counts=counts)

    def listed() -> set[str]:
        rows = staff_browser.get(page).context["cl"].result_list
        return {row.customer.external_id for row in rows}

    assert listed() == expected
    Segment.objects.update(status="INACTIVE")
    assert listed() == (set() if counts == "yes" else {"now", "later", "over"})


@pytest.mark.parametrize("members", [1, 60])
def test_the_page_before_a_deletion_takes_as_many_statements_for_many_as_for_one(
    staff_browser: Client, vip: Segment, members: int
) -> None:
    CustomerAssignmentFactory.create_batch(members, segment=vip)
    page = reverse("admin:segments_segment_delete", args=[vip.pk])
    assert len(statements(staff_browser, page)) == 20


def test_members_at_an_instant_are_those_kept_without_those_whose_time_is_not_now(
    vip: Segment, now: datetime, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    CustomerAssignmentFactory.create_batch(3, segment=vip)
    CustomerAssignmentFactory(segment=vip, valid_from=now + DAY)
    CustomerAssignmentFactory(segment=vip, valid_to=now - DAY)
    CustomerAssignmentFactory(segment=vip, valid_from=now - DAY, valid_to=now + DAY)
    other = SegmentFactory(site=vip.site)
    CustomerAssignmentFactory(segment=other, customer=CustomerAssignment.objects.first().customer)
    assert members_of(vip.tenant_id, [vip.pk], now) == Count(value=4)
    assert members_of(vip.tenant_id, [vip.pk, other.pk], now) == Count(value=4)


def test_of_very_many_members_the_first_are_looked_at(
    vip: Segment, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "MOST_MEMBERS_COMPARED", 2)
    monkeypatch.setattr(members, "MEMBERS_LOOKED_AT", 2)
    CustomerAssignmentFactory.create_batch(3, segment=vip)
    found = effects_of(
        tenant_id=vip.tenant_id, segment_ids=["vip"], body=SegmentChangeBody(change="DELETE"), at=now
    )
    assert (found.members.total, found.members.losing) == (Count(value=3), Count(value=3))
    assert found.members.losing_all == Count(value=2, exact=False)


def test_a_large_change_can_be_taken_back_while_its_members_are_there(
    vip: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "VERDICTS", 2)
    customers = CustomerFactory.create_batch(3, tenant=vip.tenant)
    CustomerAssignment.objects.bulk_create(
        CustomerAssignment(tenant=vip.tenant, segment=vip, customer=customer) for customer in customers
    )
    for expected in (True, False):
        changes = newest_changes(vip, before=None, most=10)
        add_undoable(changes)
        added = [
            change for change in changes if (change.object, change.kind) == ("segment-customer", "created")
        ]
        assert [(change.count, change.undoable) for change in added] == [(3, expected)]
        CustomerAssignment.objects.all().delete()


@pytest.mark.usefixtures("real_time")
def test_whoever_pasted_a_list_takes_it_back_at_once(vip: Segment) -> None:
    GROUPS.make_groups(apps)
    EXTENSIONS.extend_groups(apps)
    user = UserFactory(username="anna", tenant=vip.tenant)
    user.groups.set(Group.objects.filter(name="Merchandiser"))
    browser = web_client()
    browser.force_login(user)
    CustomerFactory(tenant=vip.tenant, external_id="C1")
    page = reverse("admin:segments_segment_add_members", args=[vip.pk])
    prepared = browser.post(page, {"pasted": "C1", "_preview": "1"}).context["preview"].run
    browser.post(page, {"prepared": prepared.pk, "_apply": "1"})
    assert vip.customer_assignments.count() == 1
    answer = browser.post(
        reverse("admin:imports_importrun_undo", args=[prepared.pk]), {"next": page_of(vip)}, follow=True
    )
    assert answer.redirect_chain[0][0] == page_of(vip)
    assert vip.customer_assignments.count() == 0


def test_numbers_have_the_separators_of_the_reader() -> None:
    assert (exact_count(1_234_567), shown(Count(value=1_234))) == ("1,234,567", "1,234")
    with translation.override("de"):
        assert (exact_count(1_234_567), shown(Count(value=1_234))) == ("1.234.567", "1.234")
        assert shown(Count(value=1_234, exact=False)) == "mehr als 1.234"
