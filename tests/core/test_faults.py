"""What operations refuse is said in the language of whoever reads the page."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone, translation

from core.admin.faults import FAULTS, fault_text, patterns, refusal_text
from core.errors import InvalidBody, NotFound, Problem

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "accounts", "catalog", "segments", "coupons", "events")
NOT_SHOWN = {"api", "management", "migrations", "admin", "forms"}
"""Folders of what no page calls, and of pages themselves, which speak the reader's language at once."""
OF_PROGRAMS = {
    "catalog/models.py": "writes of the tree by code that may not",
    "core/background/jobs.py": "kinds of jobs that the code names",
    "core/background/tasks.py": "tasks that the code names",
    "core/imports/commands.py": "options of commands",
    "core/imports/exporting.py": "files that commands write",
    "core/imports/files.py": "files that commands read, and pipes",
    "core/imports/rejects.py": "files that commands write",
    "core/imports/removals.py": "options of commands and of the API",
    "core/imports/runs.py": "options of commands",
    "core/imports/uploads.py": "parameters of the API",
    "core/model_fields.py": "fields that the code names",
    "core/patches.py": "patches, which only the API takes",
    "core/personal_data/declarations.py": "declarations in the code",
    "core/representation/pages.py": "cursors and sizes of pages of the API",
    "core/representation/representations.py": "fields and orders of the API",
    "core/sql/fetching.py": "logged",
    "events/feed/purging.py": "logged",
    "segments/partitioning.py": "a command",
}
API_PARAMETERS = {"sort", "fields", "next", "pageSize", "publish", "Content-Language"}
FAULTS_OF_THE_CODE = {
    "ArgumentTypeError", "AssertionError", "CommandError", "ImproperlyConfigured", "KeyError", "LookupError",
    "NotImplementedError", "RuntimeError", "SourceAsRejects", "SuspiciousOperation",
    "TransactionManagementError", "TypeError",
}  # fmt: skip
COUNTED = ("failed attempts", "password resets", "sign-ups")
SAID_WITH_WORDS = {
    "Too many X; try again in X seconds.": [f"Too many {what}; try again in 3 seconds." for what in COUNTED],
    "There is no X X.": [f"There is no {what} 7." for what in ("product", "category", "segment")],
    "Conflict - another product has X.": [
        f"Conflict - another product has {what}." for what in ("the code 7", "this code")
    ],
    "X for category with id 'X' for tenant 'X' not found": [
        f"{what} for category with id '7' for tenant 'acme' not found"
        for what in ("Parents", "Subcategories")
    ],
    "X must be 1 to 128 characters out of letters, digits and . _ - : ~ @X": [
        f"id must be 1 to 128 characters out of letters, digits and . _ - : ~ @{hint}"
        for hint in ("", "; it has")
    ],
    "A cart takes at most X couponX.": ["A cart takes at most 1 coupon.", "A cart takes at most 9 coupons."],
    "The coupon X as often as it can beX.": [
        "The coupon has been redeemed as often as it can be.",
        "The coupon is redeemed or reserved as often as it can be; try again when reservations are over.",
    ],
}
"""What is known word for word where a text is put together of words, with the sentences that this makes."""
TEXT = re.compile("[a-z]{3} ")


def texts_of(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an expression may be, with X for each value."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr():
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        case ast.IfExp():
            yield from texts_of(node.body)
            yield from texts_of(node.orelse)
        case ast.BoolOp():
            for value in node.values:
                yield from texts_of(value)


def refused_by(node: ast.AST, *, in_body: bool) -> list[ast.expr]:
    """Return the expressions of a node that are a refusal's text. Errors of values count in bodies only."""
    match node:
        case ast.Raise(exc=ast.Call() as call):
            name = ast.unparse(call.func).rpartition(".")[2]
            named = {ast.unparse(word.value).strip("'") for word in call.keywords if word.arg == "field"}
            if name in FAULTS_OF_THE_CODE or named & API_PARAMETERS or (name == "ValueError" and not in_body):
                return []
            return call.args[:1]
        case ast.Call(func=ast.Attribute(attr="__init__")):
            return node.args[:1]
        case ast.Call(func=ast.Name(id="Problem"), args=[_, _, text]):
            return [text]
        case ast.Call(func=ast.Name(id="Reason"), args=[_, text, *_]):
            return [text]
        case ast.keyword(arg="refusals", value=ast.Dict(keys=reasons)):  # of an undo
            return [reason for reason in reasons if reason is not None]
    return []


def refusals() -> Iterator[tuple[str, str]]:
    """Yield the file and the text of each refusal in the code that a page may show."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if NOT_SHOWN & set(path.relative_to(ROOT).parts) or name in OF_PROGRAMS:
                continue
            for part in ast.walk(ast.parse(path.read_text())):
                in_body = isinstance(part, ast.FunctionDef) and part.name == "__post_init__"
                for node in ast.walk(part) if in_body else (part,):
                    for expression in refused_by(node, in_body=in_body):
                        yield from ((name, text) for text in texts_of(expression) if TEXT.search(text))


def test_every_refusal_that_pages_may_show_is_known() -> None:
    found = list(refusals())
    assert len(found) > 200
    known = [pattern for _, pattern in patterns()]
    said = [(name, text) for name, one in found for text in SAID_WITH_WORDS.get(one, [one])]
    unknown = [pair for pair in said if not any(pattern.fullmatch(pair[1]) for pattern in known)]
    assert unknown == []


def test_files_of_programs_are_there() -> None:
    assert [name for name in OF_PROGRAMS if not (ROOT / name).exists()] == []


def test_no_page_shows_a_refusal_as_the_operation_said_it() -> None:
    """A message of a refusal goes through `fault_text` or `refusal_text` on its way to a page."""
    spoken = re.compile(
        r"(?<!fault_text\()\b(refused|refusal|problem|busy|missing)\.message\b(?!\.partition)"
    )
    pages = [
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if {"admin", "forms"} & set(path.parts) or path.name == "admin.py"
    ]
    assert len(pages) > 50
    shown = [path.name for path in pages if path.name != "faults.py" and spoken.search(path.read_text())]
    assert shown == []


def test_every_refusal_has_a_translation() -> None:
    with translation.override("de"):
        assert [text for text in FAULTS if translation.gettext(text) == text] == []


def test_the_problems_of_a_body_are_said_one_by_one() -> None:
    body = InvalidBody(
        [
            Problem("name", "missing_value", "name needs a visible character."),
            Problem("discountPercentage", "invalid_value", "A percentage is between 0 and 100."),
        ]
    )
    assert refusal_text(body) == body.message
    with translation.override("de"):
        assert refusal_text(body) == (
            "name braucht ein sichtbares Zeichen."
            " discountPercentage: Ein Prozentsatz liegt zwischen 0 und 100."
        )
        assert refusal_text(NotFound(resource_id="4711")) == "Es gibt nichts mit der Id 4711."


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "The coupon is valid from 28 Nov 2026, 06:11 UTC on."),
        ("de", "Der Gutschein gilt ab 28. Nov 2026, 06:11 UTC."),
    ],
)
def test_times_are_written_as_people_write_them(language: str, expected: str) -> None:
    with translation.override(language):
        assert fault_text("The coupon is valid from 2026-11-28T06:11:54.494Z on.") == expected


@pytest.mark.parametrize(
    ("zone", "value", "shown"),
    [
        ("Asia/Tokyo", "9999-12-31T23:59:59.999Z", "31 Dec 9999, 23:59 UTC"),
        ("America/New_York", "0001-01-01T00:00:00.000Z", "1 Jan 0001, 00:00 UTC"),
        ("UTC", "2026-02-30T12:00:00.000Z", "2026-02-30T12:00:00.000Z"),
    ],
)
def test_a_time_that_the_reader_has_not_is_in_utc_or_stays_as_it_is(
    zone: str, value: str, shown: str
) -> None:
    with timezone.override(zone):
        assert fault_text(f"The coupon is valid from {value} on.") == f"The coupon is valid from {shown} on."


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("There is no customer 4711.", "Es gibt keinen Kunden 4711."),
        ("Expected a number.", "Hier fehlt eine Zahl."),
        (
            "Fault in q at character 7: this bracket is not closed.",
            "Fehler in q beim Zeichen 7: diese Klammer ist nicht geschlossen.",
        ),
        (
            "A hash of LDAP is {SSHA} and base64 of 20 bytes and 4 to 64 bytes of salt.",
            "Ein Hash von LDAP ist {SSHA} und in Base64 20 Bytes und 4 bis 64 Bytes Salz.",
        ),
        (
            "The order is in EUR, but the discount is in USD.",
            "Die Bestellung ist in EUR, aber der Rabatt ist in USD.",
        ),
        (
            "The host shop.example cannot be resolved: unknown.",
            "Der Name shop.example lässt sich nicht auflösen: unbekannt.",
        ),
        ("Nobody knows this.", "Nobody knows this."),
        ("", ""),
    ],
)
def test_a_refusal_is_said_in_the_readers_language(message: str, expected: str) -> None:
    with translation.override("de"):
        assert fault_text(message) == expected
    assert fault_text(message) == message
