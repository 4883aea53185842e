"""Up to which transaction readers of the journal have all: nothing below it can be committed any more.

A snapshot names the running transactions of all databases of a server; only the list of sessions knows which
are of another database. The list is read first, by a statement of its own: whoever has left it before the
snapshot is made is not in the snapshot either, and whoever comes in between began after all that was
committed by then. Read later, a transaction that has just ended would be taken for one of this database, and
a look would see less than the one before.
"""

from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows


def transactions_elsewhere() -> Sql:
    """Return the transactions that run in other databases now; to call before each look at the journal."""
    statement = Sql(
        "SELECT coalesce(array_agg(session.backend_xid), '{}')::text FROM pg_stat_activity AS session"
        " WHERE session.backend_xid IS NOT NULL"
        " AND session.datid <> (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    [[running]] = fetch_rows(statement)
    return param(running, "xid[]")


def oldest_running(elsewhere: Sql) -> Sql:
    """Return the oldest transaction that may still be committed in this database: all below it have ended.

    One that no session is known for, since it is prepared or hidden from this role, counts as one of this
    database.
    """
    return sql(
        "coalesce((SELECT running FROM pg_snapshot_xip(pg_current_snapshot()) AS running"
        " WHERE running::xid <> ALL ({elsewhere}) ORDER BY running LIMIT 1),"
        " pg_snapshot_xmax(pg_current_snapshot()))",
        elsewhere=elsewhere,
    )
