"""How the page "Activity" finds changes by a person, a program, or the id of what changed or of an occasion.

Each column has an index that ends in the time, which gives the newest changes however large the journal is; a
condition over all columns at once would read every row.
"""

from datetime import datetime
from functools import reduce
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Concat, Trim

from core.journal.models import Change
from core.tenancy.models import Tenant

MOST_FOUND = 500  # of each column
MOST_COMMANDS = 5_000  # the newest ones, whose operating system's user is compared


Place = tuple[datetime, int]
"""Where a change comes in the order of the journal: its time and its key."""


def newest_found(rows: QuerySet[Change], term: str, tenant_id: int | None) -> tuple[list[int], Place | None]:
    """Return the keys of the newest changes that a text finds, and from which place on all of them are there.

    Only whole names and ids are found, written as they are or in small or capital letters. `rows` are those
    that may be found, which are the tenant's where one is named. Without a place there are no older ones.
    """
    spellings = {term, term.lower(), term.upper()}
    columns = {
        "actor_id": {*spellings, *staff_called(term, tenant_id)},
        "external_id": spellings,
        "source_id": spellings,
    }
    rows = rows.order_by("-at", "-id")
    parts = [
        rows.filter(of_tenants, **{f"{column}__in": sorted(values)})
        for of_tenants in places(tenant_id)
        for column, values in columns.items()
    ]
    for of_tenants in places(tenant_id):
        commands = rows.filter(of_tenants, actor_type="command").values("pk")[:MOST_COMMANDS]
        parts.append(rows.filter(pk__in=commands, actor_name__in=sorted(spellings)))
    limited = [part.values_list("pk", "at", Value(number))[:MOST_FOUND] for number, part in enumerate(parts)]
    limited += [  # the oldest command that was looked at, where there are more
        rows.filter(of_tenants, actor_type="command").values_list("pk", "at", Value(-1))[
            MOST_COMMANDS - 1 : MOST_COMMANDS
        ]
        for of_tenants in places(tenant_id)
    ]
    found: Any = reduce(lambda one, other: one.union(other, all=True), limited)
    by_part: dict[int, list[Place]] = {}
    for key, at, number in found:
        by_part.setdefault(number, []).append((at, key))
    last_commands = by_part.pop(-1, [])
    # of a part with more than these, older ones are not known: nothing older is shown of any
    ends = [min(some) for some in by_part.values() if len(some) == MOST_FOUND]
    since = max(ends + last_commands, default=None)
    shown = {place for some in by_part.values() for place in some if since is None or place >= since}
    return [key for _, key in sorted(shown, reverse=True)], since


def places(tenant_id: int | None) -> list[Q]:
    """Return the conditions on the tenant, with which the indexes begin."""
    if tenant_id is not None:
        return [Q(tenant=tenant_id)]
    return [Q(tenant__in=list(Tenant.objects.values_list("pk", flat=True))), Q(tenant=None)]


def staff_called(term: str, tenant_id: int | None) -> list[str]:
    """Return the user names of the staff who have this name or user name, however it is written."""
    staff = (
        get_user_model()
        ._default_manager.annotate(full_name=Trim(Concat("first_name", Value(" "), "last_name")))
        .filter(Q(full_name__iexact=term) | Q(username__iexact=term))
    )
    if tenant_id is not None:
        staff = staff.filter(Q(tenant=tenant_id) | Q(tenant=None))
    return list(staff.values_list("username", flat=True)[:MOST_FOUND])
