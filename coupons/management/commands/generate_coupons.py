import json
import os
from argparse import ArgumentParser
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from core.bodies import read_body
from core.errors import AlreadyExists, DomainError
from core.tenancy.commands import tenant_named
from core.tenancy.models import Tenant
from coupons.bodies import CampaignBody
from coupons.errors import CampaignExported
from coupons.models.campaigns import MOST_CODES_OF_CAMPAIGN
from coupons.operations import create_campaign, export_codes, find_campaign, generate_codes


class Command(BaseCommand):
    help = (
        "Make a campaign of single-use codes that share the terms of one coupon. An interrupted command goes"
        " on where it was: run it again with the same --campaign and --export. No code is made or exported"
        " twice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="The name of the tenant.")
        parser.add_argument(
            "--campaign", required=True, help="The id of the campaign; one that exists is gone on with."
        )
        parser.add_argument(
            "--template", type=Path, help="A JSON file with the coupon's terms, as the API takes them."
        )
        parser.add_argument("--count", type=int, help=f"How many codes, 1 to {MOST_CODES_OF_CAMPAIGN:,}.")
        parser.add_argument("--prefix", default="", help="What each code begins with.")
        parser.add_argument(
            "--export", type=Path, help="A new file for the codes, one a line; they are exported once."
        )

    def handle(
        self,
        *,
        tenant: str,
        campaign: str,
        template: Path | None,
        count: int | None,
        prefix: str,
        export: Path | None,
        **options: object,
    ) -> None:
        found = tenant_named(tenant)
        if export is not None and export.exists():
            raise CommandError(f"{export} exists already: name a new file.")
        try:
            self.create_unless_there(found, campaign, template, count, prefix)
            self.generate(found, campaign)
            if export is not None:
                self.export(found, campaign, export)
        except DomainError as refused:
            raise CommandError(refused.message) from None

    def create_unless_there(
        self, tenant: Tenant, campaign_id: str, template: Path | None, count: int | None, prefix: str
    ) -> None:
        try:
            find_campaign(tenant.pk, campaign_id)
        except DomainError:
            if template is None or count is None:
                raise CommandError(
                    f"There is no campaign {campaign_id}: name --template and --count to make it."
                ) from None
            body = {"id": campaign_id, "prefix": prefix, "count": count, "template": read_template(template)}
            with suppress(AlreadyExists):  # the same command makes it at the same time
                create_campaign(tenant_id=tenant.pk, body=read_body(CampaignBody, body), at=timezone.now())

    def generate(self, tenant: Tenant, campaign_id: str) -> None:
        while True:
            progress = generate_codes(tenant_id=tenant.pk, campaign_id=campaign_id, at=timezone.now())
            self.stdout.write(f"{progress.made:,} of {progress.wanted:,} codes")
            if progress.is_complete:
                return

    def export(self, tenant: Tenant, campaign_id: str, target: Path) -> None:
        """Write the codes to a file that only its owner reads; what cannot be written is not exported.

        The file has another name until the campaign is exported. A command that was killed in between is
        gone on with: once the campaign is exported, the file with that name is whole.
        """
        part = target.with_name(f"{target.name}.{tenant.name}.{campaign_id}.part")
        try:
            with transaction.atomic():
                codes = export_codes(tenant_id=tenant.pk, campaign_id=campaign_id, at=timezone.now())
                write_durably(part, [f"{code}\n" for code in ("code", *codes)])
        except CampaignExported:
            if not part.exists():
                raise
        except OSError as fault:
            raise CommandError(f"{part} cannot be written: {fault}") from None
        try:
            part.rename(target)
        except OSError as fault:
            raise CommandError(f"{part} holds the codes, but cannot become {target}: {fault}") from None
        self.stdout.write(f"The codes are in {target}.")


def write_durably(path: Path, lines: Iterable[str]) -> None:
    """Write the file, so that it is there after a loss of power as well. Only its owner reads it."""
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def read_template(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise CommandError(f"{path} cannot be read as JSON: {fault}") from None
