from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from django.db import transaction
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import (
    CATEGORY_MANAGE,
    COUPON_MANAGE,
    PRODUCT_MANAGE,
    SEGMENT_MANAGE,
    SEGMENT_READ,
)
from core.api import parameters
from core.api.json import json_response
from core.api.parameters import key_in, query_parameter
from core.api.preferences import wants_async
from core.api.schema import operation
from core.background.models import Job
from core.errors import InvalidInput, NotFound
from core.journal.undo.changes import find_change
from core.journal.undo.jobs import UNDO_CHANGE, enqueue_undo, job_as_json
from core.journal.undo.plans import plan_undo, undo_change
from core.representation.pages import KeyPartitions
from core.representation.representations import SortKey
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from segments.api.filters import ChangeFilters
from segments.api.viewsets.base import SegmentServiceViewSet
from segments.changes import (
    CHANGE,
    OF_RULES,
    OF_SEGMENT,
    keys_ever,
    may_read_rules,
    of_member,
    scopes_to_undo,
    shown_objects,
)
from segments.errors import SegmentNotFound

READ = (SEGMENT_READ,)
NEWEST_FIRST = (SortKey(Sql("change.id"), "bigint", descending=True),)
LATEST_FIRST = (SortKey(Sql("change.at"), "timestamptz", descending=True, nullable=False), *NEWEST_FIRST)
SELECTIVE = ("actorType", "actorId", "sourceId", "objectId")
"""Filters with an index of their own; without one the list is merged from the kinds of objects."""
OBJECT_TYPE = query_parameter(
    "objectType", "Only changes of this kind of object, such as segment, segment-customer or coupon."
)
WRITE = (SEGMENT_MANAGE, COUPON_MANAGE, CATEGORY_MANAGE, PRODUCT_MANAGE)
COUNT = {"type": "integer", "minimum": 0}
TEXT = {"type": "string"}
UNDONE_FIELDS = {
    "takenBackCount": {**COUNT, "description": "How many rows were taken back."},
    "takenBack": {
        "type": "array",
        "description": "The same by what had changed and how.",
        "items": {
            "type": "object",
            "properties": {"object": TEXT, "kind": TEXT, "count": COUNT},
            "required": ["object", "kind", "count"],
        },
    },
    "leftAloneCount": {**COUNT, "description": "How many rows were left alone, as they changed since."},
    "leftAlone": {
        "type": "array",
        "description": "Up to 1,000 entries of what was left alone, with up to 100 ids of members each.",
        "items": {
            "type": "object",
            "properties": {
                "changeId": COUNT,
                "object": {
                    "type": "object",
                    "properties": {"type": TEXT, "id": {"type": "string", "nullable": True}},
                },
                "reason": {**TEXT, "description": "Why, for people."},
                "count": COUNT,
                "members": {"type": "array", "items": TEXT},
            },
            "required": ["changeId", "object", "reason", "count"],
        },
    },
}
UNDONE = {"type": "object", "properties": UNDONE_FIELDS, "required": list(UNDONE_FIELDS)}
JOB_FIELDS = {
    "id": TEXT,
    "state": {"type": "string", "enum": ["queued", "running", "done", "failed"]},
    "changeId": {"type": "integer", "nullable": True},
    "progress": {"type": "object", "description": "How many steps of how many are done."},
    "error": {**TEXT, "description": "Why it failed; empty while it has not."},
    **UNDONE_FIELDS,
}
UNDO_JOB = {"type": "object", "properties": JOB_FIELDS, "required": list(JOB_FIELDS)}


class UndoJobNotFound(NotFound):
    """There is no such job, or it takes nothing back."""

    code = "undo_job_not_found"


class ChangeViewSet(SegmentServiceViewSet):
    """The history of segments, and of everything."""

    tag = "History"
    resource = CHANGE
    shows_what_it_writes = True

    @operation(
        "GET-customer-segment-retrieve-history",
        scopes=READ,
        reads="list",
        parameters=(
            query_parameter("customerId", "Only changes of this member."),
            query_parameter("legalEntityId", "Only changes of the member for this legal entity."),
        ),
    )
    def history(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """List the changes of a segment, its customers and its items, newest first.

        Also of a segment that is gone. With `customerId`, those that touched this member. Changes of its rule
        and exclusions are shown to callers who may read the rule.
        """
        query = request.query_params
        customer, entity = (parameters.text(query, name) for name in ("customerId", "legalEntityId"))
        segments = self.keys_ever_of("segments_segment", "segment", segment_id)
        if customer:
            condition = of_member(
                self.caller.tenant.id,
                segments,
                self.keys_ever_of("accounts_customer", "customer", customer),
                self.keys_ever_of("accounts_legalentity", "legal-entity", entity) if entity else None,
            )
            return self.changes_response([condition], segment_id)
        if entity:
            raise InvalidInput("Send customerId together with legalEntityId.", field="customerId")
        parts = of_objects(OF_SEGMENT, "key", segments)
        if may_read_rules(self.caller.scopes):
            parts = replace(parts, others=(of_objects(OF_RULES, "owner_key", segments),))
        return self.changes_response([self.tenant_condition("change")], segment_id, parts=parts)

    @operation(
        "GET-customer-segment-retrieve-changes",
        scopes=READ,
        reads="list",
        parameters=(OBJECT_TYPE,),
        filters=ChangeFilters,
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List all changes, newest first.

        Changes of coupons, customers and others need the scope that reads these.
        """
        query = request.query_params
        shown = shown_objects(self.caller.scopes)
        if kind := parameters.text(query, "objectType"):
            shown = [name for name in shown if name == kind]
        parts = None
        conditions = [self.tenant_condition("change")]
        if any(parameters.text(query, name) for name in SELECTIVE):
            conditions.append(sql("change.object = ANY({shown})", shown=param(shown, "text[]")))
        else:
            kinds = sql("unnest({names})", names=param(shown, "text[]"))
            parts = KeyPartitions("object", kinds, sorted_by="at")
        wanted, _ = self.filter_conditions()
        conditions += wanted
        return self.page_response(CHANGE, conditions, order=LATEST_FIRST, parts=parts, keeps_plan=True)

    @operation(
        "POST-customer-segment-undo-change",
        scopes=WRITE,
        responses={200: UNDONE, 202: UNDO_JOB},
    )
    def undo(self, request: Request, tenant: str, change_id: str) -> HttpResponse:
        """Take a change back.

        The opposite is written, where the rows are still as the change left them; what has changed since is
        listed and left alone. The undo is a change too, with the source `undo`, and can be taken
        back. A deleted segment is restored with its members and items within 30 days. The token needs
        the scope that writes what changed. What is large, or asked for with `Prefer: respond-async`, is taken
        back in the background: the response is 202, and Location is where its progress is read.
        """
        change = find_change(key_in(change_id), self.caller.tenant.id)
        for scope in scopes_to_undo(change.id, change.object):
            self.require_scope(scope)
        plan = plan_undo(change.id, tenant_id=self.caller.tenant.id, at=self.at)
        if plan.is_large or wants_async(self.header("Prefer")):
            job = enqueue_undo(plan, at=self.at)
            response = json_response(job_as_json(job), status=202)
            response["Location"] = f"/customer-segment/{tenant}/undo-jobs/{job.pk}"
            return response
        with transaction.atomic():
            undone = undo_change(plan, at=self.at)
        return json_response(undone.as_json())

    @operation("GET-customer-segment-retrieve-undo-job", scopes=WRITE, responses={200: UNDO_JOB})
    def undo_job(self, request: Request, tenant: str, job_id: str) -> HttpResponse:
        """Say how far the undo of a large change is."""
        jobs = Job.objects.filter(tenant=self.caller.tenant.id, kind=UNDO_CHANGE)
        job = jobs.filter(pk=key_in(job_id)).first()
        if job is None:
            raise UndoJobNotFound(resource_id=job_id)
        return json_response(job_as_json(job))

    def keys_ever_of(self, table: str, object_name: str, external_id: str) -> Sql:
        return keys_ever(
            self.caller.tenant.id, table=Sql(table), object_name=object_name, external_id=external_id
        )

    def changes_response(
        self, conditions: Sequence[Sql], segment_id: str, parts: KeyPartitions | None = None
    ) -> HttpResponse:
        return self.page_response(
            CHANGE,
            conditions,
            order=NEWEST_FIRST,
            parts=parts,
            keeps_plan=True,
            when_empty=partial(self.require_segment_ever, segment_id),
        )

    def require_segment_ever(self, segment_id: str) -> None:
        """Raise SegmentNotFound unless there is this segment, or was."""
        keys = self.keys_ever_of("segments_segment", "segment", segment_id)
        if fetch_rows(sql("SELECT {keys}", keys=keys)) == [([],)]:
            raise SegmentNotFound(resource_id=segment_id)


def of_objects(names: Sequence[str], column: str, keys: Sql) -> KeyPartitions:
    """Return the partitions of changes by what changed, of those whose `column` holds one of the keys."""
    pairs = sql(
        "(SELECT segment.key, kind.object FROM unnest({keys}) AS segment (key)"
        " CROSS JOIN unnest({names}) AS kind (object))",
        keys=keys,
        names=param(list(names), "text[]"),
    )
    return KeyPartitions(column, pairs, also=("object",))
