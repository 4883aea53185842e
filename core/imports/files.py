"""Input files: plain, gzip or zstd, or standard input, read line by line without ever holding them whole."""

import gzip
import hashlib
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

from core.errors import DomainError

STANDARD_INPUT = "-"
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_LINE = 4_194_304  # bytes
CHUNK = 1_048_576


class UnreadableFile(DomainError):
    """The file as a whole cannot be imported: it is missing, broken, or has the wrong columns."""

    code = "unreadable_file"


class UnwritableFile(DomainError):
    """A file cannot be written: its folder is missing, the disk is full, or it is the one that is read."""

    code = "unwritable_file"


Line = tuple[int, bytes, bool]
"""A line of the file: its number from 1, its bytes without the line's end, and whether it was cut."""


class InputFile:
    """A file that is read once or several times. Standard input is kept on disk meanwhile.

    Raises UnreadableFile when the file cannot be opened, and while reading when its compression is broken.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        try:
            self.raw = _opened(path)
        except OSError as error:
            raise UnreadableFile(f"{path} cannot be read: {error.strerror}.") from error
        self.size = self.raw.seek(0, io.SEEK_END)
        self.raw.seek(0)
        self.plain: io.BufferedReader | None = None

    def __enter__(self) -> "InputFile":
        return self

    def __exit__(self, *error: object) -> None:
        self.raw.close()

    @property
    def position(self) -> int:
        """How many bytes of the file, as it is on disk, have been taken."""
        return self.plain.tell() if self.plain and not self.plain.closed else self.raw.tell()

    def digest(self) -> str:
        """Return the SHA-256 digest of the file as it is on disk."""
        self.raw.seek(0)
        digest = hashlib.sha256()
        while chunk := self.raw.read(CHUNK):
            digest.update(chunk)
        self.raw.seek(0)
        return digest.hexdigest()

    def is_compressed(self) -> bytes:
        """Return the mark of the compression, empty for a plain file."""
        self.raw.seek(0)
        start = self.raw.read(4)
        self.raw.seek(0)
        return next((mark for mark in (GZIP, ZSTD) if start.startswith(mark)), b"")

    def lines(self) -> Iterator[Line]:
        """Yield the lines from the first one on, without a byte order mark.

        A line longer than 4 MiB is cut, and the rest of it skipped.
        """
        with self._decompressed() as stream:
            number = 0
            try:
                while content := stream.readline(LONGEST_LINE):
                    number += 1
                    if number == 1:
                        content = content.removeprefix(BYTE_ORDER_MARK)
                    too_long = len(content) == LONGEST_LINE and not content.endswith(b"\n")
                    while too_long and (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                        pass
                    yield number, content.rstrip(b"\r\n"), too_long
            except (EOFError, OSError, zstandard.ZstdError) as error:
                raise UnreadableFile(
                    f"{self.name} is broken after line {number}: {str(error).rstrip('.')}."
                ) from error

    def _decompressed(self) -> io.BufferedIOBase:
        mark = self.is_compressed()
        kept_open = _Unclosed(self.raw)
        self.plain = None
        if mark == GZIP:
            return io.BufferedReader(gzip.GzipFile(fileobj=kept_open, mode="rb"), CHUNK)
        if mark == ZSTD:
            reader = zstandard.ZstdDecompressor().stream_reader(
                kept_open,  # type: ignore[arg-type]
                read_across_frames=True,
            )
            return io.BufferedReader(reader, CHUNK)
        self.plain = io.BufferedReader(kept_open, CHUNK)
        return self.plain


class _Unclosed(io.RawIOBase):
    """A view of a stream that leaves it open when a reader above closes, so that it can be read again."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.stream.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self.stream.readinto(buffer)  # type: ignore[attr-defined]


def _opened(path: str) -> BinaryIO:
    """Open the file. The caller closes it."""
    if path != STANDARD_INPUT:
        return Path(path).open("rb")
    kept = tempfile.TemporaryFile()  # noqa: SIM115 -- has no name, so a kill leaves nothing behind
    shutil.copyfileobj(sys.stdin.buffer, kept, CHUNK)
    kept.seek(0)
    return kept
