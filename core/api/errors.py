"""Every error as the answer its service documents. No answer ever shows a stack trace or SQL."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import orjson
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.db import DataError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from psycopg import errors as postgres
from rest_framework import exceptions as rest

from core import errors
from core.errors import InvalidBody, MalformedBody, Problem
from core.unavailability import unavailable_from

logger = logging.getLogger(__name__)

STATUSES: tuple[tuple[type[errors.DomainError], HTTPStatus], ...] = (
    (errors.InvalidInput, HTTPStatus.BAD_REQUEST),
    (errors.NotAuthenticated, HTTPStatus.UNAUTHORIZED),
    (errors.NotAllowed, HTTPStatus.FORBIDDEN),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.Conflict, HTTPStatus.CONFLICT),
    (errors.TooManyAttempts, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.Overloaded, HTTPStatus.SERVICE_UNAVAILABLE),
)

ErrorShape = Callable[[errors.DomainError, HTTPStatus], dict[str, Any]]


class MethodNotAllowed(errors.DomainError):
    code = "method_not_allowed"


class SearchTookTooLong(errors.InvalidInput):
    """The search reached the statement timeout; sending it again would cost the same."""

    code = "search_took_too_long"


def status_of(error: errors.DomainError) -> HTTPStatus:
    """Return the HTTP status that says what kind of error this is."""
    for kind, status in STATUSES:
        if isinstance(error, kind):
            return status
    if isinstance(error, MethodNotAllowed):
        return HTTPStatus.METHOD_NOT_ALLOWED
    if isinstance(error, errors.Unavailable):
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.BAD_REQUEST


def problems_of(error: errors.DomainError) -> list[Problem]:
    """Return the (field, type, message) of each thing that is wrong."""
    if isinstance(error, InvalidBody):
        return error.problems
    return [Problem(error.field, error.code, error.message)] if error.field else []


def segment_shape(error: errors.DomainError, status: HTTPStatus) -> dict[str, Any]:
    """`{code, status, message[, resourceId, details]}`: customer segments."""
    body: dict[str, Any] = {"code": status.value, "status": status.phrase, "message": error.message}
    if error.resource_id:
        body["resourceId"] = error.resource_id
    if problems := problems_of(error):
        field, kind, message = problems[0]
        body["details"] = {"field": field, "type": kind, "message": message}
    return body


def category_shape(error: errors.DomainError, status: HTTPStatus) -> dict[str, Any]:
    """`{code, status, message, details: [text][, resourceId]}`: categories and customer management."""
    details = [f"{field}: {message}" if field else message for field, _, message in problems_of(error)]
    heading = getattr(error, "heading", "") or error.message
    body: dict[str, Any] = {"code": status.value, "status": status.phrase, "message": heading}
    if isinstance(error, errors.MissingScope):
        body["message"] = "You need a scope for this action."
        details = [f"Required scope(s): {', '.join(error.scopes)}"]
    body["details"] = getattr(error, "details", None) or details
    if error.resource_id:
        body["resourceId"] = error.resource_id
    return body


TYPES = {
    HTTPStatus.BAD_REQUEST: "validation_violation",
    HTTPStatus.FORBIDDEN: "insufficient_permissions",
    HTTPStatus.NOT_FOUND: "resource_not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.CONFLICT: "conflict_resource",
    HTTPStatus.TOO_MANY_REQUESTS: "too_many_requests",
    HTTPStatus.SERVICE_UNAVAILABLE: "service_unavailable",
}


def typed_shape(error: errors.DomainError, status: HTTPStatus) -> dict[str, Any]:
    """`{status, type, message[, details: [{field, type, message}]]}`: coupons, customers, products, sites."""
    body: dict[str, Any] = {
        "status": status.value,
        "type": getattr(error, "type", "") or TYPES.get(status, "internal_service_error"),
        "message": error.message,
    }
    if problems := problems_of(error):
        body["details"] = [
            {**({"field": field} if field else {}), "type": kind, "message": message}
            for field, kind, message in problems
        ]
    return body


def fault(error: errors.DomainError) -> dict[str, Any]:
    """`{fault: {faultstring, detail: {errorcode}}}`: the 401 of every service."""
    code = getattr(error, "fault_code", "oauth.v2.InvalidAccessToken")
    return {"fault": {"faultstring": error.message, "detail": {"errorcode": code}}}


def flatten(detail: Any, path: str = "") -> list[tuple[str, str, str]]:
    """Return the problems that serializers found, as (field, type, message), paths dotted."""
    if isinstance(detail, dict):
        return [problem for key, value in detail.items() for problem in flatten(value, path_below(path, key))]
    if isinstance(detail, list) and not all(isinstance(entry, str) for entry in detail):
        return [
            problem
            for index, entry in enumerate(detail)
            for problem in flatten(entry, f"{path}[{index}]" if isinstance(entry, dict | list) else path)
        ]
    entries = detail if isinstance(detail, list) else [detail]
    return [(path, str(getattr(entry, "code", "") or "invalid"), str(entry)) for entry in entries]


def path_below(path: str, key: object) -> str:
    """Return the path of a member; entries of lists come with their index as key."""
    if key == "non_field_errors":
        return path
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


def as_domain_error(exception: Exception) -> errors.DomainError | None:
    """Return the error that an exception of a library stands for; None when it is a fault of ours."""
    match exception:
        case errors.DomainError():
            return exception
        case rest.ValidationError():
            return InvalidBody(flatten(exception.detail))
        case rest.ParseError() | rest.UnsupportedMediaType():
            return MalformedBody(str(exception.detail))
        case rest.NotAuthenticated() | rest.AuthenticationFailed():
            return errors.NotAuthenticated(str(exception.detail))
        case rest.MethodNotAllowed():
            return MethodNotAllowed(str(exception.detail))
        case Http404() | rest.NotFound():
            return errors.NotFound("The resource has not been found.")
        case PermissionDenied() | rest.PermissionDenied():
            return errors.NotAllowed("The access to the requested resource has been forbidden by the server.")
        case RequestDataTooBig():
            return MalformedBody("The request's body is too large; the limit is 2.5 MiB.")
        case TooManyFieldsSent():
            return MalformedBody("The request has too many parameters; the limit is 1000.")
        case DataError():
            return data_error(exception)
        case OperationalError() | InternalError():
            return unavailable_from(exception)
    return None


def data_error(exception: DataError) -> errors.DomainError | None:
    """Return what a client did wrong when PostgreSQL could not take a value of a read."""
    cause = exception.__cause__
    if isinstance(cause, postgres.InvalidRegularExpression):
        return errors.InvalidInput("PostgreSQL does not accept this regular expression.", field="q")
    if isinstance(cause, postgres.NumericValueOutOfRange | postgres.DatetimeFieldOverflow):
        return errors.InvalidInput("A number or a time is out of range.")
    return None


@contextmanager
def search_time_limit() -> Iterator[None]:
    """Raise SearchTookTooLong when a statement inside reaches the statement timeout."""
    try:
        yield
    except OperationalError as error:
        if isinstance(error.__cause__, postgres.QueryCanceled):
            raise SearchTookTooLong(
                "The request took too long; narrow the search or simplify the regular expression.", field="q"
            ) from error
        raise


def json_answer(body: object, status: int) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), status=status, content_type="application/json")


def answer_error(exception: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Answer an exception of a view in the shape of the view's service; None lets a fault of ours rise."""
    error = as_domain_error(exception)
    if error is None:
        return None
    status = status_of(error)
    if status is HTTPStatus.UNAUTHORIZED:
        answer = json_answer(fault(error), status)
        answer["WWW-Authenticate"] = "Bearer"
        return answer
    shape: ErrorShape = getattr(context.get("view"), "error_shape", segment_shape)
    answer = json_answer(shape(error, status), status)
    if isinstance(error, errors.TooManyAttempts | errors.Unavailable):
        answer["Retry-After"] = str(error.retry_after)
    return answer


def answer_unknown_path(request: HttpRequest, exception: Exception) -> HttpResponse:
    error = errors.NotFound("There is nothing at this address.")
    return json_answer(segment_shape(error, HTTPStatus.NOT_FOUND), HTTPStatus.NOT_FOUND)


def answer_wrong_host() -> HttpResponse:
    error = errors.InvalidInput("The service does not answer to the host that the request names.")
    return json_answer(segment_shape(error, HTTPStatus.BAD_REQUEST), HTTPStatus.BAD_REQUEST)


def answer_bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    error = MalformedBody("The server cannot read this request.")
    return json_answer(segment_shape(error, HTTPStatus.BAD_REQUEST), HTTPStatus.BAD_REQUEST)


def answer_failure(request: HttpRequest) -> HttpResponse:
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    body = {
        "code": status.value,
        "status": status.phrase,
        "type": "internal_service_error",
        "message": "Something went wrong while processing the request.",
    }
    return json_answer(body, status)
