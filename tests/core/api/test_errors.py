import json
from http import HTTPStatus
from io import BytesIO

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.db import DataError, InternalError, OperationalError
from django.http import Http404
from psycopg import errors as postgres
from rest_framework import exceptions as rest

from core import errors
from core.api.error_bodies import CATEGORY_ERRORS, SEGMENT_ERRORS, TYPED_ERRORS
from core.api.errors import error_response, failure_response, flatten
from core.api.json import JsonParser
from core.api.searches import SearchTookTooLong, refuse_long_search
from core.errors import InvalidBody, MalformedBody


class View:
    def __init__(self, error_format):
        self.error_format = error_format


def answer(exception, error_format=SEGMENT_ERRORS):
    response = error_response(exception, {"view": View(error_format)})
    return response.status_code, json.loads(response.content)


def database_error(kind, cause):
    error = kind("raised by the driver")
    error.__cause__ = cause("details that no client may see")
    return error


@pytest.mark.parametrize(
    ("exception", "status"),
    [
        (errors.InvalidInput("x"), 400),
        (rest.ValidationError({"name": ["x"]}), 400),
        (rest.ParseError("x"), 400),
        (MalformedBody("x"), 400),
        (RequestDataTooBig(), 400),
        (TooManyFieldsSent(), 400),
        (database_error(DataError, postgres.InvalidRegularExpression), 400),
        (database_error(DataError, postgres.NumericValueOutOfRange), 400),
        (errors.MissingScope(("a.b",)), 403),
        (errors.NotAllowed("x"), 403),
        (PermissionDenied(), 403),
        (errors.NotFound(resource_id="x"), 404),
        (Http404(), 404),
        (rest.MethodNotAllowed("PUT"), 405),
        (rest.NotAcceptable(), 406),
        (rest.UnsupportedMediaType("text/xml"), 415),
        (rest.Throttled(), 429),
        (errors.AlreadyExists(), 409),
        (errors.VersionConflict(expected=1, stored=2), 409),
        (errors.TooManyAttempts("x", retry_after=3), 429),
        (database_error(OperationalError, postgres.AdminShutdown), 503),
        (database_error(OperationalError, postgres.QueryCanceled), 503),
        (database_error(OperationalError, postgres.LockNotAvailable), 503),
        (database_error(OperationalError, postgres.DeadlockDetected), 503),
        (database_error(OperationalError, postgres.SerializationFailure), 503),
        (database_error(InternalError, postgres.ReadOnlySqlTransaction), 503),
        (database_error(OperationalError, postgres.DiskFull), 503),
    ],
)
def test_each_kind_of_error_has_its_status(exception, status):
    assert answer(exception)[0] == status
    assert "details that no client may see" not in json.dumps(answer(exception)[1])


@pytest.mark.parametrize(
    "exception",
    [
        ValueError("ours"),
        DataError("ours"),
        KeyError("x"),
        database_error(InternalError, postgres.InFailedSqlTransaction),
    ],
)
def test_faults_of_ours_rise(exception):
    assert error_response(exception, {"view": View(SEGMENT_ERRORS)}) is None


def test_no_token_is_a_fault_in_every_service():
    for error_format in (SEGMENT_ERRORS, CATEGORY_ERRORS, TYPED_ERRORS):
        assert answer(errors.NotAuthenticated("Invalid access token"), error_format) == (
            401,
            {
                "fault": {
                    "faultstring": "Invalid access token",
                    "detail": {"errorcode": "oauth.v2.InvalidAccessToken"},
                }
            },
        )


def test_segment_errors():
    assert answer(errors.NotFound(resource_id="gold")) == (
        404,
        {
            "code": 404,
            "status": "Not Found",
            "message": "The resource with id gold has not been found.",
            "resourceId": "gold",
        },
    )
    assert answer(errors.InvalidInput("siteCode: no such site", field="siteCode"))[1] == {
        "code": 400,
        "status": "Bad Request",
        "message": "siteCode: no such site",
        "details": {"field": "siteCode", "type": "invalid_input", "message": "siteCode: no such site"},
    }


def test_category_errors_name_the_missing_scope():
    assert answer(errors.MissingScope(("category.category_manage",)), CATEGORY_ERRORS) == (
        403,
        {
            "code": 403,
            "status": "Forbidden",
            "message": "You need a scope for this action.",
            "details": ["Required scope(s): category.category_manage"],
        },
    )


def test_typed_errors_list_every_problem():
    problems = [("name", "missing_value", "A name is needed."), ("", "odd", "Something is odd.")]
    assert answer(InvalidBody(problems, "Two problems."), TYPED_ERRORS) == (
        400,
        {
            "status": 400,
            "type": "validation_violation",
            "message": "Two problems.",
            "details": [
                {"field": "name", "type": "missing_value", "message": "A name is needed."},
                {"type": "odd", "message": "Something is odd."},
            ],
        },
    )


def test_waiting_time_is_a_header():
    error = errors.TooManyAttempts("Wait.", retry_after=7)
    assert error_response(error, {"view": View(TYPED_ERRORS)})["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("cause", "seconds"),
    [
        (postgres.LockNotAvailable, "1"),
        (postgres.DeadlockDetected, "1"),
        (postgres.SerializationFailure, "1"),
        (postgres.QueryCanceled, "1"),
        (postgres.AdminShutdown, "5"),
    ],
)
def test_what_another_attempt_may_cure_says_when_to_try_again(cause, seconds):
    response = error_response(database_error(OperationalError, cause), {"view": View(TYPED_ERRORS)})
    assert (response.status_code, response["Retry-After"]) == (503, seconds)


def test_a_search_that_reaches_the_statement_timeout_is_refused_but_its_lock_wait_is_not():
    with pytest.raises(SearchTookTooLong) as refused:
        refuse_long_search(database_error(OperationalError, postgres.QueryCanceled))
    assert answer(refused.value)[0] == 400
    refuse_long_search(database_error(OperationalError, postgres.LockNotAvailable))


def test_problems_of_nested_serializers_have_dotted_paths():
    detail = rest.ValidationError(
        {"name": ["too long"], "metadata": {"version": ["not a number"]}, "items": [{}, {"id": ["missing"]}]}
    ).detail
    assert [(field, message) for field, _, message in flatten(detail)] == [
        ("name", "too long"),
        ("metadata.version", "not a number"),
        ("items[1].id", "missing"),
    ]


def test_a_throttle_says_how_long_to_wait():
    response = error_response(rest.Throttled(6.2), {"view": View(TYPED_ERRORS)})
    assert (response["Retry-After"], json.loads(response.content)["type"]) == ("7", "too_many_requests")


def test_what_a_permission_says_is_the_message():
    assert answer(rest.PermissionDenied("Only on weekdays."))[1]["message"] == "Only on weekdays."


def test_a_failure_tells_nothing():
    response = failure_response(None)
    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert json.loads(response.content)["message"] == "Something went wrong while processing the request."


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"{'a': 1}",
        b"[1,]",
        b"\xff",
        b"NaN",
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": ["x", {"b": "\\u0000"}]}',
        b"[" * 31 + b"]" * 31,
        b'{"a":' * 31 + b"1" + b"}" * 31,
        b"[" * 100_000,
    ],
)
def test_bodies_that_cannot_be_read_or_stored_are_refused(content):
    with pytest.raises(MalformedBody):
        JsonParser().parse(BytesIO(content))


def test_a_body_beyond_the_limit_is_refused_before_it_is_read_whole(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert JsonParser().parse(BytesIO(b'"12345678"')) == "12345678"
    endless = BytesIO(b'"123456789"' * 100)
    with pytest.raises(RequestDataTooBig):
        JsonParser().parse(endless)
    assert endless.tell() == 11


@pytest.mark.parametrize(
    ("content", "body"),
    [(b"", None), (b"  ", None), (b'{"a": "\\\\u0000"}', {"a": "\\u0000"}), (b"[" * 30 + b"]" * 30, ...)],
)
def test_bodies_that_can_be_read(content, body):
    parsed = JsonParser().parse(BytesIO(content))
    assert body is ... or parsed == body
