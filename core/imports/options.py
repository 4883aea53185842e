"""Options of import commands, as they are typed."""

import codecs
from argparse import ArgumentTypeError

from core.imports.removals import RemovalLimit, read_removal_limit

MOST_SECONDS = 86_400


def whole_number(text: str) -> int:
    if not text.isdecimal() or int(text) > 2_147_483_647:
        raise ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def positive_number(text: str) -> int:
    if not whole_number(text):
        raise ArgumentTypeError("at least 1")
    return int(text)


def seconds(text: str) -> float:
    """Read a number of seconds, such as 30 or 2.5."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= MOST_SECONDS:
        raise ArgumentTypeError(f"a number of seconds, at most {MOST_SECONDS:,}")
    return number


def delimiter(text: str) -> str:
    """Read a delimiter; a tab may be written as `\\t` or `tab`."""
    characters = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if not characters or set(characters) & set('"\r\n'):
        raise ArgumentTypeError(f"{text!r} must be a character or several, or tab")
    return characters


def encoding(text: str) -> str:
    try:
        "".encode(text)  # refuses what is no encoding of texts, such as rot13
        return codecs.lookup(text).name
    except LookupError:
        raise ArgumentTypeError(
            f"{text!r} is not an encoding that is known; try utf-8, utf-16, cp1252 or latin-1"
        ) from None


def renaming(text: str) -> tuple[str, str]:
    """Read `NAME=COLUMN`; without a column the name is left out."""
    name, separator, column = text.rpartition("=")
    if not separator or not name.strip():
        raise ArgumentTypeError(f"{text!r} must be NAME=COLUMN, such as Email=contactEmail")
    return name.strip(), column.strip()


def named_value(text: str) -> tuple[str, str]:
    """Read `COLUMN=VALUE`."""
    name, separator, value = text.partition("=")
    if not separator or not name.strip() or not value.strip():
        raise ArgumentTypeError(f"{text!r} must be COLUMN=VALUE, such as published=true")
    return name.strip(), value.strip()


def replaced_value(text: str) -> tuple[str, str, str]:
    """Read `NAME=VALUE=NEW`."""
    name, separator, values = text.partition("=")
    value, second, new = values.rpartition("=")
    if not (separator and second and name.strip() and value.strip()):
        raise ArgumentTypeError(f"{text!r} must be NAME=VALUE=NEW, such as Published=-1=false")
    return name.strip(), value.strip(), new.strip()


def column_list(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def removal_limit(text: str) -> RemovalLimit:
    """Read a number of rows, or a share of them in percent."""
    limit = read_removal_limit(text)
    if limit is None:
        raise ArgumentTypeError(f"{text!r} must be a number of rows, or a share from 0% to 100%")
    return limit
