"""The admin speaks the language of the person who reads, and the API knows of no reader."""

import ast
import gettext as catalogues
import re
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import translation

from accounts.models import Site
from core.background.admin import title_of
from core.background.jobs import registered_job_kinds
from core.journal.words import all_nouns
from core.names import is_generated, name_for_reader
from core.timestamps import time_zone_names
from tests.factories.catalog import CategoryFactory
from tests.factories.segments import SegmentFactory

CATALOGUE = Path(settings.LOCALE_PATHS[0]) / "de" / "LC_MESSAGES" / "django.po"
LOOK_UP = {"gettext", "gettext_lazy", "ngettext", "pgettext", "npgettext", "_"}
GERMAN = {"Accept-Language": "de-AT,de;q=0.9"}


def entries() -> dict[str, list[str]]:
    """Return the translations of the catalogue's source, by their message ids."""
    found = {}
    for block in CATALOGUE.read_text().split("\n\n")[1:]:
        assert "#, fuzzy" not in block, block
        texts = dict(re.findall(r'^(msg\w+(?:\[\d\])?) (".*")$', block, re.MULTILINE))
        message = eval(texts.pop("msgid"))  # noqa: S307 -- the project's own file; quoted as Python quotes
        if context := texts.pop("msgctxt", None):
            message = f"{eval(context)}\x04{message}"  # noqa: S307 -- as the compiled catalogue has it
        plural = texts.pop("msgid_plural", None)
        found[message] = [eval(text) for text in texts.values()]  # noqa: S307
        assert (plural is not None) == (len(found[message]) == 2), block
    return found


def plurals() -> dict[str, str]:
    """Return the plural of each message id that has one."""
    found = re.findall(r'^msgid (".*")\nmsgid_plural (".*")$', CATALOGUE.read_text(), re.MULTILINE)
    return {eval(message): eval(plural) for message, plural in found}  # noqa: S307


def test_every_text_is_translated_and_the_compiled_catalogue_is_the_source() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled: Any = catalogues.GNUTranslations(file)
    stored = {key: text for key, text in compiled._catalog.items() if key}
    expected: dict[Any, str] = {}
    for message, texts in entries().items():
        assert all(texts), message
        if len(texts) == 1:
            expected[message] = texts[0]
        else:
            expected |= {(message, number): text for number, text in enumerate(texts)}
    assert stored == expected


def test_no_text_hides_from_the_catalogue_in_a_formatted_string() -> None:
    packages = ("accounts", "catalog", "config", "core", "coupons", "events", "segments")
    hidden = [
        f"{path}:{call.lineno}"
        for package in packages
        for path in (Path(settings.BASE_DIR) / package).rglob("*.py")
        for text in ast.walk(ast.parse(path.read_text()))
        if isinstance(text, ast.JoinedStr)
        for call in ast.walk(text)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in LOOK_UP
        if any(isinstance(argument, ast.Constant) for argument in call.args)
    ]
    assert hidden == []  # xgettext does not look into f-strings, so they would stay English


def test_placeholders_survive_translation() -> None:
    holders = re.compile(r"\{\w*(?::,)?\}|%\(\w+\)s")
    for message, texts in entries().items():
        for text in texts:
            named = set(holders.findall(text))
            assert named in (
                set(holders.findall(message)),
                set(holders.findall(plurals().get(message, ""))),
            ), message


def test_names_of_models_and_fields_are_translated() -> None:
    known = entries()
    for model in admin.site._registry:
        texts = [model._meta.verbose_name, model._meta.verbose_name_plural]
        fields = model._meta.get_fields()
        texts += [getattr(field, name, "") for name in ("verbose_name", "help_text") for field in fields]
        texts += [label for field in fields for _, label in getattr(field, "choices", None) or ()]
        for text in filter(None, map(str, texts)):
            with translation.override("de"):
                is_translated = translation.gettext(text) != text
            assert is_translated or text in known or text in {"lft", "rght", "tree id", "level", "1", "2"}, (
                text
            )


def test_a_browser_that_asks_for_german_gets_german(staff_browser: Client, site: Site) -> None:
    page = staff_browser.get(reverse("admin:segments_segment_changelist"), headers=GERMAN)
    text = page.content.decode()
    assert '<html lang="de"' in text
    assert "Ein Teil eines Namens in jeder Sprache" in text
    assert "Part of a name" not in text
    assert "Zeiten sind in UTC, außer" in text
    assert all(name in text for name in (">English</button>", ">Deutsch</button>"))


def test_the_language_that_a_person_chooses_counts_more(staff_browser: Client) -> None:
    index = reverse("admin:index")
    chosen = staff_browser.post(reverse("set_language"), {"language": "de", "next": index})
    assert chosen.headers["Location"] == index
    assert (
        "Was möchten Sie tun?" in staff_browser.get(index, headers={"Accept-Language": "en"}).content.decode()
    )


def test_the_next_request_of_the_thread_is_not_in_the_language_of_the_last(staff_browser: Client) -> None:
    staff_browser.get(reverse("admin:index"), headers=GERMAN)
    assert translation.get_language() == "en"


def test_errors_of_the_admin_are_in_the_readers_language(staff_browser: Client) -> None:
    page = staff_browser.get("/admin/no/such/page/", headers=GERMAN)
    assert page.status_code == 404
    assert "Unter dieser Adresse gibt es keine Seite" in page.content.decode()


@pytest.mark.parametrize(
    ("reader", "texts", "default", "expected"),
    [
        ("en", {"de": "Kaffee", "en": "Coffee"}, "de", "Coffee"),
        ("de", {"en": "Coffee", "de": "Kaffee"}, "en", "Kaffee"),
        ("de-at", {"en": "Coffee", "de": "Kaffee"}, "en", "Kaffee"),
        ("de", {"en": "Coffee", "de-CH": "Kafi"}, "fr", "Kafi"),
        ("en", {"de": "Kaffee", "fr": "Café"}, "fr", "Café"),
        ("en", {"en": "", "fr": "Café"}, "de", "Café"),
        ("en", {}, "en", ""),
        ("en", None, "en", ""),
    ],
)
def test_names_are_in_the_readers_language(reader: str, texts: object, default: str, expected: str) -> None:
    with translation.override(reader):
        assert name_for_reader(texts, default) == expected


def test_generated_ids_are_in_no_title(site: Site) -> None:
    named = SegmentFactory(site=site, external_id="vip", name={"de": "Beste", "en": "Best"})
    generated = SegmentFactory(
        site=site, external_id="019a0000-0000-7000-8000-000000000001", name={"de": "Neue", "en": "New"}
    )
    category = CategoryFactory(tenant=site.tenant, external_id="floral", name={"de": "Blumen"})
    assert (str(named), str(generated), str(category)) == ("Best (vip)", "New", "Blumen (floral)")
    with translation.override("de"):
        assert str(generated) == "Neue"
    generated.name = {}
    assert str(generated) == f"({generated.external_id})"  # nothing else names it
    assert is_generated(generated.external_id)
    assert not is_generated("vip")


def test_jobs_are_called_in_the_readers_language() -> None:
    titles = {name: kind.title for name, kind in registered_job_kinds().items()}
    assert len(titles) == 9
    with translation.override("de"):
        assert [name for name, title in titles.items() if title_of(name) in (name, title, "")] == []
    assert title_of("undo-import") == "Undo of an import"
    assert title_of("of another release") == "of another release"


def test_no_text_writes_numbers_as_english_does() -> None:
    """A number comes as text with the reader's separators, so a message never formats it."""
    assert [message for message in entries() if ":," in message] == []


def test_what_the_journal_knows_is_called_in_german() -> None:
    english = dict(all_nouns())
    with translation.override("de"):
        german = dict(all_nouns())
    assert [noun for name, noun in english.items() if german[name] == noun] == []


def test_time_zones_are_looked_up_once() -> None:
    assert time_zone_names() is time_zone_names()
    assert Site(home_base={"timezone": "Europe/Berlin"}).time_zone == ZoneInfo("Europe/Berlin")
    assert Site(home_base={"timezone": "Europe/Nowhere"}).time_zone is None
