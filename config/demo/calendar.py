"""Which days of the data fall on which days of the shop."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

TODAY_OF_DATA = date(2017, 11, 20)
LAST_MOMENT = time(23, 59, 59, 999_000, tzinfo=UTC)  # the wire knows milliseconds


@dataclass(frozen=True, slots=True)
class Calendar:
    """Moves the days of the data by a whole number of days, so that clock times stay what they were."""

    shift: timedelta = timedelta(0)

    @classmethod
    def placing(cls, day_of_data: date, *, on: date) -> "Calendar":
        """Return the calendar in which the day of the data falls on the given day."""
        return cls(on - day_of_data)

    def starts(self, day: date) -> datetime:
        """The first moment of a day of the data (UTC)."""
        return datetime.combine(self._plain(day), time(0, tzinfo=UTC)) + self.shift

    def ends(self, day: date) -> datetime:
        """The last moment of a day of the data (UTC)."""
        return datetime.combine(self._plain(day), LAST_MOMENT) + self.shift

    def noon(self, day: date) -> datetime:
        """The middle of a day of the data (UTC)."""
        return datetime.combine(self._plain(day), time(12, tzinfo=UTC)) + self.shift

    def day_of_data(self, at: datetime) -> date:
        """The day of the data that an instant of the shop falls on."""
        return (at - self.shift).date()

    @staticmethod
    def _plain(day: date) -> date:
        return day.date() if isinstance(day, datetime) else day
