"""Small charts as inline SVG: bars, and lines over days. Numbers stand beside them in a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 600, 120


@dataclass(frozen=True, slots=True)
class DayValue:
    """A value at the end of a day."""

    day: date
    value: int


@dataclass(frozen=True, slots=True)
class LineChart:
    """A line over days; `points` and `area` are coordinates of an SVG of 600 by 120."""

    values: tuple[DayValue, ...]
    points: str
    area: str
    lowest: int
    highest: int

    @property
    def last(self) -> DayValue:
        return self.values[-1]


def line_chart(values: Sequence[DayValue], *, from_zero: bool = True) -> LineChart:
    """Return the line of at least two values. Its lower edge is zero, or a little below the lowest value."""
    numbers = [one.value for one in values]
    lowest, highest = min(numbers), max(numbers)
    base = 0 if from_zero else max(0, lowest - max(1, (highest - lowest) // 4))
    span = max(1, highest - base)
    step = WIDTH / (len(values) - 1)
    points = [
        f"{place * step:.1f},{HEIGHT - 4 - (number - base) * (HEIGHT - 8) / span:.1f}"
        for place, number in enumerate(numbers)
    ]
    return LineChart(
        values=tuple(values),
        points=" ".join(points),
        area=" ".join([f"0,{HEIGHT}", *points, f"{WIDTH},{HEIGHT}"]),
        lowest=lowest,
        highest=highest,
    )


def share(value: int, most: int) -> int:
    """Return how long a bar is, of 1000, and never invisible where there is something."""
    return 0 if value <= 0 or most <= 0 else max(4, value * 1000 // most)
