"""What all resources of this service share: who reads, at which instant, and how own answers are tagged."""

from collections.abc import Callable
from datetime import datetime

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_READ
from core.api import parameters
from core.api.conditional import private_response
from core.api.parameters import query_parameter
from core.api.viewsets import ContractViewSet
from core.errors import MissingScope
from core.sql.composition import Sql
from core.sql.fetching import fetch_rows
from core.timestamps import parse_time
from segments.bodies import LanguageContext
from segments.customer_context import Shopper, shopper_of
from segments.errors import SegmentNotFound
from segments.visibility import ResolvedSegments, resolve

LEGAL_ENTITY_ID = query_parameter(
    "legalEntityId",
    "The legal entity that the customer acts for; needed by contacts of several, when the token names none.",
)
CUSTOMER_ID = query_parameter(
    "customerId", "See what this customer would. Needs customersegment.segment_read."
)
AS_OF = query_parameter("asOf", "See what would be seen at this instant. Needs customersegment.segment_read.")
SITE_CODE = query_parameter("siteCode", "Only segments of this site.")
PREVIEW = (LEGAL_ENTITY_ID, CUSTOMER_ID, AS_OF)


class SegmentServiceViewSet(ContractViewSet):
    """A resource of the customer segment service."""

    deletes_unknown = True
    has_tagged_lists = True

    @property
    def reads_all(self) -> bool:
        """Whether the caller may read all segments, rather than those that count for them."""
        return self.has_scope(SEGMENT_READ)

    def own_shopper(self) -> Shopper | None:
        """Return the shopper that the caller is; None when the caller may read everything."""
        if self.reads_all:
            return None
        legal_entity_id = parameters.text(self.request.query_params, "legalEntityId")
        return shopper_of(self.caller, legal_entity_id=legal_entity_id)

    def viewing_shopper(self) -> Shopper | None:
        """Return the shopper whose sight is asked for, in a preview another than the caller.

        None stands for a caller who may read everything and names no customer.
        """
        query = self.request.query_params
        customer_number = parameters.text(query, "customerId")
        if not self.reads_all:
            if customer_number:
                raise MissingScope((SEGMENT_READ,))
            return self.own_shopper()
        if not customer_number:
            return None
        return Shopper(
            self.caller.tenant.id,
            customer_number=customer_number,
            named_legal_entity=parameters.text(query, "legalEntityId"),
        )

    def viewing_instant(self) -> datetime:
        """Return the instant to look at: now, or in a preview `asOf`."""
        as_of = parameters.text(self.request.query_params, "asOf")
        if not as_of:
            return self.at
        self.require_scope(SEGMENT_READ)
        return parse_time(as_of, field="asOf")

    def seen_response(self, sight: ResolvedSegments, answer: Callable[[], HttpResponse]) -> HttpResponse:
        """Answer what a shopper sees, or 304 when the client holds that already."""
        parts = (
            sight.context.tenant_id,
            sight.context.customer_id,
            sight.context.legal_entity_id,
            sight.segment_ids,
            sight.revision,
            sight.changes_at,
            self.caller.tenant.default_language,
        )
        return private_response(self.request, parts, answer)

    def own_sight_of(self, shopper: Shopper, segment_id: str) -> ResolvedSegments:
        """Return the sight of one segment; raise SegmentNotFound unless it counts for the shopper."""
        sight = resolve(shopper, at=self.at, segment_id=segment_id)
        if not sight.segment_ids:
            raise SegmentNotFound(resource_id=segment_id)
        return sight

    def segment_key(self, segment_id: str) -> Sql:
        """The segment's key as an expression; NULL when there is none. For callers who may read all."""
        return Sql(
            "(SELECT id FROM segments_segment WHERE tenant_id = %s AND external_id = %s)",
            (self.caller.tenant.id, segment_id),
        )

    def require_segment(self, segment_id: str) -> None:
        """Raise SegmentNotFound unless there is this segment."""
        key = self.segment_key(segment_id)
        if fetch_rows(Sql(f"SELECT {key.sql}", key.params)) == [(None,)]:
            raise SegmentNotFound(resource_id=segment_id)

    def tenant_condition(self, alias: str) -> Sql:
        return Sql(f"{alias}.tenant_id = %s", (self.caller.tenant.id,))

    def language_context(self, request: Request) -> LanguageContext:
        """Return the language in which the body's localized fields are plain texts."""
        return LanguageContext(self.header("Content-Language"), self.caller.tenant.default_language)


def upsert_response(*, created: bool, body: bytes = b"") -> HttpResponse:
    """Answer 201 with the body when the resource is new, else 204."""
    if not created:
        return HttpResponse(status=204)
    return HttpResponse(body, status=201, content_type="application/json")
