"""The page that shows the shop as a customer says what the API answers, for random data."""

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.identity.scopes import COUPON_READ, SEGMENT_READ
from accounts.models import Customer, Site
from catalog.models import Category, Product
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from coupons.models import Coupon
from segments.models import Segment
from tests.conftest import Api, Clock
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

pytestmark = pytest.mark.usefixtures("real_time")
DAY = timedelta(days=1)


def page(browser: Client, customer: Customer, **query: Any) -> Any:
    response = browser.get(reverse("admin:view_as_customer"), {"customer": customer.pk, **query})
    assert response.status_code == 200
    return response.context


def random_shop(site: Site, chance: random.Random) -> Customer:
    """Fill a shop by chance: windows that are open or not, unpublished categories and products."""
    tenant, now = site.tenant, timezone.now()
    customer = CustomerFactory(tenant=tenant, external_id="C1")

    def window() -> JsonObject:
        return chance.choice(
            [{}, {"valid_to": now - DAY}, {"valid_from": now + DAY}, {"valid_to": now + 30 * DAY}]
        )

    categories: list[Category] = []
    for _number in range(8):
        parent = chance.choice([None, *categories])
        published = {"is_published": chance.random() < 0.8}
        where = {"parent": parent} if parent else {"tenant": tenant}
        categories.append(CategoryFactory(**where, **published))
    products = [ProductFactory(tenant=tenant, is_published=chance.random() < 0.8) for _number in range(8)]
    for product in products[:5]:
        CategoryAssignmentFactory(tenant=tenant, product=product, category=chance.choice(categories))
    for number in range(5):
        segment = SegmentFactory(
            site=site,
            external_id=f"S{number}",
            status=chance.choice(["ACTIVE", "ACTIVE", "INACTIVE"]),
            **window(),
        )
        if chance.random() < 0.8:
            CustomerAssignmentFactory(segment=segment, customer=customer, **window())
        for category in chance.sample(categories, 2):
            is_whole = chance.random() < 0.5
            ItemAssignmentFactory(
                segment=segment, product=None, category=category, includes_subcategories=is_whole, **window()
            )
        ItemAssignmentFactory(segment=segment, product=chance.choice(products), **window())
        coupon = CouponFactory(tenant=tenant, code=f"K{number}", is_segment_restricted=True, **window())
        CouponSegmentFactory(coupon=coupon, segment=segment)
    return customer


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("days", [0, 2])
def test_the_page_says_what_the_api_answers(
    staff_browser: Client, site: Site, service_api: Callable[..., Api], seed: int, days: int
) -> None:
    customer = random_shop(site, random.Random(seed))
    api = service_api(SEGMENT_READ, COUPON_READ)
    at = (timezone.now() + days * DAY + timedelta(seconds=60)).replace(microsecond=0)
    base = "/customer-segment/acme"
    asked = {"customerId": "C1", "asOf": at.isoformat()}

    def explanation(kind: str, name: str) -> object:
        answer = api.get(f"{base}/explanations?{urlencode({**asked, kind: name})}")
        assert answer.status_code == 200, answer.content
        return answer.json()

    moment = {"at_0": f"{at:%Y-%m-%d}", "at_1": f"{at:%H:%M:%S}"}
    context = page(staff_browser, customer, **moment)
    shown = {row["url"].split("/")[-3] for row in context["products"]["rows"]}
    visible = [one for one in Product.objects.all() if explanation("product", one.external_id)["visible"]]
    assert shown == {str(one.pk) for one in visible}
    late = staff_browser.get(
        reverse("admin:view_as_customer"), {"customer": customer.pk, **moment}, HTTP_X_FRAGMENT="1"
    )
    assert late.context["total"] == len(visible)
    categories = {
        one.external_id
        for one in Category.objects.filter(parent__isnull=False)
        if explanation("category", one.external_id)["visible"]
    }
    assert context["view"].nodes.keys() == categories
    [part] = context["usable"]
    usable = {one["thing"].id for one in part["usable"]}
    refused = {one["thing"].id for one in part["refused"]}
    for code in usable | refused:
        assert explanation("coupon", code)["visible"] == (code in usable)
    segments = api.get(f"{base}/segments?{urlencode(asked)}").json()
    counting = {one["name"] for one in context["memberships"] if one["ok"]}
    assert counting == {next(iter(one["name"].values())) for one in segments}


def test_the_chain_names_the_first_link_that_fails_and_who_broke_it(
    staff_browser: Client, tenant: Tenant, site: Site
) -> None:
    customer = CustomerFactory(tenant=tenant)
    segment = SegmentFactory(site=site, name={"en": "Gold"})
    CustomerAssignmentFactory(segment=segment, customer=customer)
    product = ProductFactory(tenant=tenant, name={"en": "Coffee"})
    ItemAssignmentFactory(segment=segment, product=product)
    Product.objects.filter(pk=product.pk).update(is_published=False)
    why = page(staff_browser, customer, product=product.pk)["why"]
    assert [link["ok"] for link in why["links"]] == [True, True, True, False]
    assert why["links"][3]["reasons"] == "product is unpublished"
    assert why["links"][3]["blame"].startswith("unpublished by ")
    assert why["verdict"] == "No: it is not shown."
    assert page(staff_browser, customer, why="coff")["hits"][0]["text"] == str(product)


def test_another_time_is_compared(staff_browser: Client, tenant: Tenant, site: Site) -> None:
    now = timezone.now()
    customer = CustomerFactory(tenant=tenant)
    soon = SegmentFactory(site=site, valid_from=now + DAY)
    ending = SegmentFactory(site=site, valid_to=now + DAY)
    for segment, name in ((soon, "New"), (ending, "Old")):
        CustomerAssignmentFactory(segment=segment, customer=customer)
        category = CategoryFactory(tenant=tenant, name={"en": f"{name} category"})
        ItemAssignmentFactory(segment=segment, product=None, category=category)
        ItemAssignmentFactory(
            segment=segment, product=ProductFactory(tenant=tenant, name={"en": f"{name} product"})
        )
    now = timezone.now()
    later = now + 2 * DAY
    moments = {
        "at_0": f"{later:%Y-%m-%d}",
        "at_1": "12:00",
        "than_0": f"{now:%Y-%m-%d}",
        "than_1": f"{now:%H:%M:%S.%f}",
    }
    context = page(staff_browser, customer, **moments)
    assert context["new_categories"].names == ("New category",)
    assert context["gone_categories"].names == ("Old category",)
    late = staff_browser.get(
        reverse("admin:view_as_customer"), {"customer": customer.pk, **moments}, HTTP_X_FRAGMENT="1"
    )
    assert (late.context["new"].names, late.context["gone"].names) == (("New product",), ("Old product",))


def test_the_past_is_shown_as_it_was(
    staff_browser: Client, tenant: Tenant, site: Site, clock: type[Clock]
) -> None:
    customer = CustomerFactory(tenant=tenant)
    segment = SegmentFactory(site=site, name={"en": "Gold"})
    member = CustomerAssignmentFactory(segment=segment, customer=customer)
    ItemAssignmentFactory(segment=segment, product=ProductFactory(tenant=tenant, name={"en": "Coffee"}))
    then = datetime.now(UTC)
    moment = {"at_0": f"{then:%Y-%m-%d}", "at_1": f"{then:%H:%M:%S.%f}"}
    member.delete()
    clock.at = datetime.now(UTC)
    assert page(staff_browser, customer)["memberships"] == []
    context = page(staff_browser, customer, **moment)
    assert [one["name"] for one in context["memberships"]] == ["Gold"]
    assert [row["text"].partition(" (")[0] for row in context["products"]["rows"]] == ["Coffee"]
    long_ago = staff_browser.get(
        reverse("admin:view_as_customer"), {"customer": customer.pk, "at_0": "2001-01-01", "at_1": "00:00"}
    )
    assert "The history begins at" in long_ago.content.decode()


def test_branches_are_opened_one_by_one(staff_browser: Client, tenant: Tenant, site: Site) -> None:
    customer = CustomerFactory(tenant=tenant)
    segment = SegmentFactory(site=site)
    CustomerAssignmentFactory(segment=segment, customer=customer)
    root = CategoryFactory(tenant=tenant, name={"en": "Food"})
    for number in range(3):
        CategoryFactory(parent=root, name={"en": f"Part {number}"})
    ItemAssignmentFactory(segment=segment, product=None, category=root, includes_subcategories=True)
    [branch] = page(staff_browser, customer)["branches"]
    assert (branch.name, branch.count, branch.children) == ("Food", 3, [])
    assert "Part 1" not in str(
        staff_browser.get(reverse("admin:view_as_customer"), {"customer": customer.pk}).content
    )
    opened = re.search(r"open=([^&#]+)", branch.toggle)
    assert opened
    [branch] = page(staff_browser, customer, open=root.external_id)["branches"]
    assert [child.name for child in branch.children] == ["Part 0", "Part 1", "Part 2"]


def test_statements_do_not_depend_on_how_much_there_is(
    staff_browser: Client, tenant: Tenant, site: Site
) -> None:
    customer = CustomerFactory(tenant=tenant)
    counts = []
    for number in (1, 60):
        for segment in SegmentFactory.create_batch(2, site=site):
            CustomerAssignmentFactory(segment=segment, customer=customer)
            for product in ProductFactory.create_batch(number, tenant=tenant):
                ItemAssignmentFactory(segment=segment, product=product)
            CouponSegmentFactory(
                coupon=CouponFactory(tenant=tenant, is_segment_restricted=True), segment=segment
            )
        with CaptureQueriesContext(connection) as queries:
            context = page(staff_browser, customer)
        counts.append(len(queries))
    assert len(context["products"]["rows"]) == 50
    assert counts[0] == counts[1] <= 20
    rest = staff_browser.get(
        f"{reverse('admin:view_as_customer')}{context['products']['next'].partition('#')[0]}"
    )
    assert len(rest.context["products"]["rows"]) == 50


def test_other_tenants_are_not_shown(staff_browser: Client, other_tenant: Tenant, tenant: Tenant) -> None:
    stranger = CustomerFactory(tenant=other_tenant, last_name="Stranger")
    response = staff_browser.get(reverse("admin:view_as_customer"), {"customer": stranger.pk})
    assert "Stranger" not in response.content.decode()
    segment = SegmentFactory(site=SiteFactory(tenant=other_tenant))
    CustomerAssignmentFactory(segment=segment, customer=stranger)
    response = staff_browser.get(reverse("admin:view_as_customer"), {"segment": segment.pk})
    assert "Stranger" not in response.content.decode()
    coupon = CouponFactory(tenant=other_tenant, code="ELSEWHERE")
    ada = CustomerFactory(tenant=tenant)
    assert page(staff_browser, ada, coupon=coupon.pk)["why"] is None


@pytest.mark.parametrize("query", [{"customer": "x"}, {"customer": "1", "at_0": "31.2.2026"}, {"open": "\0"}])
def test_wrong_addresses_show_the_form(staff_browser: Client, query: dict[str, str]) -> None:
    assert staff_browser.get(reverse("admin:view_as_customer"), query).status_code == 200


def test_rows_lead_to_the_page(staff_browser: Client, tenant: Tenant, site: Site) -> None:
    rows = [CustomerFactory(tenant=tenant), ProductFactory(tenant=tenant), CategoryFactory(tenant=tenant)]
    rows += [CouponFactory(tenant=tenant), SegmentFactory(site=site)]
    for row in rows:
        names = row._meta
        text = staff_browser.get(reverse(f"admin:{names.app_label}_{names.model_name}_change", args=[row.pk]))
        assert f"{reverse('admin:view_as_customer')}?{names.model_name}={row.pk}" in text.content.decode()
    assert {type(row) for row in rows} == {Customer, Product, Category, Coupon, Segment}
