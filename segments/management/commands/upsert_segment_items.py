from core.imports.commands import ImportCommand
from segments.imports.assignment_files import ITEMS_OF_SEGMENTS


class Command(ImportCommand):
    """Items of segments out of a file."""

    kind = ITEMS_OF_SEGMENTS
