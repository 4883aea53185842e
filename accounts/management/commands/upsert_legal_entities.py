from accounts.imports.legal_entities import LEGAL_ENTITY_FILES
from core.imports.commands import ImportCommand


class Command(ImportCommand):
    """Legal entities out of a file."""

    kind = LEGAL_ENTITY_FILES
