"""The base of every viewset: who calls, for which tenant, with which scopes."""

import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, ClassVar, NoReturn, TypeVar
from urllib.parse import quote

import orjson
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.utils import timezone
from msgspec.structs import replace
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from core.actors import REQUEST_ID_KEY, claimed
from core.api.conditional import ConditionalWrites
from core.api.document_checks import DocumentChecks
from core.api.error_bodies import SEGMENT_ERRORS, ErrorFormat, UnsupportedCoding
from core.api.errors import failure_response, logger
from core.api.preferences import (
    STRICT,
    wants_strict,
)
from core.api.reading import ReadResponses
from core.api.schema import Operation
from core.bodies import Body
from core.errors import (
    InvalidInput,
    MalformedBody,
    MissingAccessToken,
    MissingScope,
    NotAllowed,
)
from core.json_values import LARGEST_DOCUMENT
from core.representation.representations import Representation
from core.sql.replicas import REVISION, position_of, replicas, route_reads
from core.tenancy.callers import Caller, CallerKind
from core.tenancy.limits import require_room
from core.tenancy.rate_limits import rate_limits

Instance = TypeVar("Instance")

ADDING_ACTIONS = {"create", "update", "bulk_create", "bulk_update"}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CHANGING_NOTHING = frozenset(
    {"match", "search", "rebuild"}
)  # what clients see, though the method is POST or PUT
CONDITIONS = frozenset({"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"})
TENANT_NAME = re.compile(r"[a-z][a-z0-9]{2,15}")
LONGEST_IDEMPOTENCY_KEY = 255
NO_PARAMETERS = QueryDict("", mutable=False)

_instances: dict[type, Any] = {}


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


def least_revision(header: str) -> int:
    """Return the position that the header If-Min-Revision names, 0 without one; raise InvalidInput."""
    if not header:
        return 0
    if not REVISION.fullmatch(header):
        raise InvalidInput(
            "If-Min-Revision is not a revision; send the X-Revision of a response.", field="If-Min-Revision"
        )
    return position_of(header)


class ApiRequest(Request):
    """DRF's request. What every request is asked for takes no detour.

    DRF's own looks for each attribute on itself first, which fails by an exception, and asks three times
    whether the caller is known yet: as long as all else that a view does before the handler.
    """

    _user: Any = None
    _authenticate: Any  # of DRF's, whose type stubs leave it out

    @property
    def user(self) -> Any:
        if self._user is None:
            self._authenticate()
        return self._user

    @user.setter
    def user(self, value: Any) -> None:
        self._user = value
        self._request.user = value


class AlwaysJson(BaseContentNegotiation):
    """These services answer JSON whatever the client accepts, and read a body whatever its type."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser:
        """Return the parser; raise UnsupportedCoding for a compressed body."""
        coding = request._request.META.get("HTTP_CONTENT_ENCODING")
        if coding and coding.strip().lower() != "identity":
            raise UnsupportedCoding
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class TokenOfTenant(BasePermission):
    """The request has a valid token, and its path and headers name the token's tenant or none."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return self.is_of_tenant(view.caller, request, view)

    def is_of_tenant(self, caller: Caller | None, request: Request, view: APIView) -> bool:
        if not caller or not caller.is_authenticated:
            return False
        name = caller.tenant.name
        tenant = view.kwargs.get("tenant")
        if tenant is not None and tenant != name:
            if not TENANT_NAME.fullmatch(tenant):
                raise InvalidInput(
                    "A tenant's name is 3 to 16 lower-case letters and digits, the first a letter.",
                    field="tenant",
                )
            raise NotAllowed("The token belongs to another tenant.")
        header = request._request.META.get("HTTP_EMPORIX_TENANT")
        if header and header != name:
            raise InvalidInput("The header Emporix-Tenant names another tenant.", field="Emporix-Tenant")
        return True


class HasScope(TokenOfTenant):
    """The token also grants one of the scopes that the handler's `@operation` declares.

    An operation without scopes needs only the token; a public one needs none.
    """

    code = "missing_scope"  # `ContractViewSet.permission_denied` turns it into MissingScope

    def has_permission(self, request: Request, view: Any) -> bool:
        operation, caller = view.operation, view.caller
        if operation.is_public:
            return True
        if not self.is_of_tenant(caller, request, view):
            return False
        return not operation.scopes or not caller.scopes.isdisjoint(operation.scopes)


class ContractViewSet(ReadResponses, ConditionalWrites, DocumentChecks):
    """A resource of the wire contract: a DRF viewset whose handlers are marked with `@operation`.

    All hooks of APIView run. The clock is read once for each request, into `at`; `caller` is `request.user`,
    typed: a handler that needs a token always has one.
    """

    # What the OpenAPI document says of all operations of the viewset (`core.api.schema.AutoSchema`).
    tag: ClassVar[str]
    resource: ClassVar[type[Serializer] | Representation]  # a document that is read
    created: ClassVar[type[Serializer] | type[Body] | None] = None  # the body of a 201
    bulk_result: ClassVar[type[Serializer] | type[Body]]  # one entry of a 207
    search_body: ClassVar[type[Serializer] | type[Body] | None] = None
    is_limited: ClassVar[bool] = True  # what it adds counts towards the limits of a tenant's rows
    has_page_parameters: ClassVar[bool] = True  # lists are paged and sorted, documents cut to `fields`
    has_localized_fields: ClassVar[bool] = False  # reads take Accept-Language
    reads_localized_fields: ClassVar[bool] = False  # writes take Content-Language
    has_tagged_lists: ClassVar[bool] = False  # lists carry an ETag for shoppers
    deletes_unknown: ClassVar[bool] = False  # deleting what does not exist is 204 rather than 404

    # Returns the groups of answers in shared caches that a write ends (RFC 9875), for the name of a tenant.
    groups_ended: Callable[[str], Sequence[str]] | None = None

    content_negotiation_class = AlwaysJson
    permission_classes: Sequence[type[BasePermission]] = [HasScope]
    error_format: ClassVar[ErrorFormat] = SEGMENT_ERRORS

    is_strict = False

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Answer the request, and keep nothing of it.

        The view refers to its own methods and to the request, and the request to itself: such circles hold
        the body until Python looks for garbage, which took a twentieth of a small request.
        """
        if request.method == "OPTIONS":
            return self.options(request, *args, **kwargs)
        try:
            return super().dispatch(request, *args, **kwargs)
        finally:
            if context := getattr(self.request, "parser_context", None):
                context.clear()
            vars(self).clear()

    def options(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:  # type: ignore[override]
        """Say which methods the address has: that is no secret, so it needs no token."""
        return HttpResponse(status=204, headers={"Allow": allowed_methods(*self.action_map)})

    def initialize_request(self, request: HttpRequest, *args: object, **kwargs: object) -> Request:
        action: Any = self.action_map.get(str(request.method).lower())
        self.action = action
        api_request = ApiRequest(
            request,
            parsers=self.get_parsers(),
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context=self.get_parser_context(request),
        )
        api_request.method = request.method
        return api_request

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        self.at = timezone.now()
        super().initial(request, *args, **kwargs)
        plain = request._request
        query = plain.META.get("QUERY_STRING", "")
        if not query:
            plain.GET = NO_PARAMETERS  # Django would make an empty one at the price of a full one
        self.query = plain.GET
        if replicas.all and plain.method in ("GET", "HEAD"):
            route_reads(least_revision(plain.META.get("HTTP_IF_MIN_REVISION", "")))
        if "\x00" in plain.path_info or "%00" in query:
            raise InvalidInput("The address holds the character NUL.")
        if int(plain.META.get("CONTENT_LENGTH") or 0) > LARGEST_DOCUMENT:
            self.check_document_sizes()
        self.is_strict = "HTTP_PREFER" in plain.META and wants_strict(plain.META["HTTP_PREFER"])
        if self.is_strict:
            self.refuse_unknown_names()
        if not CONDITIONS.isdisjoint(plain.META) and self.compares_version():
            method = str(plain.method).lower()
            setattr(self, method, partial(self.handle_conditions, getattr(self, method)))
        if query:
            self.prepare_parameters()

    def prepare_parameters(self) -> None:
        """Do what parameters ask for beside the handler; called for requests that have some."""

    def perform_authentication(self, request: Request) -> None:
        caller: Any = request.user
        self.caller = caller
        if caller.is_authenticated:
            if rate_limits.rates:
                rate_limits.take(caller.tenant.name)
            occasion = request._request.META.get(REQUEST_ID_KEY, "")
            # ApiMiddleware ends it
            claimed.set(replace(caller.actor, source_type="request", source_id=occasion))
            if caller.tenant.limit_reached and self.adds_rows():
                require_room(caller.tenant)
        self.operation = self.declared_operation()

    def adds_rows(self) -> bool:
        """Say whether this request would add rows that count towards the tenant's limits.

        What shoppers do goes on, and so do orders that a service sends for them.
        """
        is_service = self.caller.kind is CallerKind.SERVICE
        return is_service and self.is_limited and self.action in ADDING_ACTIONS

    def permission_denied(
        self, request: Request, message: str | None = None, code: str | None = None
    ) -> NoReturn:
        """Name what is missing: the token, the scopes, or whatever a subclass's permission says."""
        if request.authenticators and not request.successful_authenticator:
            raise MissingAccessToken
        if code == HasScope.code:
            raise MissingScope(self.operation.scopes)
        super().permission_denied(request, message, code)

    def finalize_response(self, request: Request, response: Any, *args: object, **kwargs: object) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.is_strict:
            response["Preference-Applied"] = STRICT
        if request.method not in SAFE and response.status_code < 400 and (groups := self.touched_groups()):
            response["Cache-Group-Invalidation"] = ", ".join(map('"{}"'.format, groups))
        return response

    def touched_groups(self) -> Sequence[str]:
        """Return the groups of answers in shared caches that this request ends."""
        if self.groups_ended is None or self.action in CHANGING_NOTHING:
            return ()
        return self.groups_ended(self.caller.tenant.name)

    @classmethod
    def says_location(cls, action: str) -> bool:
        """Say whether a 201 names the address of what was created: where documents are read, it does."""
        return action in ("create", "update") and hasattr(cls, "retrieve")

    def created_response(self, resource_id: str = "", **members: object) -> HttpResponse:
        """Return a 201 with the id, if one is given, and members; its Location where documents are read."""
        document = {"id": resource_id, **members} if resource_id else members
        content = orjson.dumps(document) if document else b""
        response = HttpResponse(content, status=201, content_type="application/json")
        if self.says_location(self.action or ""):
            assert resource_id or self.action == "update"
            named = "" if self.action == "update" else f"/{quote(resource_id, safe='')}"
            response["Location"] = quote(self.request._request.path_info) + named
        return response

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
        headers = {"Allow": allowed_methods(*self.action_map)}
        if len(self.renderer_classes) > 1:
            headers["Vary"] = "Accept"
        return headers

    def declared_operation(self) -> Operation:
        """Return the contract's operation that the request asks for; refuse a method that has none."""
        handler = getattr(self, self.action or "", None)
        if handler is None:
            self.http_method_not_allowed(self.request)
        declared: Operation | None = getattr(handler, "operation", None)
        if declared is None:
            raise ImproperlyConfigured(f"{type(self).__name__}.{self.action} needs an @operation.")
        return declared

    def sent_body(self) -> object:
        """Return the body of the request; raise what `missing_body` returns when there is none."""
        if self.request.stream is None or self.request.data is None:
            raise self.missing_body()
        return self.request.data

    def missing_body(self) -> InvalidInput:
        """Return the error of a request that has no body."""
        return MalformedBody("The request has no body.")

    def idempotency_key(self, *, longest: int = LONGEST_IDEMPOTENCY_KEY) -> str:
        """Return the header Idempotency-Key, empty when it is absent; raise InvalidInput for a faulty one."""
        key = self.request._request.META.get("HTTP_IDEMPOTENCY_KEY", "").strip()
        if len(key) > longest or not key.isprintable():
            raise InvalidInput(
                f"Idempotency-Key has at most {longest} printable characters.", field="Idempotency-Key"
            )
        return key

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
            return failure_response(self.request._request)
