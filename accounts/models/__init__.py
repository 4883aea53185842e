from accounts.models.attempts import AttemptCounter
from accounts.models.clients import ApiClient, ClientSecret, RefreshToken, Session, SigningKey
from accounts.models.companies import ContactAssignment, LegalEntity
from accounts.models.customers import Customer
from accounts.models.imports import ImportChange, ImportCreation, ImportReject, ImportRun, ImportState
from accounts.models.tenants import Site, Tenant
from accounts.models.users import User

__all__ = [
    "ApiClient",
    "AttemptCounter",
    "ClientSecret",
    "ContactAssignment",
    "Customer",
    "ImportChange",
    "ImportCreation",
    "ImportReject",
    "ImportRun",
    "ImportState",
    "LegalEntity",
    "RefreshToken",
    "Session",
    "SigningKey",
    "Site",
    "Tenant",
    "User",
]
