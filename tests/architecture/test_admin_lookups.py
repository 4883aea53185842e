"""A list of the admin is filtered by what it declares and by nothing else.

Whoever may filter a list by a column can read that column, a password hash included, by asking whether it
starts with one text after another. So every column of every model is tried here, through two relations.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import User
from core.admin.lists import UnusableParameters
from tests.factories.shops import Shop

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
ROLES = ("superuser", "merchandiser")
LOOKUPS = ("", "__startswith", "__exact")
DEPTH = 2
SECRETS = {"password", "digest", "private_key", "subject"}


def columns(model: type[models.Model], depth: int = DEPTH) -> Iterator[str]:
    """Yield the lookup path of every field of the model, and of those that its relations lead to."""
    yield "pk"
    field: Any
    for field in model._meta.get_fields():
        name = field.name  # for a relation that leads here, the name that a lookup has for it
        yield name
        if getattr(field, "attname", name) != name:
            yield field.attname
        if field.is_relation and field.related_model and depth:
            yield from (f"{name}__{path}" for path in columns(field.related_model, depth - 1))


def request_of(user: User, query: dict[str, str] | None = None) -> HttpRequest:
    request = RequestFactory().get("/", query)
    request.user = user
    return request


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_undeclared_lookups_filter_nothing(
    model: type[models.Model], role: str, user_of_role: Callable[[str], User]
) -> None:
    user = user_of_role(role)
    model_admin = admin.site.get_model_admin(model)
    allowed = model_admin.allowed_lookups(request_of(user))
    tried = {f"{path}{lookup}" for path in columns(model) for lookup in LOOKUPS} - allowed
    assert "pk__startswith" in tried
    accepted = []
    for lookup in tried:
        try:
            model_admin.get_changelist_instance(request_of(user, {lookup: "a"}))
        except UnusableParameters:
            continue
        accepted.append(lookup)
    assert accepted == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_what_is_declared_names_no_secret_and_is_there(
    model: type[models.Model], user_of_role: Callable[[str], User]
) -> None:
    request = request_of(user_of_role("superuser"))
    model_admin = admin.site.get_model_admin(model)
    allowed = model_admin.allowed_lookups(request)
    filters = model_admin.get_changelist_instance(request).filter_specs
    assert {name for shown in filters for name in shown.expected_parameters() if name} <= allowed
    for lookup in allowed:
        path = lookup.split("__")
        assert not set(path) & SECRETS, lookup
        try:
            field = model._meta.get_field(path[0])
        except FieldDoesNotExist:
            continue  # a filter with a name of its own
        keys = ([], ["exact"], ["in"], ["isnull"], ["id", "exact"] if field.is_relation else [])
        assert path[1:] in keys, lookup


@pytest.mark.parametrize("role", ROLES)
def test_a_password_hash_cannot_be_guessed(
    role: str, user_of_role: Callable[[str], User], browser_of: Callable[[User], Client], mine: Shop
) -> None:
    browser = browser_of(user_of_role(role))
    address = reverse("admin:accounts_customer_changelist")
    for query in (
        "password__startswith=p",
        "password__startswith=p&e=1",
        "redemption__customer__password__gt=p",
    ):
        response = browser.get(f"{address}?{query}")
        assert (response.status_code, response["Location"]) == (302, f"{address}?e=1")
    [message] = {str(message) for message in browser.get(f"{address}?e=1").context["messages"]}
    assert message == (
        "The address holds a filter, an order or a page that this list does not have. "
        "Choose again from the filters beside the list."
    )
