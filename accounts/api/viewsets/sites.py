"""Sites."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.api.serializers.documents import AccountResourceId
from accounts.api.serializers.sites import SiteAnswer, SiteCreation, SiteInput, SitePatched, site_document
from accounts.identity.scopes import SITE_MANAGE, SITE_READ
from accounts.models import Site
from accounts.operations import sites
from accounts.operations.documents import Change
from accounts.representations import SITES
from core.api import parameters
from core.api.error_schemas import TypedError
from core.api.errors import json_answer, typed_shape
from core.api.parameters import (
    FIELDS,
    PAGING,
    SORT,
    TENANT,
    Q,
    path_parameter,
    query_parameter,
)
from core.api.patches import apply_patch
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.errors import InvalidInput, NotFound
from core.representation.fields import Field
from core.representation.representations import Representation
from core.sql.composition import Sql

TAGS = ["Sites"]
CODE = path_parameter("site_code", "The site's code.")
EXPAND = query_parameter("expand", "Accepted; all settings and mixins are always returned.")
INCLUDE_INACTIVE = query_parameter(
    "includeInactive", "Inactive sites too; needs `site.site_manage`.", type=bool
)
TOTAL_COUNT = query_parameter(
    "totalCount", "Ask for the header X-Count: the number of sites in all.", type=bool
)
PROTECTED = ("/code", "/metadata/createdAt", "/metadata/modifiedAt")


class SiteViewSet(ContractViewSet):
    error_shape = staticmethod(typed_shape)
    default_page_size = 16
    counts_by_parameter = True
    count_header = "X-Count"

    @operation(
        "GET-site-settings-list-site-configurations",
        summary="List sites",
        tags=TAGS,
        parameters=[TENANT, Q, SORT, FIELDS, *PAGING, TOTAL_COUNT, INCLUDE_INACTIVE, EXPAND],
        responses={200: SiteAnswer(many=True)},
        error_schema=TypedError,
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_page(SITES, self.wanted_sites())

    @operation(
        "GET-site-settings-list-site-codes",
        summary="List the codes of sites",
        tags=TAGS,
        scopes=(SITE_READ, SITE_MANAGE),
        parameters=[TENANT, Q, SORT, *PAGING, TOTAL_COUNT, INCLUDE_INACTIVE, EXPAND],
        responses={200: {"type": "array", "items": {"type": "string"}}},
        error_schema=TypedError,
    )
    def codes(self, request: Request, tenant: str) -> HttpResponse:
        return self.answer_page(SITE_CODES, self.wanted_sites())

    @operation(
        "GET-site-settings-retrieve-site-config",
        summary="Retrieve a site",
        tags=TAGS,
        parameters=[TENANT, CODE, EXPAND],
        responses={200: SiteAnswer},
        errors=(400, 401, 403, 404),
        error_schema=TypedError,
        description="An inactive site is found with `site.site_manage` alone.",
    )
    def retrieve(self, request: Request, tenant: str, site_code: str) -> HttpResponse:
        conditions = [
            Sql("site.tenant_id = %s", (self.caller.tenant.id,)),
            Sql("site.code = %s", (site_code,)),
        ]
        if not self.has_scope(SITE_MANAGE):
            conditions.append(Sql("site.is_active"))
        return self.answer_one(SITES, conditions, missing=NotFound(f"There is no site {site_code}."))

    @operation(
        "POST-site-settings-create-site",
        summary="Create a site",
        tags=TAGS,
        scopes=(SITE_MANAGE,),
        parameters=[TENANT],
        request=SiteCreation,
        responses={201: AccountResourceId},
        errors=(400, 401, 403, 409),
        error_schema=TypedError,
        description="The first site of a tenant is its default site.",
    )
    def create(self, request: Request, tenant: str) -> HttpResponse:
        body = SiteCreation(data=request.data)
        body.is_valid(raise_exception=True)
        site = sites.create_site(
            tenant_id=self.caller.tenant.id,
            code=body.validated_data["code"],
            change=body.change("code"),
            at=self.at,
        )
        return json_answer({"id": site.code}, 201)

    @operation(
        "PUT-site-settings-update-site-config",
        summary="Replace a site",
        tags=TAGS,
        scopes=(SITE_MANAGE,),
        parameters=[TENANT, CODE, EXPAND],
        request=SiteInput,
        responses={200: None},
        errors=(400, 401, 403, 404, 409),
        error_schema=TypedError,
        description="A site that becomes the default takes the place of the present one.",
    )
    def update(self, request: Request, tenant: str, site_code: str) -> HttpResponse:
        change = read_site(SiteInput(data=request.data), site_code)
        sites.change_site(
            tenant_id=self.caller.tenant.id, code=site_code, change=lambda site: change, at=self.at
        )
        return HttpResponse(status=200)

    @operation(
        "PATCH-site-settings-update-site",
        summary="Change a site",
        tags=TAGS,
        scopes=(SITE_MANAGE,),
        parameters=[TENANT, CODE],
        request=SiteInput,
        responses={200: None},
        errors=(400, 401, 403, 404, 409),
        error_schema=TypedError,
        description="Accepts JSON Patch (a list) and JSON Merge Patch (an object).",
    )
    def partial_update(self, request: Request, tenant: str, site_code: str) -> HttpResponse:
        sites.change_site(
            tenant_id=self.caller.tenant.id,
            code=site_code,
            change=lambda site: patched_site(site, request.data),
            at=self.at,
        )
        return HttpResponse(status=200)

    @operation(
        "DELETE-site-settings-remove-site",
        summary="Delete a site",
        tags=TAGS,
        scopes=(SITE_MANAGE,),
        parameters=[TENANT, CODE],
        responses={204: None},
        errors=(400, 401, 403, 404, 409),
        error_schema=TypedError,
        description="Neither the default site nor one with customer segments can be deleted.",
    )
    def destroy(self, request: Request, tenant: str, site_code: str) -> HttpResponse:
        sites.delete_site(tenant_id=self.caller.tenant.id, code=site_code)
        return HttpResponse(status=204)

    def wanted_sites(self) -> Sequence[Sql]:
        """Return the conditions of the sites that the caller may read and asks for."""
        conditions = [Sql("site.tenant_id = %s", (self.caller.tenant.id,))]
        if parameters.flag(self.request.query_params, "includeInactive"):
            self.require_scope(SITE_MANAGE)
        else:
            conditions.append(Sql("site.is_active"))
        return conditions


def read_site(body: SiteInput, code: str) -> Change:
    """Return what the body says of the site with this code."""
    body.is_valid(raise_exception=True)
    if body.validated_data.get("code", code) != code:
        raise InvalidInput("The code of a site cannot be changed.", field="code")
    return body.change("code")


def patched_site(site: Site, patch: Any) -> Change:
    """Return what the patch makes of a site."""
    document = apply_patch(site_document(site), patch, protected=PROTECTED)
    if site.home_base and document.get("homeBase") is None:
        raise InvalidInput("The home base of a site cannot be removed.", field="homeBase")
    return read_site(SitePatched(data=document), site.code)


class CodeRepresentation(Representation):
    """Shows a site as its code alone."""

    def build_document(self, names: Any, languages: Any) -> Sql:
        return Sql("to_json(site.code)::text")


SITE_FIELDS: dict[str, Field] = SITES.fields
SITE_CODES = CodeRepresentation(table="accounts_site", alias="site", fields=SITE_FIELDS)
