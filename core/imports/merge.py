"""Merges rows into a table: references resolved, bad rows set apart with a reason, the rest written at once.

The number of statements does not depend on the number of rows. Rows are locked and written in key order, so
that two imports of the same rows wait for each other instead of deadlocking. Rows that are stored as given
already are neither written nor locked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.errors import UniqueViolation

from core.imports.merge_specs import EMPTIED, MergeSpec
from core.imports.merge_statements import (
    GIVEN,
    LOCKED,
    RESOLVED,
    Mode,
    change_finding_statement,
    chosen_rows,
    claim_refusing_statement,
    contested_rows_statement,
    emptying_statement,
    holders_statement,
    holding_statement,
    key_counting_statement,
    locking_statement,
    named_rows,
    naming_statements,
    refusing_statement,
    releasing_statement,
    removing_statement,
    resolving_again_statement,
    resolving_statement,
    scope_counting_statement,
    scope_locking_statement,
    superfluous_rows,
    surveying_statement,
    version_checking_statement,
    writing_statement,
)
from core.unique_claims import Claim, refused_claims

ATTEMPTS = 3
WRITING_MODES = (Mode.UPSERT, Mode.INSERT, Mode.REPLACE)
REFUSALS_AT_ONCE = 1_000
REFUSED = "import_refused"  # a cursor
PLANNING = {"work_mem": "64MB", "seq_page_cost": "0.1", "random_page_cost": "0.1"}
"""How PostgreSQL plans a merge: with memory for each sort and hash join, and with pages that are in memory.

Batch after batch reads the same pages. With its usual costs PostgreSQL looks up each stored membership by the
customer only and compares all that it finds, rather than by the whole key.
"""
COUNTS = ("rows", "created", "changed", "unchanged", "repeated", "removed", "refused")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not applied: its line, a stable name of the reason, a sentence, the row's own text."""

    line: int
    code: str
    message: str
    source: str = ""


@dataclass(slots=True)
class Tally:
    """What became of rows. `repeated` rows were overridden by a later row of the same batch.

    `stored` says how many rows there were before anything was removed: by the key of their scope (see
    MergeSpec), or under 0 for all rows of the kind. `gone` counts the removed rows and those that were
    deleted along with them. `emptied` says of which columns the values would go, and in how many rows; only
    a dry run counts that.
    """

    rows: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    repeated: int = 0
    removed: int = 0
    refused: int = 0
    gone: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    stored: dict[int, int] = field(default_factory=dict)
    emptied: dict[str, int] = field(default_factory=dict)

    def count_refusal(self, refusal: Refusal) -> None:
        """Count a refused row, whose line was counted before."""
        self.refused += 1
        self.reasons[refusal.code] = self.reasons.get(refusal.code, 0) + 1

    @property
    def applied(self) -> int:
        """How many rows were taken, whether or not they changed anything."""
        return self.created + self.changed + self.unchanged + self.repeated + self.removed


@dataclass(frozen=True, slots=True)
class CopiedRows:
    """Rows as COPY's text format has them: quicker than single rows, for whoever can write them so."""

    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Merge:
    """One batch of one kind for one tenant. `write=False` only says what would become of the rows.

    `counts_stored` says whether the tally of a removal says how many rows there were before it. Every refused
    row is passed to `refuse`, by line. `changed` is called in the transaction when anything was written,
    `locked` before rows are locked that others write.
    When all rows are staged and some of them are `postponed`, `refused_later` is called, and returns those
    that are refused for what is stored.
    """

    kind: MergeSpec
    tenant_id: int
    at: datetime
    mode: Mode = Mode.UPSERT
    write: bool = True
    counts_stored: bool = True
    refuse: Callable[[Refusal], None] = lambda refusal: None
    changed: Callable[[], None] | None = None
    locked: Callable[[], None] | None = None
    postponed: Sequence[object] = ()
    refused_later: Callable[[], Iterable[Refusal]] = tuple

    def run(self, rows: Iterable[Sequence[object] | CopiedRows]) -> Tally:
        """Apply rows (see `MergeSpec.stage`) and count what became of them, in one transaction.

        That is the transaction of the caller, if there is one: it cannot go on when this fails.
        """
        with transaction.atomic(savepoint=False), connection.cursor() as cursor:
            stage_rows(cursor, GIVEN, self.kind.stage, rows)
            survey = self.look_up(cursor, resolving_statement(self.kind, self.mode))
            tally = self.apply_resolved(cursor, survey)
            cursor.execute(f"DROP TABLE {GIVEN}")
        return tally

    def look_up(self, cursor: CursorWrapper, resolving: str) -> "Survey":
        """Make `import_resolved` by this statement; say how many of the rows are new, differ, are refused."""
        parameters: dict[str, int | datetime] = {"tenant": self.tenant_id, "at": self.at}
        self.prepare(cursor)
        for refusal in self.refused_later() if self.postponed else ():
            cursor.execute(
                f"UPDATE {GIVEN} SET refusal = ARRAY[%s, %s] WHERE line = %s AND refusal IS NULL",
                [refusal.code, refusal.message, refusal.line],
            )
        for other in self.kind.other_names:
            for statement in naming_statements(self.kind, other):
                cursor.execute(statement, parameters)
        cursor.execute(resolving, parameters)
        cursor.execute(surveying_statement(self.kind))
        return Survey(*cursor.fetchone())

    def prepare(self, cursor: CursorWrapper) -> None:
        """Set how the transaction is planned, and analyze the tables that PostgreSQL wrongly takes for empty.

        It does so after a vacuum that came when nothing in a table was committed yet. Then any index seems as
        good as any other, and each row that is written may be checked against all rows of the tenant: hours
        for a file of some hundred thousand lines.
        """
        cursor.execute(
            "WITH planning AS MATERIALIZED (SELECT set_config(name, value, true)"
            " FROM unnest(%s::text[], %s::text[]) AS setting (name, value))"
            " SELECT relname FROM pg_class WHERE (SELECT count(*) FROM planning) > 0"
            " AND oid = ANY(%s::text[]::regclass[]) AND reltuples = 0 AND relpages > 0 ORDER BY relname",
            [list(PLANNING), list(PLANNING.values()), self.kind.tables],
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"ANALYZE {table}")

    def apply_resolved(self, cursor: CursorWrapper, survey: "Survey") -> Tally:
        """Write the rows of `import_resolved`, or only count what would be written, and drop the table.

        The `survey` of these very rows is made again when some of them may be refused meanwhile.
        """
        may_move = self._judge_unique_values(cursor)
        if may_move:
            survey = self.survey(cursor)
        tally = Tally(rows=survey.rows)
        if self.write:
            self._write_judged(cursor, survey, tally, may_move)
            cursor.execute(f"DROP TABLE {LOCKED}")
        else:
            self._foresee(cursor, tally)
        for refusal in refused_rows(cursor) if survey.refused else ():
            self.refuse(refusal)
            tally.count_refusal(refusal)
        if self.mode is not Mode.DELETE:
            done = tally.created + tally.changed + tally.unchanged
            tally.repeated = tally.rows - tally.refused - done
        cursor.execute(f"DROP TABLE {RESOLVED}")
        if self.changed and self.write and (tally.created or tally.changed or tally.removed):
            self.changed()
        return tally

    def execute(self, cursor: CursorWrapper, statement: str) -> None:
        cursor.execute(statement, {"tenant": self.tenant_id, "at": self.at})

    def _foresee(self, cursor: CursorWrapper, tally: Tally) -> None:
        if self.mode is Mode.DELETE:
            self.count_stored(cursor, tally)
            cursor.execute(
                f"SELECT count(DISTINCT stored_id), count(*) FROM {RESOLVED} WHERE refusal IS NULL"
            )
            tally.removed, accepted = cursor.fetchone()
            tally.gone = tally.removed
            tally.unchanged = accepted - tally.removed
            return
        cursor.execute(
            "SELECT count(*) FILTER (WHERE stored_id IS NULL),"
            " count(*) FILTER (WHERE stored_id IS NOT NULL AND NOT same), count(*) FILTER (WHERE same)"
            f" FROM ({chosen_rows(self.kind)}) AS chosen"
        )
        tally.created, tally.changed, tally.unchanged = cursor.fetchone()
        if EMPTIED in self.kind.notes:
            cursor.execute(emptying_statement(self.kind))
            tally.emptied = {self.kind.column_of_part(part): count for part, count in cursor.fetchall()}
        if self.mode is Mode.REPLACE:
            cursor.execute(f"ANALYZE {RESOLVED}")
            self.count_stored(cursor, tally)
            self.execute(cursor, f"SELECT count(*) {superfluous_rows(self.kind)}")
            [tally.removed] = cursor.fetchone()
            tally.gone = tally.removed

    def count_stored(self, cursor: CursorWrapper, tally: Tally) -> None:
        if not self.counts_stored:
            return
        self.execute(cursor, scope_counting_statement(self.kind))
        tally.stored = dict(cursor.fetchall())

    def survey(self, cursor: CursorWrapper) -> "Survey":
        cursor.execute(surveying_statement(self.kind))
        return Survey(*cursor.fetchone())

    def _judge_unique_values(self, cursor: CursorWrapper) -> bool:
        """Refuse rows that cannot have their unique value in the end; say whether values may change hands."""
        unique = self.kind.unique
        if unique is None or unique.column in self.kind.left_alone or self.mode not in WRITING_MODES:
            return False
        self.execute(cursor, contested_rows_statement(self.kind, unique))
        if not (rows := cursor.fetchall()):
            return False
        claims = [Claim(name, [] if folded is None else [folded]) for _, name, folded, _ in rows]
        values = sorted({value for claim in claims for value in claim.values})
        cursor.execute(holders_statement(self.kind, unique), {"tenant": self.tenant_id, "values": values})
        refused = refused_claims(claims, dict(cursor.fetchall()))
        refusals = [unique.refusal(reason, rows[at][3]) for at, (reason, _) in refused.items()]
        if refused:
            cursor.execute(
                claim_refusing_statement(),
                {
                    "lines": [rows[at][0] for at in refused],
                    "codes": [code for code, _ in refusals],
                    "messages": [message for _, message in refusals],
                },
            )
        return True

    def _write_judged(self, cursor: CursorWrapper, survey: "Survey", tally: Tally, may_move: bool) -> None:
        """Write as `_write` does; judge again when others have taken unique values meanwhile."""
        if self.kind.unique is None:
            self._write(cursor, survey, tally, may_move)
            return
        for _ in range(ATTEMPTS - 1):
            try:
                with transaction.atomic():
                    self._write(cursor, survey, tally, may_move)
                return
            except IntegrityError as violation:
                if not isinstance(violation.__cause__, UniqueViolation):
                    raise
                may_move = self._judge_unique_values(cursor)
                survey.take(self.survey(cursor))
        self._write(cursor, survey, tally, may_move)

    def _write(self, cursor: CursorWrapper, survey: "Survey", tally: Tally, may_move: bool) -> None:
        """Write and count. Unique values change hands if they `may_move`."""
        accepted = survey.accepted
        cursor.execute(f"CREATE TEMPORARY TABLE {LOCKED} (id bigint, version integer) ON COMMIT DROP")
        if self.locked is not None:
            self.locked()
        if self.mode is Mode.DELETE:
            self.count_stored(cursor, tally)
            self.execute(cursor, removing_statement(self.kind, named_rows(self.kind)))
            tally.removed = tally.gone = cursor.rowcount
            tally.unchanged = accepted - tally.removed
            return
        if self.mode is Mode.REPLACE:
            cursor.execute(f"ANALYZE {RESOLVED}")  # joined with all that is stored in the scope
            cursor.execute(scope_locking_statement(self.kind))
            self.count_stored(cursor, tally)
            self.execute(cursor, removing_statement(self.kind, superfluous_rows(self.kind)))
            tally.removed = tally.gone = cursor.rowcount
        if survey.new or survey.differing:
            refused = survey.refused
            self._lock(cursor, survey)
            if may_move:
                if survey.refused > refused:  # whoever was to get their values is refused as well
                    self._judge_unique_values(cursor)
                    survey.refused = self.survey(cursor).refused
                assert self.kind.unique is not None
                self.execute(cursor, releasing_statement(self.kind, self.kind.unique))
            self.execute(cursor, writing_statement(self.kind, self.mode))
            tally.created, tally.changed = cursor.fetchone()
        if tally.created + tally.changed < accepted:  # some are the same, or occur twice
            cursor.execute(key_counting_statement(self.kind))
            tally.unchanged = cursor.fetchone()[0] - tally.created - tally.changed

    def _lock(self, cursor: CursorWrapper, survey: "Survey") -> None:
        """Lock what is named and what will change; refuse rows for what was found out by that."""
        for reference, count in zip(self.kind.references, survey.named, strict=True):
            if not count:
                continue
            cursor.execute(holding_statement(self.kind, reference))
            if cursor.fetchone()[0]:
                cursor.execute(refusing_statement(self.kind, reference))
                survey.refused += cursor.rowcount
        if survey.differing and self.mode is not Mode.INSERT:
            self.execute(cursor, locking_statement(self.kind))
            if self.kind.depends_on_stored:
                cursor.execute(change_finding_statement())
                if cursor.fetchone()[0]:
                    self.execute(cursor, resolving_again_statement(self.kind, self.mode))
                    survey.refused = self.survey(cursor).refused
            if self.kind.versioned:
                cursor.execute(version_checking_statement())
                survey.refused += cursor.rowcount


@dataclass(slots=True)
class Survey:
    """How many rows of a batch are new, differ from what is stored, are as what is stored, and are refused.

    `named` says for each reference how many rows name something.
    """

    new: int
    differing: int
    same: int
    refused: int
    named: Sequence[int]

    def take(self, other: "Survey") -> None:
        """Take the counts of another survey of the same batch."""
        self.new, self.differing, self.same = other.new, other.differing, other.same
        self.refused, self.named = other.refused, other.named

    @property
    def accepted(self) -> int:
        return self.new + self.differing + self.same

    @property
    def rows(self) -> int:
        return self.accepted + self.refused


def refused_rows(cursor: CursorWrapper) -> Iterator[Refusal]:
    """Yield the refused rows by line; the server keeps what was not fetched yet."""
    cursor.execute(
        f"DECLARE {REFUSED} NO SCROLL CURSOR FOR SELECT line, resolved.refusal[1], resolved.refusal[2],"
        f" coalesce(given.source, '') FROM {RESOLVED} AS resolved JOIN {GIVEN} AS given USING (line)"
        " WHERE resolved.refusal IS NOT NULL ORDER BY line"
    )
    while True:
        cursor.execute(f"FETCH {REFUSALS_AT_ONCE} FROM {REFUSED}")
        found = cursor.fetchall()
        yield from (Refusal(*row) for row in found)
        if len(found) < REFUSALS_AT_ONCE:
            break
    cursor.execute(f"CLOSE {REFUSED}")


def stage_rows(
    cursor: CursorWrapper,
    name: str,
    columns: Mapping[str, str],
    rows: Iterable[Sequence[object] | CopiedRows],
    *,
    is_kept: bool = False,
) -> int:
    """Copy rows into a new temporary table, which only this session sees; return how many there are.

    `columns` maps names to PostgreSQL types; a row holds its values in that order, jsonb as text. Needs a
    transaction, since a failed COPY ends one. The caller drops the table; one that `is_kept` outlives the
    transaction.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(f"The stage {name} needs a transaction.")
    described = ", ".join([f"{column} {kind}" for column, kind in columns.items()])
    ending = "PRESERVE ROWS" if is_kept else "DROP"
    cursor.execute(f"CREATE TEMPORARY TABLE {name} ({described}) ON COMMIT {ending}")
    count = 0
    # so that callers meet Django's errors, as of all other statements
    with (
        connection.wrap_database_errors,
        cursor.copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN") as copy,
    ):
        for row in rows:
            if isinstance(row, CopiedRows):
                copy.write(row.text)
                count += row.count
            else:
                copy.write_row(row)
                count += 1
    # The planner knows nothing of a new table, and joins it row by row.
    cursor.execute(f"ANALYZE {name}")
    return count
