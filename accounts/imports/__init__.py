from accounts.imports.customer_files import CUSTOMER_FILES
from accounts.imports.legal_entity_files import LEGAL_ENTITY_FILES
from core.imports.resources import register

register(CUSTOMER_FILES, LEGAL_ENTITY_FILES)
