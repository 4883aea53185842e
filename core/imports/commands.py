"""The commands that import and export files; each app names its kinds in commands of a few lines."""

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, NoReturn

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from tqdm import tqdm

from core.errors import DomainError
from core.imports.columns import shown_name
from core.imports.exporting import output_file, write_documents
from core.imports.exports import exported_documents, used_languages
from core.imports.files import STANDARD_INPUT, InputFile
from core.imports.interrupts import StopRequest
from core.imports.merge import Tally
from core.imports.merge_statements import Mode
from core.imports.records import Format, format_of_name
from core.imports.removals import PERCENT_WITHOUT_LIMIT, REMOVING_MODES, ROWS_WITHOUT_LIMIT, RemovalLimit
from core.imports.resources import ImportKind
from core.imports.runner import Report, run_import
from core.imports.runs import ImportOrder
from core.tenancy.callers import TenantRecord
from core.tenancy.models import Tenant
from core.unavailability import failure_in_words

ALL_APPLIED, SOME_REFUSED, NOTHING_DONE = 0, 1, 2
MEANING = {
    Mode.UPSERT: "creates what is new and changes what differs (the default)",
    Mode.INSERT: "creates, and refuses what exists",
    Mode.REPLACE: "also removes what the file does not hold, of each segment or category that it names",
    Mode.DELETE: "removes what the file names",
}
PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")
UPDATES = (
    " Of a row that exists an absent column leaves its value alone; an empty cell, or null in JSON Lines,"
    " empties it."
)
SAID_BY_NAME = ("created", "changed", "unchanged", "repeated", "removed", "refused")


class UnknownTenant(DomainError):
    """No tenant has this name."""

    code = "unknown_tenant"


def whole_number(text: str) -> int:
    if not text.isdecimal() or int(text) > 2_147_483_647:
        raise ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def positive_number(text: str) -> int:
    if not whole_number(text):
        raise ArgumentTypeError("at least 1")
    return int(text)


def removal_limit(text: str) -> RemovalLimit:
    """Read a number of rows, or a share of them in percent."""
    share = text.removesuffix("%").strip()
    if share == text:
        return RemovalLimit(rows=whole_number(text))
    if not PERCENT.fullmatch(share) or Decimal(share) > 100:
        raise ArgumentTypeError(f"{text!r} must be a number of rows, or a share from 0% to 100%")
    return RemovalLimit(percent=Decimal(share))


def tenant_named(name: str) -> TenantRecord:
    """Return the tenant; raise UnknownTenant when there is none."""
    tenant = Tenant.objects.filter(name=name).first()
    if tenant is None:
        raise UnknownTenant(f"There is no tenant {name}.")
    return TenantRecord(
        tenant.pk, tenant.name, tenant.default_language, tuple(tenant.languages), tenant.currency
    )


class ImportCommand(BaseCommand):
    """Imports a file of one kind. Exit status: 0 all rows applied, 1 some refused, 2 nothing done."""

    kind: ClassVar[ImportKind]
    requires_system_checks = []  # addresses and admin pages play no part

    @property
    def help(self) -> str:  # type: ignore[override]
        names = ", ".join(map(shown_name, self.kind.columns))
        updates = UPDATES if self.kind.is_updated_by_columns else ""
        return (
            f"Import {self.kind.noun} from a CSV file (columns: {names}) or a JSON Lines file, which may be"
            f" compressed with gzip or zstd.{updates} See docs/bulk-upserts.md. Exit status: 0 all rows"
            " applied, 1 some refused or the import stopped, 2 nothing done."
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="a file, or - for standard input")
        parser.add_argument("--tenant", required=True, help="the tenant's name")
        parser.add_argument(
            "--format",
            choices=[format.value for format in Format],
            help="csv or jsonl, when the name does not tell",
        )
        if len(self.kind.modes) > 1:
            parser.add_argument(
                "--mode",
                choices=[mode.value for mode in self.kind.modes],
                default=self.kind.modes[0].value,
                help="; ".join(f"{mode.value} {MEANING[mode]}" for mode in self.kind.modes),
            )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="say what would happen and which columns would be emptied, and write nothing",
        )
        parser.add_argument("--atomic", action="store_true", help="all or nothing: one transaction")
        parser.add_argument(
            "--resume", action="store_true", help="go on behind the last committed batch of this file"
        )
        parser.add_argument(
            "--batch-size",
            type=positive_number,
            metavar="N",
            help=f"rows of one transaction ({self.kind.batch_size:,})",
        )
        parser.add_argument("--rejects", type=Path, metavar="FILE", help="write refused rows there")
        parser.add_argument(
            "--max-rejects", type=whole_number, metavar="N", help="stop when more rows are refused"
        )
        if not set(REMOVING_MODES).isdisjoint(self.kind.modes):
            parser.add_argument(
                "--max-removed",
                type=removal_limit,
                metavar="N|N%",
                help="with --mode replace or delete: stop when more rows would be removed, by number or share"
                f" of what is stored (more than {ROWS_WITHOUT_LIMIT} rows that are more than"
                f" {PERCENT_WITHOUT_LIMIT}%% are not removed without it)",
            )
        parser.add_argument("--json", action="store_true", help="answer with one JSON object")

    def handle(self, **options: Any) -> None:
        with StopRequest().noticed() as stop:
            self._import(stop, **options)

    def _import(self, stop: StopRequest, *, file: str, tenant: str, **options: Any) -> None:
        if options["resume"] and options["dry_run"]:
            raise CommandError("A rehearsal has nothing to resume.", returncode=NOTHING_DONE)
        mode = Mode(options.get("mode", self.kind.modes[0]))
        limit = options.get("max_removed")
        if limit and mode not in REMOVING_MODES:
            raise CommandError(
                f"--max-removed is for --mode replace and --mode delete; --mode {mode} removes nothing.",
                returncode=NOTHING_DONE,
            )
        started = monotonic()
        try:
            record = tenant_named(tenant)
            with InputFile(file) as source:
                order = ImportOrder(
                    kind=self.kind,
                    tenant=record,
                    file=source,
                    format=Format(options["format"]) if options["format"] else None,
                    mode=mode,
                    is_rehearsal=options["dry_run"],
                    is_atomic=options["atomic"],
                    resumes=options["resume"],
                    batch_size=options["batch_size"],
                    max_rejects=options["max_rejects"],
                    max_removed=limit or RemovalLimit(),
                    rejects_path=options["rejects"],
                )
                with ImportProgress(source) as progress:
                    report = run_import(order, progress, stop)
        except DomainError as error:
            self._fail(error.code, error.message, as_json=options["json"])
        except OperationalError as error:
            self._fail("server_failed", failure_in_words(error), as_json=options["json"])
        except KeyboardInterrupt:
            self._fail("stopped", "Stopped before anything was done.", as_json=options["json"])
        self._answer(order, report, monotonic() - started, as_json=options["json"])

    def _fail(self, code: str, message: str, *, as_json: bool) -> NoReturn:
        if as_json:
            self.stdout.write(orjson.dumps({"error": code, "message": message}).decode())
        raise CommandError(message, returncode=NOTHING_DONE)

    def _answer(self, order: ImportOrder, report: Report, seconds: float, *, as_json: bool) -> None:
        total = report.total
        if as_json:
            self.stdout.write(orjson.dumps(_as_json(order, report, seconds)).decode())
        else:
            self._tell(order, report, seconds)
        status = exit_status(report)
        if report.error is not None:
            raise CommandError(report.error.message, returncode=status)
        if total.refused:
            sys.exit(status)

    def _tell(self, order: ImportOrder, report: Report, seconds: float) -> None:
        total = report.total
        verb = "would be " if order.is_rehearsal else ""
        counts = [f"{getattr(total, name):,} {verb}{name}" for name in SAID_BY_NAME if getattr(total, name)]
        rate = total.rows / seconds if seconds else 0
        self.stdout.write(
            f"{total.rows:,} rows: {', '.join(counts) or 'nothing to do'}"
            f" ({seconds:.1f} s, {rate:,.0f} rows a second)."
        )
        for code, count in sorted(total.reasons.items()):
            self.stdout.write(f"  {code}: {count:,}")
        for name, count in sorted(total.emptied.items()):
            self.stdout.write(f"{name} would be emptied in {count:,} {'row' if count == 1 else 'rows'}.")
        if unread := report.unread.count:
            lines = ", ".join(f"{line:,}" for line, _ in report.unread.first)
            more = ", ..." if unread > len(report.unread.first) else ""
            self.stdout.write(f"Lines that could not be read: {unread:,} ({lines}{more}).")
        if report.run is not None:
            self.stdout.write(f"This was import {report.run.pk}.")


def exit_status(report: Report) -> int:
    """Return 0 when all rows were applied, 1 when some were refused, 2 when nothing was done."""
    if report.total.applied == 0 and (report.total.refused or report.error):
        return NOTHING_DONE
    return SOME_REFUSED if report.total.refused or report.error else ALL_APPLIED


def _as_json(order: ImportOrder, report: Report, seconds: float) -> dict[str, Any]:
    total = report.total
    answer: dict[str, Any] = {
        "run": report.run.pk if report.run else None,
        "kind": order.kind.name,
        "mode": order.mode,
        "dryRun": order.is_rehearsal,
        "rows": total.rows,
        **{name: getattr(total, name) for name in SAID_BY_NAME},
        "refusedByReason": dict(sorted(total.reasons.items())),
        "unreadLines": report.unread.count,
        "firstUnreadLines": [line for line, _ in report.unread.first],
        "seconds": round(seconds, 3),
    }
    if order.is_rehearsal:
        answer["emptied"] = dict(sorted(total.emptied.items()))
    if report.error is not None:
        answer |= {"error": report.error.code, "message": report.error.message}
    return answer


class ExportCommand(BaseCommand):
    """Exports all rows of one kind of a tenant to a file that the import takes."""

    kind: ClassVar[ImportKind]
    requires_system_checks = []

    @property
    def help(self) -> str:  # type: ignore[override]
        return f"Export {self.kind.noun} to a file that the import of them takes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="a file (.gz and .zst are compressed), or - for standard output")
        parser.add_argument("--tenant", required=True, help="the tenant's name")
        parser.add_argument(
            "--format",
            choices=[format.value for format in Format],
            help="csv or jsonl, when the name does not tell",
        )

    def handle(self, *, file: str, tenant: str, **options: Any) -> None:
        chosen = Format(options["format"]) if options["format"] else format_of_name(file) or Format.CSV
        try:
            record = tenant_named(tenant)
            with output_file(file) as stream:
                count = write_documents(
                    stream,
                    exported_documents(self.kind.export, record),
                    format=chosen,
                    columns=self.kind.columns,
                    languages=used_languages(self.kind.export, record, self.kind.columns),
                )
        except DomainError as error:
            raise CommandError(error.message, returncode=NOTHING_DONE) from error
        except OperationalError as error:
            raise CommandError(failure_in_words(error), returncode=NOTHING_DONE) from error
        self.stderr.write(f"{count:,} {self.kind.noun} exported.", self.style.SUCCESS)


class ImportProgress:
    """Tells standard error how far an import is: by a bar on a terminal, else by a line for each batch."""

    def __init__(self, file: InputFile) -> None:
        self.file = file
        self.started = monotonic()
        self.rows = 0
        self.shows_bar = sys.stderr.isatty()
        self.bar = tqdm(
            total=file.size,
            desc="standard input" if file.name == STANDARD_INPUT else Path(file.name).name,
            unit="B",
            unit_scale=True,
            disable=not self.shows_bar,
            file=sys.stderr,
        )

    def __enter__(self) -> "ImportProgress":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def read(self, rows: int) -> None:
        """More rows have been read."""
        self.rows += rows
        if self.shows_bar:
            position = self.file.position
            said = f"{self.rows / (monotonic() - self.started):,.0f} rows/s"
            self.bar.set_postfix_str(
                f"{said}, writing" if position == self.file.size else said, refresh=False
            )
            self.bar.update(position - self.bar.n)

    def committed(self, line: int, total: Tally) -> None:
        """A batch is done, up to this line."""
        if not self.shows_bar:
            done = min(100, 100 * self.file.position // max(self.file.size, 1))
            rate = self.rows / (monotonic() - self.started)
            sys.stderr.write(
                f"line {line:,}: {total.rows:,} rows, {total.refused:,} refused, {done}% read,"
                f" {rate:,.0f} rows a second\n"
            )
