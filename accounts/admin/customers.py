from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Lower
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.admin.changes import change_of
from accounts.forms.customers import CustomerForm, CustomerPasswordForm
from accounts.identity.operations.passwords import send_reset_token
from accounts.identity.tokens.revocations import announce_revocation
from accounts.models import Customer, Erasure
from accounts.models.customers import SEARCHED_FIELDS, canonical_email
from accounts.operations.customers import change_customer, create_customer, set_customer_password
from accounts.operations.erasure import erase_customer
from core.admin import ReadOnlyAdmin, TenantAdmin, adopt
from core.admin.faults import refusal_text
from core.admin.forms import DocumentForm
from core.errors import DomainError, Unavailable
from core.search import in_order, matching
from core.unavailability import contention_as_refusal

MOST_EMAILS = 100
MOST_ERASED = 100


@admin.register(Customer)
class CustomerAdmin(TenantAdmin):
    form = CustomerForm
    found_at = 1
    explanation = _("People who shop here, privately or as contacts of companies.")
    empty_state = _("Customers sign up in the storefront, come in by an import, or are added here.")
    error_fields = {"id": "external_id", "contactEmail": "email"}
    list_display = ("external_id", "name", "email", "type", "is_active", "is_on_hold")
    list_filter = ("type", "is_active", "is_on_hold")
    search_fields = ("external_id",)
    search_help_text = _("The beginnings of words of the number, name, company and e-mail, in any order.")
    ordering = ("-id",)
    sortable_by = ("external_id",)
    actions = ("send_reset_tokens", "erase_selected")
    readonly_fields = ("last_login_at", "version", "created_at", "modified_at")
    fieldsets = (
        (None, {"fields": ("external_id", "email", "title", "first_name", "middle_name", "last_name")}),
        (_("State"), {"fields": ("type", "is_active", "is_on_hold")}),
        (_("Contact"), {"fields": ("contact_phone", "company", "company_registration_id", "photo_url")}),
        (_("Preferences"), {"fields": ("preferred_language", "preferred_currency", "preferred_site")}),
        (_("Own attributes"), {"fields": ("mixins", "mixin_schemas"), "classes": ("collapse",)}),
        (
            _("Record"),
            {"fields": ("last_login_at", "version", "created_at", "modified_at"), "classes": ("collapse",)},
        ),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        found = matching(queryset, search_term, SEARCHED_FIELDS)
        exact_first = "o" not in request.GET
        return in_order(
            found,
            search_term,
            SEARCHED_FIELDS,
            exact_first=exact_first,
            named=self.named(queryset, search_term),
        ), False

    def named(self, customers: QuerySet, term: str) -> QuerySet:
        """Return the customers whose number or e-mail the term is; both are unique in a tenant."""
        wanted = Lower(Value(canonical_email(term)))
        aliased = customers.alias(lowered_email=Lower("email"))
        return aliased.filter(Q(external_id=term.strip()) | Q(lowered_email=wanted))

    def autocomplete_text(self, obj: Customer) -> str:
        return f"{obj} {obj.email}" if obj.email and obj.email not in str(obj) else str(obj)

    @admin.display(description=_("Name"))
    def name(self, customer: Customer) -> str:
        return f"{customer.first_name} {customer.last_name}".strip()

    def save_model(self, request: HttpRequest, obj: Customer, form: DocumentForm, change: bool) -> None:
        wanted = change_of(form)
        if change:
            stored = change_customer(
                tenant_id=obj.tenant_id,
                external_id=obj.external_id,
                change=lambda customer: wanted,
                at=timezone.now(),
            )
        else:
            stored = create_customer(
                tenant_id=obj.tenant_id, external_id=obj.external_id, values=wanted.values, at=timezone.now()
            )
        adopt(obj, stored)

    # Passwords

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "<int:key>/password/",
            self.admin_site.admin_view(self.set_password),
            name="accounts_customer_password",
        )
        return [page, *super().get_urls()]

    def related_links(self, request: HttpRequest, obj: Customer) -> list[dict[str, object]]:
        links = super().related_links(request, obj)
        if self.has_change_permission(request, obj):
            page = reverse("admin:accounts_customer_password", args=(obj.pk,))
            links.append({"url": page, "text": _("Set the password"), "note": ""})
        return links

    def set_password(self, request: HttpRequest, key: int) -> HttpResponse:
        """Set the customer's password; all sessions of the customer end."""
        customer = self.get_queryset(request).filter(pk=key).first()
        if customer is None:
            raise Http404(_("There is no such customer."))
        if not self.has_change_permission(request, customer):
            raise PermissionDenied
        form = CustomerPasswordForm(request.POST if request.method == "POST" else None, customer=customer)
        if form.is_valid():
            try:
                with contention_as_refusal():
                    set_customer_password(
                        customer=customer,
                        password=form.cleaned_data["password"],
                        is_initial=True,
                        at=timezone.now(),
                    )
            except Unavailable as busy:
                self.message_user(request, refusal_text(busy), messages.ERROR)
            else:
                self.message_user(request, _("The password is set, and all sessions have ended."))
                return HttpResponseRedirect(reverse("admin:accounts_customer_change", args=(customer.pk,)))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Set the password"),
            "subtitle": str(customer),
            "opts": self.opts,
            "customer": customer,
            "form": form,
        }
        return TemplateResponse(request, "admin/accounts/set_password.html", context)

    @admin.action(
        description=_("Send e-mails that let selected customers choose a password"), permissions=["reset"]
    )
    def send_reset_tokens(self, request: HttpRequest, queryset: QuerySet) -> None:
        reachable = queryset.filter(email__isnull=False, is_active=True)[: MOST_EMAILS + 1]
        customers = list(reachable)
        if len(customers) > MOST_EMAILS:
            text = gettext("Select at most {most} customers; no e-mail was sent.").format(most=MOST_EMAILS)
            self.message_user(request, text, messages.ERROR)
            return
        for customer in customers:
            send_reset_token(customer, at=timezone.now())
        self.message_user(
            request,
            gettext("E-mails to {number} of the selected customers are on their way.").format(
                number=len(customers)
            ),
        )

    @admin.action(description=_("Erase personal data of selected customers"), permissions=["delete"])
    def erase_selected(self, request: HttpRequest, queryset: QuerySet) -> TemplateResponse | None:
        """Ask, then erase the customers, each in a transaction of its own."""
        selected = list(queryset.order_by("pk")[: MOST_ERASED + 1])
        if len(selected) > MOST_ERASED:
            text = gettext("Select at most {most} customers; nobody was erased.").format(most=MOST_ERASED)
            self.message_user(request, text, messages.ERROR)
            return None
        if not request.POST.get("post"):
            context = {
                **self.admin_site.each_context(request),
                "title": _("Erase personal data?"),
                "opts": self.opts,
                "customers": selected,
                "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "admin/accounts/erase_selected.html", context)
        erased = 0
        try:
            with contention_as_refusal():
                for customer in selected:
                    erase_customer(
                        tenant_id=customer.tenant_id,
                        external_id=customer.external_id,
                        requested_by=f"staff {request.user.get_username()}",
                        at=timezone.now(),
                    )
                    erased += 1
        except DomainError as refused:
            self.message_user(
                request,
                gettext("Erased {erased} of {number}: {reason}").format(
                    erased=erased, number=len(selected), reason=refusal_text(refused)
                ),
                messages.ERROR,
            )
        else:
            self.message_user(
                request,
                ngettext("Erased {number} customer.", "Erased {number} customers.", erased).format(
                    number=erased
                ),
                messages.SUCCESS,
            )
        return None

    def has_reset_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_customer")

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        super().delete_queryset(request, queryset)
        announce_revocation()


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    explanation = _("Customers who have been erased: when, by whom, and how many rows of what.")
    empty_state = _("Nobody has been erased.")
    list_display = ("pseudonym", "erased_at", "requested_by", "counts")
    search_fields = ("=pseudonym",)
    search_help_text = _("A whole pseudonym, as redemptions show it.")
    ordering = ("-id",)
    fields = ("pseudonym", "erased_at", "requested_by", "counts")
