"""docs/caching.md lists every trigger that the database has."""

import re
from pathlib import Path

from django.db import connection

PAGE = Path(__file__).resolve().parents[2] / "docs" / "caching.md"
TRIGGERS = """
SELECT event_object_table, string_agg(event_manipulation, ', ' ORDER BY array_position(
    ARRAY['INSERT', 'UPDATE', 'DELETE'], event_manipulation::text))
FROM information_schema.triggers WHERE trigger_schema = 'public' GROUP BY 1
"""


def test_every_trigger_is_documented(db):
    documented = re.findall(r"^\| `(\w+)` \| ([A-Z, ]+) \|", PAGE.read_text(), flags=re.MULTILINE)
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS)
        assert sorted(documented) == sorted(cursor.fetchall())
