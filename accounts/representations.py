"""What clients read of customers, legal entities, contact assignments and sites."""

from core.json_types import JsonObject
from core.representation.fields import Boolean, Computed, Field, Integer, Json, Nested, Text, Texts, Time
from core.representation.representations import Representation


def metadata(alias: str) -> dict[str, Field]:
    """Return the metadata of a document's table under this name."""
    return {
        "version": Integer(f"{alias}.version"),
        "createdAt": Time(f"{alias}.created_at"),
        "modifiedAt": Time(f"{alias}.modified_at"),
        "mixins": Json(f"{alias}.mixin_schemas", omit_empty=False),
    }


DOCUMENTED_METADATA: dict[str, JsonObject] = {
    "metadata": {"description": "Its version, its instants, and the addresses of its mixins' schemas."},
    "metadata.version": {"description": "Grows by one with every write."},
    "metadata.createdAt": {"description": "When the document was made."},
    "metadata.modifiedAt": {"description": "When the document was last changed."},
    "metadata.mixins": {"description": "The address of the schema of each mixin."},
    "mixins": {"description": "Attributes of the shop's own, by mixin."},
}
CONTACT_TYPES = ["PRIMARY", "BILLING", "LOGISTICS", "CONTACT"]


def entity_documentation(prefix: str = "") -> dict[str, JsonObject]:
    """Describe the fields of a legal entity, below the prefix."""
    ids = {
        "type": "array",
        "items": {"type": "object", "properties": {"id": {"type": "string", "description": "The id."}}},
    }
    described: dict[str, JsonObject] = {
        "id": {"description": "The legal entity's id."},
        "name": {"description": "The legal entity's name."},
        "type": {"enum": ["COMPANY", "SUBSIDIARY"], "description": "Whether it belongs to another company."},
        "parentId": {"description": "The id of the legal entity that it belongs to."},
        "legalInfo": {"description": "How the legal entity is registered."},
        "accountLimit": {"description": "Up to which amount it may buy: `currency` and `value`."},
        "customerGroups": {**ids, "description": "The groups of its customers, each with an id."},
        "entitiesAddresses": {**ids, "description": "The ids of its locations."},
        "approvalGroup": {**ids, "description": "The ids of the customers who approve its orders."},
        "restrictions": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What limits who may see it.",
        },
    }
    return {f"{prefix}{name}": schema for name, schema in described.items()}


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
    "preferredLanguage": Text("customer.preferred_language", omit_empty=True),
    "preferredCurrency": Text("customer.preferred_currency", omit_empty=True),
    "preferredSite": Text("customer.preferred_site", omit_empty=True),
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
    "mixins": Json("customer.mixins", omit_empty=False),
    "metadata": Nested(metadata("customer")),
}
DERIVED = ("businessModel", "b2b", "lastLogin")
DOCUMENTED_PROFILE: dict[str, JsonObject] = {
    **DOCUMENTED_METADATA,
    "id": {"description": "The customer's number."},
    "customerNumber": {"description": "The customer's number, which is the id."},
    "title": {"description": "How the customer is addressed, such as MS."},
    "firstName": {"description": "The first name."},
    "middleName": {"description": "The middle name."},
    "lastName": {"description": "The last name."},
    "contactEmail": {"format": "email", "description": "The e-mail, which is the login."},
    "contactPhone": {"description": "The telephone number."},
    "company": {"description": "The company that the customer works for, as they write it."},
    "preferredLanguage": {"description": "The customer's language, at first the tenant's."},
    "preferredCurrency": {"description": "The customer's currency (ISO 4217), at first the tenant's."},
    "preferredSite": {"description": "The customer's site, at first the tenant's default site."},
    "photoUrl": {"format": "uri", "description": "The address of a picture."},
    "b2b": {"description": "What belongs to a contact of legal entities."},
    "businessModel": {"enum": ["B2B", "B2C"], "description": "B2B for contacts of legal entities."},
    "b2b.companyRegistrationId": {"description": "The registration number of the company."},
    "b2b.legalEntities": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "id": {"type": "string", "description": "The legal entity's id."},
                "name": {"type": "string", "description": "Its name."},
                "contactAssignmentId": {"type": "string", "description": "The id of the assignment."},
            },
        },
        "description": "The legal entities that the customer is a contact of.",
    },
    "accounts": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"id": {"type": "string", "format": "email", "description": "The e-mail."}},
        },
        "description": "The customer's logins; `id` is the e-mail.",
    },
    "lastLogin": {"description": "When the customer last logged in."},
}
PROFILES = Representation(
    table="accounts_customer",
    alias="customer",
    name="CustomerProfile",
    documented=DOCUMENTED_PROFILE,
    fields=PROFILE,
    derived=DERIVED,
)
CUSTOMERS = Representation(
    table="accounts_customer",
    alias="customer",
    name="Customer",
    documented={
        **DOCUMENTED_PROFILE,
        "email": {"format": "email", "description": "The e-mail, which is the login."},
        "type": {"enum": ["CUSTOMER", "CONTACT"], "description": "Whether this is a mere contact."},
        "active": {"description": "Whether the customer may log in at all."},
        "onHold": {"description": "Whether the customer may not log in for the time being."},
        "metadataCreatedAt": {"description": "When the customer was made."},
    },
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
    name="LegalEntity",
    documented={**DOCUMENTED_METADATA, **entity_documentation()},
    joins={"parent": PARENT},
    fields={
        **legal_entity_fields((), ("parent",)),
        "mixins": Json("legal_entity.mixins", omit_empty=False),
        "metadata": Nested(metadata("legal_entity")),
    },
    aliases={"metadataCreatedAt": "metadata.createdAt", "metadataModifiedAt": "metadata.modifiedAt"},
)

CONTACT_ASSIGNMENTS = Representation(
    table="accounts_contactassignment",
    alias="contact",
    derived=("legalEntity", "customer"),
    name="ContactAssignment",
    documented={
        **DOCUMENTED_METADATA,
        **entity_documentation("legalEntity."),
        "id": {"description": "The contact assignment's id."},
        "legalEntity": {"description": "The legal entity."},
        "customer": {"description": "The contact."},
        "customer.id": {"description": "The customer's number."},
        "customer.name": {"description": "The customer's first name."},
        "customer.surname": {"description": "The customer's last name."},
        "customer.email": {"format": "email", "description": "The customer's e-mail."},
        "customer.phone": {"description": "The customer's telephone number."},
        "type": {"enum": CONTACT_TYPES, "description": "What the customer does for the legal entity."},
        "primary": {"description": "Whether this is the first contact to turn to."},
    },
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
        "mixins": Json("contact.mixins", omit_empty=False),
        "metadata": Nested(metadata("contact")),
    },
    aliases={"metadataCreatedAt": "metadata.createdAt", "metadataModifiedAt": "metadata.modifiedAt"},
)

SITES = Representation(
    table="accounts_site",
    alias="site",
    derived=("default",),
    name="Site",
    documented={
        **DOCUMENTED_METADATA,
        "code": {"description": "The site's code."},
        "name": {"description": "The site's name."},
        "active": {"description": "Whether customers see the site."},
        "default": {"description": "Whether this is the site where none is named."},
        "includesTax": {"nullable": True, "description": "Whether prices include tax."},
        "defaultLanguage": {"description": "The language where none is named."},
        "languages": {"description": "The site's languages (ISO 639-1)."},
        "currency": {"description": "The site's currency (ISO 4217)."},
        "availableCurrencies": {"description": "The currencies that customers may choose."},
        "homeBase": {
            "description": "Where the site is at home: `address`, `location`, `timezone`. Empty for a"
            " site that was made without."
        },
        "shipToCountries": {"description": "The countries that the site ships to (ISO 3166-1)."},
        "taxDeterminationBasedOn": {
            "enum": ["BILLING_ADDRESS", "SHIPPING_ADDRESS"],
            "description": "Which address decides on the tax.",
        },
        **{
            name: {
                "type": "array",
                "items": {"type": "object", "additionalProperties": True},
                "description": f"Settings of the {name} service, kept unchanged.",
            }
            for name in ("shipping", "payment", "tax")
        },
        "assistedBuying": {"description": "Where staff buys for customers: `storefrontUrl`."},
        "cartCalculationScale": {
            "type": "integer",
            "description": "The decimals that carts are calculated with.",
        },
    },
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
        "mixins": Json("site.mixins", omit_empty=False),
        "metadata": Nested(
            {
                "version": Integer("site.version"),
                "createdAt": Time("site.created_at"),
                "modifiedAt": Time("site.modified_at"),
                "mixins": Json("coalesce(site.mixin_schemas, '{}')", omit_empty=False),
            }
        ),
    },
)
