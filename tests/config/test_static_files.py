import os
from pathlib import Path

import pytest

from config.server import static_files
from config.server.static_files import STAMP, collect_static_files


@pytest.fixture
def source(tmp_path, settings) -> Path:
    """A folder with the only static file of a project that has collected nothing yet."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "page.css").write_text("a {}")
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [folder]
    settings.STATIC_ROOT = tmp_path / "collected"
    return folder


def collected(settings) -> dict[str, str]:
    return {
        path.name: path.read_text() for path in Path(settings.STATIC_ROOT).iterdir() if path.name != STAMP
    }


def test_the_same_files_are_collected_once(source, settings):
    assert collect_static_files() is True
    assert collect_static_files() is False
    assert collected(settings) == {"page.css": "a {}"}


def test_a_file_that_has_changed_is_collected_again(source, settings):
    collect_static_files()
    (source / "page.css").write_text("b {}")
    os.utime(source / "page.css", (2_000_000_000, 2_000_000_000))
    assert collect_static_files() is True
    assert collected(settings) == {"page.css": "b {}"}


def test_a_file_that_has_come_is_collected(source, settings):
    collect_static_files()
    (source / "print.css").write_text("c {}")
    assert collect_static_files() is True
    assert collected(settings) == {"page.css": "a {}", "print.css": "c {}"}


def test_files_that_are_to_be_stored_in_another_way_are_collected_again(source, settings):
    collect_static_files()
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
    }
    assert collect_static_files() is True
    assert "staticfiles.json" in collected(settings)


def test_an_interrupted_collection_begins_again(source, settings, monkeypatch):
    collect_static_files()
    (source / "print.css").write_text("c {}")

    def interrupted(*words: str, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(static_files, "call_command", interrupted)
        with pytest.raises(KeyboardInterrupt):
            collect_static_files()
    (source / "print.css").unlink()
    assert collect_static_files() is True
