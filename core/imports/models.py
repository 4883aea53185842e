from django.db import models
from django.utils import timezone
from django.utils.translation import gettext

from core.key_ranges import KeyRanges
from core.tenancy.documents import TenantOwned


class ImportState(models.TextChoices):
    """How far an import is."""

    PREPARED = "prepared", "Prepared"
    RUNNING = "running", "Running, or killed"
    FINISHED = "finished", "Finished"
    STOPPED = "stopped", "Stopped"
    FAILED = "failed", "Failed"
    UNDONE = "undone", "Undone"


class ImportRun(TenantOwned):
    """One import of a file: who, when, what, and what became of its rows.

    `committed_line` is the last line whose batch was committed, so that a run that was stopped or killed can
    go on behind it. A part of a large file is committed in slices by key; `committed_slice` says how far the
    part behind that line is. Of refused rows the first ones are kept (see ImportReject), `refused` counts
    them all.
    """

    kind = models.CharField(max_length=40)
    mode = models.CharField(max_length=10)
    is_atomic = models.BooleanField("all or nothing", default=False)
    state = models.CharField(max_length=10, choices=ImportState.choices, default=ImportState.RUNNING)
    started_by = models.CharField(max_length=150, help_text="The account of the operating system.")
    host = models.CharField(max_length=255, blank=True)
    file_name = models.CharField(max_length=1_000)
    file_size = models.BigIntegerField("bytes", default=0)
    file_digest = models.CharField("SHA-256", max_length=64)
    file_header = models.JSONField(
        default=dict,
        db_default={},
        editable=False,
        help_text="The names and the delimiter of a CSV file that was sent, for the file of refused rows.",
    )
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    committed_line = models.BigIntegerField(default=0)
    committed_slice = models.JSONField(
        null=True,
        blank=True,
        editable=False,
        help_text="Of the part behind that line: its number of rows, and the last key that was committed.",
    )
    committed_ahead = models.JSONField(
        null=True,
        blank=True,
        editable=False,
        help_text="Lines that were committed before all others, as unique values changed hands among them.",
    )
    rows = models.BigIntegerField(default=0)
    created = models.BigIntegerField(default=0)
    changed = models.BigIntegerField(default=0)
    unchanged = models.BigIntegerField(default=0)
    repeated = models.BigIntegerField(default=0)
    removed = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    refused_by_reason = models.JSONField(default=dict, blank=True)
    rejects_size = models.BigIntegerField(
        default=0, editable=False, help_text="Bytes of the file of rejects when the last batch was committed."
    )
    message = models.TextField(blank=True)
    is_dry_run = models.BooleanField("dry run", default=False, db_default=False)
    max_removed = models.CharField(
        max_length=20,
        blank=True,
        default="",
        db_default="",
        help_text="Rows, or a share of them.",
    )
    request_key = models.CharField(
        "Idempotency-Key", max_length=100, blank=True, default="", db_default="", editable=False
    )

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["tenant", "kind", "file_digest"], name="import_of_file")]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "request_key"], condition=~models.Q(request_key=""), name="import_request"
            )
        ]

    def __str__(self) -> str:
        text = gettext("Import {number}: {kind} from {file}")
        return text.format(number=self.pk, kind=self.kind, file=self.file_name)


class ImportReject(models.Model):
    """A row that an import refused: its line, its own text, and why."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="rejects")
    line = models.BigIntegerField()
    reason = models.CharField(max_length=60)
    message = models.TextField()
    source = models.TextField(blank=True)

    class Meta:
        ordering = ("line", "id")
        indexes = [models.Index(fields=["run", "line"], name="rejects_of_import")]

    def __str__(self) -> str:
        return f"Line {self.line}: {self.message}"


class ImportPart(models.Model):
    """Rows of an import that is not applied yet: their lines and bodies. A part goes when it is applied."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="parts", db_index=False)
    number = models.IntegerField()
    count = models.IntegerField()
    rows = models.JSONField()

    class Meta:
        ordering = ("number",)
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="import_part_unique")]

    def __str__(self) -> str:
        return f"part {self.number} of {self.run_id}"


class ImportCreation(models.Model):
    """The rows that one batch of an import created, by their keys."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="creations")
    keys = KeyRanges()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"created by {self.run_id}"


class ImportChange(models.Model):
    """A row that an import changed or removed, as it was before.

    `version` is the version that the import gave it, absent for a removed row. Without `before` nobody knows
    how it was: another writer created it at the same moment.
    """

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="changes")
    row_id = models.BigIntegerField()
    version = models.IntegerField(null=True)
    before = models.JSONField(null=True)

    class Meta:
        ordering = ("id",)
        indexes = [models.Index(fields=["run", "row_id"], name="changes_of_import")]

    def __str__(self) -> str:
        return f"{self.row_id} changed by {self.run_id}"
