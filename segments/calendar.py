"""What starts and ends when: the windows of segments, and of what other packages register."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
import orjson
from msgspec import Meta

from accounts.identity.scopes import SEGMENT_READ
from core.bodies import Body
from core.errors import InvalidInput
from core.representation.fields import Languages, Localized
from core.representation.languages import text_in
from core.sql.composition import Sql, SqlValues, param, sql
from core.sql.fetching import fetch_rows
from core.timestamps import format_time
from segments.visibility import on_site, require_site

MOST_ENTRIES: Final = 1_000
LONGEST_RANGE: Final = timedelta(days=400)
USUAL_RANGE: Final = timedelta(days=14)
LAST_MOMENT: Final = datetime.max.replace(tzinfo=UTC)
LONGEST_LINE: Final = 75  # bytes, by RFC 5545
CONTROLS: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


class CalendarEntry(Body, kw_only=True, omit_defaults=True):
    """Something that counts during at least a part of the range."""

    type: Annotated[str, Meta(description="segment or coupon.")]
    id: Annotated[
        str, Meta(description="The segment's id, the coupon's code; of a campaign coupon-campaigns/{id}.")
    ]
    status: Annotated[str, Meta(description="ACTIVE or INACTIVE; an inactive one does not count.")]
    starts: Annotated[bool, Meta(description="Whether it starts within the range.")]
    ends: Annotated[bool, Meta(description="Whether it ends within the range.")]
    name: Annotated[dict[str, str] | None, Meta(description="The name by language.")] = None
    site_code: Annotated[str | None, Meta(description="The code of the segment's site.")] = None
    valid_from: Annotated[
        str | None,
        Meta(extra_json_schema={"format": "date-time"}, description="The first instant; absent: no start."),
    ] = None
    valid_to: Annotated[
        str | None,
        Meta(extra_json_schema={"format": "date-time"}, description="The last instant; absent: no end."),
    ] = None


class Calendar(Body, kw_only=True):
    """The windows that a range of time touches."""

    since: Annotated[
        str, Meta(extra_json_schema={"format": "date-time"}, description="The first instant of the range.")
    ] = msgspec.field(name="from")
    until: Annotated[
        str, Meta(extra_json_schema={"format": "date-time"}, description="The last instant of the range.")
    ] = msgspec.field(name="to")
    entries: Annotated[
        list[CalendarEntry],
        Meta(description="First what starts or ends within the range, in order of time; then the rest."),
    ]
    complete: Annotated[
        bool, Meta(description=f"False when there are more than {MOST_ENTRIES} of a type; narrow the range.")
    ]


@dataclass(frozen=True, slots=True)
class Range:
    """The range that is asked for, and on which site (empty: on all)."""

    tenant_id: int
    since: datetime
    until: datetime
    site_code: str = ""


@dataclass(frozen=True, slots=True)
class CalendarSource:
    """A type of things with windows, for callers with the scope.

    `rows` returns a SELECT of `id`, `name` (jsonb), `site_code`, `status`, `valid_from` and `valid_to` of a
    tenant's things, without regard to the range's time.
    """

    type: str
    scope: str
    rows: Callable[[Range], Sql]


_sources: dict[str, CalendarSource] = {}


def register_calendar(source: CalendarSource) -> None:
    """Have calendars show these things as well."""
    if _sources.setdefault(source.type, source) is not source:
        raise ValueError(f"There are two calendar sources of {source.type}.")


def range_of(
    tenant_id: int, *, at: datetime, since: datetime | None, until: datetime | None, site_code: str
) -> Range:
    """Return the range that is asked for: 14 days from now when nothing is said.

    Raises InvalidInput for one that ends before it starts or is longer than 400 days, and UnknownSite.
    """
    start = since or at
    end = until or start + min(USUAL_RANGE, LAST_MOMENT - start)
    if end < start:
        raise InvalidInput("from must not be later than to.", field="from")
    if end - start > LONGEST_RANGE:
        raise InvalidInput(
            f"A calendar shows at most {LONGEST_RANGE.days} days; send an earlier to.", field="to"
        )
    if site_code:
        require_site(tenant_id, site_code)
    return Range(tenant_id, start, end, site_code)


def calendar_of(range_: Range, *, scopes: Collection[str] | None = None, languages: Languages) -> Calendar:
    """Return the calendar, in one statement for each type that the caller may read."""
    found: list[tuple[SqlValues, CalendarEntry]] = []
    is_complete = True
    for place, source in enumerate(_sources.values()):
        if scopes is not None and source.scope not in scopes:
            continue
        rows = fetch_rows(entries_statement(source.rows(range_), range_, languages))
        is_complete &= len(rows) <= MOST_ENTRIES
        found += [entry_of(source.type, place, row) for row in rows[:MOST_ENTRIES]]
    found.sort(key=lambda each: each[0])
    return Calendar(
        since=format_time(range_.since),
        until=format_time(range_.until),
        entries=[entry for _, entry in found],
        complete=is_complete,
    )


def entries_statement(rows: Sql, range_: Range, languages: Languages) -> Sql:
    """Return the statement of one source's entries, with one more than are shown."""
    return sql(
        "SELECT least(CASE WHEN starts THEN shown.valid_from END, CASE WHEN ends THEN shown.valid_to END),"
        " shown.id, {name}, shown.site_code, shown.status, starts, ends, shown.valid_from, shown.valid_to"
        " FROM ({rows}) AS shown CROSS JOIN LATERAL (SELECT"
        " shown.valid_from BETWEEN {since} AND {until} IS TRUE AS starts,"
        " shown.valid_to BETWEEN {since} AND {until} IS TRUE AS ends) AS changes"
        " WHERE (shown.valid_from IS NULL OR shown.valid_from <= {until})"
        " AND (shown.valid_to IS NULL OR shown.valid_to >= {since})"
        " ORDER BY 1 NULLS LAST, shown.id LIMIT {most}",
        name=Localized("shown.name").json(languages),
        rows=rows,
        since=param(range_.since, "timestamptz"),
        until=param(range_.until, "timestamptz"),
        most=param(MOST_ENTRIES + 1),
    )


def entry_of(kind: str, place: int, row: SqlValues) -> tuple[tuple[object, ...], CalendarEntry]:
    """Return the entry of a row, and what it is sorted by; `place` is that of its type."""
    moment, external_id, name, site_code, status, starts, ends, valid_from, valid_to = row
    entry = CalendarEntry(
        type=kind,
        id=external_id,
        status=status,
        starts=starts,
        ends=ends,
        name=orjson.loads(name) if name else None,
        site_code=site_code,
        valid_from=valid_from and format_time(valid_from),
        valid_to=valid_to and format_time(valid_to),
    )
    return (moment is None, format_time(moment) if moment else "", place, external_id), entry


def segment_rows(range_: Range) -> Sql:
    return sql(
        "SELECT segment.external_id AS id, segment.name, site.code AS site_code, segment.status,"
        " segment.valid_from, segment.valid_to FROM segments_segment AS segment JOIN accounts_site AS site"
        " ON site.tenant_id = segment.tenant_id AND site.id = segment.site_id"
        " WHERE segment.tenant_id = {tenant} AND {on_site}",
        tenant=param(range_.tenant_id),
        on_site=on_site(range_.tenant_id, range_.site_code),
    )


register_calendar(CalendarSource("segment", SEGMENT_READ, segment_rows))


# iCalendar (RFC 5545)


def icalendar(calendar: Calendar, *, tenant: str, languages: Sequence[str]) -> str:
    """Return the starts and ends of a calendar as iCalendar, with an event for each.

    Names are in the first of the languages that they have.
    """
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:-//{escaped(tenant)}//customer segments//EN",
        "METHOD:PUBLISH",
    ]
    for entry in calendar.entries:
        title = text_in(entry.name or {}, languages) or entry.id
        for verb, happens, moment in (
            ("starts", entry.starts, entry.valid_from),
            ("ends", entry.ends, entry.valid_to),
        ):
            if not happens or moment is None:
                continue
            lines += [
                "BEGIN:VEVENT",
                f"UID:{escaped(f'{entry.type}-{entry.id}-{verb}@{tenant}')}",
                f"DTSTAMP:{compact(calendar.since)}",
                f"DTSTART:{compact(moment)}",
                f"SUMMARY:{escaped(f'{title} {verb}')}",
                f"CATEGORIES:{escaped(entry.type)}",
                f"DESCRIPTION:{escaped(f'{entry.type} {entry.id}, {entry.status}')}",
                "END:VEVENT",
            ]
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in folded(line))


def compact(moment: str) -> str:
    """Return an instant of the wire as iCalendar has it, to the second."""
    return moment[:19].replace("-", "").replace(":", "") + "Z"


def escaped(text: str) -> str:
    """Return a text as a value of iCalendar, without the controls that it must not have."""
    for character in ("\\", ";", ","):
        text = text.replace(character, f"\\{character}")
    return CONTROLS.sub("", "\\n".join(text.splitlines()))


def folded(line: str) -> Iterator[str]:
    """Yield the line in parts of at most 75 bytes; all but the first begin with a blank."""
    part = ""
    for character in line:
        if len((part + character).encode()) > LONGEST_LINE:
            yield part
            part = " "
        part += character
    yield part
