"""What is installed is locked: every package with its version and the hashes of its files."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LISTS = sorted(path.stem for path in ROOT.glob("requirements*.txt"))
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


def versions(text: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in PINNED.findall(text):
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), set()).add(version)
    return found


def test_the_lists_are_these():
    assert [
        "requirements",
        *(f"requirements-{extra}" for extra in ("demo", "dev", "oidc", "opentelemetry", "sentry", "totp")),
    ] == LISTS


@pytest.mark.parametrize("name", LISTS)
def test_what_is_listed_is_locked(name):
    """Fails when a list was changed without `sh scripts/lock_requirements.sh`."""
    listed = versions((ROOT / f"{name}.txt").read_text())
    locked = versions((ROOT / f"{name}.lock").read_text())
    assert {package: locked.get(package) for package in listed} == listed


@pytest.mark.parametrize("name", LISTS)
def test_every_locked_package_has_hashes_and_none_names_an_index(name):
    text = (ROOT / f"{name}.lock").read_text()
    entries = re.split(r"\n(?! )", text.strip())
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []
    assert [entry for entry in entries if not PINNED.match(entry)] == []
    assert "://" not in text
    assert "index-url" not in text


def test_the_locks_agree_with_each_other():
    """All but numbers that a marker chooses between: one version of a package in all locks."""
    runtime = versions((ROOT / "requirements.lock").read_text())
    for name in LISTS:
        locked = versions((ROOT / f"{name}.lock").read_text())
        assert {package: locked[package] for package in locked.keys() & runtime.keys()} == {
            package: runtime[package] for package in locked.keys() & runtime.keys()
        }
