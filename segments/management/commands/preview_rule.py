from argparse import ArgumentParser
from typing import Literal

import msgspec
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from core.errors import DomainError
from core.tenancy.commands import tenant_named
from segments.models import Rule
from segments.rules.facts import fact_names
from segments.rules.previews import PATIENT, PreviewBody, RulePreview, preview_rule


class Command(BaseCommand):
    help = (
        "Show which customers a rule would make members, before anything is saved. Changes nothing."
        " Example: preview_rule 'onHold:false redemptions.90d.count:>=2' --tenant acme --segment gold"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("q", nargs="?", help="the rule; docs/rules.md describes the language")
        parser.add_argument("--tenant", help="the tenant's name")
        parser.add_argument("--segment", metavar="ID", help="compare with the members of this segment")
        parser.add_argument("--site", metavar="CODE", help="the site in whose time zone `today` begins")
        parser.add_argument(
            "--mode", choices=Rule.Mode.values, default="LIVE", help="LIVE (default) or SNAPSHOT"
        )
        parser.add_argument(
            "--membership",
            choices=Rule.Membership.values,
            default="CUSTOMER",
            help="what the terms are about: CUSTOMER (default) or LEGAL_ENTITY",
        )
        parser.add_argument("--json", action="store_true", help="print the preview as JSON")
        parser.add_argument("--facts", action="store_true", help="list what a rule can ask, and end")

    def handle(
        self,
        *,
        q: str | None,
        tenant: str | None,
        segment: str | None,
        site: str | None,
        mode: Literal["LIVE", "SNAPSHOT"],
        membership: Literal["CUSTOMER", "LEGAL_ENTITY"],
        json: bool,
        facts: bool,
        **options: object,
    ) -> None:
        if facts:
            self.stdout.write("\n".join(fact_names(membership)))
            return
        if q is None or tenant is None:
            raise CommandError("Give a rule and --tenant, or --facts.")
        stored = tenant_named(tenant)
        body = PreviewBody(
            q=q, mode=mode, membership=membership, segment_id=segment, site_code=site, exact=True
        )
        try:
            preview = preview_rule(tenant=stored, body=body, at=timezone.now(), longest=PATIENT)
        except DomainError as error:
            raise CommandError(error.message) from None
        if json:
            self.stdout.write(msgspec.json.encode(preview).decode())
        elif preview.fault is not None:
            fault = preview.fault
            raise CommandError(f"Fault at character {fault.position}: {fault.message}")
        else:
            self.show(preview)

    def show(self, preview: RulePreview) -> None:
        share = "" if preview.share is None else f" ({preview.share:.1%} of all)"
        self.stdout.write(f"{number(preview.count, preview.is_capped)} would belong{share}")
        for term in preview.terms:
            self.stdout.write(f"  {number(term.count, term.is_capped)}  {term.q}")
        if preview.joins is not None:
            joins, leaves = (number(count, preview.is_capped) for count in (preview.joins, preview.leaves))
            self.stdout.write(f"{joins} would join, {leaves} would leave")
        if preview.left_out:
            left_out = number(preview.left_out, preview.is_capped)
            self.stdout.write(f"{left_out} redemptions in other currencies are left out of totals")
        for one in preview.sample:
            self.stdout.write(f"  {one.id}  {one.name}")


def number(count: int | None, is_capped: bool) -> str:
    if count is None:
        return "an unknown number"
    return f"about {count:,}" if is_capped else f"{count:,}"
