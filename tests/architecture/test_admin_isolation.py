"""No page of the admin shows staff of one tenant anything of another, whatever the model.

Generated over everything that is registered: a model that is new in the admin fails here until a row of it is
made below.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.auth.models import Group, Permission
from django.db import models, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import (
    AttemptCounter,
    ClientSecret,
    ImportReject,
    ImportRun,
    RefreshToken,
    Session,
    SigningKey,
    Tenant,
    User,
)
from catalog.models import CategoryNumber
from coupons.models import CouponSettings
from segments.models import AssortmentRevision
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
    CouponCategoryFactory,
    CouponFactory,
    CouponSegmentFactory,
    RedemptionFactory,
)
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

SOON = datetime(2100, 1, 1, tzinfo=UTC)
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
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
        coupon = self.keep(CouponFactory(tenant=tenant, code=mark.upper(), name=mark))
        self.keep(CouponSegmentFactory(coupon=coupon, segment=segment))
        self.keep(CouponCategoryFactory(coupon=coupon, category=category))
        self.keep(RedemptionFactory(coupon=coupon, customer_number=mark, order_code=mark))
        self.keep(CouponSettings.objects.create(tenant=tenant))
        run = ImportRun(tenant=tenant, kind="segments", mode="upsert", started_by=mark, file_name=mark)
        self.keep(run)
        self.keep(ImportReject(run=run, line=2, reason="unknown_site", message=mark, source=mark))
        self.keep(AttemptCounter.objects.create(subject=mark, attempts=1, resets_at=SOON))
        self.keep(
            AssortmentRevision.objects.filter(tenant=tenant).first() or AssortmentRevision(tenant=tenant)
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


@pytest.fixture(scope="module")
def shops(django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[Shop, Shop]]:
    """Two shops, made once: each test runs in a savepoint of the transaction that they live in."""
    with django_db_blocker.unblock(), transaction.atomic():
        found = Shop(MINE), Shop(THEIRS)
        for shop in found:
            shop.make()
        yield found
        transaction.set_rollback(True)


@pytest.fixture
def mine(shops: tuple[Shop, Shop], db: None) -> Shop:
    return shops[0]


@pytest.fixture
def theirs(shops: tuple[Shop, Shop], db: None) -> Shop:
    return shops[1]


@pytest.fixture(params=["staff", "superuser"])
def client(request: pytest.FixtureRequest, mine: Shop, theirs: Shop) -> Client:
    """A browser of somebody who may do everything, but for one tenant."""
    user = UserFactory(tenant=mine.tenant, is_superuser=request.param == "superuser", username="worker")
    user.user_permissions.set(Permission.objects.all())
    browser = Client()
    browser.force_login(user)
    return browser


def page(model: type[models.Model], name: str, *arguments: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=arguments)


def shows_nothing_of(response: Any, shop: Shop) -> bool:
    text = b"".join(response.streaming_content) if response.streaming else response.content
    return shop.mark not in text.decode().lower()


def relations(model: type[models.Model]) -> list[str]:
    return [item.name for item in model._meta.concrete_fields if item.is_relation]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_registered_model_has_a_row_here(model: type[models.Model], mine: Shop) -> None:
    assert model in mine.rows


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_lists_show_no_row_of_another_tenant(model: type[models.Model], client: Client, theirs: Shop) -> None:
    for query in ({}, {"_popup": "1"}, {"q": THEIRS}, {"all": ""}):
        response = client.get(page(model, "changelist"), query)
        assert response.status_code in (200, 403), query
        found = response.content.decode().lower()
        for echo in (
            f'value="{THEIRS}"',
            f"q={THEIRS}",
            f"q%3d{THEIRS}",
        ):  # what was searched for is repeated
            found = found.replace(echo, "")
        assert THEIRS not in found, query


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_lists_filtered_by_a_row_of_another_tenant_are_empty(
    model: type[models.Model], client: Client, theirs: Shop
) -> None:
    for name in relations(model):
        related = model._meta.get_field(name).related_model
        if related not in theirs.rows:
            continue
        response = client.get(page(model, "changelist"), {f"{name}__id__exact": theirs.rows[related].pk})
        assert response.status_code in (200, 302, 403), name
        assert shows_nothing_of(response, theirs), name


@pytest.mark.parametrize("name", ["change", "history", "delete"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_pages_of_a_row_of_another_tenant_are_not_there(
    model: type[models.Model], name: str, client: Client, theirs: Shop
) -> None:
    row = theirs.rows[model]
    LogEntry.objects.create(
        user=User.objects.get(username=THEIRS),
        content_type_id=get_content_type_for_model(model).pk,
        object_id=row.pk,
        object_repr=THEIRS,
        action_flag=CHANGE,
        change_message=THEIRS,
    )
    address = page(model, name, row.pk)
    for response in (client.get(address), client.post(address, {"post": "yes"})):
        assert response.status_code in (302, 403)
        assert shows_nothing_of(response, theirs)
    assert model._base_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_forms_offer_nothing_of_another_tenant(
    model: type[models.Model], client: Client, mine: Shop, theirs: Shop
) -> None:
    own = client.get(page(model, "change", mine.rows[model].pk))
    assert own.status_code in (200, 302, 403)
    assert shows_nothing_of(own, theirs)
    prefilled = {name: theirs.rows[related].pk for name, related in _related(model) if related in theirs.rows}
    for query in ({}, prefilled, {"tenant": theirs.tenant.pk}):
        response = client.get(page(model, "add"), query)
        assert response.status_code in (200, 403), query
        assert shows_nothing_of(response, theirs), query


def _related(model: type[models.Model]) -> list[tuple[str, Any]]:
    return [(name, model._meta.get_field(name).related_model) for name in relations(model)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_autocomplete_finds_nothing_of_another_tenant(
    model: type[models.Model], client: Client, theirs: Shop
) -> None:
    for name in relations(model):
        for term in ("", THEIRS):
            for extra in ({}, {"tenant": theirs.tenant.pk}):
                response = client.get(
                    reverse("admin:autocomplete"),
                    {
                        "app_label": model._meta.app_label,
                        "model_name": model._meta.model_name,
                        "field_name": name,
                        "term": term,
                        **extra,
                    },
                )
                assert response.status_code in (200, 403, 404)
                assert shows_nothing_of(response, theirs)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_actions_leave_rows_of_another_tenant_alone(
    model: type[models.Model], client: Client, theirs: Shop
) -> None:
    row = theirs.rows[model]
    response = client.post(
        page(model, "changelist"), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    )
    assert response.status_code in (200, 302, 403)
    assert model._base_manager.filter(pk=row.pk).exists()


def test_a_superuser_without_a_tenant_sees_rows_of_all(mine: Shop, theirs: Shop) -> None:
    browser = Client()
    browser.force_login(UserFactory(tenant=None, is_superuser=True, username="operator"))
    for model in MODELS:
        response = browser.get(page(model, "changelist"))
        assert response.status_code == 200, model
        for shop in (mine, theirs):
            row = shop.rows[model]
            assert page(model, "change", row.pk) in response.content.decode(), model


def test_a_form_refuses_a_row_of_another_tenant(client: Client, mine: Shop, theirs: Shop) -> None:
    model = next(model for model in MODELS if model._meta.label == "segments.CustomerAssignment")
    count = model._base_manager.count()
    own = {related: mine.rows[related].pk for _, related in _related(model) if related in mine.rows}
    for foreign in ("segment", "customer", "legal_entity"):
        values = {name: own[related] for name, related in _related(model) if related in own}
        values[foreign] = theirs.rows[model._meta.get_field(foreign).related_model].pk
        response = client.post(page(model, "add"), {**values, "mixins": "{}", "mixin_schemas": "{}"})
        assert response.status_code == 200
        assert f"errors field-{foreign}" in response.content.decode().replace("field-box ", "")
        assert shows_nothing_of(response, theirs)
    assert model._base_manager.count() == count
