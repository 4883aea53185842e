"""How much of the code the type checker cannot follow."""

import ast
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

PACKAGES = ("accounts", "catalog", "config", "core", "coupons", "events", "segments")
MOST_ANY = 250


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """Yield the modules of the service that name `Any`, without migrations."""
    for package in PACKAGES:
        for path in sorted(Path(settings.BASE_DIR, package).rglob("*.py")):
            if "migrations" not in path.parts and "Any" in (text := path.read_text()):
                yield path, ast.parse(text)


def is_any(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "Any"


def test_any_is_the_exception():
    uses = [
        node
        for _path, module in modules()
        for node in ast.walk(module)
        if is_any(node) or (isinstance(node, ast.alias) and node.name == "Any")
    ]
    assert 0 < len(uses) <= MOST_ANY, "Name the type: a protocol, a TypedDict, `object`, JsonValue."


def test_any_has_no_other_name():
    renamed = [
        f"{path}:{node.lineno}"
        for path, module in modules()
        for node in ast.walk(module)
        if (isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and is_any(node.value))
        or (isinstance(node, ast.alias) and node.name == "Any" and node.asname)
    ]
    assert renamed == []
