"""Django's schema editor, for tables that are partitioned in some installations (docs/large-tables.md)."""

import re

from django.db import models
from django.db.backends.postgresql import schema

PARTITIONS = """
SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = to_regclass(%s) ORDER BY 1
"""
BROKEN = "SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid"
PLACE = re.compile(r"^(CREATE (?:UNIQUE )?INDEX) \S+ ON \S+")


class SchemaEditor(schema.DatabaseSchemaEditor):
    """Builds and drops indexes concurrently on partitioned tables too, which PostgreSQL does not by itself.

    Each step can be done again after a migration that was stopped.
    """

    def add_index(self, model: type[models.Model], index: models.Index, concurrently: bool = False) -> None:
        partitions = self._partitions(model) if concurrently else []
        if not partitions:
            super().add_index(model, index, concurrently)
            return
        definition = str(index.create_sql(model, self))
        name, table = self.quote_name(index.name), self.quote_name(model._meta.db_table)
        self.execute(PLACE.sub(rf"\1 IF NOT EXISTS {name} ON ONLY {table}", definition))
        for partition in partitions:
            part = self.quote_name(f"{index.name[:40]}_{partition[-20:]}")
            if self._found(BROKEN, part):
                self.execute(f"DROP INDEX CONCURRENTLY {part}")
            self.execute(PLACE.sub(rf"\1 CONCURRENTLY IF NOT EXISTS {part} ON {partition}", definition))
            self.execute(f"ALTER INDEX {name} ATTACH PARTITION {part}")

    def remove_index(
        self, model: type[models.Model], index: models.Index, concurrently: bool = False
    ) -> None:
        super().remove_index(model, index, concurrently and not self._partitions(model))

    def _partitions(self, model: type[models.Model]) -> list[str]:
        return [name for (name,) in self._found(PARTITIONS, self.quote_name(model._meta.db_table))]

    def _found(self, statement: str, name: str) -> list[tuple[str]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, [name])
            return cursor.fetchall()
