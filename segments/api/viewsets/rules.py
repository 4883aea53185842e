from datetime import datetime
from typing import Annotated, Literal

from django.http import HttpResponse
from msgspec import Meta
from rest_framework.request import Request

from accounts.identity.scopes import CUSTOMER_READ, SEGMENT_MANAGE
from core.api import parameters
from core.api.json import json_response
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.background.models import Job
from core.bodies import Body, Metadata, read_body
from core.errors import InvalidInput, NotFound
from core.timestamps import format_time
from segments.api.viewsets.base import SegmentServiceViewSet
from segments.models import Rule, RuleExclusion
from segments.rules import operations
from segments.rules.evaluation import KIND
from segments.rules.explanations import RuleExplanation, explain_rule
from segments.rules.previews import (
    Membership,
    Mode,
    PreviewBody,
    RulePreview,
    RuleText,
    preview_rule,
)

MANAGE = (SEGMENT_MANAGE,)
MOST_EXCLUSIONS = 1_000
STATES = Literal["PENDING", "EVALUATING", "READY", "FAILED"]


class RuleBody(Body, kw_only=True):
    """Who belongs to a segment."""

    q: RuleText
    mode: Mode = "LIVE"
    membership: Membership = "CUSTOMER"
    metadata: Annotated[Metadata | None, Meta(description="The version that is changed.")] = None


class RuleMetadata(Body, kw_only=True):
    """The version of a rule, and its instants."""

    version: Annotated[int, Meta(description="Grows by one with every change.")]
    created_at: Annotated[str, Meta(description="When the rule was made.")]
    modified_at: Annotated[str, Meta(description="When the rule was last changed.")]


class RuleDocument(Body, kw_only=True):
    """The rule of a segment, and what came of its evaluation."""

    q: RuleText
    mode: Mode
    membership: Membership
    state: Annotated[
        STATES,
        Meta(description="READY: the members are right. FAILED: `message` says why it is not evaluated."),
    ]
    evaluated_at: Annotated[str | None, Meta(description="As of when all were judged; null: not yet.")]
    next_due_at: Annotated[
        str | None, Meta(description="When time next moves somebody in or out; null: it moves nobody.")
    ]
    members: Annotated[int | None, Meta(description="How many belong by the rule; null: not yet counted.")]
    milliseconds: Annotated[int | None, Meta(description="How long the last evaluation took.")]
    message: Annotated[
        str | None,
        Meta(description="Why the last evaluation failed, or what the rule waits for."),
    ]
    metadata: Annotated[RuleMetadata, Meta(description="The version of the rule, and its instants.")]


class EvaluationState(Body, kw_only=True):
    """How far an evaluation is."""

    id: Annotated[str, Meta(description="The evaluation's id.")]
    state: Annotated[
        Literal["queued", "running", "done", "failed"], Meta(description="How far the evaluation is.")
    ]
    outcome: Annotated[str | None, Meta(description="What came of it.")] = None
    joined: Annotated[int | None, Meta(description="How many came into the segment.")] = None
    left: Annotated[int | None, Meta(description="How many left it.")] = None
    done: Annotated[int | None, Meta(description="How many of these are written.")] = None
    milliseconds: Annotated[int | None, Meta(description="How long it took.")] = None
    message: Annotated[str | None, Meta(description="Why it failed.")] = None


class ExclusionDocument(Body, kw_only=True):
    """A customer who was taken out by hand, so that no rule adds them."""

    customer_id: Annotated[str, Meta(description="The customer's number.")]
    legal_entity_id: Annotated[str | None, Meta(description="The company that it is about; null: B2C.")]
    excluded_at: Annotated[str, Meta(description="When that was.")]
    excluded_by: Annotated[str | None, Meta(description="Who did it.")]


class RuleViewSet(SegmentServiceViewSet):
    """Rules: who belongs to a segment."""

    tag = "Rules"
    has_page_parameters = False

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """A rule and all that it says are an oracle on personal data, so both scopes are needed."""
        super().initial(request, *args, **kwargs)
        self.require_scope(CUSTOMER_READ)

    @operation(
        "GET-customer-segment-retrieve-rule", scopes=MANAGE, responses={200: RuleDocument}, errors=(404,)
    )
    def retrieve(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Read the rule of a segment.

        Also needs customer.customer_read.
        """
        rule = operations.rule_of_segment(tenant_id=self.caller.tenant.id, segment_id=segment_id)
        return json_response(document_of(rule, self.at))

    @operation(
        "PUT-customer-segment-upsert-rule",
        scopes=MANAGE,
        request=RuleBody,
        responses={201: None, 204: None},
        errors=(404, 409),
    )
    def update(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Give a segment a rule.

        Its members follow in the background, within seconds. Also needs customer.customer_read.
        """
        body = read_body(RuleBody, request.data)
        created = operations.save_rule(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            q=body.q,
            mode=body.mode,
            membership=body.membership,
            expected_version=body.metadata.version if body.metadata else None,
            at=self.at,
        )
        return self.created_response() if created else HttpResponse(status=204)

    @operation(
        "DELETE-customer-segment-remove-rule",
        scopes=MANAGE,
        parameters=(
            query_parameter(
                "keepMembers", "Keep the members by rule, as MANUAL ones; without it they go.", type=bool
            ),
        ),
        responses={204: None},
    )
    def destroy(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Turn the rule of a segment off.

        More than 20,000 members go, or become MANUAL, in the background. Also needs customer.customer_read.
        """
        operations.turn_off_rule(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            keeps_members=parameters.flag(request.query_params, "keepMembers"),
            at=self.at,
        )
        return HttpResponse(status=204)

    @operation(
        "POST-customer-segment-preview-rule",
        scopes=MANAGE,
        request=PreviewBody,
        responses={200: RulePreview},
    )
    def preview(self, request: Request, tenant: str) -> HttpResponse:
        """Read what a rule would do before it is saved.

        Takes two seconds at most; what is not counted by then is absent. A faulty rule is no error here: the
        response says what is wrong, and where. Also needs customer.customer_read.
        """
        body = read_body(PreviewBody, request.data)
        return json_response(preview_rule(tenant=self.caller.tenant, body=body, at=self.at))

    @operation(
        "POST-customer-segment-evaluate-rule",
        scopes=MANAGE,
        responses={202: EvaluationState},
        errors=(404,),
    )
    def evaluate(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Have the rule of a segment evaluated anew, in the background.

        A LIVE rule needs that never. Also needs customer.customer_read.
        """
        job = operations.ask_for_evaluation(
            tenant_id=self.caller.tenant.id, segment_id=segment_id, at=self.at
        )
        return json_response(state_of(job), status=202)

    @operation(
        "GET-customer-segment-retrieve-rule-evaluation",
        scopes=MANAGE,
        responses={200: EvaluationState},
        errors=(404,),
    )
    def evaluation(self, request: Request, tenant: str, segment_id: str, evaluation_id: str) -> HttpResponse:
        """Read how far an evaluation is.

        Also needs customer.customer_read.
        """
        job = None
        if evaluation_id.isascii() and evaluation_id.isdigit() and len(evaluation_id) <= 18:
            job = Job.objects.filter(
                tenant=self.caller.tenant.id,
                kind=KIND,
                pk=int(evaluation_id),
                arguments__segment=segment_id,
            ).first()
        if job is None:
            raise NotFound(resource_id=evaluation_id)
        return json_response(state_of(job))

    @operation(
        "GET-customer-segment-explain-rule",
        scopes=MANAGE,
        parameters=(
            query_parameter("customerId", "The customer's number.", required=True),
            query_parameter("legalEntityId", "The company that the customer acts for."),
        ),
        responses={200: RuleExplanation},
        errors=(404,),
    )
    def explanation(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """Explain why a customer belongs to a segment, or does not.

        Each term of the rule with the customer's value. Also needs customer.customer_read.
        """
        query = request.query_params
        customer_id = parameters.text(query, "customerId")
        if not customer_id:
            raise InvalidInput("customerId is missing; name the customer's number.", field="customerId")
        found = explain_rule(
            tenant_id=self.caller.tenant.id,
            segment_id=segment_id,
            customer_id=customer_id,
            legal_entity_id=parameters.text(query, "legalEntityId") or None,
            at=self.at,
        )
        return json_response(found)

    @operation(
        "GET-customer-segment-retrieve-rule-exclusions",
        scopes=MANAGE,
        parameters=(
            query_parameter("after", "Only customers whose number follows this one, for the next ones."),
        ),
        responses={200: [ExclusionDocument]},
        errors=(404,),
    )
    def exclusions(self, request: Request, tenant: str, segment_id: str) -> HttpResponse:
        """List the customers who were taken out by hand, 1,000 at most, by their numbers.

        Also needs customer.customer_read.
        """
        self.require_segment(segment_id)
        rows = (
            RuleExclusion.objects.for_tenant(self.caller.tenant.id)
            .filter(segment__external_id=segment_id)
            .select_related("customer", "legal_entity")
            .order_by("customer__external_id", "legal_entity__external_id")
        )
        if after := parameters.text(request.query_params, "after"):
            rows = rows.filter(customer__external_id__gt=after)
        return json_response([exclusion_of(row) for row in rows[:MOST_EXCLUSIONS]])

    @operation("DELETE-customer-segment-lift-rule-exclusion", scopes=MANAGE, responses={204: None})
    def lift_exclusion(
        self, request: Request, tenant: str, segment_id: str, customer_id: str
    ) -> HttpResponse:
        """Let the rule add a customer again.

        One who is not excluded counts as lifted. Also needs customer.customer_read.
        """
        operations.lift_exclusion(
            tenant_id=self.caller.tenant.id, segment_id=segment_id, customer_id=customer_id
        )
        return HttpResponse(status=204)


def document_of(rule: Rule, at: datetime) -> RuleDocument:
    """Return the rule as clients read it."""
    return RuleDocument(
        q=rule.q,
        mode=rule.mode,  # type: ignore[arg-type]
        membership=rule.membership,  # type: ignore[arg-type]
        state=rule.state,  # type: ignore[arg-type]
        evaluated_at=format_time(rule.evaluated_at) if rule.evaluated_at else None,
        next_due_at=format_time(rule.next_due_at) if rule.next_due_at else None,
        members=rule.members,
        milliseconds=rule.milliseconds,
        message=rule.message or operations.waiting_for(rule, at),
        metadata=RuleMetadata(
            version=rule.version,
            created_at=format_time(rule.created_at),
            modified_at=format_time(rule.modified_at),
        ),
    )


def state_of(job: Job) -> EvaluationState:
    numbers = {**job.progress, **job.result}
    has_failed = job.state == "failed" or numbers.get("outcome") == "failed"
    return EvaluationState(
        id=str(job.pk),
        state="failed" if has_failed else job.state,  # type: ignore[arg-type]
        outcome=numbers.get("outcome"),
        joined=numbers.get("joined"),
        left=numbers.get("left"),
        done=numbers.get("done"),
        milliseconds=numbers.get("milliseconds"),
        message=numbers.get("message") or job.error or None,
    )


def exclusion_of(row: RuleExclusion) -> ExclusionDocument:
    entity = row.legal_entity
    return ExclusionDocument(
        customer_id=row.customer.external_id,
        legal_entity_id=entity.external_id if entity else None,
        excluded_at=format_time(row.created_at),
        excluded_by=f"{row.actor_type} {row.actor_id}".strip() or None,
    )
