"""Instants as people enter and read them: in the time zone of their site and in their language."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from datetime import timezone as fixed_zone
from typing import Any, Protocol, Unpack

from django import forms
from django.contrib.admin import widgets
from django.core.exceptions import ValidationError
from django.utils import dates, timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.timezone import is_aware, localtime
from django.utils.translation import get_language, gettext, gettext_noop, npgettext_lazy, override
from django.utils.translation import gettext_lazy as _

from core.admin.declared import FieldOptions
from core.timestamps import local_moment

YEARS = range(2, 9_999)  # a day's distance from what Python and time zones cannot go beyond
ALL_YEARS = range(1, 10_000)
END_OF_DAY = time(23, 59, 59, 999_000)
LONGEST = 60

# --- reading ---

_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_DOTTED = re.compile(r"(\d{1,2})\.\s*(\d{1,2})\.\s*(\d{4})")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_NAMED = re.compile(r"(\d{1,2})\.?\s+([^\W\d]+)\.?,?\s+(\d{4})")
_NAMED_FIRST = re.compile(r"([^\W\d]+)\.?\s+(\d{1,2}),?\s+(\d{4})")
_TIME = re.compile(
    r"(\d{1,2})(?:[:.](\d{2}))?(?:[:.](\d{2}))?(?:[.,](\d{1,6}))?\s*(am|pm|a\.m\.|p\.m\.|uhr)?", re.IGNORECASE
)
_OFFSET = re.compile(r"(?P<clock>.*:\d\d.*?)\s+(?P<offset>[+-]\d{2}:?\d{2}(?::\d{2})?)", re.ASCII)
DAYS = {gettext_noop("yesterday"): -1, gettext_noop("today"): 0, gettext_noop("tomorrow"): 1}


def read_date(text: str, today: date, *, years: range = YEARS) -> date:
    """Return the day that a person wrote; raise ValidationError for what is no day, or could be two."""
    text = text.strip().lower()
    for word, days in {**DAYS, **{gettext(word).lower(): days for word, days in DAYS.items()}}.items():
        if text == word:
            return today + timedelta(days=days)
    if found := _ISO.fullmatch(text):
        year, month, day = map(int, found.groups())
    elif found := _DOTTED.fullmatch(text):
        day, month, year = map(int, found.groups())
    elif found := _SLASHED.fullmatch(text):
        day, month, year = _slashed(*map(int, found.groups()))
    elif (found := _NAMED.fullmatch(text)) and (number := _months().get(found[2])):
        day, month, year = int(found[1]), number, int(found[3])
    elif (found := _NAMED_FIRST.fullmatch(text)) and (number := _months().get(found[1])):
        month, day, year = number, int(found[2]), int(found[3])
    else:
        raise ValidationError(
            _("Enter a date such as 2026-12-24, 24.12.2026 or 24 Dec 2026."), code="invalid"
        )
    try:
        read = date(year, month, day)
    except ValueError:
        raise ValidationError(_("There is no such day."), code="invalid") from None
    if year not in years:
        raise ValidationError(_("There is no such day."), code="invalid")
    return read


def _slashed(first: int, second: int, year: int) -> tuple[int, int, int]:
    """Return day, month and year of a date with slashes, which countries write in two orders."""
    if first <= 12 and second <= 12 and first != second:
        raise ValidationError(
            _("This date can mean two days. Write it as %(iso)s or as %(other)s."),
            code="invalid",
            params={"iso": f"{year:04}-{first:02}-{second:02}", "other": f"{year:04}-{second:02}-{first:02}"},
        )
    return (first, second, year) if second <= 12 else (second, first, year)


def _months() -> dict[str, int]:
    """Return the numbers of months by their names, whole or short, in the reader's language and English."""
    found = {}
    for language in ("en", get_language() or "en"):
        with override(language):
            for names in (dates.MONTHS, dates.MONTHS_3, dates.MONTHS_AP):
                found.update({str(name).lower().rstrip("."): number for number, name in names.items()})
    return found


def read_time(text: str) -> time:
    """Return the time of day that a person wrote, perhaps with an offset from UTC.

    Raises ValidationError for what is none.
    """
    refused = ValidationError(_("Enter a time such as 18:00."), code="invalid")
    if len(text) > LONGEST:
        raise refused
    if with_offset := _OFFSET.fullmatch(text.strip()):
        try:
            offset = time.fromisoformat(f"00:00{with_offset['offset']}").tzinfo
        except ValueError:
            raise refused from None
        clock = read_time(with_offset["clock"])
        if clock.tzinfo is not None:
            raise refused
        return clock.replace(tzinfo=offset)
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise refused
    hour, minute, second = (int(part or 0) for part in found.groups()[:3])
    half = (found[5] or "").lower().replace(".", "")
    if half in ("am", "pm"):
        if not 1 <= hour <= 12:
            raise refused
        hour = hour % 12 + (12 if half == "pm" else 0)
    try:
        return time(hour, minute, second, int((found[4] or "").ljust(6, "0")))
    except ValueError:
        raise refused from None


def read_moment(date_text: str, time_text: str, *, zone: tzinfo, is_end: bool) -> datetime:
    """Return the instant in UTC; a day without a time is its first moment, or as an end its last one.

    Clocks that are put forward or back at midnight leave every day its first and its last moment. A time that
    they show twice needs its offset from UTC. Raises ValidationError for what is no instant.
    """
    day = read_date(date_text, localtime(timezone.now(), zone).date(), years=ALL_YEARS)
    clock = read_time(time_text) if time_text.strip() else END_OF_DAY if is_end else time.min
    try:
        first, second = (
            datetime.combine(day, clock.replace(fold=fold), clock.tzinfo or zone).astimezone(UTC)
            for fold in (0, 1)
        )
    except OverflowError:
        raise ValidationError(_("There is no such day."), code="invalid") from None
    if not time_text.strip():
        return second if is_end else first  # PEP 495: a gap is read as before the clocks change, or as after
    if first > second:  # PEP 495: within what is left out, the first one is the later one
        raise ValidationError(
            _("Clocks do not show this time on that day: they are put forward."), code="invalid"
        )
    if first < second:
        shown = (time_text_of(with_offset(moment.astimezone(zone))) for moment in (first, second))
        raise ValidationError(
            _("Clocks show this time twice on that day. Write it as %(first)s or as %(second)s."),
            code="invalid",
            params=dict(zip(("first", "second"), shown, strict=True)),
        )
    return first


def with_offset(moment: datetime, zone: tzinfo | None = None) -> time:
    """Return the time of day; with its offset from UTC where clocks show it twice or the zone is another."""
    is_of_zone = zone is None or moment.tzinfo == zone
    if is_of_zone and moment.replace(fold=0).utcoffset() == moment.replace(fold=1).utcoffset():
        return moment.time()
    return moment.time().replace(tzinfo=fixed_zone(moment.utcoffset() or timedelta()))


def time_text_of(clock: time) -> str:
    """Return the time as it is entered, without seconds that say nothing."""
    offset = f" {time(tzinfo=clock.tzinfo).isoformat()[8:]}" if clock.tzinfo else ""
    if clock.microsecond:
        return f"{clock:%H:%M:%S.%f}".rstrip("0") + offset
    return clock.strftime("%H:%M:%S" if clock.second else "%H:%M") + offset


# --- showing ---


def shown_moment(value: datetime | None, zone: tzinfo | None = None) -> SafeString:
    """Return an instant as people read it in the zone, with UTC in the tooltip."""
    if value is None:
        return SafeString("")
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.isoformat(),
        f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        date_format(local_moment(value, zone), "DATETIME_FORMAT"),
    )


def in_words(value: datetime, zone: tzinfo | None = None) -> str:
    """Return an instant with its weekday and the name of its month, so that nobody can misread it."""
    # Translators: how a date with a time is written out, in the letters of Django's date filter.
    return date_format(local_moment(value, zone), gettext("l, j F Y, H:i T"))


class HasWindow(Protocol):
    """A row that is valid from one instant to another."""

    @property
    def valid_from(self) -> datetime | None: ...

    @property
    def valid_to(self) -> datetime | None: ...


def window_text(row: HasWindow, zone: tzinfo | None = None) -> SafeString:
    """Return the window of a row as people read it."""
    starts, ends = shown_moment(row.valid_from, zone), shown_moment(row.valid_to, zone)
    if starts and ends:
        return format_html("{} – {}", starts, ends)
    if starts:
        return format_html(gettext("from {}"), starts)
    return format_html(gettext("until {}"), ends) if ends else SafeString(gettext("always"))


# Translators: in German these follow "in" and "seit", so they are in the dative.
DURATIONS: dict[str, Any] = {
    "year": npgettext_lazy("how long", "%(num)d year", "%(num)d years", "num"),
    "month": npgettext_lazy("how long", "%(num)d month", "%(num)d months", "num"),
    "week": npgettext_lazy("how long", "%(num)d week", "%(num)d weeks", "num"),
    "day": npgettext_lazy("how long", "%(num)d day", "%(num)d days", "num"),
    "hour": npgettext_lazy("how long", "%(num)d hour", "%(num)d hours", "num"),
    "minute": npgettext_lazy("how long", "%(num)d minute", "%(num)d minutes", "num"),
}


def duration_text(starts: datetime, ends: datetime) -> str:
    """Say how long it is from one instant to a later one, in its largest unit, to follow "in" or "for"."""
    return timesince(starts, ends, time_strings=DURATIONS, depth=1)


# --- forms ---


class _TimeInput(widgets.BaseAdminTimeWidget):
    """A time that keeps what comes after the second, and shows no seconds that say nothing."""

    supports_microseconds = True

    def format_value(self, value: object) -> str:
        if not isinstance(value, time):
            return str(value or "")
        return time_text_of(value)


class MomentInput(widgets.AdminSplitDateTime):
    """A date and a time in the zone of the site, and below them what they mean in words."""

    supports_microseconds = True
    template_name = "core/moment_input.html"
    zone: tzinfo | None = None
    is_end = False

    def __init__(self, attrs: dict[str, object] | None = None) -> None:
        forms.MultiWidget.__init__(self, [widgets.BaseAdminDateWidget, _TimeInput], attrs)

    def decompress(self, value: object) -> tuple[date | None, time | None]:
        if not isinstance(value, datetime):
            return None, None
        if not is_aware(value):
            return value.date(), value.time()
        zone = self.zone or timezone.get_current_timezone()
        moment = local_moment(value, zone)
        return moment.date(), with_offset(moment, zone)

    def get_context(self, name: str, value: object, attrs: dict[str, object] | None) -> dict[str, object]:
        context = super().get_context(name, value, attrs)
        zone = self.zone or timezone.get_current_timezone()
        moment = self._read(value, zone)
        context["widget"]["zone"] = str(zone)
        context["widget"]["words"] = in_words(moment, zone) if moment else ""
        context["widget"]["utc"] = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else ""
        return context

    def _read(self, value: object, zone: tzinfo) -> datetime | None:
        if not isinstance(value, list):
            return value if isinstance(value, datetime) and is_aware(value) else None
        try:
            return read_moment(value[0] or "", value[1] or "", zone=zone, is_end=self.is_end)
        except ValidationError:
            return None


class MomentField(forms.MultiValueField):
    """An instant, entered as a date and a time in the zone of a site, else of the reader's tenant.

    As an end, a day without a time means the end of that day.
    """

    widget = MomentInput
    hidden_widget = forms.SplitHiddenDateTimeWidget

    def __init__(self, *, is_end: bool = False, **options: Unpack[FieldOptions]) -> None:
        parts = [forms.CharField(max_length=LONGEST, required=False) for _part in range(2)]
        super().__init__(parts, require_all_fields=False, **options)
        self.is_end = self.widget.is_end = is_end
        self.zone: tzinfo | None = None

    def use_zone(self, zone: tzinfo) -> None:
        """Read and show in this zone."""
        self.zone = self.widget.zone = zone

    def compress(self, data_list: list[str]) -> datetime | None:
        if not any(data_list):
            return None
        day, clock = data_list
        if not day:
            raise ValidationError(_("Enter the date as well."), code="invalid")
        zone = self.zone or timezone.get_current_timezone()
        return read_moment(day, clock, zone=zone, is_end=self.is_end)

    def has_changed(self, initial: object, data: object) -> bool:
        try:
            return bool(self.clean(data) != initial)
        except ValidationError:
            return True
