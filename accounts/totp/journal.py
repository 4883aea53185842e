"""What the journal records of one-time passwords: who has a device or codes, never what they hold."""

from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.journal import OF_USER
from accounts.totp.models import RecoveryCodes
from core.journal.declarations import RecordedDocument, record

ATTEMPTS = ("throttling_failure_timestamp", "throttling_failure_count")

record(
    RecordedDocument(
        model=TOTPDevice,
        object="staff-device",
        external_id="NULL",
        tenant=OF_USER,
        owner="it.user_id",
        derived=(*ATTEMPTS, "last_used_at", "last_t", "drift"),
        secret=("key",),
    ),
    RecordedDocument(
        model=RecoveryCodes,
        object="staff-recovery-codes",
        external_id="NULL",
        tenant=OF_USER,
        owner="it.user_id",
        derived=ATTEMPTS,
        secret=("hashes",),
    ),
)
