from django.db import migrations

CREATE = """
CREATE FUNCTION oldest_running_here() RETURNS xid8 LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT running FROM pg_snapshot_xip(pg_current_snapshot()) AS running
        WHERE NOT EXISTS (
            SELECT FROM pg_stat_activity AS other WHERE other.backend_xid = running::xid
                AND other.datid <> (SELECT oid FROM pg_database WHERE datname = current_database())
        ) ORDER BY running LIMIT 1
    ), pg_snapshot_xmax(pg_current_snapshot()))
$$;
COMMENT ON FUNCTION oldest_running_here IS
    'The oldest transaction that may still commit in this database: all below it have ended'
"""


class Migration(migrations.Migration):
    """Snapshots name the transactions of all databases of a server; only those of this one matter to readers.

    A transaction that no session is known for (prepared, or hidden from this role) counts as one of this
    database. Kept for processes of former versions: `events/feed/running.py` reads the list of sessions before
    the snapshot instead of after it.
    """

    dependencies = [("events", "0004_lanes_of_targets")]

    operations = [migrations.RunSQL(CREATE, "DROP FUNCTION oldest_running_here()")]
