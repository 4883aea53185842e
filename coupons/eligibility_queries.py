"""What eligibility reads: one statement for the coupon that a code names, one for the customer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from core.personal_data.pseudonyms import pseudonym_of
from core.sql.composition import REMEMBERED_SHAPES, Sql, SqlValues, bind, param, slot, slots, sql
from core.sql.fetching import Statement, fetch_rows
from core.text import normalized, trimmed
from coupons.errors import CouponNotFound
from coupons.money import Money, stored_money
from coupons.orders import Buyer
from segments.customer_context import key_expressions, not_assigned_to
from segments.visibility import segments_of_member


@dataclass(frozen=True, slots=True)
class CouponSnapshot:
    """The columns of a coupon that eligibility depends on. None means absent, unlimited or open."""

    id: int
    code: str
    is_deleted: bool
    discount_type: str
    discount_percentage: Decimal | None
    discount_absolute: Money | None
    allows_anonymous: bool
    max_redemptions: int | None
    max_redemptions_per_customer: int | None
    is_category_restricted: bool
    is_segment_restricted: bool
    valid_for: tuple[str, ...]
    valid_from: datetime | None
    valid_to: datetime | None
    min_order_value: Money | None
    redemption_count: int
    terms_id: int | None = None

    @property
    def restricted_as(self) -> int:
        """The key of the coupon that has its restrictions: its own, or that of its campaign's terms."""
        return self.terms_id or self.id


@dataclass(frozen=True, slots=True)
class CustomerState:
    """What eligibility depends on in the customer, for one coupon at one instant.

    `customer_id` is None for an unknown customer. The `pseudonym` takes the place of the number once the
    customer is erased. `legal_entity_id` is the wire id of the entity that the
    customer acts for, empty when there is none. `uses` counts the redemptions and live reservations by the
    customer for that entity, `reserved` the coupon's live reservations of everybody (each only if the coupon
    limits them). `segment_ids` are the keys of those of the coupon's segments that are effective and that the
    customer belongs to.
    """

    customer_number: str = ""
    customer_id: int | None = None
    pseudonym: str = ""
    legal_entity_id: str = ""
    uses: int = 0
    segment_ids: tuple[int, ...] = ()
    reserved: int = 0


SNAPSHOT = Sql(
    "coupon.id, coupon.code, coupon.is_deleted, coupon.discount_type, coupon.discount_percentage,"
    " coupon.discount_amount, coupon.discount_currency, coupon.allows_anonymous, coupon.max_redemptions,"
    " coupon.max_redemptions_per_customer, coupon.is_category_restricted, coupon.is_segment_restricted,"
    " coupon.valid_for, coupon.valid_from, coupon.valid_to, coupon.min_order_amount,"
    " coupon.min_order_currency, coupon.redemption_count, coupon.terms_id"
)


def snapshot_of(row: SqlValues) -> CouponSnapshot:
    """Return the coupon of a row of SNAPSHOT."""
    (
        key,
        stored_code,
        is_deleted,
        discount_type,
        percentage,
        discount_amount,
        discount_currency,
        allows_anonymous,
        max_redemptions,
        max_redemptions_per_customer,
        is_category_restricted,
        is_segment_restricted,
        valid_for,
        valid_from,
        valid_to,
        min_order_amount,
        min_order_currency,
        redemption_count,
        terms_id,
    ) = row
    return CouponSnapshot(
        id=key,
        code=stored_code,
        is_deleted=is_deleted,
        discount_type=discount_type,
        discount_percentage=percentage,
        discount_absolute=None
        if discount_amount is None
        else stored_money(discount_amount, discount_currency),
        allows_anonymous=allows_anonymous,
        max_redemptions=max_redemptions,
        max_redemptions_per_customer=max_redemptions_per_customer,
        is_category_restricted=is_category_restricted,
        is_segment_restricted=is_segment_restricted,
        valid_for=tuple(valid_for),
        valid_from=valid_from,
        valid_to=valid_to,
        min_order_value=None
        if min_order_amount is None
        else stored_money(min_order_amount, min_order_currency),
        redemption_count=redemption_count,
        terms_id=terms_id,
    )


def under_terms(coupon: CouponSnapshot, terms: CouponSnapshot) -> CouponSnapshot:
    """Return a code of a campaign with the terms that it shares."""
    return replace(
        terms,
        id=coupon.id,
        code=coupon.code,
        is_deleted=coupon.is_deleted,
        redemption_count=coupon.redemption_count,
        terms_id=coupon.terms_id,
    )


def normalise_code(text: str, *, case_sensitive: bool) -> str:
    """Return the code as it is stored and compared: in NFC, trimmed, in upper case unless case matters.

    All entry points normalise codes by this.
    """
    if text.isascii():
        code = text.strip() if text.isprintable() else trimmed(text)
        return code if case_sensitive else code.upper()
    code = trimmed(normalized(text))
    return code if case_sensitive else normalized(code.upper())


HAS_CODE = (
    "coupon.tenant_id = {tenant} AND coupon.terms_id IS DISTINCT FROM coupon.id"
    " AND coupon.code = CASE WHEN (SELECT codes_are_case_sensitive"
    " FROM coupons_couponsettings WHERE tenant_id = {tenant}) THEN {as_written} ELSE {folded} END"
)


def code_values(tenant_id: int, text: str) -> dict[str, object]:
    """Return the values of the slots in HAS_CODE."""
    return {
        "tenant": tenant_id,
        "as_written": normalise_code(text, case_sensitive=True),
        "folded": normalise_code(text, case_sensitive=False),
    }


def has_code(tenant_id: int, text: str) -> Sql:
    """The condition that the row `coupon` is the tenant's coupon that a client means by this text.

    A coupon that only holds the terms of a campaign is never meant.
    """
    return bind(HAS_CODE, **code_values(tenant_id, text))


COUPON, LOCKED_COUPON = [
    Statement(
        sql(
            "SELECT {snapshot} FROM coupons_coupon AS coupon WHERE {has_code}{locking}",
            snapshot=SNAPSHOT,
            has_code=slots(HAS_CODE),
            locking=locking,
        )
    )
    for locking in (Sql(""), Sql(" FOR UPDATE"))
]


def read_coupon(tenant_id: int, code: str, *, lock: bool = False) -> CouponSnapshot:
    """Return the tenant's coupon of this code, a deleted one too; locked until commit when `lock`.

    Raises CouponNotFound when there is none.
    """
    rows = (LOCKED_COUPON if lock else COUPON).rows(**code_values(tenant_id, code))
    if not rows:
        raise CouponNotFound(code)
    coupon = snapshot_of(rows[0])
    if coupon.terms_id is None:
        return coupon
    # in a statement of its own: one that waits for the coupon's lock would read the terms as they were before
    return under_terms(coupon, read_terms([coupon])[coupon.terms_id])


def read_terms(coupons: Iterable[CouponSnapshot]) -> dict[int, CouponSnapshot]:
    """Return the terms that codes of campaigns among these share, by key; without such, no statement."""
    keys = sorted({coupon.terms_id for coupon in coupons if coupon.terms_id is not None})
    if not keys:
        return {}
    rows = fetch_rows(
        sql(
            "SELECT {snapshot} FROM coupons_coupon AS coupon WHERE coupon.id = ANY({keys})",
            snapshot=SNAPSHOT,
            keys=param(keys, "bigint[]"),
        ),
        prepared=True,
    )
    return {row[0]: snapshot_of(row) for row in rows}


def code_is_taken(tenant_id: int, code: str) -> bool:
    """Say whether a coupon of the tenant has this code, be it a deleted one."""
    condition = has_code(tenant_id, code)
    return bool(
        fetch_rows(sql("SELECT 1 FROM coupons_coupon AS coupon WHERE {has_code}", has_code=condition))
    )


def is_live(at: Sql) -> Sql:
    """The condition that a row `reservation` counts at `at`: it has not ended, and is not over by then."""
    return sql("reservation.ended_at IS NULL AND reservation.expires_at > {at}", at=at)


EVERY_RESERVATION = Sql("TRUE")
HELD_BY_OTHERS = "reservation.customer_number <> {customer_number}"


def held_by_others(customer_number: str) -> Sql:
    """The condition that a reservation is another customer's: a customer's new one replaces their own."""
    return bind(HELD_BY_OTHERS, customer_number=customer_number)


def reserved_uses(coupon: Sql, *, at: Sql, counted: Sql) -> Sql:
    """An expression: how many uses of the coupon are reserved; `counted` is a condition on `reservation`.

    Reservations count, once the coupon is locked, only in a statement of their own: the one that waits for
    the lock does not see what was committed meanwhile.
    """
    return sql(
        "(SELECT count(*) FROM coupons_reservation AS reservation"
        " WHERE reservation.coupon_id = {coupon} AND {is_live} AND {counted})",
        coupon=coupon,
        is_live=is_live(at),
        counted=counted,
    )


def uses_of_customer(
    coupon: Sql, *, customer_number: Sql, pseudonym: Sql, legal_entity: Sql, at: Sql, counted: Sql
) -> Sql:
    """An expression: how often the customer has redeemed or reserved the coupon for the legal entity.

    `legal_entity` is the entity's wire id, `counted` a condition on `reservation`.
    """
    return sql(
        "(SELECT count(*) FROM coupons_redemption AS redemption WHERE redemption.coupon_id = {coupon}"
        # what the number's owner redeemed before they were erased counts when the number comes again
        " AND redemption.customer_number IN ({customer_number}, {pseudonym})"
        " AND redemption.legal_entity_id = {legal_entity})"
        " + (SELECT count(*) FROM coupons_reservation AS reservation"
        " WHERE reservation.coupon_id = {coupon} AND reservation.customer_number = {customer_number}"
        " AND reservation.legal_entity_id = {legal_entity} AND {is_live} AND {counted})",
        coupon=coupon,
        customer_number=customer_number,
        pseudonym=pseudonym,
        legal_entity=legal_entity,
        is_live=is_live(at),
        counted=counted,
    )


def read_customer_state(
    coupon: CouponSnapshot, buyer: Buyer, *, at: datetime, replaces_own: bool = False
) -> CustomerState:
    """Return what eligibility depends on in the buyer for one coupon; see `read_customer_states`."""
    [state] = read_customer_states([coupon], buyer, at=at, replaces_own=replaces_own)
    return state


def read_customer_states(
    coupons: Sequence[CouponSnapshot], buyer: Buyer, *, at: datetime, replaces_own: bool = False
) -> list[CustomerState]:
    """Return what eligibility depends on in the buyer, for each of the coupons, in at most one statement.

    With `replaces_own` the buyer's own reservations count for nothing. Raises NotAllowed when the customer is
    no contact of the legal entity that is named, or the token acts for another one.
    """
    shopper, number = buyer.shopper, buyer.customer_number
    keys = {f"coupon_{place}": coupon.id for place, coupon in enumerate(coupons)}
    if not number:
        limited = tuple([coupon.max_redemptions is not None for coupon in coupons])
        if not any(limited):
            return [CustomerState()] * len(coupons)
        reservations = reservations_statement(limited, replaces_own)
        [row] = reservations.rows(at=at, customer_number=number, **keys)
        return [CustomerState(reserved=count) for count in row]
    shapes: list[tuple[bool, bool, bool]] = []
    for place, coupon in enumerate(coupons):
        limits_customer = coupon.max_redemptions_per_customer is not None
        shapes.append((limits_customer, coupon.is_segment_restricted, coupon.max_redemptions is not None))
        keys[f"terms_{place}"] = coupon.restricted_as
    pseudonym = pseudonym_of(shopper.tenant_id, number)
    wanted_legal_entity = shopper.wanted_legal_entity
    statement = customer_statement(shopper.shape, tuple(shapes), replaces_own)
    [(customer_id, acting_key, legal_entity_id, *facts)] = statement.rows(
        **shopper.key_values(), customer_number=number, pseudonym=pseudonym, at=at, **keys
    )
    if wanted_legal_entity and acting_key is None:
        raise not_assigned_to(wanted_legal_entity)
    return [
        CustomerState(
            customer_number=number,
            customer_id=customer_id,
            pseudonym=pseudonym,
            legal_entity_id=legal_entity_id or "",
            uses=facts[place],
            segment_ids=tuple(facts[place + 1]),
            reserved=facts[place + 2],
        )
        for place in range(0, len(facts), 3)
    ]


@lru_cache(maxsize=REMEMBERED_SHAPES)
def reservations_statement(limited: tuple[bool, ...], replaces_own: bool) -> Statement:
    """Return the statement of `read_customer_states` for nobody known: the reserved uses of each coupon."""
    at, counted = slot("at"), slots(HELD_BY_OTHERS) if replaces_own else EVERY_RESERVATION
    counts = [
        reserved_uses(slot(f"coupon_{place}"), at=at, counted=counted) if is_limited else Sql("0")
        for place, is_limited in enumerate(limited)
    ]
    return Statement(sql("SELECT {counts}", counts=Sql.joined(", ", counts)))


@lru_cache(maxsize=REMEMBERED_SHAPES)
def customer_statement(
    shopper: tuple[bool, bool, bool], shapes: tuple[tuple[bool, bool, bool], ...], replaces_own: bool
) -> Statement:
    """Return the statement of `read_customer_states`, for a `Shopper.shape`.

    The shape of a coupon says whether it limits the uses of a customer, is restricted to segments, and limits
    its uses in all: what it does not limit is not counted.
    """
    at, counted = slot("at"), slots(HELD_BY_OTHERS) if replaces_own else EVERY_RESERVATION
    facts: list[Sql] = []
    for place, (limits_customer, is_segment_restricted, limits_all) in enumerate(shapes):
        coupon = slot(f"coupon_{place}")
        uses, segments, reserved = Sql("0"), Sql("'{}'::bigint[]"), Sql("0")
        if limits_customer:
            uses = uses_of_customer(
                coupon,
                customer_number=slot("customer_number"),
                pseudonym=slot("pseudonym"),
                legal_entity=Sql("coalesce(entity.external_id, '')"),
                at=at,
                counted=counted,
            )
        if is_segment_restricted:
            member = segments_of_member(
                slot("tenant"),
                customer=Sql("shopper.customer_id"),
                legal_entity=Sql("shopper.legal_entity_id"),
                at=at,
            )
            segments = sql(
                "ARRAY(SELECT restriction.segment_id FROM coupons_couponsegment AS restriction"
                " WHERE restriction.coupon_id = {terms} AND restriction.segment_id IN ({member}) ORDER BY 1)",
                terms=slot(f"terms_{place}"),
                member=member,
            )
        if limits_all:
            reserved = reserved_uses(coupon, at=at, counted=counted)
        facts += [uses, segments, reserved]
    customer, legal_entity = key_expressions(*shopper)
    return Statement(
        sql(
            "WITH shopper AS MATERIALIZED"
            " (SELECT {customer} AS customer_id, {legal_entity} AS legal_entity_id)"
            " SELECT shopper.customer_id, shopper.legal_entity_id, entity.external_id, {facts} FROM shopper"
            " LEFT JOIN accounts_legalentity AS entity ON entity.id = shopper.legal_entity_id",
            customer=customer,
            legal_entity=legal_entity,
            facts=Sql.joined(", ", facts),
        )
    )


# One search for each, so that each uses its own unique index however many redemptions there are.
OF_ORDER = (
    "(SELECT id, external_id FROM coupons_redemption"
    " WHERE coupon_id = {coupon} AND customer_number = {customer}"
    " AND legal_entity_id = {legal_entity} AND order_code = {value} AND order_code <> '')"
)
OF_KEY = OF_ORDER.replace("order_code", "idempotency_key")


def earlier_redemption(
    coupon: CouponSnapshot, customer: CustomerState, order_code: str, idempotency_key: str
) -> str | None:
    """Return the id of the first redemption of this order or with this key; None when there is none."""
    searches = [
        bind(
            template,
            coupon=coupon.id,
            customer=customer.customer_number,
            legal_entity=customer.legal_entity_id,
            value=value,
        )
        for template, value in ((OF_ORDER, order_code), (OF_KEY, idempotency_key))
        if value
    ]
    if not searches:
        return None
    rows = fetch_rows(
        sql(
            "SELECT external_id FROM ({found}) AS found ORDER BY id LIMIT 1",
            found=Sql.joined(" UNION ALL ", searches),
        ),
        prepared=True,
    )
    return rows[0][0] if rows else None
