from accounts.models.customers import Customer, Erasure
from accounts.models.legal_entities import ContactAssignment, LegalEntity
from accounts.models.sites import Site
from accounts.models.users import User

__all__ = ["ContactAssignment", "Customer", "Erasure", "LegalEntity", "Site", "User"]
