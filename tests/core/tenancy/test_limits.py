"""How many rows and bytes a tenant may store."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.identity.scopes import COUPON_REDEEM_ON_BEHALF, SEGMENT_MANAGE, SEGMENT_READ
from config.background_tasks import USAGE_KIND, ask_for_usage, count_usage
from core.background.models import Job
from core.tenancy.models import Tenant
from core.tenancy.usage import used_tables
from segments.models import Segment
from tests.factories.accounts import CustomerFactory
from tests.factories.coupons import CouponFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
SEGMENTS = "/customer-segment/acme/segments"
IMPORTS = "/customer-segment/acme/imports"


def count_all() -> None:
    """What the background worker does in an hour."""
    ask_for_usage(NOW)
    for job in Job.objects.filter(kind=USAGE_KIND, state="queued"):
        slices = 1
        while count_usage(job, NOW):
            slices += 1
        assert slices == len(used_tables()) + 1  # a table each, so that no slice is long
        job.state = "done"
        job.save()


@pytest.fixture
def full(tenant: Tenant, site: object, settings) -> Tenant:
    """A tenant that has reached its limit of rows, with a segment."""
    SegmentFactory(site=site, external_id="kept")
    CustomerFactory.create_batch(3, tenant=tenant)
    settings.TENANT_MAX_ROWS = {"acme": 3.0}
    count_all()
    tenant.refresh_from_db()
    return tenant


def body(**more: object) -> dict[str, object]:
    return {"name": {"en": "G"}, "siteCode": "main", "status": "ACTIVE", **more}


def test_a_full_tenant_reads_changes_and_deletes_but_adds_nothing(full: Tenant, service_api) -> None:
    api = service_api(SEGMENT_MANAGE, SEGMENT_READ)
    for answer in (
        api.post(SEGMENTS, body()),
        api.post(f"{SEGMENTS}/bulk", [body()]),
        api.put(f"{SEGMENTS}/new", body()),
        api.post(IMPORTS, [{"segmentId": "kept", "customerId": "1"}], kind="members"),
    ):
        assert answer.status_code == 403, answer.content
        assert "rows, and may store 3. Delete some" in answer.json()["message"]
    assert Segment.objects.count() == 1
    assert api.get(SEGMENTS).status_code == 200
    assert api.post(f"{SEGMENTS}/search", {"q": "id:kept"}).status_code == 200
    assert api.patch(f"{SEGMENTS}/kept", {"name": {"en": "H"}}).status_code == 204
    assert api.delete(f"{SEGMENTS}/kept?forceDelete=true").status_code == 204


def test_orders_go_on(full: Tenant, service_api) -> None:
    CouponFactory(tenant=full, code="TEN")
    customer = CustomerFactory(tenant=full)
    api = service_api(COUPON_REDEEM_ON_BEHALF)
    order = {
        "customerNumber": customer.external_id,
        "discount": {"amount": 1, "currency": "EUR"},
        "orderCode": "o-1",
        "orderTotal": {"amount": 100, "currency": "EUR"},
    }
    assert api.post("/coupon/acme/coupons/TEN/redemptions", order).status_code == 201


def test_files_are_refused_unless_they_delete(full: Tenant, tmp_path: Path) -> None:
    CustomerAssignmentFactory(
        segment=Segment.objects.get(), customer=CustomerFactory(tenant=full, external_id="c")
    )
    file = tmp_path / "members.csv"
    file.write_text("segmentId,customerId\nkept,c\n")
    with pytest.raises((CommandError, SystemExit)) as refused:
        call_command("upsert_segment_customers", str(file), "--tenant", "acme")
    assert "may store 3" in str(refused.value)
    call_command("upsert_segment_customers", str(file), "--tenant", "acme", "--mode", "delete", "--quiet")
    assert not Segment.objects.get().customer_assignments.exists()


@pytest.mark.parametrize("limit", ["TENANT_MAX_ROWS", "TENANT_MAX_BYTES"])
def test_a_limit_ends_when_there_is_room_again(
    tenant: Tenant, other_tenant: Tenant, settings, limit: str, refreshed: Callable[[Tenant], str]
) -> None:
    CustomerFactory.create_batch(2, tenant=tenant)
    setattr(settings, limit, {"*": 2.0, "globex": 1e9})
    count_all()
    assert limit.rpartition("_")[2].lower() in refreshed(tenant)
    assert refreshed(other_tenant) == ""
    setattr(settings, limit, {"*": 1e9})
    count_all()
    assert refreshed(tenant) == ""


def test_a_limit_that_is_taken_away_ends_with_the_next_count(
    full: Tenant, settings, refreshed: Callable[[Tenant], str]
) -> None:
    assert refreshed(full)
    settings.TENANT_MAX_ROWS = {}
    count_all()
    assert refreshed(full) == ""


@pytest.fixture
def refreshed() -> Callable[[Tenant], str]:
    return lambda tenant: Tenant.objects.get(pk=tenant.pk).limit_reached
