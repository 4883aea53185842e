from argparse import ArgumentParser
from typing import NoReturn

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.utils import timezone

from core.background.models import Job
from core.errors import DomainError
from core.journal.undo.changes import Undone
from core.journal.undo.jobs import undo_in_slices
from core.journal.undo.plans import UndoPlan, plan_undo, try_undo, undo_change
from core.unavailability import failure_in_words

SHOWN = 100


class Command(BaseCommand):
    """Takes one change back. Exit status: 0 all of it, 1 some of it, 2 nothing."""

    help = (
        "Take a change back that the journal recorded: the opposite is written, where the rows are still as"
        " that change left them. What has changed since is listed and not touched. The undo is a change too,"
        " with the source 'undo <id>', and can be taken back. Ids are shown by the histories. What is"
        " large is taken back slice by slice, as a job: run again after it was interrupted, the command goes"
        " on with that, unless background workers have finished it."
    )

    reported = 0

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("change", type=int, help="the id of the change, as a history shows it")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
        parser.add_argument("--json", action="store_true", help="answer with one JSON object")

    def handle(self, *, change: int, dry_run: bool, json: bool, **options: object) -> None:
        at = timezone.now()
        try:
            plan = plan_undo(change, tenant_id=None, at=at)
            if dry_run:
                undone = try_undo(plan, at=at)
            elif plan.steps == 1:
                undone = undo_change(plan, at=at)
            else:
                undone = undo_in_slices(plan, at=at, report=self._report)
        except DomainError as error:
            self._fail(error.code, error.message, as_json=json)
        except OperationalError as error:
            self._fail("server_failed", failure_in_words(error), as_json=json)
        if json:
            self.stdout.write(orjson.dumps({"change": plan.change.id, **undone.as_json()}).decode())
        else:
            self.stdout.write(in_words(plan, undone, dry_run=dry_run))
        if undone.left_alone:
            raise SystemExit(1 if undone.total else 2)

    def _report(self, job: Job) -> None:
        done = job.progress.get("steps", 0)
        if done > self.reported:
            self.reported = done
            self.stderr.write(f"Step {done:,} of {job.progress['ofSteps']:,} is done.")

    def _fail(self, code: str, message: str, *, as_json: bool) -> NoReturn:
        if as_json:
            self.stdout.write(orjson.dumps({"error": code, "message": message}).decode())
        raise CommandError(message, returncode=2)


def in_words(plan: UndoPlan, undone: Undone, *, dry_run: bool) -> str:
    verb = "would be taken back" if dry_run else "taken back"
    lines = [f"Change {plan.change.id}: {undone.total:,} rows {verb}, {undone.total_left:,} left alone."]
    lines += [
        f"  {count:,} {name} that were {kind}" for (name, kind), count in sorted(undone.taken_back.items())
    ]
    for entry in undone.left_alone[:SHOWN]:
        name = entry["object"]
        named = ", ".join(entry.get("members", ())) or name["id"] or f"change {entry['changeId']}"
        lines.append(f"  left alone: {name['type']} {named} ({entry['count']:,}): {entry['reason']}")
    if len(undone.left_alone) > SHOWN:
        lines.append(f"  and {len(undone.left_alone) - SHOWN:,} more; --json lists all of them")
    return "\n".join(lines)
