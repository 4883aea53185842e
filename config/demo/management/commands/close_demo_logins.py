from django.core.management.base import BaseCommand
from django.utils import timezone

from config.demo.logins import close_published_logins, published_logins


class Command(BaseCommand):
    help = (
        "Take away the demo shop's published passwords and secrets where they still work, and end the"
        " sessions had by them. Passwords and secrets that were changed stay. For staff set new passwords"
        " with changepassword, for API clients make new secrets with rotate_client_secret."
    )

    def handle(self, **options: object) -> None:
        at = timezone.now()
        logins = published_logins(at)
        if not logins:
            self.stdout.write("None of the demo shop's published logins works.")
            return
        names = str(logins)
        close_published_logins(logins, at=at)
        self.stdout.write(f"These logins no longer work: {names}.")
