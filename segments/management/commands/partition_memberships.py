from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from core.errors import DomainError
from core.unavailability import failure_in_words
from segments import partitioning


def number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least:,} to {most:,}")
        return int(text)

    return read


class Command(BaseCommand):
    help = (
        "Partition the members of segments by a hash of the customer, while the service runs; for tables of"
        " 100 million rows and more. Run it again after it was interrupted: it goes on where it was. See"
        " docs/large-tables.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--partitions",
            type=number(2, 256),
            metavar="N",
            help=f"Into how many; cannot be changed later. Default: {partitioning.PARTITIONS}.",
        )
        parser.add_argument(
            "--slice-rows",
            type=number(1, 100_000),
            default=partitioning.SLICE,
            metavar="N",
            help="Rows copied in one transaction, whose writers wait meanwhile. Default: %(default)s.",
        )
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument(
            "--dry-run", action="store_true", help="Say how far it is and what would be done, and do nothing."
        )
        instead.add_argument(
            "--undo", action="store_true", help="Remove the unfinished copy; the table stays as it is."
        )
        instead.add_argument(
            "--drop-old",
            action="store_true",
            help="Drop the former table, after the new one has proved itself.",
        )

    def handle(self, **options: Any) -> None:
        try:
            if options["dry_run"]:
                self._say_what_would_be_done(options["partitions"])
            elif options["undo"]:
                partitioning.undo_partitioning(self._tell)
            elif options["drop_old"]:
                partitioning.drop_old(self._tell)
            else:
                partitioning.partition_memberships(
                    options["partitions"], slice_rows=options["slice_rows"], tell=self._tell
                )
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        except OperationalError as error:
            raise CommandError(failure_in_words(error)) from error

    def _tell(self, message: str) -> None:
        self.stdout.write(message)
        self.stdout.flush()

    def _say_what_would_be_done(self, partitions: int | None) -> None:
        found = partitioning.state()
        self._tell(found.words())
        if found.is_partitioned:
            return
        for reason in partitioning.obstacles():
            self._tell(f"In the way: {reason}.")
        count = found.partitions if found.has_copy else partitions or partitioning.PARTITIONS
        self._tell(
            f"It would be copied into {count} partitions, which takes as much room again"
            f" ({found.size / 1e6:,.0f} MB, and as much of the log), and change its name with the copy."
        )
