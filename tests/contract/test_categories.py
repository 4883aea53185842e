"""Replays the examples of the category contract (see `replay`)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from accounts.identity.scopes import CATEGORY_MANAGE, CATEGORY_PUBLISH, CATEGORY_UNPUBLISH
from accounts.identity.tokens import issue_access_token
from catalog.models import Category, CategoryNumber
from core.json_types import JsonObject
from core.tenancy.callers import CallerKind
from core.tenancy.models import Tenant
from tests.conftest import Api, client_of
from tests.contract.replay import as_parameters, read_examples, replay
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory

EXAMPLES = read_examples("categories")
THEN = datetime(2024, 8, 28, 14, 0, 17, 353_000, tzinfo=UTC)
PARENT, OTHER_PARENT = "056bcaf6-66b8-4ddd-9489-65c5f6449e74", "084bcaf6-66b8-4ddd-9489-65c5f6449e94"
FLOOR_CARE, POWER_TOOLS = "0310086a-d9d6-44bc-9199-ee4381bc9e4e", "0720b75e-ee1c-4d76-9f53-eb3af3927e13"


class World:
    """What examples may be given. Two products are always there."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.products = [
            ProductFactory(tenant=tenant, external_id=product, name={"en": name})
            for product, name in (("1639265", "Claw hammer"), ("1639266", "Cross driver"))
        ]

    def category(self, category: str, name: str, parent: str | None = None, **values: object) -> Category:
        above = Category.objects.get(external_id=parent) if parent else None
        stamps = {"created_at": THEN, "modified_at": THEN}
        return CategoryFactory(
            tenant=self.tenant, external_id=category, name={"en": name}, parent=above, **stamps, **values
        )

    def parents(self) -> None:
        self.category(PARENT, "Household")
        self.category(OTHER_PARENT, "Garden")

    def floor_care(self) -> None:
        self.category(FLOOR_CARE, "Floor care", PARENT, version=1)

    def floor_care_changed(self) -> None:
        Category.objects.filter(external_id=FLOOR_CARE).update(version=2)

    def power_tools(self) -> None:
        self.category(
            POWER_TOOLS,
            "Power tools",
            OTHER_PARENT,
            type="CLASSIFICATION",
            code="XA04",
            own_classification_mixins=[
                {
                    "name": "Classification mixin",
                    "schemaUrl": "https://example.com/schemas/tools_v1.json",
                    "required": False,
                }
            ],
        )

    def number_taken(self) -> None:
        parent = Category.objects.get(external_id=PARENT)
        CategoryNumber.objects.create(tenant=self.tenant, category=parent, value="AX6784", rank=0)

    def tree(self) -> None:
        self.category("38118", "Groceries", code="groceries", description={"en": "All food"}, position=55555)
        self.category(
            "38119",
            "Fruit and vegetables",
            "38118",
            code="fruit-and-vegetables",
            description={"en": "Fresh every day."},
            position=0,
        )
        self.category("38120", "Fruit", "38119", code="fruit", position=0)

    def assignments(self) -> None:
        for end, product in zip(("f6", "f7"), self.products, strict=True):
            CategoryAssignmentFactory(
                external_id=f"d7d1745d-6b46-40a7-87d8-ecb60b8260{end}",
                category=Category.objects.get(external_id=FLOOR_CARE),
                product=product,
            )


GIVEN: dict[str, Callable[[World], None]] = {
    "parents": World.parents,
    "floor care": World.floor_care,
    "floor care changed": World.floor_care_changed,
    "power tools": World.power_tools,
    "number taken": World.number_taken,
    "tree": World.tree,
    "assignments": World.assignments,
}


@pytest.mark.parametrize("example", as_parameters(EXAMPLES))
def test_an_example_of_the_contract_is_answered_as_published(
    tenant: Tenant, service_api: Callable[..., Api], now: datetime, example: JsonObject
) -> None:
    def expired() -> Api:
        issued_at = now - timedelta(days=1)
        return Api(
            issue_access_token(
                tenant=tenant,
                kind=CallerKind.SERVICE,
                client_id=client_of(tenant, "test-client").client_id,
                at=issued_at,
            )
        )

    world = World(tenant)
    for name in example["given"]:
        GIVEN[name](world)
    tokens: dict[str, Callable[[], Api]] = {
        "service": lambda: service_api(CATEGORY_MANAGE, CATEGORY_PUBLISH, CATEGORY_UNPUBLISH),
        "no scopes": service_api,
        "expired": expired,
        "invalid": lambda: Api("e30.e30.e30"),
    }
    replay(example, tokens)


def test_every_operation_has_an_example() -> None:
    assert len({example["operation"] for example in EXAMPLES}) == 24
