"""Who may call an operation: the default permission of every viewset."""

import re
from typing import Any, cast

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core.errors import InvalidInput, NotAllowed

TENANT_NAME = re.compile(r"[a-z][a-z0-9]{2,15}")


class TokenOfTenant(BasePermission):
    """The request has a valid token, and its path and headers name the token's tenant or none."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return self.is_of_tenant(request.user, request, view)

    def is_of_tenant(self, caller: Any, request: Request, view: Any) -> bool:
        if not caller or not caller.is_authenticated:
            return False
        name = caller.tenant.name
        tenant = view.kwargs.get("tenant")
        if tenant is not None and tenant != name:
            if not TENANT_NAME.fullmatch(tenant):
                raise InvalidInput(
                    "A tenant's name is 3 to 16 lower-case letters and digits, the first a letter.",
                    field="tenant",
                )
            raise NotAllowed("The token belongs to another tenant.")
        header = request._request.META.get("HTTP_EMPORIX_TENANT")
        if header and header != name:
            raise InvalidInput("The header Emporix-Tenant names another tenant.", field="Emporix-Tenant")
        return True


class HasScope(TokenOfTenant):
    """The token also grants one of the scopes that the handler's `@operation` declares.

    An operation without scopes needs only the token; a public one needs none.
    """

    code = "missing_scope"  # `ContractViewSet.permission_denied` turns it into MissingScope

    def has_permission(self, request: Request, view: Any) -> bool:
        operation, caller = view.operation, cast(Any, request.user)
        if operation.is_public:
            return True
        if not self.is_of_tenant(caller, request, view):
            return False
        return not operation.scopes or not caller.scopes.isdisjoint(operation.scopes)
