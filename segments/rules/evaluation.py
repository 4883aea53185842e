"""Whole evaluations: members by rule are made right by statements over all customers.

An evaluation is a background job. It computes the difference between the wanted and the held members, and
applies it in batches, each a transaction of its own; meanwhile customers of whom something changes wait, and
are judged when it ends (judging.py). What may run at the same time is decided by two locks: `Lock.RULE` lets
one evaluation of a rule work at a time, `Lock.RULES` makes judging customers and the beginning and end of
evaluations follow each other.
"""

import time
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
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.locks import Lock, take_lock
from core.tenancy.time_zones import zone_of_tenant
from segments.models import DueCustomer, Rule, RuleDelta
from segments.rules.compiler import CompiledRule, compile_rule, wanted_members
from segments.rules.facts import Scope
from segments.rules.movements import next_instants, note_moved
from segments.rules.unsettled import unsettled_customers

KIND = "evaluate rule"
BATCH = 20_000
REQUESTED_AT_ONCE = 1_000
LONGEST = 60_000  # milliseconds
SLOW = 30_000  # milliseconds
RETRY_AFTER = timedelta(hours=1)
AUDIT_EVERY = timedelta(hours=24)

State = Rule.State


def scope_of(rule: Rule, at: datetime, *, only: Sql | None = None) -> Scope:
    """Return the scope that the rule is compiled for; its tenant, segment and site are loaded."""
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
        fail_rule(rule, reason_of(error), at)
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
            " AND due.customer_id = delta.customer_id AND (due.rule_id IS NULL OR due.rule_id = {rule}))"
            " AND NOT EXISTS ({unsettled})",
            evaluation=param(job.pk),
            tenant=param(rule.tenant_id),
            unsettled=unsettled_customers(param(rule.tenant_id), Sql("delta.customer_id")),
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


def fail_rule(rule: Rule, message: str, at: datetime) -> None:
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
    for rule in waiting.order_by("due_at")[:REQUESTED_AT_ONCE]:
        with transaction.atomic():
            request_evaluation(rule, requested_by="change", at=at)
    return False


def request_audits(at: datetime) -> bool:
    """Have each LIVE rule evaluated that was not for a day: what that finds is drift."""
    rules = rules_with_scope().filter(
        is_evaluated(at), mode=Rule.Mode.LIVE, state=State.READY, evaluated_at__lt=at - AUDIT_EVERY
    )
    rules = rules.exclude(evaluation__in=open_evaluations())
    for rule in rules.order_by("evaluated_at")[:REQUESTED_AT_ONCE]:
        with transaction.atomic():
            request_evaluation(rule, requested_by="nightly audit", at=at, is_audit=True)
    live = Rule.objects.filter(mode=Rule.Mode.LIVE).values("pk")
    DueCustomer.objects.filter(rule_id__isnull=False).exclude(rule_id__in=live).delete()
    return False
