from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from config.tenant_archives import read_archive
from core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Make a tenant of an archive of `manage.py export_tenant`. A broken archive is refused before"
        " anything is written; an import that was stopped goes on with --resume. See docs/tenants.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("archive", type=Path, help="The file.")
        parser.add_argument("--as", dest="name", default="", help="Another name for the tenant.")
        parser.add_argument("--resume", action="store_true", help="The tenant may exist; go on with it.")

    def handle(self, *, archive: Path, name: str, resume: bool, **options: object) -> None:
        try:
            rows = read_archive(archive, name=name, resume=resume, at=timezone.now(), tell=self.stderr.write)
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(f"Imported {sum(rows.values()):,} rows.")
