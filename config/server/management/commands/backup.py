from argparse import ArgumentParser
from pathlib import Path

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from config.server.backups import BackupRefused, make_backup, make_physical_backup, remove_old, silent
from config.server.postgres.programs import ProgramFailed


class Command(BaseCommand):
    help = (
        "Back the database up into a folder: one file of pg_dump, read back before it counts, and its"
        " description. With --physical the whole server by pg_basebackup, which archived WAL takes to any"
        " later moment. `manage.py restore` takes both. See docs/backups.md."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="Where backups are kept; it is made if need be.")
        parser.add_argument(
            "--keep", type=int, default=0, help="Afterwards remove all dumps but so many; 0 keeps all."
        )
        parser.add_argument("--physical", action="store_true", help="Copy the whole server.")

    def handle(self, *, folder: Path, keep: int, physical: bool, verbosity: int, **options: object) -> None:
        parameters, at = connection.get_connection_params(), timezone.now()
        tell = self.stderr.write if verbosity > 1 else silent
        try:
            if physical:
                made = make_physical_backup(parameters, folder, at=at, tell=tell)
            else:
                made = make_backup(parameters, folder, at=at, tell=tell)
        except (BackupRefused, ProgramFailed, OSError, psycopg.Error) as failed:
            raise CommandError(f"There is no new backup. {failed}") from failed
        self.stdout.write(f"{made}")
        for old in remove_old(folder, keep=keep):
            self.stdout.write(f"Removed {old.name}.")
