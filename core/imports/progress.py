"""Shows how far a long command is: a bar on a terminal, plain lines anywhere else."""

from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from tqdm import tqdm

ROWS_AT_ONCE = 1_000  # telling a bar of every single row would cost more than the row


class RowProgress:
    """Counts rows by label, on a terminal by a bar that goes away when the label is done."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.shows_bars = stream.isatty()

    def counted(self, label: str, rows: Iterable[object], total: int) -> Iterator[Any]:
        """Pass the rows on, telling how many of `total` have passed."""
        bar = tqdm(
            total=total,
            desc=label,
            unit=" rows",
            unit_scale=True,
            leave=False,
            file=self.stream,
            disable=not self.shows_bars,
        )
        with bar:
            untold = 0
            for row in rows:
                yield row
                untold += 1
                if untold == ROWS_AT_ONCE:
                    bar.update(untold)
                    untold = 0
            bar.update(untold)
