"""Sets of segments, by which answers are shared at the edge: everybody of the same set reads the same.

The key of a set says nothing of its segments, and nothing of who has it. What it stands for is a row, which
is written when a customer asks for their key, and lives on while somebody may still have it.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.crypto import salted_hmac

from catalog.revisions import PLACEMENTS
from core.sql.composition import Sql, bind, identifier, param, sql
from core.sql.fetching import execute, fetch_rows
from segments.customer_context import CustomerContext, Shopper
from segments.errors import SegmentSetNotFound
from segments.visibility import SHOWN_SUBJECTS, ResolvedSegments, effective, resolve, state_of

LONGEST = timedelta(minutes=15)  # that a customer uses a key before they ask again
LONGEST_SHARED = 300  # seconds that an answer is kept at the edge
SHARED_SUBJECTS = (*SHOWN_SUBJECTS, PLACEMENTS)
PURPOSE = "segments.segment_set"
ENDS = (("valid_from", ">"), ("valid_to", ">="))


@dataclass(frozen=True, slots=True)
class IssuedSet:
    """The key of the segments that count for a customer, and until when they ask by it."""

    key: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SharedSet:
    """What a key means now: the effective ones of its segments, and for how long that may be kept.

    `segment_ids` are the wire ids of all its segments: a change of any of them ends what is kept.
    """

    resolved: ResolvedSegments
    segment_ids: Sequence[str]
    seconds: int


def issue_set(shopper: Shopper, *, at: datetime, site_code: str) -> IssuedSet:
    """Return the key of the segments that count for the customer, for at most 15 minutes.

    It ends before that when a window of a membership or of its segment opens or closes. The row of the key
    outlives it. Raises what `resolve` raises.
    """
    resolved = resolve(shopper, at=at, site_code=site_code or None)
    tenant_id = shopper.tenant_id
    key = key_of(tenant_id, site_code, resolved.segment_ids)
    expires_at = next_change(resolved.context, at=at)
    execute(
        bind(
            "INSERT INTO segments_segmentset (tenant_id, key, site_code, segment_keys, expires_at)"
            " SELECT {tenant:bigint}, {key:text}, {site:text}, {segments:bigint[]}, {until:timestamptz}"
            " WHERE NOT EXISTS (SELECT FROM segments_segmentset WHERE tenant_id = {tenant} AND key = {key}"
            " AND expires_at >= {expires:timestamptz})"
            " ON CONFLICT (tenant_id, key) DO UPDATE"
            " SET expires_at = greatest(segments_segmentset.expires_at, EXCLUDED.expires_at)",
            tenant=tenant_id,
            key=key,
            site=site_code,
            segments=list(resolved.segment_ids),
            until=at + 2 * LONGEST,
            expires=expires_at,
        )
    )
    return IssuedSet(key, expires_at)


def key_of(tenant_id: int, site_code: str, segment_keys: Sequence[int]) -> str:
    """Return the key of a set, which nobody can make who does not have the service's secret."""
    segments = ",".join(map(str, segment_keys))
    digest = salted_hmac(PURPOSE, f"{tenant_id}/{site_code}/{segments}", algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def when_it_comes(end: Sql, comparison: str, at: Sql) -> Sql:
    """An expression: the end of a window when it is still to come, else NULL."""
    return sql("CASE WHEN {end} {comparison} {at} THEN {end} END", end=end, comparison=Sql(comparison), at=at)


def next_change(context: CustomerContext, *, at: datetime) -> datetime:
    """Return when other segments may count for the customer than now, at most 15 minutes from now."""
    boundaries = Sql.joined(
        ", ",
        [
            when_it_comes(identifier(alias, column), comparison, param(at, "timestamptz"))
            for alias in ("membership", "segment")
            for column, comparison in ENDS
        ],
    )
    statement = sql(
        "SELECT least({latest}, min(least({boundaries}))) FROM segments_customerassignment AS membership"
        " JOIN segments_segment AS segment"
        " ON segment.tenant_id = membership.tenant_id AND segment.id = membership.segment_id"
        " WHERE membership.tenant_id = {tenant} AND membership.customer_id = {customer}"
        " AND (membership.legal_entity_id IS NULL OR membership.legal_entity_id = {legal_entity})",
        latest=param(at + LONGEST, "timestamptz"),
        boundaries=boundaries,
        tenant=param(context.tenant_id, "bigint"),
        customer=param(context.customer_id, "bigint"),
        legal_entity=param(context.legal_entity_id, "bigint"),
    )
    [(found,)] = fetch_rows(statement, prepared=True)
    return found


def shared_set(tenant_id: int, key: str, *, at: datetime) -> SharedSet:
    """Return what the key means; raise SegmentSetNotFound when it is unknown or expired. One statement."""
    windows = Sql.joined(
        ", ",
        [
            when_it_comes(identifier("segment", column), comparison, Sql("asked.at"))
            for column, comparison in ENDS
        ],
    )
    statement = sql(
        "WITH asked AS MATERIALIZED (SELECT stored.*, {at} AS at FROM segments_segmentset AS stored"
        " WHERE stored.tenant_id = {tenant} AND stored.key = {key} AND stored.expires_at >= {at})"
        " SELECT chosen.keys, chosen.ids, state.revisions, state.changes_at, floor(extract(epoch FROM"
        " least(state.changes_at::timestamptz, chosen.changes_at, asked.expires_at) - asked.at))::int"
        " FROM asked CROSS JOIN LATERAL ("
        "SELECT coalesce(array_agg(segment.id ORDER BY segment.id) FILTER (WHERE {effective} AND"
        " (asked.site_code = '' OR site.code = asked.site_code)), '{{}}') AS keys,"
        " coalesce(array_agg(segment.external_id ORDER BY segment.id), '{{}}') AS ids,"
        " min(least({windows})) AS changes_at FROM segments_segment AS segment JOIN accounts_site AS site"
        " ON site.tenant_id = segment.tenant_id AND site.id = segment.site_id"
        " WHERE segment.tenant_id = asked.tenant_id AND segment.id = ANY(asked.segment_keys)"
        ") AS chosen CROSS JOIN LATERAL ({state}) AS state",
        at=param(at, "timestamptz"),
        tenant=param(tenant_id, "bigint"),
        key=param(key),
        effective=effective(Sql("asked.at")),
        windows=windows,
        state=state_of(Sql("chosen.keys"), Sql("asked.tenant_id"), Sql("asked.at"), SHARED_SUBJECTS),
    )
    rows = fetch_rows(statement, prepared=True)
    if not rows:
        raise SegmentSetNotFound
    [(keys, ids, revisions, changes_at, seconds)] = rows
    resolved = ResolvedSegments(CustomerContext(tenant_id), tuple(keys), tuple(revisions), changes_at)
    return SharedSet(resolved, ids, max(0, min(seconds, LONGEST_SHARED)))
