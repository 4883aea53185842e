"""Readable names, in English and German, for the capitals and short forms of the source."""

import re

from config.demo.german import CATEGORIES, DEPARTMENTS

WORD = re.compile(r"[A-Za-z][A-Za-z']*")
NOT_IN_A_SLUG = re.compile(r"[^a-z0-9]+")
ENGLISH = {
    "CHARITABLE CONT": "Charitable Contributions",
    "CNTRL/STORE SUP": "Store Supplies",
    "DRUG GM": "Drugstore & General Merchandise",
    "ELECT &PLUMBING": "Electrical & Plumbing",
    "GM MERCH EXP": "Merchandising Expenses",
    "MEAT-PCKGD": "Packaged Meat",
    "PROD-WHS SALES": "Produce Wholesale",
    "SEAFOOD-PCKGD": "Packaged Seafood",
}
"""Departments whose name in the source is no English."""


def readable(text: str) -> str:
    """Return a name in capitals as it would be written: "ICE - CRUSHED/CUBED" as "Ice - Crushed/Cubed"."""
    return WORD.sub(lambda word: word[0][0] + word[0][1:].lower(), " ".join(text.split()))


def category_names(path: tuple[str, ...]) -> dict[str, str]:
    """Return the names of a category by language, from the names of the source on the way down to it.

    German falls back to the English text below the levels that the dictionary knows.
    """
    name = path[-1]
    if len(path) == 1:
        return {"en": ENGLISH.get(name, readable(name)), "de": DEPARTMENTS[name]}
    english = readable(name)
    return {"en": english, "de": CATEGORIES.get(name, english)}


def slug(text: str) -> str:
    """Return a text as a part of an id: lower-case letters, digits and hyphens."""
    return NOT_IN_A_SLUG.sub("-", text.lower()).strip("-")
