"""The passing of time: which customers it moves into or out of segments, and when it does so next."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from core.representation.relative_instants import Clock, RelativeInstant
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute, fetch_rows
from core.timestamps import format_time
from segments.rules.facts import Movement, Scope

MILLISECOND = timedelta(milliseconds=1)
SEARCHED = timedelta(days=40)  # how much longer than its distance a relative instant may take to an instant
BETWEEN_SCANS = timedelta(minutes=1)  # at most, of instants without an index
SCANNING = 0.02  # of the time


def note_moved(rule_id: int, movements: Iterable[Movement], scope: Scope, since: datetime) -> int:
    """Note the customers whose verdict time may have changed from `since` to now; return how many."""
    before = Clock(since, scope.clock.find_zone)
    count = 0
    for movement in movements:
        first, last = movement.relative.at(before), movement.relative.at(scope.clock)
        if first == last:
            continue
        count += execute(
            sql(
                "INSERT INTO segments_duecustomer (tenant_id, customer_id, rule_id)"
                " SELECT DISTINCT {tenant}, {customer}, {rule} FROM {rows} AND {own}"
                " AND {instant} >= {first} AND {instant} <= {last}",
                tenant=param(scope.tenant_id, "bigint"),
                customer=Sql(movement.moments.customer),
                rule=param(rule_id, "bigint"),
                rows=movement.moments.rows,
                own=_own(movement, scope),
                instant=movement.moments.instant,
                first=_comparable(movement, first - MILLISECOND),
                last=_comparable(movement, last + MILLISECOND),
            )
        )
    return count


def next_instants(
    movements: Iterable[Movement], scope: Scope, *, milliseconds: int | None
) -> dict[Movement, datetime]:
    """Return when each of the movements next moves one of the scope's customers; absent: never.

    One statement, and an index look-up for each movement where there is an index. Instants without one are
    looked at so seldom that it takes SCANNING of the time, given what a whole evaluation took last.
    """
    asked = list(dict.fromkeys(movements))
    if not asked:
        return {}
    columns = [
        sql(
            "(SELECT min({instant}) FROM {rows} AND {own} AND {narrowed} AND {instant} > {passed})::text",
            instant=movement.moments.instant,
            rows=movement.moments.rows,
            own=_own(movement, scope),
            narrowed=scope.narrowed(movement.moments.customer),
            passed=_comparable(movement, movement.relative.at(scope.clock)),
        )
        for movement in asked
    ]
    [found] = fetch_rows(sql("SELECT {columns}", columns=Sql.joined(", ", columns)))
    pause = BETWEEN_SCANS
    if milliseconds is not None:
        pause = min(timedelta(milliseconds=milliseconds / SCANNING), BETWEEN_SCANS)
    instants = {}
    for movement, text in zip(asked, found, strict=True):
        if text is not None and (instant := _passes_at(movement, text, scope.clock)):
            earliest = scope.clock.at + (timedelta() if movement.moments.is_indexed else pause)
            instants[movement] = max(instant, earliest)
    return instants


def _own(movement: Movement, scope: Scope) -> Sql:
    return sql("{column} = {tenant}", column=Sql(movement.moments.tenant), tenant=param(scope.tenant_id))


def _comparable(movement: Movement, instant: datetime) -> Sql:
    if movement.moments.is_text:
        return param(format_time(instant), "text")
    return param(instant, "timestamptz")


def _passes_at(movement: Movement, text: str, clock: Clock) -> datetime | None:
    """Return the first millisecond at which the relative instant has passed an instant, given as text."""
    relative = movement.relative
    try:
        instant = (
            datetime.fromisoformat(text[:10]).replace(tzinfo=UTC)
            if movement.moments.is_text
            else datetime.fromisoformat(text).astimezone(UTC)
        )
        low, high = clock.at, clock.at + (instant - relative.at(clock)) + SEARCHED
        if not _has_passed(movement, relative, text, instant, Clock(high, clock.find_zone)):
            return None
        while high - low > MILLISECOND:
            middle = low + (high - low) / 2
            if _has_passed(movement, relative, text, instant, Clock(middle, clock.find_zone)):
                high = middle
            else:
                low = middle
    except (ValueError, OverflowError):  # a text that only begins like a date, or beyond all calendars
        return None
    return high


def _has_passed(
    movement: Movement, relative: RelativeInstant, text: str, instant: datetime, clock: Clock
) -> bool:
    if movement.moments.is_text:
        return format_time(relative.at(clock)) > text
    return relative.at(clock) >= instant + MILLISECOND
