from core.imports.commands import ExportCommand
from coupons.imports.redemptions import REDEMPTION_FILES


class Command(ExportCommand):
    """Redemptions into a file."""

    kind = REDEMPTION_FILES
