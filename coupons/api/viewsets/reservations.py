from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import COUPON_MANAGE, COUPON_REDEEM, COUPON_REDEEM_ON_BEHALF
from core.api.schema import operation
from core.bodies import read_body
from core.errors import NotAllowed
from core.sql.composition import param, sql
from core.tenancy.callers import CallerKind
from core.timestamps import format_time
from coupons.api.viewsets import CUSTOMER_NUMBER, IDEMPOTENCY_KEY, CouponServiceViewSet
from coupons.attempts import counted_redemption, limited_attempt
from coupons.bodies import ConfirmationBody, ReservationBody
from coupons.eligibility_queries import read_coupon
from coupons.errors import ReservationNotFound
from coupons.operations import confirm_reservation, release_reservation, reserve_coupon
from coupons.orders import Buyer
from coupons.representations import RESERVATIONS, RepresentationAt
from coupons.results import ReservationLocation, ResourceLocation


class ReservingViewSet(CouponServiceViewSet):
    """Whoever reserves: a customer for themselves, a service for the customer it names."""

    tag = "Coupon Reservation"
    is_limited = False  # an order goes on

    def refuse_anonymous(self) -> None:
        """Raise NotAllowed for an anonymous session: a use is held for a customer."""
        if self.caller.kind is CallerKind.ANONYMOUS:
            raise NotAllowed("An anonymous session cannot reserve coupons: log in, or redeem at once.")

    def holder(self, *also: str) -> str | None:
        """Return the customer whose reservations the caller may use; None for those of everybody.

        `also` are scopes besides redeeming on behalf that reach those of everybody.
        """
        return None if self.has_scope(COUPON_REDEEM_ON_BEHALF, *also) else self.own_customer_number()

    def confirmation(self) -> ConfirmationBody:
        """Return the body of a confirmation, which may be absent."""
        return read_body(ConfirmationBody, self.request.data or {})


class ReservationViewSet(ReservingViewSet):
    resource = RESERVATIONS
    created = ReservationLocation

    @operation("GET-coupon-list-reservations", scopes=(COUPON_MANAGE,))
    def list(self, request: Request, tenant: str, code: str) -> HttpResponse:
        """List the reservations of a coupon.

        Those that count at the moment are found with `q=status:LIVE`. Ended ones are kept for 30 days.
        """
        coupon = read_coupon(self.caller.tenant.id, code)
        return self.page_response(
            RepresentationAt(RESERVATIONS, self.at),
            [sql("reservation.coupon_id = {coupon}", coupon=param(coupon.id))],
        )

    @operation(
        "POST-coupon-reserve",
        scopes=(COUPON_REDEEM_ON_BEHALF, COUPON_REDEEM),
        parameters=(IDEMPOTENCY_KEY,),
        request=ReservationBody,
        errors=(409, 429),
    )
    def create(self, request: Request, tenant: str, code: str) -> HttpResponse:
        """Reserve a use of a coupon.

        It counts against every limit until it is confirmed or released, or until `expiresAt`. It takes the
        place of one that the customer holds of the same coupon; a customer holds at most five.
        """
        self.refuse_anonymous()
        body = read_body(ReservationBody, self.sent_body())
        buyer = Buyer.asked_for(
            self.caller, customer_number=body.customer_number, legal_entity_id=body.legal_entity_id
        )
        with limited_attempt(
            self.caller, request._request, code, customer_number=buyer.customer_number, at=self.at
        ):
            reserved = reserve_coupon(
                tenant_id=self.caller.tenant.id,
                code=code,
                buyer=buyer,
                order=body,
                seconds=body.ttl_seconds,
                at=self.at,
                idempotency_key=self.idempotency_key(),
            )
        return self.created_response(reserved.id, expiresAt=format_time(reserved.expires_at))

    @operation(
        "GET-coupon-retrieve-reservation",
        scopes=(COUPON_MANAGE, COUPON_REDEEM, COUPON_REDEEM_ON_BEHALF),
        parameters=(CUSTOMER_NUMBER,),
    )
    def retrieve(self, request: Request, tenant: str, code: str, reservation_id: str) -> HttpResponse:
        """Read a reservation.

        Callers who do not manage coupons read their own reservations, or those of the customer named.
        """
        conditions = self.conditions_of_use("reservation", reservation_id, code)
        return self.privately(
            self.document_response(
                RepresentationAt(RESERVATIONS, self.at),
                conditions,
                missing=partial(ReservationNotFound, reservation_id),
                needs=("coupon",),
            )
        )

    @operation(
        "POST-coupon-confirm-reservation",
        scopes=(COUPON_REDEEM_ON_BEHALF, COUPON_REDEEM),
        parameters=(IDEMPOTENCY_KEY,),
        request=ConfirmationBody,
        responses={201: ResourceLocation},
        errors=(404, 409, 429),
    )
    def confirm(self, request: Request, tenant: str, code: str, reservation_id: str) -> HttpResponse:
        """Confirm a reservation: redeem the coupon for its order.

        A live reservation holds its use whatever has happened to the coupon; one that is over is judged
        anew. Confirming again returns the first redemption.
        """
        self.refuse_anonymous()
        body = self.confirmation()
        attempt = limited_attempt(
            self.caller, request._request, code, customer_number=self.own_customer_number(), at=self.at
        )
        with counted_redemption() as outcome, attempt:
            redeemed = confirm_reservation(
                tenant_id=self.caller.tenant.id,
                code=code,
                reservation_id=reservation_id,
                order_code=body.order_code,
                at=self.at,
                customer_number=self.holder(),
                idempotency_key=self.idempotency_key(),
            )
            outcome.succeed([redeemed])
        return self.created_response(redeemed.id)

    @operation(
        "DELETE-coupon-release-reservation",
        scopes=(COUPON_MANAGE, COUPON_REDEEM_ON_BEHALF, COUPON_REDEEM),
        parameters=(IDEMPOTENCY_KEY,),
        errors=(409, 429),
    )
    def destroy(self, request: Request, tenant: str, code: str, reservation_id: str) -> HttpResponse:
        """Release a reservation: others can use the coupon at once.

        With the same `Idempotency-Key` the request succeeds again.
        """
        self.refuse_anonymous()
        with limited_attempt(
            self.caller, request._request, code, customer_number=self.own_customer_number(), at=self.at
        ):
            release_reservation(
                tenant_id=self.caller.tenant.id,
                code=code,
                reservation_id=reservation_id,
                at=self.at,
                customer_number=self.holder(COUPON_MANAGE),
                idempotency_key=self.idempotency_key(),
            )
        return HttpResponse(status=204)
