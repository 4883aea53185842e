"""Localized fields: maps of language to text, as clients write them, and the languages that they accept.

Languages are compared as BCP 47 asks: without regard to case, `_` being as good as `-`. Regions match both
ways: `de-CH` finds `de`, and `en` finds `en-US`. The SQL function `cut_translations` applies the same rule to
what is read.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final, Protocol, Self

from core.errors import InvalidInput
from core.json_types import JsonObject
from core.text import has_visible_character

MAX_HEADER_LENGTH = 500
MAX_HEADER_ENTRIES = 50
MAX_TRANSLATIONS = 100
MAX_TAG_LENGTH = 35  # what BCP 47 recommends room for

ANY = "*"

_TAG = re.compile(r"[a-zA-Z]{2,3}(?:[-_][a-zA-Z0-9]{2,8})*")
_SEPARATOR = re.compile("[-_]")
_QUALITY = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL has no text with these


class CustomType(Protocol):
    """What bodies hold and msgspec has no type for, as Translations."""

    @classmethod
    def read(cls, value: object, languages: "LanguageContext", *, field: str) -> object: ...

    @classmethod
    def schema(cls) -> JsonObject: ...


@dataclass(frozen=True, slots=True)
class LanguageContext:
    """The language of a localized field that is written as a plain text; `allowed` ones, or None for any."""

    content_language: str | None
    default_language: str
    allowed: Collection[str] | None = None

    def read(self, kind: type[CustomType], value: object) -> object:
        """Read a value of such a type for msgspec. A fault gets its field's name when it is sought again."""
        return kind.read(value, self, field="")


NO_LANGUAGES: Final = LanguageContext(None, "en")


class Translations(dict[str, str]):
    """A localized field: a map of language to text, or a text in the language of Content-Language."""

    max_length: ClassVar[int] = 10_000

    @classmethod
    def read(cls, value: object, languages: LanguageContext, *, field: str) -> Self:
        """Return the texts by language; raise InvalidInput naming the field that is wrong."""
        translations = cls(
            read_translations(
                value,
                languages.content_language,
                languages.default_language,
                field=field,
                max_length=cls.max_length,
            )
        )
        allowed = languages.allowed
        if allowed is not None and (unknown := unconfigured_languages(translations, allowed)):
            raise cls.unsupported(unknown, allowed, field)
        translations.check(field)
        return translations

    @classmethod
    def unsupported(cls, unknown: Collection[str], allowed: Collection[str], field: str) -> InvalidInput:
        """Return the error of texts in languages that are not allowed."""
        return InvalidInput(
            f"{field} has {', '.join(unknown)}; the languages are {', '.join(allowed)}.", field=field
        )

    def check(self, field: str) -> None:
        """Raise InvalidInput when the texts break a rule of the class."""

    @classmethod
    def schema(cls) -> dict[str, object]:
        """Return the JSON Schema."""
        text = {"type": "string", "maxLength": cls.max_length}
        return {"oneOf": [{"type": "object", "additionalProperties": text}, text]}


class Name(Translations):
    """The localized name of a thing: at least one of its texts can be seen."""

    max_length = 500

    def check(self, field: str) -> None:
        if not any(map(has_visible_character, self.values())):
            raise InvalidInput(f"{field} needs a text in at least one language.", field=field)


def accepted_languages(header: str | None) -> tuple[str, ...] | None:
    """Return the languages of an Accept-Language header, best first; None when nothing is to be cut.

    That is so without a header, with one that names no language, and when `*` ranks first. A `*` further
    down changes nothing: it would count only where no named language is present, and there the tenant's
    default language is used. Languages with `q=0` are left out. Faulty entries are ignored, and so is
    what goes beyond the bounds of this module. Entries of equal quality keep their order.
    """
    if not header:
        return None
    ranked: dict[str, tuple[float, str]] = {}
    for quality, tag in _entries(header):
        ranked.setdefault(_folded(tag), (quality, tag))
    best_first = sorted(
        (entry for entry in ranked.values() if entry[0] > 0), key=lambda entry: entry[0], reverse=True
    )
    tags = [tag for _, tag in best_first]
    if not tags or tags[0] == ANY:
        return None
    return tuple(tag for tag in tags if tag != ANY)


def unsupported_languages(accepted: tuple[str, ...] | None, configured: Collection[str]) -> list[str]:
    """Return the languages to read that match no configured one, best first. Regions match both ways."""
    if not accepted:
        return []
    known = {_folded(language): language for language in configured}
    return [tag for tag in accepted if _find(tag, known) is None]


def unconfigured_languages(written: Collection[str], configured: Collection[str]) -> list[str]:
    """Return the languages to write that are not configured, neither themselves nor as their base."""
    known = {_folded(language) for language in configured}
    return [tag for tag in written if known.isdisjoint(map(_folded, with_bases(tag)))]


def text_in(texts: Mapping[str, str], languages: Iterable[str]) -> str:
    """Return the text in the first of the languages that has one; else any text, empty for none."""
    stored = {_folded(language): language for language, text in texts.items() if text}
    for tag in languages:
        if (found := _find(tag, stored)) is not None:
            return texts[found]
    return next(filter(None, texts.values()), "")


def with_bases(tag: str) -> tuple[str, ...]:
    """Return the language and all that it is based on, the nearest first: `de-CH`, then `de`."""
    ends = [len(tag), *reversed([separator.start() for separator in _SEPARATOR.finditer(tag)])]
    return tuple(tag[:end] for end in ends)


def read_translations(
    value: object, content_language: str | None, default_language: str, *, field: str, max_length: int
) -> dict[str, str]:
    """Return what a client wrote for a localized field as a map of language to text.

    A map is taken as it is. A text is in one language: the one of the Content-Language header or,
    without a header or with `*`, the tenant's default language. Raises InvalidInput, naming `field`, for any
    other type, for a text with a Content-Language that is not one language, for a key that is none or comes
    twice, and for a text that is longer than `max_length` characters or cannot be stored.
    """
    if isinstance(value, str):
        language = _content_language(content_language, field=field) or default_language
        return {language: _storable(value, field=field, max_length=max_length)}
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{field} must be a map of language to text, or a text.", field=field)
    if len(value) > MAX_TRANSLATIONS:
        raise InvalidInput(f"{field} has more than {MAX_TRANSLATIONS} languages.", field=field)
    if not all(map(_is_language, value)):
        raise InvalidInput(f"{field} has a key that is not a language such as en or de-CH.", field=field)
    if len({_folded(language) for language in value}) < len(value):
        raise InvalidInput(f"{field} has the same language twice.", field=field)
    return {
        language: _storable(text, field=f"{field}.{language}", max_length=max_length)
        for language, text in value.items()
    }


def _content_language(header: str | None, *, field: str) -> str | None:
    language = (header or "").strip()
    if language in ("", ANY):
        return None
    if not _is_language(language):
        raise InvalidInput(f"{field} is a text, so Content-Language must name its one language.", field=field)
    return language


def _is_language(tag: object) -> bool:
    return isinstance(tag, str) and len(tag) <= MAX_TAG_LENGTH and _TAG.fullmatch(tag) is not None


def _entries(header: str) -> Iterator[tuple[float, str]]:
    """Yield quality and language (or `*`) of each entry that is well formed."""
    entries = header[:MAX_HEADER_LENGTH].split(",")
    if len(header) > MAX_HEADER_LENGTH:
        entries.pop()  # it may have been cut in the middle
    for entry in entries[:MAX_HEADER_ENTRIES]:
        tag, *parameters = (part.strip() for part in entry.split(";"))
        if tag != ANY and not _is_language(tag):
            continue
        if not parameters:
            yield 1.0, tag
        elif len(parameters) == 1 and (quality := _QUALITY.fullmatch(parameters[0])):
            yield float(quality[1]), tag


def _find(tag: str, stored: Mapping[str, str]) -> str | None:
    """Return the stored language for the tag: itself, its nearest base, or the shortest that begins with it.

    The keys of `stored` are folded.
    """
    folded = base = _folded(tag)
    while base not in stored:
        base, separator, _ = base.rpartition("-")
        if not separator:
            regions = [language for language in stored if language.startswith(f"{folded}-")]
            return stored[min(regions, key=lambda language: (len(language), language))] if regions else None
    return stored[base]


@lru_cache(maxsize=1_024)
def _folded(tag: str) -> str:
    return tag.lower().replace("_", "-")


def _storable(text: object, *, field: str, max_length: int) -> str:
    if not isinstance(text, str):
        raise InvalidInput(f"{field} must be a text.", field=field)
    if len(text) > max_length:
        raise InvalidInput(f"{field} has more than {max_length} characters.", field=field)
    if _UNSTORABLE.search(text):
        raise InvalidInput(f"{field} has a character that cannot be stored.", field=field)
    return text
