"""Takes back what a benchmark wrote, so that every run meets the same rows."""

from functools import cache

from django.db import connection

TABLES = (
    "segments_customerassignment",
    "segments_itemassignment",
    "coupons_redemption",
    "identity_refreshtoken",
)


@cache
def generated_keys() -> dict[str, int]:
    """Return the last key of each table that the data set was made with."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name, last_key FROM bench_last_keys")
        return dict(cursor.fetchall())


def keep_last_keys() -> None:
    """Note the last key of each table that benchmarks write to."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_last_keys (table_name text, last_key bigint)")
        for table in TABLES:
            cursor.execute(
                f"INSERT INTO bench_last_keys SELECT %s, coalesce(max(id), 0) FROM {table}", [table]
            )


def restore() -> None:
    """Delete all rows written since the data set was made, and what they changed."""
    with connection.cursor() as cursor:
        for table, last_key in generated_keys().items():
            cursor.execute(f"DELETE FROM {table} WHERE id > %s", [last_key])
            if cursor.rowcount:
                cursor.execute(f"VACUUM {table}")
        cursor.execute("UPDATE coupons_coupon SET redemption_count = 0 WHERE redemption_count > 0")
        if cursor.rowcount:
            cursor.execute("VACUUM coupons_coupon")
