from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command

from accounts.models import Customer, LegalEntity, Site
from catalog.models import Product
from core.imports import commands
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, Segment
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a transaction hold its locks for as long as a busy machine takes, where a test says no limit."""
    monkeypatch.setattr(commands, "LONGEST_LOCK", 600.0)


@dataclass
class Answer:
    """What a command came to: its exit status, its output, and the counts that it reported."""

    status: int
    text: str
    message: str

    @property
    def json(self) -> JsonObject:
        return orjson.loads(self.text)

    @property
    def counts(self) -> dict[str, int]:
        """The counts that are not zero."""
        names = ("created", "changed", "unchanged", "repeated", "removed", "refused")
        return {name: self.json[name] for name in names if self.json[name]}


def run_command(name: str, *arguments: object, **options: object) -> Answer:
    out = StringIO()
    try:
        call_command(name, *map(str, arguments), stdout=out, stderr=StringIO(), **options)
    except CommandError as error:
        return Answer(error.returncode, out.getvalue(), str(error))
    except SystemExit as ended:
        return Answer(int(ended.code or 0), out.getvalue(), "")
    return Answer(0, out.getvalue(), "")


@pytest.fixture
def run() -> Callable[..., Answer]:
    """Run a command and return what it came to."""
    return run_command


@pytest.fixture
def upsert(tenant: Tenant) -> Callable[..., Answer]:
    """Import a file into the tenant `acme` and return what the command tells in JSON."""

    def make(kind: str, path: Any, *arguments: object) -> Answer:
        return run_command(f"upsert_{kind}", path, "--tenant", "acme", "--json", *arguments)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of these lines and return its path."""

    def make(name: str, *lines: str) -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return make


@dataclass
class Shop:
    tenant: Tenant
    site: Site
    segments: list[Segment]
    customers: list[Customer]
    company: LegalEntity
    products: list[Product]


@pytest.fixture
def shop(tenant: Tenant, site: Site) -> Shop:
    """Segments S1 and S2, customers C1 to C5 (C1 a contact of L1), products P1 to P3, category K1."""
    customers = [CustomerFactory(tenant=tenant, external_id=f"C{number}") for number in range(1, 6)]
    company = LegalEntityFactory(tenant=tenant, external_id="L1", name="Company")
    ContactAssignmentFactory(legal_entity=company, customer=customers[0])
    CategoryFactory(tenant=tenant, external_id="K1", name={"en": "Coffee"})
    return Shop(
        tenant=tenant,
        site=site,
        segments=[SegmentFactory(site=site, external_id=name) for name in ("S1", "S2")],
        customers=customers,
        company=company,
        products=[ProductFactory(tenant=tenant, external_id=f"P{number}") for number in range(1, 4)],
    )


@pytest.fixture
def full_shop(shop: Shop) -> Shop:
    """A shop that has something of every kind, with all that its rows can hold."""
    tenant = shop.tenant
    document = {"mixins": {"a": {"b": [1, None]}}, "mixin_schemas": {"a": "https://example.com/a.json"}}
    window = {"valid_from": datetime(2026, 1, 1, tzinfo=UTC), "valid_to": datetime(2026, 2, 1, tzinfo=UTC)}
    CustomerFactory(
        tenant=tenant,
        external_id="full",
        title="Dr.",
        middle_name='O"Neil, jr.',
        company="A\nB",
        is_active=False,
        **document,
    )
    CustomerFactory(tenant=tenant, external_id="bare", email=None, first_name="", last_name="")
    parent = LegalEntityFactory(
        tenant=tenant, external_id="parent", legal_info={"legalName": "P"}, **document
    )
    LegalEntityFactory(
        tenant=tenant,
        external_id="child",
        type="SUBSIDIARY",
        parent=parent,
        account_limit={"currency": "EUR", "value": 7.5},
        customer_groups=[{"id": "g"}],
        restrictions=["US"],
    )
    ProductFactory(
        tenant=tenant,
        external_id="full",
        name={"en": "Tea", "de": "Tee", "fr": "Thé"},
        description={"de": 'Gut, "warm"'},
        is_published=False,
        details={"vendor": {"id": "v"}, "weightDependent": True, "labelIds": ["l"]},
        **document,
    )
    root = CategoryFactory(
        tenant=tenant,
        external_id="full",
        code="full",
        name={"en": "A", "de": "B"},
        slug={"en": "a"},
        **window,
    )
    CategoryAssignmentFactory(tenant=tenant, category=root, product=shop.products[0])
    segment = SegmentFactory(
        site=shop.site, external_id="full", description={"en": "x"}, status="INACTIVE", **window, **document
    )
    CustomerAssignmentFactory(
        segment=segment, customer=shop.customers[0], legal_entity=shop.company, **window
    )
    CustomerAssignmentFactory(segment=segment, customer=shop.customers[0], **document)
    ItemAssignmentFactory(segment=segment, product=shop.products[0], **window)
    ItemAssignmentFactory(segment=segment, product=None, category=root, includes_subcategories=True)
    coupon = CouponFactory(
        tenant=tenant,
        code="FULL",
        name="Full",
        description="x",
        is_segment_restricted=True,
        max_redemptions=5,
        min_order_amount=Decimal("0.5"),
        min_order_currency="EUR",
        **window,
        **document,
    )
    CouponSegmentFactory(coupon=coupon, segment=segment)
    return shop


def members(tenant: Tenant) -> list[tuple[str, str, str | None, int]]:
    """All customer assignments of the tenant: segment, customer, legal entity, version."""
    return list(
        CustomerAssignment.objects.filter(tenant=tenant)
        .order_by("segment__external_id", "customer__external_id", "legal_entity__external_id")
        .values_list("segment__external_id", "customer__external_id", "legal_entity__external_id", "version")
    )
