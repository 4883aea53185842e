"""Conditions that find changes through the journal's indexes."""

from core.sql.composition import Sql, identifier, sql


def holds(alias: str, key: Sql) -> Sql:
    """The condition that a change of assignments holds the member with this key, of whatever object.

    The index journal_of_block answers it, if the planner has no other condition to choose an index by.
    """
    return sql(
        "{alias}.keys IS NOT NULL AND journal_blocks({alias}.keys) && journal_blocks_around({key})",
        alias=identifier(alias),
        key=key,
    )
