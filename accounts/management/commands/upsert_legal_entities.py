from accounts.imports.commands import ImportCommand
from accounts.imports.legal_entity_files import LEGAL_ENTITY_FILES


class Command(ImportCommand):
    """Legal entities out of a file."""

    kind = LEGAL_ENTITY_FILES
