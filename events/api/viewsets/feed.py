from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import WEBHOOK_READ
from core.api import parameters
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.errors import InvalidInput
from events.event_types import EVENT_TYPES, normalized
from events.feed.pages import feed_page

USUAL_PAGE = 500
HIGHEST_CURSOR = 2**63 - 1
LINES = {
    "type": "string",
    "description": "One JSON object a line: `cursor`, `id` (the one of deliveries), `type`, `occurredAt` and"
    " `payload`.",
}


class FeedViewSet(ContractViewSet):
    """The feed of a tenant's events, for consumers that fetch them."""

    tag = "Event feed"
    has_page_parameters = False

    @operation(
        "GET-customer-segment-retrieve-events",
        scopes=(WEBHOOK_READ,),
        parameters=(
            query_parameter("after", "Only events behind this cursor, from X-Next-Cursor or a line."),
            query_parameter("types", "Only events of these types, separated by commas."),
            parameters.page_size_parameter(USUAL_PAGE),
        ),
        responses={(200, "application/x-ndjson"): LINES},
        errors=(409, 410),
    )
    def read(self, request: Request, tenant: str) -> HttpResponse:
        """Read the next events in the order of commits, as lines of JSON.

        X-Next-Cursor is the cursor of the next page; while it is another one than was sent, there may be
        more. Each type needs the scope that reads its data; without `types` those are read that the token
        may read. The feed is kept of types that the tenant is subscribed to. A cursor that is older than
        what is kept is 410.
        """
        query = request.query_params
        names = [normalized(name) for name in parameters.words(query, "types")]
        page = feed_page(
            self.caller.tenant.id,
            tenant,
            types=self.readable(names),
            named=bool(names),
            after=cursor_of(parameters.text(query, "after")),
            most=parameters.page_size(query, default=USUAL_PAGE),
        )
        response = HttpResponse(
            "".join(f"{line}\n" for line in page.lines), content_type="application/x-ndjson"
        )
        response["X-Next-Cursor"] = str(page.cursor)
        response["Cache-Control"] = "no-store"
        return response

    def readable(self, names: list[str]) -> list[str]:
        """Return the types that are asked for; without any, those that the caller may read.

        Raises InvalidInput for an unknown type and MissingScope.
        """
        if not names:
            return [one.name for one in EVENT_TYPES.values() if self.caller.scopes.issuperset(one.scopes)]
        for name in names:
            if name not in EVENT_TYPES:
                raise InvalidInput(
                    f"There are no events of the type {name}; choose from {', '.join(EVENT_TYPES)}.",
                    field="types",
                )
            for scope in EVENT_TYPES[name].scopes:
                self.require_scope(scope)
        return names


def cursor_of(text: str) -> int:
    """Return the key of the event that the cursor comes after; 0 without one."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and int(text) <= HIGHEST_CURSOR):
        raise InvalidInput(
            "This is no cursor of the feed; take it from X-Next-Cursor or from a line.", field="after"
        )
    return int(text)
