"""Texts as people write them: composed characters, and what can be seen of them."""

import unicodedata

FREE_FIELD = "mixins"  # clients keep there what they like, and read it back unchanged


def normalized(text: str) -> str:
    """Return the text in NFC, so that one written with combining marks equals one written without."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def normalized_json(value: object) -> object:
    """Return a JSON value with all its texts and member names in NFC, apart from `mixins`."""
    match value:
        case str():
            return normalized(value)
        case list():
            return [normalized_json(entry) for entry in value]
        case dict():
            return {
                normalized(name): entry if name == FREE_FIELD else normalized_json(entry)
                for name, entry in value.items()
            }
    return value


def has_visible_character(text: str) -> bool:
    """Say whether anything of the text can be seen: it is more than blanks, controls and invisible marks."""
    return any(unicodedata.category(character)[0] not in "ZC" for character in text)


def invisible_character(text: str) -> str:
    """Name the first character of the text that cannot be seen; empty when there is none."""
    for character in text:
        if unicodedata.category(character) in ("Cf", "Cc", "Zl", "Zp") or (
            character != " " and unicodedata.category(character) == "Zs"
        ):
            name = unicodedata.name(character, "control character")
            return f"{name} (U+{ord(character):04X})"
    return ""


def trimmed(text: str) -> str:
    """Return the text without blanks and invisible characters at its ends, which people paste unseen."""
    if text.isascii() and text.isprintable():
        return text.strip()
    visible = [index for index, character in enumerate(text) if has_visible_character(character)]
    return text[visible[0] : visible[-1] + 1] if visible else ""


INVISIBLE_AT_ENDS = " \u00a0\u00ad\u200b\u200e\u200f\u2060\ufeff"
TYPOGRAPHIC_QUOTES = "\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a"


def trimmed_id(text: str) -> str:
    """Return an id without invisible characters and typographic quotes around it, which come with pasting."""
    if text.isascii():
        return text
    text = text.strip(INVISIBLE_AT_ENDS)
    if len(text) > 2 and text[0] in TYPOGRAPHIC_QUOTES and text[-1] in TYPOGRAPHIC_QUOTES:
        text = text[1:-1].strip(INVISIBLE_AT_ENDS)
    return text
