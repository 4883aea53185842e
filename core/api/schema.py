"""Declares what an operation of the wire contract is: its id, its scopes, its parameters and answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from core.api.error_schemas import FAULT, ErrorSchema

Handler = TypeVar("Handler", bound=Callable[..., Any])

MEANINGS = {
    400: "The request breaks a rule; the message says which.",
    401: "No access token, or one that is not valid.",
    403: "The token does not allow this.",
    404: "The resource does not exist for the caller.",
    409: "The write contradicts what is stored.",
    429: "Too many failed attempts; wait as long as Retry-After says.",
    503: "The service is busy, or its database cannot do it now; wait as long as Retry-After says.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract. Any one of `scopes` suffices; none means that every valid token does.

    `is_public` operations need no token at all.
    """

    id: str
    scopes: tuple[str, ...]
    is_public: bool = False


def operation(
    operation_id: str,
    *,
    summary: str,
    tags: Sequence[str],
    scopes: Sequence[str] = (),
    is_public: bool = False,
    parameters: Sequence[OpenApiParameter] = (),
    request: Any = None,
    responses: Mapping[int, Any],
    errors: Sequence[int] = (400, 401, 403),
    error_schema: ErrorSchema,
    description: str = "",
    deprecated: bool = False,
) -> Callable[[Handler], Handler]:
    """Mark a viewset's method as an operation: ContractViewSet checks its scopes, the schema shows it.

    `responses` maps each success status to a serializer or None; the `errors` statuses, and 503, get the
    service's error schema.
    """

    security: list[Any] = [{}] if is_public else [{"OAuth2": list(scopes)}]

    def mark(handler: Handler) -> Handler:
        documented: dict[int, Any] = {
            status: OpenApiResponse(description="No content.") if answer is None else answer
            for status, answer in responses.items()
        }
        for status in (*errors, 503):
            documented[status] = OpenApiResponse(
                FAULT if status == 401 else error_schema, description=MEANINGS[status]
            )
        marked = extend_schema(
            operation_id=operation_id,
            summary=summary,
            description=description,
            tags=list(tags),
            parameters=list(parameters),
            request=request,
            responses=documented,
            deprecated=deprecated,
            auth=security,
        )(handler)
        marked.operation = Operation(operation_id, tuple(scopes), is_public)  # type: ignore[attr-defined]
        return marked

    return mark
