import random

import pytest

from catalog.models import Category
from catalog.subtrees import ancestors, descendants, descendants_among
from core.sql.composition import Sql
from core.sql.fetching import fetch_rows
from core.tenancy.models import Tenant
from tests.factories.catalog import CategoryFactory

pytestmark = pytest.mark.django_db


def names(selection: Sql) -> set[str]:
    keys = [row[0] for row in fetch_rows(selection)]
    return set(Category.objects.filter(pk__in=keys).values_list("external_id", flat=True))


@pytest.fixture
def tree(tenant: Tenant) -> dict[str, Category]:
    """a > (b > c > d, e (unpublished) > f)."""
    made: dict[str, Category] = {}
    for name, parent in [("a", None), ("b", "a"), ("c", "b"), ("d", "c"), ("e", "a"), ("f", "e")]:
        made[name] = CategoryFactory(
            tenant=tenant,
            external_id=name,
            parent=made[parent] if parent else None,
            is_published=name != "e",
        )
    return made


def test_ancestors_are_all_above(tree: dict[str, Category]) -> None:
    assert names(ancestors(Sql("%s", (tree["d"].pk,)))) == {"a", "b", "c"}
    assert names(ancestors(Sql("%s", (tree["a"].pk,)))) == set()


@pytest.mark.parametrize(
    ("top", "options", "expected"),
    [
        ("a", {}, "bcd"),
        ("a", {"with_itself": True}, "abcd"),
        ("a", {"depth": 1}, "b"),
        ("a", {"depth": 2}, "bc"),
        ("a", {"shows_unpublished": True}, "bcdef"),
        ("a", {"shows_unpublished": True, "depth": 1}, "be"),
        ("b", {}, "cd"),
        ("d", {}, ""),
        ("e", {"with_itself": True}, "e"),
        ("f", {"with_itself": True}, "f"),
    ],
)
def test_descendants_leave_out_what_is_unpublished_and_below(
    tree: dict[str, Category], top: str, options: dict[str, bool | int], expected: str
) -> None:
    arguments = {"shows_unpublished": False, **options}
    assert names(descendants(Sql("%s", (tree[top].pk,)), **arguments)) == set(expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("shows_unpublished", [True, False])
def test_looking_up_from_a_selection_agrees_with_looking_down(
    tenant: Tenant, shows_unpublished: bool
) -> None:
    dice = random.Random(5)
    nodes: list[Category] = []
    for _ in range(60):
        parent = dice.choice(nodes) if nodes and dice.random() < 0.9 else None
        nodes.append(CategoryFactory(tenant=tenant, parent=parent, is_published=dice.random() < 0.8))
    for top in nodes:
        chosen = dice.sample(nodes, 20)
        keys = [node.pk for node in chosen]
        selection = Sql("SELECT unnest(%s::bigint[])", (keys,))
        key = Sql("%s", (top.pk,))
        below = names(descendants(key, shows_unpublished=shows_unpublished, with_itself=True))
        assert names(descendants_among(selection, key, shows_unpublished=shows_unpublished)) == below & {
            node.external_id for node in chosen
        }
