from core.imports.commands import ImportCommand
from coupons.imports.coupons import COUPON_FILES


class Command(ImportCommand):
    """Coupons out of a file."""

    kind = COUPON_FILES
