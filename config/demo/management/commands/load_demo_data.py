import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from time import monotonic

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from tqdm import tqdm

from config.demo.calendar import TODAY_OF_DATA
from config.demo.loading import load_demo_shop, shop_calendar
from config.demo.rows import Load, Row
from config.demo.shop import CUSTOMER_PASSWORD, DEMO_TENANT, Names, NameTaken
from config.demo.source import DemoDataMissing
from core.imports.commands import counted_rows
from core.imports.merge import Tally
from core.tenancy.models import Tenant

ROWS_AT_ONCE = 1_000  # telling a bar of every single row would cost more than the row
WELL_KNOWN = (
    "The demo shop has logins that everybody knows, admin/admin among them. Set DEBUG=1 on your own machine, "
    "or say --insecure-demo-logins if nobody else can reach this database. Nothing has been written."
)


class Command(BaseCommand):
    """Makes the demo shop out of The Complete Journey; see docs/demo-data.md."""

    help = "Load the demo shop, or bring it up to date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--today",
            type=date.fromisoformat,
            default=TODAY_OF_DATA,
            metavar="DATE",
            help=f"the day of the data that today falls on ({TODAY_OF_DATA})",
        )
        parser.add_argument(
            "--no-shift", action="store_true", help="keep the dates of the data, 2016 to 2018"
        )
        parser.add_argument("--tenant", default=DEMO_TENANT, help=f"the tenant to load into ({DEMO_TENANT})")
        parser.add_argument(
            "--insecure-demo-logins",
            action="store_true",
            help="make the well-known logins although DEBUG is off",
        )

    def handle(
        self, *, today: date, no_shift: bool, tenant: str, insecure_demo_logins: bool, **options: object
    ) -> None:
        if not settings.DEBUG and not insecure_demo_logins:
            raise CommandError(WELL_KNOWN)
        try:
            Tenant._meta.get_field("name").clean(tenant, None)
        except ValidationError as error:
            raise CommandError(f"The tenant's name is wrong: {' '.join(error.messages)}") from error
        at = datetime.now(UTC)
        calendar = shop_calendar(day_of_data=today, today=at.date(), shifts=not no_shift)
        started = monotonic()
        try:
            load = load_demo_shop(
                tenant_name=tenant,
                calendar=calendar,
                at=at,
                progress=CommandProgress(self.stdout),
            )
        except (DemoDataMissing, NameTaken) as error:
            raise CommandError(str(error)) from error
        self.report(load, tenant, monotonic() - started)

    def report(self, load: Load, tenant: str, seconds: float) -> None:
        """Write which rows were refused, and how to get into the shop."""
        for row in load.refused:
            self.stdout.write(f"refused: {row.file}, row {row.row}: {row.message} ({row.reason})")
        if not load.has_changed:
            self.stdout.write(f"The demo shop was up to date: everything is unchanged ({seconds:.1f} s).")
            return
        names = Names(tenant)
        self.stdout.write(
            f"The demo shop is loaded into the tenant {tenant} in {seconds:.1f} s."
            f" {counted_rows(len(load.refused))} of the source"
            f" {'was' if len(load.refused) == 1 else 'were'} refused.\n"
            f"Admin: admin/admin, {names.merchandiser}/{names.merchandiser}."
            f" API: {names.backend} with the secret {names.backend_secret}, {names.storefront}.\n"
            f"Customers: household-1@example.com and so on, password {CUSTOMER_PASSWORD}.\n"
            "Data: The Complete Journey by 84.51°, for research and education (docs/demo-data.md)."
        )


class CommandProgress:
    """Shows a bar for each label on a terminal, and one line for each that is done."""

    def __init__(self, stdout: OutputWrapper) -> None:
        self.stdout = stdout
        self.stderr = sys.stderr  # without the line ends that commands add

    def counted(self, label: str, rows: Iterable[Row], total: int) -> Iterator[Row]:
        """Pass the rows on, telling how many of `total` have passed."""
        bar = tqdm(
            total=total,
            desc=label,
            unit=" rows",
            unit_scale=True,
            leave=False,
            file=self.stderr,
            disable=not self.stderr.isatty(),
        )
        with bar:
            untold = 0
            for row in rows:
                yield row
                untold += 1
                if untold == ROWS_AT_ONCE:
                    bar.update(untold)
                    untold = 0
            bar.update(untold)

    def finished(self, label: str, tally: Tally) -> None:
        """Write what became of the rows of a label."""
        counts = [f"{tally.rows:>9,} rows"]
        for name in ("created", "changed", "unchanged", "repeated", "removed", "refused"):
            if number := getattr(tally, name):
                counts.append(f"{number:,} {name}")
        self.stdout.write(f"{label:<22}{', '.join(counts)}")
