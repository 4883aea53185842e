from core.imports.commands import ExportCommand
from segments.imports.assignments import MEMBERS_OF_SEGMENTS


class Command(ExportCommand):
    """Customers of segments into a file."""

    kind = MEMBERS_OF_SEGMENTS
