"""Replays the examples of the customer segment contract (see `replay`)."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from accounts.identity.scopes import SEGMENT_MANAGE
from accounts.models import Customer, LegalEntity, Site
from catalog.models import Category, Product
from core.json_types import JsonObject
from segments.models import Segment
from tests.conftest import Api
from tests.contract.replay import as_parameters, read_examples, replay
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

EXAMPLES = read_examples("segments")


def stamped(*date: int) -> dict[str, datetime]:
    moment = datetime(*date, 12, tzinfo=UTC)
    return {"created_at": moment, "modified_at": moment}


class World:
    """What examples may be given. Customers, legal entities and products are always there."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.customers: list[Customer] = []
        self.entities: list[LegalEntity] = []
        self.products: list[Product] = []
        for number, first, last, entity, company in (
            ("98029737", "Mia", "Stone", "660af2af69babe3cf6e40771", "Stone Works"),
            ("18249883", "Tom", "Reed", "448gh29h1d0b5453g6346df6", "Reed Supplies"),
        ):
            customer = CustomerFactory(
                tenant=site.tenant,
                external_id=number,
                first_name=first,
                last_name=last,
                email=f"{first}.{last}@example.com".lower(),
            )
            legal_entity = LegalEntityFactory(tenant=site.tenant, external_id=entity, name=company)
            ContactAssignmentFactory(legal_entity=legal_entity, customer=customer)
            self.customers.append(customer)
            self.entities.append(legal_entity)
        for product, code, name in (("12468504", "123", "Claw hammer"), ("12849186", "456", "Cross driver")):
            self.products.append(
                ProductFactory(tenant=site.tenant, external_id=product, code=code, name={"en": name})
            )

    @property
    def gold(self) -> Segment:
        return Segment.objects.get(external_id="628cd20c6e8b2432b6346ca6")

    def segments(self) -> None:
        for segment_id, name, description, month, day, status in (
            ("628cd20c6e8b2432b6346ca6", "Gold circle", "Buys every week", 4, 17, "ACTIVE"),
            ("61ge81e13562e22001h6cf456", "Platinum circle", "Buys every day", 7, 20, "INACTIVE"),
        ):
            SegmentFactory(
                site=self.site,
                external_id=segment_id,
                name={"en": name},
                description={"en": description},
                valid_from=datetime(2024, month, day, 8, tzinfo=UTC),
                valid_to=datetime(2025, month, day, 8, tzinfo=UTC),
                status=status,
                **stamped(2024, 5, 14),
            )

    def segment_mixins(self) -> None:
        Segment.objects.update(mixins={"shopAttributes": {"price": 12}})

    def open_segment(self) -> None:
        """A segment that is effective whenever this runs, with the first customer and the first product."""
        segment = SegmentFactory(site=self.site, external_id="open")
        CustomerAssignmentFactory(segment=segment, customer=self.customers[0])
        ItemAssignmentFactory(segment=segment, product=self.products[0])

    def b2c_customer(self) -> None:
        CustomerAssignmentFactory(segment=self.gold, customer=self.customers[0], **stamped(2024, 10, 12))

    def b2b_customers(self) -> None:
        for customer, entity, day in zip(self.customers, self.entities, (12, 16), strict=True):
            CustomerAssignmentFactory(
                segment=self.gold, customer=customer, legal_entity=entity, **stamped(2024, 10, day)
            )

    def items(self) -> None:
        for product in self.products:
            ItemAssignmentFactory(segment=self.gold, product=product, **stamped(2024, 10, 12))

    def categories(self) -> None:
        """Workshop > Hammers > Sledges, the lower two assigned to the open segment."""
        parent: Category | None = None
        for category, code, name, position in (
            ("12468504", "123", "Workshop", 0),
            ("12468505", "234", "Hammers", 1),
            ("12468506", "345", "Sledges", 2),
        ):
            parent = CategoryFactory(
                tenant=self.site.tenant,
                parent=parent,
                external_id=category,
                code=code,
                name={"en": name},
                position=position,
            )
            if position:
                segment = Segment.objects.get(external_id="open")
                ItemAssignmentFactory(segment=segment, product=None, category=parent)
        Category.objects.filter(external_id="12468505").update(
            description={"en": "For home and trade."},
            valid_from=datetime(2024, 4, 17, 8, tzinfo=UTC),
            valid_to=datetime(2126, 4, 17, 8, tzinfo=UTC),
        )


GIVEN: dict[str, Callable[[World], None]] = {
    "segments": World.segments,
    "segment mixins": World.segment_mixins,
    "open segment": World.open_segment,
    "b2c customer": World.b2c_customer,
    "b2b customers": World.b2b_customers,
    "items": World.items,
    "categories": World.categories,
}


@pytest.mark.parametrize("example", as_parameters(EXAMPLES))
def test_an_example_of_the_contract_is_answered_as_published(
    site: Site,
    service_api: Callable[..., Api],
    customer_api: Callable[..., Api],
    example: JsonObject,
) -> None:
    world = World(site)
    for name in example["given"]:
        GIVEN[name](world)
    tokens: dict[str, Callable[[], Api]] = {
        "service": lambda: service_api(SEGMENT_MANAGE),
        "customer": lambda: customer_api(world.customers[0]),
        "none": lambda: Api(None),
    }
    replay(example, tokens)


def test_every_operation_has_an_example() -> None:
    assert len({example["operation"] for example in EXAMPLES}) == 30
