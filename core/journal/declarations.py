"""Which tables the journal records, and how. Each app declares its models in `<app>/journal.py`.

`AppConfig.ready` registers them; the triggers are made from what is registered (core/journal/triggers.py).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import models

from core.sql.composition import Sql

Statements = Mapping[str, str]
"""What a table's triggers do besides, by event (INSERT, UPDATE, DELETE): statements of PL/pgSQL.

They find the rows of the statement in `before` (UPDATE, DELETE) and `changed` (INSERT, UPDATE). How many
there are is `rows_written`, except after an UPDATE of documents that are not appended (`is_appended`).
`least_tenant` and `greatest_tenant` are the tenants of assignments, and of appended documents after an
UPDATE. What is not known may be NULL.
"""
EVENTS = ("INSERT", "UPDATE", "DELETE")
ALTERNATIVES = "/* stored {table} */{statements}/* else */{otherwise}/* end */"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A model whose changes the journal records under the name `object`.

    `derived` are columns that follow from others, or tell nothing of interest: a change of only them is not
    recorded. Of `secret` columns the journal says that they changed, and never what they hold. `follow` is
    what else the triggers do; `replaces` names triggers that did so before and are dropped. `complete` makes
    a SELECT of past rows of a tenant into one that has their derived columns as well. `events` are what is
    recorded, for tables of which some kinds of changes are of no interest.
    """

    model: type[models.Model]
    object: str
    derived: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    follow: Statements = field(default_factory=dict)
    replaces: tuple[str, ...] = ()
    complete: Callable[[Sql, int], Sql] | None = None
    events: tuple[str, ...] = EVENTS

    @property
    def is_complete(self) -> bool:
        """Whether the journal knows all that the table held."""
        return self.events == EVENTS

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def primary_key(self) -> str:
        key = self.model._meta.pk
        return key.column

    @property
    def columns(self) -> list[str]:
        """The columns whose values are recorded; each row of the journal has key and tenant anyway."""
        left_out = {*self.derived, *self.secret, self.primary_key, "tenant_id"}
        return [column for column in all_columns(self.model) if column not in left_out]


@dataclass(frozen=True, kw_only=True)
class RecordedDocument(Recorded):
    """A model of which each changed row is one row of the journal.

    Expressions of SQL over the row `it` say the id that clients know (`external_id`), its tenant, and the key
    of the document that it is a part of (`owner`), whose object is `part_of` where both are written together,
    and `shown_with` where it is written by itself and shown with its owner. `outcomes` are columns that say
    what the service did with the document: recorded, but nothing to take back. `ignores_derived` is for
    what is mostly changed in derived columns only: statements that set no other column call no trigger, so
    `follow` must not look at derived ones, and no other trigger may write to those that are recorded.
    `is_appended` is for what is mostly made one by one, or changed with few others: whatever a statement
    makes or changes of it is appended to the recent changes, as the change of one row is of all models
    (core/journal/settling.py). `is_copied_later` is for what is appended, and hardly ever changed once it is
    made: the change that made it gets its copy later (core/journal/copying.py).
    `permissions` are what staff need to see its changes and to take them back, in place of those of its
    model. `said` puts a change into words, in place of its columns; it returns an empty text for a change
    without words of its own. `refusals` are reasons not to take back what made or changed it, with conditions
    of SQL over `change` and the row, `present`.
    """

    external_id: str = "it.external_id"
    tenant: str = "it.tenant_id"
    owner: str = "NULL::bigint"
    part_of: str = ""
    shown_with: str = ""
    outcomes: tuple[str, ...] = ()
    ignores_derived: bool = False
    is_appended: bool = False
    is_copied_later: bool = False
    permissions: tuple[str, ...] = ()
    said: Callable[[Any], str] | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)

    @property
    def taken_back(self) -> list[str]:
        """The columns whose former values an undo writes."""
        return [column for column in self.columns if column not in self.outcomes]


@dataclass(frozen=True, kw_only=True)
class RecordedAssignments(Recorded):
    """A model of which the journal has one row for each statement and owner, with the keys of what it holds.

    `owner` and `member` are columns: the segment and its customer. `owner_table` is where the owner's wire id
    is found. `legal_entity` is a column, too, or absent. Several `members` divide the rows: each has a name
    of its own, for the rows in which its column is set. `refusals` are reasons not to make a member again,
    with conditions of SQL over `change` and `member.key`.
    """

    owner: str
    owner_table: str
    members: Mapping[str, str]
    legal_entity: str = ""
    refusals: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> list[str]:
        """The columns that the journal says apart: where a row belongs, and what it holds."""
        return [name for name in ("tenant_id", self.owner, *self.members.values(), self.legal_entity) if name]

    @property
    def attributes(self) -> list[str]:
        """The columns that `before` says: all others but the key."""
        return [name for name in self.columns if name not in self.identity]


def following(declared: Recorded, *others: Statements) -> Recorded:
    """Return the declaration, whose triggers run these statements as well."""
    return replace(declared, follow=together(declared.follow, *others))


def together(*parts: Statements) -> Statements:
    """Return the statements of all parts, in their order."""
    events = dict.fromkeys(event for part in parts for event in part)
    return {event: "".join(part.get(event, "") for part in parts) for event in events}


def if_stored(table: str, statements: Statements, otherwise: Statements | None = None) -> Statements:
    """Return statements for databases that have the table, and what is done `otherwise`.

    Migrations install triggers while the tables of later ones are missing, and writes go on meanwhile.
    """
    instead = otherwise or {}
    return {
        event: ALTERNATIVES.format(table=table, statements=text, otherwise=instead.get(event, ""))
        for event, text in statements.items()
    }


_recorded: dict[str, Recorded] = {}
_unrecorded: dict[str, str] = {}


def record(*declared: Recorded) -> None:
    """Have the journal record these models."""
    _recorded.update({one.model._meta.label: one for one in declared})


def leave_out(reasons: Mapping[str, str]) -> None:
    """Say of models, by label, why the journal does not record them."""
    _unrecorded.update(reasons)


def recorded() -> Iterable[Recorded]:
    """Return all declarations, in the order of their tables."""
    return sorted(_recorded.values(), key=lambda one: one.table)


def is_recorded(model: type[models.Model]) -> bool:
    """Say whether the journal records the changes of a model."""
    return model._meta.label in _recorded


def recorded_as(object_name: str) -> Recorded:
    """Return the declaration of what the journal calls so; raise KeyError."""
    for one in _recorded.values():
        names = one.members if isinstance(one, RecordedAssignments) else {one.object}
        if object_name in names:
            return one
    raise KeyError(object_name)


def reasons_of_unrecorded() -> Mapping[str, str]:
    """Return why models are not recorded, by label."""
    return _unrecorded


def all_columns(model: type[models.Model]) -> list[str]:
    """Return the columns of a model's table."""
    fields = list(model._meta.concrete_fields)
    return [one.column for one in fields]
