"""Why a customer does or does not see a product or a category, or may use what depends on segments.

The verdict is the storefront's own: `segments.visibility` decides. The chain of links shows how it comes
about: membership, segment, assignment, the line of published categories, the product.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

import orjson
from msgspec import Meta

from accounts.models import LegalEntity
from catalog.subtrees import is_shown
from core.bodies import Body
from core.json_types import JsonObject
from core.representation.fields import Languages, Localized
from core.sql.composition import Sql, bind, param, sql
from core.sql.fetching import fetch_rows
from core.timestamps import format_time
from segments.assortment import categories_in_assortment
from segments.customer_context import Shopper
from segments.errors import UnknownCustomer, UnknownItem
from segments.visibility import ResolvedSegments, matching_products, resolve

MOST_PATHS: Final = 100


class Failing(StrEnum):
    """Why a link fails, in the order of the chain."""

    NOT_A_MEMBER = "not_a_member"
    MEMBERSHIP_NOT_STARTED = "membership_not_started"
    MEMBERSHIP_OVER = "membership_over"
    OTHER_LEGAL_ENTITY = "other_legal_entity"
    SEGMENT_INACTIVE = "segment_inactive"
    SEGMENT_NOT_STARTED = "segment_not_started"
    SEGMENT_OVER = "segment_over"
    OTHER_SITE = "other_site"
    ITEM_NOT_ASSIGNED = "item_not_assigned"
    ASSIGNMENT_OVER = "assignment_over"
    CATEGORY_UNPUBLISHED = "category_unpublished"
    ANCESTOR_UNPUBLISHED = "ancestor_unpublished"
    PRODUCT_UNPUBLISHED = "product_unpublished"


class ExplainedLink(Body, kw_only=True, omit_defaults=True):
    """One link of the chain."""

    type: Annotated[str, Meta(description="membership, segment, assignment, category, product, or coupon.")]
    ok: Annotated[bool, Meta(description="Whether the link holds.")]
    reasons: Annotated[list[str], Meta(description="Why it does not.")]
    id: Annotated[
        str | None,
        Meta(description="What it is about: the segment, the assigned item, the category, the product."),
    ] = None
    name: Annotated[dict[str, str] | None, Meta(description="Its name by language.")] = None
    legal_entity_id: Annotated[
        str | None, Meta(description="Of a B2B membership: the legal entity that it is for.")
    ] = None
    inherited: Annotated[
        bool | None,
        Meta(description="Of an assignment: whether a category that contains the item is assigned instead."),
    ] = None
    valid_from: Annotated[
        str | None,
        Meta(extra_json_schema={"format": "date-time"}, description="Since when it counts; absent: always."),
    ] = None
    valid_to: Annotated[
        str | None,
        Meta(extra_json_schema={"format": "date-time"}, description="Until when it counts; absent: always."),
    ] = None


class ExplainedPath(Body, kw_only=True, omit_defaults=True):
    """One way by which the customer might see the item: through one segment."""

    ok: Annotated[bool, Meta(description="Whether all links hold.")]
    reasons: Annotated[list[str], Meta(description="Why it does not lead there, in the order of the links.")]
    links: Annotated[list[ExplainedLink], Meta(description="The chain.")]
    segment_id: Annotated[str | None, Meta(description="The segment.")] = None


class Explanation(Body, kw_only=True, omit_defaults=True):
    """Whether a customer sees an item, or may use a coupon, and why."""

    type: Annotated[str, Meta(description="product, category or coupon.")]
    id: Annotated[str, Meta(description="The id of the product or category, the code of the coupon.")]
    customer_id: Annotated[str, Meta(description="The customer's number.")]
    as_of: Annotated[
        str, Meta(extra_json_schema={"format": "date-time"}, description="The instant that is looked at.")
    ]
    visible: Annotated[bool, Meta(description="Whether the customer sees it, or may use it.")]
    reasons: Annotated[
        list[str], Meta(description="All that fails on the path that comes closest, the first first.")
    ]
    paths: Annotated[
        list[ExplainedPath], Meta(description="Up to 100 ways through segments, the closest first.")
    ]
    reason: Annotated[str | None, Meta(description="The first link that fails; absent when visible.")] = None
    legal_entity_id: Annotated[
        str | None, Meta(description="The legal entity that the customer acts for.")
    ] = None
    site_code: Annotated[str | None, Meta(description="The site that was asked for.")] = None


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks about what: a shopper known by customer number, an item of a type, a site, an instant."""

    shopper: Shopper
    type: str
    id: str
    site_code: str
    at: datetime
    languages: Languages = Languages()


# What packages above explain.


@dataclass(frozen=True, slots=True)
class Explained:
    """What another package says of a thing of its own: why it cannot be used, apart from membership.

    `segments` is an expression of type `bigint[]`: the keys of the segments whose members may use it; None
    when it needs no membership.
    """

    is_usable: bool
    reasons: Sequence[str]
    segments: Sql | None


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explains things of one type, for callers with the scope."""

    type: str
    scope: str
    explain: Callable[[Question], Explained]


_explainers: dict[str, Explainer] = {}


def register_explainer(explainer: Explainer) -> None:
    """Have explanations answer for things of this type."""
    if _explainers.setdefault(explainer.type, explainer) is not explainer:
        raise ValueError(f"There are two explainers of {explainer.type}.")


def explainers() -> dict[str, Explainer]:
    """Return the explainers of other packages by type."""
    return dict(_explainers)


# The explanation


def explain(question: Question) -> Explanation:
    """Return whether the customer sees the thing, and the chain of each path, in five statements at most.

    Raises UnknownCustomer, UnknownItem, UnknownSite, what the thing's own explainer raises, and NotAllowed
    when the customer is no contact of the legal entity that is named.
    """
    resolved = resolve(question.shopper, at=question.at, site_code=question.site_code)
    if resolved.context.customer_id is None:
        raise UnknownCustomer(question.shopper.customer_number)
    match question.type:
        case "product":
            visible, found = explained_product(question, resolved)
        case "category":
            visible, found = explained_category(question, resolved)
        case _:
            visible, found = explained_other(question, resolved)
    found.sort(key=lambda path: (len(path.reasons), path.segment_id or ""))
    reasons = found[0].reasons if found else [Failing.NOT_A_MEMBER, Failing.ITEM_NOT_ASSIGNED]
    return Explanation(
        type=question.type,
        id=question.id,
        customer_id=question.shopper.customer_number,
        as_of=format_time(question.at),
        visible=visible,
        reason=None if visible else reasons[0],
        reasons=[] if visible else list(reasons),
        paths=found,
        legal_entity_id=entity_id_of(resolved),
        site_code=question.site_code or None,
    )


def entity_id_of(resolved: ResolvedSegments) -> str | None:
    """Return the id of the legal entity that the customer acts for."""
    key = resolved.context.legal_entity_id
    if key is None:
        return None
    return LegalEntity.objects.filter(pk=key).values_list("external_id", flat=True).first()


def explained_product(question: Question, resolved: ResolvedSegments) -> tuple[bool, list[ExplainedPath]]:
    tenant_id = question.shopper.tenant_id
    rows = fetch_rows(
        sql(
            "SELECT product.id, product.is_published, {name} FROM catalog_product AS product"
            " WHERE product.tenant_id = {tenant} AND product.external_id = {id}",
            name=Localized("product.name").json(question.languages),
            tenant=param(tenant_id),
            id=param(question.id),
        )
    )
    if not rows:
        raise UnknownItem("PRODUCT", question.id)
    [(key, is_published, name)] = rows
    is_held = question.id in matching_products(
        tenant_id=tenant_id,
        segment_ids=resolved.segment_ids,
        product_ids=[question.id],
        at=question.at,
    )
    last = ExplainedLink(
        type="product",
        ok=is_published,
        reasons=[] if is_published else [Failing.PRODUCT_UNPUBLISHED],
        id=question.id,
        name=orjson.loads(name) if name else None,
    )
    places = sql(
        "SELECT place.category_id FROM catalog_categoryassignment AS place"
        " WHERE place.tenant_id = {tenant} AND place.product_id = {key}",
        tenant=param(tenant_id),
        key=param(key),
    )
    direct = bind("assignment.product_id = {key}", key=key)
    return is_held and is_published, paths(question, resolved, places, direct, last)


def explained_category(question: Question, resolved: ResolvedSegments) -> tuple[bool, list[ExplainedPath]]:
    tenant_id = question.shopper.tenant_id
    rows = fetch_rows(
        sql(
            "SELECT category.id, {is_shown} AND category.id IN ({held}) FROM catalog_category AS category"
            " WHERE category.tenant_id = {tenant} AND category.external_id = {id}"
            " AND category.parent_id IS NOT NULL",
            is_shown=is_shown(Sql("category.id")),
            held=categories_in_assortment(
                tenant_id, param(list(resolved.segment_ids), "bigint[]"), at=question.at
            ),
            tenant=param(tenant_id),
            id=param(question.id),
        )
    )
    if not rows:
        raise UnknownItem("CATEGORY", question.id)
    [(key, is_visible)] = rows
    return is_visible, paths(
        question, resolved, bind("SELECT {key:bigint} AS category_id", key=key), Sql("FALSE"), None
    )


def explained_other(question: Question, resolved: ResolvedSegments) -> tuple[bool, list[ExplainedPath]]:
    explained = _explainers[question.type].explain(question)
    last = ExplainedLink(
        type=question.type,
        ok=not explained.reasons,
        reasons=list(explained.reasons),
        id=question.id,
    )
    if explained.segments is None:
        return explained.is_usable, [ExplainedPath(ok=last.ok, reasons=last.reasons, links=[last])]
    anywhere = Question(question.shopper, question.type, question.id, "", question.at, question.languages)
    return explained.is_usable, paths(anywhere, resolved, None, None, last, segments=explained.segments)


def explain_memberships(question: Question, resolved: ResolvedSegments) -> list[ExplainedPath]:
    """Return each segment that the customer is a member of, and why it does not count, in one statement."""
    segments = bind(
        "ARRAY(SELECT DISTINCT segment_id FROM segments_customerassignment"
        " WHERE tenant_id = {tenant} AND customer_id = {customer:bigint})",
        tenant=question.shopper.tenant_id,
        customer=resolved.context.customer_id,
    )
    found = paths(question, resolved, None, None, None, segments=segments)
    return sorted(found, key=lambda path: (not path.ok, path.segment_id or ""))


def paths(
    question: Question,
    resolved: ResolvedSegments,
    places: Sql | None,
    direct: Sql | None,
    last: ExplainedLink | None,
    *,
    segments: Sql | None = None,
) -> list[ExplainedPath]:
    """Return a path for each segment that the customer or the item belongs to, in one statement.

    Of several memberships and assignments in a segment the one that comes closest is shown. `places` selects
    the categories that contain the item, `direct` is the condition of its own assignments. With `segments`
    (an expression of type `bigint[]`) only these count, and nothing need be assigned to them.
    """
    statement = path_statement(question, resolved, places, direct, segments)
    found = []
    for row in fetch_rows(statement):
        external_id, name, segment_reasons, valid_from, valid_to, memberships, routes = row
        membership = closest(membership_links(orjson.loads(memberships)))
        segment = ExplainedLink(
            type="segment",
            ok=not segment_reasons,
            reasons=segment_reasons,
            id=external_id,
            name=orjson.loads(name) if name else None,
            valid_from=valid_from and format_time(valid_from),
            valid_to=valid_to and format_time(valid_to),
        )
        links = [*membership, segment]
        if segments is None:
            links += closest(route_links(orjson.loads(routes)))
        links += [last] if last else []
        reasons = [reason for link in links for reason in link.reasons]
        found.append(ExplainedPath(segment_id=external_id, ok=not reasons, reasons=reasons, links=links))
    return found


def closest(chains: Iterator[list[ExplainedLink]]) -> list[ExplainedLink]:
    """Return the chain with the fewest reasons against it, of these the first."""
    return min(chains, key=lambda chain: sum(len(link.reasons) for link in chain))


def membership_links(rows: Sequence[JsonObject]) -> Iterator[list[ExplainedLink]]:
    for row in rows:
        yield [ExplainedLink(type="membership", ok=not row["reasons"], **link_members(row))]
    if not rows:
        yield [ExplainedLink(type="membership", ok=False, reasons=[Failing.NOT_A_MEMBER])]


def route_links(rows: Sequence[JsonObject]) -> Iterator[list[ExplainedLink]]:
    for row in rows:
        category = row.pop("category")
        chain = [ExplainedLink(type="assignment", ok=not row["reasons"], **link_members(row))]
        if category is not None:
            chain.append(ExplainedLink(type="category", ok=not category["reasons"], **link_members(category)))
        yield chain
    if not rows:
        yield [ExplainedLink(type="assignment", ok=False, reasons=[Failing.ITEM_NOT_ASSIGNED])]


def link_members(row: JsonObject) -> JsonObject:
    """Return the members of a row of the statement as those of a link; times as the wire has them."""
    for end in ("valid_from", "valid_to"):
        if row.get(end):
            row[end] = format_time(datetime.fromisoformat(row[end]))
    return row


def path_statement(
    question: Question,
    resolved: ResolvedSegments,
    places: Sql | None,
    direct: Sql | None,
    segments: Sql | None,
) -> Sql:
    """Return the statement of `paths`."""
    tenant = param(question.shopper.tenant_id)
    candidates = Sql(
        "SELECT held.segment_id FROM (SELECT segment_id, TRUE AS is_member, FALSE AS is_route FROM membership"
        " UNION ALL SELECT segment_id, FALSE, TRUE FROM route) AS held GROUP BY held.segment_id"
        " ORDER BY bool_or(is_member) AND bool_or(is_route) DESC, bool_or(is_member) DESC, held.segment_id"
    )
    if segments is not None:
        candidates = sql("SELECT unnest({segments}) AS segment_id", segments=segments)
    return sql(
        "WITH RECURSIVE shopper AS MATERIALIZED (SELECT {customer} AS customer_id,"
        " {entity} AS legal_entity_id, {at} AS at"
        "), place AS MATERIALIZED ({places}"
        "), above (category_id, ancestor_id) AS (SELECT category_id, category_id FROM place"
        " UNION SELECT above.category_id, parent.parent_id FROM above JOIN catalog_category AS parent"
        " ON parent.id = above.ancestor_id AND parent.parent_id IS NOT NULL"
        "), route AS MATERIALIZED ("
        " SELECT assignment.segment_id, NULL::bigint AS assigned_id, NULL::bigint AS place_id,"
        " assignment.valid_from, assignment.valid_to FROM segments_itemassignment AS assignment"
        " WHERE assignment.tenant_id = {tenant} AND {direct}"
        " UNION ALL SELECT assignment.segment_id, assignment.category_id, above.category_id,"
        " assignment.valid_from, assignment.valid_to FROM above JOIN segments_itemassignment AS assignment"
        " ON assignment.tenant_id = {tenant} AND assignment.category_id = above.ancestor_id"
        " AND (above.category_id = above.ancestor_id OR assignment.includes_subcategories)"
        "), membership AS MATERIALIZED ("
        " SELECT segment_id, legal_entity_id, valid_from, valid_to FROM segments_customerassignment"
        " WHERE tenant_id = {tenant} AND customer_id = (SELECT customer_id FROM shopper)"
        "), candidate AS ({candidates} LIMIT {most})"
        " SELECT segment.external_id, {name}, array_remove(ARRAY["
        "CASE WHEN segment.status <> 'ACTIVE' THEN 'segment_inactive' END,"
        " CASE WHEN segment.valid_from > shopper.at THEN 'segment_not_started' END,"
        " CASE WHEN segment.valid_to < shopper.at THEN 'segment_over' END,"
        " CASE WHEN {elsewhere} THEN 'other_site' END], NULL),"
        " segment.valid_from, segment.valid_to,"
        " (SELECT coalesce(jsonb_agg(jsonb_build_object("
        "'legal_entity_id', entity.external_id,"
        " 'valid_from', membership.valid_from, 'valid_to', membership.valid_to,"
        " 'reasons', array_remove(ARRAY["
        "CASE WHEN membership.valid_from > shopper.at THEN 'membership_not_started' END,"
        " CASE WHEN membership.valid_to < shopper.at THEN 'membership_over' END,"
        " CASE WHEN membership.legal_entity_id IS NOT NULL"
        " AND membership.legal_entity_id IS DISTINCT FROM shopper.legal_entity_id"
        " THEN 'other_legal_entity' END], NULL)) ORDER BY membership.legal_entity_id NULLS FIRST), '[]')"
        " FROM membership LEFT JOIN accounts_legalentity AS entity ON entity.id = membership.legal_entity_id"
        " WHERE membership.segment_id = segment.id),"
        " (SELECT coalesce(jsonb_agg(jsonb_build_object("
        "'id', coalesce(assigned.external_id, {item}), 'inherited', route.place_id IS NOT NULL"
        " AND (route.assigned_id <> route.place_id OR {is_product}),"
        " 'valid_from', route.valid_from, 'valid_to', route.valid_to,"
        " 'reasons', array_remove(ARRAY["
        "CASE WHEN route.valid_from > shopper.at THEN 'item_not_assigned' END,"
        " CASE WHEN route.valid_to < shopper.at THEN 'assignment_over' END], NULL),"
        " 'category', CASE WHEN route.place_id IS NOT NULL THEN jsonb_build_object("
        "'id', stood.external_id, 'reasons', array_remove(ARRAY["
        "CASE WHEN NOT stood.is_published THEN 'category_unpublished' END,"
        " CASE WHEN NOT {above_is_shown} THEN 'ancestor_unpublished' END], NULL)) END"
        ") ORDER BY route.place_id NULLS FIRST, route.assigned_id), '[]') FROM route"
        " LEFT JOIN catalog_category AS assigned ON assigned.id = route.assigned_id"
        " LEFT JOIN catalog_category AS stood ON stood.id = route.place_id"
        " LEFT JOIN catalog_category AS parent"
        " ON parent.id = stood.parent_id AND parent.parent_id IS NOT NULL"
        " WHERE route.segment_id = segment.id)"
        " FROM candidate CROSS JOIN shopper"
        " JOIN segments_segment AS segment"
        " ON segment.tenant_id = {tenant} AND segment.id = candidate.segment_id",
        customer=param(resolved.context.customer_id, "bigint"),
        entity=param(resolved.context.legal_entity_id, "bigint"),
        at=param(question.at, "timestamptz"),
        places=places or Sql("SELECT NULL::bigint AS category_id WHERE FALSE"),
        direct=direct or Sql("FALSE"),
        tenant=tenant,
        candidates=candidates,
        most=param(MOST_PATHS),
        name=Localized("segment.name").json(question.languages),
        elsewhere=bind(
            "segment.site_id <> (SELECT id FROM accounts_site WHERE tenant_id = {tenant} AND code = {code})",
            tenant=question.shopper.tenant_id,
            code=question.site_code,
        )
        if question.site_code
        else Sql("FALSE"),
        item=param(question.id, "text"),
        is_product=Sql("TRUE" if question.type == "product" else "FALSE"),
        above_is_shown=is_shown(Sql("parent.id")),
    )
