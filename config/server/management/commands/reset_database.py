from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import connection


class Command(BaseCommand):
    """Empties the database: all tables of all tenants. Asks first."""

    help = "Remove everything from the database, so that migrate starts from nothing. Asks first."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *, yes: bool, **options: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_database(), current_schema(), coalesce(inet_server_addr()::text, '')"
            )
            database, schema, address = cursor.fetchone()
            place = f"the database {database}{f' on {address}' if address else ' of this folder'}"
            if not yes and input(f"Remove everything from {place}? Type its name to confirm: ") != database:
                raise CommandError("Nothing was removed.")
            cursor.execute(f"DROP SCHEMA {connection.ops.quote_name(schema)} CASCADE")
            cursor.execute(f"CREATE SCHEMA {connection.ops.quote_name(schema)}")
        self.stdout.write(f"Removed everything from {place}. `make run` fills it again.")
