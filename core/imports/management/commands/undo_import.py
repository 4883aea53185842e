from argparse import ArgumentParser
from typing import Any, NoReturn

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.utils import timezone

from core.actors import with_source
from core.errors import DomainError, NotFound
from core.imports.commands import ALL_APPLIED, NOTHING_DONE, SOME_REFUSED
from core.imports.models import ImportRun
from core.imports.resources import registered_resources
from core.imports.undo import NotUndoable, Undone, undo_import
from core.unavailability import failure_in_words

ROWS_IN_WORDS = 100


class Command(BaseCommand):
    """Puts back what an import of assignments did. Exit status: 0 all of it, 1 some of it, 2 nothing."""

    help = "Undo an import of assignments, as far as nobody else has changed the rows since."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="the import's number, as the import and the admin tell it")
        parser.add_argument("--json", action="store_true", help="answer with one JSON object")

    def handle(self, *, run: int, **options: Any) -> None:
        try:
            undone = self._undo(run)
        except DomainError as error:
            self._fail(error.code, error.message, as_json=options["json"])
        except OperationalError as error:
            self._fail("server_failed", failure_in_words(error), as_json=options["json"])
        self.stdout.write(in_json(run, undone) if options["json"] else in_words(run, undone))
        status = exit_status(undone)
        if status != ALL_APPLIED:
            raise SystemExit(status)

    def _undo(self, number: int) -> Undone:
        run = ImportRun.objects.filter(pk=number).first()
        if run is None:
            raise NotFound(f"There is no import {number}.")
        kind = registered_resources().get(run.kind)
        if kind is None or not kind.is_undoable:
            raise NotUndoable(f"Import {number} is of {run.kind}; only assignments can be undone.")
        with with_source("undo-import", str(run.pk)):
            return undo_import(run=run, kind=kind, at=timezone.now())

    def _fail(self, code: str, message: str, *, as_json: bool) -> NoReturn:
        if as_json:
            self.stdout.write(orjson.dumps({"error": code, "message": message}).decode())
        raise CommandError(message, returncode=NOTHING_DONE)


def exit_status(undone: Undone) -> int:
    if not undone.kept:
        return ALL_APPLIED
    return SOME_REFUSED if undone.deleted or undone.restored or undone.made_again else NOTHING_DONE


def in_json(run: int, undone: Undone) -> str:
    return orjson.dumps(
        {
            "run": run,
            "deleted": undone.deleted,
            "restored": undone.restored,
            "madeAgain": undone.made_again,
            "kept": [
                {"row": orjson.loads(row.document or "null"), "key": row.row_id, "reason": row.reason}
                for row in undone.kept
            ],
        }
    ).decode()


def in_words(run: int, undone: Undone) -> str:
    lines = [
        f"Import {run} is undone: {undone.deleted:,} rows that it created are deleted,"
        f" {undone.restored:,} are as they were before, {undone.made_again:,} that it removed are back."
    ]
    if undone.kept:
        lines.append(f"{len(undone.kept):,} rows could not be put back:")
        shown = undone.kept[:ROWS_IN_WORDS]
        lines += [f"  {row.document or f'row {row.row_id}'}: {row.reason}" for row in shown]
        if len(undone.kept) > len(shown):
            lines.append(f"  and {len(undone.kept) - len(shown):,} more")
    return "\n".join(lines)
