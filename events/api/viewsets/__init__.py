"""What all resources of the Webhook Service share."""

from accounts.identity.scopes import WEBHOOK_MANAGE, WEBHOOK_READ
from core.api.viewsets import ContractViewSet
from core.errors import MalformedBody
from core.tenancy.models import Tenant
from events.api.error_bodies import WEBHOOK_ERRORS

READ = (WEBHOOK_READ,)
MANAGE = (WEBHOOK_MANAGE,)
TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}


class WebhookServiceViewSet(ContractViewSet):
    """A resource of the Webhook Service."""

    error_format = WEBHOOK_ERRORS

    @property
    def tenant(self) -> Tenant:
        return Tenant.objects.get(pk=self.caller.tenant.id)

    def sent_list(self, *, most: int) -> list[object]:
        """Return the body, a list of 1 to `most` entries."""
        body = self.sent_body()
        if not isinstance(body, list) or not 1 <= len(body) <= most:
            raise MalformedBody(f"The body is a list of 1 to {most} entries.")
        return body
