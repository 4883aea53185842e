"""Partitions members of segments by a hash of the customer, while the service runs (docs/large-tables.md).

A partitioned copy is made beside the table. From then on a trigger writes every change of the table to the
copy as well, and the rows that were there before are copied in slices. When both hold the same, they change
their names. How far it has come is read from PostgreSQL, so that a run goes on where another was killed.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from core.errors import DomainError
from core.sql.locks import Lock
from segments.models import CustomerAssignment

TABLE = CustomerAssignment._meta.db_table
COPY = f"{TABLE}_partitioned"
OLD = f"{TABLE}_old"
KEY = "customer_id"
MIRROR = "mirror_memberships"
PARTITIONS = 16
SLICE = 10_000  # rows that are copied in one transaction: 0.1 to 0.5 s
PAUSE = 0.05  # seconds before another attempt at a slice of which a row is locked
LOCK_TIMEOUT = "2s"  # less than requests wait for a lock, which would queue behind this
PAUSES = (1, 2, 4, 8, 15, 15, 15)  # seconds before another attempt
PATIENCE = 60  # seconds for another run to end

Tell = Callable[[str], None]

STATE = f"""
SELECT relkind = 'p', to_regclass('{COPY}') IS NOT NULL, to_regclass('{OLD}') IS NOT NULL,
    EXISTS (SELECT FROM pg_trigger WHERE tgrelid = '{TABLE}'::regclass AND tgname LIKE '{MIRROR}%'),
    (SELECT count(*) FROM pg_inherits
     WHERE inhparent = coalesce(to_regclass('{COPY}'), '{TABLE}'::regclass)),
    obj_description(to_regclass('{COPY}'), 'pg_class'), reltuples::bigint,
    pg_table_size('{TABLE}') + pg_indexes_size('{TABLE}')
FROM pg_class WHERE oid = '{TABLE}'::regclass
"""
OBSTACLES = f"""
SELECT 'the foreign key ' || conname || ' of ' || conrelid::regclass || ' refers to it'
FROM pg_constraint WHERE confrelid = '{TABLE}'::regclass AND contype = 'f'
UNION ALL SELECT DISTINCT 'the view ' || ev_class::regclass || ' reads it' FROM pg_depend
JOIN pg_rewrite ON pg_rewrite.oid = objid
WHERE refobjid = '{TABLE}'::regclass AND classid = 'pg_rewrite'::regclass
UNION ALL SELECT 'the publication ' || pubname || ' names it' FROM pg_publication_rel
JOIN pg_publication ON pg_publication.oid = prpubid WHERE prrelid = '{TABLE}'::regclass
UNION ALL SELECT 'it has the policy ' || polname FROM pg_policy WHERE polrelid = '{TABLE}'::regclass
UNION ALL SELECT 'its index ' || indexrelid::regclass || ' is broken' FROM pg_index
WHERE indrelid = '{TABLE}'::regclass AND NOT indisvalid
UNION ALL SELECT 'its index ' || indexrelid::regclass || ' is unique over other columns' FROM pg_index
WHERE indrelid = '{TABLE}'::regclass AND indisunique AND NOT indisprimary AND NOT EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = indrelid AND attname = '{KEY}' AND attnum = ANY (indkey))
"""
INDEXES = """
SELECT index.relname, pg_get_indexdef(indexrelid), indisprimary,
    (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conindid = indexrelid AND conrelid = indrelid)
FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid
WHERE indrelid = %s::regclass ORDER BY NOT indisprimary, index.relname
"""
FOREIGN_KEYS = """
SELECT conname, regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', ''), confrelid::regclass::text
FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'f' AND conparentid = 0 ORDER BY conname
"""
LEAVES = """
SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = %s::regclass ORDER BY 1
"""
TRIGGERS = """
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger
WHERE tgrelid = %s::regclass AND NOT tgisinternal ORDER BY tgname
"""
GRANTS = """
SELECT format('GRANT %%s ON {copy} TO %%s%%s', privilege_type,
    CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class CROSS JOIN aclexplode(relacl) WHERE oid = %s::regclass AND grantee <> relowner
UNION ALL SELECT format('ALTER TABLE {copy} OWNER TO %%s', relowner::regrole)
FROM pg_class WHERE oid = %s::regclass AND relowner <> current_user::regrole
"""
# A statement's changes are written to the copy by its key. The plan is made once in a session, perhaps while
# the copy is empty: it must not be one that reads all of it.
MIRROR_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {MIRROR}() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE serialization_failure USING MESSAGE =
            'While memberships are being partitioned they are written in READ COMMITTED only.';
    END IF;
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE {COPY};
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM {COPY} AS mirrored USING before AS it
        WHERE mirrored.{KEY} = it.{KEY} AND mirrored.id = it.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO {COPY} SELECT * FROM changed ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$
"""
MIRRORED = {
    "insert": "INSERT ON {table} REFERENCING NEW TABLE AS changed",
    "update": "UPDATE ON {table} REFERENCING OLD TABLE AS before NEW TABLE AS changed",
    "delete": "DELETE ON {table} REFERENCING OLD TABLE AS before",
    "truncate": "TRUNCATE ON {table}",
}
NEXT_SLICE = f"""
SELECT max(id), count(*) FROM (
    SELECT id FROM {TABLE} WHERE id > %s AND id <= %s ORDER BY id LIMIT %s
) AS part
"""
# FOR SHARE lets changes of these rows wait until they are in the copy. It does not wait itself: while it
# holds some of the rows, a writer might wait for it in a circle, and be the one who fails.
COPY_SLICE = f"""
WITH part AS MATERIALIZED (SELECT * FROM {TABLE} WHERE id > %s AND id <= %s ORDER BY id FOR SHARE NOWAIT)
INSERT INTO {COPY} SELECT * FROM part ON CONFLICT DO NOTHING
"""
DIGEST = "SELECT count(*), coalesce(sum(hashtextextended(row::text, 0)::numeric), 0) FROM {table} AS row"
DIFFERENT = f"""
SELECT coalesce(stored.id, copied.id) FROM {TABLE} AS stored
FULL JOIN {COPY} AS copied ON copied.id = stored.id AND copied.{KEY} = stored.{KEY}
WHERE stored.* IS DISTINCT FROM copied.* ORDER BY 1 LIMIT 5
"""


class PartitioningRefused(DomainError):
    """It cannot be done, or not now. The message says why, and what to do."""

    code = "partitioning_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far it has come. `rows` and `size` in bytes are those of the table, the rows estimated."""

    is_partitioned: bool
    has_copy: bool
    has_old: bool
    is_mirrored: bool
    partitions: int
    after: int | None
    last: int | None
    rows: int
    size: int

    def words(self) -> str:
        """Say it to an operator."""
        if self.is_partitioned:
            old = f" The former table is still there as {OLD}; --drop-old removes it." if self.has_old else ""
            return f"{TABLE} has {self.partitions} partitions.{old}"
        if not self.has_copy:
            return f"{TABLE} is not partitioned. It has about {self.rows:,} rows, {self.size / 1e6:,.0f} MB."
        progress = "its rows are to be copied"
        if self.after is not None and self.last is not None:
            progress = f"rows are copied up to the key {self.after:,} of {self.last:,}"
        mirrored = "changes are mirrored, " if self.is_mirrored else ""
        return f"{TABLE} is being partitioned into {self.partitions} parts: {mirrored}{progress}."


def state() -> State:
    """Read how far it has come."""
    with connection.cursor() as cursor:
        cursor.execute(STATE)
        [(is_partitioned, has_copy, has_old, is_mirrored, partitions, noted, rows, size)] = cursor.fetchall()
    progress = json.loads(noted) if noted else {}
    return State(
        is_partitioned=is_partitioned,
        has_copy=has_copy,
        has_old=has_old,
        is_mirrored=is_mirrored,
        partitions=partitions,
        after=progress.get("after"),
        last=progress.get("last"),
        rows=max(rows, 0),
        size=size,
    )


def obstacles() -> list[str]:
    """Return what prevents the change of names, in words."""
    with connection.cursor() as cursor:
        cursor.execute(OBSTACLES)
        return [text for (text,) in cursor.fetchall()]


def partition_memberships(partitions: int | None, *, slice_rows: int = SLICE, tell: Tell) -> None:
    """Do all that is still to be done. Raises PartitioningRefused; what is done by then stays."""
    with only_run(tell):
        found = state()
        if found.is_partitioned:
            tell(f"Nothing to do: {found.words()}")
            return
        if reasons := obstacles():
            raise PartitioningRefused(f"{TABLE} cannot be partitioned: {'; '.join(reasons)}.")
        if found.has_old:
            raise PartitioningRefused(f"There is a table {OLD} already. Rename or drop it first.")
        if found.has_copy and partitions not in (None, found.partitions):
            raise PartitioningRefused(
                f"A copy with {found.partitions} partitions is being filled. Run without --partitions to go"
                " on with it, or with --undo to begin anew."
            )
        if not found.has_copy:
            tell(f"Making {COPY} with {partitions or PARTITIONS} partitions ...")
            with transaction.atomic(), connection.cursor() as cursor:
                make_copy(cursor, partitions or PARTITIONS)
        if not found.is_mirrored:
            tell("Mirroring changes into it ...")
            holding([TABLE], "SHARE ROW EXCLUSIVE", mirror, tell)
        copy_rows(slice_rows, tell)
        refer(tell)
        tell("Analyzing and comparing ...")
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {COPY}")
        compare()
        tell("Changing the names ...")
        holding([TABLE, COPY], "ACCESS EXCLUSIVE", swap, tell)
        tell(f"Done: {state().words()}")


def undo_partitioning(tell: Tell) -> None:
    """Remove the copy and the mirroring. Raises PartitioningRefused once the tables have changed names."""
    with only_run(tell):
        found = state()
        if found.is_partitioned:
            raise PartitioningRefused(f"It is too late to take it back: {found.words()}")
        holding([TABLE], "ACCESS EXCLUSIVE", remove_mirror, tell)
        if found.has_copy:
            drop(COPY, tell)
        tell(f"Taken back: {state().words()}")


def drop_old(tell: Tell) -> None:
    """Drop the table as it was before. Raises PartitioningRefused before that."""
    with only_run(tell):
        found = state()
        if not found.is_partitioned:
            raise PartitioningRefused(f"There is nothing to drop yet: {found.words()}")
        if found.has_old:
            drop(OLD, tell)
        tell(f"Done: {state().words()}")


def analyze_memberships() -> None:
    """Renew what the planner knows of the partitioned table as a whole; autovacuum sees its parts only."""
    if state().is_partitioned:
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {TABLE}")


# Steps. Each is one transaction, or finds out by itself what is left of it.


def make_copy(cursor: Any, partitions: int) -> None:
    """Make the copy with its partitions, and with the checks and indexes of the table."""
    cursor.execute(
        f"CREATE TABLE {COPY} (LIKE {TABLE} INCLUDING ALL EXCLUDING INDEXES) PARTITION BY HASH ({KEY})"
    )
    cursor.execute("SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = %s::regclass", [TABLE])
    [(options,)] = cursor.fetchall()
    storage = f" WITH ({options})" if options else ""
    for number in range(partitions):
        cursor.execute(
            f"CREATE TABLE {TABLE}_p{number:02} PARTITION OF {COPY}"
            f" FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number}){storage}"
        )
    for name, definition, is_primary, constraint in read(cursor, INDEXES, TABLE):
        if is_primary:
            # rows are looked up by their id, which comes first; that it is unique, its sequence says
            constraint = f"PRIMARY KEY (id, {KEY})"
        if constraint:
            cursor.execute(f'ALTER TABLE {COPY} ADD CONSTRAINT "{new(name)}" {constraint}')
        else:
            found = re.sub(r" INDEX \S+ ON \S+ ", f' INDEX "{new(name)}" ON {COPY} ', definition, count=1)
            cursor.execute(found)
    for statement in read(cursor, GRANTS.format(copy=COPY), TABLE, TABLE):
        cursor.execute(statement[0])


def mirror(cursor: Any) -> None:
    """Write each change of the table to the copy as well; waits for changes that are under way."""
    cursor.execute(MIRROR_FUNCTION)
    for name, event in MIRRORED.items():
        cursor.execute(
            f"CREATE TRIGGER {MIRROR}_{name} AFTER {event.format(table=TABLE)}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {MIRROR}()"
        )


def remove_mirror(cursor: Any) -> None:
    for name in MIRRORED:
        cursor.execute(f"DROP TRIGGER IF EXISTS {MIRROR}_{name} ON {TABLE}")
    cursor.execute(f"DROP FUNCTION IF EXISTS {MIRROR}()")


def copy_rows(slice_rows: int, tell: Tell) -> None:
    """Copy the rows that were there before changes were mirrored, in the order of their keys."""
    found = state()
    after, last = found.after, found.last
    if after is None or last is None:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT coalesce(min(id), 1) - 1, coalesce(max(id), 0) FROM {TABLE}")
            [(after, last)] = cursor.fetchall()
    began, first, copied, reported, size, waits = time.monotonic(), after, 0, 0.0, slice_rows, 0
    while after < last:
        try:
            after, count = copy_slice(after, last, size)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            if size == 1 and waits % 200 == 0:
                tell(f"Waiting for the row behind the key {after:,}, which another session holds.")
            waits = waits + 1 if size == 1 else 0
            size = max(size // 2, 1)
            time.sleep(PAUSE)
            continue
        copied, size = copied + count, min(size * 2, slice_rows)
        if (passed := time.monotonic() - began) >= reported + 2 or after >= last:
            reported = passed
            share = (after - first) / (last - first)
            tell(f"Copied {copied:,} rows ({share:.0%}), {copied / max(passed, 0.001):,.0f} a second.")


@transaction.atomic
def copy_slice(after: int, last: int, rows: int) -> tuple[int, int]:
    """Copy the next rows, none of which may be locked; return the last key and the number of rows."""
    with connection.cursor() as cursor:
        cursor.execute(NEXT_SLICE, [after, last, rows])
        [(until, count)] = cursor.fetchall()
        until = last if until is None else until
        cursor.execute(COPY_SLICE, [after, until])
        note(cursor, {"after": until, "last": last})
    return until, count


def note(cursor: Any, progress: dict[str, int]) -> None:
    """Keep how far the rows are copied, with the transaction that copies them."""
    cursor.execute(f"COMMENT ON TABLE {COPY} IS '{json.dumps(progress)}'")


def refer(tell: Tell) -> None:
    """Give the copy the foreign keys of the table, partition by partition, so that nobody waits for a check.

    They come behind the rows: a deletion of what rows refer to would wait for a slice in a circle.
    """
    with connection.cursor() as cursor:
        wanted, there = read(cursor, FOREIGN_KEYS, TABLE), read(cursor, FOREIGN_KEYS, COPY)
        leaves = [leaf for (leaf,) in read(cursor, LEAVES, COPY)]
    for name, definition, referred in wanted:
        if name in [one for one, *_ in there]:
            continue
        tell(f"Checking the references of {name} ...")
        for leaf in leaves:
            with connection.cursor() as cursor:
                is_there = name in [one for one, *_ in read(cursor, FOREIGN_KEYS, leaf)]
            if not is_there:
                add = f'ALTER TABLE {leaf} ADD CONSTRAINT "{name}" {definition} NOT VALID'
                holding([referred, leaf], "SHARE ROW EXCLUSIVE", add, tell)
            with connection.cursor() as cursor:
                cursor.execute(f'ALTER TABLE {leaf} VALIDATE CONSTRAINT "{name}"')
        adopt = f'ALTER TABLE {COPY} ADD CONSTRAINT "{name}" {definition}'
        holding([referred, COPY], "ACCESS EXCLUSIVE", adopt, tell)


def drop(table: str, tell: Tell) -> None:
    """Drop a table that nobody uses; before it its references, each of which locks what it refers to."""
    with connection.cursor() as cursor:
        tables = [table, *(leaf for (leaf,) in read(cursor, LEAVES, table))]
        references = [(one, *found) for one in tables for found in read(cursor, FOREIGN_KEYS, one)]
    for one, name, _, referred in references:
        statement = f'ALTER TABLE {one} DROP CONSTRAINT "{name}"'
        holding([referred, one], "ACCESS EXCLUSIVE", statement, tell)
    holding([table], "ACCESS EXCLUSIVE", f"DROP TABLE {table}", tell)


def compare() -> None:
    """Raise PartitioningRefused unless the copy holds what the table holds, at one moment."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(DIGEST.format(table=TABLE))
        stored = cursor.fetchall()
        cursor.execute(DIGEST.format(table=COPY))
        copied = cursor.fetchall()
        if stored == copied:
            return
        cursor.execute(DIFFERENT)
        keys = ", ".join(str(key) for (key,) in cursor.fetchall())
    raise PartitioningRefused(
        f"The copy has {copied[0][0]:,} rows, the table {stored[0][0]:,}; they differ in the keys {keys}."
        " Something wrote to the table without its triggers. Nothing was changed; begin anew with --undo."
    )


def swap(cursor: Any) -> None:
    """Let the copy be the table: names of indexes and sequence, triggers, and the table's own name."""
    remove_mirror(cursor)
    cursor.execute("SELECT pg_get_serial_sequence(%s, 'id'), pg_get_serial_sequence(%s, 'id')", [TABLE, COPY])
    [(sequence, next_sequence)] = cursor.fetchall()
    cursor.execute(
        f"SELECT setval('{next_sequence}', last_value, is_called), relname FROM {sequence}"
        f" JOIN pg_class ON oid = '{sequence}'::regclass"
    )
    [(_, name)] = cursor.fetchall()
    rename(cursor, "SEQUENCE", sequence, old(name))
    rename(cursor, "SEQUENCE", next_sequence, name)
    for name, *_ in read(cursor, INDEXES, TABLE):
        rename(cursor, "INDEX", f'"{name}"', old(name))
        rename(cursor, "INDEX", f'"{new(name)}"', name)
    triggers = read(cursor, TRIGGERS, TABLE)
    for name, _ in triggers:
        cursor.execute(f'DROP TRIGGER "{name}" ON {TABLE}')
    rename(cursor, "TABLE", TABLE, OLD)
    rename(cursor, "TABLE", COPY, TABLE)
    cursor.execute(f"COMMENT ON TABLE {TABLE} IS NULL")
    for _, definition in triggers:
        cursor.execute(definition)


# Statements


def read(cursor: Any, statement: str, *tables: str) -> list[tuple[Any, ...]]:
    cursor.execute(statement, tables)
    found: list[tuple[object, ...]] = cursor.fetchall()
    return found


def rename(cursor: Any, kind: str, name: str, to: str) -> None:
    cursor.execute(f'ALTER {kind} {name} RENAME TO "{to}"')


def new(name: str) -> str:
    """Return what an index of the copy is called until the names change; a name has 63 bytes at most."""
    return f"{name[:59]}_new"


def old(name: str) -> str:
    return f"{name[:59]}_old"


def holding(tables: list[str], mode: str, step: str | Callable[[Any], None], tell: Tell) -> None:
    """Run the step, or statement, in a transaction that holds the tables locked; try again until it does.

    It waits for one table only, and while it holds nothing: so never in a circle with a writer, who would
    fail. Each attempt waits for another one. It waits shortly, as all who come later wait behind it.
    """
    for attempt, pause in enumerate((*PAUSES, None)):
        first, *others = [*tables[attempt % len(tables) :], *tables[: attempt % len(tables)]]
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
                cursor.execute(f"LOCK TABLE {first} IN {mode} MODE")
                for table in others:
                    cursor.execute(f"LOCK TABLE {table} IN {mode} MODE NOWAIT")
                if isinstance(step, str):
                    cursor.execute(step)
                else:
                    step(cursor)
                return
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            if pause is not None:
                tell(f"Another session holds a lock that this needs; again in {pause} s.")
                time.sleep(pause)
    raise PartitioningRefused(
        f"Another session holds a lock that this needs; {len(PAUSES) + 1} attempts were made. What is done"
        " stays. End long transactions, or run it again at a quieter time."
    )


@contextmanager
def only_run(tell: Tell) -> Iterator[None]:
    """Let no other run begin, also when it is on another machine."""
    lock = [int(Lock.PARTITIONING), 0]
    with connection.cursor() as cursor:
        for attempt in range(PATIENCE * 10):
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", lock)
            if cursor.fetchone()[0]:
                break
            if attempt == 1:
                tell("Waiting for another run to end ...")
            time.sleep(0.1)
        else:
            raise PartitioningRefused("Another run is at work. Wait for its end.")
    try:
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", lock)
