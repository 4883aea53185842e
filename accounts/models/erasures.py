from django.db import models

from core.tenancy.documents import TenantOwned


class Erasure(TenantOwned):
    """The record that a customer has been erased: when, by whom, how many rows of what, and the pseudonym.

    The number and the e-mail are kept as keyed hashes only, so that an import can refuse to bring them back.
    """

    pseudonym = models.CharField(max_length=64)
    number_hash = models.CharField(max_length=64, editable=False)
    email_hash = models.CharField(max_length=64, blank=True, editable=False)
    erased_at = models.DateTimeField()
    requested_by = models.CharField(max_length=200, help_text="Who asked for it.")
    counts = models.JSONField(default=dict, help_text="How many rows of what were deleted or changed.")

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["tenant", "number_hash"], name="erasure_of_number"),
            models.Index(fields=["tenant", "email_hash"], name="erasure_of_email"),
        ]

    def __str__(self) -> str:
        return self.pseudonym
