from django.contrib.postgres.fields import ArrayField
from django.db import models

from core.json_types import JsonObject
from core.key_ranges import KeyRanges


class Change(models.Model):
    """One change of a document, or of the members or items that one statement wrote for one owner.

    Written by triggers only (core/journal/triggers.py) and never changed afterwards, except that what was
    made may be copied into it later (core/journal/copying.py). docs/history.md describes the columns. The
    table is partitioned, by `is_settled` and then by month, into recent changes and those that lie in their
    months; ids are unique because one sequence gives them, not by an index.
    """

    # what pages that show changes add to them: see `add_sentences` and `add_undoable`
    shown_before: JsonObject | None
    shown_after: JsonObject | None
    sentence: str
    who: str
    occasion: str
    subject_row: models.Model | None
    subject_name: str
    undoable: bool
    may_undo: bool
    url: str

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    tx = models.BigIntegerField(help_text="The transaction, as PostgreSQL's xid8.")
    tenant = models.ForeignKey(
        "tenancy.Tenant",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    kind = models.CharField(
        max_length=7, choices=[("created", "Created"), ("updated", "Changed"), ("deleted", "Deleted")]
    )
    object = models.CharField(max_length=40)
    key = models.BigIntegerField()
    owner_key = models.BigIntegerField(null=True)
    external_id = models.TextField(null=True)
    legal_entity_id = models.BigIntegerField(null=True)
    keys = KeyRanges(null=True)
    count = models.IntegerField(default=1)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    hidden = ArrayField(models.TextField(), null=True)
    actor_type = models.CharField(max_length=10)
    actor_id = models.TextField()
    actor_name = models.TextField(default="")
    source_type = models.TextField(default="")
    source_id = models.TextField(default="")
    is_cascade = models.BooleanField(default=False)

    class Meta:
        ordering = ("-id",)
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.object} {self.external_id or self.key} {self.kind}"


class Beginning(models.Model):
    """Since when the journal knows every change: one row."""

    at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="journal_beginning_single")]

    def __str__(self) -> str:
        return f"since {self.at}"
