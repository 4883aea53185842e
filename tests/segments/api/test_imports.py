"""Imports of files over HTTP."""

import csv
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from accounts.identity.scopes import CUSTOMER_READ, SEGMENT_MANAGE, SEGMENT_READ
from accounts.models import Site
from core.background.models import Job
from core.background.worker import BackgroundWorker
from core.imports import parts, uploads
from core.imports.models import ImportPart, ImportRun
from core.imports.readings import read_imports
from core.journal.models import Change
from core.json_types import JsonObject
from core.sql.locks import Lock
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory
from tests.factories.catalog import ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

IMPORTS = "/customer-segment/acme/imports"
MEMBERS = "segmentId,customerId\n"


@pytest.fixture
def shop(site: Site) -> Segment:
    """The segment `gold`, customers C1 to C4, and the product P1."""
    for number in range(1, 5):
        CustomerFactory(tenant=site.tenant, external_id=f"C{number}")
    ProductFactory(tenant=site.tenant, external_id="P1")
    return SegmentFactory(site=site, external_id="gold")


def send(
    api: Api,
    content: str,
    *,
    media_type: str = "text/csv",
    key: str = "",
    status: int = 202,
    **query: str,
) -> JsonObject:
    headers = {**api.headers, **({"Idempotency-Key": key} if key else {})}
    answer = api.client.post(
        IMPORTS,
        data=content.encode(),
        content_type=media_type,
        query_params={"kind": "members", **query},
        headers=headers,
    )
    assert answer.status_code == status, answer.content
    if status == 202:
        assert answer["Location"] == f"{IMPORTS}/{answer.json()['id']}"
    return answer.json()


def work() -> None:
    worker = BackgroundWorker()
    worker.prepare()
    worker.run_until_idle()


def read(api: Api, submitted: JsonObject) -> JsonObject:
    answer = api.get(f"{IMPORTS}/{submitted['id']}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def run(api: Api, content: str, **arguments: object) -> JsonObject:
    submitted = send(api, content, **arguments)
    work()
    return read(api, submitted)


def counts(found: JsonObject) -> dict[str, int]:
    return {name: count for name, count in found["counts"].items() if count}


def members() -> list[str]:
    return sorted(CustomerAssignment.objects.values_list("customer__external_id", flat=True))


def rows(*customers: str) -> str:
    return MEMBERS + "".join(f"gold,{customer}\n" for customer in customers)


def test_a_file_is_queued_and_then_applied(manager, shop):
    queued = send(manager, rows("C1", "C2", "C1"))
    assert (queued["state"], queued["remaining"], members()) == ("running", 3, [])
    work()
    done = read(manager, queued)
    assert (done["state"], done["remaining"], done["message"]) == ("finished", 0, "")
    assert counts(done) == {"rows": 3, "created": 2, "repeated": 1}
    assert members() == ["C1", "C2"]
    change = Change.objects.filter(source_type="import", source_id=done["id"]).latest("id")
    assert change.actor_type == "client"


def test_rows_keep_the_columns_that_the_file_leaves_out(manager, shop):
    run(manager, "segmentId,customerId,validity.to\ngold,C1,2030-01-01T00:00:00Z\n")
    assert counts(run(manager, rows("C1"))) == {"rows": 1, "unchanged": 1}
    assert CustomerAssignment.objects.get().valid_to is not None
    run(manager, "segmentId,customerId,validity.to\ngold,C1,\n")
    assert CustomerAssignment.objects.get().valid_to is None


def test_items_and_segments_come_as_json_lines(manager, shop):
    item = json.dumps({"segmentId": "new", "type": "PRODUCT", "id": "P1"})
    segment = json.dumps({"id": "new", "siteCode": shop.site.code, "name": {"en": "New"}})
    done = run(manager, segment, kind="segments", media_type="application/x-ndjson")
    assert (done["kind"], counts(done)) == ("segments", {"rows": 1, "created": 1})
    run(manager, item, kind="items", media_type="application/x-ndjson")
    assert ItemAssignment.objects.get().segment.external_id == "new"


def test_a_form_has_the_file_and_the_fields(manager, shop):
    file = SimpleUploadedFile("members.csv", rows("C1").encode(), "application/octet-stream")
    answer = manager.client.post(
        IMPORTS, {"file": file, "kind": "members", "dryRun": "true"}, headers=manager.headers
    )
    assert answer.status_code == 202, answer.content
    assert answer.json()["dryRun"] is True
    assert ImportRun.objects.get().file_name == "members.csv"
    without = manager.client.post(IMPORTS, {"kind": "members"}, headers=manager.headers)
    assert (without.status_code, without.json()["details"]["field"]) == (400, "file")


def test_a_dry_run_counts_and_changes_nothing(manager, shop):
    CustomerAssignmentFactory(segment=shop, customer__external_id="C9")
    before, changes = members(), Change.objects.exclude(object="import-run").count()
    found = run(manager, rows("C1", "C2", "nobody"), dryRun="true")
    assert (found["state"], found["dryRun"]) == ("finished", True)
    assert counts(found) == {"rows": 3, "created": 2, "refused": 1}
    assert (members(), Change.objects.exclude(object="import-run").count()) == (before, changes)
    assert not ImportPart.objects.exists()
    rows_by_outcome, _ = read_imports(ImportRun.objects.get().started_at)
    assert rows_by_outcome.values == {}


@pytest.mark.parametrize("is_dry", ["true", "false"])
def test_a_replacement_beyond_the_bound_changes_nothing(manager, shop, is_dry):
    run(manager, rows("C1", "C2", "C3"))
    failed = run(manager, rows("C4"), mode="replace", maxRemoved="2", dryRun=is_dry)
    assert failed["state"] == "failed"
    assert "3 of 3" in failed["message"]
    assert "maxRemoved 3" in failed["message"]
    assert (counts(failed), members()) == ({}, ["C1", "C2", "C3"])


def test_a_replacement_and_a_deletion_within_the_bound(manager, shop):
    run(manager, rows("C1", "C2", "C3"))
    done = run(manager, rows("C1", "C4"), mode="replace", maxRemoved="100%")
    assert counts(done) == {"rows": 2, "created": 1, "unchanged": 1, "removed": 2}
    assert members() == ["C1", "C4"]
    assert counts(run(manager, rows("C4"), mode="delete")) == {"rows": 1, "removed": 1}
    assert members() == ["C1"]


def test_a_deletion_is_judged_as_a_whole_before_its_first_part(manager, shop, monkeypatch):
    monkeypatch.setattr(uploads, "ROWS_OF_PART", 1)
    run(manager, rows("C1", "C2", "C3"))
    failed = run(manager, rows("C1", "C2"), mode="delete", maxRemoved="1")
    assert (failed["state"], members()) == ("failed", ["C1", "C2", "C3"])
    assert failed["remaining"] == 0
    assert counts(run(manager, rows("C1", "C2"), mode="delete", maxRemoved="2")) == {"rows": 2, "removed": 2}


def test_a_file_that_removes_is_read_to_its_end_first(manager, shop):
    refused = send(manager, rows("C1") + 'gold,"C2\n', mode="replace", status=400)
    assert "Line 3" in refused["details"]["message"]
    assert not ImportRun.objects.exists()


@pytest.mark.parametrize("is_dry", ["true", "false"])
def test_a_replacement_with_a_row_whose_ids_are_missing_changes_nothing(manager, shop, is_dry):
    run(manager, rows("C1", "C2"))
    failed = run(manager, rows("C1", "", "C3"), mode="replace", dryRun=is_dry)
    assert (failed["state"], failed["remaining"], members()) == ("failed", 0, ["C1", "C2"])
    assert failed["message"].startswith("Nothing was removed or changed, because 1 line could not be read.")
    assert "Line 3:" in failed["message"]
    assert "Line 2:" not in failed["message"]


@pytest.mark.parametrize("mode", ["replace", "delete"])
def test_a_file_that_was_cut_off_removes_nothing(manager, shop, mode):
    refused = send(manager, rows("C1").removesuffix("\n"), mode=mode, status=400)
    assert "The line has no end, so the file may have been cut off there." in refused["message"]
    assert ImportRun.objects.count() == 0
    assert counts(run(manager, rows("C1").removesuffix("\n")))["rows"] == 1


def test_refused_rows_are_read_back(service_api, shop, monkeypatch):
    api = service_api(f"{SEGMENT_MANAGE} {CUSTOMER_READ}")
    monkeypatch.setattr("segments.api.viewsets.imports.REJECTS_OF_PAGE", 2)
    monkeypatch.setattr("segments.api.viewsets.imports.FIRST_REFUSALS", 1)
    done = run(api, rows("N1", "C1") + 'gold,"C2\n' + "gold,N2\n")
    assert (done["state"], counts(done)) == ("finished", {"rows": 4, "created": 1, "refused": 3})
    assert sum(done["refusedByReason"].values()) == 3
    assert [row["line"] for row in done["firstRefusals"]] == [2]
    first = api.get(done["rejects"])
    assert first["Content-Type"] == "application/x-ndjson"
    found = [json.loads(line) for line in first.content.splitlines()]
    assert [(row["line"], row["source"]) for row in found] == [(2, "gold,N1"), (4, 'gold,"C2')]
    assert "N1" in found[0]["message"]
    address = first["Link"].partition(">")[0][1:]
    rest = api.get(address)
    assert [json.loads(line)["line"] for line in rest.content.splitlines()] == [5]
    assert "Link" not in rest


def test_refused_rows_of_members_hide_people_without_the_scope(manager, service_api, shop):
    done = run(manager, rows("jo@example.com"))
    assert done["firstRefusals"] == [{"line": 2, "reason": "unknown_customer"}]
    assert b"jo@example.com" not in manager.get(done["rejects"]).content
    allowed = service_api(f"{SEGMENT_MANAGE} {CUSTOMER_READ}")
    assert b"jo@example.com" in allowed.get(done["rejects"]).content


def test_an_import_that_no_worker_has_begun_is_cancelled(manager, shop):
    queued = send(manager, rows("C1"))
    for _ in range(2):
        cancelled = manager.delete(f"{IMPORTS}/{queued['id']}")
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "stopped")
    ended = Change.objects.filter(object="import-run").latest("id")
    assert (ended.actor_type, ended.actor_id, ended.source_type) == ("client", "test-client-acme", "request")
    work()
    assert (read(manager, queued)["state"], members()) == ("stopped", [])


def test_a_running_import_is_cancelled_at_its_next_part(manager, shop, monkeypatch):
    monkeypatch.setattr(uploads, "ROWS_OF_PART", 1)
    queued = send(manager, rows("C1", "C2", "C3"))
    worker = BackgroundWorker()
    worker.prepare()
    assert worker.work_once()
    assert read(manager, queued)["remaining"] == 2
    assert manager.delete(f"{IMPORTS}/{queued['id']}").json()["state"] == "stopped"
    worker.run_until_idle()
    found = read(manager, queued)
    assert (found["state"], counts(found), members()) == ("stopped", {"rows": 1, "created": 1}, ["C1"])
    written = Change.objects.get(source_type="import", source_id=found["id"], object="segment-customer")
    undone = manager.post(f"/customer-segment/acme/changes/{written.pk}/undo")
    assert (undone.status_code, members()) == (200, [])


def test_an_import_that_has_ended_is_not_cancelled(manager, shop):
    done = run(manager, rows("C1"))
    assert manager.delete(f"{IMPORTS}/{done['id']}").status_code == 409
    assert read(manager, done)["state"] == "finished"


def test_an_import_that_a_command_runs_is_not_cancelled(manager, tenant):
    """It has no parts that could be left out; the answer was 200, and the import went on."""
    run = ImportRun.objects.create(
        tenant=tenant, kind="segments", mode="upsert", file_name="segments.csv", state="running"
    )
    refused = manager.delete(f"{IMPORTS}/{run.pk}")
    assert (refused.status_code, "by a command" in refused.json()["message"]) == (409, True)
    run.refresh_from_db()
    assert run.state == "running"


def test_a_worker_that_is_killed_between_parts_leaves_the_rest_to_the_next(manager, shop, monkeypatch):
    monkeypatch.setattr(uploads, "ROWS_OF_PART", 1)
    queued = send(manager, rows("C1", "C2", "C3"))
    first = BackgroundWorker()
    first.prepare()
    assert first.work_once()
    assert members() == ["C1"]
    work()
    assert counts(read(manager, queued)) == {"rows": 3, "created": 3}
    assert members() == ["C1", "C2", "C3"]


def test_a_part_that_fails_is_tried_again_and_counted_once(manager, shop, monkeypatch):
    def broken(*arguments: object) -> bool:
        connection.cursor().execute("SELECT 1 / 0")
        raise AssertionError

    queued = send(manager, rows("C1"))
    with monkeypatch.context() as patched:
        patched.setattr(parts, "_note", broken)
        work()
    assert (read(manager, queued)["counts"]["rows"], members()) == (0, [])
    Job.objects.update(due_at=ImportRun.objects.get().started_at)
    work()
    assert (counts(read(manager, queued)), members()) == ({"rows": 1, "created": 1}, ["C1"])


def test_a_repetition_with_the_same_key_is_the_same_import(manager, shop):
    first = send(manager, rows("C1"), key="k1")
    assert send(manager, rows("C1"), key="k1")["id"] == first["id"]
    assert Job.objects.filter(kind=parts.JOB).count() == 1
    send(manager, rows("C2"), key="k1", status=409)
    send(manager, rows("C1"), key="k1", mode="delete", status=409)
    assert send(manager, rows("C1"), key="k2")["id"] != first["id"]


@pytest.mark.parametrize(
    ("content", "query", "field"),
    [
        (rows("C1"), {"kind": "customers"}, "kind"),
        (rows("C1"), {"mode": "insert"}, "mode"),
        (rows("C1"), {"kind": "segments", "mode": "replace"}, "mode"),
        (rows("C1"), {"dryRun": "perhaps"}, "dryRun"),
        (rows("C1"), {"maxRemoved": "1"}, "maxRemoved"),
        (rows("C1"), {"maxRemoved": "101%", "mode": "delete"}, "maxRemoved"),
        ("segmentId\ngold\n", {}, "file"),
        (MEMBERS, {}, "file"),
        ("", {}, "file"),
    ],
)
def test_what_cannot_be_imported_is_refused_at_once(manager, shop, content, query, field):
    refused = send(manager, content, status=400, **query)
    assert refused["details"]["field"] == field
    assert not ImportRun.objects.exists()


def test_a_large_file_is_no_document_but_has_a_bound(manager, shop, settings):
    content = rows(*["C1"] * 40_000)
    assert len(content) > 262_144
    assert send(manager, content)["remaining"] == 40_000
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000
    send(manager, content, status=400)


def test_imports_are_those_of_the_tenant_and_need_the_scope(
    manager: Api, service_api: Callable[..., Api], shop: Segment, other_tenant: Tenant
) -> None:
    queued = send(manager, rows("C1"))
    reader = service_api(SEGMENT_READ)
    send(reader, rows("C1"), status=403)
    address = f"{IMPORTS}/{queued['id']}"
    for path in (address, f"{address}/rejects"):
        assert reader.get(path).status_code == 403
    assert reader.delete(address).status_code == 403
    ImportRun.objects.update(tenant=other_tenant)
    for path in (address, f"{address}/rejects", f"{IMPORTS}/x"):
        assert manager.get(path).status_code == 404
    assert manager.delete(address).status_code == 404


# Refused rows as CSV, and undo


def rejects_as_csv(api: Api, found: JsonObject, **query: str) -> Any:
    answer = api.client.get(
        found["rejects"], query_params=query, headers={**api.headers, "Accept": "text/csv"}
    )
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
    return answer


def test_refused_rows_come_back_as_a_file_that_can_be_corrected(
    service_api: Callable[..., Api], shop: Segment
) -> None:
    api = service_api(SEGMENT_MANAGE, CUSTOMER_READ)
    text = 'customerId;segmentId;mixins\nC1;gold;\nX7;gold;\nX8;gold;"{""a"": ""1;2""}"\n'.replace(
        'X"7', "X7"
    )
    found = run(api, text)
    answer = rejects_as_csv(api, found)
    assert f"import-{found['id']}-rejects.csv" in answer["Content-Disposition"]
    content = answer.content.decode()
    assert content.splitlines()[0] == (
        "customerId;segmentId;mixins;rejected.line;rejected.reason;rejected.message"
    )
    assert content.splitlines()[1] == "X7;gold;;3;unknown_customer;There is no customer X7."
    CustomerFactory(tenant=shop.tenant, external_id="X7")
    again = run(api, content.replace("X8", "C2"))
    assert counts(again) == {"rows": 2, "created": 2}
    assert members() == ["C1", "C2", "X7"]


def test_refused_rows_of_json_are_csv_with_their_source(
    service_api: Callable[..., Api], shop: Segment
) -> None:
    api = service_api(SEGMENT_MANAGE, CUSTOMER_READ)
    row = '{"segmentId": "gold", "customerId": "X,7"}'
    found = run(api, row, media_type="application/x-ndjson")
    table = list(csv.DictReader(rejects_as_csv(api, found).content.decode().splitlines()))
    assert [(entry["source"], entry["rejected.line"]) for entry in table] == [(row, "1")]


def test_refused_rows_as_csv_go_on_behind_a_line_and_name_nobody_without_the_scope(
    manager: Api, service_api: Callable[..., Api], shop: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segments.api.viewsets.imports.REJECTS_OF_PAGE", 1)
    found = run(manager, rows("X1", "X2"))
    answer = rejects_as_csv(manager, found)
    assert answer.content.decode() == "rejected.line,rejected.reason,rejected.message\n2,unknown_customer,\n"
    assert answer["Link"] == f'<{found["rejects"]}?afterLine=2>; rel="next"'
    reader = service_api(SEGMENT_MANAGE, CUSTOMER_READ)
    assert b"X2" in rejects_as_csv(reader, found, afterLine="2").content


def undo(api: Api, found: JsonObject, *, status: int = 202) -> JsonObject:
    answer = api.post(f"{IMPORTS}/{found['id']}/undo")
    assert answer.status_code == status, answer.content
    body: JsonObject = answer.json()
    return body


@pytest.mark.usefixtures("real_time")
def test_an_import_is_undone_as_a_whole(manager: Api, shop: Segment) -> None:
    CustomerAssignmentFactory(segment=shop, customer__external_id="C9")
    done = run(manager, rows("C1", "C2", "C3"))
    CustomerAssignment.objects.filter(customer__external_id="C3").update(mixins={"a": 1}, version=2)
    asked = undo(manager, done)
    assert (asked["state"], asked["undo"]) == ("finished", {"state": "queued", "rows": 0, "leftAlone": 0})
    assert undo(manager, done)["undo"]["state"] == "queued"
    assert Job.objects.filter(kind="undo-import").count() == 1
    work()
    found = read(manager, done)
    assert (found["state"], found["undo"]) == ("undone", {"state": "done", "rows": 2, "leftAlone": 1})
    assert members() == ["C3", "C9"]
    change = Change.objects.filter(source_type="undo-import").latest("id")
    assert (change.source_id, change.actor_type) == (done["id"], "client")
    assert undo(manager, done)["state"] == "undone"
    assert Job.objects.filter(kind="undo-import").count() == 1


@pytest.mark.usefixtures("real_time")
def test_only_what_has_ended_and_wrote_something_is_undone(
    manager: Api, service_api: Callable[..., Api], shop: Segment
) -> None:
    queued = send(manager, rows("C1"))
    assert "Wait for its end or cancel it" in undo(manager, queued, status=409)["message"]
    work()
    assert members() == ["C1"]
    dry = run(manager, rows("C2"), dryRun="true")
    assert "dry run" in undo(manager, dry, status=400)["message"]
    assert undo(manager, {"id": "999999"}, status=404)
    reader = service_api(SEGMENT_READ)
    assert reader.post(f"{IMPORTS}/{queued['id']}/undo").status_code == 403
    other = ImportRun.objects.create(
        tenant=shop.tenant, kind="coupons", mode="upsert", file_name="x", file_digest="", state="finished"
    )
    assert undo(manager, {"id": str(other.pk)}, status=404)


@pytest.mark.usefixtures("real_time")
def test_an_import_that_a_command_is_at_work_on_is_not_undone(manager: Api, shop: Segment) -> None:
    done = run(manager, rows("C1"))
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [int(Lock.IMPORT_RUN), int(done["id"])])
        assert "has not ended" in undo(manager, done, status=409)["message"]
    finally:
        other.close()
    assert not Job.objects.filter(kind="undo-import").exists()


def test_an_import_of_another_tenant_is_not_undone(
    manager: Api, service_api: Callable[..., Api], other_tenant: Tenant, shop: Segment
) -> None:
    done = run(manager, rows("C1"))
    theirs = service_api(SEGMENT_MANAGE, tenant=other_tenant)
    assert theirs.post(f"/customer-segment/{other_tenant.name}/imports/{done['id']}/undo").status_code == 404
    assert members() == ["C1"]
