"""The fields of a wire representation: each knows its SQL, its JSON, and how `q` and `sort` treat it.

PostgreSQL writes the JSON: a field's `json` is an expression that yields JSON text, or NULL for an absent
field, which is then left out. That is several times faster than building the same objects in Python.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.errors import InvalidInput
from core.representation.languages import unsupported_languages, with_bases
from core.representation.query_language import (
    Comparison,
    Equals,
    Exists,
    IsNull,
    Matches,
    Missing,
    OneOf,
    QuerySyntaxError,
    Range,
    Term,
    Value,
    as_boolean,
    as_number,
    as_time,
)
from core.sql.statements import Sql


@dataclass(frozen=True, slots=True)
class Languages:
    """How localized fields are cut: to `accepted` (None: whole maps), else to the tenant's `default`.

    With `configured` only these languages can be sorted by; None lets through any.
    """

    accepted: tuple[str, ...] | None = None
    default: str = "en"
    configured: tuple[str, ...] | None = None


class Field(ABC):
    """A field of a representation. `needs` names the joins of the representation that its SQL uses."""

    needs: tuple[str, ...] = ()

    @abstractmethod
    def json(self, languages: Languages) -> Sql:
        """Return an expression of type text: the field's JSON, or NULL when it is absent."""

    @abstractmethod
    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        """Return the term as a condition; `path` is what follows the field's own name."""

    def sort_key(self, path: tuple[str, ...], languages: Languages) -> tuple[Sql, str]:
        """Return the expression to sort by and its PostgreSQL type."""
        raise InvalidInput("This field cannot be sorted by.", field="sort")


class Scalar(Field):
    """A field with one column or expression behind it."""

    type: str

    def __init__(self, sql: str, *, needs: tuple[str, ...] = ()) -> None:
        self.sql = sql
        self.needs = needs

    @abstractmethod
    def typed(self, value: Value) -> Any:
        """Return the value as the column's type, or raise QuerySyntaxError."""

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        refuse_deeper_path(term, path)
        if isinstance(term.test, Matches):
            return compare(self.as_text(), "text", term, self.typed)
        return compare(self.sql, self.type, term, self.typed)

    def as_text(self) -> str:
        """Return what a regular expression is tried on: the value as clients read it."""
        return f"({self.sql})::text"

    def sort_key(self, path: tuple[str, ...], languages: Languages) -> tuple[Sql, str]:
        if path:
            raise InvalidInput(f"Nothing below this field can be sorted by: {'.'.join(path)}.", field="sort")
        return Sql(self.sql), self.type


class Text(Scalar):
    """A text; an empty one counts as absent when `omit_empty`."""

    type = "text"

    def __init__(self, sql: str, *, needs: tuple[str, ...] = (), omit_empty: bool = False) -> None:
        super().__init__(f"nullif({sql}, '')" if omit_empty else sql, needs=needs)

    def json(self, languages: Languages) -> Sql:
        return Sql(f"to_json(({self.sql})::text)::text")  # a constant has no type of its own

    def typed(self, value: Value) -> str:
        return value.text


class Number(Scalar):
    type = "numeric"

    def json(self, languages: Languages) -> Sql:
        return Sql(self.as_text())

    def as_text(self) -> str:
        return f"trim_scale(({self.sql})::numeric)::text"

    def typed(self, value: Value) -> Decimal:
        return as_number(value)


class Integer(Number):
    def as_text(self) -> str:
        return f"({self.sql})::text"


class Boolean(Scalar):
    type = "boolean"

    def json(self, languages: Languages) -> Sql:
        return Sql(f"({self.sql})::text")

    def typed(self, value: Value) -> bool:
        return as_boolean(value)


class Time(Scalar):
    """An instant, written in UTC with milliseconds, and searched by them: an instant read finds its row."""

    type = "timestamptz"

    def json(self, languages: Languages) -> Sql:
        return Sql(f"""'"' || {self.as_text()} || '"'""")

    def as_text(self) -> str:
        return f"to_char({self.sql} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        if isinstance(term.test, Matches):
            return super().condition(term, path)
        refuse_deeper_path(term, path)
        return compare(f"date_trunc('milliseconds', {self.sql})", self.type, term, self.typed)

    def typed(self, value: Value) -> datetime:
        moment = as_time(value)
        return moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)


class Texts(Field):
    """A list of texts (`text[]`); absent when it is NULL, or empty and `omit_empty`."""

    def __init__(self, sql: str, *, needs: tuple[str, ...] = (), omit_empty: bool = False) -> None:
        self.sql = f"nullif({sql}, '{{}}')" if omit_empty else sql
        self.needs = needs

    def json(self, languages: Languages) -> Sql:
        return Sql(f"to_json({self.sql})::text")

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        """Hold when any of the texts passes the test."""
        refuse_deeper_path(term, path)
        if (presence := presence_condition(self.sql, term)) is not None:
            return presence
        inner = compare("entry", "text", term, lambda value: value.text)
        return Sql(f"EXISTS (SELECT 1 FROM unnest({self.sql}) AS entry WHERE {inner.text})", inner.values)


class Localized(Field):
    """A map of languages to texts, cut to the languages that the caller accepts."""

    def __init__(self, sql: str, *, needs: tuple[str, ...] = (), omit_empty: bool = True) -> None:
        self.sql = sql
        self.needs = needs
        self.omit_empty = omit_empty

    def json(self, languages: Languages) -> Sql:
        if languages.accepted is None:
            whole = Sql(self.sql)
        else:
            whole = Sql(
                f"cut_translations({self.sql}, %s::text[], %s)",
                (list(languages.accepted), languages.default),
            )
        if self.omit_empty:
            return Sql(f"nullif({whole.text}, '{{}}'::jsonb)::text", whole.values)
        return Sql(f"{whole.text}::text", whole.values)

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        """Test one language (`name.en`), or hold when any translation passes the test (`name`)."""
        refuse_deeper_path(term, path[1:])
        if path:
            return compare(f"({self.sql} ->> %s)", "text", term, lambda value: value.text, before=(path[0],))
        if (presence := presence_condition(f"nullif({self.sql}, '{{}}'::jsonb)", term)) is not None:
            return presence
        inner = compare("translation.value", "text", term, lambda value: value.text)
        return Sql(
            f"EXISTS (SELECT 1 FROM jsonb_each_text({self.sql}) AS translation WHERE {inner.text})",
            inner.values,
        )

    def sort_key(self, path: tuple[str, ...], languages: Languages) -> tuple[Sql, str]:
        """Sort by the language named, else by the one that the caller likes best, or the default one."""
        if len(path) > 1:
            raise InvalidInput(
                f"A localized field is sorted by one language, not by {'.'.join(path)}.", field="sort"
            )
        if path:
            if languages.configured is not None and unsupported_languages(path, languages.configured):
                raise InvalidInput(f"The language {path[0]} is not configured.", field="sort")
            return Sql(f"({self.sql} ->> %s)", path), "text"
        liked = with_bases(languages.accepted[0]) if languages.accepted else ()
        tried = tuple(dict.fromkeys((*liked, languages.default)))
        texts = ", ".join([f"{self.sql} ->> %s"] * len(tried))
        return Sql(f"coalesce({texts})" if len(tried) > 1 else f"({texts})", tried), "text"


class Json(Field):
    """Free JSON (`jsonb`), returned as stored; absent when NULL, or when empty and `omit_empty`."""

    def __init__(self, sql: str, *, needs: tuple[str, ...] = (), omit_empty: bool = True) -> None:
        self.sql = sql
        self.needs = needs
        self.omit_empty = omit_empty

    def json(self, languages: Languages) -> Sql:
        return Sql(f"{self.shown()}::text")

    def shown(self) -> str:
        """Return the expression of what clients read, NULL when the field is absent."""
        if self.omit_empty:
            return f"nullif(nullif({self.sql}, '{{}}'::jsonb), '[]'::jsonb)"
        return f"({self.sql})"

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        """Test the value at the path: numbers as numbers, everything else by its text."""
        if not path and (presence := presence_condition(self.shown(), term)) is not None:
            return presence
        at_path = f"({self.sql} #>> %s::text[])"
        before = (list(path),)
        number = self.as_number_test(term, path)
        if number is None:
            return compare(at_path, "text", term, lambda value: value.text, before=before)
        text = compare(at_path, "text", term, lambda value: value.text, before=before)
        return Sql(
            f"CASE WHEN jsonb_typeof({self.sql} #> %s::text[]) = 'number' THEN {number.text}"
            f" ELSE {text.text} END",
            (list(path), *number.values, *text.values),
        )

    def as_number_test(self, term: Term, path: tuple[str, ...]) -> Sql | None:
        """Return the term as a test of numbers, or None when its values are not all unquoted numbers."""
        try:
            return compare(
                f"({self.sql} #>> %s::text[])::numeric",
                "numeric",
                term,
                unquoted_number,
                before=(list(path),),
            )
        except QuerySyntaxError:
            return None


class JsonEntries(Json):
    """A list of free JSON (`jsonb`), returned as stored; a test holds when any of its entries passes it."""

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        if not path and (presence := presence_condition(self.shown(), term)) is not None:
            return presence
        inner = Json("entry").condition(term, path)
        entries = f"CASE WHEN jsonb_typeof({self.sql}) = 'array' THEN {self.sql} ELSE '[]' END"
        return Sql(
            f"EXISTS (SELECT 1 FROM jsonb_array_elements({entries}) AS entry WHERE {inner.text})",
            inner.values,
        )


class Nested(Field):
    """An object of fields; absent when all of them are."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self.fields = fields
        self.needs = tuple({need for field in fields.values() for need in field.needs})

    def json(self, languages: Languages) -> Sql:
        members = json_members(self.fields, languages)
        return Sql(f"'{{' || nullif(concat_ws(',', {members.text}), '') || '}}'", members.values)

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        if not path:
            whole = self.json(Languages())
            if (presence := presence_condition(f"({whole.text})", term, before=whole.values)) is not None:
                return presence
            raise QuerySyntaxError(
                f"{'.'.join(term.path)} is an object; name one of its fields", term.position
            )
        field = self.fields.get(path[0])
        if field is None:
            raise unknown_field(term)
        return field.condition(term, path[1:])

    def sort_key(self, path: tuple[str, ...], languages: Languages) -> tuple[Sql, str]:
        field = self.fields.get(path[0]) if path else None
        if field is None:
            raise InvalidInput(f"There is no field {'.'.join(path)} to sort by.", field="sort")
        return field.sort_key(path[1:], languages)


class Computed(Field):
    """JSON that an expression of type json or jsonb builds; it can be shown, not searched or sorted by."""

    def __init__(self, sql: str, *, needs: tuple[str, ...] = ()) -> None:
        self.sql = sql
        self.needs = needs

    def json(self, languages: Languages) -> Sql:
        return Sql(f"({self.sql})::text")

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        raise QuerySyntaxError(f"{'.'.join(term.path)} cannot be searched by", term.position)


def json_members(fields: Mapping[str, Field], languages: Languages) -> Sql:
    """Return the members of a JSON object, comma-separated, each NULL when its field is absent."""
    pieces = []
    for name, field in fields.items():
        value = field.json(languages)
        pieces.append(Sql(f"""'"{name}":' || {value.text}""", value.values))
    return Sql.joined(", ", pieces)


def unknown_field(term: Term) -> QuerySyntaxError:
    return QuerySyntaxError(f"there is no field {'.'.join(term.path)}", term.position)


def refuse_deeper_path(term: Term, path: tuple[str, ...]) -> None:
    if path:
        raise unknown_field(term)


def unquoted_number(value: Value) -> Decimal:
    if value.quoted:
        raise QuerySyntaxError("a number stands without quotes", value.position)
    return as_number(value)


def presence_condition(sql: str, term: Term, before: tuple[Any, ...] = ()) -> Sql | None:
    """Return the term as a test of presence, or None when it tests something else."""
    match term.test:
        case Exists():
            return Sql(f"{sql} IS NOT NULL", before)
        case IsNull() | Missing():
            return Sql(f"{sql} IS NULL", before)
    return None


def compare(
    sql: str, type_name: str, term: Term, typed: Callable[[Value], Any], before: tuple[Any, ...] = ()
) -> Sql:
    """Return the term as a condition on an expression of the type, whose own values are `before`."""
    match term.test:
        case Equals(value):
            return Sql(f"{sql} = %s::{type_name}", (*before, typed(value)))
        case OneOf(values):
            return Sql(f"{sql} = ANY(%s::{type_name}[])", (*before, [typed(value) for value in values]))
        case Range(comparisons):
            return Sql.joined(
                " AND ", [one_comparison(sql, type_name, item, typed, before) for item in comparisons]
            )
        case Matches(pattern):
            return Sql(f"({sql})::text ~ %s", (*before, pattern))
    presence = presence_condition(sql, term, before)
    assert presence is not None
    return presence


def one_comparison(
    sql: str, type_name: str, item: Comparison, typed: Callable[[Value], Any], before: tuple[Any, ...]
) -> Sql:
    return Sql(f"{sql} {item.operator} %s::{type_name}", (*before, typed(item.value)))
