from core.imports.commands import ExportCommand
from segments.imports.segments import SEGMENT_FILES


class Command(ExportCommand):
    """Segments into a file."""

    kind = SEGMENT_FILES
