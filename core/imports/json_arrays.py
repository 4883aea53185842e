"""Splits a JSON array into the bytes of its entries, without ever holding it whole."""

import re
from collections.abc import Iterable, Iterator

from core.imports.files import LONGEST_LINE, UnreadableFile

TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*("?)|[\[\]{},]', re.DOTALL)


def array_entries(pieces: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yield the text of each entry of the array that the pieces are; None in the end when it is not closed.

    Entries are told apart by brackets only, so that a fault within one does not hide the next. Raises
    UnreadableFile for an entry over 4 MiB, and for something behind the array.
    """
    buffer = b""
    begin = position = depth = count = 0
    is_open = False
    for piece in pieces:
        buffer = buffer[begin:] + piece
        position -= begin
        begin = 0
        while found := TOKEN.search(buffer, position):
            token = found[0]
            if token[:1] == b'"':
                if not found[1]:
                    break  # the text goes on in the next piece
                position = found.end()
                continue
            position = found.end()
            if not is_open:
                _require_blank(buffer[begin : found.start()], "before")
                if count or token != b"[":
                    raise UnreadableFile("The file goes on behind the end of the array.")
                is_open, depth, begin = True, 1, position
                continue
            is_end = token == b"]" and depth == 1
            if is_end or (token == b"," and depth == 1):
                entry = buffer[begin : found.start()].strip()
                if entry or count or not is_end:  # [] has no entries
                    count += 1
                    yield entry
                begin = position
                if is_end:
                    is_open = False
                    count += 1
            elif token in b"[{":
                depth += 1
            elif token != b",":
                depth -= 1
        else:
            position = len(buffer)
        if len(buffer) - begin > LONGEST_LINE:
            raise UnreadableFile(
                f"Entry {count + 1:,} is longer than 4 MiB, or a quote or bracket in it is not closed;"
                " what comes behind it was not read."
            )
    if is_open:
        yield None
    else:
        _require_blank(buffer[begin:], "behind")


def _require_blank(text: bytes, where: str) -> None:
    if text.strip():
        raise UnreadableFile(f"The file has text {where} the array.")
