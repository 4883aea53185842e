"""What every JSON value must keep to, whichever way it enters: it can be stored, and read again by all.

`source` is the text that the value was read from; most texts show that there is nothing to look for.
"""

DEEPEST = 30
"""How many levels of objects and lists a value may have."""


def is_nested_too_deeply(value: object, source: bytes) -> bool:
    return source.count(b"{") + source.count(b"[") > DEEPEST and is_deeper_than(value, DEEPEST)


def holds_nul(value: object, source: bytes) -> bool:
    """Say whether a text in the value holds U+0000, which PostgreSQL stores nowhere."""
    return b"\\u0000" in source and "\x00" in flat_text(value)


def is_deeper_than(value: object, levels: int) -> bool:
    """Say whether objects and lists are nested deeper than so many levels."""
    nested = [value]  # all values of one level
    for _ in range(levels):
        inner: list[object] = []
        for entry in nested:
            if isinstance(entry, dict):
                inner += entry.values()
            elif isinstance(entry, list):
                inner += entry
        if not inner:
            return False
        nested = inner
    return any(isinstance(entry, dict | list) for entry in nested)


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
