"""Writes `initial.sql`, the dump that `test_upgrade` migrates forwards.

    .venv/bin/python -m tests.upgrade.make_dump

The dump is a database as the initial migrations make it, with a few rows in every table. Make it anew
whenever an initial migration changes, which it may until its first release. From then on the dump stays as it
is: every change is a new migration, which the test applies to it.
"""

import os
import subprocess
from datetime import UTC, datetime, timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.contrib.admin.models import CHANGE, LogEntry  # noqa: E402
from django.contrib.auth.models import Group, Permission  # noqa: E402
from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.contrib.sessions.models import Session as BrowserSession  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from accounts.identity.models import AttemptCounter, ClientSecret, RefreshToken  # noqa: E402
from accounts.identity.tokens.keys import new_signing_key  # noqa: E402
from catalog.models import CategoryNumber  # noqa: E402
from config.server.embedded_postgres.places import binaries_folder  # noqa: E402
from core.imports.models import ImportChange, ImportCreation, ImportReject, ImportRun  # noqa: E402
from coupons.models import CouponSettings  # noqa: E402
from segments.models import Segment  # noqa: E402
from tests.factories.accounts import (  # noqa: E402
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SessionFactory,
    SiteFactory,
    TenantFactory,
    UserFactory,
)
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory  # noqa: E402
from tests.factories.coupons import (  # noqa: E402
    CouponCategoryFactory,
    CouponFactory,
    CouponSegmentFactory,
    RedemptionFactory,
)
from tests.factories.segments import (  # noqa: E402
    CustomerAssignmentFactory,
    ItemAssignmentFactory,
    SegmentFactory,
)
from tests.upgrade.databases import DUMP, fresh_database  # noqa: E402

AT = datetime(2026, 3, 4, 9, 30, 15, 250_000, tzinfo=UTC)
# What a server writes for psql or for newer servers only.
LEFT_OUT = ("\\", "--", "SET transaction_timeout")


def write_rows() -> None:
    """Put rows into every table."""
    for name in ("acme", "globex"):
        tenant = TenantFactory(name=name)
        site = SiteFactory(tenant=tenant, is_default=True)
        customers = CustomerFactory.create_batch(3, tenant=tenant)
        parent = LegalEntityFactory(tenant=tenant)
        company = LegalEntityFactory(tenant=tenant, parent=parent)
        ContactAssignmentFactory(legal_entity=company, customer=customers[0])
        write_identity(tenant, customers[0], company)

        products = ProductFactory.create_batch(2, tenant=tenant)
        root = CategoryFactory(tenant=tenant)
        child = CategoryFactory(parent=root, description={"de": "Unten"}, mixins={"a": [1]})
        CategoryNumber.objects.create(tenant=tenant, category=root, value="N1", rank=0)
        CategoryAssignmentFactory(product=products[0], category=child)

        segment = SegmentFactory(site=site, valid_from=AT, valid_to=AT + timedelta(days=9))
        CustomerAssignmentFactory(segment=segment, customer=customers[0], legal_entity=company)
        CustomerAssignmentFactory(segment=segment, customer=customers[1], mixins={"vip": {"level": 3}})
        ItemAssignmentFactory(segment=segment, product=products[0])
        ItemAssignmentFactory(segment=segment, product=None, category=root, includes_subcategories=True)
        write_coupons(tenant, segment, root, customers[0])
        write_imports(tenant)


def write_identity(tenant, customer, company) -> None:
    session = SessionFactory(client__tenant=tenant, customer=customer, legal_entity=company, created_at=AT)
    ClientSecret.objects.create(client=session.client, slot=1, digest="0" * 64, created_at=AT)
    RefreshToken.objects.create(
        tenant=tenant,
        session=session,
        digest=f"{tenant.name:0>64}",
        created_at=AT,
        expires_at=AT + timedelta(days=1),
    )
    AttemptCounter.objects.create(subject=tenant.name, attempts=1, resets_at=AT)
    new_signing_key(status="retired").save()
    user = UserFactory(tenant=tenant)
    group = Group.objects.create(name=f"Merchandisers of {tenant.name}")
    group.permissions.add(*Permission.objects.filter(codename="view_segment"))
    user.groups.add(group)
    user.user_permissions.add(*Permission.objects.filter(codename="view_coupon"))
    LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get_for_model(Segment),
        object_id="1",
        object_repr="Segment",
        action_flag=CHANGE,
        action_time=AT,
    )
    BrowserSession.objects.create(session_key=tenant.name, session_data="{}", expire_date=AT)


def write_coupons(tenant, segment, category, customer) -> None:
    CouponSettings.objects.create(tenant=tenant)
    for_segment = CouponFactory(tenant=tenant, is_segment_restricted=True)
    CouponSegmentFactory(coupon=for_segment, segment=segment)
    for_category = CouponFactory(tenant=tenant, is_category_restricted=True, redemption_count=1)
    CouponCategoryFactory(coupon=for_category, category=category)
    RedemptionFactory(coupon=for_category, customer=customer, customer_number=customer.external_id)


def write_imports(tenant) -> None:
    run = ImportRun.objects.create(tenant=tenant, kind="segment_customers", mode="upsert", started_at=AT)
    ImportReject.objects.create(run=run, line=2, reason="unknown_customer", message="No such customer.")
    ImportCreation.objects.create(run=run, keys="{[1,3)}")
    ImportChange.objects.create(run=run, row_id=1, version=1, before={"status": "ACTIVE"})


def dump() -> str:
    """Return the connected database as SQL that any supported server reads."""
    parameters = connection.get_connection_params()
    command = [str(binaries_folder(None) / "pg_dump"), "--no-owner", "--no-privileges", "--column-inserts"]
    names = {"dbname": "--dbname", "host": "--host", "port": "--port", "user": "--username"}
    command += [f"{option}={parameters[name]}" for name, option in names.items() if parameters.get(name)]
    password = {"PGPASSWORD": parameters["password"]} if parameters.get("password") else {}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **password})
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith(LEFT_OUT)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with fresh_database("upgrade_dump"):
        call_command("migrate", interactive=False, verbosity=0)
        write_rows()
        DUMP.write_text(dump())
