from accounts.imports.commands import ExportCommand
from accounts.imports.legal_entity_files import LEGAL_ENTITY_FILES


class Command(ExportCommand):
    """Legal entities into a file."""

    kind = LEGAL_ENTITY_FILES
