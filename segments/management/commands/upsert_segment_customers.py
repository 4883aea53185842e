from core.imports.commands import ImportCommand
from segments.imports.assignments import MEMBERS_OF_SEGMENTS


class Command(ImportCommand):
    """Customers of segments out of a file."""

    kind = MEMBERS_OF_SEGMENTS
