"""Log lines that nobody can forge, whatever a message holds."""

import logging
from collections.abc import Iterator

INDENT = "    "


def escaped(text: str) -> str:
    """Return the text on one line: line breaks, control and invisible characters as Python writes them."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


class OneLineFormatter(logging.Formatter):
    """Write each message on one line, with the lines of a traceback indented below it.

    Messages hold what callers send (names of parameters, paths, ids), and the text of an exception does too.
    """

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        return "\n".join([escaped(self.formatMessage(record)), *self._details(record)])

    def _details(self, record: logging.LogRecord) -> Iterator[str]:
        if record.exc_info:
            record.exc_text = record.exc_text or self.formatException(record.exc_info)
        for details in (record.exc_text, record.stack_info and self.formatStack(record.stack_info)):
            for line in details.split("\n") if details else ():
                yield INDENT + escaped(line)
