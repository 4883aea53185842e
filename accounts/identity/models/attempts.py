from django.db import models


class AttemptCounter(models.Model):
    """How often one subject has tried something, since the first try of the present window.

    The subject is the digest of what is guarded (a login, a coupon code) and whom it is counted for (an
    address, an e-mail), so that nothing personal is kept here. That an account has logged in from an address
    is kept in the same way: as a counter of nothing, until it no longer matters.
    """

    subject = models.CharField(max_length=64, primary_key=True, editable=False)
    attempts = models.PositiveIntegerField()
    resets_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["resets_at"], name="attempt_counter_expiry")]

    def __str__(self) -> str:
        return f"{self.attempts} attempts until {self.resets_at}"
