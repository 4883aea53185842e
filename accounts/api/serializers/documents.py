"""What the bodies of all documents have in common."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from accounts.operations.documents import Change

LONGEST_LIST = 200


class Body(serializers.Serializer):
    """An object of which null members count as absent."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            data = {name: value for name, value in data.items() if value is not None}
        return super().to_internal_value(data)


class JsonObject(serializers.JSONField):
    """Free JSON that is an object."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("This must be an object.", code="not_an_object")
        return super().to_internal_value(data)


class MetadataInput(Body):
    version = serializers.IntegerField(required=False, min_value=0, max_value=2_147_483_647)
    mixins = JsonObject(required=False, help_text="Name of a mixin -> address of its schema.")


class DocumentInput(Body):
    """A document as clients write it. What it leaves out gets its default value: writes replace."""

    metadata = MetadataInput(required=False)
    mixins = JsonObject(required=False, default=dict)

    def change(self, *without: str) -> Change:
        """Return what the validated body says, as columns; members of these names are no columns."""
        values = {name: value for name, value in self.validated_data.items() if name not in without}
        metadata = values.pop("metadata", {})
        values["mixin_schemas"] = metadata.get("mixins", {})
        return Change(values=values, expected_version=metadata.get("version"))


class AccountMetadata(serializers.Serializer):
    version = serializers.IntegerField()
    createdAt = serializers.DateTimeField()
    modifiedAt = serializers.DateTimeField()
    mixins = JsonObject(required=False)


class AccountResourceId(serializers.Serializer):
    id = serializers.CharField()


class AccountSearch(serializers.Serializer):
    q = serializers.CharField(required=False, help_text="Terms `field:value`, separated by blanks.")
