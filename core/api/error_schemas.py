"""The error bodies of the services, as the OpenAPI document describes them."""

from rest_framework import serializers


class SegmentErrorDetail(serializers.Serializer):
    field = serializers.CharField(required=False)
    type = serializers.CharField(required=False)
    message = serializers.CharField(required=False)


class SegmentError(serializers.Serializer):
    code = serializers.IntegerField()
    status = serializers.CharField()
    message = serializers.CharField()
    resourceId = serializers.CharField(required=False)
    details = SegmentErrorDetail(required=False)


class CategoryError(serializers.Serializer):
    code = serializers.IntegerField()
    status = serializers.CharField()
    message = serializers.CharField()
    resourceId = serializers.CharField(required=False)
    details = serializers.ListField(child=serializers.CharField())


class TypedErrorDetail(serializers.Serializer):
    field = serializers.CharField(required=False)
    type = serializers.CharField()
    message = serializers.CharField(required=False)


class TypedError(serializers.Serializer):
    status = serializers.IntegerField()
    type = serializers.CharField()
    message = serializers.CharField(required=False)
    details = TypedErrorDetail(many=True, required=False)


class FaultDetail(serializers.Serializer):
    errorcode = serializers.CharField()


class FaultBody(serializers.Serializer):
    faultstring = serializers.CharField()
    detail = FaultDetail()


class Fault(serializers.Serializer):
    fault = FaultBody()


ErrorSchema = type[serializers.Serializer]
FAULT: ErrorSchema = Fault
