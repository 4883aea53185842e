from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from core.background.models import Job
from core.journal.models import Change
from coupons.bodies import CampaignBody
from coupons.errors import CampaignNotFound
from coupons.models import Coupon, CouponCampaign, CouponSegment
from coupons.operations import campaigns, create_campaign, generate_codes
from tests.coupons.conftest import COUPONS, order, reasons
from tests.factories.coupons import CouponFactory, coupon_body
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

CAMPAIGNS = "/coupon/acme/coupon-campaigns"
TEMPLATE = {"name": "Welcome", "discountType": "PERCENT", "discountPercentage": 10}


@pytest.fixture
def own(customer_api, customer):
    """The customer's own session."""
    return customer_api(customer)


@pytest.fixture
def make(tenant, now):
    """Make a campaign and all its codes; return it with the codes in their order."""

    def make(count=3, *, prefix="WELCOME-", id="W1", **values):
        body = CampaignBody(id=id, prefix=prefix, count=count, template=coupon_body(**values))
        campaign = create_campaign(tenant_id=tenant.pk, body=body, at=now)
        while not generate_codes(tenant_id=tenant.pk, campaign_id=id, at=now).is_complete:
            pass
        return campaign, list(
            campaign.terms.codes.exclude(pk=campaign.terms_id).values_list("code", flat=True)
        )

    return make


def test_codes_are_made_in_the_background(manager, tenant, now):
    answer = manager.post(CAMPAIGNS, {"id": "W1", "prefix": "w-", "count": 1_001, "template": TEMPLATE})
    assert (answer.status_code, answer.json()) == (201, {"id": "W1"})
    assert manager.get(f"{CAMPAIGNS}/W1").json()["codes"]["generated"] == 0
    job = Job.objects.get()
    assert campaigns.run_job(job, now) is False
    assert job.progress == {"made": 1_001, "wanted": 1_001}
    shown = manager.get(f"{CAMPAIGNS}/W1").json()
    assert shown["codes"] == {"generated": 1_001, "redeemed": 0, "open": 1_001, "over": 0}
    assert (shown["prefix"], shown["count"]) == ("W-", 1_001)
    assert shown["template"]["name"] == "Welcome"
    assert manager.get(CAMPAIGNS).json() == [shown]


def test_some_codes_are_made_at_once(manager):
    assert manager.post(CAMPAIGNS, {"id": "W1", "count": 2, "template": TEMPLATE}).status_code == 201
    assert manager.get(f"{CAMPAIGNS}/W1").json()["codes"]["generated"] == 2
    assert not Job.objects.exists()


def test_codes_cannot_be_guessed(make):
    _, codes = make(200)
    assert len(set(codes)) == 200
    assert {len(code) for code in codes} == {len("WELCOME-") + 13}
    assert 31**13 > 2**60
    assert {character for code in codes for character in code[8:]} <= set("23456789ABCDEFGHJKMNPQRSTUVWXYZ")


def test_a_campaign_that_was_interrupted_goes_on(tenant, now, monkeypatch, make):
    monkeypatch.setattr(campaigns, "SLICE", 2)
    body = CampaignBody(id="W1", count=5, template=coupon_body())
    create_campaign(tenant_id=tenant.pk, body=body, at=now)
    made = []
    while not made or not made[-1].is_complete:
        made.append(generate_codes(tenant_id=tenant.pk, campaign_id="W1", at=now))
    assert [progress.made for progress in made] == [2, 4, 5]
    assert generate_codes(tenant_id=tenant.pk, campaign_id="W1", at=now).made == 5


def test_terms_are_stored_once(make, site, tenant, django_assert_num_queries):
    segments = [SegmentFactory(site=site, external_id=f"S{number}") for number in range(20)]
    campaign, codes = make(
        500,
        is_segment_restricted=True,
        segments=[segment.external_id for segment in segments],
        description="long " * 500,
        mixins={"a": "b" * 1000},
    )
    assert CouponSegment.objects.count() == 20
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(pg_column_size(coupon.*)) FROM coupons_coupon AS coupon WHERE terms_id <> id"
        )
        assert cursor.fetchone()[0] < 300
    code = Coupon.objects.get(code=codes[0])
    assert (code.description, code.mixins, code.valid_for) == ("", {}, [])


def test_a_code_is_used_once_under_the_shared_terms(make, own, manager, customer, site):
    segment = SegmentFactory(site=site, external_id="S1")
    CustomerAssignmentFactory(segment=segment, customer=customer)
    make(3, is_segment_restricted=True, segments=["S1"], discount_percentage=20)
    first, second, _ = Coupon.objects.exclude(pk__in=CouponCampaign.objects.values("terms")).values_list(
        "code", flat=True
    )
    path = f"{COUPONS}/{first.lower()}"
    assert own.post(f"{path}/validation", order(discount=20)).json() == {
        "eligibleAmount": 100,
        "discount": 20,
    }
    assert reasons(own.post(f"{path}/validation", order(discount=21))) == ["discount_too_high"]
    assert own.post(f"{path}/redemptions", order(discount=20)).status_code == 201
    assert reasons(own.post(f"{path}/redemptions", order(discount=20))) == ["coupon_used_up"]
    reserved = own.post(f"{COUPONS}/{second}/reservations", order(discount=20))
    assert reserved.status_code == 201
    assert reasons(own.post(f"{COUPONS}/{second}/redemptions", order())) == ["coupon_used_up"]
    assert manager.get(f"{CAMPAIGNS}/W1").json()["codes"] == {
        "generated": 3,
        "redeemed": 1,
        "open": 2,
        "over": 0,
    }
    shown = manager.get(path).json()
    assert (shown["code"], shown["status"], shown["redemptionCount"]) == (first, "USED", 1)
    assert (shown["maxRedemptions"], shown["discountPercentage"]) == (1, 20)
    assert shown["restrictions"]["segments"] == ["S1"]
    assert own.get(path).json()["name"] == "Ten"


def test_a_cart_takes_codes_of_campaigns_in_as_many_statements(make, own, tenant, django_assert_num_queries):
    _, codes = make(2, discount_percentage=50)
    CouponFactory(tenant=tenant, code="A")
    body = {"currency": "EUR", "items": [{"id": "P1", "amount": 100}], "codes": [codes[0], "A"]}
    path = "/coupon/acme/cart-validations"
    answer = own.post(path, body).json()
    assert [(one["accepted"], one["discount"]) for one in answer["coupons"]] == [(True, 50), (True, 10)]
    with django_assert_num_queries(3):
        own.post(path, body)
    assert own.post("/coupon/acme/cart-reservations", body).status_code == 201


def test_no_code_leads_to_the_terms(make, own, manager):
    campaign, codes = make(1)
    name = campaign.terms.code
    for path in (f"{COUPONS}/{name}", f"{COUPONS}/{name.upper()}"):
        assert manager.get(path, showDeleted="true").status_code == 404
        assert own.post(f"{path}/redemptions", order()).status_code == 404
        assert manager.send("delete", path).status_code == 404
    listed = manager.get(COUPONS, showDeleted="true").json()
    assert [coupon["code"] for coupon in listed] == codes
    assert [coupon["code"] for coupon in manager.get(COUPONS, q="name:Ten").json()] == codes
    assert manager.get(COUPONS, q="discountPercentage:>10").json() == []


def test_all_codes_are_deactivated_at_once(make, own, manager, clock, now):
    _, codes = make(3, valid_from=now + timedelta(days=1))
    assert manager.post(f"{CAMPAIGNS}/W1/deactivation").status_code == 204
    assert manager.post(f"{CAMPAIGNS}/W1/deactivation").status_code == 204
    for code in codes:
        assert reasons(own.post(f"{COUPONS}/{code}/redemptions", order())) == ["coupon_expired"]
        assert manager.get(f"{COUPONS}/{code}").json()["status"] == "EXPIRED"
    shown = manager.get(f"{CAMPAIGNS}/W1").json()
    assert (shown["codes"]["over"], "deactivatedAt" in shown) == (3, True)
    assert manager.post(f"{CAMPAIGNS}/unknown/deactivation").status_code == 404


def test_codes_are_exported_once(make, manager, tenant, now):
    _, codes = make(3)
    answer = manager.post(f"{CAMPAIGNS}/W1/export")
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv")
    assert answer.content.decode().split() == ["code", *codes]
    again = manager.post(f"{CAMPAIGNS}/W1/export")
    assert again.status_code == 409
    assert "were exported at" in again.json()["message"]
    body = CampaignBody(id="W2", count=5, template=coupon_body())
    create_campaign(tenant_id=tenant.pk, body=body, at=now)
    assert "0 of 5 codes" in manager.post(f"{CAMPAIGNS}/W2/export").json()["message"]


def test_one_code_is_deleted_but_not_changed(make, manager):
    _, codes = make(2)
    path = f"{COUPONS}/{codes[0]}"
    for answer in (manager.put(path, TEMPLATE), manager.send("patch", path, {"name": "Other"})):
        assert answer.status_code == 409
        assert "has the terms of a campaign" in answer.json()["message"]
    assert manager.send("delete", path).status_code == 204
    assert manager.get(f"{CAMPAIGNS}/W1").json()["codes"]["over"] == 1
    assert manager.get(f"{COUPONS}/{codes[1]}").status_code == 200


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({"count": 0}, "count"),
        ({"count": 100_001}, "count"),
        ({"template": {**TEMPLATE, "maxRedemptions": 2}}, "template.maxRedemptions"),
        ({"template": {**TEMPLATE, "code": "X"}}, "template.code"),
        ({"template": {"name": "X"}}, "needs an amount"),
        ({"prefix": "a/b"}, "slash"),
        ({"id": ".."}, "id"),
    ],
)
def test_what_cannot_be_a_campaign_is_refused(manager, sent, text):
    answer = manager.post(CAMPAIGNS, {"count": 1, "template": TEMPLATE, **sent})
    assert answer.status_code == 400
    assert text in answer.content.decode()
    assert not Coupon.objects.exists()


def test_an_id_is_taken_once(make, manager):
    make(1)
    answer = manager.post(CAMPAIGNS, {"id": "W1", "count": 1, "template": TEMPLATE})
    assert answer.status_code == 409
    assert Coupon.objects.count() == 2


def test_the_command_makes_exports_and_resumes(tenant, tmp_path, capsys):
    template, target = tmp_path / "terms.json", tmp_path / "codes.csv"
    template.write_text('{"name": "Ten", "discountType": "PERCENT", "discountPercentage": 10}')
    words = ["--tenant", "acme", "--campaign", "W1"]
    with pytest.raises(CommandError, match="name --template and --count"):
        call_command("generate_coupons", *words)
    made = [*words, "--template", str(template), "--count", "4", "--prefix", "X"]
    call_command("generate_coupons", *made, "--export", str(target))
    assert f"The codes are in {target}." in capsys.readouterr().out
    lines = target.read_text().split()
    assert (lines[0], len(set(lines))) == ("code", 5)
    call_command("generate_coupons", *words)
    assert Coupon.objects.count() == 5
    with pytest.raises(CommandError, match="exists already"):
        call_command("generate_coupons", *words, "--export", str(target))
    with pytest.raises(CommandError, match="were exported at"):
        call_command("generate_coupons", *words, "--export", str(tmp_path / "again.csv"))
    with pytest.raises(CommandError, match="no tenant nowhere"):
        call_command("generate_coupons", "--tenant", "nowhere", "--campaign", "W1")


def test_a_command_goes_on_with_a_campaign_that_another_one_has_just_made(make, tmp_path, monkeypatch):
    make(3)
    template = tmp_path / "terms.json"
    template.write_text('{"name": "Ten", "discountType": "PERCENT", "discountPercentage": 10}')

    def find(tenant_id, campaign_id):
        raise CampaignNotFound(campaign_id)  # as it was a moment ago

    monkeypatch.setattr("coupons.management.commands.generate_coupons.find_campaign", find)
    words = ["--tenant", "acme", "--campaign", "W1", "--template", str(template), "--count", "3"]
    call_command("generate_coupons", *words)
    assert (Coupon.objects.count(), CouponCampaign.objects.count()) == (4, 1)


def test_files_leave_codes_of_campaigns_alone(make, tenant, tmp_path):
    _, codes = make(1)
    CouponFactory(tenant=tenant, code="A")
    exported = tmp_path / "coupons.csv"
    call_command("export_coupons", str(exported), "--tenant", "acme")
    assert codes[0] not in exported.read_text()
    given = tmp_path / "given.csv"
    given.write_text(f"code,name,discountType,discountPercentage\n{codes[0]},Mine,PERCENT,99\n")
    with pytest.raises((CommandError, SystemExit)):
        call_command("upsert_coupons", str(given), "--tenant", "acme")
    assert Coupon.objects.get(code=codes[0]).terms_id is not None


def test_the_console_lists_campaigns_and_deactivates_them(make, staff_browser, tenant):
    make(2)
    page = "/admin/coupons/couponcampaign/"
    shown = staff_browser.get(page).content.decode()
    assert "2 of 2" in shown
    chosen = CouponCampaign.objects.get().pk
    assert staff_browser.get(f"{page}{chosen}/change/").status_code == 200
    selection = {"action": "deactivate", "_selected_action": [chosen]}
    assert "can be redeemed no more" in staff_browser.post(page, selection).content.decode()
    staff_browser.post(page, {**selection, "_confirmed": "1"})
    assert CouponCampaign.objects.get().deactivated_at is not None
    assert "WELCOME-" not in staff_browser.get("/admin/coupons/coupon/").content.decode()


def test_the_journal_has_the_campaign(make):
    make(2)
    assert Change.objects.filter(object="coupon-campaign", kind="created").count() == 1
