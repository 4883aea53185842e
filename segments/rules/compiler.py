"""From the `q` of a rule to SQL: a condition over `customer` or `legal_entity`, and what it depends on.

Texts of clients become parameters only. The tenant's condition is not part of it: the code that composes the
statement adds it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from core.errors import InvalidInput
from core.representation.conditions import (
    AllOf,
    AnyOf,
    Condition,
    Equals,
    Matches,
    Negation,
    OneOf,
    QuerySyntaxError,
    Range,
    Term,
    Top,
    Value,
)
from core.representation.fields import Time, compares_relative_instants
from core.representation.query_language import Bounds, parse
from core.representation.query_writing import write_term
from core.representation.relative_instants import RelativeInstant
from core.sql.composition import Sql, identifier, param, sql
from segments.models import Rule
from segments.rules.facts import Fact, Join, Movement, Scope, fact_of

NOTHING = Sql("")
BOUNDS = Bounds(length=4_000, terms=50, depth=5)
MOST_WINDOWS = 10
"""Different joins of one rule: each may read as many rows as a shop has redemptions."""


class EmptyRule(InvalidInput):
    """A rule without a term would make everybody a member."""

    code = "empty_rule"


@dataclass(frozen=True, slots=True)
class CompiledTerm:
    """A term of a rule: as it is written, its fact, and its condition."""

    text: str
    fact: Fact
    condition: Sql
    position: int


@dataclass(slots=True)
class CompiledRule:
    """A rule as SQL: the condition, the joins that it needs, and what may change its verdict.

    `without_joins` is the part of the condition that needs no joins; all who belong meet it.
    """

    condition: Sql = field(default_factory=lambda: Sql("true"))
    without_joins: Sql | None = None
    terms: list[CompiledTerm] = field(default_factory=list)
    joins: dict[str, Join] = field(default_factory=dict)
    watched: set[str] = field(default_factory=set)
    used_segments: set[str] = field(default_factory=set)
    movements: list[Movement] = field(default_factory=list)


def compile_rule(q: str, scope: Scope, mode: str) -> CompiledRule:
    """Return the rule as SQL; raise QuerySyntaxError for a faulty one, and EmptyRule."""
    conditions = parse(q, scope.clock, BOUNDS)
    if not conditions:
        raise EmptyRule(
            "The rule has no term, so everybody would belong: say who, as in onHold:false.", field="q"
        )
    compiled = CompiledRule()
    if scope.is_about_entities:
        compiled.watched.add("contact.*")
    searched, simple = [], []
    for one in conditions:
        number = len(compiled.terms)
        searched.append(sql("({one})", one=_searched(one, scope, mode, compiled)))
        if not any(term.fact.joins for term in compiled.terms[number:]):
            simple.append(searched[-1])
    compiled.condition = Sql.joined(" AND ", searched)
    compiled.without_joins = Sql.joined(" AND ", simple) if simple else None
    if len(compiled.joins) > MOST_WINDOWS:
        raise QuerySyntaxError(f"a rule looks at no more than {MOST_WINDOWS} different windows", 1)
    return compiled


def _searched(condition: Condition, scope: Scope, mode: str, compiled: CompiledRule) -> Sql:
    match condition:
        case AllOf(operands):
            return _combined(" AND ", operands, scope, mode, compiled)
        case AnyOf(operands):
            return _combined(" OR ", operands, scope, mode, compiled)
        case Negation(operand):
            return sql("(({one}) IS NOT TRUE)", one=_searched(operand, scope, mode, compiled))
    return _term(condition, scope, mode, compiled)


def _combined(
    operator: str, operands: Iterable[Condition], scope: Scope, mode: str, compiled: CompiledRule
) -> Sql:
    pieces = [sql("({one})", one=_searched(one, scope, mode, compiled)) for one in operands]
    return sql("({all})", all=Sql.joined(operator, pieces))


def _term(term: Term, scope: Scope, mode: str, compiled: CompiledRule) -> Sql:
    is_live = mode == Rule.Mode.LIVE
    if isinstance(term.test, Matches) and is_live:
        raise QuerySyntaxError("a LIVE rule has no regular expressions", term.test.position)
    fact = fact_of(scope, term)
    for join in fact.joins:
        compiled.joins[join.name] = join
    compiled.watched |= fact.watches
    compiled.used_segments |= {*fact.used_segments}
    if fact.moments is not None:
        compiled.movements += [Movement(fact.moments, one) for one in _relatives(term, fact)]
    if isinstance(term.test, Top):
        if is_live:
            raise QuerySyntaxError(
                "top(...) is for SNAPSHOT rules: somebody's rank moves with everybody's", term.test.position
            )
        condition = _rank(term, term.test, fact, compiled)
    else:
        condition = fact.condition(term)
    compiled.terms.append(CompiledTerm(write_term(term), fact, condition, term.position))
    return condition


def _relatives(term: Term, fact: Fact) -> set[RelativeInstant]:
    """Return the instants relative to now at which the term may turn true or false."""
    found: set[RelativeInstant | None] = set(fact.limits)
    if isinstance(fact.field, Time) or compares_relative_instants(term):
        found |= {value.relative for value in _values(term)}
    return {one for one in found if one is not None}


def _values(term: Term) -> list[Value]:
    match term.test:
        case Equals(value):
            return [value]
        case OneOf(values):
            return list(values)
        case Range(comparisons):
            return [one.value for one in comparisons]
    return []


def _rank(term: Term, top: Top, fact: Fact, compiled: CompiledRule) -> Sql:
    """The condition that a customer has one of the first places; equal values go by the customer's key."""
    if not fact.rankable or len(fact.joins) != 1:
        raise QuerySyntaxError("only redemptions.count and redemptions.total can be ranked", term.position)
    if not top.number or (top.is_percent and top.number > 100) or (not top.is_percent and top.number % 1):
        raise QuerySyntaxError("write top(500) or top(10%)", top.position)
    [join] = fact.joins
    name, column = f"rank_of_{fact.rankable}_{join.name}", fact.rankable

    def rows(scope: Scope) -> Sql:
        everybody = Scope(scope.tenant_id, scope.currency, scope.segment_id, scope.membership, scope.clock)
        return sql(
            "SELECT customer_id, row_number() OVER (ORDER BY {value} DESC, customer_id) AS place,"
            " count(*) OVER () AS number FROM ({rows}) AS ranked WHERE {value} > 0",
            value=identifier(column),
            rows=join.rows(everybody),
        )

    compiled.joins[name] = Join(name, rows)
    most = param(top.number if top.is_percent else Decimal(int(top.number)), "numeric")
    if top.is_percent:
        most = sql("ceil({table}.number * {most} / 100)", table=identifier(name), most=most)
    return sql("({table}.place <= {most})", table=identifier(name), most=most)


# Statements


def subject_rows(
    scope: Scope, joins: Iterable[Join], condition: Sql, columns: Sql, more: Sql = NOTHING
) -> Sql:
    """A SELECT over what a rule is about: the customers of the tenant, or the contacts of companies.

    `more` are further joins.
    """
    joined = [
        sql(
            " LEFT JOIN ({rows}) AS {name} ON {name}.customer_id = customer.id",
            rows=join.rows(scope),
            name=identifier(join.name),
        )
        for join in joins
    ]
    if scope.is_about_entities:
        return sql(
            "SELECT {columns} FROM accounts_legalentity AS legal_entity"
            " LEFT JOIN accounts_legalentity AS parent"
            " ON parent.tenant_id = legal_entity.tenant_id AND parent.id = legal_entity.parent_id"
            " JOIN accounts_contactassignment AS contact"
            " ON contact.tenant_id = legal_entity.tenant_id AND contact.legal_entity_id = legal_entity.id"
            "{more} WHERE legal_entity.tenant_id = {tenant} AND {narrowed} AND {condition}",
            columns=columns,
            more=more,
            tenant=param(scope.tenant_id),
            narrowed=scope.narrowed("contact.customer_id"),
            condition=condition,
        )
    return sql(
        "SELECT {columns} FROM accounts_customer AS customer{joined}{more}"
        " WHERE customer.tenant_id = {tenant} AND {narrowed} AND {condition}",
        columns=columns,
        more=more,
        joined=Sql.joined("", joined),
        tenant=param(scope.tenant_id),
        narrowed=scope.narrowed("customer.id"),
        condition=condition,
    )


def member_columns(scope: Scope) -> Sql:
    """The customer and the legal entity of a member, as columns of `subject_rows`."""
    if scope.is_about_entities:
        return Sql("contact.customer_id, contact.legal_entity_id")
    return Sql("customer.id AS customer_id, NULL::bigint AS legal_entity_id")


def subject_keys(scope: Scope) -> tuple[Sql, Sql]:
    """The keys of the customer and the legal entity, as `subject_rows` knows them."""
    if scope.is_about_entities:
        return Sql("contact.customer_id"), Sql("contact.legal_entity_id")
    return Sql("customer.id"), Sql("NULL")


def not_excluded(scope: Scope, segment: Sql) -> Sql:
    """The condition that nobody took them out of the segment by hand."""
    customer, entity = subject_keys(scope)
    return sql(
        "NOT EXISTS (SELECT FROM segments_ruleexclusion AS exclusion WHERE exclusion.tenant_id = {tenant}"
        " AND exclusion.segment_id = {segment} AND exclusion.customer_id = {customer}"
        " AND exclusion.legal_entity_id IS NOT DISTINCT FROM {entity})",
        tenant=param(scope.tenant_id),
        segment=segment,
        customer=customer,
        entity=entity,
    )


def wanted_members(compiled: CompiledRule, scope: Scope, segment: Sql) -> Sql:
    """A SELECT of all who belong by the rule: (customer_id, legal_entity_id), without those excluded."""
    condition = sql("{holds} AND {excluded}", holds=compiled.condition, excluded=not_excluded(scope, segment))
    return subject_rows(scope, compiled.joins.values(), condition, member_columns(scope))
