"""What the import engine knows of a kind of row: where its parts go, what they name, what they must keep."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

from core.sql.upserts import UpsertTarget
from core.unique_claims import Taken

ROW_COLUMNS: Mapping[str, str] = {
    "line": "bigint",
    "source": "text",
    "refusal": "text[]",
    "expected_version": "integer",
}
"""What every row begins with: its line, its text, why reading it failed, the version it expects."""

COMPOSED = 64  # specs, and statements of each kind, that are kept: those of the headers that come again
SPOKEN, EMPTIED = "spoken", "emptied"
SPOKEN_BY_ROW = f"given.{SPOKEN}"


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
class OtherName:
    """A staged column that names what a reference names by something else than its id, such as an e-mail.

    It is `member` in files. `folded` makes of `{value}`, an expression, what is compared with `identifier`,
    made the same way; equal ones are one row.
    """

    column: str
    member: str
    reference: str
    identifier: str
    noun: str
    folded: str = "{value}"


@dataclass(frozen=True, slots=True)
class Check:
    """A rule over a whole row: refused with `code` where `condition` holds, both in SQL.

    `message` is an expression. `given` is the row, references have their aliases, `stored` is the row
    that is there already, and `result` is the row as it would be written. A row that is named to be removed
    keeps only the rules that concern it.
    """

    code: str
    condition: str
    message: str
    concerns_removal: bool = False


@dataclass(frozen=True, slots=True)
class Unique:
    """A column of the target whose values are unique in the tenant; rows that have none hold NULL.

    `folded` is what is unique of `{value}`, an expression. A row is refused with `<code>_taken` when a stored
    row keeps the value, and with `<code>_repeated` when an earlier line gets it. `noun` is that of the value,
    `owner` of what has it.
    """

    column: str
    code: str
    noun: str
    owner: str
    folded: str = "{value}"

    def refusal(self, reason: Taken, value: str) -> list[str]:
        """Return the code and the message."""
        if reason is Taken.STORED:
            return [f"{self.code}_taken", f"The {self.noun} {value} belongs to another {self.owner}."]
        message = f"An earlier line gives the {self.noun} {value} to another {self.owner}."
        return [f"{self.code}_repeated", message]


WINDOW_CHECK = Check(
    code="invalid_input",
    condition="result.valid_from > result.valid_to",
    message="'validity.from must not be later than validity.to.'",
)
"""A window of which a row gives one end, and the other is stored."""


@dataclass(frozen=True, eq=False)  # composed statements are kept for each one
class MergeSpec:
    """A kind of row that is merged into one table by statements over all rows at once.

    `given` maps the parts of a row to PostgreSQL types. `values` says what goes into each column of the
    target, as expressions over `given` and the references; %(tenant)s and %(at)s are the tenant's key
    and the instant of the import. `nullable` are key columns that may hold no value. `stamps` are columns
    that change only along with others. `references` are locked in their order. `scope` is the key column
    within which `replace` makes the rows exactly the file's; `replaced` is the condition of the `stored` rows
    that it removes, others stay. Rows may name what references name by
    `other_names`. Values of the `unique` column may change hands among the rows. `parts` maps columns of a
    file to columns of the target: `email`, or to a member of a jsonb column, `details.vendor`; `name.*` is
    all members of a localized column. A row that has no such column keeps the stored value. `spoken`
    is an expression: the parts that a row has, as text[]; without it a row has all of them. `left_alone` are
    columns that no row has. `notes` are text[] columns that staged rows have at their end: the parts that
    they have (`spoken`) and that they empty (`emptied`).
    """

    name: str
    target: UpsertTarget
    given: Mapping[str, str]
    values: Mapping[str, str]
    references: tuple[Reference, ...] = ()
    checks: tuple[Check, ...] = ()
    stamps: frozenset[str] = field(default=frozenset({"modified_at"}))
    versioned: bool = True
    nullable: frozenset[str] = frozenset()
    scope: str = ""
    replaced: str = "true"
    unique: Unique | None = None
    other_names: tuple[OtherName, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    spoken: str = ""
    left_alone: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @cached_property
    def stage(self) -> dict[str, str]:
        """The columns of the temporary table that rows of this kind are copied into."""
        return {**ROW_COLUMNS, **self.given, **dict.fromkeys(self.notes, "text[]")}

    @cached_property
    def tables(self) -> list[str]:
        """The tables that a merge reads and writes."""
        return sorted({self.target.table, *(one.table for one in self.references)})

    def reference(self, alias: str) -> Reference:
        return next(reference for reference in self.references if reference.alias == alias)

    @cached_property
    def merged(self) -> frozenset[str]:
        """The jsonb columns of which rows have single members."""
        return frozenset(part.partition(".")[0] for part in self.parts.values() if "." in part)

    @cached_property
    def depends_on_stored(self) -> bool:
        """Whether a value that is written may depend on the stored row, so that this must be locked first."""
        return self.spoken == SPOKEN_BY_ROW or bool(self.spoken and self.merged)

    def part_of(self, name: str) -> str | None:
        """Return the part of a column of a file, such as `name.en`; None for one that is no part."""
        if name in self.parts:
            return self.parts[name].removesuffix(".*")
        column, _, member = name.rpartition(".")
        part = self.parts.get(column, "")
        return f"{part[:-1]}{member}" if part.endswith(".*") else None

    def column_of_part(self, part: str) -> str:
        """Return the name that a part has in files."""
        names = {value.removesuffix(".*"): name for name, value in self.parts.items()}
        column, _, member = part.partition(".")
        return names[part] if part in names else f"{names[column]}.{member}"

    def parts_of(self, names: Iterable[str]) -> list[str]:
        """Return the parts of these columns of a file."""
        return [part for name in names if (part := self.part_of(name)) is not None]

    @cached_property
    def compared(self) -> tuple[str, ...]:
        """The columns whose difference makes a stored row a changed one."""
        apart = {*self.target.key, *self.target.created_only, *self.stamps, *self.left_alone}
        return tuple(name for name in self.target.columns if name not in apart)

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """The columns whose values differ from row to row; the others are the same for a whole import."""
        return tuple(name for name in self.target.columns if "." in self.values[name])

    def column_of(self, reference: Reference) -> str:
        """Return the column of the target that holds the key of what the reference names."""
        return next(name for name, value in self.values.items() if value == f"{reference.alias}.id")


@lru_cache(maxsize=COMPOSED)
def spec_for_batch(
    spec: MergeSpec, header: tuple[str, ...], *, updates: bool, counts_emptied: bool
) -> MergeSpec:
    """Return the spec as rows of a batch are merged by it: what they do not have stays as it is.

    With a `header` each row has its columns and no others; without one each says itself which it has.
    """
    if header and spec.other_names:
        spoken = tuple(other for other in spec.other_names if other.member in header)
        spec = replace(spec, other_names=spoken)
    if not spec.parts or not updates:
        return spec
    if not header:
        notes = (SPOKEN, EMPTIED) if counts_emptied else (SPOKEN,)
        return replace(spec, spoken=SPOKEN_BY_ROW, notes=notes)
    parts = spec.parts_of(header)
    quoted = ", ".join("'" + part.replace("'", "''").replace("%", "%%") + "'" for part in parts)
    whole = {part for part in spec.parts.values() if "." not in part}
    return replace(
        spec,
        spoken=f"ARRAY[{quoted}]::text[]",
        notes=(EMPTIED,) if counts_emptied else (),
        left_alone=frozenset(whole.difference(parts)) | spec.merged.difference(_columns_of(parts)),
    )


def _columns_of(parts: Iterable[str]) -> set[str]:
    return {part.partition(".")[0] for part in parts}


def plain_values(columns: Mapping[str, str]) -> dict[str, str]:
    """Return the expressions of columns that hold what the row gives under the same name."""
    return {name: f"given.{name}" for name in columns}
