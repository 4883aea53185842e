"""What the journal records of API clients, keys and the passwords of other systems."""

from django.utils.translation import gettext

from accounts.identity.models import (
    ApiClient,
    ClientSecret,
    LegacyPassword,
    PasswordMigration,
    Session,
    SigningKey,
)
from core.journal.declarations import RecordedDocument, leave_out, record
from core.journal.models import Change


def session_in_words(change: Change) -> str:
    return gettext("ended the session")


record(
    RecordedDocument(
        model=Session,
        object="session",
        external_id="it.session_id::text",
        owner="it.customer_id",
        # that it began, and is used, is no change of the shop
        events=("UPDATE",),
        derived=(
            "session_id",
            "client_id",
            "customer_id",
            "legal_entity_id",
            "context",
            "created_at",
            "expires_at",
        ),
        ignores_derived=True,
        said=session_in_words,
    ),
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
    }
)
