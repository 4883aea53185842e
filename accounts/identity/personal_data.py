"""What the columns of sessions, tokens and API clients hold, and how a customer is erased and exported."""

from typing import Any

from accounts.identity.models import (
    ApiClient,
    AttemptCounter,
    ClientSecret,
    LegacyPassword,
    RefreshToken,
    Session,
    SigningKey,
)
from core.personal_data.customers import (
    CustomerTrace,
    Eraser,
    Exporter,
    register_eraser,
    register_exporter,
    rows_as_json,
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


def export(trace: CustomerTrace) -> dict[str, Any]:
    slots = {"tenant": param(trace.tenant_id), "customer": param(trace.customer_id)}
    sessions = sql(
        "SELECT session.session_id::text, client.client_id, session.context, session.created_at,"
        " session.expires_at, session.revoked_at FROM identity_session AS session"
        " JOIN identity_apiclient AS client ON client.id = session.client_id"
        " WHERE session.tenant_id = {tenant} AND session.customer_id = {customer} ORDER BY session.id",
        **slots,
    )
    passwords = sql(
        "SELECT algorithm, created_at FROM identity_legacypassword"
        " WHERE tenant_id = {tenant} AND customer_id = {customer}",
        **slots,
    )
    names = ("id", "clientId", "context", "createdAt", "expiresAt", "revokedAt")
    return {
        "sessions": rows_as_json(names, sessions, documents=["context"]),
        "legacyPasswords": rows_as_json(("algorithm", "createdAt"), passwords),
    }


register_eraser(Eraser("identity", erase))
register_exporter(Exporter("identity", export))
