"""What all resources of this service share: who reads, at which instant, and how responses are tagged."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial

from django.db.models import Model
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_READ
from accounts.models import Customer
from core.api import parameters
from core.api.conditional import kept_response, private_response_from
from core.api.json import LARGEST_BATCH
from core.api.parameters import query_parameter
from core.api.viewsets import CHANGING_NOTHING, ContractViewSet
from core.errors import MissingScope, NotFound
from core.journal.past import reading_past
from core.representation.languages import LanguageContext
from core.sql.composition import Sql, equals, identifier, param, sql
from core.sql.fetching import fetch_rows
from core.timestamps import parse_time
from segments.cache_groups import segment_group, tenant_group
from segments.changes import keys_ever
from segments.customer_context import Shopper, shopper_of
from segments.errors import SegmentNotFound
from segments.models import CustomerAssignment
from segments.visibility import ResolvedSegments, resolve

LEGAL_ENTITY_ID = query_parameter(
    "legalEntityId",
    "The legal entity that the customer acts for; needed by contacts of several, when the token names none.",
)
CUSTOMER_ID = query_parameter(
    "customerId", "Preview what this customer would read. Needs customersegment.segment_read."
)
AS_OF = query_parameter(
    "asOf",
    "What was read at this instant, or would be: the past is read from the history, also what no longer"
    " exists. Needs customersegment.segment_read.",
)
SITE_CODE = query_parameter("siteCode", "Only segments of this site.")
ID_LIST = {"application/json": {"type": "array", "items": {"type": "string"}, "maxItems": LARGEST_BATCH}}
"""The body of a bulk deletion."""
PREVIEW = (LEGAL_ENTITY_ID, CUSTOMER_ID, AS_OF)


class SegmentServiceViewSet(ContractViewSet):
    """A resource of the customer segment service."""

    deletes_unknown = True
    has_tagged_lists = True
    parameters_of_person = tuple(parameter.name for parameter in PREVIEW)
    reads_past = False
    shows_what_it_writes = False  # answers for segments show it, so writes end what caches share of these

    @property
    def reads_all(self) -> bool:
        """Whether the caller may read all segments, rather than those that count for them."""
        return SEGMENT_READ in self.caller.scopes

    def own_shopper(self) -> Shopper | None:
        """Return the shopper that the caller is; None when the caller may read everything."""
        if self.reads_all:
            return None
        legal_entity_id = parameters.text(self.request.query_params, "legalEntityId")
        return shopper_of(self.caller, legal_entity_id=legal_entity_id)

    def previewed(self) -> tuple[Shopper | None, datetime]:
        """Return the shopper whose segments are asked for, and the instant: the caller now, or a preview's.

        The shopper is None when the caller may read everything and names no customer.
        """
        customer_number, legal_entity_id, as_of = parameters.texts(
            self.request.query_params, "customerId", "legalEntityId", "asOf"
        )
        if not self.reads_all:
            if customer_number or as_of:
                raise MissingScope((SEGMENT_READ,))
            return shopper_of(self.caller, legal_entity_id=legal_entity_id), self.at
        at = parse_time(as_of, field="asOf") if as_of else self.at
        if not customer_number:
            return None, at
        shopper = Shopper(
            self.caller.tenant.id, customer_number=customer_number, named_legal_entity=legal_entity_id
        )
        return shopper, at

    def prepare_parameters(self) -> None:
        if self.query.get(AS_OF.name) and AS_OF in self.operation.parameters:
            method = str(self.request._request.method).lower()
            setattr(self, method, partial(self.handle_past, getattr(self, method)))

    def handle_past(
        self, handler: Callable[..., HttpResponse], request: Request, *args: object, **kwargs: object
    ) -> HttpResponse:
        """Run the handler on the data of the instant `asOf`, if that is over; else it previews."""
        _, instant = self.previewed()
        if instant >= self.at:
            return handler(request, *args, **kwargs)
        self.reads_past = True
        with reading_past(self.caller.tenant.id, instant, self.needed_rows()):
            return handler(request, *args, **kwargs)

    def needed_rows(self) -> dict[type[Model], dict[str, list[int]]]:
        """Return which rows of large tables a request for the past needs: of its segment and its customer."""
        needed: dict[type[Model], dict[str, list[int]]] = {CustomerAssignment: {}}
        if customer := parameters.text(self.request.query_params, "customerId"):
            keys = self.keys_ever("accounts_customer", "customer", customer)
            needed[Customer] = {"id": keys}
            needed[CustomerAssignment]["customer_id"] = keys
        if segment := self.kwargs.get("segment_id"):
            keys = self.keys_ever("segments_segment", "segment", segment)
            needed[CustomerAssignment]["segment_id"] = keys
        return needed

    def keys_ever(self, table: str, object_name: str, external_id: str) -> list[int]:
        """Return the keys of the rows that have, or had, this wire id."""
        keys = keys_ever(
            self.caller.tenant.id, table=Sql(table), object_name=object_name, external_id=external_id
        )
        [(found,)] = fetch_rows(sql("SELECT {keys}", keys=keys))
        return found

    def resolved_response(
        self, state: Iterable[object], response: Callable[[], HttpResponse]
    ) -> HttpResponse:
        """Return the response for what was resolved, or 304 when the client has it already.

        `state` is all that it depends on but the address: `documents` or `contents` of ResolvedSegments. So
        all customers of the same segments have the same tag. Of the past, a tag is made of the answer itself.
        """
        if self.reads_past:
            return private_response_from(self.request, response())
        return kept_response(self.request, [*state, *self.address()], response)

    def touched_groups(self) -> Sequence[str]:
        """Return the groups of shared answers that a write ends; memberships are in none of them."""
        if not self.shows_what_it_writes or self.action in CHANGING_NOTHING:
            return ()
        segment_id = self.kwargs.get("segment_id")
        return [segment_group(segment_id)] if segment_id else [tenant_group(self.caller.tenant.name)]

    def resolve_segment(self, shopper: Shopper, segment_id: str) -> ResolvedSegments:
        """Resolve one segment; raise SegmentNotFound unless it counts for the shopper."""
        resolved = resolve(shopper, at=self.at, segment_id=segment_id)
        if not resolved.segment_ids:
            raise SegmentNotFound(resource_id=segment_id)
        return resolved

    def segment_key(self, segment_id: str) -> Sql:
        """The segment's key as an expression; NULL when there is none. For callers who may read all."""
        return self.key_of("segments_segment", segment_id)

    def key_of(self, table: str, external_id: str) -> Sql:
        """The key of the tenant's row with this wire id as an expression; NULL when there is none."""
        return sql(
            "(SELECT id FROM {table} WHERE tenant_id = {tenant} AND external_id = {id})",
            table=identifier(table),
            tenant=param(self.caller.tenant.id),
            id=param(external_id),
        )

    def require_segment(self, segment_id: str) -> None:
        """Raise SegmentNotFound unless there is this segment."""
        self.require_key(self.segment_key(segment_id), SegmentNotFound(resource_id=segment_id))

    def require_key(self, key: Sql, missing: NotFound) -> None:
        """Raise `missing` when the expression of a key finds none."""
        if fetch_rows(sql("SELECT {key}", key=key)) == [(None,)]:
            raise missing

    def tenant_condition(self, alias: str) -> Sql:
        return equals(f"{alias}.tenant_id", self.caller.tenant.id)

    def assignments_to(self, segment: Sql) -> Sequence[Sql]:
        """Return the conditions of the assignments to a segment, whose key is given as an expression."""
        return [
            self.tenant_condition("assignment"),
            sql("assignment.segment_id = {segment}", segment=segment),
        ]

    def language_context(self, request: Request) -> LanguageContext:
        """Return the language of localized fields that the body gives as plain texts."""
        return LanguageContext(self.header("Content-Language"), self.caller.tenant.default_language)
