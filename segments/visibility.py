"""Who sees what: the one place that knows which segments count for whom, and which items they hold.

A segment counts for a shopper when it is effective at the instant asked for, and when the shopper belongs to
it at that instant: by a B2C assignment, or by a B2B assignment for the legal entity that they act for. Only
the entity acted for counts, so that one company's range never shows in another company's session.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.callers import Caller, CallerKind, Identity
from accounts.scopes import SEGMENT_READ
from core.api.sql import Sql, fetch_rows
from core.errors import NotAllowed
from core.windows import open_at
from segments.errors import UnknownSite
from segments.holdings import categories_held, products_held


@dataclass(frozen=True, slots=True)
class Viewer:
    """A shopper as visibility knows them, by keys. Without a customer they belong to nothing."""

    tenant_id: int
    customer_id: int | None = None
    legal_entity_id: int | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What a shopper's request resolves to: who looks, and the keys of the segments that count, ascending.

    What these segments show stays the same while the tenant's `revision` does and until `changes_at`, when
    the next window of an assignment or a category opens or has closed (None: there is no such window).
    """

    viewer: Viewer
    segment_ids: tuple[int, ...] = ()
    revision: int = 0
    changes_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shopper:
    """Whose sight is asked for, before anything was looked up.

    The customer is known by key, or by `customer_number` alone in a preview. `bound_legal_entity` is the
    entity of the token, `named_legal_entity` the id that the request names; an empty text means none.
    """

    tenant_id: int
    customer_id: int | None = None
    customer_number: str = ""
    bound_legal_entity: Identity | None = None
    named_legal_entity: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a customer at all: anonymous callers and services are members of nothing."""
        return self.customer_id is not None or bool(self.customer_number)

    @property
    def wanted_legal_entity(self) -> str:
        """The id of the entity to act for, empty when none is named.

        Raises NotAllowed when the token is bound to another entity than the request names.
        """
        bound = self.bound_legal_entity.external_id if self.bound_legal_entity else ""
        named = self.named_legal_entity
        if bound and named and bound != named:
            raise NotAllowed(f"The token acts for the legal entity {bound}, not for {named}.")
        return bound or named

    @property
    def customer_key(self) -> Sql:
        """The customer's key as an expression."""
        if self.customer_id is not None:
            return Sql("%s::bigint", (self.customer_id,))
        return Sql(
            "(SELECT id FROM accounts_customer WHERE tenant_id = %s AND external_id = %s)",
            (self.tenant_id, self.customer_number),
        )

    @property
    def acting_legal_entity(self) -> Sql:
        """The key of the entity that the customer acts for, as an expression; NULL when there is none.

        It is the wanted one if the customer is a contact of it, else the only one that they are a contact
        of: a customer of several entities who names none acts for none.
        """
        wanted, customer = self.wanted_legal_entity, self.customer_key
        entity = Sql("")
        if self.bound_legal_entity:
            entity = Sql(" AND contact.legal_entity_id = %s", (self.bound_legal_entity.id,))
        elif wanted:
            entity = Sql(
                " AND contact.legal_entity_id ="
                " (SELECT id FROM accounts_legalentity WHERE tenant_id = %s AND external_id = %s)",
                (self.tenant_id, wanted),
            )
        return Sql(
            "(SELECT CASE WHEN count(*) = 1 THEN min(found.legal_entity_id) END FROM"
            " (SELECT contact.legal_entity_id FROM accounts_contactassignment AS contact"
            f" WHERE contact.tenant_id = %s AND contact.customer_id = {customer.text}{entity.text}"
            " LIMIT 2) AS found)",
            (self.tenant_id, *customer.values, *entity.values),
        )


def shopper_of(caller: Caller, *, legal_entity_id: str | None = None) -> Shopper:
    """Return the shopper that a caller is, naming perhaps a legal entity to act for."""
    if caller.customer is None:
        return Shopper(caller.tenant.id)
    return Shopper(
        caller.tenant.id,
        customer_id=caller.customer.id,
        bound_legal_entity=caller.legal_entity,
        named_legal_entity=legal_entity_id or "",
    )


def viewer_of(caller: Caller, *, legal_entity_id: str | None) -> Viewer:
    """Return the caller as a viewer, in at most one statement.

    Raises NotAllowed when the token acts for another entity, or the customer is no contact of the one named.
    """
    return view_as(shopper_of(caller, legal_entity_id=legal_entity_id))


def viewer_for(*, tenant_id: int, customer: Identity | None, legal_entity_id: str | None) -> Viewer:
    """Return a named customer as a viewer, by the same rules as the customer's own session."""
    if customer is None:
        return Viewer(tenant_id)
    return view_as(Shopper(tenant_id, customer_id=customer.id, named_legal_entity=legal_entity_id or ""))


def view_as(shopper: Shopper) -> Viewer:
    if not shopper.is_known:
        return Viewer(shopper.tenant_id)
    key, acting = shopper.customer_key, shopper.acting_legal_entity
    [(customer_id, legal_entity_id)] = fetch_rows(
        Sql(f"SELECT {key.text}, {acting.text}", (*key.values, *acting.values))
    )
    return checked_viewer(shopper, customer_id, legal_entity_id)


def checked_viewer(shopper: Shopper, customer_id: int | None, legal_entity_id: int | None) -> Viewer:
    """Return the viewer; raise NotAllowed when the shopper wants an entity that is not theirs."""
    if shopper.wanted_legal_entity and legal_entity_id is None:
        raise NotAllowed(f"The customer is not assigned to the legal entity {shopper.wanted_legal_entity}.")
    return Viewer(shopper.tenant_id, customer_id, legal_entity_id)


def effective(at: datetime, alias: str = "segment") -> Sql:
    """The condition that a segment is effective: ACTIVE, with `at` in its window."""
    window = open_at(at, alias)
    return Sql(f"{alias}.status = 'ACTIVE' AND {window.text}", window.values)


def on_site(tenant_id: int, site_code: str | None, alias: str = "segment") -> Sql:
    """The condition that a segment belongs to the site; always true when none is named."""
    if not site_code:
        return Sql("TRUE")
    return Sql(
        f"{alias}.site_id = (SELECT id FROM accounts_site WHERE tenant_id = %s AND code = %s)",
        (tenant_id, site_code),
    )


def require_site(tenant_id: int, site_code: str) -> None:
    """Raise UnknownSite unless the tenant has this site."""
    found = Sql("SELECT 1 FROM accounts_site WHERE tenant_id = %s AND code = %s", (tenant_id, site_code))
    if not fetch_rows(found):
        raise UnknownSite(site_code)


def segments_of_member(
    tenant_id: int, *, customer: Sql, legal_entity: Sql, at: datetime, site_code: str | None = None
) -> Sql:
    """A SELECT of the keys of the segments that count; customer and entity are given as expressions."""
    joined, is_effective = open_at(at, "membership"), effective(at)
    site = on_site(tenant_id, site_code)
    return Sql(
        "SELECT DISTINCT segment.id FROM segments_customerassignment AS membership"
        " JOIN segments_segment AS segment"
        " ON segment.tenant_id = membership.tenant_id AND segment.id = membership.segment_id"
        f" WHERE membership.tenant_id = %s AND membership.customer_id = {customer.text}"
        f" AND (membership.legal_entity_id IS NULL OR membership.legal_entity_id = {legal_entity.text})"
        f" AND {joined.text} AND {is_effective.text} AND {site.text}",
        (
            tenant_id,
            *customer.values,
            *legal_entity.values,
            *joined.values,
            *is_effective.values,
            *site.values,
        ),
    )


def visible_segments(viewer: Viewer, *, at: datetime, site_code: str | None = None) -> tuple[int, ...]:
    """Return the keys of the segments that count for the viewer at `at`, ascending, in one statement.

    With `site_code`, only those of that site: none when there is no such site.
    """
    if viewer.customer_id is None:
        return ()
    member = segments_of_member(
        viewer.tenant_id,
        customer=Sql("%s::bigint", (viewer.customer_id,)),
        legal_entity=Sql("%s::bigint", (viewer.legal_entity_id,)),
        at=at,
        site_code=site_code,
    )
    return tuple(key for (key,) in fetch_rows(Sql(f"{member.text} ORDER BY 1", member.values)))


def resolve(
    shopper: Shopper, *, at: datetime, site_code: str | None = None, segment_id: str | None = None
) -> Sight:
    """Return the viewer, the segments that count for them, and how long that holds, in one statement.

    `site_code` and `segment_id` (a wire id) narrow the segments. Raises NotAllowed as `viewer_of` does, and
    UnknownSite.
    """
    customer, acting = Sql("NULL::bigint"), Sql("NULL::bigint")
    if shopper.is_known:
        customer, acting = shopper.customer_key, shopper.acting_legal_entity
    member = segments_of_member(
        shopper.tenant_id,
        customer=Sql("shopper.customer_id"),
        legal_entity=Sql("shopper.legal_entity_id"),
        at=at,
        site_code=site_code,
    )
    if segment_id is not None:
        member = Sql(f"{member.text} AND segment.external_id = %s", (*member.values, segment_id))
    site_exists = Sql("TRUE")
    if site_code:
        site_exists = Sql(
            "EXISTS (SELECT FROM accounts_site WHERE tenant_id = %s AND code = %s)",
            (shopper.tenant_id, site_code),
        )
    boundary = next_boundary(shopper.tenant_id, at)
    [(customer_id, legal_entity_id, keys, has_site, revision, changes_at)] = fetch_rows(
        Sql(
            f"WITH shopper AS MATERIALIZED"
            f" (SELECT {customer.text} AS customer_id, {acting.text} AS legal_entity_id)"
            f" SELECT customer_id, legal_entity_id, ARRAY({member.text} ORDER BY 1), {site_exists.text},"
            " (SELECT coalesce(sum(count), 0)::bigint FROM segments_assortmentrevision WHERE tenant_id = %s),"
            f" {boundary.text} FROM shopper",
            (
                *customer.values,
                *acting.values,
                *member.values,
                *site_exists.values,
                shopper.tenant_id,
                *boundary.values,
            ),
        ),
        keeps_plan=True,
    )
    if not has_site:
        raise UnknownSite(site_code or "")
    viewer = checked_viewer(shopper, customer_id, legal_entity_id)
    return Sight(viewer, tuple(keys), revision, changes_at)


def next_boundary(tenant_id: int, at: datetime) -> Sql:
    """The next instant from `at` at which a window of an item assignment or a category opens or closes.

    An expression: one look into an index for each kind of boundary.
    """
    instants = [
        Sql(
            f"(SELECT min({column}) FROM {table} WHERE tenant_id = %s AND {column} {from_} %s)",
            (tenant_id, at),
        )
        for table in ("segments_itemassignment", "catalog_category")
        for column, from_ in (("valid_from", ">"), ("valid_to", ">="))
    ]
    nearest = Sql.joined(", ", instants)
    return Sql(f"least({nearest.text})", nearest.values)


def matching_products(
    *, tenant_id: int, segment_ids: Sequence[int], product_ids: Sequence[str], at: datetime
) -> frozenset[str]:
    """Return those of the products (by their wire ids) that one of the segments (by key) holds at `at`.

    A product is held by its own assignment, or because a category that it stands in is assigned: that very
    category, or with `includes_subcategories` any category above it. One statement. Whether the segments
    are effective, and for whom, is the caller's question.
    """
    if not segment_ids or not product_ids:
        return frozenset()
    chosen = Sql("assignment.segment_id = ANY(%s::bigint[])", (list(segment_ids),))
    statement = products_held(tenant_id, chosen, product_ids=product_ids, at=at)
    return frozenset(external_id for (external_id,) in fetch_rows(statement))


def matching_products_in(
    *, tenant_id: int, segment_ids: Sequence[str], site_code: str, product_ids: Sequence[str], at: datetime
) -> frozenset[str]:
    """Return those of the products that one of the segments, all by wire ids, holds at `at`.

    Only segments count that are effective at `at` and of that site. One statement, and one more to raise
    UnknownSite when nothing matches.
    """
    if not segment_ids or not product_ids:
        return frozenset()
    is_effective, site = effective(at), on_site(tenant_id, site_code)
    chosen = Sql(
        "assignment.segment_id IN (SELECT segment.id FROM segments_segment AS segment"
        " WHERE segment.tenant_id = %s AND segment.external_id = ANY(%s::text[])"
        f" AND {is_effective.text} AND {site.text})",
        (tenant_id, list(segment_ids), *is_effective.values, *site.values),
    )
    found = fetch_rows(products_held(tenant_id, chosen, product_ids=product_ids, at=at))
    if not found:
        require_site(tenant_id, site_code)
    return frozenset(external_id for (external_id,) in found)


def categories_of_segments(*, caller: Caller, segment_ids: Sequence[str], at: datetime) -> Sql:
    """A SELECT of the keys of the categories that are assigned to one of the segments (by their wire ids).

    A customer may name only segments that count for them; others are ignored, as are those that are not
    effective unless the caller may read all segments.
    """
    tenant_id = caller.tenant.id
    conditions = [
        Sql(
            "segment.tenant_id = %s AND segment.external_id = ANY(%s::text[])", (tenant_id, list(segment_ids))
        )
    ]
    if caller.kind is CallerKind.CUSTOMER:
        shopper = shopper_of(caller)
        member = segments_of_member(
            tenant_id, customer=shopper.customer_key, legal_entity=shopper.acting_legal_entity, at=at
        )
        conditions.append(Sql(f"segment.id IN ({member.text})", member.values))
    elif SEGMENT_READ not in caller.scopes:
        conditions.append(effective(at))
    named = Sql.joined(" AND ", conditions)
    chosen = Sql(
        f"assignment.segment_id IN (SELECT segment.id FROM segments_segment AS segment WHERE {named.text})",
        named.values,
    )
    return categories_held(tenant_id, chosen, at=at)
