"""What publishing, unpublishing, moving or deleting a category would do."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
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
from segments.effects.dependents import CategoryDifference, readable_dependents
from segments.effects.members import members_of
from segments.visibility import effective


@dataclass(frozen=True, slots=True)
class CategoryMove:
    """A change of a category that is only thought of: the lines above it, and what it hides and shows."""

    old_line: Sequence[Category]
    new_line: Sequence[Category]
    stays_shown: bool
    difference: CategoryDifference


def category_effects(
    *, tenant_id: int, body: CategoryChangeBody, at: datetime, scopes: Collection[str] | None = None
) -> CategoryEffects:
    """Return what the change of a category would do now, in a bounded number of statements.

    Raises CategoryNotFound, ParentNotFound, and WouldCreateCycle.
    """
    category = Category.objects.filter(tenant=tenant_id, external_id=body.category_id).first()
    if category is None:
        raise CategoryNotFound(body.category_id)
    move = move_of(category, body, at)
    hidden, shown = move.difference.hidden, move.difference.shown
    whole = descendants(param(category.pk), shows_unpublished=True, with_itself=True)
    categories, hiding, showing, products = counted(
        lambda limit: subtree_statement(move.difference, whole, limit), 4
    )
    if body.change == CategoryChange.MOVE and move.stays_shown:
        losing, gaining = holders_that_differ(tenant_id, category, move.old_line, move.new_line, at)
    else:
        goes = body.change == CategoryChange.DELETE
        losing = holders(tenant_id, hidden, [each.pk for each in move.old_line], at)
        gaining = holders(tenant_id, shown, [] if goes else [each.pk for each in move.new_line], at)
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
        dependents={each.type: each.effect_of(move.difference) for each in readable_dependents(scopes)},
    )


def move_of(category: Category, body: CategoryChangeBody, at: datetime) -> CategoryMove:
    """Return what the change of the category hides and shows. Raises ParentNotFound, and WouldCreateCycle."""
    old_line, new_line = lines_of(category, body)
    was_shown = category.is_published and all(each.is_published for each in old_line)
    goes = body.change == CategoryChange.DELETE
    is_published = category.is_published if body.change == CategoryChange.MOVE else not goes
    if body.change == CategoryChange.UNPUBLISH:
        is_published = False
    will_be_shown = is_published and all(each.is_published for each in new_line)
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
    difference = CategoryDifference(category.tenant_id, at, hidden, shown)
    return CategoryMove(old_line, new_line, was_shown and will_be_shown, difference)


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


def subtree_statement(difference: CategoryDifference, whole: Sql, limit: Sql) -> Sql:
    """Return the statement that counts categories and products of a subtree."""
    return sql(
        "SELECT (SELECT count(*) FROM ({whole}{limit}) AS found),"
        " (SELECT count(*) FROM ({hidden}{limit}) AS found),"
        " (SELECT count(*) FROM ({shown}{limit}) AS found),"
        " (SELECT count(DISTINCT product_id) FROM ({products}{limit}) AS found)",
        whole=whole,
        hidden=difference.hidden,
        shown=difference.shown,
        limit=limit,
        products=products_of(difference),
    )


def products_of(difference: CategoryDifference) -> Sql:
    """A SELECT of the products in the categories that are hidden or shown, each as often as it is in them."""
    return sql(
        "SELECT place.product_id FROM catalog_categoryassignment AS place WHERE place.tenant_id = {tenant}"
        " AND place.category_id IN ({hidden} UNION ALL {shown})",
        tenant=param(difference.tenant_id),
        hidden=difference.hidden,
        shown=difference.shown,
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
