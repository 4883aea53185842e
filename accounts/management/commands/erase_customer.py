from argparse import ArgumentParser
from getpass import getuser

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import Customer
from accounts.operations.erasure import erase_customer, former_customers
from core.errors import DomainError
from core.tenancy.models import Tenant


class Command(BaseCommand):
    help = (
        "Erase a customer: profile, sessions, contact and segment assignments are deleted; redemptions and"
        " coupons keep a pseudonym, so that limits still hold; refused rows of imports and the admin's log"
        " lose what they say of the customer. Also a customer who was deleted before. Cannot be undone. Asks"
        " first. See docs/personal-data.md."
        " Example: erase_customer acme ann@example.com"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="The tenant's name.")
        parser.add_argument("customer", help="The customer's number or e-mail.")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *, tenant: str, customer: str, yes: bool, **options: object) -> None:
        customers = Customer.objects.filter(tenant__name=tenant)
        found = customers.filter(external_id=customer).first() or customers.with_email(customer).first()
        found = found or deleted_customer(tenant, customer)
        if found is None:
            raise CommandError(f"The tenant {tenant} has no customer {customer}, nor had one.")
        if not yes:
            question = f"Erase {found} of {tenant} for good? Type the customer's number to confirm: "
            if input(question) != found.external_id:
                raise CommandError("Nothing was erased.")
        try:
            erasure = erase_customer(
                tenant_id=found.tenant_id,
                external_id=found.external_id,
                requested_by=f"erase_customer by {getuser()}",
                at=timezone.now(),
            )
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        counts = ", ".join(f"{name} {count:,}" for name, count in erasure.counts.items())
        self.stdout.write(f"Erased; the pseudonym is {erasure.pseudonym}. Rows: {counts}.")


def deleted_customer(tenant: str, named: str) -> Customer | None:
    """Return who had this number or e-mail and was deleted, as the history has it."""
    keys = Tenant.objects.filter(name=tenant).values_list("pk", flat=True)
    found = [
        former
        for key in keys
        for columns in ({"external_id": named}, {"email": named})
        for former in former_customers(key, **columns)
    ]
    return found[0] if found else None
