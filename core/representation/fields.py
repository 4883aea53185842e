"""The fields of a wire representation: each knows its SQL, its JSON, and how `q` and `sort` treat it.

PostgreSQL writes the JSON: a field's `json` is an expression that yields JSON text, or NULL for an absent
field, which is then left out. That is several times faster than building the same objects in Python.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.errors import InvalidInput
from core.representation.conditions import (
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
    Top,
    Value,
    as_boolean,
    as_number,
    as_time,
)
from core.representation.languages import unsupported_languages, with_bases
from core.sql.composition import Sql, param, sql
from core.timestamps import format_time

DATED = r"^\d{4}-\d\d-\d\d(?:[T ].*)?$"
"""Texts that are a day, or begin with one and a time."""


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

    def __init__(self, expression: str | Sql, *, needs: tuple[str, ...] = ()) -> None:
        self.expression = Sql(expression) if isinstance(expression, str) else expression
        self.needs = needs

    @abstractmethod
    def typed(self, value: Value) -> object:
        """Return the value as the column's type, or raise QuerySyntaxError."""

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        refuse_deeper_path(term, path)
        if isinstance(term.test, Matches):
            return compare(self.as_text(), "text", term, self.typed)
        return compare(self.expression, self.type, term, self.typed)

    def as_text(self) -> Sql:
        """Return what a regular expression is matched against: the value as clients read it."""
        return sql("({value})::text", value=self.expression)

    def sort_key(self, path: tuple[str, ...], languages: Languages) -> tuple[Sql, str]:
        if path:
            raise InvalidInput(f"Nothing below this field can be sorted by: {'.'.join(path)}.", field="sort")
        return self.expression, self.type


class Text(Scalar):
    """A text; an empty one counts as absent when `omit_empty`."""

    type = "text"

    def __init__(
        self, expression: str | Sql, *, needs: tuple[str, ...] = (), omit_empty: bool = False
    ) -> None:
        super().__init__(expression, needs=needs)
        if omit_empty:
            self.expression = sql("nullif({value}, '')", value=self.expression)

    def json(self, languages: Languages) -> Sql:
        # a constant has no type of its own
        return sql("to_json(({value})::text)::text", value=self.expression)

    def typed(self, value: Value) -> str:
        return value.text


class Number(Scalar):
    type = "numeric"

    def json(self, languages: Languages) -> Sql:
        return self.as_text()

    def as_text(self) -> Sql:
        return sql("trim_scale(({value})::numeric)::text", value=self.expression)

    def typed(self, value: Value) -> Decimal:
        return as_number(value)


class Integer(Number):
    def as_text(self) -> Sql:
        return sql("({value})::text", value=self.expression)


class Boolean(Scalar):
    type = "boolean"

    def json(self, languages: Languages) -> Sql:
        return self.as_text()

    def typed(self, value: Value) -> bool:
        return as_boolean(value)


class Time(Scalar):
    """An instant, written in UTC with milliseconds and searched by these, so what is read finds its row."""

    type = "timestamptz"

    def json(self, languages: Languages) -> Sql:
        return sql("""'"' || {text} || '"'""", text=self.as_text())

    def as_text(self) -> Sql:
        return sql(
            """to_char({value} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""", value=self.expression
        )

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        if isinstance(term.test, Matches):
            return super().condition(term, path)
        refuse_deeper_path(term, path)
        milliseconds = sql("date_trunc('milliseconds', {value})", value=self.expression)
        return compare(milliseconds, self.type, term, self.typed)

    def typed(self, value: Value) -> datetime:
        moment = as_time(value)
        return moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)


class Texts(Field):
    """A list of texts (`text[]`); absent when it is NULL, or empty and `omit_empty`."""

    def __init__(self, expression: str, *, needs: tuple[str, ...] = (), omit_empty: bool = False) -> None:
        self.expression = Sql(expression)
        if omit_empty:
            self.expression = sql("nullif({texts}, '{{}}')", texts=self.expression)
        self.needs = needs

    def json(self, languages: Languages) -> Sql:
        return sql("to_json({texts})::text", texts=self.expression)

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        """Hold when any of the texts passes the test."""
        refuse_deeper_path(term, path)
        if (presence := presence_condition(self.expression, term)) is not None:
            return presence
        return sql(
            "EXISTS (SELECT 1 FROM unnest({texts}) AS entry WHERE {passes})",
            texts=self.expression,
            passes=compare(Sql("entry"), "text", term, lambda value: value.text),
        )


class Localized(Field):
    """A map of languages to texts, cut to the languages that the caller accepts."""

    def __init__(self, expression: str, *, needs: tuple[str, ...] = (), omit_empty: bool = True) -> None:
        self.expression = Sql(expression)
        self.needs = needs
        self.omit_empty = omit_empty

    def json(self, languages: Languages) -> Sql:
        translations = self.expression
        if languages.accepted is not None:
            translations = sql(
                "cut_translations({translations}, {accepted}, {default})",
                translations=translations,
                accepted=param(list(languages.accepted), "text[]"),
                default=param(languages.default),
            )
        if self.omit_empty:
            return sql("nullif({translations}, '{{}}'::jsonb)::text", translations=translations)
        return sql("{translations}::text", translations=translations)

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        """Test one language (`name.en`), or hold when any translation passes the test (`name`)."""
        refuse_deeper_path(term, path[1:])
        if path:
            return compare(self.translation(path[0]), "text", term, lambda value: value.text)
        filled = sql("nullif({translations}, '{{}}'::jsonb)", translations=self.expression)
        if (presence := presence_condition(filled, term)) is not None:
            return presence
        return sql(
            "EXISTS (SELECT 1 FROM jsonb_each_text({translations}) AS translation WHERE {passes})",
            translations=self.expression,
            passes=compare(Sql("translation.value"), "text", term, lambda value: value.text),
        )

    def translation(self, language: str) -> Sql:
        """Return the expression of the text in one language, NULL when there is none."""
        return sql("({translations} ->> {language})", translations=self.expression, language=param(language))

    def sort_key(self, path: tuple[str, ...], languages: Languages) -> tuple[Sql, str]:
        """Sort by the language named, else by the caller's preferred one, or the default one."""
        if len(path) > 1:
            raise InvalidInput(
                f"A localized field is sorted by one language, not by {'.'.join(path)}.", field="sort"
            )
        if path:
            if languages.configured is not None and unsupported_languages(path, languages.configured):
                raise InvalidInput(
                    f"The language {path[0]} is not configured; the tenant's languages are:"
                    f" {', '.join(languages.configured)}.",
                    field="sort",
                )
            return self.translation(path[0]), "text"
        preferred = with_bases(languages.accepted[0]) if languages.accepted else ()
        tried = [
            sql("{translations} ->> {language}", translations=self.expression, language=param(language))
            for language in dict.fromkeys((*preferred, languages.default))
        ]
        template = "coalesce({texts})" if len(tried) > 1 else "({texts})"
        return sql(template, texts=Sql.joined(", ", tried)), "text"


class Json(Field):
    """Free JSON (`jsonb`), returned as stored; absent when NULL, or when empty and `omit_empty`."""

    def __init__(
        self, expression: str | Sql, *, needs: tuple[str, ...] = (), omit_empty: bool = True
    ) -> None:
        self.expression = Sql(expression) if isinstance(expression, str) else expression
        self.needs = needs
        self.omit_empty = omit_empty

    def json(self, languages: Languages) -> Sql:
        return sql("{value}::text", value=self.shown())

    def shown(self) -> Sql:
        """Return the expression of what clients read, NULL when the field is absent."""
        if self.omit_empty:
            return sql("nullif(nullif({value}, '{{}}'::jsonb), '[]'::jsonb)", value=self.expression)
        return sql("({value})", value=self.expression)

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        """Test the value at the path: numbers as numbers, everything else by its text.

        Less or greater than a relative instant are only texts that begin with a date, as such in UTC.
        """
        if not path and (presence := presence_condition(self.shown(), term)) is not None:
            return presence
        at_path = sql("({value} #>> {path})", value=self.expression, path=param(list(path), "text[]"))
        if compares_relative_instants(term):
            dated = sql('(substring({value} FROM {date}) COLLATE "C")', value=at_path, date=param(DATED))
            return compare(dated, "text", term, lambda value: format_time(as_time(value)))
        text = compare(at_path, "text", term, lambda value: value.text)
        try:
            number = compare(sql("{value}::numeric", value=at_path), "numeric", term, unquoted_number)
        except QuerySyntaxError:  # the values are not all unquoted numbers
            return text
        return sql(
            "CASE WHEN jsonb_typeof({value} #> {path}) = 'number' THEN {number} ELSE {text} END",
            value=self.expression,
            path=param(list(path), "text[]"),
            number=number,
            text=text,
        )


class JsonEntries(Json):
    """A list of free JSON (`jsonb`), returned as stored; a test holds when any of its entries passes it."""

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        if not path and (presence := presence_condition(self.shown(), term)) is not None:
            return presence
        return sql(
            "EXISTS (SELECT 1 FROM jsonb_array_elements("
            "CASE WHEN jsonb_typeof({entries}) = 'array' THEN {entries} ELSE '[]' END"
            ") AS entry WHERE {passes})",
            entries=self.expression,
            passes=Json("entry").condition(term, path),
        )


class Nested(Field):
    """An object of fields; absent when all of them are."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self.fields = fields
        self.needs = tuple({need for field in fields.values() for need in field.needs})

    def json(self, languages: Languages) -> Sql:
        members = json_members(self.fields, languages)
        return sql("'{{' || nullif(concat_ws(',', {members}), '') || '}}'", members=members)

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        if not path:
            whole = sql("({object})", object=self.json(Languages()))
            if (presence := presence_condition(whole, term)) is not None:
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
            what = (
                f"There is no field {'.'.join(path)} to sort by" if path else "An object cannot be sorted by"
            )
            raise InvalidInput(f"{what}; choose one of its fields: {', '.join(self.fields)}.", field="sort")
        return field.sort_key(path[1:], languages)


class Computed(Field):
    """JSON that an expression of type json or jsonb builds; it can be shown, not searched or sorted by."""

    def __init__(self, expression: str | Sql, *, needs: tuple[str, ...] = ()) -> None:
        self.expression = Sql(expression) if isinstance(expression, str) else expression
        self.needs = needs

    def json(self, languages: Languages) -> Sql:
        return sql("({value})::text", value=self.expression)

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        raise QuerySyntaxError(f"{'.'.join(term.path)} cannot be searched by", term.position)


def json_members(fields: Mapping[str, Field], languages: Languages) -> Sql:
    """Return the members of a JSON object, comma-separated, each NULL when its field is absent."""
    return Sql.joined(
        ", ",
        [
            sql("""'"{name}":' || {value}""", name=Sql(name), value=field.json(languages))
            for name, field in fields.items()
        ],
    )


def unknown_field(term: Term) -> QuerySyntaxError:
    return QuerySyntaxError(f"there is no field {'.'.join(term.path)}", term.position)


def refuse_deeper_path(term: Term, path: tuple[str, ...]) -> None:
    if path:
        raise unknown_field(term)


def compares_relative_instants(term: Term) -> bool:
    """Say whether the test compares with instants relative to now, written without quotes."""
    return isinstance(term.test, Range) and all(
        item.value.clock and item.value.relative and not item.value.quoted for item in term.test.comparisons
    )


def unquoted_number(value: Value) -> Decimal:
    if value.quoted:
        raise QuerySyntaxError("a number is written without quotes", value.position)
    return as_number(value)


def presence_condition(expression: Sql, term: Term) -> Sql | None:
    """Return the term as a test of presence, or None when it tests something else."""
    match term.test:
        case Top(position=position):
            raise QuerySyntaxError("top(...) is for rules of segments that are SNAPSHOT", position)
        case Exists():
            return sql("{value} IS NOT NULL", value=expression)
        case IsNull() | Missing():
            return sql("{value} IS NULL", value=expression)
    return None


def compare(expression: Sql, type_name: str, term: Term, typed: Callable[[Value], object]) -> Sql:
    """Return the term as a condition on an expression of the type."""
    match term.test:
        case Equals(value):
            return sql("{left} = {right}", left=expression, right=param(typed(value), type_name))
        case OneOf(values):
            choices = param([typed(value) for value in values], f"{type_name}[]")
            return sql("{left} = ANY({choices})", left=expression, choices=choices)
        case Range(comparisons):
            return Sql.joined(
                " AND ", [one_comparison(expression, type_name, item, typed) for item in comparisons]
            )
        case Matches(pattern):
            return sql("({value})::text ~ {pattern}", value=expression, pattern=param(pattern))
    presence = presence_condition(expression, term)
    assert presence is not None
    return presence


OPERATORS = {operator: Sql(operator) for operator in ("<", "<=", ">", ">=")}


def one_comparison(
    expression: Sql, type_name: str, item: Comparison, typed: Callable[[Value], object]
) -> Sql:
    return sql(
        "{left} {operator} {right}",
        left=expression,
        operator=OPERATORS[item.operator],
        right=param(typed(item.value), type_name),
    )


def validity(alias: str) -> Nested:
    """Return the window of the table under this name."""
    return Nested({"from": Time(f"{alias}.valid_from"), "to": Time(f"{alias}.valid_to")})


def metadata(alias: str) -> Nested:
    """Return the metadata of a document whose table has this name."""
    return Nested(
        {
            "createdAt": Time(f"{alias}.created_at"),
            "modifiedAt": Time(f"{alias}.modified_at"),
            "version": Integer(f"{alias}.version"),
            "mixins": Json(f"{alias}.mixin_schemas", omit_empty=False),
        }
    )
