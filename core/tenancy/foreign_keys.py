"""References that never leave a tenant: foreign keys over (tenant, key)."""

import re
from collections.abc import Collection
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement, Table

_ST = TypeVar("_ST")  # what may be set and what is got, as the type stubs of Django fill in
_GT = TypeVar("_GT")


class TenantForeignKey(models.ForeignKey[_ST, _GT]):
    """A foreign key to a row of the same tenant.

    PostgreSQL keeps the reference and acts on deletion, whichever entry point writes. `on_delete` is CASCADE,
    RESTRICT or SET_NULL of django.db.models. The constraint is named after the model and the field:
    `customer_assignment_segment`. There is no index unless `db_index=True`.
    """

    ACTIONS: ClassVar[dict[object, str]] = {
        models.CASCADE: "CASCADE",
        models.RESTRICT: "RESTRICT",
        models.SET_NULL: "SET NULL",
    }

    def __init__(self, to: Any, on_delete: object, **options: Any) -> None:
        self.deletion = self.ACTIONS[on_delete]
        options.setdefault("db_index", False)
        super().__init__(to, on_delete=models.DO_NOTHING, db_constraint=False, **options)

    def contribute_to_class(
        self, cls: type[models.Model], name: str, private_only: bool = False, **options: object
    ) -> None:
        super().contribute_to_class(cls, name, private_only, **options)
        if cls._meta.abstract:
            return
        model = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        constraint = SameTenantReference(field=name, on_delete=self.deletion, name=f"{model}_{name}")
        cls._meta.constraints = [*cls._meta.constraints, constraint]
        cls._meta.original_attrs["constraints"] = cls._meta.constraints  # what migrations are made of

    def deconstruct(self) -> Any:
        """Appear in migrations as the plain foreign key that it is beside its constraint."""
        name, _, args, options = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, options

    def clone(self) -> models.ForeignKey:
        """Return the plain foreign key, for the state of migrations."""
        _, _, args, options = self.deconstruct()
        return models.ForeignKey(*args, **options)


class SameTenantReference(models.BaseConstraint):
    """The constraint of a TenantForeignKey: a foreign key over (tenant, field).

    The target needs a unique constraint over (tenant, id). SET NULL clears only the field, never the tenant.
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
        self,
        model: type[models.Model],
        instance: models.Model,
        exclude: Collection[str] | None = None,
        using: str = "",
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
