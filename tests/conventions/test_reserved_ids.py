"""Ids that no address reaches: fixed words of the addresses, which no entry point lets in."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.db.models import Model
from django.test import Client
from django.urls import get_resolver, reverse

from accounts.identity.scopes import CUSTOMER_IMPORT_MANAGE, CUSTOMER_MANAGE, LEGAL_ENTITY_MANAGE
from accounts.models import ContactAssignment, Customer, LegalEntity, Site
from accounts.operations.legal_entities import create_legal_entity, upsert_legal_entity
from catalog.models import Category, Product
from core.errors import DomainError
from core.tenancy.identifiers import UNREACHABLE_IDS
from core.tenancy.models import Tenant
from segments.models import Segment
from tests.conftest import Api
from tests.core.imports.conftest import run_command

AT = datetime(2024, 5, 14, 12, tzinfo=UTC)
ARGUMENTS: dict[type[Model], set[str]] = {
    Category: {"category_id", "root_category_id", "item_id"},
    ContactAssignment: {"contact_assignment_id"},
    Customer: {"customer_number", "customer_id"},
    LegalEntity: {"legal_entity_id"},
    Product: {"product_id", "reference_id", "item_id"},
    Segment: {"segment_id"},
}
"""What the arguments of addresses name."""
OTHERS = {
    "tenant",
    "assignment_id",
    "change_id",
    "job_id",
    "operation_id",
    "evaluation_id",
    "import_id",
    "item_type",
    "site_code",
    "code",
    "redemption_id",
    "reservation_id",
    "cart_id",
    "campaign_id",
    "set_key",
    "config_code",
    "delivery_id",
    "target_id",
}
"""Generated ids, words of a fixed list, and codes, whose addresses have no fixed words beside them."""
PARENT_WORDS = {Category: {"root", "null"}}
"""What `parentId` means something else by."""


def addresses() -> list[list[str]]:
    """Return all addresses in parts: those below `/<service>/<tenant>/`."""
    found = []

    def visit(patterns: Any) -> None:
        for pattern in patterns:
            if hasattr(pattern, "url_patterns"):
                if str(pattern.pattern) == "":
                    visit(pattern.url_patterns)
            elif "<tenant>" in str(pattern.pattern):
                found.append(str(pattern.pattern).split("/"))

    visit(get_resolver().url_patterns)
    return found


def fixed_words(arguments: Collection[str]) -> set[str]:
    """Return the words that addresses have where others have one of the arguments."""
    parts = addresses()
    places = {
        tuple(address[:index])
        for address in parts
        for index, part in enumerate(address)
        if part.strip("<>") in arguments and part.startswith("<")
    }
    return {
        address[len(place)]
        for place in places
        for address in parts
        if tuple(address[: len(place)]) == place
        and len(address) > len(place)
        and not address[len(place)].startswith("<")
    }


def test_every_argument_of_an_address_is_known() -> None:
    named = {part.strip("<>") for address in addresses() for part in address if part.startswith("<")}
    assert named == set.union(OTHERS, *ARGUMENTS.values())


@pytest.mark.parametrize("model", ARGUMENTS, ids=lambda model: model.__name__)
def test_the_reserved_ids_are_the_fixed_words_of_the_addresses(model: type[Model]) -> None:
    words = fixed_words(ARGUMENTS[model]) | UNREACHABLE_IDS | PARENT_WORDS.get(model, set())
    assert words == set(model.reserved_ids)


def test_addresses_of_codes_have_no_fixed_words() -> None:
    generated = {"redemption_id", "reservation_id", "cart_id", "campaign_id"}
    assert fixed_words({"site_code", "code"} | generated) == set()


RESERVED_CUSTOMERS = sorted(Customer.reserved_ids)


@pytest.mark.django_db
@pytest.mark.parametrize("reserved", RESERVED_CUSTOMERS)
def test_no_customer_gets_a_reserved_number(
    tenant: Tenant,
    service_api: Callable[..., Api],
    staff_browser: Client,
    tmp_path: Path,
    reserved: str,
) -> None:
    api = service_api(CUSTOMER_MANAGE, CUSTOMER_IMPORT_MANAGE)
    body = {"id": reserved, "firstName": "Ann", "lastName": "Lee", "contactEmail": "ann@example.com"}
    answer = api.post("/customer/acme/customers", body)
    assert answer.status_code == 400
    assert "reserved" in answer.content.decode()

    account = {"email": "ann@example.com", "passwordHash": make_password("a secret")}
    answer = api.post("/customer/acme/customers/import", [{**body, "account": account}])
    [entry] = answer.json()
    assert (entry["code"], "reserved" in entry["message"]) == (400, True)

    page = staff_browser.post(reverse("admin:accounts_customer_add"), {"external_id": reserved})
    assert "reserved" in page.context["adminform"].form.errors["external_id"][0]

    source, rejects = tmp_path / "rows.csv", tmp_path / "rejects.csv"
    source.write_text(f"id,lastName\n{reserved},Lee\n")
    run_command("upsert_customers", source, tenant=tenant.name, rejects=rejects)
    assert "reserved" in rejects.read_text()
    assert not Customer.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("reserved", ["bulk", "search"])
def test_no_customer_is_made_under_a_reserved_number(service_api: Callable[..., Api], reserved: str) -> None:
    answer = service_api(CUSTOMER_MANAGE).put(f"/customer/acme/customers/{reserved}", {"lastName": "Lee"})
    assert answer.status_code in (400, 405)
    assert not Customer.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("reserved", sorted(LegalEntity.reserved_ids))
def test_no_legal_entity_gets_a_reserved_id(
    tenant: Tenant,
    service_api: Callable[..., Api],
    staff_browser: Client,
    tmp_path: Path,
    reserved: str,
) -> None:
    for write in (create_legal_entity, upsert_legal_entity):
        with pytest.raises(DomainError, match="reserved"):
            write(tenant_id=tenant.pk, external_id=reserved, change=None, at=AT)  # type: ignore[arg-type]
    answer = service_api(LEGAL_ENTITY_MANAGE).post(
        "/customer-management/acme/legal-entities", {"id": reserved, "name": "A"}
    )
    assert (answer.status_code, "reserved" in answer.content.decode()) == (400, True)
    page = staff_browser.post(reverse("admin:accounts_legalentity_add"), {"external_id": reserved})
    assert "reserved" in page.context["adminform"].form.errors["external_id"][0]
    source, rejects = tmp_path / "rows.csv", tmp_path / "rejects.csv"
    source.write_text(f"id,name\n{reserved},A\n")
    run_command("upsert_legal_entities", source, tenant=tenant.name, rejects=rejects)
    assert "reserved" in rejects.read_text()
    assert not LegalEntity.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Category, Product, Segment], ids=lambda model: model.__name__)
def test_forms_refuse_reserved_ids(staff_browser: Client, site: Site, model: type[Model]) -> None:
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
    for reserved in model.reserved_ids:
        page = staff_browser.post(address, {"external_id": reserved})
        assert "reserved" in page.context["adminform"].form.errors["external_id"][0]


@pytest.mark.django_db
@pytest.mark.parametrize("code", [".", "..", "a/b"])
def test_no_site_gets_a_code_that_no_address_reaches(staff_browser: Client, site: Site, code: str) -> None:
    page = staff_browser.post(reverse("admin:accounts_site_add"), {"code": code})
    assert page.context["adminform"].form.errors["code"]


@pytest.mark.django_db
def test_no_redemption_gets_an_id_that_no_address_reaches(tenant: Tenant, tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text(
        "id,code,orderTotal.amount,orderTotal.currency,discount.amount,discount.currency,redeemedAt\n"
        "..,C,9,EUR,1,EUR,2024-01-01T00:00:00Z\n"
        "a/b,C,9,EUR,1,EUR,2024-01-01T00:00:00Z\n"
    )
    answer = run_command("import_redemptions", source, tenant=tenant.name, json=True)
    assert [refusal["message"] for refusal in answer.json["firstRefusals"]] == [
        "id must have no slash, and must not be . or .."
    ] * 2
