"""Reads bodies by the API's own serializers, thousands of them."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.api.errors import InvalidBody, flatten
from core.identifiers import check_client_id


class BodyReader:
    """Reads bodies by one serializer, which is made once: making it takes longer than reading."""

    def __init__(self, serializer: serializers.Serializer) -> None:
        self.serializer = serializer

    def __call__(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the validated body; raise InvalidInput with all that is wrong."""
        try:
            return self.serializer.run_validation(dict(body))
        except ValidationError as error:
            raise InvalidBody(flatten(error.detail)) from error


def read_id(body: Mapping[str, Any], name: str = "id") -> str:
    """Return the id of a body; raise InvalidInput when it has none that clients may choose."""
    return check_client_id(body.get(name), field=name)


def split_metadata(values: dict[str, Any]) -> tuple[int | None, Mapping[str, Any]]:
    """Take the metadata out of validated values; return the expected version and the mixins' schemas."""
    metadata = values.pop("metadata", {})
    return metadata.get("version"), metadata.get("mixins", {})
