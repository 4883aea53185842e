"""Ids of categories and products that no address reaches; tests/conventions derives them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from catalog.errors import InvalidCategory, InvalidProduct
from catalog.models import Category, Product
from catalog.operations.categories import create_category, upsert_category
from catalog.operations.category_imports import upsert_categories_in_bulk
from catalog.operations.products import create_product
from core.tenancy.models import Tenant
from tests.core.imports.conftest import run_command
from tests.factories.catalog import ProductFactory, category_body, product_body

AT = datetime(2024, 5, 14, 12, tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize("reserved", sorted(Category.reserved_ids))
def test_no_category_gets_a_reserved_id(tenant: Tenant, reserved: str) -> None:
    body = category_body(reserved)
    for write in (create_category, upsert_category):
        with pytest.raises(InvalidCategory, match="is reserved"):
            write(tenant_id=tenant.pk, body=body, at=AT)
    [outcome] = upsert_categories_in_bulk(tenant_id=tenant.pk, rows=[body], at=AT)
    assert isinstance(outcome.error, InvalidCategory)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["categories", "products"])
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("search,Tea", "reserved"),
        ("..,Tea", "reserved"),
        ("tea, ", "at least one language"),
        ("tea,\u200b", "at least one language"),
    ],
)
def test_files_are_held_to_the_rules_of_ids_and_names(
    tenant: Tenant, tmp_path: Path, kind: str, values: str, reason: str
) -> None:
    header = "id,localizedName.en,published,code" if kind == "categories" else "id,name.en,published,code"
    source, rejects = tmp_path / "rows.csv", tmp_path / "rejects.csv"
    source.write_text(f"{header}\n{values},true,c\n")
    answer = run_command(f"upsert_{kind}", source, tenant=tenant.name, rejects=rejects, json=True)
    assert answer.counts == {"refused": 1}
    assert reason in rejects.read_text()


@pytest.mark.django_db
@pytest.mark.parametrize("invisible", ["\u200b\u00a0", "\U0001d173"], ids=ascii)
def test_a_file_does_not_leave_a_product_without_a_visible_name(
    tenant: Tenant, tmp_path: Path, invisible: str
) -> None:
    ProductFactory(tenant=tenant, external_id="tea", name={"en": "Tea", "de": invisible})
    source = tmp_path / "rows.csv"
    source.write_text("id,code,name.en\ntea,c,\n")
    answer = run_command("upsert_products", source, tenant=tenant.name, json=True)
    assert answer.counts == {"refused": 1}
    assert Product.objects.get().name["en"] == "Tea"


@pytest.mark.django_db
@pytest.mark.parametrize("reserved", sorted(Product.reserved_ids))
def test_no_product_gets_a_reserved_id(tenant: Tenant, reserved: str) -> None:
    with pytest.raises(InvalidProduct, match="is reserved"):
        create_product(tenant_id=tenant.pk, body=product_body(reserved, code="c", name={"en": "N"}), at=AT)
