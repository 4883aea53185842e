"""What every JSON value must keep to, whichever way it enters: it can be stored, and read again by all.

`source` is the text that the value was read from; most texts show that there is nothing to look for.
"""

import json
import re
from collections.abc import Sequence

DEEPEST = 30
"""How many levels of objects and lists a value may have."""

SHORT = 2_048
"""Up to so many bytes it pays to count brackets first."""

LARGEST_DOCUMENT = 262_144  # bytes of compact JSON

TEXT_OR_NAME = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"[ \t\r\n]*(:?)', re.DOTALL)
"""A text in JSON; what follows tells whether it is the name of a member."""

OUTLINE = bytes.maketrans(b"{}", b"[]")
ALL_BUT_OUTLINE = bytes(set(range(256)) - set(b'[]{}"'))


def is_nested_too_deeply(source: bytes) -> bool:
    """Say whether a JSON text has more than DEEPEST levels.

    That counts members too which a later one of the same name hides from the value.
    """
    has_few_brackets = len(source) <= SHORT and source.count(b"{") + source.count(b"[") <= DEEPEST
    return not (has_few_brackets or is_shallow(source) or is_shallow(without_texts(source)))


def is_shallow(source: bytes) -> bool:
    """Say whether a JSON text shows at once that it has at most DEEPEST levels.

    Its outline are its brackets, all made square, and its quotation marks. Texts without brackets leave pairs
    of marks side by side, one that has brackets a single mark before them. Of the brackets that remain, empty
    pairs are the innermost level: each round takes one level away.
    """
    outline = source.translate(OUTLINE, ALL_BUT_OUTLINE).replace(b'""', b"")
    if b'"' in outline or has_escape(source, b'\\"'):
        return False
    rounds = 0
    while outline and rounds < DEEPEST:
        outline = outline.replace(b"[]", b"")
        rounds += 1
    return not outline


def without_texts(source: bytes) -> bytes:
    """Return a JSON text without the texts in it and the names of its members."""
    unescaped = source.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in source else source
    return b"".join(unescaped.split(b'"')[::2])


def has_escape(source: bytes, escape: bytes) -> bool:
    return b"\\" in source and escape in source  # one byte is looked for ten times as fast as several


def holds_nul(value: object, source: bytes) -> bool:
    """Say whether a text in the value holds U+0000, which PostgreSQL stores nowhere."""
    return has_escape(source, b"\\u0000") and "\x00" in flat_text(value)


def repeated_name(value: object, source: bytes) -> str | None:
    """Return a name that an object in the text has twice, of which the value has only the last; else None.

    RFC 8259 leaves open which of the two counts, so readers differ.
    A text that is nested too deeply is refused before.
    """
    members = member_count(value)
    if source.count(b":") == members or TEXT_OR_NAME.findall(source).count(b":") == members:
        return None
    repeated: list[str] = []

    def note_repeated(pairs: Sequence[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                repeated.append(name)
            seen.add(name)

    json.loads(source, object_pairs_hook=note_repeated, parse_int=str, parse_float=str)
    return repeated[0]


def member_count(value: object) -> int:
    """Return how many members all objects in a JSON value have."""
    match value:
        case dict():
            return len(value) + sum(map(member_count, value.values()))
        case list():
            return sum(map(member_count, value))
    return 0


def flat_text(value: object) -> str:
    """Return every text in a JSON value, member names included, as one."""
    match value:
        case str():
            return value
        case dict():
            return "".join(key + flat_text(entry) for key, entry in value.items())
        case list():
            return "".join(flat_text(entry) for entry in value)
    return ""
