from django.db import models


class Revision(models.Model):
    """A count of transactions that changed one subject of a tenant (docs/caching.md).

    A subject is a segment, by its key, or one of the negative numbers that packages name, such as the
    category tree. The sum of its counts is its revision: it grows with every commit that changed it. Triggers
    count, whichever entry point made the change, in any row that no other transaction holds, so writers never
    wait for each other here. Rows outlive their segment, whose key comes back when its deletion is undone.
    """

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.CASCADE, related_name="+")
    subject = models.BigIntegerField(db_default=0)
    count = models.BigIntegerField(default=0)

    class Meta:
        # of the app that had it first: workers of the former release read it until they are replaced
        db_table = "segments_assortmentrevision"
        indexes = [models.Index(fields=["tenant", "subject"], name="revision_of_subject")]

    def __str__(self) -> str:
        return f"{self.tenant}, {self.subject}: {self.count}"
