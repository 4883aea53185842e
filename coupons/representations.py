"""What clients read of coupons and redemptions."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

import orjson

from core.bodies import Body
from core.body_schemas import schema_components
from core.json_types import JsonMapping, JsonObject
from core.representation.fields import (
    Boolean,
    Computed,
    Field,
    Integer,
    Json,
    JsonEntries,
    Languages,
    Nested,
    Number,
    Text,
    Texts,
    Time,
)
from core.representation.relative_instants import Clock
from core.representation.representations import Representation, Search, SortKey
from core.sql.composition import Sql, param, sql
from coupons.bodies import CouponBody, PastRedemption, ReservationBody
from coupons.campaigns import counts
from coupons.diagnostics import DIAGNOSTICS, JOIN_TERMS, diagnostics, status

NOW: Final = object()
"""The parameter that `RepresentationAt` replaces by the instant of the request."""

AT = param(NOW, "timestamptz")


class RepresentationAt(Representation):
    """A representation at an instant, which takes the place of NOW. It shares the cached SQL of the other."""

    def __init__(self, shown: Representation, at: datetime) -> None:
        vars(self).update(vars(shown))
        self.shown = shown
        self.at = at
        self.document = self.document_at  # type: ignore[assignment]

    def document_at(self, names: tuple[str, ...] | None, languages: Languages) -> Sql:
        return self.bound(self.shown.document(names, languages))

    def search(self, text: str, clock: Clock | None = None) -> Search:
        search = self.shown.search(text, clock)
        return replace(search, conditions=tuple([self.bound(condition) for condition in search.conditions]))

    def sort_keys(self, sort: str, languages: Languages) -> tuple[list[SortKey], set[str]]:
        keys, needs = super().sort_keys(sort, languages)
        return [replace(key, sql=self.bound(key.sql)) for key in keys], needs

    def bound(self, piece: Sql) -> Sql:
        return Sql(piece.sql, tuple([self.at if value is NOW else value for value in piece.params]))


def descriptions(kind: type[Body]) -> dict[str, JsonObject]:
    """Return the description of each field that the body has too, by its path."""
    components = schema_components(kind)

    def walk(schema: JsonMapping, path: str) -> Iterator[tuple[str, JsonObject]]:
        reference = schema.get("$ref") or next((part["$ref"] for part in schema.get("allOf", ())), "")
        inner = components[reference.rpartition("/")[2]] if reference else schema
        if path and "description" in schema:
            yield path, {name: schema[name] for name in ("description", "enum") if name in schema}
        for name, member in inner.get("properties", {}).items():
            yield from walk(member, f"{path}.{name}" if path else name)

    return dict(walk(components[kind.__name__], ""))


def money(amount: str, currency: str, *, needs: tuple[str, ...] = ()) -> Nested:
    return Nested({"amount": Number(amount, needs=needs), "currency": Text(currency, needs=needs)})


TERMS = ("terms",)


def restriction(noun: str, *, only_if: str, condition: str = "TRUE") -> Texts:
    """The ids of the segments or categories that restrict the coupon, in the order named."""
    return Texts(
        f"(CASE WHEN terms.{only_if} THEN (SELECT array_agg(restriction.{noun}_external_id::text"
        f" ORDER BY restriction.id) FROM coupons_coupon{noun} AS restriction"
        f" WHERE restriction.coupon_id = terms.id AND {condition}) END)",
        needs=TERMS,
    )


SHOPPER_FIELDS: dict[str, Field] = {
    "code": Text("coupon.code"),
    "name": Text("terms.name", needs=TERMS),
    "description": Text("terms.description", omit_empty=True, needs=TERMS),
    "discountType": Text("terms.discount_type", needs=TERMS),
    "discountPercentage": Number("terms.discount_percentage", needs=TERMS),
    "discountAbsolute": money("terms.discount_amount", "terms.discount_currency", needs=TERMS),
    "discountCalculationType": Text("terms.discount_calculation_type", needs=TERMS),
    "allowAnonymous": Boolean("terms.allows_anonymous", needs=TERMS),
    "maxRedemptionsPerCustomer": Integer("coalesce(terms.max_redemptions_per_customer, -1)", needs=TERMS),
    "categoryRestricted": Boolean("terms.is_category_restricted", needs=TERMS),
    "segmentRestricted": Boolean("terms.is_segment_restricted", needs=TERMS),
    "status": Text(status(AT), needs=TERMS),
    "referralCoupon": Boolean("nullif(coupon.is_referral, FALSE)"),
}
RESTRICTIONS: dict[str, Field] = {
    "validFrom": Time("terms.valid_from", needs=TERMS),
    "validUntil": Time("terms.valid_to", needs=TERMS),
    "minOrderValue": money("terms.min_order_amount", "terms.min_order_currency", needs=TERMS),
    "segments": restriction("segment", only_if="is_segment_restricted"),
    "includedCategories": restriction(
        "category", only_if="is_category_restricted", condition="NOT restriction.is_excluded"
    ),
    "excludedCategories": restriction(
        "category", only_if="is_category_restricted", condition="restriction.is_excluded"
    ),
}
DOCUMENT_FIELDS: dict[str, Field] = {
    "mixins": Json("terms.mixins", needs=TERMS, omit_empty=False),
    "metadata": Nested(
        {
            "version": Integer("coupon.version"),
            "mixins": Json("terms.mixin_schemas", needs=TERMS, omit_empty=False),
        }
    ),
}

COUPON_DOCUMENTED: dict[str, JsonObject] = {
    **descriptions(CouponBody),
    "code": {"description": "What customers enter."},
    "status": {
        "enum": ["VALID", "INACTIVE", "EXPIRED", "USED"],
        "description": "INACTIVE before validFrom, EXPIRED after validUntil, USED after maxRedemptions uses.",
    },
    "diagnostics": {
        "description": "Why nobody can redeem it, whatever its status; absent when there is no such reason.",
        "items": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "enum": list(DIAGNOSTICS), "description": "The kind of reason."},
                "message": {"type": "string", "description": "The reason in a sentence."},
            },
        },
    },
    "referralCoupon": {"description": "Whether it is a customer's referral coupon."},
    "redemptionCount": {"description": "How often it has been redeemed."},
    "legalEntityRedemptions": {
        "description": "How often it has been redeemed for each legal entity.",
        "items": {
            "type": "object",
            "properties": {
                "legalEntityId": {"type": "string", "description": "The id of the legal entity."},
                "count": {"type": "integer", "description": "How often it was redeemed for it."},
            },
        },
    },
    "deleted": {"description": "Whether it is deleted."},
    "metadata": {"description": "Its version, and the addresses of its mixins' schemas."},
    "metadata.version": {"description": "0 at first; each change adds 1."},
    "restrictions": {"description": "Who may redeem it, when, and for what."},
    "mixins": {"description": "Free attributes."},
}

COUPONS = Representation(
    name="Coupon",
    documented=COUPON_DOCUMENTED,
    table="coupons_coupon",
    alias="coupon",
    joins={"terms": JOIN_TERMS},
    derived=("status", "redemptionCount", "legalEntityRedemptions", "diagnostics"),
    fields={
        **SHOPPER_FIELDS,
        "maxRedemptions": Integer("coalesce(terms.max_redemptions, -1)", needs=TERMS),
        "redemptionCount": Integer("coupon.redemption_count"),
        "legalEntityRedemptions": JsonEntries(
            "(SELECT jsonb_agg(jsonb_build_object('legalEntityId', legal_entity_id, 'count', uses)"
            " ORDER BY legal_entity_id) FROM (SELECT legal_entity_id, count(*) AS uses"
            " FROM coupons_redemption AS redemption WHERE redemption.coupon_id = coupon.id"
            " AND redemption.legal_entity_id <> '' GROUP BY legal_entity_id) AS used)"
        ),
        "diagnostics": JsonEntries(
            sql(
                "(SELECT jsonb_agg(jsonb_build_object('type', kind, 'message', {messages} ->> kind))"
                " FROM unnest({kinds}) AS kind)",
                messages=param(orjson.dumps(DIAGNOSTICS).decode(), "jsonb"),
                kinds=diagnostics(AT),
            ),
            needs=TERMS,
        ),
        "issuedTo": Text("terms.issued_to", needs=TERMS, omit_empty=True),
        "listed": Boolean("terms.is_listed", needs=TERMS),
        "deleted": Boolean("coupon.is_deleted"),
        "restrictions": Nested({**RESTRICTIONS, "validFor": Texts("terms.valid_for", needs=TERMS)}),
        **DOCUMENT_FIELDS,
    },
)

COUPONS_FOR_SHOPPERS = Representation(
    name="CouponForShoppers",
    documented=COUPON_DOCUMENTED,
    table="coupons_coupon",
    alias="coupon",
    joins={"terms": JOIN_TERMS},
    derived=("status",),
    fields={**SHOPPER_FIELDS, "restrictions": Nested(RESTRICTIONS), **DOCUMENT_FIELDS},
)
"""Without what is the seller's business: other customers, use, limits of use."""

REDEMPTIONS = Representation(
    name="Redemption",
    documented={**descriptions(PastRedemption), "code": {"description": "The coupon's code."}},
    table="coupons_redemption",
    alias="redemption",
    joins={"coupon": "JOIN coupons_coupon AS coupon ON coupon.id = redemption.coupon_id"},
    fields={
        "id": Text("redemption.external_id"),
        "code": Text("coupon.code", needs=("coupon",)),
        "orderCode": Text("redemption.order_code", omit_empty=True),
        "customerNumber": Text("redemption.customer_number", omit_empty=True),
        "legalEntityId": Text("redemption.legal_entity_id", omit_empty=True),
        "orderTotal": money("redemption.order_total_amount", "redemption.order_total_currency"),
        "discount": money("redemption.discount_amount", "redemption.discount_currency"),
        "redeemedAt": Time("redemption.redeemed_at"),
    },
)

RESERVATIONS = Representation(
    name="Reservation",
    documented={
        **descriptions(ReservationBody),
        "id": {"description": "The id of the reservation."},
        "code": {"description": "The coupon's code."},
        "cartId": {"description": "The id of the cart reservation that it is a part of."},
        "status": {
            "enum": ["LIVE", "OVER", "CONFIRMED", "RELEASED"],
            "description": "LIVE while it counts against limits, OVER from expiresAt on; RELEASED also when"
            " another reservation of the customer took its place.",
        },
        "reservedAt": {"description": "When it was reserved."},
        "expiresAt": {"description": "From this instant on it counts for nothing, unless it is confirmed."},
        "redemptionId": {"description": "The id of the redemption that a confirmed one is."},
    },
    table="coupons_reservation",
    alias="reservation",
    joins={"coupon": "JOIN coupons_coupon AS coupon ON coupon.id = reservation.coupon_id"},
    fields={
        "id": Text("reservation.external_id"),
        "code": Text("coupon.code", needs=("coupon",)),
        "cartId": Text("reservation.cart_id", omit_empty=True),
        "status": Text(
            sql(
                "(CASE WHEN reservation.redemption_id <> '' THEN 'CONFIRMED'"
                " WHEN reservation.ended_at IS NOT NULL THEN 'RELEASED'"
                " WHEN reservation.expires_at > {at} THEN 'LIVE' ELSE 'OVER' END)",
                at=AT,
            )
        ),
        "orderCode": Text("reservation.order_code", omit_empty=True),
        "customerNumber": Text("reservation.customer_number"),
        "legalEntityId": Text("reservation.legal_entity_id", omit_empty=True),
        "orderTotal": money("reservation.order_total_amount", "reservation.order_total_currency"),
        "discount": money("reservation.discount_amount", "reservation.discount_currency"),
        "reservedAt": Time("reservation.reserved_at"),
        "expiresAt": Time("reservation.expires_at"),
        "redemptionId": Text("reservation.redemption_id", omit_empty=True),
    },
)


CAMPAIGNS = Representation(
    name="CouponCampaign",
    documented={
        **{f"template.{path}": schema for path, schema in COUPON_DOCUMENTED.items()},
        "id": {"description": "The id of the campaign."},
        "prefix": {"description": "What each code begins with."},
        "count": {"description": "How many codes there are to be."},
        "codes": {
            "type": "object",
            "description": "What has become of its codes.",
            "properties": {
                name: {"type": "integer", "description": text}
                for name, text in {
                    "generated": "How many have been made so far.",
                    "redeemed": "How many are redeemed.",
                    "open": "How many can still be redeemed, now or later.",
                    "over": "How many are over or deleted and were never redeemed.",
                }.items()
            },
        },
        "createdAt": {"description": "When it was created."},
        "exportedAt": {"description": "When its codes were exported; absent before."},
        "deactivatedAt": {"description": "When all its codes were deactivated; absent before."},
        "template": {"description": "The terms that all its codes share."},
    },
    table="coupons_couponcampaign",
    alias="campaign",
    joins={"terms": "JOIN coupons_coupon AS terms ON terms.id = campaign.terms_id"},
    derived=("codes",),
    fields={
        "id": Text("campaign.external_id"),
        "prefix": Text("campaign.prefix", omit_empty=True),
        "count": Integer("campaign.code_count"),
        "codes": Computed(
            sql("(SELECT to_jsonb(counted) FROM ({counts}) AS counted)", counts=counts(AT)), needs=TERMS
        ),
        "createdAt": Time("campaign.created_at"),
        "exportedAt": Time("campaign.exported_at"),
        "deactivatedAt": Time("campaign.deactivated_at"),
        "template": Nested(
            {
                **{
                    name: field
                    for name, field in SHOPPER_FIELDS.items()
                    if name not in ("code", "status", "referralCoupon")
                },
                "restrictions": Nested({**RESTRICTIONS, "validFor": Texts("terms.valid_for", needs=TERMS)}),
            }
        ),
    },
)
