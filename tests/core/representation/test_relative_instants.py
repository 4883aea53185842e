from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.representation.conditions import QuerySyntaxError, Value, as_time
from core.representation.relative_instants import Clock, RelativeInstant, names_relative_instant

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2024, 7, 15, 12, 30, tzinfo=UTC)


def instant(text: str, at: datetime = NOON, zone: str = "Europe/Berlin") -> datetime:
    relative = RelativeInstant.read(text)
    assert relative is not None
    return relative.at(Clock(at, lambda: ZoneInfo(zone)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2024-07-15T12:30"),
        ("now-36h", "2024-07-14T00:30"),
        ("now-365d", "2023-07-16T12:30"),
        ("now+1w", "2024-07-22T12:30"),
        ("now-1m", "2024-06-15T12:30"),
        ("now-7m", "2023-12-15T12:30"),
        ("now+6m", "2025-01-15T12:30"),
        ("now-1y", "2023-07-15T12:30"),
        ("now-0d", "2024-07-15T12:30"),
        ("today", "2024-07-14T22:00"),
        ("today-1h", "2024-07-14T21:00"),
        ("today-1d", "2024-07-13T22:00"),
        ("today-1w", "2024-07-07T22:00"),
        ("today-6m", "2024-01-14T23:00"),  # winter time
        ("today+1y", "2025-07-14T22:00"),
    ],
)
def test_each_unit_is_counted_from_now_or_from_the_beginning_of_today(text, expected):
    assert instant(text) == datetime.fromisoformat(f"{expected}:00+00:00")


def test_today_begins_in_the_time_zone():
    late = datetime(2024, 7, 15, 22, 30, tzinfo=UTC)
    assert instant("today", late, "Europe/Berlin") == datetime(2024, 7, 15, 22, tzinfo=UTC)
    assert instant("today", late, "UTC") == datetime(2024, 7, 15, tzinfo=UTC)
    assert instant("today", late, "America/New_York") == datetime(2024, 7, 15, 4, tzinfo=UTC)


def test_a_day_without_midnight_begins_with_its_first_instant():
    # Clocks in Sao Paulo went from 23:59:59 on 3 November to 01:00 on 4 November 2018.
    at = datetime(2018, 11, 4, 15, tzinfo=UTC)
    assert instant("today", at, "America/Sao_Paulo") == datetime(2018, 11, 4, 3, tzinfo=UTC)


def test_a_day_that_the_month_does_not_have_is_its_last():
    at = datetime(2024, 3, 31, 12, tzinfo=UTC)
    assert instant("today-1m", at) == datetime(2024, 2, 28, 23, tzinfo=UTC)
    assert instant("now-1m", at) == datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
    assert instant("now-1y", datetime(2024, 2, 29, tzinfo=UTC)).date().isoformat() == "2023-02-28"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now-",
        "now-1",
        "now1d",
        "now-1s",
        "now-1D",
        "Now",
        "now -1d",
        "now-12345d",
        "now-1d-1d",
        "today\n",
        "now-١d",
        "tomorrow",
    ],
)
def test_anything_else_is_no_relative_instant(text):
    assert RelativeInstant.read(text) is None


@given(st.from_regex(r"(now|today)([+-][0-9]{1,4}[hdwmy])?", fullmatch=True))
def test_what_is_a_relative_instant_is_noticed_in_a_query(text):
    assert RelativeInstant.read(text) is not None
    assert names_relative_instant(f"a:b c:>{text} d:e")


@pytest.mark.parametrize("text", ["name.en:~Snowboard", "code:known", "code:nowadays", "code:today1"])
def test_a_word_that_only_begins_or_ends_alike_is_none(text):
    assert not names_relative_instant(text)


MOMENTS = st.integers(600_000_000, 2_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "America/Havana", "Pacific/Apia"])


@given(
    text=st.from_regex(r"(now|today)[+-][0-9]{1,2}[hdwmy]", fullmatch=True),
    at=MOMENTS,
    later=st.integers(0, 100 * 24 * 3600).map(lambda seconds: timedelta(seconds=seconds)),
    zone=ZONES,
)
@example("now-1m", datetime(2026, 3, 28, 10, tzinfo=UTC), timedelta(hours=23), "UTC")
@example("today-1d", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), timedelta(hours=1), "Europe/Berlin")
def test_a_relative_instant_never_moves_backwards(text, at, later, zone):
    assert instant(text, at, zone) <= instant(text, at + later, zone)


@given(at=MOMENTS, zone=ZONES)
def test_now_is_never_before_today_and_within_a_day_of_it(at, zone):
    assert timedelta() <= instant("now", at, zone) - instant("today", at, zone) < timedelta(hours=26)


def test_a_time_is_read_with_the_clock_of_its_value():
    clock = Clock(NOON)
    assert as_time(Value("now-1h", clock=clock)) == NOON - timedelta(hours=1)
    assert as_time(Value("now-1h", quoted=True, clock=clock)) == NOON - timedelta(hours=1)
    with pytest.raises(QuerySyntaxError):
        as_time(Value("now-1h"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("now-9999y", "this instant is not within the years 1 to 9999"),
        ("today+9999y", "this instant is not within the years 1 to 9999"),
        (
            "yesterday",
            "the value must be an ISO 8601 time such as 2024-01-31T12:00:00.000Z,"
            " or one relative to now such as now-30d or today",
        ),
    ],
)
def test_another_value_is_refused_at_its_position(text, reason):
    with pytest.raises(QuerySyntaxError) as refused:
        as_time(Value(text, position=7, clock=Clock(NOON)))
    assert refused.value.message == f"Fault in q at character 7: {reason}."


def test_the_zone_is_looked_up_only_for_today():
    def no_zone() -> ZoneInfo:
        raise AssertionError("Nothing here depends on a time zone.")

    assert as_time(Value("now-1m", clock=Clock(NOON, no_zone))) == datetime(2024, 6, 15, 12, 30, tzinfo=UTC)
