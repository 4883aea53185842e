"""Background tasks of packages that may not know of the worker."""

from datetime import datetime, timedelta

from django.utils.translation import gettext_noop

from core.background.jobs import JobKind, enqueue_job, register_job_kind
from core.background.models import OPEN_STATES, Job
from core.background.tasks import Task, register_task
from core.journal.partitions import make_partitions
from core.journal.settling import settle_changes, unsettled_since
from core.tenancy.limits import has_limits, note_usage
from core.tenancy.models import Tenant
from core.tenancy.usage import usage_in, used_tables


def make_journal_partitions(at: datetime) -> bool:
    """Make the months of the journal that are missing, three ahead, as `migrate` does."""
    make_partitions(at)
    return False


def ask_for_usage(at: datetime) -> bool:
    """Have the rows of each tenant with a limit counted."""
    for tenant in Tenant.objects.order_by("pk"):
        if not has_limits(tenant.name):
            note_usage(tenant, rows=0, size=0)
        elif not Job.objects.filter(tenant=tenant, kind=USAGE_KIND, state__in=OPEN_STATES).exists():
            enqueue_job(USAGE_KIND, tenant_id=tenant.pk, arguments={}, requested_by="limits", at=at)
    return False


def count_usage(job: Job, at: datetime) -> bool:
    """Count a table of the tenant; after the last one note whether a limit is reached."""
    assert job.tenant_id is not None
    tenant = Tenant.objects.get(pk=job.tenant_id)
    left = [table for table in used_tables() if table > job.progress.get("table", "")]
    if left:
        usage = usage_in(left[0], tenant)
        job.progress = {
            "table": usage.table,
            "rows": job.progress.get("rows", 0) + usage.rows,
            "bytes": job.progress.get("bytes", 0) + usage.bytes,
        }
        return True
    job.result = {"rows": job.progress["rows"], "bytes": job.progress["bytes"]}
    note_usage(tenant, rows=job.result["rows"], size=job.result["bytes"])
    return False


USAGE_KIND = "count usage"
register_job_kind(JobKind(USAGE_KIND, count_usage, gettext_noop("Counting of what the shop holds")))
register_task(Task("limits of tenants", run=ask_for_usage, interval=timedelta(hours=1)))
register_task(Task("make journal partitions", run=make_journal_partitions, interval=timedelta(hours=12)))
register_task(Task("settle changes", run=settle_changes, due_since=unsettled_since))
