import re
from collections.abc import Mapping

import factory
from django.db import transaction

from catalog.bodies import CategoryBody, CategoryName, ProductBody, SchemaMetadata
from catalog.models import Category, CategoryAssignment, Product
from catalog.tree import locked_tree
from tests.factories.accounts import TenantFactory


def category_body(
    external_id: str | None = None,
    name: Mapping[str, str] | None = None,
    *,
    parent_id: str | None = None,
    expected_version: int | None = None,
    **members: object,
) -> CategoryBody:
    """Return a whole category, published unless it says otherwise."""
    return CategoryBody(
        external_id=external_id,
        name=CategoryName(name or {"en": "Category"}),
        parent=parent_id,
        metadata=SchemaMetadata(version=expected_version),
        **{"is_published": True, **members},
    )


def product_body(external_id: str | None = None, **members: object) -> ProductBody:
    """Return a whole product; `details` are attributes by their names on the wire."""
    metadata = SchemaMetadata(
        version=members.pop("expected_version", None), mixins=members.pop("mixin_schemas", None)
    )
    details = {snake(name): value for name, value in members.pop("details", {}).items()}
    return ProductBody(external_id=external_id, metadata=metadata, **details, **members)


def snake(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


class CategoryFactory(factory.django.DjangoModelFactory):
    """A category written through `catalog.tree`; `parent=None` (the default) makes a root category."""

    class Meta:
        model = Category

    tenant = factory.LazyAttribute(
        lambda category: category.parent.tenant if category.parent else TenantFactory()
    )
    parent = None
    external_id = factory.Sequence(lambda n: f"K{n}")
    name = factory.LazyAttribute(lambda category: {"en": f"Category {category.external_id}"})
    position = None
    is_published = True
    version = 0

    @classmethod
    def _create(cls, model_class: type[Category], *arguments: object, **values: object) -> Category:
        parent, position = values.pop("parent"), values.pop("position")
        with transaction.atomic():
            tree = locked_tree(values["tenant"].pk)
            parent = parent or tree.root
            category = Category(**values)
            category.position = tree.last_position(parent) if position is None else position
            tree.insert(category, parent=parent)
        return category


class ProductFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Product

    tenant = factory.SubFactory(TenantFactory)
    external_id = factory.Sequence(lambda n: f"P{n}")
    code = factory.LazyAttribute(lambda product: f"code-{product.external_id}")
    name = factory.LazyAttribute(lambda product: {"en": f"Product {product.external_id}"})
    is_published = True


class CategoryAssignmentFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = CategoryAssignment

    product = factory.SubFactory(ProductFactory)
    tenant = factory.SelfAttribute("product.tenant")
    category = factory.SubFactory(CategoryFactory, tenant=factory.SelfAttribute("..tenant"))
