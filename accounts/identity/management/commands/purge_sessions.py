from django.core.management import call_command
from django.core.management.base import BaseCommand

KINDS = ("sessions", "refresh-tokens", "attempts", "admin-sessions")


class Command(BaseCommand):
    help = (
        "Delete sessions, refresh tokens, counters of failed attempts and logins of the admin that are over."
        " The background worker does it every hour; without one, run this once a day. It is the same as"
        f" `purge {' '.join(KINDS)}`."
    )

    def handle(self, **options: object) -> None:
        call_command("purge", *KINDS, stdout=self.stdout)
