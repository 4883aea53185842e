"""The query parameters and headers that many operations share: how they are read and described."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiParameter

from core.errors import InvalidInput
from core.representation.pages import LARGEST_OFFSET, LARGEST_PAGE

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


def words(query: Mapping[str, str], name: str, *, most: int = 100) -> tuple[str, ...]:
    """Return a parameter that lists texts, separated by commas; blanks around them do not count."""
    found = tuple(word.strip() for word in text(query, name).split(",") if word.strip())
    if len(found) > most:
        raise InvalidInput(f"{name} lists at most {most} entries.", field=name)
    return found


def page_number(query: Mapping[str, str], *, size: int) -> int | None:
    if "pageNumber" not in query:
        return None
    return whole_number(query, "pageNumber", default=1, least=1, most=max(1, LARGEST_OFFSET // size))


def page_size(query: Mapping[str, str], *, default: int) -> int:
    return whole_number(query, "pageSize", default=default, least=1, most=LARGEST_PAGE)


def query_parameter(
    name: str, description: str, *, type: Any = str, enum: list[str] | None = None, required: bool = False
) -> OpenApiParameter:
    """Describe a parameter in the query string."""
    return OpenApiParameter(name, type, OpenApiParameter.QUERY, required, description, enum)


def header_parameter(name: str, description: str, *, type: Any = str) -> OpenApiParameter:
    """Describe a request header."""
    return OpenApiParameter(name, type, OpenApiParameter.HEADER, False, description)


Q = query_parameter("q", "Terms `field:value`, separated by blanks; all must hold.")
SORT = query_parameter("sort", "Fields to sort by, as `field:asc,other.en:desc`.")
FIELDS = query_parameter("fields", "Top-level fields to return, separated by commas; `id` always is.")
PAGE_NUMBER = OpenApiParameter(
    "pageNumber", {"type": "integer", "minimum": 1}, OpenApiParameter.QUERY, False, "The page, from 1."
)
PAGE_SIZE = OpenApiParameter(
    "pageSize",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE},
    OpenApiParameter.QUERY,
    False,
    "Rows a page.",
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
PAGING = (PAGE_NUMBER, PAGE_SIZE, NEXT, PREVIOUS)
