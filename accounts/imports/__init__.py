from accounts.imports.customers import CUSTOMER_FILES
from accounts.imports.legal_entities import LEGAL_ENTITY_FILES
from core.imports.resources import register

register(CUSTOMER_FILES, LEGAL_ENTITY_FILES)
