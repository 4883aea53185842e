import factory

from catalog.models import CategoryAssignment, Product
from tests.factories.accounts import TenantFactory


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
