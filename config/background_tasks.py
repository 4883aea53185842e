"""Background tasks of packages that may not know of the worker."""

from datetime import datetime, timedelta

from core.background.tasks import Task, register_task
from core.journal.partitions import make_partitions


def make_journal_partitions(at: datetime) -> bool:
    """Make the months of the journal that are missing, three ahead, as `migrate` does."""
    make_partitions(at)
    return False


register_task(Task("make journal partitions", run=make_journal_partitions, interval=timedelta(hours=12)))
