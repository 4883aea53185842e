"""What triggers and background tasks do for the counts that reports read (coupons.models.ReportCount).

A redemption adds nothing: as long as its change is one of the journal's recent ones, reports count the change
itself, and when it settles it is added for the coupon and for each of its segments. Other writes add by their
triggers, as little as possible: rows of ReportAddition, which has no index and no foreign key. What all
coupons have together is the sum of the rows of coupons; a background task writes it down.
"""

from datetime import datetime
from typing import Final

from core.journal.copying import row_made
from core.journal.declarations import Statements, if_stored
from core.journal.partitions import JOURNAL, RECENT
from core.sql.composition import Sql, integer, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.locks import Lock

MERGED_AT_ONCE: Final = 20_000

KEY: Final = "tenant_id, coupon_id, segment, day, kind, currency"
COLUMNS: Final = f"{KEY}, count, amount"
SUMMED: Final = f"SELECT {COLUMNS} FROM"
STORED: Final = f"""{SUMMED} coupons_reportcount
    UNION ALL {SUMMED} coupons_reportaddition
    UNION ALL SELECT tenant_id, 0::bigint, ''::varchar, day, kind, currency, count, amount
    FROM coupons_reportaddition WHERE segment = ''"""
TERMS_OF_GONE: Final = f"""(SELECT (gone.before ->> 'terms_id')::bigint FROM {JOURNAL} AS gone
            WHERE gone.tenant_id = change.tenant_id AND gone.object = 'coupon' AND gone.key = change.owner_key
                AND gone.kind = 'deleted' ORDER BY gone.id DESC LIMIT 1)"""
"""The terms of a code that is no more: that its use was deleted before has been counted for them."""
REDEMPTION_MADE: Final = row_made(
    "coupons_redemption",
    {"redeemed_at": "timestamptz", "discount_currency": "text", "discount_amount": "numeric"},
)
RECENTLY: Final = f"""SELECT change.tenant_id,
        coalesce(
            coupon.terms_id,
            CASE WHEN coupon.id IS NULL THEN {TERMS_OF_GONE} END,
            change.owner_key
        ) AS coupon_id,
        (redemption.redeemed_at AT TIME ZONE 'UTC')::date AS day, 'redeemed' AS kind,
        redemption.discount_currency AS currency, 1 AS number, redemption.discount_amount AS amount
    FROM {RECENT} AS change LEFT JOIN coupons_coupon AS coupon ON coupon.id = change.owner_key
        CROSS JOIN LATERAL {REDEMPTION_MADE} AS redemption
    WHERE change.object = 'redemption' AND change.kind = 'created'"""
"""Redemptions that are counted by their changes."""
COUNTED: Final = f"""({STORED}
    UNION ALL SELECT recent.tenant_id, level.coupon_id, level.segment, recent.day, recent.kind,
        recent.currency, recent.number, recent.amount
    FROM ({RECENTLY}) AS recent CROSS JOIN LATERAL (
        SELECT recent.coupon_id, '' UNION ALL SELECT 0, ''
        UNION ALL SELECT 0, restriction.segment_external_id
        FROM coupons_couponsegment AS restriction WHERE restriction.coupon_id = recent.coupon_id
    ) AS level (coupon_id, segment))"""
"""The rows whose sums are what a report says."""

GROUPED: Final = """counted AS (
        SELECT tenant_id, coupon_id, day, kind, currency, sum(number) AS number, sum(amount) AS amount
        FROM ({rows}) AS given GROUP BY tenant_id, coupon_id, day, kind, currency
    )"""
ADDED: Final = """SELECT tenant_id, coupon_id, '', day, kind, currency, number, amount
        FROM counted WHERE number <> 0 OR amount <> 0
        UNION ALL SELECT counted.tenant_id, 0, restriction.segment_external_id, counted.day, counted.kind,
            counted.currency, sum(counted.number), sum(counted.amount)
        FROM counted JOIN coupons_couponsegment AS restriction ON restriction.coupon_id = counted.coupon_id
        GROUP BY counted.tenant_id, restriction.segment_external_id, counted.day, counted.kind,
            counted.currency
        HAVING sum(counted.number) <> 0 OR sum(counted.amount) <> 0"""
"""What `counted` (tenant_id, coupon_id, day, kind, currency, number, amount) adds: for coupons, and for each
of their segments."""
LEVELS: Final = f"""{ADDED}
        UNION ALL SELECT tenant_id, 0, '', day, kind, currency, sum(number), sum(amount)
        FROM counted GROUP BY tenant_id, day, kind, currency HAVING sum(number) <> 0 OR sum(amount) <> 0"""
"""The same, and for all coupons together."""
# For one row, grouping takes longer than all the rest.
ADD = f"""    IF rows_written = 1 THEN
        INSERT INTO coupons_reportaddition ({COLUMNS})
        SELECT given.tenant_id, level.coupon_id, level.segment, given.day, given.kind, given.currency,
            given.number, given.amount
        FROM ({{rows}}) AS given CROSS JOIN LATERAL (
            SELECT given.coupon_id, '' UNION ALL SELECT 0, restriction.segment_external_id
            FROM coupons_couponsegment AS restriction WHERE restriction.coupon_id = given.coupon_id
        ) AS level (coupon_id, segment);
    ELSE
        INSERT INTO coupons_reportaddition ({COLUMNS})
        WITH {GROUPED}
        {ADDED};
    END IF;
"""
ADD_FORMERLY = f"""    INSERT INTO coupons_reportcount ({COLUMNS}) WITH {GROUPED} {LEVELS};
"""
# A use that settled meanwhile would be counted for the former segments. Whoever deletes a use meanwhile is
# waited for, and waits at the key of the coupon, so that this is counted either by their trigger or here.
MOVE = f"""    PERFORM pg_advisory_xact_lock_shared({int(Lock.SETTLING)}, 0);
    PERFORM FROM coupons_coupon WHERE id IN (SELECT coupon_id FROM {{any_source}})
    ORDER BY id FOR UPDATE;
    INSERT INTO coupons_reportcount ({COLUMNS})
    SELECT stored.tenant_id, 0, it.segment_external_id, stored.day, stored.kind, stored.currency,
        sum(it.sign * stored.count), sum(it.sign * stored.amount)
    FROM ({{rows}}) AS it JOIN {{counted}} AS stored
        ON stored.tenant_id = it.tenant_id AND stored.coupon_id = it.coupon_id AND stored.segment = ''
    GROUP BY stored.tenant_id, it.segment_external_id, stored.day, stored.kind, stored.currency
    HAVING sum(it.sign * stored.count) <> 0 OR sum(it.sign * stored.amount) <> 0;
"""
# A coupon that holds the terms of a campaign is no code that was issued.
ISSUED = """SELECT it.tenant_id, coalesce(it.terms_id, it.id) AS coupon_id,
        (it.created_at AT TIME ZONE 'UTC')::date AS day, 'issued' AS kind, '' AS currency,
        {sign} AS number, 0 AS amount
    FROM {source} AS it WHERE it.terms_id IS DISTINCT FROM it.id"""
REDEEMED = """SELECT it.tenant_id, coalesce(coupon.terms_id, coupon.id) AS coupon_id,
        (it.redeemed_at AT TIME ZONE 'UTC')::date AS day, 'redeemed' AS kind,
        it.discount_currency AS currency, {sign} AS number, {sign} * it.discount_amount AS amount
    FROM {source} AS it JOIN coupons_coupon AS coupon ON coupon.id = it.coupon_id"""
SIGNED = {"INSERT": {"changed": 1}, "DELETE": {"before": -1}, "UPDATE": {"changed": 1, "before": -1}}
# Nothing that is counted changes with the counter of uses, nor when a segment is deleted.
IF_MOVED = """    IF EXISTS (SELECT FROM before AS was JOIN changed AS it USING (id)
        WHERE ({columns}) IS DISTINCT FROM ({new})) THEN
{statements}    END IF;
"""


def if_moved(statements: str, *columns: str) -> str:
    """Return the statements of an UPDATE for the case that one of the columns has changed."""
    old, new = (", ".join(f"{alias}.{name}" for name in columns) for alias in ("was", "it"))
    return IF_MOVED.format(columns=old, new=new, statements=statements)


def counting(rows: str) -> Statements:
    """Return the statements that count rows for their coupon and the coupon's segments."""
    given = {
        event: " UNION ALL ".join(rows.format(source=source, sign=sign) for source, sign in signs.items())
        for event, signs in SIGNED.items()
    }
    return if_stored(
        "coupons_reportaddition",
        {event: ADD.format(rows=one) for event, one in given.items()},
        {event: ADD_FORMERLY.format(rows=one) for event, one in given.items()},
    )


def moving() -> Statements:
    """Return the statements that count what a coupon has for the segments that it gets and loses."""

    def statements(counted: str) -> Statements:
        return {
            event: MOVE.format(
                any_source=next(iter(signs)),
                counted=counted,
                rows=" UNION ALL ".join(
                    f"SELECT tenant_id, coupon_id, segment_external_id, {sign} AS sign FROM {source}"
                    for source, sign in signs.items()
                ),
            )
            for event, signs in SIGNED.items()
        }

    return if_stored("coupons_reportaddition", statements(f"({STORED})"), statements("coupons_reportcount"))


OF_REDEMPTIONS: Statements = {
    **counting(REDEEMED),
    **if_stored(RECENT, {"INSERT": ""}, {"INSERT": counting(REDEEMED)["INSERT"]}),
}
OF_COUPONS: Statements = {
    **counting(ISSUED),
    "UPDATE": if_moved(counting(ISSUED)["UPDATE"], "created_at", "terms_id"),
}
OF_RESTRICTIONS: Statements = {
    **moving(),
    "UPDATE": if_moved(moving()["UPDATE"], "coupon_id", "segment_external_id"),
}


def count_settling(ids: Sql) -> None:
    """Add what reports have counted by the changes of these ids until now."""
    execute(
        sql(
            "INSERT INTO coupons_reportaddition ({columns}) WITH {grouped} {added}",
            columns=Sql(COLUMNS),
            grouped=sql(
                GROUPED, rows=sql("{recently} AND change.id = ANY({ids})", recently=Sql(RECENTLY), ids=ids)
            ),
            added=Sql(ADDED),
        )
    )


def merge_counts(at: datetime) -> bool:
    """Merge some of the rows that were added into one for each key; say whether there may be more.

    A report sees either them or what they were merged into.
    """
    [(number,)] = fetch_rows(
        sql(
            "WITH added AS (DELETE FROM coupons_reportaddition WHERE ctid = ANY(ARRAY("
            "SELECT ctid FROM coupons_reportaddition LIMIT {most} FOR UPDATE SKIP LOCKED)) RETURNING *"
            "), moved AS (DELETE FROM coupons_reportcount WHERE id = ANY(ARRAY("
            "SELECT id FROM coupons_reportcount WHERE NOT is_merged ORDER BY id LIMIT {most}"
            " FOR UPDATE SKIP LOCKED)) RETURNING *"
            "), due AS (SELECT {columns} FROM moved"
            " UNION ALL SELECT {columns} FROM added"
            " UNION ALL SELECT tenant_id, 0, '', day, kind, currency, count, amount FROM added"
            " WHERE segment = ''"
            "), merged AS (INSERT INTO coupons_reportcount AS stored"
            " ({columns}, is_merged) SELECT {key}, sum(count), sum(amount), TRUE FROM due"
            " GROUP BY {key} ORDER BY {key} ON CONFLICT ({key}) WHERE is_merged"
            " DO UPDATE SET count = stored.count + EXCLUDED.count, amount = stored.amount + EXCLUDED.amount)"
            " SELECT greatest((SELECT count(*) FROM added), (SELECT count(*) FROM moved))",
            columns=Sql(COLUMNS),
            key=Sql(KEY),
            most=integer(MERGED_AT_ONCE),
        )
    )
    return bool(number >= MERGED_AT_ONCE)
