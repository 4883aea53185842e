"""The commands that import and export files; each app names its kinds in commands of a few lines."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, NoReturn

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseFailure
from tqdm import tqdm

from core.errors import DomainError
from core.imports.columns import ReadingOptions, shown_name
from core.imports.exporting import exported_documents, output_file, used_languages, write_documents
from core.imports.files import STANDARD_INPUT, Format, InputFile, format_of_name
from core.imports.merge import Tally
from core.imports.merge_statements import Mode
from core.imports.options import (
    column_list,
    delimiter,
    encoding,
    named_value,
    positive_number,
    removal_limit,
    renaming,
    replaced_value,
    seconds,
    whole_number,
)
from core.imports.orders import ImportOrder
from core.imports.removals import (
    PERCENT_WITHOUT_LIMIT,
    REMOVING_MODES,
    ROWS_WITHOUT_LIMIT,
    RemovalLimit,
)
from core.imports.resources import ImportResource
from core.imports.runner import Report
from core.imports.runs import NothingToResume, StopRequest, run_import
from core.sql.lock_limits import LONGEST_LOCK
from core.tenancy.callers import TenantRecord
from core.tenancy.models import tenant_called
from core.timestamps import format_time
from core.unavailability import failure_in_words, is_failure_of_server

ALL_APPLIED, SOME_REFUSED, NOTHING_DONE = 0, 1, 2
MEANING = {
    Mode.UPSERT: "creates what is new and changes what differs (the default)",
    Mode.INSERT: "creates, and refuses what exists",
    Mode.REPLACE: "also removes what the file does not hold, of each segment or category that it names",
    Mode.DELETE: "removes what the file names",
}
DELIMITER_HELP = (
    "of the values of a CSV file: a character, or tab (comma, semicolon or tab, as in the header);"
    " with several characters, such as ' - ', there are no quotes"
)
UPDATES = (
    " Of a row that exists an absent column keeps its value; an empty cell, or null in JSON Lines,"
    " empties it."
)
SAID_BY_NAME = ("created", "changed", "unchanged", "repeated", "removed", "refused")


def counted_rows(number: int) -> str:
    """Return so many rows as people write it."""
    return f"{number:,} {'row' if number == 1 else 'rows'}"


class ImportCommand(BaseCommand):
    """Imports a file of one kind. Exit status: 0 all rows applied, 1 some refused, 2 nothing done."""

    kind: ClassVar[ImportResource]
    requires_system_checks = []  # addresses and admin pages play no part

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        names = ", ".join(map(shown_name, cls.kind.columns))
        updates = UPDATES if cls.kind.is_updated_by_columns else ""
        cls.help = (
            f"Import {cls.kind.noun} from a CSV file (columns: {names}), a JSON Lines file or a JSON array,"
            f" which may be compressed with gzip or zstd.{updates} See docs/bulk-upserts.md. Exit status:"
            " 0 all rows applied, 1 some refused or the import stopped, 2 nothing done."
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="a file, or - for standard input")
        parser.add_argument("--tenant", required=True, help="the tenant's name")
        parser.add_argument(
            "--format",
            choices=[format.value for format in Format],
            help="csv, jsonl (one object a line) or json (an array), when the name does not tell",
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
        parser.add_argument(
            "--longest-lock",
            type=seconds,
            default=LONGEST_LOCK,
            metavar="SECONDS",
            help="apply nothing when one transaction, as of --atomic, holds what others write for longer"
            f" ({LONGEST_LOCK:g}, which is less than a write waits)",
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
        parser.add_argument(
            "--quiet", action="store_true", help="print only errors and refused rows; no progress, no summary"
        )
        parser.add_argument("--delimiter", type=delimiter, metavar="CHARACTER", help=DELIMITER_HELP)
        parser.add_argument(
            "--encoding", type=encoding, help="of the file, such as cp1252 (UTF-8, or as its byte order mark)"
        )
        parser.add_argument(
            "--map",
            type=renaming,
            action="append",
            default=[],
            metavar="NAME=COLUMN",
            help="read the file's column NAME as COLUMN, or leave it out (NAME=); may be given several times,"
            " also with the same NAME",
        )
        parser.add_argument(
            "--set",
            type=named_value,
            action="append",
            default=[],
            metavar="COLUMN=VALUE",
            help="give all rows VALUE in COLUMN, which the file does not have; may be given several times",
        )
        parser.add_argument(
            "--empty",
            type=named_value,
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="take VALUE in the CSV file's column NAME for an empty cell; may be given several times",
        )
        parser.add_argument(
            "--value",
            type=replaced_value,
            action="append",
            default=[],
            metavar="NAME=VALUE=NEW",
            help="take NEW for VALUE in the CSV file's column NAME; may be given several times",
        )
        parser.add_argument(
            "--columns",
            type=column_list,
            default=(),
            metavar="NAME,NAME",
            help="the names of the columns of a CSV file that has no header line",
        )
        parser.add_argument(
            "--comment", default="", metavar="CHARACTER", help="leave out lines that begin with it, such as #"
        )
        parser.add_argument(
            "--spreadsheet-safe",
            action="store_true",
            help="remove the ' before values that begin like numbers or formulas, as the export with this"
            " flag and exports of other systems write it",
        )
        parser.add_argument(
            "--ignore-unknown-columns", action="store_true", help="leave out columns that are unknown"
        )
        parser.add_argument(
            "--skip-rows-without",
            action="append",
            default=[],
            metavar="COLUMN",
            help="leave out rows that have nothing in COLUMN; may be given several times",
        )

    def handle(self, *, file: str, tenant: str, **options: Any) -> None:
        mode = self._mode(options)
        said = {name: options[name] for name in ("json", "quiet")}
        started = monotonic()
        with StopRequest().noticed() as stop:
            try:
                record = tenant_called(tenant).record
                with InputFile(file, encoding=options["encoding"]) as source:
                    order = self._order(source, record, mode, options)
                    with ImportProgress(source, is_quiet=options["quiet"]) as progress:
                        report = run_import(order, progress, stop)
                    self._answer(order, report, monotonic() - started, **said)
            except NothingToResume as error:  # a nightly --resume has nothing to do
                self._skip(error, **said)
            except DomainError as error:
                self._fail(error.code, error.message, as_json=options["json"])
            except DatabaseFailure as error:
                if not is_failure_of_server(error):
                    raise
                self._fail("server_failed", failure_in_words(error), as_json=options["json"])
            except KeyboardInterrupt:
                self._fail("stopped", "Stopped before anything was done.", as_json=options["json"])

    def _mode(self, options: dict[str, Any]) -> Mode:
        """Return the mode. Raises CommandError when the options contradict it, or each other."""
        if options["resume"] and options["dry_run"]:
            raise CommandError("A dry run has nothing to resume.", returncode=NOTHING_DONE)
        mode = Mode(options.get("mode", self.kind.modes[0]))
        if options.get("max_removed") and mode not in REMOVING_MODES:
            raise CommandError(
                f"--max-removed is for --mode replace and --mode delete; --mode {mode} removes nothing.",
                returncode=NOTHING_DONE,
            )
        return mode

    def _order(
        self, source: InputFile, tenant: TenantRecord, mode: Mode, options: dict[str, Any]
    ) -> ImportOrder:
        """Return what the options ask for."""
        return ImportOrder(
            kind=self.kind,
            tenant=tenant,
            file=source,
            format=Format(options["format"]) if options["format"] else None,
            mode=mode,
            dry_run=options["dry_run"],
            is_atomic=options["atomic"],
            resumes=options["resume"],
            batch_size=options["batch_size"],
            max_rejects=options["max_rejects"],
            longest_lock=options["longest_lock"],
            max_removed=options.get("max_removed") or RemovalLimit(),
            rejects_path=options["rejects"],
            reading=ReadingOptions(
                delimiter=options["delimiter"] or "",
                renamed=tuple(options["map"]),
                constants=tuple(options["set"]),
                replaced=(*((name, value, "") for name, value in options["empty"]), *options["value"]),
                columns=options["columns"],
                comment=options["comment"],
                is_safe=options["spreadsheet_safe"],
                ignores_unknown=options["ignore_unknown_columns"],
                skipped_without=tuple(options["skip_rows_without"]),
                languages=tenant.languages,
            ),
        )

    def _skip(self, reason: DomainError, *, json: bool, quiet: bool) -> None:
        if json:
            self.stdout.write(orjson.dumps({"run": None, "message": reason.message}).decode())
        elif not quiet:
            self.stdout.write(reason.message)

    def _fail(self, code: str, message: str, *, as_json: bool) -> NoReturn:
        if as_json:
            self.stdout.write(orjson.dumps({"error": code, "message": message}).decode())
        raise CommandError(message, returncode=NOTHING_DONE)

    def _answer(self, order: ImportOrder, report: Report, seconds: float, *, json: bool, quiet: bool) -> None:
        status = exit_status(report)
        if json:
            self.stdout.write(orjson.dumps(_as_json(order, report, seconds)).decode())
        else:
            if not quiet:
                self._tell(order, report, seconds)
            if report.first_refusals:
                self._show_refusals(order, report)
        if report.error is not None:
            raise CommandError(report.error.message, returncode=status)
        if status != ALL_APPLIED:
            sys.exit(status)

    def _tell(self, order: ImportOrder, report: Report, seconds: float) -> None:
        total = report.total
        verb = "would be " if order.dry_run else ""
        counts = [f"{getattr(total, name):,} {verb}{name}" for name in SAID_BY_NAME if getattr(total, name)]
        rate = total.rows / seconds if seconds else 0
        self.stdout.write(
            f"{counted_rows(total.rows)}: {', '.join(counts) or 'nothing to do'}"
            f" ({seconds:.1f} s, {rate:,.0f} rows a second)."
        )
        for code, count in sorted(total.reasons.items()):
            self.stdout.write(f"  {code}: {count:,}")
        for name, count in sorted(total.emptied.items()):
            self.stdout.write(f"{name} would be emptied in {counted_rows(count)}.")
        if unread := report.unread.count:
            lines = ", ".join(f"{line:,}" for line, _ in report.unread.first)
            more = ", ..." if unread > len(report.unread.first) else ""
            units = "Entries" if report.format.unit == "Entry" else "Lines"
            self.stdout.write(f"{units} that could not be read: {unread:,} ({lines}{more}).")
        if report.run is not None:
            self.stdout.write(f"This was import {report.run.pk}.")

    def _show_refusals(self, order: ImportOrder, report: Report) -> None:
        unit = report.format.unit
        for refusal in report.first_refusals:
            self.stdout.write(f"{unit} {refusal.line:,}: {refusal.message}")
        more = report.total.refused - len(report.first_refusals)
        if more > 0:
            where = f"see {order.rejects_path}" if order.rejects_path else "--rejects FILE writes all of them"
            self.stdout.write(f"{more:,} more refused {'row' if more == 1 else 'rows'}: {where}.")


def exit_status(report: Report) -> int:
    """Return 0 when all rows were applied, 1 when some were refused, 2 when nothing was done."""
    if not report.total.refused and report.error is None:
        return ALL_APPLIED
    return SOME_REFUSED if report.total.applied else NOTHING_DONE


def _as_json(order: ImportOrder, report: Report, seconds: float) -> dict[str, object]:
    total = report.total
    answer: dict[str, object] = {
        "run": report.run.pk if report.run else None,
        "kind": order.kind.name,
        "file": order.file.name,
        "tenant": order.tenant.name,
        "startedAt": format_time(report.started_at),
        "mode": order.mode,
        "dryRun": order.dry_run,
        "rows": total.rows,
        **{name: getattr(total, name) for name in SAID_BY_NAME},
        "refusedByReason": dict(sorted(total.reasons.items())),
        "firstRefusals": [
            {"line": refusal.line, "reason": refusal.code, "message": refusal.message}
            for refusal in report.first_refusals
        ],
        "unreadLines": report.unread.count,
        "firstUnreadLines": [line for line, _ in report.unread.first],
        "seconds": round(seconds, 3),
    }
    if order.dry_run:
        answer["emptied"] = dict(sorted(total.emptied.items()))
    if report.error is not None:
        answer |= {"error": report.error.code, "message": report.error.message}
    return answer


class ExportCommand(BaseCommand):
    """Exports all rows of one kind of a tenant to a file that the import takes."""

    kind: ClassVar[ImportResource]
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
            help="csv, jsonl (one object a line) or json (an array), when the name does not tell",
        )
        parser.add_argument(
            "--bom", action="store_true", help="begin a CSV file with a byte order mark, which Excel asks for"
        )
        parser.add_argument(
            "--spreadsheet-safe",
            action="store_true",
            help="put ' before CSV values that a spreadsheet takes for formulas; the import of such a file"
            " takes the same flag",
        )

    def handle(self, *, file: str, tenant: str, **options: Any) -> None:
        chosen = Format(options["format"]) if options["format"] else format_of_name(file) or Format.CSV
        try:
            record = tenant_called(tenant).record
            with output_file(file) as stream:
                count = write_documents(
                    stream,
                    exported_documents(self.kind.export, record),
                    format=chosen,
                    columns=self.kind.columns,
                    languages=used_languages(self.kind.export, record, self.kind.columns),
                    has_mark=options["bom"],
                    is_safe=options["spreadsheet_safe"],
                )
        except DomainError as error:
            raise CommandError(error.message, returncode=NOTHING_DONE) from error
        except DatabaseFailure as error:
            if not is_failure_of_server(error):
                raise
            raise CommandError(failure_in_words(error), returncode=NOTHING_DONE) from error
        self.stderr.write(f"{count:,} {self.kind.noun} exported.", self.style.SUCCESS)


class ImportProgress:
    """Tells standard error how far an import is: by a bar on a terminal, else by a line for each batch."""

    def __init__(self, file: InputFile, *, is_quiet: bool = False) -> None:
        self.file = file
        self.is_quiet = is_quiet
        self.started = monotonic()
        self.rows = 0
        self.shows_bar = sys.stderr.isatty() and not is_quiet
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

    def waiting(self, message: str) -> None:
        """Print what the import waits for."""
        if not self.is_quiet:
            sys.stderr.write(f"{message}\n")

    def committed(self, line: int, total: Tally) -> None:
        """A batch is done, up to this line."""
        if not self.shows_bar and not self.is_quiet:
            done = min(100, 100 * self.file.position // max(self.file.size, 1))
            rate = self.rows / (monotonic() - self.started)
            sys.stderr.write(
                f"line {line:,}: {counted_rows(total.rows)}, {total.refused:,} refused, {done}% read,"
                f" {rate:,.0f} rows a second\n"
            )
