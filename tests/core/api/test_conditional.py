"""ETag, If-None-Match and If-Match of single documents, for every kind that has a version."""

import psycopg
import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from accounts.identity import scopes
from core.api.conditional import document_with_tag, kept_response
from core.observation.metrics import REGISTRY
from core.sql.composition import Sql
from core.sql.fetching import fetch_rows
from coupons.api.viewsets import coupons as coupon_views
from coupons.operations import find_coupon
from segments.api.viewsets.segments import SegmentViewSet
from tests.concurrency.threads import in_thread
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
)
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, RedemptionFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory
from tests.waiting import PATIENCE, wait_for_a_lock

ALL_SCOPES = tuple(scopes.MEANINGS)
SEGMENTS = "/customer-segment/acme/segments"


@pytest.fixture
def documents(tenant, site) -> dict[str, str]:
    """The address of one document of each kind that has a version."""
    segment = SegmentFactory(site=site, external_id="gold", name={"en": "Gold", "de": "Gold-Kunden"})
    customer = CustomerFactory(tenant=tenant, external_id="c1")
    CustomerAssignmentFactory(segment=segment, customer=customer)
    product = ProductFactory(tenant=tenant, external_id="p1")
    ItemAssignmentFactory(segment=segment, product=product)
    CategoryFactory(tenant=tenant, external_id="shoes")
    CouponFactory(tenant=tenant, code="SAVE")
    entity = LegalEntityFactory(tenant=tenant, external_id="le1")
    ContactAssignmentFactory(tenant=tenant, legal_entity=entity, customer=customer, external_id="ca1")
    SiteFactory(tenant=tenant, code="other")
    return {
        "segment": f"{SEGMENTS}/gold",
        "member": f"{SEGMENTS}/gold/customers/c1",
        "item": f"{SEGMENTS}/gold/items/PRODUCT/p1",
        "category": "/category/acme/categories/shoes",
        "product": "/product/acme/products/p1",
        "coupon": "/coupon/acme/coupons/SAVE",
        "customer": "/customer/acme/customers/c1",
        "legal entity": "/customer-management/acme/legal-entities/le1",
        "contact": "/customer-management/acme/contact-assignments/ca1",
        "site": "/site/acme/sites/other",
    }


KINDS = (
    "segment",
    "member",
    "item",
    "category",
    "product",
    "coupon",
    "customer",
    "legal entity",
    "contact",
    "site",
)


@pytest.mark.parametrize("kind", KINDS)
def test_the_tag_of_a_document_is_its_version_in_every_language(api, documents, kind):
    document = api.get(documents[kind])
    in_german = api.get(documents[kind], headers={"Accept-Language": "en"})
    assert document["ETag"] == in_german["ETag"] == f'"{document.json()["metadata"]["version"]}"'
    assert "Accept-Language" in document["Vary"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_write_with_another_version_is_refused_and_changes_nothing(api, documents, kind):
    before = api.get(documents[kind])
    stale = {"If-Match": '"17"'}

    refused = api.delete(documents[kind], headers=stale)

    assert refused.status_code == 412
    assert "If-Match does not name the present version" in refused.json()["message"]
    assert api.put(documents[kind], {}, headers=stale).status_code == 412
    after = api.get(documents[kind])
    assert (after.content, after["ETag"]) == (before.content, before["ETag"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*"])
def test_a_write_with_the_present_version_is_done(api, documents, kind, form):
    tag = api.get(documents[kind])["ETag"]

    deleted = api.delete(documents[kind], headers={"If-Match": form.format(tag)}, forceDelete="true")

    assert deleted.status_code in (202, 204)
    assert api.get(documents[kind]).status_code == 404


def test_a_patch_is_compared_beside_the_version_of_its_body(api, documents):
    patch = {"name": {"en": "New"}, "metadata": {"version": 9}}
    assert api.patch(documents["segment"], patch, headers={"If-Match": '"1"'}).status_code == 409
    patch["metadata"] = {"version": 1}
    assert api.patch(documents["segment"], patch, headers={"If-Match": '"1"'}).status_code == 204
    assert api.get(documents["segment"])["ETag"] == '"2"'


def test_what_does_not_exist_is_neither_created_nor_called_deleted(api, site):
    body = {"name": {"en": "New"}, "siteCode": "main"}
    for method, arguments in (("put", (body,)), ("delete", ())):
        refused = getattr(api, method)(f"{SEGMENTS}/new", *arguments, headers={"If-Match": "*"})
        assert refused.status_code == 412
        assert "does not exist" in refused.json()["message"]
    assert api.get(f"{SEGMENTS}/new").status_code == 404
    assert api.patch(f"{SEGMENTS}/new", {}, headers={"If-Match": '"1"'}).status_code == 404


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["*", "{}", "W/{}"])
def test_a_write_of_what_is_not_there_is_refused_where_it_is(api, documents, kind, form):
    before = api.get(documents[kind])
    there = {"If-None-Match": form.format(before["ETag"])}
    for method, arguments in (("put", ({},)), ("patch", ({},)), ("delete", ())):
        refused = getattr(api, method)(documents[kind], *arguments, headers=there)
        if refused.status_code == 405:  # some have no PATCH
            continue
        assert refused.status_code == 412
        assert "the resource exists" in refused.json()["message"]
    assert api.get(documents[kind]).content == before.content


def test_what_is_not_there_is_created_once(api, site):
    body = {"name": {"en": "New"}, "siteCode": "main"}
    for status in (201, 412):
        assert api.put(f"{SEGMENTS}/new", body, headers={"If-None-Match": "*"}).status_code == status
    assert api.put(f"{SEGMENTS}/new", body, headers={"If-None-Match": '"9"'}).status_code == 204
    assert api.delete(f"{SEGMENTS}/other", headers={"If-None-Match": "*"}).status_code == 204


def test_what_somebody_creates_meanwhile_is_not_overwritten(api, site, monkeypatch):
    body = {"name": {"en": "New"}, "siteCode": "main"}
    api.put(f"{SEGMENTS}/new", body)
    monkeypatch.setattr(SegmentViewSet, "locked_version", lambda view: None)  # as it was a moment ago
    refused = api.put(f"{SEGMENTS}/new", body, headers={"If-None-Match": "*"})
    assert refused.status_code == 412
    assert api.get(f"{SEGMENTS}/new")["ETag"] == '"1"'


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("value", ["1", "", '"' + "1" * 4_000 + '"'])
def test_a_header_that_names_no_tag_is_refused(api, documents, header, value):
    refused = api.delete(documents["segment"], headers={header: value})
    assert refused.status_code == 400
    assert "in double quotes" in refused.json()["message"]


def test_errors_have_the_shape_of_the_service(api, documents):
    coupon = api.delete(documents["coupon"], headers={"If-Match": '"17"'}).json()
    assert (coupon["status"], coupon["type"]) == (412, "precondition_failed")
    segment = api.delete(documents["segment"], headers={"If-Match": '"17"'}).json()
    assert (segment["code"], segment["status"]) == (412, "Precondition Failed")


def test_a_change_of_a_coupon_locks_segments_before_the_coupon_and_compares_then(api, documents):
    tag = api.get(documents["coupon"])["ETag"]
    change = {"segmentRestricted": True, "restrictions": {"segments": ["gold"]}}
    with CaptureQueriesContext(connection) as statements:
        answer = api.patch(documents["coupon"], change, headers={"If-Match": tag})
    assert answer.status_code == 200, answer.content
    locked = [
        next(table for table in ("segments_segment", "coupons_coupon") if table in statement["sql"])
        for statement in statements
        if "FOR UPDATE" in statement["sql"] or "FOR KEY SHARE" in statement["sql"]
    ]
    assert "segments_segment" in locked
    assert "coupons_coupon" in locked
    assert "segments_segment" not in locked[locked.index("coupons_coupon") :]


def test_a_coupon_that_was_changed_since_the_first_look_is_refused(api, documents, monkeypatch):
    tag = api.get(documents["coupon"])["ETag"]

    def change_and_find(*arguments):
        coupon = find_coupon(*arguments)
        type(coupon).objects.filter(pk=coupon.pk).update(version=coupon.version + 1)
        return coupon

    monkeypatch.setattr(coupon_views, "find_coupon", change_and_find)
    refused = api.patch(documents["coupon"], {"name": "New"}, headers={"If-Match": tag})
    assert refused.status_code == 412


def test_a_change_of_a_site_lets_rows_refer_to_it(api, documents):
    with CaptureQueriesContext(connection) as statements:
        assert api.patch(documents["site"], {"name": "New"}).status_code < 300
    locks = [row["sql"] for row in statements if "accounts_site" in row["sql"] and "FOR " in row["sql"]]
    assert locks
    assert all("FOR NO KEY UPDATE" in lock for lock in locks)


def test_lists_and_bulks_take_no_if_match(api, documents):
    stale = {"If-Match": '"17"'}
    assert api.get(SEGMENTS, headers=stale).status_code == 200
    row = {"id": "gold", "name": {"en": "New"}, "siteCode": "main"}
    assert api.put(f"{SEGMENTS}/bulk", [row], headers=stale).json()[0]["code"] == 204


@pytest.mark.parametrize("held", ['"1"', 'W/"1"', '"0", "1"', "*"])
def test_a_held_document_is_not_sent_again(api, documents, held):
    answer = api.get(documents["segment"], headers={"If-None-Match": held})
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", '"1"')
    changed = {"name": {"en": "New"}}
    assert api.patch(documents["segment"], changed).status_code == 204
    if held != "*":
        assert api.get(documents["segment"], headers={"If-None-Match": held}).status_code == 200


def test_what_changes_without_the_version_is_always_sent(api, documents, tenant):
    """A redemption changes what the coupon shows, but not its version."""
    tag = api.get(documents["coupon"])["ETag"]
    answer = api.get(documents["coupon"], headers={"If-None-Match": tag})
    assert (answer.status_code, answer["ETag"]) == (200, tag)
    named = api.get(documents["coupon"], headers={"If-None-Match": tag}, fields="name")
    assert named.status_code == 304


def test_a_document_without_a_version_has_a_tag_of_its_contents(api, tenant):
    redemption = RedemptionFactory(coupon=CouponFactory(tenant=tenant, code="SAVE"))
    address = f"/coupon/acme/coupons/SAVE/redemptions/{redemption.external_id}"
    tag = api.get(address)["ETag"]
    assert len(tag) == 34
    assert api.get(address, headers={"If-None-Match": tag}).status_code == 304


def test_a_shopper_cannot_learn_versions_of_others(customer_api, tenant):
    customer = CustomerFactory(tenant=tenant, external_id="c1")
    CustomerFactory(tenant=tenant, external_id="c2")
    refused = customer_api(customer).delete("/customer/acme/customers/c2", headers={"If-Match": '"17"'})
    assert refused.status_code == 403


@pytest.mark.django_db(transaction=True)
def test_the_version_is_compared_under_the_lock(service_api, site, holder: psycopg.Connection):
    """A writer that waited for the row sees the version that the other one has written."""
    SegmentFactory(site=site, external_id="gold")
    api = service_api(*ALL_SCOPES)

    body = {"name": {"en": "Late"}, "siteCode": "main"}
    holder.execute("UPDATE segments_segment SET version = version + 1")
    late = in_thread(lambda: api.put(f"{SEGMENTS}/gold", body, headers={"If-Match": '"1"'}))
    wait_for_a_lock()
    holder.commit()
    assert late.result(PATIENCE).status_code == 412
    assert fetch_rows(Sql("SELECT version FROM segments_segment")) == [(2,)]


def test_a_document_that_a_write_returns_is_never_304_or_412():
    request = RequestFactory().post("/", headers={"If-None-Match": "*", "If-Match": '"9"'})
    response = HttpResponse("{}")
    assert document_with_tag(request, response, '"1"') is response
    assert response["ETag"] == '"1"'


def test_what_was_created_is_found_at_its_location(api, site):
    body = {"name": {"en": "New"}, "siteCode": "main"}
    for created in (api.post(SEGMENTS, body), api.put(f"{SEGMENTS}/named:1~2@x", body)):
        assert created.status_code == 201
        assert api.get(created["Location"]).json()["id"] == created.json()["id"]
    coupon = {"code": "A B", "name": "x", "discountType": "PERCENT", "discountPercentage": 5}
    assert api.post("/coupon/acme/coupons", coupon)["Location"] == "/coupon/acme/coupons/A%20B"


def test_answers_are_counted_by_where_their_body_was(rf):
    def counted():
        return [
            REGISTRY.get_sample_value("segments_cache_answers_total", {"body": body})
            for body in ("held", "kept", "made")
        ]

    def ask(**headers):
        return kept_response(
            rf.get("/", headers=headers),
            ["counted", 1],
            lambda: HttpResponse(b"[]", content_type="application/json"),
        )

    before = counted()
    first = ask()
    ask()
    ask(**{"If-None-Match": first["ETag"]})
    assert [after - former for after, former in zip(counted(), before, strict=True)] == [1, 1, 1]
