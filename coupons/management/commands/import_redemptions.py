from core.imports.commands import ImportCommand
from coupons.imports.redemptions import REDEMPTION_FILES


class Command(ImportCommand):
    """Redemptions of another system out of a file; nothing but their references is checked."""

    kind = REDEMPTION_FILES
