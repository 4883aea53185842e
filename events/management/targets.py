"""What the commands about webhook targets share."""

from django.core.management.base import CommandError
from django.db.models import Q

from core.tenancy.commands import tenant_named
from events.models import Target


def target_of(tenant_name: str, named: str) -> Target:
    """Return the target with this id, name or event type; "default" is the default target."""
    targets = Target.objects.filter(tenant=tenant_named(tenant_name)).order_by("position", "id")
    wanted = "" if named == "default" else named
    found = list(targets.filter(Q(external_id=named) | Q(name=named) | Q(event_type__iexact=wanted))[:2])
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{one.external_id} ({one})" for one in targets[:20]) or "none"
    problem = f"Several targets are called {named}" if found else f"There is no target {named}"
    raise CommandError(f"{problem}. Name one by its id. Targets of {tenant_name}: {known}.")
