"""Why somebody belongs to a segment with a rule, or does not."""

from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from msgspec import Meta

from core.bodies import Body
from core.errors import InvalidInput
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from segments.errors import UnknownCustomer, UnknownLegalEntity
from segments.models import Rule
from segments.rules.compiler import compile_rule, subject_rows
from segments.rules.evaluation import scope_of
from segments.rules.operations import rule_of_segment


class ExplainedTerm(Body, kw_only=True):
    """A term, and what it says of the customer."""

    q: Annotated[str, Meta(description="The term.")]
    value: Annotated[Any, Meta(description="The customer's value; null when there is none.")]
    passes: Annotated[bool, Meta(description="Whether the term holds for the customer.")]


class RuleExplanation(Body, kw_only=True):
    """Why a customer belongs to a segment, or does not."""

    is_member: Annotated[bool, Meta(description="Whether the customer is stored as a member.")]
    assignment_type: Annotated[
        Literal["MANUAL", "AUTOMATIC"] | None, Meta(description="MANUAL: by hand. AUTOMATIC: by the rule.")
    ]
    passes: Annotated[bool, Meta(description="Whether the rule holds for the customer now.")]
    is_excluded: Annotated[
        bool, Meta(description="Whether somebody took the customer out by hand, so that no rule adds them.")
    ]
    excluded_at: Annotated[str | None, Meta(description="When that was.")]
    excluded_by: Annotated[str | None, Meta(description="Who did it.")]
    terms: Annotated[list[ExplainedTerm], Meta(description="Each term of the rule, in order.")]


def explain_rule(
    *, tenant_id: int, segment_id: str, customer_id: str, legal_entity_id: str | None = None, at: datetime
) -> RuleExplanation:
    """Say of each term whether it holds for the customer, and whether they belong by hand or by the rule.

    Of a rule about companies `legal_entity_id` names the company. Raises SegmentNotFound, RuleNotFound,
    UnknownCustomer, UnknownLegalEntity, and InvalidInput without a company.
    """
    rule = rule_of_segment(tenant_id=tenant_id, segment_id=segment_id)
    customer = key_of("accounts_customer", tenant_id, customer_id)
    if customer is None:
        raise UnknownCustomer(customer_id)
    entity = None
    if legal_entity_id:
        entity = key_of("accounts_legalentity", tenant_id, legal_entity_id)
        if entity is None:
            raise UnknownLegalEntity(legal_entity_id)
    scope = scope_of(rule, at, only=param([customer], "bigint[]"))
    if scope.is_about_entities and entity is None:
        raise InvalidInput("The rule is about companies: name one by legalEntityId.", field="legalEntityId")
    compiled = compile_rule(rule.q, scope, rule.mode)
    condition = Sql("true")
    if scope.is_about_entities:
        condition = sql("legal_entity.id = {entity}", entity=param(entity))
    columns = [sql("coalesce({condition}, false)", condition=compiled.condition)]
    for term in compiled.terms:
        columns += [
            sql("coalesce({condition}, false)", condition=term.condition),
            sql("({value})::text", value=term.fact.value()),
        ]
    found = fetch_rows(subject_rows(scope, compiled.joins.values(), condition, Sql.joined(", ", columns)))
    passes, *values = found[0] if found else (False, *(False, None) * len(compiled.terms))
    [(assignment_type, excluded_at, excluded_by)] = fetch_rows(
        membership_of(rule, customer, entity if scope.is_about_entities or legal_entity_id else None)
    )
    return RuleExplanation(
        is_member=assignment_type is not None,
        assignment_type=assignment_type,
        passes=passes,
        is_excluded=excluded_at is not None,
        excluded_at=excluded_at,
        excluded_by=excluded_by,
        terms=[
            ExplainedTerm(q=term.text, value=None if value is None else orjson.loads(value), passes=holds)
            for term, holds, value in zip(compiled.terms, values[::2], values[1::2], strict=True)
        ],
    )


def key_of(table: str, tenant_id: int, external_id: str) -> int | None:
    rows = fetch_rows(
        sql(
            "SELECT id FROM {table} WHERE tenant_id = {tenant} AND external_id = {id}",
            table=Sql(table),
            tenant=param(tenant_id),
            id=param(external_id),
        )
    )
    return rows[0][0] if rows else None


def membership_of(rule: Rule, customer: int, entity: int | None) -> Sql:
    own = sql(
        "tenant_id = {tenant} AND segment_id = {segment} AND customer_id = {customer}"
        " AND legal_entity_id IS NOT DISTINCT FROM {entity}",
        tenant=param(rule.tenant_id),
        segment=param(rule.segment_id),
        customer=param(customer),
        entity=param(entity, "bigint"),
    )
    return sql(
        "SELECT (SELECT assignment_type FROM segments_customerassignment WHERE {own}),"
        " (SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
        " FROM segments_ruleexclusion WHERE {own}),"
        " (SELECT trim(actor_type || ' ' || actor_id) FROM segments_ruleexclusion WHERE {own})",
        own=own,
    )
