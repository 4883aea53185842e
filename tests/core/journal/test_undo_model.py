"""Undo of a random change is the state without it, where nothing else touched the rows; and back again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.identity.scopes import SERVICE_SCOPES
from core.journal.declarations import RecordedAssignments
from core.journal.models import Change
from core.journal.undo.plans import plan_undo, undo_change
from core.journal.undo.rules import objects_by_themselves
from core.sql.composition import Sql
from core.sql.fetching import fetch_rows
from core.tenancy.models import Tenant
from tests.conftest import Api
from tests.core.journal.test_history_model import CUSTOMERS, FLAGS, NUMBERS, WATCHED, WRITES, World
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory

STEPS = st.lists(st.tuples(st.sampled_from(WRITES), NUMBERS, NUMBERS, FLAGS), min_size=1, max_size=8)
CATEGORIES = ("K0", "K1", "K2")


def move_category(world: World, number: int, other: int, flag: bool) -> None:
    parent = CATEGORIES[other] if flag else None
    world.api.patch(f"/category/acme/categories/{CATEGORIES[number]}", {"parentId": parent})


def delete_category(world: World, number: int, other: int, flag: bool) -> None:
    query = "?withSubcategories=true" if flag else ""
    world.api.delete(f"/category/acme/categories/{CATEGORIES[number]}{query}")


LAST = st.tuples(st.sampled_from([*WRITES, move_category, delete_category]), NUMBERS, NUMBERS, FLAGS)


def contents() -> dict[str, list[str]]:
    """Return the rows of the watched tables without versions, derived columns and keys of assignments."""
    found = {}
    for one in WATCHED:
        left_out = {*one.derived, *one.secret, "version", "modified_at"}
        left_out -= {"lft", "rght", "level"}  # a category is where it was
        left_out |= {"id"} if isinstance(one, RecordedAssignments) else set()
        names = "{" + ",".join(left_out) + "}"
        statement = Sql(f"SELECT (to_jsonb(it) - %s::text[])::text FROM {one.table} AS it", (names,))
        found[one.table] = sorted(row for (row,) in fetch_rows(statement))
    return found


def last_id() -> int:
    return Change.objects.order_by("-id").values_list("id", flat=True).first() or 0


def changes_since(number: int) -> list[Change]:
    """Return the changes that are taken back by themselves, the latest first."""
    rows = Change.objects.filter(id__gt=number, is_cascade=False).order_by("-id")
    return [row for row in rows if row.object not in ("coupon-segment", "category-number")]


def take_back(changes: list[Change]) -> list[object]:
    """Take the changes back in this order, but what was deleted with its parent after the parent."""
    left: list[object] = []
    done: set[int] = set()
    waiting = changes
    while waiting:
        refused: dict[int, list[object]] = {}
        for change in waiting:
            if change.id in done:
                continue
            plan = plan_undo(change.id, tenant_id=change.tenant_id, at=timezone.now())
            undone = undo_change(plan, at=timezone.now())
            if change.kind == "deleted" and not undone.total:
                refused[change.id] = list(undone.left_alone)
                continue
            left += undone.left_alone
            done |= {row.id for batch in plan.documents for row in batch}
            done |= {row.id for part in plan.slices for row in part}
        again = [change for change in waiting if change.id in refused and change.id not in done]
        if len(again) == len(waiting):
            return left + [entry for change in again for entry in refused[change.id]]
        waiting = again
    return left


@pytest.mark.django_db
@pytest.mark.usefixtures("real_time", "site")
@settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.generate],  # to shrink a sequence takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, last=LAST)
def test_an_undo_is_the_state_without_the_change(
    steps: Any, last: Any, tenant: Tenant, service_api: Callable[..., Api], tmp_path: Path
) -> None:
    with transaction.atomic():
        world = World(service_api(*SERVICE_SCOPES), tenant, tmp_path)
        customers = [CustomerFactory(tenant=tenant, external_id=name) for name in CUSTOMERS]
        entity = LegalEntityFactory(tenant=tenant, external_id="E1")
        ContactAssignmentFactory(legal_entity=entity, customer=customers[0])
        top = CategoryFactory(tenant=tenant, external_id="K0")
        category = CategoryFactory(parent=CategoryFactory(parent=top, external_id="K2"), external_id="K1")
        CategoryAssignmentFactory(category=category, product=ProductFactory(tenant=tenant, external_id="P1"))
        for number in (0, 1):
            world.save_segment(number, 0, False)
            world.save_members(number, 1, True)
            world.save_item(number, 1, True)
        world.save_coupon(0, 0, True)
        for write, number, other, flag in steps:
            write(world, number, other, flag)
        before, first = contents(), last_id()
        write, number, other, flag = last
        write(world, number, other, flag)
        after, changes = contents(), changes_since(first)
        if {change.object for change in changes} <= set(objects_by_themselves()):
            second = last_id()
            seen = [(change.kind, change.object, change.external_id) for change in changes]
            assert (seen, take_back(changes)) == (seen, [])
            assert (seen, contents()) == (seen, before)
            assert (seen, take_back(changes_since(second))) == (seen, [])
            assert (seen, contents()) == (seen, after)
        transaction.set_rollback(True)
