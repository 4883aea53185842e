"""Writes of rules: saving one, turning one off, lifting exclusions, asking for an evaluation."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_noop

from core.actors import Actor, ActorType, acting_as, current_actor
from core.background.jobs import JobKind, enqueue_job, register_job_kind
from core.background.models import Job
from core.errors import InvalidInput, NotFound
from core.representation.conditions import QuerySyntaxError
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute
from core.tenancy.documents import check_version
from core.tenancy.models import Tenant
from segments.errors import SegmentNotFound
from segments.models import DueCustomer, Rule, RuleExclusion, Segment
from segments.rules.compiler import CompiledRule, compile_rule
from segments.rules.evaluation import BATCH, request_evaluation, rules_with_scope, scope_of

MOST_LIVE_RULES = 200
MOST_DEPTH = 3
END_KIND = "end rule"


class RuleNotFound(NotFound):
    """The segment has no rule."""

    code = "rule_not_found"


class TooManyRules(InvalidInput):
    """The tenant has as many LIVE rules as it may have."""

    code = "too_many_rules"


class CircularRules(InvalidInput):
    """Rules name each other's segments in a circle, or too many after each other."""

    code = "circular_rules"


def rule_of_segment(*, tenant_id: int, segment_id: str) -> Rule:
    """Return the rule of a segment, with what it is compiled for; raise SegmentNotFound or RuleNotFound."""
    rule = rules_with_scope().filter(tenant=tenant_id, segment__external_id=segment_id).first()
    if rule is None:
        if not Segment.objects.for_tenant(tenant_id).filter(external_id=segment_id).exists():
            raise SegmentNotFound(resource_id=segment_id)
        raise RuleNotFound(f"The segment {segment_id} has no rule.", resource_id=segment_id)
    return rule


def waiting_for(rule: Rule, at: datetime) -> str | None:
    """Say why a rule is not evaluated for now."""
    if rule.state != Rule.State.PENDING:
        return None
    if rule.segment.status != "ACTIVE":
        return f"The segment {rule.segment.external_id} is inactive. The rule is evaluated once it is active."
    if rule.segment.valid_to and rule.segment.valid_to < at:
        return f"The segment {rule.segment.external_id} is over. The rule is evaluated once its end is later."
    return None


@transaction.atomic
def save_rule(
    *,
    tenant_id: int,
    segment_id: str,
    q: str,
    mode: str,
    membership: str,
    expected_version: int | None = None,
    at: datetime,
) -> bool:
    """Give the segment this rule, have it evaluated in the background, and say whether it is the first.

    A rule that is saved as it is stays as it is. One writer of rules of a tenant at a time: locks the
    tenant's row, then the segment. Raises SegmentNotFound, VersionConflict, QuerySyntaxError, EmptyRule,
    TooManyRules and CircularRules.
    """
    Tenant.objects.select_for_update(of=("self",), no_key=True).get(pk=tenant_id)
    segment = (
        Segment.objects.for_tenant(tenant_id)
        .select_related("tenant", "site")
        .select_for_update(of=("self",), no_key=True)
        .filter(external_id=segment_id)
        .first()
    )
    if segment is None:
        raise SegmentNotFound(resource_id=segment_id)
    rule = rules_with_scope().filter(tenant=tenant_id, segment=segment).first()
    is_new = rule is None
    if rule is None:
        rule = Rule(tenant=segment.tenant, segment=segment, created_at=at)
    else:
        check_version(rule, expected_version)
        if (rule.q, rule.mode, rule.membership) == (q, mode, membership) and rule.state != Rule.State.FAILED:
            return False
        rule.version += 1
    rule.q, rule.mode, rule.membership, rule.modified_at = q, mode, membership, at
    store_rule(rule, at)
    request_evaluation(rule, requested_by=requester(), at=at)
    return is_new


def store_rule(rule: Rule, at: datetime) -> None:
    """Check a rule and store it, with what follows from its text; its evaluation is to be requested."""
    compiled = checked(rule, at)
    rule.watched, rule.used_segments = sorted(compiled.watched), sorted(compiled.used_segments)
    require_room(rule)
    require_no_circle(rule)
    rule.state, rule.message, rule.next_due_at, rule.due_at = Rule.State.PENDING, "", None, None
    rule.save()


def checked(rule: Rule, at: datetime) -> CompiledRule:
    """Return the rule as SQL; raise QuerySyntaxError also for segments that do not exist."""
    compiled = compile_rule(rule.q, scope_of(rule, at), rule.mode)
    known = set(
        Segment.objects.for_tenant(rule.tenant_id)
        .filter(external_id__in=compiled.used_segments)
        .values_list("external_id", flat=True)
    )
    for term in compiled.terms:
        if unknown := [one for one in term.fact.used_segments if one not in known]:
            raise QuerySyntaxError(f"there is no segment {unknown[0]}", term.position)
    return compiled


def require_room(rule: Rule) -> None:
    others = Rule.objects.for_tenant(rule.tenant_id).filter(mode=Rule.Mode.LIVE).exclude(pk=rule.pk)
    if rule.mode == Rule.Mode.LIVE and others.count() >= MOST_LIVE_RULES:
        raise TooManyRules(
            f"There are {MOST_LIVE_RULES} LIVE rules already. Turn one off, or make it a SNAPSHOT.",
            field="mode",
        )


def require_no_circle(rule: Rule) -> None:
    """Refuse a rule that depends on itself, or rules of more than three segments after each other."""
    named = Rule.objects.for_tenant(rule.tenant_id).exclude(pk=rule.pk)
    uses: dict[str, list[str]] = dict(named.values_list("segment__external_id", "used_segments"))
    uses[rule.segment.external_id] = list(rule.used_segments)
    depth_of(rule.segment.external_id, uses, ())
    deepest = max(depth_of(segment, uses, ()) for segment in uses)
    if deepest > MOST_DEPTH:
        raise CircularRules(
            f"Rules that name segments with rules would be {deepest} deep; {MOST_DEPTH} is the most.",
            field="q",
        )


def depth_of(segment: str, uses: Mapping[str, list[str]], path: tuple[str, ...]) -> int:
    """Return how many rules follow each other from this segment on; raise CircularRules."""
    if segment in path:
        circle = " -> ".join([*path[path.index(segment) :], segment])
        raise CircularRules(f"The rules name each other's segments in a circle: {circle}.", field="q")
    if segment not in uses:
        return 0
    if len(path) > MOST_DEPTH:
        return 1
    return 1 + max((depth_of(one, uses, (*path, segment)) for one in uses[segment]), default=0)


@transaction.atomic
def turn_off_rule(*, tenant_id: int, segment_id: str, keeps_members: bool, at: datetime) -> None:
    """Delete the rule; its members become MANUAL or are removed. One that does not exist counts as deleted.

    Waits for the batch of an evaluation that is being written. What is more than 20,000 members is done in
    the background.
    """
    rule = (
        Rule.objects.select_for_update(of=("self",))
        .filter(tenant=tenant_id, segment__external_id=segment_id)
        .first()
    )
    if rule is None:
        return
    DueCustomer.objects.filter(rule_id=rule.pk).delete()
    rule.delete()
    if end_members(tenant_id, rule.segment_id, keeps_members=keeps_members, at=at) == BATCH:
        actor = current_actor()
        enqueue_job(
            END_KIND,
            tenant_id=tenant_id,
            arguments={
                "segment": rule.segment_id,
                "keeps": keeps_members,
                "at": at.isoformat(),
                "actor": [actor.type, actor.id, actor.name] if actor else None,
            },
            requested_by=requester(),
            at=at,
        )


def end_members(tenant_id: int, segment: int, *, keeps_members: bool, at: datetime) -> int:
    """Keep or remove the next 20,000 members by a rule that is gone; return how many they were."""
    chosen = sql(
        "WITH locked AS MATERIALIZED (SELECT assignment.id FROM segments_customerassignment AS assignment"
        " WHERE assignment.tenant_id = {tenant} AND assignment.segment_id = {segment}"
        " AND assignment.assignment_type = 'AUTOMATIC' AND assignment.created_at <= {at}"
        " ORDER BY assignment.customer_id, assignment.legal_entity_id LIMIT {batch} FOR UPDATE)",
        tenant=param(tenant_id),
        segment=param(segment),
        at=param(at),
        batch=param(BATCH),
    )
    action = sql(
        "UPDATE segments_customerassignment AS assignment SET assignment_type = 'MANUAL',"
        " version = version + 1, modified_at = {at} FROM locked WHERE assignment.id = locked.id",
        at=param(at),
    )
    if not keeps_members:
        action = Sql(
            "DELETE FROM segments_customerassignment AS assignment USING locked"
            " WHERE assignment.id = locked.id"
        )
    return execute(sql("{chosen} {action}", chosen=chosen, action=action))


def run_end_slice(job: Job, at: datetime) -> bool:
    """Go on ending the membership of a rule that is gone, unless the segment has another one by now."""
    arguments = job.arguments
    if not arguments["keeps"] and Rule.objects.filter(segment=arguments["segment"]).exists():
        return False
    kind, actor_id, name = arguments["actor"] or (ActorType.COMMAND, "work", "")
    with acting_as(Actor(ActorType(kind), actor_id, name, "rule", str(job.pk))):
        count = end_members(
            job.tenant_id or 0,
            arguments["segment"],
            keeps_members=arguments["keeps"],
            at=datetime.fromisoformat(arguments["at"]),
        )
    job.progress = {"done": job.progress.get("done", 0) + count}
    return count == BATCH


register_job_kind(JobKind(END_KIND, run_end_slice, gettext_noop("End of a rule")))


@transaction.atomic
def ask_for_evaluation(*, tenant_id: int, segment_id: str, at: datetime) -> Job:
    """Have the rule of a segment evaluated anew; raise SegmentNotFound or RuleNotFound."""
    rule = rule_of_segment(tenant_id=tenant_id, segment_id=segment_id)
    return request_evaluation(rule, requested_by=requester(), at=at)


@transaction.atomic
def lift_exclusion(*, tenant_id: int, segment_id: str, customer_id: str) -> int:
    """Let rules of the segment add the customer again, for whichever legal entity; return how many."""
    chosen = (
        RuleExclusion.objects.for_tenant(tenant_id)
        .filter(segment__external_id=segment_id, customer__external_id=customer_id)
        .order_by("id")
        .select_for_update(of=("self",))
    )
    lifted = RuleExclusion.objects.filter(pk__in=list(chosen.values_list("pk", flat=True)))
    return lifted._raw_delete(lifted.db)


def requester() -> str:
    actor = current_actor()
    return f"{actor.type} {actor.id}" if actor else ""
