"""What a change of segments or of a category would do to shoppers, before anybody makes it.

Used before deleting, deactivating, and changing window, site or status of segments, and before moving,
deleting, publishing and unpublishing a category. Packages above register what else depends on segments.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from accounts.models import Site
from catalog.errors import CategoryNotFound, ParentNotFound, WouldCreateCycle
from catalog.models import Category
from catalog.subtrees import descendants, is_shown, open_subtree
from core.bodies import Body, Reference, Validity, in_utc
from core.json_types import JsonMapping, JsonObject
from core.sql.composition import Sql, integer, param, sql
from core.sql.fetching import fetch_rows
from core.sql.time_limits import fetch_within
from core.timestamps import format_time
from core.windows import open_at
from segments.bodies import Status
from segments.counting import Count, counted
from segments.errors import SegmentNotFound, UnknownSite
from segments.models import Segment
from segments.tallies import held_by
from segments.visibility import effective

MOST_SEGMENTS: Final = 200
MOST_MEMBERS_COMPARED: Final = 200_000  # with what else they have, within about a second
MEMBERS_LOOKED_AT: Final = 2_000  # of more than that
INSTANT: Final = timedelta(microseconds=1)  # windows include their ends


class SegmentChange(StrEnum):
    """What may be done to a segment. UPDATE gives it another window, site or status."""

    DELETE = "DELETE"
    DEACTIVATE = "DEACTIVATE"
    ACTIVATE = "ACTIVATE"
    UPDATE = "UPDATE"


class CategoryChange(StrEnum):
    """What may be done to a category."""

    PUBLISH = "PUBLISH"
    UNPUBLISH = "UNPUBLISH"
    MOVE = "MOVE"
    DELETE = "DELETE"


class SegmentChangeBody(Body, kw_only=True):
    """A change of a segment that is only thought of. Absent members stay as they are."""

    change: Annotated[
        Literal["DELETE", "DEACTIVATE", "ACTIVATE", "UPDATE"],
        Meta(description="What would be done. UPDATE takes the new validity, siteCode or status."),
    ]
    validity: Annotated[
        Validity | None, Meta(description="UPDATE only: the new window; an absent end is open.")
    ] = None
    site_code: Annotated[Reference | None, Meta(description="UPDATE only: the new site.")] = None
    status: Annotated[Status | None, Meta(description="UPDATE only: the new status.")] = None

    def __post_init__(self) -> None:
        says_more = (self.validity, self.site_code, self.status) != (None, None, None)
        if says_more != (self.change == SegmentChange.UPDATE):
            raise ValueError(
                "Send validity, siteCode or status together with the change UPDATE, and with no other."
            )


class SegmentsChangeBody(SegmentChangeBody, kw_only=True):
    """A change of several segments that is only thought of."""

    segment_ids: Annotated[
        list[Reference],
        Meta(min_length=1, max_length=MOST_SEGMENTS, description="The ids of the segments; at most 200."),
    ]


class CategoryChangeBody(Body, kw_only=True):
    """A change of a category that is only thought of."""

    category_id: Annotated[Reference, Meta(description="The category's id.")]
    change: Annotated[
        Literal["PUBLISH", "UNPUBLISH", "MOVE", "DELETE"],
        Meta(
            description="What would be done. MOVE takes the parentId; without it the category becomes a root."
        ),
    ]
    parent_id: Annotated[
        Reference | None, Meta(description="MOVE only: the category that it would be put below.")
    ] = None
    with_subcategories: Annotated[
        bool,
        Meta(
            description="DELETE only: all categories below it are deleted too. Otherwise those directly below"
            " it become roots."
        ),
    ] = False

    def __post_init__(self) -> None:
        if self.parent_id is not None and self.change != CategoryChange.MOVE:
            raise ValueError("Send parentId together with the change MOVE only.")
        if self.with_subcategories and self.change != CategoryChange.DELETE:
            raise ValueError("Send withSubcategories together with the change DELETE only.")


class DependentEffect(Body, kw_only=True):
    """What happens to things that depend on segments, such as coupons."""

    stopping: Annotated[Count, Meta(description="How many stop working.")]
    starting: Annotated[Count, Meta(description="How many begin to work.")]
    ids: Annotated[
        list[str],
        Meta(description="Up to 20 of these: codes of coupons, and coupon-campaigns/{id} of campaigns."),
    ]
    used_lately: Annotated[
        Count, Meta(description="How often those that stop working were used in the last 30 days.")
    ]


class MemberEffect(Body, kw_only=True):
    """What happens to customers."""

    total: Annotated[Count, Meta(description="The memberships, whether they count now or not.")]
    losing: Annotated[Count, Meta(description="The customers for whom a segment stops counting.")]
    keeping_another: Annotated[
        Count, Meta(description="Those of them for whom another segment of the same site still counts.")
    ]
    losing_all: Annotated[Count, Meta(description="Those of them who see nothing special any more.")]
    gaining: Annotated[Count, Meta(description="The customers for whom a segment begins to count.")]


class ItemEffect(Body, kw_only=True):
    """What happens to products and categories."""

    products: Annotated[Count, Meta(description="The products that are assigned themselves.")]
    categories: Annotated[Count, Meta(description="The categories that are assigned themselves.")]
    disappearing_categories: Annotated[
        Count, Meta(description="The published categories that disappear for at least one customer.")
    ]
    affected_customers: Annotated[
        Count, Meta(description="The customers for whom at least one category disappears.")
    ]


class Effects(Body, kw_only=True, omit_defaults=True):
    """What a change of segments does, at the first instant at which it makes a difference."""

    change: Annotated[str, Meta(description="What would be done.")]
    as_of: Annotated[
        str,
        Meta(
            extra_json_schema={"format": "date-time"},
            description="The instant that is looked at: now, or the first later one at which the change"
            " makes a difference.",
        ),
    ]
    makes_difference: Annotated[
        bool, Meta(description="Whether shoppers ever notice the change, if nothing else changes.")
    ]
    versions: Annotated[
        dict[str, int],
        Meta(description="The segments' versions that were looked at; send them back with the change."),
    ]
    members: Annotated[MemberEffect, Meta(description="What happens to customers.")]
    items: Annotated[ItemEffect, Meta(description="What happens to products and categories.")]
    dependents: Annotated[
        dict[str, DependentEffect],
        Meta(description="What happens to what depends on it, by type; only what the caller may read."),
    ] = msgspec.field(default_factory=dict)


class CategoryEffects(Body, kw_only=True, omit_defaults=True):
    """What a change of a category does, now."""

    change: Annotated[str, Meta(description="What would be done.")]
    as_of: Annotated[
        str, Meta(extra_json_schema={"format": "date-time"}, description="The instant that is looked at.")
    ]
    version: Annotated[
        int, Meta(description="The category's version that was looked at; send it back with the change.")
    ]
    categories: Annotated[Count, Meta(description="The category and those below it.")]
    hiding: Annotated[Count, Meta(description="The categories that shoppers no longer see.")]
    showing: Annotated[Count, Meta(description="The categories that shoppers begin to see.")]
    products: Annotated[Count, Meta(description="The products in categories that are hidden or shown.")]
    losing_segments: Annotated[
        list[str], Meta(description="Effective segments that lose one of the categories, up to 200.")
    ]
    gaining_segments: Annotated[
        list[str], Meta(description="Effective segments that gain one of the categories, up to 200.")
    ]
    losing_members: Annotated[Count, Meta(description="The customers of the segments that lose one.")]
    gaining_members: Annotated[Count, Meta(description="The customers of the segments that gain one.")]
    dependents: Annotated[
        dict[str, DependentEffect],
        Meta(description="What happens to what depends on it, by type; only what the caller may read."),
    ] = msgspec.field(default_factory=dict)


# What packages above add.


@dataclass(frozen=True, slots=True)
class Difference:
    """Which segments stop and begin to count at an instant, by their keys.

    `effective_before` and `effective_after` are conditions on `segment`: that it counts at the instant if
    nothing is changed, and after the change.
    """

    tenant_id: int
    at: datetime
    losing: Sequence[int]
    gaining: Sequence[int]

    @property
    def effective_before(self) -> Sql:
        return effective(self.at)

    @property
    def effective_after(self) -> Sql:
        return sql(
            "(segment.id = ANY({gaining}) OR segment.id <> ALL({losing}) AND {effective})",
            gaining=param(list(self.gaining), "bigint[]"),
            losing=param(list(self.losing), "bigint[]"),
            effective=effective(self.at),
        )


@dataclass(frozen=True, slots=True)
class Dependent:
    """A type of things that depend on segments and categories, and the scope that reads them.

    `of_segments` returns what a difference does to them, in one statement; `of_categories` what it does
    when categories (a SELECT of keys) are hidden and when others are shown. `only_of` counts those that name
    no segments but these, by keys; `delete_only_of` deletes them, before the segments go. `opened_by` counts
    those that members of a segment, by its key, may use at an instant, and returns ids of some. `called`
    returns what people call those of these ids. Staff need the
    permission that `permission` names once its action is filled in; their list is the admin's page of this
    name, which parameters limit to those of segments and to those of categories. `by_list` returns which of
    the admin's pages lists which ids, each page with the parameter that limits it to some, and its values.
    """

    type: str
    singular: str
    plural: str
    scope: str
    permission: str
    page: str
    page_parameter: str
    category_parameter: str
    of_segments: Callable[[Difference], DependentEffect]
    of_categories: Callable[[int, Sql, Sql, datetime], DependentEffect]
    only_of: Callable[[int, Sequence[int]], int]
    delete_only_of: Callable[[int, Sequence[int], datetime], int]
    opened_by: Callable[[int, int, datetime], tuple[int, list[str]]]
    called: Callable[[int, Sequence[str]], list[str]]
    by_list: Callable[[Sequence[str]], Mapping[tuple[str, str], list[str]]]


_dependents: dict[str, Dependent] = {}


def register_dependent(dependent: Dependent) -> None:
    """Have effects say what happens to things of this type."""
    if _dependents.setdefault(dependent.type, dependent) is not dependent:
        raise ValueError(f"There are two dependents named {dependent.type}.")


def readable_dependents(scopes: Collection[str] | None) -> list[Dependent]:
    """Return the dependents that a caller with these scopes may read; None stands for all scopes."""
    return [each for each in _dependents.values() if scopes is None or each.scope in scopes]


# Segments


@dataclass(frozen=True, slots=True)
class SegmentState:
    """What decides whether a segment counts, and where. A deleted one counts nowhere (no status)."""

    site_id: int
    status: str
    valid_from: datetime | None
    valid_to: datetime | None

    def place_at(self, at: datetime) -> int | None:
        """Return the key of the site where it counts at the instant; None when it does not count."""
        is_open = (self.valid_from is None or self.valid_from <= at) and (
            self.valid_to is None or at <= self.valid_to
        )
        return self.site_id if self.status == "ACTIVE" and is_open else None

    def boundaries(self) -> list[datetime]:
        """Return the instants at which it begins to count, and ceases to."""
        ends = [self.valid_from, None if self.valid_to is None else self.valid_to + INSTANT]
        return [moment for moment in ends if moment is not None]


def effects_of(
    *,
    tenant_id: int,
    segment_ids: Sequence[str],
    body: SegmentChangeBody,
    at: datetime,
    scopes: Collection[str] | None = None,
) -> Effects:
    """Return what the change of all these segments would do.

    Takes a bounded number of statements, however many segments, members and items there are. Raises
    SegmentNotFound, and UnknownSite for a new site that does not exist.
    """
    stored = {
        segment.external_id: segment
        for segment in Segment.objects.for_tenant(tenant_id).filter(
            external_id__in=list(segment_ids[:MOST_SEGMENTS])
        )
    }
    for segment_id in segment_ids:
        if segment_id not in stored:
            raise SegmentNotFound(resource_id=segment_id)
    before = {segment.pk: state_of(segment) for segment in stored.values()}
    change = state_change(tenant_id, body)
    after = {key: replace(state, **change) for key, state in before.items()}
    instant = first_difference(before, after, at)
    moment = at if instant is None else instant
    differing = [
        key for key in before if instant and before[key].place_at(moment) != after[key].place_at(moment)
    ]
    difference = Difference(
        tenant_id,
        moment,
        losing=[key for key in differing if before[key].place_at(moment)],
        gaining=[key for key in differing if after[key].place_at(moment)],
    )
    held = held_by(tenant_id, list(before)).values()
    losing, losing_all, disappearing, affected = lost_by_members(difference)
    return Effects(
        change=body.change,
        as_of=format_time(moment),
        makes_difference=instant is not None,
        versions={segment_id: segment.version for segment_id, segment in stored.items()},
        members=MemberEffect(
            total=Count(value=sum(one.members for one in held)),
            # counting them is quicker than finding out what else they have
            losing=losing if losing.exact else members_of(tenant_id, difference.losing, moment),
            keeping_another=Count(value=losing.value - losing_all.value, exact=losing.exact),
            losing_all=losing_all,
            gaining=members_of(tenant_id, difference.gaining, moment),
        ),
        items=ItemEffect(
            products=Count(value=sum(one.products for one in held)),
            categories=Count(value=sum(one.categories for one in held)),
            disappearing_categories=disappearing,
            affected_customers=affected,
        ),
        dependents={each.type: each.of_segments(difference) for each in readable_dependents(scopes)},
    )


def deletion_summary(
    tenant_id: int, segment_ids: Sequence[str], *, at: datetime, scopes: Collection[str]
) -> str:
    """Return in sentences what the deletion of these segments would do."""
    body = SegmentChangeBody(change="DELETE")
    found = effects_of(tenant_id=tenant_id, segment_ids=segment_ids, body=body, at=at, scopes=scopes)
    named = "the segment" if len(segment_ids) == 1 else f"one of the {len(segment_ids)} segments"
    sentences = [
        f"Customers who would lose {named}: {found.members.losing}"
        f" ({found.members.losing_all} of them would see nothing special any more).",
        f"Categories that would disappear: {found.items.disappearing_categories}"
        f" (for {found.items.affected_customers} customers).",
    ]
    sentences += [
        f"{_dependents[kind].plural.capitalize()} that would stop working: {effect.stopping}."
        for kind, effect in found.dependents.items()
    ]
    return " ".join(sentences)


def state_of(segment: Segment) -> SegmentState:
    return SegmentState(segment.site_id, segment.status, segment.valid_from, segment.valid_to)


def state_change(tenant_id: int, body: SegmentChangeBody) -> JsonMapping:
    """Return the members of a state that the change replaces."""
    match body.change:
        case SegmentChange.DELETE:
            return {"status": ""}
        case SegmentChange.DEACTIVATE:
            return {"status": "INACTIVE"}
        case SegmentChange.ACTIVATE:
            return {"status": "ACTIVE"}
    change: JsonObject = {} if body.status is None else {"status": body.status}
    if body.validity is not None:
        change["valid_from"] = in_utc(body.validity.starts_at)
        change["valid_to"] = in_utc(body.validity.ends_at)
    if body.site_code is not None:
        site = Site.objects.filter(tenant=tenant_id, code=body.site_code).values_list("id", flat=True).first()
        if site is None:
            raise UnknownSite(body.site_code)
        change["site_id"] = site
    return change


def first_difference(
    before: Mapping[int, SegmentState], after: Mapping[int, SegmentState], at: datetime
) -> datetime | None:
    """Return the first instant from `at` on at which a segment counts elsewhere; None when there is none."""
    moments = {
        moment for states in (before, after) for state in states.values() for moment in state.boundaries()
    }
    for moment in sorted({at, *(moment for moment in moments if moment > at)}):
        if any(before[key].place_at(moment) != after[key].place_at(moment) for key in before):
            return moment
    return None


def members_of(tenant_id: int, keys: Sequence[int], at: datetime) -> Count:
    """Return how many customers are members of one of the segments at `at`, in at most two statements."""
    if not keys:
        return Count(value=0)
    held = held_by(tenant_id, keys) if len(keys) == 1 else {}
    if held and not (one := held[keys[0]]).company_members:
        # Each customer is a member once, so it takes only those to count whose time is not now.
        [closed] = counted(lambda limit: closed_members(tenant_id, keys[0], at, limit), 1)
        if closed.exact:
            return Count(value=max(0, one.members - closed.value))
    [count] = counted(
        lambda limit: sql(
            # a group for each customer is hashed; count(DISTINCT) would sort them
            "SELECT count(*) FROM (SELECT FROM (SELECT membership.customer_id"
            " FROM segments_customerassignment AS membership WHERE membership.tenant_id = {tenant}"
            " AND membership.segment_id = ANY({keys}) AND {window}{limit}) AS found"
            " GROUP BY found.customer_id) AS customers",
            tenant=param(tenant_id),
            keys=param(list(keys), "bigint[]"),
            window=open_at(at, "membership"),
            limit=limit,
        ),
        1,
    )
    return count


def closed_members(tenant_id: int, key: int, at: datetime, limit: Sql) -> Sql:
    """Count the memberships of a segment that have not begun or are over at `at`, by two small indexes."""
    return sql(
        "SELECT count(*) FROM (SELECT FROM segments_customerassignment AS membership"
        " WHERE membership.tenant_id = {tenant} AND membership.segment_id = {key}"
        " AND (membership.valid_from > {at} OR membership.valid_to < {at}){limit}) AS closed",
        tenant=param(tenant_id),
        key=param(key),
        at=param(at),
        limit=limit,
    )


def lost_by_members(difference: Difference) -> list[Count]:
    """Return how many customers lose a segment, how many of them all, and what disappears for how many.

    That are published categories that no other segment of the same site shows to the customer. Customers
    whose other segments are the same are looked at together, in one statement. Of very many members only the
    first are looked at: all would take longer than anybody waits.
    """
    if not difference.losing:
        return [Count(value=0) for _ in range(4)]
    held = held_by(difference.tenant_id, difference.losing)
    if sum(one.members for one in held.values()) <= MOST_MEMBERS_COMPARED:
        return counted(lambda limit: loss_statement(difference, limit), 4)
    first = sql(" LIMIT {most}", most=integer(MEMBERS_LOOKED_AT))
    rows = fetch_within(loss_statement(difference, first))
    return [Count(value=value, exact=False) for value in (rows[0] if rows else (0, 0, 0, 0))]


def loss_statement(difference: Difference, limit: Sql) -> Sql:
    """Return the statement of `lost_by_members`."""
    at = difference.at
    return sql(
        "WITH RECURSIVE counting AS MATERIALIZED ("
        " SELECT segment.id, segment.site_id FROM segments_segment AS segment"
        " WHERE segment.tenant_id = {tenant} AND segment.id <> ALL({losing}) AND {is_effective}"
        "), member AS MATERIALIZED ("
        " SELECT DISTINCT membership.customer_id, membership.legal_entity_id, segment.site_id"
        " FROM (SELECT * FROM segments_customerassignment AS membership WHERE membership.tenant_id = {tenant}"
        " AND membership.segment_id = ANY({losing}) AND {is_member}{limit}) AS membership"
        " JOIN segments_segment AS segment"
        " ON segment.tenant_id = {tenant} AND segment.id = membership.segment_id"
        "), kept AS MATERIALIZED ("
        " SELECT member.customer_id, member.legal_entity_id, member.site_id,"
        " array_agg(DISTINCT counting.id ORDER BY counting.id) AS keys"
        # laterally, so that few members do not cost a scan of all memberships
        " FROM member CROSS JOIN LATERAL (SELECT membership.segment_id"
        " FROM segments_customerassignment AS membership WHERE membership.tenant_id = {tenant}"
        " AND membership.customer_id = member.customer_id"
        " AND (membership.legal_entity_id IS NULL OR membership.legal_entity_id = member.legal_entity_id)"
        " AND {is_member} OFFSET 0) AS membership"
        " JOIN counting ON counting.id = membership.segment_id AND counting.site_id = member.site_id"
        " GROUP BY 1, 2, 3"
        "), context AS MATERIALIZED ("
        " SELECT member.customer_id, member.site_id, coalesce(kept.keys, '{{}}') AS keys FROM member"
        " LEFT JOIN kept ON kept.customer_id = member.customer_id AND kept.site_id = member.site_id"
        " AND kept.legal_entity_id IS NOT DISTINCT FROM member.legal_entity_id"
        "), held AS MATERIALIZED ("
        " SELECT DISTINCT segment.site_id, below.id FROM segments_itemassignment AS assignment"
        " JOIN segments_segment AS segment"
        " ON segment.tenant_id = {tenant} AND segment.id = assignment.segment_id"
        " JOIN catalog_category AS category ON category.id = assignment.category_id"
        " JOIN catalog_category AS below ON below.tree_id = category.tree_id AND (below.id = category.id"
        " OR assignment.includes_subcategories AND below.lft > category.lft AND below.lft < category.rght)"
        " WHERE assignment.tenant_id = {tenant} AND assignment.segment_id = ANY({losing})"
        " AND assignment.category_id IS NOT NULL AND {is_item} AND {is_shown}"
        "), above (id, ancestor_id) AS ("
        " SELECT DISTINCT held.id, held.id FROM held UNION"
        " SELECT above.id, parent.parent_id FROM above JOIN catalog_category AS parent"
        " ON parent.id = above.ancestor_id AND parent.parent_id IS NOT NULL"
        "), coverage AS MATERIALIZED ("
        " SELECT DISTINCT above.id, assignment.segment_id FROM above"
        " JOIN segments_itemassignment AS assignment ON assignment.tenant_id = {tenant}"
        " AND assignment.category_id = above.ancestor_id"
        " AND (above.id = above.ancestor_id OR assignment.includes_subcategories) AND {is_item}"
        " JOIN counting ON counting.id = assignment.segment_id"
        "), lost AS MATERIALIZED ("
        " SELECT alike.site_id, alike.keys, held.id"
        " FROM (SELECT DISTINCT site_id, keys FROM context) AS alike"
        " JOIN held ON held.site_id = alike.site_id WHERE NOT EXISTS ("
        "SELECT FROM coverage WHERE coverage.id = held.id AND coverage.segment_id = ANY(alike.keys))"
        ") SELECT (SELECT count(DISTINCT customer_id) FROM context),"
        " (SELECT count(DISTINCT customer_id) FROM context AS one WHERE one.keys = '{{}}'),"
        " (SELECT count(DISTINCT id) FROM lost),"
        " (SELECT count(DISTINCT context.customer_id) FROM context"
        " JOIN (SELECT DISTINCT site_id, keys FROM lost) AS losing"
        " ON losing.site_id = context.site_id AND losing.keys = context.keys)",
        tenant=param(difference.tenant_id),
        losing=param(list(difference.losing), "bigint[]"),
        is_effective=effective(at),
        is_member=open_at(at, "membership"),
        is_item=open_at(at, "assignment"),
        is_shown=is_shown(Sql("below.id")),
        limit=limit,
    )


# Categories


def category_effects(
    *, tenant_id: int, body: CategoryChangeBody, at: datetime, scopes: Collection[str] | None = None
) -> CategoryEffects:
    """Return what the change of a category would do now, in a bounded number of statements.

    Raises CategoryNotFound, ParentNotFound, and WouldCreateCycle.
    """
    category = Category.objects.filter(tenant=tenant_id, external_id=body.category_id).first()
    if category is None:
        raise CategoryNotFound(body.category_id)
    old_line, new_line = lines_of(category, body)
    was_shown = category.is_published and all(each.is_published for each in old_line)
    goes = body.change == CategoryChange.DELETE
    is_published = category.is_published if body.change == CategoryChange.MOVE else not goes
    if body.change == CategoryChange.UNPUBLISH:
        is_published = False
    will_be_shown = is_published and all(each.is_published for each in new_line)
    whole = descendants(param(category.pk), shows_unpublished=True, with_itself=True)
    open_below = open_subtree(category.pk)
    nothing = Sql("SELECT NULL::bigint WHERE FALSE")
    hidden = open_below if was_shown and not will_be_shown else nothing
    shown = open_below if will_be_shown and not was_shown else nothing
    if goes and not body.with_subcategories:  # those below it become roots, and are shown by themselves
        itself = param(category.pk, "bigint")
        hidden = sql("SELECT {itself}", itself=itself) if was_shown else nothing
        shown = (
            nothing
            if was_shown
            else sql("SELECT id FROM ({below}) AS open WHERE id <> {itself}", below=open_below, itself=itself)
        )
    categories, hiding, showing, products = counted(
        lambda limit: subtree_statement(tenant_id, whole, hidden, shown, limit), 4
    )
    keys_above = [each.pk for each in old_line]
    if body.change == CategoryChange.MOVE and was_shown and will_be_shown:
        losing, gaining = holders_that_differ(tenant_id, category, old_line, new_line, at)
    else:
        losing = holders(tenant_id, hidden, keys_above, at)
        gaining = holders(tenant_id, shown, [] if goes else [each.pk for each in new_line], at)
    return CategoryEffects(
        change=body.change,
        as_of=format_time(at),
        version=category.version,
        categories=categories,
        hiding=hiding,
        showing=showing,
        products=products,
        losing_segments=sorted(losing)[:MOST_SEGMENTS],
        gaining_segments=sorted(gaining)[:MOST_SEGMENTS],
        losing_members=members_of(tenant_id, list(losing.values()), at),
        gaining_members=members_of(tenant_id, list(gaining.values()), at),
        dependents={
            each.type: each.of_categories(tenant_id, hidden, shown, at)
            for each in readable_dependents(scopes)
        },
    )


def lines_of(category: Category, body: CategoryChangeBody) -> tuple[list[Category], list[Category]]:
    """Return the categories above it, before and after the change."""
    old = list(category.get_ancestors().visible())
    if body.change != CategoryChange.MOVE:
        return old, old
    if body.parent_id is None:
        return old, []
    parent = Category.objects.filter(tenant=category.tenant_id, external_id=body.parent_id).first()
    if parent is None:
        raise ParentNotFound(body.parent_id)
    new = list(parent.get_ancestors(include_self=True).visible())
    if any(each.pk == category.pk for each in new):
        raise WouldCreateCycle(body.category_id, body.parent_id)
    return old, new


def subtree_statement(tenant_id: int, whole: Sql, hidden: Sql, shown: Sql, limit: Sql) -> Sql:
    """Return the statement that counts categories and products of a subtree."""
    return sql(
        "SELECT (SELECT count(*) FROM ({whole}{limit}) AS found),"
        " (SELECT count(*) FROM ({hidden}{limit}) AS found),"
        " (SELECT count(*) FROM ({shown}{limit}) AS found),"
        " (SELECT count(DISTINCT product_id) FROM (SELECT place.product_id"
        " FROM catalog_categoryassignment AS place WHERE place.tenant_id = {tenant}"
        " AND place.category_id IN ({hidden} UNION ALL {shown}){limit}) AS found)",
        whole=whole,
        hidden=hidden,
        shown=shown,
        limit=limit,
        tenant=param(tenant_id),
    )


def holders(tenant_id: int, categories: Sql, above: Sequence[int], at: datetime) -> dict[str, int]:
    """Return the effective segments that hold one of the categories, by their ids, in one statement.

    `above` are the keys of the categories above them all, from which they inherit assignments that include
    subcategories; without any category nothing is inherited.
    """
    rows = fetch_rows(
        sql(
            "SELECT DISTINCT segment.external_id, segment.id FROM segments_itemassignment AS assignment"
            " JOIN segments_segment AS segment"
            " ON segment.tenant_id = assignment.tenant_id AND segment.id = assignment.segment_id"
            " WHERE assignment.tenant_id = {tenant} AND {is_item} AND {is_effective}"
            " AND (assignment.category_id IN ({categories})"
            " OR assignment.includes_subcategories AND assignment.category_id = ANY({above})"
            " AND EXISTS ({categories}))",
            tenant=param(tenant_id),
            is_item=open_at(at, "assignment"),
            is_effective=effective(at),
            categories=categories,
            above=param(list(above), "bigint[]"),
        )
    )
    return dict(rows)


def holders_that_differ(
    tenant_id: int,
    category: Category,
    old_line: Sequence[Category],
    new_line: Sequence[Category],
    at: datetime,
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the effective segments that lose and that gain a category of a subtree that moves.

    Only what is inherited from above differs, and only where nothing inside the subtree is assigned to the
    segment in its place.
    """
    old, new = ([each.pk for each in line] for line in (old_line, new_line))
    rows = fetch_rows(
        sql(
            "WITH heir AS MATERIALIZED (SELECT assignment.segment_id,"
            " bool_or(assignment.category_id = ANY({old})) AS inherits_before,"
            " bool_or(assignment.category_id = ANY({new})) AS inherits_after"
            " FROM segments_itemassignment AS assignment WHERE assignment.tenant_id = {tenant}"
            " AND assignment.includes_subcategories AND assignment.category_id = ANY({both}) AND {is_item}"
            " GROUP BY assignment.segment_id)"
            " SELECT segment.external_id, segment.id, heir.inherits_before"
            " FROM heir JOIN segments_segment AS segment"
            " ON segment.tenant_id = {tenant} AND segment.id = heir.segment_id"
            " WHERE heir.inherits_before <> heir.inherits_after AND {is_effective}"
            " AND EXISTS (SELECT FROM catalog_category AS node WHERE node.id IN ({inside}) AND NOT EXISTS ("
            "SELECT FROM segments_itemassignment AS assignment JOIN catalog_category AS held"
            " ON held.id = assignment.category_id WHERE assignment.tenant_id = {tenant}"
            " AND assignment.segment_id = segment.id AND {is_item} AND (held.id = node.id"
            " OR assignment.includes_subcategories AND held.tree_id = node.tree_id"
            " AND held.lft >= {first} AND held.lft < node.lft AND held.rght > node.rght)))",
            tenant=param(tenant_id),
            old=param(old, "bigint[]"),
            new=param(new, "bigint[]"),
            both=param([*old, *new], "bigint[]"),
            is_item=open_at(at, "assignment"),
            is_effective=effective(at),
            inside=open_subtree(category.pk),
            first=param(category.lft),
        )
    )
    losing = {name: key for name, key, inherits_before in rows if inherits_before}
    return losing, {name: key for name, key, inherits_before in rows if not inherits_before}
