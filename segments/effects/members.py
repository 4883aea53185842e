"""How many customers are members of segments, and what they lose with them."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from catalog.subtrees import is_shown
from core.sql.composition import Sql, integer, param, sql
from core.sql.time_limits import fetch_within
from core.windows import open_at
from segments.counting import NO_LIMIT, Count, counted
from segments.effects.dependents import Difference
from segments.overview import closed_memberships
from segments.tallies import held_by
from segments.visibility import effective

MOST_MEMBERS_COMPARED: Final = 200_000  # with what else they have, within about a second
MEMBERS_LOOKED_AT: Final = 2_000  # of more than that


def members_of(tenant_id: int, keys: Sequence[int], at: datetime) -> Count:
    """Return how many customers are members of one of the segments at `at`, in at most two statements."""
    if not keys:
        return Count(value=0)
    held = held_by(tenant_id, keys) if len(keys) == 1 else {}
    if held and not (one := held[keys[0]]).company_members:
        # Each customer is a member once, so it takes only those to count whose time is not now.
        [closed] = counted(lambda limit: closed_memberships(tenant_id, keys[0], at=at, limit=limit), 1)
        if closed.exact:
            return Count(value=max(0, one.members - closed.value))
    [count] = counted(
        lambda limit: sql(
            # a group for each customer is hashed; count(DISTINCT) would sort them
            "SELECT count(*) FROM (SELECT FROM ({members}{limit}) AS found"
            " GROUP BY found.customer_id) AS customers",
            members=open_members(tenant_id, keys, at),
            limit=limit,
        ),
        1,
    )
    return count


def open_members(tenant_id: int, keys: Sequence[int], at: datetime) -> Sql:
    """A SELECT of the customers whose membership of one of the segments is open, each as often as it is."""
    return sql(
        "SELECT membership.customer_id"
        " FROM segments_customerassignment AS membership WHERE membership.tenant_id = {tenant}"
        " AND membership.segment_id = ANY({keys}) AND {window}",
        tenant=param(tenant_id),
        keys=param(list(keys), "bigint[]"),
        window=open_at(at, "membership"),
    )


class Affected(StrEnum):
    """Which customers a number of effects counts."""

    LOSING = "losing"
    KEEPING_ANOTHER = "keeping"
    LOSING_ALL = "nothing"
    LOSING_CATEGORIES = "categories"
    GAINING = "gaining"


COMPARED: Final = {
    Affected.KEEPING_ANOTHER: "SELECT customer_id FROM context"
    " EXCEPT SELECT customer_id FROM context WHERE keys = '{{}}'",
    Affected.LOSING_ALL: "SELECT customer_id FROM context WHERE keys = '{{}}'",
    Affected.LOSING_CATEGORIES: "SELECT context.customer_id FROM context"
    " JOIN (SELECT DISTINCT site_id, keys FROM lost) AS losing"
    " ON losing.site_id = context.site_id AND losing.keys = context.keys",
}
"""What is selected of `compared`."""


def affected_customers(difference: Difference, which: Affected) -> Sql:
    """A SELECT of the customers that a number of `members_of` or `lost_by_members` counts."""
    if which in (Affected.LOSING, Affected.GAINING):
        keys = difference.losing if which is Affected.LOSING else difference.gaining
        return open_members(difference.tenant_id, keys, difference.at)
    return sql(
        "{compared} {chosen}",
        compared=compared(difference, limit_of(difference)),
        chosen=sql(COMPARED[which]),
    )


def disappearing_categories(difference: Difference) -> Sql:
    """A SELECT of the categories that `lost_by_members` counts."""
    return sql("{compared} SELECT id FROM lost", compared=compared(difference, limit_of(difference)))


def lost_by_members(difference: Difference) -> list[Count]:
    """Return how many customers lose a segment, how many of them all, and what disappears for how many.

    That are published categories that no other segment of the same site shows to the customer. Customers
    whose other segments are the same are looked at together, in one statement. Of very many members only the
    first are looked at: all would take longer than anybody waits.
    """
    if not difference.losing:
        return [Count(value=0) for _ in range(4)]
    first = limit_of(difference)
    if first is NO_LIMIT:
        return counted(lambda limit: loss_statement(difference, limit), 4)
    rows = fetch_within(loss_statement(difference, first))
    return [Count(value=value, exact=False) for value in (rows[0] if rows else (0, 0, 0, 0))]


def limit_of(difference: Difference) -> Sql:
    """Return how many members are compared: all, or of very many the first, in one statement."""
    held = held_by(difference.tenant_id, difference.losing)
    if sum(one.members for one in held.values()) <= MOST_MEMBERS_COMPARED:
        return NO_LIMIT
    return sql(" LIMIT {most}", most=integer(MEMBERS_LOOKED_AT))


def loss_statement(difference: Difference, limit: Sql) -> Sql:
    """Return the statement of `lost_by_members`."""
    return sql(
        "{compared} SELECT (SELECT count(DISTINCT customer_id) FROM context),"
        " (SELECT count(DISTINCT customer_id) FROM context AS one WHERE one.keys = '{{}}'),"
        " (SELECT count(DISTINCT id) FROM lost),"
        " (SELECT count(DISTINCT affected.customer_id) FROM ({affected}) AS affected)",
        compared=compared(difference, limit),
        affected=sql(COMPARED[Affected.LOSING_CATEGORIES]),
    )


def compared(difference: Difference, limit: Sql) -> Sql:
    """A WITH of what members lose and keep.

    `context` has the other segments (`keys`) of each customer that loses one, by site and company, and `lost`
    the categories that disappear for those with the same.
    """
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
        ")",
        tenant=param(difference.tenant_id),
        losing=param(list(difference.losing), "bigint[]"),
        is_effective=effective(at),
        is_member=open_at(at, "membership"),
        is_item=open_at(at, "assignment"),
        is_shown=is_shown(Sql("below.id")),
        limit=limit,
    )
