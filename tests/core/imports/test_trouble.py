"""What goes wrong around an import ends it with a sentence, an exit status, and a run that can go on."""

import csv
import os
import signal
from pathlib import Path

import pytest
from django.db import OperationalError, connection

from core.imports import runner
from core.imports.files import LINES_AT_ONCE, InputFile
from core.imports.merge import Merge
from core.imports.models import ImportReject, ImportRun
from core.imports.rejects import KEPT_SOURCE
from core.timestamps import format_time
from segments.models import CustomerAssignment
from tests.core.imports.conftest import members
from tests.core.imports.processes import start_command
from tests.factories.accounts import CustomerFactory

FULL_DISK = Path("/dev/full")  # a device of Linux that has no room, ever
HEADER = "segmentId,customerId"


# --- files that cannot be written ---


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.csv.gz", "rows.jsonl.zst"])
def test_an_export_to_a_full_disk_fails_with_a_sentence(shop, run, tmp_path, name):
    path = tmp_path / name
    path.symlink_to(FULL_DISK)
    answer = run("export_customers", path, "--tenant", "acme")
    assert (answer.status, answer.message) == (2, f"{path} cannot be written: No space left on device.")


def test_a_batch_whose_rejects_find_no_room_is_not_applied_and_can_be_resumed(shop, upsert, write, tmp_path):
    path = write("rows.csv", HEADER, "S1,C1", "S1,C9")
    answer = upsert("segment_customers", path, "--rejects", FULL_DISK)
    assert (answer.status, answer.json["error"]) == (2, "unwritable_file")
    assert answer.message == "/dev/full cannot be written: No space left on device."
    assert members(shop.tenant) == []
    assert ImportRun.objects.get().state == "failed"
    resumed = upsert("segment_customers", path, "--rejects", tmp_path / "rejects.csv", "--resume")
    assert resumed.counts == {"created": 1, "refused": 1}


def test_refused_rows_are_never_written_over_the_file_that_they_come_from(shop, upsert, write, tmp_path):
    path = write("rows.csv", HEADER, "S1,C1", "S1,C9")
    other_name = tmp_path / "other-name.csv"
    other_name.symlink_to(path)
    before = path.read_bytes()
    answer = upsert("segment_customers", path, "--rejects", other_name)
    assert (answer.status, answer.json["error"]) == (2, "unwritable_file")
    assert path.read_bytes() == before
    assert not ImportRun.objects.exists()


def test_another_file_is_not_taken_for_the_rejects_of_a_stopped_import(shop, upsert, write, tmp_path):
    rejects = tmp_path / "rejects.csv"
    path = write("rows.csv", HEADER, "S1,C8", "S1,C9", "S1,C7")
    upsert("segment_customers", path, "--rejects", rejects, "--batch-size", 1, "--max-rejects", 1)
    other = write("other.csv", "something else")
    answer = upsert("segment_customers", path, "--rejects", other, "--resume")
    assert (answer.status, answer.json["error"]) == (2, "unwritable_file")
    assert "is not the file that the import has written refused rows to" in answer.message
    assert other.read_text() == "something else\n"


def test_no_file_of_rejects_is_left_when_no_row_was_refused(shop, upsert, write, tmp_path):
    rejects = tmp_path / "rejects.csv"
    upsert("segment_customers", write("rows.csv", HEADER, "S1,C1"), "--rejects", rejects)
    assert not rejects.exists()


def test_a_quiet_import_prints_only_refused_rows(shop, run, write):
    answer = run(
        "upsert_segment_customers", write("rows.csv", HEADER, "S1,C1"), "--tenant", "acme", "--quiet"
    )
    assert (answer.status, answer.text) == (0, "")
    path = write("more.csv", HEADER, *(f"S1,X{number}" for number in range(7)))
    answer = run("upsert_segment_customers", path, "--tenant", "acme", "--quiet")
    assert answer.text.splitlines() == [
        *(f"Line {number + 2}: There is no customer X{number}." for number in range(5)),
        "2 more refused rows: --rejects FILE writes all of them.",
    ]


def test_files_of_other_systems_are_imported_by_flags(shop, upsert, tmp_path, now):
    path = tmp_path / "rows.csv"
    path.write_bytes("Segment;Customer;Colour\r\nS1;C1;red\r\nS1;;blue\r\n".encode("utf-16"))
    flags = ("--map", "Segment=segmentId", "--map", "Customer=customerId", "--ignore-unknown-columns")
    answer = upsert("segment_customers", path, *flags, "--skip-rows-without", "Customer")
    assert answer.counts == {"created": 1}
    assert (answer.json["file"], answer.json["tenant"]) == (str(path), "acme")
    assert answer.json["startedAt"] == format_time(now)


def test_exports_for_spreadsheets_run_no_formulas(shop, run, tmp_path):
    CustomerFactory(tenant=shop.tenant, external_id="F", company="=1+1", first_name="-5")
    path = tmp_path / "rows.csv"
    run("export_customers", path, "--tenant", "acme", "--bom", "--spreadsheet-safe")
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbfid,")
    assert b",'=1+1," in content
    assert b",-5," in content


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_values_that_a_spreadsheet_would_run_come_behind_an_apostrophe(shop, run, tmp_path, start):
    CustomerFactory(tenant=shop.tenant, external_id="F", company=f"{start}cmd()")
    path = tmp_path / "rows.csv"
    run("export_customers", path, "--tenant", "acme", "--spreadsheet-safe")
    with path.open(newline="") as file:
        [row] = [row for row in csv.DictReader(file) if row["id"] == "F"]
    assert row["company"] == f"'{start}cmd()"


@pytest.mark.parametrize("text", ["=1+1", "'=1+1", "''-x", "'5", "-5", "+49 30", "'", "'a", "@x", "O'Neil"])
def test_an_export_for_spreadsheets_is_imported_without_a_change(shop, run, upsert, tmp_path, text):
    CustomerFactory(tenant=shop.tenant, external_id="F", company=text)
    path = tmp_path / "rows.csv"
    run("export_customers", path, "--tenant", "acme", "--spreadsheet-safe")
    answer = upsert("customers", path, "--spreadsheet-safe")
    assert answer.counts == {"unchanged": answer.json["rows"]}


@pytest.mark.parametrize("format", ["csv", "jsonl"])
@pytest.mark.django_db(transaction=True)
def test_an_export_whose_reader_has_gone_ends_as_quietly_as_other_programs(shop, format):
    reading, writing = os.pipe()
    os.close(reading)
    process = start_command("export_customers", "-", "--tenant", "acme", "--format", format, stdout=writing)
    os.close(writing)
    _, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (-signal.SIGPIPE, b"")


# --- files that cannot be read ---


def test_a_folder_is_no_file(shop, upsert, tmp_path):
    answer = upsert("segment_customers", tmp_path)
    assert (answer.status, answer.message) == (2, f"{tmp_path} cannot be read: Is a directory.")


def test_a_file_in_another_encoding_is_named_so(shop, upsert, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(f"{HEADER}\nS1,C1\n\u00e9,C1\n".encode("cp1252"))
    answer = upsert("segment_customers", path)
    assert answer.json["firstRefusals"][0]["message"] == (
        "Line 3 is not UTF-8 at its byte 1. A file of a spreadsheet may need --encoding cp1252."
    )
    assert upsert("segment_customers", path, "--encoding", "utf-16").status == 2


@pytest.mark.parametrize("encoding", ["rot13", "base64", "undefined", "klingon"])
def test_what_is_no_encoding_of_texts_is_refused(shop, upsert, write, encoding):
    path = write("rows.csv", HEADER, "S1,C1")
    answer = upsert("segment_customers", path, "--encoding", encoding)
    assert answer.status in (1, 2)  # of call_command and of the command line
    assert "encoding" in answer.message


def test_an_address_is_no_file(upsert):
    answer = upsert("segment_customers", "https://example.com/rows.csv")
    assert answer.status == 2
    assert "curl -fsS https://example.com/rows.csv |" in answer.message
    assert (
        "curl -fsS 'https://example.com/?a=1&b=2' |"
        in upsert("segment_customers", "https://example.com/?a=1&b=2").message
    )


def test_a_file_that_changed_is_not_resumed(shop, upsert, write):
    path = write("rows.csv", HEADER, "S1,C1", "S1,C9")
    upsert("segment_customers", path, "--max-rejects", 0)
    write("rows.csv", HEADER, "S1,C1", "S1,C2")
    answer = upsert("segment_customers", path, "--resume")
    run = ImportRun.objects.get()
    assert answer.message == (f"The file has changed since import {run.pk} of it; run it without --resume.")


def test_the_position_in_a_plain_file_is_what_has_been_taken_from_it(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"123456789\n" * 2 * LINES_AT_ONCE)
    with InputFile(str(path)) as file:
        slices = file.line_slices()
        assert len(next(slices)) == LINES_AT_ONCE
        assert (file.position, file.size) == (10 * LINES_AT_ONCE, 20 * LINES_AT_ONCE)


# --- a server that fails ---


def test_a_server_that_cannot_be_reached_is_told(shop, upsert, run, write):
    def refuse(*arguments, **options):
        raise OperationalError("connection refused")

    path = write("rows.csv", HEADER, "S1,C1")
    with connection.execute_wrapper(refuse):
        imported = upsert("segment_customers", path)
        exported = run("export_customers", "-", "--tenant", "acme")
    reported = "The database server cannot be reached: connection refused"
    assert (imported.status, imported.message) == (2, reported)
    assert imported.json == {"error": "server_failed", "message": reported}
    assert (exported.status, exported.message) == (2, reported)


def test_an_import_whose_server_failed_can_be_resumed(shop, upsert, write, monkeypatch):
    path = write("rows.csv", HEADER, "S1,C1", "S1,C2")
    whole = Merge.run

    def fail_at_second(self, rows, **options):
        if CustomerAssignment.objects.exists():
            raise OperationalError("terminating connection")
        return whole(self, rows, **options)

    with monkeypatch.context() as failing:
        failing.setattr(Merge, "run", fail_at_second)
        answer = upsert("segment_customers", path, "--batch-size", 1)
    assert (answer.status, answer.json["error"], answer.counts) == (1, "server_failed", {"created": 1})
    assert upsert("segment_customers", path, "--resume").counts == {"created": 2}


# --- stopped by the operator ---


def test_a_stopped_import_says_so_in_json(shop, upsert, write, monkeypatch):
    path = write("rows.csv", HEADER, "S1,C1", "S1,C2")
    whole = Merge.run

    def stop_at_second(self, rows, **options):
        if CustomerAssignment.objects.exists():
            raise KeyboardInterrupt
        return whole(self, rows, **options)

    monkeypatch.setattr(Merge, "run", stop_at_second)
    answer = upsert("segment_customers", path, "--batch-size", 1)
    assert (answer.status, answer.json["error"], answer.counts) == (1, "stopped", {"created": 1})
    assert ImportRun.objects.get().state == "stopped"


def test_a_batch_that_was_committed_just_before_the_stop_counts(shop, upsert, write, monkeypatch):
    def stop(self, other):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner.Report, "count", stop)
    answer = upsert("segment_customers", write("rows.csv", HEADER, "S1,C1"))
    assert (answer.status, answer.json["error"], answer.counts) == (1, "stopped", {"created": 1})


# --- why a batch was not applied ---


def test_the_reasons_of_a_batch_that_was_not_applied_are_told_and_kept(shop, upsert, write):
    path = write("rows.csv", HEADER, "S1,C1", "S1,C8", "S1,C9")
    answer = upsert("segment_customers", path, "--max-rejects", 1)
    assert (answer.status, answer.counts) == (2, {"refused": 2})
    assert answer.json["refusedByReason"] == {"unknown_customer": 2}
    run = ImportRun.objects.get()
    assert (run.state, run.rows, run.refused) == ("failed", 0, 2)
    assert list(run.rejects.values_list("line", flat=True)) == [3, 4]
    resumed = upsert("segment_customers", path, "--resume")
    assert resumed.counts == {"created": 1, "refused": 2}
    run.refresh_from_db()
    assert (run.rows, run.created, run.refused) == (3, 1, 2)
    assert run.refused_by_reason == {"unknown_customer": 2}
    assert list(run.rejects.values_list("line", flat=True)) == [3, 4]


def test_an_import_that_is_all_or_nothing_counts_its_rejects_once_when_it_is_resumed(shop, upsert, write):
    path = write("rows.csv", HEADER, "S1,C1", "S1,C9")
    for arguments in ([], ["--resume"]):
        assert upsert("segment_customers", path, "--atomic", *arguments).counts == {"refused": 1}
    run = ImportRun.objects.get()
    assert (run.refused, run.rejects.count()) == (1, 1)


def test_of_long_refused_rows_the_beginning_is_kept(shop, upsert, write, tmp_path):
    rejects = tmp_path / "rejects.jsonl"
    path = write("rows.jsonl", '{"segmentId":"' + "x" * 100_000 + '","customerId":"C1"}')
    upsert("segment_customers", path, "--rejects", rejects)
    assert len(ImportReject.objects.get().source) == KEPT_SOURCE
    assert len(rejects.read_text()) > 100_000
