"""No address and no form post makes the admin fail, whatever is in it.

Generated from the admin's URL patterns, the parameters of every list filter, and the fields of every model
and form. Requests are rolled back one by one.
"""

import re
from collections.abc import Callable, Iterable
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import models, transaction
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, reverse

from accounts.models import User
from config.demo.shop import EDITED, VIEWED
from tests.factories.shops import Shop

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
OF_MERCHANDISERS = {f"{app}.{model}" for app, model in (*EDITED, *VIEWED)}
CASES = [("superuser", model) for model in MODELS]
CASES += [("merchandiser", model) for model in MODELS if model._meta.label_lower in OF_MERCHANDISERS]
IDS = [f"{role}-{model._meta.label}" for role, model in CASES]
HOSTILE: tuple[object, ...] = (
    "\0",
    "abc",
    "9" * 30,
    "9" * 5_000,  # more digits than Python converts
)
OF_OTHER_ROLES = ("abc",)
"""What merchandisers send: their pages differ by what is on them, not by how a value is read."""
STANDARD_PAGES = ("changelist", "add", "change", "delete", "history")
LIST_PARAMETERS = ("q", "p", "o", "all", "e", "_popup", "_to_field", "_facets", "_changelist_filters")
FORM_PARAMETERS = ("_to_field", "_popup", "_changelist_filters", "tenant", "_tenant", "p", "expected_version")
FIELDS_OF_OTHER_PAGES = (
    *("customer", "legal_entity", "site", "at_0", "at_1", "total", "currency"),
    *("pasted", "valid_from_0", "valid_from_1", "valid_to_0", "item_type", "includes_subcategories"),
    *("_edit", "_apply", "keep", "password1", "password2", "usable_password"),
)
FIELDS_OF_THE_SITE = (
    *("app_label", "model_name", "field_name", "term", "page", "tenant", "next", "username"),
    *("first", "last", "by", "campaign", "segment"),
)

Sent = tuple[str, str, dict[str, object]]


def failing(browser: Client, requests: Iterable[Sent]) -> list[str]:
    """Send the requests and return those that were answered with a server error."""
    browser.raise_request_exception = False
    found = []
    for method, address, values in requests:
        with transaction.atomic():
            status = getattr(browser, method)(address, values).status_code
            transaction.set_rollback(True)
        if status >= 500:
            found.append(f"{method} {address[:200]} {str(values)[:200]}")
    return found


def page(model: type[models.Model], name: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=arguments)


def request_of(user: User) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = user
    return request


def hostile_of(role: str) -> tuple[object, ...]:
    return HOSTILE if role == "superuser" else OF_OTHER_ROLES


@pytest.fixture
def without_navigation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what is the same on all pages, whatever is sent: it takes a quarter of the time."""
    monkeypatch.setattr(admin.site, "enable_nav_sidebar", False)
    monkeypatch.setattr(admin.site, "get_app_list", lambda *arguments: [])


def test_the_pages_of_the_site_are_these() -> None:
    """What is generated below begins at this list: a page that is new on the site is to be added to it."""
    named = {pattern.name for pattern in admin.site.get_urls() if getattr(pattern, "name", None)}
    assert named == {
        *("index", "login", "logout", "password_change", "password_change_done", "autocomplete", "jsi18n"),
        *("app_list", "find", "panel", "view_as_customer", "finding_remedy", "calendar_subscription"),
        "coupons_report",
    }


@pytest.mark.usefixtures("without_navigation")
@pytest.mark.parametrize(("role", "model"), CASES, ids=IDS)
def test_lists(
    role: str,
    model: type[models.Model],
    user_of_role: Callable[[str], User],
    browser_of: Callable[[User], Client],
) -> None:
    user = user_of_role(role)
    names = {*LIST_PARAMETERS, *admin.site.get_model_admin(model).allowed_lookups(request_of(user))}
    address = page(model, "changelist")
    requests: list[Sent] = [("get", address, {name: value}) for name in names for value in hostile_of(role)]
    requests += [("get", address, {value: "1", "e": "1"}) for value in hostile_of(role)]
    assert failing(browser_of(user), requests) == []


@pytest.mark.usefixtures("without_navigation")
@pytest.mark.parametrize(("role", "model"), CASES, ids=IDS)
def test_forms(
    role: str,
    model: type[models.Model],
    user_of_role: Callable[[str], User],
    browser_of: Callable[[User], Client],
    mine: Shop,
) -> None:
    fields = [field.name for field in model._meta.get_fields()]
    fields += getattr(admin.site.get_model_admin(model).form, "declared_fields", ())
    fields += [f"{name}_{part}" for name in fields for part in (0, 1, "en")]
    key = mine.rows[model].pk
    requests: list[Sent] = []
    for value in hostile_of(role):
        entries = {**dict.fromkeys(fields, value), "tenant": mine.tenant.pk, "_tenant": mine.tenant.pk}
        special = dict.fromkeys(FORM_PARAMETERS, value)
        requests += [("get", page(model, "add"), {name: value}) for name in ("tenant", "_changelist_filters")]
        requests += [(method, page(model, "add"), entries) for method in ("get", "post")]
        requests += [("post", page(model, "change", key), entries)]
        for name in ("change", "delete", "history"):
            requests += [
                ("get", page(model, name, key), {"_to_field": value}),
                ("get", page(model, name, key), {**special, "_to_field": "id"}),
                ("post", page(model, name, key), {**special, "_to_field": ""}),
            ]
    assert failing(browser_of(user_of_role(role)), requests) == []


@pytest.mark.usefixtures("without_navigation")
@pytest.mark.parametrize(("role", "model"), CASES, ids=IDS)
def test_ids_in_addresses(
    role: str,
    model: type[models.Model],
    user_of_role: Callable[[str], User],
    browser_of: Callable[[User], Client],
    stored_signing_keys: None,
) -> None:
    root = page(model, "changelist")
    patterns = [str(pattern.pattern) for pattern in admin.site.get_model_admin(model).get_urls()]
    addresses = {
        root + re.sub("<[^>]*>", quote(value, safe=""), pattern)
        for pattern in patterns
        for value in hostile_of(role)
    }
    requests: list[Sent] = [(method, address, {}) for address in addresses for method in ("get", "post")]
    assert failing(browser_of(user_of_role(role)), requests) == []


@pytest.mark.usefixtures("without_navigation")
@pytest.mark.parametrize(("role", "model"), CASES, ids=IDS)
def test_actions(
    role: str,
    model: type[models.Model],
    user_of_role: Callable[[str], User],
    browser_of: Callable[[User], Client],
    mine: Shop,
) -> None:
    user = user_of_role(role)
    actions = list(admin.site.get_model_admin(model).get_actions(request_of(user)))
    key = str(mine.rows[model].pk)
    address = page(model, "changelist")
    requests: list[Sent] = []
    for value in hostile_of(role):
        for action in (*actions, value):
            chosen = {
                "action": action,
                ACTION_CHECKBOX_NAME: [key, value],
                "segment": value,
                "_assign": value,
            }
            requests += [
                ("post", address, {**chosen, "index": "0"}),
                ("post", address, {**chosen, "post": "1"}),
            ]
        across = {"index": value, "select_across": value, ACTION_CHECKBOX_NAME: key}
        requests += [("post", address, {"action": "delete_selected", **across})]
        requests += [("post", address, {"cmd": "move_node", "cut_item": value, "pasted_on": value})]
    assert failing(browser_of(user), requests) == []


@pytest.mark.usefixtures("without_navigation")
@pytest.mark.parametrize(("role", "model"), CASES, ids=IDS)
def test_pages_of_its_own_and_autocomplete(
    role: str,
    model: type[models.Model],
    user_of_role: Callable[[str], User],
    browser_of: Callable[[User], Client],
    mine: Shop,
    stored_signing_keys: None,
) -> None:
    name = f"{model._meta.app_label}_{model._meta.model_name}"
    requests: list[Sent] = []
    for pattern in admin.site.get_model_admin(model).get_urls():
        if pattern.name is None or pattern.name.removeprefix(f"{name}_") in STANDARD_PAGES:
            continue
        try:
            address = reverse(f"admin:{pattern.name}")
        except NoReverseMatch:
            address = reverse(f"admin:{pattern.name}", args=[mine.rows[model].pk])
        for value in hostile_of(role):
            everything = dict.fromkeys(FIELDS_OF_OTHER_PAGES, value)
            requests += [("get", address, {"customer": "", field: value}) for field in FIELDS_OF_OTHER_PAGES]
            requests += [
                ("post", address, {**everything, "item_type": "PRODUCT"}),
                ("post", address, everything),
            ]
    for field in model._meta.concrete_fields:
        known = {"app_label": model._meta.app_label, "model_name": model._meta.model_name}
        for value in hostile_of(role) if field.is_relation else ():
            requests += [
                ("get", reverse("admin:autocomplete"), {**known, "field_name": field.name, parameter: value})
                for parameter in ("term", "page", "tenant", "field_name")
            ]
    assert failing(browser_of(user_of_role(role)), requests) == []


@pytest.mark.parametrize("role", ["superuser", "merchandiser"])
def test_pages_of_the_site(
    role: str, user_of_role: Callable[[str], User], browser_of: Callable[[User], Client]
) -> None:
    requests: list[Sent] = []
    for pattern in admin.site.get_urls():
        name = getattr(pattern, "name", None)
        if name in (None, "app_list", "logout"):  # these have no parameter, or end the session
            continue
        address = reverse(f"admin:{name}", args=["findings"] if pattern.pattern.converters else [])
        for value in (*HOSTILE, "0001-01-01", "9999-12-31"):
            requests += [("get", address, {field: value}) for field in FIELDS_OF_THE_SITE]
            requests += [("post", address, dict.fromkeys(FIELDS_OF_THE_SITE, value))]
            if pattern.pattern.converters:
                requests += [("get", address.replace("findings/", f"{quote(value, safe='')}/", 1), {})]
    requests += [("get", f"/admin/{quote(value, safe='')}/", {}) for value in HOSTILE]
    requests += [("get", f"/admin/r/{quote(value, safe='')}/1/", {}) for value in HOSTILE]
    assert failing(browser_of(user_of_role(role)), requests) == []
