"""Copies, unions, intersections and differences of the members of segments, into another segment.

Members are only added to the target; who is there already keeps their membership as it is. Small sets are
written at once, large ones by a job in slices, which may be killed at any moment and goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal, Self

import msgspec
from django.db import transaction
from django.utils.translation import gettext_noop
from msgspec import Meta

from core.actors import Actor, ActorType, acting_as, current_actor
from core.background.jobs import JobKind, enqueue_job, register_job_kind
from core.background.models import Job, JobState
from core.bodies import Body, Reference
from core.errors import InvalidInput, NotFound
from core.json_types import JsonMapping, JsonObject
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from segments.bodies import SegmentBody
from segments.counting import Count, counted
from segments.errors import SegmentNotFound
from segments.models import Segment
from segments.operations.segments import create_segment

SLICE: Final = 20_000  # memberships of one transaction
WHOLE: Final = 2**31
MOST_SEGMENTS: Final = 20
KIND: Final = "member_operation"
SOURCE: Final = "member-operation"
MEMBERSHIP: Final = Sql("membership")  # what the statements below call a row

Segments = Annotated[list[Reference], Meta(max_length=MOST_SEGMENTS)]


class MemberOperationBody(Body, kw_only=True):
    """Which members are added to a segment: of any segment of `from`, in all of `and`, in none of `minus`."""

    sources: Annotated[
        list[Reference],
        Meta(
            min_length=1,
            max_length=MOST_SEGMENTS,
            description="The segments whose members are taken; several are united. Of a member of several the"
            " first one's validity is taken along.",
        ),
    ] = msgspec.field(name="from")
    all_of: Annotated[
        Segments, Meta(description="Only members who are in each of these segments as well.")
    ] = msgspec.field(name="and", default_factory=list)
    minus: Annotated[Segments, Meta(description="Without the members of these segments.")] = msgspec.field(
        default_factory=list
    )
    create: Annotated[
        SegmentBody | None,
        Meta(description="The segment to create when there is none of the id in the address."),
    ] = None
    dry_run: Annotated[bool, Meta(description="Only count; write nothing.")] = False
    background: Annotated[
        bool, Meta(description="Do it in the background, however small it is; large ones always are.")
    ] = False


class MemberOperationResult(Body, kw_only=True, omit_defaults=True):
    """What a member operation finds, does or has done."""

    state: Annotated[
        Literal["counted", "queued", "running", "done", "failed"],
        Meta(description="counted after a dry run, queued or running while a worker is at it."),
    ]
    members: Annotated[Count | None, Meta(description="The memberships that were chosen.")] = None
    added: Annotated[
        Count | None,
        Meta(description="Those that are added to the segment; the others are in it already."),
    ] = None
    id: Annotated[str | None, Meta(description="The operation's id, of one that runs in the background.")] = (
        None
    )
    read: Annotated[
        int | None, Meta(description="How many memberships of the source segments were read so far.")
    ] = None
    error: Annotated[str | None, Meta(description="Why it failed.")] = None


class UnknownSegment(InvalidInput):
    """The operation names a segment that does not exist."""

    code = "unknown_segment"

    def __init__(self, field: str, segment_id: str) -> None:
        super().__init__(f"{field}: there is no segment {segment_id}.", field=field)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen memberships, by keys of segments, and the segment that they are added to (0: a new one)."""

    tenant_id: int
    target: int
    sources: Sequence[int]
    all_of: Sequence[int]
    minus: Sequence[int]

    @classmethod
    def of_job(cls, job: Job) -> Self:
        assert job.tenant_id is not None
        return cls(job.tenant_id, **job.arguments["choice"])

    def condition(self, *, in_target: bool, row: Sql = MEMBERSHIP) -> Sql:
        """The condition that a row of members is chosen; it need not be a member of the target yet.

        Who is no longer a contact of the membership's legal entity is not chosen: it could not be assigned.
        """
        conditions = [
            sql(
                "({row}.legal_entity_id IS NULL OR EXISTS ("
                "SELECT FROM accounts_contactassignment AS contact"
                " WHERE contact.tenant_id = {row}.tenant_id"
                " AND contact.customer_id = {row}.customer_id"
                " AND contact.legal_entity_id = {row}.legal_entity_id))",
                row=row,
            ),
            *(sql("{is_in}", is_in=is_member(key, row)) for key in self.all_of),
            *(sql("NOT {is_in}", is_in=is_member(key, row)) for key in self.minus),
        ]
        if not in_target:
            conditions.append(sql("NOT {is_in}", is_in=is_member(self.target, row)))
        return Sql.joined(" AND ", conditions)

    def listed(self, *, in_target: bool, row: Sql) -> Sql:
        """The condition that a row of members is chosen; of a member of several sources only one is."""
        from_each = [
            Sql.joined(
                " AND ",
                [
                    sql("{row}.segment_id = {source}", row=row, source=param(source, "bigint")),
                    *(sql("NOT {is_in}", is_in=is_member(earlier, row)) for earlier in self.sources[:number]),
                ],
            )
            for number, source in enumerate(self.sources)
        ]
        return sql(
            "({row}.tenant_id = {tenant} AND ({from_each}) AND {chosen})",
            row=row,
            tenant=param(self.tenant_id, "bigint"),
            from_each=Sql.joined(" OR ", from_each),
            chosen=self.condition(in_target=in_target, row=row),
        )


def is_member(segment: int, row: Sql = MEMBERSHIP) -> Sql:
    """The condition that a row of members exists in this segment as well."""
    return sql(
        "EXISTS (SELECT FROM segments_customerassignment AS other"
        " WHERE other.tenant_id = {row}.tenant_id AND other.segment_id = {segment}"
        " AND other.customer_id = {row}.customer_id"
        " AND other.legal_entity_id IS NOT DISTINCT FROM {row}.legal_entity_id)",
        row=row,
        segment=param(segment, "bigint"),
    )


def operate(
    *, tenant_id: int, segment_id: str, body: MemberOperationBody, at: datetime
) -> MemberOperationResult:
    """Add the chosen members to a segment, at once or by a job, or only count them.

    Raises SegmentNotFound without a segment of this id and without `create`, and UnknownSegment.
    """
    keys = keys_of(tenant_id, [segment_id, *body.sources, *body.all_of, *body.minus])
    for field, ids in (("from", body.sources), ("and", body.all_of), ("minus", body.minus)):
        for one in ids:
            if one not in keys:
                raise UnknownSegment(field, one)
    if segment_id not in keys and body.create is None:
        raise SegmentNotFound(resource_id=segment_id)
    choice = Choice(
        tenant_id,
        keys.get(segment_id, 0),
        *([keys[one] for one in dict.fromkeys(ids)] for ids in (body.sources, body.all_of, body.minus)),
    )
    if body.create is not None and body.create.id not in (None, segment_id):
        raise InvalidInput("create.id is not the id in the address; leave it out.", field="create.id")
    members, added = numbers(choice)
    if body.dry_run:
        return MemberOperationResult(state="counted", members=members, added=added)
    with transaction.atomic():
        if not choice.target and body.create is not None:
            create_segment(
                tenant_id=tenant_id, row=msgspec.structs.replace(body.create, id=segment_id), at=at
            )
            choice = Choice(
                tenant_id,
                keys_of(tenant_id, [segment_id])[segment_id],
                choice.sources,
                choice.all_of,
                choice.minus,
            )
        if body.background or not members.exact or members.value > SLICE:
            job = enqueue(choice, segment_id, at)
            return MemberOperationResult(state="queued", members=members, added=added, id=str(job.pk))
        # counting them took less than a second, so there is no need for slices
        written = sum(add_slice(choice, source, {"after": 0}, at, limit=WHOLE) for source in choice.sources)
    return MemberOperationResult(state="done", members=members, added=Count(value=written))


def keys_of(tenant_id: int, segment_ids: Sequence[str]) -> dict[str, int]:
    """Return the keys of those of the segments that exist, in one statement."""
    found = Segment.objects.for_tenant(tenant_id).filter(external_id__in=set(segment_ids))
    return dict(found.values_list("external_id", "id"))


def numbers(choice: Choice) -> list[Count]:
    """Return how many memberships are chosen, and how many of them are new to the target."""

    def statement(limit: Sql) -> Sql:
        return sql(
            "SELECT count(*), count(*) FILTER (WHERE NOT {is_in}) FROM ("
            "SELECT DISTINCT membership.tenant_id, membership.customer_id, membership.legal_entity_id FROM ("
            "SELECT * FROM segments_customerassignment AS membership WHERE membership.tenant_id = {tenant}"
            " AND membership.segment_id = ANY({sources}) AND {chosen}{limit}) AS membership) AS membership",
            is_in=is_member(choice.target),
            tenant=param(choice.tenant_id),
            sources=param(list(choice.sources), "bigint[]"),
            chosen=choice.condition(in_target=True),
            limit=limit,
        )

    return counted(statement, 2)


def add_slice(choice: Choice, source: int, progress: JsonObject, at: datetime, *, limit: int = SLICE) -> int:
    """Add the next memberships of a source to the target and return how many were new; reads `limit`.

    `progress["after"]` is the key of the last one that was read; None when all have been. Locks what the new
    memberships name in the order of docs/locking.md. Raises SegmentNotFound when the target is gone.
    """
    rows = fetch_rows(
        sql(
            "WITH source AS MATERIALIZED (SELECT * FROM segments_customerassignment AS membership"
            " WHERE membership.segment_id = {source} AND membership.tenant_id = {tenant}"
            " AND membership.id > {after} ORDER BY membership.id LIMIT {slice}"
            "), chosen AS MATERIALIZED (SELECT membership.* FROM source AS membership WHERE {chosen}"
            "), customer AS MATERIALIZED (SELECT customer.id FROM accounts_customer AS customer"
            " WHERE customer.tenant_id = {tenant}"
            " AND customer.id = ANY(ARRAY(SELECT customer_id FROM chosen)) ORDER BY customer.id FOR KEY SHARE"
            "), entity AS MATERIALIZED (SELECT entity.id FROM accounts_legalentity AS entity"
            " WHERE entity.tenant_id = {tenant}"
            " AND entity.id = ANY(ARRAY(SELECT legal_entity_id FROM chosen))"
            " AND (SELECT count(*) FROM customer) >= 0 ORDER BY entity.id FOR KEY SHARE"
            "), target AS MATERIALIZED (SELECT segment.id FROM segments_segment AS segment"
            " WHERE segment.tenant_id = {tenant} AND segment.id = {target}"
            " AND (SELECT count(*) FROM entity) >= 0 FOR KEY SHARE"
            "), written AS (INSERT INTO segments_customerassignment (tenant_id, segment_id, customer_id,"
            " legal_entity_id, assignment_type, valid_from, valid_to, mixins, mixin_schemas, version,"
            " created_at, modified_at) SELECT chosen.tenant_id, target.id, chosen.customer_id,"
            " chosen.legal_entity_id, 'MANUAL', chosen.valid_from, chosen.valid_to, chosen.mixins,"
            " chosen.mixin_schemas, 1, {at}, {at} FROM chosen CROSS JOIN target"
            " JOIN customer ON customer.id = chosen.customer_id"
            " ORDER BY chosen.customer_id, chosen.legal_entity_id"
            " ON CONFLICT DO NOTHING RETURNING id)"
            " SELECT (SELECT count(*) FROM target), (SELECT count(*) FROM source),"
            " (SELECT max(id) FROM source), (SELECT count(*) FROM written)",
            source=param(source),
            tenant=param(choice.tenant_id),
            after=param(progress["after"]),
            slice=param(limit),
            chosen=choice.condition(in_target=False),
            target=param(choice.target),
            at=param(at),
        )
    )
    [(targets, read, last, written)] = rows
    if not targets:
        raise SegmentNotFound("The segment that members are added to has been deleted.")
    progress["after"] = last if read == limit else None
    progress["read"] = progress.get("read", 0) + read
    added: int = written
    return added


# In the background


def enqueue(choice: Choice, segment_id: str, at: datetime) -> Job:
    actor = current_actor()
    arguments: JsonMapping = {
        "segment": segment_id,
        "actor": [actor.type, actor.id, actor.name] if actor else None,
        "choice": {
            "target": choice.target,
            "sources": choice.sources,
            "all_of": choice.all_of,
            "minus": choice.minus,
        },
    }
    return enqueue_job(
        KIND,
        tenant_id=choice.tenant_id,
        arguments=arguments,
        requested_by=f"{actor.type} {actor.id}" if actor else "",
        at=at,
    )


def run_slice(job: Job, at: datetime) -> bool:
    """Do the next slice of an operation, with the actor who asked for it."""
    choice, progress = Choice.of_job(job), {"source": 0, "after": 0, "read": 0, "added": 0, **job.progress}
    kind, actor_id, name = job.arguments["actor"] or (ActorType.COMMAND, "work", "")
    with acting_as(Actor(ActorType(kind), actor_id, name, SOURCE, str(job.pk))):
        progress["added"] += add_slice(choice, choice.sources[progress["source"]], progress, at)
    if progress["after"] is None:
        progress |= {"source": progress["source"] + 1, "after": 0}
    job.progress = progress
    job.result = {"added": progress["added"]}
    return progress["source"] < len(choice.sources)


def operation_state(*, tenant_id: int, segment_id: str, operation_id: str) -> MemberOperationResult:
    """Return how far an operation into the segment is; raise NotFound."""
    job = None
    if operation_id.isascii() and operation_id.isdigit() and len(operation_id) <= 18:
        job = Job.objects.filter(
            tenant=tenant_id, kind=KIND, pk=int(operation_id), arguments__segment=segment_id
        ).first()
    if job is None:
        raise NotFound(resource_id=operation_id)
    state: Literal["queued", "running", "done", "failed"] = JobState(job.state).value  # type: ignore[assignment]
    return MemberOperationResult(
        state=state,
        id=operation_id,
        added=Count(value=job.progress.get("added", 0)),
        read=job.progress.get("read", 0),
        error=job.error or None,
    )


register_job_kind(JobKind(KIND, run_slice, gettext_noop("Combination of segments")))
