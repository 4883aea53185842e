"""How changes of segments and their rules are taken back; those of members and items are by declaration."""

from collections.abc import Sequence
from datetime import datetime

from core.background.models import OPEN_STATES, Job
from core.journal.undo.changes import ChangeRow, changes_where, chosen
from core.journal.undo.documents import write_documents
from core.journal.undo.rules import UndoRule, Written, register_undo
from core.sql.composition import param, sql
from core.sql.fetching import execute, fetch_rows
from segments.models import Rule
from segments.rules.evaluation import request_evaluation, rules_with_scope
from segments.rules.operations import END_KIND, requester, store_rule, turn_off_rule

BY_HAND = "the customer is a member by hand"


def lock_rules(tenant_id: int, changes: Sequence[ChangeRow]) -> None:
    """Take the locks that writing rules takes: the tenant's row, then the segments."""
    tenant, keys = param(tenant_id), param([change.owner_key for change in changes], "bigint[]")
    execute(sql("SELECT FROM tenancy_tenant WHERE id = {tenant} FOR NO KEY UPDATE", tenant=tenant))
    execute(
        sql(
            "SELECT FROM segments_segment WHERE tenant_id = {tenant} AND id = ANY({keys})"
            " ORDER BY id FOR NO KEY UPDATE",
            tenant=tenant,
            keys=keys,
        )
    )


def write_rules(changes: Sequence[ChangeRow], at: datetime) -> Written:
    """Turn rules off with their members, or give them back what they said and have them evaluated.

    A SNAPSHOT that was evaluated before it was deleted keeps the members that it had.
    """
    lock_rules(changes[0].tenant_id, changes)  # a rule that comes back with its segment is not locked yet
    if changes[0].kind == "created":
        for rule in Rule.objects.select_related("segment").filter(pk__in=[change.key for change in changes]):
            turn_off_rule(
                tenant_id=rule.tenant_id,
                segment_id=rule.segment.external_id,
                keeps_members=False,
                at=at,
            )
        return {}
    is_restored = changes[0].kind == "deleted"
    if is_restored:
        segments = [change.owner_key for change in changes]
        Job.objects.filter(
            kind=END_KIND,
            tenant=changes[0].tenant_id,
            state__in=OPEN_STATES,
            arguments__segment__in=segments,
        ).delete()  # members that were not ended yet stay as they are
    write_documents(changes, at)
    for rule in rules_with_scope().filter(pk__in=[change.key for change in changes]).order_by("id"):
        store_rule(rule, at)
        if is_restored and rule.mode == Rule.Mode.SNAPSHOT and rule.evaluated_at is not None:
            Rule.objects.filter(pk=rule.pk).update(state=Rule.State.READY)
        else:
            request_evaluation(rule, requested_by=requester(), at=at)
    return {}


def ended_members(change: ChangeRow) -> list[ChangeRow]:
    """Return what became of the members by a rule when it was deleted: at once, and in the background."""
    if change.kind != "deleted":
        return []
    return changes_where(
        sql(
            "change.tenant_id = {tenant} AND change.object = 'segment-customer' AND change.key = {segment}"
            " AND change.id > {id} AND change.kind <> 'created' AND NOT change.is_cascade"
            """ AND change.before @> '[{{"assignment_type": "AUTOMATIC"}}]'"""
            " AND (change.tx = {tx}::xid8 OR change.source_type = 'rule') AND change.id < coalesce(("
            "SELECT min(later.id) FROM journal_change AS later WHERE later.tenant_id = {tenant}"
            " AND later.object = 'segment-rule' AND later.owner_key = {segment} AND later.id > {id}),"
            " {last})",
            tenant=param(change.tenant_id),
            segment=param(change.owner_key),
            id=param(change.id),
            tx=param(change.tx),
            last=param(2**63 - 1, "bigint"),
        ),
        order="change.id DESC",
    )


def write_exclusions(changes: Sequence[ChangeRow], at: datetime) -> Written:
    """Lift exclusions or make them again, but none of a customer who was added by hand since."""
    if changes[0].kind != "deleted":
        return write_documents(changes, at)
    members_by_hand = sql(
        "SELECT change.id FROM journal_change AS change CROSS JOIN LATERAL"
        " jsonb_populate_record(NULL::segments_ruleexclusion, change.before) AS former"
        " JOIN segments_customerassignment AS held ON held.tenant_id = change.tenant_id"
        " AND held.segment_id = former.segment_id AND held.customer_id = former.customer_id"
        " AND held.legal_entity_id IS NOT DISTINCT FROM former.legal_entity_id"
        " WHERE {chosen} AND held.assignment_type = 'MANUAL'",
        chosen=chosen(changes),
    )
    refused = {key: BY_HAND for (key,) in fetch_rows(members_by_hand)}
    if ready := [change for change in changes if change.id not in refused]:
        write_documents(ready, at)
    return refused


register_undo(
    UndoRule(object="segment"),
    UndoRule(object="segment-rule", prepare=lock_rules, write=write_rules, members=ended_members),
    UndoRule(object="segment-rule-exclusion", write=write_exclusions),
)
