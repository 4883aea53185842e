"""Cursors that are used again.

A cursor of psycopg that runs the same statement again knows already how to write its values and to read its
columns; to find that out takes it as long as all else that it does. Placeholders are numbered once as well.
"""

import re
import threading
from itertools import count

import psycopg

from core.sql.attribution import AttributedRawCursor

MOST_CURSORS = 64  # of one connection: as many statements as are sent all the time
MOST_ROWS = 200  # a cursor holds on to the rows that it fetched last


class CursorsOfThread(threading.local):
    """The cursors of the connection that this thread uses, by the text of their statement."""

    def __init__(self) -> None:
        self.connection: psycopg.Connection | None = None
        self.by_text: dict[str, tuple[psycopg.RawCursor, bytes]] = {}

    def cursor_for(self, connection: psycopg.Connection, text: str) -> tuple[psycopg.RawCursor, bytes]:
        """Return the cursor for a statement, and the text to run: psycopg goes by that very object."""
        if connection is not self.connection:
            self.connection, self.by_text = connection, {}
        if found := self.by_text.get(text):
            return found
        if len(self.by_text) == MOST_CURSORS:
            del self.by_text[next(iter(self.by_text))]
        found = self.by_text[text] = AttributedRawCursor(connection), numbered(text)
        return found

    def forget(self, text: str) -> None:
        """Let go of the cursor for a statement, and of the rows that it fetched."""
        self.by_text.pop(text, None)


def numbered(text: str) -> bytes:
    """Return a statement with PostgreSQL's own placeholders ($1, $2) in place of %s, and % in place of %%."""
    numbers = count(1)
    return re.sub("%%|%s", lambda found: "%" if found[0] == "%%" else f"${next(numbers)}", text).encode()
