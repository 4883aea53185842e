"""Customers who are due, after a change or as time passes, are judged by all rules of their tenant at once.

What may run at the same time as an evaluation is said in evaluation.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import DataError, OperationalError, transaction
from django.db.models import Min
from django.utils import timezone
from msgspec.structs import replace

from core.actors import acting_as
from core.errors import DomainError
from core.sql.composition import Sql, SqlValues, param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.locks import Lock, try_lock
from segments.models import DueCustomer, Rule
from segments.rules.compiler import CompiledRule, compile_rule, subject_rows
from segments.rules.evaluation import (
    DELETE_PART,
    actor_of,
    fail_rule,
    is_evaluated,
    keep_rules,
    limit_statements,
    open_evaluations,
    reason_of,
    request_evaluation,
    rules_with_scope,
    scope_of,
)
from segments.rules.facts import Scope
from segments.rules.movements import next_instants, note_moved

DUE_AT_ONCE = 1_000
DUE_WITHOUT_LIMIT = 20_000
DUE_PERCENT = 2

State = Rule.State


@dataclass(frozen=True, slots=True)
class Judge:
    """A rule that is ready, as it is compiled for the customers who are due."""

    rule: Rule
    compiled: CompiledRule
    scope: Scope


def due_since() -> datetime | None:
    """Return since when a customer has waited to be judged."""
    return DueCustomer.objects.filter(is_deferred=False).aggregate(first=Min("since"))["first"]


def judge_due_customers(at: datetime) -> bool:
    """Judge up to 1,000 customers of a tenant by all its rules; say whether more are due."""
    with transaction.atomic():
        first = (
            DueCustomer.objects.filter(is_deferred=False).order_by("since").values_list("tenant_id").first()
        )
        if first is None:
            return False
        [tenant_id] = first
        if not try_lock(Lock.RULES, tenant_id % 2**31):
            return False  # another worker is at it
        if _evaluate_instead(tenant_id, at):
            return True
        rows = fetch_rows(
            sql(
                "SELECT id, customer_id, rule_id FROM segments_duecustomer"
                " WHERE tenant_id = {tenant} AND NOT is_deferred ORDER BY id LIMIT {most}"
                " FOR UPDATE SKIP LOCKED",
                tenant=param(tenant_id),
                most=param(DUE_AT_ONCE),
            )
        )
        if not rows:
            return False
        keys, customers, rules = map(list, zip(*rows, strict=True))
        only = param(sorted(set(customers)), "bigint[]")
        _defer(tenant_id, customers, rules)
        for rule in judge(tenant_id, only, at):
            fail_rule(rule, rule.message, at)
        execute(sql("DELETE FROM segments_duecustomer WHERE id = ANY({keys})", keys=param(keys, "bigint[]")))
    return len(rows) == DUE_AT_ONCE


def _evaluate_instead(tenant_id: int, at: datetime) -> bool:
    """Have all rules evaluated as a whole when so many customers are due that this is quicker."""
    [(due, last, everybody)] = fetch_rows(
        sql(
            "SELECT due.count, due.last, CASE WHEN due.count > {most} THEN"
            " (SELECT count(*) FROM accounts_customer WHERE tenant_id = {tenant}) END"
            " FROM (SELECT count(*) AS count, max(id) AS last FROM segments_duecustomer"
            " WHERE tenant_id = {tenant} AND NOT is_deferred) AS due",
            most=param(DUE_WITHOUT_LIMIT),
            tenant=param(tenant_id),
        )
    )
    if due <= DUE_WITHOUT_LIMIT or due * 100 <= everybody * DUE_PERCENT:
        return False
    rules = rules_with_scope().filter(tenant=tenant_id, mode=Rule.Mode.LIVE).exclude(state=State.FAILED)
    # an evaluation that has not begun will see the changes anyway
    for rule in rules.exclude(state=State.PENDING, evaluation__in=open_evaluations()):
        request_evaluation(rule, requested_by="many changes", at=at)
    rules.filter(state=State.READY).update(state=State.PENDING)
    DueCustomer.objects.filter(tenant=tenant_id, is_deferred=False, id__lte=last).delete()
    return True


def _defer(tenant_id: int, customers: Sequence[int], rules: Sequence[int | None]) -> None:
    """Let the customers wait for the evaluations that are at work."""
    execute(
        sql(
            "INSERT INTO segments_duecustomer (tenant_id, customer_id, rule_id, is_deferred)"
            " SELECT DISTINCT rule.tenant_id, due.customer, rule.id, true FROM segments_rule AS rule"
            " JOIN unnest({customers}, {rules}) AS due (customer, rule)"
            " ON due.rule IS NULL OR due.rule = rule.id"
            " WHERE rule.tenant_id = {tenant} AND rule.state = 'EVALUATING' AND rule.mode = 'LIVE'",
            customers=param(list(customers), "bigint[]"),
            rules=param(list(rules), "bigint[]"),
            tenant=param(tenant_id),
        )
    )


def judge(tenant_id: int, only: Sql, at: datetime) -> list[Rule]:
    """Judge the customers by all rules that are ready, and return the rules that failed, with the reason."""
    keep_rules(sql("tenant_id = {tenant} AND mode = 'LIVE'", tenant=param(tenant_id)))
    rules = rules_with_scope().filter(
        is_evaluated(at), tenant=tenant_id, mode=Rule.Mode.LIVE, state=State.READY
    )
    failed: list[Rule] = []
    judges = []
    for rule in rules:
        scope = scope_of(rule, at, only=only)
        try:
            judges.append(Judge(rule, compile_rule(rule.q, scope, rule.mode), scope))
        except DomainError as error:  # it names what is gone by now
            rule.message = error.message
            failed.append(rule)
    return failed + _judge_by(judges, at)


def _judge_by(judges: Sequence[Judge], at: datetime) -> list[Rule]:
    """Judge by all the rules at once; where a value spoils that, by each half of them."""
    if not judges:
        return []
    try:
        with transaction.atomic():
            limit_statements()
            _write_judgement(judges, at)
    except (DataError, OperationalError) as error:
        if len(judges) == 1:
            [judge] = judges
            judge.rule.message = reason_of(error)
            return [judge.rule]
        half = len(judges) // 2
        return _judge_by(judges[:half], at) + _judge_by(judges[half:], at)
    return []


def _write_judgement(judges: Sequence[Judge], at: datetime) -> None:
    scope = judges[0].scope
    tenant, only = param(scope.tenant_id, "bigint"), scope.only
    assert only is not None
    segments = param([judge.rule.segment_id for judge in judges], "bigint[]")
    wanted = Sql.joined(
        " UNION ALL ",
        [
            _wanted_by([one for one in judges if one.scope.is_about_entities is about])
            for about in (False, True)
            if any(one.scope.is_about_entities is about for one in judges)
        ],
    )
    difference = fetch_rows(
        sql(
            "WITH wanted AS MATERIALIZED (SELECT wanted.* FROM ({wanted}) AS wanted"
            " WHERE NOT EXISTS (SELECT FROM segments_ruleexclusion AS exclusion"
            " WHERE exclusion.tenant_id = {tenant} AND exclusion.segment_id = wanted.segment_id"
            " AND exclusion.customer_id = wanted.customer_id"
            " AND exclusion.legal_entity_id IS NOT DISTINCT FROM wanted.legal_entity_id)"
            "), held AS MATERIALIZED (SELECT id, segment_id, customer_id, legal_entity_id, assignment_type"
            " FROM segments_customerassignment WHERE tenant_id = {tenant} AND customer_id = ANY({only})"
            " AND segment_id = ANY({segments}))"
            " SELECT coalesce(held.segment_id, wanted.segment_id),"
            " coalesce(held.customer_id, wanted.customer_id),"
            " coalesce(held.legal_entity_id, wanted.legal_entity_id), held.id"
            " FROM wanted FULL JOIN held ON held.segment_id = wanted.segment_id"
            " AND held.customer_id = wanted.customer_id"
            " AND coalesce(held.legal_entity_id, 0) = coalesce(wanted.legal_entity_id, 0)"
            " WHERE held.id IS NULL OR wanted.customer_id IS NULL AND held.assignment_type = 'AUTOMATIC'"
            " ORDER BY 1, 2, 3",
            wanted=wanted,
            tenant=tenant,
            only=only,
            segments=segments,
        )
    )
    by_segment = {judge.rule.segment_id: judge for judge in judges}
    if difference:
        _write_difference(difference, by_segment, tenant, at)
    _note_next_instants(judges)


def _wanted_by(judges: Sequence[Judge]) -> Sql:
    """A SELECT of who belongs to which segment by rules that are about the same, in one pass."""
    scope = judges[0].scope
    joins = {name: join for judge in judges for name, join in judge.compiled.joins.items()}
    holding = Sql.joined(
        ", ",
        [
            sql(
                "CASE WHEN {condition} THEN {segment} END",
                condition=judge.compiled.condition,
                segment=param(judge.rule.segment_id, "bigint"),
            )
            for judge in judges
        ],
    )
    columns = (
        "contact.customer_id, contact.legal_entity_id"
        if scope.is_about_entities
        else "customer.id AS customer_id, NULL::bigint AS legal_entity_id"
    )
    rows = subject_rows(
        scope,
        joins.values(),
        Sql("true"),
        sql("{columns}, ARRAY[{holding}] AS segments", columns=Sql(columns), holding=holding),
    )
    return sql(
        "SELECT judged.customer_id, judged.legal_entity_id, segment.id AS segment_id"
        " FROM ({rows}) AS judged CROSS JOIN LATERAL unnest(judged.segments) AS segment (id)"
        " WHERE segment.id IS NOT NULL",
        rows=rows,
    )


def _write_difference(
    difference: Sequence[SqlValues], by_segment: dict[int, Judge], tenant: Sql, at: datetime
) -> None:
    """Write who joins and leaves, with one statement for each: all segments at once."""
    leaving = [assignment for _, _, _, assignment in difference if assignment is not None]
    joining = [row[:3] for row in difference if row[3] is None]
    counts: dict[int, list[int]] = {}
    for segment, _, _, assignment in difference:
        counts.setdefault(segment, [0, 0])[assignment is not None] += 1
    rule = next(iter(by_segment.values())).rule
    with acting_as(
        replace(actor_of(rule, "changes"), id="" if len(counts) > 1 else _id_of(counts, by_segment))
    ):
        if leaving:
            execute(
                sql(
                    DELETE_PART,
                    part=sql(
                        "SELECT assignment_id FROM unnest({keys}) AS part (assignment_id)",
                        keys=param(leaving, "bigint[]"),
                    ),
                    tenant=tenant,
                )
            )
        if joining:
            segments, customers, entities = map(list, zip(*joining, strict=True))
            execute(
                sql(
                    JOIN_SEGMENTS,
                    segments=param(segments, "bigint[]"),
                    customers=param(customers, "bigint[]"),
                    entities=param(entities, "bigint[]"),
                    tenant=tenant,
                    at=param(at, "timestamptz"),
                )
            )
    execute(
        sql(
            "UPDATE segments_rule AS rule SET members = coalesce(members, 0) + change.number"
            " FROM unnest({segments}, {numbers}) AS change (segment, number)"
            " WHERE rule.tenant_id = {tenant} AND rule.segment_id = change.segment",
            segments=param(list(counts), "bigint[]"),
            numbers=param([joined - left for joined, left in counts.values()], "integer[]"),
            tenant=tenant,
        )
    )


def _id_of(counts: Iterable[int], by_segment: dict[int, Judge]) -> str:
    [segment] = counts
    return by_segment[segment].rule.segment.external_id


JOIN_SEGMENTS = """
WITH part AS MATERIALIZED (
    SELECT * FROM unnest({segments}, {customers}, {entities})
    AS part (segment_id, customer_id, legal_entity_id)
), customer AS MATERIALIZED (
    SELECT customer.id FROM accounts_customer AS customer
    WHERE customer.tenant_id = {tenant} AND customer.id = ANY({customers}) ORDER BY customer.id FOR KEY SHARE
), entity AS MATERIALIZED (
    SELECT entity.id FROM accounts_legalentity AS entity
    WHERE entity.tenant_id = {tenant} AND entity.id = ANY({entities})
    AND (SELECT count(*) FROM customer) >= 0 ORDER BY entity.id FOR KEY SHARE
), target AS MATERIALIZED (
    SELECT segment.id FROM segments_segment AS segment
    WHERE segment.tenant_id = {tenant} AND segment.id = ANY({segments})
    AND (SELECT count(*) FROM entity) >= 0 ORDER BY segment.id FOR KEY SHARE
) INSERT INTO segments_customerassignment (tenant_id, segment_id, customer_id, legal_entity_id,
    assignment_type, version, created_at, modified_at)
SELECT {tenant}, part.segment_id, part.customer_id, part.legal_entity_id, 'AUTOMATIC', 1, {at}, {at}
FROM part JOIN target ON target.id = part.segment_id JOIN customer ON customer.id = part.customer_id
WHERE part.legal_entity_id IS NULL OR part.legal_entity_id IN (SELECT id FROM entity)
ORDER BY part.segment_id, part.customer_id, part.legal_entity_id ON CONFLICT DO NOTHING
"""


def _note_next_instants(judges: Sequence[Judge]) -> None:
    """Bring forward when time is judged next, where it moves one of the customers earlier."""
    moving = [judge for judge in judges if judge.compiled.movements]
    if not moving:
        return
    movements = [movement for judge in moving for movement in judge.compiled.movements]
    known = [judge.rule.milliseconds for judge in moving if judge.rule.milliseconds is not None]
    found = next_instants(movements, moving[0].scope, milliseconds=max(known, default=None))
    earliest = {
        judge.rule.pk: min(instants)
        for judge in moving
        if (instants := [found[one] for one in judge.compiled.movements if one in found])
    }
    execute(
        sql(
            "UPDATE segments_rule AS rule SET next_due_at = earlier.at"
            " FROM unnest({rules}, {instants}) AS earlier (rule, at)"
            " WHERE rule.id = earlier.rule AND (rule.next_due_at IS NULL OR rule.next_due_at > earlier.at)",
            rules=param(list(earliest), "bigint[]"),
            instants=param(list(earliest.values()), "timestamptz[]"),
        )
    )


# Time


def time_due_since() -> datetime | None:
    """Return since when time has moved somebody who is not noted yet."""
    return Rule.objects.filter(state=State.READY, next_due_at__lte=timezone.now()).aggregate(
        first=Min("next_due_at")
    )["first"]


def judge_passing_of_time(at: datetime) -> bool:
    """Note the customers whose verdict may have changed since by time only, for the rules of one tenant."""
    due = Rule.objects.filter(state=State.READY, next_due_at__lte=at).order_by("next_due_at")
    with transaction.atomic():
        first = due.values_list("tenant_id").first()
        if first is None:
            return False
        [tenant_id] = first
        if not try_lock(Lock.RULES, tenant_id % 2**31):
            return False  # another worker is at it
        limit_statements()
        evaluated = rules_with_scope().filter(is_evaluated(at))
        for rule in evaluated.filter(tenant=tenant_id, state=State.READY, next_due_at__lte=at).order_by("id"):
            scope = scope_of(rule, at)
            try:
                movements = compile_rule(rule.q, scope, rule.mode).movements
            except DomainError as error:
                fail_rule(rule, error.message, at)
                continue
            note_moved(rule.pk, movements, scope, rule.judged_until or rule.evaluated_at or at)
            instants = next_instants(movements, scope, milliseconds=rule.milliseconds)
            next_due = min(instants.values(), default=None)
            Rule.objects.filter(pk=rule.pk).update(judged_until=at, next_due_at=next_due)
        due.filter(tenant=tenant_id, next_due_at__lte=at).exclude(is_evaluated(at)).update(next_due_at=None)
    return due.exists()
