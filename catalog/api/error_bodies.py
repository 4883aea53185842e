"""The error bodies of the product service; those of the category service are in `core.api.error_bodies`."""

from http import HTTPStatus

from rest_framework import serializers

from core.api.error_bodies import ErrorFormat, problems_of
from core.errors import DomainError
from core.json_types import JsonObject


class ProductErrorDetail(serializers.Serializer):
    field = serializers.CharField(help_text="The field or parameter that is wrong.")
    type = serializers.CharField(help_text="What kind of fault it is; a stable name.")
    message = serializers.CharField(help_text="What is wrong with it.")


class ProductError(serializers.Serializer):
    code = serializers.IntegerField(help_text="The HTTP status code.")
    status = serializers.CharField(help_text="The name of the HTTP status.")
    message = serializers.CharField(help_text="What is wrong, and what to do.")
    productId = serializers.CharField(required=False, help_text="The id of the product concerned.")
    details = ProductErrorDetail(many=True, required=False, help_text="Every fault that was found.")


def product_error_body(error: DomainError, status: HTTPStatus) -> JsonObject:
    """`{code, status, message[, productId][, details: [{field, type, message}]]}`: products."""
    body: JsonObject = {"code": status.value, "status": status.phrase, "message": error.message}
    if error.resource_id:
        body["productId"] = error.resource_id
    if problems := problems_of(error):
        body["details"] = [
            {"field": field, "type": kind, "message": message} for field, kind, message in problems
        ]
    return body


PRODUCT_ERRORS = ErrorFormat(product_error_body, ProductError)
