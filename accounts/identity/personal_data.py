"""What the columns of sessions, tokens and API clients hold, and how a customer is erased and exported."""

from accounts.identity.models import (
    ApiClient,
    AttemptCounter,
    ClientSecret,
    LegacyPassword,
    RefreshToken,
    Session,
    SigningKey,
)
from core.json_types import JsonObject
from core.personal_data.customers import (
    CustomerTrace,
    Eraser,
    Exporter,
    exported,
    register_eraser,
    register_exporter,
)
from core.personal_data.declarations import ERASE, KEEP, declare, each
from core.sql.composition import identifier, param, sql
from core.sql.fetching import execute

PROGRAM = KEEP("a program of the shop")

declare(ApiClient, each(PROGRAM, "client_id", "name", "scopes"))
declare(ClientSecret, {"digest": KEEP("a digest of random bits")})
declare(SigningKey, each(KEEP("a key of the service"), "kid", "private_key", "public_key", "status"))
declare(Session, {"context": ERASE})
declare(RefreshToken, each(ERASE, "digest", "used_from"))
declare(LegacyPassword, each(ERASE, "algorithm", "hash", "context"))
declare(
    AttemptCounter,
    {"subject": KEEP("a digest, of an address at the most with an e-mail; deleted within 30 days")},
)


def erase(trace: CustomerTrace) -> dict[str, int]:
    """Delete sessions, with their refresh tokens, and hashes of another system."""
    slots = {"tenant": param(trace.tenant_id), "customer": param(trace.customer_id)}
    return {
        name: execute(
            sql(
                "DELETE FROM {table} WHERE tenant_id = {tenant} AND customer_id = {customer}",
                table=identifier(table),
                **slots,
            )
        )
        for name, table in (("sessions", "identity_session"), ("legacyPasswords", "identity_legacypassword"))
    }


SESSION_COLUMNS = {
    "id": "session.session_id::text",
    "clientId": "client.client_id",
    "context": "session.context",
    "createdAt": "session.created_at",
    "expiresAt": "session.expires_at",
    "revokedAt": "session.revoked_at",
}


def export(trace: CustomerTrace) -> JsonObject:
    slots = {"tenant": param(trace.tenant_id), "customer": param(trace.customer_id)}
    sessions = sql(
        "FROM identity_session AS session"
        " JOIN identity_apiclient AS client ON client.id = session.client_id"
        " WHERE session.tenant_id = {tenant} AND session.customer_id = {customer} ORDER BY session.id",
        **slots,
    )
    passwords = sql(
        "FROM identity_legacypassword WHERE tenant_id = {tenant} AND customer_id = {customer}",
        **slots,
    )
    return {
        "sessions": exported(SESSION_COLUMNS, sessions, documents=["context"]),
        "legacyPasswords": exported({"algorithm": "algorithm", "createdAt": "created_at"}, passwords),
    }


register_eraser(Eraser("identity", erase))
register_exporter(Exporter("identity", export))
