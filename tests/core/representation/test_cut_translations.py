"""The texts of a localized field that are shown, as PostgreSQL chooses them."""

import json

import pytest
from django.db import connection
from psycopg.types.json import Jsonb

NAMES = {"de": "Stühle", "en": "Chairs", "fr": "Chaises", "en-GB": "Chairs, dear"}


def cut(translations, accepted, default="en"):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT cut_translations(%s, %s, %s)::text::jsonb", [Jsonb(translations), accepted, default]
        )
        return json.loads(cursor.fetchone()[0])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("accepted", "kept"),
    [
        (["fr"], {"fr": "Chaises"}),
        (["fr", "de"], {"fr": "Chaises", "de": "Stühle"}),
        (["de-CH"], {"de": "Stühle"}),
        (["de-Latn-CH", "de-AT"], {"de": "Stühle"}),
        (["en-GB"], {"en-GB": "Chairs, dear"}),
        (["EN_gb"], {"en-GB": "Chairs, dear"}),
        (["it", "fr"], {"fr": "Chaises"}),
        (["it"], {"en": "Chairs"}),
    ],
)
def test_the_accepted_languages_are_shown_or_the_default(accepted, kept):
    assert cut(NAMES, accepted) == kept


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("translations", "accepted", "default", "kept"),
    [
        ({"de-CH": "Stühle", "en": "Chairs"}, ["de"], "en", {"de-CH": "Stühle"}),
        ({"en-US": "Chairs", "en-GB-x": "Chairs"}, ["en"], "de", {"en-US": "Chairs"}),
        ({"de": "Stühle"}, ["it"], "de-AT", {"de": "Stühle"}),
        ({"de": "Stühle", "fr-CH": "Chaises"}, ["it"], "en", {"de": "Stühle"}),
        ({"de": "", "en": "Chairs"}, ["de"], "en", {"en": "Chairs"}),
        ({"de": "", "de-CH": "Stühle"}, ["de"], "en", {"de-CH": "Stühle"}),
        ({"en": "", "fr": "Chaises"}, ["de"], "en", {"fr": "Chaises"}),
        ({"en": ""}, ["en"], "en", {}),
        ({}, ["en"], "en", {}),
    ],
)
def test_a_region_or_any_other_text_is_shown_rather_than_none(translations, accepted, default, kept):
    assert cut(translations, accepted, default) == kept
