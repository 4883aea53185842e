"""What staff are shown while another transaction holds what their form or action needs."""

from typing import Any

import psycopg
import pytest
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from accounts.identity.models import ApiClient, ClientSecret, SigningKey
from accounts.models import Customer, User
from catalog.models import Category, Product
from core.json_types import JsonObject
from core.sql.locks import Lock
from core.tenancy.models import Tenant
from coupons.models import Coupon
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.factories.accounts import ApiClientFactory, CustomerFactory, SiteFactory, UserFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory
from tests.factories.segments import SegmentFactory

pytestmark = pytest.mark.django_db(transaction=True)

BUSY = "Someone else is changing this; nothing was changed. Try again in a moment."


def lock_rows(session: psycopg.Connection, model: type[Model]) -> None:
    session.execute(f"SELECT FROM {model._meta.db_table} FOR UPDATE")


def lock_tree(session: psycopg.Connection, tenant: Tenant) -> None:
    session.execute("SELECT pg_advisory_xact_lock(%s, %s)", [int(Lock.CATEGORY_TREE), tenant.pk])


def messages_of(response: HttpResponse) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def entered(form: Any) -> JsonObject:
    """Return what a browser would send for the form as it is shown."""
    values: JsonObject = {}
    for bound in form:
        widget = getattr(bound.field.widget, "widget", bound.field.widget)
        shown = widget.get_context(bound.html_name, bound.value(), {})["widget"]
        for part in shown.get("subwidgets", [{"name": bound.html_name, "value": bound.value()}]):
            if part["value"] not in (None, False, []):
                values[part["name"]] = "on" if part["value"] is True else part["value"]
    return values


@pytest.mark.parametrize(
    ("model", "field", "text"),
    [
        (Segment, "name_en", "Typed by staff"),
        (Category, "name_en", "Typed by staff"),
        (Product, "name_en", "Typed by staff"),
        (Coupon, "name", "Typed by staff"),
        (Customer, "first_name", "Typed by staff"),
    ],
)
def test_a_form_whose_row_is_locked_keeps_the_entries_and_says_so(
    tenant, operator_browser, holder, impatient, model, field, text
):
    site = SiteFactory(tenant=tenant, code="main", is_default=True)
    row = {
        Segment: lambda: SegmentFactory(site=site),
        Category: lambda: CategoryFactory(tenant=tenant),
        Product: lambda: ProductFactory(tenant=tenant),
        Coupon: lambda: CouponFactory(tenant=tenant),
        Customer: lambda: CustomerFactory(tenant=tenant),
    }[model]()
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])
    values = {**entered(operator_browser.get(page).context["adminform"].form), field: text}
    lock_rows(holder, model)
    lock_tree(holder, tenant)

    response = operator_browser.post(page, values)

    assert response.status_code == 200
    assert response.context["adminform"].form.errors == {"__all__": [BUSY]}
    assert f'value="{text}"' in response.content.decode()
    row.refresh_from_db()
    assert row.version == model.objects.get(pk=row.pk).version
    assert text not in str(model.objects.filter(pk=row.pk).values().get())
    holder.rollback()
    assert operator_browser.post(page, values).status_code == 302
    assert text in str(model.objects.filter(pk=row.pk).values().get())


def test_adding_a_category_beside_another_write_keeps_the_entries(tenant, staff_browser, holder, impatient):
    lock_tree(holder, tenant)
    values = {
        "name_en": "Typed by staff",
        "type": "STANDARD",
        "own_classification_mixins": "[]",
        "mixins": "{}",
        "mixin_schemas": "{}",
    }

    response = staff_browser.post(reverse("admin:catalog_category_add"), values)

    assert response.context["adminform"].form.errors == {"__all__": [BUSY]}
    assert 'value="Typed by staff"' in response.content.decode()
    assert not Category.objects.exists()


@pytest.mark.parametrize(
    ("model", "make"),
    [
        (Product, ProductFactory),
        (Coupon, CouponFactory),
        (Customer, CustomerFactory),
        (Category, CategoryFactory),
    ],
)
def test_deleting_selected_rows_that_are_locked_is_refused_and_not_logged(
    tenant, staff_browser, holder, impatient, model, make
):
    row = make(tenant=tenant)
    lock_rows(holder, model)
    lock_tree(holder, tenant)
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")

    confirmed = {"post": "yes", "_confirmed": "1", "version": f"{getattr(row, 'external_id', '')}=0"}
    response = staff_browser.post(
        page, {"action": "delete_selected", "_selected_action": [row.pk], **confirmed}, follow=True
    )

    assert messages_of(response) == [BUSY]
    assert model.objects.filter(pk=row.pk).exists()


def test_deleting_one_row_that_is_locked_is_refused(tenant, staff_browser, holder, impatient):
    coupon = CouponFactory(tenant=tenant)
    lock_rows(holder, Coupon)

    response = staff_browser.post(
        reverse("admin:coupons_coupon_delete", args=[coupon.pk]), {"post": "yes"}, follow=True
    )

    assert messages_of(response) == [BUSY]
    assert Coupon.objects.live().filter(pk=coupon.pk).exists()


def test_publishing_categories_beside_another_write_is_refused(tenant, staff_browser, holder, impatient):
    category = CategoryFactory(tenant=tenant, is_published=False)
    lock_tree(holder, tenant)

    response = staff_browser.post(
        reverse("admin:catalog_category_changelist"),
        {"action": "publish", "_selected_action": [category.pk]},
        follow=True,
    )

    assert messages_of(response) == [BUSY]
    assert not Category.objects.get().is_published


def test_dropping_a_category_beside_another_write_is_refused(tenant, staff_browser, holder, impatient):
    first, second = CategoryFactory(tenant=tenant), CategoryFactory(tenant=tenant)
    lock_tree(holder, tenant)

    response = staff_browser.post(
        reverse("admin:catalog_category_changelist"),
        {"cmd": "move_node", "cut_item": second.pk, "pasted_on": first.pk, "position": "last-child"},
    )

    assert (response.status_code, response.content.decode()) == (503, BUSY)
    assert Category.objects.get(pk=second.pk).parent_id == second.parent_id


def test_assigning_categories_to_a_locked_segment_keeps_the_choice(tenant, staff_browser, holder, impatient):
    segment = SegmentFactory(site=SiteFactory(tenant=tenant, code="main", is_default=True))
    category = CategoryFactory(tenant=tenant)
    lock_rows(holder, Segment)

    response = staff_browser.post(
        reverse("admin:catalog_category_changelist"),
        {
            "action": "assign_to_segment",
            "_selected_action": [category.pk],
            "_assign": "Assign",
            "segment": segment.pk,
        },
    )

    assert response.status_code == 200
    assert response.context["form"].errors == {"__all__": [BUSY]}
    assert response.context["form"]["segment"].value() == str(segment.pk)
    assert not ItemAssignment.objects.exists()


@pytest.mark.parametrize(
    ("page", "pasted", "extra"),
    [
        ("add_members", "C1", {}),
        ("add_items", "P1", {"item_type": "PRODUCT"}),
    ],
)
def test_adding_a_list_to_a_locked_segment_keeps_the_list(
    tenant, staff_browser, holder, impatient, page, pasted, extra
):
    segment = SegmentFactory(site=SiteFactory(tenant=tenant, code="main", is_default=True))
    CustomerFactory(tenant=tenant, external_id="C1")
    ProductFactory(tenant=tenant, external_id="P1")
    lock_rows(holder, Segment)

    response = staff_browser.post(
        reverse(f"admin:segments_segment_{page}", args=[segment.pk]),
        {"pasted": pasted, "_apply": "Add", **extra},
    )

    assert response.status_code == 200
    assert BUSY in response.content.decode()
    assert response.context["form"]["pasted"].value() == pasted
    assert response.context["preview"].new == 1
    assert not CustomerAssignment.objects.exists()
    assert not ItemAssignment.objects.exists()


def test_pages_about_one_client_say_that_it_is_being_changed(tenant, staff_browser, holder, impatient):
    client = ApiClientFactory(tenant=tenant)
    secrets = list(ClientSecret.objects.values())
    lock_rows(holder, ApiClient)

    for page in ("rotate", "revoke"):
        address = reverse(f"admin:identity_apiclient_{page}", args=[client.pk])
        response = staff_browser.post(address)
        assert response.status_code == 200
        assert messages_of(response) == [BUSY]
    assert list(ClientSecret.objects.values()) == secrets


def test_rotating_the_signing_keys_beside_another_rotation_is_refused(
    operator_browser, stored_signing_keys, holder, impatient
):
    before = list(SigningKey.objects.order_by("pk").values_list("status", flat=True))
    holder.execute("SELECT pg_advisory_xact_lock(%s, 0)", [int(Lock.SIGNING_KEYS)])

    response = operator_browser.post(reverse("admin:identity_signingkey_rotate"))

    assert messages_of(response) == [BUSY]
    assert list(SigningKey.objects.order_by("pk").values_list("status", flat=True)) == before


def test_a_password_of_a_locked_user_stays(tenant, operator_browser, holder, impatient):
    user = UserFactory(username="other", tenant=tenant)
    before = user.password
    holder.execute("SELECT FROM accounts_user WHERE id = %s FOR UPDATE", [user.pk])
    page = reverse("admin:auth_user_password_change", args=[user.pk])

    response = operator_browser.post(
        page,
        {"password1": "a long enough word", "password2": "a long enough word", "usable_password": "true"},
        follow=True,
    )

    assert messages_of(response) == [BUSY]
    assert User.objects.get(pk=user.pk).password == before


def test_a_login_whose_user_is_locked_is_503(tenant, holder, impatient):
    user = UserFactory(username="other", tenant=tenant)
    user.set_password("a long enough word")
    user.save()
    lock_rows(holder, User)

    response = Client().post(reverse("admin:login"), {"username": "other", "password": "a long enough word"})

    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert BUSY in response.content.decode()
