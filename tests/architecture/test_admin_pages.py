"""Every page of the admin opens for whoever may see it, and no other page of it fails."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib import admin
from django.db import models
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, reverse

from accounts.models import User
from tests.factories.shops import Shop

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
ROLES = ("superuser", "merchandiser", "viewer")


def pages_of(model: type[models.Model], key: object) -> Iterator[tuple[str, str]]:
    """Yield name and address of each page of the model's admin, those of its own included."""
    for pattern in admin.site.get_model_admin(model).get_urls():
        if pattern.name is None:  # the old address of a form, which leads to the new one
            continue
        try:
            yield pattern.name, reverse(f"admin:{pattern.name}")
        except NoReverseMatch:
            yield pattern.name, reverse(f"admin:{pattern.name}", args=[key])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_pages_open_for_whoever_may_see_them(
    model: type[models.Model],
    role: str,
    user_of_role: Callable[[str], User],
    browser_of: Callable[[User], Client],
    mine: Shop,
) -> None:
    user = user_of_role(role)
    browser = browser_of(user)
    request = RequestFactory().get("/")
    request.user = user
    model_admin = admin.site.get_model_admin(model)
    row = mine.rows[model]
    name = f"{model._meta.app_label}_{model._meta.model_name}"
    may = {
        "changelist": model_admin.has_view_permission(request),
        "change": model_admin.has_view_permission(request, row),
        "history": model_admin.has_view_permission(request, row),
        "add": model_admin.has_add_permission(request),
        "delete": model_admin.has_delete_permission(request, row),
    }
    for page, address in pages_of(model, row.pk):
        status = browser.get(address).status_code
        kind = page.removeprefix(f"{name}_")
        if kind in may:
            assert status in ((200,) if may[kind] else (302, 403)), address
        else:
            if status == 302:  # nothing to see there itself
                status = browser.get(address, follow=True).status_code
            assert status in (200, 403, 405), address  # 405: what is only posted, as an undo
