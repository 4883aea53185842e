"""Files of redemptions of another system. A row is a redemption as the API shows it."""

from core.bodies import read_body
from core.imports.columns import Column, ColumnType
from core.imports.merge_statements import Mode
from core.imports.resources import Export, ImportResource
from core.imports.shadows import Rows
from core.imports.writers import InsertWriter
from coupons.bodies import PastRedemption
from coupons.operations.history import import_redemptions
from coupons.representations import REDEMPTIONS

REDEMPTION_FILES = ImportResource(
    name="redemptions",
    noun="redemptions",
    columns=(
        Column("id", is_id=True),
        Column("code", is_required=True, is_id=True),
        Column("customerNumber", is_id=True),
        Column("legalEntityId", is_id=True),
        Column("orderCode"),
        Column("orderTotal.amount", ColumnType.NUMBER),
        Column("orderTotal.currency"),
        Column("discount.amount", ColumnType.NUMBER),
        Column("discount.currency"),
        Column("redeemedAt", ColumnType.TIME, is_required=True),
    ),
    writer=InsertWriter(
        read=lambda body, tenant: read_body(PastRedemption, body),
        insert=lambda tenant, rows: import_redemptions(tenant_id=tenant.id, rows=rows),
        tables={
            "coupons_coupon": Rows.OF_TENANT,
            "coupons_redemption": Rows.OF_TENANT,
            "accounts_customer": Rows.OF_TENANT,
        },
    ),
    export=Export(REDEMPTIONS, order="redemption.id"),
    modes=(Mode.UPSERT,),
    is_updated_by_columns=False,
    batch_size=5_000,
)
