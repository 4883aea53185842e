"""What publishing, unpublishing, moving or deleting a category would do."""

from collections.abc import Collection, Sequence
from datetime import datetime

from catalog.errors import CategoryNotFound, ParentNotFound, WouldCreateCycle
from catalog.models import Category
from catalog.subtrees import descendants, open_subtree
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from core.timestamps import format_time
from core.windows import open_at
from segments.counting import counted
from segments.effects.bodies import MOST_SEGMENTS, CategoryChange, CategoryChangeBody, CategoryEffects
from segments.effects.dependents import readable_dependents
from segments.effects.members import members_of
from segments.visibility import effective


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
