from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.identity.operations.password_migrations import continue_migrations


class Command(BaseCommand):
    help = (
        "Remind customers whose password another system has hashed to log in once, and delete the hashes "
        "whose time is over (customer/<tenant>/config/password-migration-retention). Run it once a day."
    )

    def handle(self, **options: object) -> None:
        reminded, cleared = continue_migrations(at=timezone.now())
        self.stdout.write(f"Reminded {reminded} customers and deleted {cleared} hashes of other systems.")
