"""The bare INSERT of a bulk write's rows: what the operation is compared with.

It is given the keys that the rows point to, and trusts that these exist; the operation is given wire ids,
looks them up and locks what they name.
"""

from datetime import UTC, datetime

import orjson

from bench.dataset.people import SHOP
from bench.load import Request
from bench.replays import Statement
from core.sql.upserts import upsert_statement
from segments.operations.customers import CUSTOMER_ASSIGNMENTS
from segments.operations.items import ITEM_ASSIGNMENTS


def bare_insert(request: Request) -> Statement:
    """Return the INSERT of the rows of a bulk request. An id of the data set ends with the key."""
    segment_id, kind = request.path.split("/")[4:6]
    now = datetime.now(UTC)
    common = {
        "tenant_id": SHOP,
        "segment_id": int(segment_id[1:]),
        "assignment_type": "MANUAL",
        "includes_subcategories": False,
        "mixins": {},
        "mixin_schemas": {},
        "created_at": now,
        "modified_at": now,
    }
    if kind == "customers":
        target, column, name = CUSTOMER_ASSIGNMENTS, "customer_id", "customerId"
    else:
        target, column, name = ITEM_ASSIGNMENTS, "product_id", "id"
    rows = [common | {column: int(entry[name][1:])} for entry in orjson.loads(request.body)]
    statement = upsert_statement(
        target, [[row.get(name) for name in target.columns] for row in rows], [1] * len(rows)
    )
    return Statement(statement.sql, statement.params, prepared=True)
