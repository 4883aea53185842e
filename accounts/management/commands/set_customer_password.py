import sys
from argparse import ArgumentParser
from getpass import getpass

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import Customer
from accounts.operations.customers import check_new_password, set_customer_password
from core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Set a customer's password and end all their sessions. Asks for the password, or reads it from "
        "standard input when that is no terminal. Example: set_customer_password acme ann@example.com"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="The tenant's name.")
        parser.add_argument("customer", help="The customer's e-mail or number.")

    def handle(self, *, tenant: str, customer: str, **options: object) -> None:
        customers = Customer.objects.filter(tenant__name=tenant)
        found = customers.filter(external_id=customer).first() or customers.with_email(customer).first()
        if found is None:
            raise CommandError(f"The tenant {tenant} has no customer {customer}.")
        is_terminal = sys.stdin.isatty()
        password = getpass("New password: ") if is_terminal else sys.stdin.readline().rstrip("\r\n")
        if is_terminal and getpass("Again: ") != password:
            raise CommandError("The two passwords differ; nothing was changed.")
        try:
            check_new_password(password, found, field="password")
            set_customer_password(customer=found, password=password, is_initial=True, at=timezone.now())
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(f"Set the password of {found}; all sessions of the customer have ended.")
