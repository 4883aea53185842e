"""The error bodies of the Webhook Service."""

from http import HTTPStatus

from rest_framework import serializers

from core.api.error_bodies import ErrorFormat, problems_of
from core.errors import DomainError, InvalidInput, MissingScope
from core.json_types import JsonObject

FORBIDDEN = "The access to the requested resource has been forbidden by the server."
INVALID = "There is a validation error. Please check the details."


class WebhookError(serializers.Serializer):
    code = serializers.IntegerField(help_text="The HTTP status code.")
    status = serializers.CharField(help_text="The name of the HTTP status.")
    message = serializers.CharField(required=False, help_text="What kind of fault it is.")
    details = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="What is wrong and what to do, a sentence for each fault.",
    )


def webhook_error_body(error: DomainError, status: HTTPStatus) -> JsonObject:
    """`{code, status, message[, details: [text]]}`."""
    body: JsonObject = {"code": status.value, "status": status.phrase, "message": error.message}
    if isinstance(error, MissingScope):
        return {**body, "message": FORBIDDEN, "details": [f"Required scope(s): {', '.join(error.scopes)}"]}
    if isinstance(error, InvalidInput) and (problems := problems_of(error)):
        body["message"] = INVALID
        body["details"] = [f"{field}: {text}" if field else text for field, _, text in problems]
    return body


WEBHOOK_ERRORS = ErrorFormat(webhook_error_body, WebhookError)
