"""Rows of files that name something by an e-mail address or a code instead of its id."""

from collections.abc import Collection, Mapping
from typing import TypeGuard

from core.bodies import LONGEST_REFERENCE
from core.errors import InvalidInput
from core.imports.merge_specs import MergeSpec
from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import fetch_rows
from core.text import fault_of_id, normalized, trimmed

STAND_IN = "-"
"""Read in place of an id that a row lacks, and never used."""


def other_name(body: Mapping[str, object], member: str, *, instead_of: str) -> str | None:
    """Return the other name of a row, as it is stored; None when it has the id. Refuses both of them."""
    value = body.get(member)
    if value is None:
        return None
    if body.get(instead_of) is not None:
        raise InvalidInput(f"Give {instead_of} or {member}, not both.", field=member)
    if not (found := as_stored(value)):
        raise InvalidInput(f"{member} must be a text.", field=member)
    return found


def as_stored(value: object) -> str | None:
    """Return a text in the form in which texts are stored; None for what is no text."""
    return normalized(trimmed(value)) if isinstance(value, str) else None


def id_as_stored(value: object) -> object:
    """Return an id in the form in which ids are stored; what is no text as it is."""
    return as_stored(value) if isinstance(value, str) else value


def is_reference(value: object) -> TypeGuard[str]:
    """Say whether a value can be the id of something; a number that a spreadsheet shortened means any."""
    return isinstance(value, str) and 1 <= len(value) <= LONGEST_REFERENCE and not fault_of_id(value)


def ids_of(spec: MergeSpec, alias: str, *, tenant_id: int, texts: Collection[str]) -> dict[str, str]:
    """Return the ids that texts mean of what a row of this kind names: an id comes before another name.

    Resolves by the declarations that the import itself resolves by, in a statement for each of them.
    """
    [reference] = [one for one in spec.references if one.alias == alias]
    ways = [(reference.identifier, "{value}")]
    ways += [(one.identifier, one.folded) for one in spec.other_names if one.reference == alias]
    found: dict[str, str] = {}
    for name, folded in ways:
        if not (left := [text for text in texts if text not in found]):
            break
        stored = f"{identifier(alias, name).sql}"
        rows = fetch_rows(
            sql(
                "SELECT given.text, {alias}.external_id"
                " FROM unnest({texts}, {values}) AS given (text, value) JOIN {table} AS {alias}"
                " ON {alias}.tenant_id = {tenant} AND {stored} = {value} AND {condition}",
                alias=identifier(alias),
                table=identifier(reference.table),
                texts=param(left, "text[]"),
                values=param([as_stored(text) for text in left], "text[]"),
                tenant=param(tenant_id),
                stored=Sql(folded.format(value=stored)),
                value=Sql(folded.format(value="given.value")),
                condition=Sql(reference.condition),
            )
        )
        found |= dict(rows)
    return found
