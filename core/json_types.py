"""JSON as Python has it."""

from collections.abc import Mapping
from typing import Any, TypeAlias

JsonValue: TypeAlias = "None | bool | int | float | str | list[JsonValue] | dict[str, JsonValue]"
"""Any value."""

JsonObject = dict[str, Any]
"""An object: its members, of whatever kinds, by their names."""

JsonMapping = Mapping[str, Any]
"""An object that is only read."""
