"""What a form of the admin saves is taken back by the button of its message."""

import re
from io import StringIO

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import models
from django.db.models import F
from django.test import Client
from django.urls import reverse

from accounts.models import Site
from catalog.models import Category, Product
from core.admin.deletion import DatabaseDeletion
from core.journal.models import Change
from core.json_types import JsonObject
from coupons.models import Coupon, CouponCampaign
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.admin_forms import shown_form
from tests.conftest import web_client
from tests.factories.accounts import UserFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

pytestmark = pytest.mark.usefixtures("real_time")
TERMS: JsonObject = {
    "name": "Welcome",
    "discount_type": "PERCENT",
    "discount_percentage": "10",
    "discount_calculation_type": "SUBTOTAL",
    "mixins": "{}",
    "mixin_schemas": "{}",
}
END = {"valid_to_0": "2099-12-24", "valid_to_1": "18:00"}


def page_of(model: type[models.Model], name: str, *keys: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=keys)


def button_in(message: str) -> JsonObject | None:
    """Return what the button of a message sends; None without one."""
    found = dict(re.findall(r'name="(\w+)" value="([^"]*)"', message))
    return found if "<form" in message else None


def rows_of(model: type[models.Model]) -> list[dict[str, object]]:
    """Return the rows without what an undo leaves as it is."""
    kept = [one.attname for one in model._meta.concrete_fields if one.name not in ("version", "modified_at")]
    return list(model._default_manager.order_by("pk").values(*kept))


def saved(browser: Client, address: str, values: JsonObject) -> str:
    """Return the message about what was saved."""
    answer = browser.post(address, values)
    if answer.status_code == 200 and "facts" in answer.context:  # it asks first
        values = {**dict(answer.context["repeated"]), "_confirmed": "1"}
        answer = browser.post(address, values)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    page = browser.get(answer.headers["Location"])
    return str(list(page.context["messages"])[-1])


def press(browser: Client, message: str) -> list[str]:
    values = button_in(message)
    assert values is not None, message
    answer = browser.post(reverse("admin:journal_change_undo_occasion"), values, follow=True)
    assert answer.redirect_chain[0][0] == values["next"]
    return [str(message) for message in answer.context["messages"]]


CHANGES: dict[type[models.Model], JsonObject] = {
    Product: {"code": "other", "name_en": "Other"},
    Category: {"code": "other", "name_en": "Other", "position": "3"},
    Coupon: {"name": "Other", "is_segment_restricted": ""},
    Segment: {"name_en": "Other"},
    CustomerAssignment: END,
    ItemAssignment: END,
}


@pytest.mark.parametrize("model", CHANGES)
def test_a_saved_change_is_taken_back(staff_browser: Client, site: Site, model: type[models.Model]) -> None:
    segment = SegmentFactory(site=site)
    coupon = CouponFactory(tenant=site.tenant, is_segment_restricted=True)
    CouponSegmentFactory(coupon=coupon, segment=segment)
    CategoryFactory(tenant=site.tenant)
    CustomerAssignmentFactory(segment=segment)
    ItemAssignmentFactory(segment=segment)
    row = model._default_manager.get()
    before = rows_of(model)
    page = page_of(model, "change", row.pk)
    message = saved(staff_browser, page, {**shown_form(staff_browser, page), **CHANGES[model]})
    assert rows_of(model) != before
    assert press(staff_browser, message)[0].startswith("Taken back: ")
    assert rows_of(model) == before


ADDED: dict[type[models.Model], JsonObject] = {
    Product: {"external_id": "phone", "name_en": "Phone", "code": "P", "mixins": "", "mixin_schemas": ""},
    Category: {
        "external_id": "bikes",
        "name_en": "Bikes",
        "type": "STANDARD",
        "mixins": "",
        "mixin_schemas": "",
    },
    Coupon: {**TERMS, "code": "ten"},
    CouponCampaign: {**TERMS, "code_count": "3", "code_prefix": "hi-"},
    Segment: {"name_en": "Gold", "status": "INACTIVE", "mixins": "", "mixin_schemas": ""},
}


@pytest.mark.parametrize("model", ADDED)
def test_what_was_added_is_taken_away_again(
    staff_browser: Client, site: Site, model: type[models.Model]
) -> None:
    values = ADDED[model] | ({"site": site.pk} if model is Segment else {})
    message = saved(staff_browser, page_of(model, "add"), values)
    assert model._default_manager.count() == 1
    assert press(staff_browser, message)[0].startswith("Taken back: ")
    assert not model._default_manager.exists()
    assert not Coupon.objects.exists()


def test_a_campaign_whose_codes_went_out_is_not_taken_away(staff_browser: Client, site: Site) -> None:
    message = saved(staff_browser, page_of(CouponCampaign, "add"), ADDED[CouponCampaign])
    made = CouponCampaign.objects.get()
    assert staff_browser.post(page_of(CouponCampaign, "export", made.pk)).status_code == 200
    [refused] = press(staff_browser, message)
    assert "6 rows were left alone" in refused
    for reason in ("its campaign has handed its codes out", "it holds the terms of a campaign"):
        assert reason in refused
    assert CouponCampaign.objects.get().exported_at is not None
    assert made.terms.codes.exclude(pk=made.terms_id).count() == 3


def test_that_codes_went_out_is_not_taken_back(staff_browser: Client, site: Site) -> None:
    saved(staff_browser, page_of(CouponCampaign, "add"), ADDED[CouponCampaign])
    made = CouponCampaign.objects.get()
    staff_browser.post(page_of(CouponCampaign, "export", made.pk))
    [change] = Change.objects.filter(object="coupon-campaign", kind="updated", after__has_key="exported_at")
    output = StringIO()
    with pytest.raises(SystemExit):
        call_command("undo_change", str(change.pk), stdout=output, stderr=output)
    assert "its codes were handed out" in output.getvalue()
    assert CouponCampaign.objects.get().exported_at is not None


def test_a_campaign_of_which_a_code_was_used_keeps_the_others(staff_browser: Client, site: Site) -> None:
    message = saved(staff_browser, page_of(CouponCampaign, "add"), ADDED[CouponCampaign])
    codes = CouponCampaign.objects.get().terms.codes.exclude(terms_id=F("pk"))
    Coupon.objects.filter(pk=codes[0].pk).update(redemption_count=1)
    [refused] = press(staff_browser, message)
    assert "codes of its campaign have been used" in refused
    assert codes.count() == 3


def test_who_may_not_delete_a_campaign_is_offered_no_button(site: Site) -> None:
    user = UserFactory(tenant=site.tenant)
    allowed = ["add_couponcampaign", "change_couponcampaign", "view_couponcampaign"]
    user.user_permissions.set(Permission.objects.filter(codename__in=allowed))
    browser = web_client()
    browser.force_login(user)
    message = saved(browser, page_of(CouponCampaign, "add"), ADDED[CouponCampaign])
    assert message == "Made 3 codes."


def test_a_deactivated_campaign_is_redeemed_again(staff_browser: Client, site: Site) -> None:
    saved(staff_browser, page_of(CouponCampaign, "add"), ADDED[CouponCampaign])
    made = CouponCampaign.objects.get()
    message = saved(staff_browser, page_of(CouponCampaign, "deactivate", made.pk), {"_confirmed": "1"})
    assert CouponCampaign.objects.get().deactivated_at is not None
    assert press(staff_browser, message) == ["Taken back: 2 rows."]
    made = CouponCampaign.objects.select_related("terms").get()
    assert (made.deactivated_at, made.terms.valid_to) == (None, None)


def test_every_form_of_what_can_be_taken_back_is_tried() -> None:
    by_forms = {
        model
        for model, model_admin in admin.site._registry.items()
        if isinstance(model_admin, DatabaseDeletion) and model_admin.is_undoable
    }
    without_change = {"categoryassignment"}  # an assignment is made or deleted
    assert {one for one in by_forms if one._meta.model_name not in without_change} == {*CHANGES, *ADDED}


def test_nothing_changed_is_nothing_to_take_back(staff_browser: Client, site: Site) -> None:
    product = ProductFactory(tenant=site.tenant)
    page = page_of(Product, "change", product.pk)
    saved(staff_browser, page, {**shown_form(staff_browser, page), "code": "A"})
    message = saved(staff_browser, page, shown_form(staff_browser, page))
    rows = rows_of(Product)
    if values := button_in(message):
        staff_browser.post(reverse("admin:journal_change_undo_occasion"), values)
    assert rows_of(Product) == rows


def test_who_may_only_add_is_offered_no_button_that_deletes(site: Site) -> None:
    user = UserFactory(tenant=site.tenant)
    user.user_permissions.set(Permission.objects.filter(codename__in=["add_product", "view_product"]))
    browser = web_client()
    browser.force_login(user)
    assert button_in(saved(browser, page_of(Product, "add"), ADDED[Product])) is None
