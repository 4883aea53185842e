"""Campaigns in the console: made by a form, their codes exported once, deactivated after a look; reports."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.identity.scopes import COUPON_MANAGE, COUPON_READ, SEGMENT_READ
from accounts.models import Site
from core.admin.confirmation import Fact
from core.background.models import Job
from core.background.worker import BackgroundWorker
from core.tenancy.identifiers import generate_id
from core.tenancy.models import Tenant
from coupons.admin import campaigns as campaign_admin
from coupons.admin.reports import report_page
from coupons.bodies import CampaignBody
from coupons.judgements import JUDGEMENTS
from coupons.models import Coupon, CouponCampaign
from coupons.operations import create_campaign, generate_codes
from coupons.reasons import Reason, ReasonType
from segments.models import Segment
from tests.conftest import Api, web_client
from tests.factories.accounts import UserFactory
from tests.factories.coupons import (
    CouponFactory,
    CouponSegmentFactory,
    RedemptionFactory,
    ReservationFactory,
    coupon_body,
)
from tests.factories.segments import SegmentFactory
from tests.linked_numbers import assert_listed

pytestmark = pytest.mark.usefixtures("real_time")
ADD = "admin:coupons_couponcampaign_add"
TERMS = {
    "name": "Welcome",
    "code_count": "3",
    "code_prefix": "hi-",
    "description": "",
    "discount_type": "PERCENT",
    "discount_percentage": "10",
    "discount_calculation_type": "SUBTOTAL",
    "mixins": "{}",
    "mixin_schemas": "{}",
}


@pytest.fixture
def vip(site: Site) -> Segment:
    return SegmentFactory(site=site, external_id="vip", name={"en": "VIP"})


@pytest.fixture
def campaign(site: Site) -> CouponCampaign:
    """Two codes of the campaign W1."""
    at = datetime.now(UTC)
    body = CampaignBody(id="W1", count=2, template=coupon_body())
    made = create_campaign(tenant_id=site.tenant_id, body=body, at=at)
    generate_codes(tenant_id=site.tenant_id, campaign_id="W1", at=at)
    return made


def page(name: str, campaign: CouponCampaign) -> str:
    return reverse(f"admin:coupons_couponcampaign_{name}", args=[campaign.pk])


def messages_of(response: HttpResponse) -> list[str]:
    return [str(message).split(" <form")[0] for message in response.context["messages"]]


def test_unused_codes_are_found_by_the_whole_code_only(
    staff_browser: Client, campaign: CouponCampaign
) -> None:
    used, unused = campaign.terms.codes.exclude(pk=campaign.terms_id).order_by("pk")
    RedemptionFactory(coupon=used, discount_amount=Decimal(5), discount_currency="EUR")
    Coupon.objects.filter(pk=used.pk).update(redemption_count=1)

    def found(text: str) -> list[str]:
        page = staff_browser.get(reverse("admin:coupons_coupon_changelist"), {"codes": "any", "q": text})
        return [coupon.code for coupon in page.context["cl"].result_list]

    assert found(used.code[:-1]) == [used.code]
    assert found(unused.code[:-1]) == []
    assert found(unused.code) == [unused.code]
    assert set(found(campaign.terms.name)) >= {used.code, unused.code}


def test_no_page_shows_an_unused_code_in_full(staff_browser: Client, campaign: CouponCampaign) -> None:
    used, unused = campaign.terms.codes.exclude(pk=campaign.terms_id).order_by("pk")
    Coupon.objects.filter(pk=used.pk).update(redemption_count=1)
    RedemptionFactory(coupon=used)
    ReservationFactory(coupon=unused)
    pages = [
        reverse("admin:index"),
        reverse("admin:journal_change_changelist"),
        reverse("admin:coupons_reservation_changelist"),
        reverse("admin:coupons_redemption_changelist"),
    ]
    shown = {page: staff_browser.get(page).content.decode() for page in pages}
    assert {page: unused.code in text for page, text in shown.items()} == dict.fromkeys(pages, False)
    for page in pages[1:3]:
        assert f"{unused.code[: len(unused.code) // 2]}…" in shown[page]
    for page in (pages[1], pages[3]):
        assert used.code in shown[page]  # whoever has it can do nothing with it
    assert "terms of campaign" not in shown[pages[1]]


def test_a_campaign_is_made_for_a_segment(staff_browser: Client, vip: Segment) -> None:
    form = staff_browser.get(reverse(ADD), {"segment": vip.pk}).context["adminform"].form
    assert "max_redemptions" not in form.fields
    assert form.initial["segments"] == [vip.pk]
    values = {**TERMS, "is_segment_restricted": "on", "segments": [vip.pk]}
    answer = staff_browser.post(reverse(ADD), values, follow=True)
    made = CouponCampaign.objects.get()
    assert answer.redirect_chain == [(page("change", made), 302)]
    assert messages_of(answer) == ["Made 3 codes."]
    assert (made.prefix, made.code_count, made.terms.max_redemptions) == ("HI-", 3, 1)
    assert [row.segment_external_id for row in made.terms.segment_restrictions.all()] == ["vip"]
    codes = Coupon.objects.filter(terms=made.terms).exclude(pk=made.terms_id)
    assert [code.startswith("HI-") for code in codes.values_list("code", flat=True)] == [True] * 3
    assert "Refresh" not in answer


def test_a_segments_deletion_counts_what_its_campaigns_lose(
    staff_browser: Client, service_api: Callable[..., Api], vip: Segment
) -> None:
    values = {**TERMS, "is_segment_restricted": "on", "segments": [vip.pk]}
    staff_browser.post(reverse(ADD), values)
    made = CouponCampaign.objects.get()
    used = made.terms.codes.exclude(pk=made.terms_id).order_by("pk")[0]
    RedemptionFactory(coupon=used, redeemed_at=datetime.now(UTC) - timedelta(days=1))

    def stopping() -> Fact:
        page = staff_browser.get(reverse("admin:segments_segment_delete", args=[vip.pk]))
        [fact] = [one for one in page.context["facts"] if "working" in one.text or "stop work" in one.text]
        return fact

    fact = stopping()
    assert (fact.number, fact.details) == ("1", "Welcome · used 1 time in the last 30 days")
    assert list(staff_browser.get(fact.url).context["cl"].result_list) == [made.terms]
    opened = staff_browser.get(f"{reverse('admin:coupons_coupon_change', args=[made.terms_id])}")
    assert opened.headers["Location"] == page("change", made)
    api = service_api(SEGMENT_READ, COUPON_READ)
    effects = api.post("/customer-segment/acme/segments/vip/effects", {"change": "DELETE"}).json()
    coupons = effects["dependents"]["coupon"]
    assert (coupons["ids"], coupons["usedLately"]["value"]) == ([f"coupon-campaigns/{made.external_id}"], 1)
    CouponSegmentFactory(
        coupon=CouponFactory(tenant=vip.tenant, code="SPRING", is_segment_restricted=True), segment=vip
    )
    fact = stopping()
    assert (fact.number, fact.details) == ("2", "SPRING, Welcome · used 1 time in the last 30 days")
    assert_listed(staff_browser, [fact])


def test_many_codes_are_made_in_the_background_with_progress(
    staff_browser: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_admin, "MADE_AT_ONCE", 2)
    monkeypatch.setattr("coupons.operations.campaigns.SLICE", 2)
    answer = staff_browser.post(reverse(ADD), TERMS, follow=True)
    assert messages_of(answer) == ["3 codes are being made. This page shows how far it is."]
    assert (answer["Refresh"], '<progress value="0" max="3"' in answer.content.decode()) == ("3", True)
    assert Job.objects.get().requested_by == "staff staff"
    worker = BackgroundWorker()
    worker.prepare()
    worker.run_until_idle()
    done = staff_browser.get(page("change", CouponCampaign.objects.get()))
    assert "Refresh" not in done
    assert "3 of 3" in done.content.decode()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"code_count": "100001"}, "code_count"),
        ({"code_count": "0"}, "code_count"),
        ({"code_prefix": "a/b"}, "code_prefix"),
        ({"discount_percentage": ""}, "discount_percentage"),
        ({"is_segment_restricted": "on"}, "segments"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    staff_browser: Client, site: Site, values: dict[str, str], field: str
) -> None:
    answer = staff_browser.post(reverse(ADD), {**TERMS, **values})
    assert list(answer.context["adminform"].form.errors) == [field]
    assert not CouponCampaign.objects.exists()
    assert not Coupon.objects.exists()


def test_codes_are_exported_once(staff_browser: Client, campaign: CouponCampaign) -> None:
    assert staff_browser.get(page("export", campaign)).status_code == 302
    campaign.refresh_from_db()
    assert campaign.exported_at is None
    answer = staff_browser.post(page("export", campaign))
    lines = answer.content.decode().splitlines()
    assert (lines[0], len(lines)) == ("code", 3)
    assert "no-store" in answer["Cache-Control"]
    again = staff_browser.post(page("export", campaign), follow=True)
    assert "exported" in messages_of(again)[0]
    assert "Export the codes" not in again.content.decode()


def test_all_codes_are_deactivated_after_a_look(staff_browser: Client, campaign: CouponCampaign) -> None:
    code = Coupon.objects.filter(terms=campaign.terms).exclude(pk=campaign.terms_id).first()
    assert code is not None
    Coupon.objects.filter(pk=code.pk).update(redemption_count=1)
    asked = staff_browser.get(page("deactivate", campaign))
    assert [(fact.number, fact.text) for fact in asked.context["facts"]] == [
        ("1", "code can be redeemed no more"),
        ("1", "redeemed code stays so"),
    ]
    assert_listed(staff_browser, asked.context["facts"])
    campaign.refresh_from_db()
    assert campaign.deactivated_at is None
    answer = staff_browser.post(page("deactivate", campaign), {"_confirmed": "1"}, follow=True)
    assert messages_of(answer) == ["Deactivated the codes of 1 campaign."]
    campaign.refresh_from_db()
    assert campaign.deactivated_at is not None


def test_campaigns_are_somebodys_to_change(tenant: Tenant, campaign: CouponCampaign) -> None:
    sees = {"view_couponcampaign", "view_coupon", "view_redemption", "view_segment"}
    for rights, status in ((sees | {"add_couponcampaign", "change_couponcampaign"}, 200), (sees, 403)):
        user = UserFactory(tenant=tenant)
        user.user_permissions.set(Permission.objects.filter(codename__in=rights))
        browser = web_client()
        browser.force_login(user)
        assert browser.get(page("change", campaign)).status_code == 200
        assert browser.get(reverse(ADD)).status_code == status
        assert browser.get(page("deactivate", campaign)).status_code == status
        assert browser.get(report_page()).status_code == 200


def test_another_tenants_campaign_has_no_pages(
    staff_browser: Client, site: Site, other_tenant: Tenant
) -> None:
    at = datetime.now(UTC)
    body = CampaignBody(count=1, template=coupon_body())
    theirs = create_campaign(tenant_id=other_tenant.pk, body=body, at=at)
    generate_codes(tenant_id=other_tenant.pk, campaign_id=theirs.external_id, at=at)
    for name in ("export", "deactivate"):
        assert staff_browser.post(page(name, theirs), {"_confirmed": "1"}).status_code == 404
    assert theirs.external_id not in staff_browser.get(report_page(campaign=theirs)).content.decode()


# Reports


def totals(response: HttpResponse) -> tuple[int, int, int, int, list[str]]:
    assert response.status_code == 200
    total = response.context["total"]
    return total.issued, total.validated, total.refused, total.redeemed, response.context["discounts"]


def test_the_report_of_a_segment_says_what_the_api_says(
    staff_browser: Client, service_api: Callable[..., Api], vip: Segment, campaign: CouponCampaign
) -> None:
    at = datetime.now(UTC)
    coupon = CouponFactory(tenant=vip.tenant, is_segment_restricted=True, created_at=at - timedelta(days=2))
    CouponSegmentFactory(coupon=coupon, segment=vip)
    for days, amount, currency in ((0, "1.50", "EUR"), (1, "2.00", "EUR"), (1, "3", "USD"), (40, "9", "EUR")):
        RedemptionFactory(
            coupon=coupon,
            redeemed_at=at - timedelta(days=days),
            discount_amount=Decimal(amount),
            discount_currency=currency,
        )
    code = campaign.terms.codes.exclude(pk=campaign.terms_id).first()
    RedemptionFactory(coupon=code, redeemed_at=at, discount_amount=Decimal(5), discount_currency="EUR")
    for reasons in ([], [Reason(ReasonType.EXPIRED, ""), Reason(ReasonType.CUSTOMER, "")]):
        JUDGEMENTS.add(coupon.pk, reasons, at=at)
    JUDGEMENTS.flush()

    found = staff_browser.get(report_page(segment=vip))
    assert totals(found) == (1, 1, 1, 3, ["3.50 EUR", "3.00 USD"])
    assert [(text, count) for text, count, _ in found.context["refusals"]] == [
        ("It is over", 1),
        ("It is for other customers", 1),
    ]
    assert [row.total.redeemed for row in found.context["days"]] == [1, 2, 0]
    lines = service_api(COUPON_MANAGE).get("/coupon/acme/coupon-reports", groupBy="segment", id="vip")
    answered = lines.json()["lines"]
    assert sum(line["redeemed"] for line in answered) == 3
    assert sum(line.get("refused", 0) for line in answered) == 1
    of_campaign = staff_browser.get(report_page(campaign=campaign))
    assert totals(of_campaign) == (2, 0, 0, 1, ["5.00 EUR"])
    assert totals(staff_browser.get(report_page())) == (3, 1, 1, 4, ["8.50 EUR", "3.00 USD"])
    other = SegmentFactory(site=vip.site, external_id="other")
    CouponSegmentFactory(coupon=coupon, segment=other)
    by_segment = staff_browser.get(report_page(), {"by": "segment"})
    assert totals(by_segment)[3] == 4  # of all coupons, each of which counts for both of its segments below
    assert [(row.name, row.url) for row in by_segment.context["groups"]] == [
        (str(other), report_page(segment=other)),
        (str(vip), report_page(segment=vip)),
    ]
    by_campaign = staff_browser.get(report_page(), {"by": "campaign"})
    assert [row.total.redeemed for row in by_campaign.context["groups"]] == [1]

    def listed(address: str) -> int:
        count: int = staff_browser.get(address).context["cl"].result_count
        return count

    for shown in (found, of_campaign, by_segment):
        assert listed(shown.context["redemptions"]) == totals(shown)[3]
        assert listed(shown.context["issued"]) == totals(shown)[0]
    rows = [*found.context["days"], *by_segment.context["groups"], *by_campaign.context["groups"]]
    assert [listed(row.redemptions) for row in rows] == [row.total.redeemed for row in rows]
    assert [listed(row.issued) for row in rows] == [row.total.issued for row in rows]


def test_each_number_of_a_campaign_leads_to_the_codes_that_it_counts(
    staff_browser: Client, campaign: CouponCampaign
) -> None:
    at = datetime.now(UTC)
    CouponCampaign.objects.update(code_count=4)
    generate_codes(tenant_id=campaign.tenant_id, campaign_id=campaign.external_id, at=at)
    codes = list(campaign.terms.codes.exclude(pk=campaign.terms_id).order_by("pk"))
    RedemptionFactory(coupon=codes[0], redeemed_at=at)
    Coupon.objects.filter(pk=codes[0].pk).update(redemption_count=1)
    Coupon.objects.filter(pk=codes[1].pk).update(is_deleted=True)
    CouponFactory(tenant=campaign.tenant)
    shown = staff_browser.get(page("change", campaign))
    links = re.findall(r'<a href="([^"]*codes=[^"]*)">(\d+)', shown.content.decode())
    assert [number for _, number in links] == ["4", "1", "2", "1"]
    for address, number in links:
        listed = staff_browser.get(address)
        assert listed.context["cl"].result_count == int(number)
    used = staff_browser.get(links[1][0]).content.decode()
    assert codes[0].code in used  # once it is used it is no secret
    for row in (codes[0], campaign.terms):
        shown = staff_browser.get(reverse("admin:coupons_coupon_change", args=[row.pk]), follow=True)
        assert shown.redirect_chain == [(page("change", campaign), 302)]
    unused = staff_browser.get(links[2][0]).content.decode()
    assert not [code for code in codes if code.code in unused]
    assert 'name="action"' not in unused


def test_generated_ids_are_in_no_title(staff_browser: Client, site: Site, campaign: CouponCampaign) -> None:
    at = datetime(2026, 3, 2, tzinfo=UTC)
    code = campaign.terms.codes.exclude(pk=campaign.terms_id).first()
    redemption = RedemptionFactory(coupon=code, redeemed_at=at, external_id=generate_id())
    assert str(campaign) == f"{campaign.terms.name} (W1)"
    CouponCampaign.objects.update(external_id=generate_id())
    for row, name in ((campaign, campaign.terms.name), (redemption, f"{code.code}, 2026-03-02")):
        shown = reverse(f"admin:coupons_{row._meta.model_name}_change", args=[row.pk])
        assert str(staff_browser.get(shown).context["original"]) == name


def test_a_finding_of_a_campaign_names_it_and_leads_to_it(
    staff_browser: Client, vip: Segment, campaign: CouponCampaign
) -> None:
    CouponSegmentFactory(coupon=campaign.terms, segment=vip)
    Coupon.objects.filter(pk=campaign.terms_id).update(is_segment_restricted=True, name="Welcome")
    Segment.objects.update(status="INACTIVE")
    panel = staff_browser.get(reverse("admin:panel", args=["findings"]))
    [found] = re.findall(r'<a href="([^"]*)">Welcome</a>', panel.content.decode())
    assert found == page("change", campaign)


@pytest.mark.parametrize("codes", ["7", "x", "7:open", "1:lost"])
def test_codes_of_no_campaign_lead_to_the_whole_list(staff_browser: Client, codes: str) -> None:
    coupons = reverse("admin:coupons_coupon_changelist")
    assert staff_browser.get(coupons, {"codes": codes}, follow=True).redirect_chain == [
        (f"{coupons}?e=1", 302)
    ]


def test_coupons_that_were_issued_are_listed(staff_browser: Client, vip: Segment) -> None:
    now = datetime.now(UTC)
    for days in (0, 3, 400):
        coupon = CouponFactory(tenant=vip.tenant, created_at=now - timedelta(days=days), is_deleted=days == 3)
        CouponSegmentFactory(coupon=coupon, segment=vip)
    CouponFactory(tenant=vip.tenant, created_at=now)
    for row, number in ((None, 3), (vip, 2)):
        found = staff_browser.get(report_page(segment=row))
        assert totals(found)[0] == number
        assert staff_browser.get(found.context["issued"]).context["cl"].result_count == number


@pytest.mark.parametrize(
    "query",
    [
        "days=2026-03-02..2026-03-01",
        "days=soon",
        "days=2026-03-01..",
        "campaign=7",
        "segment=x",
        "segment=7\0",
    ],
)
def test_redemptions_of_what_is_not_there_are_no_list(staff_browser: Client, site: Site, query: str) -> None:
    answer = staff_browser.get(f"{reverse('admin:coupons_redemption_changelist')}?{query}", follow=True)
    assert answer.status_code == 200
    assert [str(message)[:26] for message in answer.context["messages"]] == ["The address holds a filter"]


@pytest.mark.parametrize(
    "query",
    [
        {"first": "2026-03-02", "last": "2026-03-01"},
        {"first": "2020-01-01", "last": "2026-03-01"},
        {"first": "soon"},
        {"by": "shop"},
        {"segment": "x\0", "campaign": "99999999999999999999"},
    ],
)
def test_a_report_that_cannot_be_made_says_so(
    staff_browser: Client, site: Site, query: dict[str, str]
) -> None:
    assert staff_browser.get(report_page(), query).status_code == 200


def test_the_report_needs_the_right_to_see_redemptions(tenant: Tenant, vip: Segment) -> None:
    user = UserFactory(tenant=tenant)
    user.user_permissions.set(Permission.objects.exclude(codename="view_redemption"))
    browser = web_client()
    browser.force_login(user)
    assert browser.get(report_page(segment=vip)).status_code == 403


def test_a_report_takes_few_statements(
    staff_browser: Client, vip: Segment, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(3):
        coupon = CouponFactory(tenant=vip.tenant, is_segment_restricted=True)
        CouponSegmentFactory(coupon=coupon, segment=SegmentFactory(site=vip.site, external_id=f"S{number}"))
    staff_browser.get(report_page(), {"by": "segment"})
    with django_assert_max_num_queries(13):
        staff_browser.get(report_page(), {"by": "segment"})


def test_the_report_speaks_german(staff_browser: Client, vip: Segment) -> None:
    text = staff_browser.get(report_page(segment=vip), headers={"Accept-Language": "de"}).content.decode()
    assert "Gutscheinbericht zu" in text
    assert "eingelöst" in text
