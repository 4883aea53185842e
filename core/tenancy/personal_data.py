"""What tenants' columns hold, and what the columns of every document do."""

from core.personal_data.declarations import KEEP, declare, each
from core.tenancy.models import Tenant

declare(
    Tenant,
    each(
        KEEP("the shop's own"), "name", "title", "default_language", "languages", "currency", "limit_reached"
    ),
)
