"""What is visible of a text, and texts that are the same."""

import json
import re
import unicodedata
from itertools import pairwise

import pytest
from django.db import connection
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import text

from core import text as texts
from core.errors import InvalidInput
from core.tenancy.identifiers import check_client_id
from core.text import (
    CODE_AS_STORED,
    ID_AS_STORED,
    INVISIBLE,
    SPREADSHEET_NUMBER,
    has_visible_character,
    is_normalized_utf8,
    normalized,
    normalized_json,
    trimmed,
)

DECOMPOSED, COMPOSED = "Mu\u0308ller", "M\u00fcller"


def test_texts_are_composed_apart_from_mixins():
    body = {"name": {"de": DECOMPOSED}, "list": [DECOMPOSED, 5], "mixins": {DECOMPOSED: DECOMPOSED}}
    assert normalized(DECOMPOSED) == COMPOSED
    assert normalized_json(body) == {
        "name": {"de": COMPOSED},
        "list": [COMPOSED, 5],
        "mixins": {DECOMPOSED: DECOMPOSED},
    }


MARKED = st.text(
    "aeé\u01d5ᄀ\u1161\u0301\u0327\u0323\u0315\u0344\u0f71\u0f73\u0f74\u0f81\u09c7\u09be\u0338<", max_size=12
)


@given(MARKED)
@example("\u0f73\u0f71")
def test_texts_with_many_marks_are_composed_as_all_others_are(marked):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "PIECE", 1)
        assert normalized(marked) == unicodedata.normalize("NFC", marked)


@pytest.mark.parametrize(
    "marks", ["\u0301\u0327", "\u0344\u0f73", "\u0f73", "\u0315\u0300\u0327\u0301\u0323"]
)
@pytest.mark.parametrize("before", ["", "a", "Müller, Mu\u0308ller " * 9])
def test_many_marks_are_never_left_to_a_slow_sort(monkeypatch, marks, before):
    unordered = []
    normalize = unicodedata.normalize

    def noted(form, text):
        unordered.append(text)
        return normalize(form, text)

    text = before + marks * 2_000 + " end"
    expected = normalize("NFC", text)
    monkeypatch.setattr(texts.unicodedata, "normalize", noted)
    assert normalized(text) == expected
    assert len(expected) > 1_000
    assert unordered
    for given_text in unordered:
        if len(given_text) > 2 * texts.PIECE:
            assert not any(character in texts.COMPOSED_OF_MARKS for character in given_text)
            classes = map(unicodedata.combining, given_text)
            assert not any(0 < later < earlier for earlier, later in pairwise(classes))


def test_marks_of_class_0_are_known():
    odd = [
        chr(number)
        for number in range(0x110000)
        if not unicodedata.combining(chr(number))
        and unicodedata.combining(unicodedata.normalize("NFD", chr(number))[0])
    ]
    assert odd == list(texts.COMPOSED_OF_MARKS)


@given(
    st.recursive(
        st.text(alphabet='eé\u0301\u0323"<\u0338ᄀ\u1161', max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("e\u0301", max_size=2), inner),
        max_leaves=4,
    )
)
def test_of_a_normalized_text_in_json_every_text_is_normalized(value):
    if is_normalized_utf8(json.dumps(value, ensure_ascii=False).encode()):
        assert normalized_json(value) == value


NEWER_THAN_UNICODE_14 = "\U0001fae8"  # a face, which unicodedata of Python 3.11 takes for nothing yet


@pytest.mark.parametrize(
    "text", ["a", " . ", "\u00a0x", "é", "🙂", "\u200b-", "❤\ufe0f", "\u0301", NEWER_THAN_UNICODE_14]
)
def test_a_text_can_be_seen(text):
    assert has_visible_character(text)


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "\t\n", "\u00a0", "\u200b", "\ufeff", "\u00ad\u2060\u200e"],
        *[
            "\u3164",
            "\u2800 \u2800",
            "\u115f\u1160",
            "\uffa0",
            "\u034f",
            "\ufe0f",
            "\U000e0101",
            "\U000e0041",
        ],
    ],
    ids=ascii,
)
def test_nothing_of_a_text_can_be_seen(text):
    assert not has_visible_character(text)


def is_empty(character: str) -> bool:
    """Say whether an assigned character is a letter or a mark that shows nothing."""
    name = unicodedata.name(character, "")  # controls have none
    is_filler = "HANGUL" in name and name.endswith("FILLER")
    return is_filler or "VARIATION SELECTOR" in name or character in EMPTY


EMPTY = "\u034f\u17b4\u17b5\u2800"  # a joiner of graphemes, two vowels of Khmer, the blank of Braille


def test_every_assigned_character_is_seen_that_is_no_blank_control_or_filler():
    assigned = [point for point in map(chr, range(0x110000)) if unicodedata.category(point) != "Cn"]
    for character in assigned:
        is_hidden = unicodedata.category(character)[0] in "ZC" or is_empty(character)
        assert bool(has_visible_character(character)) != is_hidden, ascii(character)


def test_postgresql_finds_the_same_characters_invisible(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT point FROM generate_series(1, 983040) AS point"
            " WHERE point NOT BETWEEN 55296 AND 57343 AND chr(point) !~ %s",
            [f"[{INVISIBLE}]"],
        )
        seen = {point for (point,) in cursor.fetchall()}
    expected = {point for point in range(1, 983_041) if has_visible_character(chr(point))}
    assert seen ^ expected == set()


def test_an_invisible_character_in_an_id_is_named():
    with pytest.raises(InvalidInput, match=r"invisible character ZERO WIDTH SPACE \(U\+200B\)"):
        check_client_id("a\u200b", field="id")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" a b ", "a b"),
        ("\u200b\ufeffann@x.io\u00a0\u2060", "ann@x.io"),
        ("\u00adä\u200eb\u200e", "ä\u200eb"),
        ("„Ada“", "Ada"),
        ("« gold »", "gold"),
        ("“a”b”", "a”b"),
        ("it’s", "it’s"),
        ("P1\u061c", "P1"),
        ("\ufff9P\u180e1\u180e", "P\u180e1"),
        ("\ue000❤\U000e007f", "\ue000❤\U000e007f"),
        ("\tgold\r\n", "gold"),
        ("\u200b", ""),
        ("", ""),
    ],
)
def test_text_loses_what_cannot_be_seen_at_its_ends(text, expected):
    assert trimmed(text) == expected


def test_what_is_trimmed_is_what_cannot_be_at_the_ends_of_an_id():
    as_stored = [re.compile(pattern) for pattern in (ID_AS_STORED, CODE_AS_STORED)]
    for character in map(chr, range(0x110000)):
        for written in (f"a{character}", f"{character}a"):
            is_kept = trimmed(written) == written
            assert [pattern.search(written) is not None for pattern in as_stored] == [is_kept] * 2, written


def test_every_character_that_cannot_be_seen_is_trimmed():
    seen = (
        "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"  # signs before numbers and names
    )
    kept = {
        character
        for character in map(chr, range(0x10000))
        if unicodedata.category(character) in ("Cc", "Cf", "Zs", "Zl", "Zp") and trimmed(character)
    }
    assert kept == set(seen)


@given(text(alphabet="aé1,.E+… \n\u00a0\u200b\u2060\ufeff“«’", max_size=8))
def test_what_is_no_id_as_it_is_is_trimmed(written):
    stored = re.search(ID_AS_STORED, written) is not None
    assert not stored or written == trimmed(written)
    assert re.search(ID_AS_STORED, trimmed(written)) or SPREADSHEET_NUMBER.fullmatch(trimmed(written))
