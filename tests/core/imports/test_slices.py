"""Large files are staged in parts, and written in slices by key that are committed one by one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from core.imports import slices
from core.imports.models import ImportRun
from core.imports.slices import SlicedMerge
from segments.imports.assignments import MEMBERS_OF_SEGMENTS
from segments.management.commands.upsert_segment_customers import Command
from segments.models import CustomerAssignment
from tests.core.imports.conftest import Answer, Shop, members
from tests.factories.segments import CustomerAssignmentFactory

ROWS = [f"S{segment},C{customer}" for customer in (4, 2, 5, 1, 3) for segment in (2, 1)]


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    """Slices of three rows, in parts of eight."""
    monkeypatch.setattr(Command, "kind", replace(MEMBERS_OF_SEGMENTS, part_size=8, batch_size=3))
    monkeypatch.setattr(slices, "rows_of_next_slice", lambda *given: 3)


@pytest.fixture
def stop_after(monkeypatch) -> Callable[[int], None]:
    """Interrupt the import when so many slices have been written."""

    def stop(slices: int) -> None:
        write, done = SlicedMerge.write_slice, []

        def interrupted(part: SlicedMerge, size: int) -> Any:
            if len(done) == slices:
                monkeypatch.setattr(SlicedMerge, "write_slice", write)
                raise KeyboardInterrupt
            done.append(size)
            return write(part, size)

        monkeypatch.setattr(SlicedMerge, "write_slice", interrupted)

    return stop


def expected_members() -> list[tuple[str, str, None, int]]:
    return [(f"S{segment}", f"C{customer}", None, 1) for segment in (1, 2) for customer in range(1, 6)]


def test_slices_of_several_parts_write_every_row_once(shop: Shop, upsert: Callable[..., Answer], write):
    answer = upsert("segment_customers", write("rows.csv", "segmentId,customerId", *ROWS, "S1,C4", "S1,X"))

    assert answer.counts == {"created": 10, "unchanged": 1, "refused": 1}
    assert members(shop.tenant) == expected_members()
    assert ImportRun.objects.get().committed_slice is None


def test_rows_of_one_key_are_written_once_whatever_the_size_of_a_slice(shop, upsert, write):
    lines = ["S1,C1"] * 5 + ["S1,C2", "S1,C3", "S2,C1"]
    answer = upsert("segment_customers", write("rows.csv", "segmentId,customerId", *lines))

    assert answer.counts == {"created": 4, "repeated": 4}


@pytest.mark.parametrize("slices", [1, 2, 3, 4])
@pytest.mark.parametrize("mode", ["upsert", "insert"])
def test_an_import_stopped_between_slices_ends_with_the_same_rows_and_counts(
    shop, upsert, write, tmp_path, stop_after, slices, mode
):
    rejects = tmp_path / "rejects.csv"
    path = write("rows.csv", "segmentId,customerId", "S1,X1", *ROWS[:5], "X,C1", *ROWS[5:], "S1,X2")
    arguments = ["--rejects", rejects, "--mode", mode]
    stop_after(slices)
    stopped = upsert("segment_customers", path, *arguments)
    assert (stopped.status, stopped.json["error"]) == (1, "stopped")
    assert CustomerAssignment.objects.count() == stopped.counts["created"]

    answer = upsert("segment_customers", path, *arguments, "--resume")

    assert answer.counts == {"created": 10, "refused": 3}
    assert answer.json["rows"] == 13
    assert members(shop.tenant) == expected_members()
    assert ImportRun.objects.get().rejects.count() == 3
    lines = [row.split(",")[2] for row in rejects.read_text().splitlines()[1:]]
    assert sorted(lines) == ["14", "2", "8"]


def test_rows_that_expect_a_version_are_not_refused_when_a_part_is_resumed(shop, upsert, write, stop_after):
    for customer in shop.customers:
        CustomerAssignmentFactory(segment=shop.segments[0], customer=customer)
    lines = [f"S1,C{number},2026-01-01T00:00:00Z,1" for number in range(1, 6)]
    path = write("rows.csv", "segmentId,customerId,validity.from,metadata.version", *lines)
    stop_after(1)
    assert upsert("segment_customers", path).counts == {"changed": 3}

    assert upsert("segment_customers", path, "--resume").counts == {"changed": 5}


def test_a_change_by_somebody_else_to_a_committed_slice_is_kept(shop, upsert, write, stop_after):
    path = write("rows.csv", "segmentId,customerId", *ROWS)
    stop_after(1)
    upsert("segment_customers", path)
    CustomerAssignment.objects.update(mixins={"kept": True}, version=7)

    assert upsert("segment_customers", path, "--resume").counts == {"created": 10}
    assert CustomerAssignment.objects.filter(mixins={"kept": True}).count() == 3


def test_too_many_rejects_are_noticed_before_the_first_slice(shop, upsert, write):
    path = write("rows.csv", "segmentId,customerId", *ROWS[:6], "S1,X1", "S1,X2")

    answer = upsert("segment_customers", path, "--max-rejects", "1")

    assert (answer.status, answer.json["error"]) == (2, "too_many_rejects")
    assert not CustomerAssignment.objects.exists()
    assert ImportRun.objects.get().rejects.count() == 2


def test_nothing_is_left_in_the_session(shop, upsert, write, stop_after):
    path = write("rows.csv", "segmentId,customerId", *ROWS)
    stop_after(1)
    upsert("segment_customers", path)
    upsert("segment_customers", path, "--resume")

    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relpersistence = 't' AND relname LIKE 'import%'")
        assert cursor.fetchall() == []


def test_a_replacement_stopped_between_slices_ends_with_the_same_rows_and_counts(
    shop, upsert, write, tmp_path, monkeypatch
):
    for customer in shop.customers:
        CustomerAssignmentFactory(segment=shop.segments[0], customer=customer)
    rows = [f"S1,C{number}" for number in (1, 2)] + [f"S2,C{number}" for number in (1, 2, 3, 4)]
    path = write("rows.csv", "segmentId,customerId", "S1,X1", *rows)
    arguments = ["--mode", "replace", "--batch-size", "2", "--rejects", tmp_path / "rejects.csv"]
    whole = {"created": 4, "unchanged": 2, "removed": 3, "refused": 1}
    assert upsert("segment_customers", path, *arguments, "--dry-run").counts == whole
    write_slice = SlicedMerge.write_slice
    done: list[int] = []

    def interrupted(part, size):
        if done:
            raise KeyboardInterrupt
        done.append(size)
        return write_slice(part, size)

    monkeypatch.setattr(SlicedMerge, "write_slice", interrupted)
    stops = 0
    answer = upsert("segment_customers", path, *arguments)
    while answer.json.get("error") == "stopped" and stops < 9:
        stops += 1
        done.clear()
        answer = upsert("segment_customers", path, *arguments, "--resume")
    assert stops >= 4
    assert (answer.counts, ImportRun.objects.get().committed_slice) == (whole, None)
    assert {",".join(row[:2]) for row in members(shop.tenant)} == set(rows)
    assert ImportRun.objects.get().rejects.count() == 1


def test_a_replacement_is_judged_before_its_first_slice(shop, upsert, write, monkeypatch):
    for number in range(150):
        CustomerAssignmentFactory(segment=shop.segments[0], customer__external_id=f"M{number}")
    path = write("rows.csv", "segmentId,customerId", "S1,C1", "S2,C1")
    monkeypatch.setattr(SlicedMerge, "write_slice", None)
    answer = upsert("segment_customers", path, "--mode", "replace")
    assert answer.json["error"] == "too_many_removals"
    assert CustomerAssignment.objects.count() == 150


def test_rows_that_others_add_during_a_replacement_stay(shop, upsert, write, monkeypatch):
    CustomerAssignmentFactory(segment=shop.segments[0], customer=shop.customers[4])
    path = write("rows.csv", "segmentId,customerId", "S1,C1")
    write_slice = SlicedMerge.write_slice

    def meanwhile(part, size):
        if not CustomerAssignment.objects.filter(customer=shop.customers[3]).exists():
            CustomerAssignmentFactory(segment=shop.segments[0], customer=shop.customers[3])
        return write_slice(part, size)

    monkeypatch.setattr(SlicedMerge, "write_slice", meanwhile)
    assert upsert("segment_customers", path, "--mode", "replace").counts == {"created": 1, "removed": 1}
    assert {row[1] for row in members(shop.tenant)} == {"C1", "C4"}
