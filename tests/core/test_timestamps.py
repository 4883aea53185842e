from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.timestamps import format_time, parse_time


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-31T12:30:15.123Z", datetime(2024, 1, 31, 12, 30, 15, 123_000, UTC)),
        ("2024-01-31t12:30:15z", datetime(2024, 1, 31, 12, 30, 15, 0, UTC)),
        ("2024-01-31T12:30Z", datetime(2024, 1, 31, 12, 30, 0, 0, UTC)),
        ("2024-01-31 12:30:15+01:00", datetime(2024, 1, 31, 11, 30, 15, 0, UTC)),
        ("2024-01-31T12:30:15+0530", datetime(2024, 1, 31, 7, 0, 15, 0, UTC)),
        ("2024-01-31T23:30:15-02", datetime(2024, 2, 1, 1, 30, 15, 0, UTC)),
        ("2024-01-31T12:30:15,5-00:00", datetime(2024, 1, 31, 12, 30, 15, 500_000, UTC)),
        ("2024-01-31T12:30:15.123456789Z", datetime(2024, 1, 31, 12, 30, 15, 123_456, UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999Z", datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC)),
    ],
)
def test_a_time_with_an_offset_is_read_as_utc(text, moment):
    parsed = parse_time(text)

    assert (parsed, parsed.tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "2024-01-31",
            "a date without a time and an offset; send an instant such as 2024-01-31T12:00:00.000Z.",
        ),
        ("2024-01-31T12:30:15", "a time without an offset; end it with Z or an offset such as +01:00."),
        ("2024-02-30T00:00:00Z", "no time that exists."),
        ("2024-01-31T23:60:00Z", "no time that exists."),
        ("2024-01-31T23:59:60Z", "no time that exists."),
        ("0000-01-01T00:00:00Z", "no time that exists."),
        ("0001-01-01T00:00:00+01:00", "no time that exists."),
        ("9999-12-31T23:59:59-01:00", "no time that exists."),
        ("2024-01-31T00:00:00+24:00", "no time that exists."),
    ],
)
def test_a_refused_time_says_what_is_wrong_with_it(text, reason):
    with pytest.raises(InvalidInput) as refused:
        parse_time(text, field="validity.to")

    assert (refused.value.message, refused.value.field) == (f"validity.to is {reason}", "validity.to")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "today",
        "20240131T120000Z",
        "2024-W05-3T12:00:00Z",
        "2024-01-31T12:30.5Z",
        "2024-01-31T12Z",
        "2024-01-31T24:00:00Z",
        "2024-01-31T00:00:00+01:60",
        " 2024-01-31T12:30:15Z",
        "2024-01-31T12:30:15Z\n",
        "٢٠٢٤-01-31T12:30:15Z",
        "2024-01-31T12:30:15.1234567890Z",
        1706704215,
        None,
        True,
        ["2024-01-31T12:30:15Z"],
    ],
)
def test_anything_but_an_iso_8601_time_is_refused(value):
    with pytest.raises(InvalidInput) as refused:
        parse_time(value)

    assert refused.value.message == "The time must be an ISO 8601 time such as 2024-01-31T12:00:00.000Z."


@given(st.text(alphabet="0123456789-:+.,TZ ", max_size=40))
def test_no_text_raises_anything_but_invalid_input(text):
    try:
        moment = parse_time(text)
    except InvalidInput:
        return
    assert moment.tzinfo is UTC


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_formatted_time_is_read_back_to_the_millisecond(moment):
    assert parse_time(format_time(moment)) == moment - timedelta(microseconds=moment.microsecond % 1000)


def test_a_time_is_written_in_utc_with_milliseconds_cut_off_not_rounded():
    moment = datetime(2024, 1, 1, 0, 59, 59, 999_999, timezone(timedelta(hours=1)))

    assert format_time(moment) == "2023-12-31T23:59:59.999Z"


def test_a_whole_second_is_written_with_milliseconds_too():
    assert format_time(datetime(33, 4, 5, 6, 7, 8, 0, UTC)) == "0033-04-05T06:07:08.000Z"


def test_a_datetime_without_a_zone_is_not_written():
    with pytest.raises(ValueError, match="A time without a zone has no place on the wire"):
        format_time(datetime(2024, 1, 1))  # noqa: DTZ001 - the very mistake
