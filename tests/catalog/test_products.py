from datetime import UTC, datetime

import pytest

from accounts.identity.scopes import PRODUCT_PUBLISH, PRODUCT_UNPUBLISH
from catalog.bodies import ProductBody
from catalog.errors import InvalidProduct, ProductCodeTaken, ProductExists, ProductNotFound
from catalog.models import CategoryAssignment, Product
from catalog.operations import product_sets, products
from catalog.operations.categories import ANY_PUBLICATION, Publication
from catalog.operations.products import (
    create_product,
    delete_product,
    edit_product,
    upsert_product,
    write_products_in_bulk,
)
from core.errors import InvalidInput, MissingScope, VersionConflict
from core.json_types import JsonObject
from segments.models import ItemAssignment
from tests.factories.catalog import CategoryAssignmentFactory, ProductFactory, product_body
from tests.factories.segments import ItemAssignmentFactory

AT = datetime(2024, 5, 14, 12, tzinfo=UTC)
LATER = datetime(2024, 5, 15, 12, tzinfo=UTC)
UNPUBLISHED_ONLY = Publication(may_publish=False, may_unpublish=False)
MEMBERS: JsonObject = {
    "external_id": "P1",
    "code": "milk",
    "name": {"en": "Milk", "de": "Milch"},
    "description": {"en": "Whole"},
    "details": {"taxClasses": {"US": "STANDARD"}},
    "mixins": {"size": {"unit": "l"}},
    "mixin_schemas": {"size": "https://example.com/size.json"},
}
MILK = product_body(**MEMBERS)


def milk(**changes: object) -> ProductBody:
    return product_body(**{**MEMBERS, **changes})


def stored_values(tenant):
    return list(
        Product.objects.filter(tenant=tenant)
        .order_by("external_id")
        .values("external_id", "code", "name", "is_published", "version", "created_at", "modified_at")
    )


def test_created_product_holds_all_of_its_body(tenant):
    assert create_product(tenant_id=tenant.id, body=MILK, at=AT) == "P1"
    product = Product.objects.get(tenant=tenant)
    assert (product.external_id, product.code, product.name) == ("P1", "milk", {"en": "Milk", "de": "Milch"})
    assert (product.description, product.details) == ({"en": "Whole"}, {"taxClasses": {"US": "STANDARD"}})
    assert product.mixins == {"size": {"unit": "l"}}
    assert product.mixin_schemas == {"size": "https://example.com/size.json"}
    assert (product.product_type, product.is_published, product.version) == ("BASIC", False, 1)
    assert (product.created_at, product.modified_at) == (AT, AT)


def test_id_is_generated_when_the_body_has_none(tenant):
    first = create_product(tenant_id=tenant.id, body=milk(external_id=None), at=AT)
    second = create_product(tenant_id=tenant.id, body=milk(external_id=None, code="tea"), at=AT)
    assert first < second


def test_taken_id_is_refused_and_the_product_kept(tenant):
    ProductFactory(tenant=tenant, external_id="P1", code="old", name={"en": "Old"})
    with pytest.raises(ProductExists):
        create_product(tenant_id=tenant.id, body=MILK, at=AT)
    assert Product.objects.get(tenant=tenant).name == {"en": "Old"}


def test_id_that_another_writer_takes_meanwhile_is_refused_and_their_product_kept(tenant, monkeypatch):
    # given: a product that is committed after this writer has looked for it
    ProductFactory(tenant=tenant, external_id="P1", code="theirs", name={"en": "Theirs"})
    monkeypatch.setattr(products, "_lock_products", lambda *arguments: {})
    # when, then
    with pytest.raises(ProductExists):
        create_product(tenant_id=tenant.id, body=MILK, at=AT)
    assert Product.objects.get(tenant=tenant).name == {"en": "Theirs"}


def test_code_that_another_writer_takes_meanwhile_is_refused(tenant, monkeypatch):
    ProductFactory(tenant=tenant, external_id="P2", code="milk")
    monkeypatch.setattr(products, "_holders_of_codes", lambda *arguments: {})
    with pytest.raises(ProductCodeTaken):
        upsert_product(tenant_id=tenant.id, body=MILK, at=AT)
    assert not Product.objects.filter(external_id="P1").exists()


@pytest.mark.parametrize("write", [create_product, upsert_product])
def test_taken_code_is_refused(tenant, write):
    ProductFactory(tenant=tenant, external_id="P2", code="milk")
    with pytest.raises(ProductCodeTaken):
        write(tenant_id=tenant.id, body=MILK, at=AT)
    assert not Product.objects.filter(external_id="P1").exists()


@pytest.mark.parametrize("reserved", ["bulk", "search"])
def test_id_that_is_an_address_is_refused(tenant, reserved):
    with pytest.raises(InvalidProduct):
        create_product(tenant_id=tenant.id, body=milk(external_id=reserved), at=AT)
    assert not Product.objects.exists()


def test_ids_and_codes_of_another_tenant_are_free(tenant, other_tenant):
    ProductFactory(tenant=other_tenant, external_id="P1", code="milk")
    assert upsert_product(tenant_id=tenant.id, body=MILK, at=AT)
    assert Product.objects.filter(external_id="P1", code="milk").count() == 2


def test_upsert_replaces_the_product_and_counts_its_version_on(tenant):
    assert upsert_product(tenant_id=tenant.id, body=MILK, at=AT)
    bare = product_body(external_id="P1", code="oat", name={"en": "Oat"})
    assert not upsert_product(tenant_id=tenant.id, body=bare, at=LATER)
    product = Product.objects.get(tenant=tenant)
    assert (product.code, product.name, product.description) == ("oat", {"en": "Oat"}, {})
    assert (product.details, product.mixins, product.mixin_schemas) == ({}, None, None)
    assert (product.version, product.created_at, product.modified_at) == (2, AT, LATER)


def test_upsert_that_says_nothing_of_publication_keeps_it(tenant):
    ProductFactory(tenant=tenant, external_id="P1", is_published=True)
    upsert_product(tenant_id=tenant.id, body=MILK, at=AT, publication=UNPUBLISHED_ONLY)
    assert Product.objects.get(tenant=tenant).is_published


def test_expected_version_is_checked(tenant):
    ProductFactory(tenant=tenant, external_id="P1", code="old", version=3)
    with pytest.raises(VersionConflict):
        upsert_product(tenant_id=tenant.id, body=milk(expected_version=2), at=AT)
    assert Product.objects.get(tenant=tenant).code == "old"
    upsert_product(tenant_id=tenant.id, body=milk(expected_version=3), at=AT)
    assert Product.objects.get(tenant=tenant).version == 4


def test_expected_version_of_a_new_product_plays_no_part(tenant):
    assert upsert_product(tenant_id=tenant.id, body=milk(expected_version=7), at=AT)
    assert Product.objects.get(tenant=tenant).version == 1


@pytest.mark.parametrize("write", [create_product, upsert_product])
def test_publishing_without_leave_is_refused(tenant, write):
    with pytest.raises(MissingScope) as refused:
        write(
            tenant_id=tenant.id,
            body=milk(is_published=True),
            at=AT,
            publication=Publication(may_publish=False),
        )
    assert refused.value.scopes == (PRODUCT_PUBLISH,)
    assert not Product.objects.exists()


def test_creation_that_may_not_publish_does_not_tell_that_the_id_is_taken(tenant):
    ProductFactory(tenant=tenant, external_id="P1", is_published=True)
    with pytest.raises(MissingScope):
        create_product(
            tenant_id=tenant.id,
            body=milk(is_published=True),
            at=AT,
            publication=UNPUBLISHED_ONLY,
        )


def test_unpublishing_without_leave_is_refused(tenant):
    ProductFactory(tenant=tenant, external_id="P1", is_published=True)
    with pytest.raises(MissingScope) as refused:
        upsert_product(
            tenant_id=tenant.id,
            body=milk(is_published=False),
            at=AT,
            publication=Publication(may_unpublish=False),
        )
    assert refused.value.scopes == (PRODUCT_UNPUBLISH,)
    assert Product.objects.get(tenant=tenant).is_published


def test_published_product_is_written_without_leave_to_publish_again(tenant):
    ProductFactory(tenant=tenant, external_id="P1", is_published=True)
    upsert_product(tenant_id=tenant.id, body=milk(is_published=True), at=AT, publication=UNPUBLISHED_ONLY)
    assert Product.objects.get(tenant=tenant).code == "milk"


def test_edit_gets_the_stored_product(tenant):
    ProductFactory(tenant=tenant, external_id="P1", code="milk", version=4)
    edit_product(
        tenant_id=tenant.id,
        product_id="P1",
        edit=lambda product: milk(code=f"{product.code}-2", expected_version=product.version),
        at=AT,
    )
    product = Product.objects.get(tenant=tenant)
    assert (product.code, product.version) == ("milk-2", 5)


def test_edit_of_another_tenants_product_is_refused(tenant, other_tenant):
    ProductFactory(tenant=other_tenant, external_id="P1", code="theirs")
    with pytest.raises(ProductNotFound):
        edit_product(tenant_id=tenant.id, product_id="P1", edit=lambda product: MILK, at=AT)
    assert Product.objects.get().code == "theirs"


def test_deleting_a_product_removes_its_assignments_and_no_others(tenant, other_tenant, site):
    product = ProductFactory(tenant=tenant, external_id="P1")
    CategoryAssignmentFactory(product=product)
    ItemAssignmentFactory(segment__site=site, product=product)
    kept = CategoryAssignmentFactory(product=ProductFactory(tenant=tenant, external_id="P2"))
    ProductFactory(tenant=other_tenant, external_id="P1")
    delete_product(tenant_id=tenant.id, product_id="P1")
    assert list(CategoryAssignment.objects.all()) == [kept]
    assert not ItemAssignment.objects.exists()
    assert set(Product.objects.values_list("tenant__name", "external_id")) == {
        ("acme", "P2"),
        ("globex", "P1"),
    }


def test_unknown_product_counts_as_deleted(tenant, other_tenant):
    ProductFactory(tenant=other_tenant, external_id="P1")
    delete_product(tenant_id=tenant.id, product_id="P1")
    assert Product.objects.filter(tenant=other_tenant).count() == 1


def test_publishing_many_products_goes_part_by_part(tenant, monkeypatch):
    monkeypatch.setattr(product_sets, "MOST_AT_ONCE", 2)
    for number in range(5):
        ProductFactory(tenant=tenant, is_published=number == 0, version=1)
    hidden = Product.objects.filter(is_published=False)
    assert product_sets.publish_products(products=hidden, is_published=True, at=AT) == 4
    assert set(Product.objects.values_list("is_published", flat=True)) == {True}
    assert sorted(Product.objects.values_list("version", flat=True)) == [1, 2, 2, 2, 2]
    assert product_sets.publish_products(products=Product.objects.all(), is_published=True, at=AT) == 0


def outcomes_of(tenant, bodies, *, may_exist=True, publication=ANY_PUBLICATION):
    outcomes = write_products_in_bulk(
        tenant_id=tenant.id, bodies=bodies, at=AT, may_exist=may_exist, publication=publication
    )
    return [(found.position, found.id, found.created, type(found.error).__name__) for found in outcomes]


def test_bulk_upsert_reports_every_row_in_order(tenant):
    ProductFactory(tenant=tenant, external_id="P1", code="milk", version=5)
    ProductFactory(tenant=tenant, external_id="P2", code="taken")
    rows = [
        milk(external_id="P3", code="new"),
        InvalidInput("The row is unreadable."),
        milk(external_id="P1"),
        milk(external_id="P4", code="taken"),
        milk(external_id="P1", code="milk-2", expected_version=6),
        milk(external_id="P1", code="milk-3", expected_version=6),
        milk(external_id="search", code="x"),
    ]
    assert outcomes_of(tenant, rows) == [
        (0, "P3", True, "NoneType"),
        (1, "", False, "InvalidInput"),
        (2, "P1", False, "NoneType"),
        (3, "P4", False, "ProductCodeTaken"),
        (4, "P1", False, "NoneType"),
        (5, "P1", False, "VersionConflict"),
        (6, "search", False, "InvalidProduct"),
    ]
    assert [(row["external_id"], row["code"], row["version"]) for row in stored_values(tenant)] == [
        ("P1", "milk-2", 7),
        ("P2", "taken", 1),
        ("P3", "new", 1),
    ]


def test_refused_row_leaves_its_code_to_the_next(tenant):
    ProductFactory(tenant=tenant, external_id="P1", code="old", version=2)
    rows = [
        milk(external_id="P1", code="wanted", expected_version=1),
        milk(external_id="P2", code="wanted", is_published=True),
        milk(external_id="P3", code="wanted"),
        milk(external_id="P4", code="wanted"),
    ]
    assert outcomes_of(tenant, rows, publication=UNPUBLISHED_ONLY) == [
        (0, "P1", False, "VersionConflict"),
        (1, "P2", False, "MissingScope"),
        (2, "P3", True, "NoneType"),
        (3, "P4", False, "ProductCodeTaken"),
    ]


def test_code_that_is_taken_meanwhile_refuses_only_its_row(tenant, monkeypatch):
    # given: a code whose owner is committed after this writer's first look
    ProductFactory(tenant=tenant, external_id="P9", code="milk")
    second_look = products._holders_of_codes
    looks = []

    def owners_of_codes(*arguments):
        looks.append(arguments)
        return {} if len(looks) == 1 else second_look(*arguments)

    monkeypatch.setattr(products, "_holders_of_codes", owners_of_codes)
    # when, then
    assert outcomes_of(tenant, [MILK, milk(external_id="P2", code="tea")]) == [
        (0, "P1", False, "ProductCodeTaken"),
        (1, "P2", True, "NoneType"),
    ]
    assert [row["external_id"] for row in stored_values(tenant)] == ["P2", "P9"]


def test_same_new_id_twice_is_created_and_then_updated(tenant):
    rows = [MILK, milk(code="milk-2", is_published=True), milk(code="milk-3")]
    assert outcomes_of(tenant, rows) == [
        (0, "P1", True, "NoneType"),
        (1, "P1", False, "NoneType"),
        (2, "P1", False, "NoneType"),
    ]
    assert [(row["code"], row["is_published"], row["version"]) for row in stored_values(tenant)] == [
        ("milk-3", True, 3)
    ]


def test_bulk_creation_refuses_ids_that_are_stored_or_repeated(tenant):
    ProductFactory(tenant=tenant, external_id="P1", code="old")
    rows = [
        MILK,
        milk(external_id="P2"),
        milk(external_id="P2", code="tea"),
    ]
    assert outcomes_of(tenant, rows, may_exist=False) == [
        (0, "P1", False, "ProductExists"),
        (1, "P2", True, "NoneType"),
        (2, "P2", False, "ProductExists"),
    ]
    assert [(row["external_id"], row["code"]) for row in stored_values(tenant)] == [
        ("P1", "old"),
        ("P2", "milk"),
    ]


@pytest.mark.parametrize("may_exist", [False, True])
@pytest.mark.parametrize("count", [1, 200])
def test_bulk_takes_seven_statements(tenant, count, may_exist, django_assert_num_queries):
    rows = [milk(external_id=f"P{number}", code=f"code-{number}") for number in range(count)]
    with django_assert_num_queries(7):  # two reads, the write, and both ends of two savepoints
        outcomes = outcomes_of(tenant, rows, may_exist=may_exist)
    assert outcomes == [(number, f"P{number}", True, "NoneType") for number in range(count)]
    assert Product.objects.filter(tenant=tenant).count() == count
