"""Rows of files that name something by an e-mail address or a code instead of its id."""

from collections.abc import Collection, Mapping, Sequence

from core.errors import DomainError, InvalidInput
from core.imports.merge_specs import MergeSpec
from core.json_types import JsonMapping
from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import fetch_rows
from core.text import normalized, trimmed

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


def with_stand_ins(
    bodies: Sequence[JsonMapping], member: str, *, instead_of: str
) -> tuple[list[JsonMapping | DomainError], list[str | None]]:
    """Return each body, with a stand-in for the id that it lacks, and the other name that it has instead.

    A body that has both comes back as the error.
    """
    readable: list[JsonMapping | DomainError] = []
    names: list[str | None] = []
    for body in bodies:
        try:
            name = other_name(body, member, instead_of=instead_of)
        except InvalidInput as error:
            readable.append(error)
            names.append(None)
        else:
            readable.append({**body, instead_of: STAND_IN} if name else body)
            names.append(name)
    return readable, names


def as_stored(value: object) -> str | None:
    """Return a text in the form in which texts are stored; None for what is no text."""
    return normalized(trimmed(value)) if isinstance(value, str) else None


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
