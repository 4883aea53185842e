"""Input files: plain, gzip or zstd, or standard input, read line by line without ever holding them whole.

And how rows are written in them.
"""

import codecs
import gzip
import hashlib
import io
import re
import shlex
import shutil
import sys
import tempfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import orjson
import zstandard

from core.errors import DomainError

STANDARD_INPUT = "-"
URL = re.compile(r"[a-z][a-z0-9+]*://", re.IGNORECASE)
GZIP = b"\x1f\x8b"
UNREAD = {
    b"PK\x03\x04": "a workbook of a spreadsheet or a ZIP archive: save it as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "a workbook of a spreadsheet: save it as CSV",
    b"BZh": "compressed by bzip2: unpack it, or compress it by gzip or zstd",
    b"\xfd7zX": "compressed by xz: unpack it, or compress it by gzip or zstd",
    b"%PDF": "a PDF: export its data as CSV",
}
"""The beginnings of files that people take for CSV, and what these are."""
ZSTD = b"\x28\xb5\x2f\xfd"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_LINE = 4_194_304  # bytes
LINES_AT_ONCE = 300  # so few that the garbage collector hardly notices them
CHUNK = 1_048_576
RECODED_CHUNK = 65_536
ZSTD_CHUNK = 1_024  # bytes; a zstd block of a few bytes may unpack to 128 KiB
TRUNCATED_ZSTD = "the compressed data ends before its end mark"


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

    With a `stream`, which can be searched, the path is only a name.

    Lines are UTF-8, whatever the encoding of the file: `encoding`, else the one of its byte order mark, else
    UTF-8. In a file without line feeds, carriage returns end the lines.

    `unended_line` is the number of the last line when it has no end of line, else 0; it is known once the
    lines have been read to their end. `has_more` says whether a slice of lines was not the last one,
    `position` how many bytes of the file, as it is on disk, were taken for it and those before. Raises
    UnreadableFile when the file cannot be opened, and while reading when its compression is broken or was cut
    off.
    """

    def __init__(self, path: str, *, encoding: str | None = None, stream: BinaryIO | None = None) -> None:
        self.name = path
        self.encoding = encoding
        try:
            self.raw = stream or _opened(path)
        except OSError as error:
            raise UnreadableFile(f"{path} cannot be read: {error.strerror}.") from error
        self.size = self.raw.seek(0, io.SEEK_END)
        self.raw.seek(0)
        self.plain: io.BufferedReader | None = None
        self.unended_line = 0
        self.line = 0
        self.position = 0
        self.has_more = True

    def __enter__(self) -> "InputFile":
        return self

    def __exit__(self, *error: object) -> None:
        self.raw.close()

    def digest(self) -> str:
        """Return the SHA-256 digest of the file as it is on disk; who was reading the file can read on."""
        place = self.raw.seek(0, io.SEEK_CUR)
        self.raw.seek(0)
        digest = hashlib.sha256()
        while chunk := self.raw.read(CHUNK):
            digest.update(chunk)
        self.raw.seek(place)
        return digest.hexdigest()

    def is_compressed(self) -> bytes:
        """Return the mark of the compression, empty for a plain file."""
        self.raw.seek(0)
        start = self.raw.read(4)
        self.raw.seek(0)
        return next((mark for mark in (GZIP, ZSTD) if start.startswith(mark)), b"")

    def unread_kind(self) -> str:
        """Say what the file is when it is of a kind that is not read, and what to do; else return nothing."""
        start = self.raw.read(4)
        self.raw.seek(0)
        return next((what for mark, what in UNREAD.items() if start.startswith(mark)), "")

    def lines(self) -> Iterator[Line]:
        """Yield the lines one by one."""
        for lines in self.line_slices():
            yield from lines

    def line_slices(self) -> Generator[list[Line]]:
        """Yield the lines from the first one on, without a byte order mark and without their line feed.

        They come in lists of LINES_AT_ONCE, or of fewer where they are long; the last list may be empty. A
        line longer than 4 MiB is cut, and the rest of it skipped. Where the file cannot be read on, the lines
        before that come first.
        """
        self.unended_line, self.has_more = 0, True
        number = size = 0
        ending = b""
        taken: list[Line] = []
        try:
            with self._opened_as_utf8() as stream:
                while content := stream.readline(LONGEST_LINE):
                    self.line = number = number + 1
                    if number == 1:
                        content = content.removeprefix(BYTE_ORDER_MARK)
                    is_too_long = len(content) == LONGEST_LINE and not content.endswith(b"\n")
                    ending = _skip_line(stream) if is_too_long else content[-1:]
                    taken.append((number, content.removesuffix(b"\n"), is_too_long))
                    size += len(content)
                    if len(taken) == LINES_AT_ONCE or size > CHUNK:
                        self.position = (self.plain or self.raw).tell()
                        yield taken
                        taken, size = [], 0
        except UnreadableFile:
            if taken:
                yield taken
            raise
        if number and ending not in (b"\n", b"\r"):
            self.unended_line = number
        self.position, self.has_more = self.size, False
        yield taken

    def pieces(self) -> Iterator[bytes]:
        """Yield the contents in pieces, without a byte order mark and without regard to lines."""
        self.unended_line = 0
        with self._opened_as_utf8() as stream:
            is_first = True
            while content := stream.read(CHUNK):
                self.position = (self.plain or self.raw).tell()
                yield content.removeprefix(BYTE_ORDER_MARK) if is_first else content
                self.line += content.count(b"\n")
                is_first = False

    @contextmanager
    def _opened_as_utf8(self) -> Iterator[io.BufferedReader]:
        self.line = 0
        with self._decompressed() as packed:
            try:
                yield self._as_utf8(packed)
            except UnicodeError as error:
                raise UnreadableFile(
                    f"{self.name} is not {self.encoding or 'UTF-16'} after line {self.line}:"
                    " name its encoding by --encoding."
                ) from error
            except (EOFError, OSError, zlib.error, zstandard.ZstdError) as error:
                raise UnreadableFile(
                    f"{self.name} is broken after line {self.line}: {str(error).rstrip('.')}."
                ) from error

    def _as_utf8(self, stream: io.BufferedReader) -> io.BufferedReader:
        encoding = self.encoding or _encoding_of(stream.peek(4)[:4])
        if encoding:
            stream = io.BufferedReader(_Recoded(stream, encoding), CHUNK)
        if _ends_lines_by_returns(stream.peek(CHUNK)):
            stream = io.BufferedReader(_LineFeeds(stream), CHUNK)
        return stream

    def _decompressed(self) -> io.BufferedReader:
        mark = self.is_compressed()
        if what := self.unread_kind():
            raise UnreadableFile(f"{self.name} is {what}.")
        kept_open = _Unclosed(self.raw)
        self.plain = None
        if mark == GZIP:
            return io.BufferedReader(gzip.GzipFile(fileobj=kept_open, mode="rb"), CHUNK)
        if mark == ZSTD:
            return io.BufferedReader(_ZstdStream(self.raw), CHUNK)
        self.plain = io.BufferedReader(kept_open, CHUNK)
        return self.plain


class Format(StrEnum):
    """How rows are written in a file."""

    CSV = "csv"
    JSONL = "jsonl"
    JSON = "json"  # an array

    @property
    def unit(self) -> str:
        """What the number of a row counts."""
        return "Entry" if self is Format.JSON else "Line"


def format_of_name(name: str) -> Format | None:
    """Tell the format from a file's name, compressed or not."""
    for suffix in reversed(name.lower().split(".")[1:]):
        if suffix == "csv":
            return Format.CSV
        if suffix in ("jsonl", "ndjson"):
            return Format.JSONL
        if suffix == "json":
            return Format.JSON
    return None


def format_of(file: InputFile, named: Format | None = None) -> Format:
    """Return the format that is named, by the user or the file's name; else tell it from the first character.

    That also tells an array from JSON Lines, whatever the name.
    """
    named = named or format_of_name(file.name)
    if named is Format.CSV:
        return named
    first = next((content.strip() for _, content, _ in file.lines() if content.strip()), b"")
    start = first[:1]
    if start == b"{" and named is Format.JSON and not is_json(first):
        raise UnreadableFile(
            "The file is one JSON object, not a list of rows: take the list out of it,"
            " for instance by jq '.customers'."
        )
    if start == b"[" and (named or file.name == STANDARD_INPUT):
        return Format.JSON
    return Format.JSONL if named or start == b"{" else Format.CSV


def is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


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


def _ends_lines_by_returns(start: bytes) -> bool:
    """Say whether only carriage returns end the lines; quoted cells may hold line feeds then."""
    unquoted = b"".join(start.split(b'"')[::2])
    return any(b"\r" in text and b"\n" not in text for text in (start, unquoted))


def _encoding_of(start: bytes) -> str:
    """Return the encoding that a byte order mark, or the zeros of UTF-16, show; empty for UTF-8."""
    if start in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if len(start) == 4 and start[1] == start[3] == 0 and start[0] and start[2]:
        return "utf-16-le"
    if len(start) == 4 and start[0] == start[2] == 0 and start[1] and start[3]:
        return "utf-16-be"
    return ""


class _Recoded(io.RawIOBase):
    """A stream in another encoding, as UTF-8. Raises UnicodeError while reading."""

    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        self.stream = stream
        self.decoder = codecs.getincrementaldecoder(encoding)()
        self.ready = b""
        self.is_done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self.ready and not self.is_done:
            chunk = self.stream.read(RECODED_CHUNK)
            self.is_done = not chunk
            self.ready = self.decoder.decode(chunk, final=self.is_done).encode()
        count = min(len(buffer), len(self.ready))
        buffer[:count] = self.ready[:count]
        self.ready = self.ready[count:]
        return count


class _LineFeeds(io.RawIOBase):
    """A stream with line feeds in place of carriage returns."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self.stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self.stream.read1(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(chunk)] = chunk
        return len(chunk)


class _ZstdStream(io.RawIOBase):
    """Decompressed zstd data, of one frame or several.

    Raises EOFError where the data ends within a frame, which the reader of the zstandard package takes for
    the end of the file.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.decompressor = zstandard.ZstdDecompressor()
        self.frame: zstandard.ZstdDecompressionObj | None = None
        self.compressed = b""
        self.ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self.ready:
            if not self.compressed:
                self.compressed = self.stream.read(ZSTD_CHUNK)
            if not self.compressed:
                if self.frame is not None:
                    raise EOFError(TRUNCATED_ZSTD)
                return 0
            if self.frame is None:
                self.frame = self.decompressor.decompressobj()
            self.ready = memoryview(self.frame.decompress(self.compressed))
            self.compressed = b""
            if self.frame.eof:
                self.compressed = self.frame.unused_data
                self.frame = None
        count = min(len(buffer), len(self.ready))
        buffer[:count] = self.ready[:count]
        self.ready = self.ready[count:]
        return count


def _skip_line(stream: io.BufferedIOBase) -> bytes:
    """Skip the rest of a line; return its last byte, which is no line feed when the file ends in it."""
    rest = b""
    while part := stream.readline(LONGEST_LINE):
        rest = part
        if rest.endswith(b"\n"):
            break
    return rest[-1:]


def _opened(path: str) -> BinaryIO:
    """Open the file. The caller closes it."""
    if URL.match(path):
        raise UnreadableFile(
            f"{path} is an address, not a file. Pipe what it answers: curl -fsS {shlex.quote(path)} | ... -"
        )
    if path != STANDARD_INPUT:
        return Path(path).open("rb")
    kept = tempfile.TemporaryFile()  # noqa: SIM115 -- has no name, so a kill leaves nothing behind
    shutil.copyfileobj(sys.stdin.buffer, kept, CHUNK)
    kept.seek(0)
    return kept
