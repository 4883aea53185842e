"""Values of rows that are copied into a temporary table (see `stage_rows` of core/imports/merge.py)."""

import orjson


def json_text(value: object) -> str:
    """Return a value as a jsonb column of a stage takes it."""
    return orjson.dumps(value).decode()


def nullable_json(value: object) -> str | None:
    """Return a value as a nullable jsonb column of a stage takes it: None is NULL."""
    return None if value is None else json_text(value)
