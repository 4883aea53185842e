"""What an operator wants of an import, and who watches it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.imports.columns import DEFAULT_OPTIONS, ReadingOptions
from core.imports.files import Format, InputFile
from core.imports.merge import Tally
from core.imports.merge_statements import Mode
from core.imports.removals import RemovalLimit
from core.imports.resources import ImportResource
from core.sql.lock_limits import LONGEST_LOCK
from core.tenancy.callers import TenantRecord


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What an operator wants. `batch_size` None is the kind's own; `max_rejects` None allows any number.

    `longest_lock` is how many seconds a transaction may hold what others write, where it cannot be divided.
    """

    kind: ImportResource
    tenant: TenantRecord
    file: InputFile
    format: Format | None = None
    mode: Mode = Mode.UPSERT
    dry_run: bool = False
    is_atomic: bool = False
    resumes: bool = False
    batch_size: int | None = None
    max_rejects: int | None = None
    longest_lock: float = LONGEST_LOCK
    max_removed: RemovalLimit = RemovalLimit()
    rejects_path: Path | None = None
    reading: ReadingOptions = DEFAULT_OPTIONS


class Listener(Protocol):
    """Watches an import."""

    def read(self, rows: int) -> None:
        """More rows have been read."""
        ...

    def waiting(self, message: str) -> None:
        """The import waits for another one."""
        ...

    def committed(self, line: int, total: Tally) -> None:
        """A batch is done, up to this line; the total of all batches so far."""
        ...
