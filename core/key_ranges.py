from django.db import models


class KeyRanges(models.Field):
    """A set of bigint keys as PostgreSQL's int8multirange: keys that follow each other take no room."""

    def db_type(self, connection: object) -> str:
        return "int8multirange"
