from django.http import HttpResponse
from rest_framework.request import Request

from core.api import parameters
from core.api.json import json_response
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.bodies import read_body
from core.errors import InvalidBody, Problem
from events.api.viewsets import MANAGE, READ, TEXT, WebhookServiceViewSet
from events.bodies import ConfigChange, ConfigCreation, ConfigUpdate
from events.errors import ConfigNotFound
from events.models import WebhookConfig
from events.operations.configuration import (
    CODE,
    create_config,
    delete_config,
    document_of,
    patch_config,
    targets_of,
    update_config,
)

MOST_CHANGES = 100
HEADERS = {
    "type": "object",
    "additionalProperties": {"type": "object", "properties": {"value": TEXT}},
}
TARGET = {
    "destinationUrl": TEXT,
    "secretKeyExists": {"type": "boolean", "description": "Whether there is a secret; it is never read."},
    "headers": HEADERS,
}
ENTRY = {
    "id": {**TEXT, "description": "Given by the service, and kept by updates that name it."},
    "eventType": TEXT,
    "name": TEXT,
    **TARGET,
    "filter": TEXT,
    "excludedFields": {"type": "array", "items": TEXT},
    "active": {"type": "boolean"},
}
CONFIG = {
    "type": "object",
    "properties": {
        "code": {**TEXT, "description": "The code of the provider: http."},
        "provider": {"type": "string", "enum": ["HTTP"]},
        "active": {"type": "boolean", "description": "Whether events are delivered."},
        "configuration": {
            "type": "object",
            "properties": {
                **TARGET,
                "eventsConfiguration": {
                    "type": "array",
                    "items": {"type": "object", "properties": ENTRY},
                },
            },
        },
    },
    "required": ["code", "provider", "active"],
}
CREATED = {"type": "object", "properties": {"code": TEXT}, "required": ["code"]}


class ConfigViewSet(WebhookServiceViewSet):
    """Where events are sent."""

    tag = "Webhook Configuration"
    deletes_unknown = True

    @operation(
        "POST-webhook-create-config",
        scopes=MANAGE,
        request=ConfigCreation,
        responses={201: CREATED},
        errors=(409,),
    )
    def create_config(self, request: Request, tenant: str) -> HttpResponse:
        """Create the webhook configuration.

        New addresses must answer HEAD or OPTIONS with success. The provider is HTTP; the others are refused.
        """
        body = read_body(ConfigCreation, self.sent_body())
        create_config(tenant=self.tenant, body=body, at=self.at)
        response = json_response({"code": CODE}, 201)
        response["Location"] = f"/webhook/{tenant}/config/{CODE}"
        return response

    @operation("GET-webhook-list-configs", scopes=READ, responses={200: {"type": "array", "items": CONFIG}})
    def list_configs(self, request: Request, tenant: str) -> HttpResponse:
        """List the webhook configurations: one, or none."""
        return json_response(
            [
                document_of(config, targets_of(self.tenant), for_clients=True)
                for config in WebhookConfig.objects.filter(tenant=self.caller.tenant.id)
            ]
        )

    @operation("GET-webhook-retrieve-config", scopes=READ, responses={200: CONFIG})
    def read_config(self, request: Request, tenant: str, config_code: str) -> HttpResponse:
        """Read the webhook configuration."""
        config = WebhookConfig.objects.filter(tenant=self.caller.tenant.id).first()
        if config is None or config_code != CODE:
            raise ConfigNotFound(config_code)
        return json_response(document_of(config, targets_of(self.tenant), for_clients=True))

    @operation(
        "PUT-webhook-update-config",
        scopes=MANAGE,
        request=ConfigUpdate,
        responses={204: None},
        errors=(404, 409),
    )
    def replace_config(self, request: Request, tenant: str, config_code: str) -> HttpResponse:
        """Replace the webhook configuration.

        Entries that are named by their id are changed, or those that are the only ones of their event type;
        the others are new. Secrets that are not sent stay. Without `configuration` only `active` changes.
        """
        update_config(
            tenant=self.tenant,
            code=config_code,
            body=read_body(ConfigUpdate, self.sent_body()),
            at=self.at,
        )
        return HttpResponse(status=204)

    @operation(
        "PATCH-webhook-update-config",
        scopes=MANAGE,
        request=[ConfigChange],
        responses={204: None},
        errors=(404, 409),
    )
    def change_config(self, request: Request, tenant: str, config_code: str) -> HttpResponse:
        """Change parts of the webhook configuration, all or none.

        The paths are `/active`, `/configuration`, and below `/configuration/http` `destinationUrl`,
        `secretKey`, `headers`, `eventsConfiguration[/{eventType}[/{field}]]` and
        `eventsConfigurationEntry[/{entryId}[/{field}]]`.
        """
        changes, problems = [], []
        for number, entry in enumerate(self.sent_list(most=MOST_CHANGES)):
            try:
                changes.append(read_body(ConfigChange, entry))
            except InvalidBody as refused:
                problems += [
                    Problem(f"[{number}].{field}" if field else f"[{number}]", kind, text)
                    for field, kind, text in refused.problems
                ]
        if problems:
            raise InvalidBody(problems)
        patch_config(tenant=self.tenant, code=config_code, changes=changes, at=self.at)
        return HttpResponse(status=204)

    @operation(
        "DELETE-webhook-remove-config",
        scopes=MANAGE,
        parameters=(query_parameter("force", "Delete it although it is active.", type=bool),),
        responses={204: None},
    )
    def delete_config(self, request: Request, tenant: str, config_code: str) -> HttpResponse:
        """Delete the webhook configuration, with its targets and what waits for them.

        An active one needs `force=true`.
        """
        force = parameters.flag(request.query_params, "force")
        delete_config(tenant=self.tenant, code=config_code, force=force)
        return HttpResponse(status=204)
