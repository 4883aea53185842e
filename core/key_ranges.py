from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler


class KeyRanges(models.Field):
    """A set of bigint keys as PostgreSQL's int8multirange: keys that follow each other take no room."""

    def db_type(self, connection: object) -> str:
        return "int8multirange"


@KeyRanges.register_lookup
class ContainsKey(models.Lookup):
    """`keys__contains_key=5`: the set holds the key."""

    lookup_name = "contains_key"

    def get_prep_lookup(self) -> int:
        return int(self.rhs)

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, list[str | int]]:
        left, params = self.process_lhs(compiler, connection)
        return f"{left} @> %s::bigint", [*params, self.rhs]
