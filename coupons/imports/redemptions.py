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

<<<<<<< Updated upstream
=======
TABLES = {
    "coupons_coupon": Rows.OF_TENANT,
    "coupons_redemption": Rows.OF_TENANT,
    "accounts_customer": Rows.OF_TENANT,
}


class HistoryWriter:
    """Records redemptions. What is stored already stays as it is, and counts as unchanged."""

    plain: None = None
    remove: None = None

    def write(self, batch: Batch) -> Tally:
        """Apply the rows in one transaction; return how many were created, unchanged and refused."""
        tally = Tally()
        with one_transaction(batch, TABLES):
            for part in batch.parts(batch.size):
                self._write_part(batch, part, tally)
        return tally

    def _write_part(self, batch: Batch, part: Sequence[Record], tally: Tally) -> None:
        tally.rows += len(part)
        accepted: list[tuple[Record, PastRedemption]] = []
        faults: list[tuple[Record, DomainError]] = []
        for record in part:
            error = record.error
            if record.body is not None:
                try:
                    accepted.append((record, read_body(PastRedemption, record.body)))
                    continue
                except DomainError as refused:
                    error = refused
            assert error is not None
            faults.append((record, error))
        rows = [redemption for _, redemption in accepted]
        for result in import_redemptions(tenant_id=batch.tenant.id, rows=rows):
            if result.error:
                faults.append((accepted[result.position][0], result.error))
            elif result.created:
                tally.created += 1
            else:
                tally.unchanged += 1
        for record, error in sorted(faults, key=lambda fault: fault[0].line):
            refuse(tally, batch, refusal_of(record, error))


>>>>>>> Stashed changes
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
