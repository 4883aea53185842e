"""Log lines: of text for people, of JSON for machines. Nobody can forge one, and none holds a secret."""

import json
import logging
import re
from collections.abc import Iterator

from django.http import HttpRequest

from core.actors import REQUEST_ID_KEY
from core.observation.access_log import format_log_time
from core.observation.requests import current_request, names_of_caller, route_of, trace_id_of

INDENT = "    "
# What must not be in a log, wherever it comes from: tokens, passwords in addresses and parameters, and what
# PostgreSQL quotes of the row that it refused.
SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 (removed)"),
    (re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]+){1,2}"), "(token removed)"),
    (re.compile(r"(://[^\s:/@]*):[^\s@]+@"), r"\1:(removed)@"),
    (
        re.compile(
            r"(?i)\b(password|passwd|client_secret|secret_key|access_token|refresh_token|refreshtoken)"
            r"(['\"]?\s*[=:]\s*['\"]?)[^\s'\"&,;)}]+"
        ),
        r"\1\2(removed)",
    ),
    (re.compile(r"(?m)^(DETAIL|CONTEXT|PARAMETERS):.*$"), r"\1: (removed)"),
)


def escaped(text: str) -> str:
    """Return the text on one line: line breaks, control and invisible characters as Python writes them."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def without_secrets(text: str) -> str:
    """Return the text without what looks like a token or a password, and without rows of the database."""
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


def details_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """Return the traceback and the stack of a record; empty without them."""
    parts = [
        formatter.formatException(record.exc_info) if record.exc_info else record.exc_text,
        formatter.formatStack(record.stack_info) if record.stack_info else "",
    ]
    return without_secrets("\n".join(filter(None, parts)))


class OneLineFormatter(logging.Formatter):
    """Write each message on one line, with the lines of a traceback indented below it.

    Messages hold what callers send (names of parameters, paths, ids), and the text of an exception does too.
    """

    def format(self, record: logging.LogRecord) -> str:
        record.message = without_secrets(record.getMessage())
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        return "\n".join([escaped(self.formatMessage(record)), *self._details(record)])

    def _details(self, record: logging.LogRecord) -> Iterator[str]:
        if details := details_of(self, record):
            yield from (INDENT + escaped(line) for line in details.split("\n"))


class JsonFormatter(logging.Formatter):
    """Write each record as one JSON object on one line, with the request that it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": format_log_time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        request = getattr(record, "request", None) or current_request()
        if isinstance(request, HttpRequest):
            tenant, client, caller = names_of_caller(request)
            fields |= {
                "request_id": request.META.get(REQUEST_ID_KEY, ""),
                "trace_id": trace_id_of(request),
                "method": request.method,
                "route": route_of(request),
                "tenant": tenant,
                "client": client,
                "caller": caller,
            }
        if details := details_of(self, record):
            fields["details"] = details
        kept = {name: value for name, value in fields.items() if value not in ("", None)}
        return json.dumps(kept, default=str)
