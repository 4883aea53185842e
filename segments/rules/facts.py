"""Facts: what a rule can ask about a customer or a legal entity, and a registry of them by their first word.

Apps register families of facts in `AppConfig.ready`: the fields of customers and companies and the membership
of other segments are registered here, `redemptions.*` by the app coupons.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from accounts.representations import CUSTOMERS, LEGAL_ENTITIES
from core.representation.conditions import Equals, Exists, IsNull, Missing, OneOf, QuerySyntaxError, Term
from core.representation.fields import (
    DATED,
    Computed,
    Field,
    Integer,
    Json,
    Languages,
    Nested,
    Time,
    unknown_field,
)
from core.representation.relative_instants import Clock, RelativeInstant
from core.representation.representations import Representation
from core.sql.composition import Sql, param, sql
from segments.models import Rule

INDEXED = {"customer.created_at", "customer.last_login_at"}
OWN_COLUMN = re.compile(r"\b(customer|legal_entity)\.(\w+)")


@dataclass(frozen=True)
class Scope:
    """What a rule is compiled for. `only` is an expression of type bigint[]: the customers to look at.

    Without it all customers of the tenant are.
    """

    tenant_id: int
    currency: str
    segment_id: str
    membership: str
    clock: Clock
    only: Sql | None = None

    @property
    def is_about_entities(self) -> bool:
        return self.membership == Rule.Membership.LEGAL_ENTITY

    def narrowed(self, column: str) -> Sql:
        """The condition that a column holds one of the customers to look at."""
        if self.only is None:
            return Sql("true")
        return sql("{column} = ANY({only})", column=Sql(column), only=self.only)


@dataclass(frozen=True, slots=True)
class Join:
    """Values of customers that a statement computes once for all of them, as rows with a `customer_id`.

    `rows` makes the SELECT; it looks only at the customers that the scope names. Joins of one name are one.
    """

    name: str
    rows: Callable[[Scope], Sql]


@dataclass(frozen=True, slots=True)
class Moments:
    """Where the instants are that a fact compares with the clock.

    `rows` is what follows FROM and what must hold, `customer` the customer's key, `instant` an expression:
    of type timestamptz, or text as ISO 8601 where `is_text`. Without an index on them they are looked at
    less often (see movements.py).
    """

    rows: Sql
    tenant: str
    customer: str
    instant: Sql
    is_text: bool = False
    is_indexed: bool = False


@dataclass(frozen=True, slots=True)
class Movement:
    """Time moves customers of these moments when a relative instant passes over them."""

    moments: Moments
    relative: RelativeInstant


def itself(condition: Sql) -> Sql:
    return condition


@dataclass(frozen=True)
class Fact:
    """A fact: the field that a term tests, at the path below it, and what else follows from naming it.

    `watches` are the names of columns whose changes may change it (see triggers.py). `around` makes the
    condition of the whole term of that of the field. `moments` are its instants, if it has any; `limits`
    are where the time that it looks at begins and ends. `rankable` is the column of its join that `top(...)`
    ranks by.
    `left_out` makes a SELECT of the keys of the rows that it does not count, whose number a preview says.
    They are rows of the model `left_out_label`, whose list in the admin is registered to show them.
    """

    field: Field
    path: tuple[str, ...] = ()
    watches: frozenset[str] = frozenset()
    joins: tuple[Join, ...] = ()
    around: Callable[[Sql], Sql] = itself
    moments: Moments | None = None
    limits: tuple[RelativeInstant, ...] = ()
    used_segments: tuple[str, ...] = ()
    rankable: str = ""
    shown: Sql | None = None
    left_out: Callable[["Scope"], Sql] | None = None
    left_out_label: str = ""

    def condition(self, term: Term) -> Sql:
        """Return the term as a condition."""
        return self.around(self.field.condition(term, self.path))

    def value(self) -> Sql:
        """Return the expression of the value that the term tests, as JSON text; NULL for none."""
        if self.shown is not None:
            return self.shown
        if isinstance(self.field, Json) and self.path:
            return sql(
                "({value} #> {path})::text",
                value=self.field.expression,
                path=param(list(self.path), "text[]"),
            )
        return self.field.json(Languages())


Resolve = Callable[[Scope, Term], Fact]


@dataclass(frozen=True, slots=True)
class Family:
    """All facts whose paths begin with one word. `names` are the paths as people are shown them."""

    root: str
    resolve: Resolve
    names: tuple[str, ...]
    of_entities: bool = False


_families: dict[tuple[bool, str], Family] = {}
_left_out_lists: set[str] = set()


def register_facts(*families: Family) -> None:
    """Let rules ask for these facts."""
    _families.update({(family.of_entities, family.root): family for family in families})


def register_left_out_list(label: str) -> None:
    """Have the list of the model's rows show those that the facts of a rule do not count."""
    _left_out_lists.add(label)


def left_out_lists() -> Collection[str]:
    return _left_out_lists


def fact_names(membership: str) -> list[str]:
    """Return the paths of all facts that rules of this membership may ask for; `*` is any member of JSON."""
    of_entities = membership == Rule.Membership.LEGAL_ENTITY
    return sorted(
        name for (about, _), family in _families.items() if about == of_entities for name in family.names
    )


def fact_of(scope: Scope, term: Term) -> Fact:
    """Return the fact that a term is about; raise QuerySyntaxError for an unknown one."""
    family = _families.get((scope.is_about_entities, term.path[0]))
    if family is None:
        raise unknown_fact(scope, term)
    return family.resolve(scope, term)


def unknown_fact(scope: Scope, term: Term) -> QuerySyntaxError:
    about = "companies" if scope.is_about_entities else "customers"
    return QuerySyntaxError(
        f"there is no fact {'.'.join(term.path)} about {about}; see docs/rules.md", term.position
    )


# Fields of a representation


def leaf_of(
    representation: Representation, term: Term, path: tuple[str, ...]
) -> tuple[Field, tuple[str, ...]]:
    """Return the field at the path, and what follows below it."""
    path = representation.aliases.get(".".join(path), path)
    field: Field = representation.root
    while isinstance(field, Nested) and path:
        following = field.fields.get(path[0])
        if following is None:
            raise unknown_field(term)
        field, path = following, path[1:]
    return field, path


def watched_columns(field: Field) -> frozenset[str]:
    """Return what a field is read from: the columns that its SQL names."""
    parts = field.fields.values() if isinstance(field, Nested) else (field,)
    watches: set[str] = set()
    for part in parts:
        if isinstance(part, Nested):
            watches |= watched_columns(part)
            continue
        text = getattr(part, "expression", Sql("")).sql
        watches |= {f"{table}.{column}" for table, column in OWN_COLUMN.findall(text)}
        if "parent." in text:
            watches.add("legal_entity.parent_id")
        if "accounts_contactassignment" in text:
            watches = {name for name in watches if name not in ("customer.tenant_id", "customer.id")}
            watches.add("contact.*")
    return frozenset(watches)


def moments_of(
    field: Field, path: tuple[str, ...], *, rows: Sql, tenant: str, customer: str
) -> Moments | None:
    """Return the instants of a field of times, or of a value in JSON that may be one."""
    if isinstance(field, Time):
        is_indexed = field.expression.sql in INDEXED
        return Moments(rows, tenant, customer, field.expression, is_indexed=is_indexed)
    if isinstance(field, Json):
        value = sql(
            '(substring({value} #>> {path} FROM {date}) COLLATE "C")',
            value=field.expression,
            path=param("{" + ",".join(f'"{part}"' for part in path) + "}", "text[]"),
            date=param(DATED),
        )
        return Moments(rows, tenant, customer, value, is_text=True)
    return None


def names_of(representation: Representation) -> dict[str, list[str]]:
    """Return the paths of all fields that can be searched by, by their first word."""

    def paths(field: Field, prefix: str) -> Iterable[str]:
        if isinstance(field, Nested):
            for name, part in field.fields.items():
                yield from paths(part, f"{prefix}.{name}" if prefix else name)
        elif isinstance(field, Json):
            yield f"{prefix}.*"
        elif not isinstance(field, Computed):
            yield prefix

    return {name: list(paths(field, name)) for name, field in representation.fields.items()}


OF_CUSTOMER = Sql("accounts_customer AS customer WHERE true")


def customer_field(scope: Scope, term: Term) -> Fact:
    field, path = leaf_of(CUSTOMERS, term, term.path)
    return Fact(
        field,
        path,
        watched_columns(field),
        moments=moments_of(
            field, path, rows=OF_CUSTOMER, tenant="customer.tenant_id", customer="customer.id"
        ),
    )


# Legal entities

CONTACT = Sql(
    "accounts_contactassignment AS contact JOIN accounts_legalentity AS legal_entity"
    " ON legal_entity.tenant_id = contact.tenant_id AND legal_entity.id = contact.legal_entity_id"
    " LEFT JOIN accounts_legalentity AS parent"
    " ON parent.tenant_id = legal_entity.tenant_id AND parent.id = legal_entity.parent_id"
    " WHERE true"
)
OF_CONTACTS = "contact.tenant_id", "contact.customer_id"


def any_entity(condition: Sql) -> Sql:
    """The condition that one of the customer's companies meets a condition."""
    return sql(
        "EXISTS (SELECT FROM {contact} AND contact.tenant_id = customer.tenant_id"
        " AND contact.customer_id = customer.id AND {condition})",
        contact=CONTACT,
        condition=condition,
    )


def entities_shown(value: Sql) -> Sql:
    return sql(
        "(SELECT json_agg(({value})::json ORDER BY legal_entity.id) FROM {contact}"
        " AND contact.tenant_id = customer.tenant_id AND contact.customer_id = customer.id)::text",
        value=value,
        contact=CONTACT,
    )


def companies_of_customer(scope: Scope, term: Term) -> Fact:
    """Any of the customer's companies: `legalEntityIds`, `legalEntities.type` and so on."""
    path = ("id",) if term.path[0] == "legalEntityIds" else term.path[1:]
    if term.path[0] == "legalEntityIds" and len(term.path) > 1:
        raise unknown_field(term)
    if not path or path == ("id",):
        match term.test:
            case Exists():
                return Fact(Constant(has_company=True), watches=frozenset({"contact.*"}))
            case Missing() | IsNull():
                return Fact(Constant(has_company=False), watches=frozenset({"contact.*"}))
    if not path:
        raise QuerySyntaxError("legalEntities is a list of objects; name one of its fields", term.position)
    field, rest = leaf_of(LEGAL_ENTITIES, term, path)
    tenant, customer = OF_CONTACTS
    fact = Fact(
        field,
        rest,
        watched_columns(field) | {"contact.*"},
        around=any_entity,
        moments=moments_of(field, rest, rows=CONTACT, tenant=tenant, customer=customer),
    )
    return replace(fact, shown=entities_shown(fact.value()))


class Constant(Field):
    """Whether the customer is a contact of any company; the test is part of it."""

    def __init__(self, *, has_company: bool) -> None:
        self.has_company = has_company

    def json(self, languages: Languages) -> Sql:
        return sql("({any})::text", any=any_entity(Sql("true")))

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        any_company = any_entity(Sql("true"))
        return any_company if self.has_company else sql("NOT {any}", any=any_company)


def entity_field(scope: Scope, term: Term) -> Fact:
    field, path = leaf_of(LEGAL_ENTITIES, term, term.path)
    tenant, customer = OF_CONTACTS
    return Fact(
        field,
        path,
        watched_columns(field) | {"contact.*"},
        moments=moments_of(field, path, rows=CONTACT, tenant=tenant, customer=customer),
    )


# Segments and buckets


class StoredMembership(Field):
    """The other segments that a customer is stored in, whatever the windows of the assignments."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def json(self, languages: Languages) -> Sql:
        return Sql(
            "(SELECT json_agg(DISTINCT segment.external_id) FROM segments_customerassignment AS held"
            " JOIN segments_segment AS segment ON segment.id = held.segment_id"
            " WHERE held.tenant_id = customer.tenant_id AND held.customer_id = customer.id)::text"
        )

    def condition(self, term: Term, path: tuple[str, ...]) -> Sql:
        return sql(
            "customer.id IN (SELECT held.customer_id FROM segments_customerassignment AS held"
            " WHERE held.tenant_id = {tenant} AND {narrowed} AND held.segment_id = ANY(ARRAY("
            "SELECT segment.id FROM segments_segment AS segment WHERE segment.tenant_id = {tenant}"
            " AND segment.external_id = ANY({ids}))))",
            tenant=param(self.scope.tenant_id),
            narrowed=self.scope.narrowed("held.customer_id"),
            ids=param(list(segment_ids(term)), "text[]"),
        )


def segment_ids(term: Term) -> tuple[str, ...]:
    """Return the segments that a term names; raise QuerySyntaxError where it names none."""
    match term.test:
        case Equals(value):
            return (value.text,)
        case OneOf(values):
            return tuple(value.text for value in values)
    raise QuerySyntaxError("name the segments by their ids: segments:(a,b)", term.position)


def membership_of_segments(scope: Scope, term: Term) -> Fact:
    if len(term.path) > 1:
        raise unknown_field(term)
    return Fact(StoredMembership(scope), used_segments=segment_ids(term))


def bucket(scope: Scope, term: Term) -> Fact:
    """A number from 0 to 99 that stays with a customer (or company) in a segment: for experiments."""
    if len(term.path) > 1:
        raise unknown_field(term)
    subject = "legal_entity.external_id" if scope.is_about_entities else "customer.external_id"
    hashed = sql(
        "sha256(convert_to({segment} || ':' || {subject}, 'UTF8'))",
        segment=param(scope.segment_id, "text"),
        subject=Sql(subject),
    )
    number = sql(
        "((get_byte({hash}, 0) * 65536 + get_byte({hash}, 1) * 256 + get_byte({hash}, 2)) %% 100)",
        hash=hashed,
    )
    return Fact(Integer(number), watches=frozenset({subject}))


ENTITY_FIELDS = names_of(LEGAL_ENTITIES)
register_facts(
    *(
        Family(name, customer_field, tuple(names))
        for name, names in names_of(CUSTOMERS).items()
        if name != "accounts"
    ),
    *(Family(alias, customer_field, (alias,)) for alias in (*CUSTOMERS.aliases,)),
    Family("legalEntityIds", companies_of_customer, ("legalEntityIds",)),
    Family(
        "legalEntities",
        companies_of_customer,
        tuple(f"legalEntities.{name}" for names in ENTITY_FIELDS.values() for name in names),
    ),
    Family("segments", membership_of_segments, ("segments",)),
    Family("bucket", bucket, ("bucket",)),
    *(Family(name, entity_field, tuple(names), of_entities=True) for name, names in ENTITY_FIELDS.items()),
    *(Family(alias, entity_field, (alias,), of_entities=True) for alias in LEGAL_ENTITIES.aliases),
    Family("bucket", bucket, ("bucket",), of_entities=True),
)
