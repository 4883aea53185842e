from core.imports.commands import ImportCommand
from segments.imports.assignments import ITEMS_OF_SEGMENTS


class Command(ImportCommand):
    """Items of segments out of a file."""

    kind = ITEMS_OF_SEGMENTS
