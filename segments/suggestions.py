"""What somebody may have meant by a number, e-mail address, id or code that is not found."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from core.imports.merge_specs import MergeSpec
from core.imports.other_names import as_stored
from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import fetch_rows

MOST_SOUGHT: Final = 100
NEIGHBOURS: Final = 8
SHORTEST: Final = 3
LEAST_LIKENESS: Final = 0.75


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The id of what is close, and its number, e-mail address or code that is."""

    id: str
    name: str


def closest(spec: MergeSpec, alias: str, *, tenant_id: int, texts: Collection[str]) -> dict[str, Suggestion]:
    """Return the closest name of each of the first 100 texts that something has, where one is close enough.

    Only the neighbours of a text in the order of the indexes are compared with it, and those of the text
    without its first character or with the first two exchanged.
    """
    sought = [text for text in dict.fromkeys(texts) if len(text) >= SHORTEST][:MOST_SOUGHT]
    if not sought:
        return {}
    [reference] = [one for one in spec.references if one.alias == alias]
    ways = [(reference.identifier, "{value}")]
    ways += [(one.identifier, one.folded) for one in spec.other_names if one.reference == alias]
    best: dict[str, tuple[float, Suggestion]] = {}
    for name, folded in ways:
        for place, found_id, found_name in neighbours(reference.table, name, folded, tenant_id, sought):
            text = sought[place]
            likeness = SequenceMatcher(None, text.lower(), found_name.lower()).ratio()
            if likeness >= LEAST_LIKENESS and likeness > best.get(text, (0.0, None))[0]:
                best[text] = likeness, Suggestion(found_id, found_name)
    return {text: suggestion for text, (_, suggestion) in best.items()}


def neighbours(
    table: str, name: str, folded: str, tenant_id: int, sought: Sequence[str]
) -> list[tuple[int, str, str]]:
    """Return the place of a text, and the id and name of each neighbour, in one statement."""
    pairs = [(place, form) for place, text in enumerate(sought) for form in forms(text)]
    column = Sql(folded.format(value=identifier("row", name).sql))
    value = Sql(folded.format(value="given.text"))
    sides = [
        sql(
            "(SELECT row.external_id, row.{name} AS name FROM {table} AS row WHERE row.tenant_id = {tenant}"
            " AND {column} {sign} {value} ORDER BY {column}{order} LIMIT {most})",
            name=identifier(name),
            table=identifier(table),
            tenant=param(tenant_id),
            column=column,
            sign=Sql(sign),
            value=value,
            order=Sql(order),
            most=param(NEIGHBOURS),
        )
        for sign, order in ((">=", ""), ("<", " DESC"))
    ]
    return fetch_rows(
        sql(
            "SELECT given.place, near.external_id, near.name FROM unnest({places}, {texts})"
            " AS given (place, text) CROSS JOIN LATERAL ({both}) AS near WHERE near.name IS NOT NULL",
            places=param([place for place, _ in pairs], "int[]"),
            texts=param([as_stored(form) for _, form in pairs], "text[]"),
            both=Sql.joined(" UNION ALL ", sides),
        )
    )


def forms(text: str) -> Iterator[str]:
    """Yield the text, and as it may have been before a slip at its beginning."""
    yield text
    yield text[1:]
    yield text[1] + text[0] + text[2:]
