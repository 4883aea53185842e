import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts.models import Tenant
from core.errors import DomainError, InvalidInput
from coupons.imports.redemptions import FileRow, read_csv, read_json_lines
from coupons.operations.history import import_redemptions

ROWS_AT_ONCE = 5_000
SOME_REFUSED = 1
NOTHING_DONE = 2


class Command(BaseCommand):
    help = (
        "Takes over redemptions of another system from a CSV or JSON Lines file. Running it again changes "
        "nothing. Checks nothing but that the coupons, customers and legal entities exist."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="The file, or - for standard input.")
        parser.add_argument("--tenant", required=True, help="The tenant's name.")
        parser.add_argument(
            "--format", choices=["csv", "jsonl"], help="Default: what the file's name ends with."
        )
        parser.add_argument("--rejects", type=Path, help="A CSV file for the refused rows and the reasons.")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(name=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']}.", returncode=NOTHING_DONE)
        name = options["file"]
        file_format = options["format"] or name.rpartition(".")[2].lower()
        if file_format not in ("csv", "jsonl"):
            raise CommandError("Say --format csv or --format jsonl.", returncode=NOTHING_DONE)
        try:
            source = (
                nullcontext(sys.stdin) if name == "-" else Path(name).open(encoding="utf-8-sig", newline="")  # noqa: SIM115 - closed below
            )
        except OSError as error:
            raise CommandError(
                f"The file cannot be read: {error.strerror}.", returncode=NOTHING_DONE
            ) from error
        with source as file:
            counts = self.load(tenant, file, file_format, options["rejects"])
        created, known, refused = counts
        self.stdout.write(f"{created} recorded, {known} known already, {refused} refused")
        if refused:
            sys.exit(SOME_REFUSED if created or known else NOTHING_DONE)

    def load(
        self, tenant: Tenant, file: TextIO, file_format: str, rejects: Path | None
    ) -> tuple[int, int, int]:
        """Import all rows; return how many were recorded, known already, and refused."""
        created = known = refused = 0
        rejected: list[tuple[int, str, str]] = []
        rows = read_csv(file) if file_format == "csv" else read_json_lines(file)
        progress = tqdm(desc="redemptions", unit=" rows", disable=not sys.stderr.isatty())
        with progress:
            try:
                for batch in batches(rows):
                    faults = self.apply(tenant, batch)
                    rejected.extend((row.line, fault.message, row.source) for row, fault in faults[2])
                    created += faults[0]
                    known += faults[1]
                    refused += len(faults[2])
                    progress.update(len(batch))
            except InvalidInput as error:
                raise CommandError(error.message, returncode=NOTHING_DONE) from error
            except UnicodeDecodeError as error:
                raise CommandError(f"The file is not UTF-8: {error}", returncode=NOTHING_DONE) from error
        for line, message, _ in rejected[:20]:
            self.stderr.write(f"line {line}: {message}")
        if len(rejected) > 20:
            self.stderr.write(f"and {len(rejected) - 20} more; --rejects writes all of them")
        if rejects:
            with rejects.open("w", encoding="utf-8", newline="") as target:
                csv.writer(target).writerows([("line", "reason", "row"), *rejected])
        return created, known, refused

    def apply(
        self, tenant: Tenant, batch: Sequence[FileRow]
    ) -> tuple[int, int, list[tuple[FileRow, DomainError]]]:
        """Import one batch; return how many were recorded and known, and the refused rows with reasons."""
        faults = [(row, row.error) for row in batch if row.error]
        readable = [(row, row.redemption) for row in batch if row.redemption]
        outcomes = import_redemptions(tenant_id=tenant.pk, rows=[redemption for _, redemption in readable])
        created = known = 0
        for (row, _), outcome in zip(readable, outcomes, strict=True):
            if outcome.error:
                faults.append((row, outcome.error))
            elif outcome.created:
                created += 1
            else:
                known += 1
        return created, known, sorted(faults, key=lambda fault: fault[0].line)


def batches(rows: Iterator[FileRow]) -> Iterator[list[FileRow]]:
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        yield batch
