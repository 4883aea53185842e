"""Products, and the forest of departments, categories and types that they hang in."""

import re
from collections.abc import Iterable, Mapping, Sequence

from catalog.bodies import CategoryBody, CategoryName
from catalog.imports.categories import changed_categories
from catalog.imports.category_assignments import CATEGORY_ASSIGNMENTS
from catalog.imports.products import PRODUCTS
from catalog.operations.category_imports import id_of, upsert_categories_in_bulk
from config.demo.german import CATEGORIES, DEPARTMENTS
from config.demo.rows import NO_MIXINS, Load
from config.demo.source import SourceRow, file_name
from core.imports.stages import json_text
from core.tenancy.identifiers import generate_id

LEVELS = ("department", "product_category", "product_type")
Path = tuple[str, ...]


def path_of(product: SourceRow) -> Path:
    """Return the way down to the product's deepest category, as far as it is known without a gap."""
    path = []
    for level in LEVELS:
        if product[level] is None:
            break
        path.append(product[level])
    return tuple(path)


def category_ids(products: Iterable[SourceRow]) -> dict[Path, str]:
    """Return the id of every category by its path, in the order of the paths.

    An id is made of the names on the way down; where two names come to the same, the later one is numbered.
    """
    paths = sorted({path[:depth] for path in map(path_of, products) for depth in range(1, len(path) + 1)})
    ids: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        base = ".".join([ids[path[:-1]], slug(path[-1])]) if len(path) > 1 else slug(path[-1])
        candidate, number = base, 2
        while candidate in taken:
            candidate, number = f"{base}-{number}", number + 1
        ids[path] = candidate
        taken.add(candidate)
    return ids


def product_name(product: SourceRow) -> str:
    """Return the type of the product, or what is known instead, and its package size."""
    known = product["product_type"] or product["product_category"] or product["department"]
    size = product["package_size"]
    return f"{readable(known)}, {' '.join(size.split())}" if size else readable(known)


def load_products(load: Load, products: Sequence[SourceRow]) -> None:
    rows = []
    for product in products:
        values = {
            "external_id": str(product["product_id"]),
            "code": str(product["product_id"]),
            "name": json_text({"en": product_name(product)}),
            "description": json_text({}),
            "is_published": True,
            "details": json_text({}),
            "mixins": json_text({"completeJourney": mixin_of(product)}),
            "mixin_schemas": NO_MIXINS,
        }
        rows.append((product.row, *(values[name] for name in PRODUCTS.given)))
    load.merge("products", PRODUCTS, rows, file=file_name("products"))


def mixin_of(product: SourceRow) -> dict[str, object]:
    """Return what the data tell of a product beyond its name and category."""
    known = {"brand": product["brand"], "manufacturerId": str(product["manufacturer_id"])}
    if product["package_size"] is not None:
        known["packageSize"] = product["package_size"]
    return known


def load_categories(load: Load, products: Iterable[SourceRow], ids: Mapping[Path, str]) -> None:
    """Write the categories that are new or differ, siblings in the order of their source names."""
    positions: dict[Path, int] = {}
    rows = []
    for path, external_id in ids.items():
        parent = path[:-1]
        positions[parent] = positions.get(parent, -1) + 1
        rows.append(
            CategoryBody(
                external_id=external_id,
                name=CategoryName(category_names(path)),
                is_published=True,
                parent=ids[parent] if parent else None,
                position=positions[parent],
                code=external_id,
            )
        )
    changed = changed_categories(tenant_id=load.tenant_id, rows=rows)
    first_rows: dict[str, int] = {}
    for product in products:
        path = path_of(product)
        for depth in range(1, len(path) + 1):
            first_rows.setdefault(ids[path[:depth]], product.row)
    load.note_outcomes(
        "categories",
        upsert_categories_in_bulk(tenant_id=load.tenant_id, rows=changed, at=load.at) if changed else (),
        unchanged=len(rows) - len(changed),
        source_rows=[first_rows[id_of(row)] for row in changed],
        file=file_name("products"),
    )


def load_category_assignments(load: Load, products: Sequence[SourceRow], ids: Mapping[Path, str]) -> None:
    rows = [
        (product.row, generate_id(), ids[path_of(product)], str(product["product_id"]), None)
        for product in products
    ]
    load.merge("category assignments", CATEGORY_ASSIGNMENTS, rows, file=file_name("products"))


WORD = re.compile(r"[A-Za-z][A-Za-z']*")
NOT_IN_A_SLUG = re.compile(r"[^a-z0-9]+")
ENGLISH = {
    "CHARITABLE CONT": "Charitable Contributions",
    "CNTRL/STORE SUP": "Store Supplies",
    "DRUG GM": "Drugstore & General Merchandise",
    "ELECT &PLUMBING": "Electrical & Plumbing",
    "GM MERCH EXP": "Merchandising Expenses",
    "MEAT-PCKGD": "Packaged Meat",
    "PROD-WHS SALES": "Produce Wholesale",
    "SEAFOOD-PCKGD": "Packaged Seafood",
}
"""Departments whose name in the source is no English."""


def readable(text: str) -> str:
    """Return a name in capitals as it would be written: "ICE - CRUSHED/CUBED" as "Ice - Crushed/Cubed"."""
    return WORD.sub(lambda word: word[0][0] + word[0][1:].lower(), " ".join(text.split()))


def category_names(path: tuple[str, ...]) -> dict[str, str]:
    """Return the names of a category by language, from the names of the source on the way down to it.

    German falls back to the English text below the levels that the dictionary knows.
    """
    name = path[-1]
    if len(path) == 1:
        return {"en": ENGLISH.get(name, readable(name)), "de": DEPARTMENTS[name]}
    english = readable(name)
    return {"en": english, "de": CATEGORIES.get(name, english)}


def slug(text: str) -> str:
    """Return a text as a part of an id: lower-case letters, digits and hyphens."""
    return NOT_IN_A_SLUG.sub("-", text.lower()).strip("-")
