"""How changes of coupons and redemptions are taken back."""

from collections.abc import Sequence

from core.journal.undo.changes import ChangeRow
from core.journal.undo.rules import UndoRule, register_undo
from core.sql.composition import param, sql
from core.sql.fetching import execute


def lock_coupons(tenant_id: int, changes: Sequence[ChangeRow]) -> None:
    """Lock the coupons of redemptions, which come before them."""
    execute(
        sql(
            "SELECT FROM coupons_coupon WHERE tenant_id = {tenant} AND id = ANY({keys})"
            " ORDER BY id FOR UPDATE",
            tenant=param(tenant_id),
            keys=param([change.owner_key for change in changes], "bigint[]"),
        )
    )


def count_redemptions(changes: Sequence[ChangeRow]) -> None:
    """Count the uses of the coupons anew."""
    execute(
        sql(
            "UPDATE coupons_coupon SET redemption_count = ("
            "SELECT count(*) FROM coupons_redemption AS one WHERE one.coupon_id = coupons_coupon.id"
            ") WHERE id = ANY({keys})",
            keys=param([change.owner_key for change in changes], "bigint[]"),
        )
    )


register_undo(
    UndoRule(object="coupon"),
    UndoRule(object="coupon-segment"),
    UndoRule(object="coupon-category"),
    UndoRule(object="redemption", by_itself=False, prepare=lock_coupons, finish=count_redemptions),
)
