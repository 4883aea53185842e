from accounts.admin.customers import CustomerAdmin, ErasureAdmin
from accounts.admin.legal_entities import ContactAssignmentAdmin, LegalEntityAdmin
from accounts.admin.staff import StaffAdmin, StaffGroupAdmin
from accounts.admin.tenants import ShopAdmin, SiteAdmin

__all__ = [
    "ContactAssignmentAdmin",
    "CustomerAdmin",
    "ErasureAdmin",
    "LegalEntityAdmin",
    "ShopAdmin",
    "SiteAdmin",
    "StaffAdmin",
    "StaffGroupAdmin",
]
