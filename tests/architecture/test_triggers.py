"""The triggers of the database are as declared, and docs/caching.md lists what raises the revision."""

import re
from pathlib import Path

from django.db import connection

from core.journal.declarations import all_columns, recorded
from core.journal.installation import digest_of
from core.journal.triggers import TRANSITIONS, create_function, trigger_name

PAGE = Path(__file__).resolve().parents[2] / "docs" / "caching.md"
TRIGGERS = """
SELECT tgrelid::regclass::text, tgname::text, obj_description(tgfoid, 'pg_proc')
FROM pg_trigger WHERE NOT tgisinternal
"""


def test_the_triggers_are_as_declared(db):
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS)
        installed = {(table, name): digest for table, name, digest in cursor.fetchall()}
    assert installed == {
        (one.table, trigger_name(event)): digest_of(create_function(one, event, all_columns(one.model)))
        for one in recorded()
        for event in TRANSITIONS
    }


def test_what_raises_the_revision_is_documented():
    documented = re.findall(r"^\| `(\w+)` \| ([A-Z, ]+) \|", PAGE.read_text(), flags=re.MULTILINE)
    events = {
        one.table: [event for event, text in one.follow.items() if "count_assortment_revision" in text]
        for one in recorded()
    }
    assert dict(documented) == {table: ", ".join(found) for table, found in events.items() if found}
