"""Who may import whom (docs/architecture.md), read from the source with `ast`."""

import ast
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# From the bottom to the top: a package may import those before it.
PACKAGES = ("core", "accounts", "catalog", "segments", "coupons", "events", "config", "bench")
# Inside `core`; a module or package that is not named is on the level of OTHERS.
CORE_LEVELS = {
    "errors": 0,
    "timestamps": 0,
    "cycles": 0,
    "tenancy": 1,
    "sql": 1,
    "journal": 2,
    "journal.admin": 4,
    "journal.management": 4,
    "journal.undo.jobs": 4,
    "journal.undo.occasions": 4,
    "background": 4,
    "representation": 2,
    "bodies": 3,
    "patches": 3,
    "body_schemas": 3,
    "api": 4,
    "admin": 4,
    "imports": 4,
    "apps": 4,
}
OTHERS = 1
# The part of a package: the parts of the same package that may import it. From `core`, which has the base
# classes, the parts of other packages inherit.
IMPORTERS = {
    "api": {"api"},
    "admin": {"admin", "forms"},
    "forms": {"admin", "forms"},
    "management": {"management"},
}
ALLOWED = {
    "bench.urls",  # measures what an empty view costs
    "config.apps",  # registers the checks of all packages
    "config.error_handlers",  # a page for the admin, JSON for the API
}
WEB_FRAMEWORKS = {"rest_framework", "drf_spectacular", "django_filters"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {
    module_name(path): ast.parse(path.read_text())
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if "migrations" not in path.parts
}


def imported_names(tree: ast.AST) -> set[str]:
    """Return the full names of what is imported anywhere in the code, in functions as well."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names}
    return names


def module_of(name: str) -> str:
    """Return the module of the project that the name is or is defined in; "" for a name from elsewhere."""
    while name and name not in TREES:
        name = name.rpartition(".")[0]
    return name


NAMES = {module: imported_names(tree) for module, tree in TREES.items()}
IMPORTS = {module: {module_of(name) for name in names} - {"", module} for module, names in NAMES.items()}
EDGES = [(module, target) for module, targets in IMPORTS.items() for target in sorted(targets)]


def private_part(module: str) -> str | None:
    """Return the first of `api`, `admin`, `forms` and `management` in the module's name."""
    return next((part for part in module.split(".") if part in IMPORTERS), None)


def breaks_privacy(module: str, target: str) -> bool:
    part = private_part(target)
    if part is None or module in ALLOWED:
        return False
    owner = target.split(".")[0]
    is_own_or_inherited = owner in (module.split(".")[0], "core")
    return not (is_own_or_inherited and private_part(module) in IMPORTERS[part])


def core_level(module: str) -> int:
    parts = module.split(".")[1:]
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((CORE_LEVELS[name] for name in names if name in CORE_LEVELS), OTHERS)


def test_the_whole_tree_is_read():
    assert {module.split(".")[0] for module in TREES} == set(PACKAGES)
    assert len(EDGES) > 1_000
    assert [name for names in NAMES.values() for name in names if name.startswith(".")] == []


def test_packages_import_downwards_only():
    rank = {package: position for position, package in enumerate(PACKAGES)}
    levels = [(edge, rank[edge[0].split(".")[0]], rank[edge[1].split(".")[0]]) for edge in EDGES]
    assert [edge for edge, importer, imported in levels if imported > importer] == []


def test_core_imports_downwards_only():
    inside = [edge for edge in EDGES if all(name.startswith("core.") for name in edge)]
    assert [(a, b) for a, b in inside if core_level(b) > core_level(a)] == []


def test_no_module_imports_itself_through_others():
    try:
        TopologicalSorter(IMPORTS).prepare()
        cycle = []
    except CycleError as found:
        cycle = list(reversed(found.args[1]))
    assert list(pairwise(cycle)) == []


def test_no_import_is_inside_a_function():
    functions = [
        (module, node)
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [(module, function.name) for module, function in functions if imported_names(function)] == []


def test_entry_points_are_imported_by_their_own_kind_only():
    """So `operations`, `imports`, `bodies` and `representations` know nothing of HTTP, pages or commands."""
    assert [edge for edge in EDGES if breaks_privacy(*edge)] == []


def test_core_uses_rest_framework_in_its_api_only():
    users = {
        module
        for module, names in NAMES.items()
        if module.startswith("core.") and {name.split(".")[0] for name in names} & WEB_FRAMEWORKS
    }
    assert {module for module in users if not module.startswith("core.api.")} == set()


def test_no_module_is_named_after_nothing():
    vague = {"utils", "helpers", "common", "misc"}
    assert [module for module in TREES if vague & set(module.split("."))] == []
