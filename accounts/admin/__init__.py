from accounts.admin.customers import CustomerAdmin, ErasureAdmin
from accounts.admin.faults import FAULTS
from accounts.admin.legal_entities import ContactAssignmentAdmin, LegalEntityAdmin
from accounts.admin.staff import StaffAdmin, StaffGroupAdmin
from accounts.admin.tenants import ShopAdmin, SiteAdmin
from core.admin.faults import register_faults

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

register_faults(*FAULTS)
