"""Kept bodies are never stale: random writes by every entry point, windows, customers, workers, threads."""

import random
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any
from unittest import mock

import pytest
from django.db import transaction
from django.db.models import Model
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts.identity.scopes import CATEGORY_MANAGE, CATEGORY_PUBLISH, CATEGORY_UNPUBLISH, SEGMENT_MANAGE
from accounts.models import Customer, Site
from catalog.models import Category, CategoryAssignment, Product
from core.api.conditional import KeptBodies
from core.sql.composition import bind
from core.sql.fetching import execute
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.concurrency.threads import in_thread
from tests.conftest import NOW, Api, Clock
from tests.factories.accounts import CustomerFactory, SiteFactory, TenantFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory
from tests.waiting import PATIENCE

SEGMENTS = "/customer-segment/acme/segments"
CATALOGUE = "/category/acme"
SEGMENT_IDS = ("S0", "S1", "S2")
PRODUCT_IDS = ("P0", "P1", "P2")
CATEGORY_IDS = ("K0", "K1", "K2")
READS = [
    SEGMENTS,
    f"{SEGMENTS}/items",
    f"{SEGMENTS}/items?pageSize=2",
    f"{SEGMENTS}/items?siteCode=main",
    f"{SEGMENTS}/items/category-trees",
    f"{SEGMENTS}/S0/items",
    f"{CATALOGUE}/category-trees",
    f"{CATALOGUE}/category-trees/K0",
    f"{CATALOGUE}/categories",
    f"{CATALOGUE}/categories/K0/subcategories",
    f"{CATALOGUE}/categories/categoryTree",
    f"{CATALOGUE}/categories/K0/assignments",
    f"{CATALOGUE}/categories/K0/assignments?withSubcategories=true&segmentsIds=S0,S1",
    f"{CATALOGUE}/categories/K0/assignments?hideUnpublishedProducts=true",
    f"{CATALOGUE}/assignments/references/P0",
    "/product/acme/products",
]
MOMENTS = st.sampled_from([None, -2, -1, 1, 2, 3])
WITH_WINDOWS = (Segment, CustomerAssignment, ItemAssignment, Category)
WORDS = st.sampled_from("ab")
NO_BODIES = KeptBodies(0)


@pytest.fixture
def compared_bodies() -> None:
    """These tests compare by themselves."""


@pytest.fixture
def api_of(
    tenant: Tenant, site: Site, customer_api: Callable[..., Api], service_api: Callable[..., Api]
) -> dict[str, Api]:
    """A client for each customer, and one that may write."""
    customers = [CustomerFactory(tenant=tenant, external_id=f"C{number}") for number in range(3)]
    manager = service_api(SEGMENT_MANAGE, CATEGORY_MANAGE, CATEGORY_PUBLISH, CATEGORY_UNPUBLISH)
    return {"manager": manager} | {one.external_id: customer_api(one) for one in customers}


class Storefronts(RuleBasedStateMachine):
    """Customers read from two workers while everything is written; what is kept equals what is read anew."""

    tenant: Tenant
    site: Site
    apis: dict[str, Api]

    def __init__(self) -> None:
        super().__init__()
        self.workers = [KeptBodies(1_000_000), KeptBodies(20_000)]
        self.watched: list[tuple[str, int]] = []
        self.held: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)
        Clock.at = NOW

    @initialize(paths=st.lists(st.sampled_from(READS), min_size=3, max_size=3), worker=st.integers(0, 1))
    def open_shop(self, paths: list[str], worker: int) -> None:
        self.watched = [(path, worker) for path in paths]
        tenant = self.tenant
        above = None
        for name in CATEGORY_IDS:
            above = CategoryFactory(tenant=tenant, parent=above, external_id=name)
        for product, category in zip(PRODUCT_IDS, CATEGORY_IDS, strict=True):
            made = ProductFactory(tenant=tenant, external_id=product)
            CategoryAssignmentFactory(
                product=made, category=Category.objects.get(tenant=tenant, external_id=category)
            )
        for number, name in enumerate(SEGMENT_IDS):
            segment = SegmentFactory(site=self.site, external_id=name)
            customer = Customer.objects.get(tenant=tenant, external_id=f"C{number % 2}")
            CustomerAssignmentFactory(segment=segment, customer=customer)
            product = Product.objects.get(tenant=tenant, external_id=PRODUCT_IDS[number])
            ItemAssignmentFactory(segment=segment, product=product)
            category = Category.objects.get(tenant=tenant, external_id=CATEGORY_IDS[number])
            ItemAssignmentFactory(
                segment=segment, product=None, category=category, includes_subcategories=number == 1
            )

    # Reads

    @rule(who=st.sampled_from(["C0", "C1", "C2"]), path=st.sampled_from(READS), worker=st.integers(0, 1))
    def read(self, who: str, path: str, worker: int) -> None:
        self.read_as(who, path, worker)

    def read_as(self, who: str, path: str, worker: int) -> None:
        api = self.apis[who]
        with mock.patch("core.api.conditional.kept_bodies", return_value=self.workers[worker]):
            kept = api.get(path)
            tag, body = self.held.get((who, path), ("", b""))
            asked = api.get(path, headers={"If-None-Match": tag}) if tag else None
        with mock.patch("core.api.conditional.kept_bodies", return_value=NO_BODIES):
            fresh = api.get(path)
        assert kept.status_code in (200, 400, 404)  # 400: the site that the path names has another name now
        assert (kept.status_code, kept.content) == (fresh.status_code, fresh.content)
        assert kept.get("ETag") == fresh.get("ETag")
        if asked is not None and asked.status_code == 304:
            assert body == fresh.content, "an old tag is 304 for something that has changed"
        if kept.has_header("ETag"):
            self.held[who, path] = (kept["ETag"], kept.content)
        assert all(one.by_tag.currsize <= one.limit for one in self.workers)

    @invariant()
    def what_is_watched_is_right_after_each_step(self) -> None:
        for path, worker in self.watched:
            self.read_as("C0", path, worker)

    @rule(minutes=st.integers(1, 7))
    def let_time_pass(self, minutes: int) -> None:
        Clock.advance(timedelta(minutes=minutes))  # all steps together end before the tokens do

    # Writes by the ORM and by statements on many rows

    def segments(self) -> Any:
        return Segment.objects.filter(tenant=self.tenant)

    @rule(name=st.sampled_from(SEGMENT_IDS), word=st.sampled_from("abc"))
    def rename_segment(self, name: str, word: str) -> None:
        self.segments().filter(external_id=name).update(name={"en": word})

    @rule(name=st.sampled_from(SEGMENT_IDS), status=st.sampled_from(["ACTIVE", "INACTIVE"]))
    def switch_segment(self, name: str, status: str) -> None:
        self.segments().filter(external_id=name).update(status=status)

    @rule(
        model=st.sampled_from([Segment, CustomerAssignment, ItemAssignment, Category]),
        opens=MOMENTS,
        closes=MOMENTS,
    )
    def set_windows(self, model: type[Model], opens: int | None, closes: int | None) -> None:
        if opens is not None and closes is not None and opens > closes:
            opens, closes = closes, opens
        ends = [
            None if moment is None else Clock.at + timedelta(minutes=5 * moment) for moment in (opens, closes)
        ]
        rows = model.objects.filter(tenant=self.tenant).order_by("pk")
        keys = list(rows.values_list("pk", flat=True)[1:3])
        model.objects.filter(pk__in=keys).update(valid_from=ends[0], valid_to=ends[1])

    @rule(customer=st.sampled_from(["C0", "C1", "C2"]), name=st.sampled_from(SEGMENT_IDS))
    def join_or_leave(self, customer: str, name: str) -> None:
        facts = {"customer__external_id": customer, "segment__external_id": name, "tenant": self.tenant}
        if CustomerAssignment.objects.filter(**facts).delete()[0]:
            return
        if segment := self.segments().filter(external_id=name).first():
            member = Customer.objects.get(tenant=self.tenant, external_id=customer)
            CustomerAssignmentFactory(segment=segment, customer=member, assignment_type="AUTOMATIC")

    @rule(
        name=st.sampled_from(PRODUCT_IDS),
        column=st.sampled_from(["name", "description"]),
        word=st.sampled_from("ab"),
    )
    def change_product(self, name: str, column: str, word: str) -> None:
        Product.objects.filter(tenant=self.tenant, external_id=name).update(**{column: {"en": word}})

    @rule(name=st.sampled_from(PRODUCT_IDS), shown=st.booleans())
    def publish_product(self, name: str, shown: bool) -> None:
        Product.objects.filter(tenant=self.tenant, external_id=name).update(is_published=shown)

    @rule(name=st.sampled_from(PRODUCT_IDS))
    def delete_product_in_sql(self, name: str) -> None:
        found = bind(
            "DELETE FROM catalog_product WHERE tenant_id = {tenant} AND external_id = {name}",
            tenant=self.tenant.pk,
            name=name,
        )
        execute(found)

    @rule(name=st.sampled_from(PRODUCT_IDS))
    def add_product(self, name: str) -> None:
        if not Product.objects.filter(tenant=self.tenant, external_id=name).exists():
            product = ProductFactory(tenant=self.tenant, external_id=name)
            if category := Category.objects.filter(tenant=self.tenant, external_id="K0").first():
                CategoryAssignmentFactory(product=product, category=category)

    @rule(word=st.sampled_from("xyz"))
    def rename_site(self, word: str) -> None:
        Site.objects.filter(pk=self.site.pk).update(code=word)

    @rule(taken_back=st.booleans())
    def write_in_a_savepoint(self, taken_back: bool) -> None:
        with transaction.atomic():
            self.segments().update(name={"en": f"{taken_back}"})
            ItemAssignment.objects.filter(tenant=self.tenant).update(mixins={"a": random.random()})
            transaction.set_rollback(taken_back)

    # Writes by the API

    @rule(name=st.sampled_from(SEGMENT_IDS), product=st.sampled_from(PRODUCT_IDS))
    def put_items(self, name: str, product: str) -> None:
        self.apis["manager"].put(f"{SEGMENTS}/{name}/items/PRODUCT/bulk", [{"id": product}, {"id": "P0"}])

    @rule(name=st.sampled_from(SEGMENT_IDS), item=st.sampled_from(PRODUCT_IDS))
    def delete_item(self, name: str, item: str) -> None:
        self.apis["manager"].delete(f"{SEGMENTS}/{name}/items/PRODUCT/{item}")

    @rule(name=st.sampled_from(SEGMENT_IDS))
    def delete_segment(self, name: str) -> None:
        assert self.apis["manager"].delete(f"{SEGMENTS}/{name}?forceDelete=true").status_code == 204

    @rule(name=st.sampled_from(SEGMENT_IDS))
    def put_segment(self, name: str) -> None:
        body = {"name": {"en": name}, "siteCode": Site.objects.get(pk=self.site.pk).code, "status": "ACTIVE"}
        assert self.apis["manager"].put(f"{SEGMENTS}/{name}", body).status_code in (201, 204)

    @rule(
        name=st.sampled_from(CATEGORY_IDS), published=st.booleans(), above=st.sampled_from([None, "K0", "K1"])
    )
    def put_category(self, name: str, published: bool, above: str | None) -> None:
        body = {"localizedName": {"en": name}, "published": published, "ecn": [name]}
        if above and above < name:
            body["parentId"] = above
        assert self.apis["manager"].put(f"{CATALOGUE}/categories/{name}", body).status_code in (
            201,
            204,
            400,
            404,
        )

    @rule(name=st.sampled_from(CATEGORY_IDS))
    def delete_category(self, name: str) -> None:
        assert self.apis["manager"].delete(f"{CATALOGUE}/categories/{name}").status_code in (204, 404)

    @rule(name=st.sampled_from(CATEGORY_IDS))
    def empty_category(self, name: str) -> None:
        CategoryAssignment.objects.filter(tenant=self.tenant, category__external_id=name).delete()


def test_whatever_happens_every_body_is_as_an_uncached_server_answers(
    tenant: Tenant, site: Site, api_of: dict[str, Api]
) -> None:
    Storefronts.tenant, Storefronts.site, Storefronts.apis = tenant, site, api_of
    run_state_machine_as_test(
        Storefronts,
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.django_db(transaction=True)
def test_readers_beside_writers_see_at_least_what_was_committed_before_they_asked(
    transactional_db: None, real_time: None, stored_signing_keys: None, customer_api: Callable[..., Api]
) -> None:
    """Eight of each. Every writer raises the name of its own product in a transaction that takes a while."""
    tenant = TenantFactory(name="acme")
    segment = SegmentFactory(site=SiteFactory(tenant=tenant, code="main"))
    customer = CustomerFactory(tenant=tenant)
    CustomerAssignmentFactory(segment=segment, customer=customer)
    names = [f"P{number}" for number in range(8)]
    products = [ProductFactory(tenant=tenant, external_id=name, name={"en": "0"}) for name in names]
    for product in products:
        ItemAssignmentFactory(segment=segment, product=product)
    api = customer_api(customer)
    committed = dict.fromkeys(names, 0)
    is_over = Event()

    def write(product: Product) -> None:
        for number in range(1, 16):
            with transaction.atomic():
                Product.objects.filter(pk=product.pk).update(name={"en": str(number)})
                ItemAssignment.objects.filter(product=product).update(version=number)
                time.sleep(random.random() / 200)
            committed[product.external_id] = number

    def read() -> int:
        count = 0
        while not is_over.is_set():
            least = dict(committed)
            rows = api.get(f"{SEGMENTS}/items").json()
            shown = {row["item"]["id"]: int(row["item"]["name"]["en"]) for row in rows}
            assert shown.keys() == least.keys()
            assert all(shown[name] >= number for name, number in least.items()), (shown, least)
            count += 1
        return count

    readers = [in_thread(read) for _ in range(8)]
    for writer in [in_thread(partial(write, product)) for product in products]:
        writer.result(PATIENCE)
    is_over.set()
    counts = [reader.result(PATIENCE) for reader in readers]

    assert min(counts) > 0
    assert [row["item"]["name"]["en"] for row in api.get(f"{SEGMENTS}/items").json()] == ["15"] * 8
