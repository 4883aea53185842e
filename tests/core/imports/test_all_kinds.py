"""What holds for every kind of file: an export is what an import takes, and a dry run leaves no trace."""

import gzip
from pathlib import Path

import pytest

from accounts.imports.customers import CUSTOMER_FILES
from accounts.imports.legal_entities import LEGAL_ENTITY_FILES
from accounts.models import Customer, LegalEntity
from catalog.imports.categories import CATEGORY_FILES
from catalog.imports.category_assignments import PRODUCTS_IN_CATEGORIES
from catalog.imports.products import PRODUCT_FILES
from catalog.models import Category, CategoryAssignment, Product
from core.imports.models import ImportRun
from core.tenancy.models import Tenant
from coupons.imports.coupons import COUPON_FILES
from coupons.models import Coupon
from segments.imports.assignments import ITEMS_OF_SEGMENTS, MEMBERS_OF_SEGMENTS
from segments.imports.segments import SEGMENT_FILES
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.factories.accounts import CustomerFactory, SiteFactory, TenantFactory

KINDS = (
    CUSTOMER_FILES,
    LEGAL_ENTITY_FILES,
    PRODUCT_FILES,
    CATEGORY_FILES,
    PRODUCTS_IN_CATEGORIES,
    SEGMENT_FILES,
    MEMBERS_OF_SEGMENTS,
    ITEMS_OF_SEGMENTS,
    COUPON_FILES,
)
MODELS = {
    "customers": Customer,
    "legal_entities": LegalEntity,
    "products": Product,
    "categories": Category,
    "category_assignments": CategoryAssignment,
    "segments": Segment,
    "segment_customers": CustomerAssignment,
    "segment_items": ItemAssignment,
    "coupons": Coupon,
}


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.csv.gz", "rows.jsonl.zst"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_exported_is_imported_without_a_change(full_shop, upsert, run, tmp_path, kind, name):
    path = tmp_path / name
    answer = run(f"export_{kind.name}", path, "--tenant", "acme")
    assert answer.status == 0
    stored = list(MODELS[kind.name].objects.filter(tenant=full_shop.tenant).order_by("pk").values())
    assert len(stored) > 0
    answer = upsert(kind.name, path)
    assert (answer.status, answer.counts) == (0, {"unchanged": len(stored)})
    assert list(MODELS[kind.name].objects.filter(tenant=full_shop.tenant).order_by("pk").values()) == stored


def test_a_whole_shop_moves_to_another_tenant_by_its_files(full_shop, run, tmp_path):
    other = TenantFactory(name="globex")
    SiteFactory(tenant=other, code="main", is_default=True)
    for kind in KINDS:
        run(f"export_{kind.name}", tmp_path / f"{kind.name}.csv", "--tenant", "acme")
    for kind in KINDS:
        answer = run(f"upsert_{kind.name}", tmp_path / f"{kind.name}.csv", "--tenant", "globex", "--json")
        # without contact assignments, which no file holds, the B2B row has no place there
        assert answer.json["refusedByReason"] == (
            {"not_a_contact": 1} if kind is MEMBERS_OF_SEGMENTS else {}
        ), kind.name
    for kind in KINDS:
        run(f"export_{kind.name}", tmp_path / "again.csv", "--tenant", "globex")
        first = (tmp_path / f"{kind.name}.csv").read_text().splitlines()
        again = (tmp_path / "again.csv").read_text().splitlines()
        missing = {line for line in first if ",L1," in line} if kind is MEMBERS_OF_SEGMENTS else set()
        assert set(first) - set(again) == missing, kind.name
    assert Tenant.objects.count() == 2


@pytest.mark.usefixtures("real_time")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_an_import_made_is_undone(full_shop, run, tmp_path, kind):
    """And what it did can be done again. The kinds before it are there, those after it are not."""
    other = TenantFactory(name="globex")
    SiteFactory(tenant=other, code="main", is_default=True)
    for each in KINDS[: KINDS.index(kind) + 1]:
        run(f"export_{each.name}", tmp_path / f"{each.name}.csv", "--tenant", "acme")
        answer = run(f"upsert_{each.name}", tmp_path / f"{each.name}.csv", "--tenant", "globex", "--json")
    rows = MODELS[kind.name].objects.filter(tenant=other)
    assert rows.count() == answer.json["created"] > 0
    undone = run("undo_import", ImportRun.objects.latest("id").pk, "--json").json
    assert (undone["deleted"], undone["kept"], rows.count()) == (answer.json["created"], [], 0)
    assert ImportRun.objects.latest("id").state == "undone"
    again = run(f"upsert_{kind.name}", tmp_path / f"{kind.name}.csv", "--tenant", "globex", "--json")
    assert again.json["created"] == answer.json["created"]


@pytest.mark.usefixtures("real_time")
@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        ("customers", "firstName", "Changed"),
        ("products", "code", "changed"),
        ("segments", "status", "INACTIVE"),
        ("categories", "position", "7"),
        ("coupons", "name", "Changed"),
    ],
)
def test_what_an_import_changed_is_restored(full_shop, upsert, run, write, kind, column, value):
    rows = MODELS[kind].objects.filter(tenant=full_shop.tenant).order_by("pk")
    derived = {"version", "modified_at"}
    before = [{name: it for name, it in row.items() if name not in derived} for row in rows.values()]
    key = "code" if kind == "coupons" else "id"
    id_of = "code" if kind == "coupons" else "external_id"
    name = rows.exclude(**{id_of: "/"}).values_list(id_of, flat=True).first()
    assert upsert(kind, write("rows.csv", f"{key},{column}", f"{name},{value}")).counts == {"changed": 1}
    assert run("undo_import", ImportRun.objects.latest("id").pk, "--json").json["restored"] == 1
    assert [{n: it for n, it in row.items() if n not in derived} for row in rows.values()] == before


def test_an_export_holds_rows_of_one_tenant_alone(shop, run, tmp_path, other_tenant):
    CustomerFactory(tenant=other_tenant, external_id="theirs")
    path = tmp_path / "rows.csv.gz"
    run("export_customers", path, "--tenant", "acme")
    text = gzip.decompress(path.read_bytes()).decode()
    assert "C1" in text
    assert "theirs" not in text


@pytest.mark.parametrize("kind", ["customers", "legal_entities", "products", "categories", "segments"])
def test_a_file_of_rows_to_delete_needs_no_column_but_the_id(shop, upsert, write, kind):
    path = write("rows.csv", "id", "nothing-has-this-id")
    assert upsert(kind, path, "--mode", "delete").counts == {"unchanged": 1}


def test_a_dry_run_foretells_what_each_batch_comes_to(shop, upsert, write):
    path = write("rows.csv", "id,name,parentId", "N2,Child,N1", "N1,Parent,", "N3,Child,N1")
    dry = upsert("legal_entities", path, "--batch-size", 1, "--dry-run")
    assert dry.counts == {"created": 2, "refused": 1}
    assert upsert("legal_entities", path, "--batch-size", 1).counts == dry.counts
    assert upsert("legal_entities", path, "--batch-size", 2, "--atomic").counts == {
        "created": 1,
        "unchanged": 2,
    }


def test_every_kind_has_its_commands_and_columns_in_the_docs():
    text = (Path(__file__).resolve().parents[3] / "docs" / "bulk-upserts.md").read_text()
    for kind in KINDS:
        assert f"upsert_{kind.name}" in text
        for column in kind.columns:
            assert f"`{column.name}" in text, (kind.name, column.name)


def test_a_dry_run_leaves_no_trace_whatever_the_kind(full_shop, upsert, run, tmp_path):
    for kind in KINDS:
        path = tmp_path / f"{kind.name}.jsonl"
        run(f"export_{kind.name}", path, "--tenant", "acme")
        upsert(kind.name, path, "--dry-run")
    assert not ImportRun.objects.exists()
