"""Unique values change hands within one file: the end decides, and nothing is applied by half."""

from datetime import UTC, datetime

import pytest

from accounts.identity.scopes import PRODUCT_MANAGE
from accounts.models import Customer
from catalog.models import Category, CategoryNumber, Product
from core.imports.merge import Merge
from core.imports.models import ImportRun
from tests.factories.accounts import CustomerFactory
from tests.factories.catalog import CategoryFactory, ProductFactory

AT = datetime(2024, 5, 14, 12, tzinfo=UTC)
KINDS = {
    "customers": ("id,contactEmail", "{}@example.com", "email_taken"),
    "products": ("id,code", "{}", "code_taken"),
    "categories": ("id,code", "{}", "duplicated_code"),
}


def make(kind, tenant, name, value, version=1):
    made = KINDS[kind][1].format(value)
    if kind == "customers":
        CustomerFactory(tenant=tenant, external_id=name, email=made)
    elif kind == "products":
        ProductFactory(tenant=tenant, external_id=name, code=made, name={"en": name})
    else:
        category = CategoryFactory(tenant=tenant, external_id=name, name={"en": name})
        Category.objects.filter(pk=category.pk).update(code=made)


def stored(kind):
    model, column = {
        "customers": (Customer, "email"),
        "products": (Product, "code"),
        "categories": (Category, "code"),
    }[kind]
    rows = model.objects.order_by("external_id").values_list("external_id", column)
    return {name: (value or "").partition("@")[0] for name, value in rows if name != "/"}


def file_of(write, kind, rows, *, more="", values=""):
    header, shape, _ = KINDS[kind]
    return write(
        "rows.csv",
        header + more,
        *(f"{name},{shape.format(value) if value else ''}{values}" for name, value in rows),
    )


CASES = [
    ({"a": "1", "b": "2"}, [("a", "2"), ("b", "1")], {"a": "2", "b": "1"}),
    ({"a": "1", "b": "2", "c": "3"}, [("a", "2"), ("b", "3"), ("c", "1")], {"a": "2", "b": "3", "c": "1"}),
    ({"a": "1", "b": "2"}, [("a", "2"), ("b", "3")], {"a": "2", "b": "3"}),
    ({"a": "1", "b": "2"}, [("b", "3"), ("a", "2")], {"a": "2", "b": "3"}),
]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flags", [(), ("--batch-size", "1"), ("--atomic",)], ids=str)
@pytest.mark.parametrize(("before", "rows", "after"), CASES, ids=["swap", "ring", "hand-on", "hand-on-last"])
def test_values_change_hands(tenant, upsert, write, kind, flags, before, rows, after):
    for name, value in before.items():
        make(kind, tenant, name, value)
    path = file_of(write, kind, rows)
    assert upsert(kind, path, *flags, "--dry-run").counts == {"changed": len(rows)}
    assert stored(kind) == before
    assert upsert(kind, path, *flags).counts == {"changed": len(rows)}
    assert stored(kind) == after
    assert upsert(kind, path, *flags).counts == {"unchanged": len(rows)}


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flags", [(), ("--batch-size", "1")], ids=str)
def test_a_chain_whose_end_is_refused_stays_as_it_is(tenant, upsert, write, kind, flags):
    before = {"a": "1", "b": "2", "c": "3", "d": "4"}
    for name, value in before.items():
        make(kind, tenant, name, value)
    path = file_of(write, kind, [("a", "2"), ("b", "3"), ("c", "4")])
    answer = upsert(kind, path, *flags)
    assert answer.counts == {"refused": 3}
    assert answer.json["refusedByReason"] == {KINDS[kind][2]: 3}
    assert stored(kind) == before


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flags", [(), ("--batch-size", "1")], ids=str)
def test_a_swap_of_which_one_half_is_outdated_is_not_applied(tenant, upsert, write, kind, flags):
    for name, value in {"a": "1", "b": "2"}.items():
        make(kind, tenant, name, value)
    header, shape, _ = KINDS[kind]
    path = write("rows.csv", f"{header},metadata.version", f"a,{shape.format(2)},", f"b,{shape.format(1)},77")
    assert upsert(kind, path, *flags).counts == {"refused": 2}
    assert stored(kind) == {"a": "1", "b": "2"}


@pytest.mark.django_db
def test_a_new_row_takes_what_another_gives_up(tenant, upsert, write):
    make("customers", tenant, "a", "1")
    path = file_of(write, "customers", [("n", "1"), ("a", "2")])
    assert upsert("customers", path, "--batch-size", "1").counts == {"created": 1, "changed": 1}
    assert stored("customers") == {"a": "2", "n": "1"}


@pytest.mark.django_db
def test_values_change_hands_whatever_their_case(tenant, upsert, write):
    make("customers", tenant, "a", "x")
    make("customers", tenant, "b", "y")
    path = file_of(write, "customers", [("a", "Y"), ("b", "X")])
    assert upsert("customers", path, "--batch-size", "1").counts == {"changed": 2}
    assert stored("customers") == {"a": "Y", "b": "X"}


@pytest.mark.django_db
@pytest.mark.parametrize("flags", [(), ("--batch-size", "1")], ids=str)
def test_external_numbers_of_categories_change_hands(tenant, upsert, write, flags):
    first, second = (CategoryFactory(tenant=tenant, external_id=name, name={"en": name}) for name in "ab")
    CategoryNumber.objects.create(tenant=tenant, category=first, value="1", rank=0)
    CategoryNumber.objects.create(tenant=tenant, category=second, value="2", rank=0)
    path = write("rows.csv", "id,ecn", "a,2|3", "b,1")
    assert upsert("categories", path, *flags).counts == {"changed": 2}
    found = CategoryNumber.objects.order_by("value").values_list("value", "category__external_id")
    assert list(found) == [("1", "b"), ("2", "a"), ("3", "a")]


@pytest.mark.django_db
def test_categories_that_take_codes_come_with_what_they_hang_below(tenant, upsert, write):
    make("categories", tenant, "a", "1")
    path = write(
        "rows.csv",
        "id,parentId,code,localizedName.en,published",
        "n,p,1,N,true",
        "p,,,P,true",
        "a,,2,a,true",
    )
    assert upsert("categories", path, "--batch-size", "1").counts == {"created": 2, "changed": 1}
    assert stored("categories") == {"a": "2", "n": "1", "p": ""}


@pytest.mark.django_db
def test_an_import_that_is_resumed_counts_what_changed_hands_once(tenant, upsert, write, monkeypatch):
    for name, value in {"a": "1", "b": "2"}.items():
        make("customers", tenant, name, value)
    path = file_of(write, "customers", [("a", "2"), ("n1", "n1"), ("b", "1"), ("n2", "n2")])
    answer = upsert("customers", path, "--batch-size", "1", "--max-rejects", "0")
    assert answer.counts == {"created": 2, "changed": 2}
    run = ImportRun.objects.get()
    assert run.committed_ahead == [2, 4]
    ImportRun.objects.update(state="stopped", committed_line=0, created=0)  # stopped behind the first batch
    Customer.objects.filter(external_id__startswith="n").delete()
    assert upsert("customers", path, "--batch-size", "1", "--resume").counts == {"created": 2, "changed": 2}


@pytest.mark.django_db
def test_an_address_that_somebody_takes_meanwhile_is_judged_again(tenant, upsert, write, monkeypatch):
    make("customers", tenant, "a", "1")
    make("customers", tenant, "b", "2")
    judge = Merge._judge_unique_values
    calls = []

    def blind_at_first(merge, cursor):
        calls.append(merge)
        return judge(merge, cursor) if len(calls) > 1 else False

    monkeypatch.setattr(Merge, "_judge_unique_values", blind_at_first)
    answer = upsert("customers", file_of(write, "customers", [("a", "2"), ("n", "3")]))
    assert answer.counts == {"created": 1, "refused": 1}
    assert answer.json["refusedByReason"] == {"email_taken": 1}


@pytest.mark.django_db
def test_codes_of_products_change_hands_within_a_bulk_of_the_api(tenant, service_api):
    for name, code in {"a": "1", "b": "2", "c": "3"}.items():
        make("products", tenant, name, code)
    api = service_api(PRODUCT_MANAGE)
    rows = [{"id": name, "code": code, "name": {"en": "x"}} for name, code in zip("abc", "231", strict=True)]
    answer = api.put("/product/acme/products/bulk", rows)
    assert [entry["code"] for entry in answer.json()] == [204] * 3
    assert stored("products") == {"a": "2", "b": "3", "c": "1"}

    rows = [{"id": "a", "code": "3", "name": {"en": "x"}}, {"id": "b", "code": "1", "name": {"en": "x"}}]
    answer = api.put("/product/acme/products/bulk", rows)
    assert [entry["code"] for entry in answer.json()] == [409] * 2
    assert stored("products") == {"a": "2", "b": "3", "c": "1"}
