"""What the pages say before segments are deleted, deactivated or given another window, and what they do."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import translation

from accounts.models import Customer, Site
from catalog.models import Category
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from coupons.models import Coupon
from segments.admin.effect_facts import facts_of
from segments.counting import Count
from segments.effects import Difference, Effects
from segments.effects.bodies import ItemEffect, MemberEffect
from segments.models import CustomerAssignment, Segment
from tests.conftest import web_client
from tests.factories.accounts import CustomerFactory, SiteFactory, UserFactory
from tests.factories.catalog import CategoryFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory, RedemptionFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory
from tests.linked_numbers import assert_listed

pytestmark = pytest.mark.usefixtures("real_time")
LIST = "admin:segments_segment_changelist"


@pytest.fixture
def vip(site: Site) -> Segment:
    """A live segment of two members, one of whom is in another one too, with a category and a coupon."""
    segment = SegmentFactory(site=site, external_id="vip", name={"en": "Very Important", "de": "Stamm"})
    other = SegmentFactory(site=site, external_id="other")
    ada = CustomerFactory(tenant=site.tenant)
    CustomerAssignmentFactory(segment=segment, customer=ada)
    CustomerAssignmentFactory(segment=other, customer=ada)
    CustomerAssignmentFactory(segment=segment, customer=CustomerFactory(tenant=site.tenant))
    ItemAssignmentFactory(segment=segment, product=None, category=CategoryFactory(tenant=site.tenant))
    coupon = CouponFactory(tenant=site.tenant, code="VIP10", is_segment_restricted=True)
    CouponSegmentFactory(coupon=coupon, segment=segment)
    return segment


def facts(response: HttpResponse) -> list[tuple[str, str]]:
    assert response.status_code == 200
    return [(fact.number, fact.text) for fact in response.context["facts"]]


def delete_page(segment: Segment) -> str:
    return reverse("admin:segments_segment_delete", args=[segment.pk])


def confirmed(response: HttpResponse, **values: str) -> JsonObject:
    """Return what the page's form sends."""
    context = response.context
    repeated: JsonObject = {}
    for name, value in context["repeated"]:
        repeated.setdefault(name, []).append(value)
    versions = [f"{name}={number}" for name, number in context.get("versions", {}).items()]
    return {**repeated, "version": versions, "_confirmed": "1", **values}


def messages_of(response: HttpResponse) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def test_the_delete_page_says_what_goes_and_where_it_is_listed(staff_browser: Client, vip: Segment) -> None:
    page = staff_browser.get(delete_page(vip))
    assert facts(page) == [
        ("2", "customers lose it"),
        ("2", "memberships go with it"),
        ("1", "product or category in it"),
        ("1", "coupon stops working"),
    ]
    losing, _, items, coupons = page.context["facts"]
    assert losing.details == "1 keeps another segment · 1 sees nothing special any more"
    assert items.details == "1 category disappears · for 2 customers"
    assert coupons.details == "VIP10 · used 0 times in the last 30 days"
    assert "Kept 30 days: Restore it under Activity." in page.content.decode()
    assert_listed(staff_browser, page.context["facts"])
    assert list(staff_browser.get(coupons.url).context["cl"].result_list) == [Coupon.objects.get()]


def test_uses_of_coupons_that_stop_are_listed(staff_browser: Client, vip: Segment) -> None:
    coupon = Coupon.objects.get()
    at = datetime.now(UTC)
    used = RedemptionFactory(coupon=coupon, redeemed_at=at - timedelta(days=29))
    RedemptionFactory(coupon=coupon, redeemed_at=at - timedelta(days=31))
    fact = staff_browser.get(delete_page(vip)).context["facts"][-1]
    assert fact.details == "VIP10 · used 1 time in the last 30 days"
    page = staff_browser.get(fact.parts[-1].url)
    assert list(page.context["cl"].result_list) == [used]
    assert "of coupons that stop working with a change of Very Important" in page.content.decode()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "losing",
        "losing~SEGMENTS~now~1~",
        "losing~SEGMENTS~2026-01-01T00:00:00+00:00~~",
        "losing~SEGMENTS~2026-01-01T00:00:00+00:00~{theirs}~",
        "used~SEGMENTS~2026-01-01T00:00:00+00:00~{vip}~",
        "losing~DELETE~2026-01-01T00:00:00+00:00~{category}~",
        "losing~MOVE~2026-01-01T00:00:00+00:00~{category}~{category}",
        "losing~SEGMENTS~2026-01-01T00:00:00+00:00~\0~",
    ],
)
def test_an_address_that_names_no_effect_of_the_readers_leads_to_the_whole_list(
    staff_browser: Client, vip: Segment, other_tenant: Tenant, value: str
) -> None:
    theirs = SegmentFactory(site=SiteFactory(tenant=other_tenant))
    named = value.format(theirs=theirs.pk, vip=vip.pk, category=Category.objects.get().pk)
    page = staff_browser.get(reverse("admin:accounts_customer_changelist"), {"effect_of": named}, follow=True)
    assert page.status_code == 200
    assert page.context["cl"].paginator.count == 2


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_an_address_of_the_ends_of_time_is_answered(
    staff_browser: Client, vip: Segment, instant: str
) -> None:
    address = reverse("admin:coupons_redemption_changelist")
    value = f"used~SEGMENTS~{instant}~{vip.pk}~"
    assert staff_browser.get(address, {"effect_of": value}, follow=True).status_code == 200


def test_a_list_says_who_is_in_a_segment_only_to_those_who_may_see_segments(vip: Segment) -> None:
    user = UserFactory(tenant=vip.tenant)
    user.user_permissions.set(Permission.objects.filter(codename="view_customer"))
    browser = web_client()
    browser.force_login(user)
    address = reverse("admin:accounts_customer_changelist")
    value = f"losing~SEGMENTS~2026-01-01T00:00:00+00:00~{vip.pk}~"
    page = browser.get(address, {"effect_of": value}, follow=True)
    assert page.context["cl"].paginator.count == Customer.objects.for_tenant(vip.tenant_id).count()
    assert str(vip) not in page.text


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        (
            "en",
            {
                (1, 1): "1 category disappears · for 1 customer",
                (1, 2): "1 category disappears · for 2 customers",
                (2, 1): "2 categories disappear · for 1 customer",
            },
        ),
        (
            "de",
            {
                (1, 1): "1 Kategorie verschwindet · für 1 Kunden",
                (1, 2): "1 Kategorie verschwindet · für 2 Kunden",
                (2, 1): "2 Kategorien verschwinden · für 1 Kunden",
            },
        ),
    ],
)
def test_each_number_of_a_sentence_has_its_own_plural(
    vip: Segment, language: str, sentences: dict[tuple[int, int], str]
) -> None:
    difference = Difference(vip.tenant_id, datetime.now(UTC), losing=[vip.pk], gaining=[])
    members = MemberEffect(**dict.fromkeys(MemberEffect.__struct_fields__, Count(value=1)))
    for (categories, customers), sentence in sentences.items():
        items = ItemEffect(
            products=Count(value=0),
            categories=Count(value=categories),
            disappearing_categories=Count(value=categories),
            affected_customers=Count(value=customers),
        )
        effects = Effects(
            change="DELETE", as_of="", makes_difference=True, versions={}, members=members, items=items
        )
        with translation.override(language):
            assert sentence in [fact.details for fact in facts_of(effects, difference, [], [vip])]


@pytest.mark.parametrize("typed", ["Very Important", " very important ", "Stamm", "vip"])
def test_a_segment_is_deleted_once_its_name_is_typed(staff_browser: Client, vip: Segment, typed: str) -> None:
    page = staff_browser.get(delete_page(vip))
    answer = staff_browser.post(delete_page(vip), confirmed(page, typed_name=typed), follow=True)
    assert messages_of(answer)[0].startswith("Deleted Very Important. ")
    assert not Segment.objects.filter(pk=vip.pk).exists()
    assert not Coupon.objects.get().is_deleted


def test_another_name_deletes_nothing(staff_browser: Client, vip: Segment) -> None:
    page = staff_browser.get(delete_page(vip))
    answer = staff_browser.post(delete_page(vip), confirmed(page, typed_name="Ver"))
    assert answer.context["typing_error"] == "This is not the segment's name. Nothing was deleted."
    assert Segment.objects.filter(pk=vip.pk).exists()


def test_a_segment_that_changed_since_is_not_deleted(staff_browser: Client, vip: Segment) -> None:
    page = staff_browser.get(delete_page(vip))
    Segment.objects.filter(pk=vip.pk).update(version=vip.version + 1)
    answer = staff_browser.post(delete_page(vip), confirmed(page, typed_name="vip"))
    assert messages_of(answer) == [
        "A segment was changed in the meantime, so nothing was deleted. Look at the present numbers."
    ]
    assert answer.context["versions"] == {"vip": vip.version + 1}
    assert Segment.objects.filter(pk=vip.pk).exists()


def test_a_deletion_without_the_versions_is_refused(staff_browser: Client, vip: Segment) -> None:
    staff_browser.post(delete_page(vip), {"_confirmed": "1", "typed_name": "vip"})
    assert Segment.objects.filter(pk=vip.pk).exists()


def test_coupons_go_along_when_that_is_chosen_and_come_back_with_restore(
    staff_browser: Client, vip: Segment, site: Site
) -> None:
    both = CouponFactory(tenant=site.tenant, code="BOTH", is_segment_restricted=True)
    CouponSegmentFactory(coupon=both, segment=vip)
    CouponSegmentFactory(coupon=both, segment=Segment.objects.get(external_id="other"))
    page = staff_browser.get(delete_page(vip))
    assert [each.question for each in page.context["dependents"]] == ["1 coupon names no other segment"]
    values = confirmed(page, typed_name="vip", **{"dependent-coupon": "delete"})
    answer = staff_browser.post(delete_page(vip), values, follow=True)
    assert "With it 1 coupon." in messages_of(answer)[0]
    assert dict(Coupon.objects.values_list("code", "is_deleted")) == {"VIP10": True, "BOTH": False}
    form = messages_of(answer)[0]
    source = form.split('name="id" value="')[1].split('"')[0]
    staff_browser.post(
        reverse("admin:journal_change_undo_occasion"), {"type": "admin", "id": source, "next": "/admin/"}
    )
    assert dict(Coupon.objects.values_list("code", "is_deleted")) == {"VIP10": False, "BOTH": False}
    restored = Segment.objects.get(external_id="vip")
    assert CustomerAssignment.objects.filter(segment=restored).count() == 2


def test_a_coupon_without_a_segment_says_so(staff_browser: Client, vip: Segment) -> None:
    Segment.objects.filter(pk=vip.pk).delete()
    page = staff_browser.get(reverse("admin:coupons_coupon_changelist"))
    assert "No live segment" in page.content.decode()


def test_several_segments_are_deleted_together(staff_browser: Client, vip: Segment) -> None:
    selection = {
        "action": "delete_selected",
        "_selected_action": list(Segment.objects.values_list("pk", flat=True)),
    }
    page = staff_browser.post(reverse(LIST), selection)
    assert facts(page)[0] == ("2", "customers lose it")
    assert page.context["facts"][0].details == "0 keep another segment · 2 see nothing special any more"
    assert_listed(staff_browser, page.context["facts"])
    refused = staff_browser.post(reverse(LIST), confirmed(page, typed_name="1"))
    assert refused.context["typing_error"]
    answer = staff_browser.post(reverse(LIST), confirmed(page, typed_name="2"), follow=True)
    assert messages_of(answer)[0].startswith("Deleted 2 segments.")
    assert not Segment.objects.exists()


def test_deactivating_asks_and_can_be_taken_back(staff_browser: Client, vip: Segment) -> None:
    selection = {"action": "deactivate", "_selected_action": [vip.pk]}
    page = staff_browser.post(reverse(LIST), selection)
    assert facts(page)[0] == ("2", "customers lose it")
    vip.refresh_from_db()
    assert vip.status == "ACTIVE"
    answer = staff_browser.post(reverse(LIST), confirmed(page), follow=True)
    [message] = messages_of(answer)
    assert message.startswith("Deactivated 1 segment. ")
    vip.refresh_from_db()
    assert vip.status == "INACTIVE"
    source = message.split('name="id" value="')[1].split('"')[0]
    values = {"type": "admin", "id": source, "next": reverse(LIST)}
    back = staff_browser.post(reverse("admin:journal_change_undo_occasion"), values)
    assert back.url == reverse(LIST)
    vip.refresh_from_db()
    assert vip.status == "ACTIVE"


def test_a_segment_that_changed_since_is_not_deactivated(staff_browser: Client, vip: Segment) -> None:
    page = staff_browser.post(reverse(LIST), {"action": "deactivate", "_selected_action": [vip.pk]})
    Segment.objects.filter(pk=vip.pk).update(version=vip.version + 1)
    staff_browser.post(reverse(LIST), confirmed(page))
    vip.refresh_from_db()
    assert vip.status == "ACTIVE"


def form_values(segment: Segment, **values: object) -> JsonObject:
    return {
        "site": segment.site_id,
        "name_en": "Very Important",
        "name_de": "Stamm",
        "status": "ACTIVE",
        "expected_version": segment.version,
        "mixins": "{}",
        "mixin_schemas": "{}",
        **values,
    }


def test_a_window_that_ends_asks_before_it_is_saved(staff_browser: Client, vip: Segment) -> None:
    page = reverse("admin:segments_segment_change", args=[vip.pk])
    values = form_values(vip, valid_to_0="2020-01-01", valid_to_1="00:00")
    asked = staff_browser.post(page, values)
    assert facts(asked)[0] == ("2", "customers lose it")
    vip.refresh_from_db()
    assert vip.valid_to is None
    again = dict(asked.context["repeated"])
    back = staff_browser.post(page, {**again, "_back": "1"})
    assert back.context["adminform"].form["valid_to"].value()[0] == "2020-01-01"
    staff_browser.post(page, {**again, "_confirmed": "1"})
    vip.refresh_from_db()
    assert vip.valid_to is not None


def test_a_name_is_saved_without_a_question(staff_browser: Client, vip: Segment) -> None:
    page = reverse("admin:segments_segment_change", args=[vip.pk])
    staff_browser.post(page, form_values(vip, name_en="New"))
    vip.refresh_from_db()
    assert vip.name["en"] == "New"


def test_who_may_not_see_coupons_is_told_nothing_of_them(vip: Segment, tenant: Tenant) -> None:
    user = UserFactory(tenant=tenant)
    user.user_permissions.set(Permission.objects.exclude(codename__endswith="_coupon"))
    browser = web_client()
    browser.force_login(user)
    page = browser.get(delete_page(vip))
    assert not [text for _, text in facts(page) if "working" in text]
    assert page.context["dependents"] == []
    values = confirmed(page, typed_name="vip", **{"dependent-coupon": "delete"})
    browser.post(delete_page(vip), values)
    assert not Coupon.objects.get().is_deleted


def test_somebody_elses_occasion_needs_the_journals_permission(
    staff_browser: Client, vip: Segment, tenant: Tenant
) -> None:
    page = staff_browser.post(reverse(LIST), {"action": "deactivate", "_selected_action": [vip.pk]})
    answer = staff_browser.post(reverse(LIST), confirmed(page), follow=True)
    source = messages_of(answer)[0].split('name="id" value="')[1].split('"')[0]
    user = UserFactory(tenant=tenant)
    user.user_permissions.set(Permission.objects.exclude(codename="view_change"))
    browser = web_client()
    browser.force_login(user)
    values = {"type": "admin", "id": source, "next": "//elsewhere.example"}
    assert browser.post(reverse("admin:journal_change_undo_occasion"), values).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_change"))
    browser = web_client()
    browser.force_login(user)
    answer = browser.post(reverse("admin:journal_change_undo_occasion"), values)
    assert answer.url == "/admin/"
    vip.refresh_from_db()
    assert vip.status == "ACTIVE"


def test_a_second_editor_sees_both_versions_and_loses_nothing(
    staff_browser: Client, vip: Segment, site: Site
) -> None:
    page = reverse("admin:segments_segment_change", args=[vip.pk])
    values = form_values(vip, name_en="Mine", valid_to_0="2040-01-01", valid_to_1="12:00")
    Segment.objects.filter(pk=vip.pk).update(name={"en": "Theirs", "de": "Stamm"}, version=vip.version + 1)
    answer = staff_browser.post(page, values)
    form = answer.context["adminform"].form
    assert form.errors["__all__"][0].startswith("Somebody else changed this in the meantime")
    assert [(row.label, row.entered, row.stored) for row in form.both_versions] == [
        ("Name", "de: Stamm · en: Mine", "de: Stamm · en: Theirs"),
        ("Valid to", "Sunday, 1 January 2040, 12:00 UTC", "empty"),
    ]
    text = answer.content.decode()
    assert "Both versions" in text
    assert f'name="expected_version" value="{vip.version + 1}"' in text
    again = {**values, "expected_version": vip.version + 1, "_confirmed": "1"}  # it ends in 2040
    assert staff_browser.post(page, again).status_code == 302
    vip.refresh_from_db()
    assert vip.name == {"en": "Mine", "de": "Stamm"}
