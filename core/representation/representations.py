"""What clients read of a resource: its fields over its tables, and the statements that fetch rows of it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from core.errors import InvalidInput
from core.representation.conditions import AllOf, AnyOf, Condition, Matches, Negation, terms_of
from core.representation.fields import Field, Languages, Nested, Scalar, json_members, unknown_field
from core.representation.query_language import parse
from core.representation.relative_instants import Clock, names_relative_instant
from core.sql.composition import Sql, composed_once, identifier, sql


@dataclass(frozen=True, slots=True)
class SortKey:
    """An expression to sort by. `type` is its PostgreSQL type, so that a cursor's text can be compared.

    With `nullable` false, an index on it leads to the row of a cursor.
    """

    sql: Sql
    type: str
    descending: bool = False
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Search:
    """A `q` that was read: its conditions, the joins that they need, and its regular expressions."""

    conditions: tuple[Sql, ...] = ()
    needs: frozenset[str] = frozenset()
    patterns: tuple[Matches, ...] = ()


NO_SEARCH = Search()
LONGEST_REMEMBERED_SEARCH = 200  # characters


class Representation:
    """The wire shape of a resource.

    `table` is read under the name `alias`; its `id` is the last key of every order.
    `joins` maps a name to a LEFT JOIN that fields may need: a statement contains only those that it uses,
    and those needed only for the documents are joined after the page is cut.
    `derived` names the top-level fields that can change while the row's version stays: a conditional read
    that shows one of them is always answered in full.
    """

    def __init__(
        self,
        *,
        table: str,
        alias: str,
        fields: Mapping[str, Field],
        joins: Mapping[str, str] | None = None,
        aliases: Mapping[str, str] | None = None,
        name: str = "",
        documented: Mapping[str, Mapping[str, object]] | None = None,
        derived: Collection[str] = (),
    ) -> None:
        self.name = name
        self.derived = frozenset(derived)
        self.documented = {path: dict(schema) for path, schema in (documented or {}).items()}
        self.table = table
        self.alias = alias
        self.fields = dict(fields)
        self.joins = dict(joins or {})
        self.aliases = {name: tuple(path.split(".")) for name, path in (aliases or {}).items()}
        self.root = Nested(self.fields)
        self.document = lru_cache(maxsize=256)(self.build_document)
        self.remembered_search = lru_cache(maxsize=128)(self.build_search)
        self.row_key = SortKey(identifier(alias, "id"), "bigint")
        self.shape = self
        """What the texts of its statements depend on, see `composed_once`."""

    def build_document(self, names: tuple[str, ...] | None, languages: Languages) -> Sql:
        """Return the expression of one row's JSON object, of type text; `names` keeps only these fields."""
        kept = {name: field for name, field in self.fields.items() if names is None or name in names}
        members = json_members(kept, languages)
        return sql("'{{' || concat_ws(',', {members}) || '}}'", members=members)

    @property
    def version(self) -> Sql | None:
        """The expression of the version that clients read as `metadata.version`; None without one."""
        metadata = self.fields.get("metadata")
        version = metadata.fields.get("version") if isinstance(metadata, Nested) else None
        return version.expression if isinstance(version, Scalar) else None

    def kept_fields(self, names: Collection[str]) -> tuple[str, ...] | None:
        """Return the fields that `fields=` keeps (and `id`); None when it names none: all of them."""
        if not names:
            return None
        unknown = [name for name in names if name not in self.fields]
        if unknown:
            raise InvalidInput(
                f"There is no field {unknown[0]}; choose from {', '.join(self.fields)}.", field="fields"
            )
        return tuple(name for name in self.fields if name in names or name == "id")

    def search(self, text: str, clock: Clock | None = None) -> Search:
        """Read a `q`; raise QuerySyntaxError for a faulty one. Relative instants are those of the clock."""
        if len(text) > LONGEST_REMEMBERED_SEARCH or names_relative_instant(text):
            return self.build_search(text, clock)
        return self.remembered_search(text)

    def build_search(self, text: str, clock: Clock | None = None) -> Search:
        query = parse(text, clock)
        conditions, needs = self.condition(query)
        patterns = [term.test for term in terms_of(query) if isinstance(term.test, Matches)]
        return Search(tuple(conditions), frozenset(needs), tuple(patterns))

    def condition(self, query: Iterable[Condition]) -> tuple[list[Sql], set[str]]:
        """Return the conditions of a `q` as SQL, and the joins that they need."""
        needs: set[str] = set()
        return [self.searched(condition, needs) for condition in query], needs

    def searched(self, condition: Condition, needs: set[str]) -> Sql:
        """Return one condition of a `q` as SQL, and add the joins that it needs."""
        match condition:
            case AllOf(operands):
                return sql("({all})", all=self.combined(" AND ", operands, needs))
            case AnyOf(operands):
                return sql("({any})", any=self.combined(" OR ", operands, needs))
            case Negation(operand):
                return sql("(({condition}) IS NOT TRUE)", condition=self.searched(operand, needs))
        path = self.aliases.get(".".join(condition.path), condition.path)
        field = self.fields.get(path[0])
        if field is None:
            raise unknown_field(condition)
        needs.update(field.needs)
        return field.condition(condition, path[1:])

    def combined(self, operator: str, operands: Iterable[Condition], needs: set[str]) -> Sql:
        pieces = [sql("({piece})", piece=self.searched(operand, needs)) for operand in operands]
        return Sql.joined(operator, pieces)

    def sort_keys(self, sort: str, languages: Languages) -> tuple[list[SortKey], set[str]]:
        """Read `field:asc,other.en:desc`; return the keys to sort by and the joins that they need."""
        keys: list[SortKey] = []
        needs: set[str] = set()
        for part in filter(None, (part.strip() for part in sort.split(","))):
            name, _, direction = part.partition(":")
            if direction.lower() not in ("", "asc", "desc"):
                raise InvalidInput(
                    f"{part}: the direction after the colon is asc or desc, not {direction}.", field="sort"
                )
            path = self.aliases.get(name.strip(), tuple(name.strip().split(".")))
            field = self.fields.get(path[0])
            if field is None:
                raise InvalidInput(
                    f"There is no field {name} to sort by; choose from {', '.join(self.fields)}.",
                    field="sort",
                )
            expression, type_name = field.sort_key(path[1:], languages)
            keys.append(SortKey(expression, type_name, direction.lower() == "desc"))
            needs.update(field.needs)
        if len(keys) > 10:
            raise InvalidInput("Sort by at most 10 fields.", field="sort")
        return keys, needs

    def joined(self, needs: Collection[str]) -> Sql:
        """Return the joins of these names, in the order of their declaration."""
        return Sql("".join([" " + join for name, join in self.joins.items() if name in needs]))

    def needs_of(self, names: tuple[str, ...] | None) -> set[str]:
        kept = self.fields if names is None else {name: self.fields[name] for name in names}
        return {need for field in kept.values() for need in field.needs}


@composed_once
def row_statement(
    shape: Representation,
    names: tuple[str, ...] | None,
    needs: frozenset[str],
    *,
    document: Sql,
    condition: Sql,
) -> Sql:
    """Return the statement of one row: its document, and its version or NULL. `needs` is the condition's."""
    return sql(
        "SELECT {document}, {version} FROM {table} AS {alias}{joins} WHERE {condition} LIMIT 1",
        document=document,
        version=shape.version or Sql("NULL"),
        table=identifier(shape.table),
        alias=identifier(shape.alias),
        joins=shape.joined(needs | shape.needs_of(names)),
        condition=condition,
    )
