from argparse import ArgumentParser

import orjson
from django.core.management.base import BaseCommand, CommandError

from accounts.models import Customer
from accounts.operations.erasure import personal_data_of


class Command(BaseCommand):
    help = (
        "Print everything that is held of a customer as one JSON object: profile, sessions, contact and"
        " segment assignments, redemptions, coupons, refused rows of imports, the admin's log."
        " Example: export_customer_data acme ann@example.com > ann.json"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="The tenant's name.")
        parser.add_argument("customer", help="The customer's number or e-mail.")

    def handle(self, *, tenant: str, customer: str, **options: object) -> None:
        customers = Customer.objects.filter(tenant__name=tenant)
        found = customers.filter(external_id=customer).first() or customers.with_email(customer).first()
        if found is None:
            raise CommandError(f"The tenant {tenant} has no customer {customer}.")
        held = personal_data_of(tenant_id=found.tenant_id, external_id=found.external_id)
        self.stdout.write(orjson.dumps(held, option=orjson.OPT_INDENT_2).decode())
