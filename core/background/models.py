from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext


class TaskState(models.Model):
    """When a background task is due next, and what came of its last slice; one row a task.

    `due_at` is also moved while a slice is tried, so that a worker that was killed leaves the task to the
    others after a short delay. `failures` counts attempts since the last success.
    """

    name = models.CharField(max_length=60, unique=True)
    due_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class JobState(models.TextChoices):
    """How far a background job is."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


OPEN_STATES = (JobState.QUEUED, JobState.RUNNING)


class Job(models.Model):
    """One piece of work that somebody asked for and that is done in the background, slice by slice.

    Each slice and what it changes in `progress` and `result` are one transaction. A running job stays
    "running" when its worker is killed; another one goes on after the last committed slice.
    """

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, null=True, related_name="+")
    kind = models.CharField(max_length=60)
    arguments = models.JSONField(default=dict)
    requested_by = models.CharField(max_length=150, blank=True, help_text="Who asked for it.")
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    progress = models.JSONField(default=dict, help_text="How far it is, in the terms of its kind.")
    result = models.JSONField(default=dict, help_text="What came of it.")
    error = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveIntegerField(default=0, help_text="Attempts since the last finished slice.")
    due_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(
                fields=["due_at", "id"],
                condition=Q(state__in=[JobState.QUEUED, JobState.RUNNING]),
                name="job_due",
            ),
            models.Index(fields=["tenant", "id"], name="job_of_tenant"),
        ]

    def __str__(self) -> str:
        return gettext("Job {number}").format(number=self.pk)


class Worker(models.Model):
    """A process that does background work, and when it was last seen at it."""

    name = models.CharField(max_length=300, primary_key=True, help_text="The host and the process.")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ("-seen_at",)
        indexes = [models.Index(fields=["seen_at"], name="worker_seen")]

    def __str__(self) -> str:
        return self.name
