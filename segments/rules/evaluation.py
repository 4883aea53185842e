"""Evaluations: members by rule are made right, by statements over all customers or over those that are due.

A whole evaluation is a background job. It computes the difference between the wanted and the held members,
and applies it in batches, each a transaction of its own; meanwhile customers of whom something changes wait,
and are judged when it ends. What may run at the same time is decided by two locks: `Lock.RULE` lets one
evaluation of a rule work at a time, `Lock.RULES` makes judging customers and the beginning and end of
evaluations follow each other.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from django.db import DataError, OperationalError, transaction
from django.db.models import F, Min, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop
from psycopg import errors as postgres

from core.actors import Actor, ActorType, acting_as
from core.background.jobs import JobKind, enqueue_job, register_job_kind
from core.background.models import OPEN_STATES, Job
from core.errors import DomainError
from core.representation.relative_instants import Clock
from core.sql.composition import Sql, SqlValues, param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.locks import Lock, take_lock, try_lock
from core.tenancy.time_zones import zone_of_tenant
from segments.models import DueCustomer, Rule, RuleDelta
from segments.rules.compiler import CompiledRule, compile_rule, subject_rows, wanted_members
from segments.rules.facts import Scope
from segments.rules.movements import next_instants, note_moved

KIND = "evaluate rule"
BATCH = 20_000
DUE_AT_ONCE = 1_000
DUE_WITHOUT_LIMIT = 20_000
DUE_PERCENT = 2
LONGEST = 60_000  # milliseconds
SLOW = 30_000  # milliseconds
RETRY_AFTER = timedelta(hours=1)
AUDIT_EVERY = timedelta(hours=24)

State = Rule.State


def scope_of(rule: Rule, at: datetime, *, only: Sql | None = None) -> Scope:
    """Return for whom the rule is compiled; the rule has its tenant, its segment and the site loaded."""
    return Scope(
        tenant_id=rule.tenant_id,
        currency=rule.tenant.currency,
        segment_id=rule.segment.external_id,
        membership=rule.membership,
        clock=Clock(at, partial(zone_of_tenant, rule.tenant_id, rule.segment.site.code)),
        only=only,
    )


def rules_with_scope() -> QuerySet[Rule]:
    return Rule.objects.select_related("tenant", "segment__site")


def is_evaluated(at: datetime, prefix: str = "segment__") -> Q:
    """Rules whose segment is active and not over."""
    not_over = Q(**{f"{prefix}valid_to__isnull": True}) | Q(**{f"{prefix}valid_to__gte": at})
    return not_over & Q(**{f"{prefix}status": "ACTIVE"})


def actor_of(rule: Rule, source: str, source_id: str = "") -> Actor:
    """Return who changes the members: the rule of the segment."""
    return Actor(ActorType.RULE, rule.segment.external_id, "", source, source_id)


# Whole evaluations


def request_evaluation(rule: Rule, *, requested_by: str, at: datetime, is_audit: bool = False) -> Job:
    """Have the rule evaluated by a background worker, in place of an earlier request."""
    job = enqueue_job(
        KIND,
        tenant_id=rule.tenant_id,
        arguments={"rule": rule.pk, "segment": rule.segment.external_id, "audit": is_audit},
        requested_by=requested_by,
        at=at,
    )
    Rule.objects.filter(pk=rule.pk).update(evaluation=job.pk, due_at=None)
    return job


def run_slice(job: Job, at: datetime) -> bool:
    """Do the next slice of an evaluation: begin, compute the difference, apply a batch of it, or end."""
    take_lock(Lock.RULE, job.arguments["rule"] % 2**31)
    rule = rules_with_scope().filter(pk=job.arguments["rule"]).first()
    if rule is None or rule.evaluation != job.pk:
        job.result = {"outcome": "replaced by a later one" if rule else "the rule is gone"}
        RuleDelta.objects.filter(evaluation=job.pk).delete()
        return False
    if not Rule.objects.filter(is_evaluated(at), pk=rule.pk).exists():
        job.result = {"outcome": "the segment is inactive or over"}
        _release(rule, state=State.PENDING)
        return False
    with acting_as(actor_of(rule, "evaluation", str(job.pk))):
        match job.progress.get("phase", "begin"):
            case "begin":
                return _begin(rule, job)
            case "compute":
                return _compute(rule, job, at)
            case "apply":
                return _apply(rule, job, at)
    return _end(rule, job)


def _begin(rule: Rule, job: Job) -> bool:
    take_lock(Lock.RULES, rule.tenant_id % 2**31)
    Rule.objects.filter(pk=rule.pk).update(state=State.EVALUATING, message="")
    job.progress = {"phase": "compute", "milliseconds": 0}
    return True


def _compute(rule: Rule, job: Job, at: datetime) -> bool:
    started = time.monotonic()
    try:
        with transaction.atomic():
            scope = scope_of(rule, at)
            compiled = compile_rule(rule.q, scope, rule.mode)
            if job.arguments["audit"] and rule.judged_until:
                note_moved(rule.pk, compiled.movements, scope, rule.judged_until)
            limit_statements()
            job.progress |= _write_delta(rule, job, compiled, scope)
    except (DomainError, DataError, OperationalError) as error:
        _fail(rule, reason_of(error), at)
        job.result = {"outcome": "failed", "message": reason_of(error)}
        return False
    job.progress |= {"at": at.isoformat()}
    if job.arguments["audit"]:
        job.progress["drift"] = _drift(rule, job)
    return _continued(job, started, "apply" if job.progress["left"] + job.progress["joined"] else "end", rule)


def _write_delta(rule: Rule, job: Job, compiled: CompiledRule, scope: Scope) -> dict[str, int]:
    """Store who joins and who leaves, those who leave first, each in the order of their keys."""
    [(first, last, left, joined)] = fetch_rows(
        sql(
            "WITH difference AS (INSERT INTO segments_ruledelta"
            " (tenant_id, evaluation, customer_id, legal_entity_id, assignment_id)"
            " SELECT {tenant}, {evaluation}, coalesce(held.customer_id, wanted.customer_id),"
            " coalesce(held.legal_entity_id, wanted.legal_entity_id), held.id"
            " FROM ({wanted}) AS wanted FULL JOIN ("
            "SELECT id, customer_id, legal_entity_id, assignment_type FROM segments_customerassignment"
            " WHERE tenant_id = {tenant} AND segment_id = {segment}) AS held"
            " ON held.customer_id = wanted.customer_id"
            " AND coalesce(held.legal_entity_id, 0) = coalesce(wanted.legal_entity_id, 0)"
            " WHERE held.id IS NULL OR wanted.customer_id IS NULL AND held.assignment_type = 'AUTOMATIC'"
            " ORDER BY held.id IS NULL, 3, 4 RETURNING id, assignment_id)"
            " SELECT min(id), max(id), count(assignment_id), count(*) - count(assignment_id) FROM difference",
            tenant=param(rule.tenant_id, "bigint"),
            evaluation=param(job.pk, "bigint"),
            wanted=wanted_members(compiled, scope, param(rule.segment_id)),
            segment=param(rule.segment_id),
        )
    )
    return {"after": (first or 1) - 1, "last": last or 0, "left": left, "joined": joined, "done": 0}


def _drift(rule: Rule, job: Job) -> int:
    """Count the differences that no change explains which is still to be judged."""
    [(count,)] = fetch_rows(
        sql(
            "SELECT count(*) FROM segments_ruledelta AS delta WHERE delta.evaluation = {evaluation}"
            " AND NOT EXISTS (SELECT FROM segments_duecustomer AS due WHERE due.tenant_id = {tenant}"
            " AND due.customer_id = delta.customer_id AND (due.rule_id IS NULL OR due.rule_id = {rule}))",
            evaluation=param(job.pk),
            tenant=param(rule.tenant_id),
            rule=param(rule.pk),
        )
    )
    return count


DELETE_PART = """
WITH part AS MATERIALIZED ({part}), locked AS MATERIALIZED (
    SELECT assignment.id FROM segments_customerassignment AS assignment
    WHERE assignment.id IN (SELECT assignment_id FROM part) AND assignment.tenant_id = {tenant}
    AND assignment.assignment_type = 'AUTOMATIC'
    ORDER BY assignment.customer_id, assignment.legal_entity_id FOR UPDATE
) DELETE FROM segments_customerassignment AS assignment USING locked
WHERE assignment.id = locked.id AND assignment.assignment_type = 'AUTOMATIC'
"""
INSERT_PART = """
WITH part AS MATERIALIZED ({part} AND assignment_id IS NULL), customer AS MATERIALIZED (
    SELECT customer.id FROM accounts_customer AS customer
    WHERE customer.tenant_id = {tenant} AND customer.id = ANY(ARRAY(SELECT customer_id FROM part))
    ORDER BY customer.id FOR KEY SHARE
), entity AS MATERIALIZED (
    SELECT entity.id FROM accounts_legalentity AS entity
    WHERE entity.tenant_id = {tenant} AND entity.id = ANY(ARRAY(SELECT legal_entity_id FROM part))
    AND (SELECT count(*) FROM customer) >= 0 ORDER BY entity.id FOR KEY SHARE
), target AS MATERIALIZED (
    SELECT segment.id FROM segments_segment AS segment
    WHERE segment.tenant_id = {tenant} AND segment.id = {segment}
    AND (SELECT count(*) FROM entity) >= 0 FOR KEY SHARE
) INSERT INTO segments_customerassignment (tenant_id, segment_id, customer_id, legal_entity_id,
    assignment_type, version, created_at, modified_at)
SELECT {tenant}, target.id, part.customer_id, part.legal_entity_id, 'AUTOMATIC', 1, {at}, {at}
FROM part CROSS JOIN target JOIN customer ON customer.id = part.customer_id
WHERE part.legal_entity_id IS NULL OR part.legal_entity_id IN (SELECT id FROM entity)
ORDER BY part.customer_id, part.legal_entity_id ON CONFLICT DO NOTHING
"""


def _apply(rule: Rule, job: Job, at: datetime) -> bool:
    """Write the next batch of the difference, while the rule cannot be turned off."""
    started = time.monotonic()
    progress = job.progress
    if not keep_rules(sql("id = {rule}", rule=param(rule.pk))):
        job.result = {"outcome": "the rule is gone"}
        return False
    own = sql(
        "evaluation = {evaluation} AND id > {after} AND id <= {last}",
        evaluation=param(job.pk),
        after=param(progress["after"]),
        last=param(progress["last"]),
    )
    [(count, leavers, last)] = fetch_rows(
        sql(
            "SELECT count(*), count(assignment_id), max(id) FROM (SELECT id, assignment_id"
            " FROM segments_ruledelta WHERE {own} ORDER BY id LIMIT {batch}) AS part",
            own=own,
            batch=param(BATCH),
        )
    )
    part = sql(
        "SELECT customer_id, legal_entity_id, assignment_id FROM segments_ruledelta"
        " WHERE evaluation = {evaluation} AND id > {after} AND id <= {last}",
        evaluation=param(job.pk),
        after=param(progress["after"]),
        last=param(last or 0),
    )
    slots = {"part": part, "tenant": param(rule.tenant_id, "bigint")}
    if leavers:
        execute(sql(DELETE_PART, **slots))
    if count > leavers:
        execute(sql(INSERT_PART, segment=param(rule.segment_id), at=param(at, "timestamptz"), **slots))
    progress["done"] += count
    if count == BATCH:
        progress["after"] = last
        return _continued(job, started, "apply", rule)
    if progress["done"] < progress["left"] + progress["joined"]:
        job.progress = {"phase": "compute", "milliseconds": 0}  # the table was emptied by a crash
        return True
    return _continued(job, started, "end", rule)


def _continued(job: Job, started: float, phase: str, rule: Rule) -> bool:
    """Note the time of a slice and go on with a phase; the end is worth no slice of its own."""
    job.progress["phase"] = phase
    job.progress["milliseconds"] += round((time.monotonic() - started) * 1_000)
    return _end(rule, job) if phase == "end" else True


def _end(rule: Rule, job: Job) -> bool:
    started = time.monotonic()
    progress = job.progress
    at = datetime.fromisoformat(progress["at"])
    take_lock(Lock.RULES, rule.tenant_id % 2**31)
    scope = scope_of(rule, at)
    compiled = compile_rule(rule.q, scope, rule.mode)
    is_live = rule.mode == Rule.Mode.LIVE
    RuleDelta.objects.filter(evaluation=job.pk).delete()
    next_due = None
    if is_live:
        instants = next_instants(compiled.movements, scope, milliseconds=progress["milliseconds"])
        next_due = min(instants.values(), default=None)
    milliseconds = progress["milliseconds"] + round((time.monotonic() - started) * 1_000)
    Rule.objects.filter(pk=rule.pk).update(
        evaluated_at=at,
        judged_until=at,
        next_due_at=next_due,
        added=progress["joined"],
        removed=progress["left"],
        members=counted_members(rule),
        milliseconds=milliseconds,
        drift=F("drift") + progress.get("drift", 0),
    )
    _release(rule, state=State.READY)
    job.result = {
        "outcome": "evaluated",
        "joined": progress["joined"],
        "left": progress["left"],
        "milliseconds": milliseconds,
    }
    return False


def keep_rules(condition: Sql) -> int:
    """Keep rules from being turned off until the transaction ends; return how many there are."""
    rows = fetch_rows(
        sql("SELECT id FROM segments_rule WHERE {own} ORDER BY id FOR KEY SHARE", own=condition)
    )
    return len(rows)


def counted_members(rule: Rule) -> int:
    [(count,)] = fetch_rows(
        sql(
            "SELECT count(*) FROM segments_customerassignment WHERE tenant_id = {tenant}"
            " AND segment_id = {segment} AND assignment_type = 'AUTOMATIC'",
            tenant=param(rule.tenant_id),
            segment=param(rule.segment_id),
        )
    )
    return count


def _release(rule: Rule, *, state: str, message: str = "") -> None:
    """Let customers who waited for the evaluation be judged."""
    Rule.objects.filter(pk=rule.pk).update(state=state, message=message)
    DueCustomer.objects.filter(rule_id=rule.pk, is_deferred=True).update(is_deferred=False)


def _fail(rule: Rule, message: str, at: datetime) -> None:
    _release(rule, state=State.FAILED, message=message)
    Rule.objects.filter(pk=rule.pk).update(due_at=at + RETRY_AFTER)


def limit_statements(milliseconds: int = LONGEST) -> None:
    """Let each statement of the present transaction take no longer."""
    fetch_rows(
        sql(
            "SELECT set_config('statement_timeout', {limit}, true)",
            limit=param(f"{milliseconds}ms", "text"),
        )
    )


def reason_of(error: Exception) -> str:
    """Say why a rule failed, without any value of a customer."""
    if isinstance(error, DomainError):
        return error.message
    if isinstance(error, OperationalError):
        if isinstance(error.__cause__, postgres.QueryCanceled):
            return f"It took longer than {LONGEST // 1_000} seconds. Make the rule simpler."
        raise error
    return "A value of a customer cannot be compared as the rule asks, such as a number that is too large."


register_job_kind(JobKind(KIND, run_slice, gettext_noop("Evaluation of a rule")))


# Customers who are due


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
            _fail(rule, rule.message, at)
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
    """Note the customers whom time has moved since it was judged last, by the rules of one tenant."""
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
                _fail(rule, error.message, at)
                continue
            note_moved(rule.pk, movements, scope, rule.judged_until or rule.evaluated_at or at)
            instants = next_instants(movements, scope, milliseconds=rule.milliseconds)
            next_due = min(instants.values(), default=None)
            Rule.objects.filter(pk=rule.pk).update(judged_until=at, next_due_at=next_due)
        due.filter(tenant=tenant_id, next_due_at__lte=at).exclude(is_evaluated(at)).update(next_due_at=None)
    return due.exists()


# Evaluations that nobody asked for


def open_evaluations() -> QuerySet[Job, int]:
    """The keys of the evaluations that are not over."""
    return Job.objects.filter(kind=KIND, state__in=OPEN_STATES).values_list("pk", flat=True)


def evaluations_due_since() -> datetime | None:
    """Return since when a rule has waited for an evaluation that follows from a change."""
    return Rule.objects.filter(due_at__lte=timezone.now()).aggregate(first=Min("due_at"))["first"]


def request_due_evaluations(at: datetime) -> bool:
    """Have the rules evaluated that a change of segments, sites or currencies concerns, or that failed."""
    waiting = rules_with_scope().filter(due_at__lte=at).exclude(evaluation__in=open_evaluations())
    for rule in waiting.order_by("due_at")[:DUE_AT_ONCE]:
        with transaction.atomic():
            request_evaluation(rule, requested_by="change", at=at)
    return False


def request_audits(at: datetime) -> bool:
    """Have each LIVE rule evaluated that was not for a day: what that finds is drift."""
    rules = rules_with_scope().filter(
        is_evaluated(at), mode=Rule.Mode.LIVE, state=State.READY, evaluated_at__lt=at - AUDIT_EVERY
    )
    rules = rules.exclude(evaluation__in=open_evaluations())
    for rule in rules.order_by("evaluated_at")[:DUE_AT_ONCE]:
        with transaction.atomic():
            request_evaluation(rule, requested_by="nightly audit", at=at, is_audit=True)
    live = Rule.objects.filter(mode=Rule.Mode.LIVE).values("pk")
    DueCustomer.objects.filter(rule_id__isnull=False).exclude(rule_id__in=live).delete()
    return False
