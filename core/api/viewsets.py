"""The base of every viewset: who calls, for which tenant, with which scopes; lists and single rows."""

import re
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import cache
from http import HTTPStatus
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

from django.core.signals import got_request_exception
from django.http import HttpResponse
from django.http.request import HttpHeaders
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from core.api import parameters
from core.api.errors import answer_failure, logger, search_time_limit, segment_shape
from core.api.schema import Operation
from core.errors import DomainError, InvalidInput, MissingScope, NotAllowed, NotAuthenticated, NotFound
from core.representation.fields import Languages
from core.representation.languages import accepted_languages
from core.representation.pages import KeyPartitions, PageRequest, fetch_page
from core.representation.query_language import parse
from core.representation.representations import Representation, SortKey
from core.sql.composition import Sql
from core.sql.fetching import fetch_rows

TENANT_NAME = re.compile(r"[a-z][a-z0-9]{2,15}")


StaticErrorShape: TypeAlias = "staticmethod[[DomainError, HTTPStatus], dict[str, Any]]"
Instance = TypeVar("Instance")


class TenantFacts(Protocol):
    """What a request needs to know of its tenant."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def default_language(self) -> str: ...
    @property
    def languages(self) -> Sequence[str]: ...


class AnyCaller(Protocol):
    """Whoever holds a valid token."""

    @property
    def tenant(self) -> TenantFacts: ...
    @property
    def scopes(self) -> frozenset[str]: ...


_instances: dict[type, Any] = {}
wsgi_name = cache(HttpHeaders.to_wsgi_name)  # of names in our code, so there are only some


def instance_of(kind: type[Instance]) -> Instance:
    """Return the one instance of a class whose instances have no state."""
    if kind not in _instances:
        _instances[kind] = kind()
    return _instances[kind]


@cache
def allowed_methods(*implemented: str) -> str:
    """Return the header Allow of a view with these methods; OPTIONS is always one of them."""
    names = ViewSet.http_method_names
    return ", ".join(name.upper() for name in names if name in implemented or name == "options")


class ContractViewSet(ViewSet):
    """A resource of the wire contract.

    Before a handler runs: the token is verified, its tenant agrees with the path, one of the operation's
    scopes is granted. The clock is read once, into `at`.
    """

    error_shape: ClassVar[StaticErrorShape] = staticmethod(segment_shape)
    default_page_size: ClassVar[int] = 60
    counts_by_parameter: ClassVar[bool] = False  # coupons and sites ask with totalCount=true
    count_header: ClassVar[str] = ""  # of those that ask by parameter; "" is Items-Count

    at: datetime
    caller: Any

    def initial(self, request: Request, *args: Any, **path: Any) -> None:
        self.at = timezone.now()
        self.format_kwarg = None  # DRF reads it when it picks a renderer
        negotiated = self.perform_content_negotiation(request)
        request.accepted_renderer, request.accepted_media_type = negotiated
        self.perform_authentication(request)
        wanted = self.operation
        if not wanted.is_public:
            self.check_caller(wanted, path)
        plain = request._request
        if "\x00" in plain.path_info or "%00" in plain.META.get("QUERY_STRING", ""):
            raise InvalidInput("The address holds the character NUL.")

    def perform_authentication(self, request: Request) -> None:
        """Set `caller`; None when no authenticator knows one.

        `request.auth` would do the same, but first looks for its own answer all over the request.
        """
        self.caller = None
        for authenticator in request.authenticators or ():
            if accepted := authenticator.authenticate(request):
                self.caller = accepted[1]
                return

    # What has no state is made once for all requests.

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [instance_of(kind) for kind in self.authentication_classes]

    def get_content_negotiator(self) -> BaseContentNegotiation:
        return instance_of(self.content_negotiation_class)

    def get_parsers(self) -> list[BaseParser]:
        return [instance_of(kind) for kind in self.parser_classes]

    def get_renderers(self) -> list[BaseRenderer]:
        return [instance_of(kind) for kind in self.renderer_classes]

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {"Allow": allowed_methods(*self.action_map)}

    @property
    def operation(self) -> Operation:
        """The contract's operation that the request asks for."""
        handler = getattr(self, self.action or "", None)
        if handler is None:
            self.http_method_not_allowed(self.request)
        return handler.operation  # type: ignore[union-attr]

    def check_caller(self, wanted: Operation, path: dict[str, Any]) -> None:
        """Refuse a request without a token, for another tenant, or without a scope."""
        if self.caller is None:
            raise NotAuthenticated("Invalid access token")
        tenant = path.get("tenant")
        if tenant is not None and tenant != self.caller.tenant.name:
            if not TENANT_NAME.fullmatch(tenant):
                raise InvalidInput(
                    "A tenant's name is 3 to 16 lower-case letters and digits, the first a letter.",
                    field="tenant",
                )
            raise NotAllowed("The token belongs to another tenant.")
        header = self.header("Emporix-Tenant")
        if header and header != self.caller.tenant.name:
            raise InvalidInput("The header Emporix-Tenant names another tenant.", field="Emporix-Tenant")
        if wanted.scopes and not self.has_scope(*wanted.scopes):
            raise MissingScope(wanted.scopes)

    def header(self, name: str) -> str:
        """Return a header of the request, empty when it is absent.

        `request.headers` would copy all headers, and the process's environment, when it is used first.
        """
        return self.request._request.META.get(wsgi_name(name), "")

    def has_scope(self, *scopes: str) -> bool:
        """Say whether the token grants one of the scopes. `x_manage` implies `x_read`."""
        return not self.caller.scopes.isdisjoint(scopes)

    def require_scope(self, *scopes: str) -> None:
        """Raise MissingScope unless the token grants one of the scopes."""
        if not self.has_scope(*scopes):
            raise MissingScope(scopes)

    def handle_exception(self, exc: Exception) -> Any:
        try:
            return super().handle_exception(exc)
        except Exception as fault:  # noqa: BLE001 - the outermost frame: whatever it is, the client gets JSON
            got_request_exception.send(sender=type(self), request=self.request)
            logger.exception("A request failed: %s", fault)
            return answer_failure(self.request._request)

    # Reading

    def languages(self) -> Languages:
        """Return how the caller wants localized fields."""
        accepted = accepted_languages(self.header("Accept-Language"))
        return Languages(accepted, self.caller.tenant.default_language)

    def page_request(self) -> PageRequest:
        """Read which page the client asks for."""
        query = self.request.query_params
        size = parameters.page_size(query, default=self.default_page_size)
        number = parameters.page_number(query, size=size)
        after, before = query.get("next"), query.get("prev")
        if (number is not None) + (after is not None) + (before is not None) > 1:
            raise InvalidInput("Send one of pageNumber, next and prev, not several.", field="next")
        if self.counts_by_parameter:
            wants_count = parameters.flag(query, "totalCount")
        else:
            wants_count = self.header("X-Total-Count").strip().lower() == "true"
        return PageRequest(
            size=size,
            number=number,
            after=after,
            before=before,
            sort=parameters.text(query, "sort"),
            fields=parameters.words(query, "fields"),
            languages=self.languages(),
            wants_count=wants_count,
        )

    def answer_page(
        self,
        representation: Representation,
        conditions: Sequence[Sql],
        *,
        q: str | None = None,
        needs: Collection[str] = (),
        order: Sequence[SortKey] = (),
        parts: KeyPartitions | None = None,
        keeps_plan: bool = False,
        when_empty: Callable[[], object] | None = None,
    ) -> HttpResponse:
        """Answer one page of the rows that meet all conditions and the query `q` (default: the parameter).

        `order` is the order of a list whose client asks for none; without it that is the key's. With `parts`
        the list is their union.
        `keeps_plan` (see `fetch_rows`) is for lists that are read all the time; it plays no part in a search.
        `when_empty` is called for a page without rows: it raises when what the list belongs to is not there.
        """
        text = parameters.text(self.request.query_params, "q") if q is None else q
        searched, search_needs = representation.condition(parse(text)) if text.strip() else ([], set())
        with search_time_limit() if searched else nullcontext():
            page = fetch_page(
                representation,
                self.page_request(),
                [*conditions, *searched],
                set(needs) | search_needs,
                order=order,
                partitions=parts,
                prepared=keeps_plan and not searched,
            )
        if when_empty and not page.documents:
            when_empty()
        answer = HttpResponse(page.body, content_type="application/json")
        if page.next_cursor:
            answer["X-Next-Cursor"] = page.next_cursor
        if page.previous_cursor:
            answer["X-Prev-Cursor"] = page.previous_cursor
        if page.count is not None:
            by_parameter = self.count_header or "Items-Count"
            answer[by_parameter if self.counts_by_parameter else "X-Total-Count"] = str(page.count)
        return answer

    def answer_one(
        self,
        representation: Representation,
        conditions: Sequence[Sql],
        *,
        missing: NotFound,
        needs: Collection[str] = (),
    ) -> HttpResponse:
        """Answer the one row that meets all conditions, or raise `missing`."""
        names = representation.kept_fields(parameters.words(self.request.query_params, "fields"))
        document = representation.document(names, self.languages())
        condition = Sql.joined(" AND ", conditions)
        joins = representation.joined(set(needs) | representation.needs_of(names))
        rows = fetch_rows(
            Sql(
                f"SELECT {document.sql} FROM {representation.table} AS {representation.alias}{joins.sql}"
                f" WHERE {condition.sql} LIMIT 1",
                (*document.params, *condition.params),
            ),
            prepared=True,
        )
        if not rows:
            raise missing
        return HttpResponse(rows[0][0], content_type="application/json")

    def search_text(self) -> str:
        """Return the `q` of a search body, `{"q": "..."}`."""
        body = self.request.data
        if body is None:
            return ""
        q = body.get("q") if isinstance(body, dict) else False
        if q is None:
            return ""
        if not isinstance(q, str):
            raise InvalidInput('The body is an object such as {"q": "name.en:Gold"}.', field="q")
        return q
