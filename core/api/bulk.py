"""Bulk operations: up to 200 rows in, one entry per row out (207)."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from operator import attrgetter
from typing import Any

import orjson
from django.http import HttpResponse

from core.api.errors import status_of
from core.errors import MalformedBody
from core.sql.upserts import RowResult

LARGEST_BATCH = 200
CREATED = 201, "Created"
UPDATED = 204, "OK"


def read_batch(body: object) -> list[Any]:
    """Return the rows of a bulk body; refuse it whole when it is no list, empty, or longer than 200."""
    if not isinstance(body, list):
        raise MalformedBody("The body is a list of 1 to 200 entries.")
    if not 1 <= len(body) <= LARGEST_BATCH:
        raise MalformedBody(f"The body lists 1 to {LARGEST_BATCH} entries, not {len(body)}.")
    return body


def segment_entry(outcome: RowResult) -> dict[str, object]:
    """One row's result as customer segments say it: counted from 1, 204 being "OK"."""
    entry: dict[str, object] = {"index": outcome.position + 1}
    if outcome.id:
        entry["id"] = outcome.id
    if outcome.error is None:
        entry["code"], entry["status"] = CREATED if outcome.created else UPDATED
        return entry
    status = status_of(outcome.error)
    entry |= {"code": status.value, "status": status.phrase, "message": outcome.error.message}
    if more_info := getattr(outcome.error, "more_info", ""):
        entry["details"] = {"moreInfo": more_info}
    return entry


def result_status(outcome: RowResult) -> HTTPStatus:
    if outcome.error:
        return status_of(outcome.error)
    return HTTPStatus.CREATED if outcome.created else HTTPStatus.NO_CONTENT


def multi_status(
    outcomes: Iterable[RowResult], entry: Callable[[RowResult], dict[str, object]] = segment_entry
) -> HttpResponse:
    """Answer 207 with one entry per row, in input order."""
    ordered = sorted(outcomes, key=attrgetter("position"))
    return HttpResponse(
        orjson.dumps([entry(outcome) for outcome in ordered]), status=207, content_type="application/json"
    )
