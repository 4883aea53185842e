"""No page of the admin shows staff of one tenant anything of another, whatever the model.

Generated over everything that is registered: a model that is new in the admin fails here until a row of it is
made in tests/factories/shops.py.
"""

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import get_content_type_for_model
from django.contrib.auth.models import Permission
from django.db import models
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from accounts.models import User
from core.journal.models import Change
from tests.conftest import web_client
from tests.factories.accounts import UserFactory
from tests.factories.shops import THEIRS, Shop

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


@pytest.fixture(params=["staff", "superuser"])
def client(request: pytest.FixtureRequest, mine: Shop, theirs: Shop) -> Client:
    """A browser of somebody who may do everything, but for one tenant."""
    user = UserFactory(tenant=mine.tenant, is_superuser=request.param == "superuser", username="worker")
    user.user_permissions.set(Permission.objects.all())
    browser = web_client()
    browser.force_login(user)
    return browser


def page(model: type[models.Model], name: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=arguments)


def shows_nothing_of(response: HttpResponse, shop: Shop, asked: str = "") -> bool:
    """Say so; the address that was asked for may be repeated, where the choice of a language leads back."""
    text = b"".join(response.streaming_content) if response.streaming else response.content
    return shop.mark not in text.decode().lower().replace(asked.lower() or "\0", "")


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
        assert shows_nothing_of(response, theirs, address)
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


def _related(model: type[models.Model]) -> list[tuple[str, object]]:
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
                assert shows_nothing_of(response, theirs, asked=f"term={term}")


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
    browser = web_client()
    browser.force_login(UserFactory(tenant=None, is_superuser=True, username="operator"))
    for model in MODELS:
        response = browser.get(page(model, "changelist"))
        assert response.status_code == 200, model
        for shop in (mine, theirs):
            row = shop.rows[model]
            link = page(model, "change", row.pk)
            assert (row.external_id if model is Change else link) in response.content.decode(), model


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
