"""The page that previews what a customer is shown."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.models import Customer, LegalEntity, Site
from core.admin.filters import visible_rows
from core.errors import DomainError
from core.representation.fields import Languages
from core.sql.composition import param
from core.tenancy.callers import Identity
from core.windows import window_contains
from segments.category_trees import category_forest
from segments.customer_context import customer_context_for
from segments.forms.preview import PreviewForm
from segments.models import ItemAssignment, Segment
from segments.visibility import visible_segments

MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Preview:
    """What a customer is shown at an instant."""

    at: datetime
    legal_entity: LegalEntity | None
    segments: QuerySet[Segment]
    products: list[ItemAssignment]
    forest: list[dict[str, Any]]


class PreviewPage(admin.ModelAdmin):
    """Adds the page to the segment's admin."""

    def get_urls(self) -> list[URLPattern]:
        page = path("preview/", self.admin_site.admin_view(self.preview), name="segments_segment_preview")
        return [page, *super().get_urls()]

    def preview(self, request: HttpRequest) -> HttpResponse:
        """Ask for a customer and show their segments, items and categories."""
        user: Any = request.user
        if not self.has_view_permission(request) or not user.has_perm("accounts.view_customer"):
            raise PermissionDenied
        form = PreviewForm(
            request.GET if "customer" in request.GET else None,
            admin_site=self.admin_site,
            customers=visible_rows(Customer, request, self),
            legal_entities=visible_rows(LegalEntity, request, self),
            sites=visible_rows(Site, request, self),
        )
        preview = None
        if form.is_bound and form.is_valid():
            try:
                preview = self._preview(form)
            except DomainError as refused:
                form.add_error("legal_entity", refused.message)
        context = {
            **self.admin_site.each_context(request),
            "title": _("What does this customer see?"),
            "opts": self.opts,
            "form": form,
            "preview": preview,
            "most_shown": MOST_SHOWN,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "admin/segments/preview.html", context)

    def _preview(self, form: PreviewForm) -> Preview:
        """Return what the customer is shown; raise NotAllowed when they cannot act for the legal entity."""
        customer: Customer = form.cleaned_data["customer"]
        entity: LegalEntity | None = form.cleaned_data["legal_entity"]
        site: Site | None = form.cleaned_data["site"]
        at = form.cleaned_data["at"] or timezone.now()
        context = customer_context_for(
            tenant_id=customer.tenant_id,
            customer=Identity(customer.pk, customer.external_id),
            legal_entity_id=entity.external_id if entity else None,
        )
        keys = visible_segments(context, at=at, site_code=site.code if site else None)
        products = ItemAssignment.objects.filter(
            window_contains(at), tenant=customer.tenant_id, segment__in=keys, product__isnull=False
        )
        forest = category_forest(
            tenant_id=customer.tenant_id,
            segments=param(list(keys), "bigint[]"),
            at=at,
            languages=Languages((get_language() or "en",), customer.tenant.default_language),
        )
        return Preview(
            at=at,
            legal_entity=LegalEntity.objects.filter(pk__in=[context.legal_entity_id]).first(),
            segments=Segment.objects.filter(pk__in=keys).select_related("site"),
            products=list(
                products.order_by("product_id")
                .distinct("product_id")
                .select_related("product")[: MOST_SHOWN + 1]
            ),
            forest=orjson.loads(forest),
        )
