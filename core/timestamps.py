"""Instants on the wire: UTC, ISO 8601 with milliseconds and `Z` out; any offset, but always one, in."""

import re
from datetime import UTC, datetime, tzinfo
from functools import cache
from zoneinfo import available_timezones

from django.utils.timezone import localtime

from core.errors import InvalidInput

# datetime.fromisoformat would also take week dates, any separator and times without an offset.
_TIME = re.compile(
    r"""
    \d{4}-\d{2}-\d{2}
    (?P<clock>
        [Tt\ ] (?:[01]\d|2[0-3]) :\d{2} (?: :\d{2} (?:[.,]\d{1,9})? )?
        (?P<offset> [Zz] | [+-]\d{2}(?::?[0-5]\d)? )?
    )?
    """,
    re.ASCII | re.VERBOSE,
)
_EXAMPLE = "2024-01-31T12:00:00.000Z"


@cache
def time_zone_names() -> frozenset[str]:
    """The names of all IANA time zones, found once: Python looks through 600 files whenever it is asked."""
    return frozenset(available_timezones())


def parse_time(text: object, *, field: str = "") -> datetime:
    """Return the instant in UTC, exact to the microsecond (further digits are cut off).

    Raises InvalidInput, naming `field`, for anything but an ISO 8601 date and time with an offset. A bare
    date is refused rather than completed: "until 31 January" would silently end when that day begins.
    """
    subject = field or "The time"
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidInput(f"{subject} must be an ISO 8601 time such as {_EXAMPLE}.", field=field)
    if match["clock"] is None:
        raise InvalidInput(
            f"{subject} is a date without a time and an offset; send an instant such as {_EXAMPLE}.",
            field=field,
        )
    if match["offset"] is None:
        raise InvalidInput(
            f"{subject} is a time without an offset; end it with Z or an offset such as +01:00.", field=field
        )
    try:
        return datetime.fromisoformat(match[0].upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        # The 30th of February, 12:60, an offset of a whole day, or UTC outside the years 1 to 9999.
        raise InvalidInput(f"{subject} is no time that exists.", field=field) from None


def format_time(moment: datetime) -> str:
    """Return the instant as the wire has it; microseconds are cut off, so it never shows a later instant.

    Raises ValueError for a datetime without a zone: that is a mistake of the service, not of a client.
    """
    if moment.tzinfo is None:
        raise ValueError("A time without a zone has no place on the wire.")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def local_moment(value: datetime, zone: tzinfo | None = None) -> datetime:
    """Return the instant in the zone; within a day of the first or the last one that Python knows, in UTC.

    Clients mean "for ever" by 9999-12-31T23:59:59Z, which is another year east of Greenwich.
    """
    try:
        return localtime(value, zone)
    except OverflowError:
        return value.astimezone(UTC)
