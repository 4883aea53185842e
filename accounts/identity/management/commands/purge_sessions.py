from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.identity.operations.attempts import purge_attempt_counters
from accounts.identity.operations.sessions import purge_sessions


class Command(BaseCommand):
    help = (
        "Delete sessions, refresh tokens and counters of failed attempts that are over. They do no harm but "
        "take room: run it once a day."
    )

    def handle(self, **options: Any) -> None:
        at = timezone.now()
        sessions, tokens = purge_sessions(at=at)
        counters = purge_attempt_counters(at=at)
        self.stdout.write(f"Deleted {sessions} sessions, {tokens} refresh tokens and {counters} counters.")
