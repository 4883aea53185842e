from core.imports.commands import ExportCommand
from coupons.imports.coupon_files import COUPON_FILES


class Command(ExportCommand):
    """Coupons into a file."""

    kind = COUPON_FILES
