"""Who acts in a request of the API."""

from django.http import HttpRequest

from core.actors import Actor, ActorType
from core.requests import request_id
from core.tenancy.callers import Caller, CallerKind


def actor_of(request: HttpRequest, caller: Caller | None = None) -> Actor:
    """Return who acts: the customer or the program that the token names, or else an anonymous visitor."""
    kind, name = ActorType.ANONYMOUS, ""
    if caller is not None and caller.customer is not None:
        kind, name = ActorType.CUSTOMER, caller.customer.external_id
    elif caller is not None and caller.kind is CallerKind.SERVICE:
        kind, name = ActorType.CLIENT, caller.client_id
    elif caller is not None:
        name = caller.session_id
    return Actor(kind, name, source_type="request", source_id=request_id(request))
