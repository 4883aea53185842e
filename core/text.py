"""Texts as people write them: composed characters, and what can be seen of them."""

import re
import unicodedata
from decimal import Decimal
from itertools import groupby

from core.json_types import JsonMapping, JsonObject

FREE_FIELD = "mixins"  # clients keep there what they like, and read it back unchanged
FLAGS = {
    **dict.fromkeys(("true", "1", "yes", "ja", "wahr"), True),
    **dict.fromkeys(("false", "0", "no", "nein", "falsch"), False),
}
"""What people write for true and false, in small letters."""


def plain(number: Decimal) -> str:
    """Return the number without an exponent and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


PIECE = 64
"""Marks of up to two such pieces may be left to unicodedata to order; real texts have a few in a row."""

COMPOSED_OF_MARKS = "\u0f73\u0f75\u0f81"  # of combining class 0, but what they decompose to are marks


def normalized(text: str) -> str:
    """Return the text in NFC, so that one written with combining marks equals one written without."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _in_canonical_order(text) if _has_many_marks(text) else text)


def _has_many_marks(text: str) -> bool:
    """Say whether a piece of the text is nothing but marks, as one is in any run of twice its length."""
    return len(text) > PIECE and any(
        all(map(_is_mark, text[start : start + PIECE])) for start in range(0, len(text), PIECE)
    )


def _is_mark(character: str) -> bool:
    return unicodedata.combining(character) > 0 or character in COMPOSED_OF_MARKS


def _in_canonical_order(text: str) -> str:
    """Return the text decomposed, its marks in the order that Unicode asks for (NFD).

    unicodedata orders the marks after a letter by insertion, in a time that grows with the square of their
    number, during which no other thread runs. With the marks in order it has nothing to move.
    """
    pieces = (text[start : start + PIECE] for start in range(0, len(text), PIECE))
    decomposed = "".join(unicodedata.normalize("NFD", piece) for piece in pieces)
    runs = groupby(decomposed, key=_is_mark)
    return "".join(
        "".join(sorted(run, key=unicodedata.combining) if are_marks else run) for are_marks, run in runs
    )


def is_normalized_utf8(text: bytes) -> bool:
    """Say whether a text in UTF-8, and so each part of it, is in NFC.

    Marks out of order are a no at once, so this never orders many of them.
    """
    return text.isascii() or unicodedata.is_normalized("NFC", text.decode())


def normalized_json(value: object) -> object:
    """Return a JSON value with all its texts and member names in NFC, apart from `mixins`."""
    match value:
        case str():
            return normalized(value)
        case list():
            return [normalized_json(entry) for entry in value]
        case dict():
            return normalized_object(value)
    return value


def normalized_object(body: JsonMapping) -> JsonObject:
    """Return an object of JSON with all its texts and member names in NFC, apart from `mixins`."""
    return {
        normalized(name): entry if name == FREE_FIELD else normalized_json(entry)
        for name, entry in body.items()
    }


ZERO_WIDTH_SPACE = "\u200b"

INVISIBLE = (
    r"\u0001-\u0020\u007f-\u00a0\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    r"\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164"
    r"\ud800-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff"
    r"\U000110bd\U000110cd\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
"""What shows nothing by itself, in a class of characters as Python and PostgreSQL write it.

Blanks, controls, marks of formatting, characters for private use, and letters and marks that are empty:
fillers, the blank of Braille, variation selectors. What Unicode has not assigned yet is left out: an emoji
may be newer than Python.
"""

has_visible_character = re.compile(rf"[^\x00{INVISIBLE}]").search
"""Whether anything of a text can be seen: it is more than blanks, controls and invisible marks."""


def invisible_character(text: str) -> str:
    """Name the first character of the text that cannot be seen; empty when there is none."""
    for character in text:
        if unicodedata.category(character) in ("Cf", "Cc", "Zl", "Zp") or (
            character != " " and unicodedata.category(character) == "Zs"
        ):
            name = unicodedata.name(character, "control character")
            return f"{name} (U+{ord(character):04X})"
    return ""


TYPOGRAPHIC_QUOTES = "“”„‟‘’‚‛«»‹›"

_ADDED = (
    r"\s\u0000-\u0020\u007f-\u00a0\u00ad\u061c\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\ufeff\ufff9-\ufffb"
    + TYPOGRAPHIC_QUOTES
)
"""What pasting adds at the ends of a text: blanks, controls, marks of formatting, curly quotes.

No marks of formatting that are seen, such as the signs before Arabic numbers, nor those of emoji.
"""

is_added_by_pasting = re.compile(f"[{_ADDED}]").match


def trimmed(text: str) -> str:
    """Return the text without what pasting adds at its ends: blanks, invisible characters, curly quotes.

    E-mails, ids and coupon codes are trimmed by this rule wherever they enter.
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    start, end = 0, len(text)
    while start < end and is_added_by_pasting(text[start]):
        start += 1
    while start < end and is_added_by_pasting(text[end - 1]):
        end -= 1
    return text[start:end]


ID_AS_STORED = rf"^(?!\d[.,]\d+[Ee]\+\d+$)([^{_ADDED}]([\s\S]*[^{_ADDED}])?)?$(?!\n)"
"""Matches a text that can be an id as it is: nothing to trim, and no number that a spreadsheet shortened."""

CODE_AS_STORED = rf"^([^{_ADDED}]([\s\S]*[^{_ADDED}])?)?$(?!\n)"
"""Matches a text that can be a code as it is: nothing to trim."""

SPREADSHEET_NUMBER = re.compile(r"\d[.,]\d+E[+-]?\d+", re.IGNORECASE)


def fault_of_id(text: str) -> str:
    """Say what people overlook in a text that cannot be an id; empty when nothing is known.

    An invisible character, or a long number that a spreadsheet has shortened.
    """
    if hidden := invisible_character(text):
        return f"it has the invisible character {hidden}"
    if SPREADSHEET_NUMBER.fullmatch(text):
        return (
            f"{text} looks like a long number that a spreadsheet shortened:"
            " format the column as text and enter the ids again"
        )
    return ""
