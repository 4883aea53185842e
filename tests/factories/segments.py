import factory

from segments.models import CustomerAssignment, ItemAssignment, Rule, RuleExclusion, Segment
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.catalog import ProductFactory


class SegmentFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Segment

    site = factory.SubFactory(SiteFactory)
    tenant = factory.SelfAttribute("site.tenant")
    external_id = factory.Sequence(lambda n: f"S{n}")
    name = factory.LazyAttribute(lambda segment: {"en": f"Segment {segment.external_id}"})
    status = "ACTIVE"


class CustomerAssignmentFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = CustomerAssignment

    segment = factory.SubFactory(SegmentFactory)
    tenant = factory.SelfAttribute("segment.tenant")
    customer = factory.SubFactory(CustomerFactory, tenant=factory.SelfAttribute("..tenant"))


class RuleFactory(factory.django.DjangoModelFactory):
    """A rule that waits for its evaluation."""

    class Meta:
        model = Rule

    segment = factory.SubFactory(SegmentFactory)
    tenant = factory.SelfAttribute("segment.tenant")
    q = "onHold:false"


class RuleExclusionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = RuleExclusion

    segment = factory.SubFactory(SegmentFactory)
    tenant = factory.SelfAttribute("segment.tenant")
    customer = factory.SubFactory(CustomerFactory, tenant=factory.SelfAttribute("..tenant"))


class ItemAssignmentFactory(factory.django.DjangoModelFactory):
    """A product's assignment; name `category` and `product=None` for a category's."""

    class Meta:
        model = ItemAssignment

    segment = factory.SubFactory(SegmentFactory)
    tenant = factory.SelfAttribute("segment.tenant")
    product = factory.SubFactory(ProductFactory, tenant=factory.SelfAttribute("..tenant"))
