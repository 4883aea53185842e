"""What callers of the API are answered while another transaction holds what their write needs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection
from django.db.models import Model
from django.http import HttpResponse

from accounts.identity import scopes
from accounts.models import Customer, LegalEntity
from catalog.models import Category
from core.sql.locks import Lock
from core.tenancy.models import Tenant
from coupons.models import Coupon, Redemption
from segments.models import Segment
from tests.concurrency.threads import in_thread
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory, LegalEntityFactory, SiteFactory
from tests.factories.catalog import CategoryFactory
from tests.factories.coupons import CouponFactory
from tests.factories.segments import SegmentFactory
from tests.waiting import PATIENCE, wait_for_a_lock

pytestmark = pytest.mark.django_db(transaction=True)

BUSY = "Someone else is changing this; nothing was changed. Try again in a moment."
TOO_LONG = "This took too long and was stopped; nothing was changed. Try again in a moment."
TYPED = {"status": 503, "type": "service_unavailable", "message": BUSY}
CODED = {"code": 503, "status": "Service Unavailable", "message": BUSY}
ORDER = {"orderTotal": {"amount": 100, "currency": "EUR"}, "discount": {"amount": 10, "currency": "EUR"}}


@pytest.fixture
def api(service_api: Callable[..., Api]) -> Api:
    return service_api(
        scopes.SEGMENT_MANAGE,
        scopes.CATEGORY_MANAGE,
        scopes.CATEGORY_PUBLISH,
        scopes.COUPON_MANAGE,
        scopes.COUPON_REDEEM,
        scopes.CUSTOMER_MANAGE,
        scopes.LEGAL_ENTITY_MANAGE,
    )


@pytest.fixture
def rows(tenant: Tenant) -> None:
    site = SiteFactory(tenant=tenant, code="main", is_default=True)
    SegmentFactory(site=site, external_id="gold", name={"en": "Gold"})
    CategoryFactory(tenant=tenant, external_id="bikes", name={"en": "Bikes"})
    CouponFactory(tenant=tenant, code="A", allows_anonymous=True)
    CustomerFactory(tenant=tenant, external_id="C1", first_name="Ada")
    LegalEntityFactory(tenant=tenant, external_id="L1", name="Acme")


def lock_rows(session: psycopg.Connection, model: type[Model]) -> None:
    session.execute(f"SELECT FROM {model._meta.db_table} FOR UPDATE")


def lock_tree(session: psycopg.Connection, tenant: Tenant) -> None:
    session.execute("SELECT pg_advisory_xact_lock(%s, %s)", [int(Lock.CATEGORY_TREE), tenant.pk])


def stored() -> list[object]:
    """What the rows of the test look like, whoever wrote them."""
    return [
        *Segment.objects.values_list("name", "version"),
        *Category.objects.values_list("name", "version"),
        *Coupon.objects.values_list("code", "redemption_count", "version"),
        *Redemption.objects.values_list("external_id"),
        *Customer.objects.values_list("first_name", "version"),
        *LegalEntity.objects.values_list("name", "version"),
    ]


@pytest.mark.parametrize(
    ("locked", "method", "path", "body", "answered"),
    [
        (Coupon, "post", "/coupon/acme/coupons/A/redemptions", ORDER, TYPED),
        (Coupon, "delete", "/coupon/acme/coupons/A", None, TYPED),
        (Segment, "patch", "/customer-segment/acme/segments/gold", {"name": {"en": "New"}}, CODED),
        (Segment, "delete", "/customer-segment/acme/segments/gold", None, CODED),
        (Customer, "patch", "/customer/acme/customers/C1", {"firstName": "New"}, TYPED),
        (
            Tenant,
            "delete",
            "/customer-management/acme/legal-entities/L1",
            None,
            {**CODED, "details": []},
        ),
    ],
)
def test_a_write_that_waits_too_long_for_a_row_is_503_and_writes_nothing(
    rows, api, holder, impatient, locked, method, path, body, answered
):
    before = stored()
    lock_rows(holder, locked)

    answer = api.send(method, path, body)

    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
    assert answer.json() == answered
    assert stored() == before
    holder.rollback()
    assert api.send(method, path, body).status_code in (200, 201, 204)
    assert stored() != before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/category/acme/categories", {"localizedName": {"en": "New"}, "published": True}),
        ("put", "/category/acme/categories/bikes", {"localizedName": {"en": "New"}, "published": True}),
        ("delete", "/category/acme/categories/bikes", None),
    ],
)
def test_a_write_that_waits_too_long_for_the_category_tree_is_503_and_writes_nothing(
    rows, api, tenant, holder, impatient, method, path, body
):
    before = stored()
    lock_tree(holder, tenant)

    answer = api.send(method, path, body)

    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
    assert answer.json() == {**CODED, "details": []}
    assert stored() == before
    holder.rollback()
    assert api.send(method, path, body).status_code in (201, 204)
    assert stored() != before


def test_reads_do_not_wait_for_the_rows_that_somebody_changes(rows, api, tenant, holder, impatient):
    for model in (Coupon, Segment, Category, Customer, Tenant):
        lock_rows(holder, model)
    lock_tree(holder, tenant)

    for path in (
        "/coupon/acme/coupons/A",
        "/customer-segment/acme/segments",
        "/category/acme/category-trees",
        "/customer/acme/customers/C1",
    ):
        assert api.get(path).status_code == 200, path


def test_the_victim_of_a_deadlock_is_503_and_writes_nothing(rows, api, holder):
    SegmentFactory(site=Segment.objects.get().site, external_id="silver", name={"en": "Silver"})
    before = stored()
    holder.execute("SET deadlock_timeout = '1h'")  # so it is the other one that looks for the deadlock
    holder.execute("SELECT FROM segments_segment WHERE external_id = 'silver' FOR UPDATE")

    def write_both() -> HttpResponse:
        with connection.cursor() as cursor:
            cursor.execute("SET deadlock_timeout = '1s'")
        body = [
            {"id": name, "siteCode": "main", "status": "ACTIVE", "name": {"en": "New"}}
            for name in ("gold", "silver")
        ]
        return api.put("/customer-segment/acme/segments/bulk", body)

    answered = in_thread(write_both)
    wait_for_a_lock()
    holder.execute("SELECT FROM segments_segment WHERE external_id = 'gold' FOR UPDATE")
    answer = answered.result(timeout=PATIENCE)

    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
    assert answer.json() == CODED
    assert stored() == before


def test_a_serialization_failure_is_503_and_writes_nothing(rows, api, holder):
    holder.execute("UPDATE coupons_coupon SET name = 'Theirs'")

    def redeem() -> HttpResponse:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_isolation = 'repeatable read'")
        return api.post("/coupon/acme/coupons/A/redemptions", ORDER)

    answered = in_thread(redeem)
    wait_for_a_lock()
    holder.commit()
    answer = answered.result(timeout=PATIENCE)

    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
    assert answer.json() == TYPED
    assert not Redemption.objects.exists()


def test_a_read_only_server_is_503_and_its_connection_is_closed(rows, api):
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")

    answer = api.post("/coupon/acme/coupons/A/redemptions", ORDER)

    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5")
    message = "The database accepts no changes at the moment; nothing was changed. Try again."
    assert answer.json() == {**TYPED, "message": message}
    assert connection.connection is None
    assert not Redemption.objects.exists()
    assert api.post("/coupon/acme/coupons/A/redemptions", ORDER).status_code == 201


@contextmanager
def hurried() -> Iterator[None]:
    """Let the statements of this thread's connection end as soon as they wait."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '300ms'")
        cursor.execute("SET lock_timeout = 0")
        yield
        cursor.execute("RESET statement_timeout")
        cursor.execute("RESET lock_timeout")


def test_only_a_search_that_took_too_long_is_told_to_be_narrower(rows, api, holder):
    assert api.get("/customer-segment/acme/segments").status_code == 200  # the token is known from here on
    holder.execute("LOCK TABLE segments_segment IN ACCESS EXCLUSIVE MODE")

    with hurried():
        search = api.get("/customer-segment/acme/segments", q="name.en:~Go")
        page = api.get("/customer-segment/acme/segments")

    text = "The request took too long; narrow the search or simplify the regular expression."
    assert (search.status_code, search.json()["message"]) == (400, text)
    assert search.json()["details"] == {"field": "q", "type": "search_took_too_long", "message": text}
    assert (page.status_code, page.headers.get("Retry-After")) == (503, "1")
    assert page.json() == {**CODED, "message": TOO_LONG}


def test_a_write_that_reaches_the_statement_timeout_is_503_and_writes_nothing(rows, api, holder):
    before = stored()
    lock_rows(holder, Coupon)

    with hurried():
        answer = api.post("/coupon/acme/coupons/A/redemptions", ORDER)

    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
    assert answer.json() == {**TYPED, "message": TOO_LONG}
    assert stored() == before
