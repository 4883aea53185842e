"""What the columns of one-time passwords hold: of staff, nothing of customers."""

from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.personal_data import STAFF
from accounts.totp.models import RecoveryCodes
from core.personal_data.declarations import declare, each

declare(TOTPDevice, each(STAFF, "name", "key"))
declare(RecoveryCodes, each(STAFF, "name", "hashes"))
