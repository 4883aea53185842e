import secrets
import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from accounts.operations.staff import create_staff_user
from core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Create a member of staff who works in the admin, with the rights of a group: Merchandiser,"
        " Catalogue manager, Operator or Auditor. Prints a generated password unless --password-stdin is"
        " given. Example: create_staff_user acme anna --group Merchandiser"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="The tenant whose data they see.")
        parser.add_argument("name", help="The name that they log in with.")
        parser.add_argument(
            "--group", action="append", default=[], required=True, help="What they may do; may be repeated."
        )
        parser.add_argument("--email", default="", help="Their e-mail address.")
        parser.add_argument(
            "--password-stdin", action="store_true", help="Read the password from standard input."
        )

    def handle(
        self, *, tenant: str, name: str, group: list[str], email: str, password_stdin: bool, **options: object
    ) -> None:
        password = sys.stdin.readline().rstrip("\r\n") if password_stdin else secrets.token_urlsafe(12)
        try:
            user = create_staff_user(tenant=tenant, name=name, password=password, groups=group, email=email)
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(f"Created {user.username} of the tenant {tenant} in {', '.join(group)}.")
        if not password_stdin:
            self.stdout.write(f"Password: {password}")
            self.stdout.write("It is not shown again; it can be changed in the admin, at the top right.")
