from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.identity.operations.signing_keys import rotate_signing_keys


class Command(BaseCommand):
    help = (
        "Sign access tokens with the next key from now on and make a new next one. Tokens that were signed "
        "before stay good. Every few months, and after SECRET_KEY has changed or a key may have leaked."
    )

    def handle(self, **options: object) -> None:
        active = rotate_signing_keys(at=timezone.now())
        self.stdout.write(f"Tokens are signed with the key {active.kid} from now on.")
