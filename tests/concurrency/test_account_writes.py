"""Writers of customers, sites and legal entities at the same instant: real threads, real commits."""

from datetime import UTC, datetime

import pytest

from accounts.errors import LegalEntityCycle
from accounts.models import Customer, LegalEntity, Site
from accounts.operations.customers import upsert_customer
from accounts.operations.documents import Change
from accounts.operations.legal_entities import upsert_legal_entity
from accounts.operations.sites import create_site
from tests.concurrency.threads import at_once
from tests.factories.accounts import LegalEntityFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_upserts_of_one_new_customer_create_it_once(tenant):
    results = at_once(
        4,
        lambda: upsert_customer(
            tenant_id=tenant.pk,
            external_id="C1",
            change=Change({"first_name": "Ada"}),
            at=datetime.now(UTC),
        )[1],
    )
    assert sorted(results) == [False, False, False, True]
    assert Customer.objects.get().version == 4


def test_first_sites_at_once_leave_one_default(tenant):
    codes = iter(["a", "b", "c", "d"])
    change = Change({"name": "Site", "languages": ["en"], "is_default": True})
    at_once(
        4, lambda: create_site(tenant_id=tenant.pk, code=next(codes), change=change, at=datetime.now(UTC))
    )
    assert Site.objects.count() == 4
    assert Site.objects.filter(is_default=True).count() == 1


def test_two_moves_at_once_close_no_cycle(tenant):
    LegalEntityFactory(tenant=tenant, external_id="a")
    LegalEntityFactory(tenant=tenant, external_id="b")
    moves = iter([("a", "b"), ("b", "a")])

    def move():
        below, above = next(moves)
        return upsert_legal_entity(
            tenant_id=tenant.pk,
            external_id=below,
            parent_id=above,
            change=Change({"name": below}),
            at=datetime.now(UTC),
        )

    results = at_once(2, move)
    assert [type(result) for result in results].count(LegalEntityCycle) == 1
    assert LegalEntity.objects.filter(parent=None).count() == 1
