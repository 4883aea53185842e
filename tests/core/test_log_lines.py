import io
import logging
import sys
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse

from core.observation.log_lines import OneLineFormatter

FORGED = "x\n2026-01-01 00:00:00,000 INFO accounts: admin logged in"
FORMATTER = OneLineFormatter("{levelname} {name}: {message}", style="{")


def record(message: str, *arguments: object, **options: object) -> logging.LogRecord:
    return logging.LogRecord("shop", logging.WARNING, __file__, 1, message, arguments, None, **options)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\nb", r"a\r\nb"),
        ("a\x1b[2Kb", r"a\x1b[2Kb"),
        ("a\0b", r"a\x00b"),
        ("a\x85b\u2028c", r"a\x85b\u2028c"),
        ("a\u202eb", r"a\u202eb"),
        ("a\ud800b", r"a\ud800b"),
        ("Räder – 自転車 %s {x}", "Räder – 自転車 %s {x}"),
    ],
)
def test_a_message_stays_on_one_line(text: str, shown: str) -> None:
    assert FORMATTER.format(record("found %s", text)) == f"WARNING shop: found {shown}"
    assert FORMATTER.format(record(text.replace("%", "%%"), *())) == (
        f"WARNING shop: {shown.replace('%', '%%')}"
    )


def test_the_name_of_a_logger_is_escaped_too() -> None:
    named = record("found")
    named.name = "a\nb"
    assert FORMATTER.format(named) == r"WARNING a\nb: found"


def test_lines_of_a_traceback_are_indented() -> None:
    try:
        raise ValueError(FORGED + "\x1b")
    except ValueError:
        failed = record("failed")
        failed.exc_info = sys.exc_info()
    first, *others = FORMATTER.format(failed).split("\n")
    assert first == "WARNING shop: failed"
    assert others[0] == "    Traceback (most recent call last):"
    assert others[-2:] == [
        "    ValueError: x",
        r"    2026-01-01 00:00:00,000 INFO accounts: admin logged in\x1b",
    ]
    assert all(line.startswith("    ") for line in others)


def test_a_traceback_that_another_formatter_has_made_is_indented_too() -> None:
    failed = record("failed")
    failed.exc_text = FORGED
    failed.stack_info = "Stack:\nhere"
    assert FORMATTER.format(failed).split("\n") == [
        "WARNING shop: failed",
        "    x",
        "    2026-01-01 00:00:00,000 INFO accounts: admin logged in",
        "    Stack:",
        "    here",
    ]


def handlers_of(logger: logging.Logger) -> Iterator[logging.Handler]:
    """Yield the handlers that a message of the logger reaches."""
    yield from logger.handlers
    if logger.propagate and logger.parent is not None:
        yield from handlers_of(logger.parent)


@pytest.mark.parametrize(
    "name",
    ["django", "django.request", "django.server", "django.security.DisallowedModelAdminToField", "core"],
)
def test_every_message_passes_the_formatter(name: str) -> None:
    ours = {"StreamHandler": OneLineFormatter}  # others belong to the test runner
    formatters = [
        type(handler.formatter)
        for handler in handlers_of(logging.getLogger(name))
        if type(handler).__name__ in (*ours, "AdminEmailHandler")
    ]
    assert formatters == [OneLineFormatter]


def test_staff_cannot_forge_a_line_by_a_parameter(staff_browser: Client) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    [configured] = [
        handler.formatter
        for handler in logging.getLogger().handlers
        if isinstance(handler.formatter, OneLineFormatter)
    ]
    handler.setFormatter(configured)
    logging.getLogger().addHandler(handler)
    page = reverse("admin:segments_segment_changelist")
    try:
        assert staff_browser.get(page, {"_to_field": FORGED}).status_code == 400
        assert staff_browser.get(page, {FORGED: "1"}).status_code == 302
    finally:
        logging.getLogger().removeHandler(handler)
    lines = written.getvalue().splitlines()
    assert sum(r"x\n2026-01-01" in line and not line.startswith(" ") for line in lines) == 2
    assert not any(line.startswith("2026-01-01") for line in lines)
