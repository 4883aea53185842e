from django.db import migrations

CREATE = """
CREATE FUNCTION journal_blocks(keys int8multirange) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT array_agg(block * 4 + level) FROM (
        SELECT lower(span) AS block, 0 AS level FROM unnest(keys) AS span WHERE upper(span) - lower(span) = 1
        UNION ALL
        SELECT generate_series(part.first, part.beyond - 1), level
        FROM (
            SELECT lower(span) AS lower, upper(span) AS upper FROM unnest(keys) AS span
            WHERE upper(span) - lower(span) > 1
        ) AS span CROSS JOIN generate_series(0, 3) AS level CROSS JOIN LATERAL (
            -- the whole blocks of this level, and those that are whole blocks of the next one
            SELECT -((-lower) >> (4 * level)) AS first, upper >> (4 * level) AS beyond,
                CASE WHEN level < 3 THEN -((-lower) >> (4 * level + 4)) * 16 END AS covered_from,
                CASE WHEN level < 3 THEN (upper >> (4 * level + 4)) * 16 END AS covered_to
        ) AS whole CROSS JOIN LATERAL (VALUES
            (first, CASE WHEN covered_from < covered_to THEN covered_from ELSE beyond END),
            (CASE WHEN covered_from < covered_to THEN covered_to ELSE beyond END, beyond)
        ) AS part (first, beyond)
        WHERE part.first < part.beyond
    ) AS blocks);
END
$$;
COMMENT ON FUNCTION journal_blocks IS
    'The aligned blocks of 1, 16, 256 and 4096 keys that a set of keys divides into, each as block * 4 + level';
CREATE FUNCTION journal_blocks_around(key bigint) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY[key * 4, (key >> 4) * 4 + 1, (key >> 8) * 4 + 2, (key >> 12) * 4 + 3]
$$;
COMMENT ON FUNCTION journal_blocks_around IS
    'The blocks that a key is in: journal_blocks(keys) && journal_blocks_around(key) is keys @> key';

DROP INDEX journal_of_member;
CREATE INDEX journal_of_block ON journal_change USING gin (journal_blocks(keys))
    WITH (gin_pending_list_limit = 512) WHERE keys IS NOT NULL;
CREATE INDEX journal_of_time ON journal_change (tenant_id, object, at, id);
CREATE INDEX journal_of_external_id ON journal_change (tenant_id, external_id, at, id)
    WHERE external_id IS NOT NULL;
CREATE INDEX journal_of_id ON journal_change (id);
DROP INDEX journal_of_actor;
CREATE INDEX journal_of_actor ON journal_change (tenant_id, actor_id, at, id);
CREATE INDEX journal_of_actor_type ON journal_change (tenant_id, actor_type, at, id);
"""
DROP = """
DROP INDEX journal_of_actor_type;
DROP INDEX journal_of_actor;
CREATE INDEX journal_of_actor ON journal_change (tenant_id, actor_id, id);
DROP INDEX journal_of_id;
DROP INDEX journal_of_external_id;
DROP INDEX journal_of_time;
DROP INDEX journal_of_block;
DROP FUNCTION journal_blocks_around(bigint);
DROP FUNCTION journal_blocks(int8multirange);
CREATE INDEX journal_of_member ON journal_change
    USING gist (int8range(key, key, '[]'), keys) WHERE keys IS NOT NULL;
"""


class Migration(migrations.Migration):
    """Indexes that find a member among scattered keys, and the newest changes of a kind of object.

    A GiST index over multiranges keeps only where keys begin and end, so each bulk of scattered customers was
    read to see whether it holds one. The blocks of 1, 16, 256 and 4096 keys are exact for scattered keys,
    and few for keys that follow each other.
    """

    dependencies = [("journal", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, DROP)]
