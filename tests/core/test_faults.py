"""What rules refuse is said in the language of whoever reads the page."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import translation

from core.admin.faults import FAULTS, fault_text, patterns

ROOT = Path(__file__).resolve().parents[2]
SHOWN = (
    "core/representation/query_language.py",
    "core/representation/regular_expressions.py",
    "core/journal/undo/rules.py",
    "core/imports/undo.py",
    "segments/rules/compiler.py",
    "segments/rules/facts.py",
    "segments/rules/operations.py",
    "segments/operations/chosen_assignments.py",
)
UNNAMED = {"{fault}", "{reason}"}


def texts_of(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an expression may be, with X for each value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from texts_of(node.body)
        yield from texts_of(node.orelse)


def raised(path: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            yield from texts_of(node.exc.args[0])


@pytest.mark.parametrize("path", SHOWN)
def test_every_refusal_that_pages_show_is_known(path: str) -> None:
    found = [text for text in raised(path) if re.search("[a-z]{3} ", text)]
    assert found != []
    known = [pattern for _, pattern in patterns()]
    assert [text for text in found if not any(pattern.fullmatch(text) for pattern in known)] == []


def test_every_refusal_has_a_translation() -> None:
    with translation.override("de"):
        assert [text for text in FAULTS if translation.gettext(text) == text] == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("There is no customer 4711.", "Es gibt keinen Kunden 4711."),
        ("Expected a number.", "Hier fehlt eine Zahl."),
        (
            "Fault in q at character 7: this bracket is not closed.",
            "Fehler in q beim Zeichen 7: diese Klammer ist nicht geschlossen.",
        ),
        ("Nobody knows this.", "Nobody knows this."),
        ("", ""),
    ],
)
def test_a_refusal_is_said_in_the_readers_language(message: str, expected: str) -> None:
    with translation.override("de"):
        assert fault_text(message) == expected
    assert fault_text(message) == message
