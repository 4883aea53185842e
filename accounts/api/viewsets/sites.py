"""Sites."""

from collections.abc import Sequence
from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.bodies.rows import ResourceId
from accounts.bodies.sites import PatchedSite, SiteBody, SiteCreation
from accounts.identity.scopes import SITE_MANAGE, SITE_READ
from accounts.models import Site
from accounts.operations import sites
from accounts.operations.documents import Change
from accounts.representations import SITES
from core.api import parameters
from core.api.error_bodies import TYPED_ERRORS
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.api.viewsets import ContractViewSet
from core.bodies import read_body
from core.errors import InvalidInput, NotFound
from core.patches import KEPT_TIMES, apply_patch
from core.representation.fields import Field
from core.representation.representations import Representation
from core.sql.composition import Sql, equals

EXPAND = query_parameter("expand", "Accepted; all settings and mixins are always returned.")
INCLUDE_INACTIVE = query_parameter(
    "includeInactive", "Inactive sites too; needs `site.site_manage`.", type=bool
)
COUNT_HEADER = "X-Count"
PROTECTED = ("/code", *KEPT_TIMES)


class SiteViewSet(ContractViewSet):
    tag = "Sites"
    resource = SITES
    created = ResourceId
    error_format = TYPED_ERRORS
    default_page_size = 16
    counts_by_parameter = True
    count_header = COUNT_HEADER

    @operation("GET-site-settings-list-site-configurations", parameters=(INCLUDE_INACTIVE, EXPAND))
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List sites."""
        return self.page_response(SITES, self.wanted_sites())

    @operation(
        "GET-site-settings-list-site-codes",
        scopes=(SITE_READ, SITE_MANAGE),
        parameters=(
            parameters.Q,
            parameters.SORT,
            *parameters.paging(16),
            parameters.total_count(COUNT_HEADER, by_parameter=True),
            INCLUDE_INACTIVE,
            EXPAND,
        ),
        responses={200: {"type": "array", "items": {"type": "string"}}},
    )
    def codes(self, request: Request, tenant: str) -> HttpResponse:
        """List the codes of sites."""
        return self.page_response(SITE_CODES, self.wanted_sites())

    @operation("GET-site-settings-retrieve-site-config", parameters=(EXPAND,))
    def retrieve(self, request: Request, tenant: str, site_code: str) -> HttpResponse:
        """Retrieve a site.

        An inactive site is found with `site.site_manage` only.
        """
        conditions = [
            equals("site.tenant_id", self.caller.tenant.id),
            equals("site.code", site_code),
        ]
        if not self.has_scope(SITE_MANAGE):
            conditions.append(Sql("site.is_active"))
        return self.document_response(
            SITES, conditions, missing=partial(NotFound, f"There is no site {site_code}.")
        )

    @operation("POST-site-settings-create-site", scopes=(SITE_MANAGE,), request=SiteCreation)
    def create(self, request: Request, tenant: str) -> HttpResponse:
        """Create a site.

        The first site of a tenant is its default site.
        """
        body = read_body(SiteCreation, request.data)
        site = sites.create_site(
            tenant_id=self.caller.tenant.id,
            code=body.code,
            change=body.change(),
            at=self.at,
        )
        return self.created_response(site.code)

    def locked_version(self) -> int | None:
        return sites.locked_version(tenant_id=self.caller.tenant.id, code=self.kwargs["site_code"])

    @operation(
        "PUT-site-settings-update-site-config",
        scopes=(SITE_MANAGE,),
        parameters=(EXPAND,),
        request=SiteBody,
        responses={200: None},
    )
    def update(self, request: Request, tenant: str, site_code: str) -> HttpResponse:
        """Replace a site.

        A site that becomes the default takes the place of the present one.
        """
        change = site_change(read_body(SiteBody, request.data), site_code)
        sites.change_site(
            tenant_id=self.caller.tenant.id, code=site_code, change=lambda site: change, at=self.at
        )
        return HttpResponse(status=200)

    @operation(
        "PATCH-site-settings-update-site", scopes=(SITE_MANAGE,), request=SiteBody, responses={200: None}
    )
    def partial_update(self, request: Request, tenant: str, site_code: str) -> HttpResponse:
        """Change a site.

        Accepts JSON Patch (a list) and JSON Merge Patch (an object).
        """
        sites.change_site(
            tenant_id=self.caller.tenant.id,
            code=site_code,
            change=lambda site: patched_site(site, request.data),
            at=self.at,
        )
        return HttpResponse(status=200)

    @operation("DELETE-site-settings-remove-site", scopes=(SITE_MANAGE,), errors=(409,))
    def destroy(self, request: Request, tenant: str, site_code: str) -> HttpResponse:
        """Delete a site.

        Neither the default site nor one with customer segments can be deleted.
        """
        sites.delete_site(tenant_id=self.caller.tenant.id, code=site_code)
        return HttpResponse(status=204)

    def wanted_sites(self) -> Sequence[Sql]:
        """Return the conditions of the sites that the caller may read and asks for."""
        conditions = [equals("site.tenant_id", self.caller.tenant.id)]
        if parameters.flag(self.request.query_params, "includeInactive"):
            self.require_scope(SITE_MANAGE)
        else:
            conditions.append(Sql("site.is_active"))
        return conditions


def site_change(body: PatchedSite, code: str) -> Change:
    """Return what the body says of the site with this code."""
    if body.code not in (None, code):
        raise InvalidInput("The code of a site cannot be changed.", field="code")
    return body.change()


def patched_site(site: Site, patch: object) -> Change:
    """Return what the patch makes of a site."""
    document = apply_patch(PatchedSite.document(site), patch, protected=PROTECTED)
    if site.home_base and document.get("homeBase") is None:
        raise InvalidInput("The home base of a site cannot be removed.", field="homeBase")
    return site_change(read_body(PatchedSite, document), site.code)


class CodeRepresentation(Representation):
    """Shows a site as its code only."""

    def build_document(self, names: object, languages: object) -> Sql:
        return Sql("to_json(site.code)::text")


SITE_FIELDS: dict[str, Field] = SITES.fields
SITE_CODES = CodeRepresentation(table="accounts_site", alias="site", fields=SITE_FIELDS)
