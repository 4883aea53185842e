"""What the values of one category must keep, whichever door they come through."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from catalog.errors import InvalidCategory

LONGEST_NUMBER = 128
MOST_NUMBERS = 200
MOST_MIXINS = 100
LONGEST_URL = 2_000

# The published pattern has no blanks, the published example has one; what both share is required.
_MIXIN_NAME = re.compile(r"[A-Za-z0-9_][^\x00-\x1f]{0,199}")
_URL = re.compile(r"https?://[^\s/$.?#]\S*")


def check_slugs(slugs: Mapping[str, str]) -> None:
    """Raise InvalidCategory naming the first diacritic: slugs stand in addresses."""
    for language, slug in slugs.items():
        for character in slug:
            if has_diacritic(character):
                raise InvalidCategory(
                    f"Category slug contains diacritics: localizedSlug.{language} has '{character}'",
                    field=f"localizedSlug.{language}",
                )


def has_diacritic(character: str) -> bool:
    """Say whether the character is a letter with a mark, such as é or ø, or a mark to combine with one."""
    if character.isascii():
        return False
    return 0x300 <= ord(character) <= 0x36F or " WITH " in unicodedata.name(character, "")


def check_numbers(numbers: Sequence[object]) -> tuple[str, ...]:
    """Return the external category numbers; raise InvalidCategory for one too long, or there twice."""
    if len(numbers) > MOST_NUMBERS:
        raise InvalidCategory(f"ecn lists at most {MOST_NUMBERS} numbers", field="ecn")
    checked = [number for number in numbers if isinstance(number, str) and 1 <= len(number) <= LONGEST_NUMBER]
    if len(checked) < len(numbers):
        raise InvalidCategory(f"Each ecn is a text of 1 to {LONGEST_NUMBER} characters", field="ecn")
    if len(set(checked)) < len(checked):
        raise InvalidCategory("ecn lists the same number twice", field="ecn")
    return tuple(checked)


def check_own_mixins(mixins: Sequence[object]) -> list[dict[str, Any]]:
    """Return the classification mixins, all attributes set; raise InvalidCategory naming the faulty one."""
    field = "ownClassificationMixins"
    if len(mixins) > MOST_MIXINS:
        raise InvalidCategory(f"{field} lists at most {MOST_MIXINS} mixins", field=field)
    return [_check_own_mixin(mixin, f"{field}[{index}]") for index, mixin in enumerate(mixins)]


def _check_own_mixin(mixin: object, field: str) -> dict[str, Any]:
    if not isinstance(mixin, Mapping):
        raise InvalidCategory(f"{field} must be an object", field=field)
    name, url, required = mixin.get("name"), mixin.get("schemaUrl"), mixin.get("required")
    if not isinstance(name, str) or not _MIXIN_NAME.fullmatch(name):
        raise InvalidCategory(
            f"{field}.name must begin with a letter, a digit or _ and have at most 200 characters",
            field=f"{field}.name",
        )
    if not isinstance(url, str) or len(url) > LONGEST_URL or not _URL.fullmatch(url):
        raise InvalidCategory(
            f"{field}.schemaUrl must be an http or https address", field=f"{field}.schemaUrl"
        )
    if required is not None and not isinstance(required, bool):
        raise InvalidCategory(f"{field}.required must be true or false", field=f"{field}.required")
    return {"name": name, "schemaUrl": url, "required": bool(required)}
