"""How changes of the journal become events, by type. Packages register a payload and a source for each type.

A source is what a SELECT over the journal's changes needs to make events of them, set-based: thousands of
members in one row of the journal are one pass over the tables that are shown.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from core.representation.fields import Field, Languages, Nested
from core.sql.composition import Sql, param, sql

ALL_LANGUAGES = Languages()


@dataclass(frozen=True, slots=True)
class EventSource:
    """Makes events of changes of objects of the journal.

    `tables` is the FROM of a SELECT; it begins with `change`, which has the journal's columns and `tenant`,
    the tenant's name. `kinds` names the type of events by the value of `kind`; `payloads` has the fields of
    each type, over the names of `tables`. `order_key` is the thing whose events keep their order, `number`
    the order among the events of one change, and `customer` the number of the customer that the payload is
    about.
    """

    objects: tuple[str, ...]
    kinds: Mapping[str, str]
    payloads: Mapping[str, Mapping[str, Field]]
    tables: Sql
    order_key: Sql
    kind: Sql = Sql("change.kind")
    number: Sql = Sql("0")
    customer: Sql = Sql("''")
    condition: Sql = Sql("TRUE")

    def rows(self, wanted: Collection[str]) -> Sql:
        """Return the SELECT of the events of the wanted types."""
        chosen = {kind: name for kind, name in self.kinds.items() if name in wanted}
        names = [
            sql("WHEN {kind} THEN {name}", kind=param(kind, "text"), name=param(name, "text"))
            for kind, name in chosen.items()
        ]
        payloads = [
            sql("WHEN {kind} THEN {payload}", kind=param(kind, "text"), payload=self.payload(name))
            for kind, name in chosen.items()
        ]
        return sql(
            "SELECT change.tx, change.id AS change_id, {number}::bigint AS number, change.at,"
            " CASE {kind} {names} END AS type, {order_key} AS order_key, {customer}::text AS customer,"
            " CASE {kind} {payloads} END AS payload"
            " FROM {tables} WHERE change.object = ANY({objects}) AND {kind} = ANY({kinds}) AND {condition}",
            number=self.number,
            customer=self.customer,
            kind=self.kind,
            names=Sql.joined(" ", names),
            payloads=Sql.joined(" ", payloads),
            order_key=self.order_key,
            tables=self.tables,
            objects=param(list(self.objects), "text[]"),
            kinds=param(list(chosen), "text[]"),
            condition=self.condition,
        )

    def payload(self, name: str) -> Sql:
        return sql("({json})::jsonb", json=Nested(self.payloads[name]).json(ALL_LANGUAGES))


_sources: list[EventSource] = []


def register_event_source(source: EventSource) -> None:
    """Have the feed make events of these changes."""
    _sources.append(source)


def made_types() -> dict[str, Mapping[str, Field]]:
    """Return the fields of the payloads of all types that a source makes, by name."""
    return {name: fields for source in _sources for name, fields in source.payloads.items()}


def sources_of(types: Collection[str]) -> list[EventSource]:
    """Return the sources that make events of at least one of the types."""
    return [source for source in _sources if not set(source.kinds.values()).isdisjoint(types)]


def objects_of(types: Collection[str]) -> list[str]:
    """Return what the journal calls the objects whose changes become events of these types."""
    return sorted({name for source in sources_of(types) for name in source.objects})


def compose(types: Collection[str], objects: Collection[str]) -> Sql:
    """Return the SELECT of all events of these types that the changes of these objects are.

    `objects` are some of `objects_of(types)`.
    """
    parts = [
        sql("({rows})", rows=source.rows(types))
        for source in sources_of(types)
        if not set(source.objects).isdisjoint(objects)
    ]
    return Sql.joined(" UNION ALL ", parts)
