"""Bulk loads of categories: whole forests written set-based, their tree columns computed once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from catalog.bodies import LARGEST_POSITION, MOST_LEVELS, CategoryBody
from catalog.errors import (
    DuplicatedCode,
    DuplicatedNumber,
    InvalidCategory,
    ParentNotFound,
    TooDeep,
    WouldCreateCycle,
)
from catalog.models import Category
from catalog.operations.categories import check_code, check_new_id, check_type, own_values, write_numbers
from catalog.subtrees import is_category
from catalog.tree import hash_joins, locked_tree
from core.cycles import find_cycles
from core.errors import DomainError
from core.sql.composition import Sql, SqlValues, param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.upserts import BatchPlan, RowResult, UpsertResult, UpsertTarget, upsert_rows
from core.unique_claims import Claim, refused_claims

FIRST_ROWS = 2_000
CODE, NUMBER = "code ", "number "  # how unique values are told apart

TARGET = UpsertTarget.of(
    Category,
    "tenant_id",
    "external_id",
    leaves_out=(),
    created_only=("id", "tree_id", "lft", "rght", "level", "type"),
    first_version=0,
)
PARENT = list(TARGET.columns).index("parent_id")


@dataclass(frozen=True, slots=True)
class Stored:
    """What the load needs to know of a stored category."""

    id: int
    parent_id: str | None
    position: int
    version: int
    code: str | None
    type: str


@dataclass(frozen=True, slots=True)
class ForestWrite:
    """What a batch writes, planned from one state of the forest.

    `given_up` are the keys of categories whose codes go to others.
    """

    state: SqlValues
    plan: BatchPlan[str, CategoryBody]
    values: Sequence[tuple[list[object], int]]
    numbers: Sequence[tuple[int, Sequence[str]]]
    given_up: Sequence[int]


@transaction.atomic
def upsert_categories_in_bulk(
    *,
    tenant_id: int,
    rows: Sequence[CategoryBody],
    at: datetime,
    confirm: Callable[[], None] = lambda: None,
) -> list[RowResult]:
    """Create or update all categories and place the forest once; report every row, in order.

    Rows come in any order, children before parents too; the same id twice acts in order. A row whose parent
    does not exist, that closes a cycle, or whose code or number is taken is refused with its reason and
    spoils no other, except rows that hang below a new category that was refused. Codes and numbers may change
    hands within the batch: what is stored in the end decides. The number of statements is bounded.

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
    release_codes(write.given_up)
    written = write_rows(write.values)
    write.plan.record({name: result for (_, name), result in written.items()})
    with hash_joins():
        write_numbers(tenant_id, write.numbers)
    tree.place_forest()
    return write.plan.results


def planned_write(tenant_id: int, rows: Sequence[CategoryBody], at: datetime) -> ForestWrite:
    """Decide which rows are written, and what goes into each column; writes nothing.

    The parent of a root category is left as None.
    """
    state = forest_state(tenant_id)
    stored = stored_categories(tenant_id)
    refused = refused_rows(tenant_id, rows, stored)
    plan = planned_rows(rows, stored, refused)
    final = list(plan.rows.values())
    keys = {name: known.id for name, known in stored.items()}
    new = [id_of(row) for row in final if id_of(row) not in keys]
    keys.update(zip(new, new_keys(len(new)), strict=True))
    positions = settled_positions(final, stored)
    values = [
        (
            column_values(
                tenant_id,
                row,
                key=keys[id_of(row)],
                parent=None if row.parent is None else keys[row.parent],
                position=positions[id_of(row)],
                at=at,
            ),
            plan.writes[id_of(row)],
        )
        for row in parents_first(final)
    ]
    claimants = {row.code.lower(): id_of(row) for row in final if row.code}
    given_up = [
        known.id
        for name, known in stored.items()
        if known.code and claimants.get(known.code.lower(), name) != name
    ]
    numbers = [(keys[id_of(row)], row.numbers or ()) for row in final]
    return ForestWrite(state, plan, values, numbers, given_up)


def planned_rows(
    rows: Sequence[CategoryBody], stored: Mapping[str, Stored], refused: Mapping[int, DomainError]
) -> BatchPlan[str, CategoryBody]:
    """Return the plan of the rows that are not refused, by id."""
    plan: BatchPlan[str, CategoryBody] = BatchPlan()
    for position, row in enumerate(rows):
        if error := refused.get(position):
            plan.reject(position, error, id=id_of(row))
            continue
        known = stored.get(id_of(row))
        plan.add(
            position,
            id_of(row),
            row,
            stored_version=known.version if known else None,
            expected_version=row.expected_version,
            first_version=0,
            id=id_of(row),
        )
    return plan


def release_codes(keys: Sequence[int]) -> None:
    """Take their codes from categories that give them to others, which would not be unique in between."""
    if keys:
        execute(sql("UPDATE catalog_category SET code = NULL WHERE id = ANY({keys})", keys=param(list(keys))))


def forest_state(tenant_id: int) -> SqlValues:
    """Return what differs as soon as anybody has written a category of the tenant, or its numbers.

    Every write gives a row another transaction (xmin) and place (ctid). A false difference costs a second
    plan only.
    """
    statement = sql(
        "SELECT {written} FROM catalog_category AS category WHERE tenant_id = {tenant} AND {is_category}"
        " UNION ALL SELECT {written} FROM catalog_categorynumber WHERE tenant_id = {tenant}",
        written=Sql("count(*), sum(hashtextextended(xmin::text || ' ' || ctid::text, 0))"),
        tenant=param(tenant_id),
        is_category=is_category("category"),
    )
    return tuple(fetch_rows(statement))


def id_of(row: CategoryBody) -> str:
    """Return the id that every row of a bulk load has."""
    assert row.external_id is not None
    return row.external_id


def parents_first(rows: Sequence[CategoryBody]) -> list[CategoryBody]:
    """Return the rows in an order in which each comes after its parent, if that is among them."""
    below: dict[str | None, list[CategoryBody]] = {}
    batch = {id_of(row) for row in rows}
    for row in rows:
        below.setdefault(row.parent if row.parent in batch else None, []).append(row)
    ordered = list(below.get(None, ()))
    for row in ordered:  # grows while it is read
        ordered += below.get(id_of(row), ())
    return ordered


def write_rows(values: Sequence[tuple[list[object], int]]) -> dict[SqlValues, UpsertResult]:
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
        "external_id", "pk", "parent_id", "position", "version", "code", "type"
    )
    found = list(rows.order_by())
    names = {key: external_id for external_id, key, *_ in found}
    return {
        external_id: Stored(key, names.get(parent), position, version, code, type)
        for external_id, key, parent, position, version, code, type in found
    }


def refused_rows(
    tenant_id: int, rows: Sequence[CategoryBody], stored: Mapping[str, Stored]
) -> dict[int, DomainError]:
    """Return the reason of each row that cannot be written, by its position in the batch."""
    refused: dict[int, DomainError] = {}
    refuse_faulty_values(rows, stored, refused)
    holders = holders_of(tenant_id, rows, stored)
    while True:
        before = len(refused)
        refuse_outdated_versions(rows, stored, refused)
        refuse_taken_values(rows, holders, refused)
        known = stored.keys() | {id_of(row) for at, row in enumerate(rows) if at not in refused}
        for at, row in enumerate(rows):
            if at not in refused and row.parent is not None and row.parent not in known:
                refused[at] = ParentNotFound(row.parent)
        refuse_cycles(rows, stored, refused)
        refuse_too_deep(rows, stored, refused)
        if len(refused) == before:
            return refused


def refuse_faulty_values(
    rows: Sequence[CategoryBody], stored: Mapping[str, Stored], refused: dict[int, DomainError]
) -> None:
    for at, row in enumerate(rows):
        known = stored.get(id_of(row))
        try:
            if known is None:
                check_new_id(id_of(row))
            else:
                check_type(row.type, stored=known.type)
            check_code(row.code, type=known.type if known else row.type, mixins=row.own_classification_mixins)
        except InvalidCategory as faulty:
            refused[at] = faulty


def claimed_values(row: CategoryBody) -> list[str]:
    """Return the unique values of a row: its code, whatever its case, and its external numbers."""
    code = [f"{CODE}{row.code.lower()}"] if row.code else []
    return [*code, *(f"{NUMBER}{number}" for number in row.numbers or ())]


def holders_of(tenant_id: int, rows: Sequence[CategoryBody], stored: Mapping[str, Stored]) -> dict[str, str]:
    """Return which categories have codes, and those numbers that rows ask for."""
    holders = {f"{CODE}{known.code.lower()}": name for name, known in stored.items() if known.code}
    wanted = list({number for row in rows for number in row.numbers or ()})
    if wanted:
        found = fetch_rows(
            sql(
                "SELECT number.value, category.external_id FROM catalog_categorynumber AS number"
                " JOIN catalog_category AS category ON category.id = number.category_id"
                " WHERE number.tenant_id = {tenant} AND number.value = ANY({values})",
                tenant=param(tenant_id),
                values=param(wanted),
            )
        )
        holders |= {f"{NUMBER}{value}": name for value, name in found}
    return holders


def refuse_taken_values(
    rows: Sequence[CategoryBody], holders: Mapping[str, str], refused: dict[int, DomainError]
) -> None:
    """Refuse rows whose code or number another category has in the end."""
    accepted = [at for at in range(len(rows)) if at not in refused]
    claims = [Claim(id_of(rows[at]), claimed_values(rows[at])) for at in accepted]
    for index, (_, value) in refused_claims(claims, holders).items():
        row = rows[accepted[index]]
        is_code = value.startswith(CODE)
        refused[accepted[index]] = (
            DuplicatedCode(row.code or "") if is_code else DuplicatedNumber([value.removeprefix(NUMBER)])
        )


def refuse_outdated_versions(
    rows: Sequence[CategoryBody], stored: Mapping[str, Stored], refused: dict[int, DomainError]
) -> None:
    """Refuse rows that expect another version than they meet."""
    for result in planned_rows(rows, stored, refused).results:
        if result.error is not None:
            refused.setdefault(result.position, result.error)


def refuse_cycles(
    rows: Sequence[CategoryBody], stored: Mapping[str, Stored], refused: dict[int, DomainError]
) -> None:
    """Refuse the rows that would put a category below itself; the others of the cycle stay as they are."""
    parents = {name: known.parent_id for name, known in stored.items()}
    writers: dict[str, int] = {}
    for at, row in enumerate(rows):
        if at not in refused:
            parents[id_of(row)] = row.parent
            writers[id_of(row)] = at
    for cycle in find_cycles(parents):
        for writer in (writers[member] for member in cycle if member in writers):
            refused[writer] = WouldCreateCycle(id_of(rows[writer]), rows[writer].parent or "")


def refuse_too_deep(
    rows: Sequence[CategoryBody], stored: Mapping[str, Stored], refused: dict[int, DomainError]
) -> None:
    """Refuse the rows that would put a category too deep: themselves, or what is below them.

    What is too deep already may stay on its level.
    """
    before = {name: known.parent_id for name, known in stored.items()}
    parents = dict(before)
    writers: dict[str, int] = {}
    for at, row in enumerate(rows):
        if at not in refused:
            parents[id_of(row)] = row.parent
            writers[id_of(row)] = at
    was: dict[str, int] = {}
    levels: dict[str, int] = {}
    for name in parents:
        if level_of(name, parents, levels) <= MOST_LEVELS:
            continue
        if name in before and level_of(name, before, was) >= levels[name]:
            continue
        mover: str | None = name
        while mover is not None and mover not in writers:
            mover = parents.get(mover)
        if mover is not None:
            refused[writers[mover]] = TooDeep(MOST_LEVELS)


def level_of(name: str, parents: Mapping[str, str | None], levels: dict[str, int]) -> int:
    """Return the level, 1 for a root; `levels` keeps what is known. Cycles and gaps end the way up."""
    path: list[str] = []
    above: str | None = name
    while above is not None and above not in levels and above in parents and len(path) <= len(parents):
        path.append(above)
        above = parents[above]
    level = levels.get(above, 0) if above is not None else 0
    for below in reversed(path):
        level += 1
        levels[below] = level
    return levels[name]


def settled_positions(rows: Iterable[CategoryBody], stored: Mapping[str, Stored]) -> dict[str, int]:
    """Return the position of each row: its own, the stored one, or the next after its siblings."""
    rows = list(rows)
    last: dict[str | None, int] = {}
    placed = {name: (known.parent_id, known.position) for name, known in stored.items()}
    for row in rows:
        if row.position is not None:
            placed[id_of(row)] = (row.parent, row.position)
        elif id_of(row) in placed:
            placed[id_of(row)] = (row.parent, placed[id_of(row)][1])
    for parent, position in placed.values():
        last[parent] = max(last.get(parent, -1), position)
    positions: dict[str, int] = {}
    for row in rows:
        if id_of(row) not in placed:
            last[row.parent] = min(last.get(row.parent, -1) + 1, LARGEST_POSITION)
            placed[id_of(row)] = (row.parent, last[row.parent])
        positions[id_of(row)] = placed[id_of(row)][1]
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
    tenant_id: int, row: CategoryBody, *, key: int, parent: int | None, position: int, at: datetime
) -> list[object]:
    """Return the row in the order of TARGET's columns; the tree columns are placed afterwards."""
    values = own_values(row)
    values["type"] = values["type"] or "STANDARD"
    values["own_classification_mixins"] = values["own_classification_mixins"] or []
    values |= {"id": key, "tenant_id": tenant_id, "parent_id": parent, "position": position}
    values |= {"created_at": at, "modified_at": at, "tree_id": tenant_id, "lft": 0, "rght": 0, "level": 0}
    return [values[name] for name in TARGET.columns]
