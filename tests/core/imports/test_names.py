"""Rows that name customers by e-mail, products and categories by code, and categories by their paths."""

import pytest

from catalog.models import Category, CategoryAssignment
from segments.models import CustomerAssignment, ItemAssignment
from tests.factories.catalog import CategoryFactory
from tests.factories.segments import CustomerAssignmentFactory


def emails(shop):
    return [customer.email for customer in shop.customers]


@pytest.mark.parametrize("flags", [(), ("--batch-size", "1")], ids=str)
def test_members_are_named_by_email(shop, upsert, write, flags):
    one, two, *_ = emails(shop)
    rows = [f"S1,,{one.upper()}", f"S1,C2,{two}", "S1,,nobody@example.com", "S1,,", f"S2,,{two}", "S2,C3,"]
    path = write("rows.csv", "segmentId,customerId,contactEmail", *rows)
    answer = upsert("segment_customers", path, *flags)
    assert answer.counts == {"created": 3, "refused": 3}
    said = {found["line"]: found["message"] for found in answer.json["firstRefusals"]}
    assert said[3] == "Give customerId or contactEmail, not both."
    assert said[4] == "There is no customer with the e-mail address nobody@example.com."
    assert "customerId" in said[5]
    found = CustomerAssignment.objects.values_list("segment__external_id", "customer__external_id")
    assert set(found) == {("S1", "C1"), ("S2", "C2"), ("S2", "C3")}


def test_the_column_of_ids_may_be_missing_where_emails_are(shop, upsert, write):
    path = write("rows.csv", "segmentId,contactEmail", f"S1,{emails(shop)[0]}")
    for mode in ("insert", "delete"):
        assert upsert("segment_customers", path, "--mode", mode).status == 0
    assert not CustomerAssignment.objects.exists()
    missing = upsert("segment_customers", write("none.csv", "segmentId", "S1"))
    assert missing.message == "Line 1: the column customerId or contactEmail is missing."


def test_a_replacement_by_email_keeps_what_it_names(shop, upsert, write):
    for customer in shop.customers[:3]:
        CustomerAssignmentFactory(segment=shop.segments[0], customer=customer)
    one, two, *_ = emails(shop)
    path = write(
        "rows.csv",
        "segmentId,contactEmail,validity.from,validity.to",
        f"S1,{one},,",
        f"S1,{two},2030-01-01T00:00:00Z,2020-01-01T00:00:00Z",  # refused: what is stored for it stays
    )
    answer = upsert("segment_customers", path, "--mode", "replace")
    assert answer.counts == {"unchanged": 1, "removed": 1, "refused": 1}
    assert set(CustomerAssignment.objects.values_list("customer__external_id", flat=True)) == {"C1", "C2"}


def test_items_are_named_by_code(shop, upsert, write, tenant):
    category = CategoryFactory(tenant=tenant, external_id="K9", name={"en": "K"})
    Category.objects.filter(pk=category.pk).update(code="Cat-9")
    code = shop.products[0].code
    path = write(
        "rows.csv",
        "segmentId,type,code",
        f"S1,PRODUCT,{code}",
        "S1,CATEGORY,cat-9",
        "S1,PRODUCT,none",
        "S1,CATEGORY,none",
    )
    answer = upsert("segment_items", path)
    assert answer.counts == {"created": 2, "refused": 2}
    assert [found["message"] for found in answer.json["firstRefusals"]] == [
        "There is no product with the code none.",
        "There is no category with the code none.",
    ]
    assert ItemAssignment.objects.filter(product=shop.products[0]).exists()
    assert ItemAssignment.objects.filter(category=category).exists()


def test_products_of_categories_are_named_by_code(shop, upsert, write, tenant):
    CategoryFactory(tenant=tenant, external_id="K9", name={"en": "K"})
    code = shop.products[0].code
    path = write("rows.jsonl", f'{{"categoryId": "K9", "ref": {{"code": "{code}"}}}}')
    assert upsert("category_assignments", path).counts == {"created": 1}
    assert CategoryAssignment.objects.get(category__external_id="K9").product == shop.products[0]
    csv = write("rows.csv", "categoryId,ref.code", f"K9,{code}", "K9,none")
    assert upsert("category_assignments", csv).counts == {"unchanged": 1, "refused": 1}


def tree():
    rows = Category.objects.order_by("external_id").values_list("external_id", "parent__external_id")
    return {name: None if parent == "/" else parent for name, parent in rows}


@pytest.mark.django_db
@pytest.mark.parametrize("flags", [(), ("--batch-size", "2")], ids=str)
def test_parents_are_named_by_path(tenant, upsert, write, flags):
    home = CategoryFactory(tenant=tenant, external_id="h", name={"en": "Home", "de": "Heim"})
    CategoryFactory(tenant=tenant, external_id="g", parent=home, name={"en": "Garden", "de": "Garten"})
    header = "id,parentPath,localizedName.en,published"
    rows = [
        "a,Heim > Garten,Tools,true",
        "b,Home > Garden > Tools,Spades,true",
        "c,,Root,true",
        "d,Home > None,Lost,true",
        "e,Garden,Seeds,true",
        "f,Home >,Bad,true",
    ]
    answer = upsert("categories", write("rows.csv", header, *rows), "--dry-run")
    assert answer.counts == {"created": 4, "refused": 2}
    answer = upsert("categories", write("rows.csv", header, *rows), *flags)
    assert answer.counts == {"created": 4, "refused": 2}
    assert [found["message"] for found in answer.json["firstRefusals"]] == [
        "There is no category Home > None.",
        "parentPath must be names separated by >, such as A > B > C.",
    ]
    assert tree() == {"h": None, "g": "h", "a": "g", "b": "a", "c": None, "e": "g"}
    assert upsert("categories", write("again.csv", header, *rows[:3])).counts == {"unchanged": 3}
    assert upsert("categories", write("root.csv", "id,parentPath", "a,")).counts == {"changed": 1}
    assert tree()["a"] is None


@pytest.mark.django_db
def test_a_path_with_two_meanings_is_refused(tenant, upsert, write):
    for name in "ab":
        CategoryFactory(tenant=tenant, external_id=name, name={"en": "Home"})
    path = write("rows.csv", "id,parentPath,localizedName.en,published", "c,Home,C,true")
    assert upsert("categories", path).json["firstRefusals"][0]["message"] == (
        "Several categories are Home: a, b. Name one by parentId."
    )


@pytest.mark.django_db
def test_a_path_names_parent_and_category(tenant, upsert, write):
    path = write(
        "rows.csv",
        "id,path.en,published",
        "3,Home > Garden > Tools,true",
        "1,Home,true",
        "2,Home > Garden,true",
    )
    assert upsert("categories", path).counts == {"created": 3}
    assert tree() == {"1": None, "2": "1", "3": "2"}
    assert Category.objects.get(external_id="3").name == {"en": "Tools"}
    assert upsert("categories", path).counts == {"unchanged": 3}


@pytest.mark.django_db
def test_parents_of_the_same_file_may_be_named_by_id_and_path(tenant, upsert, write):
    path = write(
        "rows.jsonl",
        '{"id": "b", "parentPath": "A > M", "localizedName": {"en": "B"}, "published": true}',
        '{"id": "m", "parentId": "a", "localizedName": {"en": "M"}, "published": true}',
        '{"id": "a", "localizedName": {"en": "A"}, "published": true}',
    )
    assert upsert("categories", path).counts == {"created": 3}
    assert tree() == {"a": None, "b": "m", "m": "a"}
