"""What an operation of the wire contract is, and what the OpenAPI document says of it.

A handler declares its id, its scopes and what is special; the rest follows from its viewset, its action, its
address and its docstring.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import uritemplate
from django.http.response import HttpResponseBase
from drf_spectacular import openapi
from drf_spectacular.plumbing import ResolvedComponent, is_list_serializer
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.views import APIView

from core.api import parameters
from core.api.error_bodies import Fault
from core.api.filters import ListFilterSet
from core.api.preferences import Known, known_fields
from core.api.routes import PATH_PARAMETERS
from core.bodies import Body
from core.body_schemas import schema_components
from core.json_types import JsonObject
from core.representation.fields import Computed, Field, Nested
from core.representation.representations import Representation
from core.representation.schema import representation_schema

Responses = Mapping[int, object] | Mapping[tuple[int, str], object] | Mapping[int | tuple[int, str], object]
"""What an operation answers by status, or by status and media type."""

Handler = TypeVar("Handler", bound=Callable[..., HttpResponseBase])

MEANINGS = {
    400: "The request breaks a rule; the message says which.",
    401: "No access token, or one that is not valid.",
    403: "The token does not allow this.",
    404: "The resource does not exist for the caller.",
    409: "The write contradicts what is stored.",
    410: "What is asked for is not kept any more.",
    412: "The document is in another version than If-Match names.",
    429: "Too many failed attempts; wait as long as Retry-After says.",
    503: "The service is busy, or its database cannot do it now; wait as long as Retry-After says.",
}
WRITES_OF_ONE = {"update", "partial_update", "destroy"}
WRITES_ONE = {"create", "update", "partial_update"}
WRITES_TEXTS = WRITES_ONE | {"bulk_create", "bulk_update"}
JSON_PATCH = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "op": {"type": "string", "enum": ["add", "remove", "replace"]},
            "path": {"type": "string", "description": "A JSON pointer, such as /name/en."},
            "value": {},
        },
        "required": ["op", "path"],
    },
}
ANY_OBJECT = {"type": "object", "additionalProperties": True}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract. Any one of `scopes` suffices; none means that every valid token does.

    `is_public` operations need no token at all. `parameters` and `errors` come on top of what follows from
    the viewset and the action; `request` and `responses` replace that. Responses have
    their status as key, or (status, media type) when they are not JSON. `reads` is what the handler reads: a
    "list" with `q`, a "page" without it, or "one" document; empty means that the action's name says so.
    `filters` are the parameters that narrow a list; the handler asks for `filter_conditions`.
    """

    id: str
    scopes: tuple[str, ...] = ()
    is_public: bool = False
    parameters: tuple[OpenApiParameter, ...] = ()
    request: Any = None
    responses: Responses = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    reads: str = ""
    is_deprecated: bool = False
    filters: type[ListFilterSet] | None = None


class DoubledSchema(TypeError):
    """Two schemas of the document have one name."""


def operation(
    operation_id: str,
    *,
    scopes: Sequence[str] = (),
    is_public: bool = False,
    parameters: Sequence[OpenApiParameter] = (),
    request: object = None,
    responses: Responses | None = None,
    errors: Sequence[int] = (),
    reads: str = "",
    is_deprecated: bool = False,
    filters: type[ListFilterSet] | None = None,
) -> Callable[[Handler], Handler]:
    """Mark a viewset's handler as an operation: HasScope checks its scopes, the OpenAPI document shows it.

    The docstring's first line becomes the summary, the rest the description. See `Operation`.
    """
    declared = Operation(
        operation_id,
        tuple(scopes),
        is_public,
        tuple(parameters),
        request,
        responses or {},
        tuple(errors),
        reads,
        is_deprecated,
        filters,
    )

    def mark(handler: Handler) -> Handler:
        handler.operation = declared  # type: ignore[attr-defined]
        return handler

    return mark


def searched_fields(kind: object) -> list[str]:
    """Return the paths that `q` knows of a document: of a representation, or of a serializer for it."""
    if isinstance(kind, Representation):
        return [path for path, each in field_paths(kind.fields) if not isinstance(each, Computed)]
    return [path for path, _ in name_paths(known_fields(kind))]


def field_paths(fields: Mapping[str, Field], above: str = "") -> Iterator[tuple[str, Field]]:
    for name, each in fields.items():
        if isinstance(each, Nested):
            yield from field_paths(each.fields, f"{above}{name}.")
        else:
            yield f"{above}{name}", each


def name_paths(known: Known, above: str = "") -> Iterator[tuple[str, None]]:
    for name, inner in (known or {}).items():
        if inner is None:
            yield f"{above}{name}", None
        else:
            yield from name_paths(inner, f"{above}{name}.")


def is_schema(described: object) -> bool:
    """Say whether this is a schema, and not a serializer that drf-spectacular makes one of."""
    return isinstance(described, dict)


class AutoSchema(openapi.AutoSchema):
    """Describes operations by their declaration, viewset, action, address and docstring.

    Handlers without a declaration are described as drf-spectacular does.
    """

    READS = {"list": "list", "search": "page", "retrieve": "one"}

    @classmethod
    def of(cls, view: APIView) -> "AutoSchema":
        """Return the description of the view's present action."""
        schema = cls()
        schema.view = view
        return schema

    @property
    def viewset(self) -> Any:
        """The view, which is a ContractViewSet when its handler has a declaration."""
        return self.view

    @property
    def declared(self) -> Operation | None:
        return getattr(self.handler, "operation", None)

    @property
    def handler(self) -> object:
        return getattr(self.view, self.action, None)

    @property
    def action(self) -> str:
        return getattr(self.view, "action", None) or ""

    @property
    def reads(self) -> str:
        assert self.declared is not None
        return self.declared.reads or self.READS.get(self.action, "")

    def get_operation_id(self) -> str:
        return self.declared.id if self.declared else super().get_operation_id()

    def get_summary(self) -> str | None:
        if self.declared is None:
            return super().get_summary()
        return (inspect.getdoc(self.handler) or "").partition("\n")[0].removesuffix(".")

    def get_description(self) -> str:  # type: ignore[override]
        if self.declared is None:
            return super().get_description()
        own = (inspect.getdoc(self.handler) or "").partition("\n")[2].strip()
        return own or inspect.cleandoc(type(self.view).__doc__ or "")

    def is_deprecated(self) -> bool:
        return self.declared.is_deprecated if self.declared else super().is_deprecated()

    def get_tags(self) -> list[str]:
        return [self.viewset.tag] if self.declared else super().get_tags()

    def get_auth(self) -> list[dict[str, list[str]]]:
        if self.declared is None:
            return super().get_auth()
        if self.declared.is_public:
            return [{}]
        # Entries are alternatives, the scopes of one entry are all needed.
        by_client = [{"OAuth2": [scope]} for scope in self.declared.scopes] or [{"OAuth2": []}]
        return [*by_client, {"AccessToken": []}]

    def get_override_parameters(self) -> list[Any]:
        if self.declared is None:
            return super().get_override_parameters()
        in_path = {described.name: described for described in PATH_PARAMETERS.values()}
        return [
            *(in_path[name] for name in uritemplate.variables(self.path) if name in in_path),
            *self.own_parameters(),
            *self.conditional_parameters(),
            *self.response_headers(),
        ]

    def own_parameters(self) -> list[OpenApiParameter]:
        """Return what the operation takes in its query and headers, whatever its method."""
        assert self.declared is not None
        return [
            *self.reading_parameters(),
            *self.language_parameters(),
            *(self.declared.filters.described() if self.declared.filters else ()),
            *self.declared.parameters,
        ]

    @property
    def is_tagged(self) -> bool:
        """Whether the response carries a tag that If-None-Match can name."""
        view = self.viewset
        return self.reads == "one" or (bool(self.reads) and view.has_tagged_lists and self.action != "search")

    @property
    def takes_if_match(self) -> bool:
        return self.action in WRITES_OF_ONE and self.viewset.has_versions()

    def conditional_parameters(self) -> list[OpenApiParameter]:
        if self.is_tagged:
            return [parameters.IF_NONE_MATCH]
        if not self.takes_if_match:
            return []
        creates = self.action == "update" and 201 in self.successes()
        return [parameters.IF_MATCH, *([parameters.CREATE_ONLY] if creates else [])]

    def response_headers(self) -> list[OpenApiParameter]:
        """Return the headers of responses."""
        busy = (503, *self.throttled())
        headers = [parameters.response_header("Retry-After", "Seconds to wait.", *busy, type=int)]
        if self.viewset.has_page_parameters and self.reads in ("list", "page"):
            count = "How many rows there are in all, when the client asks for it."
            headers += [
                parameters.response_header(self.viewset.count_header, count, 200, type=int),
                parameters.response_header("X-Next-Cursor", "Where the list goes on: `next`.", 200),
                parameters.response_header("X-Prev-Cursor", "Where the list came from: `prev`.", 200),
            ]
        if self.is_tagged:
            tag = "The document's version in double quotes, or a tag of what the caller sees."
            headers.append(parameters.response_header("ETag", tag, 200, 304))
        if self.viewset.says_location(self.action) and 201 in self.successes():
            headers.append(parameters.response_header("Location", "The address of what was created.", 201))
        return headers

    def throttled(self) -> tuple[int, ...]:
        assert self.declared is not None
        return (429,) if 429 in self.declared.errors else ()

    def query_parameters(self) -> list[OpenApiParameter]:
        """Return the parameters of the query."""
        return [each for each in self.own_parameters() if each.location == OpenApiParameter.QUERY]

    def reading_parameters(self) -> list[OpenApiParameter]:
        """Return what lists, searches and reads of one document take, unless the view reads neither."""
        view, reads = self.viewset, self.reads
        if not view.has_page_parameters or not reads:
            return []
        if reads == "one":
            return [parameters.FIELDS]
        count = parameters.total_count(view.count_header, by_parameter=view.counts_by_parameter)
        page = [parameters.SORT, parameters.FIELDS, *parameters.paging(view.default_page_size), count]
        return [parameters.q_parameter(searched_fields(view.resource)), *page] if reads == "list" else page

    def language_parameters(self) -> list[OpenApiParameter]:
        if self.reads and self.viewset.has_localized_fields:
            return [parameters.ACCEPT_LANGUAGE]
        if self.action in WRITES_TEXTS and self.viewset.reads_localized_fields:
            return [parameters.CONTENT_LANGUAGE]
        return []

    def get_request_serializer(self) -> Any:
        if self.declared is None:
            return super().get_request_serializer()
        if self.action == "partial_update":
            return {"application/json": {"oneOf": [JSON_PATCH, self.described_changes()]}}
        if self.declared.request is not None:
            return self.described_request(self.declared.request)
        return self.described_request(self.viewset.search_body) if self.action == "search" else None

    def described_request(self, body: object) -> Any:
        """Return a request body as drf-spectacular takes it: a schema by media type, or a serializer.

        A dictionary maps media types to bodies.
        """
        if isinstance(body, dict):
            return {media_type: self.described(entry) for media_type, entry in body.items()}
        described = self.described(body)
        return (
            {"application/json": described} if is_schema(described) and described is not body else described
        )

    def described_changes(self) -> JsonObject:
        """Return the schema of a JSON Merge Patch: the declared body, of which every member may be absent."""
        assert self.declared is not None
        body = self.declared.request
        if body is None:
            return ANY_OBJECT
        self.described(body)
        schema = schema_components(body)[body.__name__]
        changes = {name: value for name, value in schema.items() if name != "required"}
        return self.reference(f"{body.__name__.removesuffix('Body')}Changes", changes)

    def described(self, body: object) -> Any:
        """Return the reference to a Body or Representation; `[body]` is a list of them.

        What drf-spectacular knows itself (serializers, schemas) is returned as it is.
        """
        if isinstance(body, list):
            [entry] = body
            described = self.described(entry)
            return {"type": "array", "items": described} if is_schema(described) else described(many=True)
        if isinstance(body, Representation):
            return self.reference(body.name, representation_schema(body))
        if isinstance(body, type) and issubclass(body, Body):
            for name, schema in schema_components(body).items():
                self.reference(name, schema)
            return self.reference(body.__name__, schema_components(body)[body.__name__])
        return body

    def reference(self, name: str, schema: JsonObject) -> JsonObject:
        """Add the schema to the document's components and return the reference to it.

        Raises DoubledSchema when the name is taken by another schema: clients would get the wrong one.
        """
        component = ResolvedComponent(name, ResolvedComponent.SCHEMA, schema, object=name)
        if component in self.registry and self.registry[component].schema != schema:
            raise DoubledSchema(f"Two different bodies are called {name}; rename one of them.")
        self.registry.register_on_missing(component)
        return component.ref

    def _get_request_body(self, direction: object = "request") -> object:
        """Describe the bodies of bulk deletions too, and say which operations need a body."""
        if self.declared is None:
            return super()._get_request_body(direction)
        if self.method == "DELETE" and self.declared.request is not None:
            described = self.described_request(self.declared.request)
            found: Any = {"content": {name: {"schema": schema} for name, schema in described.items()}}
        else:
            found = super()._get_request_body(direction)
        if found is not None and self.needs_body():
            found["required"] = True
        return found

    def needs_body(self) -> bool:
        """Say whether a request without a body is refused: not where all members of the body are optional."""
        assert self.declared is not None
        body = self.declared.request
        if self.action != "partial_update" and isinstance(body, type) and issubclass(body, Body):
            return any(member.required for member in msgspec.structs.fields(body))
        return body is not None or self.action != "search"

    def _is_list_view(self, serializer: Any = None) -> bool:
        """A schema that is declared as a list is one: drf-spectacular would make a list of lists of it."""
        if self.declared is None:
            return super()._is_list_view(serializer)
        return is_list_serializer(serializer)

    def get_response_serializers(self) -> Any:
        if self.declared is None:
            return super().get_response_serializers()
        view = self.viewset
        documented: dict[object, object] = {
            status: OpenApiResponse(description="No content.") if body is None else self.described(body)
            for status, body in self.successes().items()
        }
        if self.is_tagged:
            documented[304] = OpenApiResponse(description="The client holds the present state.")
        for status in sorted({*self.usual_errors(), *self.declared.errors, 503}):
            if status not in documented:
                schema = Fault if status == 401 else view.error_format.schema
                documented[status] = OpenApiResponse(self.described(schema), description=MEANINGS[status])
        return documented

    def successes(self) -> Responses:
        """Return what each status of success answers: as declared, or as usual for this kind of operation."""
        assert self.declared is not None
        if self.declared.responses:
            return self.declared.responses
        view = self.viewset
        if self.reads:
            return {200: view.resource if self.reads == "one" else [view.resource]}
        if self.action.startswith("bulk_"):
            return {207: [view.bulk_result]}
        return {
            "POST": {201: view.created},
            "PUT": {201: view.created, 204: None},
            "PATCH": {204: None},
            "DELETE": {204: None},
        }[self.method]

    def usual_errors(self) -> list[int]:
        """Return the errors that every operation of this kind can answer."""
        assert self.declared is not None
        if self.declared.is_public:
            return [400]
        errors = [400, 401, 403]
        inner = [name for name in uritemplate.variables(self.path) if name != "tenant"]
        creates_what_is_named = self.method == "PUT" and 201 in self.successes() and len(inner) == 1
        deletes_what_may_be_absent = self.method == "DELETE" and self.viewset.deletes_unknown
        if inner and not creates_what_is_named and not deletes_what_may_be_absent:
            errors.append(404)
        if self.action in WRITES_ONE and self.get_request_serializer() is not None:
            errors.append(409)
        if self.takes_if_match:
            errors.append(412)
        return errors


def complete_document(result: JsonObject, generator: object, **options: object) -> JsonObject:
    """List the tags of all operations (a postprocessing hook of drf-spectacular)."""
    operations = (operation for methods in result["paths"].values() for operation in methods.values())
    result["tags"] = [{"name": name} for name in sorted({tag for each in operations for tag in each["tags"]})]
    return result
