"""An import of assignments is undone as far as nobody else has touched the rows since."""

import pytest

from catalog.models import Category, CategoryAssignment
from core.imports.management.commands import undo_import
from core.imports.models import ImportRun
from segments.models import CustomerAssignment
from tests.core.imports.conftest import members
from tests.factories.catalog import CategoryAssignmentFactory
from tests.factories.segments import CustomerAssignmentFactory

HEADER = "segmentId,customerId,mixins"


def state(tenant):
    rows = CustomerAssignment.objects.filter(tenant=tenant).order_by(
        "segment_id", "customer_id", "legal_entity_id"
    )
    return list(
        rows.values_list(
            "id",
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
        {"run": ImportRun.objects.get().pk, "deleted": 2, "restored": 1, "madeAgain": 2, "kept": []},
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
    assert {(str(row["row"]), row["reason"]) for row in answer.json["kept"]} == {
        ("{'segmentId': 'S1', 'customerId': 'C1'}", "it was changed since"),
        ("{'segmentId': 'S1', 'customerId': 'C4'}", "it was changed since"),
        ("None", "it was deleted since"),  # C5's row
        ("None", "it was made anew since"),  # C2's former row
        ("None", "the customer was deleted since"),  # C3's row
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
        f"Import {first.pk} is undone: 1 rows that it created are deleted, 0 are as they were before,"
        " 0 that it removed are back.",
        "1 rows could not be put back:",
        '  {"segmentId":"S1","customerId":"C1"}: it was changed since',
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
    assert stored == {(kept.pk, kept.external_id), (removed.pk, removed.external_id)}


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_an_undone_import_can_be_run_again(shop, upsert, run, write, mode):
    path = write("rows.csv", HEADER, "S1,C1,")
    upsert("segment_customers", path, "--mode", mode)
    undo(run)
    assert upsert("segment_customers", path, "--mode", mode).counts == {"created": 1}


def test_imports_of_other_kinds_and_unknown_ones_cannot_be_undone(shop, upsert, run, write):
    upsert("customers", write("rows.csv", "id", "C9"))
    stored = ImportRun.objects.get()
    answer = run("undo_import", stored.pk)
    assert (answer.status, answer.message) == (
        2,
        f"Import {stored.pk} is of customers; only assignments can be undone.",
    )
    assert run("undo_import", 0).message == "There is no import 0."


def test_why_nothing_was_undone_is_told_in_json_too(db, run):
    answer = run("undo_import", 0, "--json")
    assert (answer.status, answer.json) == (2, {"error": "not_found", "message": "There is no import 0."})


def test_of_many_rows_that_were_left_the_words_name_the_first(shop, upsert, run, write, monkeypatch):
    monkeypatch.setattr(undo_import, "ROWS_IN_WORDS", 2)
    upsert("segment_customers", write("a.csv", HEADER, *(f"S1,C{number}," for number in range(1, 6))))
    imported = ImportRun.objects.get()
    CustomerAssignment.objects.update(version=9)
    answer = run("undo_import", imported.pk)
    assert answer.status == 2
    assert answer.text.splitlines()[1:] == [
        "5 rows could not be put back:",
        '  {"segmentId":"S1","customerId":"C1"}: it was changed since',
        '  {"segmentId":"S1","customerId":"C2"}: it was changed since',
        "  and 3 more",
    ]
