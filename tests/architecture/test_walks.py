"""docs/architecture.md names files and what is in them; both exist."""

import ast
import re
from pathlib import Path

from django.conf import settings

PAGE = Path(settings.BASE_DIR, "docs/architecture.md")
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[a-z_0-9]+(?:/[a-z_0-9]+)+\.py")
NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def walks() -> str:
    """Return the part of the page that is to be followed with the files open."""
    return PAGE.read_text().partition("\nWalks to follow")[2].partition("\n## ")[0]


def defined_in(path: str) -> set[str]:
    """Return the names of all functions, classes and constants of a file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(Path(settings.BASE_DIR, path).read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names


def test_all_files_that_the_page_names_exist():
    named = {path for path in CODE.findall(PAGE.read_text()) if FILE.fullmatch(path)}
    assert len(named) > 30
    assert [path for path in sorted(named) if not Path(settings.BASE_DIR, path).exists()] == []


def test_each_walk_names_what_is_in_its_files():
    path, checked, missing = "", 0, []
    for code in CODE.findall(walks()):
        if FILE.fullmatch(code):
            path = code
        elif path and NAME.fullmatch(code):
            checked += 1
            if code not in defined_in(path):
                missing.append(f"{path} {code}")
    assert checked > 40
    assert missing == []
