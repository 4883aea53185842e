"""Database constraints that Django has no class for."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement, Table


class SameTenantReference(models.BaseConstraint):
    """A foreign key over (tenant, field): the row and what it points to always belong to one tenant.

    PostgreSQL keeps it for every door, cascades included, so the Django field beside it says
    `db_constraint=False, on_delete=DO_NOTHING`. The target needs a unique constraint over (tenant, id).
    `on_delete` is CASCADE, RESTRICT or SET NULL (which clears the field alone, never the tenant).
    """

    def __init__(self, *, field: str, on_delete: str, name: str) -> None:
        super().__init__(name=name)
        if on_delete not in ("CASCADE", "RESTRICT", "SET NULL"):
            raise ValueError(f"on_delete is CASCADE, RESTRICT or SET NULL, not {on_delete!r}.")
        self.field = field
        self.on_delete = on_delete

    def constraint_sql(
        self, model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> str:
        self.create_sql(model, schema_editor)
        return ""

    def create_sql(  # type: ignore[override]
        self, model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> None:
        """Add the constraint when the migration ends: its target may be created later in it."""
        assert model is not None
        assert schema_editor is not None
        quote = schema_editor.quote_name
        field: Any = model._meta.get_field(self.field)
        action = f"SET NULL ({quote(field.column)})" if self.on_delete == "SET NULL" else self.on_delete
        statement = Statement(
            "ALTER TABLE %(table)s ADD CONSTRAINT %(name)s FOREIGN KEY (tenant_id, %(column)s)"
            " REFERENCES %(target)s (tenant_id, id) ON DELETE %(action)s",
            table=Table(model._meta.db_table, quote),
            name=quote(self.name),
            column=quote(field.column),
            target=Table(field.related_model._meta.db_table, quote),
            action=action,
        )
        schema_editor.deferred_sql.append(statement)

    def remove_sql(  # type: ignore[override]
        self, model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None
    ) -> Statement:
        assert model is not None
        assert schema_editor is not None
        quote = schema_editor.quote_name
        return Statement(
            "ALTER TABLE %(table)s DROP CONSTRAINT %(name)s",
            table=Table(model._meta.db_table, quote),
            name=quote(self.name),
        )

    def validate(
        self, model: type[models.Model], instance: models.Model, exclude: Any = None, using: str = ""
    ) -> None:
        """Refuse an instance whose reference belongs to another tenant, before the database would."""
        field: Any = model._meta.get_field(self.field)
        if exclude and (self.field in exclude or "tenant" in exclude):
            return
        if getattr(instance, field.attname) is None:
            return
        related = getattr(instance, self.field)
        if related.tenant_id != getattr(instance, "tenant_id", None):
            raise ValidationError({self.field: f"This {field.verbose_name} belongs to another tenant."})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SameTenantReference) and self.deconstruct() == other.deconstruct()

    __hash__ = models.BaseConstraint.__hash__

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        return path, args, {**kwargs, "field": self.field, "on_delete": self.on_delete}
