from core.imports.commands import ExportCommand
from segments.imports.assignments import ITEMS_OF_SEGMENTS


class Command(ExportCommand):
    """Items of segments into a file."""

    kind = ITEMS_OF_SEGMENTS
