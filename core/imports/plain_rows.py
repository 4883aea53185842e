"""The quick way for CSV lines that hold nothing but ids: they are handed to COPY almost unchanged."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.imports.merge_specs import ROW_COLUMNS

PLAIN = r"[ !#-+\--\[\]-~]"  # printable ASCII but the comma, the quote and the backslash
NO_ID = r"(?! |\d\.\d+[Ee]\+\d+(?:,|\Z))"  # a blank to be trimmed, a number that a spreadsheet shortened
NULL = r"\N"  # as COPY's text format writes it


@dataclass(frozen=True, slots=True)
class PlainRow:
    """Which ids make a whole row: for each staged column the column of the file.

    A line counts as plain when each of its values has at most `longest` characters (required ones at least
    one), none that CSV or COPY treats specially, and nothing that is trimmed or refused where ids are read.
    What `read` of the kind does with such a line must be to take the ids as they are, and to leave everything
    else of the row absent.
    """

    columns: Mapping[str, str]
    required: frozenset[str]
    longest: int = 128

    def pattern(self, header: Sequence[str]) -> re.Pattern[bytes] | None:
        """Return what plain lines below this header look like; None when no line can be plain."""
        if not set(header) <= set(self.columns.values()):
            return None
        values = [f"{NO_ID}{PLAIN}{{{int(name in self.required)},{self.longest}}}(?<! )" for name in header]
        return re.compile(",".join(values).encode())

    def copier(self, header: Sequence[str], given: Sequence[str]) -> Callable[[int, str], str]:
        """Return what makes a line of COPY of a line's number and text, for a stage of these columns."""
        places = {name: header.index(column) for name, column in self.columns.items() if column in header}
        order = [places.get(name) for name in given]
        beginning = f"\t{NULL}\t{NULL}\t"
        assert list(ROW_COLUMNS) == ["line", "source", "refusal", "expected_version"]
        if order[: len(header)] == list(range(len(header))) and self.required >= set(header):
            rest = f"\t{NULL}" * (len(given) - len(header)) + "\n"
            return lambda line, text: "".join(
                (str(line), "\t", text, beginning, text.replace(",", "\t"), rest)
            )

        def copied(line: int, text: str) -> str:
            values = text.split(",")
            chosen = "\t".join([NULL if place is None else values[place] or NULL for place in order])
            return f"{line}\t{text}{beginning}{chosen}\n"

        return copied
