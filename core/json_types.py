"""JSON as Python has it."""

from typing import Any

JsonObject = dict[str, Any]
"""An object: its members, of whatever kinds, by their names."""
