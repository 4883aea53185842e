"""No form of the admin takes a longer text than the body of the API that writes the same."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import models
from django.urls import reverse
from msgspec import Struct, inspect

from accounts.bodies.customers import CustomerBody
from accounts.bodies.legal_entities import ContactAssignmentBody, LegalEntityBody
from accounts.bodies.sites import SiteBody
from accounts.models import ContactAssignment, Customer, LegalEntity, Site
from catalog.bodies import CategoryBody, ProductBody
from catalog.models import Category, Product
from core.tenancy.models import Tenant
from coupons.bodies import CouponBody
from coupons.models import Coupon
from segments.bodies import SegmentBody
from segments.models import Segment
from tests.admin_forms import shown_form
from tests.conftest import web_client
from tests.factories.accounts import UserFactory
from tests.factories.shops import Shop

BODIES: dict[type[models.Model], type[Struct]] = {
    Segment: SegmentBody,
    Coupon: CouponBody,
    Product: ProductBody,
    Category: CategoryBody,
    Customer: CustomerBody,
    LegalEntity: LegalEntityBody,
    ContactAssignment: ContactAssignmentBody,
    Site: SiteBody,
}


def bounds(kind: inspect.Type, path: str, name: str) -> Iterator[tuple[str, str, int]]:
    """Yield the path on the wire, the name in the code and the longest text of each text in a type."""
    match kind:
        case inspect.Metadata():
            yield from bounds(kind.type, path, name)
        case inspect.UnionType():
            for each in kind.types:
                yield from bounds(each, path, name)
        case inspect.StructType():
            for field in kind.fields:
                inner = f"{path}.{field.encode_name}" if path else field.encode_name
                yield from bounds(field.type, inner, field.name)
        case inspect.StrType() if kind.max_length is not None:
            yield path, name, kind.max_length
        case inspect.CustomType() if isinstance(longest := getattr(kind.cls, "max_length", None), int):
            yield path, name, longest


@pytest.mark.parametrize("model", BODIES)
def test_no_form_takes_longer_texts_than_the_body(mine: Shop, model: type[models.Model]) -> None:
    browser: Any = web_client()
    browser.force_login(UserFactory(username="member-mymark", tenant=mine.rows[Tenant], is_superuser=True))
    options = model._meta
    page = reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[mine.rows[model].pk])
    form = shown_form(browser, page)
    named: Any = admin.site.get_model_admin(model).error_fields
    tried = 0
    for path, name, longest in bounds(inspect.type_info(BODIES[model]), "", ""):
        field = named.get(path) or named.get(path.rpartition(".")[2]) or name
        shown = [one for one in (field, f"{field}_en") if one in form]
        if not shown:  # it cannot be entered
            continue
        tried += 1
        answer = browser.post(page, {**form, shown[0]: "x" * (longest + 1)})
        assert answer.status_code == 200, f"{path} of {longest + 1} characters is taken"
        assert field in answer.context["adminform"].form.errors, path
    assert tried
