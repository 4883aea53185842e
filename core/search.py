"""Search by the beginnings of words, without case and accents, answered by PostgreSQL's full-text index.

A model that is searched has `GinIndex(search_words(...))` among its indexes; `matching` finds with the same
fields. Words are letters and digits between anything else, so that an e-mail is several of them.
"""

from typing import TypeAlias, TypeVar

from django.contrib.postgres.search import SearchQueryField, SearchVectorField
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Expression,
    F,
    Func,
    Lookup,
    Model,
    QuerySet,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Concat
from django.db.models.sql.compiler import SQLCompiler

from core.text import ZERO_WIDTH_SPACE, has_visible_character

Row = TypeVar("Row", bound=Model)

MOST_EXACT = 20
LONGEST_TERM = 200


SearchedField: TypeAlias = str | Expression


def translations_of(name: str) -> Expression:
    """Return the texts of a localized field as one text, without the names of the languages."""
    return Func(
        F(name), template="jsonb_path_query_array(%(expressions)s, '$.*')::text", output_field=TextField()
    )


def search_words(*fields: SearchedField) -> Func:
    """Return the words of these fields as a text search vector. The index and the search name the same."""
    parts = [part for name in fields for part in (name, Value(" "))]
    return Func(
        Concat(*parts, output_field=TextField()), function="search_words", output_field=SearchVectorField()
    )


def search_query(term: str, suffix: str) -> Func:
    return Func(Value(term), Value(suffix), function="search_query", output_field=SearchQueryField())


def matches(words: Func, query: Func) -> Func:
    return Func(words, query, template="%(expressions)s", arg_joiner=" @@ ", output_field=BooleanField())


def matching(queryset: QuerySet[Row], term: str, fields: tuple[SearchedField, ...]) -> QuerySet[Row]:
    """Keep the rows in which each word of the term begins a word of the fields; all for an empty term."""
    term = searched(term)
    return queryset.filter(matches(search_words(*fields), search_query(term, ":*"))) if term else queryset


def searched(term: str) -> str:
    """Return the term as it is searched: a blank without width is a blank, and nothing visible is nothing.

    PostgreSQL leaves out all other invisible characters, of the term as of what is stored.
    """
    return term.replace(ZERO_WIDTH_SPACE, " ").strip()[:LONGEST_TERM] if has_visible_character(term) else ""


@CharField.register_lookup
@TextField.register_lookup
class Holds(Lookup):
    """Keeps texts with this part, whatever its case, accents and invisible characters, without an index."""

    lookup_name = "holds"
    prepare_rhs = False

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        text, text_values = self.process_lhs(compiler, connection)
        part, part_values = self.process_rhs(compiler, connection)
        return f"strpos(search_text({text}), search_text({part})) > 0", (*text_values, *part_values)


def in_order(
    queryset: QuerySet[Row],
    term: str,
    fields: tuple[SearchedField, ...],
    *,
    exact_first: bool = True,
    named: QuerySet[Row] | None = None,
) -> QuerySet[Row]:
    """Order what was found; the newest rows that have the words of the term as they are come first.

    Before them come those of `named`, whose name the term is.

    The order never is an index's own: PostgreSQL takes the beginnings of rare words for frequent ones, and
    would walk along that index through the whole table instead of asking the index of words.
    """
    term = searched(term)
    if not term:
        return queryset
    whole = queryset.filter(matches(search_words(*fields), search_query(term, "")))
    newest_first = whole.order_by(_out_of_index_order([]), "-pk").values_list("pk", flat=True)
    keys = list(newest_first[:MOST_EXACT]) if exact_first else []
    first = list(named.values_list("pk", flat=True)[:MOST_EXACT]) if exact_first and named is not None else []
    return queryset.order_by(_out_of_index_order(first, keys), *queryset.query.order_by)


def _out_of_index_order(*groups: list[object]) -> Case:
    """Return what puts the keys first, one group after the other, and is computed for each row."""
    whens = [When(pk__in=keys or [0], then=place) for place, keys in enumerate(groups)]
    return Case(*whens, default=len(groups))
