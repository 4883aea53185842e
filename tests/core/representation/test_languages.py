import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.representation.languages import (
    accepted_languages,
    read_translations,
    unconfigured_languages,
    unsupported_languages,
    with_bases,
)


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        ("en", ("en",)),
        ("en,de,fr", ("en", "de", "fr")),
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", ("fr-CH", "fr", "en", "de")),
        ("de;q=0.5, en;q=0.9, fr", ("fr", "en", "de")),
        ("de;q=0.8,en;q=0.8", ("de", "en")),
        ("en, *", ("en",)),
        ("en, de;q=0", ("en",)),
        ("en, de;q=0.000, fr;Q=1.000", ("en", "fr")),
        ("en;q=0.5, EN;q=0.9, en_GB", ("en_GB", "en")),
        (" en ; q=0.5 ,, de", ("de", "en")),
        ("zh-Hant-TW", ("zh-Hant-TW",)),
    ],
)
def test_the_accepted_languages_come_best_first(header, languages):
    assert accepted_languages(header) == languages


@pytest.mark.parametrize(
    "header", [None, "", "  ", "*", "*;q=0.3", "*, en", "en;q=0.5, *", ",;,", "en;q=0", "?!"]
)
def test_nothing_is_cut_without_a_language_that_ranks_first(header):
    assert accepted_languages(header) is None


@pytest.mark.parametrize(
    "fault",
    [
        "e",
        "engl",
        "e n",
        "de;q=2",
        "de;q=0.1234",
        "de;q=x",
        "de;x=1",
        "de;q=1;q=1",
        "de-",
        "d3",
        "dé",
        "aa" + "-bbbbbbbb" * 4,
    ],
)
def test_a_faulty_entry_is_ignored(fault):
    assert accepted_languages(f"{fault}, fr;q=0.1") == ("fr",)


def test_only_fifty_entries_are_read():
    tags = [f"{first}{second}" for first in "abcdefgh" for second in "abcdefgh"]

    assert accepted_languages(",".join(tags)) == tuple(tags[:50])


def test_only_five_hundred_characters_are_read_and_no_half_of_a_language():
    assert accepted_languages("en," + " " * 495 + "de-CH") == ("en",)
    assert accepted_languages("en," + " " * 492 + "de-CH") == ("en", "de-CH")


@given(st.text(max_size=100) | st.text(alphabet="end-_,;q=0.19* ", max_size=100))
def test_no_header_fails(header):
    languages = accepted_languages(header)

    assert languages is None or len(set(languages)) == len(languages) > 0


@pytest.mark.parametrize(
    ("tag", "languages"),
    [("de", ("de",)), ("de-CH", ("de-CH", "de")), ("zh_Hant-TW", ("zh_Hant-TW", "zh_Hant", "zh"))],
)
def test_a_language_comes_with_all_it_is_based_on(tag, languages):
    assert with_bases(tag) == languages


@pytest.mark.parametrize(
    ("accepted", "unsupported"),
    [
        (None, []),
        (("en", "de-CH"), []),
        (("ru",), ["ru"]),
        (("ru-RU", "en", "pl"), ["ru-RU", "pl"]),
        (("fr",), []),
    ],
)
def test_a_language_can_be_read_when_it_its_base_or_a_region_of_it_is_configured(accepted, unsupported):
    assert unsupported_languages(accepted, ["en", "de", "fr-CH"]) == unsupported


def test_a_language_can_be_written_when_it_or_its_base_is_configured():
    assert unconfigured_languages(["en", "de-CH", "fr", "fr-ch", "ru"], ["en", "de", "fr-CH"]) == ["fr", "ru"]


def read(value, content_language=None):
    return read_translations(value, content_language, "en", field="name", max_length=10)


@pytest.mark.parametrize(
    ("value", "content_language", "translations"),
    [
        ({"en": "Chairs", "de-CH": "Stühle"}, None, {"en": "Chairs", "de-CH": "Stühle"}),
        ({"en": "Chairs"}, "de", {"en": "Chairs"}),
        ({}, None, {}),
        ({"en": ""}, None, {"en": ""}),
        ("Stühle", "de", {"de": "Stühle"}),
        ("Stühle", " de-CH ", {"de-CH": "Stühle"}),
        ("Chairs", None, {"en": "Chairs"}),
        ("Chairs", "", {"en": "Chairs"}),
        ("Chairs", "*", {"en": "Chairs"}),
        ("x" * 10, None, {"en": "x" * 10}),
    ],
)
def test_a_map_or_a_text_in_one_language_is_read(value, content_language, translations):
    assert read(value, content_language) == translations


@pytest.mark.parametrize(
    ("value", "content_language", "field", "message"),
    [
        (None, None, "name", "name must be a map of language to text, or a text."),
        (5, None, "name", "name must be a map of language to text, or a text."),
        (["Chairs"], None, "name", "name must be a map of language to text, or a text."),
        ("Chairs", "en,de", "name", "name is a text, so Content-Language must name its one language."),
        ("Chairs", "?", "name", "name is a text, so Content-Language must name its one language."),
        ({"english": "x"}, None, "name", "name has a key that is not a language such as en or de-CH."),
        ({"en\n": "x"}, None, "name", "name has a key that is not a language such as en or de-CH."),
        ({"": "x"}, None, "name", "name has a key that is not a language such as en or de-CH."),
        (
            {"aa" + "-bbbbbbbb" * 4: "x"},
            None,
            "name",
            "name has a key that is not a language such as en or de-CH.",
        ),
        ({"en": "x", "EN": "y"}, None, "name", "name has the same language twice."),
        ({"de-CH": "x", "de_ch": "y"}, None, "name", "name has the same language twice."),
        ({"en": None}, None, "name.en", "name.en must be a text."),
        ({"en": {"de": "x"}}, None, "name.en", "name.en must be a text."),
        ({"en": "x" * 11}, None, "name.en", "name.en has more than 10 characters."),
        ("x" * 11, None, "name", "name has more than 10 characters."),
        ({"en": "a\x00b"}, None, "name.en", "name.en has a character that cannot be stored."),
        ("\ud800", None, "name", "name has a character that cannot be stored."),
    ],
)
def test_any_other_localized_value_is_refused(value, content_language, field, message):
    with pytest.raises(InvalidInput) as refused:
        read(value, content_language)

    assert (refused.value.field, refused.value.message) == (field, message)


def test_a_map_has_at_most_a_hundred_languages():
    tags = [f"a{first}{second}" for first in "abcdefghijk" for second in "abcdefghij"]

    assert len(read(dict.fromkeys(tags[:100], "x"))) == 100
    with pytest.raises(InvalidInput) as refused:
        read(dict.fromkeys(tags[:101], "x"))
    assert refused.value.message == "name has more than 100 languages."
