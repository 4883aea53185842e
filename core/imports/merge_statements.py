"""The statements of a merge, composed from what a kind says. Every value is a parameter or a staged row."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache

from core.imports.merge_specs import COMPOSED, MergeSpec, OtherName, Reference, Unique
from core.json_values import LARGEST_DOCUMENT

GIVEN = "import_given"
RESOLVED = "import_resolved"
PART = "import_part"
LOCKED = "import_locked"
SUPERFLUOUS = "import_superfluous"
RESULT = re.compile(r"\bresult\.(\w+)")
composed_for_each_spec = lru_cache(maxsize=COMPOSED)


class Mode(StrEnum):
    """What an import does with its rows."""

    UPSERT = "upsert"  # create what is new, change what differs
    INSERT = "insert"  # create; refuse what exists
    REPLACE = "replace"  # upsert, and remove what the file does not hold
    DELETE = "delete"  # remove what the file names


@composed_for_each_spec
def resolving_statement(
    kind: MergeSpec, mode: Mode, *, is_kept: bool = False, after: tuple[int, ...] | None = None
) -> str:
    """Return the statement that makes `import_resolved` of `import_given`: one row a line, keys looked up.

    Its columns: line, expected_version, those of the target that differ from row to row, `stored_id` of the
    row that is there already, its `stored_version`, `same` when that row is as given, and `refusal`. The
    table is dropped with the transaction unless it `is_kept`. Rows up to the key `after` are left out.
    """
    ending = "PRESERVE ROWS" if is_kept else "DROP"
    rows = _resolved_rows(kind, mode)
    if after is not None:
        rows = f"SELECT * FROM ({rows}) AS resolved WHERE {_is_behind(kind, after)}"
    return f"CREATE TEMPORARY TABLE {RESOLVED} ON COMMIT {ending} AS {rows}"


def _slice_key(kind: MergeSpec) -> tuple[list[str], str]:
    """Return the key that rows are sliced by, and the condition of rows that lack a part of it.

    It is the key read backwards: all memberships of a customer are in one slice, so that each customer is
    locked in one transaction, and a slice touches one stretch of the index of each segment.
    """
    names = [name for name in reversed(kind.target.key) if name in kind.varying]
    key = [f"coalesce({name}, 0)" if name in kind.nullable else name for name in names]
    required = [f"{name} IS NULL" for name in names if name not in kind.nullable]
    return key, f"({' OR '.join(required)})"


def _is_behind(kind: MergeSpec, after: Sequence[int]) -> str:
    """Return the condition of rows that come behind the key, in the order of slices."""
    key, incomplete = _slice_key(kind)
    return f"{incomplete} OR ({', '.join(key)}) > ({', '.join(str(int(part)) for part in after)})"


@composed_for_each_spec
def slicing_statements(kind: MergeSpec) -> tuple[str, str]:
    """Return the statements that make `import_part`, sorted by key, and `import_resolved` of a slice of it.

    Rows of one key have the same `position`, the number of rows before them.
    """
    key, incomplete = _slice_key(kind)
    order = ", ".join([incomplete, *key])
    sort = (
        f"CREATE TEMPORARY TABLE {PART} AS SELECT *, rank() OVER (ORDER BY {order}) - 1 AS position"
        f" FROM {RESOLVED} ORDER BY {order}; CREATE INDEX ON {PART} USING brin (position)"
        f" WITH (pages_per_range = 32); ANALYZE {PART} (position)"
    )
    take = (
        f"CREATE TEMPORARY TABLE {RESOLVED} ON COMMIT DROP AS SELECT * FROM {PART}"
        " WHERE position >= %(begin)s AND position < %(end)s"
    )
    return sort, take


@composed_for_each_spec
def key_reading_statement(kind: MergeSpec) -> str:
    """Return the statement that reads the last key of a slice; none when all its rows lack a part of it."""
    key, incomplete = _slice_key(kind)
    descending = ", ".join(f"{part} DESC" for part in key)
    return f"SELECT {', '.join(key)} FROM {RESOLVED} WHERE NOT {incomplete} ORDER BY {descending} LIMIT 1"


def _resolved_rows(kind: MergeSpec, mode: Mode) -> str:
    values = _values(kind)
    joins = [
        f"LEFT JOIN {reference.table} AS {reference.alias} ON {reference.alias}.tenant_id = %(tenant)s"
        f" AND {reference.alias}.{reference.identifier} = given.{reference.column}"
        f" AND {reference.condition}"
        for reference in kind.references
    ]
    key = " AND ".join(
        f"coalesce(stored.{name}, 0) = coalesce({values[name]}, 0)"
        if name in kind.nullable
        else f"stored.{name} = {values[name]}"
        for name in kind.target.key
    )
    joins.append(f"LEFT JOIN {kind.target.table} AS stored ON {key}")
    columns = [
        "given.line",
        "given.expected_version",
        *(f"{values[name]} AS {name}" for name in kind.varying),
        "stored.id AS stored_id",
        f"{'stored.version' if kind.versioned else 'NULL::integer'} AS stored_version",
        f"stored.id IS NOT NULL AND {_same(kind, values)} AS same",
        f"CASE {' '.join(_refusals(kind, mode, values))} END AS refusal",
    ]
    return f"SELECT {', '.join(columns)} FROM {GIVEN} AS given {' '.join(joins)}"


@composed_for_each_spec
def resolving_again_statement(kind: MergeSpec, mode: Mode) -> str:
    """Return the statement that resolves those rows again whose stored row changed before it was locked."""
    names = [name for name in kind.varying if name not in kind.target.key]
    assignments = ", ".join(f"{name} = fresh.{name}" for name in [*names, "same", "refusal"])
    return (
        f"UPDATE {RESOLVED} AS resolved SET {assignments} FROM ({_resolved_rows(kind, mode)}"
        f" WHERE given.line IN (SELECT line FROM {RESOLVED} AS earlier JOIN {LOCKED} AS locked"
        " ON locked.id = earlier.stored_id WHERE earlier.refusal IS NULL"
        " AND locked.version <> earlier.stored_version)) AS fresh WHERE fresh.line = resolved.line"
    )


def change_finding_statement() -> str:
    """Return the statement that says whether a stored row changed before it was locked."""
    return (
        f"SELECT EXISTS (SELECT FROM {RESOLVED} AS earlier JOIN {LOCKED} AS locked"
        " ON locked.id = earlier.stored_id WHERE locked.version <> earlier.stored_version)"
    )


@composed_for_each_spec
def naming_statements(kind: MergeSpec, other: OtherName) -> tuple[str, str]:
    """Return the statements that replace other names by ids, and refuse rows whose name is unknown."""
    reference = kind.reference(other.reference)
    stored = other.folded.format(value=f"named.{other.identifier}")
    given = other.folded.format(value=f"given.{other.column}")
    find = (
        f"UPDATE {GIVEN} AS given SET {reference.column} = named.{reference.identifier}"
        f" FROM {reference.table} AS named WHERE named.tenant_id = %(tenant)s AND {stored} = {given}"
        f" AND {reference.condition.replace(f'{reference.alias}.', 'named.')}"
    )
    refuse = (
        f"UPDATE {GIVEN} SET refusal = ARRAY['{reference.code}', 'There is no {other.noun} '"
        f" || {other.column} || '.'] WHERE {other.column} IS NOT NULL AND {reference.column} IS NULL"
        " AND refusal IS NULL"
    )
    return find, refuse


def contested_rows_statement(kind: MergeSpec, unique: Unique) -> str:
    """Return the statement that reads the accepted rows among which a unique value may change hands.

    These are all rows of whoever asks for a value that another row asks for or has, and of whoever has it.
    It answers line, key of the target (id), the folded value and the value, by line.
    """
    name = _own_key(kind)
    own, stored = (_folded(unique, table) for table in ("resolved", "holder"))
    return (
        f"WITH contested AS MATERIALIZED (SELECT {own} AS value FROM {RESOLVED} AS resolved"
        f" JOIN {kind.target.table} AS holder ON holder.tenant_id = %(tenant)s AND {stored} = {own}"
        f" AND holder.{name} <> resolved.{name} WHERE refusal IS NULL"
        f" UNION SELECT {own} FROM {RESOLVED} AS resolved"
        f" WHERE refusal IS NULL AND {unique.column} IS NOT NULL"
        f" GROUP BY {own} HAVING min({name}) <> max({name})),"
        f" named AS (SELECT {name} FROM {RESOLVED} AS resolved JOIN contested ON value = {own}"
        f" WHERE refusal IS NULL UNION SELECT {name} FROM {kind.target.table} AS holder"
        f" JOIN contested ON holder.tenant_id = %(tenant)s AND value = {stored})"
        f" SELECT line, {name}, {own}, {unique.column} FROM {RESOLVED} AS resolved"
        f" WHERE refusal IS NULL AND {name} IN (SELECT {name} FROM named) ORDER BY line"
    )


def holders_statement(kind: MergeSpec, unique: Unique) -> str:
    """Return the statement that reads which rows have the folded `values`: value and key of the target."""
    stored = _folded(unique, "holder")
    return (
        f"SELECT {stored}, holder.{_own_key(kind)} FROM {kind.target.table} AS holder"
        f" WHERE holder.tenant_id = %(tenant)s AND {stored} = ANY(%(values)s::text[])"
    )


def claim_refusing_statement() -> str:
    """Return the statement that refuses `lines`, each with its code and message."""
    return (
        f"UPDATE {RESOLVED} AS resolved SET refusal = ARRAY[given.code, given.message]"
        " FROM unnest(%(lines)s::bigint[], %(codes)s::text[], %(messages)s::text[])"
        " AS given (line, code, message) WHERE given.line = resolved.line"
    )


def releasing_statement(kind: MergeSpec, unique: Unique) -> str:
    """Return the statement that takes unique values from stored rows which give them to other rows."""
    return (
        f"UPDATE {kind.target.table} AS holder SET {unique.column} = NULL"
        f" FROM {RESOLVED} AS resolved WHERE resolved.refusal IS NULL AND holder.tenant_id = %(tenant)s"
        f" AND {_folded(unique, 'holder')} = {_folded(unique, 'resolved')}"
        f" AND holder.id IS DISTINCT FROM resolved.stored_id"
    )


def _own_key(kind: MergeSpec) -> str:
    """Return the column that tells rows of the tenant apart."""
    [name] = [name for name in kind.target.key if name != "tenant_id"]
    return name


def _folded(unique: Unique, table: str) -> str:
    return unique.folded.format(value=f"{table}.{unique.column}")


def emptying_statement(kind: MergeSpec) -> str:
    """Return the statement that counts the parts of stored rows which would be emptied, by part."""
    differing = [
        f"WHEN part = '{name}' THEN stored.{name} IS DISTINCT FROM chosen.{name}"
        + (f" AND nullif(stored.{name}, '{{}}') IS NOT NULL" if kind.target.columns[name] == "jsonb" else "")
        for name in kind.compared
        if name in kind.varying
    ]
    members = [
        f"WHEN starts_with(part, '{name}.') THEN stored.{name} ? substr(part, {len(name) + 2})"
        for name in sorted(kind.merged)
    ]
    return (
        f"SELECT part, count(*) FROM ({chosen_rows(kind)}) AS chosen"
        f" JOIN {GIVEN} AS given USING (line)"
        f" JOIN {kind.target.table} AS stored ON stored.id = chosen.stored_id"
        " CROSS JOIN unnest(given.emptied) AS part WHERE NOT chosen.same"
        f" AND CASE WHEN part IS NULL THEN FALSE {' '.join([*differing, *members])} ELSE FALSE END"
        " GROUP BY part ORDER BY part"
    )


def _values(kind: MergeSpec) -> dict[str, str]:
    """Return the expression of each column of the row as it is to be written."""
    values = {}
    whole = {part for part in kind.parts.values() if "." not in part}
    for name, type_name in kind.target.columns.items():
        given = f"({kind.values[name]})::{type_name}"
        if type_name == "timestamptz" and kind.values[name] == f"given.{name}":
            # The API and exports show milliseconds: a row that gives them means what is stored.
            stored = f"stored.{name}"
            given = f"CASE WHEN date_trunc('milliseconds', {stored}) = {given} THEN {stored} ELSE {given} END"
        if kind.spoken and name in kind.merged:
            members = (
                f"ARRAY(SELECT substr(part, {len(name) + 2}) FROM unnest({kind.spoken}) AS part"
                f" WHERE starts_with(part, '{name}.')"
                f" AND stored.{name} -> substr(part, {len(name) + 2}) IS DISTINCT FROM '\"\"')"
            )
            values[name] = (
                f"CASE WHEN stored.id IS NULL OR '{name}' = ANY({kind.spoken}) THEN {given}"
                f" ELSE (stored.{name} - {members}) || {given} END"
            )
        elif kind.spoken and name in whole:
            values[name] = (
                f"CASE WHEN stored.id IS NULL OR '{name}' = ANY({kind.spoken}) THEN {given}"
                f" ELSE stored.{name} END"
            )
        else:
            values[name] = given
    return values


def _same(kind: MergeSpec, values: dict[str, str]) -> str:
    if not kind.compared:
        return "TRUE"
    stored = ", ".join(f"stored.{name}" for name in kind.compared)
    given = ", ".join(values[name] for name in kind.compared)
    return f"ROW({stored}) IS NOT DISTINCT FROM ROW({given})"


def _with_results(condition: str, values: Mapping[str, str]) -> str:
    return RESULT.sub(lambda found: f"({values[found[1]]})", condition)


def _refusals(kind: MergeSpec, mode: Mode, values: Mapping[str, str]) -> list[str]:
    cases = ["WHEN given.refusal IS NOT NULL THEN given.refusal"]
    cases += [
        f"WHEN given.{reference.column} IS NOT NULL AND {reference.alias}.id IS NULL THEN"
        f" ARRAY['{reference.code}', 'There is no {reference.noun} ' || given.{reference.column} || '.']"
        for reference in kind.references
    ]
    cases += [
        f"WHEN {_with_results(check.condition, values)} THEN ARRAY['{check.code}', {check.message}]"
        for check in kind.checks
        if mode is not Mode.DELETE or check.concerns_removal
    ]
    if kind.spoken and mode is not Mode.DELETE:
        cases += _size_refusal(kind, values)
    if kind.versioned:
        cases.append(
            "WHEN given.expected_version <> stored.version THEN ARRAY['version_conflict',"
            " format('Version %%s was sent, version %%s is stored.', given.expected_version, stored.version)]"
        )
    if mode is Mode.INSERT:
        cases.append("WHEN stored.id IS NOT NULL THEN ARRAY['already_exists', 'The row exists already.']")
    return cases


def _size_refusal(kind: MergeSpec, values: Mapping[str, str]) -> list[str]:
    """Return the case of a row that makes a stored document larger than one may be, and than it was.

    The row itself is bounded when it is read; what counts here is the row with the columns that it leaves as
    they are. The texts are written out only where one of the two is large: `pg_column_size` reads no more
    than the head of a value, compressed by a factor of 250 at most.
    """
    documents = [name for name in kind.varying if kind.target.columns[name] == "jsonb"]
    if not documents:
        return []
    sizes = [
        " + ".join(f"coalesce(octet_length(({value})::text), 0)" for value in members)
        for members in ([f"stored.{name}" for name in documents], [values[name] for name in documents])
    ]
    large = [f"pg_column_size(stored.{name}) > {LARGEST_DOCUMENT // 1_000}" for name in documents]
    large.append(f"octet_length(given.source) > {LARGEST_DOCUMENT // 2}")
    stored, result = sizes
    limit = LARGEST_DOCUMENT // 1024
    return [
        f"WHEN CASE WHEN stored.id IS NOT NULL AND ({' OR '.join(large)})"
        f" THEN {result} > greatest({LARGEST_DOCUMENT}, {stored}) ELSE FALSE END"
        f" THEN ARRAY['document_too_large', 'The document would have ' || ({result}) / 1024 || ' KB; the"
        f" limit is {limit} KB. Keep large contents elsewhere, and their addresses here.']"
    ]


@composed_for_each_spec
def surveying_statement(kind: MergeSpec) -> str:
    """Return the statement that counts `import_resolved`: new, differing, same and refused rows, and named.

    `named` is an array: how many rows name something, for each reference.
    """
    named = ", ".join(f"count({kind.column_of(reference)})" for reference in kind.references)
    return (
        "SELECT count(*) FILTER (WHERE refusal IS NULL AND stored_id IS NULL),"
        " count(*) FILTER (WHERE refusal IS NULL AND stored_id IS NOT NULL AND NOT same),"
        f" count(*) FILTER (WHERE refusal IS NULL AND same), count(refusal), ARRAY[{named}]::bigint[]"
        f" FROM {RESOLVED}"
    )


@composed_for_each_spec
def key_counting_statement(kind: MergeSpec) -> str:
    """Return the statement that counts the keys of the accepted rows."""
    key = ", ".join(name for name in kind.target.key if name in kind.varying)
    return f"SELECT count(*) FROM (SELECT DISTINCT {key} FROM {RESOLVED} WHERE refusal IS NULL) AS keys"


@composed_for_each_spec
def chosen_rows(kind: MergeSpec) -> str:
    """A SELECT of the accepted rows, one a key: the last line counts."""
    key = ", ".join(name for name in kind.target.key if name in kind.varying)
    return f"SELECT DISTINCT ON ({key}) * FROM {RESOLVED} WHERE refusal IS NULL ORDER BY {key}, line DESC"


@composed_for_each_spec
def named_rows(kind: MergeSpec) -> str:
    """The stored rows that accepted lines name."""
    return (
        f"FROM {kind.target.table} AS stored"
        f" WHERE stored.id IN (SELECT stored_id FROM {RESOLVED} WHERE refusal IS NULL)"
    )


@composed_for_each_spec
def superfluous_rows(kind: MergeSpec) -> str:
    """The stored rows of the named scopes that no line names, refused lines included.

    They are compared by their keys: another import may have created rows since these lines were resolved.
    """
    same_key = " AND ".join(
        f"coalesce(named.{name}, 0) = coalesce(stored.{name}, 0)"
        if name in kind.nullable
        else f"named.{name} = stored.{name}"
        for name in kind.target.key
        if name in kind.varying
    )
    return (
        f"FROM {kind.target.table} AS stored WHERE stored.tenant_id = %(tenant)s"
        f" AND stored.{kind.scope} IN (SELECT {kind.scope} FROM {RESOLVED}) AND {kind.replaced}"
        f" AND NOT EXISTS (SELECT FROM {RESOLVED} AS named WHERE {same_key})"
    )


def superfluous_keeping_statement(kind: MergeSpec) -> str:
    """Return the statement that keeps the keys of superfluous rows in a temporary table, in key order."""
    return (
        f"CREATE TEMPORARY TABLE {SUPERFLUOUS} ON COMMIT PRESERVE ROWS AS"
        f" SELECT stored.id, row_number() OVER (ORDER BY {_ordered(kind)}) - 1 AS position"
        f" {superfluous_rows(kind)}"
    )


def superfluous_slice(kind: MergeSpec, begin: int, end: int) -> str:
    """The stored rows of a slice of the superfluous ones."""
    return (
        f"FROM {kind.target.table} AS stored WHERE stored.id IN"
        f" (SELECT id FROM {SUPERFLUOUS} WHERE position >= {begin} AND position < {end})"
    )


def position_finding_statement(kind: MergeSpec, after: Sequence[int]) -> str:
    """Return the statement that finds the position in `import_part` behind the key `after`."""
    return f"SELECT min(position) FROM {PART} WHERE {_is_behind(kind, after)}"


@composed_for_each_spec
def removing_statement(kind: MergeSpec, rows: str) -> str:
    """Return the statement that removes rows, locked in key order."""
    return (
        f"WITH locked AS MATERIALIZED (SELECT stored.id {rows} ORDER BY {_ordered(kind)} FOR UPDATE)"
        f" DELETE FROM {kind.target.table} AS stored USING locked WHERE stored.id = locked.id"
    )


@composed_for_each_spec
def holding_statement(kind: MergeSpec, reference: Reference) -> str:
    """Return the statement that keeps what rows name from being deleted; it answers how many are missing."""
    key = kind.column_of(reference)
    return (
        f"WITH named AS MATERIALIZED (SELECT DISTINCT {key} AS id FROM {RESOLVED}"
        f" WHERE refusal IS NULL AND NOT same AND {key} IS NOT NULL),"
        f" held AS MATERIALIZED (SELECT id FROM {reference.table}"
        " WHERE id IN (SELECT id FROM named) ORDER BY id FOR KEY SHARE)"
        " SELECT (SELECT count(*) FROM named) - (SELECT count(*) FROM held)"
    )


@composed_for_each_spec
def refusing_statement(kind: MergeSpec, reference: Reference) -> str:
    """Return the statement that refuses rows whose reference was deleted before it could be held."""
    key = kind.column_of(reference)
    return (
        f"UPDATE {RESOLVED} SET refusal = ARRAY['{reference.code}', 'The {reference.noun} was deleted.']"
        f" WHERE refusal IS NULL AND {key} IS NOT NULL AND NOT EXISTS"
        f" (SELECT FROM {reference.table} AS named WHERE named.id = {RESOLVED}.{key})"
    )


@composed_for_each_spec
def scope_locking_statement(kind: MergeSpec) -> str:
    """Return the statement that lets one replacement of a scope wait for another."""
    [scope] = [reference for reference in kind.references if kind.column_of(reference) == kind.scope]
    return (
        f"SELECT FROM {scope.table} WHERE id IN (SELECT {kind.scope} FROM {RESOLVED})"
        " ORDER BY id FOR NO KEY UPDATE"
    )


@composed_for_each_spec
def scope_counting_statement(kind: MergeSpec) -> str:
    """Return the statement that counts the stored rows of each named scope, by its key."""
    return (
        f"SELECT {kind.scope}, count(*) FROM {kind.target.table} WHERE tenant_id = %(tenant)s"
        f" AND {kind.scope} IN (SELECT {kind.scope} FROM {RESOLVED}) GROUP BY {kind.scope}"
    )


@composed_for_each_spec
def locking_statement(kind: MergeSpec) -> str:
    """Return the statement that locks the rows about to change, in key order, and notes their versions."""
    version = "stored.version" if kind.versioned else "NULL::integer AS version"
    return (
        f"WITH locked AS MATERIALIZED (SELECT stored.id, {version} FROM {kind.target.table} AS stored"
        f" WHERE stored.id IN (SELECT stored_id FROM {RESOLVED} WHERE refusal IS NULL AND NOT same)"
        f" ORDER BY {_ordered(kind)} FOR UPDATE)"
        f" INSERT INTO {LOCKED} SELECT id, version FROM locked"
    )


def version_checking_statement() -> str:
    """Return the statement that refuses rows whose version changed before the lock was had."""
    return (
        f"UPDATE {RESOLVED} AS resolved SET refusal = ARRAY['version_conflict',"
        " format('Version %s was sent, version %s is stored.', expected_version, locked.version)]"
        f" FROM {LOCKED} AS locked WHERE locked.id = resolved.stored_id AND resolved.refusal IS NULL"
        " AND resolved.expected_version <> locked.version"
    )


@composed_for_each_spec
def writing_statement(kind: MergeSpec, mode: Mode) -> str:
    """Return the INSERT ... ON CONFLICT of a merge.

    It answers how many rows were created and changed. Another import may create a row in between: then it is
    updated here where it differs. A row that was created has the first version, which no change leaves; where
    there are no versions, no other transaction has written it (a partitioned table cannot tell that).
    """
    target = kind.target
    key, names = ", ".join(target.key), list(target.columns)
    values = _values(kind)
    chosen = [name if name in kind.varying else values[name] for name in names]
    if kind.versioned:
        names.append("version")
        chosen.append(str(target.first_version))
    ordered = ", ".join(name for name in target.key if name in kind.varying)
    created = f"stored.version = {target.first_version}" if kind.versioned else "xmax = 0"
    return (
        f"WITH merged AS (INSERT INTO {target.table} AS stored ({', '.join(names)})"
        f" SELECT {', '.join(chosen)} FROM ({chosen_rows(kind)}) AS chosen WHERE NOT same ORDER BY {ordered}"
        f" ON CONFLICT ({key}) {_resolution(kind, mode)}"
        f" RETURNING {created} AS created)"
        " SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created) FROM merged"
    )


def _resolution(kind: MergeSpec, mode: Mode) -> str:
    if mode is Mode.INSERT or not kind.compared:
        return "DO NOTHING"
    target = kind.target
    kept = {*target.created_only, *target.key, *kind.left_alone}
    changing = [name for name in target.columns if name not in kept]
    assignments = [f"{name} = excluded.{name}" for name in changing]
    if kind.versioned:
        assignments.append("version = stored.version + 1")
    stored = ", ".join(f"stored.{name}" for name in kind.compared)
    given = ", ".join(f"excluded.{name}" for name in kind.compared)
    return f"DO UPDATE SET {', '.join(assignments)} WHERE ROW({stored}) IS DISTINCT FROM ROW({given})"


def _ordered(kind: MergeSpec) -> str:
    return ", ".join(f"stored.{name}" for name in kind.target.key)
