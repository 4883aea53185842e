"""What needs a merchandiser's attention: named queries over a tenant's segments.

Packages above add queries of their own.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

import orjson
from django.utils.translation import gettext_noop
from msgspec import Meta

from accounts.identity.scopes import SEGMENT_READ
from catalog.subtrees import is_shown
from core.bodies import Body
from core.errors import InvalidInput
from core.json_types import JsonObject
from core.representation.fields import Languages, Localized
from core.sql.composition import Sql, integer, param, sql
from core.sql.time_limits import ONE_SECOND, fetch_within
from core.windows import open_at
from segments.counting import MOST_COUNTED, NO_LIMIT, Count
from segments.models import Segment
from segments.operations.statuses import set_segment_status

MOST_OBJECTS: Final = 1_000
SHOWN_OBJECTS: Final = 20
ALL_LANGUAGES: Final = Languages()


class FoundObject(Body, kw_only=True, omit_defaults=True):
    """One thing that a finding is about."""

    id: Annotated[str, Meta(description="Its id; of a coupon the code, of a campaign coupon-campaigns/{id}.")]
    name: Annotated[dict[str, str] | None, Meta(description="Its name by language.")] = None
    details: Annotated[JsonObject | None, Meta(description="Numbers, times and other ids that say more.")] = (
        None
    )


class FindingResult(Body, kw_only=True):
    """What one named query found."""

    name: Annotated[str, Meta(description="The finding's name; stays the same in later versions.")]
    severity: Annotated[
        Literal["error", "warning"],
        Meta(description="error: it does not work for shoppers. warning: hardly intended."),
    ]
    message: Annotated[str, Meta(description="What is wrong, and what to do.")]
    type: Annotated[str, Meta(description="What the objects are: segment, category or coupon.")]
    count: Annotated[Count, Meta(description="How many objects it concerns.")]
    objects: Annotated[list[FoundObject], Meta(description="The first of them, in the order of their ids.")]


Query = Callable[[int, datetime], Sql]


@dataclass(frozen=True, slots=True)
class Remedy:
    """What ends a finding of one object at once, for users with the right, which depends on the object's id.

    `apply` takes the tenant's key, the object's id and the instant, and raises DomainError where it cannot.
    """

    label: str
    right_for: Callable[[str], str]
    apply: Callable[[int, str, datetime], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """A named query. `rows` returns a SELECT of `id`, `name` and `details`, both jsonb or NULL."""

    name: str
    severity: Literal["error", "warning"]
    type: str
    message: str
    rows: Query
    scope: str = SEGMENT_READ
    remedy: Remedy | None = None


_findings: dict[str, Finding] = {}


def register_findings(*findings: Finding) -> None:
    """Have these looked for as well."""
    for finding in findings:
        if _findings.setdefault(finding.name, finding) is not finding:
            raise ValueError(f"There are two findings named {finding.name}.")


def find_remedy(name: str) -> Remedy | None:
    """Return what ends the findings of this name at once."""
    finding = _findings.get(name)
    return finding.remedy if finding else None


def registered_findings() -> dict[str, Finding]:
    """Return all findings by name."""
    return dict(_findings)


def look_for(
    *,
    tenant_id: int,
    at: datetime,
    names: Sequence[str] = (),
    scopes: Collection[str] | None = None,
    most: int = SHOWN_OBJECTS,
    languages: Languages = ALL_LANGUAGES,
    milliseconds: int = ONE_SECOND,
    about_segment: str = "",
) -> list[FindingResult]:
    """Return what each finding (of these names, or all) is about, with the first `most` objects.

    With `about_segment` only objects that are this segment, or name it in their details. Findings for which
    the caller lacks the scope are left out; without `scopes` all are looked for. A query that takes longer
    than `milliseconds` counts as many as it finds in the same time again. Raises InvalidInput for a name that
    does not exist.
    """
    for name in names:
        if name not in _findings:
            raise InvalidInput(
                f"There is no finding {name[:60]}; there are {', '.join(sorted(_findings))}.", field="name"
            )
    return [
        result_of(finding, tenant_id, at, most, languages, milliseconds, about_segment)
        for finding in _findings.values()
        if (not names or finding.name in names) and (scopes is None or finding.scope in scopes)
    ]


def result_of(
    finding: Finding,
    tenant_id: int,
    at: datetime,
    most: int,
    languages: Languages,
    milliseconds: int,
    about_segment: str = "",
) -> FindingResult:
    count, objects = Count(value=0, exact=False), "[]"
    about = sql(
        " WHERE found.id = {segment}"
        if finding.type == "segment"
        else " WHERE found.details->'segments' ? {segment}",
        segment=param(about_segment),
    )
    for limit, is_exact in ((NO_LIMIT, True), (sql(" LIMIT {most}", most=integer(MOST_COUNTED)), False)):
        statement = sql(
            "WITH found AS MATERIALIZED (SELECT * FROM ({rows}) AS found{about}{limit})"
            " SELECT (SELECT count(*) FROM found), (SELECT coalesce(jsonb_agg(jsonb_build_object("
            "'id', shown.id, 'name', {name}::jsonb, 'details', shown.details) ORDER BY shown.id), '[]')"
            " FROM (SELECT id, name, details FROM found ORDER BY id LIMIT {most}) AS shown)",
            rows=finding.rows(tenant_id, at),
            about=about if about_segment else NO_LIMIT,
            limit=limit,
            name=Localized("shown.name").json(languages),
            most=param(most),
        )
        if (rows := fetch_within(statement, milliseconds=milliseconds)) is not None:
            [(value, objects)] = rows
            count = Count(value=value, exact=is_exact)
            break
    return FindingResult(
        name=finding.name,
        severity=finding.severity,
        message=finding.message,
        type=finding.type,
        count=count,
        objects=[FoundObject(**found) for found in orjson.loads(objects)],
    )


# The queries


def live(at: datetime) -> Sql:
    """The condition that a segment counts now or will: ACTIVE, and not over."""
    return sql(
        "segment.status = 'ACTIVE' AND (segment.valid_to IS NULL OR segment.valid_to >= {at})", at=param(at)
    )


def has_started(at: datetime) -> Sql:
    """The condition that a segment does not start later."""
    return sql("(segment.valid_from IS NULL OR segment.valid_from <= {at})", at=param(at))


def segments_where(template: str, **pieces: Callable[[datetime], Sql]) -> Query:
    """Return the query of the live segments that meet a condition."""

    def rows(tenant_id: int, at: datetime) -> Sql:
        condition = sql(template, **{name: piece(at) for name, piece in pieces.items()})
        return sql(
            "SELECT segment.external_id AS id, segment.name, NULL::jsonb AS details"
            " FROM segments_segment AS segment"
            " WHERE segment.tenant_id = {tenant} AND {live} AND {condition}",
            tenant=param(tenant_id),
            live=live(at),
            condition=condition,
        )

    return rows


def segments_by_members(source: str) -> Query:
    """Return the query of the live segments that have such memberships, with their number."""

    def rows(tenant_id: int, at: datetime) -> Sql:
        return sql(
            "SELECT segment.external_id AS id, segment.name,"
            " jsonb_build_object('members', counted.number) AS details FROM ("
            "SELECT membership.segment_id, count(*) AS number FROM {source} AND {is_not_over}"
            " GROUP BY membership.segment_id) AS counted JOIN segments_segment AS segment"
            " ON segment.tenant_id = {tenant} AND segment.id = counted.segment_id WHERE {live}",
            source=sql(source, tenant=param(tenant_id)),
            is_not_over=not_over("membership", at),
            tenant=param(tenant_id),
            live=live(at),
        )

    return rows


def not_over(alias: str, at: datetime) -> Sql:
    return sql("({alias}.valid_to IS NULL OR {alias}.valid_to >= {at})", alias=Sql(alias), at=param(at))


def active_but_over(tenant_id: int, at: datetime) -> Sql:
    return sql(
        "SELECT segment.external_id AS id, segment.name,"
        " jsonb_build_object('validTo', segment.valid_to) AS details FROM segments_segment AS segment"
        " WHERE segment.tenant_id = {tenant} AND segment.status = 'ACTIVE' AND segment.valid_to < {at}",
        tenant=param(tenant_id),
        at=param(at),
    )


def equal_segments(tenant_id: int, at: datetime) -> Sql:
    """Compares sums of hashes over members and items, so that each table is read once."""
    return sql(
        "WITH chosen AS MATERIALIZED (SELECT segment.id, segment.external_id, segment.name, segment.site_id"
        " FROM segments_segment AS segment WHERE segment.tenant_id = {tenant} AND {live}"
        "), held AS MATERIALIZED (SELECT segment_id, count(*) AS number, sum(hashtextextended("
        "concat_ws('/', product_id, '-', category_id, includes_subcategories,"
        " '-', valid_from, '-', valid_to), 0)) AS hash"
        " FROM segments_itemassignment WHERE tenant_id = {tenant}"
        " AND segment_id IN (SELECT id FROM chosen) GROUP BY segment_id"
        # only segments whose items are equal need their members compared
        "), alike AS MATERIALIZED (SELECT chosen.*, held.number, held.hash,"
        " count(*) OVER (PARTITION BY chosen.site_id, held.number, held.hash) AS twins"
        " FROM chosen JOIN held ON held.segment_id = chosen.id"
        "), member AS MATERIALIZED (SELECT segment_id, count(*) AS number, sum(hashtextextended("
        "concat_ws('/', customer_id, '-', legal_entity_id, '-', valid_from, '-', valid_to), 0)) AS hash"
        " FROM segments_customerassignment WHERE tenant_id = {tenant}"
        " AND segment_id IN (SELECT id FROM alike WHERE twins > 1) GROUP BY segment_id"
        "), grouped AS (SELECT alike.external_id, alike.name, array_agg(alike.external_id) OVER ("
        "PARTITION BY alike.site_id, alike.number, alike.hash, member.number, member.hash) AS twins"
        " FROM alike JOIN member ON member.segment_id = alike.id)"
        " SELECT external_id AS id, name, jsonb_build_object("
        "'equalTo', to_jsonb(array_remove(twins, external_id))) AS details"
        " FROM grouped WHERE cardinality(twins) > 1",
        tenant=param(tenant_id),
        live=live(at),
    )


def unpublished_categories(tenant_id: int, at: datetime) -> Sql:
    return sql(
        "SELECT category.external_id AS id, category.name,"
        " jsonb_build_object('segments', jsonb_agg(DISTINCT segment.external_id)) AS details"
        " FROM segments_itemassignment AS assignment JOIN segments_segment AS segment"
        " ON segment.tenant_id = assignment.tenant_id AND segment.id = assignment.segment_id AND {live}"
        " JOIN catalog_category AS category ON category.id = assignment.category_id"
        " WHERE assignment.tenant_id = {tenant} AND assignment.category_id IS NOT NULL"
        " AND {is_not_over} AND NOT {is_shown} GROUP BY category.id, category.external_id, category.name",
        tenant=param(tenant_id),
        live=live(at),
        is_not_over=not_over("assignment", at),
        is_shown=is_shown(Sql("category.id")),
    )


def never_overlapping(tenant_id: int, at: datetime) -> Sql:
    members, items = (
        sql(
            "(SELECT count(*) FROM {table} AS assignment WHERE assignment.tenant_id = segment.tenant_id"
            " AND assignment.segment_id = segment.id"
            " AND (assignment.valid_to < segment.valid_from OR assignment.valid_from > segment.valid_to))",
            table=Sql(table),
        )
        for table in ("segments_customerassignment", "segments_itemassignment")
    )
    return sql(
        "SELECT counted.id, counted.name,"
        " jsonb_build_object('members', counted.members, 'items', counted.items) AS details FROM ("
        "SELECT segment.external_id AS id, segment.name, {members} AS members, {items} AS items"
        " FROM segments_segment AS segment WHERE segment.tenant_id = {tenant} AND {live}"
        " AND (segment.valid_from IS NOT NULL OR segment.valid_to IS NOT NULL) OFFSET 0) AS counted"
        " WHERE counted.members + counted.items > 0",
        members=members,
        items=items,
        tenant=param(tenant_id),
        live=live(at),
    )


def deactivate(tenant_id: int, segment_id: str, at: datetime) -> None:
    set_segment_status(
        segments=Segment.objects.filter(tenant=tenant_id, external_id=segment_id), status="INACTIVE", at=at
    )


def empty_segments(table: str, *, started: bool) -> Query:
    """Return the query of the live segments, of those that start later, that have no such assignment."""
    return segments_where(
        f"{no_such(table)} AND {{has_started}} IS {started}",
        window=lambda at: not_over("assignment", at),
        has_started=has_started,
    )


def no_such(table: str, condition: str = "TRUE") -> str:
    return (
        f"NOT EXISTS (SELECT FROM {table} AS assignment WHERE assignment.tenant_id = segment.tenant_id"
        f" AND assignment.segment_id = segment.id AND {{window}} AND {condition})"
    )


ITEM_IS_SHOWN: Final = (
    "CASE WHEN assignment.product_id IS NOT NULL THEN (SELECT product.is_published FROM catalog_product"
    " AS product WHERE product.id = assignment.product_id) ELSE {is_shown} END"
)

register_findings(
    Finding(
        "segment_active_but_over",
        "warning",
        "segment",
        gettext_noop(
            "The segment is active, but its validity is over: deactivate it, or give it a later end."
        ),
        active_but_over,
        remedy=Remedy(gettext_noop("Deactivate"), lambda segment_id: "segments.change_segment", deactivate),
    ),
    Finding(
        "segment_without_members",
        "warning",
        "segment",
        gettext_noop(
            "The segment is live and has no members: nobody sees its items. Add customers, or deactivate it."
        ),
        empty_segments("segments_customerassignment", started=True),
    ),
    Finding(
        "segment_starts_without_members",
        "warning",
        "segment",
        gettext_noop(
            "The segment starts later and has no members yet: nobody will see its items."
            " Add customers before it starts, or deactivate it."
        ),
        empty_segments("segments_customerassignment", started=False),
    ),
    Finding(
        "segment_without_items",
        "warning",
        "segment",
        gettext_noop(
            "The segment is live and has no items: its members see nothing. Add products or categories."
        ),
        empty_segments("segments_itemassignment", started=True),
    ),
    Finding(
        "segment_starts_without_items",
        "warning",
        "segment",
        gettext_noop(
            "The segment starts later and has no items yet: its members will see nothing."
            " Add products or categories before it starts."
        ),
        empty_segments("segments_itemassignment", started=False),
    ),
    Finding(
        "segment_items_unpublished",
        "error",
        "segment",
        gettext_noop(
            "All items of the active segment are unpublished: its members see nothing. Publish some of them."
        ),
        segments_where(
            f"{no_such('segments_itemassignment', ITEM_IS_SHOWN)} AND EXISTS (SELECT FROM"
            " segments_itemassignment AS assignment WHERE assignment.tenant_id = segment.tenant_id"
            " AND assignment.segment_id = segment.id AND {window})",
            window=lambda at: open_at(at, "assignment"),
            is_shown=lambda at: is_shown(Sql("assignment.category_id")),
        ),
    ),
    Finding(
        "segments_equal",
        "warning",
        "segment",
        gettext_noop(
            "Another active segment of the site has the same members and items: one of them can go."
        ),
        equal_segments,
    ),
    Finding(
        "members_on_hold",
        "warning",
        "segment",
        gettext_noop(
            "Customers of the active segment are on hold: they cannot buy. Release them, or take them out."
        ),
        segments_by_members(
            "accounts_customer AS customer JOIN segments_customerassignment AS membership"
            " ON membership.tenant_id = customer.tenant_id AND membership.customer_id = customer.id"
            " WHERE customer.tenant_id = {tenant} AND customer.is_on_hold"
        ),
    ),
    Finding(
        "member_without_contact",
        "error",
        "segment",
        gettext_noop(
            "Members for a company are no longer its contacts, so the membership never counts:"
            " make them contacts again, or take them out."
        ),
        segments_by_members(
            "segments_customerassignment AS membership WHERE membership.tenant_id = {tenant}"
            " AND membership.legal_entity_id IS NOT NULL AND NOT EXISTS ("
            "SELECT FROM accounts_contactassignment AS contact"
            " WHERE contact.tenant_id = membership.tenant_id AND contact.customer_id = membership.customer_id"
            " AND contact.legal_entity_id = membership.legal_entity_id)"
        ),
    ),
    Finding(
        "category_unpublished",
        "error",
        "category",
        gettext_noop(
            "The category, or one above it, is unpublished, and active segments hold it: publish it,"
            " or take it out."
        ),
        unpublished_categories,
    ),
    Finding(
        "windows_never_overlap",
        "error",
        "segment",
        gettext_noop(
            "The validity of members or items lies outside that of the segment, so they never count:"
            " change one."
        ),
        never_overlapping,
    ),
)
