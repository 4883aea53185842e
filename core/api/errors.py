"""Every error as the response that its service documents. No response ever shows a stack trace or SQL."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.db import DataError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from psycopg import errors as postgres
from rest_framework import exceptions as rest

from core import errors
from core.api.error_bodies import (
    SEGMENT_ERRORS,
    ErrorFormat,
    HttpRefusal,
    UnsupportedCoding,
    fault_body,
    segment_error_body,
    status_of,
)
from core.api.json import json_response
from core.unavailability import unavailable_from

logger = logging.getLogger(__name__)


def flatten(detail: object, path: str = "") -> list[tuple[str, str, str]]:
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
    """Return what an exception of a library says about the request; None when it is an internal error."""
    match exception:
        case errors.DomainError():
            return exception
        case rest.ValidationError():
            return errors.InvalidBody(flatten(exception.detail))
        case rest.ParseError():
            return errors.MalformedBody(str(exception.detail))
        case rest.NotAuthenticated() | rest.AuthenticationFailed():
            return errors.NotAuthenticated(str(exception.detail))
        case rest.PermissionDenied():
            return errors.NotAllowed(str(exception.detail))
        case rest.Throttled():
            wait = getattr(exception, "wait", None)  # seconds, absent when the throttle does not know
            return errors.TooManyAttempts(str(exception.detail), retry_after=max(1, wait or 1))
        case rest.NotFound():
            return errors.NotFound(str(exception.detail))
        case Http404():
            return errors.NotFound("The resource has not been found.")
        case rest.APIException() if exception.status_code < 500:
            return HttpRefusal(str(exception.detail), HTTPStatus(exception.status_code))
        case PermissionDenied():
            return errors.NotAllowed("The access to the requested resource has been forbidden by the server.")
        case RequestDataTooBig():
            return errors.MalformedBody("The request's body is too large; the limit is 2.5 MiB.")
        case TooManyFieldsSent():
            return errors.MalformedBody("The request has too many parameters; the limit is 1000.")
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


def error_response(exception: Exception, context: Mapping[str, object]) -> HttpResponse | None:
    """Return the response to an exception in the format of the view's service; None for an internal error."""
    error = as_domain_error(exception)
    if error is None:
        return None
    status = status_of(error)
    if status is HTTPStatus.UNAUTHORIZED:
        response = json_response(fault_body(error), status)
        response["WWW-Authenticate"] = getattr(error, "challenge", "Bearer")
        return response
    error_format: ErrorFormat = getattr(context.get("view"), "error_format", SEGMENT_ERRORS)
    response = json_response(error_format.body(error, status), status)
    # Django would compose a line for its log, whose level leaves it out; the access log has the request.
    response._has_been_logged = status < HTTPStatus.INTERNAL_SERVER_ERROR  # type: ignore[attr-defined]
    if isinstance(error, errors.TooManyAttempts | errors.Unavailable):
        response["Retry-After"] = str(error.retry_after)
    if isinstance(error, UnsupportedCoding):
        response["Accept-Encoding"] = "identity"  # RFC 9110, 15.5.16: what would be read
    return response


def unknown_path_response(request: HttpRequest, exception: Exception) -> HttpResponse:
    error = errors.NotFound("There is nothing at this address.")
    return json_response(segment_error_body(error, HTTPStatus.NOT_FOUND), HTTPStatus.NOT_FOUND)


def wrong_host_response() -> HttpResponse:
    error = errors.InvalidInput("The service does not answer to the host that the request names.")
    return json_response(segment_error_body(error, HTTPStatus.BAD_REQUEST), HTTPStatus.BAD_REQUEST)


def bad_request_response(request: HttpRequest, exception: Exception) -> HttpResponse:
    error = errors.MalformedBody("The server cannot read this request.")
    return json_response(segment_error_body(error, HTTPStatus.BAD_REQUEST), HTTPStatus.BAD_REQUEST)


def failure_response(request: HttpRequest) -> HttpResponse:
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    body = {
        "code": status.value,
        "status": status.phrase,
        "type": "internal_service_error",
        "message": "Something went wrong while processing the request.",
    }
    return json_response(body, status)
