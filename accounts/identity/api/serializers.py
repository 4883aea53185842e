"""Bodies of tokens and sessions."""

from rest_framework import serializers


class ServiceTokenRequest(serializers.Serializer):
    grant_type = serializers.ChoiceField(["client_credentials"])
    client_id = serializers.CharField(required=False, help_text="Absent when HTTP Basic names the client.")
    client_secret = serializers.CharField(required=False)
    scope = serializers.CharField(
        required=False, help_text="Scopes wanted, separated by blanks; perhaps `tenant=<name>`. Absent: all."
    )


class ServiceTokenAnswer(serializers.Serializer):
    access_token = serializers.CharField()
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField()
    session_idle_time = serializers.IntegerField()
    refresh_token = serializers.CharField(allow_blank=True)
    refresh_token_expires_in = serializers.IntegerField()
    scope = serializers.CharField()


class OAuthError(serializers.Serializer):
    error = serializers.CharField()
    error_description = serializers.CharField()


class JsonWebKey(serializers.Serializer):
    kty = serializers.CharField()
    kid = serializers.CharField()
    use = serializers.CharField()
    alg = serializers.CharField()
    n = serializers.CharField()
    e = serializers.CharField()


class JsonWebKeySet(serializers.Serializer):
    keys = JsonWebKey(many=True)


class AnonymousToken(serializers.Serializer):
    token_type = serializers.CharField()
    access_token = serializers.CharField()
    expires_in = serializers.IntegerField()
    refresh_token = serializers.CharField(required=False)
    refresh_token_expires_in = serializers.IntegerField(required=False)
    sessionId = serializers.UUIDField()
    scope = serializers.CharField()
    accessToken = serializers.CharField(help_text="Deprecated: `access_token`.")
    refreshToken = serializers.CharField(required=False, help_text="Deprecated: `refresh_token`.")
    expiresIn = serializers.IntegerField(help_text="Deprecated: `expires_in`.")


class RefreshedCustomerToken(serializers.Serializer):
    token_type = serializers.CharField()
    access_token = serializers.CharField()
    expires_in = serializers.IntegerField()
    refresh_token = serializers.CharField()
    refresh_token_expires_in = serializers.IntegerField()
    session_id = serializers.UUIDField()
    saas_token = serializers.CharField(help_text="Tells the shop's other services who the customer is.")
    accessToken = serializers.CharField(help_text="Deprecated: `access_token`.")
    saasToken = serializers.CharField(help_text="Deprecated: `saas_token`.")
    refreshToken = serializers.CharField(help_text="Deprecated: `refresh_token`.")
    expiresIn = serializers.IntegerField(help_text="Deprecated: `expires_in`.")
    refreshTokenExpiresIn = serializers.IntegerField(help_text="Deprecated: `refresh_token_expires_in`.")


class CustomerToken(RefreshedCustomerToken):
    initialPassword = serializers.BooleanField(help_text="Always false: customers choose their password.")


class TokenDetails(serializers.Serializer):
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField()
    scope = serializers.CharField()
    sessionId = serializers.CharField(required=False)
    email = serializers.CharField(required=False)
    legalEntityId = serializers.CharField(required=False)


class LoginRequest(serializers.Serializer):
    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=200, trim_whitespace=False)
