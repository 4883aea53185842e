from core.imports.commands import ExportCommand
from coupons.imports.coupons import COUPON_FILES


class Command(ExportCommand):
    """Coupons into a file."""

    kind = COUPON_FILES
