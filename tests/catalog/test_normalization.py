"""The migrations that put stored texts into NFC."""

import json
from importlib import import_module
from unicodedata import normalize

import pytest
from django.db import connection
from django.db.migrations import RunSQL

from catalog.models import Product
from core.tenancy.models import Tenant
from segments.models import Segment
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import SegmentFactory

CAFE = "Caf\u00e9"
APART = normalize("NFD", CAFE)


@pytest.fixture
def migrate():
    def run() -> None:
        with connection.schema_editor() as editor:
            import_module("catalog.migrations.0002_normalize_texts").normalize_texts(None, editor)

    return run


def test_codes_and_names_are_composed(tenant: Tenant, migrate, caplog):
    product = ProductFactory(tenant=tenant, code="1", name={"en": "x"})
    Product.objects.update(code=APART, name={"en": APART, "fr": "a\n\u0301"}, mixins={"a": APART})
    other = ProductFactory(tenant=tenant, code="2", name={"en": "x"})
    Product.objects.filter(pk=other.pk).update(name={"en": APART}, mixins={"a": APART})
    category = CategoryFactory(tenant=tenant)
    with connection.cursor() as cursor:
        text = json.dumps({"de": APART}, ensure_ascii=False)
        cursor.execute(
            "UPDATE catalog_category SET code = %s, name = %s, slug = %s WHERE id = %s",
            [APART, text, text, category.pk],
        )
    migrate()
    [record] = caplog.records
    assert "check_category_tree --fix" in record.getMessage()
    product.refresh_from_db()
    other.refresh_from_db()
    category.refresh_from_db()
    assert product.code == CAFE
    assert product.name == {"en": APART, "fr": "a\n\u0301"}  # as JSON, a mark after an escape
    assert (other.name, other.mixins) == ({"en": CAFE}, {"a": APART})  # mixins are the client's
    assert (category.code, category.name, category.slug) == (CAFE, {"de": CAFE}, {"de": CAFE})


def test_codes_that_become_one_are_left_and_named(tenant: Tenant, other_tenant: Tenant, migrate, caplog):
    first = ProductFactory(tenant=tenant, external_id="first", code=CAFE)
    second = ProductFactory(tenant=tenant, external_id="second", code="1")
    elsewhere = ProductFactory(tenant=other_tenant, code="1")
    Product.objects.filter(pk__in=[second.pk, elsewhere.pk]).update(code=APART)
    migrate()
    codes = dict(Product.objects.values_list("pk", "code"))
    assert codes == {first.pk: CAFE, second.pk: APART, elsewhere.pk: CAFE}
    [record] = caplog.records
    assert record.getMessage() == (
        f"catalog_product: the code {APART!r} of second in {tenant.name} is another one's in other code"
        " points; change one."
    )


def test_names_of_segments_are_composed(tenant: Tenant):
    segment = SegmentFactory(site__tenant=tenant)
    Segment.objects.update(name={"en": APART}, description={"en": APART})
    migration = import_module("segments.migrations.0004_normalize_names").Migration
    with connection.cursor() as cursor:
        for step in migration.operations:
            assert isinstance(step, RunSQL)
            cursor.execute(step.sql)
    segment.refresh_from_db()
    assert (segment.name, segment.description) == ({"en": CAFE}, {"en": CAFE})
