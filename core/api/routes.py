"""Addresses: the pattern of a route, and how the OpenAPI document names and describes its arguments."""

import re
from typing import Any

from django.urls import URLPattern, path
from drf_spectacular.utils import OpenApiParameter

Endpoint = tuple[str, str, str, Any]

PATH_PARAMETERS: dict[str, OpenApiParameter] = {
    "tenant": OpenApiParameter(
        "tenant",
        {"type": "string", "pattern": "^[a-z][a-z0-9]+$", "minLength": 3, "maxLength": 16},
        OpenApiParameter.PATH,
        True,
        "The tenant's name, in lower case; the token belongs to the same tenant.",
    )
}
"""The parameters of paths by the names that handlers know them by."""


def route(address: str, viewset: Any, **actions: str) -> URLPattern:
    """Return the pattern of an address; the actions name the viewset's handler for each HTTP method."""
    return path(address, viewset.as_view(actions))


def describe_argument(name: str, description: str, *, wire_name: str = "") -> None:
    """Describe an argument of paths for the OpenAPI document, where it is called `wire_name`.

    The default is the name in camel case. An argument means the same in all addresses, so another description
    than the present one raises ValueError.
    """
    first, *others = name.split("_")
    wire_name = wire_name or first + "".join(word.capitalize() for word in others)
    present = PATH_PARAMETERS.get(name)
    if present is not None and (present.name, present.description) != (wire_name, description):
        raise ValueError(f"The path argument {name} is described already: {present.description}")
    PATH_PARAMETERS[name] = OpenApiParameter(wire_name, str, OpenApiParameter.PATH, True, description)


def wire_path(address: str) -> str:
    """Return the address as the contract writes it: `{segmentId}` for `{segment_id}`."""

    def named(match: re.Match[str]) -> str:
        described = PATH_PARAMETERS.get(match[1])
        return f"{{{described.name if described else match[1]}}}"

    return re.sub(r"\{(\w+)\}", named, address)


def name_arguments(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Give all paths of the document the contract's names (a preprocessing hook of drf-spectacular)."""
    return [(wire_path(address), *others) for address, *others in endpoints]
