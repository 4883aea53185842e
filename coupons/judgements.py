"""How often coupons are found valid or refused, counted in memory and written every few seconds.

Validations write nothing themselves. A worker that is killed loses the counts of its last seconds, which
nothing but reports depends on.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime

from django.db import transaction

from core.background.buffers import register_buffer
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute
from coupons.models import JudgementCount
from coupons.reasons import Reason
from coupons.report_counts import COLUMNS, LEVELS

MOST_GATHERED = 100_000
"""Counts that are kept while the database is away; more are dropped."""

Key = tuple[date, int, str]


class JudgementBuffer:
    """Counts of one process, safe for its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Key] = Counter()

    def add(self, coupon_id: int, reasons: Iterable[Reason], *, at: datetime) -> None:
        """Count a judgement about a coupon (of a campaign's codes: its terms) at `at`."""
        types = {reason.type.value for reason in reasons}
        outcomes = [JudgementCount.REFUSED, *types] if types else [JudgementCount.VALID]
        with self._lock:
            if len(self._counts) < MOST_GATHERED:
                for outcome in outcomes:
                    self._counts[at.date(), coupon_id, outcome] += 1

    def clear(self) -> None:
        """Forget what was counted."""
        with self._lock:
            self._counts.clear()

    def flush(self) -> None:
        """Write the counts in one statement; they are kept when it fails."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            write_counts(counts)
        except BaseException:
            with self._lock:
                self._counts.update(counts)
            raise


@transaction.atomic
def write_counts(counts: Counter[Key]) -> None:
    """Add the counts to those stored; coupons that are gone are left out."""
    rows = sorted(counts.items())  # workers lock the same rows in the same order
    keys = param(sorted({key[1] for key, _ in rows}), "bigint[]")
    # no segment of them changes until the end, so that their counts are those of the segments that are read
    execute(sql("SELECT FROM coupons_coupon WHERE id = ANY({keys}) ORDER BY id FOR KEY SHARE", keys=keys))
    execute(
        sql(
            "WITH given AS MATERIALIZED ("
            "SELECT coupon.tenant_id, given.coupon_id, given.day, given.outcome, given.count"
            " FROM unnest({days}, {coupons}, {outcomes}, {counts}) AS given (day, coupon_id, outcome, count)"
            " JOIN coupons_coupon AS coupon ON coupon.id = given.coupon_id"
            "), counted AS (SELECT tenant_id, coupon_id, day, outcome AS kind, '' AS currency,"
            " count AS number, 0 AS amount FROM given"
            "), reported AS (INSERT INTO coupons_reportcount ({columns}) {levels})"
            " INSERT INTO coupons_judgementcount AS stored (tenant_id, coupon_id, day, outcome, count)"
            " SELECT tenant_id, coupon_id, day, outcome, count FROM given"
            " ORDER BY tenant_id, day, coupon_id, outcome"
            " ON CONFLICT (tenant_id, day, coupon_id, outcome)"
            " DO UPDATE SET count = stored.count + EXCLUDED.count",
            columns=Sql(COLUMNS),
            levels=Sql(LEVELS),
            days=param([key[0] for key, _ in rows], "date[]"),
            coupons=param([key[1] for key, _ in rows], "bigint[]"),
            outcomes=param([key[2] for key, _ in rows], "text[]"),
            counts=param([count for _, count in rows], "bigint[]"),
        )
    )


JUDGEMENTS = JudgementBuffer()
register_buffer("judgements of coupons", JUDGEMENTS.flush)
