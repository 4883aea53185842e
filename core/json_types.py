"""JSON as Python has it."""

from collections.abc import Mapping
from typing import Any

JsonObject = dict[str, Any]
"""An object: its members, of whatever kinds, by their names."""

JsonMapping = Mapping[str, Any]
"""An object that is only read."""
