"""Who may have a unique value that several rows of a batch ask for, judged by what is stored in the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Taken(Enum):
    """Why a row cannot have a value: a stored row keeps it, or an earlier row of the batch gets it."""

    STORED = "stored"
    EARLIER = "earlier"


@dataclass(frozen=True, slots=True)
class Claim:
    """A row of a batch: its id, and the unique values that it gives to that."""

    id: str
    values: Sequence[str]


def refused_claims(claims: Sequence[Claim], holders: Mapping[str, str]) -> dict[int, tuple[Taken, str]]:
    """Return the positions of the rows that cannot be written, each with the reason and the value.

    `holders` says which id has a value now. Of rows with the same id the last one that is not refused counts.
    A stored row gives a value up when its row of the batch has another one; when that is refused, it keeps
    the value, and whoever was to get it is refused as well. So values are swapped whole or not at all.
    """
    return _Judgement(claims, holders).refused


class _Judgement:
    def __init__(self, claims: Sequence[Claim], holders: Mapping[str, str]) -> None:
        self.claims = claims
        self.holders = holders
        self.refused: dict[int, tuple[Taken, str]] = {}
        self.rows_of: dict[str, list[int]] = {}
        self.claimants: dict[str, list[int]] = {}
        self.held_by: dict[str, list[str]] = {}
        for value, holder in holders.items():
            self.held_by.setdefault(holder, []).append(value)
        for position, claim in enumerate(claims):
            self.rows_of.setdefault(claim.id, []).append(position)
            for value in claim.values:
                self.claimants.setdefault(value, []).append(position)
        waiting = list(reversed(self.claimants))
        while waiting:
            waiting += self._judge(waiting.pop())
        self._refuse_overridden_rows()

    def _final(self, name: str) -> int | None:
        """The position of the row that counts for this id."""
        rows = self.rows_of.get(name)
        return rows[-1] if rows else None

    def _keeps(self, value: str) -> str | None:
        """The id of the stored row that has the value and keeps it."""
        holder = self.holders.get(value)
        final = None if holder is None else self._final(holder)
        return holder if final is None or value in self.claims[final].values else None

    def _judge(self, value: str) -> list[str]:
        """Refuse the rows that cannot have the value; return the values that are to be judged again."""
        keeper = self._keeps(value)
        rows = [at for at in self.claimants.get(value, ()) if self._final(self.claims[at].id) == at]
        again: list[str] = []
        for index, at in enumerate(rows):
            if keeper is not None and self.claims[at].id != keeper:
                again += self._refuse(at, Taken.STORED, value)
            elif keeper is None and index:
                again += self._refuse(at, Taken.EARLIER, value)
        return again

    def _refuse(self, position: int, reason: Taken, value: str) -> list[str]:
        name = self.claims[position].id
        self.refused[position] = reason, value
        self.rows_of[name].remove(position)
        final = self._final(name)
        return [*self.held_by.get(name, ()), *(self.claims[final].values if final is not None else ())]

    def _refuse_overridden_rows(self) -> None:
        """Refuse rows that a later one of their id overrides, where a stored row keeps their value."""
        for position, claim in enumerate(self.claims):
            if position in self.refused or self._final(claim.id) == position:
                continue
            for value in claim.values:
                if (keeper := self._keeps(value)) is not None and keeper != claim.id:
                    self.refused[position] = Taken.STORED, value
