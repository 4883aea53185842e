from argparse import ArgumentParser
from typing import Any, NoReturn

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.utils import timezone

from core.errors import DomainError, NotFound
from core.imports.commands import ALL_APPLIED, NOTHING_DONE, SOME_REFUSED, counted_rows
from core.imports.models import ImportRun
from core.imports.undo import undo_import
from core.journal.undo.changes import Undone
from core.unavailability import failure_in_words

ROWS_IN_WORDS = 100
REPORTED_FROM = 20_000  # rows


class Command(BaseCommand):
    """Puts back what an import did. Exit status: 0 all of it, 1 some of it, 2 nothing."""

    help = (
        "Undo an import of any kind, as far as nobody else has changed the rows since. It is done in batches;"
        " stopped or killed, it goes on when it is started again, or when a background worker finds it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="the import's number, as the import and the admin show it")
        parser.add_argument("--json", action="store_true", help="answer with one JSON object")

    def handle(self, *, run: int, **options: Any) -> None:
        try:
            stored = ImportRun.objects.filter(pk=run).first()
            if stored is None:
                raise NotFound(f"There is no import {run}.")
            undone = undo_import(run=stored, clock=timezone.now, report=self._report)
        except DomainError as error:
            self._fail(error.code, error.message, as_json=options["json"])
        except OperationalError as error:
            self._fail("server_failed", failure_in_words(error), as_json=options["json"])
        self.stdout.write(in_json(run, undone) if options["json"] else in_words(run, undone))
        status = exit_status(undone)
        if status != ALL_APPLIED:
            raise SystemExit(status)

    def _report(self, undone: Undone) -> None:
        if undone.total >= REPORTED_FROM:
            self.stderr.write(f"{undone.total:,} rows are taken back, {undone.total_left:,} left alone.")

    def _fail(self, code: str, message: str, *, as_json: bool) -> NoReturn:
        if as_json:
            self.stdout.write(orjson.dumps({"error": code, "message": message}).decode())
        raise CommandError(message, returncode=NOTHING_DONE)


def exit_status(undone: Undone) -> int:
    if not undone.total_left:
        return ALL_APPLIED
    return SOME_REFUSED if undone.total else NOTHING_DONE


def counts(undone: Undone) -> tuple[int, int, int]:
    """Return how many rows were deleted, restored and made again."""
    by_kind = dict.fromkeys(("created", "updated", "deleted"), 0)
    for (_, kind), count in undone.taken_back.items():
        by_kind[kind] += count
    return by_kind["created"], by_kind["updated"], by_kind["deleted"]


def in_json(run: int, undone: Undone) -> str:
    deleted, restored, made_again = counts(undone)
    return orjson.dumps(
        {
            "run": run,
            "deleted": deleted,
            "restored": restored,
            "madeAgain": made_again,
            "keptCount": undone.total_left,
            "kept": undone.left_alone,
        }
    ).decode()


def in_words(run: int, undone: Undone) -> str:
    deleted, restored, made_again = counts(undone)
    lines = [
        f"Import {run} is undone: {counted_rows(deleted)} that it created"
        f" {'is' if deleted == 1 else 'are'} deleted,"
        f" {restored:,} are as they were before, {made_again:,} that it removed are back."
    ]
    if undone.total_left:
        lines.append(f"{counted_rows(undone.total_left)} could not be put back:")
        named = [
            (f"{entry['object']['type']} {entry['object']['id']}{name and f': {name}'}", entry["reason"])
            for entry in undone.left_alone
            for name in entry.get("members", [""]) or [counted_rows(entry["count"])]
        ]
        lines += [f"  {row}: {reason}" for row, reason in named[:ROWS_IN_WORDS]]
        if undone.total_left > min(len(named), ROWS_IN_WORDS):
            lines.append(f"  and {undone.total_left - min(len(named), ROWS_IN_WORDS):,} more")
    return "\n".join(lines)
