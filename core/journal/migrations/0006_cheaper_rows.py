from importlib import import_module

from django.db import migrations

BLOCKS = """
CREATE OR REPLACE FUNCTION journal_blocks(keys int8multirange) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    span int8range;
    blocks bigint[] := '{}';
    first bigint;
    beyond bigint;
    covered_from bigint;
    covered_to bigint;
BEGIN
    FOR span IN SELECT one FROM unnest(keys) AS one LOOP
        first := lower(span);
        beyond := upper(span);
        IF beyond - first = 1 THEN
            blocks := array_append(blocks, first * 4);
            CONTINUE;
        END IF;
        FOR level IN 0..3 LOOP
            -- whole blocks of the next level stand for theirs of this one; a FOR counts by 32 bits only
            covered_from := -((-first) >> 4);
            covered_to := beyond >> 4;
            IF level = 3 OR covered_from >= covered_to THEN
                FOR step IN 0..beyond - first - 1 LOOP
                    blocks := array_append(blocks, (first + step) * 4 + level);
                END LOOP;
                EXIT;
            END IF;
            FOR step IN 0..covered_from * 16 - first - 1 LOOP
                blocks := array_append(blocks, (first + step) * 4 + level);
            END LOOP;
            FOR step IN 0..beyond - covered_to * 16 - 1 LOOP
                blocks := array_append(blocks, (covered_to * 16 + step) * 4 + level);
            END LOOP;
            first := covered_from;
            beyond := covered_to;
        END LOOP;
    END LOOP;
    RETURN nullif(blocks, '{}');
END
$$
"""
FIRST = import_module("core.journal.migrations.0002_lookup_indexes").CREATE
END = "$$;\n"
FORMER = FIRST[: FIRST.index(END, FIRST.index("AS $$")) + len(END)].replace("CREATE", "CREATE OR REPLACE")
CONSTRAINT = "journal_change_kind_check"
DROP = f"ALTER TABLE journal_change DROP CONSTRAINT {CONSTRAINT}"
ADD = f"ALTER TABLE journal_change ADD CONSTRAINT {CONSTRAINT} CHECK (kind IN ('created', 'updated', 'deleted'))"


class Migration(migrations.Migration):
    """Let a row of the journal cost less beside its indexes.

    A row of one key, or of a long run of keys, as most have, took a query to be indexed, and 20,000 short runs
    took half a second; the function returns what it returned before, so its index stays. Only triggers write
    the journal, and each names the kind of change itself, but PostgreSQL reads a check anew in each statement.
    """

    dependencies = [("journal", "0005_long_occasions")]

    operations = [migrations.RunSQL(BLOCKS, FORMER), migrations.RunSQL(DROP, ADD)]
