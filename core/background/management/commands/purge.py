import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from core.background.retention import registered_retentions
from core.background.tasks import SLICE_ROWS

UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def age(text: str) -> timedelta:
    """Return the duration that a text such as 30d, 12h or 90m means."""
    found = re.fullmatch(r"(\d{1,6})([dhm])", text.strip().lower(), re.ASCII)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is not an age; write 30d, 12h or 90m")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def in_words(duration: timedelta) -> str:
    days, rest = divmod(duration, timedelta(days=1))
    return f"{days}d" if not rest else f"{int(duration.total_seconds() // 3600)}h"


class Command(BaseCommand):
    help = (
        "Delete what is kept for a limited time only. The background worker does it every hour with the ages"
        " that are named here; this command does it now, and for another age. Examples: purge;"
        " purge rejects runs --older-than 7d"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = registered_retentions()
        listed = ", ".join(f"{kind.name} ({kind.noun}: {in_words(kind.keep)})" for kind in kinds.values())
        parser.add_argument(
            "kinds", nargs="*", metavar="kind", help=f"What to delete: {listed}. Default: all."
        )
        parser.add_argument(
            "--older-than", type=age, metavar="AGE", help="Delete what is older, such as 30d or 12h."
        )

    def handle(
        self, *, kinds: list[str], older_than: timedelta | None, verbosity: int, **options: object
    ) -> None:
        known = registered_retentions()
        if unknown := [kind for kind in kinds if kind not in known]:
            raise CommandError(f"There is no kind {unknown[0]}; there are {', '.join(known)}.")
        if older_than is not None and not kinds:
            raise CommandError("Name the kinds that --older-than is about, for example: purge rejects")
        at = timezone.now()
        for kind in kinds or known:
            retention = known[kind]
            before = at - (retention.keep if older_than is None else older_than)
            count = deleted = retention.delete(before, SLICE_ROWS)
            while deleted >= SLICE_ROWS:
                deleted = retention.delete(before, SLICE_ROWS)
                count += deleted
                if verbosity > 1:
                    self.stdout.write(f"{kind}: {count:,} deleted so far")
            self.stdout.write(f"{kind}: deleted {count:,} {retention.noun}")
