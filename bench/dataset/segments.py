"""Segments, who belongs to them, and what they hold."""

from bench.dataset.catalog import SECOND_TREE_KEYS, spacing_of_shelves
from bench.dataset.people import (
    COMPANY_SPACING,
    FOREST,
    SHOP,
    companies,
    company_of,
    forest_customer,
    single_segment_customer,
)
from bench.dataset.rows import insert_rows
from bench.scales import CUSTOMER_SEGMENTS, FOREST_CATEGORIES, SEGMENT_CATEGORIES, SEGMENT_PRODUCTS, Scale
from segments.models import CustomerAssignment, ItemAssignment, Segment

EMPTY_SEGMENTS = 40  # to write into
FIRST_EMPTY_SEGMENT = 900_000
FOREST_SHELVES = 100  # the second tenant has no products, but its segment looks alike
FOREST_SEGMENTS = 1_000_000  # keys of the second tenant's segments begin after this one

# The category at a place of a segment: every other one is a shelf, the places lie evenly over the tree.
CATEGORY = (
    f"%(spacing)s * mod(segment * 3 + place * (%(shelves)s / {SEGMENT_CATEGORIES}), %(shelves)s)"
    " + CASE mod(place, 2) WHEN 1 THEN %(spacing)s ELSE 1 + mod(segment, %(spacing)s - 1) END"
)


def write_segments(scale: Scale) -> None:
    """Write the shop's segments with members and items, and one segment over the large tree."""
    values = {
        "segments": scale.segments,
        "effective": scale.effective_segments,
        "customers": scale.customers,
        "products": scale.products,
        "categories": scale.categories,
        "companies": companies(scale),
    }
    insert_rows(
        Segment,
        {
            "id": "n",
            "tenant_id": str(SHOP),
            "site_id": str(SHOP),
            "external_id": "'s' || lpad(n::text, 6, '0')",
            "name": "jsonb_build_object('en', 'Segment ' || n, 'de', 'Segment Nummer ' || n)",
            "description": "jsonb_build_object('en', 'Customers who belong together, number ' || n)",
            "status": "'ACTIVE'",
            "valid_from": "'2020-01-01Z'::timestamptz",
            "valid_to": "CASE WHEN n > %(effective)s THEN '2021-01-01Z'::timestamptz"
            " ELSE '2199-12-31Z'::timestamptz END",
        },
        "FROM generate_series(1, %(segments)s) AS n",
        values,
    )
    insert_rows(
        Segment,
        {
            "id": "n",
            "tenant_id": str(SHOP),
            "site_id": str(SHOP),
            "external_id": "'s' || n",
            "name": "jsonb_build_object('en', 'Empty segment ' || n)",
        },
        "FROM generate_series(%(first)s, %(first)s + %(count)s - 1) AS n",
        {"first": FIRST_EMPTY_SEGMENT, "count": EMPTY_SEGMENTS},
    )
    write_members(values)
    write_items(scale, values)
    write_forest_segment(scale)
    insert_rows(
        CustomerAssignment,
        {"tenant_id": str(SHOP), "segment_id": "1", "customer_id": "%(customer)s"},
        "",
        {"customer": single_segment_customer(scale)},
    )


def write_members(values: dict[str, int]) -> None:
    """Write ten memberships a customer: five of effective segments, five of closed ones."""
    insert_rows(
        CustomerAssignment,
        {
            "tenant_id": str(SHOP),
            "segment_id": "half.first + mod(customer * 7 + place * 31, %(effective)s)",
            "customer_id": "customer",
            "legal_entity_id": f"CASE WHEN mod(customer, {COMPANY_SPACING}) = 0"
            f" AND place = {CUSTOMER_SEGMENTS - 1} THEN {company_of('customer')} END",
        },
        "FROM generate_series(1, %(customers)s) AS customer"
        " CROSS JOIN (VALUES (1), (1 + %(effective)s)) AS half (first)"
        f" CROSS JOIN generate_series(0, {CUSTOMER_SEGMENTS - 1}) AS place",
        values,
    )


def write_items(scale: Scale, values: dict[str, int]) -> None:
    """Write 200 products and 20 categories a segment, spread evenly over the catalogue."""
    columns = {"tenant_id": str(SHOP), "segment_id": "segment"}
    insert_rows(
        ItemAssignment,
        {**columns, "product_id": "1 + mod(segment * 37 + place * %(step)s, %(products)s)"},
        "FROM generate_series(1, %(segments)s) AS segment"
        f" CROSS JOIN generate_series(0, {SEGMENT_PRODUCTS - 1}) AS place",
        {**values, "step": scale.products // SEGMENT_PRODUCTS},
    )
    insert_rows(
        ItemAssignment,
        {**columns, "category_id": CATEGORY},
        "FROM generate_series(1, %(segments)s) AS segment"
        f" CROSS JOIN generate_series(0, {SEGMENT_CATEGORIES - 1}) AS place",
        {
            **values,
            "shelves": scale.shelves,
            "spacing": spacing_of_shelves(scale.categories, scale.shelves),
        },
    )


def write_forest_segment(scale: Scale) -> None:
    """Write the segment of the tenant with the large tree: 20 of its categories, and one member."""
    key = FOREST_SEGMENTS + 1
    insert_rows(
        Segment,
        {
            "id": "%(key)s",
            "tenant_id": str(FOREST),
            "site_id": str(FOREST),
            "external_id": "'s000001'",
            "name": """'{"en": "Segment 1", "de": "Segment Nummer 1"}'::jsonb""",
            "status": "'ACTIVE'",
        },
        "",
        {"key": key},
    )
    insert_rows(
        CustomerAssignment,
        {"tenant_id": str(FOREST), "segment_id": "%(key)s", "customer_id": "%(customer)s"},
        "",
        {"key": key, "customer": forest_customer(scale)},
    )
    insert_rows(
        ItemAssignment,
        {
            "tenant_id": str(FOREST),
            "segment_id": "%(key)s",
            "category_id": f"%(first)s + {CATEGORY}",
        },
        "FROM (VALUES (1)) AS number (segment)"
        f" CROSS JOIN generate_series(0, {SEGMENT_CATEGORIES - 1}) AS place",
        {
            "key": key,
            "first": SECOND_TREE_KEYS,
            "shelves": FOREST_SHELVES,
            "spacing": spacing_of_shelves(FOREST_CATEGORIES, FOREST_SHELVES),
        },
    )
