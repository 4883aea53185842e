from core.imports.commands import ImportCommand
from segments.imports.segments import SEGMENT_FILES


class Command(ImportCommand):
    """Segments out of a file."""

    kind = SEGMENT_FILES
