"""How changes of coupons and redemptions are taken back."""

from collections import Counter
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


def lock_campaigns(tenant_id: int, changes: Sequence[ChangeRow]) -> None:
    """Lock the campaigns of codes, which come before them: an export hands out what is there."""
    execute(
        sql(
            "SELECT FROM coupons_couponcampaign WHERE tenant_id = {tenant} AND terms_id IN"
            " (SELECT terms_id FROM coupons_coupon WHERE tenant_id = {tenant} AND id = ANY({keys}))"
            " ORDER BY id FOR UPDATE",
            tenant=param(tenant_id),
            keys=param([change.key for change in changes], "bigint[]"),
        )
    )


def count_redemptions(changes: Sequence[ChangeRow]) -> None:
    """Count uses that are gone, or are there again, in their coupons."""
    signs = {"created": -1, "updated": 0, "deleted": 1}
    uses: Counter[int | None] = Counter()
    for change in changes:
        uses[change.owner_key] += signs[change.kind]
    execute(
        sql(
            "UPDATE coupons_coupon SET redemption_count = redemption_count + given.uses"
            " FROM unnest({keys}, {uses}) AS given (id, uses) WHERE coupons_coupon.id = given.id",
            keys=param(list(uses), "bigint[]"),
            uses=param(list(uses.values()), "integer[]"),
        )
    )


register_undo(
    UndoRule(object="coupon", prepare=lock_campaigns),
    UndoRule(object="coupon-segment"),
    UndoRule(object="coupon-category"),
    UndoRule(object="coupon-campaign"),
    UndoRule(object="redemption", by_itself=False, prepare=lock_coupons, finish=count_redemptions),
)
