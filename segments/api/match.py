"""Reads the body of `match`."""

from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput
from segments.bodies import as_object, read_reference

MOST_ITEMS = 1000
MOST_SEGMENTS = 200


@dataclass(frozen=True, slots=True)
class MatchRequest:
    """Which products to look for in which segments of a site, by wire ids."""

    product_ids: list[str]
    segment_ids: list[str]
    site_code: str


def read_match(body: object) -> MatchRequest:
    """Read `{items: [{id}], segmentIds, siteCode}`; `site` is another name of `siteCode`."""
    fields = as_object(body)
    return MatchRequest(
        product_ids=[
            read_reference(as_object(item).get("id"), field="items.id")
            for item in read_list(fields, "items", most=MOST_ITEMS)
        ],
        segment_ids=[
            read_reference(segment_id, field="segmentIds")
            for segment_id in read_list(fields, "segmentIds", most=MOST_SEGMENTS)
        ],
        site_code=read_site(fields),
    )


def read_list(fields: dict[str, Any], name: str, *, most: int) -> list[Any]:
    """Return an optional list; absent and null are an empty one."""
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidInput(f"{name} must be a list.", field=name)
    if len(value) > most:
        raise InvalidInput(f"{name} lists at most {most} entries, not {len(value)}.", field=name)
    return value


def read_site(fields: dict[str, Any]) -> str:
    named = [fields[name] for name in ("siteCode", "site") if fields.get(name) is not None]
    if len(named) == 2 and named[0] != named[1]:
        raise InvalidInput("site and siteCode name different sites; send one of them.", field="siteCode")
    return read_reference(named[0] if named else None, field="siteCode")
