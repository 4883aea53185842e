"""Events of coupons and redemptions. Whom a coupon is for is not in them."""

from core.journal.declarations import RecordedDocument, recorded_as
from core.representation.fields import Integer, Json, Nested, Text, Time
from core.sql.composition import Sql, sql
from coupons.representations import RESTRICTIONS, SHOPPER_FIELDS, money
from events.feed.sources import EventSource, register_event_source
from events.feed.states import document_after, known_id

TENANT = Text("change.tenant")
OF_THE_MOMENT = {"status"}  # follows from the time and from redemptions
COUPON = {
    **{name: field for name, field in SHOPPER_FIELDS.items() if name not in OF_THE_MOMENT},
    "maxRedemptions": Integer("coalesce(terms.max_redemptions, -1)"),
    "restrictions": Nested(RESTRICTIONS),
    "mixins": Json("terms.mixins", omit_empty=False),
    "metadata": Nested(
        {
            "createdAt": Time("coupon.created_at"),
            "modifiedAt": Time("coupon.modified_at"),
            "version": Integer("coupon.version"),
        }
    ),
    "tenant": TENANT,
}
coupon = recorded_as("coupon")
assert isinstance(coupon, RecordedDocument)
# Deletion is a mark on the row; a row that is removed with the mark was deleted before.
KIND = Sql(
    "CASE WHEN change.kind = 'updated' AND change.after ->> 'is_deleted' = 'true' THEN 'deleted'"
    " WHEN change.kind = 'updated' AND change.after ->> 'is_deleted' = 'false' THEN 'created'"
    " WHEN coupon.is_deleted THEN 'none' ELSE change.kind END"
)
register_event_source(
    EventSource(
        objects=("coupon",),
        kinds={kind: f"coupon.{kind}" for kind in ("created", "updated", "deleted")},
        payloads={
            "coupon.created": COUPON,
            "coupon.updated": COUPON,
            "coupon.deleted": {"code": Text("coupon.code"), "tenant": TENANT},
        },
        tables=sql(
            "change{document} LEFT JOIN LATERAL (SELECT stored.* FROM coupons_coupon AS stored"
            " WHERE stored.tenant_id = change.tenant_id AND stored.id = coupon.terms_id"
            " UNION ALL SELECT coupon.* WHERE coupon.terms_id IS NULL) AS terms ON TRUE",
            document=document_after(coupon, "coupon"),
        ),
        order_key=Sql("'coupon ' || coupon.code"),
        kind=KIND,
        # no code reaches the coupon that holds the terms of a campaign
        condition=Sql(
            "NOT EXISTS (SELECT FROM coupons_couponcampaign AS campaign"
            " WHERE campaign.tenant_id = change.tenant_id AND campaign.terms_id = change.key)"
        ),
    )
)

# Redemptions

CODE = known_id("coupon.code", noun="coupon", key="redemption.coupon_id")
REDEMPTION = {
    "id": Text("redemption.external_id"),
    "code": Text(CODE),
    "orderCode": Text("redemption.order_code", omit_empty=True),
    "customerNumber": Text("redemption.customer_number", omit_empty=True),
    "legalEntityId": Text("redemption.legal_entity_id", omit_empty=True),
    "orderTotal": money("redemption.order_total_amount", "redemption.order_total_currency"),
    "discount": money("redemption.discount_amount", "redemption.discount_currency"),
    "redeemedAt": Time("redemption.redeemed_at"),
    "tenant": TENANT,
}
redemption = recorded_as("redemption")
assert isinstance(redemption, RecordedDocument)
register_event_source(
    EventSource(
        objects=("redemption",),
        kinds={kind: f"coupon.redemption-{kind}" for kind in ("created", "deleted")},
        payloads={f"coupon.redemption-{kind}": REDEMPTION for kind in ("created", "deleted")},
        tables=sql(
            "change{document} LEFT JOIN coupons_coupon AS coupon"
            " ON coupon.tenant_id = change.tenant_id AND coupon.id = redemption.coupon_id",
            document=document_after(redemption, "redemption"),
        ),
        order_key=sql("'coupon ' || {code}", code=CODE),
        customer=Sql("coalesce(redemption.customer_number, '')"),
    )
)
