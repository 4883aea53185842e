"""Tenants, their sites and API clients, customers, and the companies that some of them buy for."""

from accounts.identity.models import ApiClient, ClientSecret
from accounts.identity.scopes import SERVICE_SCOPES
from accounts.identity.tokens.opaque import digest_of
from accounts.models import ContactAssignment, Customer, LegalEntity, Site
from bench.dataset.rows import insert_rows
from bench.scales import Scale
from core.tenancy.models import Tenant

SHOP, FOREST = 1, 2  # keys of the two tenants: one with everything, one with nothing but a large tree
TENANTS = {SHOP: "benchshop", FOREST: "benchforest"}
CLIENT_SECRET = "the-backend-of-a-made-up-shop"

# Every twentieth customer is the contact of one company, and belongs to their fifth segment only for it.
COMPANY_SPACING = 20
CUSTOMERS_PER_COMPANY = 5


def single_segment_customer(scale: Scale) -> int:
    """The key of the shop's customer who belongs only to the first segment."""
    return scale.customers + 1


def forest_customer(scale: Scale) -> int:
    """The key of the one customer of the tenant with the large tree."""
    return scale.customers + 2


def companies(scale: Scale) -> int:
    return scale.customers // COMPANY_SPACING // CUSTOMERS_PER_COMPANY


def write_people(scale: Scale) -> None:
    """Write both tenants, and the shop's customers and companies."""
    for key, name in TENANTS.items():
        values = {"key": key, "name": name, "languages": ["en", "de"], "scopes": list(SERVICE_SCOPES)}
        insert_rows(
            Tenant, {"id": "%(key)s", "name": "%(name)s", "languages": "%(languages)s::text[]"}, "", values
        )
        insert_rows(
            Site,
            {
                "id": "%(key)s",
                "tenant_id": "%(key)s",
                "code": "'main'",
                "name": "'Main'",
                "is_default": "TRUE",
            },
            "",
            values,
        )
        for offset, role in enumerate(("backend", "storefront")):
            insert_rows(
                ApiClient,
                {
                    "id": "%(key)s * 10 + %(offset)s",
                    "tenant_id": "%(key)s",
                    "client_id": "%(name)s || %(role)s",
                    "name": "%(role)s",
                    "scopes": "%(scopes)s::text[]" if role == "backend" else "'{}'::text[]",
                    "may_start_sessions": "TRUE" if role == "storefront" else "FALSE",
                },
                "",
                {**values, "offset": offset, "role": f"-{role}"},
            )
        insert_rows(
            ClientSecret,
            {"client_id": "%(key)s * 10", "slot": "1", "digest": "%(digest)s"},
            "",
            {**values, "digest": digest_of(CLIENT_SECRET)},
        )
    insert_rows(
        Customer,
        {
            "id": "n",
            "tenant_id": f"CASE WHEN n = %(forest_customer)s THEN {FOREST} ELSE {SHOP} END",
            "external_id": "'c' || lpad(n::text, 9, '0')",
            "email": "'customer-' || n || '@example.com'",
            "first_name": "(ARRAY['Ada', 'Ben', 'Cleo', 'Dan', 'Eva', 'Finn', 'Greta'])[1 + mod(n, 7)]",
            "last_name": "'Number ' || n",
        },
        "FROM generate_series(1, %(forest_customer)s) AS n",
        {"forest_customer": forest_customer(scale)},
    )
    insert_rows(
        LegalEntity,
        {
            "id": "n",
            "tenant_id": str(SHOP),
            "external_id": "'e' || lpad(n::text, 8, '0')",
            "name": "'Company ' || n",
        },
        "FROM generate_series(1, %(companies)s) AS n",
        {"companies": companies(scale)},
    )
    insert_rows(
        ContactAssignment,
        {
            "tenant_id": str(SHOP),
            "external_id": "'contact-' || n",
            "legal_entity_id": company_of("n"),
            "customer_id": "n",
        },
        f"FROM generate_series({COMPANY_SPACING}, %(customers)s, {COMPANY_SPACING}) AS n",
        {"customers": scale.customers, "companies": companies(scale)},
    )


def company_of(customer: str) -> str:
    """The key of the company that a customer buys for, as an expression."""
    return f"1 + mod({customer} / {COMPANY_SPACING}, %(companies)s)"
