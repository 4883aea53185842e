"""Searches that an index answers, however many rows there are."""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import TypeVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

Row = TypeVar("Row", bound=models.Model)

MAX_WORDS = 5


def starting_with(
    queryset: models.QuerySet[Row], term: str, *, exact: Iterable[str] = (), folded: Iterable[str] = ()
) -> models.QuerySet[Row]:
    """Keep the rows where each word of the term begins one of the fields.

    Fields of `exact` compare letters as they are, those of `folded` without regard to case. For the database
    to use an index, it must be one over (tenant, field) or (tenant, lower(field)) with a pattern operator
    class.
    """
    aliases = {f"folded_{name}": Lower(name) for name in folded}
    if aliases:
        queryset = queryset.alias(**aliases)
    for word in term.split()[:MAX_WORDS]:
        conditions = [Q(**{f"{name}__startswith": word}) for name in exact]
        conditions += [Q(**{f"{name}__startswith": word.lower()}) for name in aliases]
        queryset = queryset.filter(reduce(or_, conditions))
    return queryset
