"""Categories by the thousand: whole forests written set-based, their tree columns computed once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from catalog.errors import (
    DuplicatedCode,
    DuplicatedNumber,
    InvalidCategory,
    ParentNotFound,
    WouldCreateCycle,
)
from catalog.models import Category
from catalog.operations.values import check_numbers, check_own_mixins, check_slugs
from catalog.tree import LARGEST_POSITION, hash_joins, locked_tree
from core.cycles import find_cycles
from core.errors import DomainError
from core.sql.composition import param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.upserts import BatchPlan, RowResult, UpsertResult, UpsertTarget, upsert_rows

FIRST_ROWS = 2_000

TARGET = UpsertTarget(
    table=Category._meta.db_table,
    key=("tenant_id", "external_id"),
    columns={
        "id": "bigint",
        "tenant_id": "bigint",
        "external_id": "text",
        "type": "text",
        "code": "text",
        "name": "jsonb",
        "description": "jsonb",
        "slug": "jsonb",
        "position": "integer",
        "is_published": "boolean",
        "valid_from": "timestamptz",
        "valid_to": "timestamptz",
        "own_classification_mixins": "jsonb",
        "mixins": "jsonb",
        "mixin_schemas": "jsonb",
        "modified_at": "timestamptz",
        "created_at": "timestamptz",
        "parent_id": "bigint",
        "tree_id": "integer",
        "lft": "integer",
        "rght": "integer",
        "level": "integer",
    },
    created_only=frozenset({"id", "created_at", "tree_id", "lft", "rght", "level", "type"}),
    first_version=0,
)
PARENT = list(TARGET.columns).index("parent_id")


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """One category of a bulk load.

    `parent_id` is the wire id of the parent, stored or in the same batch; None makes a root category.
    `position` None means last among the siblings for a new category, and as stored for a known one.
    """

    external_id: str
    name: Mapping[str, str]
    parent_id: str | None = None
    position: int | None = None
    code: str | None = None
    description: Mapping[str, str] = field(default_factory=dict)
    slug: Mapping[str, str] = field(default_factory=dict)
    is_published: bool = True
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    type: str = "STANDARD"
    own_classification_mixins: Sequence[Mapping[str, Any]] = ()
    numbers: Sequence[str] = ()
    mixins: Mapping[str, Any] = field(default_factory=dict)
    mixin_schemas: Mapping[str, str] = field(default_factory=dict)
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """What the load needs to know of a stored category."""

    id: int
    parent_id: str | None
    position: int
    version: int
    code: str | None


@dataclass(frozen=True, slots=True)
class ForestWrite:
    """What a batch comes to, made of one state of the forest."""

    state: tuple[Any, ...]
    plan: BatchPlan[tuple[int, str], CategoryRow]
    values: Sequence[tuple[list[Any], int]]
    numbers: Sequence[tuple[int, Sequence[str]]]


@transaction.atomic
def upsert_categories_in_bulk(
    *,
    tenant_id: int,
    rows: Sequence[CategoryRow],
    at: datetime,
    confirm: Callable[[], None] = lambda: None,
) -> list[RowResult]:
    """Create or update all categories and place the forest once; report every row, in order.

    Rows come in any order, children before parents too; the same id twice acts in order. A row whose parent
    does not exist, that closes a cycle, or whose code or number is taken is refused with its reason and
    spoils no other, except rows that hang below a new category that was refused. The number of statements
    is bounded.

    Plans before it takes the tree lock, so that others wait for the write only, and plans again under the
    lock when somebody has changed the forest meanwhile. `confirm` is called under the lock before anything
    is written; what it raises ends the write.
    """
    write = planned_write(tenant_id, rows, at)
    tree = locked_tree(tenant_id)
    confirm()
    if forest_state(tenant_id) != write.state:
        write = planned_write(tenant_id, rows, at)
    for values, _ in write.values:
        if values[PARENT] is None:  # the hidden root may not have been there before
            values[PARENT] = tree.root.pk
    write.plan.record(write_rows(write.values))
    with hash_joins():
        write_numbers(tenant_id, write.numbers)
    tree.place_forest()
    return write.plan.results


def planned_write(tenant_id: int, rows: Sequence[CategoryRow], at: datetime) -> ForestWrite:
    """Decide which rows are written, and what goes into each column; writes nothing.

    The parent of a root category is left as None.
    """
    state = forest_state(tenant_id)
    stored = stored_categories(tenant_id)
    refused = refused_rows(tenant_id, rows, stored)
    plan: BatchPlan[tuple[int, str], CategoryRow] = BatchPlan()
    for position, row in enumerate(rows):
        if error := refused.get(position):
            plan.reject(position, error, id=row.external_id)
            continue
        known = stored.get(row.external_id)
        plan.add(
            position,
            (tenant_id, row.external_id),
            row,
            stored_version=known.version if known else None,
            expected_version=row.expected_version,
            first_version=0,
            id=row.external_id,
        )
    final = list(plan.rows.values())
    keys = {name: known.id for name, known in stored.items()}
    new = [row.external_id for row in final if row.external_id not in keys]
    keys.update(zip(new, new_keys(len(new)), strict=True))
    positions = settled_positions(final, stored)
    values = [
        (
            column_values(
                tenant_id,
                row,
                key=keys[row.external_id],
                parent=None if row.parent_id is None else keys[row.parent_id],
                position=positions[row.external_id],
                at=at,
            ),
            plan.writes[tenant_id, row.external_id],
        )
        for row in parents_first(final)
    ]
    return ForestWrite(state, plan, values, [(keys[row.external_id], row.numbers) for row in final])


def forest_state(tenant_id: int) -> tuple[Any, ...]:
    """Return what differs as soon as anybody has written a category of the tenant, or its numbers.

    Every write gives a row another transaction (xmin) and place (ctid). A false difference costs a second
    plan only.
    """
    written = "count(*), sum(hashtextextended(xmin::text || ' ' || ctid::text, 0))"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {written} FROM {TARGET.table} WHERE tenant_id = %s AND parent_id IS NOT NULL"
            f" UNION ALL SELECT {written} FROM catalog_categorynumber WHERE tenant_id = %s",
            [tenant_id, tenant_id],
        )
        return tuple(cursor.fetchall())


def parents_first(rows: Sequence[CategoryRow]) -> list[CategoryRow]:
    """Return the rows in an order in which each comes after its parent, if that is among them."""
    below: dict[str | None, list[CategoryRow]] = {}
    batch = {row.external_id for row in rows}
    for row in rows:
        below.setdefault(row.parent_id if row.parent_id in batch else None, []).append(row)
    ordered = list(below.get(None, ()))
    for row in ordered:  # grows while it is read
        ordered += below.get(row.external_id, ())
    return ordered


def write_rows(values: Sequence[tuple[list[Any], int]]) -> dict[tuple[Any, ...], UpsertResult]:
    """Write the rows, given parents first.

    Each row's reference to its parent is checked with a plan that PostgreSQL makes once. Where it believes
    the table to be empty, as after a vacuum of one that was, it may look through all categories of the
    tenant each time: minutes for 50,000. So a large load lets it see the first rows before the others come.
    """
    head, tail = values[:FIRST_ROWS], values[FIRST_ROWS:]
    written = upsert_rows(TARGET, head)
    if tail:
        with connection.cursor() as cursor:
            cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [TARGET.table])
            [(believed,)] = cursor.fetchall()
            if 0 <= believed < len(tail):
                cursor.execute(f"ANALYZE {TARGET.table}")
        written.update(upsert_rows(TARGET, tail))
    return written


def stored_categories(tenant_id: int) -> dict[str, Stored]:
    """Return the tenant's categories by wire id."""
    rows = Category.objects.filter(tenant=tenant_id).values_list(
        "external_id", "pk", "parent_id", "position", "version", "code"
    )
    found = list(rows.order_by())
    names = {key: external_id for external_id, key, *_ in found}
    return {
        external_id: Stored(key, names.get(parent), position, version, code)
        for external_id, key, parent, position, version, code in found
    }


def refused_rows(
    tenant_id: int, rows: Sequence[CategoryRow], stored: Mapping[str, Stored]
) -> dict[int, DomainError]:
    """Return the reason of each row that cannot be written, by its position in the batch."""
    refused: dict[int, DomainError] = {}
    refuse_faulty_values(rows, refused)
    refuse_taken_codes(rows, stored, refused)
    refuse_taken_numbers(tenant_id, rows, refused)
    while True:
        before = len(refused)
        known = stored.keys() | {row.external_id for at, row in enumerate(rows) if at not in refused}
        for at, row in enumerate(rows):
            if at not in refused and row.parent_id is not None and row.parent_id not in known:
                refused[at] = ParentNotFound(row.parent_id)
        refuse_cycles(rows, stored, refused)
        if len(refused) == before:
            return refused


def refuse_faulty_values(rows: Sequence[CategoryRow], refused: dict[int, DomainError]) -> None:
    for at, row in enumerate(rows):
        try:
            check_slugs(row.slug)
            check_numbers(row.numbers)
            check_own_mixins(row.own_classification_mixins)
        except InvalidCategory as faulty:
            refused[at] = faulty


def refuse_taken_codes(
    rows: Sequence[CategoryRow], stored: Mapping[str, Stored], refused: dict[int, DomainError]
) -> None:
    # Codes that rows of the batch give up are free only for a later batch: the outcome does not depend on
    # which row PostgreSQL writes first.
    owners = {known.code.lower(): name for name, known in stored.items() if known.code}
    for at, row in enumerate(rows):
        if at in refused:
            continue
        if not row.code and (row.type == "CLASSIFICATION" or row.own_classification_mixins):
            refused[at] = InvalidCategory("A category of type CLASSIFICATION needs a code", field="code")
        elif row.code and owners.setdefault(row.code.lower(), row.external_id) != row.external_id:
            refused[at] = DuplicatedCode(row.code)


def refuse_taken_numbers(
    tenant_id: int, rows: Sequence[CategoryRow], refused: dict[int, DomainError]
) -> None:
    wanted = list({number for row in rows for number in row.numbers})
    if not wanted:
        return
    owners = dict(
        fetch_rows(
            sql(
                "SELECT number.value, category.external_id FROM catalog_categorynumber AS number"
                " JOIN catalog_category AS category ON category.id = number.category_id"
                " WHERE number.tenant_id = {tenant} AND number.value = ANY({values})",
                tenant=param(tenant_id),
                values=param(wanted),
            )
        )
    )
    for at, row in enumerate(rows):
        if at in refused:
            continue
        taken = [number for number in row.numbers if owners.get(number, row.external_id) != row.external_id]
        if taken:
            refused[at] = DuplicatedNumber(taken)
        owners.update({number: row.external_id for number in row.numbers if not taken})


def refuse_cycles(
    rows: Sequence[CategoryRow], stored: Mapping[str, Stored], refused: dict[int, DomainError]
) -> None:
    """Refuse the rows that would put a category below itself; the others of the cycle stay as they are."""
    parents = {name: known.parent_id for name, known in stored.items()}
    writers: dict[str, int] = {}
    for at, row in enumerate(rows):
        if at not in refused:
            parents[row.external_id] = row.parent_id
            writers[row.external_id] = at
    for cycle in find_cycles(parents):
        for writer in (writers[member] for member in cycle if member in writers):
            refused[writer] = WouldCreateCycle(rows[writer].external_id, rows[writer].parent_id or "")


def settled_positions(rows: Any, stored: Mapping[str, Stored]) -> dict[str, int]:
    """Return the position of each row: its own, the stored one, or the next after its siblings."""
    rows = list(rows)
    last: dict[str | None, int] = {}
    placed = {name: (known.parent_id, known.position) for name, known in stored.items()}
    for row in rows:
        if row.position is not None:
            placed[row.external_id] = (row.parent_id, row.position)
        elif row.external_id in placed:
            placed[row.external_id] = (row.parent_id, placed[row.external_id][1])
    for parent, position in placed.values():
        last[parent] = max(last.get(parent, -1), position)
    positions: dict[str, int] = {}
    for row in rows:
        if row.external_id not in placed:
            last[row.parent_id] = min(last.get(row.parent_id, -1) + 1, LARGEST_POSITION)
            placed[row.external_id] = (row.parent_id, last[row.parent_id])
        positions[row.external_id] = placed[row.external_id][1]
    return positions


def new_keys(count: int) -> list[int]:
    """Take keys from the table's sequence, so that rows can name their parents before they are stored."""
    rows = fetch_rows(
        sql(
            "SELECT nextval(pg_get_serial_sequence('catalog_category', 'id'))"
            " FROM generate_series(1, {count})",
            count=param(count),
        )
    )
    return [key for (key,) in rows]


def column_values(
    tenant_id: int, row: CategoryRow, *, key: int, parent: int | None, position: int, at: datetime
) -> list[Any]:
    """Return the row in the order of TARGET's columns; the tree columns are placed afterwards."""
    return [
        key,
        tenant_id,
        row.external_id,
        row.type,
        row.code,
        dict(row.name),
        dict(row.description),
        dict(row.slug),
        position,
        row.is_published,
        row.valid_from,
        row.valid_to,
        check_own_mixins(row.own_classification_mixins),
        dict(row.mixins),
        dict(row.mixin_schemas),
        at,
        at,
        parent,
        tenant_id,
        0,
        0,
        0,
    ]


def write_numbers(tenant_id: int, numbers: Sequence[tuple[int, Sequence[str]]]) -> None:
    """Make these the external numbers of each category; unchanged numbers are not written."""
    flat = [(key, value, rank) for key, values in numbers for rank, value in enumerate(values)]
    tenant = param(tenant_id)
    keys, values = param([row[0] for row in flat], "bigint[]"), param([row[1] for row in flat], "text[]")
    execute(
        sql(
            "DELETE FROM catalog_categorynumber AS number"
            " WHERE tenant_id = {tenant} AND category_id = ANY({categories})"
            " AND NOT EXISTS (SELECT 1 FROM unnest({keys}, {values}) AS given (category_id, value)"
            " WHERE given.category_id = number.category_id AND given.value = number.value)",
            tenant=tenant,
            categories=param([key for key, _ in numbers]),
            keys=keys,
            values=values,
        )
    )
    if flat:
        execute(
            sql(
                "INSERT INTO catalog_categorynumber (tenant_id, category_id, value, rank)"
                " SELECT {tenant}, category_id, value, rank"
                " FROM unnest({keys}, {values}, {ranks}) AS given (category_id, value, rank)"
                " ON CONFLICT (tenant_id, value) DO UPDATE SET rank = excluded.rank",
                tenant=tenant,
                keys=keys,
                values=values,
                ranks=param([row[2] for row in flat], "integer[]"),
            )
        )
