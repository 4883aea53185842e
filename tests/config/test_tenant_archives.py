"""A tenant goes into one archive and comes out of it elsewhere as it was."""

import json
import zipfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.models import ContactAssignment, Customer, Site
from config.tenant_archives import MANIFEST, ORDER, documents_of, kinds
from core.tenancy.models import Tenant
from coupons.models import CouponSettings
from segments.models import Rule
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
)
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory, RedemptionFactory
from tests.factories.segments import (
    CustomerAssignmentFactory,
    ItemAssignmentFactory,
    RuleExclusionFactory,
    RuleFactory,
    SegmentFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)


def run(*words: object) -> str:
    out = StringIO()
    call_command(*map(str, words), stdout=out, stderr=StringIO())
    return out.getvalue()


@pytest.fixture
def shop(tenant: Tenant, site: Site) -> Tenant:
    """A shop with rows of every kind, of which some belong to companies."""
    SiteFactory(tenant=tenant, code="east", home_base={"timezone": "Europe/Berlin"})
    SiteFactory(tenant=tenant, code="outlet", home_base={"address": {"country": "DE", "zipCode": "10115"}})
    customer = CustomerFactory(tenant=tenant, external_id="c-1")
    company = LegalEntityFactory(tenant=tenant)
    ContactAssignmentFactory(legal_entity=company, customer=customer)
    product, root = ProductFactory(tenant=tenant), CategoryFactory(tenant=tenant)
    child = CategoryFactory(parent=root)
    CategoryAssignmentFactory(product=product, category=child)
    segment = SegmentFactory(site=site)
    CustomerAssignmentFactory(segment=segment, customer=customer, legal_entity=company)
    CustomerAssignmentFactory(segment=segment, customer=customer)
    ItemAssignmentFactory(segment=segment, product=product)
    RuleFactory(segment=segment, q="lastName:Smith")
    RuleExclusionFactory(segment=segment, customer=CustomerFactory(tenant=tenant), legal_entity=company)
    RuleExclusionFactory(segment=segment, customer=CustomerFactory(tenant=tenant))
    CouponSettings.objects.create(tenant=tenant, codes_are_case_sensitive=True, referral_prefix="FRIEND_")
    coupon = CouponFactory(tenant=tenant, code="Ten", is_segment_restricted=True, redemption_count=1)
    CouponSegmentFactory(coupon=coupon, segment=segment)
    RedemptionFactory(coupon=coupon, customer=customer, customer_number="c-1")
    return tenant


def documents(name: str) -> dict[str, list[object]]:
    """Return all documents of a tenant but for what an import makes anew."""
    record = Tenant.objects.get(name=name).record
    found = {}
    for kind in ORDER:
        found[kind] = sorted(
            (without_metadata(json.loads(text)) for text in documents_of(kind, record)),
            key=json.dumps,
        )
    return found


def without_metadata(document: object) -> object:
    if isinstance(document, dict):
        return {name: without_metadata(value) for name, value in document.items() if name != "metadata"}
    return [without_metadata(one) for one in document] if isinstance(document, list) else document


def test_an_archive_has_every_kind() -> None:
    assert set(ORDER) == set(kinds())


def test_a_tenant_comes_out_as_it_went_in(shop: Tenant, tmp_path: Path) -> None:
    archive = tmp_path / "acme.zip"
    assert run("export_tenant", "acme", archive) == f"Exported 21 rows of acme to {archive}.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["acme.zip"]
    assert run("import_tenant", archive, "--as", "copy") == "Imported 21 rows.\n"
    before, after = documents("acme"), documents("copy")
    assert {kind: len(rows) for kind, rows in after.items()} == {
        kind: len(rows) for kind, rows in before.items()
    }
    for kind in ORDER:
        assert after[kind] == before[kind], kind
    copy = Tenant.objects.get(name="copy")
    assert CouponSettings.objects.get(tenant=copy).referral_prefix == "FRIEND_"
    assert ContactAssignment.objects.filter(tenant=copy).count() == 1
    assert Site.objects.get(tenant=copy, is_default=True).code == "main"
    assert Rule.objects.get(tenant=copy).state == Rule.State.PENDING
    # again: nothing changes
    with pytest.raises(CommandError, match="There is a tenant copy already"):
        run("import_tenant", archive, "--as", "copy")
    run("import_tenant", archive, "--as", "copy", "--resume")
    assert documents("copy") == before


def rewritten(change: Callable[[str, bytes], bytes | None]) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                if (changed := change(name, content)) is not None:
                    archive.writestr(name, changed)

    return rewrite


def test_an_archive_of_the_first_format_has_no_rules(shop: Tenant, tmp_path: Path) -> None:
    def older(name: str, content: bytes) -> bytes | None:
        if name == MANIFEST:
            return content.replace(b'"format": 2', b'"format": 1')
        return None if name in ("rules.jsonl", "rule_exclusions.jsonl") else content

    archive = tmp_path / "acme.zip"
    run("export_tenant", "acme", archive)
    rewritten(older)(archive)
    run("import_tenant", archive, "--as", "copy")
    assert documents("copy") == {**documents("acme"), "rules": [], "rule_exclusions": []}


def test_a_rule_that_names_a_deleted_segment_is_left_out_by_name(shop: Tenant, tmp_path: Path) -> None:
    failed = RuleFactory(segment=SegmentFactory(site=Site.objects.get(code="east")), q="segments:gone")
    archive = tmp_path / "acme.zip"
    run("export_tenant", "acme", archive)
    said = StringIO()
    call_command("import_tenant", str(archive), "--as", "copy", stdout=StringIO(), stderr=said)
    assert f"The rule of segment {failed.segment.external_id} was left out: " in said.getvalue()
    assert "there is no segment gone" in said.getvalue()
    assert Rule.objects.filter(tenant__name="copy").count() == 1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), "cannot be read"),
        (rewritten(lambda name, text: None if name == MANIFEST else text), "broken"),
        (rewritten(lambda name, text: None if name == "coupons.jsonl" else text), "broken"),
        (
            rewritten(lambda name, text: text + b"{}\n" if name == "products.jsonl" else text),
            "products.jsonl",
        ),
        (rewritten(lambda name, text: text.replace(b'"format": 2', b'"format": 9')), "format 9"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_a_broken_archive_is_refused_before_anything_is_written(
    shop: Tenant, tmp_path: Path, spoil: Any, reason: str
) -> None:
    archive = tmp_path / "acme.zip"
    run("export_tenant", "acme", archive)
    spoil(archive)
    with pytest.raises(CommandError, match=reason):
        run("import_tenant", archive, "--as", "copy")
    assert [tenant.name for tenant in Tenant.objects.all()] == ["acme"]


def test_an_unknown_tenant_and_a_folder_that_is_not_there(shop: Tenant, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no tenant nobody"):
        run("export_tenant", "nobody", tmp_path / "a.zip")
    with pytest.raises(CommandError, match="cannot be written"):
        run("export_tenant", "acme", tmp_path / "none" / "a.zip")
    assert Customer.objects.count() == 3
