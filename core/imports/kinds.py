"""What the import engine knows of a kind of row: where its parts go, what they name, what they must keep."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.upserts import UpsertTarget

ROW_COLUMNS: Mapping[str, str] = {
    "line": "bigint",
    "source": "text",
    "refusal": "text[]",
    "expected_version": "integer",
}
"""What every row begins with: its line, its text, why reading it failed, the version it expects."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A part of a row that names a row of another table by its id.

    `alias` is what the table is called in expressions, and gives the refusal its name (`unknown_customer`).
    A part that is absent names nothing and is not refused.
    """

    alias: str
    table: str
    column: str
    noun: str
    identifier: str = "external_id"
    condition: str = "TRUE"

    @property
    def code(self) -> str:
        """The refusal of a row that names what does not exist."""
        return f"unknown_{self.alias}"


@dataclass(frozen=True, slots=True)
class Check:
    """A rule over a whole row: refused with `code` where `condition` holds, both in SQL.

    `message` is an expression. `given` is the row, references stand under their aliases, and `stored` is
    the row that is there already. A row that is named to be removed keeps only the rules that concern it.
    """

    code: str
    condition: str
    message: str
    concerns_removal: bool = False


@dataclass(frozen=True, slots=True)
class TableKind:
    """A kind of row that is merged into one table by statements over all rows at once.

    `given` maps the parts of a row to PostgreSQL types. `values` says what goes into each column of the
    target, as expressions over `given` and the references; %(tenant)s and %(at)s stand for the tenant's
    key and the instant of the import. `nullable` are key columns that may hold no value. `stamps` are
    columns that change only along with others. `references` are locked in their order, `joins` stand in
    front of them. `scope` is the key column within which `replace` makes the rows exactly the file's.
    """

    name: str
    target: UpsertTarget
    given: Mapping[str, str]
    values: Mapping[str, str]
    references: tuple[Reference, ...] = ()
    checks: tuple[Check, ...] = ()
    joins: str = ""
    stamps: frozenset[str] = field(default=frozenset({"modified_at"}))
    versioned: bool = True
    nullable: frozenset[str] = frozenset()
    scope: str = ""

    @property
    def stage(self) -> dict[str, str]:
        """The columns of the temporary table that rows of this kind are copied into."""
        return {**ROW_COLUMNS, **self.given}

    @property
    def compared(self) -> tuple[str, ...]:
        """The columns whose difference makes a stored row a changed one."""
        apart = {*self.target.key, *self.target.created_only, *self.stamps}
        return tuple(name for name in self.target.columns if name not in apart)

    @property
    def varying(self) -> tuple[str, ...]:
        """The columns whose values differ from row to row; the others are the same for a whole import."""
        return tuple(name for name in self.target.columns if "." in self.values[name])

    def column_of(self, reference: Reference) -> str:
        """Return the column of the target that holds the key of what the reference names."""
        return next(name for name, value in self.values.items() if value == f"{reference.alias}.id")


def plain_values(columns: Mapping[str, str]) -> dict[str, str]:
    """Return the expressions of columns that hold what the row gives under the same name."""
    return {name: f"given.{name}" for name in columns}


def earlier_holder(value: str, given: str) -> str:
    """Return the join of `earlier`: the first line that gives the same unique value to another id."""
    return (
        f"LEFT JOIN (SELECT DISTINCT ON ({value}) {value} AS value, external_id, line FROM import_given"
        f" WHERE {value} IS NOT NULL ORDER BY {value}, line) AS earlier"
        f" ON earlier.value = {given} AND earlier.external_id <> given.external_id"
    )
