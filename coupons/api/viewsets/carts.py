from collections.abc import Mapping, Sequence
from decimal import Decimal

import orjson
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.operations.attempts import count_attempt, refuse_exhausted
from accounts.identity.scopes import COUPON_MANAGE, COUPON_REDEEM, COUPON_REDEEM_ON_BEHALF
from core.api.json import json_response
from core.api.schema import operation
from core.bodies import read_body
from core.json_types import JsonObject
from core.text import plain
from core.timestamps import format_time
from coupons.api.viewsets import IDEMPOTENCY_KEY, CouponServiceViewSet
from coupons.api.viewsets.reservations import ReservingViewSet
from coupons.attempts import attempt_limits, counted_redemption
from coupons.bodies import CartReservationBody, CartValidationBody, ConfirmationBody
from coupons.carts import JudgedCart, JudgedCode, assess_cart, codes_to_suggest, suggest_codes
from coupons.eligibility_queries import code_is_taken
from coupons.errors import CartNotRedeemable
from coupons.judgements import JUDGEMENTS
from coupons.operations import confirm_cart, release_cart, reserve_cart
from coupons.orders import Buyer
from coupons.reasons import Reason, ReasonType
from coupons.results import CartRedemption, CartReservationLocation, CartVerdict


class CountsUnknownCodes(CouponServiceViewSet):
    """Several codes at once: each unknown one counts as an attempt."""

    def refuse_guessing(self, customer_number: str) -> None:
        """Raise TooManyAttempts after too many unknown codes of the customer or the session."""
        self.limits = attempt_limits(
            self.caller,
            customer_number=customer_number,
            request=self.request._request,
        )
        refuse_exhausted(self.limits, at=self.at)

    def count_unknown(self, reasons: Mapping[str, Sequence[Reason]]) -> None:
        """Count the codes that no coupon has; deleted ones are no guesses."""
        for code, given in reasons.items():
            is_unknown = any(reason.type is ReasonType.UNKNOWN for reason in given)
            if self.limits and is_unknown and not code_is_taken(self.caller.tenant.id, code):
                count_attempt(self.limits, at=self.at, was_made=True)


class CartValidationViewSet(CountsUnknownCodes):
    tag = "Coupon Validation"

    @operation(
        "POST-coupon-validate-cart",
        scopes=(COUPON_REDEEM_ON_BEHALF, COUPON_REDEEM, COUPON_MANAGE),
        request=CartValidationBody,
        responses={200: CartVerdict},
        errors=(429,),
    )
    def validate(self, request: Request, tenant: str) -> HttpResponse:
        """Say what several codes do for one cart.

        Free shipping is applied first, then the codes in their order: a percentage of the original price, an
        amount spread over what is not yet discounted. A refused code has all reasons against it, and what
        would remove them.
        """
        body = read_body(CartValidationBody, self.sent_body())
        buyer = Buyer.asked_for(
            self.caller, customer_number=body.customer_number, legal_entity_id=body.legal_entity_id
        )
        self.refuse_guessing(buyer.customer_number)
        judged = assess_cart(
            tenant_id=self.caller.tenant.id,
            body=body,
            buyer=buyer,
            at=self.at,
            also=codes_to_suggest(body, buyer, at=self.at) if body.suggest else (),
        )
        self.count_unknown({code.code: code.reasons for code in judged.codes})
        for code in judged.codes:
            if code.coupon is not None:
                JUDGEMENTS.add(code.coupon.restricted_as, code.reasons, at=self.at)
        document = cart_document(judged)
        if body.suggest:
            best = suggest_codes(judged)
            document["suggestion"] = {"codes": best.codes, "discount": exact(best.discount)}
        return json_response(document)


def exact(amount: Decimal) -> orjson.Fragment:
    return orjson.Fragment(plain(amount))


def discounted(amount: Decimal, discount: Decimal) -> JsonObject:
    return {"amount": exact(amount), "discount": exact(discount), "total": exact(amount - discount)}


def cart_document(judged: JudgedCart) -> JsonObject:
    """Return what the codes of a cart do; amounts are exact to the digit."""
    body, taken = judged.body, judged.taken
    discount = sum(taken, judged.shipping_taken)
    return {
        "currency": body.currency,
        "coupons": [code_document(code) for code in judged.codes],
        "items": [
            {"id": item.id, **discounted(item.amount, off)}
            for item, off in zip(body.items, taken, strict=True)
        ],
        "shipping": discounted(body.shipping, judged.shipping_taken),
        "totals": {
            "items": exact(body.total),
            "shipping": exact(body.shipping),
            "discount": exact(discount),
            "total": exact(body.total + body.shipping - discount),
        },
    }


def code_document(code: JudgedCode) -> JsonObject:
    shown = {"code": code.code, "accepted": code.is_accepted, "discount": exact(code.discount)}
    if code.reasons:
        shown["reasons"] = [reason_document(reason) for reason in code.reasons]
    return shown


def reason_document(reason: Reason) -> JsonObject:
    shown: JsonObject = {"type": reason.type.value, "message": reason.message}
    if reason.remedy:
        shown["remedy"] = reason.remedy
    if reason.missing:
        shown["missingAmount"] = exact(reason.missing.amount)
    return shown


class CartReservationViewSet(CountsUnknownCodes, ReservingViewSet):
    created = CartReservationLocation

    @operation(
        "POST-coupon-reserve-cart",
        scopes=(COUPON_REDEEM_ON_BEHALF, COUPON_REDEEM),
        parameters=(IDEMPOTENCY_KEY,),
        request=CartReservationBody,
        errors=(409, 429),
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Reserve all coupons of a cart, or none of them.

        When a code is refused nothing is reserved: 400, with the code as the `field` of each reason.
        """
        self.refuse_anonymous()
        body = read_body(CartReservationBody, self.sent_body())
        buyer = Buyer.asked_for(
            self.caller, customer_number=body.customer_number, legal_entity_id=body.legal_entity_id
        )
        self.refuse_guessing(buyer.customer_number)
        try:
            reserved = reserve_cart(
                tenant_id=self.caller.tenant.id,
                body=body,
                buyer=buyer,
                seconds=body.ttl_seconds,
                at=self.at,
                idempotency_key=self.idempotency_key(),
            )
        except CartNotRedeemable as refused:
            self.count_unknown(refused.reasons)
            raise
        return self.created_response(
            reserved.id,
            expiresAt=format_time(reserved.expires_at),
            reservations=[{"code": code, "id": id} for code, id in reserved.reservations.items()],
        )

    @operation(
        "POST-coupon-confirm-cart-reservation",
        scopes=(COUPON_REDEEM_ON_BEHALF, COUPON_REDEEM),
        parameters=(IDEMPOTENCY_KEY,),
        request=ConfirmationBody,
        responses={201: CartRedemption},
        errors=(404, 409),
    )
    def confirm(self, request: Request, tenant: str, cart_id: str) -> HttpResponse:
        """Confirm a cart: redeem all its coupons for its order, or none of them.

        Confirming again returns the first redemptions.
        """
        self.refuse_anonymous()
        order_code = self.confirmation().order_code
        with counted_redemption() as outcome:
            redeemed = confirm_cart(
                tenant_id=self.caller.tenant.id,
                cart_id=cart_id,
                order_code=order_code,
                at=self.at,
                customer_number=self.holder(),
                idempotency_key=self.idempotency_key(),
            )
            outcome.succeed(redeemed.values())
        return self.created_response(
            redemptions=[{"code": code, "id": one.id} for code, one in redeemed.items()]
        )

    @operation(
        "DELETE-coupon-release-cart-reservation",
        scopes=(COUPON_MANAGE, COUPON_REDEEM_ON_BEHALF, COUPON_REDEEM),
        parameters=(IDEMPOTENCY_KEY,),
        errors=(409,),
    )
    def destroy(self, request: Request, tenant: str, cart_id: str) -> HttpResponse:
        """Release a cart: others can use all its coupons at once.

        With the same `Idempotency-Key` the request succeeds again.
        """
        self.refuse_anonymous()
        release_cart(
            tenant_id=self.caller.tenant.id,
            cart_id=cart_id,
            at=self.at,
            customer_number=self.holder(COUPON_MANAGE),
            idempotency_key=self.idempotency_key(),
        )
        return HttpResponse(status=204)
