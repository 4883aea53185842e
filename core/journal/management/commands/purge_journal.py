import re
from argparse import ArgumentTypeError
from datetime import timedelta

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from core.journal.past import journal_beginning
from core.journal.purging import purge
from core.timestamps import format_time


def days(text: str) -> timedelta:
    """Read a time span such as 400d."""
    found = re.fullmatch(r"(\d{1,5})d", text.strip())
    if not found:
        raise ArgumentTypeError(f"{text!r} is no number of days; write 400d for 400 days.")
    return timedelta(days=int(found[1]))


class Command(BaseCommand):
    help = (
        "Drop the months of the journal that ended before a time span, for example --older-than 400d. "
        "Histories and reads of the past (asOf) then begin with the oldest month that is left. "
        "It cannot be taken back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than", type=days, required=True, metavar="DAYS", help="a number of days, such as 400d"
        )

    def handle(self, *, older_than: timedelta, **options: object) -> None:
        dropped = purge(timezone.now() - older_than)
        months = ", ".join(name.removeprefix("journal_change_").replace("_", "-") for name in dropped)
        self.stdout.write(f"Dropped {months or 'nothing'}.")
        self.stdout.write(f"The journal begins at {format_time(journal_beginning())}.")
