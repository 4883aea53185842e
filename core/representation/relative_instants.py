"""Instants relative to now: `now-365d`, `today-1w`, `now+12h`.

    relative = ( "now" | "today" ), [ ( "+" | "-" ), number, unit ] ;   (* number: 1 to 4 digits *)
    unit     = "h" | "d" | "w" | "m" | "y" ;

`now` is the instant of the clock. Hours, days and weeks are 1, 24 and 168 hours from it; months and years
are counted in UTC. `today` is the instant at which the day begins in the clock's time zone: days, weeks,
months and years lead to the beginning of another day there, hours are counted from it.

A day that a month does not have is the last one that it has: `today-1m` is 28 February on 31 March. For
`now` that is the end of this last day. So a relative instant never moves backwards while the clock moves on.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Self

_RELATIVE = re.compile(r"(?P<start>now|today)(?:(?P<sign>[+-])(?P<number>[0-9]{1,4})(?P<unit>[hdwmy]))?")
_MAY_BE = re.compile(r"(?<!\w)(?:now|today)(?!\w)")
_END_OF_DAY = time(23, 59, 59, 999_999)
HOURS = {"h": 1, "d": 24, "w": 168}
DAYS = {"d": 1, "w": 7}
MONTHS = {"m": 1, "y": 12}


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it is, and where; `find_zone` is called only for what depends on the time zone."""

    at: datetime
    find_zone: Callable[[], tzinfo] = lambda: UTC


@dataclass(frozen=True, slots=True)
class RelativeInstant:
    """An instant so many units from now or from the beginning of today; `number` has the sign."""

    from_today: bool
    number: int = 0
    unit: str = "d"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return the relative instant that the text is; None when it is none."""
        match = _RELATIVE.fullmatch(text)
        if match is None:
            return None
        number = int(f"{match['sign'] or ''}{match['number'] or 0}")
        return cls(match["start"] == "today", number, match["unit"] or "d")

    def at(self, clock: Clock) -> datetime:
        """Return the instant in UTC; raises OverflowError outside the years 1 to 9999."""
        if self.from_today:
            return self._from_today(clock.at, clock.find_zone())
        now = clock.at.astimezone(UTC)
        if self.unit in HOURS:
            return now + timedelta(hours=self.number * HOURS[self.unit])
        day, is_exact = _months_later(now.date(), self.number * MONTHS[self.unit])
        return datetime.combine(day, now.time() if is_exact else _END_OF_DAY, UTC)

    def _from_today(self, at: datetime, zone: tzinfo) -> datetime:
        day, hours = at.astimezone(zone).date(), 0
        if self.unit in MONTHS:
            day, _ = _months_later(day, self.number * MONTHS[self.unit])
        elif self.unit in DAYS:
            day += timedelta(days=self.number * DAYS[self.unit])
        else:
            hours = self.number
        return datetime.combine(day, time.min, zone).astimezone(UTC) + timedelta(hours=hours)


def names_relative_instant(text: str) -> bool:
    """Say whether the text might hold a relative instant; a text that does is never said not to."""
    return _MAY_BE.search(text) is not None


def _months_later(day: date, months: int) -> tuple[date, bool]:
    """Return the day so many months later, and whether that month has the day; else it is its last one."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        raise OverflowError
    last = monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last)), day.day <= last
