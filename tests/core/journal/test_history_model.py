"""Any sequence of writes by any entry point: replayed from empty, history is the tables at every instant."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.identity.scopes import SERVICE_SCOPES
from core.journal.declarations import RecordedAssignments, recorded
from core.journal.past import reading_past
from core.sql.composition import Sql
from core.sql.fetching import fetch_rows
from core.tenancy.models import Tenant
from tests.conftest import Api
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryFactory, ProductFactory

SEGMENTS = ("gold", "silver")
CUSTOMERS = ("C1", "C2", "C3")
NUMBERS = st.integers(0, 2)
FLAGS = st.booleans()
TABLES = {
    "segments_segment",
    "segments_customerassignment",
    "segments_itemassignment",
    "catalog_category",
    "catalog_categoryassignment",
    "catalog_product",
    "accounts_customer",
    "accounts_contactassignment",
    "coupons_coupon",
    "coupons_couponsegment",
}
WATCHED = [one for one in recorded() if one.table in TABLES]
SEGMENT_BODY = {"siteCode": "main", "status": "ACTIVE"}


class World:
    """What writes: the API, an import of a file, cascades, SQL by hand."""

    def __init__(self, api: Api, tenant: Tenant, folder: Path) -> None:
        self.api, self.tenant, self.folder = api, tenant, folder

    def save_segment(self, number: int, other: int, flag: bool) -> None:
        name = {"name": {"en": f"N{other}"}, **SEGMENT_BODY}
        self.api.put(f"/customer-segment/acme/segments/{SEGMENTS[number % 2]}", name)

    def save_member(self, number: int, other: int, flag: bool) -> None:
        path = f"/customer-segment/acme/segments/{SEGMENTS[number % 2]}/customers/{CUSTOMERS[other]}"
        body = {"validity": {"from": "2026-01-01T00:00:00.000Z"}, "mixins": {"a": number}} if flag else {}
        self.api.put(path + ("/E1" if flag and other == 0 else ""), body)

    def save_members(self, number: int, other: int, flag: bool) -> None:
        rows = [{"customerId": name, "mixins": {"b": other}} for name in CUSTOMERS[: other + 1]]
        self.api.put(f"/customer-segment/acme/segments/{SEGMENTS[number % 2]}/customers/bulk", rows)

    def remove_members(self, number: int, other: int, flag: bool) -> None:
        rows = [{"customerId": name} for name in CUSTOMERS[other:]]
        self.api.delete(f"/customer-segment/acme/segments/{SEGMENTS[number % 2]}/customers/bulk", rows)

    def import_members(self, number: int, other: int, flag: bool) -> None:
        path = self.folder / "members.csv"
        lines = [f"{SEGMENTS[number % 2]},{name}\n" for name in CUSTOMERS[other:]]
        path.write_text("segmentId,customerId\n" + "".join(lines))
        mode = ["--mode", "replace", "--max-removed", "100%"] if flag else []
        with suppress(CommandError, SystemExit):  # rows that name what is gone are refused
            call_command(
                "upsert_segment_customers",
                str(path),
                "--tenant",
                "acme",
                *mode,
                stdout=StringIO(),
                stderr=StringIO(),
            )

    def save_item(self, number: int, other: int, flag: bool) -> None:
        kind, name = ("CATEGORY", "K1") if flag else ("PRODUCT", "P1")
        body = {"includeSubcategories": bool(other)} if flag else {}
        self.api.put(f"/customer-segment/acme/segments/{SEGMENTS[number % 2]}/items/{kind}/{name}", body)

    def assign_product(self, number: int, other: int, flag: bool) -> None:
        path = "/category/acme/categories/K1/assignments"
        self.api.delete(path) if flag else self.api.post(path, {"ref": {"id": "P1", "type": "PRODUCT"}})

    def save_coupon(self, number: int, other: int, flag: bool) -> None:
        body = {
            "name": f"N{other}",
            "discountType": "PERCENT",
            "discountPercentage": 5,
            "segmentRestricted": True,
            "restrictions": {"segments": [SEGMENTS[number % 2]]},
        }
        self.api.put("/coupon/acme/coupons/SALE", body)

    def delete_segment(self, number: int, other: int, flag: bool) -> None:
        self.api.delete(f"/customer-segment/acme/segments/{SEGMENTS[number % 2]}?forceDelete=true")

    def delete_customer(self, number: int, other: int, flag: bool) -> None:
        self.api.delete(f"/customer/acme/customers/{CUSTOMERS[other]}")

    def delete_product_or_category(self, number: int, other: int, flag: bool) -> None:
        self.api.delete("/category/acme/categories/K1" if flag else "/product/acme/products/P1")

    def change_by_hand(self, number: int, other: int, flag: bool) -> None:
        with connection.cursor() as cursor:
            if flag:
                cursor.execute(
                    "UPDATE segments_customerassignment SET segment_id = other.id"
                    " FROM segments_segment AS other WHERE other.external_id = %s AND NOT EXISTS ("
                    "SELECT FROM segments_customerassignment AS taken WHERE taken.segment_id = other.id)",
                    [SEGMENTS[number % 2]],
                )
            else:
                cursor.execute("UPDATE accounts_customer SET last_name = %s", [f"L{other}"])


WRITES = [getattr(World, name) for name in vars(World) if not name.startswith("_")]


def stored() -> dict[str, list[str]]:
    """Return the rows of the watched tables without derived and secret columns and keys of assignments."""
    found = {}
    for one in WATCHED:
        left_out = {*one.derived, *one.secret}
        left_out |= {"id"} if isinstance(one, RecordedAssignments) else set()
        names = "{" + ",".join(left_out) + "}"
        statement = Sql(f"SELECT (to_jsonb(it) - %s::text[])::text FROM {one.table} AS it", (names,))
        found[one.table] = sorted(row for (row,) in fetch_rows(statement))
    return found


def clock() -> datetime:
    [(at,)] = fetch_rows(Sql("SELECT clock_timestamp() FROM pg_sleep(0.0001)"))
    return at


def members_by_replay(upto: datetime) -> set[tuple[object, ...]]:
    """Return (segment, customer, company) after all changes up to an instant, from nothing."""
    rows = fetch_rows(
        Sql(
            "SELECT kind, key, legal_entity_id, array(SELECT generate_series(lower(span), upper(span) - 1)"
            " FROM unnest(keys) AS span) FROM journal_change"
            " WHERE object = 'segment-customer' AND at <= %s ORDER BY id",
            (upto,),
        )
    )
    members: set[tuple[object, ...]] = set()
    for kind, segment, entity, keys in rows:
        named = {(segment, key, entity) for key in keys}
        assert members.isdisjoint(named) if kind == "created" else named <= members
        members = members - named if kind == "deleted" else members | named
    return members


def present_members() -> set[tuple[object, ...]]:
    columns = "segment_id, customer_id, legal_entity_id"
    return set(fetch_rows(Sql(f"SELECT {columns} FROM segments_customerassignment")))


@pytest.mark.django_db
@pytest.mark.usefixtures("real_time", "site")
@settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.generate],  # to shrink a sequence takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.tuples(st.sampled_from(WRITES), NUMBERS, NUMBERS, FLAGS), min_size=3, max_size=14))
def test_history_is_the_tables_at_every_instant(
    steps: Any, tenant: Tenant, service_api: Callable[..., Api], tmp_path: Path
) -> None:
    with transaction.atomic():
        world = World(service_api(*SERVICE_SCOPES), tenant, tmp_path)
        customers = [CustomerFactory(tenant=tenant, external_id=name) for name in CUSTOMERS]
        entity = LegalEntityFactory(tenant=tenant, external_id="E1")
        ContactAssignmentFactory(legal_entity=entity, customer=customers[0])
        CategoryFactory(parent=CategoryFactory(tenant=tenant, external_id="K0"), external_id="K1")
        ProductFactory(tenant=tenant, external_id="P1")
        for number in (0, 1):
            world.save_segment(number, 0, False)
        was = [(clock(), stored(), present_members())]
        for write, number, other, flag in steps:
            write(world, number, other, flag)
            was.append((clock(), stored(), present_members()))
        for at, rows, members in was:
            assert members_by_replay(at) == members
            with reading_past(tenant.pk, at):
                assert stored() == rows
        transaction.set_rollback(True)
