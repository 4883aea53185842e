"""What the journal records of API clients, keys and the passwords of other systems."""

from accounts.identity.models import ApiClient, ClientSecret, LegacyPassword, PasswordMigration, SigningKey
from core.journal.declarations import RecordedDocument, leave_out, record

record(
    RecordedDocument(model=ApiClient, object="api-client", external_id="it.client_id"),
    RecordedDocument(
        model=ClientSecret,
        object="client-secret",
        external_id="NULL",
        tenant="(SELECT client.tenant_id FROM identity_apiclient AS client WHERE client.id = it.client_id)",
        owner="it.client_id",
        secret=("digest",),
    ),
    RecordedDocument(
        model=SigningKey,
        object="signing-key",
        external_id="it.kid",
        tenant="NULL::bigint",
        secret=("private_key",),
    ),
    RecordedDocument(
        model=LegacyPassword,
        object="legacy-password",
        external_id="NULL",
        owner="it.customer_id",
        secret=("hash", "context"),
    ),
    RecordedDocument(model=PasswordMigration, object="password-migration", external_id="NULL"),
)
leave_out(
    {
        "identity.AttemptCounter": "counts attempts, and says of nobody who they are",
        "identity.RefreshToken": "made and used up by every login; ends with its session",
        "identity.Session": "a visit to a storefront, which says itself when it began and ended",
    }
)
