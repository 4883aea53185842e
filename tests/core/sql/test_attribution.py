"""Who acts reaches PostgreSQL with the statements that write, without a round trip of its own."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection, transaction

from accounts.models import Site
from core.actors import Actor, ActorType, acting_as, with_source
from core.journal.models import Change
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows, is_write
from core.tenancy.models import Tenant
from tests.factories.accounts import SiteFactory, TenantFactory

ADA = Actor(ActorType.STAFF, "ada", "Ada O'Hara \\ 100 %s", "admin", "r1")
BOB = Actor(ActorType.STAFF, "bob")
SENT = re.compile(r"\tF\t\d+\t(?:Query|Sync)\b")  # what the client waits for an answer to


def actors() -> list[str]:
    return list(Change.objects.filter(object="site").order_by("id").values_list("actor_id", flat=True))


def round_trips(run: Callable[[], object], path: Path) -> int:
    """Return how often the client waits for the server."""
    connection.ensure_connection()
    wire = connection.connection.pgconn
    with path.open("w") as file:
        descriptor = os.dup(file.fileno())
        wire.trace(descriptor)
        run()
        wire.untrace()
        os.close(descriptor)
    return len(SENT.findall(path.read_text()))


@pytest.fixture
def site(transactional_db: None) -> Site:
    return SiteFactory(tenant=TenantFactory(name="acme"))


def rename(site: Site) -> None:
    Site.objects.filter(pk=site.pk).update(name="B")


def rename_in_transaction(site: Site) -> None:
    with transaction.atomic():
        Site.objects.select_for_update().get(pk=site.pk)
        Site.objects.filter(pk=site.pk).update(name="B")


def rename_prepared(site: Site) -> None:
    statement = sql(
        "UPDATE accounts_site SET name = {name} WHERE id = {id} RETURNING id",
        name=param("B"),
        id=param(site.pk),
    )
    assert fetch_rows(statement, prepared=True) == [(site.pk,)]


def rename_prepared_in_transaction(site: Site) -> None:
    with transaction.atomic():
        rename_prepared(site)


WAYS = [rename, rename_in_transaction, rename_prepared, rename_prepared_in_transaction]


@pytest.mark.parametrize("way", WAYS)
def test_the_actor_is_recorded_without_a_round_trip(site, way, tmp_path):
    with acting_as(None):
        unattributed = round_trips(lambda: way(site), tmp_path / "without")
    site.save()
    Change.objects.all().delete()
    with acting_as(ADA):
        attributed = round_trips(lambda: way(site), tmp_path / "with")
    assert unattributed > 0
    assert attributed == unattributed
    row = Change.objects.get()
    assert (row.actor_type, row.actor_id, row.actor_name) == ("staff", "ada", "Ada O'Hara \\ 100 %s")
    assert (row.source_type, row.source_id) == ("admin", "r1")


@pytest.mark.parametrize("way", WAYS)
def test_the_next_writer_on_the_connection_is_not_taken_for_the_last(site, way):
    with acting_as(ADA):
        way(site)
    site.save()
    with acting_as(BOB):
        way(site)
    assert actors()[1:] == ["ada", actors()[0], "bob"]


def test_an_actor_who_changes_in_a_transaction_is_recorded(site):
    with transaction.atomic():
        with acting_as(ADA):
            rename(site)
        with acting_as(BOB):
            rename_prepared(site)
            site.save()
        Site.objects.filter(pk=site.pk).update(name="C")
    assert actors()[1:] == ["ada", "bob", actors()[0]]


def test_a_savepoint_that_is_rolled_back_forgets_its_actor(site):
    with acting_as(ADA), transaction.atomic():
        rename(site)
        with acting_as(BOB), transaction.atomic():
            site.save()
            transaction.set_rollback(True)
        site.save()
        with acting_as(BOB):
            rename(site)
    assert actors()[1:] == ["ada", "ada", "bob"]


def test_the_source_is_named_beside_the_actor(site):
    with acting_as(ADA), with_source("import", "7"):
        rename(site)
    row = Change.objects.order_by("id").last()
    assert (row.actor_id, row.source_type, row.source_id) == ("ada", "import", "7")


def test_a_hostile_name_stays_a_text(transactional_db):
    name = "'; DROP TABLE accounts_site; --\\'\x00" + "x" * 1_000
    with acting_as(Actor(ActorType.CLIENT, name)):
        Tenant.objects.create(name="acme")
    assert Change.objects.get().actor_id == name[:200].replace("\x00", "")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO a VALUES (1)",
        "WITH x AS (DELETE  FROM a) SELECT 1",
        "update a set b = 1",
        "\nMERGE INTO a",
    ],
)
def test_writes_are_recognized(statement):
    assert is_write(statement)


@pytest.mark.parametrize("statement", ["SELECT 1 FOR UPDATE", "WITH x AS (SELECT 1) SELECT 1", "SAVEPOINT a"])
def test_reads_bring_nothing_along(statement):
    assert not is_write(statement)
