"""What a tenant takes: its rows and their bytes by table."""

from collections.abc import Iterator
from dataclasses import dataclass

from core.sql.composition import identifier, param, sql
from core.sql.fetching import fetch_rows
from core.tenancy.models import Tenant
from core.tenancy.removal import tenant_tables


@dataclass(frozen=True, slots=True)
class Usage:
    """The rows of a tenant in a table. Bytes are those of the rows, without indexes."""

    table: str
    rows: int
    bytes: int


def usage_of(tenant: Tenant) -> Iterator[Usage]:
    """Yield what the tenant has in each table, by its name; reads all its rows."""
    for model, condition in sorted(tenant_tables(), key=lambda one: one[0]._meta.db_table):
        table = model._meta.db_table
        own = sql(condition, tenant=param(tenant.pk))
        [[rows, size]] = fetch_rows(
            sql(
                "SELECT count(*), coalesce(sum(pg_column_size({table}.*)), 0) FROM {table} WHERE {own}",
                table=identifier(table),
                own=own,
            )
        )
        if rows:
            yield Usage(table, rows, int(size))
