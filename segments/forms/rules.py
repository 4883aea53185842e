"""What people fill in on the page of a segment's rule."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from django.http import QueryDict

from core.admin.faults import fault_text
from core.representation.conditions import QuerySyntaxError
from segments.models import Rule
from segments.rules.rows import Groups, Row, RowFault, groups_of, text_of

MOST_ROWS = 60  # a rule has fewer terms
MOST_CHARACTERS = 4_000


@dataclass(slots=True)
class RuleForm:
    """A rule as rows and as text. `groups` is None where the text nests deeper than rows can show.

    `fault` says what is wrong, `faulty` is the group and the row of it, `position` the character of the text.
    """

    text: str = ""
    groups: Groups | None = field(default_factory=list)
    mode: str = Rule.Mode.LIVE
    membership: str = Rule.Membership.CUSTOMER
    version: str = ""
    fault: str = ""
    faulty: tuple[int, int] | None = None
    position: int | None = None
    overruled: bool = False

    @classmethod
    def of_text(cls, text: str, mode: str, membership: str, version: int | str = "") -> Self:
        """Return the form of a rule, with the rows that its text makes."""
        form = cls(text=text, mode=mode, membership=membership, version=str(version))
        form.read_text()
        return form

    @classmethod
    def sent(cls, data: QueryDict) -> Self:
        """Return what was sent. A text that was edited makes the rows, else the rows make the text."""
        form = cls(
            text=data.get("text", "").strip()[: MOST_CHARACTERS + 1],
            mode=known(data.get("mode", ""), Rule.Mode.values),
            membership=known(data.get("membership", ""), Rule.Membership.values),
            version=data.get("version", "")[:12],
        )
        sent_rows = zip(
            data.getlist("row_group"),
            data.getlist("row_field"),
            data.getlist("row_test"),
            data.getlist("row_value"),
            strict=False,
        )
        numbered: dict[str, list[Row]] = {}
        for number, name, test, value in list(sent_rows)[:MOST_ROWS]:
            numbered.setdefault(number, []).append(Row(name.strip()[:300], test, value.strip()[:2_000]))
        form.groups = list(numbered.values())
        shown = data.get("shown_text", "").strip()
        if form.text != shown or "row_group" not in data:
            form.overruled = "row_group" in data and form.rows_say_otherwise(shown)
            form.read_text()
        else:
            form.read_rows()
        return form

    def rows_say_otherwise(self, shown: str) -> bool:
        """Say whether the rows were changed too: they do not make the text that was shown any more."""
        try:
            return text_of(self.groups or []) != shown
        except RowFault:
            return True

    def read_text(self) -> None:
        """Make the rows of the text; keep the text with its fault when it cannot be read."""
        try:
            self.groups = groups_of(self.text)
        except QuerySyntaxError as fault:
            self.groups = None
            reason = fault.message.partition(": ")[2]
            self.blame(fault_text(f"{reason[:1].upper()}{reason[1:]}"), fault.position)

    def read_rows(self) -> None:
        """Make the text of the rows; keep the rows with their fault when one cannot be read."""
        try:
            self.text = text_of(self.groups or [])
        except RowFault as fault:
            self.fault, self.faulty = fault_text(fault.message), (fault.group, fault.row)

    def blame(self, fault: str, position: int) -> None:
        self.fault, self.position = fault, position

    # What the buttons do

    def add_row(self, group: int) -> None:
        if self.groups is not None and group < len(self.groups):
            self.groups[group].append(Row())

    def add_group(self) -> None:
        if self.groups is not None:
            self.groups.append([Row()])

    def remove_row(self, group: int, row: int) -> None:
        """Take a row out, and its group when that was the last one."""
        if self.groups is None or group >= len(self.groups) or row >= len(self.groups[group]):
            return
        del self.groups[group][row]
        if not self.groups[group]:
            del self.groups[group]


def known(value: str, choices: Sequence[str]) -> str:
    return value if value in choices else choices[0]
