"""The addresses of customers, customer management and sites."""

from accounts.api.viewsets.contact_assignments import ContactAssignmentViewSet
from accounts.api.viewsets.customer_imports import CustomerImportViewSet, RetentionViewSet
from accounts.api.viewsets.customers import CustomerViewSet
from accounts.api.viewsets.legal_entities import LegalEntityViewSet
from accounts.api.viewsets.profiles import ProfileViewSet, SignupViewSet
from accounts.api.viewsets.sites import SiteViewSet
from core.api.routes import describe_argument, route

CUSTOMER = "customer/<tenant>"
CUSTOMERS = f"{CUSTOMER}/customers"
LEGAL_ENTITIES = "customer-management/<tenant>/legal-entities"
LEGAL_ENTITY = f"{LEGAL_ENTITIES}/<legal_entity_id>"
CONTACT_ASSIGNMENTS = "customer-management/<tenant>/contact-assignments"
CONTACT_ASSIGNMENT = f"{CONTACT_ASSIGNMENTS}/<contact_assignment_id>"
SITES = "site/<tenant>/sites"
SITE = f"{SITES}/<site_code>"

describe_argument("customer_number", "The customer's number, which is its id.")
describe_argument("legal_entity_id", "The legal entity's id.")
describe_argument("contact_assignment_id", "The contact assignment's id.")
describe_argument("site_code", "The site's code.")

urlpatterns = [
    route(f"{CUSTOMER}/signup", SignupViewSet, post="create"),
    route(f"{CUSTOMER}/me", ProfileViewSet, get="retrieve", patch="partial_update"),
    route(CUSTOMERS, CustomerViewSet, get="list", post="create"),
    route(
        f"{CUSTOMER}/config/password-migration-retention",
        RetentionViewSet,
        get="retrieve",
        post="create",
        delete="destroy",
    ),
    route(f"{CUSTOMERS}/import", CustomerImportViewSet, post="bulk_create"),
    route(f"{CUSTOMERS}/search", CustomerViewSet, post="search"),
    route(
        f"{CUSTOMERS}/<customer_number>",
        CustomerViewSet,
        get="retrieve",
        put="update",
        patch="partial_update",
        delete="destroy",
    ),
    route(f"{CUSTOMERS}/<customer_number>/personal-data", CustomerViewSet, get="personal_data"),
    route(LEGAL_ENTITIES, LegalEntityViewSet, get="list", post="create"),
    route(f"{LEGAL_ENTITIES}/search", LegalEntityViewSet, post="search"),
    route(LEGAL_ENTITY, LegalEntityViewSet, get="retrieve", put="update", delete="destroy"),
    route(f"{LEGAL_ENTITY}/parent-hierarchy", LegalEntityViewSet, get="lineage"),
    route(CONTACT_ASSIGNMENTS, ContactAssignmentViewSet, get="list", post="create"),
    route(CONTACT_ASSIGNMENT, ContactAssignmentViewSet, get="retrieve", put="update", delete="destroy"),
    route(SITES, SiteViewSet, get="list", post="create"),
    route("site/<tenant>/siteslist", SiteViewSet, get="codes"),
    route(SITE, SiteViewSet, get="retrieve", put="update", patch="partial_update", delete="destroy"),
]
