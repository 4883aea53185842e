"""Files of redemptions that happened elsewhere. A row is the body that the API shows of a redemption."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import DomainError, InvalidBody
from core.imports.columns import Column, ColumnType
from core.imports.merge import Tally
from core.imports.merge_statements import Mode
from core.imports.records import Record
from core.imports.resources import Batch, Export, ImportKind, one_transaction, refusal_of, refuse
from core.imports.shadows import Rows
from coupons.bodies import LONGEST_ID, LONGEST_ORDER_CODE, Members, Problems
from coupons.operations.history import PastRedemption, import_redemptions
from coupons.representations import REDEMPTIONS as ANSWER

TABLES = {
    "coupons_coupon": Rows.OF_TENANT,
    "coupons_redemption": Rows.OF_TENANT,
    "accounts_customer": Rows.OF_TENANT,
}


class HistoryWriter:
    """Takes redemptions over. What is known already stays as it is, and counts as unchanged."""

    plain: None = None

    def write(self, batch: Batch) -> Tally:
        """Apply the rows in one transaction; say what became of them."""
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
                    accepted.append((record, past_redemption(record.body)))
                    continue
                except DomainError as refused:
                    error = refused
            assert error is not None
            faults.append((record, error))
        rows = [redemption for _, redemption in accepted]
        for outcome in import_redemptions(tenant_id=batch.tenant.id, rows=rows):
            if outcome.error:
                faults.append((accepted[outcome.position][0], outcome.error))
            elif outcome.created:
                tally.created += 1
            else:
                tally.unchanged += 1
        for record, error in sorted(faults, key=lambda fault: fault[0].line):
            refuse(tally, batch, refusal_of(record, error))


def past_redemption(body: Mapping[str, Any]) -> PastRedemption:
    """Return the redemption of a body; raise InvalidBody with all faults of shape."""
    problems: Problems = []
    members = Members(body, problems)
    code = members.text("code", most=LONGEST_ID, required=True)
    redeemed_at = members.time("redeemedAt")
    if body.get("redeemedAt") is None:
        members.refuse("redeemedAt", "missing_value", "This is needed.")
    order_total = members.money("orderTotal", required=True)
    discount = members.money("discount", required=True)
    texts = {
        "id": members.text("id", most=LONGEST_ID),
        "customer_number": members.text("customerNumber", most=LONGEST_ID),
        "legal_entity_id": members.text("legalEntityId", most=LONGEST_ID),
        "order_code": members.text("orderCode", most=LONGEST_ORDER_CODE),
    }
    if problems or redeemed_at is None or order_total is None or discount is None:
        raise InvalidBody(problems)
    return PastRedemption(
        code=code, order_total=order_total, discount=discount, redeemed_at=redeemed_at, **texts
    )


REDEMPTION_FILES = ImportKind(
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
    writer=HistoryWriter(),
    export=Export(ANSWER, order="redemption.id"),
    modes=(Mode.UPSERT,),
    is_updated_by_columns=False,
    batch_size=5_000,
)
