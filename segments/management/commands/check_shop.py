from argparse import ArgumentParser

import msgspec
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from core.tenancy.commands import tenant_named
from segments.findings import SHOWN_OBJECTS, FindingResult, look_for, registered_findings

MINUTE = 60_000  # milliseconds
WORDS = ("any", "error", "warning")


class Command(BaseCommand):
    help = (
        "Look for what needs attention in a shop: segments that are over or empty, coupons that nobody can"
        " redeem, unpublished categories in segments, and more. Changes nothing."
        " Example: check_shop acme --fail-on error"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="The tenant's name.")
        parser.add_argument("--json", action="store_true", help="Print the findings as one JSON array.")
        parser.add_argument(
            "--fail-on",
            default="",
            metavar="WHAT",
            help="End with status 1 when something of this kind is found: any, error, warning, or names of"
            " findings, separated by commas.",
        )
        parser.add_argument(
            "--objects",
            type=int,
            default=SHOWN_OBJECTS,
            help=f"How many objects of each finding are shown ({SHOWN_OBJECTS} when absent).",
        )

    def handle(self, *, tenant: str, fail_on: str, objects: int, json: bool, **options: object) -> None:
        stored = tenant_named(tenant)
        fatal = {word.strip() for word in fail_on.split(",") if word.strip()}
        if unknown := sorted(fatal - {*WORDS, *registered_findings()}):
            raise CommandError(
                f"--fail-on does not know {', '.join(unknown)}; it takes"
                f" {', '.join([*WORDS, *sorted(registered_findings())])}."
            )
        results = look_for(tenant_id=stored.pk, at=timezone.now(), most=max(0, objects), milliseconds=MINUTE)
        found = [result for result in results if result.count.value or not result.count.exact]
        if json:
            self.stdout.write(msgspec.json.encode(found).decode())
        else:
            self.show(tenant, found)
        names = [result.name for result in found if fatal & {"any", result.severity, result.name}]
        if names:
            raise CommandError(f"The shop {tenant} needs attention: {', '.join(names)}.")

    def show(self, tenant: str, found: list[FindingResult]) -> None:
        if not found:
            self.stdout.write(f"{tenant}: nothing needs attention")
        for result in found:
            self.stdout.write(f"{result.severity}: {result.name} ({result.count}): {result.message}")
            ids = ", ".join(one.id for one in result.objects)
            if ids:
                more = " ..." if result.count.value > len(result.objects) else ""
                self.stdout.write(f"  {ids}{more}")
