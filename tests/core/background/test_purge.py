from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session as StaffSession
from django.core.management import CommandError, call_command
from django.db import connection

from core.background.models import Job, JobState, Worker
from core.background.retention import delete_some, registered_retentions
from core.background.tasks import registered_tasks
from core.imports.models import ImportChange, ImportCreation, ImportReject, ImportRun

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def purge(capsys, *words: str) -> list[str]:
    call_command("purge", *words)
    return capsys.readouterr().out.splitlines()


def import_of(tenant, at) -> ImportRun:
    run = ImportRun.objects.create(
        tenant=tenant, kind="customers", mode="upsert", started_by="ops", started_at=at
    )
    for line in range(3):
        ImportReject.objects.create(run=run, line=line, reason="faulty", message="no", source="x")
    ImportChange.objects.create(run=run, row_id=1, version=2)
    ImportCreation.objects.bulk_create([ImportCreation(run=run, keys="{[1,3)}")])
    return run


def test_everything_has_a_task_of_its_own():
    assert {f"purge {name}" for name in registered_retentions()} <= set(registered_tasks())
    assert {name: kind.keep.days for name, kind in registered_retentions().items()} == {
        "jobs": 30,
        "workers": 1,
        "rejects": 30,
        "runs": 90,
        "sessions": 0,
        "refresh-tokens": 0,
        "attempts": 0,
        "admin-sessions": 0,
        "prepared": 1,
        "reservations": 30,
        "judgements": 732,
        "events": 14,
        "sendings": 30,
        "lanes": 0,
        "segment-sets": 0,
    }


def test_rejects_are_kept_for_30_days_and_imports_for_90(tenant, now, capsys):
    oldest, old, new = (import_of(tenant, now - days * DAY) for days in (91, 31, 29))
    lines = purge(capsys, "rejects", "runs")
    assert lines == [
        "rejects: deleted 6 refused rows of imports",
        "runs: deleted 3 imports, which can no longer be undone then",
    ]
    assert set(ImportRun.objects.all()) == {old, new}
    assert set(ImportReject.objects.values_list("run", flat=True)) == {new.pk}
    assert not ImportChange.objects.filter(run=oldest.pk).exists()


def test_another_age_may_be_asked_for(tenant, now, capsys):
    import_of(tenant, now - 2 * DAY)
    assert purge(capsys, "rejects", "--older-than", "49h") == ["rejects: deleted 0 refused rows of imports"]
    assert purge(capsys, "rejects", "--older-than", "47h") == ["rejects: deleted 3 refused rows of imports"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--older-than", "7d"], "Name the kinds that --older-than is about"),
        (["apples"], "There is no kind apples; there are jobs, workers,"),
        (["rejects", "--older-than", "soon"], "'soon' is not an age; write 30d, 12h or 90m"),
    ],
)
def test_faulty_orders_are_refused(words, message):
    with pytest.raises(CommandError, match=message):
        call_command("purge", *words)


def test_ended_jobs_dead_workers_and_logins_of_the_admin_go(now, capsys):
    for state, days in (
        (JobState.DONE, 31),
        (JobState.FAILED, 31),
        (JobState.DONE, 29),
        (JobState.RUNNING, 99),
    ):
        Job.objects.create(kind="count", state=state, finished_at=now - days * DAY)
    for hours in (23, 25):
        seen = now - timedelta(hours=hours)
        Worker.objects.create(name=f"host:{hours}", started_at=seen, seen_at=seen)
    for key, sign in (("over", -1), ("alive", 1)):
        StaffSession.objects.create(session_key=key, session_data="", expire_date=now + sign * DAY)
    purge(capsys)
    assert set(Job.objects.values_list("state", flat=True)) == {JobState.DONE, JobState.RUNNING}
    assert Worker.objects.get().name == "host:23"
    assert StaffSession.objects.get().session_key == "alive"


def test_a_slice_is_bounded_and_one_statement_deletes_it_however_it_is_planned(
    tenant, now, django_assert_num_queries
):
    import_of(tenant, now)
    with connection.cursor() as cursor:  # so that a plan would be made that looks its rows up one by one
        cursor.execute("SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off")
    with django_assert_num_queries(4):  # with its savepoint
        assert delete_some(ImportReject.objects.order_by("id"), 2) == 2
    assert ImportReject.objects.get().line == 2
