"""Refused rows: the file that has each as it is in the source with line and reason, and what a run keeps."""

import csv
import io
from collections.abc import Iterator
from io import SEEK_END, FileIO
from pathlib import Path
from typing import Self

import orjson

from core.errors import DomainError
from core.imports.columns import REJECT_COLUMNS
from core.imports.files import Format, UnwritableFile
from core.imports.merge import Refusal
from core.imports.models import ImportReject, ImportRun
from core.imports.rows import FileHeader

BYTES_AT_ONCE = 65_536
KEPT_REJECTS = 1_000  # of each run; the file of rejects has all of them
KEPT_SOURCE = 2_000  # characters of each kept row
UNKEPT = frozenset({"erased"})  # reasons for which nothing of the row may be kept


class TooManyRejects(DomainError):
    """More rows were refused than the operator allows; the batch in which that happened is not applied."""

    code = "too_many_rejects"


class NotAllOrNothing(DomainError):
    """Rows of an import that is all or nothing were refused, so nothing was applied."""

    code = "rows_refused"


class RejectLines:
    """Refused rows as lines in the format of the source, so that they can be corrected and imported again.

    Entries of a JSON array become JSON Lines.
    """

    def __init__(self, kind: Format, header: FileHeader) -> None:
        self.kind = kind
        self.names = header.given_names
        self.separator = header.delimiter if len(header.delimiter) > 1 else ""
        self.delimiter = "," if self.separator else header.delimiter
        self.width = len(self.names)
        self.kept = [index for index, name in enumerate(self.names) if name not in REJECT_COLUMNS]

    def first_line(self) -> bytes:
        """Return the header line of CSV; nothing for JSON Lines."""
        if self.kind is not Format.CSV:
            return b""
        return self._csv_line([*(self.names[index] for index in self.kept), *REJECT_COLUMNS])

    def line(self, refusal: Refusal) -> bytes:
        return self._as_csv(refusal) if self.kind is Format.CSV else self._as_json(refusal)

    def _as_csv(self, refusal: Refusal) -> bytes:
        try:
            values = next(self._read(refusal.source), [])
        except csv.Error:
            values = [refusal.source]  # what is broken comes back whole, in the first column
        padded = [*values, *[""] * (self.width - len(values))]
        kept = [padded[index] for index in self.kept]
        return self._csv_line([*kept, str(refusal.line), refusal.code, refusal.message])

    def _read(self, source: str) -> Iterator[list[str]]:
        if self.separator:
            return iter([source.split(self.separator, self.width - 1)])
        return csv.reader(io.StringIO(source, newline=""), strict=True, delimiter=self.delimiter)

    def _csv_line(self, values: list[str]) -> bytes:
        """Return the values as a line of CSV."""
        buffer = io.StringIO(newline="")
        csv.writer(buffer, lineterminator="\r\n", delimiter=self.delimiter).writerow(values)
        return buffer.getvalue().removesuffix("\r\n").encode() + b"\n"

    def _as_json(self, refusal: Refusal) -> bytes:
        try:
            row = orjson.loads(refusal.source)
        except orjson.JSONDecodeError:
            row = None
        if not isinstance(row, dict):
            row = {"rejectedText": refusal.source}
        row["rejected"] = {"line": refusal.line, "reason": refusal.code, "message": refusal.message}
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


class RejectsFile:
    """Writes refused rows to a file, as RejectLines makes them.

    No file is left without a refused row. `resume_at` cuts the file to what the committed batches wrote.
    Raises UnwritableFile, which leaves the batch in which it happens unapplied.
    """

    def __init__(self, path: Path, kind: Format, header: FileHeader, *, resume_at: int) -> None:
        self.lines = RejectLines(kind, header)
        self.waiting = bytearray()
        self.size = resume_at
        self.path = path
        try:
            # Without a buffer of its own nothing is left to be written, and to fail, when it is closed.
            self.stream = FileIO(path, "r+" if resume_at else "w")
        except OSError as error:
            raise UnwritableFile(f"{path} cannot be written: {error.strerror}.") from error
        self.header = b"" if resume_at else self.lines.first_line()
        if not resume_at:
            return
        if self.stream.seek(0, SEEK_END) < resume_at:
            self.stream.close()
            raise UnwritableFile(f"{path} is not the file that the import has written refused rows to.")
        self.stream.truncate(resume_at)
        self.stream.seek(resume_at)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stream.close()
        if self.size == 0 and not self.waiting:
            self.path.unlink(missing_ok=True)

    def add(self, refusal: Refusal) -> None:
        """Write one row."""
        self.waiting += self.header
        self.header = b""
        self.waiting += self.lines.line(refusal)
        if len(self.waiting) > BYTES_AT_ONCE:
            self.flush()

    def flush(self) -> int:
        """Hand all to the operating system, where no kill loses it; return the file's length."""
        try:
            while self.waiting:
                written = self.stream.write(self.waiting)
                del self.waiting[:written]
                self.size += written
        except OSError as error:
            raise UnwritableFile(f"{self.path} cannot be written: {error.strerror}.") from error
        return self.size


def kept_reject(run: ImportRun, refusal: Refusal) -> ImportReject:
    """Return what is kept of a refused row."""
    source = "" if refusal.code in UNKEPT else refusal.source[:KEPT_SOURCE]
    return ImportReject(
        run=run, line=refusal.line, reason=refusal.code, message=refusal.message, source=source
    )
