"""Reports are exactly what coupons and redemptions say, whatever is written, undone and merged."""

import json
import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import Site
from core.journal.settling import settle_all
from core.tenancy.models import Tenant
from coupons.bodies import CampaignBody
from coupons.judgements import JUDGEMENTS
from coupons.models import Coupon, CouponSegment, JudgementCount, Redemption, ReportAddition, ReportCount
from coupons.operations import create_campaign, deactivate_campaign, generate_codes
from coupons.reasons import Reason, ReasonType
from coupons.report_counts import merge_counts
from coupons.reports import (
    Grouping,
    ReportLine,
    judged,
    redemptions_by_day,
    report,
    report_documents,
    totals,
)
from tests.factories.coupons import (
    CouponCampaignFactory,
    CouponFactory,
    CouponSegmentFactory,
    RedemptionFactory,
    coupon_body,
)
from tests.factories.segments import SegmentFactory

START = datetime(2026, 3, 1, tzinfo=UTC)
FIRST, LAST = date(2026, 2, 20), date(2026, 3, 20)


def expected(tenant: Tenant, by: Grouping) -> dict[tuple[date, str, str], tuple[int, int, Decimal]]:
    """Count the rows themselves, in Python."""
    found: Any = defaultdict(lambda: [0, 0, Decimal(0)])

    def groups(coupon: Coupon) -> list[str]:
        terms = coupon.terms or coupon
        if by is Grouping.CAMPAIGN:
            return [campaign.external_id for campaign in terms.campaigns.all()]
        if by is Grouping.SEGMENT:
            rows = CouponSegment.objects.filter(coupon=terms)
            return list(rows.values_list("segment_external_id", flat=True))
        return [""]

    for coupon in Coupon.objects.filter(tenant=tenant).select_related("terms"):
        if coupon.terms_id != coupon.pk:
            for group in groups(coupon):
                found[coupon.created_at.astimezone(UTC).date(), group, ""][0] += 1
    for row in Redemption.objects.filter(tenant=tenant).select_related("coupon__terms"):
        for group in groups(row.coupon):
            line = found[row.redeemed_at.astimezone(UTC).date(), group, row.discount_currency]
            line[1] += 1
            line[2] += row.discount_amount
    return {key: tuple(line) for key, line in found.items() if FIRST <= key[0] <= LAST}


def expected_outcomes(tenant: Tenant, by: Grouping) -> dict[tuple[date, str, str], int]:
    found: Any = defaultdict(int)
    for row in JudgementCount.objects.filter(tenant=tenant):
        groups = [""]
        if by is Grouping.CAMPAIGN:
            groups = list(row.coupon.campaigns.values_list("external_id", flat=True))
        elif by is Grouping.SEGMENT:
            restrictions = CouponSegment.objects.filter(coupon=row.coupon_id)
            groups = list(restrictions.values_list("segment_external_id", flat=True))
        for group in groups:
            found[row.day, group, row.outcome] += row.count
    return dict(found)


def document_of(line: ReportLine) -> dict[str, Any]:
    """Return what the API shows of a line, put together in Python."""
    valid, refused, reasons = judged(line.outcomes)
    shown: dict[str, Any] = {"day": str(line.day), "issued": line.issued, "redeemed": line.redeemed}
    if line.group:
        shown["id"] = line.group
    if line.outcomes:
        shown |= {"validated": valid, "refused": refused, "refusals": reasons}
    if line.currency:
        shown["discount"] = {"amount": line.discount.normalize(), "currency": line.currency}
    return shown


def reported(tenant: Tenant, by: Grouping) -> dict[tuple[date, str, str], tuple[int, int, Decimal]]:
    lines = report(tenant_id=tenant.pk, first=FIRST, last=LAST, by=by)
    documents = report_documents(tenant_id=tenant.pk, first=FIRST, last=LAST, by=by)
    assert [json.loads(one, parse_float=Decimal) for one in documents] == list(map(document_of, lines))
    outcomes = {
        (line.day, line.group, outcome): count for line in lines for outcome, count in line.outcomes.items()
    }
    assert outcomes == expected_outcomes(tenant, by)
    return {
        (line.day, line.group, line.currency): (line.issued, line.redeemed, line.discount)
        for line in lines
        if line.issued or line.redeemed
    }


@pytest.mark.parametrize("seed", range(3))
def test_reports_say_what_the_rows_say(site: Site, other_tenant: Tenant, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 -- the same writes in every run
    tenant = site.tenant
    segments = [SegmentFactory(site=site, external_id=f"S{number}") for number in range(3)]
    RedemptionFactory(coupon=CouponFactory(tenant=other_tenant, created_at=START), redeemed_at=START)

    def instant() -> datetime:
        return START + timedelta(hours=chance.randint(0, 24 * 12), microseconds=chance.choice([0, -1]))

    def make_coupon() -> None:
        coupon = CouponFactory(tenant=tenant, created_at=instant(), is_segment_restricted=True)
        for segment in chance.sample(segments, chance.randint(0, 2)):
            CouponSegmentFactory(coupon=coupon, segment=segment)

    def make_campaign() -> None:
        named = [segment.external_id for segment in chance.sample(segments, chance.randint(0, 2))]
        template = coupon_body(segments=named, is_segment_restricted=bool(named))
        body = CampaignBody(count=chance.randint(1, 4), template=template)
        campaign = create_campaign(tenant_id=tenant.pk, body=body, at=instant())
        generate_codes(tenant_id=tenant.pk, campaign_id=campaign.external_id, at=instant())
        if chance.random() < 0.3:
            deactivate_campaign(tenant_id=tenant.pk, campaign_id=campaign.external_id, at=instant())

    def redeem() -> None:
        codes = list(Coupon.objects.filter(tenant=tenant).exclude(campaigns__isnull=False))
        for coupon in chance.sample(codes, min(len(codes), chance.randint(1, 3))):
            RedemptionFactory(
                coupon=coupon,
                redeemed_at=instant(),
                discount_amount=Decimal(chance.randint(0, 10_000)) / 100,
                discount_currency=chance.choice(["EUR", "USD"]),
            )

    def give_back() -> None:
        keys = list(Redemption.objects.filter(tenant=tenant).values_list("pk", flat=True))
        Redemption.objects.filter(pk__in=chance.sample(keys, len(keys) // 3)).delete()

    def correct() -> None:
        keys = list(Redemption.objects.filter(tenant=tenant).values_list("pk", flat=True))
        chosen = Redemption.objects.filter(pk__in=chance.sample(keys, len(keys) // 2))
        chosen.update(redeemed_at=instant(), discount_currency="USD", discount_amount=Decimal("0.01"))

    def release() -> None:
        restrictions = CouponSegment.objects.filter(tenant=tenant)
        restrictions.filter(segment=chance.choice(segments)).delete()

    def restrict() -> None:
        segment = chance.choice(segments)
        for coupon in Coupon.objects.filter(tenant=tenant, campaigns__isnull=True, terms__isnull=True):
            if chance.random() < 0.5 and not coupon.segment_restrictions.filter(segment=segment).exists():
                CouponSegmentFactory(coupon=coupon, segment=segment)

    def rename() -> None:
        rows = list(CouponSegment.objects.filter(tenant=tenant).order_by("pk"))
        if rows:
            chosen = chance.choice(rows)
            CouponSegment.objects.filter(pk=chosen.pk).update(segment_external_id=f"gone-{chosen.pk}")

    def judge() -> None:
        for coupon in Coupon.objects.filter(tenant=tenant).exclude(
            terms__isnull=False, campaigns__isnull=True
        ):
            reasons = chance.choice([[], [Reason(ReasonType.EXPIRED, "")]])
            JUDGEMENTS.add(coupon.pk, reasons, at=instant())
        JUDGEMENTS.flush()

    def fail() -> None:
        with transaction.atomic():
            redeem()
            transaction.set_rollback(True)

    steps = [make_coupon, make_campaign, redeem, redeem, give_back, correct, release, restrict, judge]
    chosen_steps = [chance.choice([*steps, fail, rename]) for _ in range(16)]
    for step in [make_coupon, make_campaign, redeem, judge, restrict, *chosen_steps]:
        step()
        if chance.random() < 0.3:
            settle_all()
        if chance.random() < 0.3:
            while merge_counts(START):
                pass
        for by in Grouping:
            lines = expected(tenant, by)
            assert reported(tenant, by) == lines, (step.__name__, by)
            sums: dict[str, int] = defaultdict(int)
            for (_, group, _), (_, uses, _) in lines.items():
                sums[group] += uses
            found = totals(tenant_id=tenant.pk, first=FIRST, last=LAST, by=by)
            assert {name: total.redeemed for name, total in found.items() if total.redeemed} == {
                name: uses for name, uses in sums.items() if uses
            }
    by_day: dict[date, int] = defaultdict(int)
    for (day, _, _), (_, uses, _) in expected(tenant, Grouping.NONE).items():
        by_day[day] += uses
    counted = redemptions_by_day(tenant.pk, first=FIRST, last=LAST)
    assert counted == {day: uses for day, uses in by_day.items() if uses}


def test_merged_rows_are_one_for_each_key(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coupons.report_counts.MERGED_AT_ONCE", 3)
    coupon = CouponFactory(tenant=tenant, created_at=START)
    for _ in range(5):
        RedemptionFactory(coupon=coupon, redeemed_at=START)
        settle_all()
    before = reported(tenant, Grouping.NONE)
    while merge_counts(START):
        assert reported(tenant, Grouping.NONE) == before
    rows = ReportCount.objects.order_by("coupon_id", "kind").values_list(
        "coupon_id", "kind", "count", "is_merged"
    )
    assert list(rows) == [
        (0, "issued", 1, True),
        (0, "redeemed", 5, True),
        (coupon.pk, "issued", 1, True),
        (coupon.pk, "redeemed", 5, True),
    ]
    assert reported(tenant, Grouping.NONE) == before


def test_a_use_of_a_coupon_adds_one_row_when_it_settles_and_none_for_the_counter(tenant: Tenant) -> None:
    coupon = CouponFactory(tenant=tenant, created_at=START)
    while merge_counts(START):
        pass
    merged = ReportCount.objects.count()
    Coupon.objects.filter(pk=coupon.pk).update(redemption_count=1, name="Other")
    assert not ReportAddition.objects.exists()
    RedemptionFactory(coupon=coupon, redeemed_at=START)
    counted = reported(tenant, Grouping.NONE)
    assert counted == expected(tenant, Grouping.NONE)
    assert not ReportAddition.objects.exists()
    settle_all()
    assert (ReportAddition.objects.count(), ReportCount.objects.count()) == (1, merged)
    assert reported(tenant, Grouping.NONE) == counted


def test_uses_that_settle_together_are_added_as_one(tenant: Tenant, site: Site) -> None:
    coupon = CouponFactory(tenant=tenant, created_at=START, is_segment_restricted=True)
    CouponSegmentFactory(coupon=coupon, segment=SegmentFactory(site=site, external_id="S1"))
    settle_all()
    ReportAddition.objects.all().delete()
    uses = [RedemptionFactory.build(coupon=coupon, tenant=tenant, redeemed_at=START) for _ in range(3)]
    Redemption.objects.bulk_create(uses)
    settle_all()
    rows = ReportAddition.objects.order_by("-coupon_id").values_list("coupon_id", "segment", "count")
    assert list(rows) == [(coupon.pk, "", 3), (0, "S1", 3)]


def test_a_use_settles_for_the_campaign_of_a_code_that_is_gone(tenant: Tenant) -> None:
    """That the use was deleted has been counted for the campaign while the code was there."""
    campaign = CouponCampaignFactory(tenant=tenant)
    code = Coupon.objects.exclude(pk=campaign.terms_id).get(terms=campaign.terms)
    RedemptionFactory(coupon=code, redeemed_at=START)
    Redemption.objects.all().delete()
    code.delete()
    assert reported(tenant, Grouping.CAMPAIGN) == reported(tenant, Grouping.NONE) == {}
    settle_all()
    while merge_counts(START):
        pass
    assert reported(tenant, Grouping.CAMPAIGN) == reported(tenant, Grouping.NONE) == {}
    assert not ReportCount.objects.filter(kind="redeemed").exclude(count=0).exists()


def test_what_the_former_release_added_is_merged_as_well(tenant: Tenant) -> None:
    """Its triggers wrote to the counts themselves, and what all coupons have together too."""
    coupon = CouponFactory(tenant=tenant, created_at=START)
    key = {"tenant": tenant, "day": START.date(), "kind": "issued", "count": 1, "amount": 0}
    ReportAddition.objects.all().delete()
    ReportCount.objects.create(coupon_id=coupon.pk, **key)
    ReportCount.objects.create(coupon_id=ReportCount.ALL, **key)
    before = {by: reported(tenant, by) for by in Grouping}
    merge_counts(START)
    assert (
        {by: reported(tenant, by) for by in Grouping}
        == before
        == {by: expected(tenant, by) for by in Grouping}
    )
    assert set(ReportCount.objects.values_list("count", "is_merged")) == {(1, True)}


def test_only_one_campaign_or_segment_is_reported_on(manager: Any, tenant: Tenant, site: Site) -> None:
    for name in ("S1", "S2"):
        coupon = CouponFactory(tenant=tenant, created_at=START, is_segment_restricted=True)
        CouponSegmentFactory(coupon=coupon, segment=SegmentFactory(site=site, external_id=name))
    query = {"from": "2026-03-01", "until": "2026-03-02"}
    found = manager.get("/coupon/acme/coupon-reports", **query, groupBy="segment", id="S2")
    assert [line["id"] for line in found.json()["lines"]] == ["S2"]
    refused = manager.get("/coupon/acme/coupon-reports", **query, id="S2")
    assert (refused.status_code, "groupBy" in refused.json()["message"]) == (400, True)


def test_the_migration_counts_what_there_is(tenant: Tenant) -> None:
    """What the migration counts from the rows is what triggers have counted one by one."""
    body = CampaignBody(id="W1", count=3, template=coupon_body())
    create_campaign(tenant_id=tenant.pk, body=body, at=START)
    generate_codes(tenant_id=tenant.pk, campaign_id="W1", at=START)
    for coupon in (CouponFactory(tenant=tenant, created_at=START), Coupon.objects.exclude(terms=None).last()):
        RedemptionFactory(coupon=coupon, redeemed_at=START, discount_amount=Decimal("1.25"))
    counted = {by: reported(tenant, by) for by in Grouping}
    settle_all()
    ReportAddition.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(import_module("coupons.migrations.0010_report_counts").COUNT)
    assert {by: reported(tenant, by) for by in Grouping} == counted
