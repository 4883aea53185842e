"""The error bodies of the product service; those of the category service are in `core.api.error_bodies`."""

from http import HTTPStatus
from typing import Any

from rest_framework import serializers

from core.api.error_bodies import ErrorFormat, problems_of
from core.errors import DomainError


class ProductErrorDetail(serializers.Serializer):
    field = serializers.CharField()
    type = serializers.CharField()
    message = serializers.CharField()


class ProductError(serializers.Serializer):
    code = serializers.IntegerField()
    status = serializers.CharField()
    message = serializers.CharField()
    productId = serializers.CharField(required=False)
    details = ProductErrorDetail(many=True, required=False)


def product_error_body(error: DomainError, status: HTTPStatus) -> dict[str, Any]:
    """`{code, status, message[, productId][, details: [{field, type, message}]]}`: products."""
    body: dict[str, Any] = {"code": status.value, "status": status.phrase, "message": error.message}
    if error.resource_id:
        body["productId"] = error.resource_id
    if problems := problems_of(error):
        body["details"] = [
            {"field": field, "type": kind, "message": message} for field, kind, message in problems
        ]
    return body


PRODUCT_ERRORS = ErrorFormat(product_error_body, ProductError)
