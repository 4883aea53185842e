"""What is deleted of imports, and when; and the job that applies prepared ones."""

from datetime import datetime, timedelta

from core.background.retention import Retention, delete_some, delete_some_of_each, register_retention
from core.imports.models import ImportChange, ImportCreation, ImportPart, ImportReject, ImportRun, ImportState


def delete_rejects(before: datetime, most: int) -> int:
    """Delete the refused rows of imports that were started before then."""
    return delete_some(ImportReject.objects.filter(run__started_at__lt=before).order_by("id"), most)


def delete_runs(before: datetime, most: int) -> int:
    """Delete imports that were started before then, and what undo kept of them, which goes first."""
    details = [
        model._default_manager.filter(run__started_at__lt=before).order_by("id")
        for model in (ImportReject, ImportCreation, ImportChange)
    ]
    return delete_some_of_each(
        [*details, ImportRun.objects.filter(started_at__lt=before).order_by("id")], most
    )


def delete_prepared(before: datetime, most: int) -> int:
    """Delete imports that were looked at before then and not applied, with their rows."""
    prepared = ImportRun.objects.filter(state=ImportState.PREPARED, started_at__lt=before).order_by("id")
    parts = ImportPart.objects.filter(run__state=ImportState.PREPARED, run__started_at__lt=before).order_by(
        "id"
    )
    return delete_some_of_each([parts, prepared], most)


register_retention(
    Retention("prepared", "lists that were previewed and not added", timedelta(days=1), delete_prepared),
    Retention("rejects", "refused rows of imports", timedelta(days=30), delete_rejects),
    Retention("runs", "imports, which can no longer be undone then", timedelta(days=90), delete_runs),
)
