from argparse import ArgumentParser
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.imports.commands import ALL_APPLIED, NOTHING_DONE, SOME_REFUSED
from accounts.imports.undoing import Undone, undo_import
from accounts.models import ImportRun
from catalog.imports.category_assignment_files import PRODUCTS_IN_CATEGORIES
from core.errors import DomainError
from segments.imports.assignment_files import ITEMS_OF_SEGMENTS, MEMBERS_OF_SEGMENTS

KINDS = {kind.name: kind for kind in (MEMBERS_OF_SEGMENTS, ITEMS_OF_SEGMENTS, PRODUCTS_IN_CATEGORIES)}


class Command(BaseCommand):
    """Puts back what an import of assignments did. Exit status: 0 all of it, 1 some of it, 2 nothing."""

    help = "Undo an import of assignments, as far as nobody else has changed the rows since."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", type=int, help="the import's number, as the import and the admin tell it")
        parser.add_argument("--json", action="store_true", help="answer with one JSON object")

    def handle(self, *, run: int, **options: Any) -> None:
        stored = ImportRun.objects.filter(pk=run).first()
        if stored is None:
            raise CommandError(f"There is no import {run}.", returncode=NOTHING_DONE)
        kind = KINDS.get(stored.kind)
        if kind is None:
            raise CommandError(
                f"Import {run} is of {stored.kind}; only assignments can be undone.", returncode=NOTHING_DONE
            )
        try:
            undone = undo_import(run=stored, kind=kind, at=timezone.now())
        except DomainError as error:
            raise CommandError(error.message, returncode=NOTHING_DONE) from error
        self.stdout.write(in_json(run, undone) if options["json"] else in_words(run, undone))
        status = exit_status(undone)
        if status != ALL_APPLIED:
            raise SystemExit(status)


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
        lines += [f"  {row.document or f'row {row.row_id}'}: {row.reason}" for row in undone.kept]
    return "\n".join(lines)
