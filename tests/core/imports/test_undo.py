"""An import of assignments is undone as far as nobody else has touched the rows since."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import Category, CategoryAssignment
from core.background.models import Job
from core.background.worker import BackgroundWorker
from core.imports import undo as undoing
from core.imports.management.commands import undo_import
from core.imports.models import ImportRun
from core.journal.models import Change
from core.journal.past import journal_beginning
from core.journal.undo import plans
from core.sql.locks import Lock
from segments.models import CustomerAssignment
from tests.core.imports.conftest import members
from tests.factories.catalog import CategoryAssignmentFactory
from tests.factories.segments import CustomerAssignmentFactory

pytestmark = pytest.mark.usefixtures("real_time")
HEADER = "segmentId,customerId,mixins"


def state(tenant):
    rows = CustomerAssignment.objects.filter(tenant=tenant).order_by(
        "segment_id", "customer_id", "legal_entity_id"
    )
    return list(
        rows.values_list(
            "segment__external_id",
            "customer__external_id",
            "legal_entity__external_id",
            "mixins",
            "created_at",
        )
    )


def undo(run):
    return run("undo_import", ImportRun.objects.latest("id").pk, "--json")


def test_created_changed_and_removed_rows_are_put_back(shop, upsert, run, write):
    first = shop.segments[0]
    CustomerAssignmentFactory(segment=first, customer=shop.customers[0], mixins={"a": 1})
    CustomerAssignmentFactory(segment=first, customer=shop.customers[0], legal_entity=shop.company)
    CustomerAssignmentFactory(segment=first, customer=shop.customers[1])
    before = state(shop.tenant)
    path = write("rows.csv", HEADER, 'S1,C1,"{""a"": 2}"', "S1,C3,", "S2,C3,")
    assert upsert("segment_customers", path, "--mode", "replace").counts == {
        "created": 2,
        "changed": 1,
        "removed": 2,
    }
    answer = undo(run)
    assert (answer.status, answer.json) == (
        0,
        {
            "run": ImportRun.objects.get().pk,
            "deleted": 2,
            "restored": 1,
            "madeAgain": 2,
            "keptCount": 0,
            "kept": [],
        },
    )
    assert state(shop.tenant) == before
    assert ImportRun.objects.get().state == "undone"


def test_an_undone_row_has_a_newer_version_than_the_import_gave_it(shop, upsert, run, write):
    stored = CustomerAssignmentFactory(segment=shop.segments[0], customer=shop.customers[0])
    upsert("segment_customers", write("rows.csv", HEADER, 'S1,C1,"{""a"": 2}"'))
    undo(run)
    stored.refresh_from_db()
    assert (stored.version, stored.mixins) == (3, None)


def test_a_row_that_several_batches_wrote_goes_back_to_its_first_state(shop, upsert, run, write):
    stored = CustomerAssignmentFactory(segment=shop.segments[0], customer=shop.customers[0], mixins={"a": 1})
    path = write(
        "rows.csv",
        HEADER,
        'S1,C1,"{""a"": 2}"',
        'S1,C2,"{""a"": 2}"',
        'S1,C1,"{""a"": 3}"',
        'S1,C2,"{""a"": 3}"',
    )
    answer = upsert("segment_customers", path, "--batch-size", 2)
    assert answer.counts == {"created": 1, "changed": 3}
    assert undo(run).json["kept"] == []
    stored.refresh_from_db()
    assert stored.mixins == {"a": 1}
    assert [row[1] for row in members(shop.tenant)] == ["C1"]


def test_what_somebody_else_changed_since_stays_and_is_told(shop, upsert, run, write):
    first = shop.segments[0]
    CustomerAssignmentFactory(segment=first, customer=shop.customers[0])
    CustomerAssignmentFactory(segment=first, customer=shop.customers[1])
    CustomerAssignmentFactory(segment=first, customer=shop.customers[2])
    path = write("rows.csv", HEADER, 'S1,C1,"{""a"": 1}"', "S1,C4,", "S1,C5,")
    upsert("segment_customers", path, "--mode", "replace")
    other = write("other.csv", HEADER, 'S1,C1,"{""b"": 1}"', 'S1,C4,"{""b"": 1}"', "S1,C2,")
    import_run = ImportRun.objects.latest("id")
    assert upsert("segment_customers", other).counts == {"created": 1, "changed": 2}
    CustomerAssignment.objects.filter(customer=shop.customers[4]).delete()
    shop.customers[2].delete()
    answer = run("undo_import", import_run.pk, "--json")
    assert answer.status == 2
    assert {(tuple(row["members"]), row["reason"]) for row in answer.json["kept"]} == {
        (("C1",), "it was changed since"),
        (("C4",), "it was changed since"),
        (("C5",), "it was deleted since"),
        (("C2",), "it was made anew since"),
        ((), "the customer was deleted since"),  # C3's row
    }
    assert [row[1] for row in members(shop.tenant)] == ["C1", "C2", "C4"]
    words = run("undo_import", import_run.pk)
    assert (words.status, words.message) == (2, f"Import {import_run.pk} has been undone before.")


def test_the_words_say_which_rows_were_left(shop, upsert, run, write):
    upsert("segment_customers", write("a.csv", HEADER, "S1,C1,", "S1,C2,"))
    first = ImportRun.objects.latest("id")
    upsert("segment_customers", write("b.csv", HEADER, 'S1,C1,"{""b"": 1}"'))
    answer = run("undo_import", first.pk)
    assert answer.status == 1
    assert answer.text.splitlines() == [
        f"Import {first.pk} is undone: 1 row that it created is deleted, 0 are as they were before,"
        " 0 that it removed are back.",
        "1 row could not be put back:",
        "  segment-customer S1: C1: it was changed since",
    ]


def test_products_in_categories_are_undone(shop, upsert, run, write):
    category = Category.objects.get(external_id="K1")
    kept = CategoryAssignmentFactory(category=category, product=shop.products[0], tenant=shop.tenant)
    removed = CategoryAssignmentFactory(category=category, product=shop.products[1], tenant=shop.tenant)
    path = write("rows.csv", "categoryId,ref.id", "K1,P1", "K1,P3")
    assert upsert("category_assignments", path, "--mode", "replace").counts == {
        "created": 1,
        "unchanged": 1,
        "removed": 1,
    }
    assert undo(run).json["kept"] == []
    stored = set(CategoryAssignment.objects.values_list("pk", "external_id"))
    assert {name for _, name in stored} == {kept.external_id, removed.external_id}


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_an_undone_import_can_be_run_again(shop, upsert, run, write, mode):
    path = write("rows.csv", HEADER, "S1,C1,")
    upsert("segment_customers", path, "--mode", mode)
    undo(run)
    assert upsert("segment_customers", path, "--mode", mode).counts == {"created": 1}


def test_unknown_imports_and_those_before_the_history_cannot_be_undone(shop, upsert, run, write):
    assert run("undo_import", 0).message == "There is no import 0."
    upsert("customers", write("rows.csv", "id", "C9"))
    stored = ImportRun.objects.get()
    ImportRun.objects.update(started_at=journal_beginning() - timedelta(seconds=1))
    answer = run("undo_import", stored.pk)
    assert (answer.status, answer.message) == (
        2,
        f"Import {stored.pk} is older than the history, so it cannot be undone.",
    )


def test_why_nothing_was_undone_is_told_in_json_too(db, run):
    answer = run("undo_import", 0, "--json")
    assert (answer.status, answer.json) == (2, {"error": "not_found", "message": "There is no import 0."})


def test_of_many_rows_that_were_left_the_words_name_the_first(shop, upsert, run, write, monkeypatch):
    monkeypatch.setattr(undo_import, "ROWS_IN_WORDS", 2)
    upsert("segment_customers", write("a.csv", HEADER, *(f"S1,C{number}," for number in range(1, 6))))
    imported = ImportRun.objects.get()
    CustomerAssignment.objects.update(mixins={"b": 1})
    answer = run("undo_import", imported.pk)
    assert answer.status == 2
    assert answer.text.splitlines()[1:] == [
        "5 rows could not be put back:",
        "  segment-customer S1: C1: it was changed since",
        "  segment-customer S1: C2: it was changed since",
        "  and 3 more",
    ]


def test_an_undo_that_was_killed_goes_on_behind_its_last_batch(shop, upsert, run, write, monkeypatch):
    """Each batch is a transaction, with how far the undo is."""
    monkeypatch.setattr(plans, "LARGEST_AT_ONCE", 2)
    path = write("a.csv", HEADER, *(f"S1,C{number}," for number in range(1, 6)))
    upsert("segment_customers", path, "--batch-size", 2)
    imported = ImportRun.objects.get()

    def die(undone):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        undoing.undo_import(run=imported, clock=timezone.now, report=die)
    assert len(members(shop.tenant)) == 4
    imported.refresh_from_db()
    assert imported.state == "finished"
    answer = run("undo_import", imported.pk, "--json")
    assert (answer.status, answer.json["deleted"], members(shop.tenant)) == (0, 5, [])
    assert Job.objects.get().state == "done"


def test_a_worker_goes_on_where_the_command_was_killed(shop, upsert, write, monkeypatch):
    upsert("segment_customers", write("a.csv", HEADER, "S1,C1,"))
    imported = ImportRun.objects.get()
    with transaction.atomic():
        undoing.job_of(imported, timezone.now())
    BackgroundWorker().run_until_idle()
    imported.refresh_from_db()
    assert (imported.state, members(shop.tenant)) == ("undone", [])
    written = Change.objects.filter(object="segment-customer", kind="deleted").get()
    assert (written.source_type, written.source_id) == ("undo-import", str(imported.pk))


@contextmanager
def held_elsewhere(run: ImportRun) -> Iterator[None]:
    """Hold the run in another session, as a command does."""
    other = connection.copy()
    key = [int(Lock.IMPORT_RUN), run.pk]
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", key)
            yield
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)
    finally:
        other.close()


def job_of(run: ImportRun) -> Job:
    with transaction.atomic():
        return undoing.job_of(run, timezone.now())


@pytest.mark.django_db(transaction=True)
def test_an_import_that_a_command_is_at_work_on_is_not_undone(shop, upsert, write):
    upsert("segment_customers", write("a.csv", HEADER, "S1,C1,"))
    ImportRun.objects.update(state="running")  # as of a command that was killed
    imported = ImportRun.objects.get()
    with held_elsewhere(imported), pytest.raises(undoing.ImportHasNotEnded):
        job_of(imported)
    assert not Job.objects.exists()
    asked = job_of(imported)
    with held_elsewhere(imported):  # by the command that undoes it
        assert job_of(imported) == asked
    BackgroundWorker().run_until_idle()
    imported.refresh_from_db()
    assert (imported.state, members(shop.tenant)) == ("undone", [])


@pytest.mark.django_db(transaction=True)
def test_an_import_that_is_to_be_undone_is_not_resumed(shop, upsert, write):
    path = write("a.csv", HEADER, "S1,C1,")
    upsert("segment_customers", path)
    ImportRun.objects.update(state="stopped", committed_line=1)
    imported = ImportRun.objects.get()
    job_of(imported)
    answer = upsert("segment_customers", path, "--resume")
    assert (answer.status, answer.json["error"]) == (2, "undo_is_running")
    imported.refresh_from_db()
    assert (imported.state, imported.rows) == ("stopped", 1)
    with held_elsewhere(imported):  # the command has released it
        pass


def test_the_number_of_statements_does_not_depend_on_the_number_of_rows(shop, upsert, write):
    counts = []
    for names in (["C1"], ["C2", "C3", "C4", "C5"]):
        upsert("segment_customers", write("a.csv", HEADER, *(f"S1,{name}," for name in names)))
        with CaptureQueriesContext(connection) as queries:
            undoing.undo_import(run=ImportRun.objects.latest("id"), clock=timezone.now)
        counts.append(len(queries))
    assert counts[0] == counts[1]
