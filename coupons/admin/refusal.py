"""The page that shows why a coupon would be refused."""

from datetime import datetime

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Customer, LegalEntity
from core.admin.faults import refusal_text
from core.admin.filters import visible_rows
from core.errors import NotAllowed
from coupons.eligibility import Verdict, assess_coupon
from coupons.errors import CouponNotFound
from coupons.forms.refusal import RefusalForm
from coupons.models import Coupon
from coupons.money import Amount, Money
from coupons.orders import Buyer, Order


class RefusalPage(admin.ModelAdmin):
    """Adds the page to the coupon's admin."""

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "<int:key>/refusal/", self.admin_site.admin_view(self.refusal), name="coupons_coupon_refusal"
        )
        return [page, *super().get_urls()]

    def refusal(self, request: HttpRequest, key: int) -> HttpResponse:
        """Ask for a customer and an order, and show every reason against the coupon."""
        user = request.user
        if not self.has_view_permission(request) or not user.has_perm("accounts.view_customer"):
            raise PermissionDenied
        coupon = self.get_queryset(request).filter(pk=key).select_related("tenant").first()
        if coupon is None:
            raise Http404(_("There is no such coupon."))
        form = self.refusal_form(request, coupon)
        verdict = None
        at = timezone.now()
        if form.is_bound and form.is_valid():
            at = form.cleaned_data["at"] or at
            try:
                verdict = self._verdict(coupon, form, at)
            except NotAllowed as refused:
                form.add_error("legal_entity", refusal_text(refused))
            except CouponNotFound as missing:
                form.add_error(None, refusal_text(missing))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Why would {code} be refused?").format(code=coupon.code),
            "opts": self.opts,
            "coupon": coupon,
            "form": form,
            "verdict": verdict,
            "at": at,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "admin/coupons/refusal.html", context)

    def refusal_form(self, request: HttpRequest, coupon: Coupon) -> RefusalForm:
        """Return the form that asks who would redeem the coupon, with what the address has of it."""
        return RefusalForm(
            request.GET if "customer" in request.GET else None,
            admin_site=self.admin_site,
            tenant=coupon.tenant,
            customers=visible_rows(Customer, request, self).filter(tenant=coupon.tenant),
            legal_entities=visible_rows(LegalEntity, request, self).filter(tenant=coupon.tenant),
        )

    def _verdict(self, coupon: Coupon, form: RefusalForm, at: datetime) -> Verdict:
        """Return the verdict of the API; raises NotAllowed when the customer cannot act for the entity."""
        customer: Customer | None = form.cleaned_data["customer"]
        entity: LegalEntity | None = form.cleaned_data["legal_entity"]
        total = form.cleaned_data["total"]
        legal_entity_id = entity.external_id if entity else ""
        tenant_id = coupon.tenant_id
        buyer = (
            Buyer.named(tenant_id, customer.external_id, legal_entity_id=legal_entity_id)
            if customer
            else Buyer.anonymous(tenant_id, legal_entity_id=legal_entity_id)
        )
        order = None if total is None else Order(Money(Amount(total), form.cleaned_data["currency"]))
        return assess_coupon(tenant_id=tenant_id, code=coupon.code, buyer=buyer, order=order, at=at)
