"""The query parameters and headers that many operations share: how they are read and described."""

import re
from collections.abc import Mapping, Sequence

from drf_spectacular.utils import OpenApiParameter

from core.errors import InvalidInput
from core.representation.fields import Languages
from core.representation.pages import LARGEST_OFFSET, LARGEST_PAGE, PageRequest

LARGEST_TEXT = 4_000


def given(query: Mapping[str, str], name: str) -> str:
    """Return a parameter as it was sent, empty when it is absent.

    Django's QueryDict raises and catches two errors to find out that one is absent, as most are.
    """
    return query[name] if name in query else ""  # noqa: SIM401 -- as said


def text(query: Mapping[str, str], name: str) -> str:
    """Return a parameter's text, empty when it is absent."""
    value = given(query, name)
    if len(value) > LARGEST_TEXT:
        raise InvalidInput(f"{name} is longer than {LARGEST_TEXT} characters.", field=name)
    return value


def texts(query: Mapping[str, str], *names: str) -> tuple[str, ...]:
    """Return the texts of several parameters, empty where one is absent."""
    return tuple([text(query, name) for name in names])


def flag(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Return a parameter that is true or false, in any case."""
    match given(query, name).strip().lower():
        case "":
            return default
        case "true":
            return True
        case "false":
            return False
    raise InvalidInput(f"{name} is true or false, not {query[name][:40]!r}.", field=name)


def whole_number(query: Mapping[str, str], name: str, *, default: int, least: int, most: int) -> int:
    """Return a parameter that is a whole number within bounds."""
    value = given(query, name).strip()
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or len(value) > 12 or not least <= int(value) <= most:
        raise InvalidInput(
            f"{name} is a whole number from {least} to {most}, not {value[:40]!r}.", field=name
        )
    return int(value)


def key_in(text: str) -> int:
    """Return the key that a part of an address is; 0, which no row has, for what is no key."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0


def words(query: Mapping[str, str], name: str, *, most: int = 100) -> tuple[str, ...]:
    """Return a parameter that lists texts, separated by commas; blanks around them do not count."""
    if not (listed := text(query, name)):
        return ()
    found = tuple(word.strip() for word in listed.split(",") if word.strip())
    if len(found) > most:
        raise InvalidInput(f"{name} lists at most {most} entries.", field=name)
    return found


def page_number(query: Mapping[str, str], *, size: int) -> int | None:
    if "pageNumber" not in query:
        return None
    return whole_number(query, "pageNumber", default=1, least=1, most=max(1, LARGEST_OFFSET // size))


def page_size(query: Mapping[str, str], *, default: int) -> int:
    return whole_number(query, "pageSize", default=default, least=1, most=LARGEST_PAGE)


def page_request(
    query: Mapping[str, str], *, default_size: int, languages: Languages, wants_count: bool | None
) -> PageRequest:
    """Read which page of a list a client asks for; without `wants_count`, totalCount asks for the count."""
    if not query:
        return PageRequest(default_size, languages=languages, wants_count=bool(wants_count))
    size = page_size(query, default=default_size)
    number = page_number(query, size=size)
    after, before = query.get("next"), query.get("prev")
    if (number is not None) + (after is not None) + (before is not None) > 1:
        raise InvalidInput("Send one of pageNumber, next and prev, not several.", field="next")
    return PageRequest(
        size,
        number=number,
        after=after,
        before=before,
        sort=text(query, "sort"),
        fields=words(query, "fields"),
        languages=languages,
        wants_count=flag(query, "totalCount") if wants_count is None else wants_count,
    )


def query_parameter(
    name: str, description: str, *, type: type = str, enum: list[str] | None = None, required: bool = False
) -> OpenApiParameter:
    """Describe a parameter in the query string."""
    return OpenApiParameter(name, type, OpenApiParameter.QUERY, required, description, enum)


def header_parameter(name: str, description: str, *, type: type = str) -> OpenApiParameter:
    """Describe a request header."""
    return OpenApiParameter(name, type, OpenApiParameter.HEADER, False, description)


Q_OPERATORS = """\
Terms `field:value`, separated by blanks; all must hold.

`f:abc` `f:"a b"` equals, `f:>5` `f:>=5` `f:<5` `f:<=5` compares (dates in double quotes), `f:(>=10 AND <20)`
is a range, `f:(a,b,"c d")` is one of, `f:~abc` `f:(~a b)` matches a regular expression, `f:null` is null or
absent, `f:exists` and `f:missing` test presence. `compoundLogicalQuery:((a:1) OR (b:2))` combines terms with
nested `AND`, `OR` and `NOT (...)`. Times can be relative: `f:>now-30d`, `f:<today+1w` (`h d w m y`; `today`
begins in the time zone of the site). Languages and members of free objects are named by a dot: `name.en`,
`mixins.a.b`."""


def q_parameter(fields: Sequence[str]) -> OpenApiParameter:
    """Describe the parameter `q` of a list with these fields."""
    listed = f"\n\nFields: {', '.join(f'`{name}`' for name in fields)}." if fields else ""
    return query_parameter("q", Q_OPERATORS + listed)


Q = q_parameter(())
SORT = query_parameter("sort", "Fields to sort by, as `field:asc,other.en:desc`.")
FIELDS = query_parameter("fields", "Top-level fields to return, separated by commas; `id` always is.")
PAGE_NUMBER = OpenApiParameter(
    "pageNumber", {"type": "integer", "minimum": 1}, OpenApiParameter.QUERY, False, "The page, from 1."
)


def page_size_parameter(default: int) -> OpenApiParameter:
    """Describe the parameter `pageSize` of a list that has so many rows a page."""
    bounds = {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": default}
    return OpenApiParameter(
        "pageSize", bounds, OpenApiParameter.QUERY, False, f"Rows a page; {default} when absent."
    )


NEXT = query_parameter("next", "Go on after the row of this cursor, from the answer's X-Next-Cursor.")
PREVIOUS = query_parameter("prev", "Go back before the row of this cursor, from the answer's X-Prev-Cursor.")


def total_count(header: str, *, by_parameter: bool) -> OpenApiParameter:
    """Describe how a service's clients ask for the number of all rows, which `header` answers."""
    if by_parameter:
        return query_parameter(
            "totalCount", f"Ask for the header {header}: how many rows there are in all.", type=bool
        )
    return header_parameter(
        header, f"Ask for the header {header}: how many rows there are in all.", type=bool
    )


ACCEPT_LANGUAGE = header_parameter(
    "Accept-Language", "Languages to cut localized fields to; absent or `*` returns whole maps."
)
CONTENT_LANGUAGE = header_parameter(
    "Content-Language", "The language of localized fields that the body gives as plain texts."
)
IF_NONE_MATCH = header_parameter("If-None-Match", "Answer 304 without a body while the ETag is among these.")
CREATE_ONLY = header_parameter(
    "If-None-Match", "`*`: write only what does not exist yet, else answer 412. Extension."
)
IF_MATCH = header_parameter(
    "If-Match", "Write only while the document has one of these ETags, else answer 412. Extension."
)


def paging(default_size: int) -> tuple[OpenApiParameter, ...]:
    """Describe the parameters that choose a page."""
    return PAGE_NUMBER, page_size_parameter(default_size), NEXT, PREVIOUS


def response_header(name: str, description: str, *statuses: int, type: type = str) -> OpenApiParameter:
    """Describe a header of the responses with these statuses."""
    return OpenApiParameter(
        name,
        type,
        OpenApiParameter.HEADER,
        description=description,
        response=[str(status) for status in statuses],
    )
