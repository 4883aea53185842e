from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from coupons.admin.coupons import warnings_about
from coupons.models import Coupon, CouponSettings, Redemption, Reservation
from coupons.usage import usage_of
from segments.models import Segment
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
    UserFactory,
)
from tests.factories.catalog import CategoryFactory
from tests.factories.coupons import (
    CouponCategoryFactory,
    CouponFactory,
    CouponSegmentFactory,
    RedemptionFactory,
    ReservationFactory,
)
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

COUPONS = "admin:coupons_coupon"
REDEMPTIONS = "admin:coupons_redemption"
TEN = {
    "name": "Ten",
    "code": "ten",
    "discount_type": "PERCENT",
    "discount_percentage": "10",
    "discount_calculation_type": "SUBTOTAL",
    "mixins": "{}",
    "mixin_schemas": "{}",
}


def listed(browser, page=COUPONS, **query):
    response = browser.get(reverse(f"{page}_changelist"), query)
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def codes(browser, **query):
    return [coupon.code for coupon in listed(browser, **query)]


def errors_of(response):
    assert response.status_code == 200
    return {name: list(texts) for name, texts in response.context["adminform"].form.errors.items()}


def change_page(coupon):
    return reverse(f"{COUPONS}_change", args=[coupon.pk])


def test_a_coupon_is_added_through_the_operation(staff_browser, site):
    segments = [SegmentFactory(site=site, external_id=name) for name in ("b", "a")]
    values = {
        **TEN,
        "discount_type": "ABSOLUTE",
        "discount_amount": "5.50",
        "is_segment_restricted": "on",
        "segments": [segment.pk for segment in segments],
        "valid_from_0": "2024-01-01",
        "valid_from_1": "00:00",
        "max_redemptions": "7",
        "min_order_amount": "20",
        "min_order_currency": "USD",
        "issued_to": "C1",
        "mixins": '{"season": "winter"}',
    }
    response = staff_browser.post(reverse(f"{COUPONS}_add"), values)
    assert response.status_code == 302
    coupon = Coupon.objects.get()
    assert (coupon.code, coupon.tenant, coupon.version) == ("TEN", site.tenant, 0)
    assert (coupon.discount_amount, coupon.discount_currency) == (Decimal("5.5"), "EUR")
    assert (coupon.min_order_amount, coupon.min_order_currency) == (Decimal(20), "USD")
    assert (coupon.max_redemptions, coupon.issued_to, coupon.mixins) == (7, "C1", {"season": "winter"})
    assert set(coupon.segment_restrictions.values_list("segment_external_id", flat=True)) == {"a", "b"}


def test_a_coupon_without_a_code_gets_one(staff_browser):
    staff_browser.post(reverse(f"{COUPONS}_add"), {**TEN, "code": ""})
    assert len(Coupon.objects.get().code) == 10


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"code": "a/b"}, "code"),
        ({"discount_percentage": ""}, "discount_percentage"),
        ({"discount_percentage": "101"}, "discount_percentage"),
        ({"discount_type": "ABSOLUTE"}, "discount_amount"),
        ({"discount_amount": "-1"}, "discount_amount"),
        ({"is_segment_restricted": "on"}, "segments"),
        ({"is_category_restricted": "on"}, "included_categories"),
        ({"allows_anonymous": "on", "max_redemptions_per_customer": "1"}, "max_redemptions_per_customer"),
        ({"allows_anonymous": "on", "valid_for": "C1"}, "valid_for"),
        ({"mixins": "[]"}, "mixins"),
        (
            {
                "valid_from_0": "2024-02-01",
                "valid_from_1": "00:00",
                "valid_to_0": "2024-01-01",
                "valid_to_1": "00:00",
            },
            "valid_to",
        ),
    ],
)
def test_mistake_is_shown_beside_its_field(staff_browser, values, field):
    errors = errors_of(staff_browser.post(reverse(f"{COUPONS}_add"), {**TEN, **values}))
    assert list(errors) == [field]
    assert Coupon.objects.count() == 0


def test_taken_code_is_an_error_of_the_form(staff_browser, tenant):
    CouponFactory(tenant=tenant, code="TEN", is_deleted=True)
    errors = errors_of(staff_browser.post(reverse(f"{COUPONS}_add"), TEN))
    assert errors == {"__all__": ["The code TEN is taken."]}


def test_a_change_keeps_code_and_use_and_counts_the_version_up(staff_browser, tenant):
    coupon = CouponFactory(tenant=tenant, code="A", version=3, redemption_count=2)
    values = {**TEN, "code": "OTHER", "valid_for": "C1\nC2, C1\n\n", "expected_version": 3}
    assert staff_browser.post(change_page(coupon), values).status_code == 302
    coupon.refresh_from_db()
    assert (coupon.code, coupon.name, coupon.version, coupon.redemption_count) == ("A", "Ten", 4, 2)
    assert coupon.valid_for == ["C1", "C2"]


def test_a_change_of_an_older_version_is_refused(staff_browser, tenant):
    coupon = CouponFactory(tenant=tenant, version=3)
    errors = errors_of(staff_browser.post(change_page(coupon), {**TEN, "expected_version": 2}))
    assert errors["__all__"][0].startswith("Somebody else changed this in the meantime")
    coupon.refresh_from_db()
    assert coupon.version == 3


def test_what_was_deleted_stays_named_until_it_is_forgotten(staff_browser, tenant, site):
    coupon = CouponFactory(tenant=tenant, is_segment_restricted=True)
    kept, gone = (SegmentFactory(site=site, external_id=name) for name in ("kept", "gone"))
    for segment in (kept, gone):
        CouponSegmentFactory(coupon=coupon, segment=segment)
    Segment.objects.filter(pk=gone.pk).delete()
    values = {**TEN, "is_segment_restricted": "on", "segments": [kept.pk]}

    def stored():
        return set(coupon.segment_restrictions.values_list("segment_external_id", flat=True))

    page = staff_browser.get(change_page(coupon))
    assert "forgets_missing" in page.context["adminform"].form.fields
    staff_browser.post(change_page(coupon), {**values, "expected_version": 0})
    assert stored() == {"kept", "gone"}
    staff_browser.post(change_page(coupon), {**values, "expected_version": 1, "forgets_missing": "on"})
    assert stored() == {"kept"}
    page = staff_browser.get(change_page(coupon))
    assert "forgets_missing" not in page.context["adminform"].form.fields


def test_the_form_shows_what_is_stored(staff_browser, tenant):
    coupon = CouponFactory(
        tenant=tenant,
        is_category_restricted=True,
        discount_percentage=Decimal("12.500000"),
        valid_for=["C1", "C2"],
    )
    category = CategoryFactory(tenant=tenant)
    CouponCategoryFactory(coupon=coupon, category=category, is_excluded=True)
    form = staff_browser.get(change_page(coupon)).context["adminform"].form
    assert form["discount_percentage"].value() == "12.5"
    assert form["valid_for"].value() == "C1\nC2"
    assert list(form["excluded_categories"].value()) == [category.pk]


def test_choices_of_another_tenant_are_refused(staff_browser, tenant, other_tenant):
    segment = SegmentFactory(site=SiteFactory(tenant=other_tenant))
    values = {**TEN, "is_segment_restricted": "on", "segments": [segment.pk]}
    assert list(errors_of(staff_browser.post(reverse(f"{COUPONS}_add"), values))) == ["segments"]


def test_coupons_of_another_tenant_do_not_exist(staff_browser, other_tenant):
    coupon = CouponFactory(tenant=other_tenant)
    redemption = RedemptionFactory(coupon=coupon)
    assert listed(staff_browser) == listed(staff_browser, REDEMPTIONS) == []
    assert staff_browser.get(change_page(coupon)).status_code == 302
    assert staff_browser.get(reverse("admin:coupons_coupon_refusal", args=[coupon.pk])).status_code == 404
    staff_browser.post(reverse(f"{REDEMPTIONS}_delete", args=[redemption.pk]), {"post": "yes"})
    assert Redemption.objects.count() == 1


def test_deleting_is_soft_also_with_redemptions(staff_browser, tenant):
    coupon = CouponFactory(tenant=tenant, code="A")
    RedemptionFactory(coupon=coupon)
    page = reverse(f"{COUPONS}_delete", args=[coupon.pk])
    assert b"Redemption" not in staff_browser.get(page).content.split(b"Are you sure")[-1][:400]
    staff_browser.post(page, {"post": "yes"})
    coupon.refresh_from_db()
    assert (coupon.is_deleted, coupon.version, Redemption.objects.count()) == (True, 1, 1)
    assert codes(staff_browser) == []
    assert codes(staff_browser, state="deleted") == ["A"]
    assert staff_browser.get(change_page(coupon)).status_code == 200
    assert staff_browser.post(change_page(coupon), TEN).status_code == 403


def test_selected_coupons_are_deleted(staff_browser, tenant):
    coupons = [CouponFactory(tenant=tenant) for _ in range(3)]
    staff_browser.post(
        reverse(f"{COUPONS}_changelist"),
        {
            "action": "delete_selected",
            "_selected_action": [coupon.pk for coupon in coupons[:2]],
            "post": "yes",
        },
    )
    assert list(Coupon.objects.order_by("pk").values_list("is_deleted", flat=True)) == [True, True, False]


def test_the_list_is_filtered_and_searched(staff_browser, tenant, now):
    hour = timedelta(hours=1)
    CouponFactory(tenant=tenant, code="LATER", valid_from=now + hour)
    CouponFactory(tenant=tenant, code="OVER", valid_to=now - hour, valid_for=["C1"])
    CouponFactory(tenant=tenant, code="SPENT", max_redemptions=1, redemption_count=1)
    CouponFactory(tenant=tenant, code="GOOD", name="Spring sale", is_category_restricted=True)
    assert codes(staff_browser) == ["GOOD", "SPENT", "OVER", "LATER"]
    for state, code in {"valid": "GOOD", "waiting": "LATER", "over": "OVER", "spent": "SPENT"}.items():
        assert codes(staff_browser, state=state) == [code]
    assert codes(staff_browser, restriction="categories") == ["GOOD"]
    assert codes(staff_browser, restriction="customers") == ["OVER"]
    assert codes(staff_browser, restriction="none") == ["SPENT", "LATER"]
    assert codes(staff_browser, q="spe") == ["SPENT"]
    assert codes(staff_browser, q="spring") == ["GOOD"]
    CouponFactory(tenant=tenant, code="BLACK FRIDAY 20", name="Half off")
    for q in ("black friday 20", " “Black Friday", "BLACK half"):
        assert codes(staff_browser, q=q) == ["BLACK FRIDAY 20"]
    CouponFactory(tenant=tenant, code="TEN", name="Früh\u00adlings\u00adrabatt")
    assert codes(staff_browser, q="frühlingsrabatt") == codes(staff_browser, q="rabat") == ["TEN"]


@pytest.mark.parametrize("coupons", [1, 20])
def test_the_list_takes_a_constant_number_of_statements(
    staff_browser, tenant, coupons, django_assert_num_queries
):
    for _ in range(coupons):
        CouponFactory(tenant=tenant)
    listed(staff_browser)
    with django_assert_num_queries(11):
        assert len(listed(staff_browser)) == coupons


def test_the_page_shows_use_and_warnings(staff_browser, tenant, now):
    coupon = CouponFactory(tenant=tenant, max_redemptions=3, redemption_count=3)
    for days in (0, 0, 40):
        RedemptionFactory(coupon=coupon, redeemed_at=now - timedelta(days=days))
    page = staff_browser.get(change_page(coupon))
    assert page.context["warnings"] == ["All its uses are spent."]
    usage = page.context["usage"]
    assert (usage.count, usage.limit, usage.recent, usage.last_at) == (3, 3, 2, now)
    assert (len(usage.days), usage.days[-1].count, usage.days[-1].share) == (30, 2, 100)
    assert b"<svg" in page.content
    links = [link["url"] for link in page.context["related_links"]]
    assert links[0] == reverse(f"{REDEMPTIONS}_changelist") + f"?coupon__id__exact={coupon.pk}"
    assert len(listed(staff_browser, REDEMPTIONS, coupon__id__exact=coupon.pk)) == 3


def test_days_of_use_have_no_gaps(tenant, now):
    coupon = CouponFactory(tenant=tenant)
    for days, count in {1: 4, 2: 1}.items():
        for _ in range(count):
            RedemptionFactory(coupon=coupon, redeemed_at=now - timedelta(days=days))
    days = usage_of(coupon, until=now, days=4).days
    assert [(now.date() - day.day).days for day in days] == [3, 2, 1, 0]
    assert [(day.count, day.share) for day in days] == [(0, 0), (1, 25), (4, 100), (0, 0)]


def test_days_of_use_are_those_of_utc(tenant):
    late = datetime(2026, 11, 28, 23, 30, tzinfo=UTC)
    coupon = CouponFactory(tenant=tenant)
    RedemptionFactory(coupon=coupon, redeemed_at=late)
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        usage = usage_of(coupon, until=late + timedelta(minutes=10), days=2)
    assert [(str(day.day), day.count) for day in usage.days] == [("2026-11-27", 0), ("2026-11-28", 1)]


def test_page_warns_of_what_keeps_everybody_from_redeeming(tenant, now):
    hour = timedelta(hours=1)

    def warnings(**values):
        return warnings_about(CouponFactory(tenant=tenant, **values), at=now)

    assert warnings() == []
    assert warnings(valid_from=now + hour) == []
    assert warnings(is_deleted=True, max_redemptions=0) == ["It is deleted."]
    assert warnings(valid_to=now - hour) == ["Its window is over."]
    assert warnings(max_redemptions=0) == ["maxRedemptions is 0: nobody can redeem it."]
    assert warnings(max_redemptions=2, redemption_count=2) == ["All its uses are spent."]


def test_saving_a_coupon_that_nobody_can_redeem_warns(staff_browser, tenant):
    answer = staff_browser.post(reverse(f"{COUPONS}_add"), {**TEN, "max_redemptions": "0"}, follow=True)
    assert "TEN: maxRedemptions is 0: nobody can redeem it." in [
        str(text) for text in answer.context["messages"]
    ]


def test_list_shows_and_filters_coupons_that_nobody_can_redeem(staff_browser, tenant):
    CouponFactory(tenant=tenant, code="GOOD")
    CouponFactory(tenant=tenant, code="LOST", is_segment_restricted=True)
    page = staff_browser.get(reverse(f"{COUPONS}_changelist")).content.decode()
    assert (
        page.count('title="All its segments have been deleted: nobody can redeem it.">No live segment') == 1
    )
    assert codes(staff_browser, state="unredeemable") == ["LOST"]


def test_reasons_of_a_refusal_are_shown_for_a_customer_now_or_at_a_date(staff_browser, tenant, site, now):
    customer = CustomerFactory(tenant=tenant, external_id="C1")
    entity = LegalEntityFactory(tenant=tenant)
    coupon = CouponFactory(
        tenant=tenant,
        code="A",
        is_segment_restricted=True,
        valid_to=now + timedelta(days=1),
        min_order_amount=50,
        min_order_currency="EUR",
    )
    CouponSegmentFactory(coupon=coupon, segment=SegmentFactory(site=site))
    page = reverse("admin:coupons_coupon_refusal", args=[coupon.pk])

    def reasons(**query):
        answer = staff_browser.get(page, {"customer": customer.pk, **query})
        assert answer.status_code == 200
        verdict = answer.context["verdict"]
        return None if verdict is None else [reason.type.value for reason in verdict.reasons]

    assert staff_browser.get(page).context["verdict"] is None
    assert reasons() == ["segment_membership_missing"]
    assert reasons(customer="") == ["anonymous_not_allowed", "segment_membership_missing"]
    later = now + timedelta(days=2)
    assert reasons(at_0=later.date().isoformat(), at_1="12:00:00", total="49", currency="EUR") == [
        "coupon_expired",
        "segment_membership_missing",
        "min_order_value_not_reached",
    ]
    assert reasons(total="60", currency="USD") == ["segment_membership_missing", "currency_mismatch"]
    assert reasons(legal_entity=entity.pk) is None
    ContactAssignmentFactory(customer=customer, legal_entity=entity)
    assert reasons(legal_entity=entity.pk) == ["segment_membership_missing"]
    segment = coupon.segment_restrictions.get().segment
    CustomerAssignmentFactory(segment=segment, customer=customer)
    answer = staff_browser.get(page, {"customer": customer.pk, "total": "60", "currency": "EUR"})
    assert answer.context["verdict"].reasons == ()
    assert b"It would be accepted" in answer.content


def test_deleting_redemptions_gives_their_uses_back(staff_browser, tenant):
    coupon = CouponFactory(tenant=tenant, redemption_count=3)
    redemptions = [RedemptionFactory(coupon=coupon) for _ in range(3)]
    staff_browser.post(
        reverse(f"{REDEMPTIONS}_changelist"),
        {
            "action": "delete_selected",
            "_selected_action": [redemption.pk for redemption in redemptions[:2]],
            "post": "yes",
        },
    )
    coupon.refresh_from_db()
    assert (coupon.redemption_count, Redemption.objects.count()) == (1, 1)


def test_reservations_are_listed_by_what_became_of_them_and_released(staff_browser, tenant, now):
    coupon = CouponFactory(tenant=tenant)
    live = ReservationFactory(coupon=coupon, customer_number="C-LIVE")
    ReservationFactory(coupon=coupon, customer_number="C-OVER", expires_at=now - timedelta(seconds=1))
    ReservationFactory(coupon=coupon, customer_number="C-FREE", ended_at=now)
    ReservationFactory(coupon=coupon, customer_number="C-DONE", ended_at=now, redemption_id="R1")
    page = reverse("admin:coupons_reservation_changelist")
    for state, number in (("live", "LIVE"), ("over", "OVER"), ("released", "FREE"), ("confirmed", "DONE")):
        shown = staff_browser.get(page, {"state": state}).content.decode()
        assert [name for name in ("LIVE", "OVER", "FREE", "DONE") if f"C-{name}" in shown] == [number]
    assert staff_browser.get(reverse("admin:coupons_reservation_add")).status_code == 403
    assert staff_browser.get(reverse("admin:coupons_reservation_change", args=[live.pk])).status_code == 200
    deletion = reverse("admin:coupons_reservation_delete", args=[live.pk])
    assert staff_browser.post(deletion, {"post": "yes"}).status_code == 302
    live.refresh_from_db()
    assert live.ended_at == now
    parts = [ReservationFactory(coupon__tenant=tenant, cart_id="K1") for _ in range(2)]
    assert staff_browser.post(
        page, {"action": "delete_selected", "_selected_action": [parts[0].pk], "post": "yes"}
    )
    assert Reservation.objects.filter(cart_id="K1", ended_at=now).count() == 2


def test_redemptions_are_neither_added_nor_changed_here(staff_browser, tenant):
    redemption = RedemptionFactory(coupon=CouponFactory(tenant=tenant))
    assert staff_browser.get(reverse(f"{REDEMPTIONS}_add")).status_code == 403
    page = reverse(f"{REDEMPTIONS}_change", args=[redemption.pk])
    assert staff_browser.get(page).status_code == 200
    assert staff_browser.post(page, {"customer_number": "C9"}).status_code == 403


SETTINGS = {
    "max_coupons_per_cart": "3",
    "referral_prefix": "F-",
    "referral_amount": "8",
    "referral_currency": "USD",
}


def test_numbers_are_shown_without_the_zeros_of_their_columns(staff_browser, tenant):
    coupon = CouponFactory(tenant=tenant, discount_percentage=Decimal("12.5"))
    page = reverse("admin:coupons_coupon_change", args=[coupon.pk])
    assert 'value="12.5"' in staff_browser.get(page).content.decode()
    User.objects.get().user_permissions.remove(Permission.objects.get(codename="change_coupon"))
    read_only = staff_browser.get(page).content.decode()
    assert ("12.5</div>" in read_only, "12.500000" in read_only) == (True, False)
    assert "<label>Percentage:</label>" in read_only
    CouponSettings.objects.update_or_create(tenant=tenant, defaults={"referral_amount": Decimal(10)})
    listed = staff_browser.get(reverse("admin:coupons_couponsettings_changelist"))
    assert ">10</td>" in listed.content.decode()


def test_settings_are_added_once_and_changed(staff_browser, tenant):
    add = reverse("admin:coupons_couponsettings_add")
    assert staff_browser.post(add, {**SETTINGS, "codes_are_case_sensitive": "on"}).status_code == 302
    settings = CouponSettings.objects.get()
    assert (settings.tenant, settings.codes_are_case_sensitive) == (tenant, True)
    assert settings.max_coupons_per_cart == 3
    assert staff_browser.get(add).status_code == 403
    CouponFactory(tenant=tenant, code="summer")
    page = reverse("admin:coupons_couponsettings_change", args=[settings.pk])
    assert staff_browser.post(page, SETTINGS).status_code == 302
    assert Coupon.objects.get().code == "SUMMER"


def test_settings_that_would_make_codes_collide_are_refused(staff_browser, tenant):
    CouponSettings.objects.create(tenant=tenant, codes_are_case_sensitive=True)
    for code in ("a", "A"):
        CouponFactory(tenant=tenant, code=code)
    page = reverse("admin:coupons_couponsettings_change", args=[tenant.pk])
    assert errors_of(staff_browser.post(page, SETTINGS)) == {
        "codes_are_case_sensitive": ["Several coupons are called A when case does not matter."]
    }


def test_staff_without_permission_see_nothing(tenant):
    user = UserFactory(tenant=tenant, username="clerk")
    browser = Client()
    browser.force_login(user)
    coupon = CouponFactory(tenant=tenant)
    refusal = reverse("admin:coupons_coupon_refusal", args=[coupon.pk])
    assert browser.get(reverse(f"{COUPONS}_changelist")).status_code == 403
    assert browser.get(refusal).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_coupon"))
    assert browser.get(reverse(f"{COUPONS}_changelist")).status_code == 200
    assert browser.get(change_page(coupon)).status_code == 200
    assert browser.get(refusal).status_code == 403
