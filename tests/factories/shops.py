"""A tenant with one row of every model: what tests over all pages of the admin are generated from."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import Group
from django.db import models

from accounts.identity.models import AttemptCounter, ClientSecret, RefreshToken, Session, SigningKey
from accounts.models import Erasure
from catalog.models import CategoryNumber
from core.background.models import Job
from core.imports.models import ImportReject, ImportRun
from core.journal.models import Change
from core.revisions.models import Revision
from core.tenancy.models import Tenant
from coupons.models import CouponSettings
from segments.models import SegmentSet, Tally
from tests.factories.accounts import (
    ApiClientFactory,
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
    TenantFactory,
    UserFactory,
)
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import (
    CouponCampaignFactory,
    CouponCategoryFactory,
    CouponFactory,
    CouponSegmentFactory,
    RedemptionFactory,
    ReservationFactory,
)
from tests.factories.events import (
    DeliveryFactory,
    EventFactory,
    SubscriptionFactory,
    TargetFactory,
    WebhookConfigFactory,
)
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

SOON = datetime(2100, 1, 1, tzinfo=UTC)
MINE, THEIRS = "mymark", "theirmark"


@dataclass
class Shop:
    """A tenant with one row of every model. All texts of its rows hold the mark."""

    mark: str
    rows: dict[type[models.Model], models.Model] = field(default_factory=dict)

    def make(self) -> None:
        """Make the rows; each factory's row is kept under its model."""
        mark = self.mark
        tenant = self.keep(TenantFactory(name=f"{mark}x", title=mark))
        site = self.keep(SiteFactory(tenant=tenant, code=mark, name=mark))
        customer = self.keep(
            CustomerFactory(tenant=tenant, external_id=mark, first_name=mark, email=f"{mark}@example.com")
        )
        entity = self.keep(LegalEntityFactory(tenant=tenant, external_id=mark, name=mark))
        self.keep(ContactAssignmentFactory(legal_entity=entity, customer=customer, external_id=mark))
        client = self.keep(ApiClientFactory(tenant=tenant, client_id=mark, name=mark))
        self.keep(ClientSecret.objects.create(client=client, slot=1, digest=mark))
        session = self.keep(
            Session.objects.create(
                tenant=tenant,
                client=client,
                customer=customer,
                legal_entity=entity,
                context={"site": mark},
                expires_at=SOON,
            )
        )
        token = RefreshToken(tenant=tenant, session=session, digest=mark, expires_at=SOON)
        token.save()
        self.keep(token)
        self.keep(UserFactory(username=mark, tenant=tenant, first_name=mark))
        name = {"en": mark}
        product = self.keep(ProductFactory(tenant=tenant, external_id=mark, code=mark, name=name))
        category = self.keep(CategoryFactory(tenant=tenant, external_id=mark, code=mark, name=name))
        self.keep(
            CategoryAssignmentFactory(tenant=tenant, external_id=mark, category=category, product=product)
        )
        self.keep(CategoryNumber.objects.create(tenant=tenant, category=category, value=mark))
        segment = self.keep(SegmentFactory(site=site, external_id=mark, name=name))
        self.keep(CustomerAssignmentFactory(segment=segment, customer=customer, legal_entity=entity))
        self.keep(ItemAssignmentFactory(segment=segment, product=product))
        coupon = self.keep(CouponFactory(tenant=tenant, code=mark.upper(), name=mark, redemption_count=1))
        self.keep(CouponSegmentFactory(coupon=coupon, segment=segment))
        self.keep(CouponCategoryFactory(coupon=coupon, category=category))
        self.keep(RedemptionFactory(coupon=coupon, customer_number=mark, order_code=mark))
        self.keep(CouponCampaignFactory(tenant=tenant, external_id=mark, terms__name=mark))
        self.keep(ReservationFactory(coupon=coupon, customer_number=mark, order_code=mark))
        self.keep(CouponSettings.objects.create(tenant=tenant))
        self.keep(WebhookConfigFactory(tenant=tenant))
        target = self.keep(TargetFactory(tenant=tenant, name=mark, external_id=mark))
        self.keep(SubscriptionFactory(tenant=tenant, excluded_fields=[mark]))
        event = self.keep(EventFactory(tenant=tenant, external_id=mark, order_key=mark, occurred_at=SOON))
        self.keep(DeliveryFactory(event=event, target=target, state="DELIVERED"))
        run = ImportRun(tenant=tenant, kind="segments", mode="upsert", started_by=mark, file_name=mark)
        self.keep(run)
        self.keep(ImportReject(run=run, line=2, reason="unknown_site", message=mark, source=mark))
        self.keep(Erasure.objects.create(tenant=tenant, pseudonym=mark, erased_at=SOON, requested_by=mark))
        self.keep(Job.objects.create(tenant=tenant, kind="count", requested_by=mark, error=mark))
        self.keep(Change.objects.filter(tenant=tenant, object="segment").first())
        self.keep(AttemptCounter.objects.create(subject=mark, attempts=1, resets_at=SOON))
        self.keep(Revision.objects.filter(tenant=tenant).first() or Revision(tenant=tenant))
        self.keep(Tally.objects.filter(tenant=tenant).first())
        self.keep(
            SegmentSet.objects.create(tenant=tenant, key=mark, segment_keys=[segment.pk], expires_at=SOON)
        )
        self.keep(Group.objects.create(name=mark[::-1]))  # serves all tenants
        key = SigningKey(
            kid=mark, status="retired", private_key="", public_key={"kid": mark}, retired_at=SOON
        )
        key.save()
        self.keep(key)

    def keep(self, row: Any) -> Any:
        if row.pk is None:
            row.save()
        self.rows[type(row)] = row
        return row

    @property
    def tenant(self) -> Any:
        return self.rows[Tenant]
