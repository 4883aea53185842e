"""The file of refused rows: each as it stood in the source, with its line and the reason behind it."""

import csv
import io
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import orjson

from core.imports.columns import REJECT_COLUMNS
from core.imports.files import UnreadableFile
from core.imports.merging import Refusal
from core.imports.records import Format


class RejectsFile:
    """Writes refused rows in the format of the source, so that it can be corrected and imported again.

    Nothing is written without a path. `resume_at` cuts the file to what the committed batches wrote.
    """

    def __init__(self, path: Path | None, kind: Format, header: list[str], *, resume_at: int) -> None:
        self.kind = kind
        self.width = len(header)
        self.kept = [index for index, name in enumerate(header) if name not in REJECT_COLUMNS]
        self.stream: IO[bytes] | None = None
        if path is None:
            return
        try:
            self.stream = path.open("r+b" if resume_at else "wb")
        except OSError as error:
            raise UnreadableFile(f"{path} cannot be written: {error.strerror}.") from error
        if resume_at:
            self.stream.seek(resume_at)
            self.stream.truncate()
        elif kind is Format.CSV:
            self.stream.write(csv_line([*(header[index] for index in self.kept), *REJECT_COLUMNS]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.stream is not None:
            self.stream.close()

    def add(self, refusal: Refusal) -> None:
        """Write one row."""
        if self.stream is not None:
            self.stream.write(self._as_csv(refusal) if self.kind is Format.CSV else self._as_json(refusal))

    def flush(self) -> int:
        """Hand all to the operating system, where no kill loses it; return the file's length."""
        if self.stream is None:
            return 0
        self.stream.flush()
        return self.stream.tell()

    def _as_csv(self, refusal: Refusal) -> bytes:
        try:
            values = next(csv.reader(io.StringIO(refusal.source, newline="")), [])
        except csv.Error:
            values = [refusal.source]  # what is broken comes back whole, in the first column
        padded = [*values, *[""] * (self.width - len(values))]
        kept = [padded[index] for index in self.kept]
        return csv_line([*kept, str(refusal.line), refusal.code, refusal.message])

    def _as_json(self, refusal: Refusal) -> bytes:
        try:
            row = orjson.loads(refusal.source)
        except orjson.JSONDecodeError:
            row = None
        if not isinstance(row, dict):
            row = {"rejectedText": refusal.source}
        row["rejected"] = {"line": refusal.line, "reason": refusal.code, "message": refusal.message}
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def csv_line(values: list[str]) -> bytes:
    """Return the values as a line of CSV."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue().encode()
