"""Removes a tenant with everything that belongs to it, in batches that each hold their locks for a moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction

from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import execute
from core.sql.locks import Lock, take_lock
from core.tenancy.models import Tenant

BATCH = 10_000
Model = type[models.Model]


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows of a table are gone so far."""

    table: str
    count: int


def remove_tenant_rows(tenant_id: int, *, batch: int = BATCH) -> Iterator[Removed]:
    """Delete everything that belongs to the tenant, and at last the tenant; yield after every batch.

    Each batch is one transaction. It may be stopped at any moment and begun again: what is gone stays gone.
    The tenant must not be written to meanwhile. Triggers may write rows of the tenant (revisions, records of
    changes) while others are deleted, so the tables are gone through until nothing is left.
    """
    tables = tenant_tables()
    counts: dict[str, int] = {}
    is_empty = False
    while not is_empty:
        is_empty = True
        for model, condition in tables:
            name = model._meta.db_table
            forget_log_entries(model, condition, tenant_id)
            while deleted := delete_batch(model, condition, tenant_id, batch):
                is_empty = False
                counts[name] = counts.get(name, 0) + deleted
                yield Removed(name, counts[name])
    with transaction.atomic():
        tenants = Tenant.objects.filter(pk=tenant_id)
        count = tenants._raw_delete(tenants.db)
        take_lock(Lock.SETTLING, is_shared=True)  # changes that moved while others were deleted lie still
        for model, condition in tables:  # those, and what triggers have recorded of that
            while delete_batch(model, condition, tenant_id, batch):
                pass
    yield Removed(Tenant._meta.db_table, count)


def tenant_tables() -> list[tuple[Model, str]]:
    """Return the models whose rows belong to tenants, each before those that it refers to.

    Along with each comes the condition that its rows are a tenant's: a template with the slot `tenant`.
    """
    known = apps.get_models(include_auto_created=True)
    conditions = {model: found for model in known if (found := condition_of(model))}
    order = TopologicalSorter(
        {model: referring_models(model, list(conditions)) for model in conditions}
    ).static_order()
    return [(model, conditions[model]) for model in order]


def referring_models(model: Model, known: list[Model]) -> set[Model]:
    return {
        other
        for other in known
        if other is not model and any(target_of(field) is model for field in other._meta.concrete_fields)
    }


def target_of(field: models.Field) -> Model | None:
    return field.remote_field.model if field.remote_field else None


def condition_of(model: Model, seen: tuple[Model, ...] = ()) -> str:
    """Return the condition that a row is the tenant's; empty when no path leads from it to tenants."""
    if model is Tenant or model in seen or model._meta.proxy or not model._meta.managed:
        return ""
    references = [field for field in model._meta.concrete_fields if field.remote_field]
    for field in references:
        if target_of(field) is Tenant:
            return f"{field.column} = {{tenant}}"
    for field in references:
        target = target_of(field)
        if field.null or target is None:
            continue
        if inner := condition_of(target, (*seen, model)):
            return f"{field.column} IN (SELECT id FROM {target._meta.db_table} WHERE {inner})"
    return ""


@transaction.atomic
def delete_batch(model: Model, condition: str, tenant_id: int, most: int) -> int:
    """Delete at most so many rows; of rows that refer to each other those first that nothing refers to."""
    own = sql(condition, tenant=param(tenant_id))
    table = identifier(model._meta.db_table)
    key = identifier(str(model._meta.pk.column))
    leaves = [
        sql(
            "NOT EXISTS (SELECT FROM {table} AS child WHERE child.{column} = chosen.{key}"
            " AND child.{key} <> chosen.{key})",
            table=table,
            column=identifier(field.column),
            key=key,
        )
        for field in model._meta.concrete_fields
        if target_of(field) is model
    ]
    return execute(
        sql(
            "DELETE FROM {table} WHERE {own} AND {key} IN (SELECT {key} FROM {table} AS chosen"
            " WHERE {conditions} ORDER BY {key} LIMIT {most})",
            table=table,
            key=key,
            own=own,  # said twice, as a table may have no index of only the key
            conditions=Sql.joined(" AND ", [own, *leaves]),
            most=param(most),
        )
    )


def forget_log_entries(model: Model, condition: str, tenant_id: int) -> None:
    """Delete what the admin's log says of the rows, also where staff of all tenants changed them."""
    if model is LogEntry:
        return
    execute(
        sql(
            "DELETE FROM django_admin_log WHERE content_type_id = {content_type} AND object_id IN"
            " (SELECT {key}::text FROM {table} WHERE {condition})",
            content_type=param(ContentType.objects.get_for_model(model).pk),
            key=identifier(str(model._meta.pk.column)),
            table=identifier(model._meta.db_table),
            condition=sql(condition, tenant=param(tenant_id)),
        )
    )
