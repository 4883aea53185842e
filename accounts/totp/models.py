import hashlib
import secrets

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django_otp.models import Device, ThrottlingMixin

CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what is easily confused on paper
LENGTH = 16  # 79 bits: too many to be guessed from the hash
GROUP = 4


class RecoveryCodes(ThrottlingMixin, Device):
    """The codes that let a member of staff in once each, without the device. Only their hashes are kept."""

    hashes: ArrayField = ArrayField(models.CharField(max_length=64))

    class Meta(Device.Meta):
        verbose_name = verbose_name_plural = "recovery codes"
        constraints = [models.UniqueConstraint(fields=["user"], name="recovery_codes_of_user")]

    @classmethod
    def issue(cls, user: models.Model) -> list[str]:
        """Return new codes, as they are shown; those of before end."""
        codes = ["".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(CODES)]
        cls.objects.update_or_create(  # the row stays: the session may have begun with one of its codes
            user=user,
            defaults={
                "name": "recovery codes",
                "hashes": [digest(code) for code in codes],
                "throttling_failure_count": 0,
                "throttling_failure_timestamp": None,
            },
        )
        return ["-".join(code[at : at + GROUP] for at in range(0, LENGTH, GROUP)) for code in codes]

    def verify_token(self, token: str) -> bool:
        """Say whether this is one of the codes, which ends with that. Wrong ones are slowed down."""
        code = token.replace("-", "").lower()
        if len(code) != LENGTH or not self.verify_is_allowed()[0]:
            return False  # what an app shows is no attempt at a recovery code
        if digest(code) not in self.hashes:
            self.throttle_increment()
            return False
        self.hashes = [kept for kept in self.hashes if kept != digest(code)]
        self.throttle_reset(commit=False)
        self.save()
        return True

    def get_throttle_factor(self) -> int:
        return 1


def digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
