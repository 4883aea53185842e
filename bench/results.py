"""Keeps what was measured, compares it with what was committed, and prints the table."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.json_types import JsonObject

FILE = Path(__file__).with_name("results.json")
NOTICEABLE = 0.2
GROWING = "whole category tree"  # its answer is the whole tree
FIRST_PAGE, LAST_PAGE = ", a page", ", the last page"


def load_results() -> JsonObject:
    """Return all kept results by scale; an empty mapping when nothing was ever measured."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def committed_results() -> JsonObject:
    """Return the results of the last commit; outside a repository, those of the file."""
    shown = subprocess.run(
        ["git", "show", f"HEAD:./{FILE.name}"], cwd=FILE.parent, capture_output=True, text=True, check=False
    )
    return json.loads(shown.stdout) if shown.returncode == 0 else load_results()


def save_results(scale: str, measured: Mapping[str, Any], *, is_partial: bool = False) -> None:
    """Keep what was measured of a scale; rows that were not measured now stay as they were.

    Of a partial run only its rows are kept: what it says of memory is not that of all operations.
    """
    results = load_results()
    kept = results.get(scale, {})
    operations = {**kept.get("operations", {}), **measured["operations"]}
    reported = kept if is_partial and kept else {**kept, **measured}
    results[scale] = {**reported, "operations": operations}
    FILE.write_text(json.dumps(results, indent=2) + "\n")


def table(operations: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of the table: speed, latency, statements, and how near the limit it is."""
    head = ("operation", "a second", "", "p50 ms", "p99 ms", "SQL", "limit", "ratio", "wanted", "")
    yield line(head)
    for name, row in operations.items():
        yield line(
            (
                name,
                f"{row['per_second']:,.0f}",
                row["unit"],
                f"{row['p50_ms']:.2f}",
                f"{row['p99_ms']:.2f}",
                str(row["statements"]),
                f"{row['limit_per_second']:,.0f}",
                f"{row['ratio']:.2f}",
                f"{row['target']:.2f}",
                "" if row["ratio"] >= row["target"] else "below",
            )
        )


def line(cells: Sequence[str]) -> str:
    name, speed, unit, *figures = cells
    return f"{name:<36}{speed:>9} {unit:<9}" + "".join(f"{cell:>8}" for cell in figures)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each figure that moved by more than a fifth since the results before."""
    if before.get("machine", {}).get("cpu") != now["machine"]["cpu"]:
        yield "The last committed results are of another processor: only ratios can be compared."
        figures = ("ratio",)
    else:
        figures = ("ratio", "per_second", "p99_ms")
    for name, row in now["operations"].items():
        old = before.get("operations", {}).get(name)
        for figure in figures if old else ():
            change = row[figure] / old[figure] - 1
            if abs(change) > NOTICEABLE:
                yield f"{name}: {figure} {old[figure]:g} -> {row[figure]:g} ({change:+.0%})"


def depth(operations: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the last page of a list costs, compared with its first."""
    for name, row in operations.items():
        first = operations.get(name.replace(LAST_PAGE, FIRST_PAGE))
        if name.endswith(LAST_PAGE) and first:
            yield f"{name}: {first['per_second'] / row['per_second']:.2f} times the cost of the first"


def growth(small: Mapping[str, Any], large: Mapping[str, Any]) -> Iterator[str]:
    """Yield how much each operation's cost grows from the small data set to the large one."""
    for name, row in large.get("operations", {}).items():
        if name == GROWING:
            continue
        if old := small.get("operations", {}).get(name):
            statements = "" if row["statements"] <= old["statements"] else "  MORE STATEMENTS"
            yield f"{name:<36}{old['per_second'] / row['per_second']:>8.2f} times slower{statements}"
