"""What clients read of customers, legal entities, contact assignments and sites."""

from core.representation.fields import Boolean, Computed, Field, Integer, Json, Nested, Text, Texts, Time
from core.representation.representations import Representation


def metadata(alias: str) -> dict[str, Field]:
    """Return the metadata of a document's table under this name."""
    return {
        "version": Integer(f"{alias}.version"),
        "createdAt": Time(f"{alias}.created_at"),
        "modifiedAt": Time(f"{alias}.modified_at"),
        "mixins": Json(f"{alias}.mixin_schemas"),
    }


HAS_CONTACTS = """EXISTS (
    SELECT 1 FROM accounts_contactassignment AS contact
    WHERE contact.tenant_id = customer.tenant_id AND contact.customer_id = customer.id
)"""
LEGAL_ENTITIES_OF_CUSTOMER = """(
    SELECT json_agg(json_build_object(
        'id', legal_entity.external_id, 'name', legal_entity.name, 'contactAssignmentId', contact.external_id
    ) ORDER BY contact.id)
    FROM accounts_contactassignment AS contact
    JOIN accounts_legalentity AS legal_entity
      ON legal_entity.tenant_id = contact.tenant_id AND legal_entity.id = contact.legal_entity_id
    WHERE contact.tenant_id = customer.tenant_id AND contact.customer_id = customer.id
)"""
ACCOUNTS_OF_CUSTOMER = """CASE WHEN customer.email IS NULL THEN '[]'::json
    ELSE json_build_array(json_build_object('id', customer.email)) END"""

PROFILE: dict[str, Field] = {
    "id": Text("customer.external_id"),
    "customerNumber": Text("customer.external_id"),
    "title": Text("customer.title", omit_empty=True),
    "firstName": Text("customer.first_name", omit_empty=True),
    "middleName": Text("customer.middle_name", omit_empty=True),
    "lastName": Text("customer.last_name", omit_empty=True),
    "contactEmail": Text("customer.email"),
    "contactPhone": Text("customer.contact_phone", omit_empty=True),
    "company": Text("customer.company", omit_empty=True),
    "preferredLanguage": Text("customer.preferred_language"),
    "preferredCurrency": Text("customer.preferred_currency"),
    "preferredSite": Text("customer.preferred_site"),
    "photoUrl": Text("customer.photo_url", omit_empty=True),
    "businessModel": Text(f"CASE WHEN {HAS_CONTACTS} THEN 'B2B' ELSE 'B2C' END"),
    "b2b": Nested(
        {
            "companyRegistrationId": Text("customer.company_registration_id", omit_empty=True),
            "legalEntities": Computed(LEGAL_ENTITIES_OF_CUSTOMER),
        }
    ),
    "accounts": Computed(ACCOUNTS_OF_CUSTOMER),
    "lastLogin": Time("customer.last_login_at"),
    "mixins": Json("customer.mixins"),
    "metadata": Nested(metadata("customer")),
}
DERIVED = ("businessModel", "b2b", "lastLogin")
PROFILES = Representation(table="accounts_customer", alias="customer", fields=PROFILE, derived=DERIVED)
CUSTOMERS = Representation(
    table="accounts_customer",
    alias="customer",
    fields={
        **PROFILE,
        "email": Text("customer.email"),
        "type": Text("customer.type"),
        "active": Boolean("customer.is_active"),
        "onHold": Boolean("customer.is_on_hold"),
        "metadataCreatedAt": Time("customer.created_at"),
    },
    derived=DERIVED,
    aliases={"metadataModifiedAt": "metadata.modifiedAt"},
)


def legal_entity_fields(needs: tuple[str, ...], parent: tuple[str, ...]) -> dict[str, Field]:
    """Return the fields of a legal entity, which need these joins; the parent's id needs its own."""
    return {
        "id": Text("legal_entity.external_id", needs=needs),
        "name": Text("legal_entity.name", needs=needs),
        "type": Text("legal_entity.type", needs=needs),
        "parentId": Text("parent.external_id", needs=parent),
        "legalInfo": Json("legal_entity.legal_info", needs=needs),
        "accountLimit": Json("legal_entity.account_limit", needs=needs),
        "customerGroups": Json("legal_entity.customer_groups", needs=needs),
        "entitiesAddresses": Json("legal_entity.entities_addresses", needs=needs),
        "approvalGroup": Json("legal_entity.approval_group", needs=needs),
        "restrictions": Json("legal_entity.restrictions", needs=needs),
    }


PARENT = (
    "LEFT JOIN accounts_legalentity AS parent"
    " ON parent.tenant_id = legal_entity.tenant_id AND parent.id = legal_entity.parent_id"
)
LEGAL_ENTITIES = Representation(
    table="accounts_legalentity",
    alias="legal_entity",
    joins={"parent": PARENT},
    fields={
        **legal_entity_fields((), ("parent",)),
        "mixins": Json("legal_entity.mixins"),
        "metadata": Nested(metadata("legal_entity")),
    },
    aliases={"metadataCreatedAt": "metadata.createdAt", "metadataModifiedAt": "metadata.modifiedAt"},
)

CONTACT_ASSIGNMENTS = Representation(
    table="accounts_contactassignment",
    alias="contact",
    derived=("legalEntity", "customer"),
    joins={
        "legal_entity": (
            "LEFT JOIN accounts_legalentity AS legal_entity"
            " ON legal_entity.tenant_id = contact.tenant_id AND legal_entity.id = contact.legal_entity_id"
        ),
        "parent": PARENT,
        "customer": (
            "LEFT JOIN accounts_customer AS customer"
            " ON customer.tenant_id = contact.tenant_id AND customer.id = contact.customer_id"
        ),
    },
    fields={
        "id": Text("contact.external_id"),
        "legalEntity": Nested(legal_entity_fields(("legal_entity",), ("legal_entity", "parent"))),
        "customer": Nested(
            {
                "id": Text("customer.external_id", needs=("customer",)),
                "name": Text("customer.first_name", needs=("customer",), omit_empty=True),
                "surname": Text("customer.last_name", needs=("customer",), omit_empty=True),
                "email": Text("customer.email", needs=("customer",)),
                "phone": Text("customer.contact_phone", needs=("customer",), omit_empty=True),
            }
        ),
        "type": Text("contact.type"),
        "primary": Boolean("contact.is_primary"),
        "mixins": Json("contact.mixins"),
        "metadata": Nested(metadata("contact")),
    },
    aliases={"metadataCreatedAt": "metadata.createdAt", "metadataModifiedAt": "metadata.modifiedAt"},
)

SITES = Representation(
    table="accounts_site",
    alias="site",
    derived=("default",),
    fields={
        "code": Text("site.code"),
        "name": Text("site.name"),
        "active": Boolean("site.is_active"),
        "default": Boolean("site.is_default"),
        "includesTax": Boolean("site.includes_tax"),
        "defaultLanguage": Text("site.default_language"),
        "languages": Texts("site.languages"),
        "currency": Text("site.currency"),
        "availableCurrencies": Texts("site.available_currencies"),
        "homeBase": Json("site.home_base", omit_empty=False),
        "shipToCountries": Texts("site.ship_to_countries"),
        "taxDeterminationBasedOn": Text("site.tax_determination_based_on"),
        "shipping": Json("(site.settings -> 'shipping')", omit_empty=False),
        "payment": Json("(site.settings -> 'payment')", omit_empty=False),
        "tax": Json("(site.settings -> 'tax')", omit_empty=False),
        "assistedBuying": Json("(site.settings -> 'assistedBuying')", omit_empty=False),
        "cartCalculationScale": Json("(site.settings -> 'cartCalculationScale')", omit_empty=False),
        "mixins": Json("site.mixins"),
        "metadata": Nested(
            {
                "version": Integer("site.version"),
                "createdAt": Time("site.created_at"),
                "modifiedAt": Time("site.modified_at"),
                "mixins": Json("site.mixin_schemas", omit_empty=False),
            }
        ),
    },
)
