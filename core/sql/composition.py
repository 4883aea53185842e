"""Composition of SQL by name: pieces of statements that carry their own parameters.

    window = sql("{alias}.valid_from <= {at}", alias=identifier("segment"), at=param(now))
    sql("SELECT id FROM segments_segment AS segment WHERE {window}", window=window)

The parameters of a piece travel with it, so their order always follows the text. A slot takes only another
piece: `param()` makes one of a value and `identifier()` of a name. A plain string is refused, so text from a
client cannot become part of a statement by mistake.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from operator import itemgetter
from string import Formatter
from typing import Any, Self

import orjson
from django.db.models import QuerySet

SqlValues = tuple[Any, ...]
"""Parameters of a statement, or a row of its result: their types are known to the statement only."""

IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
REMEMBERED_SHAPES = 256  # of one builder
LONGEST_SHAPE = 16_384  # characters of its pieces
TYPE_NAME = re.compile(r"[a-z]+(?: [a-z]+)*(?:\[\])?")


@dataclass(frozen=True, slots=True, init=False)
class Sql:
    """A piece of a statement: text from the code, and the parameters of its placeholders in order.

    `sql` never contains anything that a client sent: that goes into `params`.
    """

    sql: str
    params: SqlValues

    def __init__(self, sql: str, params: tuple[object, ...] = ()) -> None:
        # Dozens are made per request, and a frozen dataclass's own __init__ takes twice as long.
        set_sql(self, sql)
        set_params(self, params)

    @classmethod
    def joined(cls, separator: str, pieces: Iterable[Self]) -> Self:
        """Return the pieces as one, with the separator between them."""
        pieces = list(pieces)
        return cls(
            separator.join([piece.sql for piece in pieces]),
            tuple([value for piece in pieces for value in piece.params]),
        )


set_sql, set_params = (vars(Sql)[name].__set__ for name in ("sql", "params"))


def sql(template: str, /, **slots: Sql) -> Sql:
    """Fill the template's named slots with pieces; literal braces are written twice.

    A slot may occur more than once: its parameters are repeated with it. Raises TypeError when a slot has no
    piece, a piece has no slot, or something other than a piece is given.
    """
    text, following, slot_count = parsed_template(template)
    if len(slots) != slot_count:
        raise wrong_slots(template, slots)
    params: SqlValues = ()
    try:
        for name, literal in following:
            piece = slots[name]
            text += piece.sql + literal
            if piece.params:
                params += piece.params
    except (AttributeError, KeyError):
        raise wrong_slots(template, slots) from None
    return Sql(text, params)


@lru_cache(maxsize=2_048)
def parsed_template(template: str) -> tuple[str, tuple[tuple[str, str], ...], int]:
    """Return the text before the first slot, each slot with the text after it, and the number of names."""
    texts, names = [""], []
    for literal, name, options, conversion in Formatter().parse(template):
        texts[-1] += literal
        if name is None:
            continue
        if options or conversion or not IDENTIFIER.fullmatch(name):
            raise ValueError(f"Write literal braces twice; this is no name of a slot: {{{name}}}.")
        names.append(name)
        texts.append("")
    if "%s" in "".join(texts):
        raise ValueError("Write {name} with name=param(value) in a template instead of a placeholder %s.")
    return texts[0], tuple(zip(names, texts[1:], strict=True)), len(set(names))


def bind(template: str, /, **values: object) -> Sql:
    """Fill the template's named slots with parameters; `{at:timestamptz}` casts one to that type.

    Does what `sql` does with a param() in each slot, in less time. Raises TypeError as `sql` does.
    """
    text, names, known = bound_template(template)
    try:
        params = tuple([values[name] for name in names])
    except KeyError as missing:
        raise TypeError(f"The template has a slot that nothing is given for: {missing}.") from None
    if len(values) != len(known):
        unknown = sorted(values.keys() - known)
        raise TypeError(f"The template has no slots of these names: {', '.join(unknown)}.")
    return Sql(text, params)


@dataclass(frozen=True, slots=True)
class Slot:
    """Takes the place of a parameter that a `Statement` (core/sql/fetching.py) is run with."""

    name: str


def slot(name: str) -> Sql:
    """Return a placeholder whose value a `Statement` is run with."""
    return Sql("%s", (Slot(name),))


def slots(template: str, /) -> Sql:
    """Return a piece of a `Statement`: what `bind` fills at once has a value only when that is run."""
    text, names, _ = bound_template(template)
    return Sql(text, tuple(map(Slot, names)))


def filled(piece: Sql, values: Mapping[str, object]) -> Sql:
    """Return a piece of slots with their values, for statements that are composed when they are run."""
    return Sql(piece.sql, tuple([values[slot.name] for slot in piece.params]))


@lru_cache(maxsize=1_024)
def bound_template(template: str) -> tuple[str, tuple[str, ...], frozenset[str]]:
    """Return the text with a placeholder in each slot, and the names of the slots in order and as a set."""
    text, names = "", []
    for literal, name, type_name, _ in Formatter().parse(template):
        text += literal
        if name is not None:
            text += param(None, type_name or "").sql
            names.append(name)
    return text, tuple(names), frozenset(names)


def composed_once(build: Callable[..., Sql]) -> Callable[..., Sql]:
    """Let a function compose each shape of its statement once, however often it is called.

    Its positional arguments are facts of the shape, which are hashable; its named ones are pieces of SQL. The
    function runs for facts and texts that it has not seen before. After that only the pieces' parameters are
    put in, so it must not look at them: a value that decides about the text is a fact. Of the shapes that
    clients can make up, with `q` or `sort`, only so many are remembered, and no long ones.
    """

    def compose(
        facts: tuple[Hashable, ...], names: tuple[str, ...], texts: tuple[str, ...]
    ) -> tuple[str, Callable[[tuple[object, ...]], SqlValues]]:
        pieces, count = {}, 0
        for name, text in zip(names, texts, strict=True):
            first, count = count, count + text.replace("%%", "").count("%s")
            pieces[name] = Sql(text, tuple(map(Parameter, range(first, count))))
        statement = build(*facts, **pieces)
        if statement.params == tuple(map(Parameter, range(count))):
            return statement.sql, tuple  # which returns the very tuple it gets
        own = tuple(value for value in statement.params if not isinstance(value, Parameter))
        places, next_own = [], count
        for value in statement.params:
            if isinstance(value, Parameter):
                places.append(value.place)
            else:
                places.append(next_own)
                next_own += 1
        if len(places) < 2:  # itemgetter returns a tuple only of several
            return statement.sql, lambda params: tuple([(*params, *own)[place] for place in places])
        chosen: Callable[[SqlValues], SqlValues] = itemgetter(*places)
        return statement.sql, (lambda params: chosen(params + own)) if own else chosen

    @wraps(build)
    def composed(*facts: Hashable, **pieces: Sql) -> Sql:
        params: SqlValues = ()
        for piece in pieces.values():
            if piece.params:
                params += piece.params
        texts = tuple([piece.sql for piece in pieces.values()])
        remembers = sum(map(len, texts)) <= LONGEST_SHAPE
        text, arrange = (remembered if remembers else compose)(facts, tuple(pieces), texts)
        return Sql(text, arrange(params))

    remembered = lru_cache(maxsize=REMEMBERED_SHAPES)(compose)
    return composed


@dataclass(frozen=True, slots=True)
class Parameter:
    """Takes the place of a parameter while `composed_once` composes a shape."""

    place: int


def wrong_slots(template: str, slots: Mapping[str, object]) -> TypeError:
    """Return the error that says what is wrong with the slots of a template."""
    _, following, _ = parsed_template(template)
    names = {name for name, _ in following}
    if missing := sorted(names - slots.keys()):
        return TypeError(f"The template has slots that nothing is given for: {', '.join(missing)}.")
    if unknown := sorted(slots.keys() - names):
        return TypeError(f"The template has no slots of these names: {', '.join(unknown)}.")
    name = next(name for name, piece in slots.items() if not isinstance(piece, Sql))
    return TypeError(
        f"The slot {name} takes a piece of SQL, not {type(slots[name]).__name__}: wrap a value in param(),"
        " a name in identifier(), and only SQL written in the code in Sql()."
    )


def param(value: object, type_name: str = "") -> Sql:
    """Return a placeholder for the value, cast to the PostgreSQL type if one is given."""
    return Sql(placeholder(type_name) if type_name else "%s", (value,))


@lru_cache
def placeholder(type_name: str) -> str:
    return f"%s::{type_of(type_name).sql}"


@lru_cache
def type_of(name: str) -> Sql:
    """Return the name of a PostgreSQL type."""
    if not TYPE_NAME.fullmatch(name):
        raise ValueError(f"This is no name of a PostgreSQL type: {name!r}.")
    return Sql(name)


def equals(column: str, value: object) -> Sql:
    """The condition that a column, as in "segment.external_id", has the value."""
    return Sql(equality(column), (value,))


@lru_cache
def equality(column: str) -> str:
    return f"{identifier(*column.split('.')).sql} = %s"


def integer(value: int) -> Sql:
    """Return the number as a literal, for places where a placeholder would make another plan."""
    return Sql(f"{value:d}")


@lru_cache(maxsize=1_024)
def identifier(*names: str) -> Sql:
    """Return the name of a table or column; several are joined by dots: `identifier("segment", "id")`.

    Raises ValueError for names that PostgreSQL would not read as they are written.
    """
    for name in names:
        if not IDENTIFIER.fullmatch(name):
            raise ValueError(f"This is no plain name of a table or column: {name!r}.")
    return Sql(".".join(names))


def identifiers(names: Iterable[str]) -> Sql:
    """Return the names separated by commas."""
    return Sql.joined(", ", map(identifier, names))


def expression(value: object) -> Sql:
    """Return a piece of SQL as it is, and of anything else a placeholder with that value."""
    return value if isinstance(value, Sql) else Sql("%s", (value,))


def text_array(texts: Sequence[str]) -> Sql:
    """An expression of type `text[]`: these texts. Long lists travel as JSON, which is quicker to write."""
    return sql(
        "ARRAY(SELECT jsonb_array_elements_text({texts}))",
        texts=param(orjson.dumps(list(texts)).decode(), "jsonb"),
    )


def in_queryset(column: str, queryset: QuerySet) -> Sql:
    """A condition: the column holds a key of the queryset's rows."""
    text, values = queryset.order_by().values("pk").query.sql_with_params()
    return sql("{column} IN ({keys})", column=identifier(*column.split(".")), keys=Sql(text, tuple(values)))
