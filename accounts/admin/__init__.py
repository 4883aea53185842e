from accounts.admin.clients import ApiClientAdmin, ClientSecretAdmin
from accounts.admin.companies import ContactAssignmentAdmin, LegalEntityAdmin
from accounts.admin.customers import CustomerAdmin
from accounts.admin.imports import ImportRejectAdmin, ImportRunAdmin
from accounts.admin.sessions import AttemptCounterAdmin, RefreshTokenAdmin, SessionAdmin, SigningKeyAdmin
from accounts.admin.staff import StaffAdmin, StaffGroupAdmin
from accounts.admin.tenants import ShopAdmin, SiteAdmin

__all__ = [
    "ApiClientAdmin",
    "AttemptCounterAdmin",
    "ClientSecretAdmin",
    "ContactAssignmentAdmin",
    "CustomerAdmin",
    "ImportRejectAdmin",
    "ImportRunAdmin",
    "LegalEntityAdmin",
    "RefreshTokenAdmin",
    "SessionAdmin",
    "ShopAdmin",
    "SigningKeyAdmin",
    "SiteAdmin",
    "StaffAdmin",
    "StaffGroupAdmin",
]
