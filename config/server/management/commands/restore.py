from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils.dateparse import parse_datetime

from config.server.backups import BackupRefused, Progress, restore_backup, restore_physical, silent
from config.server.postgres.programs import ProgramFailed


def moment(text: str) -> datetime:
    found = parse_datetime(text)
    if found is None or found.tzinfo is None:
        raise ValueError(text)
    return found


class Command(BaseCommand):
    help = (
        "Restore what `manage.py backup` made. A dump goes into a database of the same server, which is"
        " created or has to be empty; a copy of the server into an empty data folder. A file that is"
        " broken, or of a newer version, is refused before anything is written. See docs/backups.md."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("backup", type=Path, help="The file (.dump) or the folder (base-...).")
        parser.add_argument("--into", default="", help="Of a dump: the name of the database.")
        parser.add_argument("--data", type=Path, help="Of a copy: the empty folder of the new server's data.")
        parser.add_argument("--wal", type=Path, help="Of a copy: the folder of the archived WAL.")
        parser.add_argument(
            "--until", type=moment, help="Of a copy: the moment to recover to, such as 2026-03-04T09:30:00Z."
        )

    def handle(
        self,
        *,
        backup: Path,
        into: str,
        data: Path | None,
        wal: Path | None,
        until: datetime | None,
        verbosity: int,
        **options: object,
    ) -> None:
        tell = self.stderr.write if verbosity > 1 else silent
        try:
            if backup.is_dir():
                self._restore_copy(backup, data, wal=wal, until=until)
            else:
                self._restore_dump(backup, into, tell)
        except (BackupRefused, ProgramFailed, OSError, psycopg.Error) as failed:
            raise CommandError(str(failed)) from failed

    def _restore_dump(self, backup: Path, into: str, tell: Progress) -> None:
        if not into:
            raise BackupRefused("Say --into and the name of the new database.")
        description = restore_backup(connection.get_connection_params(), backup, into=into, tell=tell)
        self.stdout.write(
            f"Restored {sum(description.rows.values()):,} rows of {description.made_at} into {into}."
            " Let DATABASE_URL name it, then start the service, which applies newer migrations."
        )

    def _restore_copy(
        self, copy: Path, data: Path | None, *, wal: Path | None, until: datetime | None
    ) -> None:
        if data is None:
            raise BackupRefused("Say --data and the empty folder of the new server's data.")
        restore_physical(copy, data, wal=wal, until=until)
        self.stdout.write(
            f"Restored into {data}. Give the folder to the user of PostgreSQL, then start PostgreSQL on it:"
            " it recovers by itself."
        )
