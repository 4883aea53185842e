"""The error bodies of the services: how each is written, and how the OpenAPI document describes it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

from rest_framework import serializers

from core.bodies import Body
from core.errors import (
    Conflict,
    DomainError,
    Gone,
    InvalidBody,
    InvalidInput,
    MissingScope,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PreconditionFailed,
    Problem,
    TooManyAttempts,
    Unavailable,
)

TYPES = {
    HTTPStatus.BAD_REQUEST: "validation_violation",
    HTTPStatus.FORBIDDEN: "insufficient_permissions",
    HTTPStatus.NOT_FOUND: "resource_not_found",
    HTTPStatus.CONFLICT: "conflict_resource",
    HTTPStatus.PRECONDITION_FAILED: "precondition_failed",
}


STATUSES: tuple[tuple[type[DomainError], HTTPStatus], ...] = (
    (InvalidInput, HTTPStatus.BAD_REQUEST),
    (NotAuthenticated, HTTPStatus.UNAUTHORIZED),
    (NotAllowed, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (Gone, HTTPStatus.GONE),
    (PreconditionFailed, HTTPStatus.PRECONDITION_FAILED),
    (TooManyAttempts, HTTPStatus.TOO_MANY_REQUESTS),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


class HttpRefusal(DomainError):
    """A refusal that only HTTP knows, such as a method, media type or version that is not served."""

    code = "http_refusal"

    def __init__(self, message: str, status: HTTPStatus) -> None:
        super().__init__(message)
        self.status = status


class UnsupportedCoding(HttpRefusal):
    """The body is compressed, which no operation reads."""

    def __init__(self) -> None:
        super().__init__(
            "Compressed bodies are not read; send the body without Content-Encoding.",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )


def status_of(error: DomainError) -> HTTPStatus:
    """Return the HTTP status that says what kind of error this is."""
    return error.status if isinstance(error, HttpRefusal) else status_of_kind(type(error))  # type: ignore[arg-type]


@cache
def status_of_kind(kind: type[DomainError]) -> HTTPStatus:
    return next((status for each, status in STATUSES if issubclass(kind, each)), HTTPStatus.BAD_REQUEST)


class SegmentErrorDetail(serializers.Serializer):
    field = serializers.CharField(required=False, help_text="The field or parameter that is wrong.")
    type = serializers.CharField(required=False, help_text="What kind of fault it is; a stable name.")
    message = serializers.CharField(required=False, help_text="What is wrong with it.")
    moreInfo = serializers.CharField(
        required=False, help_text="What the request would do, where that is why it was refused."
    )


class SegmentError(serializers.Serializer):
    code = serializers.IntegerField(help_text="The HTTP status code.")
    status = serializers.CharField(help_text="The name of the HTTP status.")
    message = serializers.CharField(help_text="What is wrong, and what to do; names every fault of a body.")
    resourceId = serializers.CharField(required=False, help_text="The id of the resource concerned.")
    details = SegmentErrorDetail(required=False, help_text="The first fault of the request.")


class CategoryError(serializers.Serializer):
    code = serializers.IntegerField(help_text="The HTTP status code.")
    status = serializers.CharField(help_text="The name of the HTTP status.")
    message = serializers.CharField(help_text="What kind of fault it is.")
    resourceId = serializers.CharField(required=False, help_text="The id of the resource concerned.")
    details = serializers.ListField(
        child=serializers.CharField(), help_text="What is wrong, a sentence for each fault."
    )


class TypedErrorDetail(serializers.Serializer):
    field = serializers.CharField(required=False, help_text="The field or parameter that is wrong.")
    type = serializers.CharField(help_text="What kind of fault it is; a stable name.")
    message = serializers.CharField(required=False, help_text="What is wrong with it.")


class TypedError(serializers.Serializer):
    status = serializers.IntegerField(help_text="The HTTP status code.")
    type = serializers.CharField(help_text="What kind of fault it is; a stable name.")
    message = serializers.CharField(required=False, help_text="What is wrong, and what to do.")
    details = TypedErrorDetail(many=True, required=False, help_text="Every fault that was found.")


class FaultDetail(serializers.Serializer):
    errorcode = serializers.CharField(help_text="A stable name of the reason.")


class FaultBody(serializers.Serializer):
    faultstring = serializers.CharField(help_text="Why the token is refused.")
    detail = FaultDetail(help_text="The reason for programs.")


class Fault(serializers.Serializer):
    fault = FaultBody(help_text="Why the request is not authenticated.")


def problems_of(error: DomainError) -> list[Problem]:
    """Return the (field, type, message) of each thing that is wrong."""
    if isinstance(error, InvalidBody):
        return error.problems
    return [Problem(error.field, error.code, error.message)] if error.field else []


def segment_error_body(error: DomainError, status: HTTPStatus) -> dict[str, object]:
    """`{code, status, message[, resourceId, details]}`: customer segments."""
    body: dict[str, object] = {"code": status.value, "status": status.phrase, "message": error.message}
    if error.resource_id:
        body["resourceId"] = error.resource_id
    if problems := problems_of(error):
        field, kind, message = problems[0]
        # Clients of this service know one type of faults in a field, however the body was read.
        kind = InvalidInput.code if kind == "invalid" else kind
        details = {"field": field, "type": kind, "message": message}
        if more_info := getattr(error, "more_info", ""):
            details["moreInfo"] = more_info
        body["details"] = details
    return body


def category_error_body(error: DomainError, status: HTTPStatus) -> dict[str, object]:
    """`{code, status, message, details: [text][, resourceId]}`: categories and customer management."""
    details = [f"{field}: {message}" if field else message for field, _, message in problems_of(error)]
    heading = getattr(error, "heading", "") or error.message
    body: dict[str, object] = {"code": status.value, "status": status.phrase, "message": heading}
    if isinstance(error, MissingScope):
        body["message"] = "You need a scope for this action."
        details = [f"Required scope(s): {', '.join(error.scopes)}"]
    body["details"] = getattr(error, "details", None) or details
    if error.resource_id:
        body["resourceId"] = error.resource_id
    return body


def typed_error_body(error: DomainError, status: HTTPStatus) -> dict[str, object]:
    """`{status, type, message[, details: [{field, type, message}]]}`: coupons, customers and sites."""
    body: dict[str, object] = {
        "status": status.value,
        "type": getattr(error, "type", "") or TYPES.get(status) or status.phrase.lower().replace(" ", "_"),
        "message": error.message,
    }
    if problems := problems_of(error):
        body["details"] = [
            {**({"field": field} if field else {}), "type": kind, "message": message}
            for field, kind, message in problems
        ]
    return body


def fault_body(error: DomainError) -> dict[str, object]:
    """`{fault: {faultstring, detail: {errorcode}}}`: the 401 of every service."""
    code = getattr(error, "fault_code", "oauth.v2.InvalidAccessToken")
    return {"fault": {"faultstring": error.message, "detail": {"errorcode": code}}}


@dataclass(frozen=True, slots=True)
class ErrorFormat:
    """How a service writes its errors, 401 aside: the function that makes the body, and its schema."""

    body: Callable[[DomainError, HTTPStatus], dict[str, object]]
    schema: type[serializers.Serializer] | type[Body]


SEGMENT_ERRORS = ErrorFormat(segment_error_body, SegmentError)
CATEGORY_ERRORS = ErrorFormat(category_error_body, CategoryError)
TYPED_ERRORS = ErrorFormat(typed_error_body, TypedError)
