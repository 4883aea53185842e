"""Legal entities and their contacts as rows of an import."""

from accounts.models import ContactAssignment
from accounts.operations.legal_entity_imports import DETAILS, TARGET
from core.imports.merge_specs import MergeSpec, Reference, plain_values
from core.sql.upserts import UpsertTarget

GIVEN = {"external_id": "text", **DETAILS}
STAMPS = {"tenant_id": "%(tenant)s", "created_at": "%(at)s", "modified_at": "%(at)s"}

LEGAL_ENTITIES = MergeSpec(
    name="legal entities",
    target=TARGET,
    given={**GIVEN, "parent": "text"},
    values={**plain_values(GIVEN), **STAMPS, "parent_id": "parent.id"},
    references=(Reference("parent", "accounts_legalentity", "parent", "legal entity"),),
)
"""A legal entity by id. Its parent comes in an earlier batch, or is stored."""

CONTACTS = MergeSpec(
    name="contact assignments",
    target=UpsertTarget.of(
        ContactAssignment, "tenant_id", "customer_id", "legal_entity_id", created_only=("external_id",)
    ),
    given={
        "external_id": "text",
        "customer": "text",
        "legal_entity": "text",
        "type": "text",
        "is_primary": "boolean",
        "mixins": "jsonb",
        "mixin_schemas": "jsonb",
    },
    values={
        **plain_values({"external_id": "", "type": "", "is_primary": "", "mixins": "", "mixin_schemas": ""}),
        **STAMPS,
        "customer_id": "customer.id",
        "legal_entity_id": "legal_entity.id",
    },
    references=(
        Reference("customer", "accounts_customer", "customer", "customer"),
        Reference("legal_entity", "accounts_legalentity", "legal_entity", "legal entity"),
    ),
)
"""A customer who may act for a legal entity, by both."""
