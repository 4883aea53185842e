"""Redemptions in files: CSV with a header row, or JSON Lines with the bodies that the API shows."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TextIO

import orjson

from core.api.errors import InvalidBody
from core.errors import DomainError, InvalidInput
from coupons.api.bodies import LONGEST_ID, LONGEST_ORDER_CODE, Members, Problems
from coupons.operations.history import PastRedemption

AMOUNTS = ("orderTotal", "discount")
TEXTS = ("id", "code", "customerNumber", "legalEntityId", "orderCode", "redeemedAt")
COLUMNS = (*TEXTS, *(f"{name}.{part}" for name in AMOUNTS for part in ("amount", "currency")))
REQUIRED_COLUMNS = ("code", "redeemedAt")


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of a file, by its line: what it says, or why it says nothing."""

    line: int
    source: str
    redemption: PastRedemption | None = None
    error: DomainError | None = None


def read_csv(file: TextIO) -> Iterator[FileRow]:
    """Yield the rows of a CSV file. Raises InvalidInput for a header with missing or unknown columns."""
    reader = csv.DictReader(file)
    header = reader.fieldnames or []
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in REQUIRED_COLUMNS if name not in header]
    if unknown or missing:
        fault = f"unknown: {', '.join(unknown)}" if unknown else f"missing: {', '.join(missing)}"
        raise InvalidInput(f"The header's columns are out of {', '.join(COLUMNS)}; {fault}.")
    for row in reader:
        source = ",".join("" if value is None else str(value) for value in row.values())
        yield read_row(reader.line_num, source, lambda row=row: nested(row))


def read_json_lines(file: TextIO) -> Iterator[FileRow]:
    """Yield the rows of a JSON Lines file; empty lines are left out."""
    for line, text in enumerate(file, start=1):
        if text.strip():
            yield read_row(line, text.rstrip("\n"), lambda text=text: orjson.loads(text))


def nested(row: Mapping[str | None, Any]) -> dict[str, Any]:
    """Return a CSV row as the API's body; an empty cell is absent."""
    if None in row:
        raise InvalidInput("The row has more cells than the header.")
    body: dict[str, Any] = {name: row[name] for name in TEXTS if row.get(name)}
    for name in AMOUNTS:
        money: dict[str, Any] = {}
        if amount := row.get(f"{name}.amount"):
            try:
                money["amount"] = Decimal(amount)
            except InvalidOperation:
                money["amount"] = amount
        if currency := row.get(f"{name}.currency"):
            money["currency"] = currency
        if money:
            body[name] = money
    return body


def read_row(line: int, source: str, parse: Any) -> FileRow:
    try:
        return FileRow(line, source, past_redemption(parse()))
    except orjson.JSONDecodeError as error:
        return FileRow(line, source, error=InvalidInput(f"The line is not JSON: {error}"))
    except DomainError as error:
        return FileRow(line, source, error=error)


def past_redemption(body: object) -> PastRedemption:
    """Return the redemption of a body; raise InvalidInput or InvalidBody with all faults of shape."""
    if not isinstance(body, Mapping):
        raise InvalidInput("A redemption is an object.")
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
