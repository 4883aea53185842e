"""Which coupons a customer could use, and why not the others, for the page that shows their view."""

from django.utils.translation import gettext_lazy as _

from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from coupons.cart_queries import read_coupons
from coupons.eligibility import verdict_on
from coupons.eligibility_queries import read_customer_states
from coupons.models.settings import MOST_CODES
from coupons.orders import Buyer
from coupons.reasons import ReasonType
from segments.console.customer_view_parts import UsablePart, UsableThing, register_usable
from segments.console.explanation_words import register_words
from segments.customer_view import CustomerView

register_words(
    {
        ReasonType.NOT_STARTED: _("coupon has not started"),
        ReasonType.EXPIRED: _("coupon is over"),
        ReasonType.USED_UP: _("all uses of the coupon are spent"),
        ReasonType.CUSTOMER_LIMIT: _("the customer has used it as often as they may"),
        ReasonType.LEGAL_ENTITY_LIMIT: _("the company has used it as often as it may"),
        ReasonType.ANONYMOUS: _("not for anonymous customers"),
        ReasonType.CUSTOMER: _("coupon is for other customers"),
        ReasonType.SEGMENT: _("member of none of its segments"),
    }
)


def coupons_in_view(view: CustomerView) -> list[UsableThing]:
    """Return up to 20 coupons of the customer's segments, or that name them, judged in three statements.

    Those that can be used now come first.
    """
    question = view.question
    tenant_id, number = question.shopper.tenant_id, question.shopper.customer_number
    codes = {code: (key, name) for code, key, name in fetch_rows(concerning(view))}
    if not codes:
        return []
    coupons = read_coupons(tenant_id, list(codes)).found
    states = read_customer_states(coupons, Buyer(question.shopper, number), at=question.at)
    found = []
    for coupon, state in zip(coupons, states, strict=True):
        key, name = codes[coupon.code]
        reasons = verdict_on(coupon, state, None, (), at=question.at).reasons
        found.append(UsableThing(coupon.code, name, key, tuple(reason.type for reason in reasons)))
    return sorted(found, key=lambda thing: (bool(thing.reasons), thing.id))


def concerning(view: CustomerView) -> Sql:
    """A SELECT of code, key and name: coupons of segments the customer is in, or that name the customer."""
    return sql(
        "SELECT coupon.code, coupon.id, coupon.name FROM coupons_coupon AS coupon"
        " WHERE coupon.tenant_id = {tenant} AND coupon.terms_id IS NULL AND NOT coupon.is_deleted"
        " AND coupon.id IN (SELECT restriction.coupon_id FROM coupons_couponsegment AS restriction"
        " WHERE restriction.tenant_id = {tenant} AND restriction.segment_id IN ("
        "SELECT segment_id FROM segments_customerassignment"
        " WHERE tenant_id = {tenant} AND customer_id = {customer})"
        " UNION ALL SELECT id FROM coupons_coupon WHERE tenant_id = {tenant} AND valid_for <> '{{}}'"
        " AND valid_for @> ARRAY[{number}]::varchar[])"
        " ORDER BY (coupon.valid_from IS NULL OR coupon.valid_from <= {at})"
        " AND (coupon.valid_to IS NULL OR coupon.valid_to >= {at}) DESC,"
        " coupon.valid_to DESC NULLS FIRST, coupon.id LIMIT {most}",
        tenant=param(view.question.shopper.tenant_id),
        customer=param(view.resolved.context.customer_id, "bigint"),
        number=param(view.question.shopper.customer_number),
        at=param(view.question.at, "timestamptz"),
        most=param(MOST_CODES),
    )


register_usable(UsablePart("coupon", "coupons.view_coupon", coupons_in_view))
