"""Who acts in the admin, in commands and in imports."""

from io import StringIO

import pytest
from django.contrib import admin
from django.core.management import call_command, get_commands
from django.db import transaction
from django.urls import NoReverseMatch, reverse

from accounts.identity.models import ApiClient
from config.command_line import CommandLine
from core.actors import operating_system_user
from core.imports.models import ImportRun
from core.journal.models import Change
from segments.models import CustomerAssignment
from tests.factories.accounts import CustomerFactory, TenantFactory
from tests.factories.segments import SegmentFactory
from tests.factories.shops import MINE, Shop

pytestmark = pytest.mark.django_db
OWN_PACKAGES = ("accounts", "catalog", "config", "core", "coupons", "segments")
OWN_COMMANDS = sorted(name for name, app in get_commands().items() if app.split(".")[0] in OWN_PACKAGES)


@pytest.fixture
def command_line(monkeypatch):
    """Run a command as `manage.py` does, in this process."""
    monkeypatch.setattr("core.actors._process_actor", [])

    def run(name, *arguments):
        command = CommandLine(["manage.py", name]).fetch_command(name)
        call_command(command, *arguments, stdout=StringIO(), stderr=StringIO())

    return run


def actors_since(last):
    fields = ("actor_type", "actor_id", "actor_name", "source_type")
    return set(Change.objects.filter(id__gt=last).values_list(*fields))


def last_change():
    return Change.objects.order_by("-id").values_list("id", flat=True).first() or 0


# The admin


def test_every_deletion_in_the_admin_is_by_the_member_of_staff(operator_browser):
    shop = Shop(MINE)
    shop.make()
    writing = set()
    for model in sorted(admin.site._registry, key=lambda model: model._meta.label):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_delete"
        try:
            address = reverse(name, args=[shop.rows[model].pk])
        except (NoReverseMatch, KeyError):
            continue
        last = last_change()
        with transaction.atomic():
            operator_browser.post(address, confirmed(shop.rows[model]), headers={"X-Request-Id": "r-7"})
            actors = actors_since(last)
            sources = set(Change.objects.filter(id__gt=last).values_list("source_id", flat=True))
            transaction.set_rollback(True)
        if actors:
            assert (actors, sources) == ({("staff", "operator", "", "admin")}, {"r-7"}), model
            writing.add(model._meta.label)
    assert writing >= {"segments.Segment", "accounts.Customer", "coupons.Coupon", "catalog.Category"}


def confirmed(row):
    """Return what confirms a deletion: a segment's page asks for its name, and for the version looked at."""
    named = getattr(row, "external_id", "")
    typed = {"_confirmed": "1", "typed_name": named, "version": f"{named}={getattr(row, 'version', 0)}"}
    return {"post": "yes", **typed}


def test_a_form_of_the_admin_is_saved_by_the_member_of_staff(staff_browser, tenant):
    last = last_change()
    address = reverse("admin:accounts_customer_add")
    answer = staff_browser.post(address, {"tenant": tenant.pk, "external_id": "C1", "type": "CUSTOMER"})
    assert answer.status_code == 302, answer.context["errors"]
    assert actors_since(last) == {("staff", "staff", "", "admin")}


def test_a_pasted_list_names_the_paste(staff_browser, tenant, site):
    segment = SegmentFactory(site=site)
    CustomerFactory(tenant=tenant, external_id="C1")
    last = last_change()
    address = reverse("admin:segments_segment_add_members", args=[segment.pk])
    staff_browser.post(address, {"pasted": "C1", "_apply": "1"})
    assert CustomerAssignment.objects.filter(segment=segment).count() == 1
    assert actors_since(last) == {("staff", "staff", "", "import"), ("staff", "staff", "", "admin")}
    [change] = Change.objects.filter(id__gt=last, object="segment-customer")
    assert (change.source_type, change.source_id) == ("import", str(ImportRun.objects.get().pk))


# Commands


def test_a_command_acts_with_the_account_of_the_operating_system(command_line):
    last = last_change()
    command_line("create_tenant", "acme")
    assert actors_since(last) == {("command", "create_tenant", operating_system_user(), "")}


def test_a_client_is_made_by_its_command(command_line, tenant):
    last = last_change()
    command_line("create_api_client", "acme", "--all-scopes")
    assert {actor[:2] for actor in actors_since(last)} == {("command", "create_api_client")}
    assert ApiClient.objects.count() == 1


@pytest.mark.parametrize("name", OWN_COMMANDS)
def test_every_command_acts_under_its_name_before_it_begins(monkeypatch, name):
    monkeypatch.setattr("core.actors._process_actor", [])
    CommandLine(["manage.py", name]).fetch_command(name)
    last = last_change()
    TenantFactory(name="made")
    assert actors_since(last) == {("command", name, operating_system_user(), "")}


@pytest.mark.usefixtures("real_time")
def test_an_import_names_its_run(command_line, tenant, site, tmp_path):
    SegmentFactory(site=site, external_id="gold")
    CustomerFactory(tenant=tenant, external_id="C1")
    path = tmp_path / "members.csv"
    path.write_text("segmentId,customerId\ngold,C1\n")
    last = last_change()
    command_line("upsert_segment_customers", str(path), "--tenant", "acme")
    run = ImportRun.objects.get()
    change = Change.objects.get(id__gt=last, object="segment-customer")
    assert (change.object, change.actor_type, change.actor_id) == (
        "segment-customer",
        "command",
        "upsert_segment_customers",
    )
    assert (change.source_type, change.source_id) == ("import", str(run.pk))
    command_line("undo_import", str(run.pk))
    undone = Change.objects.filter(object="segment-customer").order_by("-id")[0]
    assert (undone.kind, undone.actor_id, undone.source_type) == ("deleted", "undo_import", "undo-import")
    assert undone.source_id == str(run.pk)


def test_a_dry_run_writes_nothing(command_line, tenant, site, tmp_path):
    path = tmp_path / "segments.jsonl"
    path.write_text('{"id": "gold", "name": {"en": "Gold"}, "siteCode": "main", "status": "ACTIVE"}\n')
    last = last_change()
    command_line("upsert_segments", str(path), "--tenant", "acme", "--dry-run")
    assert actors_since(last) == set()
    command_line("upsert_segments", str(path), "--tenant", "acme")
    assert {actor[:2] for actor in actors_since(last)} == {("command", "upsert_segments")}
