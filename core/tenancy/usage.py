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
    for table in used_tables():
        usage = usage_in(table, tenant)
        if usage.rows:
            yield usage


def used_tables() -> list[str]:
    """Return the tables with rows of tenants, by name."""
    return sorted(_conditions())


def usage_in(table: str, tenant: Tenant) -> Usage:
    """Return what the tenant has in the table; reads all its rows there."""
    [[rows, size]] = fetch_rows(
        sql(
            "SELECT count(*), coalesce(sum(pg_column_size({table}.*)), 0) FROM {table} WHERE {own}",
            table=identifier(table),
            own=sql(_conditions()[table], tenant=param(tenant.pk)),
        )
    )
    return Usage(table, rows, int(size))


def _conditions() -> dict[str, str]:
    """Return by table which of its rows are a tenant's: a template with the slot `tenant`."""
    return {model._meta.db_table: condition for model, condition in tenant_tables()}
