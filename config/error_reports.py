"""Errors for Sentry, when SENTRY_DSN says where to: docs/observability.md.

Only then is this module imported, and only then is the package needed.
"""

import sentry_sdk
from django.conf import settings
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.types import Event, Hint

from config.command_line import VERSION
from core.actors import REQUEST_ID_KEY
from core.observation.log_lines import without_secrets
from core.observation.requests import current_request, names_of_caller, route_of


def cleaned(event: Event, hint: Hint) -> Event:
    """Return what is sent of an error: the stack without values, and the request as the access log has it."""
    event.pop("request", None)
    event.pop("user", None)
    event.pop("breadcrumbs", None)
    for problem in event.get("exception", {}).get("values", []):
        problem["value"] = without_secrets(str(problem.get("value", "")))
    if "logentry" in event:
        event["logentry"] = {"message": without_secrets(str(event["logentry"].get("message", "")))}
    if (request := current_request()) is not None:
        tenant, client, caller = names_of_caller(request)
        event["transaction"] = f"{request.method} {route_of(request)}"
        event["tags"] = {
            "request_id": request.META.get(REQUEST_ID_KEY, ""),
            "tenant": tenant,
            "client": client,
            "caller": caller,
        }
    return event


sentry_sdk.init(
    dsn=settings.SENTRY_DSN,
    release=VERSION,
    integrations=[DjangoIntegration(middleware_spans=False, signals_spans=False)],
    traces_sample_rate=0.0,
    send_default_pii=False,
    include_local_variables=False,
    max_request_body_size="never",
    max_breadcrumbs=0,
    before_send=cleaned,
)
