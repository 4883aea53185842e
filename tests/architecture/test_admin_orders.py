"""Lists of large tables offer only orders that an index serves: others sort a million rows for each page."""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.db import models
from django.test import RequestFactory

from accounts.models import User
from tests.config.test_migration_rules import LARGE

MODELS = [model for model in admin.site._registry if model._meta.label_lower in LARGE]


def indexed(model: type[models.Model]) -> Iterator[str]:
    """Yield the columns that an index of the model puts in order within a tenant."""
    yield "id"
    for constraint in model._meta.constraints:
        fields = tuple(getattr(constraint, "fields", ()))
        if isinstance(constraint, models.UniqueConstraint) and fields[:1] == ("tenant",) and len(fields) > 1:
            yield fields[1]
    for index in model._meta.indexes:
        if index.fields[:1] == ["tenant"] and len(index.fields) > 1 and index.condition is None:
            yield index.fields[1]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_orders_that_are_offered_have_an_index(model: type[models.Model]) -> None:
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True, is_staff=True)
    model_admin = admin.site.get_model_admin(model)
    known = set(indexed(model))
    for column in model_admin.get_sortable_by(request):
        _, attribute = label_for_field(column, model, model_admin, return_attr=True)
        order = getattr(attribute, "admin_order_field", None)
        if order is None and callable(attribute):
            continue  # such a column has no order
        assert str(order or column).lstrip("-") in known, column
