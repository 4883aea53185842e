from accounts.imports.legal_entities import LEGAL_ENTITY_FILES
from core.imports.commands import ExportCommand


class Command(ExportCommand):
    """Legal entities into a file."""

    kind = LEGAL_ENTITY_FILES
