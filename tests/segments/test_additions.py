"""By whom and on what occasion members came into a segment; and what was done to a filtered list."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import translation

from accounts.models import Customer, Site
from accounts.operations.erasure import erase_customer
from catalog.models import Product
from core.actors import Actor, ActorType, acting_as
from core.filter_sources import FILTERED, filter_in_words, filter_source
from core.imports.models import ImportRun
from core.journal.models import Change
from core.journal.words import sentence_of
from core.sql.composition import Sql
from core.tenancy.models import Tenant
from segments import additions
from segments.additions import added_by, added_on, additions_of, keep_added, recent_additions
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.conftest import web_client
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    UserFactory,
)
from tests.factories.catalog import ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

pytestmark = pytest.mark.usefixtures("real_time")
MEMBERS = "admin:segments_customerassignment_changelist"
ITEMS = "admin:segments_itemassignment_changelist"


@contextmanager
def somebody(name: str, source: str = "request", source_id: str = "r1") -> Iterator[None]:
    kind = ActorType.STAFF if name in ("staff", "anna") else ActorType.CLIENT
    with acting_as(Actor(kind, name, source_type=source, source_id=source_id)):
        yield


@pytest.fixture
def vip(site: Site) -> Segment:
    return SegmentFactory(site=site, external_id="vip", name={"en": "VIP"})


@pytest.mark.parametrize("few", [additions.FEW_KEYS, 0])
@pytest.mark.parametrize("seed", range(3))
def test_the_last_addition_counts_whoever_removed_and_added_before(
    vip: Segment, seed: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compared with a model in Python: whoever added a member last, as themselves or for a company."""
    monkeypatch.setattr(additions, "FEW_KEYS", few)
    company = LegalEntityFactory(tenant=vip.tenant)
    chance = random.Random(seed)  # noqa: S311 -- the same changes in every run
    customers = [CustomerFactory(tenant=vip.tenant, external_id=f"M{number}") for number in range(6)]
    for customer in customers:
        ContactAssignmentFactory(customer=customer, legal_entity=company)
    other = SegmentFactory(site=vip.site)
    known: dict[tuple[int, int | None], tuple[str, str]] = {}
    for _ in range(30):
        who, source = chance.choice(["staff", "anna", "robot"]), chance.choice(["1", "2"])
        chosen = chance.sample(customers, chance.randint(1, 3))
        entity = chance.choice([None, company])
        entity_id = entity.pk if entity else None
        with somebody(who, "import", source):
            if chance.random() < 0.4:
                CustomerAssignment.objects.filter(
                    segment=vip, customer__in=chosen, legal_entity=entity
                ).delete()
                for customer in chosen:
                    known.pop((customer.pk, entity_id), None)
                continue
            new = [customer for customer in chosen if (customer.pk, entity_id) not in known]
            CustomerAssignment.objects.bulk_create(
                CustomerAssignment(tenant=vip.tenant, segment=vip, customer=customer, legal_entity=entity)
                for customer in new
            )
            known |= {(customer.pk, entity_id): (who, source) for customer in new}
            CustomerAssignment.objects.get_or_create(tenant=vip.tenant, segment=other, customer=chosen[0])
    rows = list(CustomerAssignment.objects.filter(segment=vip))
    found = additions_of(rows)
    assert {
        (row.customer_id, row.legal_entity_id): (found[row.pk].actor_id, found[row.pk].source_id)
        for row in rows
    } == known
    for who in ("staff", "anna", "robot"):
        kind = "client" if who == "robot" else "staff"
        assert pairs_kept(vip, added_by(kind, who)) == {pair for pair, by in known.items() if by[0] == who}
    for source in ("1", "2"):
        assert pairs_kept(vip, added_on("import", source)) == {
            pair for pair, by in known.items() if by[1] == source
        }
    assert pairs_kept(vip, added_on("paste", "")) == set()


def pairs_kept(segment: Segment, chosen: Sql) -> set[tuple[int, int | None]]:
    rows = keep_added(
        CustomerAssignment.objects.filter(segment=segment),
        tenant_id=segment.tenant_id,
        segment_id=segment.pk,
        chosen=chosen,
    )
    return set(rows.values_list("customer_id", "legal_entity_id"))


def test_items_are_kept_by_who_added_them(vip: Segment) -> None:
    with somebody("anna"):
        first = ItemAssignmentFactory(segment=vip)
    with somebody("robot"):
        ItemAssignmentFactory(segment=vip)
    rows = keep_added(
        ItemAssignment.objects.all(),
        tenant_id=vip.tenant_id,
        segment_id=vip.pk,
        chosen=added_by("staff", "anna"),
    )
    assert list(rows) == [first]
    assert [one.actor_id for one in recent_additions(ItemAssignment, vip.tenant_id, vip.pk)] == [
        "robot",
        "anna",
    ]


def test_the_list_says_and_filters_by_who_added_and_how(staff_browser: Client, vip: Segment) -> None:
    run = ImportRun.objects.create(
        tenant=vip.tenant, kind="segment_customers", mode="insert", file_name="members.csv", file_digest=""
    )
    with somebody("staff", "import", str(run.pk)):
        mine = CustomerAssignmentFactory(segment=vip)
    with somebody("robot", "request", "abc"):
        theirs = CustomerAssignmentFactory(segment=vip)
    query = {"segment__id__exact": vip.pk}
    page = staff_browser.get(reverse(MEMBERS), query)
    filters = {
        one.parameter_name: one.lookup_choices
        for one in page.context["cl"].filter_specs
        if hasattr(one, "parameter_name")
    }
    assert filters["by"] == [("client:robot", "robot (API client)"), ("staff:staff", "you")]
    assert filters["source"] == [
        ("request:", "API request"),
        (f"import:{run.pk}", f"import {run.pk}: members.csv"),
    ]
    assert f"by you, import {run.pk}" in page.content.decode()
    for choice, expected in (
        ({"by": "client:robot"}, [theirs]),
        ({"source": f"import:{run.pk}"}, [mine]),
        ({"source": "request:", "by": "staff:staff"}, []),
        ({"by": "nobody"}, []),
        ({"source": "import:x'"}, []),
    ):
        found = staff_browser.get(reverse(MEMBERS), {**query, **choice})
        assert list(found.context["cl"].result_list) == expected, choice
    export = staff_browser.get(
        reverse("admin:segments_customerassignment_export"), {**query, "by": "client:robot"}
    )
    assert theirs.customer.external_id in b"".join(export).decode()
    elsewhere = staff_browser.get(reverse(MEMBERS), {"by": "client:robot"})
    assert list(elsewhere.context["cl"].result_list) == []


def test_the_journals_names_are_for_those_who_may_see_it(tenant: Tenant, vip: Segment) -> None:
    with somebody("robot"):
        CustomerAssignmentFactory(segment=vip)
    user = UserFactory(tenant=tenant)
    user.user_permissions.set(Permission.objects.exclude(codename="view_change"))
    browser = web_client()
    browser.force_login(user)
    page = browser.get(reverse(MEMBERS), {"segment__id__exact": vip.pk})
    assert "robot (API client)" not in page.content.decode()
    hidden = browser.get(reverse(MEMBERS), {"segment__id__exact": vip.pk, "by": "client:robot"})
    assert list(hidden.context["cl"].result_list) == []


@pytest.fixture
def shoppers(vip: Segment) -> list[Customer]:
    found = []
    for number in range(4):
        name = "shop" if number < 3 else "firm"
        customer = CustomerFactory(tenant=vip.tenant, external_id=f"C{number}", email=f"{name}{number}@x.org")
        CustomerAssignmentFactory(segment=vip, customer=customer)
        found.append(customer)
    return found


def removed(segment: Segment) -> Change:
    return Change.objects.filter(object="segment-customer", key=segment.pk, kind="deleted").latest("id")


def list_of(segment: Segment, query: str = "") -> str:
    return f"{reverse(MEMBERS)}?segment__id__exact={segment.pk}{query}"


def remove(browser: Client, address: str, keys: list[int], **values: str) -> Any:
    selection = {"action": "delete_selected", "_selected_action": keys, **values}
    return browser.post(address, selection, follow=True)


def keys_of(segment: Segment) -> list[int]:
    return list(
        CustomerAssignment.objects.filter(segment=segment).order_by("pk").values_list("pk", flat=True)
    )


def test_an_action_on_all_that_a_filter_matches_names_the_filter(
    staff_browser: Client, vip: Segment, shoppers: list[Customer]
) -> None:
    answer = remove(staff_browser, list_of(vip, "&q=shop"), keys_of(vip)[:1], select_across="1")
    change = removed(vip)
    assert (change.source_type, change.count) == ("filter", 3)
    assert sentence_of(change, {}) == "removed 3 members (filter: search: shop)"
    with translation.override("de"):
        assert sentence_of(change, {}) == "3 Mitglieder entfernt (Filter: Suche: shop)"
    message = str(next(iter(answer.context["messages"])))
    source = message.split('name="id" value="')[1].split('"')[0]
    assert source == change.source_id
    staff_browser.post(
        reverse("admin:journal_change_undo_occasion"), {"type": "filter", "id": source, "next": "/admin/"}
    )
    assert CustomerAssignment.objects.filter(segment=vip).count() == 4


def test_an_undo_of_a_filter_takes_back_that_action_only(
    staff_browser: Client, vip: Segment, shoppers: list[Customer]
) -> None:
    other = SegmentFactory(site=vip.site, external_id="other")
    CustomerAssignmentFactory(segment=other, customer=shoppers[0])
    for segment in (other, vip):
        answer = remove(staff_browser, list_of(segment, "&q=shop"), keys_of(segment)[:1], select_across="1")
    source = str(next(iter(answer.context["messages"]))).split('name="id" value="')[1].split('"')[0]
    staff_browser.post(
        reverse("admin:journal_change_undo_occasion"), {"type": "filter", "id": source, "next": "/admin/"}
    )
    assert CustomerAssignment.objects.filter(segment=vip).count() == 4
    assert not CustomerAssignment.objects.filter(segment=other).exists()


def test_all_rows_of_a_short_filtered_list_are_its_filter_too(
    staff_browser: Client, vip: Segment, shoppers: list[Customer]
) -> None:
    remove(staff_browser, list_of(vip, "&q=shop"), keys_of(vip)[:2])
    assert removed(vip).source_type == "admin"  # two of three: chosen by hand
    remove(staff_browser, list_of(vip, "&q=shop&counts=yes"), keys_of(vip)[:1])
    assert sentence_of(removed(vip), {}) == "removed 1 member (filter: search: shop; counts now: Yes)"


def test_a_list_of_one_segment_is_no_filter(
    staff_browser: Client, vip: Segment, shoppers: list[Customer]
) -> None:
    remove(staff_browser, list_of(vip), keys_of(vip)[:1], select_across="1")
    assert removed(vip).source_type == "admin"


def test_a_product_list_names_what_was_chosen_by(staff_browser: Client, vip: Segment) -> None:
    product = ProductFactory(tenant=vip.tenant, external_id="beans", name={"en": "Beans"})
    ItemAssignmentFactory(segment=vip, product=product)
    rows = ItemAssignment.objects.filter(segment=vip)
    address = f"{reverse(ITEMS)}?segment__id__exact={vip.pk}&product__id__exact={product.pk}"
    remove(staff_browser, address, list(rows.values_list("pk", flat=True)))
    change = Change.objects.get(object="segment-product", kind="deleted")
    assert sentence_of(change, {}) == f"removed 1 product (filter: product: {product})"
    assert Product.objects.filter(pk=product.pk).exists()


def test_the_words_of_a_filter_are_bounded_and_read_in_any_language() -> None:
    source = filter_source("r1", [("search", "x" * 500)])
    assert len(source) == 200
    assert filter_in_words("r1") == ""
    with translation.override("de"):
        assert filter_in_words("r1 counts now: Yes") == "gilt jetzt: Ja"
    assert FILTERED == "filter"


def test_the_words_of_a_filter_go_with_the_customer_whom_they_name(
    staff_browser: Client, vip: Segment, shoppers: list[Customer], now: datetime
) -> None:
    remove(staff_browser, list_of(vip, "&q=shop1@x.org"), keys_of(vip), select_across="1")
    assert removed(vip).source_id.endswith(" search: shop1@x.org")
    erase_customer(tenant_id=vip.tenant_id, external_id="C1", requested_by="test", at=now)
    change = Change.objects.get(object="segment-customer", kind="deleted", source_type="filter")
    assert " " not in change.source_id
    assert sentence_of(change, {}) == "removed 1 member"
