"""What is visible of a text, and texts that are the same."""

import pytest

from core.errors import InvalidInput
from core.tenancy.identifiers import check_client_id
from core.text import has_visible_character, normalized, normalized_json, trimmed

DECOMPOSED, COMPOSED = "Mu\u0308ller", "M\u00fcller"


def test_texts_are_composed_apart_from_mixins():
    body = {"name": {"de": DECOMPOSED}, "list": [DECOMPOSED, 5], "mixins": {DECOMPOSED: DECOMPOSED}}
    assert normalized(DECOMPOSED) == COMPOSED
    assert normalized_json(body) == {
        "name": {"de": COMPOSED},
        "list": [COMPOSED, 5],
        "mixins": {DECOMPOSED: DECOMPOSED},
    }


@pytest.mark.parametrize("text", ["a", " . ", "\u00a0x", "é", "🙂", "\u200b-"])
def test_a_text_can_be_seen(text):
    assert has_visible_character(text)


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u00a0", "\u200b", "\ufeff", "\u00ad\u2060\u200e"])
def test_nothing_of_a_text_can_be_seen(text):
    assert not has_visible_character(text)


def test_an_invisible_character_in_an_id_is_named():
    with pytest.raises(InvalidInput, match=r"invisible character ZERO WIDTH SPACE \(U\+200B\)"):
        check_client_id("a\u200b", field="id")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" a b ", "a b"),
        ("\u200b\ufeffann@x.io\u00a0\u2060", "ann@x.io"),
        ("\u00adä\u200eb\u200e", "ä\u200eb"),
        ("\u200b", ""),
        ("", ""),
    ],
)
def test_text_loses_what_cannot_be_seen_at_its_ends(text, expected):
    assert trimmed(text) == expected
