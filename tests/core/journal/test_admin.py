"""The page Activity and the histories of rows: changes in words, and taking them back."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Customer
from core.actors import Actor, ActorType, acting_as
from core.journal.models import Change
from core.journal.searching import MOST_COMMANDS, MOST_FOUND
from segments.models import CustomerAssignment, Rule, Segment
from tests.conftest import browser_with
from tests.factories.accounts import CustomerFactory, SiteFactory, UserFactory
from tests.factories.catalog import CategoryFactory
from tests.factories.coupons import CouponFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

ADA = Actor(ActorType.STAFF, "ada", "Ada L.", "admin", "r1")
ACTIVITY = "/admin/journal/change/"
pytestmark = pytest.mark.usefixtures("real_time")


@pytest.fixture
def gold(site):
    return SegmentFactory(site=site, external_id="gold", name={"en": "Gold"}, valid_to="2030-01-01T17:00Z")


def add_members(gold, number):
    customers = [CustomerFactory(tenant=gold.tenant) for _ in range(number)]
    with acting_as(ADA):
        CustomerAssignment.objects.bulk_create(
            CustomerAssignment(tenant=gold.tenant, segment=gold, customer=one) for one in customers
        )
    return customers


def last(name):
    return Change.objects.filter(object=name).order_by("-id").first()


def text_of(response):
    assert response.status_code == 200, response
    return response.content.decode().replace("-&gt;", "->")


def test_changes_are_told_in_words(staff_browser, gold):
    add_members(gold, 3)
    with acting_as(ADA):
        Segment.objects.filter(pk=gold.pk).update(
            valid_to="2030-01-01T18:00Z", name={"en": "Golden"}, version=2
        )
        CustomerAssignment.objects.filter(segment=gold).delete()
    for page in (ACTIVITY, reverse("admin:segments_segment_history", args=[gold.pk])):
        text = text_of(staff_browser.get(page))
        assert "end 17:00 -> 18:00" in text
        assert "name (en) Gold -> Golden" in text
        assert "added 3 members" in text
        assert "removed 3 members" in text
        assert "Ada L. (staff)" in text
        for column in ("valid_to", "mixin_schemas", "external_id", "segment_id"):
            assert f"{column} " not in text


@pytest.mark.parametrize(
    ("outcomes", "english", "german"),
    [
        ([(38, 0)], "evaluated: 38 joined, nobody left", "ausgewertet: 38 kamen hinzu, niemand schied aus"),
        ([(0, 1)], "evaluated: nobody joined, 1 left", "ausgewertet: niemand kam hinzu, 1 schied aus"),
        (
            [(1, 0), (1, 0)],
            "evaluated again, with the same numbers",
            "wieder ausgewertet, mit denselben Zahlen",
        ),
        ([(1, 2000), (1, 0)], "evaluated: nobody left", "ausgewertet: niemand schied aus"),
    ],
)
def test_evaluations_are_told_as_a_person_would(staff_browser, gold, outcomes, english, german):
    rule = Rule.objects.create(tenant=gold.tenant, segment=gold, q="onHold:true")
    for number, (added, removed) in enumerate(outcomes, 1):
        Rule.objects.filter(pk=rule.pk).update(
            added=added, removed=removed, evaluated_at=f"2026-01-0{number}T00:00Z"
        )
    for address in ("/admin/", ACTIVITY, reverse("admin:segments_segment_history", args=[gold.pk])):
        assert english in text_of(staff_browser.get(address)), address
        assert german in text_of(staff_browser.get(address, headers={"Accept-Language": "de"})), address


def test_members_coupons_categories_and_customers_have_a_history(staff_browser, tenant, gold):
    customer = CustomerFactory(tenant=tenant)
    member = CustomerAssignmentFactory(segment=gold, customer=customer)
    coupon, category = CouponFactory(tenant=tenant), CategoryFactory(tenant=tenant, external_id="K1")
    Customer.objects.filter(pk=customer.pk).update(first_name="Zoe")
    for name, row, words in (
        ("segments_customerassignment", member, "added 1 member"),
        ("coupons_coupon", coupon, "created the coupon"),
        ("catalog_category", category, "created the category"),
        ("accounts_customer", customer, "added 1 member"),
        ("accounts_customer", customer, "first name"),
    ):
        assert words in text_of(staff_browser.get(reverse(f"admin:{name}_history", args=[row.pk])))


def test_the_button_takes_a_change_back_after_a_confirmation(staff_browser, gold):
    add_members(gold, 2)
    page = reverse("admin:journal_change_undo", args=[last("segment-customer").pk])
    assert page in text_of(staff_browser.get(ACTIVITY))
    assert "added 2 members" in text_of(staff_browser.get(page))
    assert gold.customer_assignments.count() == 2
    answer = staff_browser.post(page, follow=True)
    assert "2 rows were taken back." in text_of(answer)
    assert gold.customer_assignments.count() == 0
    written = last("segment-customer")
    assert (written.actor_id, written.source_type, written.kind) == ("staff", "undo", "deleted")


def test_an_undo_needs_the_permission_to_write(tenant, gold):
    add_members(gold, 1)
    browser = browser_with(tenant, "delete_customerassignment")
    page = reverse("admin:journal_change_undo", args=[last("segment-customer").pk])
    assert browser.post(page).status_code == 403
    assert gold.customer_assignments.count() == 1


def test_activity_shows_only_what_the_user_may_see(tenant, gold):
    CustomerFactory(tenant=tenant, external_id="secret-customer")
    assert "secret-customer" not in text_of(browser_with(tenant, "view_customer").get(ACTIVITY))


def test_nothing_of_another_tenant_is_shown_or_taken_back(staff_browser, other_tenant, gold):
    foreign = SegmentFactory(site=SiteFactory(tenant=other_tenant), external_id="foreign")
    change = Change.objects.get(object="segment", key=foreign.pk)
    page = reverse("admin:journal_change_undo", args=[change.pk])
    assert (staff_browser.get(page).status_code, staff_browser.post(page).status_code) == (404, 404)
    assert "foreign" not in text_of(staff_browser.get(ACTIVITY))
    assert staff_browser.get(reverse("admin:segments_segment_history", args=[foreign.pk])).status_code == 302
    assert Segment.objects.filter(pk=foreign.pk).exists()


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"by": "staff"}, 1),
        ({"by": "client"}, 0),
        ({"occasion": "admin"}, 1),
        ({"what": "segment-customer"}, 1),
        ({"what": "segment"}, 1),
        ({"when": "1", "by": "staff"}, 1),
        ({"q": "ada"}, 1),
        ({"q": "gold"}, 2),
    ],
)
def test_activity_is_filtered(staff_browser, gold, query, count):
    add_members(gold, 1)
    found = staff_browser.get(ACTIVITY, query).context["cl"].result_list
    assert len(found) == count


def test_pages_take_the_same_statements_however_many_changes_there_are(staff_browser, gold):
    counts = []
    for number in (1, 12):
        for value in range(number):
            Segment.objects.filter(pk=gold.pk).update(name={"en": f"{number} {value}"})
        with CaptureQueriesContext(connection) as queries:
            staff_browser.get(ACTIVITY)
            staff_browser.get(reverse("admin:segments_segment_history", args=[gold.pk]))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 28  # two pages, what changed on each being read by kind


def test_older_changes_are_a_page_of_their_own(staff_browser, gold):
    for value in range(60):
        Segment.objects.filter(pk=gold.pk).update(name={"en": f"N{value}"})
    page = reverse("admin:segments_segment_history", args=[gold.pk])
    first = staff_browser.get(page)
    older = staff_browser.get(page, {"before": first.context["older"]})
    assert (len(first.context["changes"]), len(older.context["changes"])) == (50, 11)
    assert older.context["older"] is None


def found(browser, query):
    """Return the ids of what the changes that a search finds are about, the newest first."""
    response = browser.get(ACTIVITY, query)
    assert response.status_code == 200
    return [change.external_id for change in response.context["cl"].result_list], response.content.decode()


def test_a_search_finds_persons_programs_ids_and_occasions(staff_browser, tenant, other_tenant):
    import_run = Actor(ActorType.CLIENT, "shop", "", "import", "77")
    with acting_as(import_run):
        CustomerFactory(tenant=tenant, external_id="C1")
        CustomerFactory(tenant=other_tenant, external_id="C1")
    with acting_as(Actor(ActorType.COMMAND, "upsert_customers", "root")):
        CustomerFactory(tenant=tenant, external_id="C2")
    with acting_as(Actor(ActorType.STAFF, "ada", "Ada L.", "admin", "r1")):
        CustomerFactory(tenant=tenant, external_id="C3")
    UserFactory(tenant=tenant, username="ada", first_name="Ada", last_name="L.")
    for term, wanted in {
        "shop": ["C1"],
        "77": ["C1"],
        "c1": ["C1"],
        "root": ["C2"],
        "UPSERT_CUSTOMERS": ["C2"],
        "ada": ["ada", "C3"],
        "ada l.": ["C3"],
        "nobody": [],
    }.items():
        assert found(staff_browser, {"q": term})[0] == wanted, term
    assert found(staff_browser, {"q": "shop", "by": "staff"})[0] == []


def test_a_search_that_finds_more_than_it_shows_goes_on_with_older_changes(
    staff_browser, tenant, monkeypatch
):
    monkeypatch.setattr("core.journal.searching.MOST_FOUND", 2)
    with acting_as(Actor(ActorType.CLIENT, "shop")):
        for number in range(3):
            CustomerFactory(tenant=tenant, external_id=f"C{number}")
    names, page = found(staff_browser, {"q": "shop"})
    assert names == ["C2", "C1"]
    assert "Only the newest changes were searched" in page
    assert "&lt;time" not in page
    [address] = re.findall(r'href="\?([^"]*older=[^"]*)">Search older', page)
    names, page = found(staff_browser, QueryDict(address.replace("&amp;", "&")).dict())
    assert names == ["C0"]
    assert "Only the newest changes" not in page


def test_a_search_that_looked_at_the_newest_commands_only_says_so(staff_browser, tenant, monkeypatch):
    monkeypatch.setattr("core.journal.searching.MOST_COMMANDS", 2)
    for number, user in enumerate(("anna", "root", "root")):
        with acting_as(Actor(ActorType.COMMAND, "upsert_customers", user)):
            CustomerFactory(tenant=tenant, external_id=f"C{number}")
    names, page = found(staff_browser, {"q": "anna"})
    assert names == []
    [address] = re.findall(r'href="\?([^"]*older=[^"]*)">Search older', page)
    assert found(staff_browser, QueryDict(address.replace("&amp;", "&")).dict())[0] == ["C0"]


def test_older_changes_go_on_by_time_and_not_by_key(staff_browser, tenant, monkeypatch):
    monkeypatch.setattr("core.journal.searching.MOST_FOUND", 2)
    with acting_as(Actor(ActorType.CLIENT, "shop")):
        for number in range(4):
            CustomerFactory(tenant=tenant, external_id=f"C{number}")
    # a statement that took long: its keys are among those of one that began later
    first, second, third, fourth = Change.objects.filter(object="customer").order_by("pk")
    Change.objects.filter(pk=first.pk).update(at=fourth.at + timedelta(seconds=1))
    names, page = found(staff_browser, {"q": "shop"})
    assert sorted(names) == ["C0", "C3"]
    [address] = re.findall(r'href="\?([^"]*older=[^"]*)">Search older', page)
    assert found(staff_browser, QueryDict(address.replace("&amp;", "&")).dict())[0] == ["C2", "C1"]


def test_a_change_of_another_tenant_is_no_place_to_go_on_from(staff_browser, tenant, other_tenant):
    CustomerFactory(tenant=tenant)
    with acting_as(Actor(ActorType.CLIENT, "theirs")):
        CustomerFactory(tenant=other_tenant)
    theirs = Change.objects.filter(tenant=other_tenant).latest("pk")
    own = Change.objects.filter(tenant=tenant).latest("pk")
    for key, is_known in ((theirs.pk, False), (own.pk, True)):
        page = staff_browser.get(reverse("admin:journal_change_changelist"), {"older": key})
        assert ("older than" in page.content.decode().lower()) == is_known


def test_a_search_compares_what_indexes_hold_and_reads_a_limited_number(staff_browser, tenant):
    with CaptureQueriesContext(connection) as queries:
        found(staff_browser, {"q": "shop"})
    [search] = [each["sql"] for each in queries if "UNION ALL" in each["sql"] and "source_id" in each["sql"]]
    assert "UPPER(" not in search
    assert "LIKE" not in search
    for column in ("actor_id", "external_id", "source_id"):
        assert re.search(rf'"tenant_id" = {tenant.pk} AND "journal_change"."{column}" IN \(', search), search
    limits = [int(number) for number in re.findall(r"LIMIT (\d+)", search)]
    assert sorted(limits) == sorted([1] + [MOST_FOUND] * 4 + [MOST_COMMANDS])
