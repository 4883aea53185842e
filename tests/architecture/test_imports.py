"""Who may import whom (docs/architecture.md), read from the code itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {
    "core": (),
    "accounts": ("core",),
    "catalog": ("core", "accounts"),
    "segments": ("core", "accounts", "catalog"),
    "coupons": ("core", "accounts", "catalog", "segments"),
    "config": ("core", "accounts", "catalog", "segments", "coupons"),
}
PRIVATE = ("api", "admin", "forms")  # of one app, for itself alone
MODULES = sorted(
    path.relative_to(ROOT)
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
    if "migrations" not in path.parts
)


def imports(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Yield every import statement with the full name of what it imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node, name.name
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                yield node, f"{node.module}.{name.name}"


def test_the_rooms_hold_modules():
    assert len(MODULES) > 50


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_import_goes_up(module):
    room = module.parts[0]
    allowed = {room, *ROOMS[room]}
    found = {name for _, name in imports(ROOT / module) if name.split(".")[0] in ROOMS}
    assert {name for name in found if name.split(".")[0] not in allowed} == set()


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_app_touches_the_doors_of_another(module):
    room = module.parts[0]
    if room == "config":
        return
    found = [name.split(".") for _, name in imports(ROOT / module)]
    others = [name for name in found if name[0] in ROOMS and name[0] not in (room, "core")]
    assert [name for name in others if len(name) > 1 and name[1] in PRIVATE] == []


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_import_stands_inside_a_function(module):
    tree = ast.parse((ROOT / module).read_text())
    inside = [
        statement.lineno
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in ast.walk(function)
        if isinstance(statement, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


@pytest.mark.parametrize("module", [path for path in MODULES if path.parts[0] == "core"], ids=str)
def test_core_uses_rest_framework_in_its_api_alone(module):
    names = {name.split(".")[0] for _, name in imports(ROOT / module)}
    if module.parts[1] != "api":
        assert names.isdisjoint({"rest_framework", "drf_spectacular", "django_filters"})


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_grab_bags(module):
    assert module.stem not in {"utils", "helpers", "common", "misc"}
