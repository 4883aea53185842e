import os
import time
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import LockNotAvailable

from config.environment import Environment

DELAYS = (1, 2, 4, 8, 15, 15, 15)  # seconds before another attempt


class Command(migrate.Command):
    """Django's, which never lets the service wait behind it for long.

    A migration that waits for a lock on a table makes all later statements on that table wait as well. So it
    gives up after `MIGRATION_LOCK_TIMEOUT_MS`, lets the others through and tries again.
    """

    def handle(self, *arguments: object, **options: Any) -> None:
        timeout = Environment(os.environ).number("MIGRATION_LOCK_TIMEOUT_MS", default=2_000, least=1)
        connection = connections[options["database"]]
        for delay in (*DELAYS, None):
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, false)", [str(timeout)])
            try:
                super().handle(*arguments, **options)
                return
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                if delay is None:
                    raise CommandError(
                        f"Another session holds a lock that a migration needs; {len(DELAYS) + 1} attempts of "
                        f"{timeout} ms were made. What was applied stays. End long transactions, or try "
                        "again at a quieter time."
                    ) from error
                self.stderr.write(f"Another session holds a lock that a migration needs; again in {delay} s.")
                time.sleep(delay)
