"""Before a rule is saved: how many it concerns, who joins and who leaves."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

import orjson
from django.db import DataError
from msgspec import Meta

from accounts.models import ContactAssignment, Site
from core.bodies import Body, OptionalReference, Reference
from core.errors import InvalidInput
from core.representation.conditions import QuerySyntaxError
from core.sql.composition import Sql, SqlValues, identifier, integer, param, sql
from core.sql.fetching import fetch_rows
from core.sql.time_limits import fetch_within
from core.tenancy.callers import TenantRecord
from core.tenancy.models import Tenant
from segments.errors import UnknownSite
from segments.models import Rule, Segment
from segments.rules.compiler import (
    CompiledRule,
    member_columns,
    not_excluded,
    subject_keys,
    subject_rows,
    wanted_members,
)
from segments.rules.evaluation import scope_of
from segments.rules.facts import Scope
from segments.rules.operations import checked
from segments.tallies import customers_of

SAMPLE: Final = 20
LONGEST: Final = 2_000  # milliseconds, of a whole preview
PATIENT: Final = 60_000  # milliseconds, of a command
SOON: Final = 450  # milliseconds, until which a preview that estimates looks for the few who belong
EXACTLY: Final = 0.75  # of the time that is left, for counting; the rest is for an estimate
MOST_EXACT: Final = 150_000  # customers of a shop, which are counted in any case
SAMPLED: Final = 15_000  # customers that an estimate is made of
EACH: Final = 8  # of the customers in a page of the table, one is taken: its neighbours are like it
RARE: Final = 30  # of those sampled; fewer are no estimate
FEW: Final = 20_000  # customers
NOT_COMPARABLE: Final = (
    "A value of a customer cannot be compared like this, such as a number that is too large."
)

RuleText = Annotated[
    str, Meta(max_length=4_000, description="Who belongs, in the language q over facts; see docs/rules.md.")
]
Mode = Annotated[
    Literal["LIVE", "SNAPSHOT"],
    Meta(description="LIVE: kept right. SNAPSHOT: evaluated once, then curated by hand."),
]
Membership = Annotated[
    Literal["CUSTOMER", "LEGAL_ENTITY"],
    Meta(
        description="CUSTOMER: about customers, who become B2C members. LEGAL_ENTITY: about companies, whose"
        " contacts become B2B members."
    ),
]


class PreviewBody(Body, kw_only=True):
    """A rule that is only looked at."""

    q: RuleText
    site_code: Annotated[
        OptionalReference | None,
        Meta(description="The site in whose time zone `today` begins; absent: the default site."),
    ] = None
    segment_id: Annotated[
        Reference | None, Meta(description="The segment whose members it is compared with.")
    ] = None
    mode: Mode = "LIVE"
    membership: Membership = "CUSTOMER"
    exact: Annotated[
        bool,
        Meta(
            description="Count for up to two seconds, also in a shop with more than 150,000 customers;"
            " otherwise numbers are estimated there."
        ),
    ] = False


IsCapped = Annotated[
    bool,
    Meta(
        description="Whether not all customers were counted: then the number is an estimate, from a random"
        " sample of them, in two digits. So are `joins`, `leaves` and `leftOut`."
    ),
]


class TermCount(Body, kw_only=True, omit_defaults=True):
    """A term of the rule."""

    q: Annotated[str, Meta(description="The term.")]
    count: Annotated[
        int | None, Meta(description="For how many it holds; absent when counting took too long.")
    ] = None
    is_capped: IsCapped = False


class RuleFault(Body, kw_only=True):
    """What is wrong with the rule."""

    position: Annotated[int, Meta(description="At which character, from 1.")]
    message: Annotated[str, Meta(description="What is wrong there.")]


class SampledCustomer(Body, kw_only=True, omit_defaults=True):
    """One of those who would belong."""

    id: Annotated[str, Meta(description="The customer's number.")]
    name: Annotated[str, Meta(description="The customer's name.")] = ""
    email: Annotated[str | None, Meta(description="The customer's e-mail.")] = None
    legal_entity_id: Annotated[str | None, Meta(description="The company that the customer acts for.")] = None


class RulePreview(Body, kw_only=True, omit_defaults=True):
    """What a rule would do. Numbers are absent when that took too long."""

    count: Annotated[int | None, Meta(description="How many would belong.")] = None
    is_capped: IsCapped = False
    share: Annotated[
        float | None,
        Meta(description="Which part of all customers that is, from 0 to 1."),
    ] = None
    terms: Annotated[list[TermCount], Meta(description="Each term by itself, in order.")] = []
    joins: Annotated[int | None, Meta(description="How many would join.")] = None
    leaves: Annotated[int | None, Meta(description="How many would leave.")] = None
    sample: Annotated[list[SampledCustomer], Meta(description="Up to 20 of those who would belong.")] = []
    left_out: Annotated[
        int | None, Meta(description="Redemptions in other currencies, which totals leave out.")
    ] = None
    fault: Annotated[RuleFault | None, Meta(description="What is wrong; then nothing is counted.")] = None


def preview_rule(
    *, tenant: Tenant | TenantRecord, body: PreviewBody, at: datetime, longest: int | None = None
) -> RulePreview:
    """Say what the rule would do, in `longest` milliseconds at most; what is not known by then is absent.

    Without `longest` a preview has two seconds.

    Shops with many customers are not counted unless `body.exact`: half a second is enough for an estimate,
    and mostly for counting those who belong where they are few. Raises UnknownSite, and InvalidInput for an
    unknown segment.
    """
    rule = unsaved_rule(tenant, body)
    scope = scope_of(rule, at)
    try:
        compiled = checked(rule, at)
    except InvalidInput as error:
        position = error.position if isinstance(error, QuerySyntaxError) else 1
        message = error.message.partition(": ")[2] if isinstance(error, QuerySyntaxError) else error.message
        return RulePreview(fault=RuleFault(position=position, message=message))
    began, most = time.monotonic(), LONGEST if longest is None else longest

    def fetched(statement: Sql, share: float, until: int = most) -> list[SqlValues] | None:
        left = round((until - (time.monotonic() - began) * 1_000) * share)
        return fetch_within(statement, milliseconds=left) if left > 0 else None

    try:
        return counted_preview(rule, compiled, scope, fetched, most, is_exact=body.exact)
    except DataError:
        return RulePreview(fault=RuleFault(position=1, message=NOT_COMPARABLE))


class Counted(StrEnum):
    """What the numbers of a preview count."""

    BELONG = "belong"
    JOIN = "join"
    LEAVE = "leave"
    TERM = "term"


Member = tuple[int, int]
"""The keys of a customer, and of the company that they act for; 0: none."""


def counted_members(
    *, tenant: Tenant, body: PreviewBody, which: Counted, term: int, after: Member, most: int, at: datetime
) -> list[Member] | None:
    """Return the first members that a number of the preview counts, after this one; None if that takes long.

    `term` is the place of the term whose number it is. Raises UnknownSite, and InvalidInput for an unknown
    segment, for a rule that cannot be read, and for a term that it does not have.
    """
    rule = unsaved_rule(tenant, body)
    scope = scope_of(rule, at)
    compiled = checked(rule, at)
    if which is Counted.TERM:
        if term >= len(compiled.terms):
            raise InvalidInput("The rule has fewer conditions.", field="term")
        condition = compiled.terms[term].condition
        members = subject_rows(scope, compiled.joins.values(), condition, member_columns(scope))
    else:
        wanted = wanted_members(compiled, scope, param(rule.segment_id or 0))
        members = sql(
            "{with_wanted} {members}",
            with_wanted=wanted_and_held(wanted, rule),
            members=Sql(MEMBERS_OF[which]),
        )
    return fetch_within(
        sql(
            "SELECT * FROM (SELECT customer_id, coalesce(legal_entity_id, 0) AS legal_entity_id"
            " FROM ({members}) AS member) AS member"
            " WHERE (customer_id, legal_entity_id) > ({customer}, {company}) ORDER BY 1, 2 LIMIT {most}",
            members=members,
            customer=param(after[0], "bigint"),
            company=param(after[1], "bigint"),
            most=integer(most),
        ),
        milliseconds=LONGEST,
    )


Fetch = Callable[..., list[SqlValues] | None]


def counted_preview(
    rule: Rule, compiled: CompiledRule, scope: Scope, fetched: Fetch, longest: int, *, is_exact: bool
) -> RulePreview:
    """Count who would belong, and each term by itself, or estimate it from a sample of all customers."""
    preview = RulePreview(terms=[TermCount(q=term.text) for term in compiled.terms])
    customers = customers_of(scope.tenant_id)
    everybody = everybody_of(scope) if scope.is_about_entities else customers
    looked_at, each = scope, None
    is_exact = is_exact or customers <= MOST_EXACT
    if is_exact and (rows := fetched(counts_of(rule, compiled, scope), EXACTLY)):
        add_counts(preview, rule, rows[0])
    elif sampled := [key for (key,) in fetched(sample_of(scope, customers), 1) or ()]:
        looked_at, each = replace(scope, only=param(sampled, "bigint[]")), customers / len(sampled)
        if rows := fetched(counts_of(rule, compiled, looked_at), 1):
            add_counts(preview, rule, rows[0], each=each, most=everybody)
            if rows[0][0] < RARE:
                add_rare(preview, rule, compiled, scope, fetched, longest if is_exact else SOON)
            if not preview.is_capped:
                looked_at, each = scope, None
    if (left_out := rows_left_out(compiled, looked_at)) and (
        rows := fetched(sql("SELECT count(*) FROM ({left_out}) AS left_out", left_out=left_out), 1)
    ):
        preview.left_out = estimated(rows[0][0], each)
    if preview.count is not None and everybody:
        preview.share = round(min(preview.count / everybody, 1), 4)
    return preview


def rows_left_out(compiled: CompiledRule, scope: Scope) -> Sql | None:
    """A SELECT of the keys of the rows that the facts of a rule do not count; None when they count all."""
    left_out = [term.fact.left_out(scope) for term in compiled.terms if term.fact.left_out is not None]
    return Sql.joined(" UNION ", left_out) if left_out else None


def left_out_of(*, tenant: Tenant, body: PreviewBody, at: datetime) -> Sql | None:
    """A SELECT of the keys of the rows that `preview_rule` counts as left out; None where there are none.

    Raises UnknownSite, and InvalidInput for an unknown segment and for a rule that cannot be read.
    """
    rule = unsaved_rule(tenant, body)
    return rows_left_out(checked(rule, at), scope_of(rule, at))


def left_out_label(*, tenant: Tenant, body: PreviewBody, at: datetime) -> str:
    """Return the label of the model that they are rows of; empty where there are none."""
    labels = [term.fact.left_out_label for term in checked(unsaved_rule(tenant, body), at).terms]
    return next(filter(None, labels), "")


def add_counts(
    preview: RulePreview, rule: Rule, row: SqlValues, *, each: float | None = None, most: int | None = None
) -> None:
    """Show the numbers of `counts_of`; of a sample, each customer there is for so many of `most` in all."""
    count, joins, leaves, sample, *terms = row
    preview.count, preview.is_capped = estimated(count, each, most), each is not None
    preview.sample = [SampledCustomer(**customer) for customer in orjson.loads(sample or "[]")]
    if rule.segment_id:
        preview.joins, preview.leaves = estimated(joins, each, most), estimated(leaves, each, most)
    for term, number in zip(preview.terms, terms, strict=False):
        term.count, term.is_capped = estimated(number, each, most), each is not None


def estimated(count: int, each: float | None, most: int | None = None) -> int:
    """Return how many there are of all, in two digits and no more than there can be."""
    if each is None:
        return count
    rounded = int(float(f"{count * each:.1e}"))
    return rounded if most is None else min(rounded, most)


def sample_of(scope: Scope, customers: int) -> Sql:
    """Choose customers of the tenant by chance, the same ones each time.

    So a number stays while a rule is written. Reads either some pages of the table or the tenant's part of
    an index, whichever is less.
    """
    if EACH * SAMPLED * max(stored_customers(), customers) < customers**2:
        source = sql(
            " TABLESAMPLE SYSTEM ({percent}) REPEATABLE ({tenant})",
            percent=param(100 * min(1, EACH * SAMPLED / customers)),
            tenant=param(scope.tenant_id),
        )
        one_in = EACH
    else:
        source, one_in = Sql(""), max(1, customers // SAMPLED)
    return sql(
        "SELECT id FROM accounts_customer{source}"
        " WHERE tenant_id = {tenant} AND hashint8extended(id, 17) %% {one_in} = 0 LIMIT {most}",
        source=source,
        tenant=param(scope.tenant_id),
        one_in=integer(one_in),
        most=integer(2 * SAMPLED),
    )


def stored_customers() -> int:
    """Return about how many customers all tenants have together."""
    rows = fetch_rows(sql("SELECT reltuples::bigint FROM pg_class WHERE oid = 'accounts_customer'::regclass"))
    return int(rows[0][0])


def add_rare(
    preview: RulePreview, rule: Rule, compiled: CompiledRule, scope: Scope, fetched: Fetch, until: int
) -> None:
    """Count those who belong, where a sample has too few of them, if that takes little time.

    Where conditions on the customers themselves leave few, only their redemptions are looked at.
    """
    if compiled.without_joins is not None and compiled.joins:
        key, _ = subject_keys(scope)
        keys = fetched(
            sql(
                "{rows} LIMIT {most}",
                rows=subject_rows(scope, (), compiled.without_joins, key),
                most=integer(FEW + 1),
            ),
            1,
            until,
        )
        if keys is None:
            return
        if len(keys) <= FEW:
            scope = replace(scope, only=param([key for (key,) in keys], "bigint[]"))
    wanted = wanted_members(compiled, scope, param(rule.segment_id or 0))
    if rows := fetched(summary_of(wanted, rule), 1, until):
        add_counts(preview, rule, rows[0])


SAME = (
    "held.customer_id = wanted.customer_id"
    " AND coalesce(held.legal_entity_id, 0) = coalesce(wanted.legal_entity_id, 0)"
)
MEMBERS_OF: Final = {
    Counted.BELONG: "SELECT wanted.* FROM wanted",
    Counted.JOIN: f"SELECT wanted.* FROM wanted LEFT JOIN held ON {SAME} WHERE held.customer_id IS NULL",
    Counted.LEAVE: f"SELECT held.* FROM held LEFT JOIN wanted ON {SAME}"
    " WHERE wanted.customer_id IS NULL AND held.assignment_type = 'AUTOMATIC'",
}
"""SELECTs of the members that a number counts, after `wanted_and_held`."""


def wanted_and_held(wanted: Sql, rule: Rule) -> Sql:
    """The beginning of a statement: who would belong, and who is a member of the rule's segment."""
    return sql(
        "WITH wanted AS MATERIALIZED ({wanted}), held AS MATERIALIZED ("
        "SELECT customer_id, legal_entity_id, assignment_type FROM segments_customerassignment"
        " WHERE tenant_id = {tenant} AND segment_id = {segment})",
        wanted=wanted,
        tenant=param(rule.tenant_id),
        segment=param(rule.segment_id or 0),
    )


def summary_of(wanted: Sql, rule: Rule) -> Sql:
    """Count who would belong, who would join and who would leave, and show some of them."""
    return sql(
        "{with_wanted} SELECT (SELECT count(*) FROM ({belong}) AS member),"
        " (SELECT count(*) FROM ({join}) AS member), (SELECT count(*) FROM ({leave}) AS member),"
        " ({people} FROM (SELECT * FROM wanted LIMIT {most}) AS wanted {named})",
        with_wanted=wanted_and_held(wanted, rule),
        **{which.value: Sql(members) for which, members in MEMBERS_OF.items()},
        people=PEOPLE,
        named=NAMED,
        most=integer(SAMPLE),
    )


PEOPLE = Sql(
    "SELECT jsonb_agg(jsonb_build_object('id', customer.external_id,"
    " 'name', trim(customer.first_name || ' ' || customer.last_name), 'email', customer.email,"
    " 'legal_entity_id', entity.external_id) ORDER BY customer.id, entity.id)"
)
NAMED = Sql(
    "JOIN accounts_customer AS customer ON customer.id = wanted.customer_id"
    " LEFT JOIN accounts_legalentity AS entity ON entity.id = wanted.legal_entity_id"
)


def counts_of(rule: Rule, compiled: CompiledRule, scope: Scope) -> Sql:
    """As `summary_of`, and for how many each term holds, in one pass over those the rule is about."""
    tenant, segment = param(scope.tenant_id), param(rule.segment_id or 0)
    customer, entity = subject_keys(scope)
    terms = [(term, identifier(f"term_{number}")) for number, term in enumerate(compiled.terms)]
    columns = [
        sql(
            "{customer} AS customer_id, {entity}::bigint AS legal_entity_id", customer=customer, entity=entity
        ),
        sql("{holds} AND {free} AS belongs", holds=compiled.condition, free=not_excluded(scope, segment)),
        Sql("held.assignment_type AS held"),
        *(sql("{holds} AS {name}", holds=term.condition, name=name) for term, name in terms),
    ]
    held = sql(
        " LEFT JOIN segments_customerassignment AS held ON held.tenant_id = {tenant}"
        " AND held.segment_id = {segment} AND held.customer_id = {customer}"
        " AND held.legal_entity_id IS NOT DISTINCT FROM {entity}",
        tenant=tenant,
        segment=segment,
        customer=customer,
        entity=entity,
    )
    rows = subject_rows(scope, compiled.joins.values(), Sql("true"), Sql.joined(", ", columns), held)
    counted = [sql("count(*) FILTER (WHERE {name}) AS {name}", name=name) for _, name in terms]
    return sql(
        # OFFSET 0: each condition is computed once
        "WITH counted AS MATERIALIZED (SELECT count(*) FILTER (WHERE belongs) AS belong,"
        " count(*) FILTER (WHERE belongs AND held IS NULL) AS joins,"
        " count(*) FILTER (WHERE belongs AND held = 'AUTOMATIC') AS stay,"
        " (array_agg(customer_id) FILTER (WHERE belongs))[:{most}] AS customers,"
        " (array_agg(legal_entity_id) FILTER (WHERE belongs))[:{most}] AS entities,"
        " {counted} FROM ({rows} OFFSET 0) AS judged)"
        " SELECT belong, joins, (SELECT count(*) FROM segments_customerassignment"
        " WHERE tenant_id = {tenant} AND segment_id = {segment} AND assignment_type = 'AUTOMATIC'"
        " AND {narrowed}) - stay,"
        " ({people} FROM unnest(customers, entities) AS wanted(customer_id, legal_entity_id) {named}),"
        " {terms} FROM counted",
        most=integer(SAMPLE),
        counted=Sql.joined(", ", counted),
        rows=rows,
        tenant=tenant,
        segment=segment,
        narrowed=scope.narrowed("customer_id"),
        people=PEOPLE,
        named=NAMED,
        terms=Sql.joined(", ", [name for _, name in terms]),
    )


def everybody_of(scope: Scope) -> int:
    """Return of how many those who would belong are a part."""
    if scope.is_about_entities:
        return ContactAssignment.objects.for_tenant(scope.tenant_id).count()
    return customers_of(scope.tenant_id)


def unsaved_rule(tenant: Tenant | TenantRecord, body: PreviewBody) -> Rule:
    """Return the rule of a preview, with what it is compiled for."""
    stored = Tenant.objects.get(pk=tenant.pk if isinstance(tenant, Tenant) else tenant.id)
    segment = Segment(tenant=stored, external_id="")
    if body.segment_id:
        named = Segment.objects.for_tenant(stored).select_related("site").filter(external_id=body.segment_id)
        found = named.first()
        if found is None:
            raise InvalidInput(f"There is no segment {body.segment_id}.", field="segmentId")
        segment = found
    if body.site_code:
        site = Site.objects.for_tenant(stored).filter(code=body.site_code).first()
        if site is None:
            raise UnknownSite(body.site_code)
        segment.site = site
    elif not segment.pk:
        segment.site = Site(tenant=stored, code="")
    return Rule(tenant=stored, segment=segment, q=body.q, mode=body.mode, membership=body.membership)
